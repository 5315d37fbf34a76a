/*
 * Any octets as what an external script sends: cut into lines, each taken apart
 * as everything it could be. Raw views lie inside the input; a message that was
 * understood is built and understood again with the same content.
 */
#include "extmodule/protocol.h"

#include "fuzz.h"

static struct pb_str input;

static void inside(struct pb_str s)
{
	MUST(!s.n || (s.p >= input.p && s.p + s.n <= input.p + input.n));
}

static bool fill(struct pb_str params, struct pb_arena *a, struct pb_msg *m)
{
	struct pb_param p;
	int got;

	while ((got = ext_param_cut(&params, a, &p)) == 1) {
		MUST(p.name.n > 0);
		if (p.value.p)
			pb_msg_set(m, p.name, p.value);
		else
			pb_msg_clear(m, p.name);
	}
	return got == 0 && !pb_msg_failed(m) && !pb_arena_failed(a);
}

/* A name with '=' is sent as %} and not taken back: the protocol's own oddity. */
static bool has_equals(const struct pb_msg *m)
{
	for (size_t i = 0; i < pb_msg_count(m); i++) {
		if (pb_str_chr(pb_msg_at(m, i)->name, '=') >= 0)
			return true;
	}
	return false;
}

static void again(const struct pb_msg *m, struct pb_arena *a)
{
	struct pb_text t;
	struct pb_str line, rest;
	struct ext_message in;

	pb_text_init(&t, 1u << 22);
	ext_put_delivery(&t, PB_STR("1"), m);
	rest = pb_text_str(&t);
	MUST(ext_line_cut(&rest, &line) && !rest.n);
	MUST(ext_line_verb(line, &rest) == EXT_MESSAGE);
	if (!has_equals(m) && !pb_arena_failed(a)) {
		MUST(ext_parse_message(rest, a, &in) == 0);
		MUST(pb_str_eq(in.name, pb_msg_name(m)) && pb_str_eq(in.retval, pb_msg_retval(m)));
	}
	pb_text_fini(&t);
}

static void try_message(struct pb_str rest, struct pb_arena *a)
{
	struct ext_message in;
	struct pb_msg *m;

	if (ext_parse_message(rest, a, &in))
		return;
	inside(in.params);
	m = pb_msg_new(in.name);
	MUST(m);
	pb_msg_set_retval(m, in.retval);
	if (fill(in.params, a, m))
		again(m, a);
	pb_msg_free(&m);
}

static void try_answer(struct pb_str rest, struct pb_arena *a)
{
	struct ext_answer in;

	if (ext_parse_answer_head(&rest, a, &in))
		return;
	inside(rest);
	if (!ext_parse_answer_body(rest, a, &in))
		inside(in.params);
}

static void try_line(struct pb_str line, struct pb_arena *a)
{
	struct ext_install install;
	struct ext_setlocal local;
	struct ext_connect connect;
	struct ext_debug debug;
	struct pb_str rest;

	inside(line);
	if (ext_line_verb(line, &rest) == EXT_UNKNOWN)
		rest = line;
	inside(rest);
	if (!ext_parse_install(rest, a, &install))
		inside(install.name);
	if (!ext_parse_setlocal(rest, &local))
		inside(local.value);
	ext_parse_connect(rest, &connect);
	inside(connect.role);
	if (!ext_parse_debug(rest, a, &debug))
		MUST(debug.level >= 1 && debug.level <= 10);
	try_answer(rest, a);
	try_message(rest, a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pb_arena *a = pb_arena_new(1u << 22);
	struct pb_str left, line;

	MUST(a);
	input = left = pb_str((const char *)data, size);
	while (ext_line_cut(&left, &line)) {
		pb_arena_reset(a);
		try_line(line, a);
	}
	pb_arena_reset(a);
	try_line(left, a);
	pb_arena_free(&a);
	return 0;
}
