"""A folder as users of Yate have it: the engine starts with it, and `check` says of each key what becomes of it."""

import json
import os
import re
import subprocess

from lab.case import test
from lab.engine import Engine, site
from lab.verdict import contains, equal, ok

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'data', 'yate-folder')
SECRET = 'Mh4-secret'


def folder(t):
	"""The files, for this test's address."""
	put = {'@ADDR@': t.host(1), '@CONSOLE@': '5038', '@PASSWORD@': SECRET}
	conf = {}
	for name in os.listdir(FOLDER):
		if name.endswith('.conf'):
			with open(os.path.join(FOLDER, name), encoding='utf-8') as f:
				conf[name] = re.sub('|'.join(put), lambda m: put[m[0]], f.read())
	conf['engine.cfg'] = 'loops = { calls = 2; };\n'
	return conf


def run(t, *args):
	done = subprocess.run([os.path.join(t.build, 'engine', 'patchbay'), *args], stdin=subprocess.DEVNULL,
		capture_output=True, timeout=60, check=False, text=True)
	ok('Sanitizer' not in done.stderr, done.stderr[-2000:])
	return done.returncode, done.stdout


def expected(t):
	"""{(file, section, key): state} by the list beside the files."""
	modules = set(os.listdir(os.path.join(t.build, 'modules')))
	read = {'rmanager': 'console', 'ysipchan': 'sip'}	# files by another name than the module's folder
	out = {}
	with open(os.path.join(FOLDER, 'expected'), encoding='utf-8') as f:
		for line in f:
			if line.startswith('#'):
				continue
			file, section, key, state = line.rstrip('\n').split('\t')
			module = read.get(file[:-5], file[:-5])
			here = file in ('yate.conf', 'included.conf', 'regfil.conf') or module in modules
			out[file, section, key] = state if here or state == 'unknown' else 'accepted'
	return out


@test(level='fast')
def each_key(t):
	e = Engine(t.build, t.folder, folder(t))
	code, said = run(t, 'check', '--keys', '--json', '-c', e.conf)
	equal(code, 0, 'exit code: nothing in it keeps the engine from starting')
	said = json.loads(said)
	got = {(os.path.basename(k['file']), k['section'], k['key']): k for k in said['keys']}
	equal(len(got), len([k for k in said['keys'] if not k['file'].endswith('.cfg')]) + 1, 'each key once')
	want = expected(t)
	want['engine.cfg', 'loops', 'calls'] = 'supported'
	differ = {k: (want.get(k), got[k]['state'] if k in got else None) for k in want.keys() | got.keys()
		if k not in got or want.get(k) != got[k]['state']}
	equal(differ, {}, 'keys of another state than expected (expected, said)')
	for k in said['keys']:
		ok(k['why'].endswith(('.', ')', '?')) and k['line'] and k['col'], f'why and where: {k}')
	_places(e, got)
	not_read = {os.path.basename(f['file']) for f in said['findings'] if f['id'] == 'conf-024'}
	ok({'javascript.conf', 'callfork.conf', 'register.conf', 'yrtpchan.conf'} <= not_read, f'files not read: {not_read}')
	unknown = [f for f in said['findings'] if f['id'] == 'conf-025']
	equal([os.path.basename(f['file']) for f in unknown], ['regfil.conf'], 'files that nobody knows')
	contains(unknown[0]['text'], "did you mean 'regfile.conf'?", 'what is said of it')


def _places(e, got):
	"""Each key is where it is said to be."""
	for (file, _, key), k in got.items():
		if file == 'engine.cfg':
			continue
		with open(os.path.join(e.conf, file), encoding='utf-8') as f:
			line = f.read().split('\n')[k['line'] - 1]
		ok(line[k['col'] - 1:].startswith(key), f'{file}:{k["line"]}:{k["col"]}: {key} in {line!r}')


