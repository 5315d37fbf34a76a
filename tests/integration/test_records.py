"""What is kept of calls: records of legs and of whole calls in files, counts by kind, what was found out about
numbers, and what the sniffer tells of them."""

import os

from lab.case import test
from lab.engine import site
from lab.verdict import contains, equal, ok

COMBINED = ('time', 'billid', 'chan', 'address', 'caller', 'called', 'billtime', 'ringtime', 'duration', 'status',
	'reason', 'out_leg.chan', 'out_leg.address', 'out_leg.billtime', 'out_leg.ringtime', 'out_leg.duration',
	'out_leg.reason')


def to_callee(t, before=''):
	"""Rules that send every number to the callee at host 3."""
	return f'[default]\n{before}.*=sip/sip:service@{t.host(3)}:5060\n'


def lines(e, name):
	path = os.path.join(e.folder, name)
	if not os.path.exists(path):
		return []
	with open(path, encoding='utf-8') as f:
		return [line.rstrip('\n') for line in f if line.endswith('\n')]


def wait_lines(e, name, n):
	e.process.poll(lambda: len(lines(e, name)) >= n, 10, f'{n} lines in {name}')
	return lines(e, name)


@test(level='fast')
def combined_record(t):
	"""A call of SIPp is one line: both legs, grouped by billid; a call that finds nobody has no out leg."""
	e = t.engine(site(t.host(1), route=to_callee(t, '^none=-;error=noroute\n'), extra={
		'cdrfile.conf': '[general]\nfile=${workpath}/calls.tsv\ncombined=yes\nmode=0600\n'}))
	t.uas(3)
	t.uac(2, e.sip, 1, 1).wait(20, 1)
	record = dict(zip(COMBINED, wait_lines(e, 'calls.tsv', 1)[0].split('\t'), strict=True))
	equal((record['status'], record['called']), ('answered', 'service'), 'status and called of the main leg')
	ok(record['chan'].startswith('sip/') and record['out_leg.chan'].startswith('sip/'), f'channels: {record}')
	ok(record['chan'] != record['out_leg.chan'], f'two legs: {record}')
	contains(record['address'], t.host(2), 'address of the caller')
	contains(record['out_leg.address'], t.host(3), 'address of the callee')
	ok(float(record['duration']) >= float(record['billtime']) > 0, f'times: {record}')
	equal(os.stat(os.path.join(e.folder, 'calls.tsv')).st_mode & 0o777, 0o600, 'rights of the file')
	caller = t.phone(e.sip, 'anna', 4)
	equal(caller.invite('none').answer(200).status, 404, 'answer for a number that is not')
	alone = dict(zip(COMBINED, wait_lines(e, 'calls.tsv', 2)[1].split('\t'), strict=True))
	equal((alone['called'], alone['reason'], alone['out_leg.chan']), ('none', 'noroute', ''), 'a call without out leg')
	e.idle()
	equal(e.status('cdrcombine').count('cdrs'), 0, 'calls that are not over')
	equal(e.status('cdrbuild').count('cdrs'), 0, 'legs that are not over')


@test()
def rotated_by_reload(t):
	"""The file is moved away; a reload begins a new one, and no line is lost."""
	e = t.engine(site(t.host(1), route=to_callee(t), sniffer=False, extra={
		'cdrfile.conf': '[general]\nfile=cdr.csv\ntabs=no\nformat=${chan},${direction}\n'}))
	t.uas(3)
	for n in range(3):
		t.uac(2, e.sip, 5, 20, name=f'uac{n}').wait(20, 5)
		equal(len(wait_lines(e, 'cdr.csv', 10)), 10, 'lines of five calls')
		os.rename(os.path.join(e.folder, 'cdr.csv'), os.path.join(e.folder, f'old.{n}'))
		e.console.cmd('reload')
		e.process.poll(lambda: os.path.exists(os.path.join(e.folder, 'cdr.csv')), 10, 'a new file')
	legs = [line for n in range(3) for line in lines(e, f'old.{n}')]
	equal(len(legs), 30, 'lines in all')
	equal(len(set(legs)), 30, 'each leg has one')


@test()
def open_at_the_end(t):
	"""Calls that go on when the engine stops have their records, of legs and of the call."""
	e = t.engine(site(t.host(1), route=to_callee(t), sniffer=False, extra={
		'cdrfile.conf': '[general]\nfile=calls.tsv\ncombined=yes\n'}))
	t.uas(3)
	held = t.uac(4, e.sip, 1, 1, name='held', scenario='held')
	e.process.poll(lambda: e.status('cdrcombine').count('cdrs') == 1, 10, 'a call under way')
	item = next(iter(e.status('cdrcombine').items.values()))
	equal(item.split('|')[4], '1', f'out legs of {item}')
	e.process.poll(lambda: all(v.startswith('answered') for v in e.status('cdrbuild').items.values()), 10,
		'both legs answered')
	held.stop()
	e.stop()
	record = dict(zip(COMBINED, wait_lines(e, 'calls.tsv', 1)[0].split('\t'), strict=True))
	equal(record['status'], 'answered', 'status of the call')
	ok(record['out_leg.chan'], f'its out leg: {record}')


