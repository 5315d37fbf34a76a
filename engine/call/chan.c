/*
 * Channels: made, joined, ended, and what they put into messages.
 *
 * Strings of a channel live in its own small arena. A status or address that
 * changes often would grow it, so those come from a handful of words.
 */
#include "call/call_impl.h"

#include <errno.h>

#include "base/text.h"

#define CHAN_LIMIT (1u << 20)

/* ---- The loop's record ---------------------------------------------------------- */

struct pbi_calls *pbi_calls_of(const struct pb_ctx *cx)
{
	struct pbi_calls *k = pb_loop_data(cx->loop);

	if (k)
		return k;
	k = pb_alloc_zero(1, sizeof(*k));
	if (!k)
		return NULL;
	k->bus = cx->bus;
	k->loop = cx->loop;
	k->index = pb_loop_index(cx->loop);
	k->loops = pb_loops_calls(pb_loop_set(cx->loop));
	pb_loop_set_data(cx->loop, k);
	return k;
}

static struct pbi_calls *here(void)
{
	struct pb_loop *l = pb_loop_current();

	return l ? pb_loop_data(l) : NULL;
}

static bool slot_take(struct pbi_calls *k, struct pb_chan *c)
{
	uint32_t at;

	if (!k->free_slot) {
		uint32_t n = k->slot_count ? k->slot_count * 2 : 64;
		struct pbi_chan_slot *s = pb_alloc_grow(k->slots, n * sizeof(*s));

		if (!s)
			return false;
		k->slots = s;
		for (uint32_t i = n; i-- > k->slot_count;) {
			s[i] = (struct pbi_chan_slot){ .gen = 1, .next_free = k->free_slot };
			k->free_slot = i + 1;
		}
		k->slot_count = n;
	}
	at = k->free_slot - 1;
	k->free_slot = k->slots[at].next_free;
	k->slots[at].chan = c;
	c->handle = (struct pb_handle){ .slot = at, .gen = k->slots[at].gen, .loop = (uint16_t)k->index };
	return true;
}

static void slot_give(struct pbi_calls *k, struct pb_handle h)
{
	struct pbi_chan_slot *s = &k->slots[h.slot];

	s->chan = NULL;
	if (!++s->gen)
		s->gen = 1;
	s->next_free = k->free_slot;
	k->free_slot = h.slot + 1;
}

struct pb_chan *pb_chan_get(struct pb_handle h)
{
	struct pbi_calls *k = here();

	if (!k || !h.gen || h.loop != k->index || h.slot >= k->slot_count || k->slots[h.slot].gen != h.gen)
		return NULL;
	return k->slots[h.slot].chan;
}

struct pb_chan *pb_chan_find(struct pb_str id)
{
	struct pbi_calls *k = here();

	if (!k)
		return NULL;
	for (struct pb_map_node *n = pb_map_first(&k->ids, pb_hash(id)); n; n = pb_map_next(n)) {
		struct pb_chan *c = pb_container(n, struct pb_chan, by_id);

		if (pb_str_eq(c->id, id))
			return c;
	}
	return NULL;
}

/* ---- Life --------------------------------------------------------------------------- */

static void on_timeout(void *arg)
{
	struct pb_chan *c = arg;

	pb_flight_note(c->driver->cx.bus, c->flight, c->id, PB_STR("the time of the call is over"));
	c->driver->ops->drop(c, PB_STR("timeout"), NULL);
}

static void on_maxcall(void *arg)
{
	struct pb_chan *c = arg;

	pb_flight_note(c->driver->cx.bus, c->flight, c->id, PB_STR("nobody has answered in time"));
	c->driver->ops->drop(c, PB_STR("noanswer"), NULL);
}

/* Our numbers modulo the call loops give the loop. */
static struct pb_str make_id(struct pb_driver *d, struct pb_chan *c)
{
	struct pbi_calls *k = d->calls;
	uint64_t n = d->next_number++ * k->loops + k->index;

	if (!n)
		n = d->next_number++ * k->loops;
	return pb_arena_printf(c->arena, "%.*s%llu", PB_STR_F(d->prefix), (unsigned long long)n);
}

static struct pb_str make_billid(struct pb_driver *d, struct pb_chan *c)
{
	struct pbi_calls *k = d->calls;
	struct pb_str run = pb_engine_run_param(pb_engine_of(&d->cx), PB_STR("runid"));

	return pb_arena_printf(c->arena, "%.*s-%llu", PB_STR_F(run),
			       (unsigned long long)(k->next_bill++ * k->loops + k->index + 1));
}

static void chan_free(struct pb_chan *c)
{
	pb_msg_free(&c->params);
	pb_notices_unref(&c->notices);
	pb_arena_free(&c->arena);
	pb_free(c);
}

