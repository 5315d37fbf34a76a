/* engine/bus: the registry, what describe prints, pages and samples. */
#include "../../support/test.h"

#include <errno.h>

#include "base/text.h"
#include "bus/describe.h"
#include "bus/manual.h"
#include "bus/sample.h"

/* ---- A module with something of everything -------------------------------------------- */

struct settings {
	bool loud;
	int64_t size, mode;
	struct pb_str name;
	int colour;
};

static const char *const colours[] = { "red", "green", NULL };

static const struct pb_opt options[] = {
	{ PB_OPT_BOOL, "loud", offsetof(struct settings, loud), .def = 1,
	  .doc = "Whether to shout." },
	{ PB_OPT_INT, "size", offsetof(struct settings, size), .def = 5, .lo = 1, .hi = 10,
	  .unit = "ms", .doc = "How big." },
	{ PB_OPT_STR, "word", offsetof(struct settings, name), .defs = "it's", .flags = PB_OPT_ONCE,
	  .doc = "What to shout." },
	{ PB_OPT_INT, "old", 0, .flags = PB_OPT_ACCEPTED, .doc = "Of another time." },
	{ PB_OPT_WORD, "colour", offsetof(struct settings, colour), .words = colours,
	  .section = "looks", .doc = "Its colour." },
	{ PB_OPT_STR, "secret", offsetof(struct settings, name), .flags = PB_OPT_SECRET,
	  .section = "*", .doc = "Key of a friend." },
	{ PB_OPT_END },
};
static const struct pb_handler handlers[] = { { "call.route", 70, PB_HERE, NULL }, { NULL } };
static const struct pb_command commands[] = {
	{ "shout", "shout [WORD]", "Shout it.", PB_HERE, NULL }, { NULL }
};
static const struct pb_counter counters[] = { { "shouts", "calls", "How often." }, { NULL } };
static const struct pb_sends sends[] = { { "call.execute", "callto sip_*" },
					 { "call.route", "error", true },
					 { NULL } };
static const struct pb_log_row said[] = { { "shout-001", PB_WARN, "It was loud." }, { NULL } };
static PB_LOG_SOURCE(source, "shout", said);

static const struct pb_module module = {
	.abi = PB_MODULE_ABI,
	.name = "shout",
	.doc = "Shouts.",
	.aliases = "yshout",
	.conf = "shout",
	.options = options,
	.handlers = handlers,
	.commands = commands,
	.counters = counters,
	.sends = sends,
	.log = &source,
};

static struct pb_registry registry;
static struct pb_text text;

static void begin(void)
{
	pb_registry_init(&registry);
	pb_registry_add(&registry, &module);
	pb_registry_add(&registry, &module); /* the second time is none */
	pb_text_init(&text, 1 << 20);
}

static void end(void)
{
	pb_text_fini(&text);
}

static struct pb_str described(const char *line, bool json, int want)
{
	pb_text_reset(&text);
	CU_ASSERT_EQUAL(pb_describe(&registry, pb_str_z(line), json, &text), want);
	return pb_text_str(&text);
}

static void has(struct pb_str where, const char *what)
{
	if (pb_str_find(where, pb_str_z(what)) < 0)
		PB_SAME(where, what);
}

/* ---- describe ----------------------------------------------------------------------------- */

static void one_of_each(void)
{
	begin();
	has(described("option size", false, 0), "number, 1 to 10 ms");
	has(described("size", false, 0), "default     5");
	PB_SAME(described("counter shouts", false, 0),
		"counter   shouts [shout] - How often.\n  unit        calls\n");
	PB_SAME(described("command shout", false, 0),
		"command   shout [WORD] [shout] - Shout it.\n");
	PB_SAME(described("log shout-001", false, 0),
		"log       shout-001 [shout WARN] - It was loud.\n");
	has(described("message call.route", false, 0), "heard by    shout at 70");
	has(described("message call.route", false, 0), "added to by shout with error");
	has(described("message call.execute", false, 0), "sent by     shout with callto sip_*");
	has(described("parameter callto", false, 0), "set by      shout in call.execute");
	has(described("module yshout", false, 0), "module    shout - Shouts.");
	has(described("parameter sip_date", false, 0), "parameter sip_* - ");
	has(described("", false, 0), "counter   ");
	end();
}

static void nothing_of_that_name(void)
{
	begin();
	PB_SAME(described("sise", false, -ENOENT), "there is no name 'sise', did you mean 'size'?");
	PB_SAME(described("command size", false, -ENOENT), "there is no command 'size'");
	PB_SAME(described("quite another thing", true, -ENOENT),
		"there is no name 'quite another thing'");
	end();
}

