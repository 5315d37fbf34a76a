/*
 * Messages.
 *
 * A message object and its arena are kept together in a small cache per thread,
 * so making one costs no call of the allocator: parameters of ordinary number
 * and size fit into the arena's first block. Names and values are copied next
 * to each other; looking one up is a scan that compares lengths first, which
 * beats a hash table at the few dozen parameters that messages have.
 */
#include "bus/msg_impl.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "base/alloc.h"
#include "base/text.h"
#include "bus/conf.h"
#include "bus/names.h"

#define FIRST_PARAMS 24
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define EVERY_LIFE_SEEN
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define EVERY_LIFE_SEEN
#endif
#ifdef EVERY_LIFE_SEEN
static const unsigned cache_max; /* 0: let the sanitizer see where each message begins and ends */
#else
static const unsigned cache_max = 64;
#endif
#define TRACK_BYTES 160

/* Never in a library that is loaded later: no call to find them. */
#define QUICK_TLS _Thread_local __attribute__((tls_model("initial-exec")))
static QUICK_TLS struct pb_msg *cache;
static QUICK_TLS unsigned cached;
static QUICK_TLS bool ends_clean; /* the thread's end will drop them */

static pthread_key_t at_end; /* has a value in threads that keep some */
static pthread_once_t at_end_made = PTHREAD_ONCE_INIT;

static void drop_at_end(void *arg)
{
	(void)arg;
	pbi_msg_cache_drop();
}

static void make_at_end(void)
{
	pthread_key_create(&at_end, drop_at_end);
}

/* Once a thread, before it keeps its first. */
static void end_clean(void)
{
	pthread_once(&at_end_made, make_at_end);
	ends_clean = pthread_setspecific(at_end, &cached) == 0;
}

