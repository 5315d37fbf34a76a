"""The telnet console, as a telnet client and as a plain one sees it."""

import re
import socket

from lab.case import test
from lab.verdict import contains, equal, ok


def read(sock, wanted, limit=5):
	"""Bytes until `wanted` is in them, or the other side closed."""
	sock.settimeout(limit)
	got = b''
	while wanted not in got:
		try:
			data = sock.recv(4096)
		except TimeoutError:
			break
		if not data:
			break
		got += data
	return got


@test(level='fast')
def negotiation_and_quit(t):
	e = t.engine()
	with socket.create_connection(e.console_addr, timeout=5) as s:
		got = read(s, b'ready on')
		equal(got[:9], b'\xff\xfb\x03\xff\xfb\x01\xff\xfd\x1f', 'WILL SGA, WILL ECHO, DO NAWS')
		s.sendall(b'\xff\xfd\x03')
		contains(read(s, b'\xff\xfb\x03'), b'\xff\xfb\x03', 'answer to DO SGA')
		s.sendall(b'quit\r\n')
		contains(read(s, b'never'), b'Goodbye!\r\n', 'answer to quit')
		equal(s.recv(1), b'', 'what follows')


@test(level='fast')
def verbs(t):
	e = t.engine()
	c = e.console
	names = [s.head.get('name') for s in c.status()]
	for name in ('engine', 'sip', 'regfile', 'regexroute'):
		ok(name in names, f'{name} in status: {names}')
	text = c.cmd('status sip')
	ok(re.match(r'%%\+status:sip\nname=sip,type=varchans,format=Status\|Address\|Peer;routed=\d+,routing=\d+,total=\d+,'
		r'chans=\d+.*\n%%-status$', text, re.DOTALL), f'status sip: {text!r}')
	ok(re.match(r'Uptime: \d+ \d+:\d\d:\d\d \(\d+\) user: [\d.]+ kernel: [\d.]+$', c.cmd('uptime')), 'uptime')
	equal(c.cmd('reload'), 'Reinitializing...', 'reload')
	equal(c.cmd('drop'), 'You must specify what connection to drop!', 'drop')
	equal(c.cmd('drop sip/4711'), 'Could not drop sip/4711', 'drop of nothing')
	contains(c.cmd('help'), 'Available commands:', 'help')
	contains(c.cmd('help'), 'sniffer', 'help')
	contains(c.cmd('help status'), 'status [overview] [modulename]', 'help status')
	modules = c.cmd('module list').split()
	ok(any(m.rstrip('*').startswith('regfile') for m in modules), f'module list: {modules}')
	contains(c.cmd('debug level 9'), 'Debug level: 9', 'debug level')
	contains(c.cmd('debug sip level 8'), 'Module sip debug on level 8', 'debug of a module')
	equal(c.cmd('nonsense of mine'), 'Cannot understand: nonsense of mine', 'an unknown command')


@test(level='fast')
def sniffer_on_output(t):
	"""`sniffer on` with `output on` shows messages live, before and after."""
	e = t.engine()
	live = e.new_console()
	t.later(live.close)
	equal(live.cmd('output on'), 'Output mode: on', 'output on')
	equal(e.console.cmd('sniffer on'), 'Message sniffer: on, timer: off', 'sniffer on')
	p = t.phone(e.sip, '100', 2)
	p.register()
	live.live(r"Sniffed 'user\.auth'")
	live.live(r"Returned true 'user\.register'")
	contains(e.console.cmd('sniffer off'), 'Message sniffer: off', 'sniffer off')
	t.proves('YM-63')


@test()
def password_and_rude_clients(t):
	"""A password is asked for; endless lines and half-open clients harm nobody."""
	e = t.engine(start=False)
	e.write('rmanager.conf', f'[general]\naddr={e.addr}\nport=5038\nuserpass=guest\npassword=secret\n')
	e.start()
	c = e.new_console()
	t.later(c.close)
	contains(_line(c, 'status'), 'Not authenticated!', 'status before auth')
	contains(_line(c, 'auth wrong'), 'Bad authentication password!', 'a wrong password')
	contains(_line(c, 'auth secret'), 'Authenticated successfully as admin!', 'the password')
	ok(c.status('sip'), 'status after auth')
	with socket.create_connection(e.console_addr, timeout=5) as rude, \
			socket.create_connection(e.console_addr, timeout=5):
		try:
			for _ in range(64):
				rude.sendall(b'x' * 65536)
		except OSError:
			pass  # refused at its limit
		ok(c.status('sip'), 'status meanwhile')


def _line(console, text):
	"""One line of answer, for a client that may not send unknown words yet."""
	console.sock.sendall(text.encode() + b'\r\n')
	return console.live(r'[^\r\n]+\r\n')
