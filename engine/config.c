/*
 * patchbay config dump: the values that `run` would go by, with their places;
 * nothing is started.
 */
#include "program.h"

#include <errno.h>
#include <stdio.h>

#include "base/text.h"
#include "bus/dump.h"

struct out {
	bool json, any;
};

static void print(void *arg, const struct pb_value *v)
{
	struct out *o = arg;
	struct pb_text t;

	pb_text_init(&t, 16u << 20);
	if (o->json) {
		pb_text_add(&t, o->any ? PB_STR(",\n") : PB_STR("\n"));
		pb_value_print_json(v, &t);
	} else {
		pb_value_print(v, &t);
		pb_text_addc(&t, '\n');
	}
	o->any = true;
	if (t.n)
		fwrite(t.p, 1, t.n, stdout);
	pb_text_fini(&t);
}

static int dump(const struct pb_program *p, struct pb_engine *e, struct pb_str which)
{
	struct out o = { .json = p->json };
	struct pb_dump_args args = { .which = which, .effective = p->effective, .fn = print, .arg = &o };
	int err;

	if (o.json)
		putchar('[');
	err = pb_engine_dump(e, &args);
	if (o.json)
		fputs("\n]\n", stdout);
	if (err == -ENOENT)
		fprintf(stderr, "patchbay: no module and no file '%.*s'\n", PB_STR_F(which));
	return !err ? PB_EXIT_OK : err == -ENOENT ? PB_EXIT_USAGE : PB_EXIT_ENVIRONMENT;
}

static void print_findings(const struct pb_findings *f)
{
	struct pb_text t;

	pb_text_init(&t, 16u << 20);
	pb_findings_print(f, &t);
	if (t.n)
		fwrite(t.p, 1, t.n, stderr);
	pb_text_fini(&t);
}

int pb_program_config(struct pb_program *p)
{
	struct pb_engine_args args = pb_program_engine_args(p);
	struct pb_findings *f = pb_findings_new();
	struct pb_engine *e = NULL;
	int code = PB_EXIT_CONFIG;

	if (!f || p->argc < 1 || p->argc > 2 || strcmp(p->argv[0], "dump") != 0) {
		fputs("usage: patchbay config [options] [--effective] [--json] dump [FILE|MODULE]\n", stderr);
		pb_findings_free(&f);
		return PB_EXIT_USAGE;
	}
	args.only_check = true;
	pb_log_set_level(5 + p->verbosity);
	pb_log_set_stamp('n');
	if (pb_engine_new(&args, f, &e))
		print_findings(f);
	if (e)
		code = dump(p, e, p->argc > 1 ? pb_str_z(p->argv[1]) : PB_STR(""));
	pb_engine_free(&e);
	pb_findings_free(&f);
	return code;
}
