#!/usr/bin/env python3
"""The samples of conf.d: no finding about them as they are, every key shown behind a ';' exists too, and every option
that there is is shown."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
from tree import BUILD, TOP, Report, files, text

PATCHBAY = os.path.join(BUILD, 'engine', 'patchbay')
# Behind a sign and a blank is text.
INI = re.compile(r'^;(\[[a-z$][^\]]*\]|[A-Za-z_][\w.]*=.*)$')
CFG = re.compile(r'^#(\w+ = .*)$')

report = Report('samples')


def check(folder, *options):
	done = subprocess.run([PATCHBAY, 'check', '-c', folder, *options], capture_output=True, text=True,
		timeout=60, check=False)
	return done.returncode, done.stdout + done.stderr


def uncommented(path):
	pattern = CFG if path.endswith('.cfg') else INI
	out = []
	for line in text(path).split('\n'):
		shown = pattern.match(line)
		report.checked += bool(shown)	# `check` looks at it
		out.append(shown[1] if shown else line)
	return '\n'.join(out)


code, said = check(os.path.join(TOP, 'conf.d'), '--strict')
report.check(code == 0 and said.startswith('0 errors, 0 warnings'), 'conf.d', f'exit code {code}\n{said}')

with tempfile.TemporaryDirectory() as folder:
	for path in files('.conf', '.cfg', under=('conf.d',)):
		if '/site/' in path:
			continue
		with open(os.path.join(folder, os.path.basename(path)), 'w', encoding='utf-8') as f:
			f.write(uncommented(path))
	code, said = check(folder)
	said = re.sub(r'.*\[conf-026\]\n', '', said)	# what both main files can say is shown in both
	report.check(code == 0 and not re.search(r'\[(conf|cfg)-\d+\]', said), 'conf.d, nothing behind a sign',
		f'exit code {code}\n{said}')

described = subprocess.run([PATCHBAY, 'describe', 'option', '--json'], capture_output=True, text=True, timeout=60,
	check=True)
for option in json.loads(described.stdout):
	sample = text(os.path.join('conf.d', option['file']))
	shown = re.escape(option['name'])
	if option['file'].endswith('.cfg'):
		pattern = rf"^# {re.escape(option['section'].replace('*', 'NAME'))}\.{shown}:"
	elif option.get('no_effect'):
		pattern = rf'without effect:.* ({shown}(\.\.\.)?|\[{re.escape(option["section"])}\])[,.]'
	else:
		pattern = re.escape(option['doc']) if option.get('prefix') else rf'^(; ?)?{shown}='
	report.check(re.search(pattern, sample, re.M), f"conf.d/{option['file']}", f"does not show {option['name']}")

with tempfile.TemporaryDirectory() as folder:
	# The check itself works: a mistake is found.
	shutil.copy(os.path.join(TOP, 'conf.d', 'ysipchan.conf'), folder)
	with open(os.path.join(folder, 'ysipchan.conf'), 'a', encoding='utf-8') as f:
		f.write('\n[general]\nmaxforwarts=3\n')
	code, said = check(folder, '--strict')
	report.check(code != 0 and 'maxforwards' in said, 'a mistake', f'is not found\n{said}')
report.end(at_least=5)
