"""Chat by MESSAGE with the page's configuration, unedited, on port 5060 of all addresses.

The clients are sipsak, baresip, SIPp and a phone in plain Python; the page's own packet is
replayed byte for byte.
"""

import os
import re
import shutil

from lab import net, sip, sipsak
from lab.case import test
from lab.engine import Engine, site
from lab.verdict import contains, equal, lists, ok

CHAT = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'data', 'chat')
LOCAL = '127.0.0.1'
PAGE = (b'MESSAGE sip:234@192.168.168.156 SIP/2.0\r\n'
	b'Via: SIP/2.0/UDP 192.168.168.156;rport;branch=z9hG4bKmibzipmn\r\n'
	b'Max-Forwards: 70\r\nTo: <sip:234@192.168.168.156>\r\n'
	b'From: "DanielaGrigore" <sip:123@192.168.168.156>;tag=hhzbn\r\n'
	b'Call-ID: xgjfitpjqqffbmz@localhost.localdomain\r\nCSeq: 427 MESSAGE\r\n'
	b'Content-Type: text/plain;charset=utf-8\r\nUser-Agent: Twinkle/1.4.1\r\nContent-Length: 12\r\n\r\n'
	b'hello Monica')


def chat(t, extra=None):
	"""The engine with the three files as they are, nothing beside them but what `extra` says."""
	e = Engine(t.build, t.folder, extra or {}, addr=LOCAL, args=('-vv',))
	for file in os.listdir(CHAT):
		shutil.copy(os.path.join(CHAT, file), e.conf)
	t.later(e.stop)
	e.start()
	contains(e.console.cmd('sniffer on'), 'Message sniffer: on', 'answer of the console')
	return e


def phone(t, user, n, password=None):
	p = sip.Phone((LOCAL, 5060), user, t.host(n), 5070, password)
	t.later(p.close)
	return p


def registered(t, user, n):
	p = phone(t, user, n, f'mypass{user}')
	sip.answered(p.register(), 200, f'REGISTER of {user}')
	return p


def page_packet(credentials=None):
	if not credentials:
		return PAGE
	line = f'Authorization: {credentials}\r\n'.encode()
	again = PAGE.replace(b'CSeq: 427', b'CSeq: 428').replace(b'z9hG4bKmibzipmn', b'z9hG4bKmibzipmo')
	return again.replace(b'Content-Type:', line + b'Content-Type:')


@test(limit=60, alone=True)
def sipsak_to_baresip(t):
	"""Two independent clients: the text arrives."""
	e = chat(t)
	b = t.baresip('234', 2, LOCAL, 'mypass234', port=5070)
	b.registered()
	code, text = sipsak.message(t.path('text'), LOCAL, '234', 'hello Monica', '123', 'mypass123')
	equal(code, 0, f'exit code of sipsak ({text})')
	contains(text, '401', 'sipsak was challenged')
	b.process.expect(r'hello Monica', 5)
	t.proves('YM-28', 'YM-42', 'YM-43')


@test(limit=60, alone=True)
def sipp_to_phone(t):
	"""SIPp registers and sends by scenarios of its own."""
	e = chat(t)
	p = registered(t, '234', 2)
	t.uac(3, (LOCAL, 5060), 1, 1, name='message', scenario='message', port=5070,
		args=('-s', '234', '-au', '123', '-ap', 'mypass123', '-auth_uri', f'234@{LOCAL}')).wait(20, 1)
	m = p.request('MESSAGE')
	p.reply(m, 200, 'OK')
	equal(m.body, b'sent by SIPp', 'body')


