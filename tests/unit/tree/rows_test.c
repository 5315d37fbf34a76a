/*
 * Rows of modules as they were compiled: every option, handler, command and log
 * line is described where it stands, and named on its module's page.
 *
 * The modules are those of the build tree, opened as the program opens them.
 */
#include "../../support/test.h"

#include <dlfcn.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "bus/module.h"
#include "bus/names.h"

static struct pb_text page; /* README.md of the module looked at */
static const struct pb_module *module;
static char folder[64];

/* ---- What is wanted of a text --------------------------------------------------------- */

static void wrong(const char *what, const char *name)
{
	printf("module %s: %s '%s'\n", folder, what, name);
	CU_FAIL("a row is not described");
}

/* One line that ends as a sentence does. */
static bool is_help(const char *doc)
{
	size_t n = doc ? strlen(doc) : 0;

	return n > 2 && strchr(".?!)", doc[n - 1]) && !strchr(doc, '\n') && doc[0] != ' ';
}

static bool page_has(struct pb_str word)
{
	return pb_str_find(pb_text_str(&page), word) >= 0;
}

/* `KEY` or KEY= : a word of its own, not part of another. */
static bool page_has_key(const struct pb_opt *o)
{
	static const char *const around[][2] = {
		{ "`", "`" }, { "`", "=" }, { " ", "=" }, { "\n", "=" }, { ";", "=" }
	};
	const char *name = o->name;
	struct pb_text t;
	char buf[128];

	if (o->flags & PB_OPT_PREFIX)
		return page_has(pb_str_z(name));
	for (size_t i = 0; i < sizeof(around) / sizeof(around[0]); i++) {
		pb_text_init_buf(&t, buf, sizeof(buf));
		pb_text_addf(&t, "%s%s%s", around[i][0], name, around[i][1]);
		if (page_has(pb_text_str(&t)))
			return true;
	}
	return false;
}

/* "listener *" is [listener NAME] on the page. */
static bool page_has_section(const char *name)
{
	struct pb_str s = pb_str_z(name);

	return page_has(pb_str_ends(s, PB_STR("*")) ? pb_str_head(s, s.n - 1) : s);
}

/* ---- The modules, one after the other ----------------------------------------------------- */

static bool read_page(void)
{
	char path[512], buf[4096];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/modules/%s/README.md", PB_SOURCE_DIR, folder);
	f = fopen(path, "r");
	if (!f)
		return false;
	pb_text_reset(&page);
	while ((n = fread(buf, 1, sizeof(buf), f)) > 0)
		pb_text_add(&page, pb_str(buf, n));
	fclose(f);
	return true;
}

/* PATH is BUILD/modules/FOLDER/.libs/FILE.so */
static void open_module(const char *path)
{
	const char *at = path + strlen(PB_BUILD_DIR "/modules/");
	void *dl = dlopen(path, RTLD_NOW | RTLD_LOCAL); /* stays open: rows are used to the end */

	snprintf(folder, sizeof(folder), "%.*s", (int)strcspn(at, "/"), at);
	module = dl ? dlsym(dl, "pb_module_descriptor") : NULL;
	if (!module)
		wrong("cannot be opened:", path);
	else if (!read_page())
		wrong("has no README.md:", path);
}

static void each_module(void (*fn)(void))
{
	glob_t found;
	size_t seen = 0;

	CU_ASSERT_EQUAL_FATAL(glob(PB_BUILD_DIR "/modules/*/.libs/*.so", 0, NULL, &found), 0);
	pb_text_init(&page, 1 << 20);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		open_module(found.gl_pathv[i]);
		if (!module)
			continue;
		fn();
		seen++;
	}
	pb_text_fini(&page);
	globfree(&found);
	CU_ASSERT_TRUE(seen >= 10);
}

/* ---- Descriptors ----------------------------------------------------------------------------- */

static void look_at_descriptor(void)
{
	CU_ASSERT_EQUAL(module->abi, PB_MODULE_ABI);
	if (!is_help(module->doc))
		wrong("no line of help for", "itself");
	if (module->conf && !page_has(pb_str_z(module->conf)))
		wrong("the page does not name the file", module->conf);
}

static void descriptors(void)
{
	each_module(look_at_descriptor);
}

static void look_at_options(void)
{
	for (const struct pb_opt *o = module->options; o && o->type != PB_OPT_END; o++) {
		if (!is_help(o->doc))
			wrong("no line of help for option", o->name);
		if (!page_has_key(o))
			wrong("the page does not name option", o->name);
		if (o->section && !page_has_section(o->section))
			wrong("the page does not name section", o->section);
	}
}

