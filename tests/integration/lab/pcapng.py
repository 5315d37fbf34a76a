"""pcapng files as far as the engine writes them: raw IP, UDP, comments. Every length and checksum is verified."""

import collections
import ipaddress
import struct

from .verdict import equal, ok

Packet = collections.namedtuple('Packet', 'time source target data comment')


def _sum16(data):
	data += b'\0' * (len(data) % 2)
	total = sum(struct.unpack(f'>{len(data) // 2}H', data))
	while total >> 16:
		total = (total & 0xffff) + (total >> 16)
	return total


def _udp(data, whole):
	"""(source, target, payload) of a raw IP packet; `whole`: nothing of it was cut."""
	version = data[0] >> 4
	if version == 4:
		equal(_sum16(data[:20]), 0xffff, 'checksum of an IPv4 header')
		equal(data[9], 17, 'protocol')
		length, ends, rest = struct.unpack('>H', data[2:4])[0], (data[12:16], data[16:20]), data[20:]
	else:
		equal(version, 6, 'IP version')
		length, ends, rest = struct.unpack('>H', data[4:6])[0] + 40, (data[8:24], data[24:40]), data[40:]
	sport, dport, udp, _ = struct.unpack('>4H', rest[:8])
	if whole:
		equal(length, len(data), 'length of the IP packet')
		equal(udp, len(rest), 'length of the UDP packet')
		if version == 6:
			pseudo = ends[0] + ends[1] + struct.pack('>II', udp, 17)
			equal(_sum16(pseudo + rest), 0xffff, 'checksum of a UDP packet over IPv6')
	source, target = (str(ipaddress.ip_address(e)) for e in ends)
	return (source, sport), (target, dport), rest[8:]


def _comment(options):
	comment = ''
	while options:
		code, n = struct.unpack('<HH', options[:4])
		if code == 0:
			equal(len(options), 4, 'what follows the end of options')
			break
		if code == 1:
			comment = options[4:4 + n].decode()
		options = options[4 + (n + 3) // 4 * 4:]
	return comment


def read(path):
	with open(path, 'rb') as f:
		data = f.read()
	packets, kinds = [], []
	while data:
		kind, length = struct.unpack('<II', data[:8])
		ok(length % 4 == 0 and 12 <= length <= len(data), f'length {length} of a block')
		equal(struct.unpack('<I', data[length - 4:length])[0], length, 'length behind a block')
		body, data = data[8:length - 4], data[length:]
		kinds.append(kind)
		if kind == 0x0a0d0d0a:
			equal(struct.unpack('<IHHq', body), (0x1a2b3c4d, 1, 0, -1), 'section header')
		elif kind == 1:
			equal(struct.unpack('<HHI', body), (101, 0, 0), 'interface')
		else:
			equal(kind, 6, 'kind of block')
			interface, high, low, captured, original = struct.unpack('<5I', body[:20])
			equal(interface, 0, 'interface of a packet')
			at = 20 + (captured + 3) // 4 * 4
			parts = _udp(body[20:20 + captured], captured == original)
			packets.append(Packet(((high << 32) + low) / 1e6, *parts, _comment(body[at:])))
	equal(kinds[:2], [0x0a0d0d0a, 1], 'first blocks')
	return packets
