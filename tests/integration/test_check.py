"""`patchbay check` on a good site and on one seeded mistake at a time: one finding, right place, suggestion."""

import json
import os
import re
import subprocess

from lab.case import test
from lab.engine import Engine, site
from lab.verdict import contains, equal, ok

FINDING = re.compile(r'^(.*?):(\d+):(\d+): (error|warning|note): (.*) \[([a-z]+-\d+)\]$')
SAMPLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'conf.d')


def check(t, conf_dir, *args):
	"""Exit code and findings as (file, line, severity, text)."""
	program = os.path.join(t.build, 'engine', 'patchbay')
	ok(os.access(program, os.X_OK), f'{program} is not built')
	done = subprocess.run([program, 'check', '-c', conf_dir, *args], stdin=subprocess.DEVNULL, capture_output=True,
		timeout=30, check=False, text=True)
	found = [FINDING.match(line) for line in (done.stdout + done.stderr).splitlines()]
	return done.returncode, [(os.path.basename(m[1]), int(m[2]), m[4], m[5]) for m in found if m]


def mistake(t, name, file, text, line, severity, says, suggests=None):
	"""`text` (None: the site's own) in place of `file` of a good site."""
	conf = site(t.host(1))
	conf[file] = text
	e = Engine(t.build, t.folder, conf, name=name)
	code, found = check(t, e.conf)
	equal([f[:3] for f in found], [(file, line, severity)], f'{name}: findings {found}')
	ok(re.search(says, found[0][3]), f'{name}: {says!r} in {found[0][3]!r}')
	if suggests:
		contains(found[0][3], f"did you mean '{suggests}'", name)
	equal(code, 2 if severity == 'error' else 0, f'{name}: exit code')
	equal(check(t, e.conf, '--strict')[0], 2, f'{name}: exit code with --strict')


@test(level='fast')
def good_sites(t):
	for conf in (Engine(t.build, t.folder, site(t.host(1))).conf, SAMPLES):
		equal(check(t, conf), (0, []), f'check of {os.path.basename(conf)}')


@test(level='fast')
def unknown_key(t):
	mistake(t, 'key', 'ysipchan.conf', f'[general]\naddr={t.host(1)}\nmaxpk=4096\n', 3, 'warning', 'unknown', 'maxpkt')


@test(level='fast')
def messages_that_nobody_sends(t):
	mistake(t, 'message', 'regexroute.conf', '[priorities]\nroute=90\n[extra]\nsip.mesage=100\n[sip.mesage]\n.*=200\n',
		4, 'warning', "hears 'sip.mesage'", 'sip.message')


@test(level='fast')
def parameters_that_nobody_sets(t):
	mistake(t, 'parameter', 'regexroute.conf', '[priorities]\nroute=90\n[default]\n${caled}^1=;mine=1\n${mine}^1=-\n',
		4, 'warning', "parameter 'caled'", 'called')


@test(level='fast')
def handlers_that_tie(t):
	mistake(t, 'tie', 'regexroute.conf', '[priorities]\nroute=90\n[extra]\ncall.route=90,called,default\n[default]\n^1=-\n',
		4, 'warning', 'both hear')


@test(level='fast')
def scripts_may_do_anything(t):
	conf = site(t.host(1), extra={'extmodule.conf': '[listener x]\ntype=tcp\naddr=127.0.0.1\nport=5040\n'},
		route='[extra]\nmine.own=100\n[mine.own]\n${anything}^1=1\n')
	equal(check(t, Engine(t.build, t.folder, conf).conf), (0, []), 'findings beside a script')


@test(level='fast')
def wrong_type(t):
	mistake(t, 'type', 'ysipchan.conf', f'[general]\naddr={t.host(1)}\n\nmaxforwards=many\n', 4, 'warning', 'many')


@test(level='fast')
def bad_regex(t):
	mistake(t, 'regex', 'regexroute.conf', '[default]\n^1\\(.*=sip/sip:\\1@127.0.0.1\n', 2, 'error', '')


@test(level='fast')
def missing_include(t):
	mistake(t, 'include', 'regexroute.conf', '[default]\n^1=-\n[$include rules.inc]\n', 3, 'warning', 'rules.inc')


@test(level='fast')
def duplicate_listener(t):
	a = t.host(1)
	mistake(t, 'listener', 'ysipchan.conf',
		f'[general]\naddr={a}\nport=5060\n[listener second]\ntype=udp\naddr={a}\nport=5060\n', 4, 'error', 'general')


@test(level='fast')
def unknown_module(t):
	mistake(t, 'module', 'yate.conf', '[general]\n[modules]\nregexrout.yate=yes\n', 3, 'warning', 'regexrout',
		'regexroute')


@test(level='fast')
def as_json(t):
	"""The same findings for a program."""
	conf = site(t.host(1))
	conf['ysipchan.conf'] += 'meth\n[genral]\nport=5060\n'
	e = Engine(t.build, t.folder, conf)
	done = subprocess.run([os.path.join(t.build, 'engine', 'patchbay'), 'check', '--json', '-c', e.conf],
		capture_output=True, timeout=30, check=False)
	found = json.loads(done.stdout)
	ok(found, 'there are findings')
	ok(all({'file', 'line', 'id', 'text'} <= set(f) for f in found), f'fields of {found[0]}')


@test(level='fast')
def broken_site_does_not_start(t):
	"""run ends with 2 for a broken configuration and 3 for a taken port, each saying why in one line."""
	conf = site(t.host(1))
	conf['engine.cfg'] = 'loops = { calls = "two'
	e = Engine(t.build, t.folder, conf, name='broken')
	_ends(e, 2, r'engine\.cfg:1')
	first = t.engine()
	second = Engine(t.build, t.folder, site(t.host(1)), name='second', console_port=5038)
	second.write('rmanager.conf', f'[general]\naddr={t.host(2)}\nport=5038\n')
	second.write('engine.cfg', 'modules = { sip = { required = true; }; };\n')
	_ends(second, 3, r'5060')
	first.alive()
	sip = first.status('sip')
	equal(sip.count('chans'), 0, 'the first engine is unharmed')


def _ends(e, code, says):
	got, text = e.run_out()
	equal(got, code, f'exit code; it said {text[-400:]}')
	ok(re.search(says, text), f'{says} in {text[-400:]!r}')
