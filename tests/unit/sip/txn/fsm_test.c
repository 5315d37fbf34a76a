/*
 * modules/sip/stack/fsm: every cell of the four machines against the figures of
 * RFC 3261 (5 to 8) with RFC 6026's changes, written out here as edges in the
 * figures' own words. What is no edge must be a hole.
 */
#include "../../../support/test.h"

#include <stdio.h>
#include <string.h>

#include "sip/stack/fsm.h"
#include "sip/stack/id.h"

struct edge {
	const char *from, *event, *to;
	const char *actions; /* blank-separated words, any order */
};

/* The user's view of an action: which bits a word of the tables below means. */
static const struct {
	const char *word;
	unsigned bit;
} words[] = {
	{ "stop-resend", SIP_DO_STOP_RESEND },
	{ "stop-life", SIP_DO_STOP_LIFE },
	{ "send", SIP_DO_SEND },
	{ "repeat", SIP_DO_REPEAT },
	{ "ack", SIP_DO_SEND_ACK },
	{ "A", SIP_DO_ARM_A },
	{ "E", SIP_DO_ARM_E },
	{ "E=T2", SIP_DO_ARM_E2 },
	{ "G", SIP_DO_ARM_G },
	{ "B", SIP_DO_ARM_B },
	{ "F", SIP_DO_ARM_B },
	{ "H", SIP_DO_ARM_H },
	{ "D", SIP_DO_ARM_D },
	{ "I", SIP_DO_ARM_I },
	{ "K", SIP_DO_ARM_I },
	{ "J", SIP_DO_ARM_J },
	{ "L", SIP_DO_ARM_L },
	{ "M", SIP_DO_ARM_L },
	{ "tell", SIP_DO_TELL },
	{ "tell-timeout", SIP_DO_TELL_TIMEOUT },
	{ "tell-error", SIP_DO_TELL_ERROR },
	{ "free", SIP_DO_FREE },
};

static const char *const event_names[SIP_EVENTS] = {
	[SIP_EV_REQUEST] = "request", [SIP_EV_ACK] = "ACK",         [SIP_EV_1XX] = "1xx",
	[SIP_EV_2XX] = "2xx",         [SIP_EV_REFUSE] = "300-699",  [SIP_EV_RESEND] = "A/E/G",
	[SIP_EV_EXPIRE] = "B/F/H",    [SIP_EV_END] = "D/I/J/K/L/M", [SIP_EV_ERROR] = "transport",
};

#define OVER "stop-resend stop-life free"

/* INVITE client: RFC 6026 figure 3. */
static const struct edge invite_client[] = {
	{ "init", "request", "calling", "send A B" },
	{ "calling", "A/E/G", "calling", "repeat A" },
	{ "calling", "B/F/H", "terminated", OVER " tell-timeout" },
	{ "calling", "transport", "terminated", OVER " tell-error" },
	{ "calling", "1xx", "proceeding", "stop-resend stop-life tell" },
	{ "calling", "2xx", "accepted", "stop-resend stop-life M tell" },
	{ "calling", "300-699", "completed", "stop-resend stop-life ack D tell" },
	{ "proceeding", "1xx", "proceeding", "tell" },
	{ "proceeding", "2xx", "accepted", "stop-resend stop-life M tell" },
	{ "proceeding", "300-699", "completed", "stop-resend stop-life ack D tell" },
	/* RFC 3261 section 9.1: no answer 64*T1 after the CANCEL */
	{ "proceeding", "B/F/H", "terminated", OVER " tell-timeout" },
	{ "accepted", "2xx", "accepted", "tell" },
	{ "accepted", "D/I/J/K/L/M", "terminated", OVER },
	{ "completed", "300-699", "completed", "ack" },
	{ "completed", "transport", "terminated", OVER " tell-error" },
	{ "completed", "D/I/J/K/L/M", "terminated", OVER },
	{ NULL, NULL, NULL, NULL },
};

