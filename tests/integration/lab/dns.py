"""A name server over UDP and TCP: a table of answers, in a thread of its own."""

import selectors
import socket
import struct
import threading

TYPES = {'A': 1, 'AAAA': 28, 'SRV': 33}
NO_ERROR, NAME_ERROR = 0, 3


def wire_name(name):
	return b''.join(bytes([len(part)]) + part.encode() for part in name.split('.')) + b'\0'


def wire_data(kind, text):
	if kind == 'A':
		return socket.inet_pton(socket.AF_INET, text)
	if kind == 'AAAA':
		return socket.inet_pton(socket.AF_INET6, text)
	priority, weight, port, target = text.split()
	return struct.pack('!HHH', int(priority), int(weight), int(port)) + wire_name(target)


class Names:
	"""`records` maps (name, type) to a list of texts; names in `silent` are never answered,
	those in `long` over TCP only."""

	def __init__(self, addr, records, silent=(), long=(), ttl=60):
		self.records, self.silent, self.long, self.ttl = records, silent, long, ttl
		self.asked, self.asked_tcp = [], []	# (name, type) in order
		self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		self.sock.bind((addr, 0))
		self.addr = self.sock.getsockname()
		self.tcp = socket.create_server(self.addr)
		self._thread = threading.Thread(target=self._run, daemon=True)
		self._thread.start()

	@property
	def conf(self):
		return f'{self.addr[0]}:{self.addr[1]}'

	def _run(self):
		wait = selectors.DefaultSelector()
		wait.register(self.sock, selectors.EVENT_READ)
		wait.register(self.tcp, selectors.EVENT_READ)
		while True:
			for key, _ in wait.select():
				if key.fileobj is self.tcp:
					self._serve_tcp()
					continue
				data, peer = self.sock.recvfrom(4096)
				if len(data) < 12:
					return	# close()
				reply = self._reply(data)
				if reply:
					self.sock.sendto(reply, peer)

	def _serve_tcp(self):
		"""One question of one connection."""
		with self.tcp.accept()[0] as c:
			c.settimeout(2)
			data = c.recv(2, socket.MSG_WAITALL)
			reply = self._reply(c.recv(struct.unpack('!H', data)[0], socket.MSG_WAITALL), self.asked_tcp)
			c.sendall(struct.pack('!H', len(reply)) + reply)

	def _reply(self, data, asked=None):
		asked = self.asked if asked is None else asked
		labels, at = [], 12
		while data[at]:
			labels.append(data[at + 1:at + 1 + data[at]].decode())
			at += 1 + data[at]
		name, number = '.'.join(labels).lower(), struct.unpack_from('!H', data, at + 1)[0]
		kind = next((k for k, n in TYPES.items() if n == number), str(number))
		asked.append((name, kind))
		if any(name == s or name.endswith('.' + s) for s in self.silent):
			return None
		found = self.records.get((name, kind), ())
		if name in self.long and asked is self.asked:
			return data[:2] + struct.pack('!HHHHH', 0x8380, 1, 0, 0, 0) + data[12:at + 5]	# truncated
		code = NO_ERROR if any(n == name for n, _ in self.records) else NAME_ERROR
		records = [wire_data(kind, text) for text in found]
		return (data[:2] + struct.pack('!HHHHH', 0x8180 | code, 1, len(records), 0, 0) + data[12:at + 5]
			+ b''.join(struct.pack('!HHHIH', 0xc00c, number, 1, self.ttl, len(r)) + r for r in records))

	def close(self):
		with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
			s.sendto(b'', self.addr)
		self._thread.join(5)
		self.sock.close()
		self.tcp.close()
