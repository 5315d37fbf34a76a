/*
 * patchbay check: everything is read as `run` would read it, nothing is started.
 */
#include "program.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/text.h"
#include "bus/keys.h"
#include "bus/lint.h"

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

/* ---- Keys ---------------------------------------------------------------------------- */

static void add_key(void *arg, const struct pb_key *k)
{
	struct pb_text *t = arg;

	pb_text_addf(t, "%.*s:%u:%u: [%.*s] %.*s: %s: %.*s\n", PB_STR_F(k->file), k->line, k->col,
		     PB_STR_F(k->section), PB_STR_F(k->name), pb_key_states[k->state], PB_STR_F(k->why));
}

static void add_member(struct pb_text *t, const char *name, struct pb_str value)
{
	pb_text_addf(t, "\"%s\":", name);
	pb_text_add_json(t, value);
}

static void add_key_json(void *arg, const struct pb_key *k)
{
	struct pb_text *t = arg;

	pb_text_add(t, t->p[t->n - 1] == '[' ? PB_STR("\n{") : PB_STR(",\n{"));
	add_member(t, "file", k->file);
	pb_text_addf(t, ",\"line\":%u,\"col\":%u,", k->line, k->col);
	add_member(t, "section", k->section);
	pb_text_addc(t, ',');
	add_member(t, "key", k->name);
	pb_text_addc(t, ',');
	add_member(t, "state", pb_str_z(pb_key_states[k->state]));
	pb_text_addc(t, ',');
	add_member(t, "why", k->why);
	pb_text_addc(t, '}');
}

/* Keys, and with --json the findings beside them in one object. */
static void print_keys(struct pb_engine *e, const struct pb_findings *f, bool json)
{
	struct pb_text t;

	pb_text_init(&t, 256u << 20);
	if (json) {
		pb_text_lit(&t, "{\"findings\":");
		pb_findings_print_json(f, &t);
		pb_text_lit(&t, ",\"keys\":[");
	}
	if (e)
		pb_engine_keys(e, json ? add_key_json : add_key, &t);
	if (json)
		pb_text_lit(&t, "\n]}\n");
	if (t.n)
		fwrite(t.p, 1, t.n, stdout);
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
	if (!err)
		err = pb_lint(e, f);
	if (e && pb_engine_check_files(e, f))
		err = -ENOMEM;
	errors = pb_findings_count(f, PB_SEV_ERROR);
	warnings = pb_findings_count(f, PB_SEV_WARNING) - errors;
	if (!p->keys || !p->json)
		print(f, p->json);
	if (p->keys)
		print_keys(e, f, p->json);
	if (!p->json)
		printf("%zu errors, %zu warnings in %s\n", errors, warnings, p->conf_dir);
	pb_engine_free(&e);
	pb_findings_free(&f);
	if (err && err != -EINVAL)
		return PB_EXIT_ENVIRONMENT;
	return err || errors || (p->strict && warnings) ? PB_EXIT_CONFIG : PB_EXIT_OK;
}
