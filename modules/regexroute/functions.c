/*
 * $(functions) of rules: one row each. Arguments are what stands between the
 * commas, not trimmed; one that begins with '$' is replaced by that variable
 * where the row says so.
 */
#include "regexroute/expand.h"

#include <errno.h>

#define ARGS_MAX 64
/* Lists of variables are cut after so many octets. */
#define LIST_MAX 8100

struct call {
	struct regex_expand *x;
	struct pb_arena *into;
	struct pb_str rest;           /* everything behind the first comma */
	struct pb_str raw[ARGS_MAX];  /* as written */
	struct pb_str args[ARGS_MAX]; /* variables replaced */
	size_t n;
	int op; /* of the row */
};

typedef struct pb_str (*call_fn)(struct call *c);

struct row {
	struct pb_str name;
	call_fn fn;
	int op;
	bool variables; /* arguments may be $names */
	bool whole;     /* one argument, commas and all */
	bool bare;      /* also without a comma */
};

static struct pb_str arg(const struct call *c, size_t i)
{
	return i < c->n ? c->args[i] : PB_STR("");
}

/* Decimal, 32 bit; what is no number is 0. */
static int32_t number(struct pb_str s)
{
	int64_t v = 0;

	return pb_str_to_i64(s, 10, INT32_MIN, INT32_MAX, &v) ? 0 : (int32_t)v;
}

static struct pb_str truth(bool b)
{
	return b ? PB_STR("true") : PB_STR("false");
}

static struct pb_str decimal(struct call *c, int64_t v)
{
	return pb_arena_printf(c->into, "%lld", (long long)v);
}

/* The name in "$name"; absent when it is none. */
static struct pb_str variable_name(struct pb_str s)
{
	return s.n > 1 && s.p[0] == '$' ? pb_str_from(s, 1) : PB_STR_NULL;
}

static struct pb_str variable(struct regex_expand *x, struct pb_str name)
{
	struct pb_str v = regex_vars_get(x->env->vars, name, x->into);

	return v.p ? v : PB_STR("");
}

static struct pb_str ask(struct call *c, struct pb_str a, struct pb_str b)
{
	const struct regex_env *env = c->x->env;
	struct pb_str v =
		env->ask ? env->ask(env->arg, (enum regex_ask)c->op, a, b, c->into) : PB_STR_NULL;

	return v.p ? v : PB_STR("");
}

/* ---- Text ------------------------------------------------------------------ */

static struct pb_str fn_length(struct call *c)
{
	return decimal(c, (int64_t)arg(c, 0).n);
}

static struct pb_str fn_case(struct call *c)
{
	struct pb_str s = pb_arena_str(c->into, arg(c, 0));
	char *p = (char *)s.p;

	for (size_t i = 0; i < s.n; i++)
		p[i] = c->op ? pb_to_upper(p[i]) : pb_to_lower(p[i]);
	return s;
}

static struct pb_str fn_chr(struct call *c)
{
	char octet = (char)number(arg(c, 0));

	return pb_arena_str(c->into, pb_str(&octet, 1));
}

static struct pb_str fn_streq(struct call *c)
{
	return truth(pb_str_eq(arg(c, 0), arg(c, 1)) == (bool)c->op);
}

static struct pb_str fn_strpos(struct call *c)
{
	return decimal(c, pb_str_find(arg(c, 1), arg(c, 0)));
}

static struct pb_str fn_random(struct call *c)
{
	struct pb_str s = pb_arena_str(c->into, arg(c, 0));
	char *p = (char *)s.p;

	for (size_t i = 0; i < s.n; i++) {
		struct pb_str digit = p[i] == '?' ? ask(c, PB_STR_NULL, PB_STR_NULL) : PB_STR("");

		if (digit.n)
			p[i] = digit.p[0];
	}
	return s;
}

