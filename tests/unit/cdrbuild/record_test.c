/* modules/cdrbuild: one record. */
#include "../../support/test.h"

#include <stdlib.h>
#include <time.h>

#include "base/text.h"
#include "cdrbuild/record.h"
#include "cdrbuild/timefmt.h"

static void times(void)
{
	static const struct {
		uint64_t us;
		const char *sec, *msec, *usec;
	} rows[] = {
		{ 0, "0", "0.000", "0.000000" },
		{ 499999, "0", "0.500", "0.499999" },
		{ 500000, "1", "0.500", "0.500000" },
		{ 1999499, "2", "1.999", "1.999499" },
		{ 1999500, "2", "2.000", "1.999500" },
		{ 1700000000123456, "1700000000", "1700000000.123", "1700000000.123456" },
	};
	char buf[40];
	struct pb_text t;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *want[] = { rows[i].sec, rows[i].msec, rows[i].usec };

		for (int res = CDR_SEC; res <= CDR_USEC; res++) {
			pb_text_init_buf(&t, buf, sizeof(buf));
			cdr_print_time(&t, rows[i].us, (enum cdr_resolution)res);
			PB_SAME(pb_text_str(&t), want[res]);
		}
	}
}

static void params_of(const char *text, struct cdr_params *p, struct pb_arena *a,
		      struct pb_findings *f)
{
	struct pb_conf *c;

	if (pb_conf_parse("cdrbuild.conf", pb_str_z(text), NULL, f, &c))
		return;
	cdr_params_read(c, p, a, f);
	pb_conf_free(&c);
}

static struct pb_msg *message(uint64_t us, const char *params)
{
	struct pb_msg *m = pb_msg_new(PB_STR("any"));
	struct pb_str rest = pb_str_z(params), word, key;

	if (!m)
		return NULL;
	pb_msg_set_time_us(m, us);
	while (pb_str_word(&rest, &word)) {
		pb_str_cut(&word, '=', &key);
		pb_msg_add(m, key, word);
	}
	return m;
}

static void take(struct cdr *r, const struct cdr_params *p, enum cdr_event ev, uint64_t us,
		 const char *params)
{
	struct pb_msg *m = message(us, params);

	if (m)
		cdr_take(r, p, ev, m);
	pb_msg_free(&m);
}

static struct cdr_formats formats;
static const struct cdr_style style = { PB_STR_INIT("RUN"), CDR_SEC, &formats };

static void written(const struct cdr *r, uint64_t now_us, const char *want)
{
	struct pb_msg *m = pb_msg_new(PB_STR("call.cdr"));
	struct pb_text t;

	pb_text_init(&t, 10000);
	cdr_write(r, m, PB_STR("update"), &style, now_us);
	for (size_t i = 0; i < pb_msg_count(m); i++)
		pb_text_addf(&t, "%s%.*s=%.*s", i ? " " : "", PB_STR_F(pb_msg_at(m, i)->name),
			     PB_STR_F(pb_msg_at(m, i)->value));
	PB_SAME(pb_text_str(&t), want);
	pb_text_fini(&t);
	pb_msg_free(&m);
}

static void life(void)
{
	struct pb_arena *a = pb_arena_new(100000);
	struct cdr_params p = { 0 };
	struct cdr r;

	params_of("[parameters]\ncaller=yes\nx=no\ntime=yes\n", &p, a, NULL);
	CU_ASSERT_EQUAL(p.count, 8);
	CU_ASSERT_EQUAL_FATAL(cdr_init(&r, PB_STR("sip/1"), 7), 0);
	take(&r, &p, CDR_STARTUP, 100000000,
	     "id=sip/1 status=incoming address=a:1 billid=RUN-1 called=2 caller=1 y=1");
	written(&r, 101000000,
		"time=100 chan=sip/1 cdrid=7 runid=RUN operation=update direction=incoming "
		"duration=1 billtime=0 "
		"ringtime=0 status=incoming external=1 cdrwrite=true address=a:1 billid=RUN-1 called=2 caller=1");
	take(&r, &p, CDR_EXECUTE, 102000000, "cdrwrite=no called=3 caller=9 x=first trace_id=T");
	cdr_note(&r, CDR_RINGING, 104000000, PB_STR("ringing"));
	cdr_note(&r, CDR_RINGING, 105000000, PB_STR_NULL);
	take(&r, &p, CDR_ANSWERED, 107000000, "status=answered x=second called=");
	take(&r, &p, CDR_HANGUP, 110000000, "reason=bye");
	written(&r, 999000000,
		"time=100 chan=sip/1 cdrid=7 runid=RUN operation=update direction=incoming "
		"duration=8 billtime=3 "
		"ringtime=3 status=answered trace_id=T external=9 cdrwrite=true address=a:1 billid=RUN-1 "
		"called=2 caller=9 x=first "
		"reason=bye");
	CU_ASSERT_FALSE(r.failed);
	cdr_fini(&r);
	pb_arena_free(&a);
}

