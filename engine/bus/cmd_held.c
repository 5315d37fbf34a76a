/*
 * `parked` and `who-waits`: the messages that handlers hold. Each loop tells of
 * its own as parameters of its copy of the command; merged they are one table,
 * oldest first within a loop.
 */
#include "bus/builtin.h"

#include "bus/bus_impl.h"

/** Told by one loop at most. */
#define ROWS_MAX 1000

/** One parameter a row: these fields, TAB between. */
enum { MESSAGE, ID, HOLDER, AGE, LEFT, TOKEN, FIELDS };

static struct pb_str id_of(const struct pb_msg *m)
{
	struct pb_str id = pb_msg_get(m, PB_STR("id"));

	return pb_str_chr(id, '\t') < 0 ? id : PB_STR("");
}

/** What is left of the hold's limit. */
static uint64_t left_ms(const struct pbi_slot *s)
{
	uint64_t now = pb_loop_now_ms(s->on->loop);

	return pb_timer_active(&s->limit) && s->limit.due_ms > now ? s->limit.due_ms - now : 0;
}

static void tell(struct pb_msg *m, const struct pbi_slot *s)
{
	struct pb_token token = pbi_slot_token(s);
	uint64_t age = (pb_loop_now_us(s->on->loop) - s->since_us) / 1000;

	pb_msg_add(m, PB_STR("\1row"),
		   pb_arena_printf(pb_msg_arena(m), "%.*s\t%.*s\t%.*s\t%llu\t%llu\t%u.%u.%u",
				   PB_STR_F(pb_msg_name(s->msg)), PB_STR_F(id_of(s->msg)), PB_STR_F(s->reg->track),
				   (unsigned long long)age, (unsigned long long)left_ms(s), token.loop, token.slot,
				   token.gen));
}

/**
 * Shown where it was dispatched: not once more where its handler runs, nor our
 * own command, which is parked while it visits the loops.
 */
static bool is_left_out(const struct pbi_slot *s)
{
	if (s->msg->w.visit)
		return true;
	return s->gather && pb_str_eq(pb_msg_name(s->msg), PB_STR("engine.command"));
}

static enum pb_verdict tell_all(struct pb_msg *m, struct pb_ctx *cx)
{
	unsigned told = 0;

	pb_list_each(n, &pbi_on(cx->bus, cx->loop)->parked) {
		const struct pbi_slot *s = pb_container(n, struct pbi_slot, node);

		if (!is_left_out(s) && told++ < ROWS_MAX)
			tell(m, s);
	}
	if (told > ROWS_MAX)
		pb_msg_set_int(m, PB_STR("\1more"), told - ROWS_MAX);
	return PB_HANDLED;
}

enum pb_verdict pbi_on_parked(struct pb_msg *m, struct pb_ctx *cx)
{
	return tell_all(m, cx);
}

enum pb_verdict pbi_on_who_waits(struct pb_msg *m, struct pb_ctx *cx)
{
	return tell_all(m, cx);
}

/* ---- The table ---------------------------------------------------------------------------- */

struct table {
	struct pb_text t;
	unsigned count;
	void (*add)(struct table *t, const struct pb_str f[FIELDS]);
};

static void cut(struct pb_str row, struct pb_str f[FIELDS])
{
	for (int i = 0; i < FIELDS; i++)
		pb_str_cut(&row, '\t', &f[i]);
}

static void add_rows(struct table *t, const struct pb_msg *part)
{
	for (size_t i = 0; i < pb_msg_count(part); i++) {
		struct pb_str f[FIELDS] = { { NULL, 0 } };

		if (!pb_str_eq(pb_msg_at(part, i)->name, PB_STR("\1row")))
			continue;
		cut(pb_msg_at(part, i)->value, f);
		t->count++;
		t->add(t, f);
	}
}

static void add_object(struct table *t, const struct pb_str f[FIELDS])
{
	static const char *const keys[FIELDS] = { "message", "id", "holder", "age_ms", "left_ms", "token" };

	pb_text_addc(&t->t, t->count > 1 ? ',' : '[');
	for (int i = 0; i < FIELDS; i++) {
		pb_text_addf(&t->t, "%s\"%s\":", i ? "," : "{", keys[i]);
		if (i == AGE || i == LEFT)
			pb_text_add(&t->t, f[i]);
		else
			pb_text_add_json(&t->t, f[i]);
	}
	pb_text_addc(&t->t, '}');
}

static void add_parked(struct table *t, const struct pb_str f[FIELDS])
{
	pb_text_addf(&t->t, "%.*s held by %.*s for %.*s ms, token %.*s\r\n", PB_STR_F(f[MESSAGE]), PB_STR_F(f[HOLDER]),
		     PB_STR_F(f[AGE]), PB_STR_F(f[TOKEN]));
}

static void add_waiting(struct table *t, const struct pb_str f[FIELDS])
{
	pb_text_addf(&t->t, "%-24.*s %-16.*s %-24.*s %8.*s %8.*s\r\n", PB_STR_F(f[MESSAGE]),
		     PB_STR_F(f[ID].n ? f[ID] : PB_STR("-")), PB_STR_F(f[HOLDER]), PB_STR_F(f[AGE]),
		     PB_STR_F(f[LEFT]));
}

static void merge(struct pb_msg *m, struct pb_msg *const *parts, unsigned n, struct table *t)
{
	struct pb_str line = pb_msg_get(m, PB_STR("line"));
	bool json = pbi_take_json(&line);
	int64_t more = 0;

	if (json)
		t->add = add_object;
	for (unsigned i = 0; i < n; i++) {
		if (!parts[i])
			continue;
		add_rows(t, parts[i]);
		more += pb_msg_get_int(parts[i], PB_STR("\1more"), 0, 0, INT32_MAX);
	}
	if (json)
		pb_text_addf(&t->t, "%s]\r\n", t->count ? "" : "[");
	else if (more)
		pb_text_addf(&t->t, "and %lld more\r\n", (long long)more);
	pbi_answer(m, &t->t);
}

void pbi_merge_parked(struct pb_msg *m, struct pb_msg *const *parts, unsigned n, void *arg)
{
	struct table t = { .add = add_parked };

	(void)arg;
	pb_text_init(&t.t, PB_MSG_LIMIT_BYTES / 2);
	merge(m, parts, n, &t);
}

void pbi_merge_who_waits(struct pb_msg *m, struct pb_msg *const *parts, unsigned n, void *arg)
{
	struct pb_str line = pb_msg_get(m, PB_STR("line"));
	struct table t = { .add = add_waiting };

	(void)arg;
	pb_text_init(&t.t, PB_MSG_LIMIT_BYTES / 2);
	if (!pbi_take_json(&line)) {
		pb_text_addf(&t.t, "%-24s %-16s %-24s %8s %8s\r\n", "MESSAGE", "ID", "HOLDER", "AGE ms", "LEFT ms");
		pb_msg_set_int(m, PB_STR("cmd_header"), 1);
	}
	merge(m, parts, n, &t);
}
