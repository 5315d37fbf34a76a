"""The lab itself, without an engine: each peer against another of the peers."""

import subprocess
import sys
import threading

from lab import sip, sipsak, sniff
from lab.case import test
from lab.verdict import contains, equal, lists, ok


@test(limit=30, level='fast', sanitizers=False)
def sipp_calls_sipp(t):
	uas = t.uas(3)
	t.uac(2, (t.host(3), 5060), calls=50, rate=50).wait(20, 50)
	equal(uas.unexpected(), [], 'unexpected messages')


@test(limit=60, level='fast', sanitizers=False)
def baresip_calls_baresip(t):
	a, b = t.baresip('100', 2), t.baresip('101', 3)
	a.dial(f'sip:101@{b.addr}')
	b.event('CALL_INCOMING')
	a.event('CALL_RINGING')
	b.accept()
	a.event('CALL_ESTABLISHED')
	b.event('CALL_ESTABLISHED')
	a.hangup()
	b.closed()
	again, ring = a.mark(), b.mark()
	a.dial(f'sip:101@{b.addr}')
	b.event('CALL_INCOMING', start=ring)
	b.hangup()
	ok(a.closed(start=again), 'the caller is told why')


@test(limit=30, level='fast', sanitizers=False)
def sipsak_asks_phone(t):
	p = t.phone((t.host(2), 5060), '100', 3)

	def serve():
		p.reply(p.request('OPTIONS'), 200, 'OK', tag='lab')

	server = threading.Thread(target=serve)
	server.start()
	code, text = sipsak.options(t.host(3))
	server.join(10)
	equal(code, 0, f'exit code of sipsak ({text})')


@test(limit=30, level='fast', sanitizers=False)
def phones_call_each_other(t):
	a, b = t.phone((t.host(3), 5060), '100', 2), t.phone((t.host(2), 5060), '101', 3)
	call = a.invite('101')
	invite = b.request('INVITE')
	b.reply(invite, 180, 'Ringing', tag='b')
	equal(call.answer(180).status, 180, 'ringing')
	b.reply(invite, 200, 'OK', tag='b', body=sip.sdp(b.addr[0]))
	equal(call.answer(200).status, 200, 'answer')
	b.request('ACK')
	call.send_bye()
	b.reply(b.request('BYE'), 200, 'OK')
	equal(call.bye_answer().status, 200, 'answer to BYE')


@test(limit=30, level='fast', sanitizers=False)
def digest_as_rfc_2617(t):
	"""The example of RFC 2617 section 3.5, without qop, and ours with it."""
	challenge = 'Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"'
	contains(sip.digest(challenge, 'GET', '/dir/index.html', 'Mufasa', 'Circle Of Life'),
		'response="670fd8c2df070c60b045671b8b24ff02"', 'response')
	contains(sip.digest(challenge + ', qop="auth", opaque="x"', 'GET', '/', 'u', 'p'), 'opaque="x"', 'opaque')


@test(limit=30, level='fast', sanitizers=False)
def runner_tells_failures(t):
	"""A command that does not exist ends the runner with usage, not with success."""
	code = subprocess.run([sys.executable, sys.argv[0], '--level', 'nonsense'], capture_output=True, check=False)
	ok(code.returncode != 0, 'exit code')


SNIFFED = """Sniffed 'user.auth' time=1352472395.761205 age=0.000012
  thread=0x890d348 'loop 0'
  data=(nil)
  retval='(null)'
  param['protocol'] = 'sip'
  param['text'] = 'it's two
lines'
  param['password'] = (hidden)
<sip:INFO> something else
Returned true 'user.auth' delay=0.000299
  thread=0x890d348 'loop 0'
  data=(nil)
  retval=(hidden)
  param['protocol'] = 'sip'
  param['handlers'] = 'regfile:100'"""


@test(limit=30, level='fast', sanitizers=False)
def sniffer_text_is_read(t):
	first, second = sniff.parse(SNIFFED.split('\n'))
	equal((first.name, first.done, first.retval, first.time), ('user.auth', False, None, 1352472395.761205), 'first')
	lists(first.params, [('protocol', 'sip'), ('text', "it's two\nlines"), ('password', '(hidden)')], 'its parameters')
	equal((second.done, second.handled, second.retval), (True, True, '(hidden)'), 'second')
	equal(second.get('handlers'), 'regfile:100', 'its handlers')
