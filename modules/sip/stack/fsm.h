/*
 * The four transaction machines as data: RFC 3261 section 17 with the Accepted
 * states of RFC 6026.
 *
 * A step is pure: state and event in, next state and actions out. txn's client
 * and server carry the actions out in the order of their bits. A missing cell
 * means "ignore" (step.hole), which the caller counts.
 */
#ifndef SIP_STACK_FSM_H
#define SIP_STACK_FSM_H

#include <stdbool.h>

/** States of all four machines; each uses some. */
enum sip_state {
	SIP_ST_INIT, /* before the first event */
	SIP_ST_CALLING,
	SIP_ST_TRYING,
	SIP_ST_PROCEEDING,
	SIP_ST_ACCEPTED,
	SIP_ST_COMPLETED,
	SIP_ST_CONFIRMED,
	SIP_ST_TERMINATED,
	SIP_STATES
};

/**
 * Client machines: responses are received. Server machines: responses come from
 * the user, REQUEST and ACK are received.
 */
enum sip_event {
	SIP_EV_REQUEST, /* client: start; server: start or retransmission */
	SIP_EV_ACK,
	SIP_EV_1XX,
	SIP_EV_2XX,
	SIP_EV_REFUSE, /* 300..699 */
	SIP_EV_RESEND, /* timers A, E, G */
	SIP_EV_EXPIRE, /* timers B, F, H */
	SIP_EV_END,    /* timers D, I, J, K, L, M */
	SIP_EV_ERROR,  /* the transport could not send */
	SIP_EVENTS
};

enum {
	SIP_DO_STOP_RESEND = 1 << 0, /* stop A, E, G */
	SIP_DO_STOP_LIFE = 1 << 1,   /* stop B, F, H */
	SIP_DO_SEND = 1 << 2,	     /* the request, or the answer just given */
	SIP_DO_REPEAT = 1 << 3,	     /* the last request or answer again */
	SIP_DO_SEND_ACK = 1 << 4,    /* section 17.1.1.3 */
	SIP_DO_ARM_A = 1 << 5,	     /* T1, doubling each time */
	SIP_DO_ARM_E = 1 << 6,	     /* T1, doubling up to T2 */
	SIP_DO_ARM_E2 = 1 << 7,	     /* T2: timer E in Proceeding */
	SIP_DO_ARM_G = 1 << 8,	     /* T1, doubling up to T2 */
	SIP_DO_ARM_B = 1 << 9,	     /* 64*T1: timers B, F */
	SIP_DO_ARM_H = 1 << 10,	     /* 64*T1 */
	SIP_DO_ARM_D = 1 << 11,	     /* 64*T1, at least 32 s by default; 0 when reliable */
	SIP_DO_ARM_I = 1 << 12,	     /* T4: timers I, K; 0 when reliable */
	SIP_DO_ARM_J = 1 << 13,	     /* 64*T1: timer J; 0 when reliable */
	SIP_DO_ARM_L = 1 << 14,	     /* 64*T1: timers L, M, however reliable */
	SIP_DO_TELL = 1 << 15,	     /* pass the message that came to the user */
	SIP_DO_TELL_TIMEOUT = 1 << 16,
	SIP_DO_TELL_ERROR = 1 << 17,
	SIP_DO_FREE = 1 << 18,	     /* last */
};

struct sip_step {
	enum sip_state next;
	unsigned act;
	bool hole; /* the cell is empty: next is the old state, nothing to do */
};

struct sip_step sip_ict_step(enum sip_state s, enum sip_event e);  /* INVITE client */
struct sip_step sip_nict_step(enum sip_state s, enum sip_event e); /* non-INVITE client */
struct sip_step sip_ist_step(enum sip_state s, enum sip_event e);  /* INVITE server */
struct sip_step sip_nist_step(enum sip_state s, enum sip_event e); /* non-INVITE server */

const char *sip_state_name(enum sip_state s);

#endif
