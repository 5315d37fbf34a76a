/* modules/cdrfile: a line from a record. */
#include "../../support/test.h"

#include "cdrfile/line.h"

static struct pb_msg *record(void)
{
	static const char *const params[][2] = {
		{ "time", "100.5" },      { "billid", "R-1" },     { "chan", "sip/1" },
		{ "address", "a:1" },     { "caller", "x\ty\"z" }, { "called", "1\n2\r\x7f" },
		{ "billtime", "1" },      { "duration", "3" },     { "direction", "incoming" },
		{ "status", "answered" }, { "reason", "a\\b" },    { "out_leg.chan", "sip/2" },
	};
	struct pb_msg *m = pb_msg_new(PB_STR("call.cdr"));

	for (size_t i = 0; m && i < sizeof(params) / sizeof(params[0]); i++)
		pb_msg_add(m, pb_str_z(params[i][0]), pb_str_z(params[i][1]));
	return m;
}

static void formats(void)
{
	struct pb_arena *a = pb_arena_new(100000);
	struct pb_msg *m = record();

	PB_SAME(cdrfile_line(cdrfile_default_format(true, false), true, m, a),
		"100.5\tR-1\tsip/"
		"1\ta:1\tx\\ty\"z\t1\\n2\\r\\x7F\t1\t\t3\tincoming\tanswered\ta\\b\n");
	PB_SAME(cdrfile_line(cdrfile_default_format(false, false), false, m, a),
		"100.5,\"R-1\",\"sip/"
		"1\",\"a:1\",\"x\\ty\"\"z\",\"1\\n2\\r\\x7F\",1,,3,\"incoming\",\"answered\","
		"\"a\\b\"\n");
	PB_SAME(cdrfile_line(cdrfile_default_format(true, true), true, m, a),
		"100.5\tR-1\tsip/1\ta:1\tx\\ty\"z\t1\\n2\\r\\x7F\t1\t\t3\tanswered\ta\\b\tsip/"
		"2\t\t\t\t\t\n");
	PB_SAME(cdrfile_line(cdrfile_default_format(false, true), false, m, a),
		"100.5,\"R-1\",\"sip/"
		"1\",\"a:1\",\"x\\ty\"\"z\",\"1\\n2\\r\\x7F\",1,,3,\"answered\",\"a\\b\","
		"\"sip/2\",\"\",,,,\"\"\n");
	PB_SAME(cdrfile_line(PB_STR("${none$-} ${chan}"), true, m, a), "- sip/1\n");
	pb_msg_free(&m);
	pb_arena_free(&a);
}

static void once(void)
{
	struct pb_arena *a = pb_arena_new(100000);
	struct pb_msg *m = record();

	if (a && m)
		cdrfile_line(cdrfile_default_format(false, true), false, m, a);
	pb_msg_free(&m);
	pb_arena_free(&a);
}

static void alloc_failures(void)
{
	pb_test_each_alloc(once);
}

PB_TESTS("cdrfile/line", { "formats", formats }, { "each allocation fails", alloc_failures })
