/*
 * patchbay(1): what the usage text says, for man. Both are made from options.def.
 */
#include "program.h"

#include "base/text.h"
#include "bus/roff.h"

static void add_synopsis(struct pb_text *t)
{
	struct pb_program_command c;

	pb_roff_section(t, "SYNOPSIS");
	for (size_t i = 0; pb_program_command(i, &c); i++) {
		if (i)
			pb_roff_break(t);
		pb_text_addf(t, "\\fBpatchbay %s\\fR ", c.name);
		pb_roff_add(t, pb_str_z(c.args));
		pb_text_addc(t, '\n');
	}
	pb_roff_section(t, "SUBCOMMANDS");
	for (size_t i = 0; pb_program_command(i, &c); i++) {
		pb_roff_item(t, pb_str_z(c.name), PB_STR(""));
		pb_roff_line(t, pb_str_z(c.help));
	}
}

static void add_option(const struct pb_program_option *o, struct pb_text *t)
{
	const char *v = o->value;
	bool may = *v == '=';
	struct pb_text tag, rest;
	char a[64], b[64];

	pb_text_init_buf(&tag, a, sizeof(a));
	pb_text_init_buf(&rest, b, sizeof(b));
	if (o->name)
		pb_text_addf(&tag, "--%s", o->name);
	else
		pb_text_addf(&tag, "%s%c", o->detail ? "-D" : "-", o->letter);
	if (may)
		pb_text_addf(&rest, "[%s]", v);
	else if (*v)
		pb_text_addf(&rest, "%s%s", *v == '+' ? "" : " ", *v == '+' ? v + 1 : v);
	pb_roff_item(t, pb_text_str(&tag), pb_text_str(&rest));
	pb_roff_line(t, pb_str_z(o->help));
}

static void add_title(unsigned on, struct pb_text *t)
{
	struct pb_text title;
	char buf[128];

	pb_text_init_buf(&title, buf, sizeof(buf));
	pb_text_lit(&title, "Of ");
	pb_program_add_commands(on, &title);
	pb_roff_subsection(t, pb_text_str(&title));
}

/* Those of the same subcommands stand together. */
static void add_options(struct pb_text *t)
{
	struct pb_program_option o, other;
	bool details = false;

	pb_roff_section(t, "OPTIONS");
	for (size_t i = 0; pb_program_option(i, &o); i++) {
		size_t k = 0;

		if (o.detail && !details)
			pb_roff_subsection(t, PB_STR("Letters of -D, as many as wanted"));
		details |= o.detail;
		if (o.detail) {
			add_option(&o, t);
			continue;
		}
		while (k < i && pb_program_option(k, &other) && other.on != o.on)
			k++;
		if (k < i)
			continue; /* it stood there */
		add_title(o.on, t);
		for (k = i; pb_program_option(k, &other); k++) {
			if (!other.detail && other.on == o.on)
				add_option(&other, t);
		}
	}
}

static void add_exit_codes(struct pb_text *t)
{
	static const struct {
		const char *code, *text;
	} rows[] = {
		{ "0", "Good." },
		{ "1", "Wrong usage, or no such name." },
		{ "2", "Errors in the configuration." },
		{ "3", "A port, file or right is missing." },
		{ "4", "It ran and failed." },
	};

	pb_roff_section(t, "EXIT STATUS");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		pb_roff_item(t, pb_str_z(rows[i].code), PB_STR(""));
		pb_roff_line(t, pb_str_z(rows[i].text));
	}
}

void pb_program_page(struct pb_text *t)
{
	pb_text_lit(t, ".\\\" Made by `patchbay describe --man`; do not edit.\n");
	pb_roff_title(t, PB_STR("patchbay"), '1');
	pb_roff_section(t, "NAME");
	pb_text_lit(t, "patchbay \\- message-bus telephony engine\n");
	add_synopsis(t);
	add_options(t);
	add_exit_codes(t);
	pb_roff_section(t, "SEE ALSO");
	pb_text_lit(t, "\\fByate.conf\\fR(5),\n\\fBengine.cfg\\fR(5),\n\\fBysipchan.conf\\fR(5),\n"
		       "\\fBpatchbay\\-bus\\fR(7),\n\\fBpatchbay\\-log\\fR(7)\n");
}
