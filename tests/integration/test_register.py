"""Registration with digest: plain phone, baresip, sipsak; what is kept, refused and forgotten."""

import re

from lab import sip, sipsak
from lab.case import test
from lab.engine import site
from lab.verdict import contains, equal, ok


def users(e):
	"""What status regfile lists: {user: data}."""
	return e.status('regfile').items


@test(level='fast')
def challenge_and_answer(t):
	e = t.engine()
	p = t.phone(e.sip, '100', 2)
	answer = p.register(expires=120)
	sip.answered(answer, 200, 'REGISTER')
	equal([m.status for _, way, _, m in p.trace if way == 'recv'], [401, 200], 'answers')
	ok(re.search(r'expires="?120', answer.get('Contact')) or answer.get('Expires') == '120', 'what it expires in')
	contains(answer.get('Contact'), p.contact, 'Contact')
	equal(users(e), {'100': f'sip/{p.contact}'}, 'registered users')
	m = e.wait_sniffed('user.register')
	equal((m.get('username'), m.get('driver'), m.get('data'), m.get('expires')),
		('100', 'sip', f'sip/{p.contact}', '120'), 'user.register')
	sip.answered(p.register(expires=0), 200, 'REGISTER with Expires 0')
	equal(users(e), {}, 'registered users afterwards')
	e.idle()


@test(level='fast')
def refused(t):
	e = t.engine()
	for user, password in (('100', 'wrong'), ('nobody', 'pass100'), ('100', '')):
		p = sip.Phone(e.sip, user, t.host(2), 0, password)
		sip.answered(p.register(), 401, f'{user} with password {password!r}')
		p.close()
	p = t.phone(e.sip, '100', 3)
	p.password = 'pass100'
	brief = p.register(expires=5)
	sip.answered(brief, 423, 'five seconds')
	equal(brief.get('Min-Expires'), '60', 'Min-Expires')
	equal(users(e), {}, 'registered users')
	e.idle()
	t.proves('YM-16', 'YM-17')


@test()
def replay_and_stale(t):
	"""Credentials are good once for each count; those for another method or source are not."""
	e = t.engine()
	p, thief = t.phone(e.sip, '100', 2), t.phone(e.sip, '100', 3, 'unknown')
	uri, to = f'sip:{p.domain}', f'sip:100@{p.domain}'
	ids = {'to': to, 'call_id': 'replay', 'from_tag': 'r'}
	challenge = p.transact(p.build('REGISTER', uri, cseq=1, **ids)).get('WWW-Authenticate')
	header = [('Authorization', sip.digest(challenge, 'REGISTER', uri, '100', 'pass100'))]
	sip.answered(p.transact(p.build('REGISTER', uri, cseq=2, headers=header, **ids)), 200, 'the first use')
	sip.answered(p.transact(p.build('REGISTER', uri, cseq=3, headers=header, **ids)), 401, 'the same count again')
	sip.answered(thief.transact(thief.build('REGISTER', uri, cseq=4, headers=header, **ids)), 401, 'another source')
	header = [('Authorization', sip.digest(challenge, 'INVITE', uri, '100', 'pass100'))]
	sip.answered(p.transact(p.build('REGISTER', uri, cseq=5, headers=header, **ids)), 401, 'made for another method')
	header = [('Authorization', sip.digest(re.sub(r'nonce="[^"]*"', 'nonce="0.0"', challenge), 'REGISTER', uri, '100',
		'pass100'))]
	sip.answered(p.transact(p.build('REGISTER', uri, cseq=6, headers=header, **ids)), 401, 'a nonce of their own')
	e.idle()


@test()
def independent_clients(t):
	"""baresip and sipsak register; a reload of the engine forgets neither."""
	e = t.engine()
	t.baresip('100', 2, e.addr).registered()
	code, text = sipsak.run('-v', '-U', '-C', f'sip:101@{t.host(3)}:5060', '-s', f'sip:101@{e.addr}', '-u', '101', '-a',
		'pass101', '-x', '300', '--local-ip', t.host(3))
	equal(code, 0, f'exit code of sipsak ({text})')
	equal(sorted(users(e)), ['100', '101'], 'registered users')
	contains(e.console.cmd('reload'), 'Reinitializing', 'answer to reload')
	equal(sorted(users(e)), ['100', '101'], 'registered users after a reload')
	e.idle()


@test(level='fast')
def sha_256(t):
	"""Offered only where asked for; what was not offered is refused."""
	e = t.engine(site(t.host(1), sip='digest=sha-256'))
	p = t.phone(e.sip, '100', 2)
	sip.answered(p.register(), 200, 'REGISTER')
	first = next(m for _, way, _, m in p.trace if way == 'recv')
	contains(first.get('WWW-Authenticate'), 'algorithm=SHA-256', 'challenge')
	uri = f'sip:{p.domain}'
	ids = {'to': f'sip:100@{p.domain}', 'call_id': 'down', 'from_tag': 'd'}
	challenge = p.transact(p.build('REGISTER', uri, cseq=1, **ids)).get('WWW-Authenticate')
	down = sip.digest(challenge.replace('SHA-256', 'MD5'), 'REGISTER', uri, '100', 'pass100')
	sip.answered(p.transact(p.build('REGISTER', uri, cseq=2, headers=[('Authorization', down)], **ids)), 401,
		'right for MD5, which was not offered')
	e.idle()


@test(level='fast')
def no_secret_in_log(t):
	"""With the sniffer on, neither a password nor an answer to a challenge is printed."""
	e = t.engine()
	good, bad = t.phone(e.sip, '100', 2), t.phone(e.sip, '101', 3, 'wrong')
	sip.answered(good.register(), 200, 'REGISTER')
	sip.answered(bad.register(), 401, 'REGISTER with a wrong password')
	e.wait_sniffed('user.authfail')
	secrets = ['pass100', 'pass101']
	for p in (good, bad):
		sent = ' '.join(m.get('Authorization') for _, way, _, m in p.trace if way == 'send')
		secrets += re.findall(r'response="(\w+)"', sent)
	equal(len(secrets), 4, 'secrets that were sent')
	equal([line for line in e.process.lines if any(s in line for s in secrets)], [], 'lines with a secret')
