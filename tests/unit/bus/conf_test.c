/* engine/bus: the ini reader, expansion, findings. */
#include "../../support/test.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "bus/conf.h"

static struct pb_str param(void *arg, struct pb_str name)
{
	(void)arg;
	if (pb_str_eq(name, PB_STR("nodename")))
		return PB_STR("alpha");
	if (pb_str_eq(name, PB_STR("empty")))
		return PB_STR("");
	if (pb_str_eq(name, PB_STR("off")))
		return PB_STR("no");
	return PB_STR_NULL;
}

static bool loaded(void *arg, struct pb_str module)
{
	(void)arg;
	return pb_str_eq(module, PB_STR("ysipchan"));
}

static const struct pb_conf_env env = { param, loaded, NULL, 0 };

/* All that was read as "[section]key=value;..." in one line. */
static void dump(const struct pb_conf *c, struct pb_text *t)
{
	for (size_t i = 0; i < pb_conf_sections(c); i++) {
		const struct pb_conf_section *s = pb_conf_section_at(c, i);

		pb_text_addf(t, "[%.*s]", PB_STR_F(s->name));
		for (size_t k = 0; k < s->count; k++)
			pb_text_addf(t, "%.*s%s%.*s;", PB_STR_F(s->entries[k].key),
				     s->entries[k].has_value ? "=" : "",
				     PB_STR_F(s->entries[k].value));
	}
}

/* Read `text`, compare what came of it and which findings. */
static void check_text(struct pb_str text, const char *want, const char *want_ids)
{
	struct pb_findings *f = pb_findings_new();
	struct pb_conf *c = NULL;
	struct pb_text t, ids;

	pb_text_init(&t, 100000);
	pb_text_init(&ids, 1000);
	pb_conf_parse("t.conf", text, &env, f, &c);
	if (c)
		dump(c, &t);
	PB_SAME(pb_text_str(&t), want);
	for (size_t i = 0; f && pb_findings_at(f, i); i++)
		pb_text_addf(&ids, "%s:%u ", pb_findings_at(f, i)->id, pb_findings_at(f, i)->line);
	PB_SAME(pb_text_str(&ids), want_ids);
	pb_text_fini(&ids);
	pb_text_fini(&t);
	pb_conf_free(&c);
	pb_findings_free(&f);
}

struct text_row {
	const char *text, *want, *ids;
};

static void check_rows(const struct text_row *r)
{
	for (; r->text; r++)
		check_text(pb_str_z(r->text), r->want, r->ids);
}

static void lines(void)
{
	static const struct text_row rows[] = {
		{ "", "", "" },
		{ "; comment\n[ general ]   anything here is ignored\nname = some \"text\" ; not a "
		  "comment\n"
		  "flag\nlist=a,b, \\\n     c\n",
		  "[general]name=some \"text\" ; not a comment;flag;list=a,b, c;", "" },
		{ "\xef\xbb\xbf[a]\r\nb=1\rc=2\n\r\n  d = 3  ", "[a]b=1;c=2;d=3;", "" },
		{ "[a]\nb=1\\ \nc=2", "[a]b=1\\;c=2;", "" },
		{ "[a]\nb=1 \\\n[x];y\\\n;z\nc=2", "[a]b=1 [x];y;z;c=2;", "" },
		{ "[a]\nflag\\\nb=1", "[a]flag\\;b=1;", "" },
		{ "[a]\nb=1\n[c]\nb=2\n[a]\nb=3\n", "[a]b=1;b=3;[c]b=2;", "" },
		{ "[a]\n[b\nx=1\n[]\ny=2\n=3\n", "[a]x=1;y=2;",
		  "conf-006:2 conf-007:4 conf-007:6 " },
		{ "x=1\ny=2\n[a]\nz=3", "[a]z=3;", "conf-005:1 " },
		{ "[a]\n# no comment\n#x=1", "[a]# no comment;#x=1;", "conf-011:2 " },
		{ "[a]\nb=1\\", "[a]b=1;", "conf-021:2 " },
		{ "[a]\nb==1=2", "[a]b==1=2;", "" },
		{ "[a]b]c\n\t \n \tx\t=\t1\t\n", "[a]x=1;", "" },
		{ "[a]\n=x\\\n[b]\ny=1", "[a][b]y=1;", "conf-007:2 " }, /* no key: not continued */
		{ "[a]\nx=\\\n\\\n1", "[a]x=1;", "" },
		{ "[a]\nx= \\\n", "[a]x=;", "conf-021:2 " },
		{ "[a]\nx=1\nX=2\nx=3", "[a]x=1;X=2;x=3;", "" },
		{ "[$once]\nx=1\n[$init]\ny=1", "[$once]x=1;[$init]y=1;", "" },
		{ "[$ enabled no]\nx=1", "[$ enabled no]x=1;", "" },
		{ "[A]\nb=\n[a]\nB", "[A]b=;[a]B;", "" },
		{ "[${nodename}]\na=${nodename}\n[x${empty}]\nb=1\n[${empty}]\nc=1\n[${none$dflt}]"
		  "\nd=1",
		  "[alpha]a=${nodename};[x]b=1;[dflt]d=1;", "conf-005:6 " },
		{ NULL, NULL, NULL },
	};

	check_rows(rows);
	check_text(pb_str("[a]\0b=1\0c=2", 11), "[a]b=1;c=2;", "conf-010:1 ");
}

