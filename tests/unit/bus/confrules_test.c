/* engine/bus: [configuration] of the main file, and saving what was read. */
#include "../../support/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bus/conf.h"

static char dir[64];

static void put_file(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(text, f);
	fclose(f);
}

static void folder_new(void)
{
	char name[16];

	snprintf(dir, sizeof(dir), "/tmp/pb-rules-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	for (int i = 1; i < 60; i++) {
		char text[64];

		snprintf(name, sizeof(name), "d%d", i);
		snprintf(text, sizeof(text), "d%d=1\n[$include d%d]\n", i, i + 1);
		put_file(name, text);
	}
	put_file("d60", "");
}

static void folder_free(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", dir);
	CU_ASSERT_EQUAL(system(command), 0);
}

/* How many parameters [a] has after `text` was read as the main file `rules` belong to. */
static size_t read_main(struct pb_conf_rules *rules, const char *text, struct pb_findings *f)
{
	struct pb_conf_env env = { .rules = rules, .sets_rules = true };
	struct pb_conf *c = NULL;
	const struct pb_conf_section *s;
	char path[128];
	size_t n;

	put_file("main.conf", text);
	snprintf(path, sizeof(path), "%s/main.conf", dir);
	pb_conf_load(path, &env, false, f, &c);
	s = c ? pb_conf_section(c, PB_STR("a")) : NULL;
	n = s ? s->count : 0;
	pb_conf_free(&c);
	return n;
}

/* How deep includes go; a nested file each has one parameter. */
static void depth(void)
{
	static const struct {
		const char *said;
		size_t want;
	} rows[] = {
		{ "", 10 },
		{ "max_depth=20", 20 },
		{ "max_depth=1", 3 },
		{ "max_depth=99", 50 },
		{ "max_depth=x", 10 },
		{ "max_depth=4\nmax_depth=9", 4 }, /* the first one counts */
		{ "check_recursive_include=no", 3 },
		{ "check_recursive_include=no\nmax_depth=20", 10 },
		{ "max_depth=7\ncheck_recursive_include=no", 7 },
	};
	char text[200];

	folder_new();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pb_conf_rules rules = { 0 };

		snprintf(text, sizeof(text), "[configuration]\n%s\n[a]\n[$include d1]\n", rows[i].said);
		CU_ASSERT_EQUAL(read_main(&rules, text, NULL), rows[i].want);
	}
	folder_free();
}

/* What was seen once holds, in later files and when the main file is read again. */
static void first_value_holds(void)
{
	struct pb_conf_rules rules = { 0 };

	folder_new();
	CU_ASSERT_EQUAL(read_main(&rules, "[configuration]\nmax_depth=5\n", NULL), 0);
	CU_ASSERT_EQUAL(read_main(&rules, "[configuration]\nmax_depth=9\n[a]\n[$include d1]\n", NULL), 5);
	CU_ASSERT_EQUAL(read_main(&rules, "[configuration]\ninclude_empty=yes\n[a]\n[$include d1]\n", NULL), 5);
	CU_ASSERT_TRUE(rules.include_empty);
	folder_free();
}

/* Findings of at least a warning. */
static size_t warnings(const char *said, const char *text)
{
	struct pb_findings *f = pb_findings_new();
	struct pb_conf_rules rules = { 0 };
	char all[300];
	size_t n;

	snprintf(all, sizeof(all), "[configuration]\n%s\n[a]\n%s\n", said, text);
	read_main(&rules, all, f);
	n = pb_findings_count(f, PB_SEV_WARNING);
	pb_findings_free(&f);
	return n;
}

static void told(void)
{
	folder_new();
	CU_ASSERT_EQUAL(warnings("", "[$includesilent none]"), 0);
	CU_ASSERT_EQUAL(warnings("disable_include_silent=yes", "[$includesilent none]"), 1);
	CU_ASSERT_EQUAL(warnings("", "[$includesection none]"), 1);
	CU_ASSERT_EQUAL(warnings("warnings=yes", "[$includesection none]"), 1);
	CU_ASSERT_EQUAL(warnings("warnings=no", "[$includesection none]"), 0);
	CU_ASSERT_EQUAL(warnings("warnings=no", "[$requiresection none]"), 1);
	CU_ASSERT_EQUAL(warnings("", "[$includesilent ${none}]"), 0);
	CU_ASSERT_EQUAL(warnings("include_empty=yes", "[$include ${none}]"), 1);
	folder_free();
}

