"""Two baresip phones call each other: every way a call can end, with its codes, causes and records.

Timers are 100 ms based, so that what must be gone is gone within ten seconds.
"""

from lab import sip
from lab.case import test
from lab.engine import site
from lab.verdict import contains, equal, ok

RULES = '''[default]
^8\\(.*\\)$=;called=\\1
^7\\(.*\\)$=;called=\\1;maxcall=1500
^555$=-;error=busy
'''


class Pair:
	"""The site with phones of anna and bert, both registered."""

	def __init__(self, t, **bert):
		self.e = t.engine(site(t.host(1), ('anna', 'bert'), route=RULES))
		self.a = t.baresip('anna', 2, self.e.addr)
		self.b = t.baresip('bert', 3, self.e.addr, **bert)
		self.a.registered()
		self.b.registered()

	def ring(self, number):
		"""Dial until both sides ring."""
		at, bt = self.a.mark(), self.b.mark()
		self.a.dial(number)
		self.b.event('CALL_INCOMING', start=bt)
		self.a.event('CALL_RINGING', start=at)
		return at, bt

	def talk(self, number):
		at, bt = self.ring(number)
		self.b.accept()
		self.a.event('CALL_ESTABLISHED', start=at)
		self.b.event('CALL_ESTABLISHED', start=bt)
		return at, bt

	def ended(self, n=2):
		"""All is back at zero; the records of both legs as {direction: record}."""
		self.e.idle()
		records = self.e.wait_cdrs(n)
		equal(len(records), n, 'records, one for each leg')
		return {r['direction']: r for r in records}

	def hangups(self):
		"""chan.hangup as {direction: message}."""
		return {m.get('direction'): m for m in self.e.sniffed('chan.hangup', done=True)}


def told(records, what, **want):
	"""Reasons of the legs' records."""
	for leg, reason in want.items():
		equal(records[leg]['reason'], reason, f'{what}: reason of the {leg} leg')


def answered(records):
	for r in records.values():
		equal(r['status'], 'answered', f'status of the {r["direction"]} leg')
		ok(float(r['billtime']) > 0, f'billtime of the {r["direction"]} leg')
	equal(len({r['billid'] for r in records.values()}), 1, 'billing ids')


@test(level='fast')
def caller_hangs_up(t):
	p = Pair(t)
	_, bt = p.talk('bert')
	equal(p.e.status('sip').count('chans'), 2, 'channels of a call')
	p.a.hangup()
	p.b.closed(start=bt)
	records = p.ended()
	answered(records)
	equal((records['incoming']['caller'], records['incoming']['called']), ('anna', 'bert'), 'who called whom')


@test()
def callee_hangs_up(t):
	p = Pair(t)
	at, _ = p.talk('8bert')
	p.b.hangup()
	p.a.closed(start=at)
	answered(p.ended())


@test()
def both_ways_by_number(t):
	"""The same two, the other way round, by a number of regexroute, three times."""
	p = Pair(t)
	p.a, p.b = p.b, p.a
	for n in range(3):
		_, bt = p.talk('8anna')
		p.a.hangup()
		p.b.closed(start=bt)
		equal(len(p.e.wait_cdrs(2 * n + 2)), 2 * n + 2, 'records')
	p.e.idle()


@test()
def rejected(t):
	p = Pair(t)
	at, _ = p.ring('bert')
	p.b.hangup()
	contains(p.a.closed(start=at), '486', 'what the caller is told')
	told(p.ended(), 'rejected', incoming='busy')
	equal(p.hangups()['outgoing'].get('cause_sip'), '486', 'cause_sip of the outgoing leg')


@test()
def busy(t):
	"""A callee that takes one call only; and a number that routing calls busy."""
	p = Pair(t, calls=1)
	at, bt = p.talk('bert')
	third = t.phone(p.e.sip, 'third', 4)
	call = third.invite('bert')
	equal(call.answer(200).status, 486, 'answer to a second caller')
	call = third.invite('555')
	equal(call.answer(200).status, 486, 'answer for a number that is busy')
	p.a.hangup()
	p.b.closed(start=bt)
	p.e.idle()
	reasons = sorted(r['reason'] for r in p.e.wait_cdrs(5) if r['caller'] == 'third' and r['direction'] == 'incoming')
	equal(reasons, ['busy', 'busy'], 'reasons of the refused calls')


@test()
def cancelled_while_ringing(t):
	p = Pair(t)
	at, bt = p.ring('8bert')
	p.a.hangup()
	p.b.closed(start=bt)
	records = p.ended()
	told(records, 'cancelled', incoming='Cancelled', outgoing='Cancelled')
	ok(all(float(r['billtime']) == 0 for r in records.values()), 'nothing is billed')


@test()
def no_answer(t):
	p = Pair(t)
	at, bt = p.ring('7bert')
	contains(p.a.closed(start=at), '480', 'what the caller is told')
	p.b.closed(start=bt)
	told(p.ended(), 'no answer', incoming='noanswer', outgoing='noanswer')


@test()
def number_unknown(t):
	p = Pair(t)
	at = p.a.mark()
	p.a.dial('nobody')
	contains(p.a.closed(start=at), '404', 'what the caller is told')
	told(p.ended(1), 'unknown', incoming='noroute')


