/*
 * The commands. Those that read run on every call loop, each for its own
 * records; files are the business of the home loop. A command that finds nothing
 * anywhere falls through to a handler behind them all, which says so.
 */
#include "trace/trace.h"

#include <errno.h>

#include "base/alloc.h"

static struct pb_str words_after(const struct pb_msg *m, struct pb_str second)
{
	struct pb_str line = pb_str_trim_space(pb_msg_get(m, PB_STR("line")));

	pb_str_skip_word(&line, PB_STR("trace"));
	pb_str_skip_word(&line, second);
	return line;
}

static enum pb_verdict answer(struct pb_msg *m, struct pb_text *t, bool found)
{
	if (found && pb_text_failed(t))
		pb_msg_set_retval(m, PB_STR("The answer is too long\r\n"));
	else if (found)
		pb_msg_set_retval(m, pb_text_str(t));
	pb_text_fini(t);
	return found ? PB_HANDLED : PB_PASS;
}

/* ---- Records ---------------------------------------------------------------------------- */

static enum pb_verdict on_call(struct pb_msg *m, struct pb_ctx *cx)
{
	struct pb_str line = words_after(m, PB_STR("call")), key = PB_STR_NULL, word;
	enum trace_form form = TRACE_LADDER;
	struct pb_text t;

	while (pb_str_word(&line, &word)) {
		if (pb_str_eq(word, PB_STR("--json")))
			form = TRACE_JSON;
		else if (pb_str_eq(word, PB_STR("--brief")))
			form = TRACE_BRIEF;
		else if (pb_str_eq(word, PB_STR("--full")))
			form = TRACE_FULL;
		else
			key = word;
	}
	pb_text_init(&t, PB_MSG_LIMIT_BYTES / 2);
	return answer(m, &t, trace_show(cx, key, form, &t));
}

static enum pb_verdict on_list(struct pb_msg *m, struct pb_ctx *cx)
{
	struct pb_str line = words_after(m, PB_STR("list"));
	struct pb_text t;

	pb_text_init(&t, PB_MSG_LIMIT_BYTES / 2);
	trace_list(cx, pb_str_eq(line, PB_STR("--json")), &t);
	return answer(m, &t, true);
}

static enum pb_verdict on_pcap(struct pb_msg *m, struct pb_ctx *cx)
{
	struct trace_loop *tl = cx->state;
	struct pb_str line = words_after(m, PB_STR("pcap")), key, name;
	struct pb_token token;
	struct pb_text t;
	bool sent = false;

	if (!pb_str_word(&line, &key) || !pb_str_word(&line, &name))
		return PB_PASS;
	pb_text_init(&t, 4u << 20);
	if (!trace_export(cx, key, &t)) {
		pb_text_fini(&t);
		return PB_PASS;
	}
	token = pb_bus_hold(m, NULL);
	if (token.gen)
		sent = trace_sink_write(tl->sink, name, pb_text_str(&t), token);
	pb_text_fini(&t);
	if (token.gen && !sent)
		pb_bus_resume(cx->bus, token, NULL, PB_PASS);
	return PB_HOLD;
}

/* ---- Following ----------------------------------------------------------------------------- */

static enum pb_verdict on_follow(struct pb_msg *m, struct pb_ctx *cx)
{
	bool first = pb_loop_index(cx->loop) == 0;
	struct trace_filter *f;
	struct pb_text why;
	int err;

	pb_text_init(&why, 4096);
	err = trace_filter_new(words_after(m, PB_STR("")), &why, &f);
	if (err == -ENOMEM)
		pb_text_lit(&why, "no memory");
	if (err) {
		pb_text_lit(&why, "\r\n");
	} else {
		trace_live_set(cx->state, f, true);
		pb_text_lit(&why, "Following; `trace off` ends it\r\n");
	}
	if (!first) /* one answer is enough */
		pb_text_reset(&why);
	return answer(m, &why, true);
}

static enum pb_verdict on_off(struct pb_msg *m, struct pb_ctx *cx)
{
	trace_live_set(cx->state, NULL, false);
	if (pb_loop_index(cx->loop) == 0)
		pb_msg_set_retval(m, PB_STR("Following nobody\r\n"));
	return PB_HANDLED;
}

/* ---- Files -------------------------------------------------------------------------------------- */

struct update {
	struct pb_work work;
	struct trace_loop *tl;
};

static void updated(void *arg)
{
	struct update *u = arg;

	trace_live_update(u->tl);
	pb_free(u);
}

/* Every call loop looks whether there is a file now. */
static void update_all(struct pb_ctx *cx)
{
	struct pb_loops *ls = pb_loop_set(cx->loop);

	for (unsigned i = 0; i < pb_loops_calls(ls); i++) {
		struct update *u = pb_alloc_zero(1, sizeof(*u));

		if (!u)
			return;
		u->tl = pb_engine_ctx(cx, pb_loops_at(ls, i))->state;
		u->work = (struct pb_work){ .fn = updated, .arg = u };
		pb_loop_post(pb_loops_at(ls, i), &u->work);
	}
}

static enum pb_verdict on_file(struct pb_msg *m, struct pb_ctx *cx)
{
	struct trace_shared *sh = cx->shared;
	struct pb_str name = words_after(m, PB_STR("file"));
	struct pb_text t;

