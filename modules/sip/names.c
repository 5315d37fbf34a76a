/*
 * What sip counts and what it puts on the bus, for the registry. The parameters
 * of a message stand where it is made: leg_in.c, leg_out.c, generic.c, auth.c,
 * registrar.c.
 */
#include "sip/sip.h"

const struct pb_counter sip_counters[] = {
	{ "transactions", NULL, "Transactions there are." },
	{ "dialogs", NULL, "Dialogs there are." },
	{ "failed_auths", NULL, "Requests with wrong credentials." },
#define SIP_COUNTER(id, text) { #id, NULL, text },
#include "sip/stack/counter.def"
#undef SIP_COUNTER
	{ NULL },
};

#define CHAN    "id module status address targetid billid peerid lastpeerid answered direction callid"
#define PARTY   "address ip_host ip_port ip_transport"
#define FLOW    "connection_id connection_reliable role"
#define BODY    "xsip_type xsip_body xsip_body_encoding"
#define HEADERS "sip_*"
#define MEDIA   "sdp_raw rtp_forward"
#define ENDED   "cause_sip reason_sip redirect called calleduri callid " HEADERS
/* What is kept of user.auth: sip_auth_copy. */
#define COPIED "username realm newcall domain device"
#define AUTH                                                                                       \
	"protocol username realm nonce response method uri newcall domain device number caller "   \
	"called billid expires id " PARTY

const struct pb_sends sip_sends[] = {
	{ "call.preroute",
	  CHAN " caller called callername expired_user antiloop sip_uri media " COPIED " " BODY
	       " " PARTY " " FLOW " " HEADERS " " MEDIA },
	{ "chan.startup",
	  CHAN " caller called callername callto username calledfull sip_callid connection_id" },
	{ "call.progress", CHAN " reason earlymedia " BODY " " HEADERS " " MEDIA },
	{ "call.ringing", CHAN " earlymedia " BODY " " HEADERS " " MEDIA },
	{ "call.answered", CHAN " " BODY " " HEADERS " " MEDIA },
	{ "call.update", CHAN " operation " MEDIA },
	{ "chan.dtmf", CHAN " text detected sequence " HEADERS },
	{ "chan.disconnected", ENDED },
	{ "chan.hangup", ENDED },
	{ "module.update", "module from text operational connection_id status" },
	{ "user.auth", AUTH },
	{ "user.authfail", AUTH },
	{ "user.register", "number expires driver data route_params oconnection_id q " COPIED
			   " " PARTY " " FLOW " " HEADERS },
	{ "user.unregister", "number expires driver data " COPIED " " PARTY " " FLOW " " HEADERS },
	{ "sip.", CHAN " called caller callername antiloop xsip_dlgtag request_uri " COPIED
		       " " PARTY " " FLOW " " BODY " " HEADERS },
	{ "call.execute", "targetid peerid error reason", .answers = true },
	{ "xsip.generate", "code " BODY " " HEADERS, .answers = true },
	{ "msg.execute", "code " BODY " " HEADERS, .answers = true },
	{ NULL },
};

const struct pb_finding_row sip_findings[] = {
	{ "sip-020", "Two listeners have the same address and port." },
	{ "sip-021", "A listener of a kind that is not supported: it does not listen." },
	{ "sip-022", "tos of a listener is no type of service: packets go out without one." },
	{ NULL },
};

void sip_uses(const void *settings, struct pb_uses *u)
{
	const struct sip_settings *s = settings;

	pb_uses_sends(u, PB_STR("sip.info")); /* in calls */
	for (size_t i = 0; i < s->method_count; i++)
		pb_uses_sends(u, s->methods[i].message);
}
