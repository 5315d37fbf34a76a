/*
 * Console commands: rows of a module become handlers of engine.command and
 * engine.help. One row is one handler with the command's first words as filter,
 * so that a command runs where its row says.
 */
#include "bus/builtin.h"

#include <errno.h>

/* What a handler of a command row needs; lives in the engine's arena. */
struct row {
	struct pbi_module *m;
	const struct pb_command *c;
};

/* "sip drop x" begins with the words "sip drop". */
static bool begins(struct pb_str line, const char *words)
{
	struct pb_str left = pb_str_z(words), word;

	line = pb_str_trim(line);
	while (pb_str_word(&left, &word)) {
		if (!pb_str_skip_word(&line, word))
			return false;
	}
	return true;
}

/* The row with most words has it: "sip drop" before "sip". */
static bool is_command(void *arg, struct pb_str line)
{
	const struct row *r = arg;

	if (!begins(line, r->c->word))
		return false;
	for (const struct pb_command *c = r->m->d->commands; c->word; c++) {
		if (strlen(c->word) > strlen(r->c->word) && begins(line, c->word))
			return false;
	}
	return true;
}

/* ---- Running ------------------------------------------------------------------------- */

struct pb_str pbi_command_args(const struct pb_msg *m, const char *word)
{
	struct pb_str line = pb_str_trim(pb_msg_get(m, PB_STR("line")));

	pb_str_skip_word(&line, pb_str_z(word));
	return pb_str_trim(line);
}

bool pbi_take_json(struct pb_str *line)
{
	static const struct pb_str word = PB_STR_INIT("--json");
	struct pb_str rest;

	if (!pb_str_ends(*line, word))
		return false;
	rest = pb_str_head(*line, line->n - word.n);
	if (rest.n && rest.p[rest.n - 1] != ' ' && rest.p[rest.n - 1] != '\t')
		return false;
	*line = pb_str_trim(rest);
	return true;
}

enum pb_verdict pbi_answer(struct pb_msg *m, struct pb_text *t)
{
	pb_msg_set_retval(m, pb_text_str(t));
	pb_text_fini(t);
	return PB_HANDLED;
}

static enum pb_verdict on_command(struct pb_msg *m, struct pb_ctx *cx)
{
	struct row *r = cx->arg;
	struct pb_ctx own = r->m->ctx[pb_loop_index(cx->loop)];
	struct pb_str line = pb_str_trim(pb_msg_get(m, PB_STR("line")));
	enum pb_verdict v;

	if (!strstr(r->c->syntax, "--json") && pbi_take_json(&line))
		pb_msg_set(m, PB_STR("line"), line);
	v = r->c->fn(m, &own);
	if (v == PB_HANDLED && r->c->place != PB_EACH)
		pbi_page(m);
	return v;
}

static void on_parts(struct pb_msg *m, struct pb_msg *const *parts, unsigned n, void *arg)
{
	const struct row *r = arg;
	struct pb_text t;

	if (r->c->merge) {
		r->c->merge(m, parts, n, NULL);
	} else {
		pb_text_init(&t, PB_MSG_LIMIT_BYTES);
		for (unsigned i = 0; i < n; i++) {
			if (parts[i])
				pb_text_add(&t, pb_msg_retval(parts[i]));
		}
		pbi_answer(m, &t);
	}
	pbi_page(m);
}

/* ---- Pages --------------------------------------------------------------------------------- */

/** Where line `n` begins, from 0; the end when there are fewer. */
static size_t line_at(struct pb_str text, size_t n)
{
	size_t at = 0;

	for (; n && at < text.n; n--) {
		ptrdiff_t end = pb_str_chr(pb_str_from(text, at), '\n');

		at = end < 0 ? text.n : at + (size_t)end + 1;
	}
	return at;
}

static size_t count_lines(struct pb_str text)
{
	size_t n = 0;

	for (size_t at = 0; at < text.n; n++)
		at += line_at(pb_str_from(text, at), 1);
	return n;
}

/*
 * A terminal that told its height gets one screen: the header's lines, those
 * from cmd_offset, and a line that says how much there is. cmd_finish is where
 * the next page begins; without it there is none.
 */