	pb_text_init(&t, 8192);
	if (pb_str_eq(name, PB_STR("off")))
		trace_sink_stop(&sh->sink, &t);
	else
		trace_sink_start(&sh->sink, name, &t);
	update_all(cx);
	return answer(m, &t, true);
}

/* ---- Nobody had it -------------------------------------------------------------------------------- */

static bool is_ours(void *arg, struct pb_str line)
{
	(void)arg;
	line = pb_str_trim_space(line);
	return pb_str_skip_word(&line, PB_STR("trace"));
}

static enum pb_verdict on_nothing(struct pb_msg *m, struct pb_ctx *cx)
{
	struct pb_str line = words_after(m, PB_STR(""));

	(void)cx;
	if (pb_str_skip_word(&line, PB_STR("call")) || pb_str_skip_word(&line, PB_STR("pcap")))
		pb_msg_set_retval(m, PB_STR("No record of that\r\n"));
	else
		pb_msg_set_retval(m, PB_STR("trace call|list|ip|user|regex|at|off|file|pcap: see `help trace`\r\n"));
	return PB_HANDLED;
}

/* ---- Life -------------------------------------------------------------------------------------------- */

static int start(struct pb_ctx *cx)
{
	static const struct pb_handler row = { .message = "engine.command",
					       .priority = 150,
					       .place = PB_HERE,
					       .fn = on_nothing };
	struct trace_shared *sh = cx->shared;

	trace_sink_init(&sh->sink, cx);
	return pb_engine_add_filtered(cx, &row, "line", is_ours, NULL);
}

static int loop_start(struct pb_ctx *cx)
{
	struct trace_loop *tl = cx->state;
	struct trace_shared *sh = cx->shared;

	tl->cx = pb_engine_ctx(cx, cx->loop);
	tl->sink = &sh->sink;
	return 0;
}

static void loop_stop(struct pb_ctx *cx)
{
	struct trace_loop *tl = cx->state;

	if (!tl->cx)
		return;
	pb_flight_follow(cx->bus, NULL, NULL);
	trace_filter_free(&tl->filter);
}

static void stop(struct pb_ctx *cx)
{
	struct trace_shared *sh = cx->shared;

	trace_sink_stop(&sh->sink, NULL);
}

static void status(struct pb_ctx *cx, struct pb_status *s)
{
	struct pb_flight_counts c = pb_flight_count(cx->bus);
	const struct trace_loop *tl = cx->state;

	if (pb_status_selector(s).n)
		return;
	pb_status_count(s, "active", (int64_t)c.active);
	pb_status_count(s, "kept", (int64_t)c.kept);
	pb_status_count(s, "bytes", (int64_t)c.bytes);
	pb_status_count(s, "begun", (int64_t)c.begun);
	pb_status_count(s, "failed", (int64_t)c.failed);
	pb_status_count(s, "refused", (int64_t)c.refused);
	if (pb_loop_index(cx->loop) == 0)
		pb_status_text(s, "following", tl->shown ? PB_STR("yes") : PB_STR("no"));
}

static const struct pb_counter counters[] = {
	{ "active", "records", "Records of calls and requests under way." },
	{ "kept", "records", "Records of ended ones." },
	{ "bytes", "bytes", "Memory of all records." },
	{ "begun", "records", "Records made since the start." },
	{ "failed", "records", "Records that ended badly." },
	{ "refused", "records", "Records not made for want of room." },
	{ "following", NULL, "Whether packets are shown as they happen." },
	{ NULL },
};

static const struct pb_command commands[] = {
	{ "trace call", "trace call ID|CALLID|BILLID [--brief|--full|--json]",
	  "What happened to a call or request: packets and bus on one axis of time, also after its end.", PB_EACH,
	  on_call },
	{ "trace list", "trace list [--json]", "The records there are: running, failed, ended.", PB_EACH, on_list },
	{ "trace pcap", "trace pcap ID|CALLID|BILLID NAME",
	  "Write a record as a pcapng file into the folder recorder.dir of engine.cfg.", PB_EACH, on_pcap },
	{ "trace ip", "trace ip ADDR[/BITS][,...] [at ADDR[:PORT]] [user NAME] [regex EXPR]",
	  "Show what is exchanged with these peers as it happens, and what the bus does with it.", PB_EACH, on_follow },
	{ "trace at", "trace at ADDR[:PORT] [ip ...] [user NAME] [regex EXPR]", "The same, of one listener.", PB_EACH,
	  on_follow },
	{ "trace user", "trace user NAME [ip ...] [at ...] [regex EXPR]", "The same, From or To that user.", PB_EACH,
	  on_follow },
	{ "trace regex", "trace regex EXPR", "The same, where the text of a message matches.", PB_EACH, on_follow },
	{ "trace off", "trace off", "Follow nobody any more.", PB_EACH, on_off },
	{ "trace file", "trace file NAME|off",
	  "Write every packet that is followed (all, when nobody is) to a pcapng file in recorder.dir.", PB_HOME,
	  on_file },
	{ NULL },
};

PB_MODULE(trace) = {
	.abi = PB_MODULE_ABI,
	.name = "trace",
	.doc = "Shows what the flight recorder has, follows packets, writes them to files.",
	.status_type = "misc",
	.loop_state_size = sizeof(struct trace_loop),
	.shared_size = sizeof(struct trace_shared),
	.commands = commands,
	.counters = counters,
	.home_script = true,
	.start = start,
	.loop_start = loop_start,
	.loop_stop = loop_stop,
	.stop = stop,
	.status = status,
};