/* Non-INVITE client: RFC 3261 figure 6. */
static const struct edge client[] = {
	{ "init", "request", "trying", "send E F" },
	{ "trying", "A/E/G", "trying", "repeat E" },
	{ "trying", "B/F/H", "terminated", OVER " tell-timeout" },
	{ "trying", "transport", "terminated", OVER " tell-error" },
	{ "trying", "1xx", "proceeding", "tell" },
	{ "trying", "2xx", "completed", "stop-resend stop-life K tell" },
	{ "trying", "300-699", "completed", "stop-resend stop-life K tell" },
	{ "proceeding", "A/E/G", "proceeding", "repeat E=T2" },
	{ "proceeding", "B/F/H", "terminated", OVER " tell-timeout" },
	{ "proceeding", "transport", "terminated", OVER " tell-error" },
	{ "proceeding", "1xx", "proceeding", "tell" },
	{ "proceeding", "2xx", "completed", "stop-resend stop-life K tell" },
	{ "proceeding", "300-699", "completed", "stop-resend stop-life K tell" },
	{ "completed", "D/I/J/K/L/M", "terminated", OVER },
	{ NULL, NULL, NULL, NULL },
};

/* INVITE server: RFC 6026 figure 5, and its section 7.1 on transport errors. */
static const struct edge invite_server[] = {
	{ "init", "request", "proceeding", "tell" },
	{ "proceeding", "request", "proceeding", "repeat" },
	{ "proceeding", "1xx", "proceeding", "send" },
	{ "proceeding", "2xx", "accepted", "stop-resend stop-life send L" },
	{ "proceeding", "300-699", "completed", "stop-resend stop-life send G H" },
	{ "proceeding", "transport", "proceeding", "tell-error" },
	{ "accepted", "request", "accepted", "" },
	{ "accepted", "ACK", "accepted", "tell" },
	{ "accepted", "2xx", "accepted", "send" },
	{ "accepted", "transport", "accepted", "tell-error" },
	{ "accepted", "D/I/J/K/L/M", "terminated", OVER },
	{ "completed", "request", "completed", "repeat" },
	{ "completed", "A/E/G", "completed", "repeat G" },
	{ "completed", "ACK", "confirmed", "stop-resend stop-life I" },
	{ "completed", "B/F/H", "terminated", OVER " tell-timeout" },
	{ "completed", "transport", "completed", "tell-error" },
	{ "confirmed", "ACK", "confirmed", "" },
	{ "confirmed", "D/I/J/K/L/M", "terminated", OVER },
	{ NULL, NULL, NULL, NULL },
};

/* Non-INVITE server: RFC 3261 figure 8. */
static const struct edge server[] = {
	{ "init", "request", "trying", "tell" },
	{ "trying", "request", "trying", "" },
	{ "trying", "1xx", "proceeding", "send" },
	{ "trying", "2xx", "completed", "stop-resend stop-life send J" },
	{ "trying", "300-699", "completed", "stop-resend stop-life send J" },
	{ "proceeding", "request", "proceeding", "repeat" },
	{ "proceeding", "1xx", "proceeding", "send" },
	{ "proceeding", "2xx", "completed", "stop-resend stop-life send J" },
	{ "proceeding", "300-699", "completed", "stop-resend stop-life send J" },
	{ "proceeding", "transport", "terminated", OVER " tell-error" },
	{ "completed", "request", "completed", "repeat" },
	{ "completed", "transport", "terminated", OVER " tell-error" },
	{ "completed", "D/I/J/K/L/M", "terminated", OVER },
	{ NULL, NULL, NULL, NULL },
};

static unsigned bits_of(const char *actions)
{
	struct pb_str rest = pb_str_z(actions), word;
	unsigned bits = 0;

	while (pb_str_word(&rest, &word)) {
		bool known = false;

		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
			if (pb_str_eq(word, pb_str_z(words[i].word))) {
				bits |= words[i].bit;
				known = true;
			}
		}
		CU_ASSERT_TRUE(known);
	}
	return bits;
}

