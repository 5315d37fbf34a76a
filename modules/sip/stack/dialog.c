/*
 * A dialog owns two or three small blocks of text: what never changes, what the
 * peer's tag and route set are, and where its target is, which moves. Values are
 * kept as they go into headers, so that a request is written by copying.
 *
 * Text from the wire may be folded; it is kept with its line ends made blanks.
 */
#include "sip/stack/dialog.h"

#include <errno.h>

#include "base/alloc.h"

enum {
	ROUTES_MAX = 64,   /* values of a route set */
	MAX_FORWARDS = 70, /* RFC 3261 section 8.1.1.6 */
};

/* ---- Blocks of text -------------------------------------------------------- */

/** Append, CR and LF made blanks. */
static struct pb_str put(char **at, struct pb_str s)
{
	struct pb_str copy = pb_str(*at, s.n);

	for (size_t i = 0; i < s.n; i++)
		*(*at)++ = s.p[i] == '\r' || s.p[i] == '\n' ? ' ' : s.p[i];
	return copy;
}

static const struct pb_str tag_param = PB_STR_INIT(";tag=");

/** `uri;tag=tag`; *tag becomes a view into it. */
static struct pb_str put_tagged(char **at, struct pb_str uri, struct pb_str *tag)
{
	char *start = *at;

	put(at, uri);
	if (tag->p) {
		put(at, tag_param);
		*tag = put(at, *tag);
	}
	return pb_str(start, (size_t)(*at - start));
}

/** Room for the name-addr of an address. */
static size_t addr_bytes(const struct sip_addr *a)
{
	return a->display.n + a->uri.n + 3;
}

/** `display <uri>` */
static struct pb_str put_addr(char **at, const struct sip_addr *a)
{
	char *start = *at;

	if (a->display.n) {
		put(at, a->display);
		*(*at)++ = ' ';
	}
	*(*at)++ = '<';
	put(at, a->uri);
	*(*at)++ = '>';
	return pb_str(start, (size_t)(*at - start));
}

/* ---- Route sets and targets ------------------------------------------------ */

struct routes {
	struct pb_str item[ROUTES_MAX];
	unsigned n;
	size_t bytes; /* joined */
};

/** The Record-Routes of a message, top first. */
static void routes_read(struct routes *r, const struct sip_msg *m)
{
	struct sip_values v;
	struct pb_str item;

	r->n = 0;
	r->bytes = 0;
	sip_values_init(&v, m, SIP_HDR_RECORD_ROUTE);
	while (r->n < ROUTES_MAX && sip_values_next(&v, &item)) {
		r->item[r->n++] = item;
		r->bytes += item.n + 2;
	}
}

static struct pb_str put_routes(char **at, const struct routes *r, bool reversed)
{
	char *start = *at;

	for (unsigned i = 0; i < r->n; i++) {
		if (i)
			put(at, PB_STR(", "));
		put(at, r->item[reversed ? r->n - 1 - i : i]);
	}
	return pb_str(start, (size_t)(*at - start));
}

/** The URI of the first Contact; absent when there is none that can be used. */
static struct pb_str contact_uri(const struct sip_msg *m)
{
	struct sip_values v;
	struct pb_str item;
	struct sip_addr a;

	sip_values_init(&v, m, SIP_HDR_CONTACT);
	if (!sip_values_next(&v, &item) || sip_addr_parse(item, &a) != 0 || a.star)
		return PB_STR_NULL;
	return a.uri;
}

static int set_target(struct sip_remote *r, struct pb_str uri)
{
	char *block = pb_alloc(uri.n + 1), *at = block;

	if (!block)
		return -ENOMEM;
	pb_free(r->target_block);
	r->target_block = block;
	r->target = put(&at, uri);
	return 0;
}

void sip_remote_fini(struct sip_remote *r)
{
	pb_free(r->block);
	pb_free(r->target_block);
	*r = (struct sip_remote){ 0 };
}

/** A new block with To, tag and route set. @return 0 or -ENOMEM: as before. */
static int set_peer(struct sip_remote *r, struct pb_str uri, struct pb_str tag,
		    struct pb_str routes)
{
	char *block = pb_alloc(uri.n + tag_param.n + tag.n + routes.n + 1), *at = block;

	if (!block)
		return -ENOMEM;
	r->to = put_tagged(&at, uri, &tag);
	r->tag = tag;
	r->routes = put(&at, routes);
	pb_free(r->block);
	r->block = block;
	return 0;
}