/* ---- Its record ----------------------------------------------------------------------- */

static void record_begin(struct pb_chan *c, struct pb_handle given)
{
	struct pb_bus *b = c->driver->cx.bus;
	enum pb_flight_begun how;

	c->judges = !c->outgoing || !pb_handle_is_set(given);
	c->flight = pb_flight_use(b, given);
	if (pb_handle_is_set(c->flight))
		pb_flight_key(b, c->flight, c->id);
	else
		c->flight = pb_flight_begin(b, c->id, &how);
	pb_flight_key(b, c->flight, c->billid);
	pb_flight_state(b, c->flight, c->id, c->status);
}

/* Reasons that are nobody's failure. */
static bool is_normal(const struct pb_chan *c, struct pb_str reason)
{
	static const struct pb_str bad[] = {
		PB_STR_INIT("timeout"), PB_STR_INIT("noanswer"), PB_STR_INIT("noresource"), PB_STR_INIT("failure"),
		PB_STR_INIT("noconn"),	PB_STR_INIT("nomedia"),	 PB_STR_INIT("congestion"),
	};
	uint32_t code;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (pb_str_eq(reason, bad[i]))
			return false;
	}
	return !c->params || pb_str_to_u32(pb_msg_get(c->params, PB_STR("cause_sip")), 400, 699, &code);
}

static void record_end(struct pb_chan *c, struct pb_str reason)
{
	struct pb_bus *b = c->driver->cx.bus;
	enum pb_flight_outcome how = c->answered && is_normal(c, reason) ? PB_FLIGHT_WELL : PB_FLIGHT_BADLY;
	struct pb_str code = c->params ? pb_msg_get(c->params, PB_STR("cause_sip")) : PB_STR_NULL;
	struct pb_text t;
	char buf[128];

	if (!pb_handle_is_set(c->flight))
		return;
	pb_text_init_buf(&t, buf, sizeof(buf));
	pb_text_addf(&t, "%.*s%s%.*s", PB_STR_F(pb_str_head(code, 3)), code.n && reason.n ? " " : "",
		     PB_STR_F(pb_str_head(reason, 80)));
	pb_flight_note(b, c->flight, c->id, pb_text_str(&t).n ? pb_text_str(&t) : PB_STR("ended"));
	pb_flight_end(b, c->flight, c->judges ? how : PB_FLIGHT_NO_OPINION, pb_text_str(&t));
}

struct pb_chan *pb_chan_new(const struct pb_chan_args *args)
{
	struct pb_driver *d = args->driver;
	struct pb_chan *c;

	if (d->max_chans && d->counts.chans >= d->max_chans)
		return NULL;
	c = pb_alloc_zero(1, sizeof(*c));
	if (!c)
		return NULL;
	c->arena = pb_arena_new_small(CHAN_LIMIT);
	c->notices = pb_notices_new(d->cx.bus);
	if (!c->arena || !c->notices)
		goto fail;
	pb_questions_init(&c->questions);
	pb_timer_init(&c->timeout, on_timeout, c);
	pb_timer_init(&c->maxcall, on_maxcall, c);
	c->driver = d;
	c->outgoing = args->outgoing;
	c->user = args->user;
	c->timeout_ms = d->timeout_ms;
	c->id = make_id(d, c);
	c->address = pb_arena_str(c->arena, args->address);
	c->status = args->outgoing ? PB_STR("outgoing") : PB_STR("incoming");
	c->billid = args->billid.n || args->outgoing ? pb_arena_str(c->arena, args->billid) : make_billid(d, c);
	if (pb_arena_failed(c->arena) || !slot_take(d->calls, c))
		goto fail;
	if (pb_map_add(&d->calls->ids, &c->by_id, pb_hash(c->id))) {
		slot_give(d->calls, c->handle);
		goto fail;
	}
	record_begin(c, args->flight);
	pb_list_push(&d->chans, &c->node);
	d->counts.chans++;
	d->counts.total++;
	return c;

fail:
	chan_free(c);
	return NULL;
}

/* Out of every table: from here on nobody finds it. */
static void unlist(struct pb_chan *c)
{
	struct pb_driver *d = c->driver;

	pb_timer_stop(&c->timeout);
	pb_timer_stop(&c->maxcall);
	pb_map_remove(&d->calls->ids, &c->by_id);
	slot_give(d->calls, c->handle);
	pb_list_remove(&c->node);
	d->counts.chans--;
	if (c->routing)
		d->counts.routing--;
	c->routing = false;
}

/* Most channels store nothing until they end: the store is made then. */
static size_t stored(const struct pb_chan *c)
{
	return c->params ? pb_msg_count(c->params) : 0;
}

