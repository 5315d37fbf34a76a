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


def say(sock, text, wanted):
	"""Send, and what came up to `wanted`."""
	sock.sendall(text)
	return read(sock, wanted)


@test(level='fast')
def telnet_dialogue(t):
	"""What a terminal sees, octet for octet."""
	e = t.engine(start=False)
	e.write('rmanager.conf', f'[general]\naddr={e.addr}\nheader=Hello\nprompt="${{nodename}}> "\n'
		'alias:now=date\n')
	e.args = ('-N', 'here')
	e.start()
	with socket.create_connection(e.console_addr, timeout=5) as s:
		equal(read(s, b'\r\n'), b'\xff\xfb\x03\xff\xfb\x01\xff\xfd\x1f\r' + b' ' * 9 + b'\b' * 9 + b'\rHello\r\n',
			'what comes first')
		equal(say(s, b'status rmanager\r\n', b'-status\r\n'),
			b'%%+status:rmanager\r\nname=rmanager,type=misc;listeners=1,conn=1\r\n%%-status\r\n', 'status without echo')
		equal(say(s, b'\xff\xfd\x01', b'> '), b'\xff\xfb\x01here> ', 'DO ECHO')
		equal(say(s, b'\xff\xfd\x22', b'\x22'), b'\xff\xfc\x22', 'DO of what is not known')
		equal(say(s, b'drop x\r\n', b'here> '), b'drop x\r\nCould not drop x\r\nhere> ', 'a command')
		equal(say(s, b'\x1b[A', b'drop x'), b'\r\x1b[K\rhere> drop x', 'the line before')
		equal(say(s, b'\x15', b'> '), b'\r\x1b[K\rhere> ', '^U')
		equal(say(s, b'upt\t', b'uptime '), b'upt\r\x1b[K\rhere> uptime ', 'completion of a command')
		equal(say(s, b'\x15module u\t', b'unload '), b'\r\x1b[K\rhere> module u\r\x1b[K\rhere> module unload ',
			'completion of its argument')
		contains(say(s, b'\x15debug msg\t', b'msgsniff '), b'here> debug msgsniff ', '... which is a module')
		equal(say(s, b'\x15\x10', b'\a'), b'\r\x1b[K\rhere> \a', 'a key that is none')
		equal(say(s, b'no\t', b'now '), b'no\r\x1b[K\rhere> now ', 'completion of an alias')
		contains(say(s, b'\r', b'here> '), b'(local time with separators)\r\n', 'an alias')
		equal(say(s, b'\xff\xfd\x12', b'never'), b'\xff\xfb\x12', 'DO LOGOUT')


@test(level='fast')
def pages(t):
	"""A terminal that told its size gets a screen at a time."""
	e = t.engine(start=False)
	e.write('rmanager.conf', f'[general]\naddr={e.addr}\nheader=Hello\nprompt="> "\n')
	e.start()
	with socket.create_connection(e.console_addr, timeout=5) as s:
		read(s, b'Hello\r\n')
		say(s, b'\xff\xfd\x01', b'> ')
		s.sendall(b'\xff\xfa\x1f\x00\x50\x00')  # half of the option
		s.sendall(b'\x0a\xff\xf0')  # 80 x 10
		contains(say(s, b'dispatcher handlers\r', b'--\r\n> '), b'-- 1 to 8 of ', 'the first page')
		contains(say(s, b'\x1b[6~', b'--\r\n> '), b'-- 9 to 16 of ', 'the next page')
		contains(say(s, b'\x02', b'--\r\n> '), b'-- 1 to 8 of ', '^B')
		equal(say(s, b'\x1b[5~', b'\a'), b'\a', 'before the first')


