/*
 * In: datagram, parse, judge, find the owner, pass up. Out: the loop's one
 * builder, the listener's socket. Each datagram costs one parse, or two when
 * another loop owns it; nothing is allocated on the way.
 */
#include "sip/stack/transport.h"

#include <errno.h>

#include "base/alloc.h"
#include "base/map.h"
#include "loop/world.h"

enum {
	MAX_BYTES = 1500,      /* of a datagram, when the listener does not say */
	SOURCES = 16,          /* cached answers of pb_udp_source, a power of two */
	SOURCE_MS = 10000,     /* how long one is believed: routes may change */
	RETRY_AFTER_MIN = 5,   /* seconds of a 503's Retry-After ... */
	RETRY_AFTER_SPAN = 11, /* ... 5..15, so that the refused do not come back together */
};

struct listener {
	struct sip_transport *t;
	struct pb_udp *udp; /* NULL: closed */
	char *text;         /* owns the two slices */
	struct pb_str name, advertised_host;
	uint16_t advertised_port;
	uint16_t number;
	uint8_t way; /* enum sip_way */
	bool fallback;
};

/** Which address packets to `peer` leave from: asked of the system once in a while. */
struct source {
	struct pb_addr peer, local;
	uint64_t until_ms; /* 0: empty */
};

struct sip_transport {
	struct sip_transport_args args;
	struct pb_str server; /* value of Server; empty: none */
	unsigned index;
	struct pb_text out;
	struct sip_build build;
	size_t reply_max; /* bytes of the stateless answer being built */
	struct sip_path reply_path;
	struct source sources[SOURCES];
	struct listener listeners[SIP_LISTENERS_MAX];
	unsigned listener_n;
	uint64_t counters[SIP_COUNTERS];
	struct sip_msg msg; /* the one being handled */
};

#define COUNT(t, what) ((t)->counters[SIP_N_##what]++)

/* ---- In -------------------------------------------------------------------- */

/** Nothing but CR, LF and NUL (RFC 5626 section 3.5.1, and what devices send). */
static bool is_keepalive(struct pb_str s)
{
	if (s.n > SIP_KEEPALIVE_LIMIT)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != '\r' && s.p[i] != '\n' && s.p[i] != '\0')
			return false;
	return true;
}

static void refuse_bad(struct sip_transport *t, const struct sip_arrival *in,
		       const struct sip_verdict *v)
{
	if (!in->msg->request) {
		COUNT(t, BAD_RESPONSE);
		return;
	}
	if (!v->answerable || in->msg->method == SIP_ACK) {
		COUNT(t, BAD_SILENT);
		return;
	}
	COUNT(t, BAD_ANSWERED);
	sip_reply(t, in, v->code, v->reason ? pb_str_z(v->reason) : PB_STR_NULL);
}

static void tap_in(struct sip_transport *t, const struct sip_path *path, struct pb_str bytes)
{
	if (t->args.tap)
		t->args.tap(t->args.arg, false, path, bytes);
}

enum { HANDED = 1, TRUNCATED = 2 };

/** Read, judge, and pass on. `how`: it was handed to this loop; it was longer. */
static void take(struct sip_transport *t, const struct sip_path *path, struct pb_str bytes,
		 unsigned how)
{
	struct sip_core core;
	struct sip_arrival in = { .msg = &t->msg, .core = &core, .path = *path };
	struct sip_verdict v;
	int owner;

	sip_msg_parse(&t->msg, bytes);
	v = sip_msg_check(&t->msg, &core);
	if (how & TRUNCATED) {
		v.code = 513; /* Message Too Large, RFC 3261 section 21.5.7 */
		v.reason = NULL;
	}
	if (v.code) {
		tap_in(t, path, bytes);
		refuse_bad(t, &in, &v);
		return;
	}
	owner = how & HANDED ? -1 : sip_owner(&t->msg, &core, sip_net_loops(t->args.net));
	if (owner >= 0 && (unsigned)owner != t->index) {
		if (sip_net_hand(t->args.net, t->args.loop, (unsigned)owner, path, bytes) == 0)
			COUNT(t, HANDED_OVER);
		else
			COUNT(t, HANDED_LOST);
		return;
	}
	tap_in(t, path, bytes);
	t->args.message(t->args.arg, &in);
}

static void on_datagram(void *arg, const struct pb_datagram *d)
{
	struct listener *l = arg;
	struct sip_transport *t = l->t;
	struct sip_path path = { .peer = d->from, .listener = l->number };

	COUNT(t, RECEIVED);
	if (is_keepalive(d->bytes)) {
		COUNT(t, KEEPALIVE);
		return;
	}
	if (d->bytes.n < SIP_DATAGRAM_MIN) {
		COUNT(t, SHORT);
		return;
	}
	if (d->truncated)
		COUNT(t, TRUNCATED);
	take(t, &path, d->bytes, d->truncated ? TRUNCATED : 0);
}