static void send_hangup(struct pb_chan *c, struct pb_str reason)
{
	struct pb_msg *m = pb_chan_msg(c, PB_STR("chan.hangup"), false);

	if (!m)
		return;
	for (size_t i = 0; i < stored(c); i++)
		pb_msg_set(m, pb_msg_at(c->params, i)->name, pb_msg_at(c->params, i)->value);
	if (reason.n)
		pb_msg_set(m, PB_STR("reason"), reason);
	pb_chan_notice(c, m);
}

/* chan.disconnected has been walked: kept, or ended now. */
static void disconnected(struct pb_msg *m, bool handled, void *arg)
{
	struct pb_chan *c = pb_chan_get(pb_msg_chan(m));

	(void)arg;
	if (c && !handled && !c->peer)
		c->driver->ops->drop(c, pb_msg_get(m, PB_STR("reason")), m);
	pb_msg_free(&m);
}

static void tell_peer(struct pb_chan *p, struct pb_chan *gone, struct pb_str reason)
{
	struct pb_msg *m;

	p->peer = NULL;
	p->lastpeerid = pb_arena_str(p->arena, gone->id);
	m = pb_chan_msg(p, PB_STR("chan.disconnected"), false);
	if (!m) {
		p->driver->ops->drop(p, reason, NULL);
		return;
	}
	for (size_t i = 0; i < stored(gone); i++) {
		const struct pb_param *x = pb_msg_at(gone->params, i);

		if (!pb_msg_has(m, x->name))
			pb_msg_set(m, x->name, x->value);
	}
	if (reason.n)
		pb_msg_set(m, PB_STR("reason"), reason);
	p->targetid = PB_STR_NULL;
	pb_notices_add_done(p->notices, m, disconnected, NULL);
}

void pb_chan_end(struct pb_chan **cp, struct pb_str reason)
{
	struct pb_chan *c = *cp, *peer;

	if (!c)
		return;
	*cp = NULL;
	pb_assert(!c->ended);
	c->ended = true;
	peer = c->peer;
	c->peer = NULL;
	if (peer)
		c->lastpeerid = pb_arena_str(c->arena, peer->id);
	reason = pb_arena_str(c->arena, reason);
	send_hangup(c, reason);
	record_end(c, reason);
	unlist(c);
	/* Before the questions: who is told that one is given up may end the peer. */
	if (peer)
		tell_peer(peer, c, reason);
	pb_questions_cancel(&c->questions);
	chan_free(c);
}

/* ---- Joining --------------------------------------------------------------------------- */

static void part(struct pb_chan *c, struct pb_str reason)
{
	struct pb_chan *p = c->peer;

	if (!p)
		return;
	c->peer = NULL;
	c->lastpeerid = pb_arena_str(c->arena, p->id);
	tell_peer(p, c, reason);
}

/* Legs that meet later have records of their own, which name each other. */
static void record_join(struct pb_chan *c, const struct pb_chan *with)
{
	struct pb_text t;
	char buf[64];

	if (c->flight.slot == with->flight.slot && c->flight.gen == with->flight.gen)
		return;
	pb_text_init_buf(&t, buf, sizeof(buf));
	pb_text_addf(&t, "joined with %.*s", PB_STR_F(with->id));
	pb_flight_note(c->driver->cx.bus, c->flight, c->id, pb_text_str(&t));
}

static void say_connected(struct pb_chan *c, struct pb_str reason)
{
	struct pb_msg *m = pb_chan_msg(c, PB_STR("chan.connected"), false);

	if (m && reason.n)
		pb_msg_set(m, PB_STR("reason"), reason);
	pb_chan_notice(c, m);
	c->lastpeerid = pb_arena_str(c->arena, c->peer->id);
}

int pb_chan_connect(struct pb_chan *a, struct pb_chan *b, struct pb_str reason)
{
	if (a == b || a->ended || b->ended)
		return -EINVAL;
	if (a->peer == b)
		return 0;
	part(a, reason);
	part(b, reason);
	a->peer = b;
	b->peer = a;
	if (!a->billid.n)
		a->billid = pb_arena_str(a->arena, b->billid);
	if (!b->billid.n)
		b->billid = pb_arena_str(b->arena, a->billid);
	record_join(a, b);
	record_join(b, a);
	say_connected(a, reason);
	say_connected(b, reason);
	return 0;
}

/* ---- Messages ---------------------------------------------------------------------------- */

static void set_known(struct pb_msg *m, struct pb_str name, struct pb_str value)
{
	if (value.n)
		pb_msg_set(m, name, value);
}