static void conditionals(void)
{
	static const struct text_row rows[] = {
		{ "[a]\n[$enabled no]\nb=1\n[c]\n[$enabled else]\nd=1", "[a]d=1;", "" },
		{ "[a]\n[$enabled yes]\nb=1\n[$enabled elseif yes]\nc=1\n[$enabled elseif "
		  "yes]\nd=1",
		  "[a]b=1;d=1;", "" }, /* not a real chain */
		{ "[a]\n[$enabled off]\nx=1\n[$enabled]\nb=1", "[a]b=1;", "" },
		{ "[a]\n[$enabled toggle]\nx=1\n[$enabled toggle]\nb=1", "[a]b=1;", "" },
		{ "[a]\n[$enabled $loaded ysipchan]\nb=1\n[$enabled $loaded x]\nc=1\n[$enabled "
		  "$unloaded x]\nd=1",
		  "[a]b=1;d=1;", "" },
		{ "[a]\n[$enabled $not $loaded ysipchan]\nb=1\n[$enabled $filled "
		  "${nodename}]\nc=1\n"
		  "[$enabled $empty ${empty}]\nd=1\n[$enabled $bool 1]\ne=1\n[$enabled "
		  "${off}]\nf=1",
		  "[a]c=1;d=1;", "" },
		{ "[a]\n[$enabled anything]\nb=1", "[a]b=1;", "conf-008:2 " },
		{ "[a]\n[$enabled]\nb=1\n[ $enabled  toggle ]\nc=1", "[a]b=1;", "" },
		{ "[a]\n[$enabled no]\n[$enabled elseif no]\nb=1\n[$enabled elseif yes]\nc=1\n[$enabled else]\nd=1",
		  "[a]c=1;", "" },
		{ "[a]\n[$enabled $filled ${empty}]\nb=1\n[$enabled $not $empty ${nodename}]\nc=1", "[a]c=1;", "" },
		{ "[a]\n[$enabled $bool ${none$yes}]\nb=1\n[$enabled $not ${off}]\nc=1", "[a]b=1;c=1;", "" },
		{ "[a]\n[$enabled $load x]\nb=1", "[a]b=1;", "conf-008:2 " },
		{ "[a]\n[$enabled no]\nx=1\\\n[$enabled]\n[$include nowhere]\n[$enabled]\nb=1",
		  "[a]b=1;", "" },
		{ NULL, NULL, NULL },
	};

	check_rows(rows);
}