void pbi_page(struct pb_msg *m)
{
	size_t height = (size_t)pb_msg_get_int(m, PB_STR("cmd_height"), 0, 0, 1000);
	size_t header = (size_t)pb_msg_get_int(m, PB_STR("cmd_header"), 0, 0, 10);
	size_t offset = (size_t)pb_msg_get_int(m, PB_STR("cmd_offset"), 0, 0, INT32_MAX), room, lines;
	struct pb_str text = pb_msg_retval(m), head = pb_str_head(text, line_at(text, header));
	struct pb_text t;

	pb_msg_clear(m, PB_STR("cmd_offset"));
	if (height < header + 5)
		return;
	text = pb_str_from(text, head.n);
	lines = count_lines(text);
	room = height - header - 2; /* ours, and the prompt */
	if (lines <= room)
		return;
	offset = offset > lines - room ? lines - room : offset;
	text = pb_str_from(text, line_at(text, offset));
	pb_text_init(&t, PB_MSG_LIMIT_BYTES);
	pb_text_add(&t, head);
	pb_text_add(&t, pb_str_head(text, line_at(text, room)));
	pb_text_addf(&t, "-- %zu to %zu of %zu; PgUp, PgDn, Home, End --\r\n", offset + 1, offset + room, lines);
	pbi_answer(m, &t);
	pb_msg_set_int(m, PB_STR("cmd_offset"), (int64_t)offset);
	if (offset + room < lines)
		pb_msg_set_int(m, PB_STR("cmd_finish"), (int64_t)(offset + room));
}

/* ---- Completion ------------------------------------------------------------------------------ */

static bool offered(struct pb_str list, struct pb_str word)
{
	struct pb_str item;

	while (pb_str_cut(&list, '\t', &item)) {
		if (pb_str_eq(item, word))
			return true;
	}
	return false;
}

static void add_candidate(struct pb_text *t, struct pb_str word, struct pb_str part)
{
	if (!word.n || !pb_str_starts(word, part) || offered(pb_text_str(t), word))
		return;
	if (t->n)
		pb_text_addc(t, '\t');
	pb_text_add(t, word);
}

static bool is_literal(struct pb_str word)
{
	for (size_t i = 0; i < word.n; i++) {
		char c = word.p[i];

		if ((c < 'a' || c > 'z') && !pb_is_digit(c) && c != '-' && c != '_')
			return false;
	}
	return word.n > 0;
}

/** Up to a blank or bracket. */
static struct pb_str token(struct pb_str s)
{
	size_t n = 0;

	while (n < s.n && !strchr(" []{}|", s.p[n]))
		n++;
	return pb_str_head(s, n);
}

void pbi_syntax_words(struct pb_str syntax, struct pb_str part, struct pb_text *t)
{
	bool first = true;

	for (size_t i = 0; i < syntax.n; i++) {
		struct pb_str word = token(pb_str_from(syntax, i + 1));
		char before = syntax.p[i], behind = i + 1 + word.n < syntax.n ? syntax.p[i + 1 + word.n] : 0;

		if (!strchr("[{|", before))
			continue;
		/* One word alone in a bracket behind the first stands for a value: [type]. */
		if (is_literal(word) && (first || before == '|' || behind != ']'))
			add_candidate(t, word, part);
		first = false;
	}
}

/** The words of the row that follow those of the line. */
static bool next_words(const struct pb_command *row, struct pb_str line, struct pb_str *rest)
{
	struct pb_str words = pb_str_z(row->word), word;

	while (line.n && pb_str_word(&words, &word)) {
		if (!pb_str_skip_word(&line, word))
			return false;
	}
	*rest = words;
	return !line.n;
}

static void complete_row(struct pb_text *t, const struct pb_command *row, struct pb_str line, struct pb_str part)
{
	struct pb_str syntax = pb_str_z(row->syntax), rest, word;

	if (!syntax.n || !next_words(row, line, &rest))
		return;
	if (pb_str_word(&rest, &word))
		add_candidate(t, word, part);
	else
		pbi_syntax_words(syntax, part, t);
}

