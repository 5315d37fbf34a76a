/*
 * How busy the processor is, and who wants to know: monitors ask for a value
 * (monitor.query), targets are told when the level that was written for them
 * changes (monitor.notify).
 *
 * All of it is at home on a script loop: reading /proc takes time that no call
 * should wait for.
 */
#include "bus/module.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/text.h"
#include "cpuload/level.h"
#include "cpuload/load.h"

#define TARGETS_MAX 64 /* of all kinds together, those that others ask for included */
#define RULE_LIMIT_BYTES 1024

/* Levels of one kind of load for one target. */
struct rule {
	enum cpuload_kind kind;
	struct pb_str target, text;
	struct cpuload_levels levels;
};

struct settings {
	int64_t interval_ms, oscillation_ms, cores, smooth;
	struct pb_str proc;
	struct rule *rules;
	unsigned count;
};

/* A rule that is watched. */
struct watch {
	struct rule rule;
	struct pb_arena *arena; /* of one that was asked for; NULL: of the settings */
	unsigned level, told;	/* told: the level last told of */
	unsigned changes;	/* since then */
	uint64_t told_ms;
};

/* The home loop's alone. */
struct shared {
	struct pb_ctx *cx;
	struct pb_timer tick;
	struct cpuload load;
	bool failing; /* /proc cannot be read, and it has been said */
	struct watch watches[TARGETS_MAX];
	unsigned count;
	/* For the status line, which is made elsewhere. */
	atomic_uint shown[CPULOAD_KINDS], targets;
	_Atomic uint64_t notified;
};

enum { LOG_UNREADABLE, LOG_READABLE, LOG_RULE, LOG_LEVEL };

static const struct pb_log_row log_rows[] = {
	[LOG_UNREADABLE] = { "cpuload-001", PB_WARN,
			     "The load cannot be read: levels stay as they are. Is /proc there, as the option proc says?" },
	[LOG_READABLE] = { "cpuload-002", PB_NOTE, "The load can be read again." },
	[LOG_RULE] = { "cpuload-003", PB_CONF, "A list of levels is not as it should be, and is not used." },
	[LOG_LEVEL] = { "cpuload-004", PB_INFO, "A load has changed its level; who is named has been told." },
	{ NULL },
};

static PB_LOG_SOURCE(log_source, "cpuload", log_rows);

#define SAY(row, ...) pb_log(&log_source, &log_rows[row], __VA_ARGS__)

/* ---- Settings ------------------------------------------------------------------------ */

#define LEVELS(name)                                                                               \
	{                                                                                          \
		PB_OPT_OTHER, "", 0, .section = name, .flags = PB_OPT_PREFIX,                      \
				     .doc = "TARGET=LEVEL,THRESHOLD,HYSTERESIS;...;LEVEL: who is told, and at which percentages." \
	}

static const struct pb_opt options[] = {
	{ PB_OPT_INT, "interval", offsetof(struct settings, interval_ms), .def = 1000, .lo = 1000, .hi = 3600000,
	  .unit = "ms", .doc = "Between two readings." },
	{ PB_OPT_INT, "oscillation_interval", offsetof(struct settings, oscillation_ms), .def = 5000, .lo = 0,
	  .hi = 3600000, .unit = "ms",
	  .doc = "A target is not told of a level again within this time; changes meanwhile are counted." },
	{ PB_OPT_INT, "core_number", offsetof(struct settings, cores), .lo = 0, .hi = 4096,
	  .doc = "Cores of which the engine's load is a share; 0: all there are." },
	{ PB_OPT_INT, "smooth", offsetof(struct settings, smooth), .def = 33, .lo = 5, .hi = 50, .unit = "percent",
	  .doc = "Weight of the newest reading in the value." },
	{ PB_OPT_STR, "proc", offsetof(struct settings, proc), .defs = "/proc",
	  .doc = "Where the kernel tells of processes." },
	LEVELS("systemLoad"),
	LEVELS("totalLoad"),
	LEVELS("userLoad"),
	LEVELS("kernelLoad"),
	{ PB_OPT_END },
};

static void read_rule(struct settings *s, enum cpuload_kind kind, const struct pb_conf_entry *e, struct pb_arena *a,
		      struct pb_findings *f)
{
	struct rule *r = &s->rules[s->count];
	const char *wrong;