/* ---- Making ---------------------------------------------------------------- */

int sip_dialog_init_uac(struct sip_dialog_core *d, const struct sip_dialog_uac *a)
{
	size_t n = a->call_id.n + a->local_tag.n + tag_param.n + a->local_uri.n + a->remote_uri.n +
		   a->contact.n + a->target.n + a->routes.n + 1;
	char *at = pb_alloc(n);

	*d = (struct sip_dialog_core){ .uac = true, .block = at, .local_cseq = a->cseq };
	if (!at)
		return -ENOMEM;
	d->local_tag = a->local_tag;
	d->call_id = put(&at, a->call_id);
	d->from = put_tagged(&at, a->local_uri, &d->local_tag);
	d->local_uri = pb_str_head(d->from, a->local_uri.n);
	d->remote_uri = put(&at, a->remote_uri);
	d->contact = put(&at, a->contact);
	d->target = put(&at, a->target);
	d->routes = put(&at, a->routes);
	if (sip_dialog_reset(d) != 0) {
		sip_dialog_fini(d);
		return -ENOMEM;
	}
	return 0;
}

int sip_dialog_reset(struct sip_dialog_core *d)
{
	struct sip_remote r = { 0 };

	if (set_peer(&r, d->remote_uri, PB_STR_NULL, d->routes) != 0 ||
	    set_target(&r, d->target) != 0) {
		sip_remote_fini(&r);
		return -ENOMEM;
	}
	sip_remote_fini(&d->remote);
	d->remote = r;
	d->state = SIP_DIALOG_HALF;
	return 0;
}

int sip_dialog_retarget(struct sip_dialog_core *d, struct pb_str uri)
{
	return set_target(&d->remote, uri);
}

/** Everything of `d` that never changes, from the request that makes it. */
static int uas_block(struct sip_dialog_core *d, const struct sip_core *core,
		     struct pb_str local_tag, struct pb_str contact)
{
	size_t n = core->call_id.n + addr_bytes(&core->to) + tag_param.n + local_tag.n +
		   addr_bytes(&core->from) + contact.n;
	char *at = pb_alloc(n);
	struct pb_str uri;

	*d = (struct sip_dialog_core){ .state = SIP_DIALOG_EARLY, .block = at };
	if (!at)
		return -ENOMEM;
	d->call_id = put(&at, core->call_id);
	uri = put_addr(&at, &core->to);
	put(&at, tag_param);
	d->local_tag = put(&at, local_tag);
	d->local_uri = uri;
	d->from = pb_str(uri.p, (size_t)(at - uri.p));
	d->remote_uri = put_addr(&at, &core->from);
	d->contact = put(&at, contact);
	return 0;
}

/** The route set of `m` and the peer's tag, in one block of `r`. */
static int learn_peer(struct sip_remote *r, struct pb_str uri, struct pb_str tag,
		      const struct sip_msg *m, bool reversed)
{
	struct routes set;
	char *block, *at;
	struct pb_str joined;
	int err;

	routes_read(&set, m);
	block = at = pb_alloc(set.bytes + 1);
	if (!block)
		return -ENOMEM;
	joined = put_routes(&at, &set, reversed);
	err = set_peer(r, uri, tag, joined);
	pb_free(block);
	return err;
}

int sip_dialog_init_uas(struct sip_dialog_core *d, const struct sip_msg *req,
			const struct sip_core *core, struct pb_str local_tag, struct pb_str contact)
{
	struct pb_str target = contact_uri(req);

	if (!target.n) {
		*d = (struct sip_dialog_core){ 0 };
		return -EINVAL;
	}
	if (uas_block(d, core, local_tag, contact) != 0)
		return -ENOMEM;
	/* The route set in the request's own order, section 12.1.1. */
	if (learn_peer(&d->remote, d->remote_uri, core->from_tag, req, false) != 0 ||
	    set_target(&d->remote, target) != 0) {
		sip_dialog_fini(d);
		return -ENOMEM;
	}
	d->remote.cseq = core->cseq.number;
	d->remote.has_cseq = true;
	return 0;
}

void sip_dialog_fini(struct sip_dialog_core *d)
{
	sip_remote_fini(&d->remote);
	pb_free(d->block);
	*d = (struct sip_dialog_core){ .state = SIP_DIALOG_ENDED };
}

