"""Handlers that take their time: thousands of calls held, no thread more, nobody else slower."""

import statistics
import time

from lab import net, sip
from lab.case import test
from lab.engine import site
from lab.verdict import equal, ok

CALLS = 2000
SLOW = '''-- Routes 5... a second after it was asked.
bus.handle("call.route", 80, function(msg)
	if msg.called:match("^5") then
		sleep(1)
		return "sip/sip:service@%s:5060"
	end
end)
'''


def held(t, extra, before=lambda e: None):
	"""An engine where numbers with 5 are slow and those with 6 go straight to the same callee."""
	rules = f'[default]\n^6=sip/sip:service@{t.host(3)}:5060\n'
	conf = site(t.host(1), route=rules, sniffer=False, extra=extra, t1=500)
	conf['regexroute.conf'] = conf['regexroute.conf'].replace('route=90', 'route=70')
	e = t.engine(conf)
	before(e)
	t.uas(3)
	return e


def set_up(t, e, n):
	"""Milliseconds from INVITE to 200 of `n` calls to a number that nobody holds."""
	p = sip.Phone(e.sip, '100', t.host(5), 0)
	times = []
	for _ in range(n):
		begin = time.monotonic()
		call = p.invite('6')
		sip.answered(call.answer(200), 200, 'a call that nobody holds')
		times.append((time.monotonic() - begin) * 1000)
		sip.answered(call.bye(), 200, 'BYE')
	p.close()
	return times


def many(t, e):
	"""2,000 held calls; meanwhile threads and set-up times stay what they were."""
	calls = CALLS if not t.sanitizer else CALLS // 10
	rest, usual = e.threads(), statistics.median(set_up(t, e, 20))
	uac = t.uac(2, e.sip, calls, calls, args=('-s', '5', '-timeout', '60s'))
	most = 0

	def flying():
		nonlocal most
		most = max(most, e.status('sip').count('routing'))
		return most >= calls * 0.9

	e.process.poll(flying, 10, f'{calls} calls in routing at once')
	during = statistics.median(set_up(t, e, 10))
	equal(e.threads(), rest, 'threads while calls are held')
	uac.wait(60, calls)
	equal(e.threads(), rest, 'threads afterwards')
	limit = max(20, 5 * usual) if not t.sanitizer else 1000
	ok(during < limit, f'set-up of other calls: {during:.1f} ms at the median, {usual:.1f} ms at rest')
	e.no_calls()


@test(limit=120, heavy=True)
def lua_sleeps(t):
	script = t.path('slow.lua')
	with open(script, 'w', encoding='utf-8') as f:
		f.write(SLOW % t.host(3))
	many(t, held(t, {'lua.conf': f'[scripts]\nslow={script}\n'}))


def listener(t):
	port = net.free_port(t.host(1))
	text = f'[general]\ntimeout=10000\nmaxqueue=0\n[listener lab]\ntype=tcp\naddr={t.host(1)}\nport={port}\nrole=global\n'
	return {'extmodule.conf': text}, (t.host(1), port)


def route_slowly(t, fields):
	"""What the script answers to call.route: numbers with 5 are its own."""
	mine = 'called=5' in fields
	return f'true::sip/sip%zservice@{t.host(3)}%z5060' if mine else 'false:'


@test(limit=120, heavy=True)
def script_answers_late(t):
	extra, at = listener(t)

	def start(e):
		s = t.script(at, answer=lambda fields: route_slowly(t, fields), delay=1)
		s.install(80, 'call.route')

	many(t, held(t, extra, start))


@test(limit=60)
def script_never_answers(t):
	"""It is passed by after its limit, and the next handler routes the call."""
	extra, at = listener(t)
	e = t.engine(site(t.host(1), route=f'[default]\n^6=sip/sip:service@{t.host(3)}:5060\n', extra=extra))
	s = t.script(at)
	s.setlocal('timeout', 500)
	s.install(50, 'call.route')
	t.uas(3)
	p = t.phone(e.sip, '100', 5)
	begin = time.monotonic()
	call = p.invite('6')
	sip.answered(call.answer(200), 200, 'the call')
	took = time.monotonic() - begin
	ok(0.45 < took < 3, f'it took {took:.2f} s')
	equal(s.delivered, 1, 'messages that the script got')
	sip.answered(call.bye(), 200, 'BYE')
	e.idle()


@test(limit=60)
def script_dies(t):
	"""Its connection closed in the middle: what it held goes on at once."""
	extra, at = listener(t)
	e = t.engine(site(t.host(1), route=f'[default]\n^6=sip/sip:service@{t.host(3)}:5060\n', extra=extra))
	s = t.script(at)
	s.install(50, 'call.route')
	t.uas(3)
	p = t.phone(e.sip, '100', 5)
	call = p.invite('6')
	call.answer(100)
	e.process.poll(lambda: s.delivered == 1, 5, 'the script to hold the call')
	s.close()
	begin = time.monotonic()
	sip.answered(call.answer(200), 200, 'the call')
	ok(time.monotonic() - begin < 2, 'it did not wait for the limit')
	sip.answered(call.bye(), 200, 'BYE')
	e.idle()
