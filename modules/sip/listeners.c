/*
 * The listeners: their sockets on each loop, and the network under them.
 *
 * The home loop watches the machine's addresses (loop/netwatch.h) and is the
 * only one to judge: it notes the state of each listener where all loops read
 * it, says so once, and posts to the others, who carry it out: the way of a
 * suspended listener rests, that of an inactive one is cut and what was on it
 * ends. A socket stays as it is while its address is away: the kernel lets it go
 * on when the address is back.
 *
 * An address that the kernel let us have and that no link has (bound to a route,
 * or watching is not allowed) is never judged: what was never seen is not missed.
 */
#include "sip/leg.h"

#include <errno.h>

#include "base/alloc.h"
#include "loop/holder.h"
#include "loop/netwatch.h"
#include "loop/world.h"

/* A link is told to be up shortly before its addresses can be bound. */
#define RETRY_MS 500

struct one {
	struct pb_addr local;
	_Atomic uint8_t state; /* enum sip_listener_state */
	bool seen; /* some link has had its address */
};

/* What is not atomic is the home loop's, or constant. */
struct sip_listeners {
	const struct sip_settings *conf; /* as of start, referenced */
	struct pb_ctx *home;
	struct pb_netwatch *watch;
	struct pb_timer retry;
	struct one at[SIP_LISTENERS_MAX];
};

static const struct {
	const char *word, *text;
} states[] = {
	[SIP_LISTENER_ACTIVE] = { "active", "its address can be reached" },
	[SIP_LISTENER_SUSPENDED] = { "suspended", "its interface is down" },
	[SIP_LISTENER_INACTIVE] = { "inactive", "its address is gone" },
	[SIP_LISTENER_UNAVAILABLE] = { "unavailable", "its address is not here yet" },
};

static struct sip_listeners *listeners_of(const struct sip_loop *sl)
{
	return ((struct sip_shared *)sl->cx->shared)->listeners;
}

static bool is_home(const struct sip_loop *sl)
{
	return sl->cx->loop == pb_engine_home(sl->cx);
}

/* ---- Sockets --------------------------------------------------------------------------- */

static int listener_addr(const struct sip_listener_conf *l, struct pb_addr *out)
{
	struct pb_str ip = l->addr.n ? l->addr : l->ipv6 ? PB_STR("::") : PB_STR("0.0.0.0");

	return pb_addr_parse(ip, (uint16_t)l->port, out);
}

/* Why, and who has it. */
static void say_closed(const struct sip_listener_conf *l, const struct pb_addr *a, int err)
{
	char text[PB_ADDR_TEXT];
	struct pb_text why;

	pb_text_init(&why, 1024);
	pb_port_say(&why, PB_UDP, a, err);
	SIP_LOG(NO_LISTEN, "listener '%.*s' on UDP %.*s: %.*s", PB_STR_F(l->name), PB_STR_F(pb_addr_print(a, text)),
		PB_STR_F(pb_text_str(&why)));
	pb_text_fini(&why);
}

static int open_one(struct sip_loop *sl, const struct sip_listener_conf *l)
{
	struct sip_listener_args a = {
		.name = l->name,
		.max_bytes = (unsigned)l->maxpkt,
		.buffer_bytes = (unsigned)l->buffer,
		.tos = l->tos,
		.advertised_host = l->advertised.n ? l->advertised : PB_STR_NULL,
		.share = true,
		.fallback = l->fallback,
	};
	int err = listener_addr(l, &a.local);
	int n = err ? err : sip_transport_listen(sl->transport, &a);

	return n < 0 ? n : 0;
}

/* The addresses must be free now: with SO_REUSEPORT a second engine would get
 * every other packet of ours. One that is not here may come; another must be. */
static int probe(struct sip_listeners *ls, struct pb_world *w)
{
	size_t absent = 0;
	int err = 0;

	for (size_t i = 0; i < ls->conf->listener_count; i++) {
		err = listener_addr(&ls->conf->listeners[i], &ls->at[i].local);
		if (!err)
			err = pb_udp_probe(w, &ls->at[i].local);
		if (!err)
			continue;
		say_closed(&ls->conf->listeners[i], &ls->at[i].local, err);
		if (err != -EADDRNOTAVAIL)
			return err;
		ls->at[i].state = SIP_LISTENER_UNAVAILABLE;
		absent++;
	}
	return absent && absent == ls->conf->listener_count ? -EADDRNOTAVAIL : 0;
}

/* ---- On each loop ------------------------------------------------------------------------ */

static void end_legs(struct sip_loop *sl, unsigned number)
{
	struct pb_list kept, *node;

	pb_list_init(&kept);
	while ((node = pb_list_pop(&sl->legs))) {
		struct sip_leg *leg = pb_container(node, struct sip_leg, node);

		if (!leg->dialog || sip_dialog_path(leg->dialog)->listener != number) {
			pb_list_push(&kept, node);
			continue;
		}
		if (leg->chan)
			sip_leg_cause(leg, 503, PB_STR_NULL);
		sip_leg_end(&leg, PB_STR("noconn"));
	}
	while ((node = pb_list_pop(&kept)))
		pb_list_push(&sl->legs, node);
}

