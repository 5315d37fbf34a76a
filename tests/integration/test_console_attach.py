"""`patchbay console`: lines, one-shot commands, and a terminal, over the engine's Unix socket."""

import json
import os
import signal
import socket
import stat
import subprocess

from lab.case import test
from lab.terminal import Terminal
from lab.verdict import contains, equal, ok

OK, ENVIRONMENT, FAILED = 0, 3, 4


def attached(t):
	"""An engine with a socket, and the command that goes there."""
	e = t.engine(start=False)
	path = os.path.join(e.folder, 'sock')
	e.write('engine.cfg', f'loops = {{ calls = 2; }};\nconsole = {{ socket = "{path}"; }};\n')
	return e, path, [e.program, 'console', '-c', e.conf]


def run(argv, text=None):
	p = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=20, check=False)
	return p.returncode, p.stdout.replace('\r\n', '\n'), p.stderr


@test(level='fast')
def one_shot(t):
	"""The exit code says whether the command was understood and done."""
	e, path, argv = attached(t)
	equal(run(argv + ['version'])[0], ENVIRONMENT, 'exit code without an engine')
	e.start()
	equal(stat.S_IMODE(os.stat(path).st_mode), 0o660, 'rights of the socket')
	code, out, _ = run(argv + ['status', 'rmanager'])
	equal((code, out), (OK, 'name=rmanager,type=misc;listeners=1,conn=1\n'), 'status')
	code, out, _ = run(argv + ['nonsense of', 'mine'])
	equal((code, out), (FAILED, 'Cannot understand: nonsense of mine\n'), 'nonsense')
	equal(run(argv + ['drop', 'sip/4711'])[0], FAILED, 'exit code of what could not be done')
	equal(run(argv + ['status', 'x\ny'])[0], 1, 'exit code of two lines')


@test(level='fast')
def as_json(t):
	"""Every command has a JSON form."""
	e, _, argv = attached(t)
	e.start()
	for command in ('status', 'status engine', 'status overview', 'status objects', 'version', 'uptime', 'parked', 'who-waits', 'top', 'events log',
			'dispatcher handlers', 'module list', 'help', 'help status', 'debug sip level 8', 'reload'):
		code, out, err = run(argv + command.split() + ['--json'])
		equal((code, err), (OK, ''), f'{command} --json')
		json.loads(out)
	sip = next(s for s in json.loads(run(argv + ['status', '--json'])[1])['status'] if s['name'] == 'sip')
	equal((sip['type'], sip['counts']['chans'], sip['items']), ('varchans', 0, []), 'status of sip')
	events = json.loads(run(argv + ['events', 'log', '--json'])[1])
	ok(any('initialized' in ev['text'] for ev in events['events']), 'events')
	code, out, _ = run(argv + ['nonsense', '--json'])
	equal((code, json.loads(out)['ok']), (FAILED, False), 'nonsense')


@test(level='fast')
def lines(t):
	"""From a pipe, line by line; a client that ends its own direction still gets its answers."""
	e, path, argv = attached(t)
	e.start()
	code, out, _ = run(argv, 'drop\n\nstatus rmanager\n')
	equal(code, FAILED, 'exit code: one was not understood')
	equal(out, 'You must specify what connection to drop!\nname=rmanager,type=misc;listeners=1,conn=1\n', 'answers')
	equal(run(argv, 'date\nquit\ndate\n')[0], OK, 'exit code after quit')
	with socket.socket(socket.AF_UNIX) as s:
		s.connect(path)
		s.sendall(b'module list\nversion\n')
		s.shutdown(socket.SHUT_WR)
		got = b''
		while data := s.recv(65536):
			got += data
	equal(got.count(b'%%=done\r\n'), 2, 'answers behind a half-closed socket')


@test(level='fast')
def the_socket(t):
	"""One that was left over is taken, one that is in use is not."""
	e, path, argv = attached(t)
	with socket.socket(socket.AF_UNIX) as s:
		s.bind(path)
	e.start()
	equal(run(argv + ['version'])[0], OK, 'at a socket left over')
	other = t.engine(start=False, name='other', addr=t.host(2))
	other.write('ysipchan.conf', f'[general]\naddr={t.host(2)}\n')
	other.write('rmanager.conf', f'[general]\naddr={t.host(2)}\n')
	other.write('engine.cfg', f'console = {{ socket = "{path}"; }};\n')
	code, said = other.run_out()
	other.process = None
	equal(code, ENVIRONMENT, 'exit code of an engine whose socket somebody has')
	contains(said, f'cannot listen on {path}: Address already in use', 'what it says')
	contains(run(argv + ['status', 'rmanager'])[1], 'conn=1', 'whose socket it is')


@test(level='fast')
def terminal(t):
	"""Echo, completion, history, pages that know the window's size; and the terminal as it was."""
	e, _, argv = attached(t)
	e.start()
	w = Terminal(argv, 80, 12)
	t.later(w.close)
	w.expect(rb'ready on [^\r\n]*\r\npatchbay> ')
	ok(w.is_raw(), 'raw mode')
	w.type(b'statu\t')
	w.expect(rb'patchbay> status ')
	w.type(b'rman\t\r')
	w.expect(rb'listeners=1,conn=1\r\npatchbay> ')
	w.type(b'\x1b[A')
	w.expect(rb'patchbay> status rmanager')
	w.type(b'\x15dispatcher handlers\r')
	w.expect(rb'-- 1 to 10 of \d+')
	w.resize(80, 20)
	w.type(b'\x1b[6~')
	w.expect(rb'-- 11 to 28 of \d+')
	w.type(b'\x04')
	w.expect(rb'Goodbye!')
	equal(w.wait(), OK, 'exit code of ^D')
	ok(not w.is_raw(), 'the terminal as it was')
	for key in (b'\x03', b'\x1d'):
		w = Terminal(argv)
		t.later(w.close)
		w.expect(rb'patchbay> ')
		w.type(b'half a line' + key)
		equal(w.wait(), OK, f'exit code of {key}')
		ok(not w.is_raw(), f'the terminal as it was, after {key}')


@test(level='fast')
def terminal_survives(t):
	"""The engine stops, is killed, or does not answer; we are told to end: the terminal is put back."""
	e, _, argv = attached(t)
	e.start()

	def open_one():
		w = Terminal(argv)
		t.later(w.close)
		w.expect(rb'patchbay> ')
		return w

	def is_left(w, code, said):
		equal(w.wait(), code, f'exit code, after {said}')
		ok(not w.is_raw(), f'the terminal as it was, after {said}')
		contains(w.seen, said, 'what is said')

	w = open_one()
	os.kill(w.pid, signal.SIGTERM)
	equal(w.wait(), -signal.SIGTERM, 'a signal to us')
	ok(not w.is_raw(), 'the terminal as it was, after a signal')
	w = open_one()
	os.kill(e.process.pid, signal.SIGSTOP)
	w.type(b'\x03')
	is_left(w, FAILED, b'does not answer')
	os.kill(e.process.pid, signal.SIGCONT)
	w = open_one()
	w.type(b'stop\r')
	is_left(w, OK, b'The engine is stopping.')
	e.process.wait(10)
	e.start()
	w = open_one()
	os.kill(e.process.pid, signal.SIGKILL)
	is_left(w, FAILED, b'the engine has gone')
	e.process.wait(10)
	e.process = None
