#!/usr/bin/env python3
"""The tree speaks of Patchbay alone: no folder of the machine it was written on, no host but those of examples
and public documents, no note about who is to do what."""

import re
import sys

sys.dont_write_bytecode = True
from tree import Report, files, lines

FOLDERS = re.compile(r'(?<![\w.$}])/(work|root|home|Users|mnt)\b(?!\w)')
HOSTS = re.compile(r'\b(?:https?|wss?|git|ssh)://([A-Za-z0-9.\-]+)')
PUBLIC = re.compile(r'(^|\.)(example(\.(org|com|net))?|test|invalid|localhost|rfc-editor\.org|ietf\.org|apache\.org'
	r'|iana\.org|debian\.org|[0-9.]+)$')
NOTES = re.compile(r'\b(TO' r'DO|FIX' r'ME|XX' r'X|HA' r'CK)\b|\bwork' r'tree\b|\bissue #?\d|\bgit(hub|lab)\.com')

report = Report('words')
for path in files() + ['COPYING']:
	for number, line in lines(path):
		where = f'{path}:{number}'
		report.check(not FOLDERS.search(line), where, 'names a folder of one machine')
		report.check(not NOTES.search(line), where, 'is a note to somebody, or names where the work is done')
		for host in HOSTS.findall(line):
			report.check(PUBLIC.search(host), where, f'names the host {host}')
report.end(at_least=10000)