/* A file that includes itself: refused, or as deep as the rule says. */
static void loops(void)
{
	struct pb_conf_rules rules = { 0 };

	folder_new();
	CU_ASSERT_EQUAL(read_main(&rules, "[a]\nx=1\n[$include main.conf]\n", NULL), 1);
	CU_ASSERT_EQUAL(read_main(&rules, "[configuration]\ncheck_recursive_include=no\n[a]\nx=1\n"
					  "[$include main.conf]\n", NULL), 4);
	folder_free();
}

/* ---- Saving ------------------------------------------------------------------------- */

static struct pb_str file_text(const char *name, char *buf, size_t size)
{
	char path[128];
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	n = fread(buf, 1, size, f);
	fclose(f);
	return pb_str(buf, n);
}

static void save(const char *text, const char *want)
{
	struct pb_conf *c, *again;
	char path[128], buf[1000];

	CU_ASSERT_EQUAL_FATAL(pb_conf_parse("t.conf", pb_str_z(text), NULL, NULL, &c), 0);
	snprintf(path, sizeof(path), "%s/out.conf", dir);
	CU_ASSERT_EQUAL(pb_conf_save(c, path), 0);
	PB_SAME(file_text("out.conf", buf, sizeof(buf)), want);
	/* What is read back is saved as the same octets. */
	CU_ASSERT_EQUAL_FATAL(pb_conf_load(path, NULL, false, NULL, &again), 0);
	CU_ASSERT_EQUAL(pb_conf_save(again, path), 0);
	PB_SAME(file_text("out.conf", buf, sizeof(buf)), want);
	pb_conf_free(&again);
	pb_conf_free(&c);
}

static void saving(void)
{
	char path[128];
	struct stat st;
	struct pb_conf *c;

	folder_new();
	save("; gone\n[a]\nx = 1 \\\n 2\nflag\n[$enabled no]\ny=1\n[$enabled]\n[b]\n[a]\nz=\n",
	     "[a]\nx=1 2\nflag=\nz=\n\n[b]\n");
	save("", "");
	save("[a]\nx=back\\ \n[b]\n[$includesection a]\ny=2", "[a]\nx=back\\ \n\n[b]\nx=back\\ \ny=2\n");
	snprintf(path, sizeof(path), "%s/out.conf", dir);
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0640);
	CU_ASSERT_EQUAL(chmod(path, 0600), 0);
	save("[a]", "[a]\n");
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
	CU_ASSERT_EQUAL_FATAL(pb_conf_parse("t.conf", PB_STR("[a]"), NULL, NULL, &c), 0);
	CU_ASSERT_EQUAL(pb_conf_save(c, "/nowhere/at/all"), -ENOENT);
	pb_conf_free(&c);
	folder_free();
}

/* Every file that was read, and the name its sections carry. */
static void files(void)
{
	struct pb_conf *c;
	char path[128];

	folder_new();
	put_file("main.conf", "[a]\n[$include d58]\n");
	snprintf(path, sizeof(path), "%s/main.conf", dir);
	CU_ASSERT_EQUAL_FATAL(pb_conf_load(path, NULL, false, NULL, &c), 0);
	CU_ASSERT_STRING_EQUAL(pb_conf_file(c, 0), path);
	CU_ASSERT_TRUE(pb_str_ends(pb_str_z(pb_conf_file(c, 3)), PB_STR("/d60")));
	CU_ASSERT_PTR_NULL(pb_conf_file(c, 4));
	PB_SAME(pb_conf_section_at(c, 0)->conf, "main");
	pb_conf_free(&c);
	folder_free();
}

PB_TESTS("bus/confrules", { "depth", depth }, { "the first value holds", first_value_holds }, { "told", told },
	 { "loops", loops }, { "saving", saving }, { "files", files })
