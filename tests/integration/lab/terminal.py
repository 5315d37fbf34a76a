"""A program at a pseudo-terminal: keys typed, what it shows, how it leaves the terminal behind."""

import fcntl
import os
import pty
import re
import select
import struct
import termios
import time

from .verdict import Failed

GIVEN_UP = 10


class Terminal:
	def __init__(self, argv, width=80, height=24):
		self.pid, self.fd = pty.fork()
		if not self.pid:
			os.execv(argv[0], argv)
		self.resize(width, height)
		self.seen = b''
		self.code = None

	def resize(self, width, height):
		fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack('HHHH', height, width, 0, 0))

	def type(self, keys):
		os.write(self.fd, keys)

	def expect(self, pattern, limit=5):
		"""Read until the bytes pattern is there; all up to its end is dropped. What was before it."""
		end = time.monotonic() + limit
		while not (m := re.search(pattern, self.seen, re.DOTALL)):
			if not self._read(end - time.monotonic()):
				raise Failed(f'terminal: {pattern!r} did not come; there is {self.seen!r}')
		before, self.seen = self.seen[:m.start()], self.seen[m.end():]
		return before

	def _read(self, limit):
		if limit <= 0 or not select.select([self.fd], [], [], limit)[0]:
			return False
		try:
			data = os.read(self.fd, 4096)
		except OSError:  # nobody has the other end
			return False
		self.seen += data
		return bool(data)

	def is_raw(self):
		"""As the program left it: no echo, no line editing?"""
		return not termios.tcgetattr(self.fd)[3] & (termios.ICANON | termios.ECHO)

	def wait(self, limit=5):
		"""Its exit code; a signal's number as negative one."""
		end = time.monotonic() + limit
		while self.code is None:
			pid, status = os.waitpid(self.pid, os.WNOHANG)
			if pid:
				self.code = os.waitstatus_to_exitcode(status)
			elif time.monotonic() > end:
				raise Failed(f'terminal: the program did not end; there is {self.seen!r}')
			else:
				self._read(0.05)
		while self._read(0.2):
			pass
		return self.code

	def close(self):
		if self.code is None:
			os.kill(self.pid, 9)
			os.waitpid(self.pid, 0)
		os.close(self.fd)
