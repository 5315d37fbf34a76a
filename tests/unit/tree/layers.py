#!/usr/bin/env python3
"""Includes follow the layers: base <- loop <- bus <- call, media <- modules.

A module includes no other module's header, and the SIP stack none of bus or call.
"""

import re
import sys

sys.dont_write_bytecode = True
from tree import Report, files, lines

MAY = {
	'base': {'base'},
	'loop': {'base', 'loop'},
	'bus': {'base', 'loop', 'bus'},
	'call': {'base', 'loop', 'bus', 'call'},
	'media': {'base', 'loop', 'bus', 'media'},
	'program': {'base', 'loop', 'bus', 'program.h', 'options.def'},
}
STACK = {'base', 'loop'}


def allowed(path, header):
	part, first = path.split('/'), header.split('/')[0]
	if part[0] == 'engine':
		return first in MAY[part[1] if len(part) > 2 else 'program']
	if part[:3] == ['modules', 'sip', 'stack']:
		return first in STACK or header.startswith('sip/stack/')
	if first == part[1]:
		return True
	return first in ('base', 'loop', 'bus', 'call', 'media') and not header.endswith('_impl.h')


report = Report('layers')
for path in files('.c', '.h', under=('engine', 'modules')):
	for number, line in lines(path):
		found = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
		if found:
			report.check(allowed(path, found[1]), f'{path}:{number}', f'must not include {found[1]}')
report.end(at_least=300)