	if (s->count == TARGETS_MAX) {
		pb_findings_add(f, e->key_at, PB_SEV_WARNING, log_rows[LOG_RULE].id,
				"more than %d targets: the others are not told", TARGETS_MAX);
		return;
	}
	*r = (struct rule){ .kind = kind, .target = pb_arena_str(a, e->key), .text = pb_arena_str(a, e->value) };
	if (!cpuload_levels_read(r->text, &r->levels, &wrong))
		s->count++;
	else
		pb_findings_add(f, e->value_at, PB_SEV_WARNING, log_rows[LOG_RULE].id, "%s: '%.*s' is not told", wrong,
				PB_STR_F(e->key));
}

static int read_settings(const struct pb_conf *c, void *settings, struct pb_arena *a, struct pb_findings *f)
{
	struct settings *s = settings;

	s->rules = pb_arena_alloc(a, TARGETS_MAX * sizeof(*s->rules));
	if (!s->rules)
		return -ENOMEM;
	for (int kind = 0; kind < CPULOAD_KINDS; kind++) {
		const struct pb_conf_section *sec = pb_conf_section(c, pb_str_z(cpuload_names[kind]));

		for (size_t i = 0; sec && i < sec->count; i++)
			read_rule(s, kind, &sec->entries[i], a, f);
	}
	return 0;
}

/* ---- Reading ---------------------------------------------------------------------------- */

/* What is in `folder`/`name`, as far as it fits. */
static struct pb_str read_file(struct pb_str folder, const char *name, char *buf, size_t size)
{
	struct pb_text path;
	char text[512];
	ssize_t n;
	int fd;