MACHINE = (
	('quit now', None), ('machine on', 'Machine mode: on'),
	('drop', '%%=drop:fail=noarg'), ('drop sip/4711 gone', '%%=drop:fail:sip/4711'), ('drop all', '%%=drop:unknown:all calls'),
	('call', '%%=call:fail=noarg'), ('call nowhere/1 100', '%%=call:fail:nowhere/1 100'),
	('control', '%%=control:fail=noarg'), ('control sip/4711 hold', '%%=control:fail:sip/4711'),
	('debug nonsense level 5', '%%=debug:fail:nonsense level 5'),
	('debug threshold 8', '%%=debug:level=7:objects=true:local=false:threshold=8'),
	('auth x', 'You are already authenticated as admin!'), ('nonsense', '%%=syntax:nonsense'),
	('restart', '%%=restart:fail'), ('reload', '%%=reload'), ('quit', '%%=quit'),
)


@test(level='fast')
def machine_mode(t):
	"""The exact forms that programs read; every dispatched message is among them."""
	e = t.engine()
	live = e.new_console()
	t.later(live.close)
	for line, answer in MACHINE:
		if answer:
			live.sock.sendall(line.encode() + b'\r\n')
			live.live(re.escape(answer) + r'\r\n')
	other = e.new_console()
	t.later(other.close)
	other.sock.sendall(b'machine on\r\n')
	other.live(r'%%<message::false:engine\.timer::time=\d+:nodename=[^\r\n]*\r\n')


@test(level='fast')
def levels(t):
	"""Nobody, users and administrators; commands that are lent to users."""
	e = t.engine(start=False)
	e.write('rmanager.conf', f'[general]\naddr={e.addr}\nport=5038\nuserpass=guest\npassword=secret\n'
		'user_prefix=drop,module l\nuser_regexp=^control [a-z]*/1$\n')
	e.start()
	c = e.new_console()
	t.later(c.close)
	for line, answer in (('status', 'Not authenticated!'), ('auth guest', 'Authenticated successfully as user!'),
			('auth guest', 'You are already authenticated as user!'), ('drop x', 'Could not drop x'),
			('call x y', 'Not authenticated!'), ('control sip/1', 'You must specify channel and operation!'),
			('control sip/2', 'Not authenticated!'), ('module list', None), ('module unload x', 'Not authenticated!'),
			('auth secret', 'Authenticated successfully as admin!'), ('auth secret', 'You are already authenticated as admin!')):
		got = _line(c, line)
		ok(answer is None or answer in got, f'{line}: {got!r}')


