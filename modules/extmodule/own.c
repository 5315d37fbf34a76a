/*
 * Messages that a script makes.
 *
 * While one is under way it is known by its address: it is dispatched on the
 * host's loop, where the bus hands handlers and hooks the message itself. So a
 * script is not asked and not told about what it made, unless it wants to be.
 * The dispatch is put off to the end of the turn, so a flood of lines cannot
 * nest, and many answers leave in one write.
 */
#include "extmodule/delivery.h"

#include <errno.h>

#include "base/alloc.h"

struct ext_own {
	struct pb_map_node node; /* host->own */
	struct pb_work work;
	struct ext_script *script; /* a reference */
	struct pb_msg *m;
	struct pb_str id; /* behind this struct; empty: no answer wanted */
	char text[];
};

static uint64_t own_hash(const struct pb_msg *m)
{
	return pb_hash(pb_str((const char *)&m, sizeof(m)));
}

/* One without an id counts as a stranger's. */
bool ext_is_own(struct ext_script *s, const struct pb_msg *m)
{
	struct pb_map_node *n = s->own ? pb_map_first(&s->host->own, own_hash(m)) : NULL;

	for (; n; n = pb_map_next(n)) {
		struct ext_own *o = pb_container(n, struct ext_own, node);

		if (o->m == m)
			return o->script == s && o->id.n;
	}
	return false;
}

static void own_free(struct ext_own *o)
{
	struct ext_script *s = o->script;

	pb_map_remove(&s->host->own, &o->node);
	s->own--;
	pb_msg_free(&o->m);
	pb_free(o);
	ext_script_unref(&s);
}

static void on_own_done(struct pb_msg *m, bool handled, void *arg)
{
	struct ext_own *o = arg;

	if (o->id.n && !o->script->dying) {
		ext_put_result(ext_script_line(o->script), o->id, handled, m);
		ext_script_send(o->script);
	}
	own_free(o);
}

static void own_dispatch(void *arg)
{
	struct ext_own *o = arg;

	pb_bus_dispatch(o->script->host->bus, o->m, NULL, on_own_done, o);
}

/* Takes over `*m` unless it fails. */
static struct ext_own *own_new(struct ext_script *s, struct pb_msg **m, struct pb_str id)
{
	struct ext_own *o = pb_alloc_zero(1, sizeof(*o) + id.n);

	if (!o)
		return NULL;
	if (id.n)
		memcpy(o->text, id.p, id.n);
	o->id = pb_str(o->text, id.n);
	if (pb_map_add(&s->host->own, &o->node, own_hash(*m)) < 0) {
		pb_free(o);
		return NULL;
	}
	o->m = *m;
	*m = NULL;
	o->script = s;
	o->work = (struct pb_work){ .fn = own_dispatch, .arg = o };
	s->own++;
	ext_script_ref(s);
	return o;
}

static bool fill(struct ext_script *s, struct pb_msg *m, const struct ext_message *in)
{
	struct pb_str params = in->params;
	struct pb_param p;
	int got;

	if (in->time_s && !s->locals.settime)
		pb_msg_set_time_us(m, in->time_s * 1000000);
	pb_msg_set_retval(m, in->retval);
	while ((got = ext_param_cut(&params, s->host->decoded, &p)) == 1) {
		if (p.value.p)
			pb_msg_set(m, p.name, p.value);
		else
			pb_msg_clear(m, p.name);
	}
	pb_msg_set_chan(m, ext_pending_chan(s, in->id));
	return got == 0;
}

/* Not dispatched, for want of room. */
static void refuse(struct ext_script *s, const struct ext_message *in, const struct pb_msg *m)
{
	ext_script_complain(s, EXT_SAY_FLOOD,
			    "%zu messages of its own are under way, more are refused", s->own);
	if (!in->id.n)
		return;
	ext_put_result(ext_script_line(s), in->id, false, m);
	ext_script_send(s);
}

bool ext_enqueue(struct ext_script *s, struct pb_str rest)
{
	struct ext_message in;
	struct ext_own *o;
	struct pb_msg *m;

	if (ext_parse_message(rest, s->host->decoded, &in) < 0)
		return false;
	m = pb_msg_new(in.name);
	if (!m || !fill(s, m, &in) || pb_msg_failed(m)) {
		pb_msg_free(&m);
		return false;
	}
	o = s->own < EXT_OWN_MAX ? own_new(s, &m, in.id) : NULL;
	if (o)
		pb_loop_defer(s->host->loop, &o->work);
	else
		refuse(s, &in, m);
	pb_msg_free(&m);
	return true;
}
