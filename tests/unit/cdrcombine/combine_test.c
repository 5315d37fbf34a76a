/* modules/cdrcombine: legs of calls, without an engine. */
#include "../../support/test.h"

#include "base/text.h"
#include "cdrcombine/combine.h"

static struct pb_msg *record(const char *operation, const char *params)
{
	struct pb_msg *m = pb_msg_new(PB_STR("call.cdr"));
	struct pb_str rest = pb_str_z(params), word, key;

	if (!m)
		return NULL;
	pb_msg_add(m, PB_STR("operation"), pb_str_z(operation));
	while (pb_str_word(&rest, &word)) {
		pb_str_cut(&word, '=', &key);
		pb_msg_add(m, key, word);
	}
	return m;
}

static enum combine_result begin(struct combines *cs, const char *params)
{
	struct pb_msg *m = record("initialize", params);
	enum combine_result r = m ? combine_begin(cs, m) : COMBINE_NO_MEMORY;

	pb_msg_free(&m);
	return r;
}

/* `want` is the record, "k=v k=v"; NULL: none. */
static enum combine_result end(struct combines *cs, const char *params, const char *want)
{
	struct pb_msg *m = record("finalize", params), *out = NULL;
	enum combine_result r = m ? combine_end(cs, m, &out) : COMBINE_NO_MEMORY;
	struct pb_text t;

	pb_msg_free(&m);
	CU_ASSERT_EQUAL(out != NULL, r == COMBINE_OVER);
	pb_text_init(&t, 100000);
	for (size_t i = 0; out && i < pb_msg_count(out); i++)
		pb_text_addf(&t, "%s%.*s=%.*s", i ? " " : "", PB_STR_F(pb_msg_at(out, i)->name),
			     PB_STR_F(pb_msg_at(out, i)->value));
	if (want)
		PB_SAME(pb_text_str(&t), want);
	CU_ASSERT_TRUE(!out || pb_msg_broadcast(out));
	pb_text_fini(&t);
	pb_msg_free(&out);
	return r;
}

/* Two out legs, one after the other; the main leg ends in between. */
static void a_call(void)
{
	struct combines cs;

	combines_init(&cs);
	CU_ASSERT_EQUAL(begin(&cs, "chan=sip/1 billid=R-1 direction=incoming caller=1"), COMBINE_TAKEN);
	CU_ASSERT_EQUAL(begin(&cs, "chan=sip/2 billid=R-1 direction=outgoing"), COMBINE_TAKEN);
	CU_ASSERT_EQUAL(begin(&cs, "chan=sip/2 billid=R-1 direction=outgoing"), COMBINE_TAKEN);
	CU_ASSERT_EQUAL(end(&cs, "chan=sip/2 billid=R-1 x=2 reason=busy", ""), COMBINE_TAKEN);
	CU_ASSERT_EQUAL(begin(&cs, "chan=sip/3 billid=R-1 direction=incoming"), COMBINE_TAKEN);
	CU_ASSERT_EQUAL(begin(&cs, "chan=sip/4 billid=R-1 direction=outgoing"), COMBINE_TAKEN);
	CU_ASSERT_EQUAL(end(&cs, "chan=sip/1 time=7 chan=sip/1 cdrid=1 runid=R direction=incoming billid=R-1 "
				 "cdrwrite=no cdrtrack=yes cdrcreate=yes nodename=n handlers=a:1",
			    ""),
			COMBINE_TAKEN);
	CU_ASSERT_EQUAL(end(&cs, "chan=sip/4 billid=R-9 runid=R cdrid=4 reason=bye", ""), COMBINE_TAKEN);
	CU_ASSERT_EQUAL(cs.by_billid.count, 1);
	CU_ASSERT_EQUAL(end(&cs, "chan=sip/3 nodename=n nodeprefix=p cdrwrite=no runid=R handlers=a:1 y=",
			    "operation=combined billid=R-1 chan=sip/1 time=7 chan=sip/1 runid=R cdrwrite=no "
			    "nodename=n out_leg.chan=sip/4 out_leg.reason=bye out_leg.1.chan=sip/3 out_leg.1.y= "
			    "out_leg.2.chan=sip/2 out_leg.2.x=2 out_leg.2.reason=busy"),
			COMBINE_OVER);
	CU_ASSERT_EQUAL(cs.by_billid.count + cs.by_chan.count, 0);
	combines_fini(&cs);
}

