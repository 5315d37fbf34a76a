/*
 * A message handed to a script is held, and a record of it (id, token) waits in
 * the script's map: any number of them, answered in any order, each found in
 * O(1). What ends the waiting first wins, and the record goes with it: the
 * answer, the limit of the hold, or the end of the script. A later answer finds
 * no record and is only complained about.
 *
 * Handlers run on the host's loop (PB_HOME), so nothing here is shared between
 * threads. A watch is a hook, which is called on the loop of the message; there
 * it touches nothing but the message, whose copy it posts home.
 */
#include "extmodule/delivery.h"

#include <errno.h>

#include "base/alloc.h"

/* ---- Handlers and watches ------------------------------------------------------ */

/* One name that a script installed or watches. The bus may call on it until
 * `gone`; and once added it owes the script an answer line. */
struct ext_interest {
	struct pb_map_node node;   /* script->installed or ->watched */
	struct ext_script *script; /* a reference */
	struct pb_reg *reg;
	int64_t priority;
	bool handler, dead;
	unsigned owed;      /* known and gone, as far as they are still to come */
	struct pb_str name; /* behind this struct */
	char text[];
};

static struct ext_interest *interest_find(struct pb_map *map, struct pb_str name)
{
	struct pb_map_node *n = pb_map_first(map, pb_hash(name));

	for (; n; n = pb_map_next(n)) {
		struct ext_interest *i = pb_container(n, struct ext_interest, node);

		if (pb_str_eq(i->name, name))
			return i;
	}
	return NULL;
}

static void interest_settle(struct ext_interest *i)
{
	if (--i->owed)
		return;
	ext_script_unref(&i->script);
	pb_free(i);
}

static struct ext_interest *interest_new(struct ext_script *s, struct pb_map *map,
					 struct pb_str name)
{
	struct ext_interest *i = pb_alloc_zero(1, sizeof(*i) + name.n);

	if (!i)
		return NULL;
	if (name.n)
		memcpy(i->text, name.p, name.n);
	i->name = pb_str(i->text, name.n);
	if (pb_map_add(map, &i->node, pb_hash(i->name)) < 0) {
		pb_free(i);
		return NULL;
	}
	i->script = s;
	i->owed = 2;
	ext_script_ref(s);
	return i;
}

static void on_gone(void *arg)
{
	interest_settle(arg);
}

/* Take it from the map and from the bus; it frees itself when both let go. */
static void interest_remove(struct pb_map *map, struct ext_interest *i)
{
	pb_map_remove(map, &i->node);
	i->dead = true;
	pb_bus_remove(i->script->host->bus, &i->reg, on_gone, i);
}

/* The bus never had it. */
static void interest_undo(struct pb_map *map, struct ext_interest *i)
{
	pb_map_remove(map, &i->node);
	i->owed = 1;
	interest_settle(i);
}

/* Every loop has it from now on: the script may hear so. */
static void on_known(void *arg)
{
	struct ext_interest *i = arg;
	struct ext_script *s = i->script;

	if (!i->dead && i->handler) {
		ext_put_installed(ext_script_line(s), PB_STR("install"), i->priority, i->name,
				  true);
		ext_script_send(s);
	} else if (!i->dead) {
		ext_put_watched(ext_script_line(s), PB_STR("watch"), i->name, true);
		ext_script_send(s);
	}
	interest_settle(i);
}

static enum pb_verdict on_message(struct pb_msg *m, struct pb_ctx *cx)
{
	struct ext_interest *i = cx->arg;
	struct ext_script *s = i->script;

	if (i->dead || (!s->locals.reenter && ext_is_own(s, m)))
		return PB_PASS;
	return ext_deliver(s, m, false);
}

/* @return 0 or a negative errno: nothing is left of it. */
static int install(struct ext_script *s, const struct ext_install *in)
{
	struct pb_handler_args args = {
		.message = in->name,
		.priority = (unsigned)in->priority,
		.place = PB_HOME,
		.home = s->host->loop,
		.filter_name = in->filter_name,
		.filter_value = in->filter_value,
		.track = s->locals.track,
		/* Each hold says its own limit; this one is where the message came from. */
		.hold_ms = INT32_MAX,
		.fn = on_message,
	};
	struct ext_interest *i;
	int err;

	if (interest_find(&s->installed, in->name))
		return -EEXIST;
	i = interest_new(s, &s->installed, in->name);
	if (!i)
		return -ENOMEM;
	i->handler = true;
	i->priority = in->priority;
	args.arg = i;
	err = pb_bus_add(s->host->bus, &args, on_known, i, &i->reg);
	if (err)
		interest_undo(&s->installed, i);
	return err;
}

void ext_install(struct ext_script *s, const struct ext_install *in)
{
	if (install(s, in) == 0)
		return; /* answered when every loop knows */
	ext_put_installed(ext_script_line(s), PB_STR("install"), in->priority, in->name, false);
	ext_script_send(s);
}

void ext_uninstall(struct ext_script *s, struct pb_str name)
{
	struct ext_interest *i = interest_find(&s->installed, name);
	int64_t priority = i ? i->priority : 0;

	if (i)
		interest_remove(&s->installed, i);
	ext_put_installed(ext_script_line(s), PB_STR("uninstall"), priority, name, i != NULL);
	ext_script_send(s);
}

