/*
 * A simulated wire for the tests of the stack: an engine of some loops with
 * something of the stack on each, and a peer that is nothing but a socket, sends
 * texts and keeps what it gets.
 */
#ifndef WIRE_H
#define WIRE_H

#include "../../../support/test.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/map.h"
#include "loop/world.h"
#include "sip/stack/ua.h"

enum { WIRE_LOOPS = 3, WIRE_GOT = 64 };

static struct wire {
	struct pb_sim *sim;
	struct pb_loops *engine, *outside;
	struct sip_net *net;
	struct pb_loop *loops[WIRE_LOOPS];
	unsigned n;
	struct pb_udp *peer;
	struct pb_addr here, there;
	unsigned got_n; /* datagrams the peer got */
	char got[WIRE_GOT][2048];
	uint64_t got_ms[WIRE_GOT];
	struct pb_addr last_from;
} wire;

static inline struct pb_addr wire_addr(const char *ip, uint16_t port)
{
	struct pb_addr a;

	if (pb_addr_parse(pb_str_z(ip), port, &a) < 0)
		abort();
	return a;
}

static inline void wire_on_peer(void *arg, const struct pb_datagram *d)
{
	unsigned i = wire.got_n++;

	if (i >= WIRE_GOT)
		return;
	snprintf(wire.got[i], sizeof(wire.got[i]), "%.*s", PB_STR_F(d->bytes));
	wire.got_ms[i] = pb_sim_now_us(wire.sim) / 1000;
	wire.last_from = d->from;
}

static inline void wire_open_peer(void *arg)
{
	struct pb_udp_args a = { .local = wire.there, .max_bytes = 65535, .fn = wire_on_peer };

	if (pb_udp_open(pb_loop_current(), &a, &wire.peer) != 0)
		abort();
}

/** Run simulated time. */
static inline void wire_run(uint64_t ms)
{
	pb_sim_run(wire.sim, ms, NULL, NULL);
}

/** Call `fn(arg)` on loop `i` of the engine. */
static inline void wire_on(unsigned i, void (*fn)(void *), void *arg)
{
	pb_loop_call(wire.loops[i], fn, arg);
}

static inline void wire_up(unsigned loops, uint64_t seed)
{
	struct pb_loops_args args = { .calls = loops };
	static const struct pb_sim_link link = { .delay_min_us = 10, .delay_max_us = 10 };

	memset(&wire, 0, sizeof(wire));
	pb_hash_seed(seed);
	if (pb_sim_new(seed, &wire.sim) != 0)
		abort();
	pb_sim_set_link(wire.sim, &link);
	args.world = pb_sim_world(wire.sim);
	if (pb_loops_new(&args, &wire.engine) != 0)
		abort();
	args.calls = 1;
	if (pb_loops_new(&args, &wire.outside) != 0)
		abort();
	pb_loops_start(wire.engine);
	pb_loops_start(wire.outside);
	wire.n = loops;
	for (unsigned i = 0; i < loops; i++)
		wire.loops[i] = pb_loops_at(wire.engine, i);
	wire.here = wire_addr("192.0.2.1", 5060);
	wire.there = wire_addr("192.0.2.9", 5070);
	pb_loop_call(pb_loops_at(wire.outside, 0), wire_open_peer, NULL);
	if (sip_net_new(loops, &wire.net) != 0)
		abort();
}

static inline void wire_down(void)
{
	pb_loops_free(&wire.engine);
	pb_loops_free(&wire.outside);
	sip_net_free(&wire.net);
	pb_sim_free(&wire.sim);
}

struct wire_text {
	struct pb_str text;
};

static inline void wire_do_send(void *arg)
{
	pb_udp_send(wire.peer, &wire.here, ((struct wire_text *)arg)->text);
}

/** The peer sends `text`, in which each '\n' becomes CR LF, and a little time passes. */
static inline void wire_send_z(const char *text)
{
	static char buf[8192];
	size_t n = 0;

	for (; *text && n + 2 < sizeof(buf); text++) {
		if (*text == '\n')
			buf[n++] = '\r';
		buf[n++] = *text;
	}
	pb_loop_call(pb_loops_at(wire.outside, 0), wire_do_send,
		     &(struct wire_text){ pb_str(buf, n) });
	wire_run(1);
}

static inline void __attribute__((format(printf, 1, 2))) wire_send(const char *fmt, ...)
{
	static char buf[4096];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	wire_send_z(buf);
}

/** First line of what the peer got as the i-th. */
static inline struct pb_str wire_line(unsigned i)
{
	struct pb_str s = i < wire.got_n ? pb_str_z(wire.got[i]) : PB_STR("(nothing)"), line;

	pb_str_cut(&s, '\r', &line);
	return line;
}

/** Value of the first header of that name in the i-th thing got. */
static inline struct pb_str wire_header(unsigned i, const char *name)
{
	static struct sip_msg m;
	const struct sip_hdr *h;

	if (i >= wire.got_n)
		return PB_STR_NULL;
	sip_msg_parse(&m, pb_str_z(wire.got[i]));
	h = sip_msg_find(&m, pb_str_z(name));
	return h ? sip_hdr_value(&m, h) : PB_STR_NULL;
}

static inline bool wire_has(unsigned i, const char *text)
{
	return i < wire.got_n && strstr(wire.got[i], text);
}

/** The tag of a From or To value. */
static inline struct pb_str wire_tag(struct pb_str value)
{
	struct sip_addr a;

	return sip_addr_parse(value, &a) == 0 ? sip_param(a.params, PB_STR("tag")) : PB_STR_NULL;
}

#endif
