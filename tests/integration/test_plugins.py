"""A script as plug-in of services: in front of the default, going on or stopping, per listener, switched while it runs."""

from lab import net, sip
from lab.case import test
from lab.engine import site
from lab.verdict import equal

PLUGIN = '''-- Marks what it has seen; of the second listener it answers itself.
bus.handle("sip.message", 10, function(msg)
	log.warn("plugin saw " .. msg.xsip_body)
	if msg.connection_id == "second" then return "488" end
end)
bus.handle("sip.message", 20, function(msg)
	log.warn("next saw " .. msg.xsip_body)
end)
'''
DEFAULT = '''bus.handle("sip.message", 100, function(msg)
	return "202"
end)
'''


@test(level='fast')
def chain(t):
	t.proves('NK-P92')
	port = net.free_port(t.host(1))
	for name, text in (('plugin', PLUGIN), ('default', DEFAULT)):
		with open(t.path(f'{name}.lua'), 'w', encoding='utf-8') as f:
			f.write(text)
	both = f'[scripts]\nplugin={t.path("plugin.lua")}\ndefault={t.path("default.lua")}\n'
	alone = f'[scripts]\ndefault={t.path("default.lua")}\n'
	e = t.engine(site(t.host(1), sniffer=False, extra={'lua.conf': both},
		sip=f'[methods]\nmessage=no\n[listener second]\naddr={t.host(1)}\nport={port}\n'))
	first, second = (sip.Phone((t.host(1), p), '100', t.host(2), 0) for p in (5060, port))
	t.later(first.close)
	t.later(second.close)

	def saw(text):
		return [word for word in ('plugin', 'next') if any(f'{word} saw {text}' in line for line in e.process.lines)]

	def seen_by(text, want, what):
		e.process.poll(lambda: saw(text) == want, 5, what)

	equal(first.message('200', 'one').status, 202, 'the plug-in lets it go on to the default')
	seen_by('one', ['plugin', 'next'], 'the plug-in and what is behind it to see the message')
	equal(second.message('200', 'two').status, 488, 'the plug-in stops those of the other listener')
	seen_by('two', ['plugin'], 'the plug-in alone to see the message')
	e.write('lua.conf', alone)
	e.console.cmd('reload lua')
	e.process.poll(lambda: second.message('200', 'three').status == 202, 5, 'the plug-in to be gone')
	equal(first.message('200', 'four').status, 202, 'the default alone')
	equal(saw('four'), [], 'a plug-in that is switched off')
	e.write('lua.conf', both)
	e.console.cmd('reload lua')
	e.process.poll(lambda: second.message('200', 'five').status == 488, 5, 'the plug-in to be back')
