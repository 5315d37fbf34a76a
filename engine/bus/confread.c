/*
 * Reading ini files: lines, sections, directives.
 *
 * A file lies whole in the configuration's arena (conffile.c) and is cut into
 * lines here; keys and values are slices of it, except values continued over
 * several lines. The current section is handed down to included files, the state
 * of conditionals is each file's own.
 */
#include "bus/confread.h"

#include <errno.h>

/** A physical line without its leading blanks, and where it begins. */
struct line {
	struct pb_str text;
	struct pb_pos at;
};

static struct pb_pos at_col(struct pb_pos at, const char *line, const char *p)
{
	at.col += (unsigned)(p - line);
	return at;
}

static struct pb_str run_param(void *arg, struct pb_str name)
{
	const struct pb_conf_env *env = arg;

	return env && env->run_param ? env->run_param(env->arg, name) : PB_STR_NULL;
}

static struct pb_str expand(struct pbi_source *s, struct pb_pos at, struct pb_str text)
{
	ptrdiff_t open = pb_str_find(text, PB_STR("${"));

	if (open >= 0 && pb_str_chr(pb_str_from(text, (size_t)open), '}') < 0)
		pb_findings_add(s->r->f, at, PB_SEV_WARNING, PB_FIND(EXPRESSION),
				"'${' without '}'");
	return pb_str_trim(pb_expand(text, run_param, (void *)s->r->env, s->r->c->arena));
}

/* ---- Lines --------------------------------------------------------------------- */

static size_t line_end(struct pb_str s)
{
	size_t n = 0;

	while (n < s.n && s.p[n] != '\n' && s.p[n] != '\r' && s.p[n] != '\0')
		n++;
	return n;
}

/* Lines end with LF, CR, CR LF or NUL; the last one may have no end. */
static bool next_line(struct pbi_source *s, struct line *out)
{
	size_t n = line_end(s->rest), skip = 0;
	char end = n < s->rest.n ? s->rest.p[n] : '\n';

	if (!s->rest.n)
		return false;
	s->line++;
	while (skip < n && (s->rest.p[skip] == ' ' || s->rest.p[skip] == '\t'))
		skip++;
	out->text = pb_str(s->rest.p + skip, n - skip);
	out->at = (struct pb_pos){ s->file, s->line, (unsigned)skip + 1 };
	if (end == '\0' && !s->saw_nul) {
		s->saw_nul = true;
		pb_findings_add(s->r->f, at_col(out->at, out->text.p, s->rest.p + n),
				PB_SEV_WARNING, PB_FIND(NUL),
				"NUL octet: read as the end of a line");
	}
	s->rest = pb_str_from(s->rest, n + 1);
	if (end == '\r' && s->rest.n && s->rest.p[0] == '\n')
		s->rest = pb_str_from(s->rest, 1);
	return true;
}

/* ---- Parameters ---------------------------------------------------------------- */

static bool is_continued(struct pb_str text)
{
	return text.n && text.p[text.n - 1] == '\\';
}

/* Continuation lines are raw: brackets and semicolons mean nothing in them. */
static struct pb_str join_lines(struct pbi_source *s, struct pb_pos at, struct pb_str value)
{
	struct line l = { .text = value };
	struct pb_text t;

	pb_text_init(&t, PBI_CONF_BYTES_MAX);
	while (is_continued(l.text)) {
		pb_text_add(&t, pb_str_head(l.text, l.text.n - 1));
		if (!next_line(s, &l)) {
			pb_findings_add(s->r->f, at, PB_SEV_NOTE, PB_FIND(DANGLING),
					"the last line ends with '\\' and nothing follows");
			l.text = PB_STR("");
		}
	}
	pb_text_add(&t, l.text);
	if (pb_text_failed(&t))
		s->r->err = -ENOMEM;
	value = pb_arena_str(s->r->c->arena, pb_str_trim(pb_text_str(&t)));
	pb_text_fini(&t);
	return value;
}