@test(limit=90, alone=True)
def page_replayed(t):
	"""The page's packet, its challenge, and the trace that follows, in the page's order."""
	e = chat(t)
	receiver = registered(t, '234', 2)
	sender = phone(t, '123', 3)
	equal(len(PAGE), 381, "bytes of the page's packet")

	challenge = sender.transact(page_packet())
	if _challenge(challenge, sender):
		t.proves('YM-48')
	lists([m.status for *_, m in sender.trace[1:]], [401], 'answers before the challenge')
	_user_auth(e, sender)

	credentials = sip.digest(re.sub(r',?\s*qop="?[^",]*"?', '', challenge.get('WWW-Authenticate')),
		'MESSAGE', 'sip:234@192.168.168.156', '123', 'mypass123')
	sip.answered(sender.transact(page_packet(credentials)), 200, 'authenticated without qop')
	got = receiver.request('MESSAGE')
	receiver.reply(got, 200, 'OK')
	equal(got.body, b'hello Monica', 'body')
	equal(got.get('From').split(';tag')[0], '<sip:123@192.168.168.156>', 'From')
	equal(got.get('Content-Type').split(';')[0], 'text/plain', 'Content-Type')

	asked = e.wait_sniffed('sip.message', done=False)
	done = e.wait_sniffed('sip.message')
	_sip_message(asked, done, sender)
	_delivery(e, receiver)
	contains('\n'.join(e.process.lines), "Got SIP MESSAGE type 'text/plain'  from '123': hello Monica", 'echo rule')
	e.process.expect(r"Late routing call to 'lateroute/234' via 'sip/sip:234@", 5)
	e.idle(45)	# T1 is 500 ms here: transactions last 32 s
	t.proves('YM-20', 'YM-21', 'YM-22', 'YM-24', 'YM-25', 'YM-29', 'YM-30', 'YM-32', 'YM-33', 'YM-35', 'YM-36',
		'YM-44', 'YM-46', 'YM-47', 'YM-49', 'YM-50', 'YM-51', 'YM-52', 'YM-53', 'YM-54', 'YM-55', 'YM-56',
		'YM-57', 'YM-58', 'YM-59', 'YM-60', 'YM-61', 'YM-62', 'YM-63')


def _challenge(m, sender):
	sip.answered(m, 401, 'without credentials')
	via = m.get('Via')
	contains(via, f'received={sender.addr[0]}', 'Via')
	contains(via, f'rport={sender.addr[1]}', 'Via')
	value = m.get('WWW-Authenticate')
	for part in ('Digest realm="Yate"', 'algorithm=MD5', 'qop="auth"', 'opaque="'):
		contains(value, part, 'WWW-Authenticate')
	contains(value.lower(), 'stale=false', 'WWW-Authenticate')
	ok(re.search(r'nonce="[^"]+"', value), f'a nonce in {value}')
	ok(m.get('Server'), 'there is a Server header')
	equal(m.get('Content-Length'), '0', 'Content-Length')
	allow = re.split(r',\s*', m.get('Allow'))
	lists([name for name in allow if name != 'REFER'],
		['ACK', 'INVITE', 'BYE', 'CANCEL', 'REGISTER', 'OPTIONS', 'INFO', 'MESSAGE'], 'Allow')
	return 'REFER' in allow	# the last of the row's names: it comes with transfer


def _user_auth(e, sender):
	asked = e.wait_sniffed('user.auth', done=False, where=lambda m: m.get('method') == 'MESSAGE')
	addr, port = sender.addr
	lists(asked.params, [('protocol', 'sip'), ('method', 'MESSAGE'), ('uri', 'sip:234@192.168.168.156'),
		('ip_host', addr), ('ip_port', str(port)), ('ip_transport', 'UDP'), ('address', f'{addr}:{port}'),
		('newcall', 'false'), ('domain', '192.168.168.156'), ('device', 'Twinkle/1.4.1')], 'user.auth')
	done = e.wait_sniffed('user.auth', where=lambda m: m.get('method') == 'MESSAGE')
	ok(not done.handled and done.retval is None, 'user.auth without credentials is not handled')
	contains(done.get('handlers'), 'regfile:100', 'handlers of user.auth')