static const struct edge *edge_of(const struct edge *e, const char *from, const char *event)
{
	for (; e->from; e++)
		if (!strcmp(e->from, from) && !strcmp(e->event, event))
			return e;
	return NULL;
}

static void lay_beside(const struct edge *edges,
		       struct sip_step (*step)(enum sip_state, enum sip_event))
{
	unsigned seen = 0, want = 0;

	for (const struct edge *e = edges; e->from; e++)
		want++;
	for (int s = 0; s < SIP_STATES; s++) {
		for (int e = 0; e < SIP_EVENTS; e++) {
			const char *from = sip_state_name((enum sip_state)s);
			const struct edge *edge = edge_of(edges, from, event_names[e]);
			struct sip_step got = step((enum sip_state)s, (enum sip_event)e);

			if (!edge) {
				CU_ASSERT_TRUE(got.hole);
				CU_ASSERT_EQUAL(got.act, 0);
				CU_ASSERT_EQUAL((int)got.next, s);
				continue;
			}
			seen++;
			CU_ASSERT_FALSE(got.hole);
			CU_ASSERT_STRING_EQUAL(sip_state_name(got.next), edge->to);
			CU_ASSERT_EQUAL(got.act, bits_of(edge->actions));
			if (got.act != bits_of(edge->actions))
				printf("%s, %s\n", from, event_names[e]);
		}
	}
	CU_ASSERT_EQUAL(seen, want);
}

static void invite_clients(void)
{
	lay_beside(invite_client, sip_ict_step);
}

static void clients(void)
{
	lay_beside(client, sip_nict_step);
}

static void invite_servers(void)
{
	lay_beside(invite_server, sip_ist_step);
}

static void servers(void)
{
	lay_beside(server, sip_nist_step);
}

static void ids(void)
{
	unsigned char random[SIP_ID_RANDOM] = { 0 };
	char a[SIP_ID_BYTES], b[SIP_BRANCH_BYTES], other[SIP_ID_BYTES];

	for (unsigned loop = 0; loop < 1000; loop++) {
		struct pb_str id = sip_id_make(a, random, loop);

		CU_ASSERT_EQUAL(sip_id_loop(id, 1000), (int)loop);
		CU_ASSERT_EQUAL(sip_id_loop(id, loop), -1);
	}
	PB_SAME(sip_branch_make(b, random, 2), "z9hG4bK002000000000000000000000");
	CU_ASSERT_EQUAL(sip_branch_loop(pb_str(b, sizeof(b)), 3), 2);
	CU_ASSERT_EQUAL(sip_branch_loop(PB_STR("Z9HG4BK002000000000000000000000"), 3), 2);
	CU_ASSERT_EQUAL(sip_branch_loop(PB_STR("z9hG4bK"), 3), -1);
	CU_ASSERT_EQUAL(sip_id_loop(PB_STR("00200000000000000000000"), 3), -1);
	CU_ASSERT_EQUAL(sip_id_loop(PB_STR("0020000000000000000000000"), 3), -1);
	CU_ASSERT_EQUAL(sip_id_loop(PB_STR("00200000000000000000000a"), 3), -1);
	CU_ASSERT_EQUAL(sip_id_loop(PB_STR_NULL, 3), -1);
	/* Each random bit that goes in shows. */
	sip_id_make(a, random, 0);
	for (unsigned bit = 0; bit < 8 * SIP_ID_RANDOM; bit++) {
		random[bit / 8] ^= (unsigned char)(1u << bit % 8);
		sip_id_make(other, random, 0);
		CU_ASSERT(memcmp(a, other, sizeof(a)) != 0);
		random[bit / 8] ^= (unsigned char)(1u << bit % 8);
	}
}

PB_TESTS("sip/fsm", { "INVITE client, every cell", invite_clients },
	 { "client, every cell", clients }, { "INVITE server, every cell", invite_servers },
	 { "server, every cell", servers }, { "ids carry their loop", ids })
