#!/usr/bin/env python3
"""No test sleeps to wait for something.

A sleep that is no wait (a rate, an interval of polling something that says nothing of itself)
tells so in a comment on its line.
"""

import re
import sys

sys.dont_write_bytecode = True
from tree import Report, files, lines, without_strings

SLEEP = re.compile(r'\b(usleep|nanosleep|clock_nanosleep|sleep|time\.sleep|asyncio\.sleep)\s*\(')
SHELL = re.compile(r'^\s*sleep\s+[0-9.]')

report = Report('waits')
for path in files('.c', '.h', '.py', '.sh', under=('tests',)):
	in_text = False
	for number, line in lines(path):
		# Scripts that a test writes for the engine stand in long literals: theirs to sleep.
		quotes = len(re.findall(r'"""|\'\'\'', line)) if path.endswith('.py') else 0
		inside, in_text = in_text or quotes > 1, in_text != (quotes % 2 == 1)
		if inside or in_text:
			continue
		code = without_strings(line)
		sleeps = SHELL.match(code) if path.endswith('.sh') else SLEEP.search(code)
		said = re.search(r'/\*.*\*/', code) if path.endswith(('.c', '.h')) else '#' in code
		report.check(not sleeps or said, f'{path}:{number}', 'sleeps; wait for what happens instead')
report.end(at_least=5000)