/** Commands whose argument is a module's name. */
static bool takes_module(struct pb_str line)
{
	static const struct pb_str words[] = { PB_STR_INIT("status"), PB_STR_INIT("debug"), PB_STR_INIT("reload"),
					       PB_STR_INIT("module unload"), PB_STR_INIT("module reload"),
					       PB_STR_INIT("describe module") };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (pb_str_eq(line, words[i]))
			return true;
	}
	return false;
}

/* Without a line: what may stand where the cursor is. */
static void complete(struct pb_msg *m, struct pbi_module *mod)
{
	struct pb_str line = pb_msg_get(m, PB_STR("partline")), part = pb_msg_get(m, PB_STR("partword"));
	struct pb_text t;

	if (pb_str_eq(line, PB_STR("help")))
		line = PB_STR("");
	pb_text_init(&t, PB_MSG_LIMIT_BYTES);
	pb_text_add(&t, pb_msg_retval(m));
	for (const struct pb_command *c = mod->d->commands; c->word; c++)
		complete_row(&t, c, line, part);
	/* One of us speaks for all. */
	for (unsigned i = 0; mod->d == &pbi_engine_module && takes_module(line) && i < mod->e->module_count; i++)
		add_candidate(&t, pb_str_z(mod->e->modules[i]->d->name), part);
	pb_msg_set_retval(m, pb_text_str(&t));
	pb_text_fini(&t);
}

static enum pb_verdict on_complete(struct pb_msg *m, struct pb_ctx *cx)
{
	complete(m, cx->arg);
	return PB_PASS;
}

static bool is_empty(void *arg, struct pb_str line)
{
	(void)arg;
	return !line.n;
}

static void add_text(struct pb_msg *m, const char *before, const char *text, const char *doc)
{
	struct pb_text t;

	pb_text_init(&t, PB_MSG_LIMIT_BYTES);
	pb_text_add(&t, pb_msg_retval(m));
	pb_text_addf(&t, "%s%s\r\n", before, text);
	if (doc)
		pb_text_addf(&t, "%s\r\n", doc);
	pb_msg_set_retval(m, pb_text_str(&t));
	pb_text_fini(&t);
}

static enum pb_verdict on_help(struct pb_msg *m, struct pb_ctx *cx)
{
	const struct pb_command *rows = ((struct pbi_module *)cx->arg)->d->commands;
	struct pb_str line = pb_str_trim(pb_msg_get(m, PB_STR("line")));
	bool mine = false;

	for (; rows->word; rows++) {
		if (!rows->syntax[0])
			continue;
		if (!line.n) {
			add_text(m, "  ", rows->syntax, NULL);
		} else if (begins(line, rows->word) || begins(pb_str_z(rows->word), line.p)) {
			add_text(m, "  ", rows->syntax, rows->doc);
			mine = true;
		}
	}
	return mine ? PB_HANDLED : PB_PASS;
}

static int add_one(struct pbi_module *m, const char *message, pb_handle_fn fn,
		   bool (*filter)(void *, struct pb_str), void *arg, enum pb_place place)
{
	struct pb_handler_args a = {
		.message = pb_str_z(message),
		.priority = 100,
		.place = place,
		.home = m->home,
		.filter_name = filter ? PB_STR("line") : PB_STR_NULL,
		.filter = filter,
		.fn = fn,
		.merge = fn == on_command ? on_parts : NULL,
		.arg = arg,
	};

	return pbi_add(m, &a, NULL);
}

int pbi_commands_add(struct pbi_module *m)
{
	int err;

	if (!m->d->commands)
		return 0;
	err = add_one(m, "engine.help", on_help, NULL, m, PB_HERE);
	if (!err)
		err = add_one(m, "engine.command", on_complete, is_empty, m, PB_HERE);
	for (const struct pb_command *c = m->d->commands; c->word && !err; c++) {
		struct row *r = pb_arena_alloc(m->e->arena, sizeof(*r));

		if (!r)
			return -ENOMEM;
		*r = (struct row){ m, c };
		err = add_one(m, "engine.command", on_command, is_command, r, c->place);
	}
	return err;
}
