"""The flight recorder: calls and requests shown after their end, followed live, written to files, without secrets."""

import json
import os
import re

from lab import pcapng, sip
from lab.case import test
from lab.engine import site
from lab.verdict import contains, equal, ok

SECRET = 'Quarzsand77'
RULES = '''[default]
^555$=-;error=busy
^5=-;error=noroute
'''


def up(t, extra=None, sip_conf='', **how):
	route = f'{RULES}^6=sip/sip:service@{t.host(3)}:5060\n^7=sip/sip:nobody@{t.host(9)}:5999;maxcall=300\n'
	folder = t.path('traces')
	os.makedirs(folder, exist_ok=True)
	cfg = f'loops = {{ calls = 2; }};\nrecorder = {{ dir = "{folder}"; {how.pop("recorder", "")} }};\n'
	return t.engine(site(t.host(1), route=route, sniffer=False, sip=sip_conf, t1=how.pop('t1', 500),
		extra={'engine.cfg': cfg, 'regfile.conf': f'[100]\npassword={SECRET}\n', **(extra or {})})), folder


def listed(e):
	text = e.console.cmd('trace list --json')
	return [json.loads(line) for line in text.split('\n') if line]


def record(e, key):
	return json.loads(e.console.cmd(f'trace call {key} --json'))


def found(e, where, what):
	return e.process.poll(lambda: [r for r in listed(e) if where(r)], 5, what)[0]


def titles(r):
	return [(p['out'], p['text'].split('\r\n')[0].replace('SIP/2.0', '').strip().split(' sip:')[0])
		for p in r['events'] if p['kind'] == 'packet']


@test(level='fast')
def call_afterwards(t):
	"""A good call by SIPp: one record for both legs, found by each of its names, with packets and bus in order."""
	t.proves('NK-359', 'NK-P91')
	e, folder = up(t)
	t.uas(3)
	uac = t.uac(2, e.sip, 1, 1, args=('-s', '6'))
	uac.wait(20, 1)
	e.no_calls()
	one = found(e, lambda r: r['what'] == 'INVITE' and r['state'] == 'ended', 'the record of a call')
	equal((one['caller'], one['called']), ('sipp', '6'), 'parties')
	chans = [k for k in one['keys'] if k.startswith('sip/')]
	equal(len(chans), 2, 'channels of the record')
	equal(len([k for k in one['keys'] if '@' in k or len(k) > 20]) >= 2, True, f'Call-IDs of both legs in {one["keys"]}')
	for key in one['keys']:
		equal(record(e, key)['began_us'], one['began_us'], f'record of {key}')
	r = record(e, chans[0])
	seen = titles(r)
	equal(seen[0], (False, 'INVITE'), 'the first packet')
	for want in ((True, 'INVITE'), (True, '180 Ringing'), (True, '200 OK'), (False, '200 OK'), (True, 'ACK'),
			(False, 'ACK'), (False, 'BYE'), (True, 'BYE')):
		ok(want in seen, f'{want} in the packets of both legs: {seen}')
	times = [ev['at_us'] for ev in r['events']]
	equal(times, sorted(times), 'times')
	names = [ev['text'] for ev in r['events'] if ev['kind'] == 'start']
	for want in ('user.auth', 'call.preroute', 'call.route', 'call.execute', 'call.answered', 'chan.hangup', 'call.cdr'):
		ok(want in names, f'{want} in {names}')
	handlers = [h for ev in r['events'] if ev['kind'] == 'handlers' for h in ev['handlers']]
	ok(any(h['name'].startswith('regexroute') and h['handled'] for h in handlers), f'verdict of regexroute: {handlers}')
	ladder = e.console.cmd(f'trace call {chans[0]}')
	contains(ladder, f'{t.host(2)}:5060', 'the ladder has a lane for the caller')
	contains(ladder, 'call.route', 'the ladder')
	ok(re.search(r'\|--INVITE .*>\|', ladder), f'an arrow in\n{ladder}')
	contains(e.console.cmd(f'trace call {chans[0]} --full'), 'Call-ID: ', 'whole messages')
	contains(e.console.cmd('trace call sip/9999'), 'No record', 'answer about a call that never was')
	equal(e.console.cmd(f'trace pcap {chans[0]} call.pcapng'), 'Written: call.pcapng', 'trace pcap')
	packets = pcapng.read(os.path.join(folder, 'call.pcapng'))
	equal(len(packets), len(seen), 'packets in the file')
	equal(packets[0].source, (t.host(2), 5060), 'who sent the first one')
	contains(packets[0].comment, 'call.route', 'comment of the first packet')
	for name, why in (('call.pcapng', 'exists'), ('../x', 'name may'), ('/etc/x', 'name may'), ('.x', 'name may')):
		contains(e.console.cmd(f'trace pcap {chans[0]} {name}'), why, f'trace pcap to {name}')


