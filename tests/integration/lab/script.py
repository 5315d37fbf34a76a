"""An external script over TCP: the line protocol, driven by one thread that never sleeps on its own."""

import heapq
import itertools
import selectors
import socket
import threading
import time

from .verdict import Failed


def escape(text):
	return ''.join(f'%{chr(ord(c) + 64)}' if c < ' ' or c == ':' else '%%' if c == '%' else c for c in text)


class Script:
	"""Answers each delivered message after `delay` s with what `answer(fields)` returns; None: never."""

	def __init__(self, addr, answer=lambda fields: None, delay=0, limit=5):
		self.sock = socket.create_connection(addr, timeout=limit)
		self.sock.setblocking(True)
		self.answer, self.delay = answer, delay
		self.lines, self.delivered = [], 0
		self.changed = threading.Condition()
		self._due, self._order = [], itertools.count()
		self._closing = False
		self._thread = threading.Thread(target=self._run, daemon=True)
		self._thread.start()

	def write(self, line):
		self.sock.sendall(line.encode() + b'\n')

	def send(self, keyword, *fields, **params):
		self.write(':'.join([f'%%>{keyword}', *fields, *(f'{escape(k)}={escape(v)}' for k, v in params.items())]))

	def expect(self, prefix, limit=5):
		"""Wait for a line that begins so."""
		with self.changed:
			def look():
				return next((line for line in self.lines if line.startswith(prefix)), None)
			line = self.changed.wait_for(look, limit)
		if not line:
			raise Failed(f'script: {prefix!r} did not come within {limit} s; there is {self.lines[-5:]}')
		return line

	def install(self, priority, name):
		self.send('install', str(priority), name)
		line = self.expect(f'%%<install:{priority}:{name}:')
		if not line.endswith(':true'):
			raise Failed(f'script: {line}')

	def setlocal(self, name, value):
		self.send('setlocal', name, str(value))
		self.expect(f'%%<setlocal:{name}:{value}:true')

	def _run(self):
		wait = selectors.DefaultSelector()
		wait.register(self.sock, selectors.EVENT_READ)
		buffer = b''
		while not self._closing:
			if wait.select(max(0, self._due[0][0] - time.monotonic()) if self._due else 1):
				try:
					data = self.sock.recv(65536)
				except OSError:
					return
				if not data:
					return
				*lines, buffer = (buffer + data).split(b'\n')
				self._take([line.decode('utf-8', 'backslashreplace') for line in lines])
			self._answer_due()

	def _take(self, lines):
		for line in lines:
			if line.startswith('%%>message:'):
				heapq.heappush(self._due, (time.monotonic() + self.delay, next(self._order), line))
		with self.changed:
			self.delivered += sum(line.startswith('%%>message:') for line in lines)
			self.lines += [line for line in lines if not line.startswith('%%>message:')]
			self.changed.notify_all()

	def _answer_due(self):
		out = []
		while self._due and self._due[0][0] <= time.monotonic():
			fields = heapq.heappop(self._due)[2].split(':')
			answer = self.answer(fields)
			if answer is not None:
				out.append(f'%%<message:{fields[1]}:{answer}\n')
		if out:
			self.sock.sendall(''.join(out).encode())

	def close(self):
		self._closing = True
		self.sock.close()
