/*
 * What a walk over rules costs: N rules with literal prefixes, then N general
 * expressions, the last one matching. Prints microseconds a walk.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/text.h"
#include "regexroute/eval.h"

static bool is_settings(struct pb_str section)
{
	(void)section;
	return false;
}

static double now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

/* One walk, from a new match string to the result. */
static bool walk(struct regex_eval *e, const struct regex_eval_args *args, struct pb_msg *m)
{
	struct regex_request r;

	return !regex_eval_restart(e, args) && regex_eval_step(e, m, &r) == REGEX_DO_FINISH &&
	       regex_eval_holds(e);
}

static void measure(const char *what, unsigned rules, const char *pattern, const char *number)
{
	struct pb_arena *a = pb_arena_new((size_t)1 << 30);
	struct regex_env env = { .vars = regex_vars_new() };
	struct regex_rules_args ra = { .default_rule = PB_STR("^$^"), .max_depth = 5, .is_settings = is_settings };
	struct regex_eval_args args = { .env = &env, .context = PB_STR("default") };
	struct pb_msg *m = pb_msg_new(PB_STR("call.route"));
	struct regex_eval *e;
	struct pb_conf *conf;
	struct pb_text t;
	char called[32];
	double start;
	unsigned n = 0;

	pb_text_init(&t, 64u << 20);
	pb_text_lit(&t, "[default]\n");
	for (unsigned i = 0; i < rules; i++) {
		pb_text_addf(&t, pattern, 100000 + i);
		pb_text_lit(&t, "=sip/sip:\\0@192.0.2.1\n");
	}
	if (pb_conf_parse("bench", pb_text_str(&t), NULL, NULL, &conf))
		exit(1);
	ra.conf = conf;
	if (regex_rules_new(&ra, a, NULL, &args.rules))
		exit(1);
	snprintf(called, sizeof(called), number, 100000 + rules - 1);
	args.text = pb_str_z(called);
	e = regex_eval_new(&args);
	if (!e || !walk(e, &args, m)) {
		printf("%s: no match\n", what);
		exit(1);
	}
	for (start = now_us(); now_us() - start < 300000; n += 10)
		for (unsigned i = 0; i < 10; i++)
			walk(e, &args, m);
	printf("%-44s %7u rules  %9.2f us\n", what, rules, (now_us() - start) / n);
	regex_eval_free(&e);
	pb_msg_free(&m);
	regex_vars_free(&env.vars);
	pb_conf_free(&conf);
	pb_text_fini(&t);
	pb_arena_free(&a);
}

int main(void)
{
	static const unsigned counts[] = { 100, 1000, 10000 };

	for (size_t i = 0; i < 3; i++)
		measure("literal prefix, last matches", counts[i], "^%u", "%u4711");
	for (size_t i = 0; i < 3; i++)
		measure("prefix and captured tail, last matches", counts[i], "^%u\\(.*\\)$", "%u4711");
	for (size_t i = 0; i < 2; i++)
		measure("general expression, last matches", counts[i], "^+\\?%u\\([0-9]*\\)$", "%u4711");
	return 0;
}
