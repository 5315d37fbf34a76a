/*
 * One table a machine, a row a state, a cell an edge of the RFC's figure. The
 * letters A..M of the timers do not appear as events: a transaction has one
 * timer that resends (A, E, G), and one that ends a state, well (D, I, J, K, L,
 * M) or ill (B, F, H); the state tells which it is.
 */
#include "sip/stack/fsm.h"

#include <stddef.h>

#define STOP (SIP_DO_STOP_RESEND | SIP_DO_STOP_LIFE)
/** The end: timers die with the transaction. */
#define QUIT (STOP | SIP_DO_FREE)

struct cell {
	unsigned char next; /* enum sip_state; SIP_ST_INIT: the cell is a hole */
	unsigned act;
};

typedef const struct cell table[SIP_STATES][SIP_EVENTS];

/* RFC 3261 figure 5 as corrected by RFC 6026 section 8.4. */
static table ict = {
	[SIP_ST_INIT] = {
		[SIP_EV_REQUEST] = { SIP_ST_CALLING, SIP_DO_SEND | SIP_DO_ARM_A | SIP_DO_ARM_B },
	},
	[SIP_ST_CALLING] = {
		[SIP_EV_RESEND] = { SIP_ST_CALLING, SIP_DO_REPEAT | SIP_DO_ARM_A },
		[SIP_EV_EXPIRE] = { SIP_ST_TERMINATED, QUIT | SIP_DO_TELL_TIMEOUT },
		[SIP_EV_ERROR] = { SIP_ST_TERMINATED, QUIT | SIP_DO_TELL_ERROR },
		[SIP_EV_1XX] = { SIP_ST_PROCEEDING, STOP | SIP_DO_TELL },
		[SIP_EV_2XX] = { SIP_ST_ACCEPTED, STOP | SIP_DO_ARM_L | SIP_DO_TELL },
		[SIP_EV_REFUSE] = { SIP_ST_COMPLETED,
				    STOP | SIP_DO_SEND_ACK | SIP_DO_ARM_D | SIP_DO_TELL },
	},
	[SIP_ST_PROCEEDING] = {
		[SIP_EV_1XX] = { SIP_ST_PROCEEDING, SIP_DO_TELL },
		[SIP_EV_2XX] = { SIP_ST_ACCEPTED, STOP | SIP_DO_ARM_L | SIP_DO_TELL },
		[SIP_EV_REFUSE] = { SIP_ST_COMPLETED,
				    STOP | SIP_DO_SEND_ACK | SIP_DO_ARM_D | SIP_DO_TELL },
		/* Not in the figure: nobody answers, not even the CANCEL (section 9.1). */
		[SIP_EV_EXPIRE] = { SIP_ST_TERMINATED, QUIT | SIP_DO_TELL_TIMEOUT },
	},
	[SIP_ST_ACCEPTED] = {
		[SIP_EV_2XX] = { SIP_ST_ACCEPTED, SIP_DO_TELL },
		[SIP_EV_END] = { SIP_ST_TERMINATED, QUIT }, /* timer M */
	},
	[SIP_ST_COMPLETED] = {
		[SIP_EV_REFUSE] = { SIP_ST_COMPLETED, SIP_DO_SEND_ACK },
		[SIP_EV_ERROR] = { SIP_ST_TERMINATED, QUIT | SIP_DO_TELL_ERROR },
		[SIP_EV_END] = { SIP_ST_TERMINATED, QUIT }, /* timer D */
	},
};

/* RFC 3261 figure 6. */
static table nict = {
	[SIP_ST_INIT] = {
		[SIP_EV_REQUEST] = { SIP_ST_TRYING, SIP_DO_SEND | SIP_DO_ARM_E | SIP_DO_ARM_B },
	},
	[SIP_ST_TRYING] = {
		[SIP_EV_RESEND] = { SIP_ST_TRYING, SIP_DO_REPEAT | SIP_DO_ARM_E },
		[SIP_EV_EXPIRE] = { SIP_ST_TERMINATED, QUIT | SIP_DO_TELL_TIMEOUT },
		[SIP_EV_ERROR] = { SIP_ST_TERMINATED, QUIT | SIP_DO_TELL_ERROR },
		[SIP_EV_1XX] = { SIP_ST_PROCEEDING, SIP_DO_TELL },
		[SIP_EV_2XX] = { SIP_ST_COMPLETED, STOP | SIP_DO_ARM_I | SIP_DO_TELL },
		[SIP_EV_REFUSE] = { SIP_ST_COMPLETED, STOP | SIP_DO_ARM_I | SIP_DO_TELL },
	},
	[SIP_ST_PROCEEDING] = {
		[SIP_EV_RESEND] = { SIP_ST_PROCEEDING, SIP_DO_REPEAT | SIP_DO_ARM_E2 },
		[SIP_EV_EXPIRE] = { SIP_ST_TERMINATED, QUIT | SIP_DO_TELL_TIMEOUT },
		[SIP_EV_ERROR] = { SIP_ST_TERMINATED, QUIT | SIP_DO_TELL_ERROR },
		[SIP_EV_1XX] = { SIP_ST_PROCEEDING, SIP_DO_TELL },
		[SIP_EV_2XX] = { SIP_ST_COMPLETED, STOP | SIP_DO_ARM_I | SIP_DO_TELL },
		[SIP_EV_REFUSE] = { SIP_ST_COMPLETED, STOP | SIP_DO_ARM_I | SIP_DO_TELL },
	},
	[SIP_ST_COMPLETED] = {
		[SIP_EV_END] = { SIP_ST_TERMINATED, QUIT }, /* timer K */
	},
};

