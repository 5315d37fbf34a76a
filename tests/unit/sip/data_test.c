/*
 * Messages that others wrote: RFC 4475, RFC 5118, and 235 real devices'. They
 * are read from ../shared/data (or $PATCHBAY_DATA); index.tsv there says which
 * are right and which answer the others should get.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "sip/stack/build.h"
#include "sip/stack/check.h"
#include "../../support/test.h"

enum { FILE_LIMIT = 1 << 20 };

static struct pb_str read_file(struct pb_arena *a, struct pb_str folder, struct pb_str name)
{
	struct pb_str path = pb_arena_printf(a, "%.*s/%.*s", PB_STR_F(folder), PB_STR_F(name));
	FILE *f = path.p ? fopen(path.p, "rb") : NULL;
	char *p;
	size_t n;

	if (!f)
		return PB_STR_NULL;
	p = pb_arena_bytes(a, FILE_LIMIT);
	n = p ? fread(p, 1, FILE_LIMIT, f) : 0;
	fclose(f);
	return pb_str(p, n);
}

struct row {
	struct pb_str file, transport, kind, strict;
};

static bool cut_row(struct pb_str line, struct row *r)
{
	struct pb_str skip;

	return pb_str_cut(&line, '\t', &skip) && pb_str_cut(&line, '\t', &skip) &&
	       pb_str_cut(&line, '\t', &r->file) && pb_str_cut(&line, '\t', &r->transport) &&
	       pb_str_cut(&line, '\t', &r->kind) && pb_str_cut(&line, '\t', &r->strict);
}

/* Does a list of answers (400, 4xx, none ...) name the code or `none`? */
static bool names_code(struct pb_str list, unsigned code)
{
	struct pb_str item;
	uint32_t n;

	while (pb_str_cut(&list, ',', &item)) {
		if (!pb_str_to_u32(item, 100, 699, &n) ? n == code
		    : pb_str_eq(item, PB_STR("none"))  ? code == 0
						       : pb_str_eq(item, PB_STR("4xx")))
			return true;
	}
	return false;
}

/*
 * A right message must pass. Of a wrong one, only verdicts of this layer count:
 * what asks for 400, 416 or 505 must get it, the others may pass to the layers
 * that know more.
 */
static bool fits(const struct row *r, const struct sip_msg *m, struct sip_verdict v)
{
	bool ours = names_code(r->strict, 400) || names_code(r->strict, 416) ||
		    names_code(r->strict, 505);

	if (pb_str_eq(r->kind, PB_STR("valid")))
		return v.code == 0;
	if (pb_str_eq(r->kind, PB_STR("invalid")) && ours)
		return names_code(r->strict, v.code) && (v.answerable || names_code(r->strict, 0));
	return !v.code || !m->request || names_code(r->strict, v.code) || v.code == 400;
}

/* An answer to whatever can be answered reads back as a response. */
static bool answers(const struct sip_msg *m, struct sip_verdict v)
{
	static char buf[SIP_MSG_LIMIT];
	struct sip_answer a = { .code = v.code ? v.code : 200,
				.reason = pb_str_z(v.reason),
				.to_tag = PB_STR("tag"),
				.received = PB_STR("192.0.2.1"),
				.rport = 5060 };
	struct sip_build b;
	struct sip_msg r;
	struct pb_text t;

	if (!v.answerable)
		return true;
	pb_text_init_buf(&t, buf, sizeof(buf));
	sip_build_response(&b, &t, m, &a);
	return !sip_build_end(&b, PB_STR_NULL, PB_STR_NULL) &&
	       sip_msg_parse(&r, pb_text_str(&t)) == SIP_PARSE_OK && r.status == a.code &&
	       (v.code ||
		pb_str_eq(sip_msg_value(m, SIP_HDR_CALL_ID), sip_msg_value(&r, SIP_HDR_CALL_ID)));
}

static bool try_row(struct pb_str folder, const struct row *r)
{
	struct pb_arena *a = pb_arena_new(2 * FILE_LIMIT);
	struct pb_str text = read_file(a, folder, r->file);
	char *exact = pb_alloc(text.n ? text.n : 1);
	struct sip_core core;
	struct sip_verdict v;
	struct sip_msg m;
	bool good;

	if (text.n && exact)
		memcpy(exact, text.p, text.n);
	sip_msg_parse(&m, pb_str(exact, text.n));
	v = sip_msg_check(&m, &core);
	good = text.p && fits(r, &m, v) && answers(&m, v);
	if (!good)
		printf("%.*s: %u %s, wanted %.*s\n", PB_STR_F(r->file), v.code,
		       v.reason ? v.reason : "", PB_STR_F(r->strict));
	pb_free(exact);
	pb_arena_free(&a);
	return good;
}

static struct pb_str data_folder(void)
{
	const char *given = getenv("PATCHBAY_DATA");

	return pb_str_z(given ? given : PB_SOURCE_DIR "/../shared/data");
}

/* Devices' responses must pass the check too. */
static bool is_device(struct pb_str file)
{
	return pb_str_starts(file, PB_STR("device/"));
}

static void others_messages(void)
{
	struct pb_str folder = data_folder(), index, line;
	struct pb_arena *a = pb_arena_new(2 * FILE_LIMIT);
	unsigned devices = 0, torture = 0;
	struct row r;

	index = read_file(a, folder, PB_STR("index.tsv"));
	if (!index.p)
		printf("skipped: no data folder\n");
	pb_str_cut(&index, '\n', &line);
	while (index.p && pb_str_cut(&index, '\n', &line)) {
		if (!line.n || !cut_row(line, &r))
			continue;
		if (is_device(r.file))
			r.kind = PB_STR("valid");
		CU_ASSERT(try_row(folder, &r));
		*(is_device(r.file) ? &devices : &torture) += 1;
	}
	printf("%u messages of devices, %u of torture\n", devices, torture);
	pb_arena_free(&a);
}

PB_TESTS("sip/data", { "messages of others", others_messages })
