"""Start, supervision, signals, stop: the engine as its operator meets it."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time

from lab.case import test
from lab.engine import site
from lab.process import Process
from lab.verdict import Failed, Skipped, contains, equal, ok

READY = r'^Patchbay engine is initialized and starting up on '
WATCHDOG = 'watchdog = { warn = "400ms"; kill = "0s"; };\n'


def faulty(t, *args, extra=None, start=True, **site_args):
	"""An engine with the module that misbehaves when told to."""
	args = ('-x', os.path.join(t.build, 'tests', 'fault', '.libs'), *args)
	return t.engine(site(t.host(1), extra=extra, **site_args), start=start, args=args)


def children(pid):
	with open(f'/proc/{pid}/task/{pid}/children', encoding='ascii') as f:
		return [int(p) for p in f.read().split()]


def child_of(e, limit=5):
	return e.process.poll(lambda: children(e.process.pid), limit, 'a child of the supervisor')[0]


def serves_again(t, e, since, limit=3):
	"""OPTIONS is answered within `limit` seconds of `since`; an address per try, so that late answers harm nobody."""
	phone = t.phone(e.sip, '100', 9)
	while time.monotonic() < since + limit:
		with contextlib.suppress(Failed):
			equal(phone.options(0.2).status, 200, 'answer to OPTIONS')
			return
	raise Failed(f'not serving again within {limit} s')


def program(t):
	return os.path.join(t.build, 'engine', 'patchbay')


def run(t, *args, limit=20, **how):
	"""Run to the end: exit code and output."""
	done = subprocess.run([program(t), *args], capture_output=True, text=True, timeout=limit, check=False, cwd=t.folder,
		**how)
	return done.returncode, done.stdout + done.stderr


def conf(t, extra=None, **how):
	"""A configuration folder for engines that are started by hand."""
	return t.engine(site(t.host(1), extra=extra, **how), start=False).conf


@contextlib.contextmanager
def started(argv, t, **how):
	"""A process that is no lab engine; killed at the end when it has not ended."""
	with subprocess.Popen(argv, cwd=t.folder, stdin=subprocess.DEVNULL, **how) as p:
		try:
			yield p
		finally:
			p.kill()


# ---- The command line


@test(level='fast')
def usage(t):
	"""Wrong words end with 1 and say what is wrong; help and version with 0."""
	for words, said in ((['run', '-z'], 'no option -z'), (['run', '-c'], '-c wants DIR'), (['run', '-p/run/x'], 'a blank'),
			(['run', '--what'], 'no option --what'), (['run', '-r'], '-r is for'), (['run', '-Dq'], 'no such letter'),
			(['run', '-Do', '-l', 'x'], 'for a terminal'), (['run', '-s=x'], 'milliseconds'), (['run', '-A', 'x'], 'processors'),
			(['check', '-d'], 'no option -d'), (['walk'], 'no subcommand walk'), (['-c', 'x'], 'no subcommand'), ([], 'is needed')):
		code, text = run(t, *words)
		equal(code, 1, f'exit code of {words}')
		contains(text, said, f'{words}')
	for words in (['-h'], ['run', '-h'], ['run', '--help'], ['check', '-vh']):
		code, text = run(t, *words)
		equal(code, 0, f'exit code of {words}')
		contains(text, '-s[=MSEC]', f'{words}')
	equal(run(t, 'run', '-V')[1], run(t, 'version')[1], 'version')


@test(level='fast')
def words(t):
	"""Clusters, values behind =, letters without meaning, -- and commands between options."""
	folder = conf(t, sniffer=False)
	code, text = run(t, 'run', 'version', '-vvqDFxmx', f'-c={folder}', '-N=here', '-F', '--', '-nonsense')
	equal(code, 1, 'two letters x')
	contains(text, 'starting up on here\n', 'node name')
	contains(text, 'Executing initial commands\nversion:  ', 'commands')
	contains(text, "<engine:WARN> Unrecognized command '-nonsense'", 'commands')
	contains(text, 'mean nothing here: mF', 'letters')
	ok(re.search(r'Patchbay \(\d+\) is starting \w+ \w+ +\d+ .*\nInitializing plugins\n(?:.*\n)*Initialization complete\n'
		r'(?:.*\n)*Patchbay engine is initialized and starting up on here\n(?:.*\n)*Patchbay engine is shutting down with '
		r'code 1\n(?:.*\n)*Patchbay \(\d+\) is stopping ', text), f'order of what it says: {text}')


@test(level='fast')
def refusals(t):
	"""What is missing is named in one line, with exit code 3; 2 for the configuration."""
	folder = conf(t, sniffer=False)
	for words, code, said in ((['-c', '/nowhere'], 2, 'configuration folder /nowhere: No such file'),
			(['-c', folder, '-w', '/nowhere'], 3, 'working folder /nowhere: No such file'),
			(['-c', folder, '-p', '/nowhere/pid'], 3, 'process number /nowhere/pid: No such file'),
			(['-c', folder, '-l', '/nowhere/log'], 3, 'log file /nowhere/log: No such file'),
			(['-c', folder, '-d', '-p', '/nowhere/pid'], 3, 'did not start')):
		got, text = run(t, 'run', *words)
		equal(got, code, f'exit code of {words}')
		contains(text, said, f'{words}')
	for kind, port, who in ((socket.SOCK_DGRAM, 5060, 'UDP'), (socket.SOCK_STREAM, 5038, 'TCP')):
		with socket.socket(socket.AF_INET, kind) as s:
			s.bind((t.host(1), port))
			if kind == socket.SOCK_STREAM:
				s.listen()
			for words in ([], ['-d', '-l', 'log']):
				code, text = run(t, 'run', '-c', folder, *words)
				equal(code, 3, f'{who} port taken: {words}')
				ok(re.search(rf'cannot start: .*{who} {t.host(1)}:{port}: Address already in use \(by \S+, process '
					rf'{os.getpid()}\)', text), f'{who} port taken: {text}')


@test(level='fast')
def second_engine(t):
	"""A second one with the same configuration says who is there already, and harms nobody."""
	e = t.engine(site(t.host(1), sniffer=False))
	code, text = run(t, 'run', '-c', e.conf)
	equal(code, 3, 'exit code of the second')
	contains(text, f':5060: Address already in use (by patchbay, process {e.process.pid})', 'what it says')
	equal(t.phone(e.sip, '100', 2).options().status, 200, 'OPTIONS to the first')
	t.proves('SY-02')


# ---- The background


@test(level='fast')
def background(t):
	"""-d returns when it serves; the pid file; SIGHUP opens the log anew and reloads."""
	e = t.engine(site(t.host(1)), start=False)
	code, text = run(t, 'run', '-d', '-c', e.conf, '-l', 'log', '-p', 'pid')
	equal((code, text), (0, ''), 'patchbay run -d')
	with open(t.path('pid'), encoding='ascii') as f:
		pid = int(f.read())
	t.later(lambda: kill(pid))
	equal(t.phone(e.sip, '100', 2).options().status, 200, 'OPTIONS at once')
	os.rename(t.path('log'), t.path('log.old'))
	os.kill(pid, signal.SIGHUP)
	wait_for_text(t.path('log'), 'configuration reloaded')
	contains(read(t.path('log.old')), 'initialized', 'the old file')
	os.kill(pid, signal.SIGTERM)
	wait_for_text(t.path('log'), 'is stopping')


def read(path):
	with open(path, encoding='utf-8', errors='replace') as f:
		return f.read()


def kill(pid):
	with contextlib.suppress(ProcessLookupError):
		os.kill(pid, signal.SIGKILL)


def wait_until(question, what, limit=5):
	"""For what no process of ours tells: files."""
	end = time.monotonic() + limit
	while not (answer := question()):
		if time.monotonic() > end:
			raise Failed(f'{what}: not within {limit} s')
		time.sleep(0.02)  # between two looks
	return answer


def wait_for_text(path, text, limit=5):
	return wait_until(lambda: os.path.exists(path) and text in read(path), f'{text!r} in {path}', limit)


# ---- The supervisor


@test()
def killed(t):
	"""kill -9: serving again within 3 s; how often, and after what, is in status."""
	e = faulty(t, '-s')
	first = child_of(e)
	begin = time.monotonic()
	os.kill(first, signal.SIGKILL)
	e.process.expect(rf'Supervisor: child {first} died on signal 9 on ', 3)
	e.process.expect(r'delaying child start by 1\.00 seconds on ', 3)
	serves_again(t, e, begin)
	ok(child_of(e) != first, 'a new child')


@test(limit=90, sanitizers=False)
def crash_under_load(t):
	"""SIGSEGV in a handler under load: where, by message and by backtrace; serving again within 3 s."""
	rule = f'[default]\n.*=sip/sip:service@{t.host(3)}:5060\n'
	e = faulty(t, '-s', route=rule, sniffer=False)
	t.uas(3)
	uac = t.uac(4, e.sip, 3000, 100)
	e.process.poll(lambda: os.path.exists(uac.stat) and uac.counts()['good'] > 50, 10, 'load')
	mark, begin = e.process.mark(), time.monotonic()
	t.phone(e.sip, '100', 2).invite('crash')
	e.process.expect(r'<engine:FAIL> Patchbay \(\d+\) dies of signal 11 SIGSEGV at address 0x0 \[engine-025\]', 5, mark)
	e.process.expect(r"on loop \d+ in handler 'fault:1' of message 'call\.route' \[engine-025\]", 2, mark)
	e.process.expect(r'#0 \S+/fault\.so\+0x', 2, mark)
	e.process.expect(r'Supervisor: child \d+ died on signal 11', 2, mark)
	serves_again(t, e, begin)


@test(sanitizers=False)
def dies_in_other_ways(t):
	"""The stack runs over, abort: told of as well."""
	e = faulty(t, '-s')
	for word, number in (('overflow', 11), ('abort', 6)):
		mark = e.process.mark()
		with e.new_console().sock as s:
			s.sendall(f'fault {word}\r\n'.encode())
			e.process.expect(rf'dies of signal {number} ', 5, mark)
		e.process.expect(r'#0 \S+\+0x', 2, mark)
		e.process.expect(READY, 10, mark)


@test()
def exit_codes(t):
	"""Up to 127 the supervisor ends too; beyond, it starts anew."""
	e = faulty(t, '-s')
	e.new_console().sock.sendall(b'stop 200\r\n')
	e.process.expect(r'shutting down with code 200', 5)
	mark = e.process.mark()
	e.process.expect(r'child \d+ exited with code 200 on ', 5)
	e.process.expect(READY, 10, mark)
	e.new_console().sock.sendall(b'stop 3\r\n')
	equal(e.process.wait(10), 3, 'exit code of the supervisor')
	ok(any('exiting with code 3 on ' in line for line in e.process.lines), 'its last words')
	e.process = None


@test()
def hanging_child(t):
	"""A child without a sign of life is killed; one that was stopped on purpose is not."""
	e = faulty(t, '-s', '-S', '2')
	first = child_of(e)
	serves_again(t, e, time.monotonic())
	os.kill(first, signal.SIGSTOP)
	time.sleep(5)  # it is stopped for so long, the supervisor's patience would be over
	os.kill(first, signal.SIGCONT)
	equal(child_of(e), first, 'the child that was stopped')
	mark = e.process.mark()
	e.new_console().sock.sendall(b'fault hang-60000\r\n')
	e.process.expect(rf'Supervisor: killing unresponsive child {first} on ', 20, mark)
	e.process.expect(rf'child {first} died on signal 9', 5, mark)
	e.process.expect(READY, 10, mark)


@test()
def restarts(t):
	"""SIGUSR1 when idle, SIGUSR2 at once, `restarts` after so long; nobody supervises: refused."""
	e = faulty(t, '-s')
	contains(e.console.cmd('fault busy-1'), 'done', 'fault')
	os.kill(child_of(e), signal.SIGUSR1)
	e.process.expect(r'the restart waits', 5)
	equal(t.phone(e.sip, '100', 2).options().status, 200, 'OPTIONS while it waits')
	mark = e.process.mark()
	os.kill(e.process.pid, signal.SIGUSR2)
	e.process.expect(r'shutting down with code 128', 5, mark)
	e.process.expect(READY, 10, mark)
	mark = e.process.mark()
	os.kill(e.process.pid, signal.SIGUSR1)
	e.process.expect(r'shutting down with code 128', 5, mark)
	e.process.expect(READY, 10, mark)
	e.stop()
	e.write('yate.conf', '[general]\nrestarts=1\n')
	e.args = ('-s',)
	e.start()
	mark = e.process.mark()
	e.process.expect(r'shutting down with code 128', 15, mark)
	e.process.expect(READY, 10, mark)
	e.stop()
	e.args = ()
	e.start()
	e.process.expect(r'restarts=1 is ignored: the engine is not supervised \[engine-024\]', 5)


@test()
def relayed_log(t):
	"""-r: what the child prints goes through the supervisor, which opens the file anew on SIGHUP."""
	e = t.engine(site(t.host(1)), start=False)
	code, text = run(t, 'run', '-d', '-s', '-r', '-c', e.conf, '-l', 'log', '-p', 'pid')
	equal((code, text), (0, ''), 'patchbay run -d -s -r')
	pid = int(read(t.path('pid')))
	t.later(lambda: kill(pid))
	child = wait_until(lambda: children(pid), 'a child')[0]
	t.later(lambda: kill(child))
	contains(read(t.path('log')), 'Supervisor (', 'the log')
	wait_for_text(t.path('log'), 'initialized')
	os.rename(t.path('log'), t.path('log.old'))
	os.kill(pid, signal.SIGHUP)
	wait_for_text(t.path('log'), 'reopening the log file')
	wait_for_text(t.path('log'), 'configuration reloaded')
	os.kill(pid, signal.SIGTERM)
	wait_for_text(t.path('log'), 'exiting with code 0')


# ---- Signals and stop


@test()
def reload_by_signal(t):
	"""SIGQUIT reloads; a second one within two seconds does not."""
	e = t.engine()
	os.kill(e.process.pid, signal.SIGQUIT)
	e.process.expect(r'configuration reloaded', 5)
	mark = e.process.mark()
	os.kill(e.process.pid, signal.SIGQUIT)
	os.kill(e.process.pid, signal.SIGHUP)
	e.process.expect(r'shutting down with code 0', 5, mark)
	equal(e.process.wait(10), 0, 'exit code')
	ok(not any('configuration reloaded' in line for line in e.process.lines[mark:]), 'a second reload')


@test()
def stop_and_drain(t):
	"""Stopping asks who needs time, takes no calls, ends those in progress by name; timers go on."""
	e = faulty(t, extra={'regexroute.conf': f'[default]\n.*=sip/sip:x@{t.host(3)}:5060\n'})
	caller, callee = t.phone(e.sip, '100', 2), t.phone(e.sip, '101', 3)
	call = caller.invite('101')
	invite = callee.request('INVITE')
	callee.reply(invite, 200, 'OK', tag='x', body=b'v=0\r\n')
	call.answer(200)
	callee.request('ACK')
	contains(e.console.cmd('debug call level 8'), 'on level 8', 'debug call')
	contains(e.console.cmd('fault patience-2'), 'done', 'fault')
	mark, begin = e.process.mark(), time.monotonic()
	e.process.child.send_signal(signal.SIGTERM)
	e.process.expect(r'Patchbay engine is shutting down with code 0', 5, mark)
	e.process.expect(r'stopping: no new calls \[engine-007\]', 5, mark)
	equal(t.phone(e.sip, '100', 4).invite('101').answer(200).status, 503, 'a new call')
	bye = caller.request('BYE', 10)
	caller.reply(bye, 200, 'OK')
	callee.reply(callee.request('BYE', 10), 200, 'OK')
	ok(time.monotonic() - begin > 1.9, 'two seconds of patience')
	e.process.expect(r'<call:NOTE> \d channels of sip on loop \d end: the engine stops \[call-001\]', 5, mark)
	e.process.expect(r'<call:CALL> sip/\d+ ends: the engine stops \[call-002\]', 5, mark)
	equal(e.process.wait(10), 0, 'exit code')
	tail = e.process.lines[mark:]
	asked = [line for line in tail if line.startswith("Returned") and "'engine.stop'" in line]
	equal(len(asked), 3, 'times that engine.stop was asked')
	equal(sorted(r['reason'] for r in e.cdrs()), ['shutdown', 'shutdown'], 'reasons in the records')


@test()
def stop_at_once(t):
	"""A second SIGTERM while somebody wants time."""
	e = faulty(t)
	contains(e.console.cmd('fault patience-1000'), 'done', 'fault')
	e.process.child.send_signal(signal.SIGTERM)
	e.process.expect(r'stopping: no new calls', 5)
	time.sleep(0.4)  # sooner it would count as the same one, sent to a group
	begin = time.monotonic()
	e.process.child.send_signal(signal.SIGTERM)
	equal(e.process.wait(10), 0, 'exit code')
	ok(time.monotonic() - begin < 1.5, f'it took {time.monotonic() - begin:.1f} s')


# ---- The watchdog


@test()
def stuck_loop(t):
	"""The log says which loop is stuck, how long, and who has it; not when the whole process was stopped."""
	e = faulty(t, extra={'engine.cfg': 'loops = { calls = 2; };\n' + WATCHDOG})
	contains(e.console.cmd('fault hang-1500'), 'done', 'fault')
	e.process.expect(r'<engine:CRIT> loop 0 has been stuck for [4-9]\d\d ms: .*\[engine-020\]', 5)
	e.process.expect(r'<engine:NOTE> loop 0 goes on after 1\d\d\d ms \[engine-021\]', 5)
	mark = e.process.mark()
	os.kill(e.process.pid, signal.SIGSTOP)
	time.sleep(1)  # it is stopped for so long
	os.kill(e.process.pid, signal.SIGCONT)
	contains(e.console.cmd('fault hang-600'), 'done', 'fault')
	e.process.expect(r'loop 0 goes on after', 5, mark)
	told = [line for line in e.process.lines[mark:] if '[engine-020]' in line]
	equal(len(told), 1, f'what was told: {told}')


@test(sanitizers=False)
def given_up(t):
	"""Past the limit it dies of SIGABRT, tells where the loop is, and is started anew."""
	e = faulty(t, '-s', extra={'engine.cfg': 'watchdog = { warn = "200ms"; kill = "1s"; };\n'})
	mark = e.process.mark()
	e.new_console().sock.sendall(b'fault hang-60000\r\n')
	e.process.expect(r'<engine:FAIL> loop 0 has been stuck for 1\d\d\d ms and is given up: .*\[engine-022\]', 5, mark)
	e.process.expect(r'dies of signal 6 SIGABRT', 5, mark)
	e.process.expect(r'#\d+ \S+/fault\.so\+0x', 2, mark)
	e.process.expect(READY, 10, mark)


# ---- The log


@test()
def json_lines(t):
	"""One object a line, with ids; so are a crash's lines."""
	e = faulty(t, start=False, sniffer=False, extra={'engine.cfg': 'log = { format = "json"; };\n',
		'yate.conf': '[general]\nmaxevnts=3\n'})
	process = Process([program(t), 'run', '-c', e.conf, *e.args], os.path.join(e.folder, 'log'), 'engine', cwd=e.folder)
	t.later(process.child.kill)
	process.expect('is initialized', 20)
	process.stop()
	lines = [json.loads(line) for line in process.lines if line.startswith('{')]
	ok(len(lines) > 5, f'lines of JSON: {process.lines}')
	equal([line for line in process.lines if line and not line.startswith('{')], [], 'other lines')
	for line in lines:
		ok(re.match(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$', line['time']), f'time of {line}')
		equal(line['pid'], process.pid, 'pid')
		ok(line['level'] in ('OUTPUT', 'NOTE', 'WARN', 'INFO', 'CONF'), f'level of {line}')
	ok(any('maxevnts' in line['text'] for line in lines), 'a finding among them')
	ready = [line for line in lines if line.get('id') == 'engine-006']
	equal([(r['facility'], r['level']) for r in ready], [('engine', 'NOTE')], 'engine-006')
	t.proves('NK-359')


@test()
def rotation(t):
	"""The file is renamed at its size, so many stay, no line is lost."""
	e = faulty(t, sniffer=False, start=False,
		extra={'engine.cfg': 'log = { file = "big.log"; rotate_size = "100K"; keep = 3; };\n'})
	process = Process([program(t), 'run', '-c', e.conf, *e.args], os.path.join(e.folder, 'log'), 'engine', cwd=e.folder)
	t.later(process.child.kill)
	big = os.path.join(e.folder, 'big.log')
	wait_for_text(big, 'initialized')
	contains(e.console.cmd('fault flood-4000'), 'done', 'fault')
	process.stop()
	names = ['big.log.3', 'big.log.2', 'big.log.1', 'big.log']
	equal(sorted(n for n in os.listdir(e.folder) if n.startswith('big')), sorted(names), 'files')
	text = ''.join(read(os.path.join(e.folder, n)) for n in names)
	numbers = [int(n) for n in re.findall(r'line (\d+) of a flood', text)]
	equal(numbers, list(range(numbers[0], 4000)), 'lines in order, none lost')
	for n in names[:3]:
		ok(100 << 10 <= os.path.getsize(os.path.join(e.folder, n)) < 250 << 10, f'size of {n}')


@test()
def blocked_sink(t):
	"""Nobody reads the log: calls go on, what is lost is counted and told."""
	e = faulty(t, sniffer=False, start=False)
	with started([program(t), 'run', '-c', e.conf, *e.args], t, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as p:
		phone = t.phone(e.sip, '100', 2)
		wait_until(lambda: answers(phone), 'an answer to OPTIONS', 10)
		for _ in range(3):
			contains(e.console.cmd('fault flood-8000'), 'done', 'fault')
			begin = time.monotonic()
			equal(phone.options().status, 200, 'OPTIONS with a blocked log')
			ok(time.monotonic() - begin < 0.5, 'at once')
		p.send_signal(signal.SIGTERM)
		text = p.communicate(timeout=20)[0].decode()
	equal(p.returncode, 0, 'exit code')
	told = re.search(r'<log:WARN> (\d+) lines were lost: .*\[log-001\]', text)
	ok(told, f'lost lines told: {text[-300:]}')
	numbers = re.findall(r'line \d+ of a flood', text)
	others = len(numbers) + int(told[1]) - 3 * 8000	# of the engine, lost too
	ok(0 <= others < 20, f'{len(numbers)} lines written, {told[1]} lost')
	contains(text, 'is stopping', 'the end')


def answers(phone):
	with contextlib.suppress(Failed):
		return phone.options(0.2).status == 200
	return False


@test()
def repeated_lines(t):
	"""What outsiders can have said again and again is counted."""
	e = t.engine(site(t.host(1), sniffer=False))
	for _ in range(30):
		e.console.cmd('auth wrong')
		e.console.cmd('debug nobody level 9')
	phone = t.phone(e.sip, '100', 2, 'wrong')
	for _ in range(40):
		phone.register()
	n = len([line for line in e.process.lines if 'sip-003' in line and 'log-002' not in line])
	ok(n <= 30, f'{n} lines about wrong credentials')
	e.process.expect(r'<log:NOTE> said \d+ more times: <sip> .* \[sip-003\] \[log-002\]', 5)


# ---- The service manager


class Manager:
	"""The socket of a service manager."""

	def __init__(self, t):
		self.path = t.path('notify')
		self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		self.sock.bind(self.path)
		t.later(self.sock.close)

	def expect(self, word, limit=5):
		end = time.monotonic() + limit
		while (left := end - time.monotonic()) > 0:
			self.sock.settimeout(left)
			with contextlib.suppress(TimeoutError):
				got = self.sock.recv(4096).decode()
				if word in got.split('\n'):
					return got
		raise Failed(f'{word} did not come within {limit} s')

	def silent(self, word, span):
		with contextlib.suppress(Failed):
			self.expect(word, span)
			raise AssertionError(f'{word} came')


@test()
def notifies(t):
	"""READY, RELOADING with its time, WATCHDOG while every loop turns, STOPPING."""
	m = Manager(t)
	e = faulty(t, start=False)
	env = {**os.environ, 'NOTIFY_SOCKET': m.path, 'WATCHDOG_USEC': '900000'}
	p = Process([program(t), 'run', '-c', e.conf, *e.args], os.path.join(e.folder, 'log'), 'engine', cwd=e.folder, env=env)
	t.later(p.child.kill)
	m.expect('READY=1', 20)
	m.expect('WATCHDOG=1')
	p.child.send_signal(signal.SIGQUIT)
	ok(re.search(r'MONOTONIC_USEC=\d+', m.expect('RELOADING=1')), 'the time of the reload')
	m.expect('READY=1')
	m.expect('WATCHDOG=1')
	e.write('engine.cfg', WATCHDOG)
	p.child.send_signal(signal.SIGTERM)
	m.expect('STOPPING=1')
	equal(p.wait(10), 0, 'exit code')


@test()
def no_sign_of_life(t):
	"""WATCHDOG=1 does not come while a loop is stuck."""
	m = Manager(t)
	e = faulty(t, start=False, extra={'engine.cfg': 'watchdog = { warn = "200ms"; kill = "0s"; };\n'})
	env = {**os.environ, 'NOTIFY_SOCKET': m.path, 'WATCHDOG_USEC': '300000'}
	p = Process([program(t), 'run', '-c', e.conf, *e.args], os.path.join(e.folder, 'log'), 'engine', cwd=e.folder, env=env)
	t.later(p.child.kill)
	m.expect('READY=1', 20)
	e.new_console().sock.sendall(b'fault hang-3000\r\n')
	p.expect(r'loop 0 has been stuck', 5)
	m.sock.settimeout(0.1)
	with contextlib.suppress(TimeoutError):
		while True:
			m.sock.recv(4096)
	m.silent('WATCHDOG=1', 1)
	p.expect(r'loop 0 goes on', 5)
	m.expect('WATCHDOG=1')


@test(level='fast')
def unit(t):
	"""The unit is one that systemd takes, and its exposure is under 2."""
	if not shutil.which('systemd-analyze'):
		raise Skipped('systemd-analyze is not installed')
	text = read(os.path.join(t.build, 'share', 'systemd', 'patchbay.service'))
	text = re.sub(r'^ExecStart=\S+', f'ExecStart={program(t)}', text, flags=re.M)
	path = t.path('patchbay.service')
	with open(path, 'w', encoding='utf-8') as f:
		f.write(text)
	done = subprocess.run(['systemd-analyze', 'verify', '--man=no', path], capture_output=True, text=True, timeout=60, check=False)
	equal((done.returncode, done.stderr), (0, ''), 'systemd-analyze verify')
	done = subprocess.run(['systemd-analyze', 'security', '--offline=true', path], capture_output=True, text=True, timeout=60,
		check=False)
	score = re.search(r'exposure level for patchbay\.service: ([\d.]+)', done.stdout)
	ok(score and float(score[1]) < 2.0, f'systemd-analyze security: {done.stdout[-200:]} {done.stderr}')
