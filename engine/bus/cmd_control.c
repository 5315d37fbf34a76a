/*
 * `control ID [k=v ...] [OP]`: chan.control, put as a question of its own while
 * the command's message is held.
 */
#include "bus/builtin.h"

/** The last blank-separated group of `*text` when it is k=v. */
static bool last_pair(struct pb_str *text, struct pb_str *key, struct pb_str *value)
{
	size_t at = text->n;
	struct pb_str pair;
	ptrdiff_t eq;

	while (at > 0 && text->p[at - 1] != ' ' && text->p[at - 1] != '\t')
		at--;
	pair = pb_str_from(*text, at);
	eq = pb_str_chr(pair, '=');
	if (eq <= 0)
		return false;
	*key = pb_str_head(pair, (size_t)eq);
	*value = pb_str_from(pair, (size_t)eq + 1);
	*text = pb_str_trim(pb_str_head(*text, at));
	return true;
}

bool pb_control_parse(struct pb_str args, struct pb_msg *m)
{
	struct pb_str id, key, value;
	bool any = false;

	if (!pb_str_word(&args, &id))
		return false;
	args = pb_str_trim(args);
	pb_msg_set(m, PB_STR("targetid"), id);
	pb_msg_set(m, PB_STR("component"), id);
	for (; last_pair(&args, &key, &value); any = true)
		pb_msg_set(m, key, value);
	if (args.n)
		pb_msg_set(m, PB_STR("operation"), args);
	return any || args.n;
}

struct asking {
	struct pb_bus *bus;
	struct pb_token token;
};

static void answered(struct pb_msg *m, bool handled, void *arg)
{
	struct asking *a = arg;
	struct pb_patch *patch = pb_patch_new();
	bool ok = handled && pb_msg_get_bool(m, PB_STR("operation-status"), true);

	if (patch)
		pb_patch_retval(patch, pb_msg_retval(m));
	pb_bus_resume(a->bus, a->token, patch, ok ? PB_HANDLED : PB_PASS);
	pb_msg_free(&m);
	pb_free(a);
}

/** `module` and what tells of the console. */
static void copy_about(struct pb_msg *to, const struct pb_msg *from)
{
	for (size_t i = 0; i < pb_msg_count(from); i++) {
		const struct pb_param *p = pb_msg_at(from, i);

		if (pb_str_eq(p->name, PB_STR("module")) || pb_str_starts(p->name, PB_STR("cmd_")))
			pb_msg_set(to, p->name, p->value);
	}
}

enum pb_verdict pbi_on_control(struct pb_msg *m, struct pb_ctx *cx)
{
	struct pb_msg *question = pb_msg_new(PB_STR("chan.control"));
	struct asking *a = pb_alloc(sizeof(*a));

	if (!question || !a || !pb_control_parse(pbi_command_args(m, "control"), question)) {
		pb_msg_free(&question);
		pb_free(a);
		return PB_PASS;
	}
	copy_about(question, m);
	*a = (struct asking){ cx->bus, pb_bus_hold(m, NULL) };
	pb_bus_dispatch(cx->bus, question, NULL, answered, a);
	return PB_HOLD;
}