/* N[,LEN[,SEP]]: the octets of N, lowest first. */
static struct pb_str fn_hex(struct call *c)
{
	static const char digits[] = "0123456789abcdef";
	struct pb_str sep = c->n > 2 ? pb_str_head(arg(c, 2), 1) : PB_STR(" ");
	int64_t v = 0, len = 0;
	char buf[12];
	size_t n = 0;

	if (pb_str_to_i64(arg(c, 0), 0, INT32_MIN, UINT32_MAX, &v))
		v = 0;
	if (pb_str_to_i64(arg(c, 1), 0, 0, 4, &len) == -EINVAL)
		len = 0;
	v &= UINT32_MAX;
	for (int i = 0; i < 4 && (i < len || (!len && (v || !i))); i++, v >>= 8) {
		if (i && sep.n)
			buf[n++] = sep.p[0];
		buf[n++] = digits[(v >> 4) & 15];
		buf[n++] = digits[v & 15];
	}
	return pb_arena_str(c->into, pb_str(buf, n));
}

/* ---- Numbers ------------------------------------------------------------------ */

static int32_t calculate(int op, int64_t a, int64_t b)
{
	switch (op) {
	case '+':
		return (int32_t)(uint32_t)(a + b);
	case '-':
		return (int32_t)(uint32_t)(a - b);
	case '*':
		return (int32_t)(uint32_t)(a * b);
	case '/':
		return b ? (int32_t)(uint32_t)(a / b) : 0;
	default:
		return b ? (int32_t)(a % b) : 0;
	}
}

/* A,B[,LEN]: padded to the length of A as it was written. */
static struct pb_str fn_arithmetic(struct call *c)
{
	int64_t len = (int64_t)(c->n ? c->raw[0].n : 0);

	if (c->n > 2)
		len = number(arg(c, 2));
	if (len < 0 || len > 255)
		len = 0;
	return pb_arena_printf(c->into, "%0*ld", (int)len,
			       (long)calculate(c->op, number(arg(c, 0)), number(arg(c, 1))));
}

enum { EQ = 1, LT = 2, GT = 4 };

static struct pb_str fn_compare(struct call *c)
{
	int32_t a = number(arg(c, 0)), b = number(arg(c, 1));

	return truth((c->op & (a == b ? EQ : a < b ? LT : GT)) != 0);
}

/* "++X", "--X": with a $name the variable itself counts. */
static struct pb_str step(struct regex_expand *x, struct pb_str what, int delta)
{
	struct pb_str name = variable_name(what);
	int64_t was = name.p ? regex_vars_count(x->env->vars, name, delta, 0) : number(what);

	return pb_arena_printf(x->into, "%ld", (long)(int32_t)(was + delta));
}

/* ---- Lists ----------------------------------------------------------------------- */

/* N modulo the number of items behind it; a $name is moved on. */
static size_t position(struct call *c)
{
	int64_t count = (int64_t)c->n - 1, at;
	struct pb_str name = c->n ? variable_name(c->raw[0]) : PB_STR_NULL;

	if (count < 1)
		return 0;
	at = name.p ? regex_vars_count(c->x->env->vars, name, 1, count) : number(arg(c, 0));
	return (size_t)((at % count + count) % count);
}

static struct pb_str fn_index(struct call *c)
{
	return arg(c, 1 + position(c));
}

static struct pb_str fn_rotate(struct call *c)
{
	size_t count = c->n > 1 ? c->n - 1 : 0, from = position(c);
	struct pb_str list = PB_STR("");

	for (size_t i = 0; i < count; i++)
		list = pb_arena_printf(c->into, "%.*s%s%.*s", PB_STR_F(list), i ? " " : "",
				       PB_STR_F(arg(c, 1 + (from + i) % count)));
	return list;
}

/* ---- The engine, the message, the variables ------------------------------------------ */

static struct pb_str fn_ask(struct call *c)
{
	return ask(c, arg(c, 0), arg(c, 1));
}

static struct pb_str param_names(struct call *c, struct pb_str sep)
{
	struct pb_str list = PB_STR("");

