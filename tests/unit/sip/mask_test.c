/* sip/stack/mask: what is hidden, and only that. */
#include "../../support/test.h"

#include <stdlib.h>

#include "sip/stack/mask.h"

static const struct {
	const char *text, *want;
} rows[] = {
	{ "REGISTER sip:a SIP/2.0\r\nAuthorization: Digest SEED\r\nTo: x\r\n\r\n",
	  "REGISTER sip:a SIP/2.0\r\nAuthorization: (hidden)\r\nTo: x\r\n\r\n" },
	{ "A\r\nproxy-authorization  : Digest a=1,\r\n\tSEED,\r\n SEED\r\nTo: x\r\n\r\n",
	  "A\r\nproxy-authorization  : (hidden)\r\nTo: x\r\n\r\n" },
	{ "A\r\nAuthentication-Info: rspauth=SEED\r\n\r\n", "A\r\nAuthentication-Info: (hidden)\r\n\r\n" },
	{ "A\r\nAuthorization-Not: shown\r\n\r\n", "A\r\nAuthorization-Not: shown\r\n\r\n" },
	{ "A\nAuthorization: SEED", "A\nAuthorization: (hidden)\r" },
	{ "INFO sip:a SIP/2.0\r\nContent-Type: text/x\r\n\r\nSEED\r\nSEED",
	  "INFO sip:a SIP/2.0\r\nContent-Type: text/x\r\n\r\n(hidden)\r\n" },
	{ "INFO sip:a SIP/2.0\r\nTo: x\r\n\r\n", "INFO sip:a SIP/2.0\r\nTo: x\r\n\r\n" },
	{ "NOTIFY sip:a SIP/2.0\r\nc: application/KPML-response+xml\r\n\r\ndigits=SEED",
	  "NOTIFY sip:a SIP/2.0\r\nc: application/KPML-response+xml\r\n\r\n(hidden)\r\n" },
	{ "MESSAGE sip:a SIP/2.0\r\n\r\nsignal = SEED\r\nSignals are shown",
	  "MESSAGE sip:a SIP/2.0\r\n\r\nsignal = (hidden)\r\nSignals are shown" },
	{ "INVITE sip:a SIP/2.0\r\n\r\nv=0\r\na=crypto:1 SEED\r\na=rtpmap:0 PCMU\r\n",
	  "INVITE sip:a SIP/2.0\r\n\r\nv=0\r\na=crypto: (hidden)\r\na=rtpmap:0 PCMU\r\n" },
	{ "", "" },
	{ "\n", "\n" },
};

static void masks(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pb_str in = pb_str_z(rows[i].text);
		struct sip_glance g;
		struct pb_text t;

		sip_glance(in, &g);
		CU_ASSERT_EQUAL(g.secret, strcmp(rows[i].text, rows[i].want) != 0);
		pb_text_init(&t, 4096);
		sip_mask(&t, in, &g);
		PB_SAME(pb_text_str(&t), rows[i].want);
		CU_ASSERT(pb_str_find(pb_text_str(&t), PB_STR("SEED")) < 0);
		pb_text_fini(&t);
	}
}

/* Also of half a message nothing is seen. */
static void prefixes(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (size_t n = 0; n <= strlen(rows[i].text); n++) {
			char *copy = malloc(n + !n);
			struct sip_glance g;
			struct pb_text t;

			memcpy(copy, rows[i].text, n);
			sip_glance(pb_str(copy, n), &g);
			pb_text_init(&t, 4096);
			sip_mask(&t, pb_str(copy, n), &g);
			CU_ASSERT(pb_str_find(pb_text_str(&t), PB_STR("SEED")) < 0);
			pb_text_fini(&t);
			free(copy);
		}
	}
}

static void finds(void)
{
	PB_SAME(sip_find_call_id(PB_STR("A\r\ncall-id : x@y \r\nt: b\r\n\r\nCall-ID: body")), "x@y");
	PB_SAME(sip_find_call_id(PB_STR("A\r\ni:z\r\nCall-ID: second\r\n\r\n")), "z");
	CU_ASSERT_PTR_NULL(sip_find_call_id(PB_STR("A\r\n\r\nCall-ID: body")).p);
	CU_ASSERT_PTR_NULL(sip_find_call_id(PB_STR("")).p);
}

PB_TESTS("sip/mask", { "hides secrets", masks }, { "of every prefix", prefixes }, { "finds the Call-ID", finds })
