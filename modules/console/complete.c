/*
 * Completion: the built-in candidates, then those that the bus adds, then one
 * list without doubles for the editor.
 */
#include "base/text.h"
#include "console/command.h"

#define CANDIDATES_MAX_BYTES 65536

/** Add `word` to the TAB separated list when it begins so and is not there. */
static void add_candidate(struct pb_text *t, struct pb_str word, struct pb_str beginning)
{
	struct pb_str list = pb_text_str(t), item;

	if (!word.n || !pb_str_starts(word, beginning))
		return;
	while (list.n && pb_str_cut(&list, '\t', &item)) {
		if (pb_str_eq(item, word))
			return;
	}
	if (t->n)
		pb_text_addc(t, '\t');
	pb_text_add(t, word);
}

static void add_list(struct pb_text *t, struct pb_str list, struct pb_str beginning)
{
	struct pb_str item;

	while (list.n && pb_str_cut(&list, '\t', &item))
		add_candidate(t, item, beginning);
}

static void add_commands(const struct console_conn *c, struct pb_text *t, struct pb_str beginning)
{
	for (const struct console_command *cmd = console_commands; cmd->word.n; cmd++) {
		if (console_command_allowed(c, cmd, cmd->word))
			add_candidate(t, cmd->word, beginning);
	}
}

static void add_aliases(const struct console_conn *c, struct pb_text *t, struct pb_str beginning)
{
	struct pb_str all = pb_text_str(&c->aliases), name, text;

	while (all.n) {
		pb_str_cut(&all, '\0', &name);
		pb_str_cut(&all, '\0', &text);
		add_candidate(t, name, beginning);
	}
}

static bool is_help(struct pb_str line)
{
	return pb_str_eq(line, PB_STR("help")) || pb_str_eq(line, PB_STR("?"));
}

void console_complete_words(const struct console_conn *c, struct pb_str line, struct pb_str word,
			    struct pb_text *t)
{
	const struct console_command *cmd;

	if (!line.n || is_help(line)) {
		add_commands(c, t, word);
		if (!line.n)
			add_aliases(c, t, word);
		return;
	}
	cmd = console_command_find(&line);
	if (cmd && cmd->words && !line.n && console_command_allowed(c, cmd, cmd->word))
		add_list(t, pb_str_z(cmd->words), word);
}

static void on_candidates(struct console_conn *c, struct pb_msg *m, bool handled)
{
	struct pb_str word = pb_msg_get(m, PB_STR("partword"));
	struct pb_str line = pb_msg_get(m, PB_STR("partline"));
	struct pb_text t, shown;

	pb_text_init(&t, CANDIDATES_MAX_BYTES);
	pb_text_init(&shown, 4 * CANDIDATES_MAX_BYTES);
	console_complete_words(c, line, word, &t);
	add_list(&t, pb_msg_retval(m), word);
	pb_log_add_visible(&shown, pb_text_str(&t), false);
	console_edit_complete(&c->tty.edit, pb_text_str(&shown), &c->out);
	pb_text_fini(&t);
	pb_text_fini(&shown);
}

/** What the bus is asked for; NULL: nothing. */
static const char *kind_of(struct pb_str line)
{
	static const struct pb_str channels[] = { PB_STR_INIT("status"), PB_STR_INIT("debug"),
						  PB_STR_INIT("drop") };

	if (!line.n || is_help(line))
		return "command";
	for (size_t i = 0; i < sizeof(channels) / sizeof(channels[0]); i++) {
		if (pb_str_eq(line, channels[i]))
			return "channels";
	}
	return NULL;
}

/** `status overview` completes as `status`, `?` as `help`. */
static struct pb_str completed_line(struct pb_str line)
{
	struct pb_str rest = line;

	if (pb_str_skip_word(&rest, PB_STR("status")) && pb_str_eq(rest, PB_STR("overview")))
		return PB_STR("status");
	return pb_str_eq(line, PB_STR("?")) ? PB_STR("help") : line;
}

/** The last answer of a completion leaves the line on the screen: no prompt is due. */
bool console_complete(struct console_conn *c)
{
	struct pb_str typed = pb_text_str(&c->tty.edit.line), word = console_edit_word(&c->tty.edit);
	struct pb_str line = completed_line(pb_str_trim(pb_str_head(typed, typed.n - word.n)));
	struct pb_msg *m = pb_msg_new(PB_STR("engine.command"));
	const char *kind = kind_of(line);

	if (!m)
		return true;
	pb_msg_set(m, PB_STR("partial"), typed);
	if (line.n)
		pb_msg_set(m, PB_STR("partline"), line);
	if (word.n)
		pb_msg_set(m, PB_STR("partword"), word);
	if (kind)
		pb_msg_set(m, PB_STR("complete"), pb_str_z(kind));
	if (!console_command_allowed(c, NULL, typed)) {
		on_candidates(c, m, false);
		pb_msg_free(&m);
		return true;
	}
	c->completing = true;
	return console_ask(c, m, on_candidates);
}
