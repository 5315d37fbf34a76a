"""What an application that sends requests through the engine is told: errors at once, errors later, and nothing twice."""

import socket
import struct

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
