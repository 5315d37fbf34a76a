"""SIPp's own uac and uas through the engine, at rate, while the console asks, reloads and drops."""

import collections
import threading

from lab.case import test
from lab.engine import site
from lab.verdict import contains, equal, ok


def relay(t):
	"""An engine that routes every number to the callee at host 3."""
	rule = f'[default]\n.*=sip/sip:service@{t.host(3)}:5060\n'
	return t.engine(site(t.host(1), route=rule, sniffer=False, t1=500))


HELD = 20	# calls that are there all the while, to be dropped


def load(t, calls, rate, limit, runs=1):
	"""Calls at a rate, `runs` times over, nothing left of them; resident kB after each run."""
	e = relay(t)
	uas, threads = t.uas(3), e.threads()
	sizes = []
	for run in range(runs):
		held = t.uac(4, e.sip, HELD, HELD, name=f'held{run}', scenario='held')
		callers = e.process.poll(lambda: all_held(e), 15, f'{2 * HELD} answered channels')
		uac = t.uac(2, e.sip, calls, rate, name=f'uac{run}')
		meanwhile(e, uac, callers)
		uac.wait(limit, calls)
		held.wait(10, HELD)
		e.idle(45)
		sizes.append((e.resident_kb(), e.descriptors()))
	equal(uas.unexpected(), [], 'unexpected messages of the callee')
	equal(e.threads(), threads, 'threads afterwards')
	equal([n for _, n in sizes], [sizes[0][1]] * runs, 'descriptors after each run')
	equal(records(e, 2 * runs * (calls + HELD)),
		{'answered': 2 * runs * calls + runs * HELD, 'dropped': runs * HELD}, 'records by status')
	return [kb for kb, _ in sizes]


def records(e, n):
	"""How many of each status; the leg that a drop names has that of the drop."""
	return collections.Counter(r['status'] for r in e.wait_cdrs(n))


def all_held(e):
	"""One channel of each held call, once all are answered."""
	legs = {i: v.split('|')[2] for i, v in e.status('sip').items.items() if v.startswith('answered')}
	return len(legs) == 2 * HELD and [i for i, peer in legs.items() if i < peer]


def meanwhile(e, uac, callers):
	"""Until the load ends: ask for status, reload, drop one of the held calls. Then drop the rest."""
	rounds, ended = 0, threading.Event()
	threading.Thread(target=lambda: (uac.process.child.wait(), ended.set()), daemon=True).start()
	while not ended.wait(0.2):
		e.status('sip')
		contains(e.console.cmd('reload'), 'Reinitializing', 'answer to reload')
		contains(e.console.cmd('uptime'), 'Uptime', 'answer to uptime')
		drop(e, callers[:1])
		del callers[:1]
		rounds += 1
	ok(rounds > 3, f'the console answered meanwhile ({rounds} times)')
	drop(e, callers)


def drop(e, ids):
	for i in ids:
		contains(e.console.cmd(f'drop {i}'), f'Dropped {i}', 'answer to drop')


@test(limit=120, heavy=True)
def thousand_calls(t):
	load(t, 1000, 100, 100)


@test(limit=600, level='soak', sanitizers=False, heavy=True)
def ten_thousand_calls(t):
	"""Three times: the second and third take no memory that the first did not."""
	kb = load(t, 10000, 200, 200, runs=3)
	print(f'resident after each run: {kb} kB')
	ok(kb[2] < kb[0] + 1024, f'resident memory stays: {kb} kB')


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