	for (size_t i = 0; i < pb_msg_count(c->x->msg); i++)
		list = pb_arena_printf(c->into, "%.*s%.*s%.*s", PB_STR_F(list), i ? (int)sep.n : 0,
				       sep.p, PB_STR_F(pb_msg_at(c->x->msg, i)->name));
	return list;
}

static struct pb_str fn_message(struct call *c)
{
	const struct pb_msg *m = c->x->msg;
	struct pb_str what = arg(c, 0);

	if (!what.n || pb_str_eq(what, PB_STR("name")))
		return pb_msg_name(m);
	if (pb_str_eq(what, PB_STR("time")))
		return decimal(c, (int64_t)(pb_msg_time_us(m) / 1000000));
	if (pb_str_eq(what, PB_STR("broadcast")))
		return truth(pb_msg_broadcast(m));
	if (pb_str_eq(what, PB_STR("retval")))
		return pb_msg_retval(m);
	if (pb_str_eq(what, PB_STR("count")))
		return decimal(c, (int64_t)pb_msg_count(m));
	if (pb_str_eq(what, PB_STR("parameters")))
		return param_names(c, c->n > 1 ? arg(c, 1) : PB_STR(","));
	return PB_STR("");
}

static struct pb_str fn_variables(struct call *c)
{
	struct regex_vars *v = c->x->env->vars;
	struct pb_str what = arg(c, 0);

	if (pb_str_eq(what, PB_STR("count")))
		return decimal(c, (int64_t)regex_vars_total(v));
	if (pb_str_eq(what, PB_STR("list")))
		return regex_vars_list(v, c->n > 1 ? arg(c, 1) : PB_STR(","), LIST_MAX, c->into);
	return truth(regex_vars_get(v, what, c->into).p != NULL);
}

/* FLAGS,F1,F2...: this engine passes media through, so a format reaches itself. */
static struct pb_str fn_transcode(struct call *c)
{
	struct pb_str list = PB_STR("");

	if (pb_str_chr(arg(c, 0), 'e') >= 0)
		return list;
	for (size_t i = 1; i < c->n; i++)
		list = pb_arena_printf(c->into, "%.*s%s%.*s", PB_STR_F(list), i > 1 ? "," : "",
				       PB_STR_F(c->args[i]));
	return list;
}

static struct pb_str fn_constant(struct call *c)
{
	char octet = (char)c->op;

	return pb_arena_str(c->into, pb_str(&octet, 1));
}

/* ---- The table -------------------------------------------------------------------------- */

#define ROW(text, function, ...)                                                                   \
	{                                                                                          \
		.name = PB_STR_INIT(text), .fn = function, __VA_ARGS__                             \
	}

