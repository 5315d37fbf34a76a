"""A small SIP phone over UDP in plain Python: bytes out, messages in, digest.

It keeps no timers of its own thread: a wait resends what is unanswered, answers
repeated requests as before, and ends at its bound.
"""

import hashlib
import itertools
import re
import socket
import struct
import time

from .verdict import Failed, equal

T1, T2 = 0.5, 4.0
SO_TIMESTAMPNS = 35	# Linux; the socket module has no name for it
COMPACT = {'v': 'via', 'f': 'from', 't': 'to', 'i': 'call-id', 'm': 'contact', 'l': 'content-length',
	'c': 'content-type', 's': 'subject', 'k': 'supported', 'o': 'event', 'r': 'refer-to'}
_numbers = itertools.count(1)


def unique():
	return f'{next(_numbers)}{time.monotonic_ns() % 10**9:09d}'


class Message:
	def __init__(self, data):
		head, _, self.body = data.partition(b'\r\n\r\n')
		lines = re.sub(r'\r\n[ \t]+', ' ', head.decode('utf-8', 'backslashreplace')).split('\r\n')
		self.data = data
		self.start = lines[0]
		self.headers = [(n.strip(), v.strip()) for n, _, v in (line.partition(':') for line in lines[1:])]
		word = self.start.split(' ')
		self.status = int(word[1]) if word[0] == 'SIP/2.0' else None
		self.method = word[0] if self.status is None else self.get('CSeq').rpartition(' ')[2]
		self.uri = word[1] if self.status is None else None
		self.phrase = ' '.join(word[2:]) if self.status else None

	def __repr__(self):
		return self.start

	def all(self, name):
		name = name.lower()
		return [v for n, v in self.headers if COMPACT.get(n.lower(), n.lower()) == name]

	def get(self, name, default=''):
		return next(iter(self.all(name)), default)

	def tag(self, name):
		m = re.search(r';\s*tag=([^;\s]+)', self.get(name))
		return m.group(1) if m else None

	def branch(self):
		m = re.search(r'branch=([^;,\s]+)', self.get('Via'))
		return m.group(1) if m else None

	def contact(self):
		m = re.search(r'<([^>]*)>', self.get('Contact')) or re.match(r'([^;]*)', self.get('Contact'))
		return m.group(1)


def digest(challenge, method, uri, user, password):
	"""The credentials that answer a WWW-Authenticate value."""
	has = dict(re.findall(r'(\w+)\s*=\s*"?([^",]*)"?', challenge.partition(' ')[2]))
	make = hashlib.sha256 if has.get('algorithm', '').upper().startswith('SHA-256') else hashlib.md5

	def h(text):
		return make(text.encode()).hexdigest()

	realm, nonce = has['realm'], has['nonce']
	parts = [h(f'{user}:{realm}:{password}'), nonce, h(f'{method}:{uri}')]
	out = [f'username="{user}"', f'realm="{realm}"', f'nonce="{nonce}"', f'uri="{uri}"']
	if 'qop' in has:
		cnonce = unique()
		parts[2:2] = ['00000001', cnonce, 'auth']
		out += ['qop=auth', 'nc=00000001', f'cnonce="{cnonce}"']
	out.append(f'response="{h(":".join(parts))}"')
	out += [f'{n}="{has[n]}"' for n in ('opaque',) if n in has]
	return 'Digest ' + ', '.join([*out, f'algorithm={has.get("algorithm", "MD5")}'])


def sdp(addr, port=40000):
	return (f'v=0\r\no=lab 1 1 IN IP4 {addr}\r\ns=-\r\nc=IN IP4 {addr}\r\nt=0 0\r\n'
		f'm=audio {port} RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n').encode()


