/* The rows of engine.cfg and their reading; the guard does the work. */
#include "bus/enginecfg.h"

#include <errno.h>

#include "loop/log.h"

/* Positions are those of enum pb_level. */
static const char *const levels[] = {
	"fail", "test", "crit", "conf", "stub", "warn", "mild", "note", "call", "info", "all", NULL,
};

static const char *const stamps[] = {
	"none", "start", "epoch", "compact-gmt", "compact-local", "gmt", "local", NULL,
};
static const char stamp_styles[] = "ntefzFZ"; /* beside them, for pb_log_set_stamp */

/* As read; the words become what the engine knows. */
struct raw {
	struct pb_engine_cfg cfg;
	int level, stamp;
};

#define AT(field) offsetof(struct raw, cfg.field)

const struct pb_opt pb_engine_cfg_rows[] = {
	{ PB_OPT_INT, "calls", AT(calls), .lo = 0, .hi = 63, .section = "loops",
	  .doc = "Loops that own calls; 0: one per core." },
	{ PB_OPT_INT, "scripts", AT(scripts), .def = 1, .lo = 0, .hi = 32, .section = "loops",
	  .doc = "Loops for scripts, which own no calls." },
	{ PB_OPT_INT, "hold", AT(hold_ms), .def = 10000, .lo = 10, .hi = 3600000, .unit = "ms",
	  .section = "limits", .doc = "How long a handler may hold a message." },
	{ PB_OPT_INT, "message", AT(message_ms), .def = 60000, .lo = 10, .hi = 3600000, .unit = "ms",
	  .section = "limits", .doc = "How long a message may take in all." },
	{ PB_OPT_INT, "parked", AT(parked), .def = 10000, .lo = 1, .hi = 10000000, .section = "limits",
	  .doc = "Messages held at once, per handler and loop." },
	{ PB_OPT_INT, "transactions", AT(transactions), .def = 100000, .lo = 10, .hi = 10000000,
	  .section = "limits", .doc = "SIP transactions open at once." },
	{ PB_OPT_STR, "file", AT(log_file), .section = "log", .doc = "Log file; absent: the standard error." },
	{ PB_OPT_WORD, "level", offsetof(struct raw, level), .def = PB_NOTE, .words = levels,
	  .section = "log", .doc = "What is logged, from fail (nearly nothing) to all." },
	{ PB_OPT_WORD, "stamp", offsetof(struct raw, stamp), .words = stamps, .section = "log",
	  .doc = "Time before each line." },
	{ PB_OPT_BOOL, "required", offsetof(struct pb_engine_cfg_module, required), .section = "modules.*",
	  .doc = "Do not start when this module does not." },
	{ PB_OPT_BOOL, "load", offsetof(struct pb_engine_cfg_module, load), .def = 1, .section = "modules.*",
	  .doc = "Load this module." },
	{ PB_OPT_END },
};

static int read_modules(const struct pb_cfg *c, struct pb_arena *a, struct pb_findings *f,
			struct pb_engine_cfg *out)
{
	size_t n = pb_cfg_members(c, "modules");
	struct pb_engine_cfg_module *m = pb_arena_alloc(a, n * sizeof(*m));
	int err = m ? 0 : -ENOMEM;

	for (size_t i = 0; m && i < n; i++) {
		int e = pb_cfg_read_member(c, "modules", i, pb_engine_cfg_rows, &m[i], a, f);

		m[i].name = pb_arena_str(a, pb_cfg_member_name(c, "modules", i));
		m[i].at = pb_cfg_member_at(c, "modules", i);
		m[i].at.file = pb_arena_str(a, pb_str_z(m[i].at.file)).p;
		err = err ? err : e;
	}
	out->modules = m;
	out->module_count = m ? n : 0;
	return pb_arena_failed(a) ? -ENOMEM : err;
}

int pb_engine_cfg_read(const struct pb_cfg *c, struct pb_arena *a, struct pb_findings *f,
		       struct pb_engine_cfg *out)
{
	struct raw raw = { 0 };
	int err = pb_cfg_read(c, pb_engine_cfg_rows, &raw, a, f);
	int more = read_modules(c, a, f, &raw.cfg);

	raw.cfg.log_level = pb_cfg_has(c, "log", "level") ? raw.level : -1;
	raw.cfg.log_stamp = pb_cfg_has(c, "log", "stamp") ? stamp_styles[raw.stamp] : 0;
	*out = raw.cfg;
	return err ? err : more;
}

int pb_engine_cfg_load(const char *path, struct pb_arena *a, struct pb_findings *f,
		       struct pb_engine_cfg *out)
{
	struct pb_cfg *c = NULL;
	int err = pb_cfg_load(path, f, &c);

	if (err)
		return err;
	err = pb_engine_cfg_read(c, a, f, out);
	pb_cfg_free(&c);
	return err;
}