@test(level='fast')
def engine_commands(t):
	"""Those of the engine itself."""
	c = t.engine().console
	contains(c.cmd('version'), 'version:  ', 'version')
	contains(c.cmd('version'), 'githash:  ', 'version')
	line = c.cmd('status engine')
	keys = re.findall(r'[;,](\w+)=', line.split(';')[1].join((';', '')))
	wanted = ('plugins inuse handlers hooks messages maxqueue messageage messagerate maxmsgrate enqueued dequeued '
		'dispatched supervised runattempt lastsignal threads workers mutexes semaphores acceptcalls congestion').split()
	equal(keys[:len(wanted)], wanted, 'fields of status engine')
	ok(re.match(r'Events: \d+\n', c.cmd('logview')), 'logview')
	contains(c.cmd('events log'), 'initialized', 'the log of the start')
	equal(c.cmd('events clear log'), '', 'events clear')
	equal(c.cmd('events log'), 'Events: 0', 'after it')
	contains(c.cmd('dispatcher handlers name=call.execute'), "call.execute priority=", 'dispatcher handlers')
	equal(c.cmd('dispatcher handlers name=nonsense'), 'Empty list', 'none of that name')
	equal(c.cmd('dispatcher handlers name='), 'Empty name and trackname', 'nothing to look for')
	contains(c.cmd('status dispatcher handlers call.route'), 'format=Priority|TrackName|Filtered;handlers=', 'as a line')
	ok(re.search(r'name=objects,type=system;enabled=true,counters=\d+,objects=\d+;.*sip\.chans=0', c.cmd('status objects')),
		'status objects')
	contains(c.cmd('status objects nonsense'), 'enabled=true;nonsense=(not counted)', 'of one kind')
	equal(c.cmd('module load nonsense.yate'), 'Module operation failed: load nonsense.yate', 'module load')
	equal(c.cmd('module load ysipchan.yate'), 'Module is already loaded: ysipchan.yate', 'module load again')
	equal(c.cmd('module unload ysipchan'), 'Could not unload module: ysipchan', 'module unload')
	equal(c.cmd('module unload lateroute'), 'Unloaded module: lateroute', 'module unload of one that can be')
	ok('lateroute' not in c.cmd('module list'), 'module list after it')
	equal(c.cmd('dispatcher handlers trackname=lateroute'), 'Empty list', 'its handlers')
	equal(c.cmd('module unload lateroute'), 'Module not loaded: lateroute', 'module unload again')
	equal(c.cmd('module load lateroute.yate'), '', 'module load')
	contains(c.cmd('module list'), 'lateroute*', 'module list after that')
	contains(c.cmd('dispatcher handlers trackname=lateroute'), "call.execute priority=75 trackname='lateroute'", 'its handlers')
	equal(c.cmd('module reload lateroute.yate'), '', 'module reload')
	equal(c.cmd('module unload nonsense'), 'Module not loaded: nonsense', 'module unload of none')
	equal(c.cmd('dispatcher trace_msg_time'), 'Message trace time is off', 'trace_msg_time')
	equal(c.cmd('dispatcher trace_msg_time on'), 'Message trace time is on', 'trace_msg_time on')
	equal(c.cmd('dispatcher trace_msg_handler_time yes'), 'Message trace handler time is on', 'trace_msg_handler_time')
	equal(c.cmd('dispatcher trace_msg_handler_time off'), 'Message trace handler time is off', 'and off')
	ok(re.match(r'LOOP +BUSY % .*\n +0 .*HANDLER +MESSAGE +TIME ms', c.cmd('top'), re.DOTALL), 'top')
	equal(c.cmd('runparam mine=of ${nodename}'), '', 'runparam')
	equal(c.cmd('runparam mine=other'), "Not overwriting runtime parameter 'mine'", 'runparam again')
	equal(c.cmd('runparam nonsense'), 'Cannot understand: runparam nonsense', 'runparam of nothing')
	equal(c.cmd('cfgmerge'), 'Missing configuration name', 'cfgmerge')
	ok(re.match(r"Saved merged configuration to '.*/regexroute\.conf\.merged'$", c.cmd('cfgmerge regexroute')), 'cfgmerge of a file')
	equal(c.cmd('cfgmerge nonsense'), "Failed to load configuration file 'nonsense'", 'cfgmerge of none')
	equal(c.cmd('cfgmerge ../x'), "Failed to load configuration file '../x'", 'cfgmerge of what lies elsewhere')
	equal(c.cmd('module nonsense'), 'Module operation failed: nonsense', 'module and nothing known')
	equal(c.cmd('reload --confirm never'), 'How many seconds? reload [plugin] --confirm SECONDS (1 to 86400)', 'reload --confirm')


@test(level='fast')
def modules_come_and_go(t):
	"""One that was not wanted at the start is loaded; none is stopped in the middle of a configuration dump."""
	e = t.engine(start=False)
	e.write('yate.conf', '[general]\n[modules]\nheartbeat.yate=no\ncallcounters.yate=no\n')
	e.start()
	c = e.console
	ok('heartbeat' not in c.cmd('module list'), 'module list at first')
	equal(c.cmd('module load heartbeat.yate'), '', 'module load')
	ok('heartbeat*' in c.cmd('module list'), 'module list then')
	for _ in range(5):
		equal(c.cmd('module unload cdrfile'), 'Unloaded module: cdrfile', 'module unload')
		contains(c.cmd('config dump --effective'), 'regfile', 'config dump without it')
		equal(c.cmd('module load cdrfile'), '', 'module load')
		contains(c.cmd('config dump cdrfile'), 'cdr.tsv', 'config dump with it')
		contains(c.cmd('status'), 'name=engine', 'status')


def _line(console, text):
	"""One line of answer, for a client that may not send unknown words yet."""
	console.sock.sendall(text.encode() + b'\r\n')
	return console.live(r'[^\r\n]+\r\n')
