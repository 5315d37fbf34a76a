/* engine/loop/log: lines, levels, escapes, taps, reopening, control lines. */
#include "../../support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "loop/log_impl.h"

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
	CU_ASSERT_PTR_EQUAL(pb_log_find(PB_STR("log")), pb_log_next(NULL));
	CU_ASSERT_PTR_EQUAL(pb_log_next(pb_log_next(NULL)), &demo);
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
		pb_log_at(&demo, PB_WARN, "%s says %d, a line that must stay whole", (const char *)arg, i);
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
			 pb_str_ends(line, PB_STR(", a line that must stay whole"));
	CU_ASSERT_EQUAL(whole, WRITERS * WRITES);
	end();
}

/* ---- What is said again and again ------------------------------------------------- */

static void repeats(void)
{
	struct pb_str all, line;
	unsigned n = 0, others = 0;

	begin();
	for (int i = 0; i < 25; i++) {
		pb_log(&demo, &rows[LOST], "somebody %s", "knocks");
		if (i) /* what was said twice does not give way to what was said once */
			pb_log(&demo, &rows[LOST], "number %d", i);
		else
			pb_log(&demo, &rows[LOST], "somebody %s", "knocks");
	}
	pthread_mutex_lock(&pbi_log_lock);
	pbi_repeat_flush(true);
	pthread_mutex_unlock(&pbi_log_lock);
	all = written();
	while (pb_str_cut(&all, '\n', &line)) {
		n += pb_str_eq(line, PB_STR("<demo:WARN> somebody knocks [demo-001]"));
		others += pb_str_starts(line, PB_STR("<demo:WARN> number"));
		if (pb_str_starts(line, PB_STR("<log:")))
			PB_SAME(line, "<log:NOTE> said 16 more times: <demo> somebody knocks [demo-001] [log-002]");
	}
	CU_ASSERT_EQUAL(n, 10);
	CU_ASSERT_EQUAL(others, 24);
	end();
}

/* ---- JSON ---------------------------------------------------------------------------- */

static void objects(void)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "plain", "plain" },
		{ "a \"word\" and C:\\", "a \\\"word\\\" and C:\\\\" },
		{ "gr\xc3\xbc\xc3\x9f\t.", "gr\xc3\xbc\xc3\x9f\\u0009." },
		{ "esc \033[31m", "esc \\\\x1B[31m" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pb_str got, member;
		char want[200];

		begin();
		pb_log_set_json(true);
		pb_log(&demo, &rows[LOST], "%s", cases[i].text);
		pb_log_set_json(false);
		got = written();
		CU_ASSERT_TRUE(pb_str_starts(got, PB_STR("{\"time\":\"2")));
		snprintf(want, sizeof(want),
			 "\"level\":\"WARN\",\"facility\":\"demo\",\"id\":\"demo-001\",\"text\":\"%s\",\"pid\":%d}\n",
			 cases[i].want, (int)getpid());
		member = pb_str_from(got, (size_t)pb_str_find(got, PB_STR("\"level\"")));
		PB_SAME(member, want);
		end();
	}
}

/* ---- The writer ------------------------------------------------------------------------ */

static void flood(unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++)
		pb_log(&demo, &rows[LOST], "line %u", i);
}

static void writes_in_order(void)
{
	struct pb_str all, line;
	unsigned n = 0;

	begin();
	CU_ASSERT_EQUAL(pb_log_start(), 0);
	flood(0, 1000);
	CU_ASSERT_TRUE(pb_log_stop(5000));
	CU_ASSERT_TRUE(pb_log_stop(5000));
	pb_log_output(PB_STR("directly again"));
	all = written();
	while (pb_str_cut(&all, '\n', &line) && line.n && n < 1000) {
		char want[64];

		snprintf(want, sizeof(want), "<demo:WARN> line %u [demo-001]", n++);
		PB_SAME(line, want);
	}
	PB_SAME(line, "directly again");
	end();
}

/* All that a pipe gives until its other end is closed, while another thread fills it. */
static void *drain(void *arg)
{
	static char buf[4 << 20];
	size_t n = 0;
	ssize_t got;

	while (n < sizeof(buf) - 1 && (got = read(*(int *)arg, buf + n, sizeof(buf) - 1 - n)) > 0)
		n += (size_t)got;
	buf[n] = '\0';
	return buf;
}

/* Nobody reads for a while: lines are lost and counted, urgent ones are not; who logs never waits. */
static void blocked(void)
{
	int fds[2], saved = dup(2);
	unsigned lost = 0, kept = 0;
	struct pb_str all, line;
	pthread_t reader;
	void *text;

	begin();
	CU_ASSERT_EQUAL_FATAL(pipe(fds), 0);
	pb_log_open(NULL, false);
	dup2(fds[1], 2);
	close(fds[1]);
	CU_ASSERT_EQUAL(pb_log_start(), 0);
	flood(0, 40000);
	pb_log_at(&demo, PB_CRIT, "urgent");
	pthread_create(&reader, NULL, drain, &fds[0]);
	CU_ASSERT_TRUE(pb_log_stop(20000));
	dup2(saved, 2);
	close(saved);
	pthread_join(reader, &text);
	close(fds[0]);
	all = pb_str_z(text);
	CU_ASSERT_TRUE(pb_str_find(all, PB_STR("\n<demo:CRIT> urgent\n")) > 0);
	while (pb_str_cut(&all, '\n', &line)) {
		kept += pb_str_starts(line, PB_STR("<demo:WARN> line "));
		if (pb_str_starts(line, PB_STR("<log:WARN> ")))
			pb_str_to_u32(pb_str_head(pb_str_from(line, 11), (size_t)pb_str_chr(pb_str_from(line, 11), ' ')), 1,
				      40000, &lost);
	}
	CU_ASSERT_TRUE(lost > 0);
	CU_ASSERT_EQUAL(kept + lost, 40000);
	end();
}

static void rotates(void)
{
	char one[64], two[64], three[64];

	snprintf(one, sizeof(one), "%s.1", path);
	snprintf(two, sizeof(two), "%s.2", path);
	snprintf(three, sizeof(three), "%s.3", path);
	begin();
	pb_log_set_rotation(50, 2);
	for (int i = 0; i < 4; i++)
		pb_log_output(PB_STR("a line of more than fifty octets, so that it is rotated each time"));
	CU_ASSERT_EQUAL(written().n, 0);
	CU_ASSERT_EQUAL(access(one, F_OK), 0);
	CU_ASSERT_EQUAL(access(two, F_OK), 0);
	CU_ASSERT_NOT_EQUAL(access(three, F_OK), 0);
	pb_log_set_rotation(0, 0);
	pb_log_output(PB_STR("a line of more than fifty octets, which does not matter any more"));
	CU_ASSERT_NOT_EQUAL(written().n, 0);
	unlink(one);
	unlink(two);
	end();
}

PB_TESTS("loop/log", { "lines", lines }, { "levels", levels }, { "visible", visible },
	 { "long lines", long_lines }, { "stamps", stamps }, { "taps", taps },
	 { "reopens", reopens }, { "registers", registers }, { "controls", controls },
	 { "threads", threads }, { "repeats", repeats }, { "objects", objects }, { "writes in order", writes_in_order },
	 { "blocked", blocked }, { "rotates", rotates })
