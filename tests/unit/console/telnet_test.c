/* modules/console/telnet, edit: octets in, octets and events out. */
#include "../../support/test.h"

#include <stdlib.h>

#include "console/telnet.h"

static struct console_telnet tty;
static struct pb_text out;

/** What `in` makes of a terminal: its output, with events in brackets. */
static void feed(struct pb_str in)
{
	static const char *const names[] = { "", NULL, "[TAB]", "[CYCLE]", "[PAGE]", "[CLOSE]", "[TOO LONG]" };
	enum console_event ev;
	/* Exactly as large as it is, for the sanitizer. */
	char *copy = malloc(in.n ? in.n : 1);
	struct pb_str left = pb_str(copy, in.n);

	memcpy(copy, in.p, in.n);
	console_edit_chunk(&tty.edit);
	while (left.n) {
		ev = console_telnet_feed(&tty, &left, &out);
		if (ev == CONSOLE_LINE)
			pb_text_addf(&out, "[%.*s]", PB_STR_F(pb_text_str(&tty.edit.done)));
		else
			pb_text_addf(&out, "%s", names[ev]);
	}
	free(copy);
}

static void begin(bool echo)
{
	CU_ASSERT_EQUAL_FATAL(console_telnet_init(&tty, 3), 0);
	tty.edit.echo = echo;
	tty.edit.prompt = PB_STR("> ");
	pb_text_init(&out, 1u << 20);
}

static void end(void)
{
	console_telnet_fini(&tty);
	pb_text_fini(&out);
}

static void hello(void)
{
	begin(false);
	console_telnet_hello(&out);
	PB_SAME(pb_text_str(&out), "\xff\xfb\x03\xff\xfb\x01\xff\xfd\x1f");
	end();
}

#define CASE(in, want) { PB_STR_INIT(in), PB_STR_INIT(want) }

static void play(bool echo, const struct pb_str (*cases)[2], size_t n)
{
	for (size_t i = 0; i < n; i++) {
		begin(echo);
		feed(cases[i][0]);
		if (!pb_str_eq(pb_text_str(&out), cases[i][1])) {
			printf("case %zu: got '%.*s'\n", i, PB_STR_F(pb_text_str(&out)));
			CU_FAIL("other output");
		}
		end();
	}
}

static void negotiation(void)
{
	static const struct pb_str cases[][2] = {
		CASE("\xff\xfd\x01", "\xff\xfb\x01> "), /* DO ECHO */
		CASE("\xff\xfd\x03", "\xff\xfb\x03"), /* DO SGA */
		CASE("\xff\xfd\x12", "\xff\xfb\x12[CLOSE]"), /* DO LOGOUT */
		CASE("\xff\xfd\x22", "\xff\xfc\x22"), /* DO LINEMODE */
		CASE("\xff\xfd\x01\xff\xfe\x01" "a", "\xff\xfb\x01> \xff\xfc\x01"), /* DONT ECHO: off */
		CASE("\xff\xfb\x01", "\xff\xfc\x01"), /* WILL ECHO */
		CASE("\xff\xfb\x1f\xff\xfc\x18\xff\xfe\x05", ""), /* others */
		CASE("\xff\xf1" "a\r", "[a]"), /* NOP */
		CASE("\xff\xf3", "[reload]"), /* BREAK */
		CASE("\xff\xf4", "^C\r\n[CLOSE]"), /* IP */
		CASE("ab\xff\xf7\r", "[a]"), /* EC */
		CASE("ab\xff\xf8" "c\r", "[c]"), /* EL */
		CASE("a\xff\xff\r", "[a\xff]"),
		CASE("\xff\xfa\x18" "abcdefghijkl\xff\xf0" "a\r", "[a]"), /* a long SB */
	};

	play(false, cases, sizeof(cases) / sizeof(cases[0]));
}

static void window_size(void)
{
	begin(false);
	CU_ASSERT_EQUAL(tty.width, 0);
	CU_ASSERT_EQUAL(tty.height, 24);
	feed(PB_STR("\xff\xfa\x1f\x00\xff\xff\x00\x32\xff\xf0"));
	CU_ASSERT_EQUAL(tty.width, 255);
	CU_ASSERT_EQUAL(tty.height, 50);
	feed(PB_STR("\xff\xfa\x1f\x00\xff\xf0\xff\xfa\x1f\x01\x02\x03\x04\x05\xff\xf0"));
	CU_ASSERT_EQUAL(tty.width, 255);
	end();
}

/** Without echo: lines and nothing else. */
static void silent(void)
{
	static const struct pb_str cases[][2] = {
		CASE("status\r\nuptime\n\n\r\n", "[status][uptime]"),
		CASE("  two words \r", "[two words]"),
		CASE("a\0b\r\0", "[ab]"),
		CASE("ab\b\bc\x7f" "d\r", "[d]"),
		CASE("\x01\x02\x06", "\a"),
		CASE("\x04", "[quit]"),
		CASE("a\x04", "\a"),
		CASE("\x1c", "[reload]"),
		CASE("\t", "[help]"),
		CASE("st\t", "[TAB]"),
		CASE("\x0f", "[CYCLE]"),
		CASE("one two\x17three\r", "[one three]"),
		CASE("abc\x15" "d\r", "[d]"),
	};

	play(false, cases, sizeof(cases) / sizeof(cases[0]));
}

