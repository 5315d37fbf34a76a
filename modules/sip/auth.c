/*
 * Authentication: user.auth decides who may, the digest proves who it is.
 *
 * A challenge needs no state: its nonce carries time, loop and a signature over
 * the source address. What needs state is that no nonce count is used twice;
 * that table is on the loop that made the nonce, so a request that arrived
 * elsewhere asks there before it is believed.
 */
#include "sip/sip.h"

#include "base/alloc.h"
#include "bus/flight.h"

/* ---- Challenging -------------------------------------------------------------------- */

static struct pb_str source_ip(const struct sip_path *path, char buf[PB_ADDR_TEXT])
{
	return pb_addr_print_ip(&path->peer, buf);
}

static void add_challenge(struct sip_build *b, struct sip_challenge *c, enum sip_alg alg)
{
	struct pb_text value;
	char buf[1024];

	c->alg = alg;
	pb_text_init_buf(&value, buf, sizeof(buf));
	sip_digest_challenge(&value, c);
	sip_build_hdr(b, SIP_HDR_WWW_AUTHENTICATE, pb_text_str(&value));
}

/* What was not offered is not taken: nobody talks us down to MD5. */
static bool offered(const struct sip_settings *s, enum sip_alg alg)
{
	switch (alg) {
	case SIP_ALG_MD5:
		return s->digest != SIP_OFFER_SHA256;
	case SIP_ALG_SHA256:
		return s->digest != SIP_OFFER_MD5;
	case SIP_ALG_UNKNOWN:
		break;
	}
	return false;
}

void sip_auth_challenge(struct sip_loop *sl, const struct sip_path *path, struct sip_build *b, bool stale)
{
	struct sip_nonce n = {
		.made_ms = pb_loop_now_ms(sl->cx->loop),
		.loop = (uint16_t)pb_loop_index(sl->cx->loop),
		.serial = sl->nonce_serial++,
	};
	struct pb_text nonce, opaque;
	char nb[64], ob[32], ip[PB_ADDR_TEXT];
	struct sip_challenge c = { .realm = sip_conf(sl)->realm, .stale = stale };

	pb_text_init_buf(&nonce, nb, sizeof(nb));
	pb_text_init_buf(&opaque, ob, sizeof(ob));
	sip_nonce_make(sl->nonces, &n, source_ip(path, ip), &nonce);
	sip_nonce_opaque(sl->nonces, pb_text_str(&nonce), &opaque);
	c.nonce = pb_text_str(&nonce);
	c.opaque = pb_text_str(&opaque);
	/* The preferred one first (RFC 8760 section 2.4). */
	if (sip_conf(sl)->digest != SIP_OFFER_MD5)
		add_challenge(b, &c, SIP_ALG_SHA256);
	if (sip_conf(sl)->digest != SIP_OFFER_SHA256)
		add_challenge(b, &c, SIP_ALG_MD5);
}

/* The code that the refusal asks for; 401 challenges, and so does silence. */
static unsigned refusal_code(const struct sip_op *op)
{
	struct pb_str error = op->auth ? pb_msg_get(op->auth, PB_STR("error")) : PB_STR_NULL;
	unsigned code = sip_code_of_word(error);

	if (op->result == SIP_AUTH_STALE)
		return 401;
	return code >= 400 && code <= 699 ? code : 401;
}

void sip_auth_refuse(struct sip_op **opp)
{
	struct sip_op *op = *opp;
	unsigned code = refusal_code(op);
	struct pb_str error = op->auth ? pb_msg_get(op->auth, PB_STR("error")) : PB_STR_NULL;
	struct pb_str reason = op->auth && code != 401 ? pb_msg_get(op->auth, PB_STR("reason")) : PB_STR_NULL;
	struct sip_build *b;

	sip_server_once(op->on->stack, op->txn);
	if (!sip_op_begin(op, code, reason.n ? reason : PB_STR_NULL, &b)) {
		if (code == 401 && !pb_str_eq(error, PB_STR("noautoauth")))
			sip_auth_challenge(op->on, &op->path, b, op->result == SIP_AUTH_STALE);
		if (op->auth)
			sip_add_headers(b, op->auth, PB_STR("osip_"));
		sip_op_send(op, PB_STR_NULL, PB_STR_NULL);
	}
	sip_op_free(opp);
}

/* ---- Credentials ------------------------------------------------------------------------ */

struct credentials {
	bool found;
	struct sip_auth auth;
	struct sip_nonce nonce;
	bool stale;
};

/* Of the Authorization headers the youngest whose nonce we made for this
 * address; a nonce too old is told apart, so that a phone may just repeat. */