class Wire:
	"""A UDP socket that knows SIP: what came is kept until somebody asks for it."""

	def __init__(self, addr, port=0):
		self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		self.sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
		self.sock.bind((addr, port))
		self.addr = self.sock.getsockname()
		self.waiting = []
		self.trace = []	# (time, 'send' | 'recv', peer, Message or bytes)
		self.last_answer = {}

	def close(self):
		self.sock.close()

	def send(self, data, to):
		self.trace.append((time.time(), 'send', to, _message(data)))
		self.sock.sendto(data, to)

	def _receive(self, limit):
		"""One more packet into `waiting`; False when none came in time."""
		self.sock.settimeout(max(limit, 0.0001))
		try:
			data, notes, _, peer = self.sock.recvmsg(65536, 64)
		except TimeoutError:
			return False
		m = _message(data)
		self.trace.append((_arrival(notes), 'recv', peer, m))
		if isinstance(m, bytes):
			return True
		m.peer = peer
		again = self.last_answer.get((m.branch(), m.method)) if m.status is None else None
		if again:
			self.send(again, peer)
		else:
			self.waiting.append(m)
		return True

	def take(self, wanted, limit):
		"""The first message for which `wanted` is true, waiting up to `limit` s; None when none came."""
		end = time.monotonic() + limit
		while True:
			for i, m in enumerate(self.waiting):
				if wanted(m):
					return self.waiting.pop(i)
			left = end - time.monotonic()
			if left <= 0:
				return None
			self._receive(left)

	def expect(self, wanted, limit, what):
		m = self.take(wanted, limit)
		if not m:
			raise Failed(f'{self.addr}: {what} did not come within {limit} s; there is {self.waiting}')
		return m

	def request(self, method, limit=5):
		return self.expect(lambda m: m.status is None and m.method == method, limit, method)


def _arrival(notes):
	"""When the kernel got the packet."""
	for level, kind, data in notes:
		if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
			seconds, ns = struct.unpack('qq', data)
			return seconds + ns / 1e9
	return time.time()


def _message(data):
	try:
		return Message(data) if b'\r\n' in data and b'SIP/2.0' in data.split(b'\r\n')[0] else data
	except (ValueError, IndexError):
		return data


class Phone(Wire):
	"""A user at `addr` whose registrar and proxy is `server`."""

	def __init__(self, server, user, addr, port=0, password=None):
		super().__init__(addr, port)
		self.server, self.user, self.password = server, user, password
		self.domain = server[0]
		self.call_id, self.cseq = f'{unique()}@{addr}', 0

	@property
	def contact(self):
		return f'sip:{self.user}@{self.addr[0]}:{self.addr[1]}'

	def build(self, method, uri, to=None, body=b'', ctype=None, headers=(), call_id=None, cseq=None,
			from_tag=None, to_tag=None, branch=None):
		"""The bytes of a request."""
		via = f'SIP/2.0/UDP {self.addr[0]}:{self.addr[1]};rport;branch={branch or "z9hG4bK" + unique()}'
		lines = [f'{method} {uri} SIP/2.0', f'Via: {via}', 'Max-Forwards: 70',
			f'From: <sip:{self.user}@{self.domain}>;tag={from_tag or unique()}',
			f'To: <{to or uri}>' + (f';tag={to_tag}' if to_tag else ''),
			f'Call-ID: {call_id or unique()}', f'CSeq: {cseq or 1} {method}',
			*(f'{n}: {v}' for n, v in headers)]
		if method in ('INVITE', 'REGISTER'):
			lines.append(f'Contact: <{self.contact}>')
		if ctype:
			lines.append(f'Content-Type: {ctype}')
		lines.append(f'Content-Length: {len(body)}')
		return '\r\n'.join(lines).encode() + b'\r\n\r\n' + body

	def transact(self, data, limit=10, to=None):
		"""Send a request until its final answer is there (resent as RFC 3261 section 17.1 says)."""
		m, pause, end = Message(data), T1, time.monotonic() + limit

		def mine(a):
			return a.status is not None and a.branch() == m.branch() and a.method == m.method

		while time.monotonic() < end:
			self.send(data, to or self.server)
			answer = self.take(lambda a: mine(a) and a.status != 100, min(pause, end - time.monotonic()))
			if answer or (m.method == 'INVITE' and self.take(mine, 0)):
				return answer or self.expect(lambda a: mine(a) and a.status != 100, end - time.monotonic(), 'answer')
			pause = min(2 * pause, T2)
		raise Failed(f'{self.user}: no answer to {m.start} within {limit} s')

	def ask(self, method, uri, limit=10, **parts):
		"""A request outside a dialog and its final answer; a challenge is met once."""
		parts = {'call_id': unique(), 'from_tag': unique(), 'cseq': 1, **parts}
		answer = self.transact(self.build(method, uri, **parts), limit)
		if answer.status != 401 or self.password is None:
			return answer
		parts['cseq'] += 1
		credentials = digest(answer.get('WWW-Authenticate'), method, uri, self.user, self.password)
		parts['headers'] = [*parts.get('headers', ()), ('Authorization', credentials)]
		return self.transact(self.build(method, uri, **parts), limit)

	def register(self, expires=300, limit=10):
		self.cseq += 2
		return self.ask('REGISTER', f'sip:{self.domain}', limit, to=f'sip:{self.user}@{self.domain}',
			call_id=self.call_id, cseq=self.cseq, headers=[('Expires', str(expires))])

	def message(self, number, text, ctype='text/plain', limit=10):
		return self.ask('MESSAGE', f'sip:{number}@{self.domain}', limit, body=text.encode(), ctype=ctype)

	def options(self, limit=5):
		return self.ask('OPTIONS', f'sip:{self.domain}', limit)

	def reply(self, request, status, phrase, tag=None, body=b'', headers=()):
		"""Answer a request; a repeated request gets the same again."""
		to = request.get('To')
		if tag and not request.tag('To'):
			to += f';tag={tag}'
		lines = [f'SIP/2.0 {status} {phrase}', *(f'Via: {v}' for v in request.all('Via')),
			*(f'Record-Route: {v}' for v in request.all('Record-Route')), f'From: {request.get("From")}',
			f'To: {to}', f'Call-ID: {request.get("Call-ID")}', f'CSeq: {request.get("CSeq")}',
			f'Contact: <{self.contact}>', *(f'{n}: {v}' for n, v in headers)]
		if body:
			lines.append('Content-Type: application/sdp')
		lines.append(f'Content-Length: {len(body)}')
		data = '\r\n'.join(lines).encode() + b'\r\n\r\n' + body
		self.last_answer[request.branch(), request.method] = data
		self.send(data, request.peer)

	def invite(self, number, headers=()):
		return Dialog(self, number, headers)


