/*
 * patchbay: the subcommands, and where they look for what.
 *
 * Started from a build tree the program finds that tree's modules and samples;
 * installed, the folders it was configured with.
 */
#include "program.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/text.h"

/* Are we the binary of a build tree? */
static bool in_build_tree(void)
{
	char exe[4096];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	struct pb_str dir = PB_STR(PB_BUILD_DIR "/engine/");

	return n > 0 && pb_str_starts(pb_str(exe, (size_t)n), dir);
}

static void add_module_dir(struct pb_program *p, const char *dir)
{
	if (p->module_dir_count < PB_DIRS_MAX)
		p->module_dirs[p->module_dir_count++] = dir;
}

static void built_modules(struct pb_program *p)
{
	static glob_t found; /* lives as long as the process */

	if (glob(PB_BUILD_DIR "/modules/*/.libs", 0, NULL, &found))
		return;
	for (size_t i = 0; i < found.gl_pathc; i++)
		add_module_dir(p, found.gl_pathv[i]);
}

/* "DIR/NAME", for as long as the process lives. */
static const char *inside(const char *dir, const char *name)
{
	struct pb_text t;

	pb_text_init(&t, 65536);
	pb_text_addf(&t, "%s/%s", dir, name);
	pb_text_addc(&t, '\0');
	return pb_text_failed(&t) ? name : t.p;
}

static void defaults(struct pb_program *p)
{
	bool built = in_build_tree();
	const char *home = getenv("HOME");

	if (!p->conf_dir)
		p->conf_dir = built ? PB_SOURCE_DIR "/conf.d" : PB_CONF_DIR;
	if (!p->share_dir)
		p->share_dir = built ? PB_SOURCE_DIR : PB_SHARE_DIR;
	if (!p->user_dir)
		p->user_dir = inside(home && home[0] ? home : p->conf_dir, ".yate");
	if (!p->module_dir_count && built)
		built_modules(p);
	else if (!p->module_dir_count)
		add_module_dir(p, PB_MODULE_DIR);
	for (unsigned i = 0; i < p->extra_dir_count; i++) {
		const char *dir = p->extra_dirs[i];

		add_module_dir(p, dir[0] == '/' || !p->module_dir_count ? dir : inside(p->module_dirs[0], dir));
	}
}

struct pb_engine_args pb_program_engine_args(const struct pb_program *p)
{
	return (struct pb_engine_args){
		.conf_dir = p->conf_dir,
		.module_dirs = p->module_dirs,
		.share_dir = p->share_dir,
		.name = p->name,
		.node_name = p->node_name,
		.log_file = p->log_file,
		.user_dir = p->user_dir,
		.run_params = p->run_params,
		.interactive = !p->daemonise,
	};
}

static int version(struct pb_program *p)
{
	(void)p;
	puts("Patchbay " PACKAGE_VERSION);
	return PB_EXIT_OK;
}

static int usage(FILE *to)
{
	pb_program_usage(to);
	return to == stdout ? PB_EXIT_OK : PB_EXIT_USAGE;
}

static const struct {
	const char *name;
	enum pb_subcommand which; /* 0: no options */
	int (*fn)(struct pb_program *p);
} subcommands[] = {
	{ "run", PB_RUN, pb_program_run },
	{ "check", PB_CHECK, pb_program_check },
	{ "config", PB_CONFIG, pb_program_config },
	{ "console", PB_CONSOLE, pb_program_console },
	{ "describe", PB_DESCRIBE, pb_program_describe },
	{ "version", 0, version },
};

static bool is_one_of(const char *word, const char *letter, const char *name)
{
	return strcmp(word, letter) == 0 || strcmp(word, name) == 0;
}

int main(int argc, char **argv)
{
	static struct pb_program p;

	if (argc < 2) {
		fputs("patchbay: a subcommand is needed\n", stderr);
		return usage(stderr);
	}
	if (is_one_of(argv[1], "-h", "--help"))
		return usage(stdout);
	if (is_one_of(argv[1], "-V", "--version"))
		return version(&p);
	for (size_t i = 0; i < sizeof(subcommands) / sizeof(subcommands[0]); i++) {
		if (strcmp(argv[1], subcommands[i].name) != 0)
			continue;
		if (subcommands[i].which && pb_program_options(&p, subcommands[i].which, argc - 2, argv + 2))
			return PB_EXIT_USAGE;
		if (p.asked)
			return p.asked == 'h' ? usage(stdout) : version(&p);
		defaults(&p);
		return subcommands[i].fn(&p);
	}
	fprintf(stderr, "patchbay: there is no subcommand %s\n", argv[1]);
	return usage(stderr);
}