static void find_credentials(struct sip_op *op, struct credentials *out)
{
	struct sip_loop *sl = op->on;
	uint64_t now = pb_loop_now_ms(sl->cx->loop);
	char ip[PB_ADDR_TEXT];
	struct pb_str source = source_ip(&op->path, ip);

	*out = (struct credentials){ 0 };
	for (const struct sip_hdr *h = sip_msg_first(op->msg, SIP_HDR_AUTHORIZATION); h;
	     h = sip_msg_next(op->msg, h)) {
		struct sip_auth a;
		struct sip_nonce n;
		enum sip_nonce_verdict v;

		if (sip_auth_parse(sip_hdr_unfold(op->msg, h, op->arena), &a) || !a.digest || !a.username.p)
			continue;
		v = sip_nonce_check(sl->nonces, a.nonce, source, now, &n);
		if (v == SIP_NONCE_FOREIGN || (out->found && n.made_ms < out->nonce.made_ms))
			continue;
		if (!offered(sip_conf(sl), sip_alg_id(a.algorithm)))
			continue;
		if (a.opaque.p && !sip_nonce_opaque_is(sl->nonces, a.nonce, a.opaque))
			continue;
		*out = (struct credentials){ true, a, n, v == SIP_NONCE_STALE };
	}
}

static bool uri_matches(struct pb_str sent, struct pb_str request)
{
	struct sip_uri a, b;

	if (pb_str_eq(sent, request))
		return true;
	return !sip_uri_parse(sent, &a) && !sip_uri_parse(request, &b) && sip_uri_eq(&a, &b);
}

static bool proves(struct sip_op *op, const struct credentials *c, struct pb_str password)
{
	struct sip_loop *sl = op->on;
	struct sip_hex ha1;

	if (!pb_str_eq(c->auth.realm, sip_conf(sl)->realm) || !uri_matches(c->auth.uri, op->msg->uri))
		return false;
	if (sip_digest_ha1(sl->digest, sip_alg_id(c->auth.algorithm), c->auth.username, c->auth.realm, password, &ha1))
		return false;
	return sip_digest_verify(sl->digest, &c->auth, sip_hex_str(&ha1), op->msg->method_name);
}

/* ---- Nonce counts: asked where the nonce was made ------------------------------------------ */

struct sip_count_check {
	struct pb_work work;
	struct sip_loop *asker, *owner;
	struct sip_op *op; /* the asker's; NULL when it has ended meanwhile */
	struct sip_nonce nonce;
	char nc[16];
	size_t nc_n;
	enum sip_count_verdict verdict;
};

static void count_known(struct sip_op *op, enum sip_count_verdict v)
{
	switch (v) {
	case SIP_COUNT_NEW:
		op->result = SIP_AUTH_GOOD;
		break;
	case SIP_COUNT_FULL:
		op->result = SIP_AUTH_STALE;
		break;
	case SIP_COUNT_REPLAY:
		op->result = SIP_AUTH_STALE;
		break;
	}
	op->then(op);
}

static void count_back(void *arg)
{
	struct sip_count_check *c = arg;

	struct sip_op *op = c->op;

	if (op) {
		op->check = NULL;
		count_known(op, c->verdict);
	}
	pb_free(c);
}

static void count_there(void *arg)
{
	struct sip_count_check *c = arg;

	c->verdict = sip_counts_use(c->owner->counts, &c->nonce, pb_str(c->nc, c->nc_n),
				    pb_loop_now_ms(c->owner->cx->loop));
	c->work = (struct pb_work){ .fn = count_back, .arg = c };
	pb_loop_post(c->asker->cx->loop, &c->work);
}

static void check_count(struct sip_op *op, const struct credentials *cr)
{
	struct sip_loop *sl = op->on;
	struct pb_loops *ls = pb_loop_set(sl->cx->loop);
	struct sip_count_check *c;

	if (!cr->auth.qop.p) { /* as RFC 2069: nothing is counted */
		count_known(op, SIP_COUNT_NEW);
		return;
	}
	if (cr->nonce.loop == pb_loop_index(sl->cx->loop)) {
		count_known(op, sip_counts_use(sl->counts, &cr->nonce, cr->auth.nc, pb_loop_now_ms(sl->cx->loop)));
		return;
	}
	c = cr->auth.nc.n < sizeof(c->nc) && cr->nonce.loop < pb_loops_calls(ls) ? pb_alloc_zero(1, sizeof(*c)) : NULL;
	if (!c) {
		count_known(op, SIP_COUNT_REPLAY);
		return;
	}
	c->asker = sl;
	c->owner = sip_on(pb_engine_ctx(sl->cx, pb_loops_at(ls, cr->nonce.loop)));
	c->op = op;
	op->check = c;
	c->nonce = cr->nonce;
	memcpy(c->nc, cr->auth.nc.p, cr->auth.nc.n);
	c->nc_n = cr->auth.nc.n;
	c->work = (struct pb_work){ .fn = count_there, .arg = c };
	pb_loop_post(c->owner->cx->loop, &c->work);
}

void sip_auth_forget(struct sip_op *op)
{
	if (op->check)
		op->check->op = NULL;
	op->check = NULL;
}

/* ---- user.auth ---------------------------------------------------------------------------------- */

