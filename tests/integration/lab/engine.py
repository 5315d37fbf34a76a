"""The engine as a process: written configuration, start, console, what it printed, clean stop."""

import os
import re
import shutil

from . import net, sniff
from .console import Console
from .process import Process
from .verdict import Failed, equal, ok

REPORT = re.compile(r'(ERROR|WARNING): (Address|Leak|Thread|UndefinedBehavior)Sanitizer|: runtime error: |'
	r'[Aa]ssertion .*failed')
SIP_PORT = 5060


class Engine:
	"""`conf` maps file names to texts; ysipchan.conf, rmanager.conf ... may be left to site()."""

	def __init__(self, build, folder, conf, addr=None, console_port=None, args=(), name='engine'):
		self.addr = addr or net.host(1)
		self.name = name
		self.folder = os.path.join(folder, name)
		self.conf = os.path.join(self.folder, 'conf')
		os.makedirs(self.conf, exist_ok=True)
		self.console_addr = (self.addr, console_port or 5038)
		for file, text in conf.items():
			self.write(file, text)
		self.program = os.path.join(build, 'engine', 'patchbay')
		ok(os.access(self.program, os.X_OK), f'{self.program} is not built')
		self.args = args
		self.process = None
		self._console = None

	def write(self, file, text):
		path = os.path.join(self.conf, file)
		if os.path.isabs(text) and os.path.exists(text):
			shutil.copy(text, path)
			return
		with open(path, 'w', encoding='utf-8') as f:
			f.write(text)

	def start(self, limit=20):
		argv = [self.program, 'run', '-c', self.conf, *self.args]
		self.process = Process(argv, os.path.join(self.folder, 'log'), self.name, cwd=self.folder)
		# Not the sniffer's line about it, which may come first.
		self.process.expect(r"(?<!')Patchbay engine is initialized", limit)
		return self

	def run_out(self, limit=30):
		"""Start what must end by itself: exit code and output."""
		self.process = Process([self.program, 'run', '-c', self.conf], os.path.join(self.folder, 'log'), self.name,
			cwd=self.folder)
		try:
			return self.process.wait(limit), '\n'.join(self.process.lines)
		finally:
			self.process.child.kill()

	@property
	def sip(self):
		return self.addr, SIP_PORT

	@property
	def console(self):
		if not self._console:
			self._console = self.new_console()
		return self._console

	def new_console(self):
		try:
			return Console(self.console_addr)
		except OSError as e:
			raise Failed(f'console {self.console_addr}: {e}') from None

	def status(self, name):
		found = self.console.status(name)
		ok(found, f'status {name} says nothing')
		return found[0]

	def idle(self, limit=10):
		"""Wait until no channel, routing or transaction is left; transactions live 64 times T1."""
		self._zero(('routing', 'chans', 'transactions'), limit)

	def no_calls(self, limit=10):
		self._zero(('routing', 'chans'), limit)

	def _zero(self, names, limit):
		def zero():
			s = self.status('sip')
			return not any(s.count(n) for n in names)

		self.process.poll(zero, limit, f'status sip back at zero ({", ".join(names)})')

	def sniffed(self, name=None, done=None, start=0):
		"""Messages that the sniffer printed, in order."""
		return [m for m in sniff.parse(self.process.lines[start:])
			if (name is None or m.name == name) and (done is None or m.done == done)]

	def wait_sniffed(self, name, limit=5, done=True, where=lambda m: True):
		"""Wait for the sniffer to print such a message."""
		def look():
			return [m for m in self.sniffed(name, done) if where(m)]

		return self.process.poll(look, limit, f"sniffer to print '{name}'")[0]

	def threads(self):
		return len(os.listdir(f'/proc/{self.process.pid}/task'))

	def descriptors(self):
		return len(os.listdir(f'/proc/{self.process.pid}/fd'))

	def resident_kb(self):
		with open(f'/proc/{self.process.pid}/status', encoding='ascii') as f:
			return next(int(line.split()[1]) for line in f if line.startswith('VmRSS:'))

	def cdrs(self):
		"""Lines of cdrfile's default format: one dict a leg."""
		path = os.path.join(self.folder, 'cdr.tsv')
		names = ('time', 'billid', 'chan', 'address', 'caller', 'called', 'billtime', 'ringtime', 'duration',
			'direction', 'status', 'reason')
		if not os.path.exists(path):
			return []
		with open(path, encoding='utf-8') as f:
			return [dict(zip(names, line.rstrip('\n').split('\t'))) for line in f if line.endswith('\n')]

	def wait_cdrs(self, n, limit=10):
		self.process.poll(lambda: len(self.cdrs()) >= n, limit, f'{n} lines of call records')
		return self.cdrs()

	def alive(self):
		ok(self.process.child.poll() is None, f'{self.name} ended with code {self.process.child.poll()}')

	def stop(self):
		if not self.process:
			return
		if self._console:
			self._console.close()
		code = self.process.stop()
		self.clean()
		equal(code, 0, f'exit code of {self.name}')

	def clean(self):
		for line in self.process.lines:
			if REPORT.search(line):
				raise Failed(f'{self.name}: {line.strip()}')


def site(addr, users=('100', '101'), sip='', route='', extra=None, sniffer=True, loops=2, t1=100):
	"""A small site on `addr`: users N with password passN, fast timers, call records, console."""
	conf = {
		'ysipchan.conf': f'[general]\naddr={addr}\nport={SIP_PORT}\nt1={t1}\ngenerate=yes\nmaxpkt=4096\n{sip}\n'
			'[methods]\nmessage=yes\n',
		'rmanager.conf': f'[general]\naddr={addr}\nport=5038\n',
		'regfile.conf': ''.join(f'[{u}]\npassword=pass{u}\n' for u in users),
		'regexroute.conf': '[priorities]\nroute=90\n' + route,
		'cdrfile.conf': '[general]\nfile=cdr.tsv\n',
		'engine.cfg': f'loops = {{ calls = {loops}; }};\n',
		'yate.conf': f'[general]\nmsgsniff={"yes" if sniffer else "no"}\n',
	}
	conf.update(extra or {})
	return conf
