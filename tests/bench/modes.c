/*
 * What each kind of work says, and what it waits for.
 *
 *   bounce    a packet -> the same packet
 *   options   OPTIONS -> 200
 *   register  REGISTER -> 401 -> REGISTER with credentials -> 200
 *   message   MESSAGE -> 200, and the callee got its copy and answered it
 *   call      INVITE -> 180 -> 200, ACK, a pause, BYE -> 200
 */
#include "load.h"

#include "base/text.h"

#include <stdio.h>

static void unexpected(struct load *l, struct op *op, uint32_t status)
{
	l->tally.unexpected++;
	l->tally.last_status = status;
	ops_end(l, op, false);
}

static struct pb_str user_name(const struct load *l, const struct op *op, const char *prefix, char buf[16])
{
	struct pb_text t;

	pb_text_init_buf(&t, buf, 16);
	pb_text_addf(&t, "%s%u", prefix, op->number % l->plan.users);
	return pb_text_str(&t);
}

/* ---- bounce ------------------------------------------------------------------------- */

static void bounce_answer(struct load *l, struct op *op, const struct seen *s)
{
	(void)s;
	ops_clock(l, op);
	ops_end(l, op, true);
}

/* ---- options ------------------------------------------------------------------------ */

static void options_start(struct load *l, struct op *op)
{
	char buf[16];

	say_request(l, op,
		    &(struct request){ .method = PB_STR("OPTIONS"), .user = user_name(l, op, "u", buf), .cseq = 1 });
}

static void options_answer(struct load *l, struct op *op, const struct seen *s)
{
	if (s->status < 200)
		return;
	if (s->status != 200) {
		unexpected(l, op, s->status);
		return;
	}
	ops_clock(l, op);
	ops_end(l, op, true);
}

/* ---- register ------------------------------------------------------------------------- */

static void register_say(struct load *l, struct op *op, struct pb_str challenge)
{
	char user[16], password[16];

	say_request(l, op,
		    &(struct request){
			    .method = PB_STR("REGISTER"),
			    .user = user_name(l, op, "u", user),
			    .password = user_name(l, op, "pass", password),
			    .challenge = challenge,
			    .cseq = challenge.p ? 2 : 1,
		    });
}

static void register_start(struct load *l, struct op *op)
{
	register_say(l, op, PB_STR_NULL);
}

static bool has_cseq(const struct seen *s, const char *number)
{
	return pb_str_starts(s->cseq, pb_str_z(number));
}

static void register_answer(struct load *l, struct op *op, const struct seen *s)
{
	/* an answer to the first that comes twice is no answer to the second */
	if (s->status < 200 || (op->state == OP_AGAIN && has_cseq(s, "1 ")))
		return;
	if (op->state == OP_ASKED && s->status == 401 && s->challenge.p) {
		op->state = OP_AGAIN;
		op->resend_ns = l->now_ns + op->resend_gap;
		register_say(l, op, s->challenge);
	} else if (op->state == OP_AGAIN && s->status == 200) {
		ops_clock(l, op);
		ops_end(l, op, true);
	} else {
		unexpected(l, op, s->status);
	}
}

/* ---- message ------------------------------------------------------------------------ */

static void message_start(struct load *l, struct op *op)
{
	char user[16], text[160];
	struct pb_text t;

	pb_text_init_buf(&t, text, sizeof(text));
	pb_text_addf(&t, "c%x-%x is what this text is about; the rest of it makes it as long as people's are.",
		     op->slot, op->number);
	say_request(l, op,
		    &(struct request){
			    .method = PB_STR("MESSAGE"),
			    .user = user_name(l, op, "u", user),
			    .body = pb_text_str(&t),
			    .type = PB_STR("text/plain"),
			    .cseq = 1,
		    });
}

static void message_done(struct load *l, struct op *op)
{
	if (!op->answered || !op->arrived)
		return;
	ops_clock(l, op);
	ops_end(l, op, true);
}

static void message_answer(struct load *l, struct op *op, const struct seen *s)
{
	if (s->status < 200)
		return;
	if (s->status >= 300) {
		unexpected(l, op, s->status);
		return;
	}
	op->answered = true;
	message_done(l, op);
}

static void message_arrives(struct load *l, struct wire *w, const struct sockaddr_in *from, const struct seen *s)
{
	struct op *op = ops_find(l, s->body);

	say_answer(l, NULL, w, from, s, 200, false);
	if (!op)
		return;
	op->arrived = true;
	message_done(l, op);
}

