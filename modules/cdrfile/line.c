/* The template engine of the configuration, with values made harmless. */
#include "cdrfile/line.h"

#include "base/text.h"
#include "bus/conf.h"

#define TAB_FIELDS                                                                                 \
	"${time}\t${billid}\t${chan}\t${address}\t${caller}\t${called}\t${billtime}\t${ringtime}"  \
	"\t"                                                                                       \
	"${duration}"
#define CSV_FIELDS                                                                                 \
	"${time},\"${billid}\",\"${chan}\",\"${address}\",\"${caller}\",\"${called}\",${billtime}" \
	","                                                                                        \
	"${ringtime},${duration}"

static const struct pb_str formats[2][2] = {
	{ PB_STR_INIT(CSV_FIELDS ",\"${direction}\",\"${status}\",\"${reason}\""),
	  PB_STR_INIT(CSV_FIELDS
		      ",\"${status}\",\"${reason}\",\"${out_leg.chan}\",\"${out_leg.address}\","
		      "${out_leg.billtime},${out_leg.ringtime},${out_leg.duration},"
		      "\"${out_leg.reason}\"") },
	{ PB_STR_INIT(TAB_FIELDS "\t${direction}\t${status}\t${reason}"),
	  PB_STR_INIT(TAB_FIELDS "\t${status}\t${reason}\t${out_leg.chan}\t${out_leg.address}\t"
				 "${out_leg.billtime}\t${out_leg.ringtime}\t${out_leg.duration}\t"
				 "${out_leg.reason}") },
};

struct pb_str cdrfile_default_format(bool tabs, bool combined)
{
	return formats[tabs][combined];
}

struct line {
	const struct pb_msg *m;
	struct pb_arena *a;
	bool tabs;
};

static bool is_harmful(unsigned char c, bool tabs)
{
	return c < 0x20 || c == 0x7f || (c == '"' && !tabs);
}

static void add_harmless(struct pb_text *t, unsigned char c)
{
	switch (c) {
	case '\t':
		pb_text_lit(t, "\\t");
		break;
	case '\n':
		pb_text_lit(t, "\\n");
		break;
	case '\r':
		pb_text_lit(t, "\\r");
		break;
	case '"':
		pb_text_lit(t, "\"\"");
		break;
	default:
		pb_text_addf(t, "\\x%02X", c);
		break;
	}
}

static struct pb_str get_value(void *arg, struct pb_str name)
{
	struct line *l = arg;
	struct pb_str v = pb_msg_get(l->m, name);
	struct pb_text t;
	char *buf;
	size_t i = 0;

	while (i < v.n && !is_harmful((unsigned char)v.p[i], l->tabs))
		i++;
	if (i == v.n)
		return v;
	buf = pb_arena_bytes(l->a, v.n * 4);
	if (!buf)
		return PB_STR("");
	pb_text_init_buf(&t, buf, v.n * 4);
	for (i = 0; i < v.n; i++) {
		if (is_harmful((unsigned char)v.p[i], l->tabs))
			add_harmless(&t, (unsigned char)v.p[i]);
		else
			pb_text_addc(&t, v.p[i]);
	}
	return pb_text_str(&t);
}

struct pb_str cdrfile_line(struct pb_str format, bool tabs, const struct pb_msg *m,
			   struct pb_arena *a)
{
	struct line l = { .m = m, .a = a, .tabs = tabs };
	struct pb_str line = pb_expand(format, get_value, &l, a);

	line = line.p ? pb_arena_printf(a, "%.*s\n", PB_STR_F(line)) : line;
	return pb_arena_failed(a) ? PB_STR_NULL : line;
}
