/*
 * A site's file cut into its pieces as they stand, without a look at what they
 * mean: comments go with what follows them, a line that ends in a backslash
 * with the next one. A key behind a comment's sign is an example of its value.
 */
#include "bus/sample.h"

#include <errno.h>

struct cutting {
	struct pb_arena *a;
	struct pb_str left;
	char comment;      /* ';' or '#' */
	const char *begin; /* of the piece: its first comment */
	struct pb_str piece, line;
};

/* A comment, or nothing; ";KEY=..." without a blank is a key too. */
static bool is_quiet(const struct cutting *c, struct pb_str line)
{
	if (!line.n || line.p[0] != c->comment)
		return !line.n;
	return line.n < 2 || line.p[1] == ' ' || line.p[1] == '[' || pb_str_chr(line, '=') < 0;
}

static struct pb_str next_line(struct cutting *c)
{
	struct pb_str line;

	pb_str_cut(&c->left, '\n', &line);
	return line;
}

/* Up to and with the next line that says something; false when there is none, and
 * the piece is then what is left. */
static bool next_piece(struct cutting *c)
{
	const char *begin = c->left.p, *end = begin;

	c->line = PB_STR_NULL;
	while (c->left.p && is_quiet(c, c->line)) {
		c->line = pb_str_trim_space(next_line(c));
		end = c->left.p ? c->left.p : c->line.p + c->line.n;
	}
	while (c->left.p && c->line.n && c->line.p[c->line.n - 1] == '\\' &&
	       !is_quiet(c, c->line)) {
		c->line = pb_str_trim_space(next_line(c));
		end = c->left.p ? c->left.p : c->line.p + c->line.n;
		if (!c->line.n)
			break;
	}
	c->piece = pb_str_trim_space(pb_str(begin, begin ? (size_t)(end - begin) : 0));
	return c->line.n > 0 && !is_quiet(c, c->line);
}

/* The line of the piece that says something, at its beginning. */
static struct pb_str first_line(const struct cutting *c)
{
	struct pb_str left = c->piece, line = PB_STR_NULL;

	while (left.p && is_quiet(c, line)) {
		pb_str_cut(&left, '\n', &line);
		line = pb_str_trim_space(line);
	}
	return line;
}

static struct pbi_site_section *add_section(struct cutting *c, struct pbi_site_section ***end,
					    struct pb_str line)
{
	struct pbi_site_section *s = pb_arena_alloc(c->a, sizeof(*s));

	if (!s)
		return NULL;
	s->name = line.n > 2 ? pb_str_trim(pb_str(line.p + 1, line.n - 2)) : PB_STR("");
	s->head = c->piece;
	**end = s;
	*end = &s->next;
	return s;
}

static void add_item(struct cutting *c, struct pbi_site_item ***end, struct pb_str line)
{
	struct pbi_site_item *i = pb_arena_alloc(c->a, sizeof(*i));
	ptrdiff_t eq = pb_str_chr(line, '=');

	if (!i || !*end)
		return;
	if (line.n && line.p[0] == c->comment) {
		line = pb_str_from(line, 1);
		eq--;
	}
	i->key = eq < 0 ? PB_STR("") : pb_str_trim(pb_str_head(line, (size_t)eq));
	i->text = c->piece;
	**end = i;
	*end = &i->next;
}

/* A comment that a blank line parts from the rest is the file's. */
static void take_preamble(struct cutting *c, struct pbi_site *out)
{
	ptrdiff_t blank = pb_str_find(c->left, PB_STR("\n\n"));

	if (!c->left.n || c->left.p[0] != c->comment || blank < 0)
		return;
	out->preamble = pb_str_head(c->left, (size_t)blank);
	c->left = pb_str_from(c->left, (size_t)blank + 2);
}

int pbi_site_read(struct pb_str text, bool cfg, struct pb_arena *a, struct pbi_site *out)
{
	struct cutting c = { .a = a, .left = text, .comment = cfg ? '#' : ';' };
	struct pbi_site_section **sections = &out->sections, *s;
	struct pbi_site_item **items = NULL;
	bool more = text.n > 0;

	*out = (struct pbi_site){ 0 };
	take_preamble(&c, out);
	if (cfg && (s = add_section(&c, &sections, PB_STR(""))))
		items = &s->items;
	while (more) {
		struct pb_str line;

		more = next_piece(&c);
		line = first_line(&c);
		if (!more && !c.piece.n)
			break;
		if (!cfg && more && line.p[0] == '[') {
			s = add_section(&c, &sections, line);
			items = s ? &s->items : NULL;
		} else {
			add_item(&c, &items, more ? line : PB_STR(""));
		}
	}
	return pb_arena_failed(a) ? -ENOMEM : 0;
}

struct pbi_site_section *pbi_site_section(const struct pbi_site *site, struct pb_str name)
{
	for (struct pbi_site_section *s = site->sections; s; s = s->next) {
		if (pb_str_eq(s->name, name))
			return s;
	}
	return NULL;
}
