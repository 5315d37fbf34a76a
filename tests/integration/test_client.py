"""What an application that sends requests through the engine is told: errors at once, errors later, and nothing twice."""

import socket
import struct
import threading

from lab import net, sip
from lab.case import test
from lab.engine import Engine, site
from lab.verdict import contains, equal, ok


def scripted(t, conf=None, **more):
	"""An engine and a script connected to it."""
	port = net.free_port(t.host(1))
	conf = conf or site(t.host(1), **more)
	conf['extmodule.conf'] = f'[listener lab]\ntype=tcp\naddr={t.host(1)}\nport={port}\nrole=global\n'
	e = t.engine(conf)
	return e, t.script((t.host(1), port))


def ask(script, ident, **params):
	script.send('message', ident, '0', 'xsip.generate', '', **params)


def uri(phone):
	return f'sip:{phone.user}@{phone.addr[0]}:{phone.addr[1]}'


@test(level='fast')
def not_before_the_start(t):
	"""Requests that come while the engine starts: none is decided upon before engine.start has been heard."""
	e = t.engine(start=False)
	p = sip.Phone(e.sip, '100', t.host(2), 5060)
	t.later(p.close)
	over = threading.Event()

	def pound():
		while not over.wait(0.0005):
			p.send(p.build('MESSAGE', f'sip:101@{e.addr}', body=b'x', ctype='text/plain'), e.sip)

	pounding = threading.Thread(target=pound)
	pounding.start()
	try:
		e.start()
		first = p.take(lambda m: m.status, 10)
	finally:
		over.set()
		pounding.join()
	equal(first.status, 401, 'the first answer: who decides upon users was there')
	while p.take(lambda m: m.status == 401, 0.2):
		pass
	equal(p.waiting, [], 'other answers')
	seen = [(m.name, m.done) for m in e.sniffed()]
	# That it has ended is told on its loop, while another takes the first request.
	at = [seen.index(x) for x in (('engine.init', True), ('engine.start', False), ('user.auth', False))]
	equal(at, sorted(at), 'engine.init, engine.start, and then the first request')
	e.idle(20)
	t.proves('SY-01')


@test(level='fast')
def only_one(t):
	"""A second engine on the same address ends with an error that names it; the first goes on."""
	e = t.engine()
	second = Engine(t.build, t.folder, site(e.addr), addr=e.addr, console_port=net.free_port(e.addr), name='second')
	code, _ = second.run_out()
	equal(code, 3, 'exit code of the second')
	ok(any(f'{e.addr}:5060' in line and 'in use' in line for line in second.process.lines), 'it says which address')
	p = sip.Phone(e.sip, '100', t.host(2), 5060)
	t.later(p.close)
	equal(p.options().status, 200, 'the first answers')
	e.idle()
	t.proves('SY-02')


@test(level='fast')
def two_access_points(t):
	"""Two listeners: two local addresses on the wire, chosen by connection_id."""
	conf = site(t.host(1))
	conf['ysipchan.conf'] += f'\n[listener other]\naddr={t.host(4)}\nport=5060\n'
	e, s = scripted(t, conf)
	b = t.phone(e.sip, '101', 3)
	for name, addr in ('general', t.host(1)), ('other', t.host(4)):
		ask(s, name, method='OPTIONS', uri=uri(b), wait='true', connection_id=name)
		m = b.request('OPTIONS')
		equal(m.peer[0], addr, f'where requests by listener {name} come from')
		contains(m.get('Via'), addr, 'Via')
		b.reply(m, 200, 'OK', tag='n')
		s.expect(f'%%<message:{name}:true:xsip.generate:')
	e.idle()
	t.proves('SY-03')


