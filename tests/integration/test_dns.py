"""Targets given by name: found, missing, and name servers that say nothing, while other calls go on."""

import socket
import time

from lab import net, sip
from lab.case import test
from lab.dns import Names
from lab.engine import site
from lab.script import escape
from lab.verdict import contains, equal, ok

RULES = '''[default]
^61$=sip/sip:bob@name.test
^62$=sip/sip:bob@service.test
^63$=sip/sip:bob@missing.test
^64$=sip/sip:bob@silent.test
^65$=sip/sip:bob@nowhere..test
^66$=sip/sip:bob@%s
'''


def up(t, sip_port=5060, extra=None):
	"""An engine, its name server, a caller, and bob, whose names are name.test and service.test."""
	b = t.phone((t.host(1), 5060), 'bob', 3) if sip_port == 5060 else None
	names = Names(t.host(9), {
		('name.test', 'A'): [t.host(3)],
		('_sip._udp.service.test', 'SRV'): [f'10 0 {sip_port} name.test', '20 0 5060 missing.test'],
	}, silent=('silent.test',), long=('_sip._udp.service.test',))
	t.later(names.close)
	conf = site(t.host(1), route=RULES % t.host(3), extra=extra)
	conf['engine.cfg'] += f'dns = {{ servers = "{names.conf}"; timeout = "2s"; }};\n'
	e = t.engine(conf)
	return e, names, t.phone(e.sip, 'anna', 2), b


def talk(a, b, number):
	"""A whole call."""
	call = a.invite(number)
	b.reply(b.request('INVITE'), 200, 'OK', tag=sip.unique(), body=sip.sdp(b.addr[0]))
	sip.answered(call.answer(200), 200, f'call to {number}')
	b.request('ACK')
	call.send_bye()
	b.reply(b.request('BYE'), 200, 'OK')
	sip.answered(call.bye_answer(), 200, 'BYE')


@test(level='fast')
def found(t):
	"""By address records, and again out of the cache."""
	e, names, a, b = up(t)
	for _ in range(3):
		talk(a, b, '61')
	equal(sorted(set(names.asked)), [('_sip._udp.name.test', 'SRV'), ('name.test', 'A')], 'what was asked')
	ok(len(names.asked) <= 4, f'each loop asks once: {names.asked}')
	e.idle()


@test()
def service(t):
	"""The port comes from the SRV record, in an answer that is too long for a datagram."""
	port = net.free_port(t.host(3), socket.SOCK_DGRAM)
	e, names, a, _ = up(t, port)
	b = sip.Phone(e.sip, 'bob', t.host(3), port)
	t.later(b.close)
	talk(a, b, '62')
	equal(names.asked_tcp, [('_sip._udp.service.test', 'SRV')], 'what was asked over TCP')
	e.idle()


@test()
def missing(t):
	"""The caller hears so, with a reason; the next of call.execute's handlers was asked."""
	e, _, a, b = up(t)
	for number in '63', '65':
		call = a.invite(number)
		m = call.answer(200)
		equal(m.status, 404, f'answer to a call of {number}')
		contains(m.phrase, 'does not exist', 'its phrase')
	m = e.wait_sniffed('chan.disconnected', where=lambda m: m.get('reroute'))
	equal((m.get('error'), m.get('callto')), ('noroute', 'sip/sip:bob@missing.test'), 'error, target')
	talk(a, b, '61')
	e.idle()


@test()
def silent(t):
	"""Nobody waits for name servers but who asked: others' calls go on, and then he has his answer."""
	e, _, a, b = up(t)
	rest, begin = e.threads(), time.monotonic()
	waiting = [sip.Phone(e.sip, f'w{i}', t.host(4)) for i in range(20)]
	calls = [p.invite('64') for p in waiting]
	for c in calls:
		c.answer(100)
	for _ in range(5):
		talk(a, b, '66')
	took = time.monotonic() - begin
	ok(took < 1.5 or t.sanitizer, f'calls of others, {took:.2f} s')
	equal(e.threads(), rest, 'threads')
	if took < 1.5:
		equal(e.status('sip').count('routing'), 20, 'calls that are held')
	for c in calls:
		m = c.answer(200)
		equal(m.status, 503, 'answer')
		contains(m.phrase, 'could not be resolved', 'its phrase')
	took = time.monotonic() - begin
	ok(1.5 < took < 6, f'they were answered after {took:.2f} s')
	for p in waiting:
		p.close()
	e.idle()


@test()
def given_up(t):
	"""The caller leaves while his target's name is asked for; so does the engine."""
	e, _, a, b = up(t)
	call = a.invite('64')
	call.answer(100)
	sip.answered(call.cancel(), 200, 'CANCEL')
	equal(call.answer(200).status, 487, 'answer to the INVITE')
	e.idle()
	talk(a, b, '61')
	e.idle()
	a.invite('64').answer(100)	# still open when the engine stops


@test()
def generated(t):
	"""xsip.generate: handled when it was sent, or answered, or with an error."""
	port = net.free_port(t.host(1))
	conf = f'[listener lab]\ntype=tcp\naddr={t.host(1)}\nport={port}\nrole=global\n'
	e, _, _, b = up(t, extra={'extmodule.conf': conf})
	s = t.script((t.host(1), port))

	def ask(name, host, **more):
		params = {'method': 'MESSAGE', 'uri': f'sip:bob@{host}', 'user': 'anna', 'xsip_type': 'text/plain',
			'xsip_body': 'hello', **more}
		fields = ':'.join(f'{k}={escape(v)}' for k, v in params.items())
		s.write(f'%%>message:{name}:{int(time.time())}:xsip.generate::{fields}')

	ask('one', 'name.test')
	m = b.request('MESSAGE')
	equal((m.uri, m.body), ('sip:bob@name.test', b'hello'), 'what was sent')
	contains(s.expect('%%<message:one:'), '%%<message:one:true:', 'handled')
	b.reply(m, 200, 'OK', tag='b')
	ask('two', 'service.test', wait='yes')
	b.reply(b.request('MESSAGE'), 202, 'Accepted', tag='b')
	line = s.expect('%%<message:two:')
	contains(line, '%%<message:two:true:', 'handled')
	contains(line, 'code=202', 'the answer')
	for wait in 'yes', 'no':
		ask(wait, 'missing.test', wait=wait)
		line = s.expect(f'%%<message:{wait}:')
		contains(line, f'%%<message:{wait}:false:', 'not handled')
		contains(line, 'error=noroute', 'its error')
	ask('late', 'silent.test', wait='yes')
	contains(s.expect('%%<message:late:'), 'error=noconn', 'error when name servers are silent')
	e.idle()
