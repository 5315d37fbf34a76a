"""What a reload says of itself, and reloads on trial. Under load: test_life_load.py."""

from lab.case import test
from lab.engine import site
from lab.verdict import contains, equal


@test(level='fast')
def what_changes_is_said(t):
	e = t.engine(site(t.host(1)))
	e.write('ysipchan.conf', f'[general]\naddr={t.host(1)}\nport=5060\nt1=100\ngenerate=no\nmaxpkt=4096\nuseragent=New\n')
	e.console.cmd('reload')
	e.process.expect(r'module sip: changed \[general\] generate, .*\[general\] useragent, \[methods\]', 5)
	e.write('engine.cfg', 'loops = { calls = 3; };\n')
	e.console.cmd('reload engine')
	e.process.expect(r'engine.cfg: changed \[loops\] calls', 5)
	e.process.expect(r'takes effect at the next start: \[loops\] calls', 5)
	e.write('engine.cfg', 'loops = { calls = "three"; };\n')
	e.console.cmd('reload')
	e.process.expect(r'engine\.cfg:1:11: error: ', 5)
	e.process.expect(r'reload refused', 5)


def useragent(t, e, name):
	"""Settings that a phone can see: the Server header of answers."""
	e.write('ysipchan.conf', f'[general]\naddr={t.host(1)}\nport=5060\nt1=100\nuseragent={name}\n')


@test(level='fast')
def on_trial(t):
	"""reload --confirm: kept by --keep, taken back by silence, no other reload meanwhile, bad values refused."""
	e = t.engine(site(t.host(1), sip='useragent=First'))
	p = t.phone(e.sip, '100', 2)
	equal(p.options().get('Server'), 'First', 'at the start')
	useragent(t, e, 'Second')
	e.console.cmd('reload --confirm 300')
	e.process.expect(r'\[config-\d+\]', 5)
	e.process.poll(lambda: p.options().get('Server') == 'Second', 5, 'new settings on trial')
	mark = e.process.mark()
	e.console.cmd('reload')
	e.process.expect(r'confirmed', 5, mark)
	e.console.cmd('reload --keep')
	useragent(t, e, 'Third')
	mark = e.process.mark()
	e.console.cmd('reload --confirm 1')
	e.process.poll(lambda: p.options().get('Server') == 'Third', 5, 'newer settings on trial')
	e.process.poll(lambda: p.options().get('Server') == 'Second', 5, 'the former ones, since nobody has confirmed')
	contains(e.console.cmd('reload --confirm nonsense'), 'How many seconds?', 'a bad value')
	e.idle()
