/*
 * modules/sip/stack on real threads: INVITEs from one socket land on one loop,
 * and have to find the loop that owns them. For the thread sanitizer.
 */
#include "../../../support/test.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "loop/world.h"
#include "sip/stack/ua.h"

enum { LOOPS = 3, CALLS = 200 };

static struct side {
	struct pb_loops *loops;
	struct sip_net *net;
	struct sip_ua *ua[LOOPS];
	unsigned n;
} callers, callees;

static struct pb_addr target;
static struct sip_dialog *dialogs[CALLS]; /* each touched by the caller's one loop */
static unsigned started, ended;
static atomic_uint answered[LOOPS];
static sem_t done;

static struct sip_ua *here(const struct side *s)
{
	return s->ua[pb_loop_index(pb_loop_current())];
}

/* ---- Callees ------------------------------------------------------------------------ */

static void callee_request(void *arg, struct sip_dialog *d, struct sip_txn_id id,
			   const struct sip_arrival *in)
{
	sip_dialog_answer(d, id, 200, PB_STR_NULL);
	sip_dialog_free(&d);
}

static const struct sip_dialog_ops callee_ops = { .request = callee_request };

static void on_invite(void *arg, struct sip_txn_id id, const struct sip_arrival *in)
{
	struct sip_dialog_args args = { .ops = &callee_ops };
	struct sip_dialog *d;

	atomic_fetch_add(&answered[pb_loop_index(pb_loop_current())], 1);
	if (sip_dialog_new_uas(here(&callees), id, in, &args, &d) != 0 ||
	    sip_dialog_answer(d, id, 200, PB_STR_NULL) != 0)
		abort();
}

/* ---- The caller ---------------------------------------------------------------------- */

static void start_one(void);

static void on_bye(void *arg, enum sip_outcome what, const struct sip_arrival *in)
{
	if (what == SIP_OUT_PROVISIONAL)
		return;
	if (++ended == CALLS)
		sem_post(&done);
	else
		start_one();
}

static void on_outcome(void *arg, enum sip_outcome what, const struct sip_arrival *in)
{
	struct sip_dialog **d = arg;
	struct sip_build *b;

	if (what == SIP_OUT_PROVISIONAL)
		return;
	if (what != SIP_OUT_FINAL || in->msg->status != 200 || sip_dialog_ack(*d) != 0 ||
	    sip_dialog_begin(*d, PB_STR("BYE"), &b) != 0 ||
	    sip_dialog_send(*d, PB_STR_NULL, PB_STR_NULL, on_bye, NULL, NULL) != 0)
		abort();
	sip_dialog_free(d);
}

static const struct sip_dialog_ops caller_ops = { 0 };

static void start_one(void)
{
	struct sip_dialog **d = &dialogs[started];
	struct sip_dialog_target to = { .target = PB_STR("sip:b@127.0.0.1"),
					.local_uri = PB_STR("<sip:a@example.org>"),
					.remote_uri = PB_STR("<sip:b@example.org>") };
	struct sip_build *b;

	if (started == CALLS)
		return;
	started++;
	if (sip_path_choose(sip_ua_transport(here(&callers)), &target, &to.path) != 0 ||
	    sip_dialog_new_uac(here(&callers), &to, &(struct sip_dialog_args){ .ops = &caller_ops },
			       d) != 0 ||
	    sip_dialog_begin(*d, PB_STR("INVITE"), &b) != 0 ||
	    sip_dialog_send(*d, PB_STR_NULL, PB_STR_NULL, on_outcome, d, NULL) != 0)
		abort();
}

static void start_some(void *arg)
{
	for (unsigned i = 0; i < 20; i++)
		start_one();
}

/* ---- Up and down ------------------------------------------------------------------------ */

static void on_nothing(void *arg, struct sip_txn_id id, const struct sip_arrival *in)
{
}

static const struct sip_ua_ops caller_ua = { .request = on_nothing };
static const struct sip_ua_ops callee_ua = { .request = on_invite };

static void open_ua(void *arg)
{
	struct side *s = arg;
	struct sip_ua **ua = &s->ua[pb_loop_index(pb_loop_current())];
	struct sip_ua_args a = { .loop = pb_loop_current(),
				 .net = s->net,
				 .timing = { .t1_ms = 100 },
				 .ops = s == &callers ? &caller_ua : &callee_ua };
	struct sip_listener_args l = { .name = PB_STR("general"), .share = s == &callees };
	int err;

	l.local = target;
	if (s == &callers || s->ua[0] == NULL)
		pb_addr_set_port(&l.local, 0);
	err = sip_ua_new(&a, ua);
	if (!err)
		err = sip_transport_listen(sip_ua_transport(*ua), &l);
	if (err)
		abort();
	if (s == &callees)
		target = *sip_listener_local(sip_ua_transport(*ua), 0);
}

static void close_ua(void *arg)
{
	sip_ua_free(&((struct side *)arg)->ua[pb_loop_index(pb_loop_current())]);
}

static void up(struct side *s, unsigned n)
{
	struct pb_loops_args a = { .calls = n, .world = pb_world_real(), .name = "test" };

	s->n = n;
	if (pb_loops_new(&a, &s->loops) != 0 || sip_net_new(n, &s->net) != 0 ||
	    pb_loops_start(s->loops) != 0)
		abort();
	for (unsigned i = 0; i < n; i++)
		pb_loop_call(pb_loops_at(s->loops, i), open_ua, s);
}

static void down(struct side *s)
{
	for (unsigned i = 0; i < s->n; i++)
		pb_loop_call(pb_loops_at(s->loops, i), close_ua, s);
	pb_loops_free(&s->loops);
	sip_net_free(&s->net);
}

static void calls(void)
{
	sem_init(&done, 0, 0);
	if (pb_addr_parse(PB_STR("127.0.0.1"), 0, &target) != 0)
		abort();
	up(&callees, LOOPS);
	up(&callers, 1);
	pb_loop_call(pb_loops_at(callers.loops, 0), start_some, NULL);
	while (sem_wait(&done) != 0)
		;
	for (unsigned i = 0; i < LOOPS; i++)
		CU_ASSERT(atomic_load(&answered[i]) > CALLS / 10);
	CU_ASSERT_EQUAL(atomic_load(&answered[0]) + atomic_load(&answered[1]) +
				atomic_load(&answered[2]),
			CALLS);
	down(&callers);
	down(&callees);
}

PB_TESTS("sip/threads", { "calls over loops", calls })
