#!/usr/bin/env python3
"""The manual and the samples are what the tables say today (`make documents` makes them anew), each page is
installed, man finds nothing wrong with it, and every id of the log is on its page."""

import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
from tree import BUILD, TOP, Report, files, text

PATCHBAY = os.path.join(BUILD, 'engine', 'patchbay')
report = Report('pages')


def made(folder):
	"""Path below `folder` to text."""
	found = {}
	for at, _, names in os.walk(folder):
		for name in names:
			path = os.path.join(at, name)
			with open(path, encoding='utf-8') as f:
				found[os.path.relpath(path, folder)] = f.read()
	return found


def lint(path):
	"""What groff has to say."""
	if not shutil.which('groff'):
		return ''
	done = subprocess.run(['groff', '-man', '-ww', '-z', '-Tutf8', path], capture_output=True, text=True, timeout=60,
		check=False)
	return done.stdout + done.stderr


with tempfile.TemporaryDirectory() as folder:
	subprocess.run([os.path.join(TOP, 'scripts', 'documents'), PATCHBAY, TOP, folder], timeout=120, check=True)
	new = made(folder)
	kept = [p for p in files(under=('share/man', 'conf.d')) if not p.endswith('.am') and '/site/' not in p]
	for path, body in new.items():
		report.check(path in kept and text(path) == body, path, 'is not as the tables are: make documents')
		if path.startswith('share/man/'):
			said = lint(os.path.join(folder, path))
			report.check(not said, path, f'groff: {said}')
	for path in kept:
		report.check(path in new, path, 'is made from no table')
	for path in files(under=('conf.d/site',)):
		report.check(path.replace('/site/', '/') in new, path, 'is the site of no file')

log = text('share/man/patchbay-log.7').replace('\\-', '-')
LOG = re.compile(r'\{\s*"([a-z]+-\d{3})",\s*PB_\w+,|FINDING\(\w+, "([a-z]+-\d{3})"')
for path in files('.c', '.def', under=('engine', 'modules')):
	for row in LOG.finditer(text(path)):
		ident = row[1] or row[2]
		report.check(f'\\fB{ident}\\fR' in log, path, f'{ident} is not on the page of the log')
report.end(at_least=60)
