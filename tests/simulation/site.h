/*
 * A simulated site: whole engines of three loops, with the modules of the build
 * tree, and phones on a host of their own, all over one wire that may lose,
 * double and overtake. Everything that crosses the wire and everything that
 * walks a bus goes into a log, of which a number is kept: two runs of one seed
 * have the same.
 *
 * Hosts are numbered as they are made: the engines are 10.0.0.1, 10.0.0.2 ...,
 * the phones come behind them. Nobody is at SITE_NOWHERE.
 */
#ifndef PB_TEST_SITE_H
#define PB_TEST_SITE_H

#include <stdio.h>

#include "bus/engine.h"
#include "loop/world.h"
#include "sip/stack/ua.h"

enum { SITE_ENGINES = 2, SITE_LOOPS = 3 };
#define SITE_NOWHERE "10.0.0.99:5999"

struct site_args {
	uint64_t seed;
	struct pb_sim_link link;
	unsigned engines;
	const char *conf;           /* folder below tests/data/simulation, of all engines */
	const char *const *modules; /* "sip" ...; ends with NULL */
	/** Linked into each engine; site_watch and site_unwatch are its start and stop. */
	const struct pb_module *witness;
	const struct sip_ua_ops *phones;
	FILE *trace; /* the logs in full; NULL: none */
};

struct site_log {
	uint64_t hash, lines;
};

extern struct site {
	struct pb_sim *sim;
	unsigned engines;
	struct pb_engine *engine[SITE_ENGINES];
	struct pb_loops *phone_loops;
	struct pb_loop *phones; /* their one loop */
	struct sip_net *phone_net;
	struct sip_ua *ua;
	struct pb_reg *hooks[SITE_ENGINES];
	struct site_log wire, bus;
	size_t idle_timers[SITE_ENGINES][SITE_LOOPS];
	uint64_t seed;
	unsigned failures;
	bool tolerant; /* nothing counts as wrong for now */
	FILE *trace;
} site;

/** All are started and idle when it returns. Aborts when that cannot be. */
void site_open(const struct site_args *args);
/** The engines stop, one after the other; everything is freed. */
void site_close(void);
/** From the witness's start: all messages of that bus go into the log. */
int site_watch(struct pb_ctx *cx);
/** From its stop. */
void site_unwatch(struct pb_ctx *cx);
/** Which engine a handler runs in. */
unsigned site_side(const struct pb_ctx *cx);

/** Something is wrong: counted, and said with the seed. */
void site_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/** Print what the recorders have of the calls to this number. */
void site_show_call(struct pb_str called);
/** Nothing may be left of calls and requests: on no loop, in no engine. */
void site_expect_idle(void);

/** From 0 to span-1 beyond `from`, drawn on the present loop. */
uint64_t site_draw_ms(uint64_t from, uint64_t span);

#endif
