/*
 * The command `config dump`: what is in force in the running engine. It runs on
 * call loop 0 and shows what that loop goes by.
 */
#include "bus/cmd_config.h"

#include <errno.h>

#include "base/text.h"
#include "bus/dump.h"

/* The last line says that there was more. */
#define ROOM_FOR_END 64

struct out {
	struct pb_text t;
	bool json, cut;
};

static void add_value(void *arg, const struct pb_value *v)
{
	struct out *o = arg;
	struct pb_text one;

	pb_text_init(&one, PB_MSG_LIMIT_BYTES);
	if (o->json) {
		pb_text_add(&one, o->t.n > 1 ? PB_STR(",\r\n") : PB_STR("\r\n"));
		pb_value_print_json(v, &one);
	} else {
		pb_value_print(v, &one);
		pb_text_lit(&one, "\r\n");
	}
	o->cut |= pb_text_failed(&one) || o->t.n + one.n + ROOM_FOR_END > PB_MSG_LIMIT_BYTES;
	if (!o->cut)
		pb_text_add(&o->t, pb_text_str(&one));
	pb_text_fini(&one);
}

static void end_text(struct out *o, int err, struct pb_str which)
{
	if (o->json)
		pb_text_lit(&o->t, "\r\n]\r\n");
	else if (err == -ENOENT)
		pb_text_addf(&o->t, "No module and no file '%.*s'\r\n", PB_STR_F(which));
	else if (o->cut)
		pb_text_lit(&o->t, "... and more: name a module or a file\r\n");
}

enum pb_verdict pbi_on_config(struct pb_msg *m, struct pb_ctx *cx)
{
	struct pb_str line = pb_str_trim(pb_msg_get(m, PB_STR("line"))), word;
	struct pb_dump_args args = { .fn = add_value };
	struct out o = { .json = false };
	int err;

	pb_str_skip_word(&line, PB_STR("config"));
	pb_str_skip_word(&line, PB_STR("dump"));
	while (pb_str_word(&line, &word)) {
		if (pb_str_eq(word, PB_STR("--effective")))
			args.effective = true;
		else if (pb_str_eq(word, PB_STR("--json")))
			o.json = true;
		else
			args.which = word;
	}
	args.arg = &o;
	pb_text_init(&o.t, PB_MSG_LIMIT_BYTES);
	if (o.json)
		pb_text_addc(&o.t, '[');
	err = pb_engine_dump(pb_engine_of(cx), &args);
	end_text(&o, err, args.which);
	pb_msg_set_retval(m, pb_text_str(&o.t));
	pb_text_fini(&o.t);
	return PB_HANDLED;
}