static void on_handed(void *arg, const struct sip_path *path, struct pb_str bytes)
{
	take(arg, path, bytes, HANDED);
}

/* ---- The transport --------------------------------------------------------- */

int sip_transport_new(const struct sip_transport_args *args, struct sip_transport **out)
{
	struct sip_transport *t = pb_alloc_zero(1, sizeof(*t));

	*out = NULL;
	if (!t)
		return -ENOMEM;
	t->args = *args;
	t->index = pb_loop_index(args->loop);
	pb_text_init(&t->out, SIP_MSG_LIMIT);
	sip_net_join(args->net, args->loop, on_handed, t);
	*out = t;
	return 0;
}

void sip_transport_free(struct sip_transport **t)
{
	if (!*t)
		return;
	sip_net_leave((*t)->args.net, (*t)->args.loop);
	for (unsigned i = 0; i < (*t)->listener_n; i++) {
		sip_transport_close(*t, i);
		pb_free((*t)->listeners[i].text);
	}
	pb_text_fini(&(*t)->out);
	pb_free(*t);
	*t = NULL;
}

struct pb_loop *sip_transport_loop(const struct sip_transport *t)
{
	return t->args.loop;
}

uint64_t *sip_transport_counters(struct sip_transport *t)
{
	t->counters[SIP_N_HANDED_POSTS] = sip_net_posts(t->args.net, t->args.loop);
	return t->counters;
}

struct pb_str sip_transport_id(struct sip_transport *t, char out[SIP_ID_BYTES])
{
	unsigned char random[SIP_ID_RANDOM];

	pb_loop_random(t->args.loop, random, sizeof(random));
	return sip_id_make(out, random, t->index);
}

struct pb_str sip_transport_branch(struct sip_transport *t, char out[SIP_BRANCH_BYTES])
{
	unsigned char random[SIP_ID_RANDOM];

	pb_loop_random(t->args.loop, random, sizeof(random));
	return sip_branch_make(out, random, t->index);
}

struct sip_build *sip_transport_build(struct sip_transport *t)
{
	pb_text_reset(&t->out);
	t->build = (struct sip_build){ .out = &t->out };
	return &t->build;
}

/* ---- Listeners ------------------------------------------------------------- */

static struct listener *listener_at(const struct sip_transport *t, unsigned number)
{
	if (number >= t->listener_n || !t->listeners[number].udp ||
	    t->listeners[number].way == SIP_WAY_CUT)
		return NULL;
	return (struct listener *)&t->listeners[number];
}

/** A place for it: that of a closed one of the same name, so numbers stay in step. */
static int listener_place(const struct sip_transport *t, struct pb_str name)
{
	for (unsigned i = 0; i < t->listener_n; i++) {
		if (!pb_str_eq(t->listeners[i].name, name))
			continue;
		return t->listeners[i].udp ? -EEXIST : (int)i;
	}
	return t->listener_n < SIP_LISTENERS_MAX ? (int)t->listener_n : -ENOSPC;
}

static int listener_texts(struct listener *l, const struct sip_listener_args *args)
{
	char *text = pb_alloc(args->name.n + args->advertised_host.n + 1);

	if (!text)
		return -ENOMEM;
	if (args->name.n)
		memcpy(text, args->name.p, args->name.n);
	if (args->advertised_host.n)
		memcpy(text + args->name.n, args->advertised_host.p, args->advertised_host.n);
	pb_free(l->text);
	l->text = text;
	l->name = pb_str(text, args->name.n);
	l->advertised_host = pb_str(text + args->name.n, args->advertised_host.n);
	return 0;
}

int sip_transport_listen(struct sip_transport *t, const struct sip_listener_args *args)
{
	int err, place = listener_place(t, args->name);
	struct listener *l;

	if (place < 0)
		return place;
	l = &t->listeners[place];
	err = listener_texts(l, args);
	if (err)
		return err;
	l->t = t;
	l->number = (uint16_t)place;
	l->advertised_port = args->advertised_port;
	l->fallback = args->fallback;
	if ((unsigned)place == t->listener_n)
		t->listener_n++; /* with its texts, also when it does not open */
	err = pb_udp_open(t->args.loop,
			  &(struct pb_udp_args){
				  .local = args->local,
				  .max_bytes = args->max_bytes ? args->max_bytes : MAX_BYTES,
				  .buffer_bytes = args->buffer_bytes,
				  .tos = args->tos,
				  .share = args->share,
				  .v6_only = pb_addr_is_v6(&args->local),
				  .fn = on_datagram,
				  .arg = l,
			  },
			  &l->udp);
	return err ? err : place;
}

