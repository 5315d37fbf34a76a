"""Addresses and ports that no other test uses: each process has a 127.x.y.0/24 of its own."""

import ctypes
import fcntl
import os
import socket
import struct

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SIOCSIFFLAGS, IFF_UP_RUNNING = 0x8914, 0x41


def host(n):
	"""Address `n` (1..254) of this test process. Processes alive at once differ in the low pid bits."""
	pid = os.getpid() % (253 * 256)
	return f'127.{1 + pid // 256}.{pid % 256}.{n}'


def free_port(addr, kind=socket.SOCK_STREAM):
	with socket.socket(socket.AF_INET, kind) as s:
		s.bind((addr, 0))
		return s.getsockname()[1]


def udp_free(addr, port):
	with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
		try:
			s.bind((addr, port))
		except OSError:
			return False
	return True


def private_network():
	"""Move this process into a network of its own with only a loopback; False when not allowed."""
	libc = ctypes.CDLL(None, use_errno=True)
	if libc.unshare(CLONE_NEWNET) and libc.unshare(CLONE_NEWUSER | CLONE_NEWNET):
		return False
	with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
		fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack('16sh14x', b'lo', IFF_UP_RUNNING))
	return True
