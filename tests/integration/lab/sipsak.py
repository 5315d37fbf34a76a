"""sipsak: one request a run."""

import os
import shutil
import subprocess

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


def message(server, to, text, sender, password, addr):
	"""MESSAGE from `sender`, answering a challenge."""
	return run('-vv', '-M', '-B', text, '-c', f'sip:{sender}@{server}', '-s', f'sip:{to}@{server}', '-u', sender,
		'-a', password, '-H', addr, '--local-ip', addr)