void sip_transport_close(struct sip_transport *t, unsigned number)
{
	struct listener *l = number < t->listener_n ? &t->listeners[number] : NULL;

	/* It keeps its name, and with it its number. */
	if (l && l->udp)
		pb_udp_close(&l->udp);
}

int sip_listener_find(const struct sip_transport *t, struct pb_str name)
{
	int n = sip_listener_number(t, name);

	return n >= 0 && listener_at(t, (unsigned)n) ? n : -ENOENT;
}

int sip_listener_number(const struct sip_transport *t, struct pb_str name)
{
	for (unsigned i = 0; i < t->listener_n; i++)
		if (pb_str_eq(t->listeners[i].name, name))
			return (int)i;
	return -ENOENT;
}

void sip_transport_set_way(struct sip_transport *t, unsigned number, enum sip_way way)
{
	if (number < t->listener_n)
		t->listeners[number].way = (uint8_t)way;
	memset(t->sources, 0, sizeof(t->sources)); /* routes have changed with it */
}

bool sip_listener_serves(const struct sip_transport *t, unsigned number)
{
	const struct listener *l = listener_at(t, number);

	return l && l->way == SIP_WAY_OPEN;
}

int sip_listener_find_local(const struct sip_transport *t, const struct pb_addr *local)
{
	for (unsigned i = 0; i < t->listener_n; i++) {
		const struct pb_addr *a = sip_listener_local(t, i);

		if (!a || !pb_addr_eq_ip(a, local))
			continue;
		if (pb_addr_port(local) == 0 || pb_addr_port(local) == pb_addr_port(a))
			return (int)i;
	}
	return -ENOENT;
}

struct pb_str sip_listener_name(const struct sip_transport *t, unsigned number)
{
	const struct listener *l = listener_at(t, number);

	return l ? l->name : PB_STR_NULL;
}

const struct pb_addr *sip_listener_local(const struct sip_transport *t, unsigned number)
{
	const struct listener *l = listener_at(t, number);

	return l ? pb_udp_local(l->udp) : NULL;
}

/* ---- Paths ----------------------------------------------------------------- */

/** The local address of packets to `peer`; false when there is no route. */
static bool source_of(struct sip_transport *t, const struct pb_addr *peer, struct pb_addr *out)
{
	struct source *s = &t->sources[pb_addr_hash(peer) % SOURCES];
	uint64_t now = pb_loop_now_ms(t->args.loop);

	if (s->until_ms <= now || !pb_addr_eq(&s->peer, peer)) {
		if (pb_udp_source(t->args.loop, peer, &s->local) != 0) {
			s->until_ms = 0;
			return false;
		}
		s->peer = *peer;
		s->until_ms = now + SOURCE_MS;
	}
	*out = s->local;
	return true;
}

/** How well a listener fits a peer: 0 not at all. */
static unsigned fitness(const struct listener *l, const struct pb_addr *peer,
			const struct pb_addr *source)
{
	const struct pb_addr *local = pb_udp_local(l->udp);
	unsigned fit;

	if (pb_addr_is_v6(local) != pb_addr_is_v6(peer))
		return 0;
	if (source && pb_addr_eq_ip(local, source))
		fit = 6;
	else if (pb_addr_is_any(local))
		fit = 4;
	else if (pb_addr_is_loopback(local) == pb_addr_is_loopback(peer))
		fit = 2;
	else
		return 0;
	return fit + (l->fallback ? 1 : 0);
}

int sip_path_choose(struct sip_transport *t, const struct pb_addr *peer, struct sip_path *out)
{
	struct pb_addr source;
	bool routed = source_of(t, peer, &source);
	unsigned best = 0;

	*out = (struct sip_path){ .peer = *peer, .listener = SIP_LISTENER_NONE };
	for (unsigned i = 0; i < t->listener_n; i++) {
		const struct listener *l = listener_at(t, i);
		unsigned fit = 0;

		if (l && l->way == SIP_WAY_OPEN)
			fit = fitness(l, peer, routed ? &source : NULL);

		if (fit > best) {
			best = fit;
			out->listener = (uint16_t)i;
		}
	}
	return best ? 0 : -EHOSTUNREACH;
}

