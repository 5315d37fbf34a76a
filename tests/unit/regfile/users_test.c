/* modules/regfile: the table of users. */
#include "../../support/test.h"

#include "regfile/users.h"

static const char text[] =
	"[general]\nauth=1\n[123]\npassword=a\nalternatives= 9 ,8,,\ncallername=Ann ${called}\n"
	"[234]\npassword=\nalternatives=9\n[345]\nx=y\n[123]\npassword=second\n";

static int read_text(struct regfile_users *u, struct pb_arena *a, struct pb_findings *f)
{
	struct pb_conf *c = NULL;
	int err = pb_conf_parse("regfile.conf", pb_str_z(text), NULL, f, &c);

	if (!err)
		err = regfile_users_read(c, u, a, f);
	pb_conf_free(&c);
	return err;
}

static void reading(void)
{
	struct pb_arena *a = pb_arena_new(100000);
	struct pb_findings *f = pb_findings_new();
	struct regfile_users u = { 0 };
	const struct regfile_alternative *alt;
	const struct regfile_user *user;

	CU_ASSERT_EQUAL_FATAL(read_text(&u, a, f), 0);
	CU_ASSERT_EQUAL(u.count, 3);
	CU_ASSERT_PTR_NULL(regfile_user_find(&u, PB_STR("general")));
	CU_ASSERT_PTR_NULL(regfile_user_find(&u, PB_STR_NULL));
	user = regfile_user_find(&u, PB_STR("123"));
	CU_ASSERT_PTR_NOT_NULL_FATAL(user);
	PB_SAME(user->password, "a");
	CU_ASSERT_EQUAL(user->extra_count, 1);
	PB_SAME(regfile_user_find(&u, PB_STR("234"))->password, "");
	CU_ASSERT_PTR_NOT_NULL(regfile_user_find(&u, PB_STR("234"))->password.p);
	CU_ASSERT_PTR_NULL(regfile_user_find(&u, PB_STR("345"))->password.p);
	alt = regfile_alternative_first(&u, PB_STR("9"));
	CU_ASSERT_PTR_NOT_NULL_FATAL(alt);
	PB_SAME(alt->user->name, "123");
	alt = regfile_alternative_next(alt);
	CU_ASSERT_PTR_NOT_NULL_FATAL(alt);
	PB_SAME(alt->user->name, "234");
	CU_ASSERT_PTR_NULL(regfile_alternative_next(alt));
	CU_ASSERT_PTR_NULL(regfile_alternative_first(&u, PB_STR("7")));
	CU_ASSERT_EQUAL(pb_findings_count(f, PB_SEV_WARNING), 1); /* empty password */
	CU_ASSERT_EQUAL(pb_findings_count(f, PB_SEV_NOTE), 2);    /* and none */
	pb_findings_free(&f);
	pb_arena_free(&a);
}

static void applying(void)
{
	struct pb_arena *a = pb_arena_new(100000);
	struct pb_msg *m = pb_msg_new(PB_STR("call.route"));
	struct regfile_users u = { 0 };

	CU_ASSERT_EQUAL_FATAL(read_text(&u, a, NULL), 0);
	pb_msg_set(m, PB_STR("called"), PB_STR("42"));
	regfile_user_apply(regfile_user_find(&u, PB_STR("123")), m);
	PB_SAME(pb_msg_get(m, PB_STR("callername")), "Ann 42");
	CU_ASSERT_FALSE(pb_msg_has(m, PB_STR("password")));
	pb_msg_free(&m);
	pb_arena_free(&a);
}

static void once(void)
{
	struct pb_arena *a = pb_arena_new(100000);
	struct regfile_users u = { 0 };

	if (a)
		read_text(&u, a, NULL);
	pb_arena_free(&a);
}

static void alloc_failures(void)
{
	pb_test_each_alloc(once);
}

PB_TESTS("regfile/users", { "reading", reading }, { "applying", applying },
	 { "each allocation fails", alloc_failures })
