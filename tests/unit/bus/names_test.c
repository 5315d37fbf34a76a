/* engine/bus/names: the registry of names. */
#include "../../support/test.h"

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
		if (found != p && !pb_str_eq(p->name, PB_STR("xsip_body"))) /* a name and a beginning */
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

PB_TESTS("bus/names", { "messages are sorted", messages_are_sorted }, { "params are found", params_are_found },
	 { "finding", finding }, { "secrets", secrets })
