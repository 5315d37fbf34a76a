"""SIPp as caller and callee: its own scenarios (uac, uas) or a file of tests/integration/sipp/."""

import csv
import os
import shutil

from .process import Process
from .verdict import Failed, Skipped, equal, ok

SCENARIOS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'sipp')


class Sipp:
	def __init__(self, folder, name, scenario, addr, target=None, port=5060, args=()):
		if not shutil.which('sipp'):
			raise Skipped('sipp is not installed')
		self.name = name
		self.stat = os.path.join(folder, f'{name}.csv')
		self.errors = os.path.join(folder, f'{name}.errors')
		file = os.path.join(SCENARIOS, scenario + '.xml')
		which = ['-sf', file] if os.path.exists(file) else ['-sn', scenario]
		argv = ['sipp', *which, '-i', addr, '-p', str(port), '-mi', addr, '-nostdin', '-trace_stat', '-stf', self.stat,
			'-fd', '1', '-trace_err', '-error_file', self.errors, *args]
		if target:
			argv.append(f'{target[0]}:{target[1]}')
		self.process = Process(argv, os.path.join(folder, f'{name}.log'), name, cwd=folder,
			env={**os.environ, 'TERM': 'dumb'})

	def counts(self):
		"""Calls so far, by outcome."""
		with open(self.stat, encoding='utf-8') as f:
			last = list(csv.DictReader(f, delimiter=';'))[-1]
		return {n: int(last[c]) for n, c in
			(('made', 'TotalCallCreated'), ('good', 'SuccessfulCall(C)'), ('bad', 'FailedCall(C)'))}

	def unexpected(self):
		if not os.path.exists(self.errors):
			return []
		with open(self.errors, encoding='utf-8', errors='replace') as f:
			return [line.strip() for line in f if 'nexpected' in line or 'Aborting' in line or 'Dead call' in line]

	def wait(self, limit, calls):
		"""Wait for the end of a caller: all calls good, nothing unexpected."""
		code = self.process.wait(limit)
		equal(self.unexpected()[:3], [], f'{self.name}: unexpected messages')
		if code != 0:
			raise Failed(f'{self.name} ended with code {code}: {self.counts()}')
		equal(self.counts(), {'made': calls, 'good': calls, 'bad': 0}, f'{self.name}: calls')

	def stop(self):
		"""End it if it still runs; a callee ends only so."""
		if self.process.child.poll() is None:
			self.process.child.kill()
			self.process.child.wait()


def uac(folder, addr, target, calls, rate, name='uac', scenario='uac', port=5060, args=()):
	return Sipp(folder, name, scenario, addr, target, port,
		args=('-m', str(calls), '-r', str(rate), '-l', str(max(100, 4 * rate)), *args))


def uas(folder, addr, name='uas', scenario='uas', args=()):
	s = Sipp(folder, name, scenario, addr, args=args)
	ready(s, addr)
	return s


def ready(sipp, addr, port=5060):
	"""Wait until its socket is there."""
	want = ':'.join(('%02X' * 4 % tuple(int(n) for n in reversed(addr.split('.'))), f'{port:04X}'))

	def bound():
		ok(sipp.process.child.poll() is None, f'{sipp.name} did not start: {sipp.process.lines[-3:]}')
		with open('/proc/net/udp', encoding='ascii') as f:
			return want in f.read()

	sipp.process.poll(bound, 5, f'{sipp.name} to listen')
