/*
 * A stage for tests of one module: a real engine of two loops with that module
 * linked in, configuration files written for the test, and everything that was
 * logged kept in order.
 */
#ifndef PB_TEST_STAGE_H
#define PB_TEST_STAGE_H

#include "../support/test.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/text.h"
#include "bus/engine.h"

extern const struct pb_module pb_module_descriptor;

static struct pb_engine *stage;
static char stage_dir[64];
static struct pb_text stage_seen; /* lines logged, each ended by '|' */
static pthread_mutex_t stage_lock = PTHREAD_MUTEX_INITIALIZER;

static inline void stage_tap_fn(void *arg, int level, struct pb_str line)
{
	(void)arg;
	(void)level;
	pthread_mutex_lock(&stage_lock);
	pb_text_add(&stage_seen, line);
	pb_text_addc(&stage_seen, '|');
	pthread_mutex_unlock(&stage_lock);
}

static struct pb_log_tap stage_tap = { .fn = stage_tap_fn };

/** Write CONFDIR/NAME, "x.conf" or "engine.cfg". */
static inline void stage_write(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", stage_dir, name);
	f = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(text, f);
	fclose(f);
}

/** Write CONFDIR/NAME.conf. */
static inline void stage_file(const char *name, const char *text)
{
	char file[64];

	snprintf(file, sizeof(file), "%s.conf", name);
	stage_write(file, text);
}

/** Before anything else of a test. */
static inline void stage_open(void)
{
	snprintf(stage_dir, sizeof(stage_dir), "/tmp/pb-stage-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(stage_dir));
	pb_text_init(&stage_seen, 1 << 20);
	stage_file("yate", "[general]\n");
}

static inline void stage_start(void)
{
	static const struct pb_module *built_in[] = { &pb_module_descriptor, NULL };
	struct pb_engine_args args = {
		.conf_dir = stage_dir, .calls = 2, .scripts = 1, .built_in = built_in, .node_name = "node"
	};
	struct pb_findings *f = pb_findings_new();

	pb_log_open("/dev/null", false);
	pb_log_set_level(PB_ALL);
	pb_log_set_stamp('n');
	CU_ASSERT_EQUAL_FATAL(pb_engine_new(&args, f, &stage), 0);
	CU_ASSERT_EQUAL_FATAL(pb_engine_start(stage), 0);
	pb_findings_free(&f);
	pb_log_tap_add(&stage_tap);
}

static inline void stage_close(void)
{
	static const char *const files[] = { "yate.conf", "engine.cfg", "regexroute.conf",
					     "lateroute.conf" };
	char path[128];

	pb_log_tap_remove(&stage_tap);
	pb_engine_stop(stage);
	pb_engine_free(&stage);
	pb_log_open(NULL, false);
	pb_text_fini(&stage_seen);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", stage_dir, files[i]);
		unlink(path);
	}
	rmdir(stage_dir);
}

/** What was logged since the last time. The view is valid until then. */
static inline struct pb_str stage_log(void)
{
	static char copy[65536];
	struct pb_text t;

	pb_text_init_buf(&t, copy, sizeof(copy));
	pthread_mutex_lock(&stage_lock);
	pb_text_add(&t, pb_text_str(&stage_seen));
	pb_text_reset(&stage_seen);
	pthread_mutex_unlock(&stage_lock);
	return pb_text_str(&t);
}

/** A message from "name a=1 b=2"; '_' in values stands for a space. */
static inline struct pb_msg *stage_msg(const char *text)
{
	struct pb_str rest = pb_str_z(text), word, key;
	struct pb_msg *m = NULL;
	char value[256];

	while (pb_str_word(&rest, &word)) {
		struct pb_text t;

		if (!m) {
			m = pb_msg_new(word);
			continue;
		}
		pb_str_cut(&word, '=', &key);
		pb_text_init_buf(&t, value, sizeof(value));
		for (size_t i = 0; i < word.n; i++)
			pb_text_addc(&t, word.p[i] == '_' ? ' ' : word.p[i]);
		pb_msg_add(m, key, pb_text_str(&t));
	}
	return m;
}

struct stage_question {
	struct pb_msg *m;
	char *answer;
	size_t size;
	sem_t done;
};

static inline void stage_answered(struct pb_msg *m, bool handled, void *arg)
{
	struct stage_question *q = arg;
	struct pb_text t;

	pb_text_init_buf(&t, q->answer, q->size);
	pb_text_addf(&t, "%s '%.*s' %.*s", handled ? "true" : "false", PB_STR_F(pb_msg_retval(m)),
		     PB_STR_F(pb_msg_name(m)));
	for (size_t i = 0; i < pb_msg_count(m); i++)
		pb_text_addf(&t, " %.*s=%.*s", PB_STR_F(pb_msg_at(m, i)->name),
			     PB_STR_F(pb_msg_at(m, i)->value));
	pb_text_addc(&t, '\0');
	pb_msg_free(&m);
	sem_post(&q->done);
}

static inline void stage_dispatch(void *arg)
{
	struct stage_question *q = arg;

	pb_bus_dispatch(pb_engine_bus(stage), q->m, NULL, stage_answered, q);
}

/**
 * Dispatch on loop `loop` and wait for the end:
 * "true 'RETVAL' NAME a=1 b=2", into `answer`.
 */
static inline struct pb_str stage_ask_into(unsigned loop, const char *text, char *answer, size_t size)
{
	struct stage_question q = { .m = stage_msg(text), .answer = answer, .size = size };

	sem_init(&q.done, 0, 0);
	pb_loop_call(pb_loops_at(pb_engine_loops(stage), loop), stage_dispatch, &q);
	while (sem_wait(&q.done) < 0)
		;
	sem_destroy(&q.done);
	return pb_str_z(answer);
}

/** The same; the view is valid until the next question. */
static inline struct pb_str stage_ask(unsigned loop, const char *text)
{
	static char answer[8192];

	return stage_ask_into(loop, text, answer, sizeof(answer));
}

/** Wait until what was enqueued before on that loop has run. */
static inline void stage_nothing(void *arg)
{
	(void)arg;
}
static inline void stage_settle(void)
{
	for (unsigned i = 0; i < 6; i++)
		pb_loop_call(pb_loops_at(pb_engine_loops(stage), i % 2), stage_nothing, NULL);
}

#endif