def _sip_message(asked, done, sender):
	addr, port = sender.addr
	want = [('username', '123'), ('realm', 'Yate'), ('ip_transport', 'UDP'), ('newcall', 'false'),
		('domain', '192.168.168.156'), ('device', 'Twinkle/1.4.1'), ('connection_id', 'general'),
		('connection_reliable', 'false'), ('username', '123'), ('called', '234'), ('caller', '123'),
		('callername', 'DanielaGrigore'), ('antiloop', '19'), ('address', f'{addr}:{port}'), ('ip_host', addr),
		('ip_port', str(port)), ('ip_transport', 'UDP'), ('sip_uri', 'sip:234@192.168.168.156'),
		('sip_callid', 'xgjfitpjqqffbmz@localhost.localdomain'), ('xsip_dlgtag', asked.get('xsip_dlgtag')),
		('sip_to', '<sip:234@192.168.168.156>'),
		('sip_from', '"DanielaGrigore" <sip:123@192.168.168.156>;tag=hhzbn'),
		('sip_content-type', 'text/plain;charset=utf-8'), ('sip_user-agent', 'Twinkle/1.4.1'),
		('xsip_type', 'text/plain'), ('xsip_body', 'hello Monica')]
	lists([p for p in asked.params if p[0] != 'request_uri'], want, 'sip.message')
	ok((asked.get('xsip_dlgtag') or '').isdigit(), 'xsip_dlgtag is a decimal number')
	ok(done.handled and done.retval == '200', f'sip.message returned {done.retval}')
	lists([p for p in done.params if p[0] != 'request_uri'], want + [('handlers', 'regexroute:120')],
		'sip.message after its handlers')


def _delivery(e, receiver):
	m = e.wait_sniffed('msg.execute', done=False)
	text = [('caller', '123'), ('called', '234'), ('domain', '192.168.168.156'), ('callto', 'lateroute/234'),
		('body_encoding', ''), ('type', 'text/plain'), ('text', 'hello Monica')]
	lists(m.params, text, 'msg.execute')
	m = e.wait_sniffed('msg.route', done=False)
	without = [p for p in text if p[0] != 'callto']
	lists([p for p in m.params if p[0] not in ('handlers', 'route_type')], without, 'msg.route')
	target = f'sip/sip:234@{receiver.addr[0]}:{receiver.addr[1]}'
	m = e.wait_sniffed('call.route', where=lambda m: m.get('message') == 'msg.route')
	equal((m.handled, m.retval), (True, target), 'result of call.route')
	equal((m.get('oconnection_id'), m.get('driver')), ('general', 'sip'), 'parameters of call.route')
	handlers = m.get('handlers').split(',')
	lists(handlers[:2], ['lateroute:75', 'regexroute:25'], 'handlers of call.route')
	equal(handlers[-1], 'regfile:100', 'the handler that routed')
	m = e.wait_sniffed('xsip.generate')
	equal((m.handled, m.retval), (True, None), 'result of xsip.generate')
	equal(m.get('handlers').split(',')[-2:], ['regexroute:90', 'sip:110'], 'handlers of xsip.generate')
	equal((m.get('callto'), m.get('method'), m.get('uri'), m.get('sip_From'), m.get('xsip_type'), m.get('xsip_body')),
		(target, 'MESSAGE', target[4:], '<sip:123@192.168.168.156>', 'text/plain', 'hello Monica'),
		'parameters of xsip.generate')


