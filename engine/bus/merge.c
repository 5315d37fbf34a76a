/*
 * A configuration with all it includes written as one file beside it, for who
 * wants to see what a module reads, or to go on with one file.
 */
#include "bus/engine_impl.h"

#include <errno.h>

/* Names lead to files of the folder and nowhere else. */
static bool is_name(struct pb_str s)
{
	return s.n && s.p[0] != '.' && pb_str_chr(s, '/') < 0 && pb_str_chr(s, '\0') < 0;
}

int pb_engine_merge_conf(struct pb_engine *e, struct pb_str name, struct pb_arena *a, struct pb_str *path)
{
	struct pb_conf_env env = pbi_conf_env(e);
	struct pb_str from = pb_arena_printf(a, "%s/%.*s.conf", e->args.conf_dir, PB_STR_F(name));
	struct pb_conf *c = NULL;
	int err;

	*path = pb_arena_printf(a, "%.*s.merged", PB_STR_F(from));
	if (!path->p)
		return -ENOMEM;
	if (!is_name(name) || pb_conf_load(from.p, &env, false, NULL, &c)) {
		pb_conf_free(&c);
		return -EINVAL;
	}
	err = pb_conf_save(c, path->p);
	pb_conf_free(&c);
	return err;
}
