/*
 * monitor.query. What modules count themselves is read from their status, which
 * is asked for on the bus and believed for a moment; questions wait, held, for
 * an answer that is on its way.
 */
#include "base/alloc.h"
#include "base/text.h"
#include "monitoring/board.h"
#include "monitoring/monitoring.h"

#define ASKED_LIMIT 1000 /* questions that wait for one status text */

struct monitor_wait {
	struct pb_list node;
	struct monitor_board *board;
	struct monitor *mo;
	struct pb_token token;
	struct monitor_name name;
	int64_t index;
};

/* ---- Answers ------------------------------------------------------------------------ */

/* Of the leg with the same billing id. */
static struct pb_str peer_of(struct pb_str line, unsigned at)
{
	struct pb_str bill = board_column(board_item(line, at), MONITOR_CALL_BILLID);
	unsigned n = board_items(line);

	for (unsigned i = 0; bill.n && i < n; i++) {
		struct pb_str item = board_item(line, i);

		if (i != at && pb_str_eq(board_column(item, MONITOR_CALL_BILLID), bill))
			return board_item_id(item);
	}
	return PB_STR("");
}

static struct pb_str call_answer(struct pb_str text, int column, int64_t index, struct pb_arena *a)
{
	struct pb_str line = board_line(text, 0);
	int64_t n = board_items(line);

	if (column == MONITOR_CALL_COUNT)
		return pb_arena_printf(a, "%lld", (long long)n);
	if (index < 1 || index > n)
		return PB_STR("");
	switch (column) {
	case MONITOR_CALL_INDEX:
		return pb_arena_printf(a, "%lld", (long long)index);
	case MONITOR_CALL_ID:
		return board_item_id(board_item(line, (unsigned)index - 1));
	case MONITOR_CALL_PEER:
		return peer_of(line, (unsigned)index - 1);
	default:
		return board_column(board_item(line, (unsigned)index - 1), (unsigned)column);
	}
}

static struct pb_str module_answer(struct pb_str text, const struct monitor_name *name, int64_t index, struct pb_arena *a)
{
	int64_t n = board_lines(text);

	if (!name->column)
		return pb_arena_printf(a, "%lld", (long long)n);
	if (index < 1 || index > n)
		return PB_STR("");
	if (!name->key)
		return pb_arena_printf(a, "%lld", (long long)index);
	return board_value(board_line(text, (unsigned)index - 1), pb_str_z(name->key));
}

/* A counter that a line leaves out stands at nothing. */
static struct pb_str status_answer(struct pb_str text, const struct monitor_name *name)
{
	struct pb_str line = board_line(text, 0), v = board_value(line, pb_str_z(name->key));

	return v.p ? v : line.p ? PB_STR("0") : PB_STR("");
}

static struct pb_str board_answer(const struct monitor_board *b, const struct monitor_name *name, int64_t index,
				  struct pb_arena *a)
{
	struct pb_str text = pb_text_str(&b->text), v;

	switch (name->source) {
	case MONITOR_CALL:
		v = call_answer(text, name->column, index, a);
		break;
	case MONITOR_MODULE:
		v = module_answer(text, name, index, a);
		break;
	default:
		v = status_answer(text, name);
	}
	return v.p ? v : PB_STR("");
}

/* ---- Status texts --------------------------------------------------------------------- */

static const char *board_of(const struct monitor_name *name)
{
	switch (name->source) {
	case MONITOR_STATUS:
		return name->of;
	case MONITOR_MODULE:
		return "";
	case MONITOR_CALL:
		return "cdrbuild";
	default:
		return NULL;
	}
}

static struct monitor_board *find_board(struct monitor *mo, const char *module)
{
	for (unsigned i = 0; i < MONITOR_BOARDS; i++) {
		if (pb_str_eq(mo->boards[i].module, pb_str_z(module)))
			return &mo->boards[i];
	}
	return NULL;
}

static void answer_waiting(struct monitor_wait *w)
{
	struct pb_patch *p = pb_patch_new();
	struct pb_arena *a = pb_arena_new(4096);

	pb_list_remove(&w->node);
	if (p && a)
		pb_patch_set(p, PB_STR("value"), board_answer(w->board, &w->name, w->index, a));
	pb_bus_resume(w->mo->cx->bus, w->token, p, p && a ? PB_HANDLED : PB_PASS);
	pb_arena_free(&a);
	pb_free(w);
}

static void on_text(struct pb_msg *m, bool handled, void *arg)
{
	struct monitor_board *b = arg;
	struct monitor *mo = NULL;
	struct pb_list *n;

	(void)handled;
	b->asking = false;
	pb_text_reset(&b->text);
	pb_text_add(&b->text, pb_msg_retval(m));
	pb_msg_free(&m);
	while (!pb_list_empty(&b->waiting)) {
		n = b->waiting.next;
		mo = pb_container(n, struct monitor_wait, node)->mo;
		answer_waiting(pb_container(n, struct monitor_wait, node));
	}
	if (mo)
		b->read_ms = pb_loop_now_ms(mo->cx->loop);
}

