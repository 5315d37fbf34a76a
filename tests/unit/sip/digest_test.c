/* Digest against the RFCs' own vectors; nonces; counts. */
#include "sip/stack/digest.h"

#include <errno.h>

#include "sip/stack/build.h"
#include "sip/stack/nonce.h"
#include "../../support/test.h"

/* RFC 2617 section 3.5, its like without qop, RFC 7616 section 3.9.1 */
static const struct vector {
	enum sip_alg alg;
	const char *username, *realm, *password, *method, *uri, *nonce, *qop, *nc, *cnonce, *want;
} vectors[] = {
	{ SIP_ALG_MD5, "Mufasa", "testrealm@host.com", "Circle Of Life", "GET", "/dir/index.html",
	  "dcd98b7102dd2f0e8b11d0f600bfb0c093", "auth", "00000001", "0a4f113b",
	  "6629fae49393a05397450978507c4ef1" },
	{ SIP_ALG_MD5, "Mufasa", "testrealm@host.com", "Circle Of Life", "GET", "/dir/index.html",
	  "dcd98b7102dd2f0e8b11d0f600bfb0c093", NULL, NULL, NULL,
	  "670fd8c2df070c60b045671b8b24ff02" },
	{ SIP_ALG_MD5, "Mufasa", "http-auth@example.org", "Circle of Life", "GET",
	  "/dir/index.html", "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", "auth", "00000001",
	  "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", "8ca523f5e9506fed4657c9700eebdbec" },
	{ SIP_ALG_SHA256, "Mufasa", "http-auth@example.org", "Circle of Life", "GET",
	  "/dir/index.html", "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", "auth", "00000001",
	  "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
	  "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1" },
};

static void knows_the_vectors(void)
{
	struct sip_digest *d = sip_digest_new();

	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		const struct vector *v = &vectors[i];
		struct sip_hex ha1, got;
		struct sip_digest_args a = {
			.alg = v->alg,
			.method = pb_str_z(v->method),
			.uri = pb_str_z(v->uri),
			.nonce = pb_str_z(v->nonce),
			.qop = pb_str_z(v->qop),
			.nc = pb_str_z(v->nc),
			.cnonce = pb_str_z(v->cnonce),
		};

		CU_ASSERT_EQUAL(sip_digest_ha1(d, v->alg, pb_str_z(v->username), pb_str_z(v->realm),
					       pb_str_z(v->password), &ha1),
				0);
		a.ha1 = sip_hex_str(&ha1);
		CU_ASSERT_EQUAL(sip_digest_response(d, &a, &got), 0);
		PB_SAME(sip_hex_str(&got), v->want);
	}
	sip_digest_free(&d);
}

static const struct {
	const char *challenge;
	int want;
} challenges[] = {
	{ "Digest realm=\"r\", nonce=\"n\"", 0 },
	{ "Digest realm=\"r\", nonce=\"n\", qop=\"auth\", opaque=\"o\"", 0 },
	{ "Digest realm=\"r\", nonce=\"n\", qop=\"auth-int, auth\", algorithm=SHA-256", 0 },
	{ "Digest realm=\"r\\\"q\", nonce=\"n\", qop=auth, algorithm=md5", 0 },
	{ "Digest realm=\"r\", nonce=\"n\", qop=\"auth-int\"", -EINVAL },
	{ "Digest realm=\"r\", nonce=\"n\", algorithm=SHA-512", -EINVAL },
	{ "Digest realm=\"r\"", -EINVAL },
	{ "Basic realm=\"r\"", -EINVAL },
};

