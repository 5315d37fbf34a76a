/*
 * Whether the engine takes calls, by the processor's load.
 *
 * Each monitor (a load of cpuload) has levels with the words of the accept
 * state; cpuload is asked for them at start, and again until it has answered.
 * The state is the worst that any monitor is in.
 */
#include "bus/module.h"

#include <errno.h>

#define RETRY_MS 5000

enum { MONITORS = 4 };

static const char *const monitors[MONITORS] = { "systemLoad", "totalLoad", "userLoad", "kernelLoad" };

struct settings {
	struct pb_str levels[MONITORS]; /* absent: not watched */
};

/* The home loop's alone. */
struct shared {
	struct pb_ctx *cx;
	struct pb_timer retry;
	enum pb_accept state[MONITORS];
	bool asked[MONITORS]; /* cpuload has taken it */
	bool said;	      /* that it has not */
	struct pb_questions questions;
};

enum { LOG_STATE, LOG_NO_MONITOR, LOG_UNKNOWN };

static const struct pb_log_row log_rows[] = {
	[LOG_STATE] = { "ccongestion-001", PB_NOTE,
			"The engine takes calls otherwise than before: accept and partial take all, congestion and reject refuse new ones with 503." },
	[LOG_NO_MONITOR] = { "ccongestion-002", PB_WARN,
			     "Nobody watches the load: is module cpuload loaded? It is asked again every 5 s." },
	[LOG_UNKNOWN] = { "ccongestion-003", PB_CONF, "A level is none of accept, partial, congestion, reject." },
	{ NULL },
};

static PB_LOG_SOURCE(log_source, "ccongestion", log_rows);

#define SAY(row, ...) pb_log(&log_source, &log_rows[row], __VA_ARGS__)

static const struct pb_opt options[] = {
	{ PB_OPT_STR, "systemLoad", offsetof(struct settings, levels[0]), .section = "cpu",
	  .doc = "Levels by the load of the whole machine: accept,PERCENT,HYSTERESIS;partial,...;congestion,...;reject." },
	{ PB_OPT_STR, "totalLoad", offsetof(struct settings, levels[1]), .section = "cpu",
	  .doc = "The same by the load of the engine." },
	{ PB_OPT_STR, "userLoad", offsetof(struct settings, levels[2]), .section = "cpu",
	  .doc = "The same by that of its own code." },
	{ PB_OPT_STR, "kernelLoad", offsetof(struct settings, levels[3]), .section = "cpu",
	  .doc = "The same by that in the kernel." },
	{ PB_OPT_END },
};

/* -1: no such word. */
static int state_of(struct pb_str word)
{
	for (int i = 0; pb_accept_words[i]; i++) {
		if (pb_str_eq(word, pb_str_z(pb_accept_words[i])))
			return i;
	}
	return -1;
}

static void check_words(struct pb_str text, struct pb_pos at, struct pb_findings *f)
{
	struct pb_str item, word;

	while (pb_str_cut(&text, ';', &item)) {
		pb_str_cut(&item, ',', &word);
		if (state_of(pb_str_trim(word)) < 0)
			pb_findings_add(f, at, PB_SEV_WARNING, log_rows[LOG_UNKNOWN].id,
					"'%.*s' is none of accept, partial, congestion, reject: it changes nothing",
					PB_STR_F(pb_str_trim(word)));
	}
}

static int read_settings(const struct pb_conf *c, void *settings, struct pb_arena *a, struct pb_findings *f)
{
	const struct pb_conf_section *s = pb_conf_section(c, PB_STR("cpu"));

	(void)settings;
	(void)a;
	for (unsigned i = 0; s && i < MONITORS; i++) {
		const struct pb_conf_entry *e = pb_conf_find(s, pb_str_z(monitors[i]));

		if (e && e->value.n)
			check_words(e->value, e->value_at, f);
	}
	return 0;
}

/* ---- The state ------------------------------------------------------------------------- */

static void set_state(struct shared *sh)
{
	struct pb_engine *e = pb_engine_of(sh->cx);
	enum pb_accept worst = PB_ACCEPT, was = pb_engine_accept(e);

	for (unsigned i = 0; i < MONITORS; i++)
		worst = sh->state[i] > worst ? sh->state[i] : worst;
	if (worst == was)
		return;
	pb_engine_set_accept(e, worst);
	pb_engine_alarm(e, &log_source, &log_rows[LOG_STATE], "ccongestion", "performance",
			"calls: %s, was %s", pb_accept_words[worst], pb_accept_words[was]);
}

/* Value of the pair whose notify.N is `name`. */
static struct pb_str pair(const struct pb_msg *m, const char *name)
{
	struct pb_str prefix = PB_STR("notify."), number = PB_STR("value.");

