/*
 * A walk under way: the evaluator's requests are carried out here, where the
 * bus, the loop and the log are.
 *
 * Nearly every walk ends inside its handler. One that has to wait (msleep, or a
 * dispatched message that somebody holds) parks its message: it takes a copy,
 * answers PB_HOLD, goes on with the copy when the time or the answer has come,
 * and gives the copy back as a patch. It holds a reference to the settings
 * meanwhile, so it ends by the rules with which it began.
 */
#include "regexroute/regexroute.h"

#include <pthread.h>
#include <time.h>

#include "base/alloc.h"
#include "base/text.h"

/* How long a walk may hold its message in all; the message's own limit still applies. */
#define HOLD_MS 60000

struct regex_job {
	struct regex_loop *on;
	struct regex_eval *eval;
	enum regex_kind kind;
	struct pb_str context, text; /* for the closing line */
	uint64_t start_us;
	bool running; /* inside run() */
	bool asking;  /* a dispatched message is out */
	struct pb_questions asked;
	/* Parked only. */
	struct pb_list node;
	struct pb_msg *copy;
	const void *settings;
	struct pb_token token;
	struct pb_timer wait;
};

/* Users know these lines without a facility. */
static PB_LOG_SOURCE(plain_log, "", regex_log_rows);

/* ---- What functions ask --------------------------------------------------------- */

static struct pb_str thread_name(struct pb_arena *into)
{
	char name[32] = "";

	pthread_getname_np(pthread_self(), name, sizeof(name));
	return pb_arena_str(into, pb_str_z(name));
}

static struct pb_str timestamp(struct pb_loop *l, struct pb_arena *into)
{
	uint64_t us = pb_loop_wall_us(l);
	time_t s = (time_t)(us / 1000000);
	struct tm t;

	gmtime_r(&s, &t);
	return pb_arena_printf(into, "%04d%02d%02d%02d%02d%02d.%06u", t.tm_year + 1900,
			       t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec,
			       (unsigned)(us % 1000000));
}

static struct pb_str digit(struct pb_loop *l)
{
	static const char digits[] = "0123456789";
	unsigned char octet;

	do
		pb_loop_random(l, &octet, 1);
	while (octet >= 250);
	return pb_str(digits + octet % 10, 1);
}

static struct pb_str ask(void *arg, enum regex_ask what, struct pb_str a, struct pb_str b,
			 struct pb_arena *into)
{
	struct pb_ctx *cx = ((struct regex_loop *)arg)->cx;
	struct regex_shared *sh = cx->shared;
	const struct pb_engine *e = pb_engine_of(cx);

	switch (what) {
	case REGEX_ASK_CONFIG:
		return pb_engine_main(e, a, b);
	case REGEX_ASK_ENGINE:
		return pb_engine_run_param(e, a);
	case REGEX_ASK_LOADED:
		return pb_engine_loaded(e, a) ? PB_STR("true") : PB_STR("false");
	case REGEX_ASK_RUNID:
		return pb_engine_run_param(e, PB_STR("runid"));
	case REGEX_ASK_NODENAME:
		return pb_engine_run_param(e, PB_STR("nodename"));
	case REGEX_ASK_THREADNAME:
		return thread_name(into);
	case REGEX_ASK_TIMESTAMP:
		return timestamp(cx->loop, into);
	case REGEX_ASK_ACCEPTING:
		return pb_str_z(pb_accept_words[pb_engine_accept(pb_engine_of(cx))]);
	case REGEX_ASK_DISPATCHING:
		return pb_arena_printf(into, "%u", atomic_load(&sh->dispatching));
	case REGEX_ASK_DIGIT:
		return digit(cx->loop);
	}
	return PB_STR_NULL;
}

/* ---- Jobs -------------------------------------------------------------------------- */

static void go_on(struct regex_job *j);

static void waited(void *arg)
{
	go_on(arg);
}

static struct regex_job *job_new(struct regex_loop *on, const struct regex_eval_args *args)
{
	struct regex_job *j = on->spare;

	on->spare = NULL;
	if (!j) {
		j = pb_alloc_zero(1, sizeof(*j));
		if (!j)
			return NULL;
		j->on = on;
		j->eval = regex_eval_new(args);
		pb_questions_init(&j->asked);
		pb_timer_init(&j->wait, waited, j);
	} else if (regex_eval_restart(j->eval, args)) {
		regex_eval_free(&j->eval);
	}
	if (!j->eval) {
		pb_free(j);
		return NULL;
	}
	on->processing++;
	return j;
}

