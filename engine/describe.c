/*
 * patchbay describe: any name of the bus, the modules and the files, also when
 * no engine runs and whatever the configuration says. Of modules it sees those
 * of the module folders. The manual and the samples are made by it too.
 */
#include "program.h"

#include <errno.h>
#include <stdio.h>

#include "base/text.h"
#include "bus/describe.h"
#include "bus/manual.h"
#include "bus/sample.h"

#define OUTPUT_LIMIT (64u << 20)

static void open_modules(const struct pb_program *p, struct pb_registry *r)
{
	pb_registry_init(r);
	for (unsigned i = 0; i < p->module_dir_count; i++)
		pb_registry_open(r, p->module_dirs[i]);
}

static int no_such(const char *what, const char *name)
{
	fprintf(stderr, "patchbay: there is no %s '%s'\n", what, name);
	return PB_EXIT_USAGE;
}

/* ---- Names ---------------------------------------------------------------------- */

static int names(const struct pb_program *p, const struct pb_registry *r, struct pb_text *t)
{
	struct pb_text line;
	int err;

	pb_text_init(&line, 4096);
	for (int i = 0; i < p->argc; i++)
		pb_text_addf(&line, "%s%s", i ? " " : "", p->argv[i]);
	err = pb_describe(r, pb_text_str(&line), p->json, t);
	pb_text_fini(&line);
	if (!err)
		return PB_EXIT_OK;
	fprintf(stderr, "patchbay: %.*s\n", PB_STR_F(pb_text_str(t)));
	pb_text_reset(t);
	return PB_EXIT_USAGE;
}

/* ---- Pages and samples ------------------------------------------------------------- */

static void list(const struct pb_registry *r,
		 bool (*name)(const struct pb_registry *, size_t, struct pb_text *),
		 struct pb_text *t)
{
	for (size_t i = 0; name(r, i, t); i++)
		pb_text_addc(t, '\n');
}

static int page(const struct pb_program *p, const struct pb_registry *r, struct pb_text *t)
{
	if (!p->argc) {
		pb_text_lit(t, "patchbay.1\n");
		list(r, pb_manual_page, t);
	} else if (strcmp(p->argv[0], "patchbay.1") == 0) {
		pb_program_page(t);
	} else if (pb_manual(r, pb_str_z(p->argv[0]), t)) {
		return no_such("page", p->argv[0]);
	}
	return PB_EXIT_OK;
}

/* What the site sets; NULL: nothing. */
static int read_site(const char *path, struct pb_text *site)
{
	FILE *f = path ? fopen(path, "r") : NULL;
	char buf[4096];
	size_t n;

	if (!f)
		return path ? -errno : 0;
	while ((n = fread(buf, 1, sizeof(buf), f)) > 0)
		pb_text_add(site, pb_str(buf, n));
	fclose(f);
	return 0;
}

static int sample(const struct pb_program *p, const struct pb_registry *r, struct pb_text *t)
{
	struct pb_text site;
	int err;

	if (!p->argc) {
		list(r, pb_sample_file, t);
		return PB_EXIT_OK;
	}
	pb_text_init(&site, 1u << 20);
	err = read_site(p->argc > 1 ? p->argv[1] : NULL, &site);
	if (err)
		fprintf(stderr, "patchbay: %s: %s\n", p->argv[1], strerror(-err));
	else if (pb_sample(r, pb_str_z(p->argv[0]), pb_text_str(&site), t))
		err = no_such("file", p->argv[0]);
	pb_text_fini(&site);
	return err ? PB_EXIT_USAGE : PB_EXIT_OK;
}

int pb_program_describe(struct pb_program *p)
{
	struct pb_registry r;
	struct pb_text t;
	int code;

	open_modules(p, &r);
	pb_text_init(&t, OUTPUT_LIMIT);
	code = p->man ? page(p, &r, &t) : p->sample ? sample(p, &r, &t) : names(p, &r, &t);
	if (t.n)
		fwrite(t.p, 1, t.n, stdout);
	pb_text_fini(&t);
	return code;
}