@test(limit=60, alone=True)
def refusals(t):
	e = chat(t)
	p = registered(t, '123', 2)
	sip.answered(phone(t, '123', 3).message('234', 'no password'), 401, 'without credentials')
	sip.answered(phone(t, '123', 4, 'wrong').message('234', 'wrong password'), 401, 'wrong password')
	sip.answered(p.ask('MESSAGE', f'sip:234@{LOCAL}', body=b'no type'), 415, 'without Content-Type')
	sip.answered(p.message('234', 'target is not there'), 200, 'to an offline user')
	m = e.wait_sniffed('call.route', where=lambda m: m.get('message') == 'msg.route')
	equal((m.handled, m.get('error')), (False, 'offline'), 'route to an offline user')
	e.wait_sniffed('msg.execute')
	equal(e.sniffed('xsip.generate'), [], 'nothing is generated')
	t.proves('YM-31', 'YM-34', 'YM-42', 'YM-64')


@test(limit=60, alone=True)
def files_and_defaults(t):
	"""A binary body arrives as it was; a script's text without domain and type gets the defaults."""
	port = net.free_port(LOCAL)
	e = chat(t, {'extmodule.conf': f'[listener lab]\ntype=tcp\naddr={LOCAL}\nport={port}\nrole=global\n'})
	a, b = registered(t, '123', 2), registered(t, '234', 3)
	data = bytes(range(256)) * 4
	sip.answered(a.ask('MESSAGE', f'sip:234@{LOCAL}', body=data, ctype='application/octet-stream'), 200, 'file')
	m = b.request('MESSAGE')
	b.reply(m, 200, 'OK')
	equal((m.body, m.get('Content-Type')), (data, 'application/octet-stream'), 'the file')
	s = t.script((LOCAL, port))
	s.send('message', '', '0', 'msg.execute', '', caller='123', called='234', callto='lateroute/234', text='by script')
	m = b.request('MESSAGE')
	b.reply(m, 200, 'OK')
	equal((m.body, m.get('Content-Type')), (b'by script', 'text/plain'), 'the text')
	equal(m.get('From').split(';tag')[0], '<sip:123@nosuch.dom>', 'From')
	t.proves('YM-28', 'YM-37', 'YM-38', 'YM-39')


def _texting(addr, maxpkt, generate):
	with open(os.path.join(CHAT, 'regexroute.conf'), encoding='utf-8') as f:
		rules = f.read()
	conf = site(addr, ('123', '234'), extra={'regexroute.conf': rules})
	conf['ysipchan.conf'] = (f'[general]\naddr={addr}\nt1=100\nmaxpkt={maxpkt}\ngenerate={generate}\n'
		'[methods]\nmessage=yes\n')
	return conf


@test()
def big_packets(t):
	"""maxpkt decides: 3 kB pass with 4096, are cut and so refused with 1500."""
	e = t.engine(_texting(t.host(1), 4096, 'yes'))
	a, b = t.phone(e.sip, '123', 2), t.phone(e.sip, '234', 3)
	sip.answered(b.register(), 200, 'REGISTER')
	text = 'x' * 3000
	sip.answered(a.message('234', text), 200, '3 kB')
	m = b.request('MESSAGE')
	b.reply(m, 200, 'OK')
	equal(m.body.decode(), text, 'body')
	small = t.engine(_texting(t.host(11), 1500, 'yes'), addr=t.host(11), name='small')
	c = t.phone(small.sip, '123', 12)
	sip.answered(c.message('234', text), 513, '3 kB with maxpkt=1500')
	sip.answered(c.message('234', 'short'), 200, 'a short one after it')
	t.proves('YM-40')


@test()
def nothing_generated(t):
	"""generate=no: the message is nobody's, nothing leaves."""
	e = t.engine(_texting(t.host(1), 4096, 'no'))
	a, b = t.phone(e.sip, '123', 2), t.phone(e.sip, '234', 3)
	sip.answered(b.register(), 200, 'REGISTER')
	sip.answered(a.message('234', 'into the void'), 200, 'MESSAGE')
	m = e.wait_sniffed('xsip.generate')
	ok(not m.handled, 'xsip.generate is not handled')
	e.idle()
	equal(b.take(lambda m: m.method == 'MESSAGE', 0), None, 'what arrived')
	t.proves('YM-41')
