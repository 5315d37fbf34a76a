/* engine/bus/names: the registry of names. */
#include "../../support/test.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <unistd.h>

#include "base/text.h"
#include "bus/names.h"

static bool is_prefix_row(struct pb_str name)
{
	return name.p[name.n - 1] == '.' || name.p[name.n - 1] == '_' || name.p[name.n - 1] == ':';
}

static void messages_are_sorted(void)
{
	const struct pb_name_message *m, *before = NULL;

	for (size_t i = 0; (m = pb_name_message_at(i)); i++) {
		if (before && is_prefix_row(m->name) == is_prefix_row(before->name)) {
			CU_ASSERT_TRUE(pb_str_cmp(before->name, m->name) < 0);
		}
		CU_ASSERT_TRUE(m->doc[0] && m->doc[strlen(m->doc) - 1] != ' ');
		CU_ASSERT_PTR_EQUAL(pb_name_message(m->name), m);
		before = m;
	}
}

/* Sorted and unique is what makes each row the one that its name finds. */
static void params_are_found(void)
{
	const struct pb_name_param *p;

	for (size_t i = 0; (p = pb_name_param_at(i)); i++) {
		const struct pb_name_param *found = pb_name_param(p->message, p->name);

		CU_ASSERT_TRUE(p->doc[0] != '\0');
		if (found != p &&
		    !pb_str_eq(p->name, PB_STR("xsip_body"))) /* a name and a beginning */
			PB_SAME(p->name, found ? found->name.p : "(not found)");
	}
}

static void finding(void)
{
	CU_ASSERT_EQUAL(pb_name_message(PB_STR("call.route"))->kind, PB_NAME_QUESTION);
	CU_ASSERT_EQUAL(pb_name_message(PB_STR("sip.message"))->kind, PB_NAME_QUESTION);
	PB_SAME(pb_name_message(PB_STR("sip.message"))->name, "sip.");
	CU_ASSERT_TRUE(pb_name_is_notice(PB_STR("chan.hangup")));
	CU_ASSERT_TRUE(pb_name_is_notice(PB_STR("engine.timer")));
	CU_ASSERT_TRUE(pb_name_is_notice(PB_STR("call.cdr")));
	CU_ASSERT_FALSE(pb_name_is_notice(PB_STR("user.auth")));
	CU_ASSERT_FALSE(pb_name_is_notice(PB_STR("my.own")));
	CU_ASSERT_PTR_NULL(pb_name_message(PB_STR("my.own")));
	CU_ASSERT_PTR_NULL(pb_name_message(PB_STR("")));
	CU_ASSERT_TRUE(pb_name_message(PB_STR("user.auth"))->flags & PB_NAME_SECRET_RETVAL);
	PB_SAME(pb_name_param(PB_STR_NULL, PB_STR("osip_X-Y"))->name, "osip_");
	PB_SAME(pb_name_param(PB_STR_NULL, PB_STR("xsip_body.1"))->name, "xsip_body");
	CU_ASSERT_PTR_NULL(pb_name_param(PB_STR_NULL, PB_STR("nobody_knows")));
}

static void secrets(void)
{
	CU_ASSERT_TRUE(pb_name_is_secret(PB_STR("user.auth"), PB_STR("response")));
	CU_ASSERT_TRUE(pb_name_is_secret(PB_STR("any"), PB_STR("password")));
	CU_ASSERT_TRUE(pb_name_is_secret(PB_STR("chan.dtmf"), PB_STR("text")));
	CU_ASSERT_FALSE(pb_name_is_secret(PB_STR("chan.text"), PB_STR("text")));
	CU_ASSERT_TRUE(pb_name_is_secret(PB_STR("sip.message"), PB_STR("sip_authorization")));
	CU_ASSERT_FALSE(pb_name_is_secret(PB_STR("user.auth"), PB_STR("username")));
}

/* ---- What the sources use is described ------------------------------------------------ */

static unsigned names_seen;

static void check_name(const char *file, struct pb_str name)
{
	names_seen++;
	if (pb_name_param(PB_STR_NULL, name))
		return;
	printf("%s: parameter '%.*s' is not in names.def\n", file, PB_STR_F(name));
	CU_FAIL("a name is used and not described");
}

/* pb_msg_get(m, PB_STR("called")) and its like: the second argument. */
static void check_text(const char *file, struct pb_str text)
{
	static const struct pb_str verbs[] = {
		PB_STR_INIT("get("),     PB_STR_INIT("get_bool("), PB_STR_INIT("get_int("),
		PB_STR_INIT("has("),     PB_STR_INIT("set("),      PB_STR_INIT("set_bool("),
		PB_STR_INIT("set_int("), PB_STR_INIT("setf("),     PB_STR_INIT("add("),
		PB_STR_INIT("clear("),
	};
	ptrdiff_t at;

	while ((at = pb_str_find(text, PB_STR("pb_msg_"))) >= 0) {
		struct pb_str rest, first;
		size_t i = 0;

		text = pb_str_from(text, (size_t)at + 7);
		while (i < sizeof(verbs) / sizeof(verbs[0]) && !pb_str_starts(text, verbs[i]))
			i++;
		rest = text;
		if (i == sizeof(verbs) / sizeof(verbs[0]) || !pb_str_cut(&rest, ',', &first))
			continue;
		rest = pb_str_trim_space(rest);
		if (!pb_str_starts(rest, PB_STR("PB_STR(\"")))
			continue;
		rest = pb_str_from(rest, 8);
		pb_str_cut(&rest, '"', &first);
		if (pb_str_chr(first, '\\') < 0) /* \1...: private to one file */
			check_name(file, first);
	}
}

static int check_file(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	struct pb_text t;
	char buf[4096];
	ssize_t n;
	int fd;

	(void)ftw;
	if (kind != FTW_F || st->st_size > 1 << 20 || !pb_str_ends(pb_str_z(path), PB_STR(".c")))
		return 0;
	pb_text_init(&t, 1 << 20);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && (n = read(fd, buf, sizeof(buf))) > 0)
		pb_text_add(&t, pb_str(buf, (size_t)n));
	if (fd >= 0)
		close(fd);
	check_text(path, pb_text_str(&t));
	pb_text_fini(&t);
	return 0;
}

static void sources(void)
{
	CU_ASSERT_EQUAL(nftw(PB_SOURCE_DIR "/engine", check_file, 8, FTW_PHYS), 0);
	CU_ASSERT_EQUAL(nftw(PB_SOURCE_DIR "/modules", check_file, 8, FTW_PHYS), 0);
	CU_ASSERT_TRUE(names_seen > 50);
}

PB_TESTS("bus/names", { "messages are sorted", messages_are_sorted },
	 { "params are found", params_are_found }, { "finding", finding }, { "secrets", secrets },
	 { "what the sources use is described", sources })
