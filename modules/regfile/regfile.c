/*
 * Users from a file, registrations in memory.
 *
 * Every handler runs HERE: users are an immutable table in the settings,
 * contacts a table that any loop may ask (contacts.c says how).
 */
#include "bus/module.h"

#include <errno.h>

#include "regfile/contacts.h"
#include "regfile/users.h"

/* `status` names no more than these; the count is of all. */
#define STATUS_USERS_MAX 1000
/* Ten years; a registration that lasts longer lasts for good. */
#define EXPIRES_MAX_S (10 * 366 * 86400)

struct settings {
	bool autocreate;
	int64_t auth, reg, route, contacts;
	struct regfile_users users;
};

struct shared {
	struct regfile_contacts *contacts;
	bool autocreate; /* as of the start */
};

enum { LOG_ROUTED, LOG_REGISTERED, LOG_UNREGISTERED, LOG_EXPIRED, LOG_NO_MEMORY };

static const struct pb_log_row log_rows[] = {
	[LOG_ROUTED] = { "regfile-001", PB_INFO,
			 "A call or text goes to the contact of a registered user." },
	[LOG_REGISTERED] = { "regfile-002", PB_INFO, "A user has registered a contact." },
	[LOG_UNREGISTERED] = { "regfile-003", PB_INFO,
			       "A user, or a closed connection, has taken contacts back." },
	[LOG_EXPIRED] = { "regfile-004", PB_INFO, "A contact was not refreshed in time." },
	[LOG_NO_MEMORY] = { "regfile-005", PB_WARN,
			    "A registration was refused for lack of memory." },
	{ NULL },
};

static PB_LOG_SOURCE(log_source, "regfile", log_rows);

#define SAY(row, ...) pb_log(&log_source, &log_rows[row], __VA_ARGS__)

static const struct pb_opt options[] = {
	{ PB_OPT_BOOL, "autocreate", offsetof(struct settings, autocreate), .flags = PB_OPT_ONCE,
	  .doc = "Register users that are not in this file too." },
	{ PB_OPT_INT, "auth", offsetof(struct settings, auth), .def = 100, .lo = 0, .hi = 1000,
	  .flags = PB_OPT_ONCE, .doc = "Priority of user.auth." },
	{ PB_OPT_INT, "register", offsetof(struct settings, reg), .def = 100, .lo = 0, .hi = 1000,
	  .flags = PB_OPT_ONCE, .doc = "Priority of user.register and user.unregister." },
	{ PB_OPT_INT, "route", offsetof(struct settings, route), .def = 100, .lo = 0, .hi = 1000,
	  .flags = PB_OPT_ONCE, .doc = "Priority of call.route." },
	{ PB_OPT_INT, "contacts", offsetof(struct settings, contacts), .def = 10, .lo = 1,
	  .hi = 100,
	  .doc = "Contacts of one user; beyond them the oldest is forgotten. 1: a new one replaces "
		 "the old." },
	{ PB_OPT_STR, "file", .flags = PB_OPT_ACCEPTED, .doc = "File to keep registrations in." },
	{ PB_OPT_OTHER, "password", .flags = PB_OPT_SECRET, .section = "*",
	  .doc = "Password of the user; present but empty: anybody is let in." },
	{ PB_OPT_OTHER, "alternatives", .section = "*",
	  .doc = "Further numbers of the user, comma list." },
	{ PB_OPT_OTHER, "", .flags = PB_OPT_PREFIX, .section = "*",
	  .doc = "Parameter to set on calls from the user; ${} is expanded from the message." },
	{ PB_OPT_END },
};

static int read_settings(const struct pb_conf *c, void *settings, struct pb_arena *a,
			 struct pb_findings *f)
{
	struct settings *s = settings;

	return regfile_users_read(c, &s->users, a, f);
}

/* ---- Handlers ---------------------------------------------------------------------- */

static enum pb_verdict on_auth(struct pb_msg *m, struct pb_ctx *cx)
{
	const struct settings *s = cx->settings;
	const struct regfile_user *user;