static void as_json(void)
{
	begin();
	PB_SAME(described("option colour", true, 0),
		"[\n{\"kind\":\"option\",\"name\":\"colour\",\"module\":\"shout\",\"file\":\"shout."
		"conf\",\"section\":\"looks\","
		"\"type\":\"word\",\"default\":\"red\",\"words\":[\"red\",\"green\"],\"doc\":\"Its "
		"colour.\"}\n]\n");
	PB_SAME(described("counter shouts", true, 0),
		"[\n{\"kind\":\"counter\",\"name\":\"shouts\",\"module\":\"shout\",\"unit\":"
		"\"calls\",\"doc\":\"How often.\"}\n]\n");
	end();
}

/* ---- Pages ---------------------------------------------------------------------------------- */

static void a_page(void)
{
	begin();
	CU_ASSERT_EQUAL(pb_manual(&registry, PB_STR("nothing.5"), &text), -ENOENT);
	CU_ASSERT_EQUAL(pb_manual(&registry, PB_STR("shout.conf.5"), &text), 0);
	has(pb_text_str(&text), ".TH \"SHOUT.CONF\" 5 \"\" \"Patchbay\" \"Patchbay\"\n.SH "
				"NAME\nshout.conf \\- Shouts\n");
	has(pb_text_str(&text),
	    ".SS \"[looks]\"\n.TP\n\\fBcolour\\fR=red\nIts colour.\n.br\nValue: red, green.\n");
	has(pb_text_str(&text), "\\fBword\\fR=it\\(aqs\n");
	has(pb_text_str(&text), "\\fBold\\fR\nAccepted without effect. Of another time.\n");
	has(pb_text_str(&text), "\\fBcall.route\\fR, priority 70\n");
	has(pb_text_str(&text), ".SH LOG\n.TP\n\\fBshout\\-001\\fR WARN\nIt was loud.\n");
	end();
}

/* ---- Samples -----------------------------------------------------------------------------------
 */

static struct pb_str sampled(const char *site)
{
	pb_text_reset(&text);
	CU_ASSERT_EQUAL(pb_sample(&registry, PB_STR("shout.conf"), pb_str_z(site), &text), 0);
	return pb_text_str(&text);
}

static void samples(void)
{
	begin();
	PB_SAME(sampled(""), "; Shouts.\n"
			     "; Every option with its default: take the sign away to set it. See "
			     "shout.conf(5).\n\n"
			     "[general]\n; Whether to shout.\n;loud=yes\n; How big. (number, 1 to "
			     "10 ms)\n;size=5\n"
			     "; What to shout.\n;word=it's\n; Accepted without effect: old.\n\n"
			     "[looks]\n; Its colour. (red, green)\n;colour=red\n\n"
			     "; [NAME]\n; Key of a friend.\n; secret=\n");
	PB_SAME(sampled("; A site.\n\n[general]\n; not so\nloud=no\n;size=7\nodd=a\\\n  "
			"b\n[anna]\nsecret=x\n[bert]\nsecret=y\n"),
		"; A site.\n"
		"; Every option with its default: take the sign away to set it. See "
		"shout.conf(5).\n\n"
		"[general]\n; Whether to shout.\n; not so\nloud=no\n; How big. (number, 1 to 10 "
		"ms)\n;size=7\n"
		"; What to shout.\n;word=it's\n; Accepted without effect: old.\nodd=a\\\n  b\n\n"
		"[looks]\n; Its colour. (red, green)\n;colour=red\n\n"
		"[anna]\n; Key of a friend.\nsecret=x\n\n[bert]\nsecret=y\n");
	CU_ASSERT_EQUAL(pb_sample(&registry, PB_STR("shout.cfg"), PB_STR_NULL, &text), -ENOENT);
	end();
}

static void without_memory(void)
{
	begin();
	(void)pb_describe(&registry, PB_STR("sise"), false, &text);
	(void)pb_sample(&registry, PB_STR("shout.conf"), PB_STR("[general]\nloud=no\n"), &text);
	(void)pb_manual(&registry, PB_STR("patchbay-bus.7"), &text);
	end();
}

static void allocations_fail(void)
{
	pb_test_each_alloc(without_memory);
}

PB_TESTS("bus/registry", { "one of each", one_of_each },
	 { "nothing of that name", nothing_of_that_name }, { "JSON", as_json },
	 { "a page", a_page }, { "samples", samples }, { "allocations fail", allocations_fail })
