"""What no parser likes: answered 400 with a reason where an answer is possible, else silence.

After each packet the engine answers OPTIONS as before; at the end it has counted what it got.
"""

import time

from lab import sip
from lab.case import test
from lab.verdict import equal, ok

SILENCE = None


def request(method='OPTIONS', uri='sip:{server}', drop=(), replace=None, body=b'', add=()):
	"""A good request as a list of lines, spoilt."""
	lines = {'start': f'{method} {uri} SIP/2.0', 'Via': 'Via: SIP/2.0/UDP {me};rport;branch=z9hG4bK{n}',
		'Max-Forwards': 'Max-Forwards: 70', 'From': 'From: <sip:bad@{me}>;tag=b{n}', 'To': 'To: <sip:{server}>',
		'Call-ID': 'Call-ID: bad{n}', 'CSeq': f'CSeq: 1 {method}', 'Length': f'Content-Length: {len(body)}'}
	lines.update(replace or {})
	for name in drop:
		del lines[name]
	return '\r\n'.join([*lines.values(), *add]) + '\r\n\r\n' + body.decode('latin-1')


BAD = {400}
# name: packet, statuses that are right (None: silence is)
CASES = {
	'empty': ('', {SILENCE}),
	'keepalive': ('\r\n\r\n', {SILENCE}),
	'one octet': ('\0', {SILENCE}),
	'binary': (''.join(chr(n) for n in range(256)) * 4, {SILENCE}),
	'text': ('hello\r\n\r\n', {SILENCE}),
	'start line alone': ('OPTIONS sip:{server} SIP/2.0\r\n\r\n', {SILENCE}),
	'no start line': (request().split('\r\n', 1)[1], {SILENCE}),
	'truncated in start line': ('OPTIONS sip:127.0', {SILENCE}),
	'truncated in Via': (request()[:60], {SILENCE}),
	'truncated in headers': (request()[:-40], BAD | {SILENCE}),
	'no Via': (request(drop=['Via']), {SILENCE}),
	'no From': (request(drop=['From']), BAD),
	'no To': (request(drop=['To']), BAD),
	'no Call-ID': (request(drop=['Call-ID']), BAD),
	'no CSeq': (request(drop=['CSeq']), BAD | {SILENCE}),
	'CSeq of another method': (request(replace={'CSeq': 'CSeq: 1 INVITE'}), BAD),
	'CSeq not a number': (request(replace={'CSeq': 'CSeq: one OPTIONS'}), BAD),
	'CSeq beyond 2^31': (request(replace={'CSeq': 'CSeq: 36893488147419103232 OPTIONS'}), BAD),
	'header without colon': (request(add=['Nonsense']), BAD),
	'unclosed quote': (request(replace={'From': 'From: "bad <sip:bad@{me}>;tag=1'}), BAD),
	'Content-Length beyond the datagram': (request(replace={'Length': 'Content-Length: 9999'}), BAD),
	'Content-Length negative': (request(replace={'Length': 'Content-Length: -999'}), BAD),
	'Content-Length overflowing': (request(replace={'Length': 'Content-Length: 4294967296'}), BAD),
	'Content-Length not a number': (request(replace={'Length': 'Content-Length: ten'}), BAD),
	'two Content-Lengths': (request(add=['Content-Length: 5'], body=b'hello world'), BAD),
	'version 7': (request(replace={'start': 'OPTIONS sip:{server} SIP/7.0'}), {505}),
	'unknown scheme': (request(uri='nobodyKnowsThisScheme:totallyopaque'), {416}),
	'unknown scheme in INVITE': (request('INVITE', 'soap.beep://192.0.2.103:3002'), {416}),
	'spaces in request line': (request(replace={'start': 'OPTIONS  sip:{server}  SIP/2.0'}), BAD),
	'unknown method': (request('NEWMETHOD'), {501}),
	'method not enabled': (request('PUBLISH'), {405}),
	'4 kB of header': (request(add=['X-Big: ' + 'x' * 4000]), {200, 400, 513, SILENCE}),
	'500 headers': (request(add=['X: y'] * 500), {200, 400, 513, SILENCE}),
	'60 kB': (request(body=b'x' * 60000, replace={'Length': 'Content-Length: 60000'}), {400, 413, 513, SILENCE}),
	'response to nothing': ('SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP {server};branch=z9hG4bKnone\r\n'
		'From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: none\r\nCSeq: 1 INVITE\r\n\r\n', {SILENCE}),
	'ACK to nothing': (request('ACK'), {SILENCE}),
	'BYE to nothing': (request('BYE'), {481}),
	'CANCEL of nothing': (request('CANCEL'), {481}),
}