static void echoing(void)
{
	static const struct pb_str cases[][2] = {
		CASE("ab\r", "ab\r\n[ab]"),
		CASE("\r", "\r\n> "),
		CASE(" ", "\a"),
		CASE("a  ", "a \a"),
		CASE("ab\b", "ab\b \b"),
		CASE("ab\033[D\b", "ab\r\033[K\r> ab\b\r\033[K\r> b\b"),
		CASE("ac\033[Db\r", "ac\r\033[K\r> ac\b\r\033[K\r> abc\b\r\n[abc]"),
		CASE("ab\033[Hx\r", "ab\r\033[K\r> ab\b\b\r\033[K\r> xab\b\b\r\n[xab]"),
		CASE("ab\033[1~\033[3~\r", "ab\r\033[K\r> ab\b\b\r\033[K\r> b\b\r\n[b]"),
		CASE("ab\033OH\033OF\r", "ab\r\033[K\r> ab\b\b\r\033[K\r> ab\r\n[ab]"),
		CASE("\xc3\xa4\033[D\r", "\xc3\xa4\r\033[K\r> \xc3\xa4\b\r\n[\xc3\xa4]"),
		CASE("\xc3\xa4\b\r", "\xc3\xa4\b \b\r\n> "),
		CASE("a\x05" "b\r", "a[ab]"), /* ^E */
		CASE("a\x12", "a\r\033[K\r> a"),
		CASE("a\x0c", "a\033[H\033[2J\r\033[K\r> a"),
		CASE("\033[5~\033[9;9Z", "\a"),
		CASE("\x03", "^C\r\n[CLOSE]"),
	};

	play(true, cases, sizeof(cases) / sizeof(cases[0]));
}

static void history(void)
{
	begin(true);
	feed(PB_STR("one\rtwo\rthree\rfour\rtwo\rauth secret\r"));
	pb_text_reset(&out);
	tty.edit.echo = false;
	feed(PB_STR("\033[A\r"));
	feed(PB_STR("\033[A\033[A\r"));
	feed(PB_STR("\033[A\033[A\033[A\033[A\r"));
	feed(PB_STR("\033[A\033[Bnew\r"));
	/* two | four, two | three was the last of three, one is gone */
	PB_SAME(pb_text_str(&out), "[two][four]\a[three][new]");
	end();
}

static void completion(void)
{
	static const struct {
		const char *line, *candidates, *want;
	} cases[] = {
		{ "st", "status", "\r\033[K\r> status " },
		{ "status si", "sip", "\r\033[K\r> status sip " },
		{ "st", "status\tstop", "\r\nstatus\tstop\r\n\r\033[K\r> st" },
		{ "s", "status\tstat", "\r\nstatus\tstat\r\n\r\033[K\r> stat" },
		{ "x", "", "\a" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin(true);
		feed(pb_str_z(cases[i].line));
		pb_text_reset(&out);
		console_edit_complete(&tty.edit, pb_str_z(cases[i].candidates), &out);
		PB_SAME(pb_text_str(&out), cases[i].want);
		end();
	}
}

static void live_output(void)
{
	begin(true);
	feed(PB_STR("stat\033[D"));
	pb_text_reset(&out);
	console_edit_hide(&tty.edit, &out);
	pb_text_lit(&out, "a line\r\n");
	console_edit_show(&tty.edit, &out);
	PB_SAME(pb_text_str(&out), "\r\033[K\ra line\r\n> stat\b");
	end();
}

static void too_long(void)
{
	char *big = malloc(CONSOLE_LINE_MAX_BYTES + 1);

	memset(big, 'x', CONSOLE_LINE_MAX_BYTES + 1);
	begin(false);
	feed(pb_str(big, CONSOLE_LINE_MAX_BYTES));
	PB_SAME(pb_text_str(&out), "");
	feed(PB_STR("x"));
	PB_SAME(pb_text_str(&out), "[TOO LONG]");
	end();
	free(big);
}

/** Turned by keys while the line is empty; else they move, or beep. */
static void pages(void)
{
	static const struct {
		struct pb_str key;
		enum console_page page;
	} keys[] = {
		{ PB_STR_INIT("\033[5~"), CONSOLE_PAGE_UP },	 { PB_STR_INIT("\033[6~"), CONSOLE_PAGE_DOWN },
		{ PB_STR_INIT("\2"), CONSOLE_PAGE_UP },	 { PB_STR_INIT("\6"), CONSOLE_PAGE_DOWN },
		{ PB_STR_INIT("\033[H"), CONSOLE_PAGE_FIRST }, { PB_STR_INIT("\033[4~"), CONSOLE_PAGE_LAST },
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		begin(true);
		tty.edit.paged = true;
		feed(keys[i].key);
		PB_SAME(pb_text_str(&out), "[PAGE]");
		CU_ASSERT_EQUAL(tty.edit.page, keys[i].page);
		pb_text_reset(&out);
		feed(PB_STR("x"));
		pb_text_reset(&out);
		feed(keys[i].key);
		CU_ASSERT(!pb_str_eq(pb_text_str(&out), PB_STR("[PAGE]")));
		end();
	}
	begin(true);
	feed(PB_STR("\033[5~"));
	PB_SAME(pb_text_str(&out), "\a");
	end();
}

static void one_scenario(void)
{
	if (console_telnet_init(&tty, 3) == 0) {
		pb_text_init(&out, 1u << 20);
		feed(PB_STR("one\rtwo\r\033[A\033[A\b\r"));
		pb_text_fini(&out);
	}
	console_telnet_fini(&tty);
}

static void no_memory(void)
{
	pb_test_each_alloc(one_scenario);
}

PB_TESTS("console/telnet", { "hello", hello }, { "negotiation", negotiation },
	 { "window size", window_size }, { "silent", silent }, { "echoing", echoing },
	 { "history", history }, { "completion", completion }, { "live output", live_output },
	 { "too long", too_long }, { "pages", pages }, { "no memory", no_memory })