@test(level='fast')
def type_of_service(t):
	"""Packets carry the type of service that the file names."""
	e = t.engine(site(t.host(1), sip='tos=cs3'))
	with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
		s.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
		s.bind((t.host(2), 0))
		s.settimeout(5)
		p = sip.Phone(e.sip, '100', t.host(2), 0)
		t.later(p.close)
		data = p.build('OPTIONS', f'sip:{e.addr}').replace(f'{p.addr[0]}:{p.addr[1]}'.encode(),
			f'{s.getsockname()[0]}:{s.getsockname()[1]}'.encode())
		s.sendto(data, e.sip)
		answer, extra, _, _ = s.recvmsg(4096, 64)
	contains(answer, b'SIP/2.0 200', 'answer')
	tos = [struct.unpack('B', data[:1])[0] for level, kind, data in extra if (level, kind) == (0, socket.IP_TOS)]
	equal(tos, [0x60], 'type of service in the IP header')
	e.idle()
	t.proves('SY-10')


@test(level='fast')
def errors_at_once(t):
	"""A bad argument: refused at once with a reason, nothing on the wire."""
	e, s = scripted(t)
	b = t.phone(e.sip, '101', 3)
	for ident, params in (('none', {}), ('bad', {'uri': 'sip:'}), ('other', {'uri': 'mailto:x@example.com'}),
			('method', {'uri': uri(b), 'method': 'BAD METHOD'})):
		ask(s, ident, **{'method': 'MESSAGE', 'wait': 'true', **params})
		line = s.expect(f'%%<message:{ident}:false:xsip.generate:', limit=2)
		contains(line, ':error=', f'answer to {ident}')
	ask(s, 'good', method='OPTIONS', uri=uri(b), wait='true')
	m = b.request('OPTIONS')
	b.reply(m, 200, 'OK', tag='n')
	s.expect('%%<message:good:true:')
	equal(b.waiting, [], 'what else went out')
	e.idle()
	t.proves('SY-74')


@test(level='fast')
def errors_later(t):
	"""A request whose host is unknown, and one that nobody answers: one event each, with what it is about."""
	e, s = scripted(t, extra={'engine.cfg': 'loops = { calls = 2; };\ndns = { timeout = "1s"; };\n'})
	silent = t.phone(e.sip, '101', 3)
	ask(s, 'gone', method='MESSAGE', uri='sip:x@nowhere.invalid', wait='true', xsip_type='text/plain', xsip_body='x')
	line = s.expect('%%<message:gone:', limit=10)
	contains(line, ':error=', 'an unknown host')
	ask(s, 'late', method='MESSAGE', uri=uri(silent), wait='true', xsip_type='text/plain', xsip_body='x')
	contains(s.expect('%%<message:late:', limit=15), ':code=408', 'nobody answers')
	s.send('message', 'end', '0', 'engine.status', '')
	s.expect('%%<message:end:')
	equal([line for line in s.lines if line.startswith(('%%<message:gone:', '%%<message:late:'))][2:], [], 'further events')
	e.idle()
	t.proves('SY-75', 'SY-76', 'SY-84')


@test(level='fast')
def dropped_in_the_middle(t):
	"""A call whose leg is dropped while its far end rings: both ends are told once, nothing comes after it."""
	e = t.engine()
	a, b = t.phone(e.sip, '100', 2), t.phone(e.sip, '101', 3)
	b.register()
	call = a.invite('101')
	invite = b.request('INVITE')
	b.reply(invite, 180, 'Ringing', tag='b')
	call.answer(180)
	chan = e.wait_sniffed('call.ringing').get('id')
	e.console.cmd(f'drop {chan}')
	b.reply(b.request('CANCEL'), 200, 'OK', tag='b')
	b.reply(invite, 487, 'Request Terminated', tag='b')
	ok(call.answer(400).status >= 400, 'the caller is told')
	# The far end answers all the same, late: no call comes of it.
	b.reply(invite, 200, 'OK', tag='b', body=sip.sdp(b.addr[0]))
	e.no_calls()
	equal(len(e.sniffed('chan.hangup')), len(e.sniffed('chan.startup')), 'ends and beginnings of legs')
	e.idle()
	t.proves('SY-05')


