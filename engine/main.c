/*
 * patchbay: the subcommands and their options.
 *
 * Started from a build tree the program finds that tree's modules and samples;
 * installed, the folders it was configured with.
 */
#include "program.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char usage_text[] =
	"usage: patchbay run     [options]            run the engine\n"
	"       patchbay check   [options]            findings about the configuration\n"
	"       patchbay config  [options] dump [FILE|MODULE]  values and where they come from\n"
	"       patchbay console [options] [COMMAND]  attach to the running engine\n"
	"       patchbay version\n"
	"\n"
	"options:\n"
	"  -c DIR    configuration folder\n"
	"  -m DIR    module folder (may repeat)\n"
	"  -e DIR    shared files\n"
	"  -n NAME   base name of the main file (yate: yate.conf)\n"
	"  -N NAME   node name\n"
	"  -v, -q    more, fewer log lines (may repeat)\n"
	"  -l FILE   log file; -t truncates it first\n"
	"  -p FILE   write the process number there\n"
	"  -w DIR    change to this folder first\n"
	"  -d        run in the background\n"
	"  -Dx       time stamps: n none, t since start, e epoch, f z F Z (GMT/local)\n"
	"  -s PATH   console: Unix socket of the engine\n"
	"  --json, --strict   check: findings as JSON; warnings are errors\n"
	"  --keys    check: each key and what becomes of it\n"
	"  --effective  config: values in force, defaults among them\n";

static int usage(const char *why)
{
	if (why)
		fprintf(stderr, "patchbay: %s\n", why);
	fputs(usage_text, stderr);
	return PB_EXIT_USAGE;
}

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

static void defaults(struct pb_program *p)
{
	static glob_t found; /* lives as long as the process */
	bool built = in_build_tree();

	if (!p->conf_dir)
		p->conf_dir = built ? PB_SOURCE_DIR "/conf.d" : PB_CONF_DIR;
	if (!p->share_dir)
		p->share_dir = built ? PB_SOURCE_DIR : PB_SHARE_DIR;
	if (p->module_dir_count)
		return;
	if (!built) {
		add_module_dir(p, PB_MODULE_DIR);
		return;
	}
	if (glob(PB_BUILD_DIR "/modules/*/.libs", 0, NULL, &found) == 0) {
		for (size_t i = 0; i < found.gl_pathc; i++)
			add_module_dir(p, found.gl_pathv[i]);
	}
}

/* Long options are few; getopt takes the rest. */
static bool long_option(struct pb_program *p, const char *arg)
{
	if (strcmp(arg, "--json") == 0)
		p->json = true;
	else if (strcmp(arg, "--strict") == 0)
		p->strict = true;
	else if (strcmp(arg, "--keys") == 0)
		p->keys = true;
	else if (strcmp(arg, "--effective") == 0)
		p->effective = true;
	else
		return false;
	return true;
}

static int short_option(struct pb_program *p, int c)
{
	switch (c) {
	case 'c': p->conf_dir = optarg; return 0;
	case 'm': add_module_dir(p, optarg); return 0;
	case 'e': p->share_dir = optarg; return 0;
	case 'n': p->name = optarg; return 0;
	case 'N': p->node_name = optarg; return 0;
	case 'l': p->log_file = optarg; return 0;
	case 'p': p->pid_file = optarg; return 0;
	case 'w': p->work_dir = optarg; return 0;
	case 's': p->socket = optarg; return 0;
	case 'D': p->stamp = optarg[0]; return 0;
	case 'v': p->verbosity++; return 0;
	case 'q': p->verbosity--; return 0;
	case 'd': p->daemonise = true; return 0;
	case 't': p->truncate = true; return 0;
	default: return -1;
	}
}

static int parse(struct pb_program *p, int argc, char **argv)
{
	int kept = 1, c;

	for (int i = 1; i < argc; i++) {
		if (!long_option(p, argv[i]))
			argv[kept++] = argv[i];
	}
	argc = kept;
	opterr = 0;
	while ((c = getopt(argc, argv, "+c:m:e:n:N:l:p:w:s:D:vqdt")) != -1) {
		if (short_option(p, c))
			return -1;
	}
	p->argc = argc - optind;
	p->argv = argv + optind;
	defaults(p);
	return 0;
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
	};
}

static int version(struct pb_program *p)
{
	(void)p;
	puts("Patchbay " PACKAGE_VERSION);
	return PB_EXIT_OK;
}

static const struct {
	const char *name;
	int (*fn)(struct pb_program *p);
} subcommands[] = {
	{ "run", pb_program_run },
	{ "check", pb_program_check },
	{ "config", pb_program_config },
	{ "console", pb_program_console },
	{ "version", version },
};

int main(int argc, char **argv)
{
	static struct pb_program p;

	if (argc < 2)
		return usage("a subcommand is needed");
	if (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0) {
		fputs(usage_text, stdout);
		return PB_EXIT_OK;
	}
	if (strcmp(argv[1], "-V") == 0 || strcmp(argv[1], "--version") == 0)
		return version(&p);
	for (size_t i = 0; i < sizeof(subcommands) / sizeof(subcommands[0]); i++) {
		if (strcmp(argv[1], subcommands[i].name) != 0)
			continue;
		if (parse(&p, argc - 1, argv + 1))
			return usage("unknown option, or its value is missing");
		return subcommands[i].fn(&p);
	}
	return usage("no such subcommand");
}
