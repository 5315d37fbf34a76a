/*
 * What the engine counts, for who asks by name, and its alarms for who wants to
 * be told: the face that management systems see.
 */
#include "monitoring/monitoring.h"

#include "base/text.h"

const struct pb_log_row monitor_log_rows[] = {
	[MONITOR_LOG_RESTART] = { "monitoring-001", PB_WARN,
				  "The engine was started again after an end that nobody asked for; the log before it says more." },
	[MONITOR_LOG_LOW_ASR] = { "monitoring-002", PB_WARN, "Fewer calls of a direction are answered than the threshold says." },
	[MONITOR_LOG_HIGH_ASR] = { "monitoring-003", PB_MILD, "More calls of a direction are answered than the threshold says." },
	[MONITOR_LOG_LOW_NER] = { "monitoring-004", PB_WARN, "The network serves fewer calls of a direction than the threshold says: look at its route." },
	[MONITOR_LOG_MANY] = { "monitoring-005", PB_CONF, "There are more directions than are counted." },
	{ NULL },
};

PB_LOG_SOURCE(monitor_log, "monitoring", monitor_log_rows);

/* ---- Alarms: any thread ------------------------------------------------------------------ */

static void add_pair(struct pb_msg *m, unsigned i, const char *name, struct pb_str value)
{
	pb_msg_add(m, pb_arena_printf(pb_msg_arena(m), "notify.%u", i), pb_str_z(name));
	pb_msg_add(m, pb_arena_printf(pb_msg_arena(m), "value.%u", i), value);
}

static void notify(struct monitor *mo, enum pb_level level, struct pb_str component, struct pb_str text)
{
	struct pb_msg *m = pb_msg_new(PB_STR("monitor.notify"));

	if (!m)
		return;
	pb_msg_set_broadcast(m, true);
	pb_msg_add(m, PB_STR("notify"), PB_STR("genericAlarm"));
	add_pair(m, 0, "alarmSource", component);
	add_pair(m, 1, "alarmLevel", pb_str_z(pb_log_tag((int)level)));
	add_pair(m, 2, "alarmText", text);
	pb_msg_set_int(m, PB_STR("count"), 3);
	pb_bus_enqueue(mo->cx->bus, m);
}

static void on_alarm(void *arg, enum pb_level level, struct pb_str component, struct pb_str info, struct pb_str text)
{
	struct monitor *mo = arg;
	struct pb_msg *m = pb_msg_new(PB_STR("module.update"));

	atomic_fetch_add(&mo->alarms, 1);
	if (!m)
		return;
	pb_msg_add(m, PB_STR("module"), PB_STR("monitoring"));
	pb_msg_set_int(m, PB_STR("level"), level);
	pb_msg_add(m, PB_STR("from"), component);
	pb_msg_add(m, PB_STR("text"), text);
	if (info.n)
		pb_msg_add(m, PB_STR("info"), info);
	pb_bus_enqueue(mo->cx->bus, m);
	if ((int)level <= atomic_load(&mo->threshold))
		notify(mo, level, component, text);
}

/* ---- Counting ------------------------------------------------------------------------------ */

static void count(struct pb_ctx *cx, unsigned what)
{
	struct monitor *mo = cx->shared;

	atomic_fetch_add_explicit(&mo->counters[what], 1, memory_order_relaxed);
}

static enum pb_verdict on_auth(struct pb_msg *m, struct pb_ctx *cx)
{
	(void)m;
	count(cx, MONITOR_AUTH);
	return PB_PASS;
}

static enum pb_verdict on_register(struct pb_msg *m, struct pb_ctx *cx)
{
	(void)m;
	count(cx, MONITOR_REGISTER);
	return PB_PASS;
}

static enum pb_verdict on_startup(struct pb_msg *m, struct pb_ctx *cx)
{
	struct pb_str direction = pb_msg_get(m, PB_STR("direction"));

	if (!direction.n)
		direction = pb_msg_get(m, PB_STR("status"));
	if (pb_str_eq(direction, PB_STR("incoming")))
		count(cx, MONITOR_INCOMING);
	else if (pb_str_eq(direction, PB_STR("outgoing")))
		count(cx, MONITOR_OUTGOING);
	return PB_PASS;
}

static enum pb_verdict on_stop(struct pb_msg *m, struct pb_ctx *cx)
{
	(void)m;
	((struct monitor *)cx->shared)->stopping = true;
	return PB_PASS;
}

/* ---- Life -------------------------------------------------------------------------------------- */

