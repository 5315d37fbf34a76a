#!/usr/bin/env python3
"""What a module puts on the bus by a name in its sources stands in its table `sends`, and the id of each finding
in its table `findings`: as `patchbay describe` has them."""

import json
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
from tree import BUILD, Report, files, text

PATCHBAY = os.path.join(BUILD, 'engine', 'patchbay')
# Calls that make a message of a name, or give it one; up to the end of the statement or block.
MAKES = re.compile(r'\b(pb_msg_new|pb_chan_msg|pb_msg_again|pbi_ask_and_wait|event_message)\(([^;{]*)')
NAME = re.compile(r'"([a-z]+\.[a-z.]+|database)"')
FINDING = re.compile(r'PB_SEV_\w+,\s*"([a-z]+-\d{3})"|\bcomplain\([^;]*?"([a-z]+-\d{3})"', re.S)

report = Report('sends')


def described(kind):
	done = subprocess.run([PATCHBAY, 'describe', kind, '--json'], capture_output=True, text=True, timeout=60, check=True)
	return json.loads(done.stdout)


def owner(path):
	"""The module's name; what is engine/call is every driver's."""
	part = path.split('/')
	if part[0] == 'engine':
		return {'bus': 'engine', 'call': 'sip'}.get(part[1])
	for source in files('.c', under=(f'modules/{part[1]}',)):
		found = re.search(r'^PB_MODULE\(.*?\.name = "(\w+)"', text(source), re.M | re.S)
		if found:
			return found[1]
	return None


sent = {m['name']: {s['module'] for s in m['sent_by'] if not s.get('answers')} for m in described('message')}
ids = {row['name'] for row in described('log')}

for path in files('.c', under=('engine/bus', 'engine/call', 'modules')):
	body = re.sub(r'/\*.*?\*/', lambda c: re.sub(r'[^\n]', ' ', c[0]), text(path), flags=re.S)
	name = owner(path)
	for call in MAKES.finditer(body):
		where = f'{path}:{body.count(chr(10), 0, call.start()) + 1}'
		for message in NAME.findall(call[2].split(');')[0]):
			family = message.rsplit('.', 1)[0] + '.'
			report.check(name in sent.get(message, set()) | sent.get(family, set()), where,
				f'{name} makes {message}, which its table `sends` does not have')
	for found in FINDING.finditer(body):
		ident = found[1] or found[2]
		where = f'{path}:{body.count(chr(10), 0, found.start()) + 1}'
		report.check(ident in ids, where, f'{ident} is in no table `findings`')
report.end(at_least=40)
