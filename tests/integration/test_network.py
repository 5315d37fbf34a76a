"""Interfaces that go down, addresses that come and go: what applications are told, and what they can still do."""

from lab import cable, net, sip
from lab.cable import FAR, HERE
from lab.case import test
from lab.engine import Engine, site
from lab.verdict import contains, equal, ok

LATER = '10.9.0.7'


def wired(t, more=''):
	"""A cable; an engine with listener `general` on it and `inside` on the loopback; a script; a far phone."""
	c = cable.Cable()
	conf = site(HERE)
	conf['ysipchan.conf'] += f'\n[listener inside]\naddr={t.host(1)}\nport=5060\n{more}'
	conf['rmanager.conf'] = f'[general]\naddr={t.host(1)}\nport=5038\n'
	port = net.free_port(t.host(1))
	conf['extmodule.conf'] = f'[listener lab]\ntype=tcp\naddr={t.host(1)}\nport={port}\nrole=global\n'
	e = t.engine(conf)
	b = c.far(sip.Phone, (HERE, 5060), '101', FAR, 5060, 'pass101')
	t.later(b.close)
	return c, e, t.script((t.host(1), port)), b


def changes(e):
	return [(m.get('connection_id'), m.get('status'), m.get('operational')) for m in e.sniffed('module.update', True)
		if m.get('from') == 'sip']


def until(e, n, status):
	"""Wait for the n-th change; it says `status` of general."""
	e.process.poll(lambda: len(changes(e)) >= n, 10, f'change {n}: {status}')
	equal(changes(e)[n - 1][:2], ('general', status), f'change {n}')


def idle_reason(e):
	return e.console.cmd('status sip listeners')


def ask(script, ident, **params):
	script.send('message', ident, '0', 'xsip.generate', '', **{'wait': 'true', 'method': 'OPTIONS', **params})


@test(level='fast')
def events_in_order(t):
	"""Interface down and up, address away and back, cable out and in: one event each, in order; then it serves."""
	c, e, s, b = wired(t)
	equal(b.options().status, 200, 'before')
	contains(idle_reason(e), f'general=UDP|{HERE}:5060|Listening|,', 'status')
	c.ip('link', 'set', 'v0', 'down')
	until(e, 1, 'suspended')
	contains(idle_reason(e), f'general=UDP|{HERE}:5060|Idle|suspended: its interface is down', 'status')
	ask(s, 'q1', uri=f'sip:x@{FAR}')
	contains(s.expect('%%<message:q1:false:xsip.generate:', limit=2), ':error=noconn', 'suspended')
	c.ip('link', 'set', 'v0', 'up')
	until(e, 2, 'active')
	equal(b.options().status, 200, 'up again')
	c.ip('addr', 'del', f'{HERE}/24', 'dev', 'v0')
	until(e, 3, 'inactive')
	contains(idle_reason(e), f'general=UDP|{HERE}:5060|Idle|inactive: its address is gone', 'status')
	contains(idle_reason(e), f'inside=UDP|{t.host(1)}:5060|Listening|', 'the other listener')
	c.ip('addr', 'add', f'{HERE}/24', 'dev', 'v0')
	until(e, 4, 'active')
	equal(b.options().status, 200, 'the address is back: the socket goes on')
	c.far_ip('link', 'set', 'v1', 'down')
	until(e, 5, 'suspended')
	c.far_ip('link', 'set', 'v1', 'up')
	until(e, 6, 'active')
	equal(b.options().status, 200, 'the cable is back')
	words = ['suspended', 'active', 'inactive', 'active', 'suspended', 'active']
	equal(changes(e), [('general', w, 'true' if w == 'active' else 'false') for w in words], 'all that was told')
	logged = [line for line in e.process.lines if '[sip-011]' in line or '[sip-012]' in line]
	equal(len(logged), len(words), 'lines of the log')
	ok(all(f' is {w}: ' in line for line, w in zip(logged, words)), 'they say the same')
	e.idle()
	t.proves('SY-04')


