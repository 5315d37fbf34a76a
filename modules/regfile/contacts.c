/*
 * Shards by a hash of the user, each behind a mutex.
 *
 * Why a mutex, where nearly nothing else here is locked: a call must find its
 * target on the loop where it is, and a registration arrives on any loop, so
 * neither a home loop (a hop for each call) nor a snapshot (a copy of the table
 * for each registration) will do. The lock is held for one hash lookup and the
 * copying of a few texts into the message; with 64 shards two of n loops rarely
 * want the same one. No lock is held while anything is posted or called back
 * but `found`, which must do no more than copy.
 *
 * A contact is found through its user, through its connection, and by its timer,
 * and is freed by the loop that owns the timer: whoever else takes it off the
 * table posts it there. Order of locks: a shard, then the connections.
 */
#include "regfile/contacts.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/text.h"

#define SHARDS 64
/* A timer reaches 2^31 ms; what lasts longer looks again. */
#define TIMER_MAX_MS (1u << 30)

struct shard {
	_Alignas(64) pthread_mutex_t lock;
	struct pb_map users;
};

struct user {
	struct pb_map_node node;
	struct pb_list contacts; /* best first */
	unsigned count;
	struct pb_str name; /* behind the struct */
};

struct connection {
	struct pb_map_node node;
	struct pb_list contacts;
	struct pb_str id; /* behind the struct */
};

struct contact {
	struct regfile_contacts *table;
	struct shard *shard;
	struct user *user; /* NULL: off the table, on its way to be freed */
	struct connection *connection;
	struct pb_list in_user, in_connection;
	struct pb_loop *home; /* of the timer */
	struct pb_timer timer;
	struct pb_work work;
	uint64_t ends_ms;         /* 0: never */
	uint64_t number;          /* in order of registration */
	struct pb_str name;       /* the user's */
	struct regfile_contact c; /* texts behind the struct */
};

struct regfile_contacts {
	struct shard shards[SHARDS];
	pthread_mutex_t connections_lock;
	struct pb_map connections;
	regfile_found_fn expired;
	void *arg;
	_Atomic uint64_t next_number;
};

static struct shard *shard_of(struct regfile_contacts *t, uint64_t hash)
{
	return &t->shards[hash >> 58]; /* the map uses the lower bits */
}

/* ---- Making contacts --------------------------------------------------------------- */

static size_t text_size(struct pb_str name, const struct regfile_contact *c)
{
	size_t n = name.n + c->data.n + c->driver.n + c->connection.n;

	for (size_t i = 0; i < c->param_count; i++)
		n += c->params[i].name.n + c->params[i].value.n;
	return n;
}

static struct pb_str put_text(char **at, struct pb_str s)
{
	struct pb_str copy = { s.p ? *at : NULL, s.n };

	if (s.n)
		memcpy(*at, s.p, s.n);
	*at += s.n;
	return copy;
}

/* One block: struct, parameters, texts. */
static struct contact *contact_new(struct pb_str name, const struct regfile_contact *c)
{
	size_t params = c->param_count * sizeof(*c->params);
	struct contact *k = pb_alloc(sizeof(*k) + params + text_size(name, c) + 1);
	struct pb_param *p = (struct pb_param *)(k + 1);
	char *at = (char *)p + params;

	if (!k)
		return NULL;
	memset(k, 0, sizeof(*k));
	k->name = put_text(&at, name);
	k->c = *c;
	k->c.params = p;
	k->c.data = put_text(&at, c->data);
	k->c.driver = put_text(&at, c->driver);
	k->c.connection = put_text(&at, c->connection);
	for (size_t i = 0; i < c->param_count; i++) {
		p[i].name = put_text(&at, c->params[i].name);
		p[i].value = put_text(&at, c->params[i].value);
	}
	return k;
}

static void free_at_home(void *arg)
{
	struct contact *k = arg;

	pb_timer_stop(&k->timer);
	pb_free(k);
}

/* It is off the table: nobody finds it any more. */
static void contact_release(struct contact *k)
{
	if (pb_loop_is_mine(k->home)) {
		free_at_home(k);
		return;
	}
	k->work = (struct pb_work){ .fn = free_at_home, .arg = k };
	pb_loop_post(k->home, &k->work);
}

/* ---- Users and connections --------------------------------------------------------- */

static struct user *find_user(struct shard *sh, struct pb_str name, uint64_t hash)
{
	struct pb_map_node *n = pb_map_first(&sh->users, hash);

