#!/usr/bin/env python3
"""Each header compiles on its own, once and twice."""

import os
import shlex
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
from tree import BUILD, TOP, Report, files

cc = shlex.split(os.environ.get('PB_CC', 'cc'))
flags = ['-std=gnu11', '-fsyntax-only', '-Wall', '-Wextra', '-Werror', '-Wno-unused-parameter', '-Wno-unused-function',
	'-Wno-missing-field-initializers', '-include', f'{BUILD}/config.h', f'-I{TOP}/engine', f'-I{TOP}/modules']
flags += shlex.split(os.environ.get('PB_CPPFLAGS', ''))

report = Report('headers')
with tempfile.TemporaryDirectory() as folder:
	for path in files('.h', under=('engine', 'modules')):
		unit = os.path.join(folder, 'unit.c')
		with open(unit, 'w', encoding='utf-8') as f:
			name = path.split('/', 1)[1]
			f.write(f'#include "{name}"\n#include "{name}"\nextern int pb_not_empty;\n')
		done = subprocess.run(cc + flags + [unit], capture_output=True, text=True, check=False)
		report.check(done.returncode == 0, path, f'does not compile on its own\n{done.stderr}')
report.end(at_least=50)
