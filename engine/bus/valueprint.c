/* A value of the configuration as a line, or as JSON. */
#include "bus/dump.h"

static const char *const from_words[] = {
	[PB_FROM_FILE] = "file", [PB_FROM_DEFAULT] = "default", [PB_FROM_COMMAND_LINE] = "command line"
};

static void add_place(struct pb_text *t, struct pb_pos at)
{
	pb_text_addf(t, "%s:%u", at.file, at.line);
	if (at.col)
		pb_text_addf(t, ":%u", at.col);
}

/* Text from a file never reaches a terminal as control characters. */
static void add_plain(struct pb_text *t, struct pb_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c < 0x20 || c == 0x7f)
			pb_text_addf(t, "\\x%02X", c);
		else
			pb_text_addc(t, (char)c);
	}
}

void pb_value_print(const struct pb_value *v, struct pb_text *t)
{
	pb_text_addf(t, "%.*s [", PB_STR_F(v->conf));
	add_plain(t, v->section);
	pb_text_lit(t, "] ");
	add_plain(t, v->name);
	pb_text_addc(t, '=');
	add_plain(t, v->value);
	pb_text_lit(t, "  (");
	if (v->from == PB_FROM_FILE)
		add_place(t, v->at);
	else
		pb_text_add(t, pb_str_z(from_words[v->from]));
	if (v->written.p) {
		pb_text_lit(t, ", written ");
		add_plain(t, v->written);
	}
	pb_text_addc(t, ')');
}

static void add_member(struct pb_text *t, const char *name, struct pb_str value)
{
	pb_text_addf(t, "\"%s\":", name);
	pb_text_add_json(t, value);
}

void pb_value_print_json(const struct pb_value *v, struct pb_text *t)
{
	pb_text_addc(t, '{');
	add_member(t, "conf", v->conf);
	pb_text_addc(t, ',');
	add_member(t, "module", v->module);
	pb_text_addc(t, ',');
	add_member(t, "section", v->section);
	pb_text_addc(t, ',');
	add_member(t, "key", v->name);
	pb_text_addc(t, ',');
	add_member(t, "value", v->value);
	pb_text_addc(t, ',');
	if (v->written.p) {
		add_member(t, "written", v->written);
		pb_text_addc(t, ',');
	}
	add_member(t, "from", pb_str_z(from_words[v->from]));
	if (v->from == PB_FROM_FILE) {
		pb_text_addc(t, ',');
		add_member(t, "file", pb_str_z(v->at.file));
		pb_text_addf(t, ",\"line\":%u,\"col\":%u", v->at.line, v->at.col);
	}
	pb_text_addc(t, '}');
}