def marked(t, mark, rules=''):
	"""Every call gets the parameter `mark` before it is routed to the callee at host 3."""
	return (f'[priorities]\nroute=90\npreroute=90\n[contexts]\n.*=;{mark}\n.*=default\n'
		f'[default]\n{rules}.*=sip/sip:service@{t.host(3)}:5060\n')


@test()
def counted_calls(t):
	"""A second call of the same kind is refused while the first one goes on, and not afterwards."""
	e = t.engine(site(t.host(1), sniffer=False, extra={
		'regexroute.conf': marked(t, 'kind=gold', '${kind_count}^[1-9]=-;error=busy\n'),
		'cdrbuild.conf': '[parameters]\nkind=yes\n',
		'callcounters.conf': '[general]\nparameter=kind\n'}))
	t.uas(3)
	held = t.uac(4, e.sip, 1, 1, name='held', scenario='held')
	e.process.poll(lambda: e.status('callcounters').items == {'gold': '1'}, 10, 'a call that is counted')
	caller = t.phone(e.sip, 'anna', 5)
	equal(caller.invite('x').answer(200).status, 486, 'answer to the second call')
	e.process.poll(lambda: e.status('callcounters').items == {'gold': '1'}, 10, 'the refused call not counted')
	chan = next(i for i, v in e.status('cdrbuild').items.items() if v.startswith('answered'))
	contains(e.console.cmd(f'drop {chan}'), 'Dropped', 'answer to drop')
	held.wait(10, 1)
	e.process.poll(lambda: e.status('callcounters').items == {}, 10, 'nothing counted any more')
	t.uac(2, e.sip, 1, 1).wait(20, 1)
	e.idle()


NETWORK = '''
bus.handle{ name = "call.route", priority = 50, filter = { querylnp = "true" }, function(msg)
	log.note("network asked for " .. msg.called)
	msg.routing, msg.querylnp, msg.npdi = "net", "false", "true"
end }
bus.handle("database", function(msg)
	log.note("database asked: " .. msg.query)
	sleep(0.2)
	if msg.query:find("'service'", 1, true) then
		msg["row.1.id"], msg["row.1.routing"], msg.rows = "service", "stored", "1"
	end
	return true
end)
'''


def numbers(t, cache):
	script = t.path('network.lua')
	with open(script, 'w', encoding='utf-8') as f:
		f.write(NETWORK)
	e = t.engine(site(t.host(1), extra={'regexroute.conf': marked(t, 'querylnp=true'), 'cache.conf': cache,
		'lua.conf': f'[scripts]\nnetwork={script}\n'}))
	t.uas(3)
	return e


def routing(e, t, n):
	"""The routing number of the n-th call, as its call.route ended."""
	t.uac(2, e.sip, 1, 1, name=f'uac{n}').wait(20, 1)
	return e.process.poll(lambda: len(e.sniffed('call.route', True)) >= n, 5, 'call.route') and \
		e.sniffed('call.route', True)[n - 1].get('routing')


@test()
def number_asked_once(t):
	"""The network is asked for a number once, and again after the cache was flushed."""
	e = numbers(t, '[lnp]\nenable=yes\nttl=3600\nstore_npdi_before=no\nrouteafter=75\n')

	def asked():
		return sum('network asked for service' in line for line in e.process.lines)

	equal([routing(e, t, n) for n in (1, 2, 3)], ['net'] * 3, 'routing numbers')
	equal(asked(), 1, 'questions to the network')
	equal(e.status('cache').items, {'lnp': '1'}, 'items')
	contains(e.console.cmd('cache flush lnp regexp=^ser'), 'Cache lnp: 1 removed', 'answer to flush')
	equal(routing(e, t, 4), 'net', 'routing number')
	equal(asked(), 2, 'questions to the network')


@test()
def number_from_database(t):
	"""A number that is not in the cache comes from the database, while the call is held; the next has it at once."""
	e = numbers(t, "[lnp]\nenable=yes\naccount=numbers\nquery_loaditem=SELECT 1 FROM lnp WHERE id='${id}'\n")
	equal([routing(e, t, n) for n in (1, 2)], ['stored'] * 2, 'routing numbers')
	said = '\n'.join(e.process.lines)
	equal(said.count("database asked: SELECT 1 FROM lnp WHERE id='service'"), 1, 'questions to the database')
	equal(said.count('network asked'), 0, 'questions to the network')
	contains(e.console.cmd("cache load lnp id=o'neill"), 'Cache lnp: 0 loaded', 'answer to load')
	contains('\n'.join(e.process.lines), "id='o''neill'", 'the query for an odd number')


@test()
def sniffed_channel(t):
	"""With dump_msg_data a message names its channel; a rule of the file shows only what it takes."""
	e = t.engine(site(t.host(1), route=to_callee(t), extra={
		'yate.conf': '[general]\nmsgsniff=yes\nmsgsniff:records=filter=^call\\.execute$\ndump_msg_data=yes\n'}))
	t.uas(3)
	t.uac(2, e.sip, 1, 1).wait(20, 1)
	e.idle()
	equal({m.name for m in e.sniffed()}, {'call.execute'}, 'messages shown')
	shown = [line for line in e.process.lines if "data=0x" in line and "'sip/" in line]
	equal(len(shown), 2, f'channels named: {shown}')
	contains(e.console.cmd('sniffer'), 'Name: records', 'the rule')