static void tell_outside(struct pbi_source *s, struct pb_pos at)
{
	if (s->saw_outside)
		return;
	s->saw_outside = true;
	pb_findings_add(s->r->f, at, PB_SEV_WARNING, PB_FIND(NO_SECTION),
			"parameter before any [section]: ignored");
}

static bool sets_rules(const struct pbi_source *s)
{
	const struct pb_conf_env *env = s->r->env;

	return env && env->rules && env->sets_rules &&
	       pb_str_eq(s->current->pub.name, PB_STR("configuration"));
}

static void read_parameter(struct pbi_source *s, const struct line *l)
{
	ptrdiff_t eq = pb_str_chr(l->text, '=');
	struct pb_str value = pb_str_from(l->text, (size_t)eq + 1);
	struct pbi_item it = { .kind = PBI_ENTRY };
	struct pb_conf_entry *e = &it.entry;

	e->key = pb_str_trim(eq < 0 ? l->text : pb_str_head(l->text, (size_t)eq));
	e->key_at = l->at;
	e->has_value = eq >= 0;
	if (!e->key.n) {
		if (!s->disabled)
			pb_findings_add(s->r->f, l->at, PB_SEV_WARNING, PB_FIND(EMPTY_NAME),
					"no name before '=': line ignored");
		return;
	}
	e->value = e->has_value ? pb_str_trim(value) : PB_STR("");
	e->value_at = e->has_value ? at_col(l->at, l->text.p, e->value.p) : l->at;
	if (e->has_value && is_continued(l->text))
		e->value = join_lines(s, l->at, value);
	if (s->disabled)
		return;
	if (!e->has_value && e->key.p[0] == '#')
		pb_findings_add(s->r->f, l->at, PB_SEV_WARNING, PB_FIND(HASH),
				"'#' does not begin a comment, ';' does");
	if (!s->current) {
		tell_outside(s, l->at);
		return;
	}
	pbi_conf_add(s->r->c, s->current, &it);
	if (sets_rules(s))
		pbi_rules_take(s->r->env->rules, e);
}

/* ---- Conditionals -------------------------------------------------------------- */

static bool evaluate(struct pbi_source *s, struct pb_pos at, struct pb_str raw)
{
	return pbi_condition(s->r->env, expand(s, at, raw), raw, at, s->r->f);
}

/* Each directive replaces the state; nothing is stacked, so a second elseif
 * behind a true branch may well enable again. */
static void read_enabled(struct pbi_source *s, struct pb_pos at, struct pb_str text)
{
	if (!text.n)
		s->disabled = false;
	else if (pb_str_eq(text, PB_STR("else")) || pb_str_eq(text, PB_STR("toggle")))
		s->disabled = !s->disabled;
	else if (!pb_str_skip_word(&text, PB_STR("elseif")))
		s->disabled = !evaluate(s, at, text);
	else if (!s->disabled)
		s->disabled = true;
	else
		s->disabled = !evaluate(s, at, text);
}

/* ---- Sections and directives ------------------------------------------------------ */

static void read_copy(struct pbi_source *s, struct pb_pos at, struct pb_str raw,
		      enum pbi_item_kind kind)
{
	struct pbi_item it = { .kind = kind, .entry = { .key_at = at } };
	bool required = kind == PBI_COPY_REQUIRED;

	it.entry.key = expand(s, at, raw);
	if (s->current && it.entry.key.n) {
		pbi_conf_add(s->r->c, s->current, &it);
		return;
	}
	s->r->refused |= required;
	pb_findings_add(s->r->f, at, required ? PB_SEV_ERROR : PB_SEV_WARNING, PB_FIND(DIRECTIVE),
			s->current ? "no section to copy"
				   : "a section copied outside any [section]: ignored");
}

