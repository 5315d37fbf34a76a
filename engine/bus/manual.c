/*
 * Which pages there are, and the frame of each. A module with a file has its
 * page under the file's name, one without under its own.
 */
#include "bus/manual.h"

#include <errno.h>

#include "bus/engine_impl.h"
#include "bus/roff.h"

/* ---- Frames --------------------------------------------------------------------------- */

static void begin(struct pb_text *t, struct pb_str name, char section, const char *doc)
{
	pb_text_lit(t, ".\\\" Made by `patchbay describe --man`; do not edit.\n");
	pb_roff_title(t, name, section);
	pb_roff_section(t, "NAME");
	pb_roff_add(t, name);
	pb_text_lit(t, " \\- ");
	pb_roff_line(t, pb_str_head(pb_str_z(doc), strlen(doc) - 1)); /* no full stop there */
}

static void end(struct pb_text *t, const char *self)
{
	static const char *const pages[] = { "patchbay(1)", "engine.cfg(5)", "yate.conf(5)",
					     "patchbay-bus(7)", "patchbay-log(7)" };
	bool any = false;

	pb_roff_section(t, "SEE ALSO");
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		struct pb_str name = pb_str_head(pb_str_z(pages[i]), strlen(pages[i]) - 3);

		if (pb_str_eq(name, pb_str_z(self)))
			continue;
		pb_text_add(t, any ? PB_STR(",\n") : PB_STR(""));
		pb_text_lit(t, "\\fB");
		pb_roff_add(t, name);
		pb_text_lit(t, "\\fR");
		pb_text_add(t, pb_str_from(pb_str_z(pages[i]), name.n));
		any = true;
	}
	pb_text_addc(t, '\n');
}

/* ---- Files ------------------------------------------------------------------------------ */

static const char ini_text[] =
	"Lines are KEY=VALUE, in sections that begin with [NAME]; a line that begins with ; is a "
	"comment. "
	"What is not given has the default shown behind the sign. `patchbay check` tells what is "
	"wrong, and where. "
	"A reload reads the file again; it takes effect when nothing in it is an error.";
static const char cfg_text[] = "Loops, limits, log and what else the ini files have no place for, "
			       "in the syntax of libconfig: groups as "
			       "NAME = { KEY = VALUE; }; durations and sizes are strings with a "
			       "unit, as \"30s\" and \"64K\". "
			       "What is not given has the default shown behind the sign. A file "
			       "that is not there is an empty one.";

static void file_page(const struct pb_registry *r, const struct pb_option_file *f,
		      struct pb_str name, struct pb_text *t)
{
	bool own = f->module == &pbi_engine_module;

	begin(t, name, '5',
	      f->cfg ? "Loops, limits and log of Patchbay."
	      : own  ? "The main file of Patchbay."
		     : f->module->doc);
	pb_roff_section(t, "DESCRIPTION");
	if (!own) {
		pb_text_lit(t, "The file of module \\fB");
		pb_roff_add(t, pb_str_z(f->module->name));
		pb_text_lit(t, "\\fR of \\fBpatchbay\\fR(1).\n");
	}
	pb_roff_line(t, pb_str_z(f->cfg ? cfg_text : ini_text));
	pb_roff_section(t, "OPTIONS");
	pbi_manual_options(f, t);
	if (!own)
		pbi_manual_module(r, f->module, t);
	else if (!f->cfg)
		pbi_manual_module(r, &pbi_engine_module, t);
	end(t, f->cfg ? "engine.cfg" : own ? "yate.conf" : "");
}

static void module_page(const struct pb_registry *r, const struct pb_module *d, struct pb_str name,
			struct pb_text *t)
{
	begin(t, name, '7', d->doc);
	pb_roff_section(t, "DESCRIPTION");
	pb_text_lit(t, "Module \\fB");
	pb_roff_add(t, pb_str_z(d->name));
	pb_text_lit(t, "\\fR of \\fBpatchbay\\fR(1), which has no file of its own.\n");
	pbi_manual_module(r, d, t);
	end(t, "");
}

static void bus_page(const struct pb_registry *r, struct pb_text *t)
{
	begin(t, PB_STR("patchbay-bus"), '7', "Messages and parameters of the bus.");
	pbi_manual_bus(r, t);
	end(t, "patchbay-bus");
}

static void log_page(const struct pb_registry *r, struct pb_text *t)
{
	begin(t, PB_STR("patchbay-log"), '7',
	      "What each id of the log and of `patchbay check` means.");
	pbi_manual_log(r, t);
	end(t, "patchbay-log");
}

/* ---- Pages -------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	void (*write)(const struct pb_registry *r, struct pb_text *t);
} own_pages[] = { { "patchbay-bus.7", bus_page }, { "patchbay-log.7", log_page } };
#define OWN_PAGES (sizeof(own_pages) / sizeof(own_pages[0]))

/* The i-th module without a file; NULL behind the last. */
static const struct pb_module *fileless(const struct pb_registry *r, size_t i)
{
	for (size_t k = 1; k < r->count; k++) {
		if (!r->modules[k]->conf && !i--)
			return r->modules[k];
	}
	return NULL;
}

static size_t files(const struct pb_registry *r)
{
	struct pb_option_file f;
	size_t n = 0;

	while (pb_registry_file(r, n, &f))
		n++;
	return n;
}

bool pb_manual_page(const struct pb_registry *r, size_t i, struct pb_text *t)
{
	struct pb_option_file f;
	const struct pb_module *d;

	if (i < OWN_PAGES) {
		pb_text_add(t, pb_str_z(own_pages[i].name));
		return true;
	}
	i -= OWN_PAGES;
	if (pb_registry_file(r, i, &f)) {
		pb_text_addf(t, "%s.%s.5", f.name, f.cfg ? "cfg" : "conf");
		return true;
	}
	d = fileless(r, i - files(r));
	if (d)
		pb_text_addf(t, "patchbay-%s.7", d->name);
	return d != NULL;
}

static void write_page(const struct pb_registry *r, size_t i, struct pb_str page, struct pb_text *t)
{
	struct pb_str name = pb_str_head(page, page.n - 2);
	struct pb_option_file f;

	if (i < OWN_PAGES)
		own_pages[i].write(r, t);
	else if (pb_registry_file(r, i - OWN_PAGES, &f))
		file_page(r, &f, name, t);
	else
		module_page(r, fileless(r, i - OWN_PAGES - files(r)), name, t);
}

int pb_manual(const struct pb_registry *r, struct pb_str page, struct pb_text *t)
{
	struct pb_text name;
	char buf[256];

	for (size_t i = 0;; i++) {
		pb_text_init_buf(&name, buf, sizeof(buf));
		if (!pb_manual_page(r, i, &name))
			return -ENOENT;
		if (pb_str_eq(pb_text_str(&name), page)) {
			write_page(r, i, page, t);
			return 0;
		}
	}
}
