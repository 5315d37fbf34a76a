/*
 * Fields are found on the raw text first and decoded one by one afterwards:
 * the escapes hide every ':' and '=' that is not a separator, so cutting before
 * decoding is safe and cheap.
 *
 * Two oddities are kept because scripts in use rely on them. A delivered
 * message is answered by "%%<message:ID:true:" without a name and without a
 * result, which changes nothing, while one colon more clears the result. And
 * names in install and watch lines are taken literally.
 */
#include "extmodule/protocol.h"

#include <errno.h>

bool ext_line_cut(struct pb_str *bytes, struct pb_str *line)
{
	for (size_t i = 0; i < bytes->n; i++) {
		if (bytes->p[i] != '\n' && bytes->p[i] != '\0')
			continue;
		*line = pb_str_head(*bytes, i);
		if (i && bytes->p[i - 1] == '\r')
			line->n--;
		*bytes = pb_str_from(*bytes, i + 1);
		return true;
	}
	return false;
}

static const struct {
	struct pb_str word;
	enum ext_verb verb;
} verbs[] = {
	{ PB_STR_INIT("%%<message:"), EXT_ANSWER },
	{ PB_STR_INIT("%%>message:"), EXT_MESSAGE },
	{ PB_STR_INIT("%%>install:"), EXT_INSTALL },
	{ PB_STR_INIT("%%>uninstall:"), EXT_UNINSTALL },
	{ PB_STR_INIT("%%>watch:"), EXT_WATCH },
	{ PB_STR_INIT("%%>unwatch:"), EXT_UNWATCH },
	{ PB_STR_INIT("%%>setlocal:"), EXT_SETLOCAL },
	{ PB_STR_INIT("%%>output:"), EXT_OUTPUT },
	{ PB_STR_INIT("%%>debug:"), EXT_DEBUG },
	{ PB_STR_INIT("%%>connect:"), EXT_CONNECT },
};

enum ext_verb ext_line_verb(struct pb_str line, struct pb_str *rest)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (!pb_str_starts(line, verbs[i].word))
			continue;
		*rest = pb_str_from(line, verbs[i].word.n);
		return verbs[i].verb;
	}
	*rest = PB_STR_NULL;
	return pb_str_eq(line, PB_STR("%%>quit")) ? EXT_QUIT : EXT_UNKNOWN;
}

void ext_parse_connect(struct pb_str rest, struct ext_connect *out)
{
	if (!pb_str_cut(&rest, ':', &out->role))
		out->role = PB_STR("");
}

/* Cut one field that must be followed by a colon. */
static bool cut_field(struct pb_str *rest, struct pb_str *field)
{
	return pb_str_cut(rest, ':', field) && rest->p;
}

static int decode(struct pb_arena *a, struct pb_str s, struct pb_str *out)
{
	if (!s.n) {
		*out = PB_STR("");
		return 0;
	}
	return pb_msg_unescape(a, s, out) < 0 || !out->p ? -EINVAL : 0;
}

int ext_parse_install(struct pb_str rest, struct pb_arena *a, struct ext_install *out)
{
	struct pb_str priority, name;

	*out = (struct ext_install){ .priority = 100, .filter_value = PB_STR_INIT("") };
	if (!cut_field(&rest, &priority) || !pb_str_cut(&rest, ':', &out->name) || !out->name.n)
		return -EINVAL;
	if (pb_str_to_i64(priority, 0, INT32_MIN, UINT32_MAX, &out->priority) == -EINVAL)
		out->priority = 100;
	if (!rest.p || !pb_str_cut(&rest, ':', &name) || !name.n)
		return 0;
	if (decode(a, name, &out->filter_name))
		return -EINVAL;
	return rest.p ? decode(a, rest, &out->filter_value) : 0;
}

int ext_parse_setlocal(struct pb_str rest, struct ext_setlocal *out)
{
	if (!cut_field(&rest, &out->name))
		return -EINVAL;
	out->value = rest;
	return 0;
}

int ext_parse_debug(struct pb_str rest, struct pb_arena *a, struct ext_debug *out)
{
	struct pb_str level;
	int64_t v = 10;

	if (!cut_field(&rest, &level) || !level.n)
		return -EINVAL;
	if (pb_str_to_i64(level, 0, 1, 10, &v) == -EINVAL)
		v = 10;
	out->level = (int)v;
	return decode(a, rest, &out->text);
}

