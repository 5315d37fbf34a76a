/* Conditions of [$enabled ...]: one word says how the text behind it is read. */
#include "bus/confbuild.h"

enum condition { COND_LOADED, COND_UNLOADED, COND_FILLED, COND_EMPTY, COND_BOOL, COND_PLAIN };

static const struct pb_str condition_words[] = {
	[COND_LOADED] = PB_STR_INIT("$loaded"), [COND_UNLOADED] = PB_STR_INIT("$unloaded"),
	[COND_FILLED] = PB_STR_INIT("$filled"), [COND_EMPTY] = PB_STR_INIT("$empty"),
	[COND_BOOL] = PB_STR_INIT("$bool"),
};
#define CONDITION_WORDS (sizeof(condition_words) / sizeof(condition_words[0]))

static bool is_loaded(const struct pb_conf_env *env, struct pb_str module)
{
	return env && env->loaded && env->loaded(env->arg, module);
}

static void check_plain(struct pb_str text, struct pb_str raw, struct pb_pos at,
			struct pb_findings *f)
{
	struct pb_str word = PB_STR_NULL, near;

	if (pb_str_is_bool(text) || pb_str_find(raw, PB_STR("${")) >= 0)
		return;
	pb_str_word(&raw, &word);
	near = word.n && word.p[0] == '$' ? pb_suggest(word, condition_words, CONDITION_WORDS)
					  : PB_STR_NULL;
	pb_findings_add(f, at, PB_SEV_WARNING, PB_FIND(CONDITION),
			"'%.*s' is no boolean word: counts as true%s%.*s%s", PB_STR_F(text),
			near.p ? ", did you mean '" : "", PB_STR_F(near), near.p ? "'?" : "");
}

bool pbi_condition(const struct pb_conf_env *env, struct pb_str text, struct pb_str raw,
		   struct pb_pos at, struct pb_findings *f)
{
	bool invert = pb_str_skip_word(&text, PB_STR("$not"));
	enum condition kind = COND_LOADED;
	bool yes = true;

	while (kind < COND_PLAIN && !pb_str_skip_word(&text, condition_words[kind]))
		kind++;
	switch (kind) {
	case COND_LOADED:
	case COND_UNLOADED:
		yes = is_loaded(env, text) == (kind == COND_LOADED);
		break;
	case COND_FILLED:
	case COND_EMPTY:
		yes = (text.n > 0) == (kind == COND_FILLED);
		break;
	case COND_BOOL:
		yes = pb_str_to_bool(text, false);
		break;
	case COND_PLAIN:
		yes = pb_str_to_bool(text, true);
		check_plain(text, raw, at, f);
		break;
	}
	return yes != invert;
}