@test(level='fast')
def engine_goes_away(t):
	"""The engine stops: calls in progress are ended on the wire before it goes."""
	e = t.engine()
	a, b = t.phone(e.sip, '100', 2), t.phone(e.sip, '101', 3)
	b.register()
	call = a.invite('101')
	invite = b.request('INVITE')
	b.reply(invite, 200, 'OK', tag='b', body=sip.sdp(b.addr[0]))
	b.request('ACK')
	call.answer(200)
	e.console.cmd('stop')
	for phone in a, b:
		bye = phone.request('BYE')
		phone.reply(bye, 200, 'OK')
	e.process.wait(20)
	t.proves('SY-06', 'SY-07')


@test(level='fast')
def no_ack(t):
	"""A 200 that nobody acknowledges: repeated, then the call is ended and its record says why."""
	e = t.engine()
	a, b = t.phone(e.sip, '100', 2), t.phone(e.sip, '101', 3)
	b.register()
	a.invite('101')
	invite = b.request('INVITE')
	b.reply(invite, 200, 'OK', tag='b', body=sip.sdp(b.addr[0]))
	b.request('ACK')
	a.take(lambda m: m.status == 200 and m.get('CSeq').endswith('INVITE'), 5)
	bye = a.request('BYE', limit=15)
	a.reply(bye, 200, 'OK')
	b.reply(b.request('BYE', limit=15), 200, 'OK')
	e.no_calls()
	e.idle()
	t.proves('SY-85')


@test(level='fast')
def compression_is_declined(t):
	"""comp=sigcomp: the request is served, and answered uncompressed (RFC 5049 is not spoken)."""
	e = t.engine()
	p = sip.Phone(e.sip, '100', t.host(2), 5060)
	t.later(p.close)
	data = p.build('OPTIONS', f'sip:{e.addr};comp=sigcomp').replace(b';branch=', b';comp=sigcomp;branch=', 1)
	answer = p.transact(data)
	equal(answer.status, 200, 'answer')
	e.idle()
	t.proves('SY-87')


@test(level='fast')
def after_the_end(t):
	"""What a call was is used after its end: false at once, no packet; and all is given back in any order."""
	e, s = scripted(t)
	a, b = t.phone(e.sip, '100', 2), t.phone(e.sip, '101', 3)
	b.register()
	call = a.invite('101')
	invite = b.request('INVITE')
	b.reply(invite, 200, 'OK', tag='b', body=sip.sdp(b.addr[0]))
	b.request('ACK')
	call.answer(200)
	chan = next(m.get('id') for m in e.sniffed('chan.startup') if m.get('status') == 'outgoing')
	s.send('message', 'first', '0', 'call.drop', '', id=chan)
	s.expect('%%<message:first:true:', limit=2)
	for phone in a, b:
		phone.reply(phone.request('BYE'), 200, 'OK')
	e.no_calls()
	for ident, name, params in (('d1', 'call.drop', {'id': chan}), ('d2', 'chan.dtmf', {'targetid': chan, 'text': '1'}),
			('d3', 'chan.masquerade', {'id': chan, 'message': 'chan.dtmf', 'text': '1'}),
			('d4', 'call.answered', {'peerid': chan}), ('d5', 'chan.locate', {'id': chan})):
		s.send('message', ident, '0', name, '', **params)
		s.expect(f'%%<message:{ident}:false:', limit=2)
	# A request in the dialog that has ended, from the far end.
	equal(call.bye().status, 481, 'BYE in a dialog that is gone')
	equal([m for m in a.waiting + b.waiting if m.status is None], [], 'what else was sent')
	e.idle()
	# The owner before what depends on it: a request is under way when the engine stops.
	ask(s, 'late', method='OPTIONS', uri=uri(b), wait='true')
	b.request('OPTIONS')
	e.console.cmd('stop')
	equal(e.process.wait(20), 0, 'exit code')
	t.proves('SY-08', 'SY-09')


