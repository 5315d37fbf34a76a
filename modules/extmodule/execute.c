/*
 * The script is started and the message handed to it like any other, except
 * that there is no second chance: a script that refuses or stays silent is
 * ended, and call.execute goes on to the next handler.
 *
 * Only the type without a channel is carried out here. The others drive a
 * channel: they need one made on the loop of the caller's, attached to
 * script->chan before the message is handed over.
 */
#include "extmodule/execute.h"

#include "extmodule/delivery.h"

bool ext_target_parse(struct pb_str callto, struct ext_target *out)
{
	struct pb_str rest = callto;

	if (!pb_str_starts(callto, PB_STR("external/")))
		return false;
	rest = pb_str_from(rest, 9);
	if (!pb_str_cut(&rest, '/', &out->type) || !rest.p)
		return false;
	pb_str_cut(&rest, ' ', &out->file);
	out->arg = rest.p ? pb_str_trim(rest) : PB_STR("");
	return true;
}

static bool is_external(void *arg, struct pb_str callto)
{
	return pb_str_starts(callto, PB_STR("external/"));
}

static enum pb_verdict on_execute(struct pb_msg *m, struct pb_ctx *cx)
{
	struct ext_host *h = cx->arg;
	struct ext_target t;
	struct ext_script *s;
	enum pb_verdict v;

	if (h->stopping || !ext_target_parse(pb_msg_get(m, PB_STR("callto")), &t) || !t.file.n)
		return PB_PASS;
	if (!pb_str_eq(t.type, PB_STR("nochan"))) {
		pb_log(&ext_log, &ext_said[EXT_SAY_NO_CHANNEL],
		       "channel scripts of type '%.*s' are not available", PB_STR_F(t.type));
		return PB_PASS;
	}
	if (ext_script_start(h, &(struct ext_start){ t.file, t.arg, EXT_ROLE_CHANNEL }, &s) < 0)
		return PB_PASS;
	v = ext_deliver(s, m, true);
	if (v == PB_PASS)
		ext_script_end(s, "its call.execute could not be handed over");
	return v;
}

int ext_execute_start(struct ext_host *h, struct pb_reg **out)
{
	struct pb_handler_args args = {
		.message = PB_STR_INIT("call.execute"),
		.priority = (unsigned)h->settings->priority,
		.place = PB_HOME,
		.home = h->loop,
		.filter_name = PB_STR_INIT("callto"),
		.filter = is_external,
		.track = PB_STR_INIT("extmodule"),
		.hold_ms = INT32_MAX,
		.fn = on_execute,
		.arg = h,
	};

	if (!h->settings->use_filter)
		args.filter_name = PB_STR_NULL, args.filter = NULL;
	return pb_bus_add(h->bus, &args, NULL, NULL, out);
}
