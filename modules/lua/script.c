/*
 * A script's life. Its handlers and watches are made while its file runs and
 * put on the bus afterwards, all or none.
 *
 * Handlers run at home (PB_HOME). A watch is a hook on the message's loop,
 * where only the message is touched: a copy is posted home.
 */
#include "lua/script.h"

#include <errno.h>
#include <lauxlib.h>

#include "base/alloc.h"
#include "lua/task.h"

#define TEXTS_LIMIT_BYTES (2u << 20)
#define ERROR_LIMIT_BYTES 4096
#define ERRORS_A_SECOND   5

struct mlua_script *mlua_script_of(lua_State *L)
{
	return pb_container(mlua_sandbox_of(L), struct mlua_script, box);
}

/* ---- References ---------------------------------------------------------------------- */

void mlua_script_ref(struct mlua_script *s)
{
	s->refs++;
}

void mlua_script_unref(struct mlua_script **sp)
{
	struct mlua_script *s = *sp;

	*sp = NULL;
	if (!s || --s->refs)
		return;
	mlua_sandbox_close(&s->box);
	pb_list_remove(&s->node);
	pb_arena_free(&s->arena);
	pb_free(s);
}

/* ---- Errors ----------------------------------------------------------------------------- */

static bool may_log(struct mlua_script *s)
{
	uint64_t now_ms = pb_loop_now_ms(s->host->loop);

	if (now_ms - s->error_second_ms >= 1000 || !s->error_second_ms) {
		s->error_second_ms = now_ms ? now_ms : 1;
		s->error_logged = 0;
	}
	if (s->error_logged++ < ERRORS_A_SECOND)
		return true;
	s->error_more++;
	return false;
}

void mlua_script_count_error(struct mlua_script *s)
{
	s->errors++;
	atomic_fetch_add(&s->host->errors, 1);
}

void mlua_script_error(struct mlua_script *s, lua_State *co, const char *where)
{
	struct pb_text t;

	mlua_script_count_error(s);
	if (!may_log(s))
		return;
	pb_text_init(&t, ERROR_LIMIT_BYTES);
	if (s->error_more)
		pb_text_addf(&t, "(and %u more) ", s->error_more);
	s->error_more = 0;
	mlua_sandbox_error(&s->box, co, &t);
	pb_log(&mlua_log, &mlua_said[MLUA_SAY_ERROR], "%.*s: error in a %s: %.*s",
	       PB_STR_F(s->name), where, PB_STR_F(pb_text_str(&t)));
	pb_text_fini(&t);
}

static void on_print(void *arg, struct pb_str text)
{
	struct mlua_script *s = arg;

	pb_log_at(&mlua_log, PB_INFO, "%.*s: %.*s", PB_STR_F(s->name), PB_STR_F(text));
}

/* ---- Handlers and watches ------------------------------------------------------------------ */

static enum pb_verdict on_message(struct pb_msg *m, struct pb_ctx *cx)
{
	struct mlua_reg *r = cx->arg;

	return r->dead ? PB_PASS : mlua_task_handle(r, m);
}

/* A watched message on its way home. */
struct seen {
	struct pb_work work;
	struct mlua_reg *reg;
	struct pb_msg *m;
	bool handled;
};

static void on_seen(void *arg)
{
	struct seen *w = arg;

	if (!w->reg->dead)
		mlua_task_watch(w->reg, &w->m, w->handled);
	pb_msg_free(&w->m);
	pb_free(w);
}

/* On the loop of the message. Also at home it is put off, as the script may be
 * running there. The removal of a hook is settled behind all it has posted. */
static void on_watched(const struct pb_msg *m, bool handled, struct pb_ctx *cx)
{
	struct mlua_reg *r = cx->arg;
	struct seen *w = pb_alloc_zero(1, sizeof(*w));

	if (!w)
		return;
	w->reg = r;
	w->handled = handled;
	w->m = pb_msg_copy(m);
	w->work = (struct pb_work){ .fn = on_seen, .arg = w };
	if (w->m)
		pb_loop_post(r->script->host->loop, &w->work);
	else
		pb_free(w);
}

static int put_on_bus(struct mlua_reg *r)
{
	struct mlua_host *h = r->script->host;
	struct pb_hook_args hook = { .message = r->message.n ? r->message : PB_STR_NULL,
				     .fn = on_watched,
				     .arg = r };
	struct pb_handler_args args = {
		.message = r->message,
		.priority = r->priority,
		.place = PB_HOME,
		.home = h->loop,
		.filter_name = r->filter_name,
		.filter_value = r->filter_value,
		.track = PB_STR("lua"),
		.hold_ms = r->hold_ms,
		.fn = on_message,
		.arg = r,
	};

	return r->watch ? pb_bus_hook_add(h->bus, &hook, &r->reg)
			: pb_bus_add(h->bus, &args, NULL, NULL, &r->reg);
}

static void reg_free(struct mlua_reg *r)
{
	struct mlua_script *s = r->script;

	pb_list_remove(&r->node);
	luaL_unref(s->box.L, LUA_REGISTRYINDEX, r->fn);
	pb_free(r);
	mlua_script_unref(&s);
}

static void on_gone(void *arg)
{
	reg_free(arg);
}

