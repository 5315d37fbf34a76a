"""Reload under calls: files broken every third time, no call fails, every refusal names file and line."""

from lab.case import test
from lab.engine import site
from lab.verdict import contains, equal, ok


def rules(n, broken, host):
	"""A routing plan of the n-th reload; a broken one has an open group in line 4."""
	first = '^7\\(=-' if broken else f'^7{n}$=-;error=busy'
	return f'[priorities]\nroute=90\n[default]\n{first}\n.*=sip/sip:service@{host}:5060\n'


def reload_under_load(t, reloads, rate, calls, limit):
	conf = site(t.host(1), sniffer=False, t1=500)
	conf['regexroute.conf'] = rules(0, False, t.host(3))
	e = t.engine(conf)
	uas = t.uas(3)
	uac = t.uac(2, e.sip, calls, rate)
	sizes = []
	for n in range(1, reloads + 1):
		broken, seen = n % 3 == 0, len(e.process.lines)
		e.write('regexroute.conf', rules(n, broken, t.host(3)))
		equal(e.console.cmd('reload'), 'Reinitializing...', 'answer to reload')
		says = r'reload refused' if broken else r'configuration reloaded'
		e.process.poll(lambda: any(says in line for line in e.process.lines[seen:]), 10, f'reload {n}: {says}')
		said = '\n'.join(e.process.lines[seen:])
		if broken:
			contains(said, 'regexroute.conf:4:1: error:', f'reload {n} names the place')
		else:
			contains(said, 'module regexroute: changed [default]', f'reload {n} says what changes')
		if n % (reloads // 5) == 0:
			sizes.append((e.resident_kb(), e.descriptors()))
	uac.wait(limit, calls)
	equal(uas.unexpected(), [], 'unexpected messages of the callee')
	e.idle(45)
	return sizes


@test(limit=120, heavy=True)
def reload_while_calls(t):
	reload_under_load(t, 60, 50, 500, 60)


@test(limit=900, level='soak', sanitizers=False, heavy=True)
def thousand_reloads(t):
	"""A thousand, a hundred calls a second meanwhile; memory stays."""
	sizes = reload_under_load(t, 1000, 100, 20000, 400)
	print(f'resident kB and descriptors: {sizes}')
	ok(sizes[-1][0] < sizes[1][0] + 2048, f'resident memory stays: {sizes}')
	equal(sizes[-1][1], sizes[1][1], 'descriptors')


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
