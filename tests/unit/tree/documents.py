#!/usr/bin/env python3
"""What the documents name is there: files and functions; each module has its page, each lock its reason, and
each file is distributed."""

import os
import re
import sys

sys.dont_write_bytecode = True
from tree import Report, files, text

report = Report('documents')
tree = set(files()) | {'COPYING'}
sources = '\n'.join(text(p) for p in files('.c', '.h', under=('engine', 'modules', 'tests')))
folders = {p.rsplit('/', i)[0] for p in tree for i in range(1, p.count('/') + 1)}
names = {os.path.basename(p) for p in tree}

pages = ['README', 'ARCHITECTURE.md', 'NEWS'] + files('.md', under=('modules', 'share'))
for page in pages:
	body = text(page)
	report.check(body.strip(), page, 'is empty')
	# Paths: with a folder they stand where they say, without one they are somewhere.
	for path in re.findall(r'(?<![\w/.$}*-])((?:engine|modules|tests|scripts|conf\.d|share)/[\w./-]*[\w/])(?![\w*<])', body):
		path = path.rstrip('/')
		if 'NAME' in path:	# stands for any
			continue
		report.check(path in tree or path in folders or not os.path.splitext(path)[1] and f'{path}.c' in tree or
			path == 'engine/patchbay', page, f'names {path}, which is not there')
	for name in re.findall(r'(?<![\w/*.-])([a-z_]+\.[ch]|\w+_test)\b(?!\.)', body):
		report.check(name in names or f'{name}.c' in names, page, f'names {name}, which is not there')
	for function in re.findall(r'(?<![\w$%.:])([a-z][a-z_0-9]*)\(\)', body) + re.findall(r'\b((?:pb|pbi|sip|regex)_[a-z]\w*)(?=\(\)|`)', body):
		report.check(re.search(rf'\b{function}\b', sources), page, f'names {function}, which is not there')

# Every lock of the tree has its reason in ARCHITECTURE.md.
for path in files('.c', '.h', under=('engine', 'modules')):
	if 'pthread_mutex_t ' in text(path):
		report.check(f'`{path}`' in text('ARCHITECTURE.md'), path, 'has a lock that ARCHITECTURE.md does not explain')

for module in sorted({p.split('/')[1] for p in files('.am', under=('modules',))}):
	page = f'modules/{module}/README.md'
	if report.check(page in tree, page, 'a module has a page'):
		body = text(page)
		report.check(body.startswith(f'# {module}'), page, 'begins with its name')
		report.check(re.search(r'^(## Example|    \S)', body, re.M), page, 'shows an example')

readme = text('README').rstrip('\n').split('\n')
report.check(len(readme) <= 45 and max(map(len, readme)) <= 100, 'README', 'fits a screen')
# What no fragment names is not distributed.
fragments = '\n'.join(text(p) for p in files('.am'))
for path in tree:
	if path.endswith('.am') and path != 'Makefile.am':
		report.check(f'include {path}' in fragments, path, 'is included by no other .am')
	elif not path.endswith('.am') and path != 'configure.ac' and not os.path.basename(path).startswith('.'):
		report.check(path in fragments, path, 'is named in no .am, so it is not distributed')
report.end(at_least=100)