static void small(void)
{
	struct cdr_params p = { 0 };
	struct cdr r;

	CU_ASSERT_EQUAL_FATAL(cdr_init(&r, PB_STR("x"), 1), 0);
	take(&r, &p, CDR_STARTUP, 5000000, "cdrwrite=no direction=outgoing called=77");
	written(&r, 4000000, /* the clock was set back */
		"time=5 chan=x cdrid=1 runid=RUN operation=update direction=outgoing duration=0 "
		"billtime=0 ringtime=0 "
		"status=unknown cdrwrite=false");
	cdr_fini(&r);
}

static void formatting(void)
{
	static const struct {
		const char *format, *want;
	} rows[] = {
		{ "YYYY-MM-DD HH:mm:SS.uuu UTC", "2023-11-14 22:13:20.123 UTC" },
		{ "YY/M/DDuUTC", "23/M/141UTC" },
		{ "uuuuuuuUTC", "1234561UTC" },
		{ "HH:mm", "23:13 TST" },
		{ "", " TST" },
	};
	struct pb_text t;
	struct cdr r;

	setenv("TZ", "TST-1", 1);
	tzset();
	pb_text_init(&t, 1000);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		pb_text_reset(&t);
		cdr_format_time(&t, pb_str_z(rows[i].format), 1700000000123456);
		PB_SAME(pb_text_str(&t), rows[i].want);
	}
	pb_text_reset(&t);
	cdr_format_duration(&t, PB_STR("HH:mm:SS uYYYY"), 100ull * 3600000000 + 61000000);
	PB_SAME(pb_text_str(&t), "100:01:01 uYYYY");
	pb_text_fini(&t);
	formats = (struct cdr_formats){ PB_STR("SSUTC"), PB_STR("SSUTC"), PB_STR("SSUTC"),
					PB_STR("SS") };
	CU_ASSERT_EQUAL_FATAL(cdr_init(&r, PB_STR("x"), 1), 0);
	cdr_note(&r, CDR_STARTUP, 5000000, PB_STR_NULL);
	cdr_note(&r, CDR_HANGUP, 7000000, PB_STR_NULL);
	written(&r, 9000000,
		"time=5 chan=x cdrid=1 runid=RUN operation=update direction=unknown duration=2 "
		"billtime=0 "
		"ringtime=0 status=unknown call_start_time=05UTC call_hangup_time=07UTC "
		"call_duration=02 cdrwrite=true");
	formats = (struct cdr_formats){ 0 };
	cdr_fini(&r);
}

static void findings(void)
{
	struct pb_arena *a = pb_arena_new(100000);
	struct pb_findings *f = pb_findings_new();
	struct cdr_params p = { 0 };

	params_of("[parameters]\nduration=yes\nx=1\ny=no\n", &p, a, f);
	CU_ASSERT_EQUAL(pb_findings_count(f, PB_SEV_WARNING), 2);
	pb_findings_free(&f);
	pb_arena_free(&a);
}

static void once(void)
{
	struct pb_arena *a = pb_arena_new(100000);
	struct cdr_params p = { 0 };
	struct cdr r;

	if (a) {
		params_of("[parameters]\nx=no\n", &p, a, NULL);
		if (!cdr_init(&r, PB_STR("sip/1"), 7)) {
			take(&r, &p, CDR_STARTUP, 1, "caller=1 called=2 status=a billid=3 x=4");
			take(&r, &p, CDR_HANGUP, 1, "reason=x billid=4");
			cdr_fini(&r);
		}
	}
	pb_arena_free(&a);
}

static void alloc_failures(void)
{
	pb_test_each_alloc(once);
}

PB_TESTS("cdrbuild/record", { "times", times }, { "life", life }, { "small", small },
	 { "formatting", formatting }, { "findings", findings },
	 { "each allocation fails", alloc_failures })
