"""How a test says that something is not as it must be."""


class Failed(Exception):
	"""The product or a peer did not do what the test asks."""


class Skipped(Exception):
	"""The test cannot run here (a peer is not installed)."""


def ok(condition, what):
	if not condition:
		raise Failed(what)


def equal(got, want, what):
	if got != want:
		raise Failed(f'{what}: got {got!r}, want {want!r}')


def contains(text, part, what):
	if part not in text:
		raise Failed(f'{what}: {part!r} is not in {text!r}')


def lists(got, want, what):
	"""Two lists, told apart at their first difference."""
	for i, (g, w) in enumerate(zip(got, want)):
		if g != w:
			raise Failed(f'{what}: item {i + 1}: got {g!r}, want {w!r}')
	if len(got) != len(want):
		raise Failed(f'{what}: got {len(got)} items, want {len(want)}; beyond: {(got[len(want):] or want[len(got):])!r}')