static void tell_restart(struct monitor *mo)
{
	struct pb_str last = pb_engine_run_param(pb_engine_of(mo->cx), PB_STR("lastsignal"));
	const struct monitor_settings *s = mo->cx->settings;

	if (s->restart_alarm && last.n && !pb_str_eq(last, PB_STR("0")))
		pb_engine_alarm(pb_engine_of(mo->cx), &monitor_log, &monitor_log_rows[MONITOR_LOG_RESTART], "engine",
				"restart", "started again after signal %.*s", PB_STR_F(last));
}

static int start(struct pb_ctx *cx)
{
	const struct monitor_settings *s = cx->settings;
	struct monitor *mo = cx->shared;

	mo->cx = pb_engine_ctx(cx, cx->loop);
	monitor_boards_init(mo);
	for (unsigned i = 0; i < MONITOR_DIRECTIONS_MAX; i++)
		mo->counted[i].turned_ms = pb_loop_now_ms(cx->loop);
	atomic_store(&mo->threshold, (int)s->alarm_threshold);
	mo->hook = (struct pb_alarm_hook){ on_alarm, mo };
	pb_engine_set_alarm_hook(pb_engine_of(cx), &mo->hook);
	return 0;
}

static enum pb_verdict on_start(struct pb_msg *m, struct pb_ctx *cx)
{
	(void)m;
	tell_restart(cx->shared);
	return PB_PASS;
}

/* A direction keeps its figures while its place has its name. */
static enum pb_reload reload(struct pb_ctx *cx, const void *old)
{
	const struct monitor_settings *s = cx->settings, *was = old;
	struct monitor *mo = cx->shared;

	atomic_store(&mo->threshold, (int)s->alarm_threshold);
	for (unsigned i = 0; i < MONITOR_DIRECTIONS_MAX; i++) {
		bool same = i < s->count && i < was->count && pb_str_eq(s->directions[i].name, was->directions[i].name);

		if (!same)
			mo->counted[i] = (struct monitor_counted){ .turned_ms = pb_loop_now_ms(cx->loop) };
	}
	return PB_RELOAD_OK;
}

static void stop(struct pb_ctx *cx)
{
	struct monitor *mo = cx->shared;

	pb_engine_set_alarm_hook(pb_engine_of(cx), NULL);
	monitor_boards_free(mo);
}

static void status(struct pb_ctx *cx, struct pb_status *st)
{
	struct monitor *mo = cx->shared;

	if (pb_loop_index(cx->loop))
		return;
	pb_status_count(st, "alarms", (int64_t)atomic_load(&mo->alarms));
	pb_status_count(st, "auths", (int64_t)atomic_load(&mo->counters[MONITOR_AUTH]));
	pb_status_count(st, "registers", (int64_t)atomic_load(&mo->counters[MONITOR_REGISTER]));
	pb_status_count(st, "incoming", (int64_t)atomic_load(&mo->counters[MONITOR_INCOMING]));
	pb_status_count(st, "outgoing", (int64_t)atomic_load(&mo->counters[MONITOR_OUTGOING]));
}

static const struct pb_handler handlers[] = {
	{ "monitor.query", 100, PB_HOME, monitor_on_query },
	{ "call.cdr", 100, PB_HOME, monitor_on_cdr, .filter_name = "operation", .filter_value = "finalize" },
	{ "engine.timer", 100, PB_HOME, monitor_on_timer },
	{ "engine.start", 100, PB_HOME, on_start },
	{ "engine.stop", 100, PB_HOME, on_stop },
	{ "user.auth", 1, PB_HERE, on_auth, .untracked = true },
	{ "user.register", 1, PB_HERE, on_register, .untracked = true },
	{ "chan.startup", 100, PB_HERE, on_startup, .untracked = true },
	{ NULL },
};

static const struct pb_counter counters[] = {
	{ "alarms", "alarms", "Alarms raised." },
	{ "auths", "messages", "user.auth asked." },
	{ "registers", "messages", "user.register asked." },
	{ "incoming", "legs", "Incoming legs begun." },
	{ "outgoing", "legs", "Outgoing legs begun." },
	{ NULL },
};

static const struct pb_sends sends[] = {
	{ "module.update", "module level from text info" },
	{ "monitor.notify", "notify notify.* value.* count" },
	{ "engine.status", "module details" },
	{ NULL },
};

PB_MODULE(monitoring) = {
	.abi = PB_MODULE_ABI,
	.name = "monitoring",
	.doc = "Answers what the engine counts, and tells of alarms.",
	.conf = "monitoring",
	.status_type = "misc",
	.settings_size = sizeof(struct monitor_settings),
	.shared_size = sizeof(struct monitor),
	.options = monitor_options,
	.handlers = handlers,
	.log = &monitor_log,
	.read = monitor_read,
	.start = start,
	.reload = reload,
	.stop = stop,
	.status = status,
	.counters = counters,
	.sends = sends,
};
