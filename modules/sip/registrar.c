/*
 * REGISTER: authenticated, then each contact is one user.register or
 * user.unregister, in order; the answer lists what the location service knows
 * (RFC 3261 section 10.3).
 */
#include "bus/flight.h"
#include "sip/sip.h"

#define CONTACTS_MAX 16

struct registration {
	struct sip_contact contacts[CONTACTS_MAX];
	uint32_t expires[CONTACTS_MAX];
	struct pb_str data[CONTACTS_MAX]; /* sip/<uri> as it is reached */
	bool rewritten[CONTACTS_MAX];
	size_t count, next;
	bool star;
	struct pb_str username;
};

static struct registration *reg_of(struct sip_op *op)
{
	return op->user;
}

/* ---- Reading ------------------------------------------------------------------------- */

static uint32_t asked_expires(const struct sip_op *op, const struct sip_contact *c)
{
	const struct sip_settings *s = sip_conf(op->on);
	uint32_t e = (uint32_t)s->expires_def;
	struct pb_str h = sip_msg_value(op->msg, SIP_HDR_EXPIRES);

	if (c->has_expires)
		e = c->expires_s;
	else if (h.n)
		sip_number_parse(h, UINT32_MAX, &e);
	return e > s->expires_max ? (uint32_t)s->expires_max : e;
}

/* @return 0, or the code that refuses it. */
static unsigned read_contacts(struct sip_op *op, struct registration *r)
{
	struct sip_values v;
	struct pb_str item;

	for (sip_values_init(&v, op->msg, SIP_HDR_CONTACT); sip_values_next(&v, &item);) {
		struct sip_contact *c = &r->contacts[r->count];

		if (r->count == CONTACTS_MAX)
			return 403;
		if (sip_contact_parse(item, c))
			return 400;
		r->star |= c->addr.star;
		r->expires[r->count] = asked_expires(op, c);
		if (!c->addr.star && r->expires[r->count] &&
		    r->expires[r->count] < (uint32_t)sip_conf(op->on)->expires_min)
			return 423;
		r->count++;
	}
	/* "*" alone, and only to remove (section 10.3 step 6) */
	if (r->star && (r->count != 1 || r->expires[0]))
		return 400;
	return 0;
}

/* ---- NAT ------------------------------------------------------------------------------- */

/* Behind a translator the contact is reached where the request came from. */
static bool behind_nat(const struct sip_op *op, const struct sip_uri *u)
{
	struct pb_addr said;

	if (!sip_conf(op->on)->nat || u->scheme == SIP_SCHEME_TEL)
		return false;
	if (pb_addr_parse(u->host, u->port ? u->port : 5060, &said))
		return false;
	if (pb_addr_port(&said) != pb_addr_port(&op->path.peer))
		return true;
	return pb_addr_is_private(&said) && !pb_addr_is_private(&op->path.peer);
}

static struct pb_str reachable(struct sip_op *op, struct pb_str uri, bool *rewritten)
{
	struct sip_uri u;
	struct pb_text t;
	char buf[2048], ip[PB_ADDR_TEXT];

	*rewritten = false;
	if (sip_uri_parse(uri, &u))
		return PB_STR_NULL;
	pb_text_init_buf(&t, buf, sizeof(buf));
	pb_text_lit(&t, "sip/");
	if (behind_nat(op, &u)) {
		*rewritten = true;
		u.host = pb_addr_print_ip(&op->path.peer, ip);
		u.host_ip6 = pb_addr_is_v6(&op->path.peer);
		u.port = pb_addr_port(&op->path.peer);
	}
	sip_uri_print(&t, &u);
	return pb_text_failed(&t) ? PB_STR_NULL : pb_arena_str(op->arena, pb_text_str(&t));
}

/* ---- Answering ----------------------------------------------------------------------------- */

static void add_contacts(const struct registration *r, struct sip_build *b)
{
	for (size_t i = 0; i < r->count; i++) {
		struct pb_text t;
		char buf[32];

		if (!r->expires[i] || r->star)
			continue;
		pb_text_init_buf(&t, buf, sizeof(buf));
		pb_text_addf(&t, "expires=%u", r->expires[i]);
		sip_build_addr(b, SIP_HDR_CONTACT,
			       &(struct sip_addr_args){ .uri = r->contacts[i].addr.uri, .params = pb_text_str(&t) });
	}
}

static void answer_ok(struct sip_op *op, const struct pb_msg *m)
{
	const struct sip_settings *s = sip_conf(op->on);
	struct registration *r = reg_of(op);
	struct sip_build *b;
	bool nat = false;

	for (size_t i = 0; i < r->count; i++)
		nat |= r->rewritten[i] && r->expires[i];
	if (!sip_op_begin(op, 200, PB_STR_NULL, &b)) {
		add_contacts(r, b);
		if (r->count == 1 && r->expires[0])
			sip_build_number(b, SIP_HDR_EXPIRES, r->expires[0]);
		if (nat && s->nat_refresh > 0)
			sip_build_named(b, PB_STR("P-NAT-Refresh"),
					pb_arena_printf(op->arena, "%d", (int)s->nat_refresh));
		if (m)
			sip_add_headers(b, m, PB_STR("osip_"));
		sip_op_send(op, PB_STR_NULL, PB_STR_NULL);
	}
	sip_op_free(&op);
}

