/* engine/loop/log: lines, levels, escapes, taps, reopening, control lines. */
#include "../../support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "loop/log.h"

enum { LOST, TOLD };
static const struct pb_log_row rows[] = {
	[LOST] = { "demo-001", PB_WARN, "Something was lost." },
	[TOLD] = { "demo-002", PB_ALL, "Something was told." },
	{ NULL },
};
static PB_LOG_SOURCE(demo, "demo", rows);
static PB_LOG_SOURCE(plain, "", rows);

static char path[] = "/tmp/pb_log_test_XXXXXX";
static char seen[1 << 18];

/** What is in the file now. */
static struct pb_str written(void)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, seen, sizeof(seen));

	close(fd);
	return pb_str(seen, n > 0 ? (size_t)n : 0);
}

static void begin(void)
{
	static bool made;

	if (!made)
		close(mkstemp(path));
	made = true;
	CU_ASSERT_EQUAL(pb_log_open(path, true), 0);
	pb_log_set_stamp('n');
	pb_log_set_level(PB_NOTE);
	pb_log_source_set_level(&demo, -1);
}

static void end(void)
{
	pb_log_open(NULL, false);
	unlink(path);
}

static void lines(void)
{
	begin();
	pb_log(&demo, &rows[LOST], "%d of %s", 3, "it");
	pb_log(&demo, &rows[TOLD], "too quiet");
	pb_log_at(&plain, PB_CRIT, "no facility");
	pb_log_output(PB_STR("out"));
	pb_log_output(PB_STR("one newline\r\n"));
	PB_SAME(written(), "<demo:WARN> 3 of it [demo-001]\n<CRIT> no facility\nout\n"
			   "one newline\r\n");
	end();
}

static void levels(void)
{
	begin();
	CU_ASSERT_TRUE(pb_log_wants(&demo, PB_NOTE));
	CU_ASSERT_FALSE(pb_log_wants(&demo, PB_CALL));
	pb_log_set_level(99);
	CU_ASSERT_EQUAL(pb_log_level(), 10);
	pb_log_source_set_level(&demo, 0);
	CU_ASSERT_TRUE(pb_log_wants(&demo, PB_CONF));
	CU_ASSERT_FALSE(pb_log_wants(&demo, PB_STUB));
	end();
}

static void visible(void)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "plain", "plain" },
		{ "\033[31mred\033[0m", "\\x1B[31mred\\x1B[0m" },
		{ "a\r\nb\tc\x7f", "a\\x0D\\x0Ab\tc\\x7F" },
		{ "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f" },
		{ "\xe2\x82\xac", "\xe2\x82\xac" },
		{ "c1 \xc2\x9b x", "c1 \\xC2\\x9B x" },
		{ "bad \xc3", "bad \\xC3" },
		{ "\xc0\xaf\xed\xa0\x80", "\\xC0\\xAF\\xED\\xA0\\x80" },
		{ "\xff", "\\xFF" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pb_text t;
		char buf[100];

		pb_text_init_buf(&t, buf, sizeof(buf));
		pb_log_add_visible(&t, pb_str_z(cases[i].text), false);
		PB_SAME(pb_text_str(&t), cases[i].want);
	}
	begin();
	pb_log_at(&demo, PB_WARN, "%s", "a\r\nb");
	pb_log_output(PB_STR("a\r\n\033b"));
	PB_SAME(written(), "<demo:WARN> a\\x0D\\x0Ab\na\r\n\\x1Bb\n");
	end();
}

static void long_lines(void)
{
	char *big = malloc(40001);
	struct pb_str got;

	memset(big, 'x', 40000);
	big[40000] = 0;
	begin();
	pb_log(&demo, &rows[LOST], "%s", big);
	got = written();
	CU_ASSERT_TRUE(got.n <= 16384 && got.n > 16000);
	CU_ASSERT_TRUE(pb_str_ends(got, PB_STR("xx [demo-001]\n")));
	begin();
	memset(big, 1, 40000);
	pb_log(&demo, &rows[LOST], "%s", big);
	got = written();
	CU_ASSERT_TRUE(got.n <= 16384 && got.n > 16000);
	CU_ASSERT_TRUE(pb_str_ends(got, PB_STR("\\x01 [demo-001]\n")));
	begin();
	pb_log_output(pb_str_z(big));
	CU_ASSERT_EQUAL(written().n, 160001);
	free(big);
	end();
}

static void stamps(void)
{
	static const struct {
		char style;
		const char *shape;
	} cases[] = {
		{ 't', "0000000.000000 " },
		{ 'e', "0000000000.000000 " },
		{ 'f', "00000000000000.000000 " },
		{ 'z', "00000000000000.000000 " },
		{ 'F', "0000-00-00_00:00:00.000000 " },
		{ 'Z', "0000-00-00_00:00:00.000000 " },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pb_str got;

		begin();
		pb_log_set_stamp(cases[i].style);
		pb_log_at(&demo, PB_WARN, "x");
		got = written();
		for (size_t j = 0; j < got.n; j++)
			seen[j] = pb_is_digit(seen[j]) ? '0' : seen[j];
		CU_ASSERT_TRUE(pb_str_starts(got, pb_str_z(cases[i].shape)));
		PB_SAME(pb_str_from(got, strlen(cases[i].shape)), "<demo:WARN> x\n");
	}
	end();
}

