/*
 * man(7) macros. A line of text never begins with a dot or an apostrophe, and a
 * backslash or hyphen is printed as what it is.
 */
#include "bus/roff.h"

static void add_char(struct pb_text *t, char c)
{
	switch (c) {
	case '\\':
		pb_text_lit(t, "\\e");
		break;
	case '-':
		pb_text_lit(t, "\\-");
		break;
	case '\'':
		pb_text_lit(t, "\\(aq");
		break;
	case '`':
		pb_text_lit(t, "\\(ga");
		break;
	case '^':
		pb_text_lit(t, "\\(ha");
		break;
	case '~':
		pb_text_lit(t, "\\(ti");
		break;
	case '"':
		pb_text_lit(t, "\\(dq");
		break;
	case '\n':
		pb_text_addc(t, ' ');
		break;
	default:
		pb_text_addc(t, c);
	}
}

void pb_roff_add(struct pb_text *t, struct pb_str s)
{
	if (s.n && s.p[0] == '.')
		pb_text_lit(t, "\\&");
	for (size_t i = 0; i < s.n; i++)
		add_char(t, s.p[i]);
}

void pb_roff_title(struct pb_text *t, struct pb_str name, char section)
{
	pb_text_lit(t, ".TH \"");
	for (size_t i = 0; i < name.n; i++)
		add_char(t, pb_to_upper(name.p[i]));
	pb_text_addf(t, "\" %c \"\" \"Patchbay\" \"Patchbay\"\n", section);
}

void pb_roff_section(struct pb_text *t, const char *title)
{
	pb_text_addf(t, ".SH %s\n", title);
}

void pb_roff_subsection(struct pb_text *t, struct pb_str title)
{
	pb_text_lit(t, ".SS \"");
	pb_roff_add(t, title);
	pb_text_lit(t, "\"\n");
}

void pb_roff_line(struct pb_text *t, struct pb_str line)
{
	if (!line.n)
		return;
	pb_roff_add(t, line);
	pb_text_addc(t, '\n');
}

void pb_roff_paragraph(struct pb_text *t, const char *text)
{
	pb_text_lit(t, ".PP\n");
	pb_roff_line(t, pb_str_z(text));
}

void pb_roff_item(struct pb_text *t, struct pb_str tag, struct pb_str rest)
{
	pb_text_lit(t, ".TP\n\\fB");
	pb_roff_add(t, tag);
	pb_text_lit(t, "\\fR");
	pb_roff_add(t, rest);
	pb_text_addc(t, '\n');
}

void pb_roff_break(struct pb_text *t)
{
	pb_text_lit(t, ".br\n");
}