static void copies(void)
{
	static const struct text_row rows[] = {
		{ "[a]\nx=1\n[$includesection b]\ny=2\n[b]\nz=3\nz=4",
		  "[a]x=1;z=3;z=4;y=2;[b]z=3;z=4;", "" },
		{ "[a]\n[$includesection b]\n[b]\nb=1\n[$includesection c]\n[c]\nc=1",
		  "[a]b=1;c=1;[b]b=1;c=1;[c]c=1;", "" },
		{ "[a]\na=1\n[$includesection b]\n[b]\nb=1\n[$includesection a]",
		  "[a]a=1;b=1;[b]b=1;", "conf-009:6 " },
		{ "[a]\n[$includesection x]\n[$includesectionsilent x]\nb=1", "[a]b=1;",
		  "conf-009:2 " },
		{ "[a]\n[$requiresection x]\nb=1", "[a]b=1;", "conf-009:2 " },
		{ "[$includesection x]\n", "", "conf-003:1 " },
		{ "[$inclde x]\na=1", "[$inclde x]a=1;", "conf-003:1 " },
		{ "[$include]\na=1", "[$include]a=1;", "conf-003:1 " },
		{ NULL, NULL, NULL },
	};
	struct pb_conf *c;

	check_rows(rows);
	CU_ASSERT_EQUAL(pb_conf_parse("t", PB_STR("[a]\n[$requiresection x]\nb=1"), NULL, NULL, &c),
			-EINVAL);
	CU_ASSERT_PTR_NOT_NULL(c);
	pb_conf_free(&c);
}

/* Doubling at each of 40 steps would be 2^40 parameters. */
static void copies_explode(void)
{
	struct pb_findings *f = pb_findings_new();
	struct pb_conf *c;
	struct pb_text t;

	pb_text_init(&t, 100000);
	for (int i = 0; i < 40; i++)
		pb_text_addf(&t, "[s%d]\nk=1\n[$includesection s%d]\n[$includesection s%d]\n", i,
			     i + 1, i + 1);
	CU_ASSERT_EQUAL(pb_conf_parse("t", pb_text_str(&t), NULL, f, &c), -EFBIG);
	CU_ASSERT_PTR_NULL(c);
	CU_ASSERT_TRUE(pb_findings_count(f, PB_SEV_ERROR) > 0);
	pb_text_fini(&t);
	pb_findings_free(&f);
}

static void positions(void)
{
	struct pb_conf *c;
	const struct pb_conf_section *s;

	CU_ASSERT_EQUAL_FATAL(pb_conf_parse("t.conf", PB_STR("\n  [a] \n  key =  value\nk2=\nk3"),
					    NULL, NULL, &c),
			      0);
	s = pb_conf_section(c, PB_STR("a"));
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_EQUAL(s->at.line, 2);
	CU_ASSERT_EQUAL(s->at.col, 3);
	CU_ASSERT_EQUAL(s->entries[0].key_at.line, 3);
	CU_ASSERT_EQUAL(s->entries[0].key_at.col, 3);
	CU_ASSERT_EQUAL(s->entries[0].value_at.col, 10);
	CU_ASSERT_EQUAL(s->entries[1].value_at.col, 4);
	CU_ASSERT_EQUAL(s->entries[2].value_at.line, 5);
	CU_ASSERT_STRING_EQUAL(s->at.file, "t.conf");
	pb_conf_free(&c);
}

