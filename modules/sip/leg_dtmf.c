/*
 * Keys pressed, as INFO: application/dtmf-relay and application/dtmf in,
 * application/dtmf-relay out. The number of a key is its place in `keys`.
 */
#include "sip/leg.h"

static const char keys[] = "0123456789*#ABCDF"; /* F: flash, only as a number */

/* ---- From the far end ---------------------------------------------------------------- */

/* application/dtmf-relay: "Signal=5"; application/dtmf: the text itself. */
static bool dtmf_of(const struct sip_msg *msg, char *out)
{
	struct pb_str type = sip_msg_value(msg, SIP_HDR_CONTENT_TYPE), body = msg->body, line;
	uint32_t n;

	*out = '\0';
	if (pb_str_istarts(type, PB_STR("application/dtmf-relay"))) {
		struct pb_str rest = body;

		body = PB_STR_NULL;
		while (!body.p && pb_str_cut(&rest, '\n', &line)) {
			line = pb_str_trim_space(line);
			if (pb_str_istarts(line, PB_STR("Signal=")))
				body = pb_str_from(line, 7);
		}
	} else if (!pb_str_istarts(type, PB_STR("application/dtmf"))) {
		return false;
	}
	body = pb_str_trim_space(body);
	if (body.n == 1 && pb_to_upper(body.p[0]) != 'F' && body.p[0] && strchr(keys, pb_to_upper(body.p[0])))
		*out = pb_to_upper(body.p[0]);
	else if (!pb_str_to_u32(body, 0, 16, &n))
		*out = keys[n];
	return true;
}

bool sip_leg_dtmf_take(struct sip_leg *leg, struct sip_txn_id id, const struct sip_arrival *in)
{
	char key;
	struct pb_msg *m;

	if (!dtmf_of(in->msg, &key))
		return false;
	sip_server_answer(leg->on->stack, id, 200, PB_STR_NULL);
	m = key ? pb_chan_msg(leg->chan, PB_STR("chan.dtmf"), false) : NULL;
	if (m) {
		pb_msg_set(m, PB_STR("text"), pb_str(&key, 1));
		pb_msg_set(m, PB_STR("detected"), PB_STR("sip-info"));
		pb_msg_set_int(m, PB_STR("sequence"), ++leg->dtmf_count);
		sip_put_headers(m, in->msg, true);
	}
	pb_chan_notice(leg->chan, m);
	return true;
}

/* ---- Towards the far end ----------------------------------------------------------------- */

static void send_next(struct sip_leg *leg);

static void info_answered(void *arg, enum sip_outcome what, const struct sip_arrival *in)
{
	struct sip_leg *leg = arg;

	(void)in;
	if (what == SIP_OUT_PROVISIONAL)
		return;
	leg->info_out = false;
	send_next(leg);
}

/* One at a time: an INFO that overtakes another is refused for its CSeq, and
 * the key would be lost (RFC 3261 section 12.2.2). */
static void send_next(struct sip_leg *leg)
{
	const char *at = leg->keys_n ? strchr(keys, leg->keys[0]) : NULL;
	struct sip_build *b;
	struct pb_text t;
	char buf[32];

	if (!at || leg->info_out || sip_dialog_begin(leg->dialog, PB_STR("INFO"), &b))
		return;
	memmove(leg->keys, leg->keys + 1, --leg->keys_n);
	pb_text_init_buf(&t, buf, sizeof(buf));
	pb_text_addf(&t, "Signal=%d\r\n", (int)(at - keys));
	sip_common_headers(sip_conf(leg->on), b, false);
	leg->info_out = !sip_dialog_send(leg->dialog, PB_STR("application/dtmf-relay"), pb_text_str(&t), info_answered,
					 leg, &leg->info);
}

bool sip_leg_dtmf_send(struct sip_leg *leg, const struct pb_msg *m)
{
	struct pb_str text = pb_msg_get(m, PB_STR("text"));

	if (leg->inviting || !text.n || text.n > sizeof(leg->keys) - leg->keys_n)
		return false;
	for (size_t i = 0; i < text.n; i++) {
		char key = pb_to_upper(text.p[i]);

		if (key && strchr(keys, key))
			leg->keys[leg->keys_n++] = key;
	}
	send_next(leg);
	return true;
}
