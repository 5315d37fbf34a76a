/*
 * A scanner of libconfig's tokens, no parser: it steps over comments and
 * strings, measures numbers, and notes where names stand that are followed by
 * '=' or ':'. Names come in the order in which a walk of the parsed tree meets
 * them, so the i-th named setting has the i-th place.
 */
#include "bus/cfgscan.h"

#include <errno.h>

#include "base/alloc.h"

struct scan {
	const char *file;
	struct pb_str rest;
	struct pb_pos at; /* of rest.p[0] */
	struct pb_findings *f;
	struct pbi_cfg_names *names;
	int err;
};

static void step(struct scan *s, size_t n)
{
	for (; n && s->rest.n; n--) {
		s->at.col++;
		if (s->rest.p[0] == '\n') {
			s->at.line++;
			s->at.col = 1;
		}
		s->rest = pb_str_from(s->rest, 1);
	}
}

static bool sees(const struct scan *s, const char *text)
{
	return pb_str_starts(s->rest, pb_str_z(text));
}

#define REFUSE(s, where, id, ...)                                                                  \
	do {                                                                                       \
		pb_findings_add((s)->f, where, PB_SEV_ERROR, id, __VA_ARGS__);                     \
		(s)->err = -EINVAL;                                                                \
	} while (0)

static void scan_line_comment(struct scan *s)
{
	ptrdiff_t n = pb_str_chr(s->rest, '\n');

	step(s, n < 0 ? s->rest.n : (size_t)n);
}

static void scan_block_comment(struct scan *s)
{
	ptrdiff_t n = pb_str_find(s->rest, PB_STR("*/"));

	if (n < 0)
		REFUSE(s, s->at, PB_FIND(CFG_UNCLOSED), "the comment that begins here has no '*/'");
	step(s, n < 0 ? s->rest.n : (size_t)n + 2);
}

/* libconfig lets strings run over lines; nobody writes that on purpose. */
static void scan_string(struct scan *s)
{
	size_t n = 1;

	while (n < s->rest.n && s->rest.p[n] != '"' && s->rest.p[n] != '\n')
		n += s->rest.p[n] == '\\' ? 2 : 1;
	if (n >= s->rest.n || s->rest.p[n] != '"')
		REFUSE(s, s->at, PB_FIND(CFG_UNCLOSED),
		       "the string that begins here does not end in its line");
	step(s, n + 1);
}

static bool is_name_char(char c)
{
	return pb_is_alpha(c) || pb_is_digit(c) || c == '_' || c == '-' || c == '*';
}

static void note_name(struct scan *s, struct pb_pos at)
{
	struct pbi_cfg_names *names = s->names;
	size_t size = names->size ? names->size * 2 : 64;
	struct pb_pos *more;

	if (names->count == names->size) {
		more = pb_alloc_grow(names->at, size * sizeof(*more));
		if (!more) {
			s->err = -ENOMEM;
			return;
		}
		names->at = more;
		names->size = size;
	}
	names->at[names->count++] = at;
}

/* Skip what may stand between a name and its '='. */
static void skip_space(struct scan *s)
{
	for (;;) {
		size_t n = 0;

		while (n < s->rest.n && strchr(" \t\r\n\f\v", s->rest.p[n]) && s->rest.p[n])
			n++;
		step(s, n);
		if (sees(s, "/*"))
			scan_block_comment(s);
		else if (sees(s, "//") || sees(s, "#"))
			scan_line_comment(s);
		else
			return;
	}
}

static void scan_name(struct scan *s)
{
	struct pb_pos at = s->at;
	size_t n = 1;

	while (n < s->rest.n && is_name_char(s->rest.p[n]))
		n++;
	step(s, n);
	skip_space(s);
	if (sees(s, "=") || sees(s, ":"))
		note_name(s, at);
}

/* An integer without L is 32 bits wide for libconfig, and wraps. */
static void scan_number(struct scan *s)
{
	struct pb_pos at = s->at;
	struct pb_str word;
	bool is_hex, wide;
	size_t n = 1;
	int64_t v;
	int err;

	while (n < s->rest.n && (is_name_char(s->rest.p[n]) || s->rest.p[n] == '.' ||
				 (s->rest.p[n] == '+' && pb_to_lower(s->rest.p[n - 1]) == 'e')))
		n++;
	word = pb_str_head(s->rest, n);
	step(s, n);
	is_hex = word.n > 2 && word.p[0] == '0' && pb_to_lower(word.p[1]) == 'x';
	if (!is_hex && (pb_str_chr(word, '.') >= 0 || pb_str_chr(word, 'e') >= 0 ||
			pb_str_chr(word, 'E') >= 0))
		return;
	while (word.n && word.p[word.n - 1] == 'L')
		word.n--;
	wide = word.p[word.n] == 'L';
	err = pb_str_to_i64(is_hex ? pb_str_from(word, 2) : word, is_hex ? 16 : 10,
			    wide ? INT64_MIN : INT32_MIN, wide ? INT64_MAX : INT32_MAX, &v);
	if (err == -ERANGE)
		REFUSE(s, at, PB_FIND(CFG_NUMBER), "%.*s does not fit%s", PB_STR_F(word),
		       wide ? "" : ": over 2147483647 a number ends with L");
}

static void scan_token(struct scan *s)
{
	char c = s->rest.p[0];

	if (c == '"')
		scan_string(s);
	else if (pb_is_alpha(c) || c == '*')
		scan_name(s);
	else if (pb_is_digit(c) || c == '-' || c == '+')
		scan_number(s);
	else
		step(s, 1);
}

int pbi_cfg_scan(const char *file, struct pb_str text, struct pb_findings *f,
		 struct pbi_cfg_names *names)
{
	struct scan s = { file, text, { file, 1, 1 }, f, names, 0 };

	for (skip_space(&s); s.rest.n; skip_space(&s)) {
		if (s.rest.p[0] == '\0') {
			REFUSE(&s, s.at, PB_FIND(NUL), "NUL octet: this is no text file");
			break;
		}
		if (sees(&s, "@include"))
			REFUSE(&s, s.at, PB_FIND(CFG_INCLUDE), "@include is not read here");
		scan_token(&s);
	}
	return s.err;
}