@test(level='fast')
def failures_are_kept(t):
	"""No route, no answer, wrong password: each is listed with its cause."""
	e, _ = up(t)
	p = t.phone(e.sip, '100', 2, SECRET)
	sip.answered(p.invite('555').answer(200), 486, 'a busy number')
	r = found(e, lambda r: r['called'] == '555', 'the record of a refused call')
	equal(r['state'], 'failed', 'state')
	contains(r['cause'], '486', 'cause')
	ok(p.invite('7').answer(300).status >= 400, 'a number where nobody answers')
	r = found(e, lambda r: r['called'] == '7', 'the record of a call without answer')
	contains(r['cause'], 'noanswer', 'cause')
	contains(e.console.cmd(f'trace call {r["keys"][0]}'), 'nobody has answered in time', 'the timer in the ladder')
	sip.answered(p.register(), 200, 'REGISTER')
	r = found(e, lambda r: r['what'] == 'REGISTER', 'the record of a registration')
	equal((r['state'], r['cause']), ('ended', '200 OK'), 'registration')
	bad = t.phone(e.sip, '100', 4, 'wrong')
	equal(bad.register().status, 401, 'REGISTER with a wrong password')
	r = found(e, lambda r: r['what'] == 'REGISTER' and r['state'] == 'failed', 'the record of a refused registration')
	contains(r['cause'], '401', 'cause')
	text = e.console.cmd('trace list')
	contains(text, '486', 'trace list')
	contains(text, 'REGISTER', 'trace list')


@test(level='fast')
def no_secrets(t):
	"""Passwords, digest answers and keys pressed are in no output and no memory of the recorder."""
	e, folder = up(t)
	e.console.cmd('debug sip level 9')
	e.console.cmd('trace regex .')
	contains(e.console.cmd('trace file all.pcapng'), 'Writing', 'trace file')
	p = t.phone(e.sip, '100', 2, SECRET)
	sip.answered(p.register(), 200, 'REGISTER')
	credentials = [re.search(rb'response="(\w+)"', m.data).group(1).decode()
		for _, way, _, m in p.trace if way == 'send' and b'response=' in m.data]
	ok(credentials, 'the phone has sent credentials')
	t.uas(3)
	call = p.invite('6')
	sip.answered(call.answer(200), 200, 'INVITE')
	sip.answered(call.info('application/dtmf-relay', 'Signal=7\r\nDuration=160730519\r\n'), 200, 'INFO')
	call.info('application/dtmf', '7#160730519#7')
	sip.answered(call.bye(), 200, 'BYE')
	e.no_calls()
	e.console.cmd('trace file off')
	texts = {'trace list': e.console.cmd('trace list --json')}
	for r in listed(e):
		for form in ('', '--full', '--json'):
			texts[f'trace call {r["what"]} {form}'] = e.console.cmd(f'trace call {r["keys"][0]} {form}')
		e.console.cmd(f'trace pcap {r["keys"][0]} {r["what"]}.pcapng')
	for name in os.listdir(folder):
		with open(os.path.join(folder, name), encoding='latin-1') as f:
			texts[name] = f.read()
	texts['log'] = '\n'.join(e.process.lines)
	ok(len(texts) > 8, f'outputs: {list(texts)}')
	contains(texts['all.pcapng'], 'Authorization: (hidden)', 'the file')
	contains(texts['log'], 'Authorization: (hidden)', 'the log')
	for name, text in texts.items():
		for secret in (SECRET, *credentials, '160730519'):
			ok(secret not in text, f'{secret} is in {name}')


