/*
 * The console's `describe`: what is loaded, by name; and `lint`: what of it does
 * not fit together, with the settings in force.
 */
#include "bus/cmd_describe.h"

#include "bus/describe.h"
#include "bus/lint.h"

/* Lines of a command end CR LF. */
static void set_lines(struct pb_msg *m, struct pb_str text)
{
	struct pb_text t;
	struct pb_str line;

	pb_text_init(&t, PB_MSG_LIMIT_BYTES);
	while (pb_str_cut(&text, '\n', &line)) {
		if (!line.n && !text.n)
			break;
		pb_text_add(&t, line);
		pb_text_lit(&t, "\r\n");
	}
	pb_msg_set_retval(m, pb_text_str(&t));
	pb_text_fini(&t);
}

/* Takes the word off the end of the line too. */
static bool cut_json(struct pb_str *line)
{
	if (!pb_str_ends(*line, PB_STR("--json")))
		return false;
	*line = pb_str_trim(pb_str_head(*line, line->n - 6));
	return true;
}

enum pb_verdict pbi_on_describe(struct pb_msg *m, struct pb_ctx *cx)
{
	struct pb_str line = pb_str_trim(pb_msg_get(m, PB_STR("line")));
	struct pb_registry r;
	struct pb_text t;
	bool json;

	pb_str_skip_word(&line, PB_STR("describe"));
	json = cut_json(&line);
	pb_registry_of(&r, pb_engine_of(cx));
	pb_text_init(&t, PB_MSG_LIMIT_BYTES / 2);
	if (pb_describe(&r, line, json, &t))
		pb_text_addc(&t, '\n');
	set_lines(m, pb_text_str(&t));
	pb_text_fini(&t);
	return PB_HANDLED;
}

enum pb_verdict pbi_on_lint(struct pb_msg *m, struct pb_ctx *cx)
{
	struct pb_findings *f = pb_findings_new();
	struct pb_text t;

	pb_text_init(&t, PB_MSG_LIMIT_BYTES / 2);
	if (!f || pb_lint(pb_engine_of(cx), f))
		pb_text_lit(&t, "no memory to look at everything\n");
	if (f)
		pb_findings_print(f, &t);
	if (!t.n)
		pb_text_lit(&t, "nothing found\n");
	set_lines(m, pb_text_str(&t));
	pb_text_fini(&t);
	pb_findings_free(&f);
	return PB_HANDLED;
}