/* ---- call --------------------------------------------------------------------------- */

static struct pb_str call_user(const struct op *op, char buf[32])
{
	struct pb_text t;

	pb_text_init_buf(&t, buf, 32);
	pb_text_addf(&t, "c%x-%x", op->slot, op->number);
	return pb_text_str(&t);
}

static void call_start(struct load *l, struct op *op)
{
	char buf[32];

	say_request(l, op,
		    &(struct request){ .method = PB_STR("INVITE"), .user = call_user(op, buf), .cseq = 1 });
}

static void call_say(struct load *l, struct op *op, const struct seen *s, bool bye)
{
	say_request(l, op,
		    &(struct request){
			    .method = bye ? PB_STR("BYE") : PB_STR("ACK"),
			    .uri = seen_uri(s->contact),
			    .to = s->to,
			    .dialog = s,
			    .cseq = bye ? 2 : 1,
			    .fate = bye ? SAY_LATER : SAY_ONCE,
		    });
}

/* The BYE is written now, while the answer that says where it goes is at hand,
 * and sent when the pause is over. */
static void call_up(struct load *l, struct op *op, const struct seen *s)
{
	ops_clock(l, op);
	op->state = OP_UP;
	op->answered = true;
	op->up_ns = l->now_ns;
	call_say(l, op, s, false);
	call_say(l, op, s, true);
	l->held[l->held_tail++ % OPS_MAX] = op->slot;
	l->up++;
}

void mode_leave(struct load *l, struct op *op)
{
	op->state = OP_LEFT;
	op->up_ns = l->now_ns;
	op->resend_ns = l->now_ns + op->resend_gap;
	l->up--;
	say_again(op->wire, op->asked, op->asked_n, &l->plan.server);
}

static void call_answer(struct load *l, struct op *op, const struct seen *s)
{
	if (s->status < 200) {
		op->provisional = true;
	} else if (has_cseq(s, "1 ") && s->status == 200) {
		if (op->state == OP_ASKED)
			call_up(l, op, s);
		else
			call_say(l, op, s, false);
	} else if (has_cseq(s, "2 ") && s->status == 200) {
		ops_end(l, op, true);
	} else {
		unexpected(l, op, s->status);
	}
}

static void invite_arrives(struct load *l, struct wire *w, const struct sockaddr_in *from, const struct seen *s)
{
	struct op *op = ops_find(l, s->uri);

	if (!op)
		return;
	if (op->told_n) {
		l->tally.resent++;
		say_again(w, op->told, op->told_n, from);
		return;
	}
	op->arrived = true;
	op->resend_ns = l->now_ns + op->resend_gap;
	say_answer(l, op, w, from, s, 180, false);
	say_answer(l, op, w, from, s, 200, true);
}

static void ack_arrives(struct load *l, const struct seen *s)
{
	struct op *op = ops_find(l, s->uri);

	if (op)
		op->acked = true;
}

/* ---- What comes in ------------------------------------------------------------------------ */

static void request_arrives(struct load *l, struct wire *w, const struct sockaddr_in *from, const struct seen *s)
{
	if (pb_str_eq(s->method, PB_STR("INVITE")))
		invite_arrives(l, w, from, s);
	else if (pb_str_eq(s->method, PB_STR("ACK")))
		ack_arrives(l, s);
	else if (pb_str_eq(s->method, PB_STR("MESSAGE")))
		message_arrives(l, w, from, s);
	else
		say_answer(l, NULL, w, from, s, 200, false);
}

void mode_input(void *load, struct wire *w, struct pb_str datagram, const struct sockaddr_in *from)
{
	struct load *l = load;
	struct seen s;
	struct op *op;

	if (!seen_read(datagram, &s))
		return;
	if (!s.status && !pb_str_eq(s.method, PB_STR("BALL"))) {
		request_arrives(l, w, from, &s);
		return;
	}
	op = ops_find(l, s.call_id);
	if (op)
		l->plan.mode->answer(l, op, &s);
}

static const struct mode modes[] = {
	{ "bounce", say_ball, bounce_answer },
	{ "options", options_start, options_answer },
	{ "register", register_start, register_answer },
	{ "message", message_start, message_answer },
	{ "call", call_start, call_answer },
};

const struct mode *mode_find(const char *name)
{
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (!strcmp(modes[i].name, name))
			return &modes[i];
	}
	return NULL;
}
