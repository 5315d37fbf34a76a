/*
 * One leg of a call: a channel on the bus side, a dialog on the wire side.
 */
#ifndef SIP_LEG_H
#define SIP_LEG_H

#include "sip/sip.h"

struct sip_leg {
	struct pb_list node; /* on->legs */
	struct sip_loop *on;
	struct pb_chan *chan;
	struct sip_dialog *dialog;
	struct pb_arena *arena; /* what lives as long as the leg */
	struct sip_txn_id invite; /* the INVITE that made it, while it is open */
	struct sip_op *op; /* incoming: the INVITE, until it is routed */
	struct pb_str callid; /* sip/<Call-ID>/<from-tag>/<to-tag> */
	bool outgoing;
	bool inviting;	   /* the INVITE has no final answer yet */
	bool late_offer;   /* incoming: INVITE without SDP; outgoing: sent so */
	bool ack_owed;	   /* outgoing: the ACK waits for the other side's SDP */
	uint32_t dtmf_count;
	char keys[32]; /* to be sent, the first one next */
	uint8_t keys_n;
	bool info_out; /* an INFO of ours waits for its answer */
	struct sip_txn_id info;
};

struct sip_leg *sip_leg_new(struct sip_loop *sl, bool outgoing);
/** The leg, its dialog and channel end; the channel's peer gets `reason`. */
void sip_leg_end(struct sip_leg **leg, struct pb_str reason);
/** cause_sip, reason_sip for chan.hangup and chan.disconnected. */
void sip_leg_cause(struct sip_leg *leg, unsigned code, struct pb_str phrase);
/** What every message about the far end's SDP carries. */
void sip_leg_put_media(struct pb_msg *m, const struct sip_msg *msg);
/** The SDP to send for `m`: sdp_raw; absent: none. */
struct pb_str sip_leg_sdp(const struct pb_msg *m);
/** The code and phrase for ending an unanswered leg. */
unsigned sip_leg_code(struct pb_str reason, const struct pb_msg *m, struct pb_str *phrase);

/* leg_in.c */
bool sip_leg_in_event(struct sip_leg *leg, enum pb_chan_event ev, struct pb_msg *m);
void sip_leg_refuse(struct sip_leg **leg, unsigned code, struct pb_str phrase, const struct pb_msg *m,
		    struct pb_str reason);
void sip_leg_accepted(struct pb_chan *c, struct pb_msg *m);
void sip_leg_rejected(struct pb_chan *c, struct pb_str error, struct pb_str reason, struct pb_msg *m);

/* leg_dtmf.c */
/** An INFO that brings keys: answered, and a chan.dtmf made. False: it is none. */
bool sip_leg_dtmf_take(struct sip_leg *leg, struct sip_txn_id id, const struct sip_arrival *in);
/** chan.dtmf for this leg: an INFO a key, one after the other. False: too many wait. */
bool sip_leg_dtmf_send(struct sip_leg *leg, const struct pb_msg *m);

/* leg_out.c */
bool sip_leg_out_event(struct sip_leg *leg, enum pb_chan_event ev, struct pb_msg *m);

#endif