@test(level='fast')
def silent_registrar(t):
	"""A registration that nobody answers: one event, which says that it was the registration."""
	e, s = scripted(t)
	b = t.phone(e.sip, '101', 3)
	ask(s, 'r', method='REGISTER', uri=f'sip:{b.addr[0]}:{b.addr[1]}', user='trunk', wait='true',
		sip_To='<sip:trunk@example.com>', sip_Contact=f'<sip:trunk@{e.addr}>', sip_Expires='60')
	m = b.request('REGISTER')
	contains(m.get('Contact'), f'<sip:trunk@{e.addr}>', 'Contact')
	line = s.expect('%%<message:r:', limit=15)
	for part in ':true:xsip.generate:', ':method=REGISTER', ':code=408':
		contains(line, part, 'the event')
	s.send('message', 'end', '0', 'engine.status', '')
	s.expect('%%<message:end:')
	equal(sum(line.startswith('%%<message:r:') for line in s.lines), 1, 'events')
	e.idle()
	t.proves('SY-77')


@test(level='fast')
def words_of_requests(t):
	"""Each cause for which a request cannot be sent has its word."""
	e, s = scripted(t, extra={'engine.cfg': 'loops = { calls = 2; };\ndns = { timeout = "1s"; };\n'})
	b = t.phone(e.sip, '101', 3)
	rows = (
		('no URI', {}, 'failure'),
		('a URI that is none', {'uri': 'sip:'}, 'failure'),
		('no SIP URI', {'uri': 'mailto:x@example.com'}, 'notransport'),
		('a method that is none', {'uri': uri(b), 'method': 'A B'}, 'failure'),
		('no transport of that kind', {'uri': f'<{uri(b)};transport=sctp>'}, 'notransport'),
		('no listener of that family', {'uri': 'sip:x@[::1]'}, 'notransport'),
		('a host that does not exist', {'uri': 'sip:x@nowhere.invalid'}, 'noroute|noconn'),
		('hops used up', {'uri': uri(b), 'antiloop': '0'}, 'looping'),
	)
	for n, (what, params, word) in enumerate(rows):
		ask(s, f'w{n}', **{'method': 'OPTIONS', 'wait': 'true', **params})
		line = s.expect(f'%%<message:w{n}:false:xsip.generate:', limit=5)
		found = [f.partition('=')[2] for f in line.split(':') if f.startswith('error=')]
		ok(len(found) == 1 and found[0] in word.split('|'), f'{what}: {found}, not {word}')
	for status, phrase in (403, 'Forbidden'), (401, 'Unauthorized'), (481, 'Gone'), (491, 'Request Pending'):
		ask(s, f'c{status}', method='OPTIONS', wait='true', uri=uri(b))
		b.reply(b.request('OPTIONS'), status, phrase, tag='n')
		contains(s.expect(f'%%<message:c{status}:true:xsip.generate:'), f':code={status}', phrase)
	equal(b.waiting, [], 'what else went out')
	e.idle()
	t.proves('SY-83')


@test(level='fast')
def words_of_calls(t):
	"""Each answer that ends a call has its word."""
	e = t.engine()
	a, b = t.phone(e.sip, '100', 2), t.phone(e.sip, '101', 3)
	b.register()
	for status, phrase, word in ((403, 'Forbidden', 'forbidden'), (481, 'Gone', 'nocall'), (491, 'Pending', 'pending'),
			(503, 'Unavailable', 'noconn'), (404, 'Not Found', 'noroute'), (486, 'Busy', 'busy'),
			(408, 'Request Timeout', 'noconn'), (488, 'Not Acceptable', 'unacceptable')):
		before = len(e.sniffed('chan.hangup', True))
		call = a.invite('101')
		b.reply(b.request('INVITE'), status, phrase, tag='b')
		b.request('ACK')
		call.answer(400)
		e.process.poll(lambda n=before: len(e.sniffed('chan.hangup', True)) >= n + 2, 5, f'{status}: both legs end')
		ends = e.sniffed('chan.hangup', True)[before:]
		out = [m for m in ends if m.get('cause_sip') == str(status) and m.get('direction') == 'outgoing']
		equal([m.get('reason') for m in out], [word], f'{status}: why the leg ended')
	e.idle()
	t.proves('SY-83')
