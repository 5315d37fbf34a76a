"""The source tree as the tests of this folder see it, and how they report.

A test looks at many places and counts as one: it passes when nothing is wrong at any
of them. Its last line is `tree/NAME: N passed, N failed`, as that of every other test.
"""

import os
import re
import sys

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), '../../..'))
BUILD = os.getcwd()	# make check runs tests in the build folder

FOLDERS = ('.ci', 'conf.d', 'engine', 'modules', 'scripts', 'share', 'tests')
TOP_FILES = ('ARCHITECTURE.md', 'Makefile.am', 'NEWS', 'README', 'configure.ac')
DERIVED = ('.deps', '.libs', '__pycache__')


def files(*suffixes, under=FOLDERS):
	"""Paths below the top, sorted; without what a build in the tree leaves and corpora."""
	found = [f for f in TOP_FILES if f.endswith(suffixes or ('',)) and under is FOLDERS]
	for folder in under:
		for at, dirs, names in os.walk(os.path.join(TOP, folder)):
			dirs[:] = [d for d in dirs if d not in DERIVED and d != 'corpus']
			found += [os.path.relpath(os.path.join(at, n), TOP) for n in names
				if n.endswith(suffixes or ('',)) and not n.endswith(('.o', '.lo', '.la', '.pyc', '~'))]
	return sorted(found)


def text(path):
	with open(os.path.join(TOP, path), encoding='utf-8') as f:
		return f.read()


def lines(path):
	"""(number, line) of a text file; nothing of a binary one."""
	try:
		return list(enumerate(text(path).split('\n'), 1))
	except UnicodeDecodeError:
		return []


def without_strings(line):
	"""A line of C or Python with its literals emptied."""
	return re.sub(r'"(\\.|[^"\\])*"|\'(\\.|[^\'\\])*\'', '""', line)


class Report:
	def __init__(self, name):
		self.name, self.checked, self.bad = name, 0, 0

	def check(self, good, where, what):
		self.checked += 1
		if not good:
			self.bad += 1
			print(f'{where}: {what}')
		return good

	def end(self, at_least=1):
		"""A test that looked at next to nothing has lost its subject: that is wrong too."""
		self.check(self.checked >= at_least, self.name, f'only {self.checked} things looked at')
		print(f'{self.checked} places looked at')
		print(f'tree/{self.name}: {0 if self.bad else 1} passed, {self.bad} failed')
		sys.exit(1 if self.bad else 0)