	pb_text_init_buf(&path, text, sizeof(text) - 1);
	pb_text_addf(&path, "%.*s/%s", PB_STR_F(folder), name);
	text[path.n] = '\0';
	fd = open(text, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return PB_STR_NULL;
	n = read(fd, buf, size);
	close(fd);
	return n < 0 ? PB_STR_NULL : pb_str(buf, (size_t)n);
}

static bool read_ticks(struct pb_str proc, struct cpuload_ticks *t)
{
	char buf[65536]; /* the first lines are what is wanted */

	return !cpuload_read_system(read_file(proc, "stat", buf, sizeof(buf)), t) &&
	       !cpuload_read_process(read_file(proc, "self/stat", buf, sizeof(buf)), t);
}

/* ---- Telling ------------------------------------------------------------------------------ */

static void add_pair(struct pb_msg *m, unsigned i, const char *name, struct pb_str value)
{
	pb_msg_add(m, pb_arena_printf(pb_msg_arena(m), "notify.%u", i), pb_str_z(name));
	pb_msg_add(m, pb_arena_printf(pb_msg_arena(m), "value.%u", i), value);
}

static void tell(struct shared *sh, struct watch *w, uint64_t now_ms)
{
	struct pb_msg *m = pb_msg_new(PB_STR("monitor.notify"));
	const struct cpuload_levels *l = &w->rule.levels;

	if (!m)
		return; /* at the next reading */
	add_pair(m, 0, "monitor", pb_str_z(cpuload_names[w->rule.kind]));
	add_pair(m, 1, "target", w->rule.target);
	add_pair(m, 2, "old", l->at[w->told].name);
	add_pair(m, 3, "new", l->at[w->level].name);
	add_pair(m, 4, "cpu_load", pb_arena_printf(pb_msg_arena(m), "%u", sh->load.percent[w->rule.kind]));
	add_pair(m, 5, "counter", pb_arena_printf(pb_msg_arena(m), "%u", w->changes));
	pb_msg_set_int(m, PB_STR("count"), 6);
	SAY(LOG_LEVEL, "%s is %u %%: %.*s goes from %.*s to %.*s", cpuload_names[w->rule.kind],
	    sh->load.percent[w->rule.kind], PB_STR_F(w->rule.target), PB_STR_F(l->at[w->told].name),
	    PB_STR_F(l->at[w->level].name));
	pb_bus_enqueue(sh->cx->bus, m);
	w->told = w->level;
	w->told_ms = now_ms;
	w->changes = 0;
	atomic_fetch_add(&sh->notified, 1);
}

/* The first change is told at once; within the interval after it only counted,
 * and told at its end if the level is still another one. */
static void look(struct shared *sh, struct watch *w, uint64_t now_ms, uint64_t oscillation_ms)
{
	unsigned level = cpuload_level_step(&w->rule.levels, w->level, sh->load.percent[w->rule.kind]);

	if (level != w->level)
		w->changes++;
	w->level = level;
	if (w->level != w->told && (!w->told_ms || now_ms - w->told_ms >= oscillation_ms))
		tell(sh, w, now_ms);
}

static void on_tick(void *arg)
{
	struct shared *sh = arg;
	const struct settings *s = sh->cx->settings;
	uint64_t now_ms = pb_loop_now_ms(sh->cx->loop);
	struct cpuload_ticks t;
	bool ok = read_ticks(s->proc, &t);

	pb_timer_start(sh->cx->loop, &sh->tick, (uint64_t)s->interval_ms);
	if (ok == sh->failing)
		SAY(ok ? LOG_READABLE : LOG_UNREADABLE, ok ? "%.*s can be read again" : "%.*s cannot be read",
		    PB_STR_F(s->proc));
	sh->failing = !ok;
	if (!ok)
		return;
	cpuload_step(&sh->load, &t, (unsigned)s->cores, (unsigned)s->smooth);
	for (unsigned i = 0; i < CPULOAD_KINDS; i++)
		atomic_store(&sh->shown[i], sh->load.percent[i]);
	for (unsigned i = 0; sh->load.known && i < sh->count; i++)
		look(sh, &sh->watches[i], now_ms, (uint64_t)s->oscillation_ms);
}

/* ---- Who is told ---------------------------------------------------------------------------- */

static struct watch *find(struct shared *sh, enum cpuload_kind kind, struct pb_str target)
{
	for (unsigned i = 0; i < sh->count; i++) {
		struct watch *w = &sh->watches[i];

		if (w->rule.kind == kind && pb_str_eq(w->rule.target, target))
			return w;
	}
	return NULL;
}

/* A target that asks for itself: it is told from now on. */
static bool watch_asked(struct shared *sh, enum cpuload_kind kind, struct pb_str target, struct pb_str text)
{
	struct pb_arena *a = text.n <= RULE_LIMIT_BYTES ? pb_arena_new(4 * RULE_LIMIT_BYTES) : NULL;
	struct rule r = { .kind = kind };
	struct watch *w = find(sh, kind, target);
	const char *wrong = "too long, or no memory";

	if (a) {
		r.target = pb_arena_str(a, target);
		r.text = pb_arena_str(a, text);
	}
	if (!r.text.p || cpuload_levels_read(r.text, &r.levels, &wrong) || (!w && sh->count == TARGETS_MAX)) {
		SAY(LOG_RULE, "levels of %s for '%.*s' are not used: %s", cpuload_names[kind], PB_STR_F(target),
		    wrong ? wrong : "there are too many");
		pb_arena_free(&a);
		return false;
	}
	if (!w)
		w = &sh->watches[sh->count++];
	pb_arena_free(&w->arena);
	*w = (struct watch){ .rule = r, .arena = a };
	atomic_store(&sh->targets, sh->count);
	return true;
}

/* chan.control for cpuload: operation=MONITOR, cpu.TARGET=LEVELS ... */
static enum pb_verdict on_control(struct pb_msg *m, struct pb_ctx *cx)
{
	struct pb_str prefix = PB_STR("cpu.");
	int kind = cpuload_kind_of(pb_msg_get(m, PB_STR("operation")));
	bool ok = kind >= 0, any = false;

	for (size_t i = 0; kind >= 0 && i < pb_msg_count(m); i++) {
		const struct pb_param *p = pb_msg_at(m, i);

		if (!pb_str_starts(p->name, prefix) || p->name.n == prefix.n)
			continue;
		any = true;
		ok &= watch_asked(cx->shared, kind, pb_str_from(p->name, prefix.n), p->value);
	}
	pb_msg_set_bool(m, PB_STR("operation-status"), ok && any);
	return PB_HANDLED;
}

static bool is_load(void *arg, struct pb_str name)
{
	(void)arg;
	return cpuload_kind_of(name) >= 0;
}

static enum pb_verdict on_query(struct pb_msg *m, struct pb_ctx *cx)
{
	const struct shared *sh = cx->shared;
	int kind = cpuload_kind_of(pb_msg_get(m, PB_STR("name")));

