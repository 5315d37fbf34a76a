"""Reads what msgsniff prints: messages with their parameters, in order."""

import re

HEAD = re.compile(r"(Sniffed|Returned (?:true|false)) '([^']*)'(?: time=([0-9.]+))?")
PARAM = re.compile(r"\s+param\['([^']*)'\] = (?:'(.*)|(\(hidden\)))$", re.DOTALL)
RETVAL = re.compile(r"\s+retval=(?:'(.*)'|(\(hidden\)))$")


class Sniffed:
	"""One printed message: before its dispatch (`done` False) or after."""

	def __init__(self, kind, name, time):
		self.done = kind != 'Sniffed'
		self.handled = kind == 'Returned true'
		self.name = name
		self.time = float(time) if time else None
		self.retval = None
		self.params = []

	def __repr__(self):
		return f'{"Returned" if self.done else "Sniffed"} {self.name} {self.params}'

	def get(self, name, default=None):
		return next((v for n, v in self.params if n == name), default)

	def names(self):
		return [n for n, _ in self.params]


def parse(lines):
	found, at, open_value = [], None, None
	for line in lines:
		head = HEAD.search(line)
		if head:
			at = Sniffed(*head.groups())
			found.append(at)
			open_value = None
		elif at:
			open_value = _continue(at, line, open_value)
	return found


def _continue(message, line, open_value):
	"""One more line of `message`; a value that has not ended yet is handed on."""
	if open_value is not None:
		name, text = open_value[0], open_value[1] + '\n' + line
		return _value(message, name, text)
	m = RETVAL.match(line)
	if m:
		message.retval = m.group(2) or (m.group(1) if m.group(1) not in ('', '(null)') else None)
		return None
	m = PARAM.match(line)
	if not m:
		return None
	if m.group(3):
		message.params.append((m.group(1), m.group(3)))
		return None
	return _value(message, m.group(1), m.group(2))


def _value(message, name, text):
	if not text.endswith("'"):
		return name, text
	message.params.append((name, text[:-1]))
	return None