/* A watched message on its way home. */
struct seen {
	struct pb_work work;
	struct ext_interest *interest;
	struct pb_msg *m;
	bool handled;
};

static void tell_watcher(struct ext_interest *i, const struct pb_msg *m, bool handled)
{
	struct ext_script *s = i->script;

	if (i->dead)
		return;
	ext_put_result(ext_script_line(s), PB_STR(""), handled, m);
	ext_script_send(s);
}

/* The removal of a hook is settled behind all that its loops posted before, so
 * the interest is still there. */
static void on_seen(void *arg)
{
	struct seen *w = arg;

	tell_watcher(w->interest, w->m, w->handled);
	pb_msg_free(&w->m);
	pb_free(w);
}

/* On the loop of the message: only what never changes may be read. */
static void on_watched(const struct pb_msg *m, bool handled, struct pb_ctx *cx)
{
	struct ext_interest *i = cx->arg;
	struct ext_host *h = i->script->host;
	struct seen *w;

	if (pb_loop_is_mine(h->loop)) {
		if (i->script->locals.selfwatch || !ext_is_own(i->script, m))
			tell_watcher(i, m, handled);
		return;
	}
	w = pb_alloc_zero(1, sizeof(*w));
	if (!w)
		return;
	w->interest = i;
	w->handled = handled;
	w->m = pb_msg_copy(m);
	w->work = (struct pb_work){ .fn = on_seen, .arg = w };
	if (w->m)
		pb_loop_post(h->loop, &w->work);
	else
		pb_free(w);
}

static int watch(struct ext_script *s, struct pb_str name)
{
	struct pb_hook_args args = { .fn = on_watched };
	struct ext_interest *i;
	int err;

	if (interest_find(&s->watched, name))
		return -EEXIST;
	i = interest_new(s, &s->watched, name);
	if (!i)
		return -ENOMEM;
	args.message = name.n ? i->name : PB_STR_NULL;
	args.arg = i;
	err = pb_bus_hook_add(s->host->bus, &args, &i->reg);
	if (err) {
		interest_undo(&s->watched, i);
		return err;
	}
	interest_settle(i); /* a hook has no `known` */
	return 0;
}

void ext_watch(struct ext_script *s, struct pb_str name)
{
	bool ok = watch(s, name) == 0;

	ext_put_watched(ext_script_line(s), PB_STR("watch"), name, ok);
	ext_script_send(s);
}

void ext_unwatch(struct ext_script *s, struct pb_str name)
{
	struct ext_interest *i = interest_find(&s->watched, name);

	if (i)
		interest_remove(&s->watched, i);
	ext_put_watched(ext_script_line(s), PB_STR("unwatch"), name, i != NULL);
	ext_script_send(s);
}

/* ---- Messages that wait for the script ----------------------------------------- */

struct ext_pending {
	struct pb_map_node node;   /* script->pending */
	struct ext_script *script; /* a reference */
	struct pb_token token;
	struct pb_handle chan;
	uint64_t due_ms;
	struct pb_timer sticky;
	bool last_word;
	uint8_t id_n;
	char id[22];
};

static struct pb_str pending_id(const struct ext_pending *p)
{
	return pb_str(p->id, p->id_n);
}

static struct ext_pending *pending_find(struct ext_script *s, struct pb_str id)
{
	struct pb_map_node *n = pb_map_first(&s->pending, pb_hash(id));

	for (; n; n = pb_map_next(n)) {
		struct ext_pending *p = pb_container(n, struct ext_pending, node);

		if (pb_str_eq(pending_id(p), id))
			return p;
	}
	return NULL;
}

struct pb_handle ext_pending_chan(struct ext_script *s, struct pb_str id)
{
	const struct ext_pending *p = pending_find(s, id);

	return p ? p->chan : s->locals.setdata ? s->chan : (struct pb_handle){ 0 };
}

static struct ext_pending *pending_new(struct ext_script *s, const struct pb_msg *m)
{
	struct ext_pending *p = pb_alloc_zero(1, sizeof(*p));
	struct pb_text id;

	if (!p)
		return NULL;
	pb_text_init_buf(&id, p->id, sizeof(p->id));
	pb_text_lit(&id, "pb.");
	pb_text_addf(&id, "%llx", (unsigned long long)++s->host->serial);
	p->id_n = (uint8_t)id.n;
	p->chan = pb_msg_chan(m);
	p->script = s;
	if (pb_map_add(&s->pending, &p->node, pb_hash(pending_id(p))) < 0) {
		pb_free(p);
		return NULL;
	}
	ext_script_ref(s);
	return p;
}

static void pending_free(struct ext_pending *p)
{
	struct ext_script *s = p->script;

	pb_map_remove(&s->pending, &p->node);
	pb_timer_stop(&p->sticky);
	pb_free(p);
	ext_script_unref(&s);
}