/* What a client makes of a challenge is what the server takes. */
static void client_and_server_agree(void)
{
	struct sip_login login = { .username = PB_STR("al\"ice"),
				   .password = PB_STR("secret"),
				   .method = PB_STR("REGISTER"),
				   .uri = PB_STR("sip:r"),
				   .cnonce = PB_STR("c0ffee"),
				   .nc = 0x1a };
	struct sip_digest *d = sip_digest_new();
	struct sip_auth c, a;
	struct sip_hex ha1;
	char buf[512];
	struct pb_text t;

	for (size_t i = 0; i < sizeof(challenges) / sizeof(challenges[0]); i++) {
		pb_text_init_buf(&t, buf, sizeof(buf));
		CU_ASSERT_EQUAL(sip_auth_parse(pb_str_z(challenges[i].challenge), &c), 0);
		CU_ASSERT_EQUAL(sip_digest_answer(d, &c, &login, &t), challenges[i].want);
		if (challenges[i].want)
			continue;
		CU_ASSERT_EQUAL(sip_auth_parse(pb_text_str(&t), &a), 0);
		sip_digest_ha1(d, sip_alg_id(c.algorithm), login.username, c.realm, login.password,
			       &ha1);
		CU_ASSERT(sip_digest_verify(d, &a, sip_hex_str(&ha1), login.method));
		CU_ASSERT(!sip_digest_verify(d, &a, sip_hex_str(&ha1), PB_STR("INVITE")));
		CU_ASSERT_EQUAL(c.opaque.p != NULL, a.opaque.p != NULL);
		ha1.text[3] ^= 1;
		CU_ASSERT(!sip_digest_verify(d, &a, sip_hex_str(&ha1), login.method));
	}
	sip_digest_free(&d);
}

static void writes_a_challenge(void)
{
	struct sip_challenge c = { .realm = PB_STR("Patch\"bay"),
				   .nonce = PB_STR("nnn"),
				   .opaque = PB_STR("ooo"),
				   .stale = true };
	char buf[256];
	struct pb_text t;

	pb_text_init_buf(&t, buf, sizeof(buf));
	sip_digest_challenge(&t, &c);
	PB_SAME(pb_text_str(&t), "Digest realm=\"Patch\\\"bay\", nonce=\"nnn\", "
				 "stale=TRUE, algorithm=MD5, qop=\"auth\", opaque=\"ooo\"");
}

#define KEY PB_STR("0123456789abcdef0123456789abcdef")

static void nonces_are_recognised(void)
{
	struct sip_nonces *n = sip_nonces_new(KEY), *other = sip_nonces_new(KEY);
	struct sip_nonces *foreign = sip_nonces_new(PB_STR("another key"));
	struct sip_nonce made = { .made_ms = 1000, .loop = 3, .serial = 77 }, got;
	struct pb_str ip = PB_STR("192.0.2.1"), nonce;
	char buf[64];
	struct pb_text t;

	pb_text_init_buf(&t, buf, sizeof(buf));
	CU_ASSERT_EQUAL(sip_nonce_make(n, &made, ip, &t), 0);
	nonce = pb_text_str(&t);
	CU_ASSERT_EQUAL(nonce.n, SIP_NONCE_CHARS);
	CU_ASSERT_EQUAL(sip_nonce_loop(nonce), 3);
	CU_ASSERT_EQUAL(sip_nonce_check(other, nonce, ip, 1000, &got), SIP_NONCE_GOOD);
	CU_ASSERT(got.serial == 77 && got.loop == 3 && got.made_ms == 1000);
	CU_ASSERT_EQUAL(sip_nonce_check(n, nonce, ip, 31000, &got), SIP_NONCE_GOOD);
	CU_ASSERT_EQUAL(sip_nonce_check(n, nonce, ip, 31001, &got), SIP_NONCE_STALE);
	CU_ASSERT_EQUAL(sip_nonce_check(n, nonce, ip, 990, &got), SIP_NONCE_GOOD);
	CU_ASSERT_EQUAL(sip_nonce_check(n, nonce, PB_STR("192.0.2.2"), 1000, &got),
			SIP_NONCE_FOREIGN);
	CU_ASSERT_EQUAL(sip_nonce_check(foreign, nonce, ip, 1000, &got), SIP_NONCE_FOREIGN);
	CU_ASSERT_EQUAL(sip_nonce_check(n, PB_STR(""), ip, 1000, &got), SIP_NONCE_FOREIGN);
	for (size_t i = 0; i < SIP_NONCE_CHARS; i++) {
		buf[i] ^= 1;
		CU_ASSERT_EQUAL(sip_nonce_check(n, nonce, ip, 1000, &got), SIP_NONCE_FOREIGN);
		buf[i] ^= 1;
	}
	sip_nonces_free(&n);
	sip_nonces_free(&other);
	sip_nonces_free(&foreign);
}

