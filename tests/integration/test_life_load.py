"""The configuration is read again and again under load, every third time with a broken file."""

import os
import re
import subprocess
import threading
import time

from lab.case import test
from lab.engine import site
from lab.verdict import contains, equal, ok

RATE = 100	# calls a second
PACE = 0.1	# seconds from one reload to the next
T1 = 200


def rules(t, n):
	"""Routes to the callee at host 3; `n` rules before it make each set another."""
	return '[priorities]\nroute=90\n[default]\n' + ''.join(f'^9{i:03}$=-;no such number\n' for i in range(n % 50)) \
		+ f'.*=sip/sip:service@{t.host(3)}:5060\n'


def broken_pattern(t, n):
	"""A pattern with a group that is never closed, behind the good rules."""
	text = rules(t, n)
	return 'regexroute.conf', text + '^\\(7=sip/x\n', text.count('\n') + 1


def broken_require(t, n):
	"""A file that asks for one that is not there."""
	text = site(t.host(1), t1=T1)['ysipchan.conf']
	return 'ysipchan.conf', text + '\n' * (n % 7) + '[$require nowhere.conf]\n', text.count('\n') + n % 7 + 1


BROKEN = (broken_pattern, broken_require)



class Reloads:
	"""Reloads one after the other, each seen to its end in the log."""

	def __init__(self, t, engine):
		self.t, self.e = t, engine
		self.taken = self.refused = 0
		self.good = site(t.host(1), sniffer=False, t1=T1)

	def one(self, n):
		if n % 3 == 2:
			self.broken(n, *BROKEN[n // 3 % len(BROKEN)](self.t, n))
		else:
			self.e.write('regexroute.conf', rules(self.t, n))
			self.reload('configuration reloaded')
			self.taken += 1

	def broken(self, n, file, text, line):
		self.e.write(file, text)
		mark = self.reload('reload refused')
		said = [s for s in self.e.process.lines[mark:] if re.search(rf'{re.escape(file)}:{line}:\d+: error: ', s)]
		ok(said, f'reload {n}: the refusal names {file}:{line}; it says {self.e.process.lines[mark:]}')
		self.e.write(file, rules(self.t, n) if file == 'regexroute.conf' else self.good[file])
		self.refused += 1

	def reload(self, outcome):
		"""The place in the log where it began."""
		mark = self.e.process.mark()
		contains(self.e.console.cmd('reload'), 'Reinitializing', 'answer to reload')
		found = self.e.process.expect('configuration reloaded|reload refused', 20, mark)
		ok(re.search(outcome, found.string), f'reload: {found.string!r}, not {outcome!r}')
		return mark


def under_load(t, rounds, reloads):
	"""That many reloads while calls go on, `rounds` times; resident kB at rest after each."""
	e = t.engine(site(t.host(1), sniffer=False, t1=T1, extra={'regexroute.conf': rules(t, 0)}))
	uas, threads = t.uas(3), e.threads()
	r, sizes = Reloads(t, e), []
	for n in range(rounds):
		one_round(t, e, r, range(n * reloads, (n + 1) * reloads))
		sizes.append((e.resident_kb(), e.descriptors()))
	equal(uas.unexpected(), [], 'unexpected messages of the callee')
	equal((r.taken, r.refused), (rounds * reloads - rounds * reloads // 3, rounds * reloads // 3), 'reloads taken and refused')
	equal(e.threads(), threads, 'threads afterwards')
	equal([n for _, n in sizes], [sizes[0][1]] * rounds, 'descriptors after each round')
	return [kb for kb, _ in sizes]


def one_round(t, e, reloads, numbers):
	"""The calls outlast the reloads; then all comes to rest."""
	calls = int(RATE * len(numbers) * PACE * 1.2)
	uac = t.uac(2, e.sip, calls, RATE, name=f'uac{numbers[0]}')
	ended = threading.Event()
	threading.Thread(target=lambda: (uac.process.child.wait(), ended.set()), daemon=True).start()
	begin = time.monotonic()
	for n in numbers:
		reloads.one(n)
		ended.wait(max(0, begin + (n - numbers[0] + 1) * PACE - time.monotonic()))
	ok(not ended.is_set(), f'calls while all of {len(numbers)} reloads were made')
	uac.wait(60, calls)
	e.idle(30)


@test(limit=150, heavy=True)
def hundred_reloads(t):
	kb = under_load(t, 2, 51)
	ok(t.sanitizer or kb[1] < kb[0] + 1024, f'resident memory stays: {kb} kB')


@test(limit=900, level='soak', sanitizers=False, heavy=True)
def thousand_reloads(t):
	kb = under_load(t, 4, 252)
	print(f'resident after each 252 reloads: {kb} kB')
	ok(kb[3] < kb[1] + 512, f'resident memory stays: {kb} kB')


def soak(t, program, limit):
	"""A test program of the build folder, in its long form."""
	path = os.path.join(t.build, 'tests', 'simulation', program)
	ok(os.access(path, os.X_OK), f'{path} is not built')
	p = subprocess.run([path, '--soak'], capture_output=True, text=True, timeout=limit, check=False)
	print(p.stdout.strip()[-2000:])
	ok(p.returncode == 0, f'{program} ended with code {p.returncode}: {p.stderr[-2000:]}')


@test(limit=900, level='soak', heavy=True)
def explore_deeper(t):
	"""One step deeper than `make check` goes."""
	soak(t, 'explore/explore', 900)


@test(limit=600, level='soak', sanitizers=False, heavy=True)
def whole_day(t):
	"""One message a millisecond, for a simulated day."""
	soak(t, 'day', 600)
