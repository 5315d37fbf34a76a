"""What a running engine shows is described: keys of status lines, parameters of messages; and `describe` itself,
as subcommand and on the console."""

import json
import os
import subprocess

from lab.case import test
from lab.engine import Engine, site
from lab.verdict import contains, equal, ok


def describe(t, *words):
	done = subprocess.run([os.path.join(t.build, 'engine', 'patchbay'), 'describe', *words], stdin=subprocess.DEVNULL,
		capture_output=True, timeout=30, check=False, text=True)
	return done.returncode, done.stdout, done.stderr


def rows(t, kind):
	code, out, _ = describe(t, kind, '--json')
	equal(code, 0, f'describe {kind} --json')
	return json.loads(out)


@test(level='fast')
def every_status_key(t):
	engine = t.engine(site(t.host(1)))
	known = {(row['module'], row['name']) for row in rows(t, 'counter')}
	lines = [s for s in engine.console.status() if s.head.get('name')]
	ok(len(lines) >= 6, f'{len(lines)} status lines')
	for s in lines:
		name = s.head['name']
		keys = set(s.counts) | set(s.head) - {'name', 'type', 'format'}
		keys |= set(s.head.get('format', '').split('|')) - {''}
		for key in keys:
			ok((name, key) in known, f'{name}: {key} is no described counter')


def settable(t):
	"""Who may set what: exact names, and beginnings, of each message."""
	sets = {}
	for m in rows(t, 'message'):
		words = {w for s in m['sent_by'] for w in s['params']}
		sets[m['name']] = ({w for w in words if not w.endswith('*')}, tuple(w[:-1] for w in words if w.endswith('*')))
	# One message walks under these names, one after the other.
	chain = ('call.preroute', 'call.route', 'call.execute')
	exact, begin = set(), ()
	for name in chain:
		exact, begin = exact | sets[name][0], begin + sets[name][1]
	sets.update(dict.fromkeys(chain, (exact, begin)))
	return sets


@test(level='fast')
def every_parameter(t):
	engine = t.engine(site(t.host(1), ('anna', 'bert')))
	sets = settable(t)
	a, b = t.baresip('anna', 2, engine.addr), t.baresip('bert', 3, engine.addr)
	a.registered()
	b.registered()
	a.dial('bert')
	b.event('CALL_INCOMING')
	b.accept()
	a.event('CALL_ESTABLISHED')
	a.hangup()
	engine.no_calls()
	engine.wait_sniffed('chan.hangup')
	seen = engine.sniffed(done=False)
	for m in seen:
		name = m.name if m.name in sets else m.name.rsplit('.', 1)[0] + '.'
		exact, begin = sets.get(name, (set(), ()))
		for p in m.names():
			ok(p in exact or p.startswith(begin) or p == 'handlers', f'{m.name}: nobody is described to set {p}')
	ok(len({m.name for m in seen}) >= 8, f'messages seen: {sorted({m.name for m in seen})}')


@test(level='fast')
def found_and_not_found(t):
	code, out, _ = describe(t, 'option', 'maxpkt')
	equal(code, 0, 'describe option maxpkt')
	contains(out, 'ysipchan.conf', 'describe option maxpkt')
	code, out, said = describe(t, 'maxpk')
	equal((code, out), (1, ''), 'describe maxpk')
	contains(said, "did you mean 'maxpkt'?", 'describe maxpk')


@test(level='fast')
def on_the_console(t):
	engine = t.engine(site(t.host(1)))
	console = engine.console
	contains(console.cmd('describe message call.route'), 'regfile at 100 (option route)', 'describe on the console')
	contains(console.cmd('describe nothing.such'), "there is no name 'nothing.such'", 'describe on the console')
	contains(console.cmd('lint'), 'nothing found', 'lint on the console')
	ok(json.loads(console.cmd('describe counter scripts --json')), 'JSON on the console')
