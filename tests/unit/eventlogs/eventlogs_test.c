/* modules/eventlogs in an engine, in simulated time; the files are real. */
#include "../../support/scene_engine.h"

#include <sys/stat.h>

extern const struct pb_module pb_module_descriptor;

static const struct pb_module *const modules[] = { &pb_module_descriptor, NULL };

static void up(const char *conf)
{
	char text[1024], dir[128];

	conf_new();
	snprintf(dir, sizeof(dir), "%s/logs", conf_dir);
	CU_ASSERT_EQUAL_FATAL(mkdir(dir, 0700), 0);
	snprintf(text, sizeof(text), "[general]\nlogs_dir=${configpath}/logs\n%s", conf);
	conf_write("eventlogs.conf", text);
	CU_ASSERT_EQUAL_FATAL(engine_up(modules), 0);
}

static void event(const char *from, const char *text)
{
	struct pb_msg *m = pb_msg_new(PB_STR("module.update"));
	struct asking a;

	pb_msg_set_broadcast(m, true);
	if (from)
		pb_msg_add(m, PB_STR("from"), pb_str_z(from));
	pb_msg_add(m, PB_STR("text"), PB_STR("not this"));
	pb_msg_add(m, PB_STR("fulltext"), pb_str_z(text));
	a = ask_on(1, m);
	CU_ASSERT_FALSE(a.handled);
	pb_msg_free(&a.m);
}

static void file_is(const char *name, const char *want)
{
	char path[256], buf[2048];
	size_t n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", conf_dir, name);
	f = fopen(path, "r");
	if (f) {
		n = fread(buf, 1, sizeof(buf), f);
		fclose(f);
	}
	PB_SAME(f ? pb_str(buf, n) : PB_STR("(no file)"), want);
}

static void by_reporter(void)
{
	up("");
	event("trunk-1 of many", "one");
	event("sip", "two\nlines");
	event("trunk-1", "three");
	event(NULL, "nobody says this");
	event("", "nor this");
	event("!", "no mapping");
	file_is("logs/trunk-1.log", "one\nthree\n");
	file_is("logs/sip.log", "two\\x0Alines\n");
	engine_down();
}

static void mappings(void)
{
	up("public_read=yes\n[mappings]\n^a\\(.*\\)$=x\\1.log\n[broken=no.log\n^up=../up.log\n.*=all.log\n");
	struct stat st;
	char path[128];

	event("abc", "one");
	event("a/../../etc", "two");
	event("up", "three");
	file_is("logs/xbc.log", "one\n");
	file_is("logs/x_.._.._etc.log", "two\n");
	file_is("logs/all.log", "three\n");
	snprintf(path, sizeof(path), "%s/logs/all.log", conf_dir);
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0644);
	engine_down();
}

/* More reporters than files may be open: none is lost. */
static void many(void)
{
	char from[16], want[32];

	up("");
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 40; i++) {
			snprintf(from, sizeof(from), "r%u", i);
			event(from, from);
		}
	}
	for (unsigned i = 0; i < 40; i++) {
		snprintf(from, sizeof(from), "logs/r%u.log", i);
		snprintf(want, sizeof(want), "r%u\nr%u\n", i, i);
		file_is(from, want);
	}
	engine_down();
}

static void rotated(void)
{
	char from[128], to[128];

	up("");
	event("sip", "one");
	snprintf(from, sizeof(from), "%s/logs/sip.log", conf_dir);
	snprintf(to, sizeof(to), "%s/logs/old", conf_dir);
	CU_ASSERT_EQUAL(rename(from, to), 0);
	event("sip", "two");
	CU_ASSERT_EQUAL(pb_engine_reload_now(engine, PB_STR("eventlogs"), NULL), 0);
	event("sip", "three");
	file_is("logs/old", "one\ntwo\n");
	file_is("logs/sip.log", "three\n");
	engine_down();
}

PB_TESTS("eventlogs", { "by_reporter", by_reporter }, { "mappings", mappings }, { "many", many }, { "rotated", rotated })
