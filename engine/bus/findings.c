/*
 * A growing array of findings, their texts in an arena. Errors are counted even
 * when there is no memory to keep them, so that a broken file never passes.
 */
#include "bus/findings.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"

/* Whoever has this many mistakes does not read further. */
#define FINDINGS_MAX         10000
#define FINDINGS_LIMIT_BYTES (8u << 20)

struct pb_findings {
	struct pb_arena *arena;
	struct pb_finding *rows;
	size_t count, size;
	size_t seen[PB_SEV_ERROR + 1]; /* also those that could not be kept */
};

static const struct pb_finding_row finding_rows[] = {
#define FINDING(name, ident, text) [PB_FINDING_##name] = { ident, text },
#include "bus/findings.def"
#undef FINDING
	[PB_FINDING_COUNT] = { NULL, NULL },
};

const struct pb_finding_row *pb_finding_row(enum pb_finding_id id)
{
	return &finding_rows[id];
}

struct pb_findings *pb_findings_new(void)
{
	struct pb_findings *f = pb_alloc_zero(1, sizeof(*f));

	if (!f)
		return NULL;
	f->arena = pb_arena_new(FINDINGS_LIMIT_BYTES);
	if (!f->arena)
		pb_findings_free(&f);
	return f;
}

void pb_findings_free(struct pb_findings **f)
{
	if (!*f)
		return;
	pb_arena_free(&(*f)->arena);
	pb_free((*f)->rows);
	pb_free(*f);
	*f = NULL;
}

static struct pb_finding *new_row(struct pb_findings *f)
{
	size_t size = f->size ? f->size * 2 : 16;
	struct pb_finding *rows;

	if (f->count == FINDINGS_MAX)
		return NULL;
	if (f->count == f->size) {
		rows = pb_alloc_grow(f->rows, size * sizeof(*rows));
		if (!rows)
			return NULL;
		f->rows = rows;
		f->size = size;
	}
	return &f->rows[f->count];
}

void pb_findings_add(struct pb_findings *f, struct pb_pos at, enum pb_severity sev, const char *id,
		     const char *fmt, ...)
{
	struct pb_finding *row;
	va_list ap;
	char buf[2048];
	int n;

	if (!f)
		return;
	f->seen[sev]++;
	row = new_row(f);
	if (!row)
		return;
	va_start(ap, fmt);
	n = vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	if (n < 0)
		n = 0;
	if ((size_t)n >= sizeof(buf)) /* cut short: the place matters more */
		n = sizeof(buf) - 1;
	*row = (struct pb_finding){ .line = at.line, .col = at.col, .severity = sev, .id = id };
	row->file = pb_arena_str(f->arena, pb_str_z(at.file));
	row->text = pb_arena_str(f->arena, pb_str(buf, (size_t)n));
	if (!pb_arena_failed(f->arena))
		f->count++;
}

size_t pb_findings_count(const struct pb_findings *f, enum pb_severity at_least)
{
	size_t n = 0;

	for (unsigned sev = at_least; sev <= PB_SEV_ERROR; sev++)
		n += f->seen[sev];
	return n;
}

const struct pb_finding *pb_findings_at(const struct pb_findings *f, size_t i)
{
	return i < f->count ? &f->rows[i] : NULL;
}

/* ---- Printing -------------------------------------------------------------- */

static const char *const severity_words[] = { "note", "warning", "error" };

struct order {
	const struct pb_finding *row;
	size_t index;
};

static int by_place(const void *a, const void *b)
{
	const struct order *x = a, *y = b;
	int d = pb_str_cmp(x->row->file, y->row->file);

	if (d)
		return d;
	if (x->row->line != y->row->line)
		return x->row->line < y->row->line ? -1 : 1;
	if (x->row->col != y->row->col)
		return x->row->col < y->row->col ? -1 : 1;
	return x->index < y->index ? -1 : 1;
}

/* Call `print` for each row in order of place; without memory, as they came. */
static void print_sorted(const struct pb_findings *f, struct pb_text *t,
			 void (*print)(const struct pb_finding *row, struct pb_text *t))
{
	struct order *o = f->count ? pb_alloc_zero(f->count, sizeof(*o)) : NULL;

	for (size_t i = 0; o && i < f->count; i++)
		o[i] = (struct order){ &f->rows[i], i };
	if (o)
		qsort(o, f->count, sizeof(*o), by_place);
	for (size_t i = 0; i < f->count; i++)
		print(o ? o[i].row : &f->rows[i], t);
	pb_free(o);
}

/* Text from a file never reaches a terminal as control characters. */
static void add_plain(struct pb_text *t, struct pb_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c < 0x20 || c == 0x7f)
			pb_text_addf(t, "\\x%02X", c);
		else
			pb_text_addc(t, (char)c);
	}
}

static void print_line(const struct pb_finding *row, struct pb_text *t)
{
	if (row->file.n) {
		add_plain(t, row->file);
		if (row->line)
			pb_text_addf(t, ":%u", row->line);
		if (row->line && row->col)
			pb_text_addf(t, ":%u", row->col);
		pb_text_lit(t, ": ");
	}
	pb_text_addf(t, "%s: ", severity_words[row->severity]);
	add_plain(t, row->text);
	pb_text_addf(t, " [%s]\n", row->id);
}

void pb_findings_print(const struct pb_findings *f, struct pb_text *t)
{
	print_sorted(f, t, print_line);
}

static void print_object(const struct pb_finding *row, struct pb_text *t)
{
	pb_text_add(t, t->n && t->p[t->n - 1] == '[' ? PB_STR("\n") : PB_STR(",\n"));
	pb_text_lit(t, "{\"file\":");
	pb_text_add_json(t, row->file);
	pb_text_addf(t, ",\"line\":%u,\"col\":%u,\"severity\":\"%s\",\"id\":\"%s\",\"text\":",
		     row->line, row->col, severity_words[row->severity], row->id);
	pb_text_add_json(t, row->text);
	pb_text_addc(t, '}');
}

void pb_findings_print_json(const struct pb_findings *f, struct pb_text *t)
{
	pb_text_addc(t, '[');
	print_sorted(f, t, print_object);
	pb_text_lit(t, "\n]\n");
}

/* ---- Did you mean ------------------------------------------------------------ */

struct pb_str pb_suggest(struct pb_str name, const struct pb_str *names, size_t n)
{
	unsigned best = (unsigned)(name.n / 3 < 1 ? 1 : name.n / 3 > 3 ? 3 : name.n / 3) + 1;
	struct pb_str found = PB_STR_NULL;

	if (name.n < 2)
		return found;
	for (size_t i = 0; i < n; i++) {
		unsigned d;

		if (pb_str_ieq(name, names[i]))
			return names[i];
		d = pb_str_distance(name, names[i]);
		if (d < best && d < names[i].n) {
			best = d;
			found = names[i];
		}
	}
	return found;
}