static const struct row rows[] = {
	ROW("", fn_constant, .op = ';', .bare = true),
	ROW("$", fn_constant, .op = '$', .bare = true),
	ROW("length", fn_length, .variables = true, .whole = true),
	ROW("upper", fn_case, .op = 1, .variables = true, .whole = true),
	ROW("lower", fn_case, .op = 0, .variables = true, .whole = true),
	ROW("chr", fn_chr, .variables = true),
	ROW("streq", fn_streq, .op = 1, .variables = true),
	ROW("strne", fn_streq, .op = 0, .variables = true),
	ROW("strpos", fn_strpos, .variables = true),
	ROW("add", fn_arithmetic, .op = '+', .variables = true),
	ROW("+", fn_arithmetic, .op = '+', .variables = true),
	ROW("sub", fn_arithmetic, .op = '-', .variables = true),
	ROW("-", fn_arithmetic, .op = '-', .variables = true),
	ROW("mul", fn_arithmetic, .op = '*', .variables = true),
	ROW("*", fn_arithmetic, .op = '*', .variables = true),
	ROW("div", fn_arithmetic, .op = '/', .variables = true),
	ROW("/", fn_arithmetic, .op = '/', .variables = true),
	ROW("mod", fn_arithmetic, .op = '%', .variables = true),
	ROW("%", fn_arithmetic, .op = '%', .variables = true),
	ROW("eq", fn_compare, .op = EQ, .variables = true),
	ROW("ne", fn_compare, .op = LT | GT, .variables = true),
	ROW("gt", fn_compare, .op = GT, .variables = true),
	ROW(">", fn_compare, .op = GT, .variables = true),
	ROW("lt", fn_compare, .op = LT, .variables = true),
	ROW("<", fn_compare, .op = LT, .variables = true),
	ROW("ge", fn_compare, .op = EQ | GT, .variables = true),
	ROW("le", fn_compare, .op = EQ | LT, .variables = true),
	ROW("random", fn_random, .op = REGEX_ASK_DIGIT, .variables = true, .whole = true),
	ROW("hex", fn_hex),
	ROW("index", fn_index, .variables = true),
	ROW("rotate", fn_rotate, .variables = true),
	ROW("config", fn_ask, .op = REGEX_ASK_CONFIG),
	ROW("engine", fn_ask, .op = REGEX_ASK_ENGINE, .variables = true),
	ROW("loaded", fn_ask, .op = REGEX_ASK_LOADED),
	ROW("message", fn_message, .bare = true),
	ROW("variables", fn_variables),
	ROW("runid", fn_ask, .op = REGEX_ASK_RUNID, .bare = true),
	ROW("nodename", fn_ask, .op = REGEX_ASK_NODENAME, .bare = true),
	ROW("threadname", fn_ask, .op = REGEX_ASK_THREADNAME, .bare = true),
	ROW("timestamp", fn_ask, .op = REGEX_ASK_TIMESTAMP, .bare = true),
	ROW("accepting", fn_ask, .op = REGEX_ASK_ACCEPTING, .bare = true),
	ROW("dispatching", fn_ask, .op = REGEX_ASK_DISPATCHING, .bare = true),
	ROW("transcode", fn_transcode),
};

static const struct row *row_of(struct pb_str name, bool bare)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (pb_str_eq(rows[i].name, name) && (!bare || rows[i].bare))
			return &rows[i];
	return NULL;
}

/* Cut at commas first and undo the shields after, argument by argument: a '$'
 * that came in as data names no variable. */
static void take_args(struct call *c, const struct row *r, bool *data)
{
	struct pb_str list = c->rest, item;
	bool any;

	while (c->n < ARGS_MAX && list.p) {
		if (r->whole) {
			item = list;
			list = PB_STR_NULL;
		} else {
			pb_str_cut(&list, ',', &item);
		}
		c->raw[c->n] = item;
		c->args[c->n] = regex_unshield(item, c->into, &any);
		*data |= any;
		if (r->variables && variable_name(item).p) {
			item = variable(c->x, pb_str_from(c->args[c->n], 1));
			c->args[c->n] = regex_unshield(item, c->into, &any);
			*data |= any;
		}
		c->n++;
	}
}

/* Whether what it answers may hold text from outside in spite of plain arguments. */
static bool answers_data(const struct row *r)
{
	return r->fn == fn_message;
}

struct pb_str regex_function(struct regex_expand *x, struct pb_str inside)
{
	struct call c = { .x = x, .into = x->into };
	struct pb_str name, value;
	const struct row *r;
	bool data = false;

	if (pb_str_starts(inside, PB_STR("++")) || pb_str_starts(inside, PB_STR("--")))
		return step(x, pb_str_from(inside, 2), inside.p[0] == '+' ? 1 : -1);
	c.rest = inside;
	if (!pb_str_cut(&c.rest, ',', &name))
		return PB_STR("");
	r = row_of(name, !c.rest.p);
	if (!r && c.rest.p) {
		regex_complain(x, "Unknown function", name);
		return PB_STR("");
	}
	if (!r)
		return variable(x, regex_unshield(name, x->into, &data));
	c.op = r->op;
	take_args(&c, r, &data);
	value = r->fn(&c);
	return data || answers_data(r) ? regex_shield(value, x->into) : value;
}
