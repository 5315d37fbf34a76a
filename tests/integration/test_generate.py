"""xsip.generate: any request for who asks on the bus, its answer reported."""

from lab import net
from lab.case import test
from lab.engine import site
from lab.verdict import contains, equal


def scripted(t):
	"""An engine and a script connected to it."""
	port = net.free_port(t.host(1))
	e = t.engine(site(t.host(1), extra={
		'extmodule.conf': f'[listener lab]\ntype=tcp\naddr={t.host(1)}\nport={port}\nrole=global\n'}))
	return e, t.script((t.host(1), port))


def ask(script, ident, **params):
	script.send('message', ident, '0', 'xsip.generate', '', **params)


@test(level='fast')
def answer_is_waited_for(t):
	"""Method, headers and body go out; code, headers and body of the answer come back."""
	e, s = scripted(t)
	b = t.phone(e.sip, '101', 3)
	uri = f'sip:101@{b.addr[0]}:{b.addr[1]}'
	ask(s, 'q1', method='NOTIFY', uri=uri, wait='true', user='100', sip_Event='test', xsip_type='text/plain',
		xsip_body='hello')
	m = b.request('NOTIFY')
	equal((m.get('Event'), m.get('Content-Type'), m.body), ('test', 'text/plain', b'hello'), 'what went out')
	contains(m.get('From'), '<sip:100@', 'From')
	b.reply(m, 202, 'Accepted', tag='n', headers=[('X-Said', 'yes')])
	line = s.expect('%%<message:q1:true:xsip.generate:')
	for part in (':code=202:', ':reason=Accepted:', ':sip_x-said=yes'):
		contains(line + ':', part, 'result')
	e.idle()


@test(level='fast')
def nobody_there(t):
	"""No answer is 408 after 64*T1; what cannot be sent says why; without wait it is true at once."""
	e, s = scripted(t)
	silent = t.phone(e.sip, '101', 3)
	ask(s, 'q2', method='OPTIONS', uri=f'sip:x@{silent.addr[0]}:{silent.addr[1]}', wait='true')
	ask(s, 'q3', method='OPTIONS', wait='true')
	contains(s.expect('%%<message:q3:false:xsip.generate:'), ':error=failure', 'no uri')
	ask(s, 'q4', method='OPTIONS', uri=f'sip:x@{silent.addr[0]}:{silent.addr[1]}')
	s.expect('%%<message:q4:true:xsip.generate:', limit=2)
	contains(s.expect('%%<message:q2:true:xsip.generate:', limit=10), ':code=408', 'nobody answers')
	e.idle()


@test(level='fast')
def challenge_is_answered_once(t):
	e, s = scripted(t)
	b = t.phone(e.sip, '101', 3)
	uri = f'sip:101@{b.addr[0]}:{b.addr[1]}'
	ask(s, 'q5', method='MESSAGE', uri=uri, wait='true', user='100', password='secret', xsip_type='text/plain',
		xsip_body='x')
	m = b.request('MESSAGE')
	b.reply(m, 401, 'Unauthorized', tag='n',
		headers=[('WWW-Authenticate', 'Digest realm="far", nonce="abc", qop="auth", algorithm=MD5')])
	again = b.request('MESSAGE')
	contains(again.get('Authorization'), 'username="100", realm="far"', 'credentials')
	equal(int(again.get('CSeq').split()[0]), int(m.get('CSeq').split()[0]) + 1, 'CSeq')
	b.reply(again, 401, 'Unauthorized', tag='n',
		headers=[('WWW-Authenticate', 'Digest realm="far", nonce="abd", qop="auth", algorithm=MD5')])
	contains(s.expect('%%<message:q5:true:xsip.generate:'), ':code=401', 'the second refusal stands')
	e.idle()
