/*
 * The command line, read by the rows of options.def: one walk over the words,
 * each letter looked up in the table, its `take` function storing the value.
 * getopt would not do: -s may have a value or not, -p=FILE is one, and for `run`
 * options and commands come mixed.
 */
#include "program.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#define RUN     PB_RUN
#define CHECK   PB_CHECK
#define CONSOLE PB_CONSOLE
#define CONFIG  PB_CONFIG
#define DESCRIBE PB_DESCRIBE

struct option {
	char letter;
	const char *name; /* long ones */
	const char *value;
	unsigned on;
	/** @return 0, or what is wrong with the value. */
	const char *(*take)(struct pb_program *p, const char *value, char letter);
	const char *help;
};

/* ---- What the options store ------------------------------------------------------ */

#define STORES(fn, field, what)                                                                    \
	static const char *fn(struct pb_program *p, const char *value, char letter)                \
	{                                                                                          \
		(void)value;                                                                       \
		(void)letter;                                                                      \
		p->field = what;                                                                   \
		return NULL;                                                                       \
	}

STORES(help, asked, 'h')
STORES(version, asked, 'V')
STORES(conf_dir, conf_dir, value)
STORES(share_dir, share_dir, value)
STORES(user_dir, user_dir, value)
STORES(name, name, value)
STORES(node_name, node_name, value)
STORES(work_dir, work_dir, value)
STORES(more, verbosity, p->verbosity + 1)
STORES(fewer, verbosity, p->verbosity - 1)
STORES(log_file, log_file, value)
STORES(truncate, truncate, true)
STORES(pid_file, pid_file, value)
STORES(background, daemonise, true)
STORES(relay, relay, true)
STORES(core, core, true)
STORES(socket, socket, value)
STORES(json, json, true)
STORES(strict, strict, true)
STORES(man, man, true)
STORES(sample, sample, true)
STORES(keys, keys, true)
STORES(effective, effective, true)
STORES(abort_on_fail, abort_on_fail, true)
STORES(reload_once, reload_once, true)
STORES(exit_once, exit_once, p->exit_once + 1)
STORES(colour, colour, true)
STORES(stamp, stamp, letter)
STORES(stamp_output, stamp_output, letter == 'K')

static const char *module_dir(struct pb_program *p, const char *value, char letter)
{
	(void)letter;
	if (p->module_dir_count == PB_DIRS_MAX)
		return "too many folders";
	p->module_dirs[p->module_dir_count++] = value;
	return NULL;
}

static const char *extra_dir(struct pb_program *p, const char *value, char letter)
{
	(void)letter;
	if (p->extra_dir_count == PB_DIRS_MAX)
		return "too many folders";
	p->extra_dirs[p->extra_dir_count++] = value;
	return NULL;
}

static const char *supervised(struct pb_program *p, const char *value, char letter)
{
	int64_t ms = 0;

	(void)letter;
	if (value && pb_str_to_i64(pb_str_z(value), 0, 0, 60000, &ms))
		return "the delay is a number of milliseconds up to 60000";
	p->supervised = true;
	p->first_delay_ms = (unsigned)ms;
	return NULL;
}

/* As Yate has it: outside the range is the nearest bound, 0 and less the usual. */
static const char *sanity(struct pb_program *p, const char *value, char letter)
{
	int64_t n = 0;

	(void)letter;
	if (pb_str_to_i64(pb_str_z(value), 0, INT32_MIN, 30, &n) == -EINVAL)
		return "a number is wanted";
	p->sanity = n <= 0 ? 0 : n < 2 ? 2 : (unsigned)n;
	return NULL;
}

static bool add_cpus(cpu_set_t *set, struct pb_str range)
{
	struct pb_str first;
	uint32_t from, to;

	if (!pb_str_cut(&range, '-', &first) ||
	    pb_str_to_u32(pb_str_trim(first), 0, CPU_SETSIZE - 1, &from))
		return false;
	to = from;
	if (range.p && pb_str_to_u32(pb_str_trim(range), from, CPU_SETSIZE - 1, &to))
		return false;
	while (from <= to)
		CPU_SET(from++, set);
	return true;
}

static const char *affinity(struct pb_program *p, const char *value, char letter)
{
	struct pb_str list = pb_str_z(value), range;

	(void)letter;
	CPU_ZERO(&p->cpus);
	while (pb_str_cut(&list, ',', &range)) {
		if (!add_cpus(&p->cpus, range))
			return "a list of processors is wanted, as 0-3,6";
	}
	p->affinity = true;
	return NULL;
}

static const char *ignored(struct pb_program *p, const char *value, char letter)
{
	size_t n = strlen(p->ignored);

	(void)value;
	if (n + 1 < sizeof(p->ignored) && !strchr(p->ignored, letter))
		p->ignored[n] = letter;
	return NULL;
}