int ext_parse_message(struct pb_str rest, struct pb_arena *a, struct ext_message *out)
{
	struct pb_str id, when, name, retval;
	int64_t s = 0;

	if (!cut_field(&rest, &id) || !cut_field(&rest, &when) || !cut_field(&rest, &name))
		return -EINVAL;
	pb_str_cut(&rest, ':', &retval);
	if (when.n && pb_str_to_i64(when, 10, 0, INT64_MAX / 1000000, &s) != 0)
		return -EINVAL;
	out->time_s = (uint64_t)s;
	out->params = rest;
	if (decode(a, id, &out->id) || decode(a, name, &out->name) ||
	    decode(a, retval, &out->retval))
		return -EINVAL;
	return 0;
}

int ext_parse_answer_head(struct pb_str *rest, struct pb_arena *a, struct ext_answer *out)
{
	struct pb_str id, processed;

	*out = (struct ext_answer){ .name = PB_STR_INIT("") };
	if (!cut_field(rest, &id) || !cut_field(rest, &processed) || !pb_str_is_bool(processed))
		return -EINVAL;
	out->processed = pb_str_to_bool(processed, false);
	return decode(a, id, &out->id);
}

int ext_parse_answer_body(struct pb_str rest, struct pb_arena *a, struct ext_answer *out)
{
	struct pb_str name, retval;

	if (!rest.n)
		return 0;
	if (!cut_field(&rest, &name))
		return -EINVAL;
	pb_str_cut(&rest, ':', &retval);
	out->params = rest;
	if (decode(a, name, &out->name) || decode(a, retval, &out->retval))
		return -EINVAL;
	return 0;
}

int ext_param_cut(struct pb_str *params, struct pb_arena *a, struct pb_param *out)
{
	struct pb_str field;

	do {
		if (!params->p || !pb_str_cut(params, ':', &field))
			return 0;
	} while (!field.n);
	ptrdiff_t eq = pb_str_chr(field, '=');

	if (eq == 0)
		return -EINVAL;
	out->value = PB_STR_NULL;
	if (eq < 0)
		return decode(a, field, &out->name) ? -EINVAL : 1;
	if (decode(a, pb_str_head(field, (size_t)eq), &out->name))
		return -EINVAL;
	return decode(a, pb_str_from(field, (size_t)eq + 1), &out->value) ? -EINVAL : 1;
}

/* ---- Building -------------------------------------------------------------- */

static void put_bool(struct pb_text *t, bool v)
{
	pb_text_add(t, v ? PB_STR("true") : PB_STR("false"));
}

/* NAME:RETVAL[:k=v...] and the end of the line. */
static void put_content(struct pb_text *t, const struct pb_msg *m)
{
	pb_msg_write(t, m, false);
	pb_text_addc(t, '\n');
}

void ext_put_delivery(struct pb_text *t, struct pb_str id, const struct pb_msg *m)
{
	pb_text_lit(t, "%%>message:");
	pb_msg_escape(t, id, false);
	pb_text_addc(t, ':');
	pb_text_addu(t, pb_msg_time_us(m) / 1000000);
	pb_text_addc(t, ':');
	put_content(t, m);
}

void ext_put_result(struct pb_text *t, struct pb_str id, bool handled, const struct pb_msg *m)
{
	pb_text_lit(t, "%%<message:");
	pb_msg_escape(t, id, false);
	pb_text_addc(t, ':');
	put_bool(t, handled);
	pb_text_addc(t, ':');
	put_content(t, m);
}

void ext_put_installed(struct pb_text *t, struct pb_str keyword, int64_t priority,
		       struct pb_str name, bool ok)
{
	pb_text_lit(t, "%%<");
	pb_text_add(t, keyword);
	pb_text_addc(t, ':');
	pb_text_addi(t, priority);
	pb_text_addc(t, ':');
	pb_text_add(t, name);
	pb_text_addc(t, ':');
	put_bool(t, ok);
	pb_text_addc(t, '\n');
}

void ext_put_watched(struct pb_text *t, struct pb_str keyword, struct pb_str name, bool ok)
{
	pb_text_lit(t, "%%<");
	pb_text_add(t, keyword);
	pb_text_addc(t, ':');
	pb_text_add(t, name);
	pb_text_addc(t, ':');
	put_bool(t, ok);
	pb_text_addc(t, '\n');
}

void ext_put_setlocal(struct pb_text *t, struct pb_str name, struct pb_str value, bool ok)
{
	pb_text_lit(t, "%%<setlocal:");
	pb_text_add(t, name);
	pb_text_addc(t, ':');
	for (size_t i = 0; i < value.n; i++)
		pb_text_addc(t, value.p[i] == '\n' || value.p[i] == '\0' ? ' ' : value.p[i]);
	pb_text_addc(t, ':');
	put_bool(t, ok);
	pb_text_addc(t, '\n');
}

void ext_put_error(struct pb_text *t, struct pb_str line)
{
	pb_text_lit(t, "Error in: ");
	pb_text_add(t, line);
	pb_text_addc(t, '\n');
}
