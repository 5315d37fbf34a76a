/*
 * What a script can ask about and change of itself, a row each. An empty value
 * asks; one that cannot be used changes nothing, and the reply tells what is.
 */
#include "extmodule/script.h"

#include <errno.h>

enum kind { BOOL, INT, TEXT };

struct row {
	struct pb_str name;
	enum kind kind;
	size_t at; /* in struct ext_locals */
	int64_t lo, hi;
};

#define ROW(word, what, field, ...)                                                                \
	{                                                                                          \
		PB_STR_INIT(word), what, offsetof(struct ext_locals, field), __VA_ARGS__           \
	}

static const struct row rows[] = {
	ROW("timeout", INT, timeout_ms, INT32_MIN, INT32_MAX),
	ROW("maxqueue", INT, maxqueue, 0, 10000),
	ROW("bufsize", INT, bufsize, 2048, 65536),
	ROW("debuglevel", INT, debug_level, 1, 10),
	ROW("timebomb", BOOL, timebomb, 0, 0),
	ROW("reenter", BOOL, reenter, 0, 0),
	ROW("selfwatch", BOOL, selfwatch, 0, 0),
	ROW("setdata", BOOL, setdata, 0, 0),
	ROW("settime", BOOL, settime, 0, 0),
	ROW("trackparam", TEXT, track, 0, 0),
	ROW("reason", TEXT, reason, 0, 0),
};

static struct pb_str bool_text(bool v)
{
	return v ? PB_STR("true") : PB_STR("false");
}

static struct pb_str int_text(struct ext_script *s, int64_t v)
{
	return pb_arena_printf(s->host->decoded, "%lld", (long long)v);
}

/* Texts are set seldom; what they had before stays in the script's arena, whose
 * limit ends it for who sets them for ever. */
static bool set_text(struct ext_script *s, struct pb_str *text, struct pb_str value)
{
	struct pb_str kept = pb_arena_str(s->arena, value);

	if (!kept.p)
		return false;
	*text = kept;
	return true;
}

static bool apply(struct ext_script *s, const struct row *r, struct pb_str *value)
{
	char *field = (char *)&s->locals + r->at;
	int64_t v = 0;

	switch (r->kind) {
	case BOOL:
		*(bool *)field = pb_str_to_bool(*value, *(bool *)field);
		*value = bool_text(*(bool *)field);
		return true;
	case INT:
		if (pb_str_to_i64(*value, 0, r->lo, r->hi, &v) != -EINVAL)
			*(int64_t *)field = v;
		*value = int_text(s, *(int64_t *)field);
		return true;
	case TEXT:
		if (value->n && !set_text(s, (struct pb_str *)field, *value))
			return false;
		*value = *(struct pb_str *)field;
		return true;
	}
	return false;
}

static bool own_row(struct ext_script *s, struct pb_str name, struct pb_str *value, bool *ok)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!pb_str_eq(rows[i].name, name))
			continue;
		*ok = apply(s, &rows[i], value);
		if (pb_str_eq(name, PB_STR("bufsize")) && s->stream)
			pb_stream_set_in_limit(s->stream, (size_t)s->locals.bufsize);
		return true;
	}
	return false;
}

/* Only a process can be started again. */
static bool set_restart(struct ext_script *s, struct pb_str *value)
{
	bool can = s->process && s->role == EXT_ROLE_GLOBAL;

	s->locals.restart = can && pb_str_to_bool(*value, s->locals.restart);
	*value = bool_text(s->locals.restart);
	return true;
}

/* Once. */
static bool set_debug_name(struct ext_script *s, struct pb_str *value)
{
	bool ok = true;

	if (value->n)
		ok = !s->locals.debug_name.n && set_text(s, &s->locals.debug_name, *value);
	*value = s->locals.debug_name;
	return ok;
}

/* What can only be read: answers true when there is such a thing. */
static bool read_only(const struct ext_host *h, struct pb_str name, struct pb_str *value)
{
	struct pb_str got = PB_STR_NULL, section;

	if (value->n || !h->engine)
		return false;
	if (pb_str_starts(name, PB_STR("engine."))) {
		got = pb_engine_run_param(h->engine, pb_str_from(name, 7));
	} else if (pb_str_eq(name, PB_STR("runid"))) {
		got = pb_engine_run_param(h->engine, name);
	} else if (pb_str_starts(name, PB_STR("loaded."))) {
		got = bool_text(pb_engine_loaded(h->engine, pb_str_from(name, 7)));
	} else if (pb_str_starts(name, PB_STR("config."))) {
		name = pb_str_from(name, 7);
		pb_str_cut(&name, '.', &section);
		got = pb_engine_main(h->engine, section, name);
	}
	if (!got.p)
		return false;
	*value = got;
	return true;
}

bool ext_setlocal(struct ext_script *s, struct pb_str name, struct pb_str *value)
{
	bool ok = false;

	if (own_row(s, name, value, &ok))
		return ok;
	if (pb_str_eq(name, PB_STR("restart")))
		return set_restart(s, value);
	if (pb_str_eq(name, PB_STR("debugname")))
		return set_debug_name(s, value);
	return read_only(s->host, name, value);
}
