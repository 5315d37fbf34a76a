#!/usr/bin/env python3
"""Show Patchbay at work: start it, register two phones, send a text, make a call, print the ladder.

The phones are plain Python on loopback addresses of their own; the site is conf.d/ with only its
addresses changed. Exits 0 only if all of it worked.
"""

import argparse
import os
import re
import shutil
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TOP, 'tests', 'integration'))
sys.dont_write_bytecode = True

from lab import net, sip  # noqa: E402 (needs the path)
from lab.engine import Engine  # noqa: E402
from lab.verdict import Failed, equal  # noqa: E402

WIDTH = 34
HIDDEN = ('engine.', 'module.')


def site(addr):
	"""The files of conf.d/ for `addr`, with the sniffer on."""
	conf = {}
	for file in os.listdir(os.path.join(TOP, 'conf.d')):
		if file.endswith(('.conf', '.cfg')):
			with open(os.path.join(TOP, 'conf.d', file), encoding='utf-8') as f:
				conf[file] = f.read()
	conf['ysipchan.conf'] = conf['ysipchan.conf'].replace('\nport=5060', f'\nport=5060\naddr={addr}', 1)
	conf['rmanager.conf'] = re.sub(r'(?m)^addr=.*', f'addr={addr}', conf['rmanager.conf'])
	conf['yate.conf'] = conf['yate.conf'].replace('msgsniff=no', 'msgsniff=yes')
	return conf


def register(e, phones):
	for p in phones:
		sip.answered(p.register(), 200, f'REGISTER of {p.user}')
	equal(sorted(e.status('regfile').items), sorted(p.user for p in phones), 'registered users')
	print('registered   ' + ', '.join(p.user for p in phones))


def chat(e, a, b):
	sip.answered(a.message(b.user, 'hello from 100'), 200, 'MESSAGE')
	m = b.request('MESSAGE')
	b.reply(m, 200, 'OK')
	equal(m.body, b'hello from 100', 'the text')
	e.wait_sniffed('xsip.generate')
	print(f'text arrived {m.body.decode()!r}')


def call(e, a, b):
	c = a.invite(b.user)
	invite = b.request('INVITE')
	b.reply(invite, 180, 'Ringing', tag='callee')
	equal(c.answer(180).status, 180, 'ringing')
	b.reply(invite, 200, 'OK', tag='callee', body=sip.sdp(b.addr[0]))
	equal(c.answer(200).status, 200, 'answer')
	b.request('ACK')
	c.send_bye()
	b.reply(b.request('BYE'), 200, 'OK')
	equal(c.bye_answer().status, 200, 'answer to BYE')
	e.no_calls()
	for r in e.wait_cdrs(2):
		print(f'call record  {r["direction"]} {r["chan"]} {r["caller"]} -> {r["called"]}: {r["status"]}, '
			f'{r["billtime"]} s')


# ---- The ladder -----------------------------------------------------------------


def steps(e, a, b):
	"""All that happened, in order of time: (time, column, arrow, text); the bus has no arrow."""
	for p, column in ((a, 0), (b, 1)):
		for time, way, _, m in p.trace:
			out = (way == 'send') == (column == 0)
			yield time, column, '>' if out else '<', _words(m)
	returned = {}
	for m in e.sniffed(done=True):
		returned.setdefault(m.name, []).append(m)
	for m in e.sniffed(done=False):
		if m.time and not m.name.startswith(HIDDEN):
			yield m.time, None, '', f'{m.name}{_result(returned.get(m.name))}'


def _result(done):
	"""What came of the oldest of these messages."""
	m = done.pop(0) if done else None
	if not m or not m.handled:
		return ''
	return f' = {m.retval}' if m.retval else ' (handled)'


def _words(m):
	if isinstance(m, bytes):
		return f'{len(m)} octets'
	if m.status:
		return f'{m.status} {m.phrase} ({m.method})'
	return f'{m.method} {m.uri.removeprefix("sip:")}'


def arrow(text, head):
	text = text[:WIDTH - 5]
	if head == '>':
		return f' {text} '.center(WIDTH - 1, '-') + '>'
	return '<' + f' {text} '.center(WIDTH - 1, '-')


def ladder(e, a, b):
	blank = ' ' * WIDTH
	begin = None
	print(f'\n{"":9}{a.user:<{WIDTH}} {"patchbay":<{WIDTH}} {b.user}')
	for time, column, head, text in sorted(steps(e, a, b), key=lambda s: s[0]):
		begin = begin or time
		stamp = f'{time - begin:8.3f}'
		if column is None:
			print(f'{stamp} |{blank}* {text}')
		elif column == 0:
			print(f'{stamp} |{arrow(text, head)}|{blank}|')
		else:
			print(f'{stamp} |{blank}|{arrow(text, head)}|')


def main():
	p = argparse.ArgumentParser(description='Register, chat and call through a running Patchbay.')
	p.add_argument('--build', default=os.path.join(TOP, 'build'), help='build folder')
	build = p.parse_args().build
	folder = tempfile.mkdtemp(prefix='patchbay-demo-')
	addr = net.host(1)
	e = Engine(os.path.abspath(build), folder, site(addr), addr)
	a, b = (sip.Phone(e.sip, user, net.host(n), 5060, f'pass{user}') for user, n in (('100', 2), ('101', 3)))
	try:
		e.start()
		try:
			register(e, (a, b))
			chat(e, a, b)
			call(e, a, b)
		finally:
			ladder(e, a, b)
			e.stop()
	except Failed as why:
		print(f'\nfailed: {why}\nlogs in {folder}')
		return 1
	shutil.rmtree(folder)
	print('\nregistration, text and call worked')
	return 0


if __name__ == '__main__':
	sys.exit(main())
