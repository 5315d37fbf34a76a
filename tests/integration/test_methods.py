"""Which methods are handled inside, which become sip.<method>, which are refused, as the settings say."""

from lab import net, sip
from lab.case import test
from lab.engine import site
from lab.verdict import contains, equal, ok

RULES = '''[extra]
sip.publish=50

[sip.publish]
.*=200;code=202;osip_Expires=60
'''


def asked(phone, method, **parts):
	"""Status of the answer to a request outside any dialog."""
	return phone.ask(method, f'sip:100@{phone.domain}', **parts).status


@test(level='fast')
def as_they_come(t):
	"""The default settings."""
	e = t.engine()
	p = sip.Phone(e.sip, '100', t.host(2), 5060)
	t.later(p.close)
	want = {'OPTIONS': 200, 'BYE': 481, 'PRACK': 405, 'CANCEL': 481, 'REGISTER': 401, 'INFO': 415, 'SUBSCRIBE': 405,
		'NOTIFY': 405, 'PUBLISH': 405, 'MESSAGE': 401, 'UPDATE': 405}
	equal({m: asked(p, m) for m in want}, want, 'answers')
	equal(asked(p, 'FOOBAR'), 501, 'answer to an unknown method')
	p.send(p.build('ACK', f'sip:100@{e.addr}'), e.sip)
	call = p.invite('nobody')
	equal(call.answer(200).status, 404, 'an INVITE is routed')
	equal([m for m in p.waiting if m.method == 'ACK'], [], 'answers to ACK')
	refused = p.ask('PUBLISH', f'sip:100@{e.addr}')
	ok('INVITE' in refused.get('Allow'), 'a 405 says what is allowed')
	e.idle()
	t.proves('YM-01', 'YM-05', 'YM-06', 'YM-07', 'YM-08', 'YM-19')


@test(level='fast')
def switched_off(t):
	e = t.engine(site(t.host(1), sip='info=no\ntransfer=no\n[options]\nenable=no\n[registrar]\nenable=no\n'))
	p = sip.Phone(e.sip, '100', t.host(2), 5060)
	t.later(p.close)
	want = {'INFO': 405, 'OPTIONS': 405, 'REFER': 405, 'REGISTER': 405}
	equal({m: asked(p, m) for m in want}, want, 'answers')
	e.idle()
	t.proves('YM-09', 'YM-13', 'YM-14', 'YM-15')


@test(level='fast')
def generic(t):
	"""Methods of [methods]: a message with the request's parts, answered by who handles it."""
	conf = site(t.host(1), route=RULES)
	conf['ysipchan.conf'] += 'subscribe=no\npublish=no\ninfo=no\nnotify=yes\n'
	e = t.engine(conf)
	p = sip.Phone(e.sip, '100', t.host(2), 5060)
	t.later(p.close)
	equal(asked(p, 'SUBSCRIBE', headers=[('Event', 'x')]), 405, 'nobody handles sip.subscribe')
	equal(asked(p, 'INFO', body=b'x', ctype='text/plain'), 415, 'nobody handles sip.info')
	equal(asked(p, 'NOTIFY'), 401, 'a method whose sender must be a user')
	answer = p.ask('PUBLISH', f'sip:100@{e.addr};x=1', headers=[('X-One', 'a'), ('X-One', 'b')], body=b'{}',
		ctype='application/json;charset=utf-8')
	equal((answer.status, answer.get('Expires')), (202, '60'), 'answer made by a rule')
	m = e.wait_sniffed('sip.publish')
	equal([v for n, v in m.params if n == 'sip_x-one'], ['a', 'b'], 'a header that comes twice')
	equal((m.get('sip_uri'), m.get('xsip_type')), (f'sip:100@{e.addr};x=1', 'application/json'), 'URI and type')
	equal(m.get('request_uri'), m.get('sip_uri'), "the URI under the page's name")
	equal(m.get('xsip_dlgtag'), answer.tag('To'), 'our tag')
	ok(e.sniffed('sip.subscribe') and e.sniffed('sip.info'), 'messages on the bus')
	e.idle()
	t.proves('YM-02', 'YM-03', 'YM-11', 'YM-20', 'YM-21', 'YM-22', 'YM-23', 'YM-24', 'YM-25', 'YM-26', 'YM-27')


@test(level='fast')
def inside_a_call(t):
	"""INVITE, ACK, BYE stay inside; INFO with digits becomes chan.dtmf, with something else it is generic."""
	port = net.free_port(t.host(1))
	e = t.engine(site(t.host(1), ('100', '101'),
		extra={'extmodule.conf': f'[listener lab]\ntype=tcp\naddr={t.host(1)}\nport={port}\nrole=global\n'}))
	watcher = t.script((t.host(1), port))
	watcher.send('watch', 'chan.dtmf')
	watcher.expect('%%<watch:chan.dtmf:true')
	a, b = t.phone(e.sip, '100', 2), t.phone(e.sip, '101', 3)
	sip.answered(b.register(), 200, 'REGISTER')
	call = a.invite('101')
	b.reply(b.request('INVITE'), 200, 'OK', tag='b', body=sip.sdp(b.addr[0]))
	equal(call.answer(200).status, 200, 'answer')
	b.request('ACK')
	equal(call.info('application/dtmf-relay', 'Signal=5\r\nDuration=160\r\n').status, 200, 'a digit')
	contains(watcher.expect('%%<message::'), ':text=5:', 'what a script sees of chan.dtmf')
	e.wait_sniffed('chan.dtmf', where=lambda m: m.get('text') == '(hidden)')  # digits stay out of traces
	info = b.request('INFO')
	equal((info.get('Content-Type'), info.body), ('application/dtmf-relay', b'Signal=5\r\n'), 'the digit goes on')
	b.reply(info, 200, 'OK')
	watcher.send('message', 'k', '0', 'chan.dtmf', '', peerid=e.wait_sniffed('chan.dtmf').get('peerid'), text='12')
	first = b.request('INFO')
	equal(first.body, b'Signal=1\r\n', 'the first of two keys')
	equal([m for m in b.waiting if m.method == 'INFO' and m.body == b'Signal=2\r\n'], [], 'the second waits')
	b.reply(first, 200, 'OK')
	second = b.request('INFO')
	equal(second.body, b'Signal=2\r\n', 'the second key')
	b.reply(second, 200, 'OK')
	equal(call.info('text/plain', 'hello').status, 415, 'some other text')
	m = e.wait_sniffed('sip.info')
	ok((m.get('id') or '').startswith('sip/'), 'the call is named')
	call.send_bye()
	b.reply(b.request('BYE'), 200, 'OK')
	equal(call.bye_answer().status, 200, 'answer to BYE')
	inside = [m.name for m in e.sniffed() if m.name in ('sip.invite', 'sip.ack', 'sip.bye', 'sip.cancel')]
	equal(inside, [], 'messages of what is handled inside')
	e.idle()
	t.proves('YM-04', 'YM-10', 'YM-12')
