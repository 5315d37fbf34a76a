/*
 * A driver without a network, module "fake": its channels say what happens to
 * them and end when told. For tests with scene_engine.h.
 */
#ifndef PB_TEST_FAKE_DRIVER_H
#define PB_TEST_FAKE_DRIVER_H

#include "scene_engine.h"

#include "call/chan.h"

struct fake_state {
	struct pb_driver *driver; /* first: what pb_driver_add_handlers asks */
};

static bool fake_slow; /* a drop is noted, but the channel stays */

static inline void fake_say(const struct pb_chan *c, const char *what, struct pb_str more)
{
	char text[256];

	snprintf(text, sizeof(text), "%.*s:%s%s%.*s", PB_STR_F(pb_chan_id(c)), what, more.n ? "=" : "", PB_STR_F(more));
	say(text);
}

static inline void fake_prerouted(struct pb_chan *c, struct pb_msg *m)
{
	fake_say(c, "prerouted", PB_STR_NULL);
	if (pb_msg_has(m, PB_STR("end_me")))
		pb_chan_end(&c, PB_STR("enough"));
}

static inline void fake_routed(struct pb_chan *c, struct pb_msg *m)
{
	fake_say(c, "routed", pb_msg_get(m, PB_STR("callto")));
}

static inline void fake_accepted(struct pb_chan *c, struct pb_msg *m)
{
	(void)m;
	fake_say(c, "accepted", pb_chan_targetid(c));
}

static inline void fake_rejected(struct pb_chan *c, struct pb_str error, struct pb_str reason, struct pb_msg *m)
{
	(void)m;
	(void)reason;
	fake_say(c, "rejected", error);
	pb_chan_end(&c, error);
}

static inline bool fake_event(struct pb_chan *c, enum pb_chan_event ev, struct pb_msg *m)
{
	static const char *const names[] = { "progress", "ringing", "answered", "update", "dtmf", "text" };

	(void)m;
	fake_say(c, names[ev], PB_STR_NULL);
	if (ev == PB_CHAN_ANSWERED)
		pb_chan_set_status(c, PB_STR("answered"));
	return true;
}

static inline void fake_drop(struct pb_chan *c, struct pb_str reason, struct pb_msg *m)
{
	(void)m;
	fake_say(c, "drop", reason);
	if (!fake_slow)
		pb_chan_end(&c, reason);
}

static const struct pb_chan_ops fake_ops = {
	.prerouted = fake_prerouted,
	.routed = fake_routed,
	.accepted = fake_accepted,
	.rejected = fake_rejected,
	.event = fake_event,
	.drop = fake_drop,
};

static inline int fake_start(struct pb_ctx *cx)
{
	return pb_driver_add_handlers(cx, "fake/");
}

static inline int fake_loop_start(struct pb_ctx *cx)
{
	struct fake_state *s = cx->state;

	return pb_driver_new(cx, "fake/", &fake_ops, &s->driver);
}

static inline void fake_loop_stop(struct pb_ctx *cx)
{
	struct fake_state *s = cx->state;

	fake_slow = false;
	pb_driver_drop_all(s->driver, PB_STR("shutdown"), NULL);
	pb_driver_free(&s->driver);
}

static inline enum pb_verdict fake_find(struct pb_msg *m, struct pb_ctx *cx)
{
	struct fake_state *s = cx->state;

	*(struct pb_driver **)(uintptr_t)pb_msg_get_int(m, PB_STR("out"), 0, 0, INT64_MAX) = s->driver;
	return PB_HANDLED;
}

static inline void fake_status(struct pb_ctx *cx, struct pb_status *s)
{
	struct fake_state *st = cx->state;

	if (pb_status_selector(s).n)
		pb_driver_status_chan(st->driver, s, pb_status_selector(s));
	else
		pb_driver_status(st->driver, s);
}

static const struct pb_handler fake_handlers[] = { { "test.driver", 1, PB_HERE, fake_find }, { NULL } };

static const struct pb_module fake = {
	.abi = PB_MODULE_ABI,
	.name = "fake",
	.status_type = "varchans",
	.loop_state_size = sizeof(struct fake_state),
	.handlers = fake_handlers,
	.start = fake_start,
	.loop_start = fake_loop_start,
	.loop_stop = fake_loop_stop,
	.status = fake_status,
};

/* The driver's part on loop `i`. */
static inline struct pb_driver *fake_on(unsigned i)
{
	struct pb_msg *m = pb_msg_new(PB_STR("test.driver"));
	struct pb_driver *d = NULL;
	struct asking a;

	pb_msg_set_int(m, PB_STR("out"), (int64_t)(uintptr_t)&d);
	a = ask_on(i, m);
	pb_msg_free(&a.m);
	return d;
}

#endif