static void carry_out(struct sip_loop *sl, size_t i, enum sip_listener_state state)
{
	const struct sip_listener_conf *l = &listeners_of(sl)->conf->listeners[i];
	int number = sip_listener_number(sl->transport, l->name), err;

	if (number < 0)
		return;
	switch (state) {
	case SIP_LISTENER_ACTIVE:
		sip_transport_set_way(sl->transport, (unsigned)number, SIP_WAY_OPEN);
		err = sip_listener_serves(sl->transport, (unsigned)number) ? 0 : open_one(sl, l);
		if (err)
			say_closed(l, &listeners_of(sl)->at[i].local, err);
		return;
	case SIP_LISTENER_SUSPENDED:
		sip_transport_set_way(sl->transport, (unsigned)number, SIP_WAY_RESTING);
		return;
	case SIP_LISTENER_INACTIVE:
		sip_transport_set_way(sl->transport, (unsigned)number, SIP_WAY_CUT);
		end_legs(sl, (unsigned)number);
		sip_stack_cut(sl->stack, (unsigned)number);
		return;
	case SIP_LISTENER_UNAVAILABLE:
		return;
	}
}

static void on_news(void *arg)
{
	struct sip_loop *sl = arg;
	struct sip_listeners *ls = listeners_of(sl);

	atomic_store(&sl->news_out, false);
	if (!sl->transport)
		return;
	for (size_t i = 0; i < ls->conf->listener_count; i++) {
		uint8_t state = atomic_load(&ls->at[i].state);

		if (state == sl->listener_states[i])
			continue;
		sl->listener_states[i] = state;
		carry_out(sl, i, (enum sip_listener_state)state);
	}
}

bool sip_listeners_rest(const struct sip_loop *sl)
{
	for (size_t i = 0; i < listeners_of(sl)->conf->listener_count; i++)
		if (sl->listener_states[i] != SIP_LISTENER_ACTIVE)
			return true;
	return false;
}

/* ---- At home ------------------------------------------------------------------------------ */

static void tell(struct sip_listeners *ls, size_t i, enum sip_listener_state state)
{
	struct pb_msg *m = pb_msg_new(PB_STR("module.update"));
	struct pb_str name = ls->conf->listeners[i].name;
	char addr[PB_ADDR_TEXT];

	if (!m)
		return;
	pb_msg_add(m, PB_STR("module"), PB_STR("sip"));
	pb_msg_add(m, PB_STR("from"), PB_STR("sip"));
	pb_msg_add(m, PB_STR("text"),
		   pb_arena_printf(pb_msg_arena(m), "listener '%.*s' on %.*s is %s: %s", PB_STR_F(name),
				   PB_STR_F(pb_addr_print(&ls->at[i].local, addr)), states[state].word,
				   states[state].text));
	pb_msg_add(m, PB_STR("operational"), state == SIP_LISTENER_ACTIVE ? PB_STR("true") : PB_STR("false"));
	pb_msg_add(m, PB_STR("connection_id"), name);
	pb_msg_add(m, PB_STR("status"), pb_str_z(states[state].word));
	if (state == SIP_LISTENER_ACTIVE)
		SIP_LOG(SERVES, "%.*s", PB_STR_F(pb_msg_get(m, PB_STR("text"))));
	else
		SIP_LOG(SERVES_NOT, "%.*s", PB_STR_F(pb_msg_get(m, PB_STR("text"))));
	pb_bus_enqueue(ls->home->bus, m);
}

static void change(struct sip_listeners *ls, size_t i, enum sip_listener_state state)
{
	struct pb_loops *all = pb_loop_set(ls->home->loop);

	atomic_store(&ls->at[i].state, state);
	tell(ls, i, state);
	on_news(sip_on(ls->home));
	for (unsigned n = 0; n < pb_loops_calls(all); n++) {
		struct sip_loop *sl = sip_on(pb_engine_ctx(ls->home, pb_loops_at(all, n)));

		if (sl != sip_on(ls->home) && !atomic_exchange(&sl->news_out, true))
			pb_loop_post(pb_loops_at(all, n), &sl->news);
	}
}

/* What a listener has come to be. */
static enum sip_listener_state judge(struct sip_listeners *ls, struct one *l)
{
	enum sip_listener_state is = atomic_load(&l->state);
	enum pb_net_state net = pb_netwatch_look(ls->watch, &l->local);

	l->seen = l->seen || net != PB_NET_ABSENT;
	if (is == SIP_LISTENER_UNAVAILABLE && net != PB_NET_SERVES)
		return is;
	switch (net) {
	case PB_NET_ABSENT:
		return l->seen ? SIP_LISTENER_INACTIVE : is;
	case PB_NET_IDLE:
		return SIP_LISTENER_SUSPENDED;
	case PB_NET_SERVES:
		break;
	}
	return SIP_LISTENER_ACTIVE;
}

