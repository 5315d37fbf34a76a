/*
 * An engine of two loops with the cache in it, in simulated time, and a module
 * beside it that says what others would know: handlers the test gives.
 */
#ifndef CACHE_SCENE_H
#define CACHE_SCENE_H

#include "../../support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/text.h"
#include "bus/engine.h"
#include "loop/world.h"

extern const struct pb_module pb_module_descriptor;
extern const struct pb_module other; /* the test's */

static char scene_dir[] = "/tmp/pb-cache-XXXXXX";
static struct pb_sim *sim;
static struct pb_engine *engine;

static inline void write_conf(const char *text)
{
	char path[100];
	FILE *f;

	snprintf(path, sizeof(path), "%s/cache.conf", scene_dir);
	f = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(text, f);
	fclose(f);
}

static inline void set_up(const char *conf)
{
	static const struct pb_module *built_in[] = { &pb_module_descriptor, &other, NULL };
	struct pb_engine_args args = { .conf_dir = scene_dir,
				       .calls = 2,
				       .scripts = 1,
				       .built_in = built_in,
				       .node_name = "test" };

	snprintf(scene_dir, sizeof(scene_dir), "/tmp/pb-cache-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(scene_dir));
	write_conf(conf);
	CU_ASSERT_EQUAL_FATAL(pb_sim_new(1, &sim), 0);
	args.world = pb_sim_world(sim);
	CU_ASSERT_EQUAL_FATAL(pb_engine_new(&args, NULL, &engine), 0);
	CU_ASSERT_EQUAL_FATAL(pb_engine_start(engine), 0);
	pb_sim_run(sim, 1, NULL, NULL);
}

static inline void tear_down(void)
{
	char path[100];

	pb_engine_stop(engine);
	pb_engine_free(&engine);
	pb_sim_free(&sim);
	snprintf(path, sizeof(path), "%s/cache.conf", scene_dir);
	unlink(path);
	rmdir(scene_dir);
}

static inline void reload(const char *conf)
{
	write_conf(conf);
	CU_ASSERT_EQUAL(pb_engine_reload_now(engine, PB_STR("cache"), NULL), 0);
	pb_sim_run(sim, 1, NULL, NULL);
}

struct question {
	struct pb_msg *m;
	struct pb_text answer; /* "'RETVAL' a=1 b=2", without the handlers */
	bool handled, done;
};

static inline void question_done(struct pb_msg *m, bool handled, void *arg)
{
	struct question *q = arg;

	if (pb_msg_retval(m).n)
		pb_text_addf(&q->answer, "'%.*s' ", PB_STR_F(pb_msg_retval(m)));
	for (size_t i = 0; i < pb_msg_count(m); i++) {
		const struct pb_param *p = pb_msg_at(m, i);

		if (!pb_str_eq(p->name, PB_STR("handlers")))
			pb_text_addf(&q->answer, "%.*s=%.*s ", PB_STR_F(p->name),
				     PB_STR_F(p->value));
	}
	q->handled = handled;
	q->done = true;
	pb_msg_free(&m);
}

static inline void question_dispatch(void *arg)
{
	struct question *q = arg;

	pb_bus_dispatch(pb_engine_bus(engine), q->m, NULL, question_done, q);
}

static inline bool question_is_done(void *arg)
{
	return ((struct question *)arg)->done;
}

/* Ask on loop `loop`; "name a=1 b=2", '_' for a blank in values. Frees with question_end(). */
static inline void question_begin(struct question *q, unsigned loop, const char *text)
{
	struct pb_str rest = pb_str_z(text), word, key;
	char value[200];

	*q = (struct question){ 0 };
	pb_text_init(&q->answer, 10000);
	pb_str_word(&rest, &word);
	q->m = pb_msg_new(word);
	while (pb_str_word(&rest, &word)) {
		struct pb_text t;

		pb_str_cut(&word, '=', &key);
		pb_text_init_buf(&t, value, sizeof(value));
		for (size_t i = 0; i < word.n; i++)
			pb_text_addc(&t, word.p[i] == '_' ? ' ' : word.p[i]);
		pb_msg_add(q->m, key, pb_text_str(&t));
	}
	pb_loop_call(pb_loops_at(pb_engine_loops(engine), loop), question_dispatch, q);
}

static inline void question_end(struct question *q, const char *want)
{
	pb_sim_run(sim, 70000, question_is_done, q);
	CU_ASSERT_TRUE(q->done);
	PB_SAME(pb_text_str(&q->answer), want);
	pb_text_fini(&q->answer);
}

static inline void ask(unsigned loop, const char *text, const char *want)
{
	struct question q;

	question_begin(&q, loop, text);
	question_end(&q, want);
}

#endif