static void job_free(struct regex_job *j)
{
	struct regex_loop *on = j->on;

	on->processing--;
	pb_list_remove(&j->node);
	pb_timer_stop(&j->wait);
	pb_questions_cancel(&j->asked);
	if (j->asking)
		atomic_fetch_sub(&((struct regex_shared *)on->cx->shared)->dispatching, 1);
	j->asking = false;
	pb_msg_free(&j->copy);
	if (j->settings)
		pb_settings_unref(on->cx, j->settings);
	j->settings = NULL;
	if (!on->spare && !on->stopped) {
		on->spare = j;
		return;
	}
	regex_eval_free(&j->eval);
	pb_free(j);
}

/* ---- Effects --------------------------------------------------------------------------- */

static void answered(struct pb_msg *m, bool handled, void *arg)
{
	struct regex_job *j = arg;

	pb_msg_free(&m);
	j->asking = false;
	atomic_fetch_sub(&((struct regex_shared *)j->on->cx->shared)->dispatching, 1);
	if (!j->running)
		go_on(j);
}

static void log_sent(const struct regex_request *r, enum regex_log_id id, const char *what)
{
	pb_log(&regex_log, &regex_log_rows[id],
	       "%s new message '%.*s' by rule #%zu '%.*s' in context '%.*s'", what,
	       PB_STR_F(pb_msg_name(r->msg)), r->number, PB_STR_F(r->rule->left),
	       PB_STR_F(r->context));
}

static void log_rename(const struct regex_request *r, const struct pb_msg *m)
{
	pb_log(&regex_log, &regex_log_rows[REGEX_LOG_RENAME],
	       "Renaming message '%.*s' to '%.*s' by rule #%zu '%.*s' in context '%.*s'",
	       PB_STR_F(r->text), PB_STR_F(pb_msg_name(m)), r->number, PB_STR_F(r->rule->left),
	       PB_STR_F(r->context));
}

/* Carry out one request. False: the walk has to wait. */
static bool perform(struct regex_job *j, enum regex_effect effect, struct regex_request *r,
		    const struct pb_msg *m)
{
	struct pb_ctx *cx = j->on->cx;
	const struct regex_settings *s = j->settings ? j->settings : cx->settings;

	switch (effect) {
	case REGEX_DO_PRINT:
		pb_log_output(r->text);
		break;
	case REGEX_DO_LOG:
		pb_log_at(s->rex_debug ? &regex_rex_log : &regex_log, (enum pb_level)r->level,
			  "%.*s", PB_STR_F(r->text));
		break;
	case REGEX_DO_COMPLAIN:
		pb_log(&regex_log, &regex_log_rows[REGEX_LOG_COMPLAINT], "%.*s", PB_STR_F(r->text));
		break;
	case REGEX_DO_NOTE_RENAME:
		log_rename(r, m);
		break;
	case REGEX_DO_ENQUEUE:
		log_sent(r, REGEX_LOG_ENQUEUE, "Enqueueing");
		pb_bus_enqueue(cx->bus, r->msg);
		break;
	case REGEX_DO_DISPATCH:
		log_sent(r, REGEX_LOG_DISPATCH, "Dispatching");
		j->asking = true;
		atomic_fetch_add(&((struct regex_shared *)cx->shared)->dispatching, 1);
		pb_bus_dispatch(cx->bus, r->msg, &j->asked, answered, j);
		return !j->asking;
	case REGEX_DO_WAIT:
		pb_timer_start(cx->loop, &j->wait, r->wait_ms);
		return false;
	case REGEX_DO_FINISH:
		break;
	}
	return true;
}

/* ---- Results ----------------------------------------------------------------------------- */

static void say(const struct regex_job *j, bool holds, struct pb_str result)
{
	uint64_t us = pb_loop_read_us(j->on->cx->loop) - j->start_us;
	bool route = j->kind == REGEX_ROUTE;
	enum regex_log_id id = route ? (holds ? REGEX_LOG_ROUTED : REGEX_LOG_NOT_ROUTED)
				     : (holds ? REGEX_LOG_CLASSIFIED : REGEX_LOG_NOT_CLASSIFIED);
	const struct pb_log_row *row = &regex_log_rows[id];
	const char *what = route ? "route call to" : "classify call from";

	if (!pb_log_wants(&plain_log, PB_INFO))
		return;
	if (holds && route)
		pb_log(&plain_log, row,
		       "Routing call to '%.*s' in context '%.*s' via '%.*s' in %llu usec",
		       PB_STR_F(j->text), PB_STR_F(j->context), PB_STR_F(result),
		       (unsigned long long)us);
	else if (holds)
		pb_log(&plain_log, row, "Classifying caller '%.*s' in context '%.*s' in %llu usec",
		       PB_STR_F(j->text), PB_STR_F(result), (unsigned long long)us);
	else
		pb_log(&plain_log, row, "Could not %s '%.*s' in context '%.*s', wasted %llu usec",
		       what, PB_STR_F(j->text), PB_STR_F(j->context), (unsigned long long)us);
}

