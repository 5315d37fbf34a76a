/* modules/cdrfile in an engine, in simulated time; the file is real. */
#include "../../support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "bus/engine.h"
#include "loop/world.h"

extern const struct pb_module pb_module_descriptor;

static const struct pb_module *const built_in[] = { &pb_module_descriptor, NULL };
static char dir[] = "/tmp/pb-cdrfile-XXXXXX";
static struct pb_sim *sim;
static struct pb_engine *engine;

static const char *in_dir(const char *name)
{
	static char path[100];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void write_conf(const char *text)
{
	FILE *f = fopen(in_dir("cdrfile.conf"), "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(text, f);
	fclose(f);
}

static void set_up(const char *conf)
{
	struct pb_engine_args args = {
		.conf_dir = dir, .calls = 2, .scripts = 1, .built_in = built_in, .node_name = "test"
	};

	strcpy(dir + sizeof(dir) - 7, "XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	write_conf(conf);
	CU_ASSERT_EQUAL_FATAL(pb_sim_new(1, &sim), 0);
	args.world = pb_sim_world(sim);
	CU_ASSERT_EQUAL_FATAL(pb_engine_new(&args, NULL, &engine), 0);
	CU_ASSERT_EQUAL_FATAL(pb_engine_start(engine), 0);
	pb_sim_run(sim, 1, NULL, NULL);
}

static void tear_down(void)
{
	static const char *const files[] = { "cdrfile.conf", "cdr", "old", "sub/cdr" };

	pb_engine_stop(engine);
	pb_engine_free(&engine);
	pb_sim_free(&sim);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		unlink(in_dir(files[i]));
	rmdir(in_dir("sub"));
	rmdir(dir);
}

static void dispatch(void *arg)
{
	pb_bus_dispatch(pb_engine_bus(engine), arg, NULL, NULL, NULL);
}

static void record(unsigned loop, const char *chan, const char *operation, const char *more)
{
	struct pb_msg *m = pb_msg_new(PB_STR("call.cdr"));

	pb_msg_set_broadcast(m, true);
	pb_msg_add(m, PB_STR("chan"), pb_str_z(chan));
	pb_msg_add(m, PB_STR("operation"), pb_str_z(operation));
	if (more)
		pb_msg_add(m, pb_str_z(more), PB_STR("false"));
	pb_loop_call(pb_loops_at(pb_engine_loops(engine), loop), dispatch, m);
}

static void file_is(const char *name, const char *want)
{
	char buf[1000];
	FILE *f = fopen(in_dir(name), "r");
	size_t n = f ? fread(buf, 1, sizeof(buf), f) : 0;

	if (f)
		fclose(f);
	PB_SAME(pb_str(buf, n), want);
}

static void writing(void)
{
	struct stat st;

	set_up("[general]\nfile=${configpath}/cdr\nformat=${chan}\nmode=0600\n");
	record(0, "sip/1", "initialize", NULL);
	record(0, "sip/2", "finalize", NULL);
	record(1, "sip/3\nsip/4", "finalize", NULL);
	record(1, "sip/5", "finalize", "cdrwrite");
	record(1, "sip/6", "finalize", "cdrwrite_cdrfile");
	record(1, "R", "combined", NULL);
	pb_sim_run(sim, 10, NULL, NULL);
	CU_ASSERT_EQUAL(stat(in_dir("cdr"), &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
	rename(in_dir("cdr"), "/tmp/pb-cdrfile-moved");
	record(1, "sip/7", "finalize", NULL);
	pb_sim_run(sim, 10, NULL, NULL);
	rename("/tmp/pb-cdrfile-moved", in_dir("old"));
	CU_ASSERT_EQUAL(pb_engine_reload_now(engine, PB_STR("cdrfile"), NULL), 0);
	record(1, "sip/8", "finalize", NULL);
	pb_engine_stop(engine); /* at once: nothing may be lost */
	file_is("old", "sip/2\nsip/3\\nsip/4\nsip/7\n");
	file_is("cdr", "sip/8\n");
	tear_down();
}

static void retrying(void)
{
	set_up("[general]\nfile=${configpath}/sub/cdr\nformat=${chan}\n");
	record(0, "sip/1", "finalize", NULL);
	record(0, "sip/2", "finalize", NULL);
	pb_sim_run(sim, 10, NULL, NULL);
	CU_ASSERT_EQUAL(mkdir(in_dir("sub"), 0700), 0);
	pb_sim_run(sim, 5000, NULL, NULL);
	file_is("sub/cdr", "sip/1\nsip/2\n");
	tear_down();
}

/* Records of calls; another file, and none, by reload. */
static void combined(void)
{
	set_up("[general]\nfile=${configpath}/cdr\nformat=${chan} ${out_leg.chan$-}\ncombined=yes\n");
	record(0, "sip/1", "finalize", NULL);
	record(0, "sip/2", "combined", NULL);
	record(0, "sip/3", "combined", "cdrwrite_cdrfile");
	pb_sim_run(sim, 10, NULL, NULL);
	file_is("cdr", "sip/2 -\n");
	write_conf("[general]\nfile=${configpath}/old\nformat=${chan}\n");
	CU_ASSERT_EQUAL(pb_engine_reload_now(engine, PB_STR("cdrfile"), NULL), 0);
	record(1, "sip/4", "combined", NULL);
	record(1, "sip/5", "finalize", NULL);
	pb_sim_run(sim, 10, NULL, NULL);
	file_is("old", "sip/5\n");
	write_conf("[general]\nfile=${configpath}/sub/cdr\n"); /* not there: kept ... */
	CU_ASSERT_EQUAL(pb_engine_reload_now(engine, PB_STR("cdrfile"), NULL), 0);
	record(1, "sip/6", "finalize", NULL);
	pb_sim_run(sim, 10, NULL, NULL);
	write_conf(""); /* ... until there is no file at all */
	CU_ASSERT_EQUAL(pb_engine_reload_now(engine, PB_STR("cdrfile"), NULL), 0);
	record(1, "sip/7", "finalize", NULL);
	pb_sim_run(sim, 10000, NULL, NULL);
	write_conf("[general]\nfile=${configpath}/old\nformat=${chan}\n");
	CU_ASSERT_EQUAL(pb_engine_reload_now(engine, PB_STR("cdrfile"), NULL), 0);
	pb_sim_run(sim, 10000, NULL, NULL);
	file_is("cdr", "sip/2 -\n");
	file_is("old", "sip/5\n");
	tear_down();
}

static void inactive(void)
{
	set_up("");
	record(0, "sip/1", "finalize", NULL);
	pb_sim_run(sim, 10, NULL, NULL);
	CU_ASSERT_NOT_EQUAL(access(in_dir("cdr"), F_OK), 0);
	tear_down();
}

PB_TESTS("cdrfile", { "writing", writing }, { "retrying", retrying }, { "inactive", inactive },
	 { "combined", combined })
