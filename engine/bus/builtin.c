/*
 * The built-in module "engine": its status line and the commands that belong
 * to no other module.
 */
#include "bus/engine_impl.h"

#include "base/text.h"
#include "bus/cmd_config.h"

static void status(struct pb_ctx *cx, struct pb_status *s)
{
	struct pbi_module *m = cx->module;
	struct pb_engine *e = m->e;
	struct pb_bus_counts c;

	if (pb_status_selector(s).n || pb_loop_index(cx->loop))
		return;
	pb_bus_count(e->bus, &c);
	pb_status_head(s, "version", PB_STR(PACKAGE_VERSION));
	pb_status_head(s, "nodename", pb_engine_run_param(e, PB_STR("nodename")));
	pbi_application_head(e, s);
	pb_status_count(s, "plugins", e->module_count);
	pb_status_count(s, "messages", (int64_t)(c.queued + c.parked));
	pb_status_count(s, "enqueued", (int64_t)c.enqueued);
	pb_status_count(s, "dequeued", (int64_t)(c.enqueued - c.queued));
	pb_status_count(s, "dispatched", (int64_t)c.dispatched);
	pb_status_count(s, "handled", (int64_t)c.handled);
	pb_status_count(s, "parked", (int64_t)c.parked);
	pb_status_count(s, "held", (int64_t)c.held);
	pb_status_count(s, "expired", (int64_t)c.expired);
	pb_status_count(s, "stale", (int64_t)c.stale);
	pb_status_count(s, "loops", pb_loops_count(e->loops));
	for (unsigned i = 0; i < e->param_count; i++) {
		if (pb_str_find(e->params[i].name, PB_STR("path")) >= 0)
			pb_status_item(s, e->params[i].name, "%.*s", PB_STR_F(e->params[i].value));
	}
}

static enum pb_verdict on_version(struct pb_msg *m, struct pb_ctx *cx)
{
	struct pb_text t;

	pb_text_init(&t, PB_MSG_LIMIT_BYTES);
	pb_text_lit(&t, "version:  " PACKAGE_VERSION "\r\nrelease:  \r\nrevision: 0\r\n");
	pbi_application_version(cx->module->e, &t);
	pb_msg_set_retval(m, pb_text_str(&t));
	pb_text_fini(&t);
	return PB_HANDLED;
}

static enum pb_verdict on_module(struct pb_msg *m, struct pb_ctx *cx)
{
	struct pb_engine *e = cx->module->e;
	struct pb_str line = pb_str_trim(pb_msg_get(m, PB_STR("line")));
	struct pb_text t;

	pb_str_skip_word(&line, PB_STR("module"));
	pb_text_init(&t, PB_MSG_LIMIT_BYTES);
	if (pb_str_eq(line, PB_STR("list"))) {
		for (unsigned i = 0; i < e->module_count; i++) {
			if (e->modules[i]->started)
				pb_text_addf(&t, "%s%s", t.n ? "\t" : "", e->modules[i]->d->name);
		}
	} else {
		pb_text_addf(&t, "Module operation failed: %.*s", PB_STR_F(line));
	}
	pb_text_lit(&t, "\r\n");
	pb_msg_set_retval(m, pb_text_str(&t));
	pb_text_fini(&t);
	return PB_HANDLED;
}

struct parked_text {
	struct pb_text t;
	unsigned left;
};

static bool add_parked(void *arg, const struct pb_parked *p)
{
	struct parked_text *pt = arg;

	pb_text_addf(&pt->t, "%.*s held by %.*s for %llu ms, token %u.%u.%u\r\n", PB_STR_F(p->message),
		     PB_STR_F(p->holder), (unsigned long long)p->age_ms, p->token.loop, p->token.slot, p->token.gen);
	return --pt->left > 0;
}

static enum pb_verdict on_parked(struct pb_msg *m, struct pb_ctx *cx)
{
	struct parked_text pt = { .left = 100 };

	pb_text_init(&pt.t, PB_MSG_LIMIT_BYTES);
	pb_bus_parked(cx->bus, add_parked, &pt);
	pb_msg_set_retval(m, pb_text_str(&pt.t));
	pb_text_fini(&pt.t);
	return PB_HANDLED;
}

static enum pb_verdict on_debug(struct pb_msg *m, struct pb_ctx *cx)
{
	struct pb_log_source *src = pb_log_find(pb_msg_get(m, PB_STR("module")));
	struct pb_text t;

	(void)cx;
	if (!src)
		return PB_PASS;
	pb_text_init(&t, 4096);
	pb_log_control(src, pb_msg_get(m, PB_STR("line")), &t);
	pb_msg_set_retval(m, pb_text_str(&t));
	pb_text_fini(&t);
	return PB_HANDLED;
}

static const struct pb_command commands[] = {
	{ "version", "version", "Version of the engine.", PB_HERE, on_version },
	{ "module", "module list", "The modules that are loaded.", PB_HERE, on_module },
	{ "parked", "parked", "Messages that handlers hold: who, since when.", PB_EACH, on_parked },
	{ "config dump", "config dump [--effective] [--json] [file|module]",
	  "Values of the configuration and where they come from; --effective: those in force, with defaults.", PB_HOME,
	  pbi_on_config },
	{ NULL },
};

static const struct pb_handler handlers[] = {
	{ .message = "engine.debug", .priority = 120, .place = PB_HERE, .fn = on_debug },
	{ NULL },
};

const struct pb_module pbi_engine_module = {
	.abi = PB_MODULE_ABI,
	.name = "engine",
	.doc = "The engine itself.",
	.status_type = "system",
	.handlers = handlers,
	.commands = commands,
	.status = status,
};