static void reg_remove(struct mlua_reg *r)
{
	if (r->dead)
		return;
	r->dead = true;
	if (r->reg)
		pb_bus_remove(r->script->host->bus, &r->reg, on_gone, r);
	else
		reg_free(r);
}

int mlua_reg_add(struct mlua_script *s, lua_State *L, int fn, const struct mlua_reg *what)
{
	struct mlua_reg *r = pb_alloc_zero(1, sizeof(*r));
	int err = 0;

	if (!r)
		return -ENOMEM;
	*r = *what;
	r->script = s;
	r->message = pb_arena_str(s->arena, what->message);
	r->filter_name = pb_arena_str(s->arena, what->filter_name);
	r->filter_value = pb_arena_str(s->arena, what->filter_value);
	r->fn = LUA_NOREF;
	pb_list_push(&s->regs, &r->node);
	mlua_script_ref(s);
	if (pb_arena_failed(s->arena))
		err = -ENOMEM;
	if (!err && s->active)
		err = put_on_bus(r);
	if (err) {
		reg_free(r);
		return err;
	}
	/* May raise an error; then the handler stands without a function, which
	 * is an error whenever it is called. */
	lua_pushvalue(L, fn);
	r->fn = luaL_ref(L, LUA_REGISTRYINDEX);
	return 0;
}

/* ---- Life --------------------------------------------------------------------------------------
 */

static int open_api(lua_State *L)
{
	mlua_message_open(L);
	return mlua_api_open(L);
}

static struct mlua_script *script_new(struct mlua_host *h, const struct mlua_source *src)
{
	struct mlua_script *s = pb_alloc_zero(1, sizeof(*s));
	const struct mlua_settings *set = h->settings;

	if (!s)
		return NULL;
	s->host = h;
	s->refs = 1;
	pb_list_init(&s->tasks);
	pb_list_init(&s->regs);
	pb_list_push(&h->scripts, &s->node);
	s->box = (struct mlua_sandbox){
		.memory_limit = (size_t)set->memory_mb << 20,
		.instructions = set->instructions,
		.loop = h->loop,
		.print = on_print,
		.arg = s,
	};
	s->arena = pb_arena_new(TEXTS_LIMIT_BYTES + src->text.n);
	if (s->arena) {
		s->name = pb_arena_str(s->arena, src->name);
		s->path = pb_arena_str(s->arena, src->path);
		s->text = pb_arena_str(s->arena, src->text);
	}
	if (!s->arena || pb_arena_failed(s->arena) || mlua_sandbox_open(&s->box) < 0 ||
	    mlua_sandbox_call(&s->box, open_api, NULL) != LUA_OK)
		mlua_script_unref(&s);
	return s;
}

static int activate(struct mlua_script *s)
{
	int err = 0;

	s->active = true;
	atomic_fetch_add(&s->host->running, 1);
	pb_list_each(n, &s->regs) {
		if (!err)
			err = put_on_bus(pb_container(n, struct mlua_reg, node));
	}
	return err;
}

int mlua_script_start(struct mlua_host *h, const struct mlua_source *src, struct mlua_script **out)
{
	struct mlua_script *s = script_new(h, src);
	int err = s ? mlua_task_main(s) : -ENOMEM;

	*out = NULL;
	if (!err)
		err = activate(s);
	if (!err) {
		pb_log(&mlua_log, &mlua_said[MLUA_SAY_LOADED], "%.*s: running %.*s",
		       PB_STR_F(s->name), PB_STR_F(s->path));
		*out = s;
		return 0;
	}
	pb_log(&mlua_log, &mlua_said[MLUA_SAY_NOT_LOADED], "%.*s: %.*s does not start: %s",
	       PB_STR_F(src->name), PB_STR_F(src->path), strerror(-err));
	if (s)
		mlua_script_retire(s);
	return err;
}

static void remove_regs(struct mlua_script *s)
{
	pb_list_each_safe(n, &s->regs) {
		reg_remove(pb_container(n, struct mlua_reg, node));
	}
}

/* The handlers that wait may end first; what runs by itself ends now. */
static void kill_tasks(struct mlua_script *s, bool handlers_too)
{
	pb_list_each_safe(n, &s->tasks) {
		struct mlua_task *t = pb_container(n, struct mlua_task, node);

		if (handlers_too || t->kind != MLUA_HANDLER)
			mlua_task_kill(t);
	}
}

static void leave(struct mlua_script *s, bool handlers_too)
{
	bool had = !s->retired;

	mlua_script_ref(s);
	if (s->active)
		atomic_fetch_sub(&s->host->running, 1);
	s->active = false;
	s->retired = true;
	remove_regs(s);
	kill_tasks(s, handlers_too);
	if (had)
		s->refs--;
	mlua_script_unref(&s);
}

void mlua_script_retire(struct mlua_script *s)
{
	leave(s, false);
}

void mlua_script_kill(struct mlua_script *s)
{
	leave(s, true);
}

struct mlua_script *mlua_script_find(struct mlua_host *h, struct pb_str name)
{
	pb_list_each(n, &h->scripts) {
		struct mlua_script *s = pb_container(n, struct mlua_script, node);

		if (!s->retired && pb_str_eq(s->name, name))
			return s;
	}
	return NULL;
}
