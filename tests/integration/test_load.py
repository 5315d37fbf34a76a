"""SIPp's own uac and uas through the engine, at rate, while the console asks, reloads and drops."""

import threading

from lab.case import test
from lab.engine import site
from lab.verdict import contains, equal, ok


def relay(t):
	"""An engine that routes every number to the callee at host 3."""
	rule = f'[default]\n.*=sip/sip:service@{t.host(3)}:5060\n'
	return t.engine(site(t.host(1), route=rule, sniffer=False, t1=500))


def load(t, calls, rate, limit):
	e = relay(t)
	uas, rest = t.uas(3), e.threads()
	uac = t.uac(2, e.sip, calls, rate)
	asked = meanwhile(e, uac)
	uac.wait(limit, calls)
	equal(uas.unexpected(), [], 'unexpected messages of the callee')
	ok(asked > 3, f'the console answered meanwhile ({asked} times)')
	e.idle(45)
	equal(e.threads(), rest, 'threads afterwards')
	equal(len(e.wait_cdrs(2 * calls)), 2 * calls, 'records')
	ok(all(r['status'] == 'answered' for r in e.cdrs()), 'all records say answered')


def meanwhile(e, uac):
	"""Ask for status and reload until the caller ends; how often both were answered."""
	asked = 0
	ended = threading.Event()
	threading.Thread(target=lambda: (uac.process.child.wait(), ended.set()), daemon=True).start()
	while not ended.wait(0.2):
		e.status('sip')
		contains(e.console.cmd('reload'), 'Reinitializing', 'answer to reload')
		contains(e.console.cmd('uptime'), 'Uptime', 'answer to uptime')
		asked += 1
	return asked


@test(limit=120, heavy=True)
def thousand_calls(t):
	load(t, 1000, 100, 100)


@test(limit=300, level='soak', sanitizers=False, heavy=True)
def ten_thousand_calls(t):
	load(t, 10000, 200, 200)


@test(limit=90, heavy=True)
def drop_reaches_all(t):
	"""`status` lists the calls of every loop, `drop` ends one of them, then all."""
	calls = 40
	e = relay(t)
	t.uas(3)
	uac = t.uac(2, e.sip, calls, 40, name='held', scenario='held')
	e.process.poll(lambda: len(answered(e)) == 2 * calls, 15, f'{2 * calls} answered channels')
	ids = answered(e)
	ok({int(i.split('/')[1]) % 2 for i in ids} == {0, 1}, 'channels of more than one loop')
	contains(e.console.cmd(f'drop {ids[0]} busy'), f'Dropped {ids[0]}', 'answer to drop')
	e.process.poll(lambda: len(answered(e)) == 2 * calls - 2, 10, 'both legs of a dropped call gone')
	contains(e.console.cmd('drop all'), 'Tried to drop all calls', 'answer to drop all')
	uac.wait(20, calls)
	e.no_calls()
	contains(e.console.cmd('drop sip/999999'), 'Could not drop sip/999999', 'answer to a drop of nothing')


def answered(e):
	return sorted(i for i, v in e.status('sip').items.items() if v.startswith('answered'))