static void answer_refused(struct sip_op *op, struct pb_msg *m)
{
	uint32_t code = 0;
	struct pb_str reason = pb_msg_get(m, PB_STR("reason"));
	struct sip_build *b;

	if (pb_str_to_u32(pb_msg_get(m, PB_STR("code")), 300, 699, &code)) {
		code = sip_code_of_word(reason);
		if (code < 300 || code > 699)
			code = 404;
	}
	if (!sip_op_begin(op, code, sip_code_of_word(reason) ? PB_STR_NULL : reason, &b)) {
		sip_add_headers(b, m, PB_STR("osip_"));
		sip_op_send(op, PB_STR_NULL, PB_STR_NULL);
	}
	pb_msg_free(&m);
	sip_op_free(&op);
}

/* ---- One contact after the other ---------------------------------------------------------------- */

static void next_contact(struct sip_op *op, struct pb_msg *last);

static void stored(struct pb_msg *m, bool handled, void *arg)
{
	struct sip_op *op = arg;
	struct registration *r = reg_of(op);
	size_t i = r->next - 1;

	if (r->expires[i] && !handled) {
		answer_refused(op, m);
		return;
	}
	if (r->expires[i])
		r->expires[i] = (uint32_t)pb_msg_get_int(m, PB_STR("expires"), r->expires[i], 1, INT32_MAX);
	next_contact(op, m);
}

static struct pb_str contact_number(struct sip_op *op, const struct sip_contact *c)
{
	struct pb_str n = c->addr.star ? PB_STR_NULL : sip_user_of(c->addr.uri, op->arena);

	return n.n ? n : sip_user_of(op->core.to.uri, op->arena);
}

static struct pb_msg *make_message(struct sip_op *op, size_t i)
{
	struct registration *r = reg_of(op);
	const struct sip_contact *c = &r->contacts[i];
	bool add = r->expires[i] > 0;
	struct pb_msg *m = pb_msg_new(add ? PB_STR("user.register") : PB_STR("user.unregister"));
	struct pb_str conn = sip_listener_name(op->on->transport, op->path.listener);

	if (!m)
		return NULL;
	pb_msg_add(m, PB_STR("number"), contact_number(op, c));
	pb_msg_add(m, PB_STR("sip_uri"), op->msg->uri);
	pb_msg_add(m, PB_STR("sip_callid"), op->core.call_id);
	pb_msg_set_int(m, PB_STR("expires"), r->expires[i]);
	sip_auth_copy(op, m);
	pb_msg_set(m, PB_STR("username"), r->username);
	pb_msg_set(m, PB_STR("driver"), PB_STR("sip"));
	if (!c->addr.star)
		pb_msg_add(m, PB_STR("data"), r->data[i]);
	sip_put_party(m, &op->path, false);
	sip_put_connection(op->on, m, &op->path);
	if (add) {
		pb_msg_add(m, PB_STR("route_params"), PB_STR("oconnection_id"));
		pb_msg_add(m, PB_STR("oconnection_id"), conn);
		pb_msg_add(m, PB_STR("q"), pb_arena_printf(op->arena, "%u.%03u", c->q / 1000, c->q % 1000));
	}
	if (!c->addr.star)
		pb_msg_set(m, PB_STR("sip_to"), c->addr.uri);
	sip_put_headers(m, op->msg, false);
	return m;
}

/* `last`: the message of the contact before, ours to free; NULL at first. */
static void next_contact(struct sip_op *op, struct pb_msg *last)
{
	struct registration *r = reg_of(op);
	struct pb_msg *m;

	if (r->next == r->count) {
		answer_ok(op, last);
		pb_msg_free(&last);
		return;
	}
	pb_msg_free(&last);
	m = make_message(op, r->next++);
	if (!m) {
		sip_op_answer(&op, 503, PB_STR_NULL);
		return;
	}
	pb_msg_set_flight(m, op->flight);
	pb_bus_dispatch(op->on->cx->bus, m, &op->questions, stored, op);
}

static void begin(struct sip_op *op)
{
	struct registration *r = reg_of(op);

	r->username = op->auth ? pb_msg_get(op->auth, PB_STR("username")) : PB_STR_NULL;
	if (!r->username.n)
		r->username = sip_user_of(op->core.to.uri, op->arena);
	for (size_t i = 0; i < r->count; i++) {
		if (!r->contacts[i].addr.star)
			r->data[i] = reachable(op, r->contacts[i].addr.uri, &r->rewritten[i]);
	}
	next_contact(op, NULL);
}

static void authenticated(struct sip_op *op)
{
	if (op->result == SIP_AUTH_GOOD || !sip_conf(op->on)->auth_required)
		begin(op);
	else
		sip_auth_refuse(&op);
}

static void too_brief(struct sip_op *op)
{
	struct sip_build *b;

	if (!sip_op_begin(op, 423, PB_STR_NULL, &b)) {
		sip_build_number(b, SIP_HDR_MIN_EXPIRES, (uint64_t)sip_conf(op->on)->expires_min);
		sip_op_send(op, PB_STR_NULL, PB_STR_NULL);
	}
	sip_op_free(&op);
}

void sip_register(struct sip_op *op)
{
	struct registration *r = pb_arena_alloc(op->arena, sizeof(*r));
	unsigned refused;

	if (!r) {
		sip_op_answer(&op, 503, PB_STR_NULL);
		return;
	}
	op->user = r;
	refused = read_contacts(op, r);
	if (refused == 423)
		too_brief(op);
	else if (refused)
		sip_op_answer(&op, refused, refused == 400 ? PB_STR("Invalid Contact") : PB_STR("Too Many Contacts"));
	else
		sip_auth_ask(op, NULL, false, authenticated);
}