uint64_t pbi_wall_us(void)
{
	struct pb_loop *l = pb_loop_current();
	struct timespec ts;

	if (l)
		return pb_loop_wall_us(l);
	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static struct pb_msg *take(void)
{
	struct pb_msg *m = cache;
	struct pb_arena *a;

	if (m) {
		cache = m->next;
		cached--;
		a = m->b.arena;
	} else {
		m = pb_alloc(sizeof(*m));
		a = m ? pb_arena_new(PB_MSG_LIMIT_BYTES) : NULL;
		if (!a) {
			pb_free(m);
			return NULL;
		}
	}
	memset(m, 0, sizeof(*m));
	m->b.arena = a;
	return m;
}

struct pb_msg *pb_msg_new(struct pb_str name)
{
	struct pb_msg *m = take();

	if (!m)
		return NULL;
	m->b.params = pb_arena_raw(m->b.arena, FIRST_PARAMS * sizeof(struct pb_param));
	m->b.room = FIRST_PARAMS;
	m->b.name = pb_arena_str(m->b.arena, name.p ? name : PB_STR(""));
	m->b.retval = PB_STR("");
	m->b.time_us = pbi_wall_us();
	return m;
}

void pb_msg_free(struct pb_msg **mp)
{
	struct pb_msg *m = *mp;

	if (!m)
		return;
	*mp = NULL;
	if (cached < cache_max) {
		if (__builtin_expect(!ends_clean, 0))
			end_clean();
		pb_arena_reset(m->b.arena); /* what was large is not kept */
		m->next = cache;
		cache = m;
		cached++;
		return;
	}
	pb_arena_free(&m->b.arena);
	pb_free(m);
}

void pbi_msg_cache_drop(void)
{
	while (cache) {
		struct pb_msg *m = cache;

		cache = m->next;
		pb_arena_free(&m->b.arena);
		pb_free(m);
	}
	cached = 0;
}

struct pb_msg *pb_msg_copy(const struct pb_msg *m)
{
	struct pb_msg *c = pb_msg_new(m->b.name);

	if (!c)
		return NULL;
	for (uint32_t i = 0; i < m->b.count; i++)
		pb_msg_add(c, m->b.params[i].name, m->b.params[i].value);
	pb_msg_set_retval(c, m->b.retval);
	c->b.broadcast = m->b.broadcast;
	c->b.time_us = m->b.time_us;
	c->b.enqueued_us = m->b.enqueued_us;
	c->b.dispatched_us = m->b.dispatched_us;
	c->b.chan = m->b.chan;
	c->b.flight = m->b.flight;
	c->b.touched = m->b.touched;
	c->b.deadline_us = m->b.deadline_us;
	c->b.renamed = m->b.renamed;
	c->b.tracked = m->b.tracked;
	if (pb_msg_failed(c)) { /* half a message is none */
		pb_msg_free(&c);
		return NULL;
	}
	c->b.failed = m->b.failed;
	return c;
}

void pb_msg_swap(struct pb_msg *a, struct pb_msg *b)
{
	struct pbi_body t = a->b;
	uint32_t renamed = a->b.renamed > b->b.renamed ? a->b.renamed : b->b.renamed;

	a->b = b->b;
	b->b = t;
	if (!pb_str_eq(a->b.name, b->b.name)) /* a walk of either must see it */
		a->b.renamed = b->b.renamed = renamed + 1;
}

struct pb_str pb_msg_name(const struct pb_msg *m)
{
	return m->b.name;
}

static struct pb_str keep(struct pb_msg *m, struct pb_str s)
{
	struct pb_str c = s.n ? pb_arena_str(m->b.arena, s) : PB_STR("");

	if (s.n && !c.p) {
		m->b.failed = true;
		return PB_STR("");
	}
	return c;
}

void pb_msg_set_name(struct pb_msg *m, struct pb_str name)
{
	if (pb_str_eq(name, m->b.name))
		return;
	name = keep(m, name);
	if (m->b.failed && !name.n)
		return; /* the old one rather than none */
	m->b.name = name;
	m->b.renamed++;
}

struct pb_str pb_msg_retval(const struct pb_msg *m)
{
	return m->b.retval;
}

void pb_msg_set_retval(struct pb_msg *m, struct pb_str text)
{
	m->b.retval = keep(m, text);
}

void pb_msg_again(struct pb_msg *m, struct pb_str name)
{
	pb_msg_set_name(m, name);
	m->b.retval = PB_STR("");
	m->b.time_us = pbi_wall_us();
	m->b.enqueued_us = m->b.dispatched_us = 0;
	m->b.deadline_us = 0;
	if (m->b.tracked.n)
		pb_msg_clear(m, m->b.tracked);
}

static struct pb_param *find(const struct pb_msg *m, struct pb_str name)
{
	struct pb_param *p = m->b.params, *end = p + m->b.count;

	for (; p < end; p++) {
		if (p->name.n == name.n && memcmp(p->name.p, name.p, name.n) == 0)
			return p;
	}
	return NULL;
}

struct pb_str pb_msg_get(const struct pb_msg *m, struct pb_str name)
{
	const struct pb_param *p = find(m, name);

	return p ? p->value : PB_STR_NULL;
}

bool pb_msg_has(const struct pb_msg *m, struct pb_str name)
{
	return find(m, name) != NULL;
}

bool pb_msg_get_bool(const struct pb_msg *m, struct pb_str name, bool def)
{
	return pb_str_to_bool(pb_msg_get(m, name), def);
}

int64_t pb_msg_get_int(const struct pb_msg *m, struct pb_str name, int64_t def, int64_t lo, int64_t hi)
{
	int64_t v;

	/* An overflow is the default, not the bound. */
	if (pb_str_to_i64(pb_msg_get(m, name), 0, INT64_MIN, INT64_MAX, &v))
		return def;
	return v < lo ? lo : v > hi ? hi : v;
}

/* memcpy for what is nearly always short: two overlapping words. */
static inline void put(char *to, const char *from, size_t n)
{
	uint64_t a, b;
	uint32_t c, d;

	if (n > 16) {
		memcpy(to, from, n);
	} else if (n >= 8) {
		memcpy(&a, from, 8);
		memcpy(&b, from + n - 8, 8);
		memcpy(to, &a, 8);
		memcpy(to + n - 8, &b, 8);
	} else if (n >= 4) {
		memcpy(&c, from, 4);
		memcpy(&d, from + n - 4, 4);
		memcpy(to, &c, 4);
		memcpy(to + n - 4, &d, 4);
	} else {
		while (n--)
			*to++ = *from++;
	}
}

static bool more_room(struct pb_msg *m)
{
	uint32_t room = m->b.room * 2;
	struct pb_param *p = pb_arena_raw(m->b.arena, room * sizeof(*p));

	if (!p) {
		m->b.failed = true;
		return false;
	}
	memcpy(p, m->b.params, m->b.count * sizeof(*p));
	m->b.params = p;
	m->b.room = room;
	return true;
}

/* The recorder has not seen this one yet. */
static inline void touch(struct pb_msg *m, size_t i)
{
	m->b.touched |= 1ull << (i < 63 ? i : 63);
}

void pb_msg_add(struct pb_msg *m, struct pb_str name, struct pb_str value)
{
	struct pb_param *p;
	char *c;

	if (m->b.count == m->b.room && !more_room(m))
		return;
	c = pb_arena_bytes(m->b.arena, name.n + value.n + 2);
	if (!c) {
		m->b.failed = true;
		return;
	}
	touch(m, m->b.count);
	p = &m->b.params[m->b.count++];
	p->name = pb_str(c, name.n);
	put(c, name.p, name.n);
	c += name.n;
	*c++ = '\0';
	p->value = pb_str(c, value.n);
	put(c, value.p, value.n);
	c[value.n] = '\0';
}

void pb_msg_set(struct pb_msg *m, struct pb_str name, struct pb_str value)
{
	struct pb_param *p = find(m, name);

	if (p) {
		touch(m, (size_t)(p - m->b.params));
		p->value = keep(m, value);
		return;
	}
	pb_msg_add(m, name, value);
}

void pb_msg_set_bool(struct pb_msg *m, struct pb_str name, bool value)
{
	pb_msg_set(m, name, value ? PB_STR("true") : PB_STR("false"));
}

void pb_msg_set_int(struct pb_msg *m, struct pb_str name, int64_t value)
{
	struct pb_text t;
	char buf[24];

	pb_text_init_buf(&t, buf, sizeof(buf));
	pb_text_addi(&t, value);
	pb_msg_set(m, name, pb_text_str(&t));
}

void pb_msg_setf(struct pb_msg *m, struct pb_str name, const char *fmt, ...)
{
	char buf[512], *text = buf;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	if (n >= (int)sizeof(buf)) { /* rare: once more, with room */
		text = pb_arena_bytes(m->b.arena, (size_t)n + 1);
		va_start(ap, fmt);
		if (text)
			n = vsnprintf(text, (size_t)n + 1, fmt, ap);
		va_end(ap);
	}
	if (n < 0 || !text)
		m->b.failed = true;
	else
		pb_msg_set(m, name, pb_str(text, (size_t)n));
}

void pb_msg_clear(struct pb_msg *m, struct pb_str name)
{
	uint64_t touched = m->b.touched;
	uint32_t kept = 0;

	m->b.touched = 0;
	for (uint32_t i = 0; i < m->b.count; i++) {
		if (pb_str_eq(m->b.params[i].name, name))
			continue;
		if (touched >> (i < 63 ? i : 63) & 1)
			touch(m, kept);
		m->b.params[kept++] = m->b.params[i];
	}
	m->b.count = kept;
}

static bool is_below(struct pb_str s, struct pb_str name, char separator)
{
	return pb_str_starts(s, name) && (s.n == name.n || s.p[name.n] == separator);
}

void pb_msg_clear_tree(struct pb_msg *m, struct pb_str name, char separator)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < m->b.count; i++) {
		if (!is_below(m->b.params[i].name, name, separator))
			m->b.params[kept++] = m->b.params[i];
	}
	m->b.count = kept;
}