/* RFC 3261 figure 7 as corrected by RFC 6026 section 8.5. */
static table ist = {
	[SIP_ST_INIT] = {
		[SIP_EV_REQUEST] = { SIP_ST_PROCEEDING, SIP_DO_TELL },
	},
	[SIP_ST_PROCEEDING] = {
		[SIP_EV_REQUEST] = { SIP_ST_PROCEEDING, SIP_DO_REPEAT },
		[SIP_EV_1XX] = { SIP_ST_PROCEEDING, SIP_DO_SEND },
		[SIP_EV_2XX] = { SIP_ST_ACCEPTED, STOP | SIP_DO_SEND | SIP_DO_ARM_L },
		[SIP_EV_REFUSE] = { SIP_ST_COMPLETED,
				    STOP | SIP_DO_SEND | SIP_DO_ARM_G | SIP_DO_ARM_H },
		[SIP_EV_ERROR] = { SIP_ST_PROCEEDING, SIP_DO_TELL_ERROR },
	},
	[SIP_ST_ACCEPTED] = {
		[SIP_EV_REQUEST] = { SIP_ST_ACCEPTED, 0 },
		[SIP_EV_ACK] = { SIP_ST_ACCEPTED, SIP_DO_TELL },
		[SIP_EV_2XX] = { SIP_ST_ACCEPTED, SIP_DO_SEND },
		[SIP_EV_ERROR] = { SIP_ST_ACCEPTED, SIP_DO_TELL_ERROR },
		[SIP_EV_END] = { SIP_ST_TERMINATED, QUIT }, /* timer L */
	},
	[SIP_ST_COMPLETED] = {
		[SIP_EV_REQUEST] = { SIP_ST_COMPLETED, SIP_DO_REPEAT },
		[SIP_EV_RESEND] = { SIP_ST_COMPLETED, SIP_DO_REPEAT | SIP_DO_ARM_G },
		[SIP_EV_ACK] = { SIP_ST_CONFIRMED, STOP | SIP_DO_ARM_I },
		[SIP_EV_EXPIRE] = { SIP_ST_TERMINATED, QUIT | SIP_DO_TELL_TIMEOUT },
		[SIP_EV_ERROR] = { SIP_ST_COMPLETED, SIP_DO_TELL_ERROR },
	},
	[SIP_ST_CONFIRMED] = {
		[SIP_EV_ACK] = { SIP_ST_CONFIRMED, 0 },
		[SIP_EV_END] = { SIP_ST_TERMINATED, QUIT }, /* timer I */
	},
};

/* RFC 3261 figure 8. */
static table nist = {
	[SIP_ST_INIT] = {
		[SIP_EV_REQUEST] = { SIP_ST_TRYING, SIP_DO_TELL },
	},
	[SIP_ST_TRYING] = {
		[SIP_EV_REQUEST] = { SIP_ST_TRYING, 0 },
		[SIP_EV_1XX] = { SIP_ST_PROCEEDING, SIP_DO_SEND },
		[SIP_EV_2XX] = { SIP_ST_COMPLETED, STOP | SIP_DO_SEND | SIP_DO_ARM_J },
		[SIP_EV_REFUSE] = { SIP_ST_COMPLETED, STOP | SIP_DO_SEND | SIP_DO_ARM_J },
	},
	[SIP_ST_PROCEEDING] = {
		[SIP_EV_REQUEST] = { SIP_ST_PROCEEDING, SIP_DO_REPEAT },
		[SIP_EV_1XX] = { SIP_ST_PROCEEDING, SIP_DO_SEND },
		[SIP_EV_2XX] = { SIP_ST_COMPLETED, STOP | SIP_DO_SEND | SIP_DO_ARM_J },
		[SIP_EV_REFUSE] = { SIP_ST_COMPLETED, STOP | SIP_DO_SEND | SIP_DO_ARM_J },
		[SIP_EV_ERROR] = { SIP_ST_TERMINATED, QUIT | SIP_DO_TELL_ERROR },
	},
	[SIP_ST_COMPLETED] = {
		[SIP_EV_REQUEST] = { SIP_ST_COMPLETED, SIP_DO_REPEAT },
		[SIP_EV_ERROR] = { SIP_ST_TERMINATED, QUIT | SIP_DO_TELL_ERROR },
		[SIP_EV_END] = { SIP_ST_TERMINATED, QUIT }, /* timer J */
	},
};

static struct sip_step step(table t, enum sip_state s, enum sip_event e)
{
	const struct cell *c = &t[s][e];

	if (c->next == SIP_ST_INIT)
		return (struct sip_step){ .next = s, .hole = true };
	return (struct sip_step){ .next = (enum sip_state)c->next, .act = c->act };
}

struct sip_step sip_ict_step(enum sip_state s, enum sip_event e)
{
	return step(ict, s, e);
}

struct sip_step sip_nict_step(enum sip_state s, enum sip_event e)
{
	return step(nict, s, e);
}

struct sip_step sip_ist_step(enum sip_state s, enum sip_event e)
{
	return step(ist, s, e);
}

struct sip_step sip_nist_step(enum sip_state s, enum sip_event e)
{
	return step(nist, s, e);
}

const char *sip_state_name(enum sip_state s)
{
	static const char *const names[SIP_STATES] = {
		[SIP_ST_INIT] = "init",		  [SIP_ST_CALLING] = "calling",
		[SIP_ST_TRYING] = "trying",	  [SIP_ST_PROCEEDING] = "proceeding",
		[SIP_ST_ACCEPTED] = "accepted",	  [SIP_ST_COMPLETED] = "completed",
		[SIP_ST_CONFIRMED] = "confirmed", [SIP_ST_TERMINATED] = "terminated",
	};

	return names[s];
}