	for (; n; n = pb_map_next(n)) {
		struct user *u = pb_container(n, struct user, node);

		if (pb_str_eq(u->name, name))
			return u;
	}
	return NULL;
}

static struct user *open_user(struct shard *sh, struct pb_str name, uint64_t hash)
{
	struct user *u = find_user(sh, name, hash);
	char *at;

	if (u)
		return u;
	u = pb_alloc_zero(1, sizeof(*u) + name.n + 1);
	if (!u)
		return NULL;
	at = (char *)(u + 1);
	u->name = put_text(&at, name);
	pb_list_init(&u->contacts);
	if (!pb_map_add(&sh->users, &u->node, hash))
		return u;
	pb_free(u);
	return NULL;
}

static void close_user(struct shard *sh, struct user *u)
{
	if (!pb_list_empty(&u->contacts))
		return;
	pb_map_remove(&sh->users, &u->node);
	pb_free(u);
}

static struct connection *find_connection(struct regfile_contacts *t, struct pb_str id)
{
	struct pb_map_node *n = pb_map_first(&t->connections, pb_hash(id));

	for (; n; n = pb_map_next(n)) {
		struct connection *c = pb_container(n, struct connection, node);

		if (pb_str_eq(c->id, id))
			return c;
	}
	return NULL;
}

static struct connection *open_connection(struct regfile_contacts *t, struct pb_str id)
{
	struct connection *c = find_connection(t, id);
	char *at;

	if (c)
		return c;
	c = pb_alloc_zero(1, sizeof(*c) + id.n + 1);
	if (!c)
		return NULL;
	at = (char *)(c + 1);
	c->id = put_text(&at, id);
	pb_list_init(&c->contacts);
	if (!pb_map_add(&t->connections, &c->node, pb_hash(id)))
		return c;
	pb_free(c);
	return NULL;
}

static int join_connection(struct regfile_contacts *t, struct contact *k)
{
	int err = 0;

	if (!k->c.connection.n)
		return 0;
	pthread_mutex_lock(&t->connections_lock);
	k->connection = open_connection(t, k->c.connection);
	if (k->connection)
		pb_list_push(&k->connection->contacts, &k->in_connection);
	else
		err = -ENOMEM;
	pthread_mutex_unlock(&t->connections_lock);
	return err;
}

/* Under the connections' lock. */
static void quit_connection(struct regfile_contacts *t, struct contact *k)
{
	struct connection *c = k->connection;

	if (!c)
		return;
	k->connection = NULL;
	pb_list_remove(&k->in_connection);
	if (!pb_list_empty(&c->contacts))
		return;
	pb_map_remove(&t->connections, &c->node);
	pb_free(c);
}

/* Take off the table, under the shard's lock; the user may stay empty. */
static void take_off(struct contact *k)
{
	struct regfile_contacts *t = k->table;

	if (k->c.connection.n) {
		pthread_mutex_lock(&t->connections_lock);
		quit_connection(t, k);
		pthread_mutex_unlock(&t->connections_lock);
	}
	pb_list_remove(&k->in_user);
	k->user->count--;
	k->user = NULL;
}

/* ---- Expiry ------------------------------------------------------------------------ */

static void start_timer(struct contact *k)
{
	uint64_t now = pb_loop_now_ms(k->home), left = k->ends_ms > now ? k->ends_ms - now : 0;

	if (k->ends_ms)
		pb_timer_start(k->home, &k->timer, left < TIMER_MAX_MS ? left : TIMER_MAX_MS);
}

static void on_timer(void *arg)
{
	struct contact *k = arg;
	struct regfile_contacts *t = k->table;
	struct user *u;

	if (pb_loop_now_ms(k->home) < k->ends_ms) {
		start_timer(k);
		return;
	}
	pthread_mutex_lock(&k->shard->lock);
	u = k->user;
	if (u) {
		take_off(k);
		close_user(k->shard, u);
	}
	pthread_mutex_unlock(&k->shard->lock);
	if (!u) /* whoever took it off has posted it here to be freed */
		return;
	if (t->expired)
		t->expired(t->arg, k->name, &k->c);
	pb_free(k);
}

/* A contact whose timer is due in this very turn is gone already. */
static bool has_ended(const struct contact *k, uint64_t now_ms)
{
	return k->ends_ms && k->ends_ms <= now_ms;
}

static uint64_t now_ms(void)
{
	return pb_loop_now_ms(pb_loop_current());
}

