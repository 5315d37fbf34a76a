"""baresip, driven over its ctrl_tcp module (netstrings of JSON): commands, answers, events."""

import json
import os
import shutil
import socket
import threading

from .process import Process
from .verdict import Failed, Skipped, ok

MODULES = '/usr/lib/baresip/modules'
CONFIG = '''poll_method epoll
sip_listen {addr}:{port}
net_interface {addr}
call_local_timeout {ring}
call_max_calls {calls}
audio_player aufile,{folder}/play.wav
audio_source ausine,400
ausrc_srate 48000
ausrc_channels 2
audio_alert aufile,{folder}/alert.wav
ringback_disabled yes
rtp_ports 20000-29998
jitter_buffer_delay 5-10
rtp_stats no
module_path {modules}
module g711.so
module ausine.so
module aufile.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen {addr}:4444
'''


class Baresip:
	"""A phone of `user` at `addr`; with a server it registers there at start."""

	def __init__(self, folder, user, addr, server=None, password=None, account='', ring=120, port=5060, calls=8):
		if not shutil.which('baresip'):
			raise Skipped('baresip is not installed')
		self.user, self.addr = user, addr
		self.folder = os.path.join(folder, f'baresip-{user}')
		os.makedirs(self.folder, exist_ok=True)
		self.domain = server or addr
		line = f'<sip:{user}@{self.domain}>;auth_pass={password or ""};regint={300 if server else 0}'
		self._write('accounts', f'{line};answermode=manual{account}\n')
		self._write('contacts', '')
		self._write('config', CONFIG.format(addr=addr, folder=self.folder, modules=MODULES, ring=ring,
			port=port, calls=calls))
		self.events = []
		self._answers = {}
		self._changed = threading.Condition()
		self._tokens = 0
		self.process = Process(['baresip', '-v', '-s', '-f', self.folder], os.path.join(self.folder, 'log'),
			f'baresip {user}')
		self.process.expect(r'baresip is ready', 15)
		self._sock = socket.create_connection((addr, 4444), timeout=5)
		self._sock.settimeout(None)
		threading.Thread(target=self._read, daemon=True).start()

	def _write(self, file, text):
		with open(os.path.join(self.folder, file), 'w', encoding='utf-8') as f:
			f.write(text)

	def _read(self):
		buffer = b''
		while True:
			try:
				data = self._sock.recv(65536)
			except OSError:
				return
			if not data:
				return
			buffer = self._packets(buffer + data)

	def _packets(self, buffer):
		"""Take whole netstrings (`LENGTH:TEXT,`); what is left."""
		while b':' in buffer:
			length, _, rest = buffer.partition(b':')
			if len(rest) <= int(length):
				break
			packet, buffer = json.loads(rest[:int(length)]), rest[int(length) + 1:]
			with self._changed:
				if packet.get('event'):
					self.events.append(packet)
				else:
					self._answers[packet.get('token')] = packet
				self._changed.notify_all()
		return buffer

	def cmd(self, command, params=None, limit=5):
		"""A command of baresip's menu (`dial`, `accept`, `hangup`, `reginfo`); what it printed."""
		self._tokens += 1
		token = str(self._tokens)
		text = json.dumps({'command': command, 'params': params or '', 'token': token}).encode()
		self._sock.sendall(b'%d:%s,' % (len(text), text))
		with self._changed:
			got = self._changed.wait_for(lambda: token in self._answers, limit)
		ok(got, f'baresip {self.user}: no answer to {command}')
		answer = self._answers.pop(token)
		ok(answer.get('ok'), f'baresip {self.user}: {command} {params}: {answer.get("data")}')
		return answer.get('data', '')

	def mark(self):
		with self._changed:
			return len(self.events)

	def event(self, kind, limit=10, start=0):
		"""Wait for an event (`CALL_INCOMING`, `CALL_CLOSED` ...) since mark `start`."""
		with self._changed:
			def look():
				return next((e for e in self.events[start:] if e.get('type') == kind), None)
			found = self._changed.wait_for(look, limit)
			seen = [e.get('type') for e in self.events[start:]]
		if not found:
			raise Failed(f'baresip {self.user}: no {kind} within {limit} s; there were {seen}')
		return found

	def registered(self, limit=10):
		"""From its output: the event may come before the control connection."""
		self.process.expect(r'\{0/UDP/v4\} 200 OK', limit)

	def dial(self, number):
		self.cmd('dial', number if '@' in number else f'sip:{number}@{self.domain}')

	def accept(self):
		self.cmd('accept')

	def hangup(self):
		self.cmd('hangup')

	def closed(self, limit=10, start=0):
		"""Wait for the end of a call: its reason as baresip says it ("486 Busy Here")."""
		return self.event('CALL_CLOSED', limit, start).get('param', '')

	def kill(self):
		"""Gone without a word."""
		self._sock.close()
		self.process.child.kill()
		self.process.child.wait()

	def stop(self):
		if self.process.child.poll() is None:
			self.process.child.terminate()
			try:
				self.process.wait(5)
			except Failed:
				self.kill()
		self._sock.close()
