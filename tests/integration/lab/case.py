"""A test: a function of one Case, registered by its decorator."""

import contextlib
import os

from . import net, sipp
from .baresip import Baresip
from .engine import Engine, site
from .script import Script
from .sip import Phone

LEVELS = ('fast', 'normal', 'soak')
tests = []


def test(limit=60, level='normal', sanitizers=True, alone=False, heavy=False):
	"""
	`level`: the lowest at which it runs; `alone`: wants port 5060 of all addresses;
	`heavy`: wants the machine, so one of these at a time.
	"""
	def add(fn):
		tests.append(fn)
		fn.limit, fn.level, fn.sanitizers, fn.alone, fn.heavy = limit, level, sanitizers, alone, heavy
		return fn
	return add


class Case:
	"""Makes what the test needs and puts it away afterwards, in reverse order, checking the engine's end."""

	def __init__(self, build, folder, sanitizer=None):
		self.build, self.folder, self.sanitizer = build, folder, sanitizer
		self.rows = []
		self._stack = contextlib.ExitStack()

	def __enter__(self):
		return self

	def __exit__(self, *why):
		return self._stack.__exit__(*why)

	def proves(self, *rows):
		"""Rows of features.md that hold when this test passes."""
		self.rows += rows

	def later(self, fn):
		self._stack.callback(fn)

	def host(self, n):
		return net.host(n)

	def path(self, name):
		return os.path.join(self.folder, name)

	def engine(self, conf=None, start=True, **args):
		addr = args.pop('addr', net.host(1))
		e = Engine(self.build, self.folder, conf or site(addr), addr, **args)
		self.later(e.stop)
		return e.start() if start else e

	def phone(self, server, user, n, password=None):
		p = Phone(server, user, net.host(n), 5060, password or f'pass{user}')
		self.later(p.close)
		return p

	def baresip(self, user, n, server=None, password=None, **args):
		b = Baresip(self.folder, user, net.host(n), server, password=password or f'pass{user}', **args)
		self.later(b.stop)
		return b

	def script(self, addr, **args):
		s = Script(addr, **args)
		self.later(s.close)
		return s

	def uas(self, n, **args):
		s = sipp.uas(self.folder, net.host(n), **args)
		self.later(s.stop)
		return s

	def uac(self, n, target, calls, rate, **args):
		s = sipp.uac(self.folder, net.host(n), target, calls, rate, **args)
		self.later(s.stop)
		return s