size_t pb_msg_count(const struct pb_msg *m)
{
	return m->b.count;
}

const struct pb_param *pb_msg_at(const struct pb_msg *m, size_t i)
{
	return i < m->b.count ? &m->b.params[i] : NULL;
}

uint64_t pb_msg_time_us(const struct pb_msg *m)
{
	return m->b.time_us;
}

void pb_msg_set_time_us(struct pb_msg *m, uint64_t us)
{
	m->b.time_us = us;
}

void pb_msg_inherit(struct pb_msg *m, const struct pb_msg *from)
{
	m->b.deadline_us = from->b.deadline_us;
}

uint64_t pb_msg_enqueued_us(const struct pb_msg *m)
{
	return m->b.enqueued_us;
}

uint64_t pb_msg_dispatched_us(const struct pb_msg *m)
{
	return m->b.dispatched_us;
}

bool pb_msg_broadcast(const struct pb_msg *m)
{
	return m->b.broadcast;
}

void pb_msg_set_broadcast(struct pb_msg *m, bool on)
{
	m->b.broadcast = on;
}

struct pb_handle pb_msg_chan(const struct pb_msg *m)
{
	return m->b.chan;
}

void pb_msg_set_chan(struct pb_msg *m, struct pb_handle h)
{
	m->b.chan = h;
}

struct pb_arena *pb_msg_arena(struct pb_msg *m)
{
	return m->b.arena;
}

bool pb_msg_failed(const struct pb_msg *m)
{
	return m->b.failed || pb_arena_failed(m->b.arena);
}

/* ---- Tracking ------------------------------------------------------------ */

/* Room for `n` more bytes of tracking text, moving it when it must. */
static bool track_reserve(struct pb_msg *m, struct pb_param *p, uint32_t n)
{
	uint32_t room;
	char *c;

	if (p->value.p == m->b.track && m->b.track && m->b.track_room - m->b.track_n > n)
		return true;
	room = (uint32_t)p->value.n + n + TRACK_BYTES;
	c = pb_arena_bytes(m->b.arena, room);
	if (!c)
		return false;
	if (p->value.n)
		memcpy(c, p->value.p, p->value.n);
	m->b.track = c;
	m->b.track_n = (uint32_t)p->value.n;
	m->b.track_room = room;
	return true;
}

