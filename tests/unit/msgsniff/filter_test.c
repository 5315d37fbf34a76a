/* modules/msgsniff: rules, the commands that change them, the printed block. */
#include "../../support/test.h"

#include "msgsniff/block.h"
#include "msgsniff/filter.h"
#include "msgsniff/mainfile.h"

static struct pb_text text;

/* Commands separated by '|', applied in order. */
static struct sniff_rules *after(const char *commands)
{
	struct sniff_rules *r = sniff_rules_new(), *next;
	struct pb_str list = pb_str_z(commands), one;

	while (r && pb_str_cut(&list, '|', &one)) {
		next = sniff_rules_change(r, one, NULL);
		sniff_rules_free(&r);
		r = next;
	}
	return r;
}

static void commands(void)
{
	static const struct {
		const char *commands, *want;
	} rows[] = {
		{ "", "Message sniffer: off\r\n" },
		{ "on", "Message sniffer: on, timer: off\r\n" },
		{ "timer on", "Message sniffer: off, timer: on\r\n" },
		{ "on timer", "Message sniffer: on, timer: on\r\n" },
		{ "on timer off", "Message sniffer: on, timer: off\r\n" },
		{ "on|off", "Message sniffer: off\r\n" },
		{ "on nonsense", "Message sniffer: on, timer: off\r\n" },
		{ "on filter ^call\\.", "Message sniffer: on, timer: off\r\nMessage: ^call\\.\r\n" },
		{ "filter ^a b", "Message sniffer: off\r\nMessage: ^a b\r\n" },
		{ "filter ^a|filter", "Message sniffer: off\r\n" },
		{ "filter ^a|on|age 0.5", "Message sniffer: on, timer: off\r\nMessage: ^a age 0.500000\r\n" },
		{ "age 2|age x", "Message sniffer: off\r\n" },
		{ "params a=^1 b=", "Message sniffer: off\r\nParams\r\n  a: ^1\r\n  b: \r\n" },
		{ "params any a=x", "Message sniffer: off\r\nParams any\r\n  a: x\r\n" },
		{ "params any negated a=x", "Message sniffer: off\r\nParams any negated\r\n  a: x\r\n" },
		{ "filter ^a|params x=y|params", "Message sniffer: off\r\nMessage: ^a\r\n" },
		{ "set name=N filter=^a age=1.25 params p=q",
		  "Message sniffer: off\r\nName: N\r\nMessage: ^a age 1.250000\r\nParams\r\n  p: q\r\n" },
		{ "set name=N filter=^a|filter ^b|set name=M age=1",
		  "Message sniffer: off\r\n-----\r\nName: N\r\nMessage: ^a\r\n-----\r\nMessage: ^b"
		  "\r\n-----\r\nName: M\r\nMessage:  age 1.000000\r\n-----\r\n" },
		{ "set name=N filter=^a|set name=N filter=^b",
		  "Message sniffer: off\r\nName: N\r\nMessage: ^b\r\n" },
		{ "set name=N filter=^a|set name=N", "Message sniffer: off\r\n" },
		{ "set name=N filter=^a|filter ^b|reset", "Message sniffer: off\r\n" },
		{ "set name=N filter=^a|reset filter=^c", "Message sniffer: off\r\nMessage: ^c\r\n" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sniff_rules *r = after(rows[i].commands);

		pb_text_init(&text, 4096);
		CU_ASSERT_PTR_NOT_NULL_FATAL(r);
		sniff_rules_print(r, &text);
		PB_SAME(pb_text_str(&text), rows[i].want);
		pb_text_fini(&text);
		sniff_rules_free(&r);
	}
}

static void choices(void)
{
	static const struct {
		const char *commands, *name;
		uint64_t age_us;
		bool want;
	} rows[] = {
		{ "on", "call.route", 0, true },
		{ "on", "engine.timer", 0, false },
		{ "on timer", "engine.timer", 0, true },
		{ "filter ^call", "call.route", 0, true },
		{ "filter ^call", "chan.call", 0, false },
		{ "filter ^call^", "chan.call", 0, true },
		{ "filter [", "chan.call", 0, false },
		{ "age 0.5", "m", 499999, false },
		{ "age 0.5", "m", 500000, true },
		{ "filter ^m|age 1", "n", 1000000, false },
		{ "params a=^1", "m", 0, true }, /* the message has a=12 b= */
		{ "params a=^2", "m", 0, false },
		{ "params a=^1 c=x", "m", 0, false },
		{ "params any a=^1 c=x", "m", 0, true },
		{ "params any a=^2 c=x", "m", 0, false },
		{ "params negated a=^2", "m", 0, true },
		{ "params a=^2^", "m", 0, true },
		{ "params b=", "m", 0, true },
		{ "params c=", "m", 0, true },
		{ "params a=", "m", 0, false },
		{ "params a=^", "m", 0, true },
		{ "set name=x filter=^a|set name=y filter=^b", "b", 0, true },
		{ "set name=x filter=^a|set name=y filter=^b", "c", 0, false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sniff_rules *r = after(rows[i].commands);
		struct pb_msg *m = pb_msg_new(pb_str_z(rows[i].name));

		pb_msg_set(m, PB_STR("a"), PB_STR("12"));
		pb_msg_set(m, PB_STR("b"), PB_STR(""));
		if (sniff_rules_take(r, m, rows[i].age_us) != rows[i].want)
			fprintf(stderr, "%s: %s\n", rows[i].commands, rows[i].name);
		CU_ASSERT_EQUAL(sniff_rules_take(r, m, rows[i].age_us), rows[i].want);
		pb_msg_free(&m);
		sniff_rules_free(&r);
	}
}

static void blocks(void)
{
	struct sniff_scene s = { .now_us = 1352472395781897, .thread = 0x89228a8, .thread_name = PB_STR("loop/1") };
	struct pb_msg *m = pb_msg_new(PB_STR("msg.execute"));

	pb_text_init(&text, 4096);
	pb_msg_set_time_us(m, 1352472395761205);
	pb_msg_add(m, PB_STR("caller"), PB_STR("123"));
	pb_msg_add(m, PB_STR("body_encoding"), PB_STR(""));
	sniff_block_in(m, &s, &text);
	PB_SAME(pb_text_str(&text), "Sniffed 'msg.execute' time=1352472395.761205 age=0.020692\r\n"
				    "  thread=0x89228a8 'loop/1'\r\n"
				    "  data=(nil)\r\n"
				    "  retval=''\r\n"
				    "  param['caller'] = '123'\r\n"
				    "  param['body_encoding'] = ''");
	pb_text_reset(&text);
	pb_msg_set_retval(m, PB_STR("x"));
	pb_msg_set_broadcast(m, true);
	pb_msg_set_chan(m, (struct pb_handle){ .slot = 7, .gen = 2, .loop = 1 });
	sniff_block_out(m, true, &s, &text);
	PB_SAME(pb_text_str(&text), "Returned true 'msg.execute' delay=0.020692 (broadcast)\r\n"
				    "  thread=0x89228a8 'loop/1'\r\n"
				    "  data=0x10000000200000007\r\n"
				    "  retval='x'\r\n"
				    "  param['caller'] = '123'\r\n"
				    "  param['body_encoding'] = ''");
	pb_msg_free(&m);
	pb_text_fini(&text);
}

static void hides(void)
{
	struct sniff_scene s = { .now_us = 1000001, .thread_name = PB_STR("t") };
	struct pb_msg *m = pb_msg_new(PB_STR("user.auth"));

	pb_text_init(&text, 4096);
	pb_msg_set_time_us(m, 1000000);
	pb_msg_add(m, PB_STR("password"), PB_STR("geheim"));
	pb_msg_add(m, PB_STR("response"), PB_STR("0123"));
	pb_msg_set_retval(m, PB_STR("mypass123"));
	sniff_block_out(m, true, &s, &text);
	PB_SAME(pb_text_str(&text), "Returned true 'user.auth' delay=0.000001\r\n  thread=0x0 't'\r\n"
				    "  data=(nil)\r\n  retval=(hidden)\r\n"
				    "  param['password'] = (hidden)\r\n  param['response'] = (hidden)");
	pb_text_reset(&text);
	pb_msg_set_retval(m, PB_STR("-"));
	sniff_block_out(m, true, &s, &text);
	CU_ASSERT_TRUE(pb_str_find(pb_text_str(&text), PB_STR("retval='-'")) > 0);
	pb_msg_free(&m);
	pb_text_fini(&text);
}

/* The main file, without an engine. */
static void main_keys(void)
{
	static const char file[] = "[general]\nmsgsniff=yes\nfiltersniff=[\nagesniff=0.25\n"
				   "filtersniffparams=any a=1\nmsgsniff:=x\nmsgsniff:n=filter=^m age=2\n"
				   "dump_msg_data=yes\ndump_msg_data_short=no\n";
	struct pb_conf *c = NULL;
	struct pb_str why;
	struct sniff_rules *r;

	CU_ASSERT_EQUAL_FATAL(pb_conf_parse("yate.conf", pb_str_z(file), NULL, NULL, &c), 0);
	r = sniff_main_rules(c, &why);
	pb_conf_free(&c);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	CU_ASSERT_TRUE(why.n > 0);
	CU_ASSERT_TRUE(r->dump.chan && !r->dump.brief);
	pb_text_init(&text, 4096);
	sniff_rules_print(r, &text);
	PB_SAME(pb_text_str(&text), "Message sniffer: on, timer: off\r\n-----\r\nMessage: [ age 0.250000\r\n"
				    "Params any\r\n  a: 1\r\n-----\r\nName: n\r\nMessage: ^m age 2.000000\r\n"
				    "-----\r\n");
	pb_text_fini(&text);
	sniff_rules_free(&r);
}

static void one_main(void)
{
	struct pb_conf *c = NULL;
	struct pb_str why;
	struct sniff_rules *r;

	if (pb_conf_parse("yate.conf", PB_STR("[general]\nmsgsniff=yes\nmsgsniff:n=filter=[\n"), NULL, NULL, &c))
		return;
	r = sniff_main_rules(c, &why);
	sniff_rules_free(&r);
	pb_conf_free(&c);
}

static void one_change(void)
{
	struct sniff_rules *r = after("on filter ^a|params a=b c=d|set name=x age=1|reset filter=[");

	sniff_rules_free(&r);
}

static void allocations(void)
{
	pb_test_each_alloc(one_change);
	pb_test_each_alloc(one_main);
}

PB_TESTS("msgsniff/filter", { "commands", commands }, { "which messages", choices },
	 { "the printed block", blocks }, { "secrets", hides }, { "keys of the main file", main_keys }, { "allocation failures", allocations })