static void getters(void)
{
	struct pb_conf *c;

	CU_ASSERT_EQUAL_FATAL(
		pb_conf_parse("t",
			      PB_STR("[a]\nn=010\nn=5\nbig=99999999999999999999\nb=enable\nw=1x"),
			      NULL, NULL, &c),
		0);
	CU_ASSERT_EQUAL(pb_conf_get_int(c, PB_STR("a"), PB_STR("n"), 1, 0, 100), 8);
	CU_ASSERT_EQUAL(pb_conf_get_int(c, PB_STR("a"), PB_STR("n"), 1, 20, 100), 20);
	CU_ASSERT_EQUAL(pb_conf_get_int(c, PB_STR("a"), PB_STR("big"), 7, 0, 100), 7);
	CU_ASSERT_EQUAL(pb_conf_get_int(c, PB_STR("a"), PB_STR("w"), 200, 0, 100), 200);
	CU_ASSERT_EQUAL(pb_conf_get_int(c, PB_STR("x"), PB_STR("n"), 3, 0, 100), 3);
	CU_ASSERT_TRUE(pb_conf_get_bool(c, PB_STR("a"), PB_STR("b"), false));
	CU_ASSERT_TRUE(pb_conf_get_bool(c, PB_STR("a"), PB_STR("w"), true));
	CU_ASSERT_PTR_NULL(pb_conf_get(c, PB_STR("a"), PB_STR("none")).p);
	pb_conf_free(&c);
}

static void expansion(void)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "", "" },
		{ "plain", "plain" },
		{ "${nodename}", "alpha" },
		{ "a${ nodename }b", "aalphab" },
		{ "${x$y}", "y" },
		{ "${x$ y $z }", "y $z" },
		{ "${x}", "" },
		{ "${empty$no}", "" },
		{ "${nodename", "${nodename" },
		{ "${x$${nodename}}", "${nodename}" },
		{ "$${nodename}", "$alpha" },
		{ "${nodename}${nodename}", "alphaalpha" },
		{ "${}", "" },
		{ "${$d}", "d" },
	};
	struct pb_arena *a = pb_arena_new(1000);
	struct pb_conf *c;
	struct pb_str s;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		s = pb_expand(pb_str_z(rows[i].text), param, NULL, a);
		PB_SAME(s, rows[i].want);
		CU_ASSERT_EQUAL(s.p[s.n], '\0');
	}
	CU_ASSERT_PTR_NULL(pb_expand(PB_STR_NULL, param, NULL, a).p);
	CU_ASSERT_EQUAL(pb_conf_parse("t.conf", PB_STR(""), &env, NULL, &c), 0);
	PB_SAME(pb_conf_expand(c, PB_STR("${nodename}/${x$y}"), a), "alpha/y");
	pb_conf_free(&c);
	CU_ASSERT_EQUAL(pb_conf_parse("t.conf", PB_STR(""), NULL, NULL, &c), 0);
	PB_SAME(pb_conf_expand(c, PB_STR("${nodename}/${x$y}"), a), "/y");
	pb_conf_free(&c);
	pb_arena_free(&a);
}

/* ---- Files ------------------------------------------------------------------------ */

static char dir[] = "/tmp/pb-conf-XXXXXX";

static void put_file(const char *name, const char *text)
{
	char path[200];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(text, f);
	fclose(f);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	return remove(path);
}

