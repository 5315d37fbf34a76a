/*
 * Printing a message. What must not be seen (passwords, digest answers, keys a
 * caller presses) is marked in the table of names and prints as (hidden).
 */
#include "msgsniff/block.h"

#include "bus/names.h"

static void add_time(struct pb_text *t, const char *key, uint64_t us)
{
	pb_text_addf(t, " %s=%llu.%06llu", key, (unsigned long long)(us / 1000000),
		     (unsigned long long)(us % 1000000));
}

static uint64_t since(uint64_t then, uint64_t now)
{
	return now > then ? now - then : 0;
}

static void add_chan(struct pb_text *t, const struct pb_chan *c, bool brief)
{
	struct pb_chan *peer = pb_chan_peer(c);

	pb_text_addf(t, " '%.*s'", PB_STR_F(pb_chan_id(c)));
	if (brief)
		return;
	pb_text_addf(t, " status=%.*s direction=%s billid=%.*s", PB_STR_F(pb_chan_status(c)),
		     pb_chan_is_outgoing(c) ? "outgoing" : "incoming", PB_STR_F(pb_chan_billid(c)));
	if (peer)
		pb_text_addf(t, " peerid=%.*s", PB_STR_F(pb_chan_id(peer)));
}

/* The channel's handle stands where a pointer used to. */
static void add_data(struct pb_text *t, struct pb_handle h, const struct sniff_scene *s)
{
	if (!pb_handle_is_set(h)) {
		pb_text_lit(t, "\r\n  data=(nil)");
		return;
	}
	pb_text_addf(t, "\r\n  data=0x%x%08x%08x", h.loop, h.gen, h.slot);
	if (s->chan)
		add_chan(t, s->chan, s->chan_brief);
}

static void add_rest(const struct pb_msg *m, const struct sniff_scene *s, bool hide_retval,
		     struct pb_text *t)
{
	pb_text_addf(t, "\r\n  thread=0x%llx '%.*s'", (unsigned long long)s->thread,
		     PB_STR_F(s->thread_name));
	add_data(t, pb_msg_chan(m), s);
	if (hide_retval)
		pb_text_lit(t, "\r\n  retval=(hidden)");
	else
		pb_text_addf(t, "\r\n  retval='%.*s'", PB_STR_F(pb_msg_retval(m)));
	for (size_t i = 0; i < pb_msg_count(m); i++) {
		const struct pb_param *p = pb_msg_at(m, i);

		pb_text_addf(t, "\r\n  param['%.*s'] = ", PB_STR_F(p->name));
		if (pb_name_is_secret(pb_msg_name(m), p->name))
			pb_text_lit(t, "(hidden)");
		else
			pb_text_addf(t, "'%.*s'", PB_STR_F(p->value));
	}
}

static void add_broadcast(const struct pb_msg *m, struct pb_text *t)
{
	if (pb_msg_broadcast(m))
		pb_text_lit(t, " (broadcast)");
}

/* What user.auth returns is a password. */
static bool retval_is_secret(const struct pb_msg *m)
{
	struct pb_str r = pb_msg_retval(m);

	return pb_str_eq(pb_msg_name(m), PB_STR("user.auth")) && r.n && !pb_str_eq(r, PB_STR("-"));
}

void sniff_block_in(const struct pb_msg *m, const struct sniff_scene *s, struct pb_text *t)
{
	pb_text_addf(t, "Sniffed '%.*s'", PB_STR_F(pb_msg_name(m)));
	add_time(t, "time", pb_msg_time_us(m));
	add_time(t, "age", since(pb_msg_time_us(m), s->now_us));
	add_broadcast(m, t);
	add_rest(m, s, retval_is_secret(m), t);
}

void sniff_block_out(const struct pb_msg *m, bool handled, const struct sniff_scene *s,
		     struct pb_text *t)
{
	pb_text_addf(t, "Returned %s '%.*s'", handled ? "true" : "false", PB_STR_F(pb_msg_name(m)));
	add_time(t, "delay", since(pb_msg_time_us(m), s->now_us));
	add_broadcast(m, t);
	add_rest(m, s, retval_is_secret(m), t);
}