int sip_dialog_learn(struct sip_dialog_core *d, const struct sip_msg *resp,
		     const struct sip_core *core)
{
	struct pb_str target = contact_uri(resp);
	int err = 0;

	if (target.n)
		err = set_target(&d->remote, target);
	/* Reversed as seen from the caller, section 12.1.2. */
	return err ? err : learn_peer(&d->remote, d->remote_uri, core->to_tag, resp, true);
}

/* ---- Matching and order ---------------------------------------------------- */

uint64_t sip_dialog_hash(struct pb_str local_tag)
{
	return pb_hash_nocase(local_tag);
}

bool sip_dialog_matches(const struct sip_dialog_core *d, const struct sip_dialog_id *id)
{
	return pb_str_eq(d->call_id, id->call_id) && pb_str_ieq(d->local_tag, id->local_tag) &&
	       pb_str_ieq(d->remote.tag, id->remote_tag);
}

enum sip_order sip_dialog_order(struct sip_dialog_core *d, const struct sip_core *core)
{
	struct sip_remote *r = &d->remote;

	if (r->has_cseq && core->cseq.number < r->cseq)
		return SIP_ORDER_LATE;
	r->cseq = core->cseq.number;
	r->has_cseq = true;
	return SIP_ORDER_OK;
}

int sip_dialog_refresh(struct sip_dialog_core *d, const struct sip_msg *m)
{
	struct pb_str target = contact_uri(m);

	if (!target.n || pb_str_eq(target, d->remote.target))
		return 0;
	return set_target(&d->remote, target);
}

/* ---- Requests -------------------------------------------------------------- */

/** The first of the route set; `rest` what follows. */
static bool first_route(const struct sip_dialog_core *d, struct sip_addr *a, struct pb_str *rest)
{
	struct pb_str item;

	*rest = d->remote.routes;
	if (!d->remote.routes.n || !sip_list_cut(rest, &item))
		return false;
	return sip_addr_parse(item, a) == 0;
}

/** RFC 3261 section 12.2.1.1: a router without lr is a strict one. */
static bool is_strict(struct pb_str uri)
{
	struct sip_uri u;

	return sip_uri_parse(uri, &u) == 0 && !sip_param(u.params, PB_STR("lr")).p;
}

void sip_dialog_hop(const struct sip_dialog_core *d, struct sip_dialog_hop *out)
{
	struct sip_addr route;
	struct pb_str rest;

	*out = (struct sip_dialog_hop){ .request_uri = d->remote.target, .next = d->remote.target };
	if (!first_route(d, &route, &rest))
		return;
	out->next = route.uri;
	out->strict = is_strict(route.uri);
	if (out->strict)
		out->request_uri =
			pb_str_head(route.uri, (size_t)(pb_str_chr(route.uri, '?') >= 0
								? pb_str_chr(route.uri, '?')
								: (ptrdiff_t)route.uri.n));
}

static void write_routes(const struct sip_dialog_core *d, struct sip_build *b)
{
	struct sip_dialog_hop hop;
	struct sip_addr route;
	struct pb_str rest;

	if (!first_route(d, &route, &rest))
		return;
	sip_dialog_hop(d, &hop);
	if (!hop.strict) {
		sip_build_hdr(b, SIP_HDR_ROUTE, d->remote.routes);
		return;
	}
	/* The strict router is in the Request-URI; the target comes last. */
	rest = pb_str_trim(rest);
	if (rest.n)
		sip_build_hdr(b, SIP_HDR_ROUTE, rest);
	sip_build_addr(b, SIP_HDR_ROUTE, &(struct sip_addr_args){ .uri = d->remote.target });
}

bool sip_dialog_has_contact(enum sip_method method)
{
	return method == SIP_INVITE || method == SIP_UPDATE || method == SIP_SUBSCRIBE ||
	       method == SIP_REFER || method == SIP_NOTIFY;
}

void sip_dialog_write(const struct sip_dialog_core *d, struct sip_build *b, enum sip_method method,
		      struct pb_str method_name, uint32_t cseq)
{
	write_routes(d, b);
	sip_build_number(b, SIP_HDR_MAX_FORWARDS, d->hops ? d->hops : MAX_FORWARDS);
	sip_build_hdr(b, SIP_HDR_FROM, d->from);
	sip_build_hdr(b, SIP_HDR_TO, d->remote.to);
	sip_build_hdr(b, SIP_HDR_CALL_ID, d->call_id);
	sip_build_cseq(b, cseq, method_name);
	if (d->contact.n && sip_dialog_has_contact(method))
		sip_build_hdr(b, SIP_HDR_CONTACT, d->contact);
}