static void report_failure(struct sip_op *op)
{
	struct pb_msg *m = pb_msg_copy(op->auth);
	char ip[PB_ADDR_TEXT];

	op->on->failed_auths++;
	SIP_LOG(AUTH_FAILED, "%.*s from %.*s failed to authenticate as '%.*s'", PB_STR_F(op->msg->method_name),
		PB_STR_F(source_ip(&op->path, ip)), PB_STR_F(pb_msg_get(op->auth, PB_STR("username"))));
	if (!m)
		return;
	pb_msg_again(m, PB_STR("user.authfail"));
	pb_bus_enqueue(op->on->cx->bus, m);
}

static void auth_answered(struct pb_msg *m, bool handled, void *arg)
{
	struct sip_op *op = arg;
	struct credentials c;
	struct pb_str password = pb_msg_retval(m);

	op->auth = m;
	find_credentials(op, &c);
	if (!handled || pb_str_eq(password, PB_STR("-"))) {
		op->result = c.found && !handled ? SIP_AUTH_REFUSED : SIP_AUTH_NONE;
	} else if (!password.n) {
		op->result = SIP_AUTH_GOOD;
	} else if (!c.found) {
		op->result = SIP_AUTH_NONE;
	} else if (!proves(op, &c, password)) {
		op->result = SIP_AUTH_REFUSED;
	} else if (c.stale) {
		op->result = SIP_AUTH_STALE;
	} else {
		check_count(op, &c);
		return;
	}
	if (op->result == SIP_AUTH_REFUSED)
		report_failure(op);
	op->then(op);
}

static void put_credentials(struct sip_op *op, struct pb_msg *m)
{
	struct credentials c;

	find_credentials(op, &c);
	if (!c.found)
		return;
	pb_msg_add(m, PB_STR("username"), c.auth.username);
	pb_msg_add(m, PB_STR("realm"), c.auth.realm);
	pb_msg_add(m, PB_STR("nonce"), c.auth.nonce);
	pb_msg_add(m, PB_STR("response"), c.auth.response);
}

static void put_flow(struct pb_msg *m, const struct pb_msg *copy)
{
	static const struct pb_str names[] = {
		PB_STR_INIT("id"),     PB_STR_INIT("number"), PB_STR_INIT("caller"),
		PB_STR_INIT("called"), PB_STR_INIT("billid"), PB_STR_INIT("expires"),
	};

	for (size_t i = 0; copy && i < sizeof(names) / sizeof(names[0]); i++) {
		struct pb_str v = pb_msg_get(copy, names[i]);

		if (v.p)
			pb_msg_set(m, names[i], v);
	}
}

void sip_auth_ask(struct sip_op *op, const struct pb_msg *copy, bool newcall, sip_op_fn then)
{
	struct pb_msg *m = pb_msg_new(PB_STR("user.auth"));
	struct pb_str domain = sip_host_of(op->core.from.uri);
	struct pb_str device = sip_msg_value(op->msg, SIP_HDR_USER_AGENT);

	op->then = then;
	if (!m) {
		op->result = SIP_AUTH_NONE;
		then(op);
		return;
	}
	pb_msg_add(m, PB_STR("protocol"), PB_STR("sip"));
	put_credentials(op, m);
	pb_msg_add(m, PB_STR("method"), op->msg->method_name);
	pb_msg_add(m, PB_STR("uri"), op->msg->uri);
	sip_put_party(m, &op->path, false);
	pb_msg_add(m, PB_STR("newcall"), newcall ? PB_STR("true") : PB_STR("false"));
	pb_msg_add(m, PB_STR("domain"), domain.n ? domain : sip_host_of(op->msg->uri));
	if (device.n)
		pb_msg_add(m, PB_STR("device"), device);
	put_flow(m, copy);
	pb_msg_set_flight(m, op->flight);
	pb_bus_dispatch(op->on->cx->bus, m, &op->questions, auth_answered, op);
}

/* ---- What travels on --------------------------------------------------------------------------------- */

static bool stays_behind(struct pb_str name)
{
	static const struct pb_str names[] = {
		PB_STR_INIT("protocol"), PB_STR_INIT("nonce"), PB_STR_INIT("method"), PB_STR_INIT("uri"),
		PB_STR_INIT("response"), PB_STR_INIT("ip_host"), PB_STR_INIT("ip_port"), PB_STR_INIT("address"),
		PB_STR_INIT("id"), PB_STR_INIT("billid"), PB_STR_INIT("connection_id"),
		PB_STR_INIT("connection_reliable"), PB_STR_INIT("role"), PB_STR_INIT("handlers"),
		PB_STR_INIT("number"), PB_STR_INIT("caller"), PB_STR_INIT("called"), PB_STR_INIT("expires"),
	};

	if (pb_str_starts(name, PB_STR("sip_")) || pb_str_starts(name, PB_STR("authfail_")))
		return true;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (pb_str_eq(name, names[i]))
			return true;
	}
	return false;
}

void sip_auth_copy(const struct sip_op *op, struct pb_msg *m)
{
	for (size_t i = 0; op->auth && i < pb_msg_count(op->auth); i++) {
		const struct pb_param *p = pb_msg_at(op->auth, i);

		if (!stays_behind(p->name))
			pb_msg_add(m, p->name, p->value);
	}
}