@test()
def user_offline(t):
	p = Pair(t)
	p.b.stop()
	p.e.wait_sniffed('user.unregister')
	at = p.a.mark()
	p.a.dial('bert')
	contains(p.a.closed(start=at), '404', 'what the caller is told')
	told(p.ended(1), 'offline', incoming='offline')


@test(limit=90)
def phone_gone(t):
	"""The callee vanishes without a word before the call, and a caller in the midst of one."""
	p = Pair(t)
	p.b.kill()
	at = p.a.mark()
	p.a.dial('bert')
	reason = p.a.closed(limit=20, start=at)
	ok(any(code in reason for code in ('408', '480', '503')), f'what the caller is told: {reason}')
	told(p.ended(), 'gone', incoming='noconn')


@test()
def phone_gone_in_call(t):
	"""A BYE that nobody answers leaves nothing behind."""
	p = Pair(t)
	at, _ = p.talk('bert')
	p.b.kill()
	p.a.hangup()
	p.a.closed(start=at)
	p.e.idle(15)
	equal(len(p.e.wait_cdrs(2)), 2, 'records')


@test()
def codes_are_carried(t):
	"""Final codes of the callee, seen by the caller; 603 may become the first code of its word."""
	e = t.engine(site(t.host(1), ('anna', 'bert'), route=RULES))
	a, b = t.phone(e.sip, 'anna', 2), t.phone(e.sip, 'bert', 3)
	sip.answered(b.register(), 200, 'REGISTER')
	for code, phrase, want, reason in ((404, 'Not Found', {404}, 'noroute'), (480, 'Away', {480, 487}, 'noanswer'),
			(486, 'Busy Here', {486}, 'busy'), (488, 'No', {488}, 'unacceptable'),
			(503, 'No', {503}, 'noconn'), (603, 'Decline', {403, 603}, 'forbidden')):
		mark = len(e.cdrs())
		call = a.invite('bert')
		invite = b.request('INVITE')
		b.reply(invite, 180, 'Ringing', tag='b')
		equal(call.answer(180).status, 180, 'ringing')
		b.reply(invite, code, phrase, tag='b')
		b.request('ACK')
		ok(call.answer(200).status in want, f'what {code} becomes')
		legs = {r['direction']: r for r in e.wait_cdrs(mark + 2)[mark:]}
		equal(legs['incoming']['reason'], reason, f'reason after {code}')
	e.idle()


@test()
def trying_at_once(t):
	"""100 for INVITE: before routing, without To tag, Contact or Allow."""
	e = t.engine(site(t.host(1), ('anna', 'bert'), route=RULES))
	a, b = t.phone(e.sip, 'anna', 2), t.phone(e.sip, 'bert', 3)
	sip.answered(b.register(), 200, 'REGISTER')
	call = a.invite('bert')
	invite = b.request('INVITE')
	m = call.answer(100)
	equal(m.status, 100, 'first answer')
	equal((m.tag('To'), m.get('Content-Length'), m.get('Allow')), (None, '0', ''), 'To tag, length, Allow of the 100')
	ok(m.get('Server'), 'Server')
	contains(m.get('Via'), f'received={a.addr[0]}', 'Via')
	contains(m.get('Via'), f'rport={a.addr[1]}', 'Via')
	contains(invite.body.decode(), 'm=audio 40000 RTP/AVP 0 8', 'SDP is passed through')
	b.reply(invite, 180, 'Ringing', tag='b')	# before it, nothing may be cancelled (RFC 3261 section 9.1)
	equal(call.answer(180).status, 180, 'ringing')
	equal(call.cancel().status, 200, 'answer to CANCEL')
	b.reply(b.request('CANCEL'), 200, 'OK')
	b.reply(invite, 487, 'Request Terminated', tag='b')
	b.request('ACK')
	equal(call.answer(200).status, 487, 'answer to the INVITE')
	e.idle()
	t.proves('YM-45')


@test(level='fast')
def early_media(t):
	"""The SDP of a 183 and of the 200 reach the caller as they are."""
	e = t.engine(site(t.host(1), ('anna', 'bert'), route=RULES))
	a, b = t.phone(e.sip, 'anna', 2), t.phone(e.sip, 'bert', 3)
	sip.answered(b.register(), 200, 'REGISTER')
	call = a.invite('bert')
	invite = b.request('INVITE')
	early = sip.sdp(b.addr[0], 41000)
	b.reply(invite, 183, 'Session Progress', tag='b', body=early)
	m = call.answer(183)
	equal((m.status, m.body), (183, early), 'early media')
	b.reply(invite, 180, 'Ringing', tag='b')
	m = call.answer(180)
	equal((m.status, m.body), (180, b''), 'ringing')
	b.reply(invite, 200, 'OK', tag='b', body=sip.sdp(b.addr[0], 42000))
	m = call.answer(200)
	equal((m.status, m.body), (200, sip.sdp(b.addr[0], 42000)), 'answer')
	b.request('ACK')
	call.send_bye()
	b.reply(b.request('BYE'), 200, 'OK')
	equal(call.bye_answer().status, 200, 'answer to BYE')
	e.idle()