static void alone(void)
{
	struct combines cs;

	combines_init(&cs);
	cs.track = PB_STR("");
	CU_ASSERT_EQUAL(begin(&cs, "chan=sip/1 billid=R-1 direction=incoming"), COMBINE_TAKEN);
	CU_ASSERT_EQUAL(end(&cs, "chan=sip/1 handlers=x", "operation=combined billid=R-1 chan=sip/1 handlers=x"),
			COMBINE_OVER);
	/* the engine's own call: its first leg is the main one */
	begin(&cs, "chan=sip/2 billid=R-2 direction=outgoing");
	begin(&cs, "chan=sip/3 billid=R-2 direction=outgoing");
	end(&cs, "chan=sip/3", "");
	end(&cs, "chan=sip/2", "operation=combined billid=R-2 chan=sip/2 out_leg.chan=sip/3");
	combines_fini(&cs);
}

/* Legs that found their call late, or never. */
static void strangers(void)
{
	struct combines cs;

	combines_init(&cs);
	CU_ASSERT_EQUAL(begin(&cs, "chan=sip/1"), COMBINE_TAKEN);
	CU_ASSERT_EQUAL(end(&cs, "chan=sip/1", ""), COMBINE_UNKNOWN);
	CU_ASSERT_EQUAL(end(&cs, "chan=sip/1 billid=R-1", ""), COMBINE_UNKNOWN);
	begin(&cs, "chan=sip/2 billid=R-2 direction=incoming");
	begin(&cs, "chan=sip/3");
	CU_ASSERT_EQUAL(end(&cs, "chan=sip/3 billid=R-2", ""), COMBINE_TAKEN);
	end(&cs, "chan=sip/2", "operation=combined billid=R-2 chan=sip/2 out_leg.chan=sip/3");
	combines_fini(&cs);
}

static void many(void)
{
	struct combines cs;
	char params[64];

	combines_init(&cs);
	for (unsigned i = 0; i <= COMBINE_LEGS_MAX; i++) {
		snprintf(params, sizeof(params), "chan=sip/%u billid=R", i);
		CU_ASSERT_EQUAL(begin(&cs, params), i < COMBINE_LEGS_MAX ? COMBINE_TAKEN : COMBINE_FULL);
	}
	for (unsigned i = 0; i <= COMBINE_LEGS_MAX; i++) {
		enum combine_result want = i < COMBINE_LEGS_MAX - 1 ? COMBINE_TAKEN :
					   i < COMBINE_LEGS_MAX	    ? COMBINE_OVER :
								      COMBINE_UNKNOWN;

		snprintf(params, sizeof(params), "chan=sip/%u billid=R", i);
		CU_ASSERT_EQUAL(end(&cs, params, NULL), want);
	}
	begin(&cs, "chan=sip/1 billid=R"); /* open at the end */
	combines_fini(&cs);
}

static void once(void)
{
	struct combines cs;

	combines_init(&cs);
	begin(&cs, "chan=sip/1 billid=R direction=incoming");
	begin(&cs, "chan=sip/2 billid=R");
	end(&cs, "chan=sip/1", NULL);
	end(&cs, "chan=sip/3 billid=R", NULL);
	end(&cs, "chan=sip/2", NULL);
	combines_fini(&cs);
}

static void alloc_failures(void)
{
	pb_test_each_alloc(once);
}

PB_TESTS("cdrcombine/combine", { "a call", a_call }, { "one direction only", alone },
	 { "strangers", strangers }, { "many legs", many }, { "each allocation fails", alloc_failures })
