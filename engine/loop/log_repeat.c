/*
 * Lines that are said again and again: after so many of the same source, row
 * and text within a second the rest is counted and told in one line when the
 * second is over. Who can make the engine say something, by a packet or a
 * password, cannot fill the disk with it.
 *
 * A table of recent lines by hash, four places for each. The least said of four
 * gives way: then more is written, never less.
 */
#include <time.h>

#include "base/map.h"
#include "loop/log_impl.h"

#define SETS       16
#define WAYS       4
#define TIMES_MAX  10
#define WINDOW_MS  1000
#define HEAD_BYTES 120

static struct recent {
	const struct pb_log_source *src; /* NULL: unused */
	const struct pb_log_row *row;
	uint64_t hash;
	int64_t until_ms;
	unsigned said, held;
	size_t n;
	char head[HEAD_BYTES];
} recent[SETS * WAYS];

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void tell(struct recent *r)
{
	unsigned held = r->held;

	r->held = 0;
	if (held)
		pbi_log_say_repeated(r->src, r->row, pb_str(r->head, r->n), held);
}

static bool is_same(const struct recent *r, const struct pb_log_source *src,
		    const struct pb_log_row *row, uint64_t hash, struct pb_str text)
{
	struct pb_str head = pb_str_head(text, HEAD_BYTES);

	return r->src == src && r->row == row && r->hash == hash &&
	       pb_str_eq(pb_str(r->head, r->n), head);
}

/* The line's own place, or the one to give it. */
static struct recent *place_of(const struct pb_log_source *src, const struct pb_log_row *row,
			       uint64_t hash, struct pb_str text, int64_t now)
{
	struct recent *set = &recent[hash % SETS * WAYS], *least = set;

	for (struct recent *r = set; r < set + WAYS; r++) {
		if (is_same(r, src, row, hash, text))
			return r;
		if (least->until_ms > now && (r->until_ms <= now || r->said < least->said))
			least = r;
	}
	return least;
}

bool pbi_repeat_hold(const struct pb_log_source *src, const struct pb_log_row *row,
		     struct pb_str text)
{
	uint64_t hash = pb_hash(text);
	int64_t now = now_ms();
	struct recent *r = place_of(src, row, hash, text, now);

	if (is_same(r, src, row, hash, text) && now < r->until_ms) {
		if (r->said < TIMES_MAX) {
			r->said++;
			return false;
		}
		r->held++;
		return true;
	}
	tell(r);
	*r = (struct recent){
		.src = src, .row = row, .hash = hash, .until_ms = now + WINDOW_MS, .said = 1
	};
	r->n = pb_str_head(text, HEAD_BYTES).n;
	memcpy(r->head, text.p, r->n);
	return false;
}

void pbi_repeat_flush(bool all)
{
	int64_t now = now_ms();

	for (size_t i = 0; i < SETS * WAYS; i++) {
		if (recent[i].held && (all || now >= recent[i].until_ms))
			tell(&recent[i]);
	}
}
