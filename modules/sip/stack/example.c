/*
 * The stack without the bus: answers every call and every request with 200 on
 * all cores, until it is interrupted.
 *
 *     sipexample 127.0.0.1 5066
 */
#include <signal.h>
#include <stdio.h>

#include "loop/world.h"
#include "sip/stack/ua.h"

struct site {
	struct sip_net *net;
	struct pb_addr local;
	struct sip_ua *ua[PB_LOOPS_MAX];
	int err;
};

static void on_bye(void *arg, struct sip_dialog *d, struct sip_txn_id id,
		   const struct sip_arrival *in)
{
	sip_dialog_answer(d, id, 200, PB_STR_NULL);
	if (in->msg->method == SIP_BYE)
		sip_dialog_free(&d);
}

static void on_no_ack(void *arg, struct sip_dialog *d)
{
	sip_dialog_bye(d);
	sip_dialog_free(&d);
}

static const struct sip_dialog_ops dialog_ops = { .request = on_bye, .no_ack = on_no_ack };

static void on_request(void *arg, struct sip_txn_id id, const struct sip_arrival *in)
{
	struct site *site = arg;
	struct sip_ua *ua = site->ua[pb_loop_index(pb_loop_current())];
	struct sip_dialog_args args = { .ops = &dialog_ops };
	struct sip_dialog *d;

	if (in->msg->method != SIP_INVITE) {
		sip_server_answer(sip_ua_stack(ua), id, 200, PB_STR_NULL);
	} else if (sip_dialog_new_uas(ua, id, in, &args, &d) == 0) {
		sip_dialog_answer(d, id, 180, PB_STR_NULL);
		sip_dialog_answer(d, id, 200, PB_STR_NULL);
	} else {
		sip_server_answer(sip_ua_stack(ua), id, 400, PB_STR_NULL);
	}
}

static const struct sip_ua_ops ua_ops = { .request = on_request };

static void open_on(void *arg)
{
	struct site *site = arg;
	struct sip_ua **ua = &site->ua[pb_loop_index(pb_loop_current())];
	struct sip_ua_args args = {
		.loop = pb_loop_current(), .net = site->net, .ops = &ua_ops, .arg = site
	};
	struct sip_listener_args l = {
		.name = PB_STR("general"), .local = site->local, .share = true
	};

	site->err = sip_ua_new(&args, ua);
	if (!site->err)
		site->err = sip_transport_listen(sip_ua_transport(*ua), &l);
}

static void close_on(void *arg)
{
	sip_ua_free(&((struct site *)arg)->ua[pb_loop_index(pb_loop_current())]);
}

int main(int argc, char **argv)
{
	struct pb_loops_args args = { .calls = 2, .world = pb_world_real(), .name = "sip" };
	static struct site site;
	struct pb_loops *loops;
	uint32_t port;
	sigset_t end;
	int sig;

	if (argc != 3 || pb_str_to_u32(pb_str_z(argv[2]), 1, 65535, &port) != 0 ||
	    pb_addr_parse(pb_str_z(argv[1]), (uint16_t)port, &site.local) != 0) {
		fprintf(stderr, "usage: sipexample IP PORT\n");
		return 1;
	}
	sigemptyset(&end);
	sigaddset(&end, SIGINT);
	sigaddset(&end, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &end, NULL); /* before there are threads */
	if (sip_net_new(args.calls, &site.net) != 0 || pb_loops_new(&args, &loops) != 0 ||
	    pb_loops_start(loops) != 0)
		return 3;
	for (unsigned i = 0; i < args.calls && !site.err; i++)
		pb_loop_call(pb_loops_at(loops, i), open_on, &site);
	if (!site.err)
		sigwait(&end, &sig);
	for (unsigned i = 0; i < args.calls; i++)
		pb_loop_call(pb_loops_at(loops, i), close_on, &site);
	pb_loops_free(&loops);
	sip_net_free(&site.net);
	return site.err ? 3 : 0;
}
