"""Clients that flood, do not read, or stop in the middle: they delay nobody, and are dropped at a bound."""

import socket
import threading
import time

from lab.case import test
from lab.verdict import ok

QUICK = 0.5  # what another session may take for one command meanwhile


def others_served(e, seconds=1.0):
	"""The longest that another session waits for an answer in that time."""
	c = e.new_console()
	worst, end = 0, time.monotonic() + seconds
	while time.monotonic() < end:
		begin = time.monotonic()
		c.cmd('uptime')
		worst = max(worst, time.monotonic() - begin)
	c.close()
	ok(worst < QUICK, f'another session waited {worst:.3f} s')


def pour(sock, data, limit=20):
	"""Send until the other side ends it. @return whether it did."""
	sock.settimeout(limit)
	end = time.monotonic() + limit
	try:
		while time.monotonic() < end:
			sock.sendall(data)
	except (ConnectionError, BrokenPipeError):
		return True
	except TimeoutError:
		return False
	return False


@test(level='fast', limit=90)
def does_not_read(t):
	"""Its answers pile up to a bound."""
	e = t.engine()
	with socket.create_connection(e.console_addr, timeout=5) as s:
		s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
		done = []
		poured = threading.Thread(target=lambda: done.append(pour(s, b'help\r\nstatus\r\n' * 100, 60)))
		poured.start()
		others_served(e)
		poured.join()
		ok(done == [True], 'who does not read is dropped')
	others_served(e, 0.2)
	ok(e.resident_kb() < 300000 or t.sanitizer, f'{e.resident_kb()} kB')


@test(level='fast')
def floods(t):
	"""Lines faster than they may come are run at a rate; too many waiting end the session."""
	e = t.engine()
	with socket.create_connection(e.console_addr, timeout=5) as s:
		stop = threading.Event()

		def drain():
			try:
				while not stop.is_set() and s.recv(65536):
					pass
			except OSError:
				pass

		reader = threading.Thread(target=drain, daemon=True)
		reader.start()
		done = []
		poured = threading.Thread(target=lambda: done.append(pour(s, b'x\r\n' * 20000)))
		poured.start()
		others_served(e)
		poured.join()
		stop.set()
		ok(done == [True], 'who floods is dropped')
	others_served(e, 0.2)


@test(level='fast')
def half_an_option(t):
	"""What is not finished waits alone."""
	e = t.engine()
	halves = (b'\xff', b'\xff\xfd', b'\xff\xfa', b'\xff\xfa\x1f\x00', b'\xff\xfa' + b'x' * 60000, b'\x1b[', b'stat')
	socks = [socket.create_connection(e.console_addr, timeout=5) for _ in halves]
	for s, half in zip(socks, halves):
		s.sendall(half)
	others_served(e, 0.3)
	socks[1].sendall(b'\x03')
	socks[1].settimeout(5)
	got = b''
	while not got.endswith(b'\xff\xfb\x03'):
		got += socks[1].recv(4096)
		ok(len(got) < 4096, f'the other half is answered: {got!r}')
	for s in socks:
		s.close()
	others_served(e, 0.2)


@test(level='fast')
def many_passwords(t):
	"""Five tries a second, however many sessions try."""
	e = t.engine(start=False)
	e.write('rmanager.conf', f'[general]\naddr={e.addr}\nport=5038\nuserpass=guest\npassword=secret\n')
	e.start()
	begin = time.monotonic()
	tries = [e.new_console() for _ in range(10)]
	for c in tries:
		t.later(c.close)
		c.sock.sendall(b'auth wrong\r\n')
	for c in tries:
		c.live('Bad authentication password!')
	took = time.monotonic() - begin
	ok(took > 1.7, f'ten tries in {took:.2f} s')
	e.process.expect('wrong password from', 5)


@test(level='fast')
def script_prints_much(t):
	"""Lines of a script that nobody asked to be brief: sessions see what fits, and the rest is told."""
	e = t.engine(start=False)
	e.write('extmodule.conf', f'[listener one]\ntype=tcp\naddr={e.addr}\nport=5040\n')
	e.start()
	live = e.new_console()
	t.later(live.close)
	live.cmd('output on')
	lazy = e.new_console()
	t.later(lazy.close)
	lazy.cmd('output on')
	s = socket.create_connection((e.addr, 5040), timeout=20)
	t.later(s.close)
	s.sendall(b'%%>connect:global\n')
	line = b'%%>output:' + b'much ' * 100 + b'\n'
	flood = threading.Thread(target=s.sendall, args=(line * 20000,))
	flood.start()
	others_served(e)
	live.live(r'\(\d+ lines lost: too (fast|slow) for the console\)', 20)
	flood.join()
	others_served(e, 0.2)