	if (!pb_msg_get_bool(m, PB_STR("auth_regfile"), true))
		return PB_PASS;
	user = regfile_user_find(&s->users, pb_msg_get(m, PB_STR("username")));
	if (!user || !user->password.p)
		return PB_PASS;
	regfile_user_apply(user, m);
	pb_msg_set_retval(m, user->password);
	return PB_HANDLED;
}

/* "0.7" -> 700; absent or not a number: 1000. */
static unsigned read_q(struct pb_str q)
{
	unsigned v = 0, unit = 100;

	if (!q.n || q.p[0] != '0')
		return 1000;
	for (size_t i = 2; i < q.n && i < 5 && q.p[1] == '.' && pb_is_digit(q.p[i]);
	     i++, unit /= 10)
		v += (unsigned)(q.p[i] - '0') * unit;
	return v;
}

/* The parameters that route_params names: set again on routing to the contact. */
static size_t read_params(struct pb_msg *m, struct pb_param **out)
{
	struct pb_str list = pb_msg_get(m, PB_STR("route_params")), name;
	struct pb_param *p = pb_arena_alloc(pb_msg_arena(m), (list.n / 2 + 1) * sizeof(*p));
	size_t n = 0;

	*out = p;
	while (p && pb_str_cut(&list, ',', &name)) {
		struct pb_str value = pb_msg_get(m, pb_str_trim(name));

		if (value.p)
			p[n++] = (struct pb_param){ pb_str_trim(name), value };
	}
	return n;
}

static enum pb_verdict on_register(struct pb_msg *m, struct pb_ctx *cx)
{
	const struct settings *s = cx->settings;
	struct shared *sh = cx->shared;
	struct pb_str user = pb_msg_get(m, PB_STR("username"));
	struct regfile_contact c = {
		.data = pb_msg_get(m, PB_STR("data")),
		.driver = pb_msg_get(m, PB_STR("driver")),
		.q_permille = read_q(pb_msg_get(m, PB_STR("q"))),
		.expires_ms =
			(uint64_t)pb_msg_get_int(m, PB_STR("expires"), 0, 0, EXPIRES_MAX_S) * 1000,
	};
	struct pb_param *params;

	if (!pb_msg_get_bool(m, PB_STR("register_regfile"), true) || !user.n || !c.data.n)
		return PB_PASS;
	if (!regfile_user_find(&s->users, user) && !sh->autocreate)
		return PB_PASS;
	if (pb_msg_get_bool(m, PB_STR("connection_reliable"), false))
		c.connection = pb_msg_get(m, PB_STR("connection_id"));
	c.param_count = read_params(m, &params);
	c.params = params;
	if (!params || regfile_contacts_put(sh->contacts, user, &c, (unsigned)s->contacts)) {
		SAY(LOG_NO_MEMORY, "Cannot register user '%.*s': no memory", PB_STR_F(user));
		return PB_PASS;
	}
	SAY(LOG_REGISTERED, "Registered user '%.*s' via '%.*s'", PB_STR_F(user), PB_STR_F(c.data));
	return PB_HANDLED;
}

static enum pb_verdict on_unregister(struct pb_msg *m, struct pb_ctx *cx)
{
	struct shared *sh = cx->shared;
	struct pb_str user = pb_msg_get(m, PB_STR("username")), connection;
	size_t n;

	if (!pb_msg_get_bool(m, PB_STR("register_regfile"), true))
		return PB_PASS;
	if (user.n) {
		struct pb_str data = pb_msg_get(m, PB_STR("data"));

		n = regfile_contacts_drop(sh->contacts, user, data.n ? data : PB_STR_NULL);
		if (n)
			SAY(LOG_UNREGISTERED, "Unregistered user '%.*s'", PB_STR_F(user));
		return n ? PB_HANDLED : PB_PASS;
	}
	connection = pb_msg_get(m, PB_STR("connection_id"));
	n = connection.n ? regfile_contacts_drop_connection(sh->contacts, connection) : 0;
	if (n)
		SAY(LOG_UNREGISTERED, "Unregistered %zu contacts of connection '%.*s'", n,
		    PB_STR_F(connection));
	return PB_PASS;
}