#define ignored_detail ignored

static const char *details(struct pb_program *p, const char *value, char letter);

static const struct option letters[] = {
#define OPTION(letter, value, on, take, help)    { letter, NULL, value, on, take, help },
#define LONG_OPTION(name, value, on, take, help) { 0, name, value, on, take, help },
#define D_LETTER(letter, take, help)
#define COMMAND(name, which, args, help)
#include "options.def"
#undef COMMAND
#undef D_LETTER
#undef LONG_OPTION
#undef OPTION
};

static const struct pb_program_command commands[] = {
#define OPTION(letter, value, on, take, help)
#define LONG_OPTION(name, value, on, take, help)
#define D_LETTER(letter, take, help)
#define COMMAND(name, which, args, help) { name, args, help, which },
#include "options.def"
#undef COMMAND
#undef D_LETTER
#undef LONG_OPTION
#undef OPTION
};

static const struct option d_letters[] = {
#define OPTION(letter, value, on, take, help)
#define LONG_OPTION(name, value, on, take, help)
#define D_LETTER(letter, take, help) { letter, NULL, "", RUN, take, help },
#define COMMAND(name, which, args, help)
#include "options.def"
#undef COMMAND
#undef D_LETTER
#undef LONG_OPTION
#undef OPTION
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *details(struct pb_program *p, const char *value, char letter)
{
	for (; *value; value++) {
		const struct option *o = NULL;

		for (size_t i = 0; i < COUNT(d_letters) && !o; i++)
			o = d_letters[i].letter == *value ? &d_letters[i] : NULL;
		if (!o)
			return "there is no such letter";
		o->take(p, NULL, *value);
	}
	return NULL;
}

/* ---- The words ---------------------------------------------------------------------- */

static int wrong(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static int wrong(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("patchbay: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputs("; `patchbay -h` shows the options\n", stderr);
	va_end(ap);
	return -1;
}

static int take(struct pb_program *p, const struct option *o, const char *value)
{
	const char *why = o->take(p, value, o->letter);

	if (!why)
		return 0;
	return o->name ? wrong("--%s: %s", o->name, why)
		       : wrong("-%c %s: %s", o->letter, value ? value : "", why);
}

struct words {
	enum pb_subcommand which;
	int argc, at;
	char **argv;
};

/* The letter at `s`, which is in words.argv[words.at]. @return octets used, or -1. */
static int take_letter(struct pb_program *p, struct words *w, const char *s)
{
	const struct option *o = NULL;
	int all = (int)strlen(s);

	for (size_t i = 0; i < COUNT(letters) && !o; i++)
		o = letters[i].letter == *s && (letters[i].on & w->which) ? &letters[i] : NULL;
	if (!o)
		return wrong("there is no option -%c here", *s);
	if (!o->value[0])
		return take(p, o, NULL) ? -1 : 1;
	if (o->value[0] == '+')
		return take(p, o, s + 1) ? -1 : all;
	if (s[1] == '=')
		return take(p, o, s + 2) ? -1 : all;
	if (o->value[0] == '=')
		return take(p, o, NULL) ? -1 : 1;
	if (s[1])
		return wrong("-%c %s: a blank or a = belongs between them", *s, s + 1);
	if (w->at + 1 >= w->argc)
		return wrong("-%c wants %s behind it", *s, o->value);
	return take(p, o, w->argv[++w->at]) ? -1 : all;
}

static int take_long(struct pb_program *p, struct words *w, const char *name)
{
	for (size_t i = 0; i < COUNT(letters); i++) {
		const struct option *o = &letters[i];

		if (o->name && strcmp(o->name, name) == 0 && (o->on & w->which))
			return take(p, o, NULL);
	}
	if (strcmp(name, "help") == 0)
		p->asked = 'h';
	else if (strcmp(name, "version") == 0)
		p->asked = 'V';
	else
		return wrong("there is no option --%s here", name);
	return 0;
}

static int take_word(struct pb_program *p, struct words *w)
{
	const char *s = w->argv[w->at];
	int n;

	if (s[1] == '-')
		return take_long(p, w, s + 2);
	if (strncmp(s, "-psn_", 5) == 0)
		return 0; /* a desktop's */
	for (s++; *s; s += n) {
		n = take_letter(p, w, s);
		if (n < 0)
			return -1;
	}
	return 0;
}

/* `run` takes options behind a command too; the words of one for the console may
 * begin with a '-', but not with "--". */
static bool is_option(const struct words *w, int kept, const char *s)
{
	if (s[0] != '-' || !s[1])
		return false;
	return w->which != PB_CONSOLE || !kept || s[1] == '-';
}

/* Commands `runparam NAME=VALUE` are no commands: files that are read at the start ask for them. */
static void take_run_params(struct pb_program *p)
{
	unsigned n = 0;
	int kept = 0;

	for (int i = 0; i < p->argc; i++) {
		struct pb_str s = pb_str_z(p->argv[i]);

		if (n < PB_DIRS_MAX && pb_str_skip_word(&s, PB_STR("runparam")) && pb_str_chr(s, '=') > 0)
			p->run_params[n++] = s.p; /* to the end of the word */
		else
			p->argv[kept++] = p->argv[i];
	}
	p->argc = kept;
}

int pb_program_options(struct pb_program *p, enum pb_subcommand which, int argc, char **argv)
{
	struct words w = { .which = which, .argc = argc, .argv = argv };
	int kept = 0;

	for (; w.at < argc; w.at++) {
		if (strcmp(argv[w.at], "--") == 0)
			break;
		if (!is_option(&w, kept, argv[w.at]))
			argv[kept++] = argv[w.at];
		else if (take_word(p, &w))
			return -1;
	}
	while (++w.at < argc)
		argv[kept++] = argv[w.at];
	p->argc = kept;
	p->argv = argv;
	if (which == PB_RUN)
		take_run_params(p);
	if (p->relay && !(p->supervised && p->log_file))
		return wrong("-r is for an engine with -s and -l");
	if (p->colour && p->log_file)
		return wrong("-Do is for a terminal: not with -l");
	return 0;
}

/* ---- Usage ----------------------------------------------------------------------------- */

static void show(FILE *to, const struct option *o, const char *before)
{
	bool optional = o->value[0] == '=', joined = o->value[0] == '+';
	const char *value = o->value + (optional || joined), *between = optional ? "[=" : " ";
	char text[64];

	if (o->name)
		snprintf(text, sizeof(text), "--%s", o->name);
	else
		snprintf(text, sizeof(text), "%s%c%s%s%s", before, o->letter,
			 joined || !value[0] ? "" : between, value, optional ? "]" : "");
	fprintf(to, "  %-11s %s\n", text, o->help);
}

bool pb_program_command(size_t i, struct pb_program_command *out)
{
	if (i >= COUNT(commands))
		return false;
	*out = commands[i];
	return true;
}

bool pb_program_option(size_t i, struct pb_program_option *out)
{
	bool detail = i >= COUNT(letters);
	const struct option *o;

	if (i >= COUNT(letters) + COUNT(d_letters))
		return false;
	o = detail ? &d_letters[i - COUNT(letters)] : &letters[i];
	*out = (struct pb_program_option){ o->letter, o->name, o->value, o->on, detail, o->help };
	return true;
}

void pb_program_add_commands(unsigned on, struct pb_text *t)
{
	unsigned left = 0, n = 0;

	for (size_t i = 0; i < COUNT(commands); i++)
		left += (commands[i].which & on) != 0;
	for (size_t i = 0; i < COUNT(commands); i++) {
		if (!(commands[i].which & on))
			continue;
		pb_text_addf(t, "%s%s", !n++ ? "" : left > 1 ? ", " : " and ", commands[i].name);
		left--;
	}
}

/* "options of run and check:" */
static void show_title(FILE *to, unsigned on)
{
	char buf[128];
	struct pb_text t;

	pb_text_init_buf(&t, buf, sizeof(buf));
	pb_program_add_commands(on, &t);
	fprintf(to, "\noptions of %.*s:\n", PB_STR_F(pb_text_str(&t)));
}

/* Those of the same subcommands together, in the order in which the table begins with them. */
static void show_options(FILE *to)
{
	unsigned done[COUNT(letters)], n = 0;

	for (size_t i = 0; i < COUNT(letters); i++) {
		bool shown = false;

		for (unsigned k = 0; k < n; k++)
			shown |= done[k] == letters[i].on;
		if (shown)
			continue;
		done[n++] = letters[i].on;
		show_title(to, letters[i].on);
		for (size_t k = i; k < COUNT(letters); k++) {
			if (letters[k].on == letters[i].on)
				show(to, &letters[k], "-");
		}
	}
}

void pb_program_usage(FILE *to)
{
	for (size_t i = 0; i < COUNT(commands); i++)
		fprintf(to, "%s patchbay %-8s %-29s %s\n", i ? "      " : "usage:", commands[i].name,
			commands[i].args, commands[i].help);
	show_options(to);
	fputs("\nletters of -D:\n", to);
	for (size_t i = 0; i < COUNT(d_letters); i++)
		show(to, &d_letters[i], "-D");
	fputs("\nexit codes: 0 good, 1 wrong usage, 2 configuration, 3 port, file or right, 4 ran "
	      "and failed\n",
	      to);
}