@test(level='fast')
def address_comes_later(t):
	"""A listener whose address is not there yet is unavailable; it is opened when the address comes."""
	c, e, _, _ = wired(t, more=f'[listener late]\naddr={LATER}\nport=5060\n')
	e.process.poll(lambda: changes(e), 5, 'the event')
	equal(changes(e), [('late', 'unavailable', 'false')], 'at start')
	contains(idle_reason(e), f'late=UDP|{LATER}:5060|Idle|unavailable: its address is not here yet', 'status')
	c.ip('addr', 'add', f'{LATER}/24', 'dev', 'v0')
	e.process.poll(lambda: len(changes(e)) > 1, 10, 'the second event')
	equal(changes(e)[1], ('late', 'active', 'true'), 'when it came')
	p = c.far(sip.Phone, (LATER, 5060), '102', FAR, 5062)
	t.later(p.close)
	for _ in range(4):	# whichever loop the kernel gives it to
		equal(p.options().status, 200, 'it serves')
	e.idle()
	t.proves('SY-04')


@test(level='fast')
def nothing_there(t):
	"""No address at all: the engine does not start and says why."""
	cable.Cable()
	conf = site(LATER)
	conf['rmanager.conf'] = f'[general]\naddr={t.host(1)}\nport=5038\n'
	code, text = Engine(t.build, t.folder, conf, addr=LATER).run_out()
	equal(code, 3, 'exit code')
	contains(text, 'sip-002', 'it says so')


def begin_call(e, b, inside):
	"""A call from the far phone to one on the loopback, answered."""
	call = b.invite('100')
	invite = inside.request('INVITE')
	inside.reply(invite, 200, 'OK', tag='in', body=sip.sdp(inside.addr[0]))
	inside.request('ACK')
	call.answer(200)


@test(level='fast')
def all_is_ended_at_once(t):
	"""The address goes: who asked gets an error, calls end, one event tells; later use fails without a packet."""
	c, e, s, b = wired(t)
	inside = sip.Phone((t.host(1), 5060), '100', t.host(3), 5060, 'pass100')
	t.later(inside.close)
	inside.register()
	b.register()
	begin_call(e, b, inside)
	ask(s, 'p1', uri=f'sip:x@{FAR}')
	ask(s, 'p2', uri=f'sip:x@{FAR}', method='MESSAGE', xsip_type='text/plain', xsip_body='x')
	b.request('OPTIONS')
	b.request('MESSAGE')
	c.ip('addr', 'del', f'{HERE}/24', 'dev', 'v0')
	for ident in 'p1', 'p2':
		line = s.expect(f'%%<message:{ident}:true:xsip.generate:', limit=3)
		contains(line, ':error=noconn', ident)
		contains(line, ':code=503', ident)
	bye = inside.request('BYE')
	inside.reply(bye, 200, 'OK')
	e.no_calls()
	until(e, 1, 'inactive')
	ends = {m.get('id'): m.get('reason') for m in e.sniffed('chan.hangup', True)}
	ok('noconn' in ends.values(), f'why the legs ended: {ends}')
	# Use after that: at once, and nothing is sent.
	b.waiting.clear()
	ask(s, 'u1', uri=f'sip:x@{FAR}')
	ask(s, 'u2', uri=f'sip:x@{inside.addr[0]}', connection_id='general')
	s.send('message', 'u3', '0', 'call.execute', '', callto=f'sip/sip:x@{FAR}', caller='100')
	s.send('message', 'u4', '0', 'call.execute', '', callto=f'sip/sip:x@{inside.addr[0]}', oconnection_id='general')
	for ident in 'u1', 'u2', 'u3', 'u4':
		contains(s.expect(f'%%<message:{ident}:false:', limit=2), ':error=noconn', ident)
	# A listener that still serves does.
	ask(s, 'u5', uri=f'sip:x@{inside.addr[0]}')
	inside.reply(inside.request('OPTIONS'), 200, 'OK', tag='u')
	contains(s.expect('%%<message:u5:true:'), ':code=200', 'by the other listener')
	equal(len(changes(e)), 1, 'events')
	c.ip('addr', 'add', f'{HERE}/24', 'dev', 'v0')
	until(e, 2, 'active')
	equal(b.options().status, 200, 'it serves again')
	equal([m for m in b.waiting + inside.waiting if m.status is None], [], 'what else was sent')
	begin_call(e, b, inside)
	e.console.cmd('drop all')
	for phone in b, inside:
		phone.reply(phone.request('BYE'), 200, 'OK')
	e.idle()
	t.proves('SY-08', 'SY-82')