/* ---- Routing ----------------------------------------------------------------------- */

static void route_to(void *arg, struct pb_str user, const struct regfile_contact *c)
{
	struct pb_msg *m = arg;

	(void)user;
	pb_msg_set_retval(m, c->data);
	for (size_t i = 0; i < c->param_count; i++)
		pb_msg_set(m, c->params[i].name, c->params[i].value);
	if (c->driver.p)
		pb_msg_set(m, PB_STR("driver"), c->driver);
}

/* One leg of a fork: callto.N and, as callto.N.NAME, what is for it alone. */
struct fork {
	struct pb_msg *m;
	unsigned legs;
};

static void set_leg(struct fork *f, struct pb_str name, struct pb_str value)
{
	struct pb_arena *a = pb_msg_arena(f->m);

	pb_msg_set(
		f->m,
		pb_arena_printf(a, "callto.%u%s%.*s", f->legs, name.n ? "." : "", PB_STR_F(name)),
		value);
}

static void add_leg(void *arg, struct pb_str user, const struct regfile_contact *c)
{
	struct fork *f = arg;

	(void)user;
	f->legs++;
	set_leg(f, PB_STR(""), c->data);
	for (size_t i = 0; i < c->param_count; i++)
		set_leg(f, c->params[i].name, c->params[i].value);
	if (c->driver.p)
		set_leg(f, PB_STR("driver"), c->driver);
}

static void nothing(void *arg, struct pb_str user, const struct regfile_contact *c)
{
	(void)arg;
	(void)user;
	(void)c;
}

static bool route_alternatives(struct pb_msg *m, struct shared *sh,
			       const struct regfile_alternative *alt)
{
	const struct regfile_alternative *first = alt;
	struct fork f = { .m = m };
	const struct regfile_user *one = NULL;
	size_t registered = 0;

	for (; alt; alt = regfile_alternative_next(alt)) {
		if (regfile_contacts_best(sh->contacts, alt->user->name, nothing, NULL)) {
			registered++;
			one = alt->user;
		}
	}
	if (registered == 1)
		return regfile_contacts_best(sh->contacts, one->name, route_to, m);
	for (alt = first; alt && registered; alt = regfile_alternative_next(alt))
		regfile_contacts_best(sh->contacts, alt->user->name, add_leg, &f);
	if (f.legs)
		pb_msg_set_retval(m, PB_STR("fork"));
	return f.legs > 0;
}

static enum pb_verdict on_route(struct pb_msg *m, struct pb_ctx *cx)
{
	const struct settings *s = cx->settings;
	struct shared *sh = cx->shared;
	const struct regfile_user *caller, *user;
	const struct regfile_alternative *alt;
	struct pb_str called;
	bool routed;

	if (!pb_msg_get_bool(m, PB_STR("route_regfile"), true))
		return PB_PASS;
	caller = regfile_user_find(&s->users, pb_msg_get(m, PB_STR("caller")));
	if (caller)
		regfile_user_apply(caller, m);
	called = pb_msg_get(m, PB_STR("called"));
	if (!called.n)
		return PB_PASS;
	user = regfile_user_find(&s->users, called);
	alt = user ? NULL : regfile_alternative_first(&s->users, called);
	routed = regfile_contacts_best(sh->contacts, called, route_to, m);
	if (!routed && alt)
		routed = route_alternatives(m, sh, alt);
	if (routed) {
		SAY(LOG_ROUTED, "Routed '%.*s' via '%.*s'", PB_STR_F(called),
		    PB_STR_F(pb_msg_retval(m)));
		return PB_HANDLED;
	}
	if (user || alt)
		pb_msg_set(m, PB_STR("error"), PB_STR("offline"));
	return PB_PASS;
}

/* ---- Life -------------------------------------------------------------------------- */

static void tell_expired(void *arg, struct pb_str user, const struct regfile_contact *c)
{
	(void)arg;
	SAY(LOG_EXPIRED, "Registration of user '%.*s' via '%.*s' has expired", PB_STR_F(user),
	    PB_STR_F(c->data));
}