int sip_path_local(struct sip_transport *t, const struct sip_path *path, struct sip_local *out)
{
	const struct listener *l = listener_at(t, path->listener);
	struct pb_addr a;

	if (!l)
		return -ENOTCONN;
	a = *pb_udp_local(l->udp);
	out->port = l->advertised_port ? l->advertised_port : pb_addr_port(&a);
	if (l->advertised_host.n) {
		out->host = l->advertised_host;
		out->ip6 = pb_str_chr(out->host, ':') >= 0;
		return 0;
	}
	if (pb_addr_is_any(&a) && !source_of(t, &path->peer, &a))
		return -ENOTCONN;
	out->host = pb_addr_print_ip(&a, out->text);
	out->ip6 = pb_addr_is_v6(&a);
	return 0;
}

int sip_path_send(struct sip_transport *t, const struct sip_path *path, struct pb_str bytes)
{
	const struct listener *l = listener_at(t, path->listener);

	if (!l) {
		COUNT(t, SEND_FAILED);
		return -ENOTCONN;
	}
	COUNT(t, SENT);
	if (t->args.tap)
		t->args.tap(t->args.arg, true, path, bytes);
	pb_udp_send(l->udp, &path->peer, bytes);
	return 0;
}

/* ---- Answers without a transaction ----------------------------------------- */

/** The same for a request and its retransmissions, and nobody else's guess. */
static struct pb_str reply_tag(const struct sip_transport *t, const struct sip_core *core,
			       char out[SIP_ID_BYTES])
{
	unsigned char random[SIP_ID_RANDOM + 7] = { 0 };
	uint64_t h = pb_hash_mix(pb_hash(core->call_id), pb_hash(core->from_tag));
	uint64_t h2;

	h = pb_hash_mix(h, pb_hash(core->via.branch));
	h2 = pb_hash_mix(h, core->cseq.number);
	memcpy(random, &h, sizeof(h));
	memcpy(random + sizeof(h), &h2, sizeof(h2));
	return sip_id_make(out, random, t->index);
}

void sip_reply_begin(struct sip_transport *t, const struct sip_arrival *in, unsigned code,
		     struct pb_str reason, struct sip_build **b)
{
	char tag[SIP_ID_BYTES];

	sip_reply_begin_tagged(t, in, code, reason, reply_tag(t, in->core, tag), b);
}

void sip_reply_begin_tagged(struct sip_transport *t, const struct sip_arrival *in, unsigned code,
			    struct pb_str reason, struct pb_str tag, struct sip_build **b)
{
	char ip[PB_ADDR_TEXT];
	struct sip_answer a = {
		.code = code,
		.reason = reason,
		.to_tag = code == 100 ? PB_STR_NULL : tag,
		.received = pb_addr_print_ip(&in->path.peer, ip),
		.rport = pb_addr_port(&in->path.peer),
	};

	*b = sip_transport_build(t);
	t->reply_path = in->path;
	t->reply_max = 2 * in->msg->raw.n;
	sip_build_response(*b, &t->out, in->msg, &a);
	if (t->server.n)
		sip_build_hdr(*b, SIP_HDR_SERVER, t->server);
}

int sip_reply_send(struct sip_transport *t, struct pb_str type, struct pb_str body)
{
	int err = sip_build_end(&t->build, type, body);

	if (err)
		return err;
	if (t->out.n > t->reply_max) {
		COUNT(t, REPLY_TOO_BIG);
		return -EMSGSIZE;
	}
	COUNT(t, REPLIES);
	return sip_path_send(t, &t->reply_path, pb_text_str(&t->out));
}

int sip_reply(struct sip_transport *t, const struct sip_arrival *in, unsigned code,
	      struct pb_str reason)
{
	struct sip_build *b;

	sip_reply_begin(t, in, code, reason, &b);
	if (code == 503) {
		unsigned char r;

		pb_loop_random(t->args.loop, &r, 1);
		sip_build_number(b, SIP_HDR_RETRY_AFTER, RETRY_AFTER_MIN + r % RETRY_AFTER_SPAN);
	}
	return sip_reply_send(t, PB_STR_NULL, PB_STR_NULL);
}

void sip_transport_set_server(struct sip_transport *t, struct pb_str server)
{
	t->server = server;
}

struct pb_str sip_transport_server(const struct sip_transport *t)
{
	return t->server;
}

/* ---- Counters -------------------------------------------------------------- */

static const struct {
	const char *name, *doc;
} counter_rows[SIP_COUNTERS] = {
#define SIP_COUNTER(id, text) [SIP_N_##id] = { #id, text },
#include "sip/stack/counter.def"
#undef SIP_COUNTER
};

const char *sip_counter_name(enum sip_counter c)
{
	return counter_rows[c].name;
}

const char *sip_counter_doc(enum sip_counter c)
{
	return counter_rows[c].doc;
}
