"""sipsak: one request a run."""

import os
import shutil
import subprocess

from .sip import unique
from .verdict import Failed, Skipped


def run(*args, limit=40):
	"""Exit code and all that it printed."""
	if not shutil.which('sipsak'):
		raise Skipped('sipsak is not installed')
	try:
		done = subprocess.run(['sipsak', *args], stdin=subprocess.DEVNULL, capture_output=True, timeout=limit,
			check=False, env={**os.environ, 'LC_ALL': 'C'})
	except subprocess.TimeoutExpired:
		raise Failed(f'sipsak {args} did not end within {limit} s') from None
	return done.returncode, (done.stdout + done.stderr).decode('utf-8', 'backslashreplace')


def options(server, user='ping'):
	return run('-v', '-s', f'sip:{user}@{server}')


def message(file, server, to, text, sender, password):
	"""MESSAGE from `sender`, answering a challenge; `file` is written. (Its own -M crashes in Debian 12.)"""
	lines = (f'MESSAGE sip:{to}@{server} SIP/2.0', 'Max-Forwards: 70', f'From: <sip:{sender}@{server}>;tag=sipsak',
		f'To: <sip:{to}@{server}>', f'Call-ID: sipsak-{unique()}', 'CSeq: 1 MESSAGE', 'Content-Type: text/plain',
		f'Content-Length: {len(text)}', '', text)
	with open(file, 'w', encoding='utf-8', newline='') as f:
		f.write('\r\n'.join(lines))
	return run('-vvv', '-f', file, '-s', f'sip:{to}@{server}', '-u', sender, '-a', password)