static void judge_all(void *arg)
{
	struct sip_listeners *ls = arg;

	for (size_t i = 0; i < ls->conf->listener_count; i++) {
		struct one *l = &ls->at[i];
		enum sip_listener_state was = atomic_load(&l->state), is = judge(ls, l);

		if (is == was || pb_addr_is_any(&l->local))
			continue;
		if (was == SIP_LISTENER_UNAVAILABLE &&
		    pb_udp_probe(pb_engine_world(pb_engine_of(ls->home)), &l->local))
			pb_timer_start(ls->home->loop, &ls->retry, RETRY_MS);
		else
			change(ls, i, is);
	}
}

static void on_change(void *arg, const struct pb_net_change *c)
{
	(void)c;
	judge_all(arg);
}

static void watch(struct sip_listeners *ls)
{
	struct pb_netwatch_args a = { .loop = ls->home->loop, .fn = on_change, .arg = ls };
	int err;

	for (size_t i = 0; i < ls->conf->listener_count; i++)
		if (ls->at[i].state == SIP_LISTENER_UNAVAILABLE)
			tell(ls, i, SIP_LISTENER_UNAVAILABLE);
	err = pb_netwatch_new(&a, &ls->watch);
	if (err)
		SIP_LOG(NO_WATCH, "the network cannot be watched: %s", strerror(-err));
}

/* ---- Life ---------------------------------------------------------------------------------- */

int sip_listeners_new(struct pb_ctx *cx)
{
	struct sip_shared *sh = cx->shared;
	struct sip_listeners *ls = pb_alloc_zero(1, sizeof(*ls));
	int err;

	if (!ls)
		return -ENOMEM;
	ls->conf = pb_settings_ref(cx);
	ls->home = pb_engine_ctx(cx, pb_engine_home(cx));
	pb_timer_init(&ls->retry, judge_all, ls);
	sh->listeners = ls;
	err = probe(ls, pb_engine_world(pb_engine_of(cx)));
	if (err)
		sip_listeners_free(cx);
	return err;
}

void sip_listeners_free(struct pb_ctx *cx)
{
	struct sip_shared *sh = cx->shared;

	if (!sh->listeners)
		return;
	pb_settings_unref(cx, sh->listeners->conf);
	pb_free(sh->listeners);
	sh->listeners = NULL;
}

int sip_listeners_open(struct sip_loop *sl)
{
	struct sip_listeners *ls = listeners_of(sl);
	char text[PB_ADDR_TEXT];

	sl->news = (struct pb_work){ .fn = on_news, .arg = sl };
	for (size_t i = 0; i < ls->conf->listener_count; i++) {
		const struct sip_listener_conf *l = &ls->conf->listeners[i];
		int err = open_one(sl, l);

		sl->listener_states[i] = atomic_load(&ls->at[i].state);
		if (err && sl->listener_states[i] != SIP_LISTENER_UNAVAILABLE) {
			say_closed(l, &ls->at[i].local, err);
			return err;
		}
		if (!err && is_home(sl))
			SIP_LOG(LISTEN, "listener '%.*s' on UDP %.*s", PB_STR_F(l->name),
				PB_STR_F(pb_addr_print(
					sip_listener_local(sl->transport,
							   (unsigned)sip_listener_find(sl->transport, l->name)),
					text)));
	}
	if (is_home(sl))
		watch(ls);
	return 0;
}

void sip_listeners_close(struct sip_loop *sl)
{
	struct sip_listeners *ls = listeners_of(sl);

	if (!ls || !is_home(sl))
		return;
	pb_timer_stop(&ls->retry);
	pb_netwatch_free(&ls->watch);
}

/* ---- Status ---------------------------------------------------------------------------------- */

static void add_status(struct pb_text *t, const struct sip_loop *sl, size_t i)
{
	const struct sip_listeners *ls = listeners_of(sl);
	enum sip_listener_state state = atomic_load(&ls->at[i].state);
	int n = sip_listener_number(sl->transport, ls->conf->listeners[i].name);
	const struct pb_addr *a = n < 0 ? NULL : sip_listener_local(sl->transport, (unsigned)n);
	char addr[PB_ADDR_TEXT];

	pb_text_addf(t, "%c%.*s=UDP|%.*s|", i ? ',' : ';', PB_STR_F(ls->conf->listeners[i].name),
		     PB_STR_F(pb_addr_print(a ? a : &ls->at[i].local, addr)));
	if (state == SIP_LISTENER_ACTIVE)
		pb_text_lit(t, "Listening|");
	else
		pb_text_addf(t, "Idle|%s: %s", states[state].word, states[state].text);
}

void sip_listeners_status(struct sip_loop *sl, struct pb_status *s)
{
	size_t n = listeners_of(sl)->conf->listener_count;
	struct pb_text t;

	if (!is_home(sl))
		return;
	pb_text_init(&t, 65536);
	pb_text_addf(&t, "module=sip,protocol=SIP,format=Proto|Address|Status|Reason;listeners=%zu", n);
	for (size_t i = 0; i < n; i++)
		add_status(&t, sl, i);
	pb_status_line(s, pb_text_str(&t));
	pb_text_fini(&t);
}