void pb_chan_complete(struct pb_chan *c, struct pb_msg *m, bool minimal)
{
	pb_msg_set_chan(m, c->handle);
	if (!pb_handle_is_set(pb_msg_flight(m)))
		pb_msg_set_flight(m, c->flight);
	pb_msg_set(m, PB_STR("id"), c->id);
	pb_msg_set(m, PB_STR("module"), c->driver->name);
	if (minimal)
		return;
	set_known(m, PB_STR("status"), c->status);
	set_known(m, PB_STR("address"), c->address);
	set_known(m, PB_STR("targetid"), c->targetid);
	set_known(m, PB_STR("billid"), c->billid);
	if (c->peer)
		pb_msg_set(m, PB_STR("peerid"), c->peer->id);
	set_known(m, PB_STR("lastpeerid"), c->lastpeerid);
	pb_msg_set_bool(m, PB_STR("answered"), c->answered);
	pb_msg_set(m, PB_STR("direction"), c->outgoing ? PB_STR("outgoing") : PB_STR("incoming"));
	if (c->driver->ops->complete)
		c->driver->ops->complete(c, m);
}

struct pb_msg *pb_chan_msg(struct pb_chan *c, struct pb_str name, bool minimal)
{
	struct pb_msg *m = pb_msg_new(name);

	if (m)
		pb_chan_complete(c, m, minimal);
	return m;
}

void pb_chan_notice(struct pb_chan *c, struct pb_msg *m)
{
	if (m)
		pb_notices_add(c->notices, m);
}

void pb_chan_ask(struct pb_chan *c, struct pb_msg *m, pb_done_fn done, void *arg)
{
	pb_bus_dispatch(c->driver->cx.bus, m, &c->questions, done, arg);
}

/* ---- Reading and setting --------------------------------------------------------------------- */

struct pb_str pb_chan_id(const struct pb_chan *c)
{
	return c->id;
}

struct pb_handle pb_chan_handle(const struct pb_chan *c)
{
	return c->handle;
}

void *pb_chan_user(const struct pb_chan *c)
{
	return c->user;
}

struct pb_handle pb_chan_flight(const struct pb_chan *c)
{
	return c->flight;
}

struct pb_driver *pb_chan_driver(const struct pb_chan *c)
{
	return c->driver;
}

struct pb_chan *pb_chan_peer(const struct pb_chan *c)
{
	return c->peer;
}

bool pb_chan_is_outgoing(const struct pb_chan *c)
{
	return c->outgoing;
}

bool pb_chan_is_answered(const struct pb_chan *c)
{
	return c->answered;
}

struct pb_str pb_chan_status(const struct pb_chan *c)
{
	return c->status;
}

struct pb_str pb_chan_billid(const struct pb_chan *c)
{
	return c->billid;
}

struct pb_str pb_chan_targetid(const struct pb_chan *c)
{
	return c->targetid;
}

void pb_chan_set_status(struct pb_chan *c, struct pb_str status)
{
	if (!pb_str_eq(c->status, status)) {
		c->status = pb_arena_str(c->arena, status);
		pb_flight_state(c->driver->cx.bus, c->flight, c->id, status);
	}
	if (!c->answered && pb_str_eq(status, PB_STR("answered"))) {
		c->answered = true;
		pb_timer_stop(&c->maxcall);
		if (c->timeout_ms)
			pb_timer_start(c->driver->cx.loop, &c->timeout, c->timeout_ms);
	}
}

void pb_chan_set_address(struct pb_chan *c, struct pb_str address)
{
	if (!pb_str_eq(c->address, address))
		c->address = pb_arena_str(c->arena, address);
}

void pb_chan_set_param(struct pb_chan *c, struct pb_str name, struct pb_str value)
{
	if (!c->params)
		c->params = pb_msg_new(PB_STR("params"));
	if (c->params)
		pb_msg_set(c->params, name, value);
}

void pb_chan_copy_params(struct pb_chan *c, const struct pb_msg *m)
{
	struct pb_str list = pb_msg_get(m, PB_STR("copyparams")), name;

	while (pb_str_cut(&list, ',', &name)) {
		name = pb_str_trim(name);
		if (pb_msg_has(m, name))
			pb_chan_set_param(c, name, pb_msg_get(m, name));
	}
}

static void set_timer(struct pb_chan *c, struct pb_timer *t, uint64_t ms)
{
	if (ms)
		pb_timer_start(c->driver->cx.loop, t, ms);
	else
		pb_timer_stop(t);
}

void pb_chan_set_timeout(struct pb_chan *c, uint64_t ms)
{
	c->timeout_ms = ms;
	set_timer(c, &c->timeout, ms);
}

void pb_chan_set_maxcall(struct pb_chan *c, uint64_t ms)
{
	c->maxcall_ms = ms;
	set_timer(c, &c->maxcall, ms);
	if (ms) /* the limit until the answer suspends the other */
		pb_timer_stop(&c->timeout);
}