@test(level='fast')
def follow_one_address(t):
	"""Two peers, one followed by address, list and expression: only its packets are shown and written, on and off in a call."""
	t.proves('NK-P87', 'NK-P88', 'NK-P89', 'NK-P90')
	e, folder = up(t)
	t.uas(3)
	a, b = t.phone(e.sip, '100', 2, SECRET), t.phone(e.sip, '101', 4)

	def talk(phone, between=lambda: None):
		call = phone.invite('6')
		sip.answered(call.answer(200), 200, 'INVITE')
		between()
		sip.answered(call.bye(), 200, 'BYE')
		e.no_calls()
		return call

	def written(name, command, during=None):
		"""The peers of the file that two calls give, one of each phone."""
		contains(e.console.cmd(command), 'Following', command)
		contains(e.console.cmd(f'trace file {name}'), 'Writing', 'trace file')
		calls = talk(a, during or (lambda: None)), talk(b)
		contains(e.console.cmd('trace file off'), ' 0 packets lost', 'the end of the file')
		e.console.cmd('trace off')
		return pcapng.read(os.path.join(folder, name)), calls

	mark = len(e.process.lines)
	packets, calls = written('ip.pcapng', f'trace ip {t.host(2)}')
	ids = {sip.Message(p.data).get('Call-ID') for p in packets}
	ok(calls[0].ids['call_id'] in ids, 'the call of the peer that is followed')
	ok(calls[1].ids['call_id'] not in ids, 'not the other')
	both = [(way, m.data) for _, way, _, m in a.trace]
	inside = [p.data for p in packets]
	for way, data in both:
		ok(data in inside, f'packet of the followed peer ({way}) in the file:\n{data[:60]}')
	for _, way, _, m in b.trace:
		ok(m.data not in inside, 'a packet of the other peer in the file')
	shown = '\n'.join(e.process.lines[mark:])
	contains(shown, f'INVITE sip:6@{t.host(1)} SIP/2.0', 'the message on the console, whole')
	contains(shown, calls[0].ids['call_id'], 'its tag')
	ok(calls[1].ids['call_id'] not in shown, 'the other call on the console')
	packets, calls = written('list.pcapng', f'trace ip 192.0.2.0/24,{t.host(4)}/32')
	ok({calls[1].ids['call_id']} < {sip.Message(p.data).get('Call-ID') for p in packets}, 'the second of a list')
	ok(not any(calls[0].ids['call_id'].encode() in p.data for p in packets), 'not the first peer')
	packets, calls = written('regex.pcapng', 'trace regex From: .sip:101@')
	ok(packets and not any(calls[0].ids['call_id'].encode() in p.data for p in packets), 'by expression')
	packets, calls = written('user.pcapng', f'trace user 100 at {t.host(1)}:5060')
	ok(packets and not any(calls[1].ids['call_id'].encode() in p.data for p in packets), 'by user, at one listener')
	packets, _ = written('none.pcapng', f'trace at {t.host(8)}')
	equal(packets, [], 'packets at another listener')
	e.console.cmd('trace file half.pcapng')	# off and on again in a call
	talk(a, lambda: (e.console.cmd('trace file off'), e.console.cmd('trace file rest.pcapng')))
	e.console.cmd('trace file off')
	first, second = ([sip.Message(p.data).start.split(' ')[0] for p in pcapng.read(os.path.join(folder, name))]
		for name in ('half.pcapng', 'rest.pcapng'))
	ok('INVITE' in first and 'BYE' not in first, f'packets before: {first}')
	ok('INVITE' not in second and 'BYE' in second, f'packets after: {second}')
	contains(e.console.cmd('trace ip 1.2.3'), 'cannot use', 'a bad address')
	contains(e.console.cmd('trace regex ('), 'cannot use', 'a bad expression')


@test()
def budget(t):
	"""Memory stays within its bound, whatever fails; the newest failures are there."""
	e, _ = up(t, recorder='total = "1M"; keep = 50; keep_good = 4;')
	p = t.phone(e.sip, '100', 2, SECRET)
	for n in range(150):
		sip.answered(p.invite(f'5{n + 1000}').answer(200), 404, 'a number without route')
	e.no_calls()
	s = e.status('trace')
	ok(s.count('bytes') <= 1 << 20, f'memory: {s}')
	ok(20 <= s.count('kept') <= 54, f'records kept: {s}')
	called = [r['called'] for r in listed(e)]
	ok('51149' in called and '51000' not in called, f'the newest are kept: {called}')