def send(phone, text, n, silent=False):
	"""Send it and then a good OPTIONS; the final answers to it. Unless it may stay `silent`, one is waited for."""
	server = phone.server[0]
	data = text.replace('{server}', server).replace('{me}', f'{phone.addr[0]}:{phone.addr[1]}').replace('{n}', str(n))
	phone.send(data.encode('latin-1'), phone.server)
	first = None if silent else phone.take(final, 2)
	after = phone.options()
	sip.answered(after, 200, 'OPTIONS behind it')
	answers = [m for m in (first, *phone.waiting) if m and final(m)]
	phone.waiting.clear()
	return answers


def final(m):
	return bool(m.status and m.status >= 200)


@test(limit=60)
def each_kind(t):
	e = t.engine()
	p = t.phone(e.sip, 'bad', 2)
	counts = e.status('sip').counts
	wrong = []
	for n, (name, (text, want)) in enumerate(CASES.items()):
		answers = send(p, text, n, SILENCE in want)
		got = answers[0].status if answers else SILENCE
		if got not in want:
			wrong.append(f'{name}: {answers[:1] or "silence"}, want {want}')
		if got == 400 and answers[0].phrase in ('', 'Bad Request'):
			wrong.append(f'{name}: 400 without a reason: {answers[0].start}')
		if len(answers) > 1:
			wrong.append(f'{name}: {len(answers)} answers')
		e.alive()
	equal(wrong, [], 'cases')
	after = e.status('sip').counts
	ok(any(after[k] != counts.get(k) for k in after if k not in ('transactions', 'chans', 'routing')),
		f'counters of bad input: {after}')
	e.idle(30)


@test(limit=60)
def foreign_via(t):
	"""The answer goes to where the packet came from, whatever Via says."""
	e = t.engine()
	p, other = t.phone(e.sip, 'bad', 2), t.phone(e.sip, 'other', 3)
	for n, via in enumerate((f'{other.addr[0]}:{other.addr[1]};rport', f'{other.addr[0]}:{other.addr[1]}',
			f'{t.host(1)}:5060;rport', f'{p.addr[0]}:{p.addr[1]};maddr={other.addr[0]};rport',
			f'{p.addr[0]}:{p.addr[1]};received={other.addr[0]};rport={other.addr[1]}', 'no.such.host.invalid;rport')):
		answers = send(p, request(replace={'Via': f'Via: SIP/2.0/UDP {via};branch=z9hG4bKvia{n}'}), 100 + n)
		ok(answers and answers[0].status in (200, 400), f'Via {via}: {answers}')
	equal(other.take(lambda m: True, 0), None, 'what reached the other address')
	e.idle()


@test(limit=120)
def every_prefix(t):
	"""Each beginning of an INVITE, and each single octet of it flipped: harmless."""
	e = t.engine()
	p = t.phone(e.sip, '100', 2)
	good = p.build('INVITE', f'sip:nobody@{e.addr}', body=sip.sdp(p.addr[0]), ctype='application/sdp')
	slowest = 0
	for n in range(0, len(good), 7):
		p.send(good[:n], p.server)
		p.send(good[:n] + bytes([good[n] ^ 0x80]) + good[n + 1:], p.server)
		begin = time.monotonic()
		sip.answered(p.options(), 200, f'OPTIONS after octet {n}')
		slowest = max(slowest, time.monotonic() - begin)
		p.waiting.clear()
	ok(slowest < (0.02 if not t.sanitizer else 0.5), f'slowest OPTIONS {slowest * 1000:.1f} ms')
	e.alive()