struct heard {
	struct pb_log_tap tap;
	struct pb_text text;
};

static void hear(void *arg, int level, struct pb_str line)
{
	struct heard *h = arg;

	pb_text_addf(&h->text, "%d %.*s|", level, PB_STR_F(line));
}

static void taps(void)
{
	struct heard h = { .tap.fn = hear };

	h.tap.arg = &h;
	pb_text_init(&h.text, 1000);
	begin();
	pb_log_tap_add(&h.tap);
	pb_log_at(&demo, PB_WARN, "x");
	pb_log_output(PB_STR("y"));
	pb_log_tap_remove(&h.tap);
	pb_log_tap_remove(&h.tap);
	pb_log_output(PB_STR("z"));
	PB_SAME(pb_text_str(&h.text), "5 <demo:WARN> x|-1 y|");
	pb_text_fini(&h.text);
	end();
}

static void reopens(void)
{
	char moved[64];

	begin();
	pb_log_output(PB_STR("old"));
	snprintf(moved, sizeof(moved), "%s.1", path);
	CU_ASSERT_EQUAL(rename(path, moved), 0);
	CU_ASSERT_EQUAL(pb_log_open(path, false), 0);
	CU_ASSERT_EQUAL(pb_log_open("/nowhere/at/all", false), -ENOENT);
	pb_log_output(PB_STR("new"));
	PB_SAME(written(), "new\n");
	unlink(moved);
	end();
}

static void registers(void)
{
	pb_log_register(&demo);
	pb_log_register(&plain);
	pb_log_register(&demo);
	CU_ASSERT_PTR_EQUAL(pb_log_find(PB_STR("demo")), &demo);
	CU_ASSERT_PTR_NULL(pb_log_find(PB_STR("dem")));
	CU_ASSERT_PTR_EQUAL(pb_log_next(NULL), &demo);
	CU_ASSERT_PTR_EQUAL(pb_log_next(&demo), &plain);
	CU_ASSERT_PTR_NULL(pb_log_next(&plain));
}

/* In order: each line acts on what the one before left. */
static void controls(void)
{
	static const struct {
		const char *line;
		int want;
		const char *state;
	} cases[] = {
		{ "", 0, "on level 7" },
		{ "level 9", 0, "on level 9" },
		{ "level 8+", 0, "on level 9" },
		{ "level 8-", 0, "on level 8" },
		{ "level 10 -", 0, "on level 10" },
		{ "level +9", 0, "on level 9" },
		{ "level 99", 0, "on level 10" },
		{ "level x", -EINVAL, NULL },
		{ "level", -EINVAL, NULL },
		{ "off", 0, "off level 10" },
		{ "off", 0, "off level 10" },
		{ " yes\r\n", 0, "on level 10" },
		{ "no", 0, "off level 10" },
		{ "reset", 0, "on level 7" },
		{ "no", 0, "off level 7" },
		{ "perhaps", -EINVAL, NULL },
		{ "enable", 0, "on level 7" },
		{ "objects yes", -EOPNOTSUPP, NULL },
		{ "filter a.*", -EOPNOTSUPP, NULL },
		{ "reset", 0, "on level 7" },
	};

	pb_log_set_level(PB_NOTE);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char want[100] = "";
		struct pb_text t;

		pb_text_init(&t, 1000);
		CU_ASSERT_EQUAL(pb_log_control(&demo, pb_str_z(cases[i].line), &t), cases[i].want);
		if (cases[i].state)
			snprintf(want, sizeof(want), "Module demo debug %s objects off\r\n", cases[i].state);
		PB_SAME(pb_text_str(&t), want);
		pb_text_fini(&t);
	}
	pb_log_control(&demo, PB_STR("no"), NULL);
	CU_ASSERT_FALSE(pb_log_wants(&demo, PB_FAIL));
	pb_log_control(&demo, PB_STR("reset"), NULL);
}

#define WRITERS 4
#define WRITES 250

static void *writer(void *arg)
{
	for (int i = 0; i < WRITES; i++)
		pb_log_at(&demo, PB_WARN, "%s says a line that must stay whole", (const char *)arg);
	return NULL;
}

static void threads(void)
{
	static char names[WRITERS][2] = { "a", "b", "c", "d" };
	pthread_t t[WRITERS];
	struct pb_str all, line;
	unsigned whole = 0;

	begin();
	for (int i = 0; i < WRITERS; i++)
		pthread_create(&t[i], NULL, writer, names[i]);
	for (int i = 0; i < 20; i++)
		pb_log_open(path, false);
	for (int i = 0; i < WRITERS; i++)
		pthread_join(t[i], NULL);
	all = written();
	while (pb_str_cut(&all, '\n', &line))
		whole += pb_str_starts(line, PB_STR("<demo:WARN> ")) &&
			 pb_str_ends(line, PB_STR(" says a line that must stay whole"));
	CU_ASSERT_EQUAL(whole, WRITERS * WRITES);
	end();
}

PB_TESTS("loop/log", { "lines", lines }, { "levels", levels }, { "visible", visible },
	 { "long lines", long_lines }, { "stamps", stamps }, { "taps", taps },
	 { "reopens", reopens }, { "registers", registers }, { "controls", controls },
	 { "threads", threads })
