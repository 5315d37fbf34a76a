/*
 * Console commands: rows of a module become handlers of engine.command and
 * engine.help. One row is one handler with the command's first words as filter,
 * so that a command runs where its row says.
 */
#include "bus/engine_impl.h"

#include <errno.h>

#include "base/text.h"

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

static enum pb_verdict on_command(struct pb_msg *m, struct pb_ctx *cx)
{
	struct row *r = cx->arg;
	struct pb_ctx own = r->m->ctx[pb_loop_index(cx->loop)];

	return r->c->fn(m, &own);
}

static bool offered(struct pb_str list, struct pb_str word)
{
	struct pb_str item;

	while (pb_str_cut(&list, '\t', &item)) {
		if (pb_str_eq(item, word))
			return true;
	}
	return false;
}

/* Without a line: the partial word at the beginning of our commands' words. */
static void complete(struct pb_msg *m, const struct pb_command *rows)
{
	struct pb_str part = pb_msg_get(m, PB_STR("partword")), what = pb_msg_get(m, PB_STR("complete"));
	struct pb_text t;

	if (!pb_str_eq(what, PB_STR("command")) || pb_msg_get(m, PB_STR("partline")).n)
		return;
	pb_text_init(&t, PB_MSG_LIMIT_BYTES);
	pb_text_add(&t, pb_msg_retval(m));
	for (; rows->word; rows++) {
		struct pb_str words = pb_str_z(rows->word), first;

		if (!pb_str_word(&words, &first) || !pb_str_starts(first, part) ||
		    offered(pb_text_str(&t), first))
			continue;
		if (t.n)
			pb_text_addc(&t, '\t');
		pb_text_add(&t, first);
	}
	pb_msg_set_retval(m, pb_text_str(&t));
	pb_text_fini(&t);
}

static enum pb_verdict on_complete(struct pb_msg *m, struct pb_ctx *cx)
{
	complete(m, ((struct pbi_module *)cx->arg)->d->commands);
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