	if (kind < 0)
		return PB_PASS;
	if (sh->load.known)
		pb_msg_set_int(m, PB_STR("value"), sh->load.percent[kind]);
	else
		pb_msg_set(m, PB_STR("value"), PB_STR(""));
	return PB_HANDLED;
}

/* ---- Life -------------------------------------------------------------------------------------- */

/* Those of the settings; one that was asked for and has the same name gives way. */
static void watch_settings(struct shared *sh, const struct settings *s)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < sh->count; i++) {
		if (sh->watches[i].arena)
			sh->watches[kept++] = sh->watches[i];
	}
	sh->count = kept;
	for (unsigned i = 0; i < s->count; i++) {
		struct watch *w = find(sh, s->rules[i].kind, s->rules[i].target);

		if (!w && sh->count < TARGETS_MAX)
			w = &sh->watches[sh->count++];
		else if (w)
			pb_arena_free(&w->arena);
		if (w)
			*w = (struct watch){ .rule = s->rules[i] };
	}
	atomic_store(&sh->targets, sh->count);
}

static int start(struct pb_ctx *cx)
{
	static const struct pb_handler query = { "monitor.query", 100, PB_HOME, on_query };
	struct shared *sh = cx->shared;

	sh->cx = pb_engine_ctx(cx, cx->loop);
	pb_timer_init(&sh->tick, on_tick, sh);
	watch_settings(sh, cx->settings);
	on_tick(sh);
	return pb_engine_add_filtered(cx, &query, "name", is_load, NULL);
}

static enum pb_reload reload(struct pb_ctx *cx, const void *old)
{
	struct shared *sh = cx->shared;

	(void)old;
	watch_settings(sh, cx->settings);
	pb_timer_start(cx->loop, &sh->tick, 0);
	return PB_RELOAD_OK;
}

static void stop(struct pb_ctx *cx)
{
	struct shared *sh = cx->shared;

	pb_timer_stop(&sh->tick);
	for (unsigned i = 0; i < sh->count; i++)
		pb_arena_free(&sh->watches[i].arena);
	sh->count = 0;
}

static void status(struct pb_ctx *cx, struct pb_status *st)
{
	struct shared *sh = cx->shared;

	if (pb_loop_index(cx->loop))
		return;
	pb_status_count(st, "targets", atomic_load(&sh->targets));
	pb_status_count(st, "notified", (int64_t)atomic_load(&sh->notified));
	for (int i = 0; i < CPULOAD_KINDS; i++)
		pb_status_count(st, cpuload_names[i], atomic_load(&sh->shown[i]));
}

static const struct pb_counter counters[] = {
	{ "targets", NULL, "Who is told of a load's level." },
	{ "notified", "messages", "How often somebody was told." },
	{ "kernelLoad", "percent", "Of the engine, in the kernel." },
	{ "userLoad", "percent", "Of the engine, in its own code." },
	{ "totalLoad", "percent", "Of the engine." },
	{ "systemLoad", "percent", "Of the whole machine." },
	{ NULL },
};

static const struct pb_sends sends[] = {
	{ "monitor.notify", "notify.* value.* count" },
	{ NULL },
};

static const struct pb_handler handlers[] = {
	{ "chan.control", 100, PB_HOME, on_control, .filter_name = "component", .filter_value = "cpuload" },
	{ NULL },
};

PB_MODULE(cpuload) = {
	.abi = PB_MODULE_ABI,
	.name = "cpuload",
	.doc = "Reads the processor's load and tells who wants to know when it changes.",
	.conf = "cpuload",
	.status_type = "misc",
	.settings_size = sizeof(struct settings),
	.shared_size = sizeof(struct shared),
	.options = options,
	.handlers = handlers,
	.log = &log_source,
	.home_script = true,
	.read = read_settings,
	.start = start,
	.reload = reload,
	.stop = stop,
	.status = status,
	.counters = counters,
	.sends = sends,
};