/* ---- Changing ---------------------------------------------------------------------- */

static struct contact *contact_at(struct pb_list *l)
{
	return pb_container(l, struct contact, in_user);
}

static struct contact *same_data(const struct user *u, struct pb_str data)
{
	pb_list_each(it, &u->contacts)
	{
		if (pb_str_eq(contact_at(it)->c.data, data))
			return contact_at(it);
	}
	return NULL;
}

static struct contact *oldest(const struct user *u)
{
	struct contact *old = NULL;

	pb_list_each(it, &u->contacts)
	{
		if (!old || contact_at(it)->number < old->number)
			old = contact_at(it);
	}
	return old;
}

/* Before the first that is not better: a later one of the same q comes first. */
static void put_in_order(struct user *u, struct contact *k)
{
	struct pb_list *at = u->contacts.next;

	while (at != &u->contacts && contact_at(at)->c.q_permille > k->c.q_permille)
		at = at->next;
	pb_list_push(at, &k->in_user); /* at the end of a list that begins there: before it */
	k->user = u;
	u->count++;
}

int regfile_contacts_put(struct regfile_contacts *t, struct pb_str user,
			 const struct regfile_contact *c, unsigned most)
{
	uint64_t hash = pb_hash(user);
	struct shard *sh = shard_of(t, hash);
	struct contact *k = contact_new(user, c), *old = NULL;
	struct user *u;

	if (!k)
		return -ENOMEM;
	k->table = t;
	k->shard = sh;
	k->home = pb_loop_current();
	k->ends_ms = c->expires_ms ? now_ms() + c->expires_ms : 0;
	k->number = atomic_fetch_add(&t->next_number, 1);
	pb_timer_init(&k->timer, on_timer, k);
	pthread_mutex_lock(&sh->lock);
	u = open_user(sh, user, hash);
	if (!u || join_connection(t, k)) {
		if (u)
			close_user(sh, u);
		pthread_mutex_unlock(&sh->lock);
		pb_free(k);
		return -ENOMEM;
	}
	old = same_data(u, c->data);
	if (!old && u->count >= most)
		old = oldest(u);
	if (old)
		take_off(old);
	put_in_order(u, k);
	start_timer(k);
	pthread_mutex_unlock(&sh->lock);
	if (old)
		contact_release(old);
	return 0;
}

/* Those of `user` that `data` and `connection` name (absent: any). */
static size_t drop(struct regfile_contacts *t, struct pb_str user, struct pb_str data,
		   struct pb_str connection)
{
	uint64_t hash = pb_hash(user);
	struct shard *sh = shard_of(t, hash);
	struct pb_list gone;
	struct user *u;
	size_t n = 0;

	pb_list_init(&gone);
	pthread_mutex_lock(&sh->lock);
	u = find_user(sh, user, hash);
	if (u) {
		pb_list_each_safe(it, &u->contacts)
		{
			struct contact *k = contact_at(it);

			if ((data.p && !pb_str_eq(k->c.data, data)) ||
			    (connection.p && !pb_str_eq(k->c.connection, connection)))
				continue;
			take_off(k);
			pb_list_push(&gone, &k->in_user);
		}
		close_user(sh, u);
	}
	pthread_mutex_unlock(&sh->lock);
	for (struct pb_list *it = pb_list_pop(&gone); it; it = pb_list_pop(&gone), n++)
		contact_release(contact_at(it));
	return n;
}

size_t regfile_contacts_drop(struct regfile_contacts *t, struct pb_str user, struct pb_str data)
{
	return drop(t, user, data, PB_STR_NULL);
}

/* The user of one contact on that connection, copied; it is taken off the
 * connection so that the next question finds another. */
static bool pop_user(struct regfile_contacts *t, struct pb_str connection, struct pb_text *name)
{
	struct connection *c;

	pb_text_reset(name);
	pthread_mutex_lock(&t->connections_lock);
	c = find_connection(t, connection);
	if (c) {
		struct contact *k = pb_container(c->contacts.next, struct contact, in_connection);

		pb_text_add(name, k->name);
		quit_connection(t, k);
	}
	pthread_mutex_unlock(&t->connections_lock);
	return c != NULL;
}

size_t regfile_contacts_drop_connection(struct regfile_contacts *t, struct pb_str connection)
{
	struct pb_text name;
	size_t n = 0;

	pb_text_init(&name, 65536);
	while (pop_user(t, connection, &name))
		n += drop(t, pb_text_str(&name), PB_STR_NULL, connection);
	pb_text_fini(&name);
	return n;
}