static void remove_files(void)
{
	nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void make_files(void)
{
	char sub[200];

	strcpy(dir + sizeof(dir) - 7, "XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	atexit(remove_files);
	snprintf(sub, sizeof(sub), "%s/sub", dir);
	mkdir(sub, 0700);
	put_file("main.conf",
		 "[a]\nx=1\n[$include inc.conf]\ny=2\n[$includesilent none]\n[$include none.conf]\n"
		 "[$include sub]\n");
	put_file("inc.conf", "top=1\n[b]\nz=1\n[$enabled no]\n");
	put_file("loop.conf", "[a]\nx=1\n[$include loop.conf]\ny=1\n");
	put_file("need.conf", "[a]\nx=1\n[$require none]\ny=1\n");
	put_file("empty.conf", "[a]\nx=1\n[$include ${none}]\n[$includesilent ${none}]\ny=1\n");
	put_file("needempty.conf", "[a]\nx=1\n[$require ${none}]\ny=1\n");
	put_file("own.conf", "[${nodename}]\nx=1\n[$include own.${nodename}]\nz=1\n");
	put_file("own.alpha", "[b]\ny=1\n");
	put_file("deep.conf", "[a]\n[$include sub/deep1]\n");
	put_file("sub/2.conf", "two=2\n");
	put_file("sub/10.conf", "ten=10\n[$include 2.conf]\n");
	put_file("sub/.hidden", "bad=1\n");
	put_file("sub/2.conf~", "bad=1\n");
	put_file("sub/2.conf.bak", "bad=1\n");
}

static int load(const char *name, bool missing_ok, struct pb_text *out, struct pb_text *ids)
{
	struct pb_findings *f = pb_findings_new();
	struct pb_conf *c = NULL;
	char path[200];
	int err;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	err = pb_conf_load(path, &env, missing_ok, f, &c);
	if (c && out)
		dump(c, out);
	for (size_t i = 0; f && ids && pb_findings_at(f, i); i++)
		pb_text_addf(ids, "%s:%u:%u ", pb_findings_at(f, i)->id, pb_findings_at(f, i)->line,
			     pb_findings_at(f, i)->severity);
	pb_conf_free(&c);
	pb_findings_free(&f);
	return err;
}

static void includes(void)
{
	static const struct {
		const char *name;
		int err;
		const char *want, *ids;
	} rows[] = {
		{ "main.conf", 0, "[a]x=1;top=1;y=2;ten=10;two=2;two=2;[b]z=1;", "conf-001:6:1 " },
		{ "loop.conf", 0, "[a]x=1;y=1;", "conf-002:3:1 " },
		{ "need.conf", -EINVAL, "[a]x=1;y=1;", "conf-001:3:2 " },
		{ "empty.conf", 0, "[a]x=1;y=1;", "conf-003:3:1 " },
		{ "needempty.conf", -EINVAL, "[a]x=1;y=1;", "conf-003:3:2 " },
		{ "own.conf", 0, "[alpha]x=1;z=1;[b]y=1;", "" },
		{ "none.conf", -ENOENT, "", "conf-001:0:2 " },
		{ "sub", -EISDIR, "", "conf-001:0:2 " },
	};
	struct pb_text out, ids;

	make_files();
	pb_text_init(&out, 10000);
	pb_text_init(&ids, 10000);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		pb_text_reset(&out);
		pb_text_reset(&ids);
		CU_ASSERT_EQUAL(load(rows[i].name, false, &out, &ids), rows[i].err);
		PB_SAME(pb_text_str(&out), rows[i].want);
		PB_SAME(pb_text_str(&ids), rows[i].ids);
	}
	CU_ASSERT_EQUAL(load("none.conf", true, NULL, NULL), 0);
	pb_text_fini(&out);
	pb_text_fini(&ids);
}

static void too_deep(void)
{
	struct pb_text out, ids;
	char name[40], text[80];

	for (int i = 1; i < 20; i++) {
		snprintf(name, sizeof(name), "sub/deep%d", i);
		snprintf(text, sizeof(text), "d%d=1\n[$include deep%d]\n", i, i + 1);
		put_file(name, text);
	}
	pb_text_init(&out, 10000);
	pb_text_init(&ids, 10000);
	CU_ASSERT_EQUAL(load("deep.conf", false, &out, &ids), 0);
	PB_SAME(pb_text_str(&out), "[a]d1=1;d2=1;d3=1;d4=1;d5=1;d6=1;d7=1;d8=1;d9=1;d10=1;");
	PB_SAME(pb_text_str(&ids), "conf-002:2:1 ");
	pb_text_fini(&out);
	pb_text_fini(&ids);
}

static void reading(void)
{
	struct pb_findings *f = pb_findings_new();
	struct pb_conf *c = NULL;
	struct pb_text t;

	pb_text_init(&t, 10000);
	pb_conf_parse("t",
		      PB_STR("[a]\nb=1\\\n2\n[$includesection c]\n[c]\nx=${y}\n[$enabled "
			     "x]\n[${nodename}]\n[$x y]"),
		      &env, f, &c);
	if (f) {
		pb_findings_print(f, &t);
		pb_findings_print_json(f, &t);
	}
	pb_text_fini(&t);
	pb_conf_free(&c);
	pb_findings_free(&f);
	load("main.conf", false, NULL, NULL);
	load("need.conf", false, NULL, NULL);
}

static void alloc_failures(void)
{
	pb_test_each_alloc(reading);
}

static void printing(void)
{
	struct pb_findings *f = pb_findings_new();
	struct pb_text t;

	pb_text_init(&t, 10000);
	pb_findings_print_json(f, &t);
	PB_SAME(pb_text_str(&t), "[\n]\n");
	pb_text_reset(&t);
	pb_findings_add(f, (struct pb_pos){ "b.conf", 2, 1 }, PB_SEV_ERROR, "x-001",
			"second \"%s\"", "q\x1b");
	pb_findings_add(f, (struct pb_pos){ "b.conf", 0, 0 }, PB_SEV_NOTE, "x-002", "whole file");
	pb_findings_add(f, (struct pb_pos){ "a.conf", 12, 3 }, PB_SEV_WARNING, "x-003", "first");
	pb_findings_add(f, (struct pb_pos){ NULL, 0, 0 }, PB_SEV_WARNING, "x-004", "nowhere");
	pb_findings_print(f, &t);
	PB_SAME(pb_text_str(&t), "warning: nowhere [x-004]\n"
				 "a.conf:12:3: warning: first [x-003]\n"
				 "b.conf: note: whole file [x-002]\n"
				 "b.conf:2:1: error: second \"q\\x1B\" [x-001]\n");
	CU_ASSERT_EQUAL(pb_findings_count(f, PB_SEV_NOTE), 4);
	CU_ASSERT_EQUAL(pb_findings_count(f, PB_SEV_ERROR), 1);
	pb_text_reset(&t);
	pb_findings_print_json(f, &t);
	CU_ASSERT_TRUE(
		pb_str_find(
			pb_text_str(&t),
			PB_STR("{\"file\":\"b.conf\",\"line\":2,\"col\":1,\"severity\":\"error\","
			       "\"id\":\"x-001\",\"text\":\"second \\\"q\\u001b\\\"\"}")) > 0);
	pb_text_fini(&t);
	pb_findings_free(&f);
	CU_ASSERT_PTR_NULL(f);
	pb_findings_add(NULL, (struct pb_pos){ 0 }, PB_SEV_ERROR, "x", "dropped");
}

static void suggestions(void)
{
	static const struct pb_str names[] = { PB_STR_INIT("maxpkt"), PB_STR_INIT("generate"),
					       PB_STR_INIT("udp_force_bind"), PB_STR_INIT("t1") };

	PB_SAME(pb_suggest(PB_STR("maxpk"), names, 4), "maxpkt");
	PB_SAME(pb_suggest(PB_STR("genrate"), names, 4), "generate");
	PB_SAME(pb_suggest(PB_STR("UDP_FORCE_BIND"), names, 4), "udp_force_bind");
	CU_ASSERT_PTR_NULL(pb_suggest(PB_STR("realm"), names, 4).p);
	CU_ASSERT_PTR_NULL(pb_suggest(PB_STR("x"), names, 4).p);
}

/* Ids are stable because each is written once. */
static void ids_are_unique(void)
{
	for (unsigned i = 0; i < PB_FINDING_COUNT; i++) {
		CU_ASSERT_PTR_NOT_NULL(pb_finding_row(i)->doc);
		for (unsigned k = 0; k < i; k++)
			CU_ASSERT_STRING_NOT_EQUAL(pb_finding_row(i)->id, pb_finding_row(k)->id);
	}
}

PB_TESTS("bus/conf", { "lines", lines }, { "conditionals", conditionals }, { "copies", copies },
	 { "copies explode", copies_explode }, { "positions", positions }, { "getters", getters },
	 { "expansion", expansion }, { "includes", includes }, { "too deep", too_deep },
	 { "each allocation fails", alloc_failures }, { "printing", printing },
	 { "suggestions", suggestions }, { "ids are unique", ids_are_unique })
