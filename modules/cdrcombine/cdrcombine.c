/*
 * One record a call, made of those of its legs.
 *
 * The legs of a call may live on different loops, so all is kept at home; only
 * the two records of a leg that count, the first and the last, are carried there.
 * The combined record leaves in a turn of its own, and engine.halt is held until
 * the last one has been through all handlers.
 */
#include "bus/module.h"

#include "base/alloc.h"
#include "base/text.h"
#include "cdrcombine/combine.h"

/* Behind cdrbuild, which ends its records at 150. */
#define HALT_PRIORITY 200

/* The home loop's alone. */
struct shared {
	struct pb_ctx *cx;
	struct combines calls;
	struct pb_list ready; /* records to send */
	struct pb_work send;
	bool sending;    /* `send` is on its way */
	unsigned unsent; /* records that have not been through all handlers */
	bool halting;
	struct pb_token halt;
};

struct parcel {
	struct pb_list node;
	struct pb_msg *m;
};

enum { LOG_NO_MEMORY, LOG_UNKNOWN, LOG_FULL };

static const struct pb_log_row log_rows[] = {
	[LOG_NO_MEMORY] = { "cdrcombine-001", PB_WARN,
			    "A combined record is lost or incomplete for lack of memory." },
	[LOG_UNKNOWN] = { "cdrcombine-002", PB_INFO,
			  "A leg ended that belongs to no call: it began without a billid." },
	[LOG_FULL] = { "cdrcombine-003", PB_WARN,
		       "A call has more legs than are combined; further ones are left out." },
	{ NULL },
};

static PB_LOG_SOURCE(log_source, "cdrcombine", log_rows);

#define SAY(row, ...) pb_log(&log_source, &log_rows[row], __VA_ARGS__)

/* ---- Sending ------------------------------------------------------------------------- */

static void sent(struct pb_msg *m, bool handled, void *arg)
{
	struct shared *sh = arg;

	(void)handled;
	pb_msg_free(&m);
	if (--sh->unsent || !sh->halting)
		return;
	sh->halting = false;
	pb_bus_resume(sh->cx->bus, sh->halt, NULL, PB_PASS);
}

static void on_send(void *arg)
{
	struct shared *sh = arg;
	struct pb_list *n;

	sh->sending = false;
	while ((n = pb_list_pop(&sh->ready))) {
		struct parcel *p = pb_container(n, struct parcel, node);
		struct pb_msg *m = p->m;

		pb_free(p);
		pb_bus_dispatch(sh->cx->bus, m, NULL, sent, sh);
	}
}

static void send(struct shared *sh, struct pb_msg *m)
{
	struct parcel *p = pb_alloc_zero(1, sizeof(*p));

	if (!p || pb_msg_failed(m))
		SAY(LOG_NO_MEMORY, "Combined record of %.*s is %s: no memory",
		    PB_STR_F(pb_msg_get(m, PB_STR("billid"))), p ? "incomplete" : "lost");
	if (!p) {
		pb_msg_free(&m);
		return;
	}
	p->m = m;
	sh->unsent++;
	pb_list_push(&sh->ready, &p->node);
	if (sh->sending)
		return;
	sh->sending = true;
	pb_loop_defer(sh->cx->loop, &sh->send);
}

/* ---- Records of legs ------------------------------------------------------------------- */

static bool is_heard(void *arg, struct pb_str operation)
{
	(void)arg;
	return pb_str_eq(operation, PB_STR("initialize")) ||
	       pb_str_eq(operation, PB_STR("finalize"));
}

static void tell(enum combine_result r, const struct pb_msg *m)
{
	struct pb_str chan = pb_msg_get(m, PB_STR("chan")),
		      billid = pb_msg_get(m, PB_STR("billid"));

	switch (r) {
	case COMBINE_TAKEN:
	case COMBINE_OVER:
		return;
	case COMBINE_UNKNOWN:
		SAY(LOG_UNKNOWN, "CDR finalize without combiner: '%.*s' billid '%.*s'",
		    PB_STR_F(chan), PB_STR_F(billid));
		return;
	case COMBINE_FULL:
		SAY(LOG_FULL, "Call '%.*s' has more than %u legs: '%.*s' is left out",
		    PB_STR_F(billid), COMBINE_LEGS_MAX, PB_STR_F(chan));
		return;
	case COMBINE_NO_MEMORY:
		SAY(LOG_NO_MEMORY, "Record of '%.*s' is lost for call '%.*s': no memory",
		    PB_STR_F(chan), PB_STR_F(billid));
		return;
	}
}

static enum pb_verdict on_cdr(struct pb_msg *m, struct pb_ctx *cx)
{
	struct shared *sh = cx->shared;
	struct pb_msg *whole = NULL;