/* ---- Asking ------------------------------------------------------------------------ */

static const struct contact *best_of(const struct user *u, uint64_t now)
{
	pb_list_each(it, &u->contacts)
	{
		if (!has_ended(contact_at(it), now))
			return contact_at(it);
	}
	return NULL;
}

bool regfile_contacts_best(struct regfile_contacts *t, struct pb_str user, regfile_found_fn found,
			   void *arg)
{
	uint64_t hash = pb_hash(user);
	struct shard *sh = shard_of(t, hash);
	const struct contact *k = NULL;
	struct user *u;

	pthread_mutex_lock(&sh->lock);
	u = find_user(sh, user, hash);
	if (u)
		k = best_of(u, now_ms());
	if (k)
		found(arg, u->name, &k->c);
	pthread_mutex_unlock(&sh->lock);
	return k != NULL;
}

size_t regfile_contacts_users(struct regfile_contacts *t)
{
	size_t n = 0;

	for (unsigned i = 0; i < SHARDS; i++) {
		pthread_mutex_lock(&t->shards[i].lock);
		n += t->shards[i].users.count;
		pthread_mutex_unlock(&t->shards[i].lock);
	}
	return n;
}

void regfile_contacts_each(struct regfile_contacts *t, size_t most, regfile_found_fn found,
			   void *arg)
{
	uint64_t now = now_ms();

	for (unsigned i = 0; i < SHARDS && most; i++) {
		struct shard *sh = &t->shards[i];
		struct pb_map_node *n = NULL;

		pthread_mutex_lock(&sh->lock);
		while (most && (n = pb_map_each(&sh->users, n))) {
			struct user *u = pb_container(n, struct user, node);
			const struct contact *k = best_of(u, now);

			if (!k)
				continue;
			found(arg, u->name, &k->c);
			most--;
		}
		pthread_mutex_unlock(&sh->lock);
	}
}

/* ---- The table --------------------------------------------------------------------- */

struct regfile_contacts *regfile_contacts_new(regfile_found_fn expired, void *arg)
{
	struct regfile_contacts *t = pb_alloc_zero(1, sizeof(*t));

	if (!t)
		return NULL;
	for (unsigned i = 0; i < SHARDS; i++)
		pthread_mutex_init(&t->shards[i].lock, NULL);
	pthread_mutex_init(&t->connections_lock, NULL);
	t->expired = expired;
	t->arg = arg;
	return t;
}

static void each_contact(struct regfile_contacts *t, void (*fn)(struct contact *k, void *arg),
			 void *arg)
{
	for (unsigned i = 0; i < SHARDS; i++) {
		struct shard *sh = &t->shards[i];

		pthread_mutex_lock(&sh->lock);
		for (struct pb_map_node *n = NULL; (n = pb_map_each(&sh->users, n));) {
			struct user *u = pb_container(n, struct user, node);

			pb_list_each(it, &u->contacts) fn(contact_at(it), arg);
		}
		pthread_mutex_unlock(&sh->lock);
	}
}

static void stop_timer(struct contact *k, void *loop)
{
	if (k->home == loop)
		pb_timer_stop(&k->timer);
}

void regfile_contacts_leave(struct regfile_contacts *t, struct pb_loop *l)
{
	each_contact(t, stop_timer, l);
}

static void free_users(struct regfile_contacts *t, struct shard *sh)
{
	struct pb_map_node *n;

	while ((n = pb_map_each(&sh->users, NULL))) {
		struct user *u = pb_container(n, struct user, node);

		while (!pb_list_empty(&u->contacts)) {
			struct contact *k = contact_at(u->contacts.next);

			quit_connection(t, k);
			pb_list_remove(&k->in_user);
			pb_free(k);
		}
		pb_map_remove(&sh->users, n);
		pb_free(u);
	}
	pb_map_fini(&sh->users);
}

void regfile_contacts_free(struct regfile_contacts **tp)
{
	struct regfile_contacts *t = *tp;

	if (!t)
		return;
	*tp = NULL;
	for (unsigned i = 0; i < SHARDS; i++) {
		free_users(t, &t->shards[i]);
		pthread_mutex_destroy(&t->shards[i].lock);
	}
	pb_map_fini(&t->connections);
	pthread_mutex_destroy(&t->connections_lock);
	pb_free(t);
}