/* The priorities come from the file, so the handlers are no constant table. */
static int start(struct pb_ctx *cx)
{
	const struct settings *s = cx->settings;
	struct shared *sh = cx->shared;
	const struct pb_handler rows[] = {
		{ "user.auth", (unsigned)s->auth, PB_HERE, on_auth },
		{ "user.register", (unsigned)s->reg, PB_HERE, on_register },
		{ "user.unregister", (unsigned)s->reg, PB_HERE, on_unregister },
		{ "call.route", (unsigned)s->route, PB_HERE, on_route },
	};
	int err = 0;

	sh->autocreate = s->autocreate;
	sh->contacts = regfile_contacts_new(tell_expired, NULL);
	if (!sh->contacts)
		return -ENOMEM;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && !err; i++)
		err = pb_engine_add_handler(cx, &rows[i], NULL);
	if (err)
		regfile_contacts_free(&sh->contacts);
	return err;
}

static void loop_stop(struct pb_ctx *cx)
{
	struct shared *sh = cx->shared;

	if (sh->contacts)
		regfile_contacts_leave(sh->contacts, cx->loop);
}

static void stop(struct pb_ctx *cx)
{
	regfile_contacts_free(&((struct shared *)cx->shared)->contacts);
}

static void status_user(void *arg, struct pb_str user, const struct regfile_contact *c)
{
	pb_status_item(arg, user, "%.*s", PB_STR_F(c->data));
}

/* The tables are common to all loops: one tells. */
static void status(struct pb_ctx *cx, struct pb_status *st)
{
	const struct settings *s = cx->settings;
	struct shared *sh = cx->shared;

	if (pb_loop_index(cx->loop) != 0)
		return;
	pb_status_text(st, "create", sh->autocreate ? PB_STR("true") : PB_STR("false"));
	pb_status_count(st, "defined", (int64_t)s->users.count);
	pb_status_count(st, "users", (int64_t)regfile_contacts_users(sh->contacts));
	if (pb_status_details(st))
		regfile_contacts_each(sh->contacts, STATUS_USERS_MAX, status_user, st);
}

static const struct pb_counter counters[] = {
	{ "create", NULL, "Whether users that are not in the file may register." },
	{ "defined", "users", "Users in the file." },
	{ "users", "users", "Users that are registered." },
	{ NULL },
};

static const struct pb_sends sends[] = {
	/* Also what route_params names of a registration. */
	{ "call.route", "driver error oconnection_id callto.*", .answers = true },
	{ NULL },
};

static const struct pb_hears hears[] = {
	{ "user.auth", 100, "auth", false },
	{ "user.register", 100, "register", false },
	{ "user.unregister", 100, "register", false },
	{ "call.route", 100, "route", false },
	{ NULL },
};

static const struct pb_finding_row findings[] = {
	{ "regfile-101", "A user has no password and can never authenticate." },
	{ "regfile-102", "A user has an empty password: anybody is let in." },
	{ "regfile-103", "A section whose name is nearly general is read as a user." },
	{ NULL },
};

static void uses(const void *settings, struct pb_uses *u)
{
	const struct regfile_users *users = &((const struct settings *)settings)->users;

	for (size_t i = 0; users->slots && i <= users->mask; i++) {
		for (const struct regfile_user *it = users->slots[i]; it; it = it->next) {
			for (size_t k = 0; k < it->extra_count; k++)
				pb_uses_sets(u, it->extra[k].name);
		}
	}
}

PB_MODULE(regfile) = {
	.abi = PB_MODULE_ABI,
	.name = "regfile",
	.doc = "Users from regfile.conf, registrations in memory, routing to registered contacts.",
	.conf = "regfile",
	.status_type = "misc",
	.settings_size = sizeof(struct settings),
	.shared_size = sizeof(struct shared),
	.options = options,
	.log = &log_source,
	.read = read_settings,
	.start = start,
	.loop_stop = loop_stop,
	.stop = stop,
	.status = status,
	.counters = counters,
	.sends = sends,
	.hears = hears,
	.findings = findings,
	.uses = uses,
};
