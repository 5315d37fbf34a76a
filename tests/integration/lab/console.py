"""The telnet console as a plain TCP client sees it: no echo, no prompt, marked-up status."""

import re
import socket
import time

from .verdict import Failed

TELNET_COMMAND = re.compile(rb'\xff(?:[\xfb-\xfe].|\xfa.*?\xff\xf0|[^\xff])', re.DOTALL)


class Console:
	def __init__(self, addr, limit=5):
		self.sock = socket.create_connection(addr, timeout=limit)
		self.limit = limit
		self._buffer = b''
		self._count = 0
		self.header = self._line(re.compile(rb'[^\r\n]*ready on[^\r\n]*'))

	def close(self):
		self.sock.close()

	def _line(self, pattern, limit=None):
		"""Read until `pattern` is there; all before it is dropped. The matched text."""
		end = time.monotonic() + (limit or self.limit)
		while True:
			m = pattern.search(self._buffer)
			if m:
				self._before = self._buffer[:m.start()]
				self._buffer = self._buffer[m.end():]
				return m.group().decode('utf-8', 'backslashreplace')
			self._fill(end, pattern)

	def _fill(self, end, pattern):
		left = end - time.monotonic()
		if left <= 0:
			raise Failed(f'console: {pattern.pattern!r} did not come; there is {self._buffer!r}')
		self.sock.settimeout(left)
		try:
			data = self.sock.recv(65536)
		except TimeoutError:
			return
		if not data:
			raise Failed(f'console closed; there was {self._buffer!r}')
		self._buffer = TELNET_COMMAND.sub(b'', self._buffer + data)

	def cmd(self, line, limit=None):
		"""Its answer without the last line end. An unknown word behind it marks where it ends."""
		self._count += 1
		end = f'end-of-{self._count}'
		self.sock.sendall(f'{line}\r\n{end}\r\n'.encode())
		self._line(re.compile(rf'Cannot understand: {end}\r\n'.encode()), limit)
		return self._before.decode('utf-8', 'backslashreplace').strip('\r\n').replace('\r\n', '\n')

	def status(self, name=''):
		"""`status NAME` without its marks: a list of Status."""
		text = self.cmd(f'status {name}'.strip())
		return [Status(s) for s in text.split('\n') if s and not s.startswith(('%%+', '%%-'))]

	def live(self, pattern, limit=None):
		"""Wait for live output (`output on`) that matches."""
		return self._line(re.compile(pattern.encode()), limit)


class Status:
	"""name=NAME,type=TYPE,...;k=v,...;item=a|b,..."""

	def __init__(self, line):
		self.text = line
		parts = (line.split(';') + ['', ''])[:3]
		self.head, self.counts, self.items = (
			dict(pair.split('=', 1) for pair in part.split(',') if '=' in pair) for part in parts)

	def __repr__(self):
		return self.text

	def count(self, name):
		try:
			return int(self.counts[name])
		except (KeyError, ValueError):
			raise Failed(f'no count {name!r} in status: {self.text}') from None