	for (size_t i = 0; i < pb_msg_count(m); i++) {
		const struct pb_param *p = pb_msg_at(m, i);
		char key[32];
		size_t n = p->name.n - (prefix.n < p->name.n ? prefix.n : 0);

		if (!pb_str_starts(p->name, prefix) || !pb_str_eq(p->value, pb_str_z(name)) ||
		    number.n + n > sizeof(key))
			continue;
		memcpy(key, number.p, number.n);
		memcpy(key + number.n, p->name.p + prefix.n, n);
		return pb_msg_get(m, pb_str(key, number.n + n));
	}
	return PB_STR_NULL;
}

static enum pb_verdict on_notify(struct pb_msg *m, struct pb_ctx *cx)
{
	struct shared *sh = cx->shared;
	struct pb_str monitor = pair(m, "monitor");
	int state = state_of(pair(m, "new"));

	if (!pb_str_eq(pair(m, "target"), PB_STR("engine")) || state < 0)
		return PB_PASS;
	for (unsigned i = 0; i < MONITORS; i++) {
		if (pb_str_eq(monitor, pb_str_z(monitors[i])))
			sh->state[i] = (enum pb_accept)state;
	}
	set_state(sh);
	return PB_PASS;
}

/* ---- Asking cpuload ------------------------------------------------------------------------ */

static void ask_all(void *arg);

static void retry_later(struct shared *sh)
{
	if (!sh->said)
		SAY(LOG_NO_MONITOR, "no answer from cpuload: calls are taken whatever the load");
	sh->said = true;
	pb_timer_start(sh->cx->loop, &sh->retry, RETRY_MS);
}

static void answered(struct pb_msg *m, bool handled, void *arg)
{
	struct shared *sh = arg;
	struct pb_str monitor = pb_msg_get(m, PB_STR("operation"));
	bool ok = handled && pb_msg_get_bool(m, PB_STR("operation-status"), false);

	for (unsigned i = 0; i < MONITORS; i++) {
		if (pb_str_eq(monitor, pb_str_z(monitors[i])))
			sh->asked[i] = ok;
	}
	pb_msg_free(&m);
	if (!ok)
		retry_later(sh);
}

static void ask(struct shared *sh, unsigned i, struct pb_str levels)
{
	struct pb_msg *m = pb_msg_new(PB_STR("chan.control"));

	if (!m)
		return retry_later(sh);
	pb_msg_add(m, PB_STR("targetid"), PB_STR("cpuload"));
	pb_msg_add(m, PB_STR("component"), PB_STR("cpuload"));
	pb_msg_add(m, PB_STR("operation"), pb_str_z(monitors[i]));
	pb_msg_add(m, PB_STR("cpu.engine"), levels);
	pb_bus_dispatch(sh->cx->bus, m, &sh->questions, answered, sh);
}

static void ask_all(void *arg)
{
	struct shared *sh = arg;
	const struct settings *s = sh->cx->settings;

	for (unsigned i = 0; i < MONITORS; i++) {
		if (s->levels[i].n && !sh->asked[i])
			ask(sh, i, s->levels[i]);
	}
}

/* ---- Life ------------------------------------------------------------------------------------ */

static enum pb_verdict on_start(struct pb_msg *m, struct pb_ctx *cx)
{
	(void)m;
	ask_all(cx->shared);
	return PB_PASS;
}

static int start(struct pb_ctx *cx)
{
	struct shared *sh = cx->shared;

	sh->cx = pb_engine_ctx(cx, cx->loop);
	pb_timer_init(&sh->retry, ask_all, sh);
	pb_questions_init(&sh->questions);
	return 0;
}

static enum pb_reload reload(struct pb_ctx *cx, const void *old)
{
	const struct settings *s = cx->settings, *was = old;
	struct shared *sh = cx->shared;

	for (unsigned i = 0; i < MONITORS; i++) {
		if (s->levels[i].n == was->levels[i].n && pb_str_eq(s->levels[i], was->levels[i]))
			continue;
		sh->asked[i] = false;
		sh->state[i] = PB_ACCEPT;
	}
	set_state(sh);
	ask_all(sh);
	return PB_RELOAD_OK;
}

static void stop(struct pb_ctx *cx)
{
	struct shared *sh = cx->shared;

	pb_questions_cancel(&sh->questions);
	pb_timer_stop(&sh->retry);
}

static const struct pb_handler handlers[] = {
	{ "monitor.notify", 100, PB_HOME, on_notify },
	{ "engine.start", 100, PB_HOME, on_start },
	{ NULL },
};

static const struct pb_sends sends[] = {
	{ "chan.control", "targetid component operation cpu.engine" },
	{ NULL },
};

PB_MODULE(ccongestion) = {
	.abi = PB_MODULE_ABI,
	.name = "ccongestion",
	.stoppable = true,
	.doc = "Refuses new calls while the processor is too busy.",
	.conf = "ccongestion",
	.settings_size = sizeof(struct settings),
	.shared_size = sizeof(struct shared),
	.options = options,
	.handlers = handlers,
	.log = &log_source,
	.read = read_settings,
	.start = start,
	.reload = reload,
	.stop = stop,
	.sends = sends,
};
