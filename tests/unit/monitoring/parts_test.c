/* modules/monitoring: reading status lines, counting causes, names. */
#include "../../support/test.h"

#include "monitoring/board.h"
#include "monitoring/names.h"
#include "monitoring/quality.h"

#define STATUS                                                                                     \
	"name=engine,type=system,version=1;plugins=3,handlers=70;sharedpath=/x\r\n"                \
	"name=cdrbuild,type=cdr,format=Status|Caller;cdrs=2;sip/1=answered|a|b|B1|5,sip/2=answered|a|b|B1|4\r\n"

static void lines(void)
{
	struct pb_str text = PB_STR(STATUS), cdr = board_line(text, 1);

	CU_ASSERT_EQUAL(board_lines(text), 2);
	PB_SAME(board_value(board_line(text, 0), PB_STR("handlers")), "70");
	PB_SAME(board_value(cdr, PB_STR("format")), "Status|Caller");
	PB_SAME(board_value(cdr, PB_STR("cdrs")), "2");
	CU_ASSERT_PTR_NULL(board_value(cdr, PB_STR("sip/1")).p); /* items are no counters */
	CU_ASSERT_PTR_NULL(board_line(text, 2).p);
	CU_ASSERT_EQUAL(board_items(cdr), 2);
	PB_SAME(board_item_id(board_item(cdr, 1)), "sip/2");
	PB_SAME(board_column(board_item(cdr, 1), 3), "B1");
	PB_SAME(board_column(board_item(cdr, 1), 4), "4");
	CU_ASSERT_PTR_NULL(board_column(board_item(cdr, 1), 5).p);
	CU_ASSERT_PTR_NULL(board_item(cdr, 2).p);
	CU_ASSERT_EQUAL(board_items(PB_STR("name=x,type=y;a=1")), 0);
	CU_ASSERT_EQUAL(board_lines(PB_STR("")), 0);
}

static void ratios(void)
{
	struct quality q = { .all.calls = 0 };

	CU_ASSERT_EQUAL(quality_asr(&q.present), -1);
	quality_add(&q, true, PB_STR("hangup"));
	quality_add(&q, false, PB_STR("busy"));
	quality_add(&q, false, PB_STR("noroute"));
	quality_add(&q, false, PB_STR("noanswer"));
	CU_ASSERT_EQUAL(quality_asr(&q.present), 25);
	CU_ASSERT_EQUAL(quality_ner(&q.present), 75);
	quality_turn(&q);
	CU_ASSERT_EQUAL(quality_ner(&q.present), -1);
	CU_ASSERT_EQUAL(quality_ner(&q.all), 75);
	CU_ASSERT_EQUAL(q.all.causes[QUALITY_BUSY], 1);
	CU_ASSERT_EQUAL(q.all.causes[QUALITY_NO_ROUTE], 1);
	CU_ASSERT_EQUAL(q.all.causes[QUALITY_HANGUP], 1);
}

static void names(void)
{
	struct monitor_name n;

	CU_ASSERT_TRUE(monitor_find(PB_STR("msgDispatched"), &n));
	CU_ASSERT_EQUAL(n.source, MONITOR_STATUS);
	CU_ASSERT_TRUE(monitor_find(PB_STR("currentBusyEndCause"), &n));
	CU_ASSERT_EQUAL(n.column, MONITOR_CAUSES + QUALITY_BUSY);
	CU_ASSERT_TRUE(monitor_find(PB_STR("overallNoMediaEndCause"), &n));
	CU_ASSERT_EQUAL(n.column, MONITOR_CAUSES + QUALITY_CAUSES + QUALITY_NO_MEDIA);
	CU_ASSERT_TRUE(monitor_find(PB_STR("databaseCount"), &n));
	CU_ASSERT_EQUAL(n.source, MONITOR_NOTHING);
	CU_ASSERT_FALSE(monitor_find(PB_STR("currentEndCause"), &n));
	CU_ASSERT_FALSE(monitor_find(PB_STR("systemLoad"), &n));
	CU_ASSERT_FALSE(monitor_find(PB_STR_NULL, &n));
}

PB_TESTS("monitoring/parts", { "lines", lines }, { "ratios", ratios }, { "names", names })