static void options(void)
{
	each_module(look_at_options);
}

static void look_at_handlers(void)
{
	for (const struct pb_handler *h = module->handlers; h && h->message; h++) {
		if (!h->message[0])
			continue;
		if (!pb_name_message(pb_str_z(h->message)))
			wrong("names.def does not describe", h->message);
		if (!page_has(pb_str_z(h->message)))
			wrong("the page does not name the message", h->message);
	}
}

static void handlers(void)
{
	each_module(look_at_handlers);
}

static void look_at_commands(void)
{
	for (const struct pb_command *c = module->commands; c && c->word; c++) {
		if (!is_help(c->doc))
			wrong("no line of help for command", c->word);
		if (!c->syntax || !pb_str_starts(pb_str_z(c->syntax), pb_str_z(c->word)))
			wrong("syntax does not begin with the command", c->word);
		if (!page_has(pb_str_z(c->word)))
			wrong("the page does not name the command", c->word);
	}
}

static void commands(void)
{
	each_module(look_at_commands);
}

static void look_at_log(void)
{
	if (!module->log)
		return;
	for (const struct pb_log_row *r = module->log->rows; r && r->id; r++) {
		if (!is_help(r->doc))
			wrong("no line of help for", r->id);
	}
}

static void log_rows(void)
{
	each_module(look_at_log);
}

static void look_at_hears(void)
{
	const struct pb_opt *o;

	for (const struct pb_hears *h = module->hears; h && h->message; h++) {
		if (!pb_name_message(pb_str_z(h->message)))
			wrong("names.def does not describe", h->message);
		if (!page_has(pb_str_z(h->message)))
			wrong("the page does not name the message", h->message);
		for (o = module->options; h->option && o && o->type != PB_OPT_END; o++) {
			if (!strcmp(o->name, h->option) && o->def == (int64_t)h->priority)
				break;
		}
		if (h->option && (!o || o->type == PB_OPT_END))
			wrong("no option gives the priority, or another by default:", h->option);
	}
}

static void hears(void)
{
	each_module(look_at_hears);
}

static bool counts(const struct pb_counter *rows, struct pb_str key)
{
	for (; rows && rows->key; rows++) {
		if (pb_str_eq(pb_str_z(rows->key), key))
			return true;
	}
	return false;
}

static void look_at_counters(void)
{
	struct pb_str columns = pb_str_z(module->status_format), column;
	size_t n = 0;

	for (const struct pb_counter *c = module->counters; c && c->key; c++, n++) {
		if (!is_help(c->doc))
			wrong("no line of help for counter", c->key);
	}
	if (module->status_type && !n && !module->part)
		wrong("nothing is described of the status line of", module->name);
	while (pb_str_cut(&columns, '|', &column)) {
		if (!counts(module->counters, column) && !(module->part && counts(module->part->counters, column)))
			wrong("a column of its items is not described:", column.p);
	}
}

static void counters(void)
{
	each_module(look_at_counters);
}

/* "cmd_*" stands for a described beginning, or for one of its own. */
static bool is_param(struct pb_str message, struct pb_str word)
{
	if (pb_str_ends(word, PB_STR("*")))
		word = pb_str_head(word, word.n - 1);
	return pb_name_param(message, word) != NULL;
}

static void look_at_sends(void)
{
	for (const struct pb_sends *s = module->sends; s && s->message; s++) {
		struct pb_str left = pb_str_z(s->params), word;

		if (!pb_name_message(pb_str_z(s->message)))
			wrong("names.def does not describe", s->message);
		if (!s->answers && !page_has(pb_str_z(s->message)))
			wrong("the page does not name the message", s->message);
		while (pb_str_word(&left, &word)) {
			if (!is_param(pb_str_z(s->message), word))
				wrong("names.def does not describe the parameter", word.p);
		}
	}
}

static void sends(void)
{
	each_module(look_at_sends);
}

static void look_at_findings(void)
{
	for (const struct pb_finding_row *f = module->findings; f && f->id; f++) {
		if (!is_help(f->doc))
			wrong("no line of help for", f->id);
	}
}

static void findings(void)
{
	each_module(look_at_findings);
}

PB_TESTS("tree/rows_test", { "descriptors", descriptors }, { "options", options },
	 { "handlers", handlers }, { "commands", commands }, { "hears", hears },
	 { "counters", counters }, { "sends", sends }, { "log rows", log_rows }, { "findings", findings })