class Dialog:
	"""An outgoing call, one step at a time, so that one thread can play both ends."""

	def __init__(self, phone, number, headers=()):
		self.phone, self.uri = phone, f'sip:{number}@{phone.domain}'
		self.ids = {'call_id': unique(), 'from_tag': unique()}
		self.branch = 'z9hG4bK' + unique()
		self.cseq, self.to_tag, self.target = 1, None, self.uri
		self.invite = phone.build('INVITE', self.uri, body=sdp(phone.addr[0]), ctype='application/sdp',
			cseq=1, branch=self.branch, headers=headers, **self.ids)
		phone.send(self.invite, phone.server)

	def answer(self, at_least, limit=10):
		"""Wait for a response of at least this status; a final one is acknowledged."""
		m = self.phone.expect(lambda a: a.status and a.status >= at_least and a.branch() == self.branch
			and a.method == 'INVITE', limit, f'a response of {at_least} or more')
		self.to_tag = m.tag('To') or self.to_tag
		if m.status >= 300:
			self._ack(self.uri, branch=self.branch)
		elif m.status >= 200:
			self.target = m.contact() or self.uri
			self._ack(self.target)
		return m

	def _ack(self, uri, **how):
		self.phone.send(self.phone.build('ACK', uri, to=self.uri, cseq=self.cseq, to_tag=self.to_tag, **self.ids,
			**how), self.phone.server)

	def _next(self, method, **parts):
		"""The next request of the dialog."""
		self.cseq += 1
		return self.phone.build(method, self.target, to=self.uri, cseq=self.cseq, to_tag=self.to_tag, **self.ids,
			**parts)

	def info(self, ctype, text, limit=10):
		return self.phone.transact(self._next('INFO', ctype=ctype, body=text.encode()), limit)

	def bye(self, limit=10):
		return self.phone.transact(self._next('BYE'), limit)

	def send_bye(self):
		self.phone.send(self._next('BYE'), self.phone.server)

	def bye_answer(self, limit=10):
		return self.phone.expect(lambda a: a.status and a.method == 'BYE' and a.get('Call-ID') == self.ids['call_id'],
			limit, 'answer to BYE')

	def cancel(self, limit=10):
		return self.phone.transact(self.phone.build('CANCEL', self.uri, cseq=1, branch=self.branch, **self.ids),
			limit)


def answered(message, status, what):
	equal(message.status, status, f'{what} ({message.start})')