static bool ask(struct monitor *mo, struct monitor_board *b)
{
	struct pb_msg *m = b->asking ? NULL : pb_msg_new(PB_STR("engine.status"));

	if (b->asking)
		return true;
	if (!m)
		return false;
	if (b->module.n)
		pb_msg_set(m, PB_STR("module"), b->module);
	pb_msg_set_bool(m, PB_STR("details"), true);
	b->asking = true;
	pb_bus_dispatch(mo->cx->bus, m, &mo->questions, on_text, b);
	return true;
}

/* Too late: nobody waits any more. */
static void wait_over(void *arg)
{
	struct monitor_wait *w = arg;

	pb_list_remove(&w->node);
	pb_free(w);
}

static enum pb_verdict wait_for(struct monitor *mo, struct monitor_board *b, struct pb_msg *m,
				const struct monitor_name *name, int64_t index)
{
	struct monitor_wait *w = pb_alloc_zero(1, sizeof(*w));

	if (!w)
		return PB_PASS;
	*w = (struct monitor_wait){ .board = b, .mo = mo, .name = *name, .index = index };
	w->token = pb_bus_hold(m, &(struct pb_hold){ .expired = wait_over, .arg = w });
	if (!w->token.gen) {
		pb_free(w);
		return PB_PASS;
	}
	pb_list_push(&b->waiting, &w->node);
	ask(mo, b); /* its answer, or the limit, comes to w */
	return PB_HOLD;
}

/* ---- The question ------------------------------------------------------------------------ */

static struct pb_str own_answer(struct monitor *mo, const struct monitor_name *name, int64_t index, struct pb_arena *a)
{
	const struct pb_engine *e = pb_engine_of(mo->cx);
	struct pb_str last;

	switch (name->source) {
	case MONITOR_REQUESTS:
		return pb_arena_printf(a, "%llu", (unsigned long long)atomic_load(&mo->counters[name->column]));
	case MONITOR_QUALITY:
		return monitor_quality(mo, name->column, index, a);
	case MONITOR_RUN:
		return pb_engine_run_param(e, pb_str_z(name->key));
	case MONITOR_RESTARTED:
		last = pb_engine_run_param(e, PB_STR("lastsignal"));
		return last.n && !pb_str_eq(last, PB_STR("0")) ? PB_STR("true") : PB_STR("false");
	case MONITOR_STATE:
		return mo->stopping ? PB_STR("stopping") : PB_STR("running");
	default:
		return PB_STR("");
	}
}

enum pb_verdict monitor_on_query(struct pb_msg *m, struct pb_ctx *cx)
{
	const struct monitor_settings *s = cx->settings;
	struct monitor *mo = cx->shared;
	uint64_t now = pb_loop_now_ms(cx->loop);
	int64_t index = pb_msg_get_int(m, PB_STR("index"), 0, 0, INT32_MAX);
	struct monitor_board *b;
	struct monitor_name name;
	struct pb_str v;

	if (!monitor_find(pb_msg_get(m, PB_STR("name")), &name))
		return PB_PASS;
	b = board_of(&name) ? find_board(mo, board_of(&name)) : NULL;
	if (b && (!b->read_ms || now - b->read_ms >= (uint64_t)s->cache_s * 1000))
		return wait_for(mo, b, m, &name, index);
	v = b ? board_answer(b, &name, index, pb_msg_arena(m)) : own_answer(mo, &name, index, pb_msg_arena(m));
	pb_msg_set(m, PB_STR("value"), v.p ? v : PB_STR(""));
	return PB_HANDLED;
}

void monitor_boards_init(struct monitor *mo)
{
	static const char *const modules[MONITOR_BOARDS] = { "engine", "sip", "cdrbuild", "" };

	pb_questions_init(&mo->questions);
	for (unsigned i = 0; i < MONITOR_BOARDS; i++) {
		mo->boards[i].module = pb_str_z(modules[i]);
		pb_text_init(&mo->boards[i].text, PB_MSG_LIMIT_BYTES);
		pb_list_init(&mo->boards[i].waiting);
	}
}

void monitor_boards_free(struct monitor *mo)
{
	pb_questions_cancel(&mo->questions);
	for (unsigned i = 0; i < MONITOR_BOARDS; i++) {
		while (!pb_list_empty(&mo->boards[i].waiting))
			answer_waiting(pb_container(mo->boards[i].waiting.next, struct monitor_wait, node));
		pb_text_fini(&mo->boards[i].text);
	}
}
