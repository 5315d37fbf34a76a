/*
 * The engine room of the transactions: slots and ids, timers, and the walk of a
 * step's actions. What a client or a server does differently stands in
 * client.c and server.c.
 *
 * An id is a slot and the generation of its use; freeing a slot makes a new
 * generation, so an old id finds nothing. Two timers serve all letters of the
 * RFC (fsm.c).
 */
#include "sip/stack/txn.h"

#include <errno.h>

#include "base/alloc.h"
#include "sip/stack/txn_impl.h"

enum { SERVER_LIMIT = 65536, KEY_LIMIT = 2 * SIP_MSG_LIMIT };

/* ---- Slots ----------------------------------------------------------------- */

static int slots_grow(struct sip_stack *s)
{
	uint32_t n = s->slot_n ? s->slot_n * 2 : 64;
	struct slot *slots = pb_alloc_grow(s->slots, n * sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (uint32_t i = s->slot_n; i < n; i++)
		slots[i] = (struct slot){ .gen = 1, .next_free = i + 1 };
	s->slots = slots;
	s->slot_free = s->slot_n;
	s->slot_n = n;
	return 0;
}

static int slot_take(struct sip_stack *s, struct sip_txn *t)
{
	struct slot *slot;

	if (s->slot_free == s->slot_n && slots_grow(s) != 0)
		return -ENOMEM;
	slot = &s->slots[s->slot_free];
	t->id = (struct sip_txn_id){ s->slot_free, slot->gen };
	s->slot_free = slot->next_free;
	slot->txn = t;
	return 0;
}

static void slot_release(struct sip_stack *s, struct sip_txn_id id)
{
	struct slot *slot = &s->slots[id.slot];

	slot->txn = NULL;
	if (++slot->gen == 0) /* 0 is no transaction's */
		slot->gen = 1;
	slot->next_free = s->slot_free;
	s->slot_free = id.slot;
}

struct sip_txn *sip_txn_find(const struct sip_stack *s, struct sip_txn_id id)
{
	if (id.slot >= s->slot_n || s->slots[id.slot].gen != id.gen)
		return NULL;
	return s->slots[id.slot].txn;
}

/* ---- One transaction ------------------------------------------------------- */

static void on_resend(void *arg)
{
	struct sip_txn *t = arg;

	if (t->kind == SIP_NIST && sip_server_resend((struct sip_server *)t))
		return;
	sip_txn_run(t, SIP_EV_RESEND, NULL);
}

static void on_life(void *arg)
{
	struct sip_txn *t = arg;
	bool done = t->kind == SIP_IST || t->kind == SIP_NIST
			    ? sip_server_life((struct sip_server *)t)
			    : sip_client_life((struct sip_client *)t);

	if (!done)
		sip_txn_run(t, (enum sip_event)t->life_event, NULL);
}

int sip_txn_init(struct sip_txn *t, struct sip_stack *s, enum sip_kind kind,
		 const struct sip_path *path)
{
	int err = slot_take(s, t);

	if (err)
		return err;
	t->s = s;
	t->kind = (uint8_t)kind;
	t->state = SIP_ST_INIT;
	t->path = *path;
	pb_timer_init(&t->resend, on_resend, t);
	pb_timer_init(&t->life, on_life, t);
	s->count[kind]++;
	return 0;
}

void sip_txn_fini(struct sip_txn *t)
{
	struct sip_stack *s = t->s;

	pb_timer_stop(&t->resend);
	pb_timer_stop(&t->life);
	sip_txn_drop_bytes(t);
	slot_release(s, t->id);
	s->count[t->kind]--;
}

int sip_txn_keep(struct sip_txn *t, struct pb_str bytes)
{
	char *p = pb_alloc(bytes.n);

	if (!p)
		return -ENOMEM;
	memcpy(p, bytes.p, bytes.n);
	sip_txn_drop_bytes(t);
	t->bytes = pb_str(p, bytes.n);
	return 0;
}

void sip_txn_drop_bytes(struct sip_txn *t)
{
	pb_free((char *)t->bytes.p);
	t->bytes = PB_STR_NULL;
}

void sip_txn_live(struct sip_txn *t, enum sip_event e, uint64_t after_ms)
{
	t->life_event = (uint8_t)e;
	pb_timer_start(t->s->args.loop, &t->life, after_ms);
}

enum sip_event sip_event_of(unsigned status)
{
	if (status < 200)
		return SIP_EV_1XX;
	return status < 300 ? SIP_EV_2XX : SIP_EV_REFUSE;
}

/* ---- Actions --------------------------------------------------------------- */

static bool is_server(const struct sip_txn *t)
{
	return t->kind == SIP_IST || t->kind == SIP_NIST;
}

static void do_stop_resend(struct sip_txn *t, const struct sip_arrival *in)
{
	pb_timer_stop(&t->resend);
}

static void do_stop_life(struct sip_txn *t, const struct sip_arrival *in)
{
	pb_timer_stop(&t->life);
}

static void do_send(struct sip_txn *t, const struct sip_arrival *in)
{
	if (t->bytes.n && sip_path_send(t->s->transport, &t->path, t->bytes) != 0)
		t->failed = true;
}

static void do_repeat(struct sip_txn *t, const struct sip_arrival *in)
{
	if (t->bytes.n)
		SIP_COUNT(t->s, RESENT);
	do_send(t, in);
}

static void do_send_ack(struct sip_txn *t, const struct sip_arrival *in)
{
	sip_client_ack_refusal((struct sip_client *)t, in);
}

static void resend_in(struct sip_txn *t, unsigned ms)
{
	t->resend_ms = ms;
	pb_timer_start(t->s->args.loop, &t->resend, ms);
}

static void do_arm_a(struct sip_txn *t, const struct sip_arrival *in)
{
	resend_in(t, t->resend_ms ? t->resend_ms * 2 : t->s->timing.t1_ms);
}

static void do_arm_e(struct sip_txn *t, const struct sip_arrival *in)
{
	unsigned ms = t->resend_ms ? t->resend_ms * 2 : t->s->timing.t1_ms;

	resend_in(t, ms < t->s->timing.t2_ms ? ms : t->s->timing.t2_ms);
}

static void do_arm_e2(struct sip_txn *t, const struct sip_arrival *in)
{
	resend_in(t, t->s->timing.t2_ms);
}

static void do_arm_g(struct sip_txn *t, const struct sip_arrival *in)
{
	if (!((struct sip_server *)t)->once)
		do_arm_e(t, in);
}

static void do_arm_expire(struct sip_txn *t, const struct sip_arrival *in)
{
	sip_txn_live(t, SIP_EV_EXPIRE, 64ull * t->s->timing.t1_ms);
}

static void do_arm_end(struct sip_txn *t, const struct sip_arrival *in)
{
	sip_txn_live(t, SIP_EV_END, 64ull * t->s->timing.t1_ms);
}

static void do_arm_i(struct sip_txn *t, const struct sip_arrival *in)
{
	sip_txn_live(t, SIP_EV_END, t->s->timing.t4_ms);
}

static void do_tell(struct sip_txn *t, const struct sip_arrival *in)
{
	struct sip_stack *s = t->s;

	if (!is_server(t)) {
		sip_client_tell((struct sip_client *)t,
				in->msg->status < 200 ? SIP_OUT_PROVISIONAL : SIP_OUT_FINAL, in);
	} else if (in->msg->method == SIP_ACK) {
		SIP_COUNT(s, ACK_PASSED);
		if (s->args.ops->ack)
			s->args.ops->ack(s->args.arg, in);
	} else {
		s->args.ops->request(s->args.arg, t->id, in);
	}
}

static void do_tell_timeout(struct sip_txn *t, const struct sip_arrival *in)
{
	if (is_server(t))
		sip_server_fail((struct sip_server *)t, SIP_FAIL_NO_ACK);
	else
		sip_client_tell((struct sip_client *)t, SIP_OUT_TIMEOUT, NULL);
}

static void do_tell_error(struct sip_txn *t, const struct sip_arrival *in)
{
	if (is_server(t))
		sip_server_fail((struct sip_server *)t, SIP_FAIL_TRANSPORT);
	else
		sip_client_tell((struct sip_client *)t, SIP_OUT_ERROR, NULL);
}

static void do_free(struct sip_txn *t, const struct sip_arrival *in)
{
	if (is_server(t))
		sip_server_free((struct sip_server *)t);
	else
		sip_client_free((struct sip_client *)t);
}

/** In the order of the bits of fsm.h. */
static void (*const actions[])(struct sip_txn *t, const struct sip_arrival *in) = {
	do_stop_resend, do_stop_life,    do_send,       do_repeat,  do_send_ack,
	do_arm_a,       do_arm_e,        do_arm_e2,     do_arm_g,   do_arm_expire,
	do_arm_expire,  do_arm_end,      do_arm_i,      do_arm_end, do_arm_end,
	do_tell,        do_tell_timeout, do_tell_error, do_free,
};

static struct sip_step (*const machines[SIP_KINDS])(enum sip_state, enum sip_event) = {
	[SIP_ICT] = sip_ict_step,
	[SIP_NICT] = sip_nict_step,
	[SIP_IST] = sip_ist_step,
	[SIP_NIST] = sip_nist_step,
};

/**
 * Sending failed in a step that left the transaction alive. A client hears of
 * it from a timer, because its user must not be called while it sends.
 */
static void send_failed(struct sip_txn *t)
{
	t->failed = false;
	if (is_server(t)) {
		sip_txn_run(t, SIP_EV_ERROR, NULL);
	} else {
		pb_timer_stop(&t->resend);
		sip_txn_live(t, SIP_EV_ERROR, 0);
	}
}

void sip_txn_run(struct sip_txn *t, enum sip_event e, const struct sip_arrival *in)
{
	struct sip_step step = machines[t->kind]((enum sip_state)t->state, e);
	struct sip_stack *s = t->s;
	struct sip_txn_id id = t->id;

	if (step.hole) {
		SIP_COUNT(s, HOLES);
		return;
	}
	t->state = (uint8_t)step.next;
	for (unsigned act = step.act; act; act &= act - 1)
		actions[__builtin_ctz(act)](t, in);
	t = sip_txn_find(s, id);
	if (t && t->failed)
		send_failed(t);
}

/* ---- A listener that is gone ------------------------------------------------ */

/** Whether its user still waits for something. */
static bool waits(const struct sip_txn *t)
{
	return t->state < SIP_ST_ACCEPTED;
}

static void cut(struct sip_txn *t)
{
	struct sip_stack *s = t->s;
	struct sip_txn_id id = t->id;

	if (waits(t))
		do_tell_error(t, NULL);
	t = sip_txn_find(s, id);
	if (t)
		do_free(t, NULL);
}

void sip_stack_cut(struct sip_stack *s, unsigned listener)
{
	/* Whoever is told may begin others: the slots may move, and grow. */
	for (uint32_t i = 0; i < s->slot_n; i++)
		if (s->slots[i].txn && s->slots[i].txn->path.listener == listener)
			cut(s->slots[i].txn);
}

/* ---- The stack ------------------------------------------------------------- */

static void on_message(void *arg, const struct sip_arrival *in)
{
	if (in->msg->request)
		sip_server_request(arg, in);
	else
		sip_client_response(arg, in);
}

static void on_tap(void *arg, bool out, const struct sip_path *path, struct pb_str bytes)
{
	struct sip_stack *s = arg;

	s->args.tap(s->args.arg, out, path, bytes);
}

void sip_stack_set_timing(struct sip_stack *s, const struct sip_timing *timing)
{
	s->timing = (struct sip_timing){
		.t1_ms = timing->t1_ms ? timing->t1_ms : 500,
		.t2_ms = timing->t2_ms ? timing->t2_ms : 4000,
		.t4_ms = timing->t4_ms ? timing->t4_ms : 5000,
		.proceeding_ms = timing->proceeding_ms ? timing->proceeding_ms : 180000,
		.answer_ms = timing->answer_ms ? timing->answer_ms : 180000,
	};
}

void sip_stack_set_server_limit(struct sip_stack *s, unsigned units)
{
	s->args.server_limit = units ? units : SERVER_LIMIT;
}

int sip_stack_new(const struct sip_stack_args *args, struct sip_stack **out)
{
	struct sip_stack *s = pb_alloc_zero(1, sizeof(*s));
	int err;

	*out = NULL;
	if (!s)
		return -ENOMEM;
	s->args = *args;
	sip_stack_set_timing(s, &args->timing);
	sip_stack_set_server_limit(s, args->server_limit);
	pb_text_init(&s->key, KEY_LIMIT);
	err = sip_transport_new(
		&(struct sip_transport_args){
			.loop = args->loop,
			.net = args->net,
			.message = on_message,
			.tap = args->tap ? on_tap : NULL,
			.arg = s,
		},
		&s->transport);
	if (err) {
		sip_stack_free(&s);
		return err;
	}
	s->counters = sip_transport_counters(s->transport);
	*out = s;
	return 0;
}

void sip_stack_free(struct sip_stack **s)
{
	if (!*s)
		return;
	for (uint32_t i = 0; i < (*s)->slot_n; i++)
		if ((*s)->slots[i].txn)
			do_free((*s)->slots[i].txn, NULL);
	sip_transport_free(&(*s)->transport);
	pb_map_fini(&(*s)->clients);
	pb_map_fini(&(*s)->servers);
	pb_map_fini(&(*s)->merges);
	pb_text_fini(&(*s)->key);
	pb_free((*s)->slots);
	pb_free(*s);
	*s = NULL;
}

struct sip_transport *sip_stack_transport(struct sip_stack *s)
{
	return s->transport;
}

const struct sip_timing *sip_stack_timing(const struct sip_stack *s)
{
	return &s->timing;
}

struct sip_txn_count sip_stack_count(const struct sip_stack *s)
{
	return (struct sip_txn_count){
		.invite_client = s->count[SIP_ICT],
		.client = s->count[SIP_NICT],
		.invite_server = s->count[SIP_IST],
		.server = s->count[SIP_NIST],
	};
}
