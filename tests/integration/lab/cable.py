"""A network of the test's own: a cable between this process and a far host on the same machine."""

import concurrent.futures
import ctypes
import os
import shutil
import subprocess
import threading

from . import net
from .verdict import Skipped

HERE, FAR = '10.9.0.1', '10.9.0.2'


class Cable:
	"""
	`v0` with address HERE in a network that this process has moved to (so: make it before anything else),
	`v1` with address FAR in one that a thread of its own lives in.
	"""

	def __init__(self):
		if not shutil.which('ip'):
			raise Skipped('ip (iproute2) is not installed')
		if not net.private_network():
			raise Skipped('no network of its own is allowed here')
		self._far = concurrent.futures.ThreadPoolExecutor(1)
		place = self.far(self._move)
		self.ip('link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1', 'netns', place)
		self.ip('addr', 'add', f'{HERE}/24', 'dev', 'v0')
		self.ip('link', 'set', 'v0', 'up')
		self.far_ip('addr', 'add', f'{FAR}/24', 'dev', 'v1')
		self.far_ip('link', 'set', 'v1', 'up')

	@staticmethod
	def _move():
		if ctypes.CDLL(None, use_errno=True).unshare(net.CLONE_NEWNET):
			raise Skipped('no second network is allowed here')
		return f'/proc/{os.getpid()}/task/{threading.get_native_id()}/ns/net'

	def far(self, fn, *args):
		"""Call fn where the far host is: sockets that it makes stay there."""
		return self._far.submit(fn, *args).result()

	def ip(self, *args):
		done = subprocess.run(['ip', *args], capture_output=True, text=True, check=False)
		if done.returncode:
			raise Skipped(f'ip {" ".join(args)}: {done.stderr.strip()}')

	def far_ip(self, *args):
		self.far(self.ip, *args)