@test(level='fast')
def as_text(t):
	e = Engine(t.build, t.folder, folder(t))
	code, said = run(t, 'check', '--keys', '-c', e.conf)
	equal(code, 0, 'exit code')
	contains(said, f'{e.conf}/yrtpchan.conf:4:1: [general] ipv6_support: accepted: Module yrtpchan is not part of this '
		'engine yet.', 'a key of a module that is not here')
	ok(re.search(r'ysipchan\.conf:\d+:1: \[general\] maxpk: unknown: ', said), 'a key that nobody knows')


@test(level='fast')
def it_starts(t):
	conf = folder(t)
	e = t.engine(conf, args=('runparam shelfpath=/shelf/${configname}',))
	c = e.console
	equal(c.cmd(f'auth {SECRET}'), 'Authenticated successfully as admin!', 'auth')
	status = c.cmd('status engine')
	contains(status, 'nodename=folder', 'node')
	contains(status, 'application=Folder', 'application')
	contains(status, 'shelfpath=/shelf/yate', 'a run parameter of the command line')
	contains(c.cmd('version'), 'name: Folder', 'version')
	for name in ('sip', 'regfile', 'regexroute', 'extmodule', 'cdrbuild'):
		contains(c.cmd(f'status {name}'), f'name={name},', name)
	e.process.expect(r'starting up on folder', 5)


@test(level='fast')
def dump(t):
	"""What is in force, told by the engine that runs and by the program: the same, and no secret in it."""
	conf = folder(t)
	e = t.engine(conf)
	code, offline = run(t, 'config', '-c', e.conf, '--effective', '--json', 'dump', 'ysipchan')
	equal(code, 0, 'exit code')
	values = {(v['section'], v['key']): v for v in json.loads(offline)}
	equal(values['general', 'maxforwards']['value'], '20', 'a value')
	equal(values['general', 'digest']['from'], 'default', 'a value that the file does not have')
	equal(values['listener second', 'port']['value'], '5062', 'a value of a listener')
	place = values['listener second', 'port']
	ok(place['file'].endswith('ysipchan.conf') and place['line'] > 90, f'place {place}')
	c = e.console
	c.cmd(f'auth {SECRET}')
	online = [line for line in c.cmd('config dump --effective ysipchan.conf').splitlines() if ' [' in line]
	code, text = run(t, 'config', '-c', e.conf, '--effective', 'dump', 'sip')
	equal([line.strip() for line in online], [line.strip() for line in text.splitlines()], 'online and offline')
	code, text = run(t, 'config', '-c', e.conf, '--effective', 'dump')
	everything = text + run(t, 'config', '-c', e.conf, 'dump')[1] + c.cmd('config dump rmanager')
	ok(SECRET not in everything and 'password=first' not in everything, 'secrets are hidden')
	contains(everything, 'rmanager.conf [general] password=(hidden)', 'a secret')


@test(level='fast')
def clamped(t):
	conf = site(t.host(1))
	conf['yate.conf'] = '[general]\nmaxevents=5000\n'
	e = Engine(t.build, t.folder, conf)
	code, text = run(t, 'config', '-c', e.conf, '--effective', 'dump', 'yate.conf')
	equal(code, 0, 'exit code')
	contains(text, f'yate.conf [general] maxevents=1000  ({e.conf}/yate.conf:2:11, written 5000)', 'a clamped value')


@test(level='fast')
def unreadable(t):
	"""A file that cannot be read is told of by name; the engine does not start without what is in it."""
	conf = site(t.host(1))
	e = Engine(t.build, t.folder, conf)
	os.remove(os.path.join(e.conf, 'regfile.conf'))
	os.mkdir(os.path.join(e.conf, 'regfile.conf'))
	code, text = run(t, 'check', '-c', e.conf)
	equal(code, 2, 'exit code')
	contains(text, 'regfile.conf: error: cannot read it: Is a directory [conf-001]', 'what is said')
	code, text = e.run_out()
	equal(code, 2, 'exit code of run')
	contains(text, 'regfile.conf: error: cannot read it', 'what run says')
	code, text = run(t, 'check', '-c', os.path.join(t.folder, 'nowhere'))
	equal(code, 2, 'exit code without a folder')
