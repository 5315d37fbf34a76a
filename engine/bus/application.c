/*
 * [application] of the main file: an engine that is part of a product says what
 * that is, in `version`, in `status engine`, and to scripts as run parameters.
 */
#include "bus/engine_impl.h"

#include "base/text.h"

static const struct pb_conf_section *section(const struct pb_engine *e)
{
	return pb_conf_section(e->base_at_start->main, PB_STR("application"));
}

bool pbi_is_application_key(struct pb_str key)
{
	return !pb_str_eq(key, PB_STR("prefix")) && !pb_str_eq(key, PB_STR("report_version")) &&
	       !pb_str_eq(key, PB_STR("report_status"));
}

static bool is_listed(struct pb_str list, struct pb_str key)
{
	struct pb_str item;

	if (!list.n)
		return true;
	while (pb_str_cut(&list, ',', &item)) {
		if (pb_str_eq(pb_str_trim(item), key))
			return true;
	}
	return false;
}

void pbi_application_version(const struct pb_engine *e, struct pb_text *t)
{
	const struct pb_conf_section *s = section(e);
	bool any = false;

	for (size_t i = 0; s && i < s->count; i++) {
		const struct pb_conf_entry *it = &s->entries[i];

		if (!pbi_is_application_key(it->key) ||
		    !is_listed(e->base_at_start->yate.report_version, it->key))
			continue;
		if (!any)
			pb_text_lit(t, "\r\nApplication:\r\n");
		any = true;
		pb_text_addf(t, "%.*s: %.*s\r\n", PB_STR_F(it->key), PB_STR_F(it->value));
	}
}

static struct pb_str of_section(void *arg, struct pb_str key)
{
	const struct pb_conf_entry *it = pb_conf_find(arg, key);

	return it ? it->value : PB_STR_NULL;
}

void pbi_application_head(const struct pb_engine *e, struct pb_status *status)
{
	const struct pb_conf_section *s = section(e);
	struct pb_str text = e->base_at_start->yate.report_status;
	struct pb_arena *a = s && text.n ? pb_arena_new_small(64u << 10) : NULL;

	if (!a)
		return;
	text = pb_expand(text, of_section, (void *)(uintptr_t)s, a);
	if (text.n)
		pb_status_head(status, "application", text);
	pb_arena_free(&a);
}
