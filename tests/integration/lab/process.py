"""A child process whose output is read line by line, kept, and waited on."""

import os
import re
import signal
import subprocess
import threading
import time

from .verdict import Failed

PIPE_BYTES = 1 << 20	# more than a pipe holds


class Process:
	def __init__(self, argv, log, name=None, cwd=None, env=None):
		self.name = name or argv[0]
		self.lines = []
		self.changed = threading.Condition()
		self._log = open(log, 'w', encoding='utf-8')
		self._ended = False
		self.child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
			stderr=subprocess.STDOUT, cwd=cwd, env=env, bufsize=0)
		self._reader = threading.Thread(target=self._read, daemon=True)
		self._reader.start()

	@property
	def pid(self):
		return self.child.pid

	def _read(self):
		"""Takes all that a pipe can hold at once, so that what was written whole is seen whole."""
		out, rest = self.child.stdout.fileno(), b''
		while True:
			data = os.read(out, PIPE_BYTES)
			*lines, rest = (rest + data).split(b'\n')
			lines = [line.decode('utf-8', 'backslashreplace').rstrip('\r') for line in lines]
			self._log.writelines(line + '\n' for line in lines)
			self._log.flush()
			with self.changed:
				self.lines += lines
				self._ended = not data
				self.changed.notify_all()
			if not data:
				return

	def mark(self):
		"""The place in the output from where a later expect() shall look."""
		with self.changed:
			return len(self.lines)

	def expect(self, pattern, limit, start=0):
		"""Wait for a line that matches; its match. The process must not end before."""
		found = []

		def look():
			nonlocal start
			while start < len(self.lines):
				found[:] = filter(None, [re.search(pattern, self.lines[start])])
				start += 1
				if found:
					return True
			return self._ended

		with self.changed:
			self.changed.wait_for(look, limit)
		if not found:
			tail = ' | '.join(self.lines[-5:])
			how = f'ended with code {self.child.poll()}' if self._ended else f'said nothing for {limit} s'
			raise Failed(f'{self.name}: waiting for {pattern!r}, it {how}; last lines: {tail}')
		return found[0]

	def poll(self, question, limit, what):
		"""Ask until the answer is true; in between, wait for a line of output or a tenth of a second."""
		end = time.monotonic() + limit
		while True:
			answer = question()
			if answer:
				return answer
			if time.monotonic() > end:
				raise Failed(f'{what}: not within {limit} s, last answer {answer!r}')
			with self.changed:
				self.changed.wait(0.1)

	def wait(self, limit):
		"""Wait for the end; the exit code."""
		try:
			code = self.child.wait(limit)
		except subprocess.TimeoutExpired:
			raise Failed(f'{self.name} did not end within {limit} s') from None
		self._reader.join(5)
		return code

	def stop(self, limit=10, sig=signal.SIGTERM):
		"""Ask to end; the exit code. A process that does not end is killed and that is a failure."""
		if self.child.poll() is None:
			self.child.send_signal(sig)
		try:
			return self.wait(limit)
		except Failed:
			self.child.kill()
			self.child.wait()
			raise
		finally:
			self._log.flush()
