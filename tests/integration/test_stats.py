"""Numbers that follow a known load, and answer times by period."""

import json

from lab import sip
from lab.case import test
from lab.engine import site
from lab.verdict import equal, ok

CALLS = 5


@test(level='fast')
def counts_follow_a_load(t):
	"""Calls, dialogs, messages and records while calls are up, and after them."""
	t.proves('NK-P85')
	e = t.engine(site(t.host(1), route=f'[default]\n^6=sip/sip:service@{t.host(3)}:5060\n', sniffer=False))
	t.uas(3)
	p = t.phone(e.sip, '100', 2)
	rest = e.status('engine')
	before, parked = rest.count('dispatched'), rest.count('parked')
	calls = [p.invite('6') for _ in range(CALLS)]
	for c in calls:
		sip.answered(c.answer(200), 200, 'INVITE')
	s = e.status('sip')
	equal((s.count('chans'), s.count('dialogs'), s.count('routing')), (2 * CALLS, 2 * CALLS, 0), 'calls that are up')
	equal(e.status('trace').count('active'), CALLS, 'records, one a call')
	ok(e.status('engine').count('dispatched') > before + 10 * CALLS, 'messages of the bus')
	for c in calls:
		sip.answered(c.bye(), 200, 'BYE')
	e.idle()
	e.process.poll(lambda: e.status('sip').count('dialogs') == 0, 10, 'no dialogs')
	s = e.status('trace')
	equal((s.count('active'), s.count('begun'), s.count('kept')), (0, CALLS, CALLS), 'records afterwards')
	equal(e.status('engine').count('parked'), parked, 'parked messages: none but the question')


SLOW = '''bus.handle("call.route", 10, function(msg)
	if msg.called == "59" then sleep(0.4) end
end)
'''


@test()
def answer_times(t):
	"""A slow handler raises maximum, mean and deviation of the period it is in, not of the one after."""
	t.proves('NK-P86')
	with open(t.path('slow.lua'), 'w', encoding='utf-8') as f:
		f.write(SLOW)
	e = t.engine(site(t.host(1), route='[default]\n^5=-;error=busy\n', sniffer=False,
		extra={'lua.conf': f'[scripts]\nslow={t.path("slow.lua")}\n'}))
	p = t.phone(e.sip, '100', 2)

	def period(slow):
		"""The figures of a period with quick calls, and slow ones: one is made until it shows."""
		def look():
			sip.answered(p.invite('51').answer(200), 486, 'a quick refusal')
			if slow:
				sip.answered(p.invite('59').answer(200), 486, 'a slow refusal')
			f = json.loads(e.console.cmd('stats times --json'))
			return f if f['count'] and (f['max_ms'] >= 400) == slow else None

		return e.process.poll(look, 20, f'a period with{"" if slow else "out"} slow answers')

	quick = period(False)
	slow = period(True)
	ok(slow['max_ms'] >= 400, f'slow handler: {slow}')
	for name in ('max_ms', 'avg_ms', 'std_ms'):
		ok(slow[name] > quick[name], f'{name}: {quick} and {slow}')
	ok(slow['min_ms'] < 300, f'the quick ones are still there: {slow}')
	again = period(False)
	ok(again['max_ms'] < 400, f'the period after: {again}')