static const struct directive {
	struct pb_str word;
	enum pbi_need need;
	enum pbi_item_kind copy; /* PBI_ENTRY: none, it includes a file */
} directives[] = {
	{ PB_STR_INIT("$include"), PBI_OPTIONAL, PBI_ENTRY },
	{ PB_STR_INIT("$includesilent"), PBI_SILENT, PBI_ENTRY },
	{ PB_STR_INIT("$require"), PBI_REQUIRED, PBI_ENTRY },
	{ PB_STR_INIT("$includesection"), PBI_OPTIONAL, PBI_COPY },
	{ PB_STR_INIT("$includesectionsilent"), PBI_SILENT, PBI_COPY_SILENT },
	{ PB_STR_INIT("$requiresection"), PBI_REQUIRED, PBI_COPY_REQUIRED },
};
#define DIRECTIVES (sizeof(directives) / sizeof(directives[0]))

/* A name with '$' in front that is no directive is a section, as users' files
 * may have it; most likely it is a slip. */
static void tell_near_directive(struct pbi_source *s, struct pb_pos at, struct pb_str inner)
{
	struct pb_str names[DIRECTIVES + 1] = { PB_STR("$enabled") }, word = PB_STR_NULL, near;

	for (size_t i = 0; i < DIRECTIVES; i++)
		names[i + 1] = directives[i].word;
	pb_str_word(&inner, &word);
	near = pb_suggest(word, names, DIRECTIVES + 1);
	if (pb_str_eq(near, word))
		pb_findings_add(s->r->f, at, PB_SEV_WARNING, PB_FIND(DIRECTIVE),
				"'%.*s' needs a name behind it: read as a section", PB_STR_F(word));
	else if (near.p)
		pb_findings_add(s->r->f, at, PB_SEV_WARNING, PB_FIND(DIRECTIVE),
				"no directive '%.*s': read as a section, did you mean '%.*s'?",
				PB_STR_F(word), PB_STR_F(near));
}

static void open_section(struct pbi_source *s, struct pb_pos at, struct pb_str inner)
{
	struct pb_str name = expand(s, at, inner);

	if (inner.p[0] == '$' && !pb_str_starts(inner, PB_STR("${")))
		tell_near_directive(s, at, inner);
	s->current = name.n ? pbi_conf_open(s->r->c, name, at) : NULL;
	if (name.n && !s->current)
		s->r->err = -ENOMEM;
	s->saw_outside = false;
}

static void read_bracket(struct pbi_source *s, const struct line *l)
{
	ptrdiff_t end = pb_str_chr(l->text, ']');
	struct pb_str inner = pb_str_trim(pb_str(l->text.p + 1, end > 0 ? (size_t)end - 1 : 0)),
		      rest = inner;

	if (end > 0 && pb_str_skip_word(&rest, PB_STR("$enabled"))) {
		read_enabled(s, l->at, rest);
		return;
	}
	if (s->disabled)
		return;
	if (!inner.n) {
		pb_findings_add(s->r->f, l->at, PB_SEV_WARNING,
				end < 0 ? PB_FIND(NO_BRACKET) : PB_FIND(EMPTY_NAME),
				end < 0 ? "'[' without ']': line ignored"
					: "section without a name: line ignored");
		return;
	}
	for (size_t i = 0; i < DIRECTIVES; i++) {
		const struct directive *d = &directives[i];

		if (inner.n == d->word.n || !pb_str_skip_word(&rest, d->word))
			continue;
		if (d->copy == PBI_ENTRY)
			pbi_source_include(s, l->at, rest, expand(s, l->at, rest), d->need);
		else
			read_copy(s, l->at, rest, d->copy);
		return;
	}
	open_section(s, l->at, inner);
}

void pbi_source_read(struct pbi_source *s)
{
	struct line l;

	if (pb_str_starts(s->rest, PB_STR("\xef\xbb\xbf"))) /* byte order mark */
		s->rest = pb_str_from(s->rest, 3);
	while (!s->r->err && next_line(s, &l)) {
		if (!l.text.n || l.text.p[0] == ';')
			continue;
		if (l.text.p[0] == '[')
			read_bracket(s, &l);
		else
			read_parameter(s, &l);
	}
}
