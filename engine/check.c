/*
 * patchbay check: everything is read as `run` would read it, nothing is started.
 */
#include "program.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/text.h"

static void print(const struct pb_findings *f, bool json)
{
	struct pb_text t;

	pb_text_init(&t, 64u << 20);
	if (json)
		pb_findings_print_json(f, &t);
	else
		pb_findings_print(f, &t);
	if (t.n)
		fwrite(t.p, 1, t.n, stdout);
	if (json && (!t.n || t.p[t.n - 1] != '\n'))
		putchar('\n');
	pb_text_fini(&t);
}

int pb_program_check(struct pb_program *p)
{
	struct pb_engine_args args = pb_program_engine_args(p);
	struct pb_findings *f = pb_findings_new();
	struct pb_engine *e = NULL;
	size_t errors, warnings;
	int err;

	if (!f)
		return PB_EXIT_ENVIRONMENT;
	if (access(p->conf_dir, R_OK | X_OK)) {
		fprintf(stderr, "patchbay: configuration folder %s: %s\n", p->conf_dir, strerror(errno));
		pb_findings_free(&f);
		return PB_EXIT_CONFIG;
	}
	args.only_check = true;
	pb_log_set_level(5 + p->verbosity);
	pb_log_set_stamp('n');
	err = pb_engine_new(&args, f, &e);
	errors = pb_findings_count(f, PB_SEV_ERROR);
	warnings = pb_findings_count(f, PB_SEV_WARNING) - errors;
	print(f, p->json);
	if (!p->json)
		printf("%zu errors, %zu warnings in %s\n", errors, warnings, p->conf_dir);
	pb_engine_free(&e);
	pb_findings_free(&f);
	if (err && err != -EINVAL)
		return PB_EXIT_ENVIRONMENT;
	return err || errors || (p->strict && warnings) ? PB_EXIT_CONFIG : PB_EXIT_OK;
}
