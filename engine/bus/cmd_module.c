/*
 * `module`: what only the control thread may do. The command's message is held;
 * the control thread does the errand between two requests and answers.
 *
 * An unloaded module is stopped and its code stays; loading it again starts it
 * in place. Which modules can be stopped while the engine runs they say
 * themselves.
 */
#include "bus/builtin.h"

/** Starting a module may read large files. */
#define ERRAND_LIMIT_MS 60000

/* ---- Errands to the control thread ------------------------------------------------- */

struct errand {
	struct pb_engine *e;
	struct pb_token token;
	/** On the control thread; what it writes is the answer. False: not handled. */
	bool (*fn)(struct pb_engine *e, struct pb_str args, struct pb_text *answer);
	size_t n;
	char args[];
};

static void do_errand(void *arg)
{
	struct errand *er = arg;
	struct pb_patch *patch = pb_patch_new();
	struct pb_text t;
	bool ok;

	pb_text_init(&t, PB_MSG_LIMIT_BYTES / 2);
	ok = er->fn(er->e, pb_str(er->args, er->n), &t);
	if (patch && ok)
		pb_patch_retval(patch, pb_text_str(&t));
	pb_text_fini(&t);
	pb_bus_resume(er->e->bus, er->token, patch, ok ? PB_HANDLED : PB_PASS);
	pb_free(er);
}

static enum pb_verdict send_errand(struct pb_msg *m, struct pb_ctx *cx, struct pb_str args,
				   bool (*fn)(struct pb_engine *e, struct pb_str args, struct pb_text *answer))
{
	struct errand *er = pb_alloc(sizeof(*er) + args.n);

	if (!er)
		return PB_PASS;
	*er = (struct errand){ .e = pb_engine_of(cx), .fn = fn, .n = args.n };
	if (args.n)
		memcpy(er->args, args.p, args.n);
	er->token = pb_bus_hold(m, &(struct pb_hold){ .limit_ms = ERRAND_LIMIT_MS });
	if (er->token.gen && pbi_control_call(er->e, do_errand, er))
		return PB_HOLD;
	pb_bus_resume(cx->bus, er->token, NULL, PB_PASS);
	pb_free(er);
	return PB_HOLD; /* resumed already, or never parked: passed by */
}

/* ---- module ------------------------------------------------------------------------------ */

/** As its file is called at home: that of its configuration, where it has one. */
static const char *file_name(const struct pb_module *d)
{
	return d->conf ? d->conf : d->name;
}

static enum pb_verdict list(struct pb_msg *m, struct pb_engine *e)
{
	struct pb_text t;

	pb_text_init(&t, PB_MSG_LIMIT_BYTES / 2);
	for (unsigned i = 0; i < e->module_count; i++) {
		const struct pbi_module *mod = e->modules[i];

		if (atomic_load(&mod->started) && mod->d != &pbi_engine_module)
			pb_text_addf(&t, "%s%s%s", t.n ? "\t" : "", file_name(mod->d),
				     mod->d->stoppable ? "*" : "");
	}
	pb_text_lit(&t, "\r\n");
	return pbi_answer(m, &t);
}

static bool load(struct pb_engine *e, struct pb_str file, struct pb_text *answer)
{
	struct pbi_module *m = pbi_module_find(e, file);

	if (m && m->started) {
		pb_text_addf(answer, "Module is already loaded: %.*s\r\n", PB_STR_F(file));
		return true;
	}
	if (!file.n || pbi_module_load(e, file))
		pb_text_addf(answer, "Module operation failed: load %.*s\r\n", PB_STR_F(file));
	return true;
}

static bool unload(struct pb_engine *e, struct pb_str name, struct pb_text *answer)
{
	struct pbi_module *m = pbi_module_find(e, name);
	const char *what = "Unloaded module";

	if (!m || !m->started)
		what = "Module not loaded";
	else if (pbi_module_unload(m))
		what = "Could not unload module";
	pb_text_addf(answer, "%s: %.*s\r\n", what, PB_STR_F(name));
	return true;
}

static bool reload(struct pb_engine *e, struct pb_str file, struct pb_text *answer)
{
	struct pbi_module *m = pbi_module_find(e, file);

	if (m && m->started && pbi_module_unload(m)) {
		pb_text_addf(answer, "Module not unloaded: %.*s\r\n", PB_STR_F(file));
		return true;
	}
	return load(e, file, answer);
}

enum pb_verdict pbi_on_module(struct pb_msg *m, struct pb_ctx *cx)
{
	struct pb_str args = pbi_command_args(m, "module"), all = args;
	struct pb_text t;

	if (pb_str_eq(args, PB_STR("list")))
		return list(m, pb_engine_of(cx));
	if (pb_str_skip_word(&args, PB_STR("load")))
		return send_errand(m, cx, args, load);
	if (pb_str_skip_word(&args, PB_STR("unload")))
		return send_errand(m, cx, args, unload);
	if (pb_str_skip_word(&args, PB_STR("reload")))
		return send_errand(m, cx, args, reload);
	pb_text_init(&t, PB_MSG_LIMIT_BYTES / 2);
	pb_text_addf(&t, "Module operation failed: %.*s\r\n", PB_STR_F(all));
	return pbi_answer(m, &t);
}
