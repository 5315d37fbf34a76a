"""Load, alarms and heartbeats, as operators and clusters see them."""

import os
import socket

from lab import sip
from lab.case import test
from lab.engine import site
from lab.verdict import contains, equal, ok


class Proc:
	"""A folder like /proc, whose processor is as busy as we say: a second more each time it is asked."""

	def __init__(self, folder):
		self.folder = folder
		os.makedirs(os.path.join(folder, 'self'))
		with open(os.path.join(folder, 'self', 'stat'), 'w', encoding='ascii') as f:
			f.write('1 (patchbay) S' + ' 0' * 10 + ' 5 5 0 0\n')
		self.busy = self.all = 0
		self.go_on(0)

	def go_on(self, percent):
		self.all += 1000
		self.busy += 10 * percent
		name = os.path.join(self.folder, 'stat')
		with open(name + '.new', 'w', encoding='ascii') as f:
			f.write(f'cpu {self.busy} 0 0 {self.all - self.busy}\ncpu0 1 1 1 1\n')
		os.rename(name + '.new', name)


def busy_site(t, folder):
	return site(t.host(1), extra={
		'cpuload.conf': f'[general]\ninterval=1000\nsmooth=50\noscillation_interval=0\nproc={folder}\n',
		'ccongestion.conf': '[cpu]\nsystemLoad=accept,40,4;partial,60,2;congestion,90,2;reject\n',
		'eventlogs.conf': '[general]\nlogs_dir=${configpath}\n',
	})


def accept_is(e, proc, percent, word):
	"""Until the alarm says so: each look moves the clock of the processor."""
	def look():
		proc.go_on(percent)
		return any(f'calls: {word}, was' in line for line in e.process.lines)
	e.process.poll(look, 30, f'calls: {word}')


@test(level='fast')
def overload(t):
	"""A busy processor: new calls get 503 with a Retry-After, others are served; the event is in a file."""
	proc = Proc(t.path('proc'))
	e = t.engine(busy_site(t, proc.folder))
	p = sip.Phone(e.sip, '100', t.host(2), 5060)
	t.later(p.close)
	equal(p.invite('nobody').answer(200).status, 404, 'a call at rest')
	accept_is(e, proc, 85, 'congestion')
	refused = p.invite('nobody').answer(200)
	equal(refused.status, 503, 'a call under load')
	ok(5 <= int(refused.get('Retry-After')) <= 15, 'when to come back')
	equal(p.ask('OPTIONS', f'sip:100@{e.addr}').status, 503, 'OPTIONS says so too')
	equal(p.ask('MESSAGE', f'sip:100@{e.addr}').status, 401, 'a text is served')
	accept_is(e, proc, 0, 'accept')
	equal(p.invite('nobody').answer(200).status, 404, 'a call afterwards')
	with open(os.path.join(e.conf, 'ccongestion.log'), encoding='utf-8') as f:
		contains(f.read(), 'calls: congestion, was', 'the file of events')
	e.idle()


@test(level='fast')
def heartbeat(t):
	"""A packet a second on the wire, and a last one at the end."""
	with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
		s.bind((t.host(2), 0))
		s.settimeout(10)
		conf = f'[general]\nhost={t.host(2)}\nport={s.getsockname()[1]}\nnode=one\n'
		e = t.engine(site(t.host(1), extra={'heartbeat.conf': conf}))
		packets = [s.recv(2048) for _ in range(3)]
		equal(packets[0][:26], b'>>>\nt=status\nst=up\nsrc=one', 'the first')
		ok(b'st=active\n' in packets[1] and b'seq=3\n' in packets[2], f'those after it: {packets[1:]}')
		equal(packets[2][-5:], b'<<<\n\0', 'the end of one')
		e.stop()
		while b'st=active' in packets[-1]:
			packets.append(s.recv(2048))
		ok(b'st=dead\n' in packets[-1], f'the last: {packets[-1]}')