/* The result text goes where the asking message expects it. */
static enum pb_verdict finish(struct regex_job *j, struct pb_msg *m)
{
	struct pb_str result = regex_eval_result(j->eval);
	bool holds = regex_eval_holds(j->eval);

	if (regex_eval_failed(j->eval))
		pb_log(&regex_log, &regex_log_rows[REGEX_LOG_NO_MEMORY],
		       "no memory to evaluate '%.*s' in context '%.*s'", PB_STR_F(j->text),
		       PB_STR_F(j->context));
	if (!result.p)
		result = PB_STR("");
	if (j->kind != REGEX_EXTRA)
		say(j, holds, result);
	if (holds && j->kind == REGEX_ROUTE)
		pb_msg_set_retval(m, result);
	if (holds && j->kind == REGEX_PREROUTE) {
		if (pb_str_eq(result, PB_STR("-")) || pb_str_eq(result, PB_STR("error")))
			pb_msg_set_retval(m, result);
		else
			pb_msg_set(m, PB_STR("context"), result);
	}
	return holds ? PB_HANDLED : PB_PASS;
}

/* As far as it gets: PB_HOLD when it has to wait. */
static enum pb_verdict run(struct regex_job *j, struct pb_msg *m)
{
	struct regex_request r;
	enum regex_effect effect;
	bool on = true;

	j->running = true;
	while (on && (effect = regex_eval_step(j->eval, m, &r)) != REGEX_DO_FINISH)
		on = perform(j, effect, &r, m);
	j->running = false;
	return on ? finish(j, m) : PB_HOLD;
}

/* ---- Parking ------------------------------------------------------------------------------- */

static void expired(void *arg)
{
	job_free(arg);
}

/* The message stays with the bus; we go on with a copy. */
static enum pb_verdict park(struct regex_job *j, struct pb_msg *m)
{
	struct pb_hold h = { .limit_ms = HOLD_MS, .expired = expired, .arg = j };

	j->copy = pb_msg_copy(m);
	if (j->copy)
		j->token = pb_bus_hold(m, &h);
	if (!j->copy || !j->token.gen) {
		job_free(j);
		return PB_PASS;
	}
	j->settings = pb_settings_ref(j->on->cx);
	j->context = pb_arena_str(pb_msg_arena(j->copy), j->context);
	j->text = pb_arena_str(pb_msg_arena(j->copy), j->text);
	pb_list_push(&j->on->parked, &j->node);
	return PB_HOLD;
}

static void go_on(struct regex_job *j)
{
	struct pb_bus *bus = j->on->cx->bus;
	struct pb_token token = j->token;
	enum pb_verdict v = run(j, j->copy);
	struct pb_patch *patch;

	if (v == PB_HOLD)
		return;
	patch = pb_patch_new();
	pb_patch_replace(patch, &j->copy);
	job_free(j);
	pb_bus_resume(bus, token, patch, v);
}

enum pb_verdict regex_walk(struct pb_msg *m, struct pb_ctx *cx, enum regex_kind kind,
			   struct pb_str context, struct pb_str text)
{
	struct regex_loop *on = cx->state;
	const struct regex_settings *s = cx->settings;
	struct regex_eval_args args = { .rules = s->rules,
					.env = &on->env,
					.context = context,
					.text = text,
					.result_to_retval = kind == REGEX_EXTRA };
	struct regex_job *j = on->stopped ? NULL : job_new(on, &args);
	enum pb_verdict v;

	if (!j)
		return PB_PASS;
	j->kind = kind;
	j->context = context;
	j->text = text;
	j->start_us = pb_loop_read_us(cx->loop);
	v = run(j, m);
	if (v == PB_HOLD)
		return park(j, m);
	job_free(j);
	return v;
}

void regex_walk_init(struct regex_loop *on, struct pb_ctx *cx)
{
	struct regex_shared *sh = cx->shared;

	pb_log_register(&plain_log);
	on->cx = cx;
	on->env = (struct regex_env){ .vars = sh->vars, .ask = ask, .arg = on };
	pb_list_init(&on->parked);
}

void regex_walk_fini(struct regex_loop *on)
{
	if (!on->cx)
		return;
	on->stopped = true;
	while (!pb_list_empty(&on->parked))
		job_free(pb_container(on->parked.next, struct regex_job, node));
	if (on->spare) {
		regex_eval_free(&on->spare->eval);
		pb_free(on->spare);
		on->spare = NULL;
	}
}