/* The record goes first: what the resume sets off may come back here. */
static void pending_resume(struct ext_pending *p, struct pb_patch *patch, enum pb_verdict v)
{
	struct pb_bus *bus = p->script->host->bus;
	struct pb_token token = p->token;

	pending_free(p);
	pb_bus_resume(bus, token, patch, v);
}

static void on_expired(void *arg)
{
	struct ext_pending *p = arg;
	struct ext_script *s = p->script;
	bool end = s->locals.timebomb || p->last_word;

	ext_script_ref(s);
	pending_free(p);
	ext_script_complain(s, EXT_SAY_TIMEOUT, "no answer in time%s", end ? ", it is ended" : "");
	if (end)
		ext_script_end(s, NULL);
	ext_script_unref(&s);
}

/* A malformed answer said true, and nothing better came in time. */
static void on_sticky(void *arg)
{
	pending_resume(arg, NULL, PB_HANDLED);
}

static unsigned hold_limit_ms(const struct ext_script *s)
{
	int64_t ms = s->locals.timeout_ms;

	return ms <= 0 || ms > INT32_MAX ? INT32_MAX : (unsigned)ms;
}

enum pb_verdict ext_deliver(struct ext_script *s, struct pb_msg *m, bool last_word)
{
	struct pb_hold hold = { .limit_ms = hold_limit_ms(s), .expired = on_expired };
	struct ext_pending *p;

	if (s->dying)
		return PB_PASS;
	if (s->locals.maxqueue && s->pending.count >= (size_t)s->locals.maxqueue) {
		ext_script_complain(s, EXT_SAY_QUEUE_FULL,
				    "%zu messages wait for it, others pass it by",
				    s->pending.count);
		return PB_PASS;
	}
	p = pending_new(s, m);
	if (!p)
		return PB_PASS;
	ext_put_delivery(ext_script_line(s), pending_id(p), m);
	if (!ext_script_send(s)) {
		pending_free(p);
		return PB_PASS;
	}
	hold.arg = p;
	p->last_word = last_word;
	p->due_ms = pb_loop_now_ms(s->host->loop) + hold.limit_ms;
	p->token = pb_bus_hold(m, &hold);
	if (p->token.gen)
		return PB_HOLD;
	pending_free(p);
	return PB_PASS;
}

/* The parameters as changes; NULL when there is no memory or they are malformed. */
static struct pb_patch *answer_patch(struct ext_script *s, const struct ext_answer *ans)
{
	struct pb_patch *patch = pb_patch_new();
	struct pb_str params = ans->params;
	struct pb_param p;
	int got;

	if (!patch)
		return NULL;
	if (ans->name.n)
		pb_patch_name(patch, ans->name);
	if (ans->retval.p)
		pb_patch_retval(patch, ans->retval);
	while ((got = ext_param_cut(&params, s->host->decoded, &p)) == 1) {
		if (p.value.p)
			pb_patch_set(patch, p.name, p.value);
		else
			pb_patch_clear(patch, p.name);
	}
	if (got < 0)
		pb_patch_free(&patch);
	return patch;
}

/* Its verdict stands in case that no better answer comes. */
static void answer_sticks(struct ext_pending *p, bool processed)
{
	struct pb_loop *l = p->script->host->loop;
	uint64_t now_ms = pb_loop_now_ms(l);

	pb_timer_stop(&p->sticky);
	if (!processed)
		return;
	pb_timer_init(&p->sticky, on_sticky, p);
	/* A little before the limit of the hold, which would win. */
	pb_timer_start(l, &p->sticky, p->due_ms > now_ms + 20 ? p->due_ms - now_ms - 20 : 0);
}

bool ext_answer(struct ext_script *s, struct pb_str rest)
{
	struct ext_answer ans;
	struct ext_pending *p;
	struct pb_patch *patch;
	bool refused;

	if (ext_parse_answer_head(&rest, s->host->decoded, &ans) < 0)
		return false;
	p = pending_find(s, ans.id);
	if (!p)
		return false;
	patch = ext_parse_answer_body(rest, s->host->decoded, &ans) == 0 ? answer_patch(s, &ans)
									 : NULL;
	if (!patch) {
		answer_sticks(p, ans.processed);
		return false;
	}
	refused = p->last_word && !ans.processed;
	pending_resume(p, patch, ans.processed ? PB_HANDLED : PB_PASS);
	if (refused)
		ext_script_end(s, NULL);
	return true;
}

/* ---- The end ------------------------------------------------------------------------ */

/* Removing a node that was stepped past leaves the iteration sound. */
static void each_interest_remove(struct pb_map *map)
{
	struct pb_map_node *next, *n = pb_map_each(map, NULL);

	for (; n; n = next) {
		next = pb_map_each(map, n);
		interest_remove(map, pb_container(n, struct ext_interest, node));
	}
}

void ext_delivery_end(struct ext_script *s)
{
	struct pb_map_node *next, *n = pb_map_each(&s->pending, NULL);

	each_interest_remove(&s->installed);
	each_interest_remove(&s->watched);
	for (; n; n = next) {
		next = pb_map_each(&s->pending, n);
		pending_resume(pb_container(n, struct ext_pending, node), NULL, PB_PASS);
	}
}