	if (pb_str_eq(pb_msg_get(m, PB_STR("operation")), PB_STR("initialize")))
		tell(combine_begin(&sh->calls, m), m);
	else
		tell(combine_end(&sh->calls, m, &whole), m);
	if (whole)
		send(sh, whole);
	return PB_PASS;
}

/* ---- The end of the engine ------------------------------------------------------------- */

/* Out of time: the engine ends all the same. */
static void halt_expired(void *arg)
{
	((struct shared *)arg)->halting = false;
}

static enum pb_verdict on_halt(struct pb_msg *m, struct pb_ctx *cx)
{
	struct shared *sh = cx->shared;

	if (!sh->unsent)
		return PB_PASS;
	sh->halt = pb_bus_hold(m, &(struct pb_hold){ .expired = halt_expired, .arg = sh });
	sh->halting = sh->halt.gen != 0;
	return sh->halting ? PB_HOLD : PB_PASS;
}

/* ---- Status ------------------------------------------------------------------------------ */

static void status_call(struct pb_status *s, const struct combine *c, struct pb_arena *a)
{
	const struct combine_leg *leg = combine_main(c);

	pb_status_item(s, pb_percent(a, c->billid), "%.*s|%.*s|%.*s|%.*s|%u", PB_STR_F(leg->chan),
		       PB_STR_F(pb_percent(a, leg->caller)), PB_STR_F(pb_percent(a, leg->called)),
		       PB_STR_F(pb_percent(a, leg->address)), c->count - 1);
}

static void status(struct pb_ctx *cx, struct pb_status *s)
{
	struct shared *sh = cx->shared;
	struct pb_arena *a;

	if (cx->loop != pb_engine_home(cx))
		return;
	pb_status_count(s, "cdrs", (int64_t)sh->calls.by_billid.count);
	a = pb_status_details(s) ? pb_arena_new(1u << 20) : NULL;
	if (!a)
		return;
	pb_list_each (it, &sh->calls.in_order) {
		status_call(s, pb_container(it, struct combine, in_order), a);
	}
	pb_arena_free(&a);
}

/* ---- Life ---------------------------------------------------------------------------- */

/* trackparam of the main file: a name, yes or no. */
static struct pb_str track_param(const struct pb_engine *e)
{
	struct pb_str s = pb_engine_main(e, PB_STR("general"), PB_STR("trackparam"));

	if (s.n && !pb_str_is_bool(s))
		return s;
	return pb_str_to_bool(s, true) ? PB_STR("handlers") : PB_STR("");
}

static int start(struct pb_ctx *cx)
{
	static const struct pb_handler row = { "call.cdr", 100, PB_HOME, on_cdr };
	struct shared *sh = cx->shared;

	sh->cx = pb_engine_ctx(cx, cx->loop);
	combines_init(&sh->calls);
	sh->calls.track = track_param(pb_engine_of(cx));
	pb_list_init(&sh->ready);
	sh->send = (struct pb_work){ .fn = on_send, .arg = sh };
	return pb_engine_add_filtered(cx, &row, "operation", is_heard, NULL);
}

static void stop(struct pb_ctx *cx)
{
	struct shared *sh = cx->shared;
	struct pb_list *n;

	combines_fini(&sh->calls);
	while (sh->ready.next && (n = pb_list_pop(&sh->ready))) {
		struct parcel *p = pb_container(n, struct parcel, node);

		pb_msg_free(&p->m);
		pb_free(p);
	}
}

static const struct pb_handler handlers[] = {
	{ "engine.halt", HALT_PRIORITY, PB_HOME, on_halt },
	{ NULL },
};

static const struct pb_counter counters[] = {
	{ "cdrs", "calls", "Calls whose legs are not all over." },
	{ "ChanId", NULL, "The incoming leg." },
	{ "Caller", NULL, "Who calls." },
	{ "Called", NULL, "Who is called." },
	{ "Address", NULL, "Where the incoming leg comes from." },
	{ "OutLegs", "legs", "Outgoing legs of the call." },
	{ NULL },
};

static const struct pb_sends sends[] = {
	{ "call.cdr", "operation billid time chan runid duration billtime ringtime status external "
		      "cdrwrite address caller called reason out_leg.*" },
	{ NULL },
};

PB_MODULE(cdrcombine) = {
	.abi = PB_MODULE_ABI,
	.name = "cdrcombine",
	.doc = "Makes one record of a call from those of its legs.",
	.status_type = "cdr",
	.status_format = "ChanId|Caller|Called|Address|OutLegs",
	.shared_size = sizeof(struct shared),
	.handlers = handlers,
	.log = &log_source,
	.start = start,
	.stop = stop,
	.status = status,
	.counters = counters,
	.sends = sends,
};