/* The tracking parameter: nearly always the last one, whose text we grow. */
static struct pb_param *track_param(struct pb_msg *m, struct pb_str param)
{
	struct pb_param *p = &m->b.params[m->b.count - 1];
	uint32_t before = m->b.count;

	if (before && m->b.track && p->value.p == m->b.track)
		return p;
	m->b.tracked = param; /* the bus's, which outlives its messages */
	p = find(m, param);
	if (p)
		return p;
	pb_msg_add(m, param, PB_STR(""));
	return m->b.count > before ? &m->b.params[before] : NULL;
}

void pbi_msg_track(struct pb_msg *m, struct pb_str param, struct pb_str text)
{
	struct pb_param *p = track_param(m, param);
	char *c;

	if (!p || !track_reserve(m, p, (uint32_t)text.n + 2))
		return;
	c = m->b.track + m->b.track_n;
	if (m->b.track_n)
		*c++ = ',';
	put(c, text.p, text.n);
	c += text.n;
	*c = '\0';
	m->b.track_n = (uint32_t)(c - m->b.track);
	p->value = pb_str(m->b.track, m->b.track_n);
}

void pbi_msg_track_time(struct pb_msg *m, struct pb_str param, uint32_t at, uint64_t took_us)
{
	struct pb_param *p = find(m, param);
	struct pb_str text;

	if (!p || p->value.n < at)
		return; /* the handler has written something else */
	text = pb_arena_printf(m->b.arena, "%.*s#%llu.%03u%.*s", (int)at, p->value.p, (unsigned long long)took_us / 1000,
			       (unsigned)(took_us % 1000), PB_STR_F(pb_str_from(p->value, at)));
	if (text.p)
		p->value = text;
}

/* ---- Escapes ----------------------------------------------------------------- */

void pb_msg_escape(struct pb_text *t, struct pb_str s, bool names)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '%') {
			pb_text_lit(t, "%%");
		} else if (c < 0x20 || c == ':' || (names && c == '=')) {
			pb_text_addc(t, '%');
			pb_text_addc(t, (char)(c + 64));
		} else {
			pb_text_addc(t, (char)c);
		}
	}
}

void pb_msg_write(struct pb_text *t, const struct pb_msg *m, bool for_eyes)
{
	const struct pb_name_message *row = for_eyes ? pb_name_message(m->b.name) : NULL;
	bool hide = row && (row->flags & PB_NAME_SECRET_RETVAL) && m->b.retval.n;

	pb_msg_escape(t, m->b.name, false);
	pb_text_addc(t, ':');
	pb_msg_escape(t, hide ? PB_STR("(hidden)") : m->b.retval, false);
	for (uint32_t i = 0; i < m->b.count; i++) {
		const struct pb_param *p = &m->b.params[i];

		hide = for_eyes && pb_name_is_secret(m->b.name, p->name);
		pb_text_addc(t, ':');
		pb_msg_escape(t, p->name, true);
		pb_text_addc(t, '=');
		pb_msg_escape(t, hide ? PB_STR("(hidden)") : p->value, false);
	}
}

ptrdiff_t pb_msg_unescape(struct pb_arena *a, struct pb_str s, struct pb_str *out)
{
	char *c = pb_arena_bytes(a, s.n + 1), *to = c;

	*out = PB_STR_NULL;
	if (!c)
		return -(ptrdiff_t)s.n - 1;
	for (size_t i = 0; i < s.n; i++) {
		char x = s.p[i];

		if ((unsigned char)x < 0x20)
			return -(ptrdiff_t)i - 1;
		if (x != '%') {
			*to++ = x;
			continue;
		}
		x = ++i < s.n ? s.p[i] : '\0';
		if (x == '%')
			*to++ = '%';
		else if (x == 'z')
			*to++ = ':';
		else if (x >= 'A' && x <= '_')
			*to++ = (char)(x - 64);
		else
			return -(ptrdiff_t)i - 1;
	}
	*to = '\0';
	*out = pb_str(c, (size_t)(to - c));
	return 0;
}

static struct pb_str expand_get(void *arg, struct pb_str name)
{
	return pb_msg_get(arg, name);
}

struct pb_str pb_msg_expand(const struct pb_msg *m, struct pb_str text, struct pb_arena *into)
{
	return pb_expand(text, expand_get, (void *)(uintptr_t)m, into);
}
