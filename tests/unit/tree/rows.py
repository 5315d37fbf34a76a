#!/usr/bin/env python3
"""Rows of tables: each has its line of help, ids are given once, what can be said is said somewhere.

Options, commands and handlers of modules are looked at as compiled in rows_test; here are the tables that are
not reached through a module's descriptor, and what only the text can tell.
"""

import re
import sys

sys.dont_write_bytecode = True
from tree import Report, files, text

report = Report('rows')
sources = {p: text(p) for p in files('.c', '.h', '.def', under=('engine', 'modules'))}
everything = '\n'.join(sources.values())


def line_of(path, at):
	return f'{path}:{sources[path].count(chr(10), 0, at) + 1}'


def is_help(s):
	return bool(re.fullmatch(r'[^\s].*[.?!)]', s)) and '\n' not in s


# Options: every row has a type, a name and its help.
for path, body in sources.items():
	for row in re.finditer(r'\{\s*PB_OPT_(\w+),\s*"', body):
		end = body.find('},', row.end())
		said = re.search(r'\.doc\s*=\s*((?:"(?:\\.|[^"\\])*"\s*)+)', body[row.start():end])
		joined = ''.join(re.findall(r'"((?:\\.|[^"\\])*)"', said[1])) if said else ''
		report.check(is_help(joined), line_of(path, row.start()), f'option without a line of help: {joined!r}')
	for row in re.finditer(r'\b(?:ACCEPTED|FREE|FREE_ACCEPTED)\((?:PB_OPT_\w+, )?"([^"]*)", "([^"]*)"\)', body):
		report.check(is_help(row[2]), line_of(path, row.start()), f'option {row[1]} without a line of help')

# What the log and `check` can say: an id each, with help, and used.
given = {}
LOG = r'(?:\[(\w+)\]\s*=\s*)?\{\s*"([a-z]+-\d{3})",\s*PB_\w+,\s*((?:"(?:\\.|[^"\\])*"\s*)+)\}'
FINDING = r'FINDING\((\w+), "([a-z]+-\d{3})", ((?:"(?:\\.|[^"\\])*"\s*)+)\)'
for path, body in sources.items():
	for pattern, kind in ((LOG, 'log'), (FINDING, 'finding')):
		for row in re.finditer(pattern, body):
			where, name, ident = line_of(path, row.start()), row[1], row[2]
			joined = ''.join(re.findall(r'"((?:\\.|[^"\\])*)"', row[3]))
			report.check(is_help(joined), where, f'{ident} without a line of help: {joined!r}')
			report.check(ident not in given, where, f'{ident} was given before, at {given.get(ident)}')
			given[ident] = where
			if kind == 'finding':
				report.check(re.search(rf'\bPB_FIND\({name}\)', everything), where, f'{ident} is never said')
			elif name:
				# By its name, or by a macro that pastes the name's last part.
				tails = [name[i + 1:] for i, c in enumerate(name) if c == '_']
				uses = len(re.findall(rf'\b{name}\b', everything))
				pasted = any(re.search(rf'\b(\w*LOG|\w*SAY)\w*\(\s*{t}\b', everything, re.I) for t in tails)
				report.check(uses > 2 or pasted, where, f'{ident} ({name}) is never said')

# Findings of modules stand where they are said: their ids are no log ids, and mean one thing each.
for path, body in sources.items():
	for use in re.finditer(r'PB_SEV_\w+,\s*"([a-z]+-\d{3})"', body):
		ident = use[1]
		report.check(ident not in given, line_of(path, use.start()), f'{ident} is also {given.get(ident)}')

# Messages and parameters.
names = sources['engine/bus/names.def']
for row in re.finditer(r'^(MESSAGE|MESSAGE_PREFIX|PARAM|PARAM_PREFIX|PARAM_IN)\((.*?)\)$', names, re.M | re.S):
	said = re.findall(r'"((?:\\.|[^"\\])*)"', row[2])
	report.check(len(said) > 1 and is_help(said[-1]), f'names.def {said[0]}', 'without a line of help')
report.end(at_least=300)
