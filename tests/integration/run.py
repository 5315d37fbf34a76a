#!/usr/bin/env python3
"""Run the integration tests: each in a process of its own, with a time limit.

Prints one line a test (`ok`, `FAIL` or `skip`), `proves: ROW` for what a passed one
proves, and at the end `N passed, N failed[, N skipped]`. What a failed test leaves
(logs, configuration) stays in BUILD/integration/NAME.
"""

import argparse
import concurrent.futures
import glob
import importlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

from lab import case, net, verdict  # noqa: E402 (needs the path)

SANITIZERS = {'ASAN_OPTIONS': 'detect_leaks=1', 'UBSAN_OPTIONS': 'print_stacktrace=1',
	'TSAN_OPTIONS': 'second_deadlock_stack=1'}
PASSED, FAILED, SKIPPED = 0, 1, 77


def discover():
	"""All tests as {FILE.FUNCTION: function}."""
	for path in sorted(glob.glob(os.path.join(HERE, 'test_*.py'))):
		importlib.import_module(os.path.basename(path)[:-3])
	return {f'{fn.__module__[5:]}.{fn.__name__}': fn for fn in case.tests}


def sanitizer_of(build):
	"""What the build folder was configured with."""
	try:
		with open(os.path.join(build, 'config.log'), encoding='utf-8', errors='replace') as f:
			head = f.read(20000)
	except OSError:
		return None
	return next((s for s in ('address', 'thread') if f'--enable-sanitizer={s}' in head), None)


def selected(tests, args, sanitizer):
	rank = case.LEVELS.index(args.level)
	for name, fn in tests.items():
		if args.only:
			if any(o in name for o in args.only):
				yield name
		elif case.LEVELS.index(fn.level) <= rank and (fn.sanitizers or not sanitizer):
			yield name


def child(name, fn, build, folder):
	"""The test itself, in its own process: prints its reason or its rows."""
	if fn.alone and not net.private_network() and not net.udp_free('0.0.0.0', 5060):
		print('port 5060 is taken, and no network of its own is allowed')
		return SKIPPED
	try:
		with case.Case(build, folder, sanitizer_of(build)) as c:
			fn(c)
	except verdict.Failed as e:
		print(e)
		if isinstance(e.__context__, verdict.Failed):
			print(f'after: {e.__context__}')
			e = e.__context__
		for f in traceback.extract_tb(e.__traceback__):
			if f.filename.startswith(HERE) and os.path.dirname(f.filename) == HERE and f.name != 'child':
				print(f'  at {os.path.basename(f.filename)}:{f.lineno}: {f.line}')
		return FAILED
	except verdict.Skipped as e:
		print(e)
		return SKIPPED
	except Exception:  # a mistake of the test, or a peer that vanished: all of it is wanted
		traceback.print_exc(file=sys.stdout)
		return FAILED
	for row in dict.fromkeys(c.rows):
		print(f'proves: {row}')
	return PASSED


class Runner:
	def __init__(self, args, tests):
		self.args, self.tests = args, tests
		self.build = os.path.abspath(args.build)
		self.folder = os.path.join(self.build, 'integration')
		self.printing = threading.Lock()
		self.results = []

	def one(self, name):
		folder = os.path.join(self.folder, name)
		shutil.rmtree(folder, ignore_errors=True)
		os.makedirs(folder)
		begin = time.monotonic()
		code, text = self._spawn(name, folder)
		self._tell(name, code, text, time.monotonic() - begin)
		self.results.append(code)
		if code == PASSED and not self.args.keep:
			shutil.rmtree(folder, ignore_errors=True)

	def _spawn(self, name, folder):
		"""Run it in a process group of its own, which ends with it."""
		limit = self.tests[name].limit * (4 if sanitizer_of(self.build) else 1)
		argv = [sys.executable, os.path.abspath(__file__), '--build', self.build, '--child', name, folder]
		out = os.path.join(folder, 'test.out')
		with open(out, 'w', encoding='utf-8') as f:
			p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=f, stderr=f, start_new_session=True,
				env={**SANITIZERS, **os.environ})
			try:
				code, late = p.wait(limit), ''
			except subprocess.TimeoutExpired:
				code, late = FAILED, f'time limit of {limit} s reached\n'
			try:
				os.killpg(p.pid, signal.SIGKILL)
			except ProcessLookupError:
				pass
			p.wait()
		with open(out, encoding='utf-8', errors='replace') as f:
			return code, f.read() + late

	def _tell(self, name, code, text, seconds):
		word = {PASSED: 'ok  ', SKIPPED: 'skip'}.get(code, 'FAIL')
		with self.printing:
			print(f'{word} {name} ({seconds:.1f} s)')
			for line in text.splitlines():
				print(line if line.startswith('proves: ') else f'     {line}')
			if word == 'FAIL':
				print(f'     logs in {os.path.join(self.folder, name)}')
			sys.stdout.flush()

	def many(self, names):
		for name in names:
			self.one(name)

	def run(self, names):
		"""Heavy tests are one thread's work, light ones the others'; those that want to be alone come last."""
		heavy = [n for n in names if self.tests[n].heavy]
		alone = [n for n in names if self.tests[n].alone]
		with concurrent.futures.ThreadPoolExecutor(self.args.jobs) as pool:
			work = [pool.submit(self.many, heavy)]
			work += [pool.submit(self.one, n) for n in names if n not in heavy and n not in alone]
		for w in work:
			w.result()
		self.many(alone)
		passed, skipped = self.results.count(PASSED), self.results.count(SKIPPED)
		failed = len(self.results) - passed - skipped
		print(f'{passed} passed, {failed} failed' + (f', {skipped} skipped' if skipped else ''))
		return 1 if failed else 0


def main():
	p = argparse.ArgumentParser(description='Run the integration tests.')
	p.add_argument('--build', default='build', help='build folder')
	p.add_argument('--level', choices=case.LEVELS, default='normal')
	p.add_argument('--only', action='append', help='tests with this in their name')
	p.add_argument('--jobs', type=int, default=4, help='tests at once: most of them wait')
	p.add_argument('--keep', action='store_true', help='keep the folders of passed tests too')
	p.add_argument('--list', action='store_true')
	p.add_argument('--child', nargs=2, metavar=('NAME', 'FOLDER'), help=argparse.SUPPRESS)
	args = p.parse_args()
	tests = discover()
	if args.child:
		return child(args.child[0], tests[args.child[0]], os.path.abspath(args.build), args.child[1])
	names = list(selected(tests, args, sanitizer_of(args.build)))
	if args.list:
		print('\n'.join(names))
		return 0
	return Runner(args, tests).run(names)


if __name__ == '__main__':
	sys.exit(main())
