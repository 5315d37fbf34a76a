/*
 * SIP messages in the log. What nobody may read there is left out: credentials,
 * and the digits of DTMF bodies.
 */
#include "sip/sip.h"

#define TRACE_LIMIT (64u << 10)

static bool is_secret(struct pb_str line)
{
	static const struct pb_str begins[] = {
		PB_STR_INIT("Authorization:"),
		PB_STR_INIT("Proxy-Authorization:"),
		PB_STR_INIT("Signal="),
		PB_STR_INIT("Signal ="),
	};

	for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++) {
		if (pb_str_istarts(line, begins[i]))
			return true;
	}
	return false;
}

/* A folded header goes on in the lines that begin with a blank. */
static void add_without_secrets(struct pb_text *t, struct pb_str bytes)
{
	struct pb_str line;
	bool hiding = false;

	while (pb_str_cut(&bytes, '\n', &line)) {
		bool folded = line.n && (line.p[0] == ' ' || line.p[0] == '\t');
		ptrdiff_t at = pb_str_chr(line, ':');

		if (folded && hiding)
			continue;
		hiding = is_secret(line);
		if (hiding) {
			at = at < 0 ? pb_str_chr(line, '=') : at;
			pb_text_add(t, pb_str_head(line, (size_t)at + 1));
			pb_text_lit(t, " (hidden)\r\n");
			continue;
		}
		pb_text_add(t, line);
		if (bytes.p)
			pb_text_addc(t, '\n');
	}
}

/* A body that is nothing but the digit. */
static bool is_bare_dtmf(struct pb_str bytes)
{
	return pb_str_starts(bytes, PB_STR("INFO ")) && pb_str_find(bytes, PB_STR("application/dtmf\r\n")) >= 0;
}

void sip_trace(void *arg, bool out, const struct sip_path *path, struct pb_str bytes)
{
	char addr[PB_ADDR_TEXT], head[160];
	struct pb_text t, h;

	(void)arg;
	if (!pb_log_wants(&sip_log, PB_INFO))
		return;
	pb_text_init_buf(&h, head, sizeof(head));
	pb_text_addf(&h, "%s %zu octets %s %.*s", out ? "sent" : "received", bytes.n, out ? "to" : "from",
		     PB_STR_F(pb_addr_print(&path->peer, addr)));
	pb_text_init(&t, TRACE_LIMIT);
	if (is_bare_dtmf(bytes)) {
		ptrdiff_t body = pb_str_find(bytes, PB_STR("\r\n\r\n"));

		bytes = body < 0 ? bytes : pb_str_head(bytes, (size_t)body);
	}
	add_without_secrets(&t, bytes);
	pb_log_block(&sip_log, &sip_log_rows[SIP_LOG_TRAFFIC], pb_text_str(&h), pb_text_str(&t));
	pb_text_fini(&t);
}