static void opaques_belong_to_nonces(void)
{
	struct sip_nonces *n = sip_nonces_new(KEY);
	char buf[64];
	struct pb_text t;

	pb_text_init_buf(&t, buf, sizeof(buf));
	CU_ASSERT_EQUAL(sip_nonce_opaque(n, PB_STR("abc"), &t), 0);
	CU_ASSERT_EQUAL(t.n, SIP_OPAQUE_CHARS);
	CU_ASSERT(sip_nonce_opaque_is(n, PB_STR("abc"), pb_text_str(&t)));
	CU_ASSERT(!sip_nonce_opaque_is(n, PB_STR("abd"), pb_text_str(&t)));
	CU_ASSERT(!sip_nonce_opaque_is(n, PB_STR("abc"), PB_STR("")));
	sip_nonces_free(&n);
}

static const struct {
	const char *nc;
	enum sip_count_verdict want;
} counts[] = {
	{ "00000001", SIP_COUNT_NEW },    { "00000001", SIP_COUNT_REPLAY },
	{ "00000003", SIP_COUNT_NEW },    { "00000002", SIP_COUNT_NEW },
	{ "00000002", SIP_COUNT_REPLAY }, { "00000000", SIP_COUNT_REPLAY },
	{ "", SIP_COUNT_REPLAY },         { "1", SIP_COUNT_REPLAY },
	{ "0000000g", SIP_COUNT_REPLAY }, { "00000060", SIP_COUNT_NEW },
	{ "00000021", SIP_COUNT_NEW },    { "00000020", SIP_COUNT_REPLAY },
	{ "ffffffff", SIP_COUNT_NEW },    { "FFFFFFFF", SIP_COUNT_REPLAY },
	{ "00000061", SIP_COUNT_REPLAY }, { "ffffffc0", SIP_COUNT_NEW },
};

static void counts_once(void)
{
	struct sip_counts *c = sip_counts_new(16);
	struct sip_nonce n = { .made_ms = 5, .serial = 1 };

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		CU_ASSERT_EQUAL(sip_counts_use(c, &n, pb_str_z(counts[i].nc), 5), counts[i].want);
	CU_ASSERT_EQUAL(sip_counts_used(c), 1);
	sip_counts_free(&c);
}

static void counts_have_a_cap(void)
{
	struct sip_counts *c = sip_counts_new(64);
	struct sip_nonce n = { .made_ms = 5 };
	unsigned taken = 0, full = 0;

	for (n.serial = 0; n.serial < 1000; n.serial++) {
		if (sip_counts_use(c, &n, PB_STR("00000001"), 6) == SIP_COUNT_NEW)
			taken++;
		else
			full++;
	}
	CU_ASSERT_EQUAL(taken, 64);
	CU_ASSERT_EQUAL(full, 936);
	CU_ASSERT_EQUAL(sip_counts_used(c), 64);
	n.made_ms = 40000; /* all others are dead by now */
	for (n.serial = 0, taken = 0; n.serial < 1000; n.serial++)
		taken += sip_counts_use(c, &n, PB_STR("00000001"), 40000) == SIP_COUNT_NEW;
	CU_ASSERT_EQUAL(taken, 64);
	sip_counts_free(&c);
}

/* Our own allocations; the crypto library's are its own. */
static void copes_without_memory(void)
{
	struct sip_digest *d = sip_digest_new();
	struct sip_nonces *n = sip_nonces_new(KEY);
	struct sip_counts *c = sip_counts_new(8);

	sip_digest_free(&d);
	sip_nonces_free(&n);
	sip_counts_free(&c);
}

static void survives_no_memory(void)
{
	pb_test_each_alloc(copes_without_memory);
}

PB_TESTS("sip/digest", { "knows the vectors", knows_the_vectors },
	 { "client and server agree", client_and_server_agree },
	 { "writes a challenge", writes_a_challenge },
	 { "nonces are recognised", nonces_are_recognised },
	 { "opaques belong to nonces", opaques_belong_to_nonces }, { "counts once", counts_once },
	 { "counts have a cap", counts_have_a_cap }, { "survives no memory", survives_no_memory })
