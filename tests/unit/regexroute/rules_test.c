/*
 * modules/regexroute: rules against messages. Each case is a configuration, a
 * message, and what comes out: effects in order, then the result and the
 * message's parameters.
 */
#include "../../support/test.h"

#include "base/text.h"
#include "regexroute/eval.h"

/* ---- The stage ------------------------------------------------------------ */

static struct pb_arena *arena;
static struct regex_vars *vars;
static struct pb_text seen;

static struct pb_str ask(void *arg, enum regex_ask what, struct pb_str a, struct pb_str b,
			 struct pb_arena *into)
{
	(void)arg;
	switch (what) {
	case REGEX_ASK_CONFIG:
		return pb_arena_printf(into, "[%.*s]%.*s", PB_STR_F(a), PB_STR_F(b));
	case REGEX_ASK_ENGINE:
		return pb_str_eq(a, PB_STR("version")) ? PB_STR("1.0") : PB_STR_NULL;
	case REGEX_ASK_LOADED:
		return pb_str_eq(a, PB_STR("sip")) ? PB_STR("true") : PB_STR("false");
	case REGEX_ASK_RUNID:
		return PB_STR("77");
	case REGEX_ASK_NODENAME:
		return PB_STR("node");
	case REGEX_ASK_THREADNAME:
		return PB_STR("loop");
	case REGEX_ASK_TIMESTAMP:
		return PB_STR("1700000000");
	case REGEX_ASK_ACCEPTING:
		return PB_STR("accept");
	case REGEX_ASK_DISPATCHING:
		return PB_STR("0");
	case REGEX_ASK_DIGIT:
		return PB_STR("7");
	}
	return PB_STR_NULL;
}

static struct regex_env env = { .ask = ask };

static bool is_settings(struct pb_str section)
{
	return pb_str_eq(section, PB_STR("priorities"));
}

static const char DEFAULT_RULE[] = "^\\(false\\|no\\|off\\|disable\\|f\\|0*\\)$^";

struct setting {
	struct pb_conf *conf;
	struct pb_findings *findings;
	const struct regex_rules *rules;
};

static bool setting_new(struct setting *s, const char *text, unsigned flags)
{
	struct regex_rules_args args = { .pattern_flags = flags,
					 .default_rule = pb_str_z(DEFAULT_RULE),
					 .max_depth = 5,
					 .is_settings = is_settings };

	*s = (struct setting){ .findings = pb_findings_new() };
	if (pb_conf_parse("t", pb_str_z(text), NULL, s->findings, &s->conf))
		return false;
	args.conf = s->conf;
	return !regex_rules_new(&args, arena, s->findings, &s->rules);
}

static void setting_fini(struct setting *s)
{
	pb_findings_free(&s->findings);
	pb_conf_free(&s->conf);
}

static void tell_msg(const struct pb_msg *m, bool all)
{
	pb_text_add(&seen, pb_msg_name(m));
	for (size_t i = 0; all && i < pb_msg_count(m); i++)
		pb_text_addf(&seen, " %.*s=%.*s", PB_STR_F(pb_msg_at(m, i)->name),
			     PB_STR_F(pb_msg_at(m, i)->value));
}

/* One effect as "what text;". */
static void tell(enum regex_effect effect, struct regex_request *r, const struct pb_msg *m)
{
	static const char names[][12] = { "", "print", "log", "complain", "rename", "enqueue",
					  "dispatch", "wait" };

	pb_text_addf(&seen, "%s ", names[effect]);
	if (effect == REGEX_DO_WAIT)
		pb_text_addf(&seen, "%u", r->wait_ms);
	else if (r->msg)
		tell_msg(r->msg, true);
	else
		pb_text_add(&seen, r->text);
	if (effect == REGEX_DO_LOG)
		pb_text_addf(&seen, "@%d", r->level);
	if (effect == REGEX_DO_NOTE_RENAME)
		pb_text_addf(&seen, "->%.*s", PB_STR_F(pb_msg_name(m)));
	if (effect >= REGEX_DO_NOTE_RENAME && effect <= REGEX_DO_DISPATCH)
		pb_text_addf(&seen, " #%zu", r->number);
	pb_text_addc(&seen, ';');
	pb_msg_free(&r->msg);
}

/* A message from "name a=1 b=2". */
static struct pb_msg *msg_of(const char *text)
{
	struct pb_str rest = pb_str_z(text), word, key;
	struct pb_msg *m;

	if (!pb_str_word(&rest, &word))
		return NULL;
	m = pb_msg_new(word);
	while (m && pb_str_word(&rest, &word)) {
		pb_str_cut(&word, '=', &key);
		pb_msg_add(m, key, word.p ? word : PB_STR(""));
	}
	return m;
}

/* Run context "c" with parameter `t` as the match string. */
static struct pb_str run_flags(const char *conf, const char *message, unsigned flags)
{
	struct setting s;
	struct pb_msg *m = msg_of(message);
	struct regex_eval_args args = { .env = &env, .context = PB_STR("c") };
	struct regex_eval *e = NULL;
	struct regex_request r;
	enum regex_effect effect;

	pb_text_reset(&seen);
	if (setting_new(&s, conf, flags) && m) {
		args.rules = s.rules;
		args.text = pb_msg_get(m, PB_STR("t"));
		e = regex_eval_new(&args);
	}
	if (e) {
		while ((effect = regex_eval_step(e, m, &r)) != REGEX_DO_FINISH)
			tell(effect, &r, m);
		pb_text_addf(&seen, "%s", regex_eval_holds(e) ? "true" : "false");
		if (regex_eval_result(e).p)
			pb_text_addf(&seen, " [%.*s]", PB_STR_F(regex_eval_result(e)));
		pb_text_lit(&seen, " ");
		tell_msg(m, true);
	}
	regex_eval_free(&e);
	pb_msg_free(&m);
	setting_fini(&s);
	return pb_text_str(&seen);
}

struct row {
	const char *rules, *message, *want;
};

static void begin(void)
{
	arena = pb_arena_new(64u << 20);
	vars = regex_vars_new();
	env.vars = vars;
	pb_text_init(&seen, 1 << 20);
}

static void end(void)
{
	pb_text_fini(&seen);
	regex_vars_free(&vars);
	pb_arena_free(&arena);
}

static void check_flags(const struct row *rows, size_t n, unsigned flags)
{
	for (size_t i = 0; i < n; i++) {
		char conf[4096];
		struct pb_text t;

		begin();
		pb_text_init_buf(&t, conf, sizeof(conf));
		if (rows[i].rules[0] != '[')
			pb_text_lit(&t, "[c]\n");
		pb_text_add(&t, pb_str_z(rows[i].rules));
		pb_text_addc(&t, '\0');
		PB_SAME(run_flags(conf, rows[i].message, flags), rows[i].want);
		end();
	}
}

#define CHECK(rows) check_flags(rows, sizeof(rows) / sizeof((rows)[0]), 0)

/* ---- Conditions --------------------------------------------------------------- */

static void conditions(void)
{
	static const struct row rows[] = {
		{ "^1=a", "m t=12", "true [a] m t=12" },
		{ "^2=a\n^1=b", "m t=12", "true [b] m t=12" },
		{ "^2=a", "m t=12", "false m t=12" },
		{ ".*=\\0", "m t=12", "true [12] m t=12" },
		/* no group: \1 is the whole match too; \9 is nothing */
		{ "^12=\\0-\\1-\\2-\\9", "m t=123", "true [12-12--] m t=123" },
		{ "^1\\(.\\)=\\0-\\1-\\2", "m t=123", "true [12-2-] m t=123" },
		{ "^\\(x\\)*1=\\1", "m t=1", "true [1] m t=1" },
		{ "\\(2\\)=\\1\\\\1\\a", "m t=123", "true [2\\1\\a] m t=123" },
		/* parameters */
		{ "${a}^x=ok", "m a=x", "true [ok] m a=x" },
		{ "${a}^x=ok", "m", "false m" },
		{ "${a$x}^x=ok", "m", "true [ok] m" },
		{ "${a$x}^x=ok", "m a=", "false m a=" },
		{ "${a}^$=ok", "m", "true [ok] m" },
		{ "${ a $ x y } ^x y$ =ok", "m", "true [ok] m" },
		{ "${a}\\(.\\)$=\\1", "m a=xyz", "true [z] m a=xyz" },
		/* no expression: is it set? */
		{ "${a}=yes", "m a=1", "true [yes] m a=1" },
		{ "${a}=yes", "m a=false", "false m a=false" },
		{ "${a}=yes", "m a=000", "false m a=000" },
		{ "${a}=yes", "m a=", "false m a=" },
		{ "${a}=yes", "m", "false m" },
		{ "${a}^=no", "m", "true [no] m" },
		{ "${a}^=no", "m a=x", "false m a=x" },
		/* negation */
		{ "^99.*$^=return", "m t=12", "false m t=12" },
		{ "^99.*$^=<\\0>", "m t=12", "true [<>] m t=12" },
		{ "^99.*$^=a\n.*=b", "m t=991", "true [b] m t=991" },
		{ "${a}^x^=a", "m a=y", "true [a] m a=y" },
		/* functions on the left */
		{ "$(length,${a})^3$=ok", "m a=abc", "true [ok] m a=abc" },
		{ "$(streq,${a},abc)=ok", "m a=abc", "true [ok] m a=abc" },
		{ "$(streq,${a},abc)=ok", "m a=x", "false m a=x" },
		{ "$(streq,${a},abc)^=not", "m a=x", "true [not] m a=x" },
		/* the matched text is trimmed, an empty one can match */
		{ "^$=empty", "m", "true [empty] m" },
		/* what cannot be understood never holds */
		{ "${a=x\n.*=y", "m", "true [y] m" },
		{ "${}x=x\n.*=y", "m", "true [y] m" },
		{ "\\(=x\n.*=y", "m t=(", "true [y] m t=(" },
	};

	CHECK(rows);
}

static void chains(void)
{
	static const struct row rows[] = {
		{ "^1\\(..\\)$=if ${caller}^2\\(..\\)$=sip/sip:\\1@a.example", "m t=123 caller=245",
		  "true [sip/sip:45@a.example] m t=123 caller=245" },
		{ "^1=if ${x}y=r", "m t=1 x=n", "false m t=1 x=n" },
		{ "^5=or ${vip}=goto vip\n[vip]\n.*=v", "m t=4 vip=yes", "true [v] m t=4 vip=yes" },
		{ "^5=or ${vip}=goto vip\n[vip]\n.*=v", "m t=5", "true [v] m t=5" },
		{ "^5=or ${vip}=goto vip\n[vip]\n.*=v", "m t=4", "false m t=4" },
		/* A or B and C = A or (B and C) */
		{ "${a}=or ${b}=and ${c}=r", "m a=1", "true [r] m a=1" },
		{ "${a}=or ${b}=and ${c}=r", "m b=1", "false m b=1" },
		{ "${a}=or ${b}=and ${c}=r", "m b=1 c=1", "true [r] m b=1 c=1" },
		{ "${a}=or ${b}=and ${c}=r", "m c=1", "false m c=1" },
		/* A and B or C = A and (B or C) */
		{ "${a}=and ${b}=or ${c}=r", "m a=1 c=1", "true [r] m a=1 c=1" },
		{ "${a}=and ${b}=or ${c}=r", "m c=1", "false m c=1" },
		{ "${a}=if ${b}=if ${c}=r", "m a=1 b=1 c=1", "true [r] m a=1 b=1 c=1" },
		/* \N are of the last condition evaluated */
		{ "\\(.\\)$=or ${a}x=\\1", "m t=12 a=x", "true [2] m t=12 a=x" },
		/* the match string is tested again */
		{ "^1=if 2$=r", "m t=12", "true [r] m t=12" },
		{ "^1=if 3$=r", "m t=12", "false m t=12" },
		{ "^1=iffy", "m t=1", "true [iffy] m t=1" },
		{ "^1=or x", "m t=1", "false m t=1" },
	};

	CHECK(rows);
}

/* ---- Actions --------------------------------------------------------------------- */

static void assignments(void)
{
	static const struct row rows[] = {
		{ ".*=;a=1;b = 2 ;c", "m c=3 a=0", "false m a=1 b=2" },
		{ ".*=r;a=${t}x", "m t=5", "true [r] m t=5 a=5x" },
		/* pieces see the ones before, the action does not */
		{ ".*=${a};a=1;b=${a}", "m a=0", "true [0] m a=1 b=1" },
		{ ".*=;a=1;b=${a}\n.*=${a}", "m", "true [1] m a=1 b=1" },
		/* the split comes first */
		{ ".*=;a=${t}", "m t=x;y", "false m t=x;y a=x;y" },
		{ ".*=;a=1$()2", "m", "false m a=1;2" },
		{ ".*=;;a=;", "m a=1", "false m a=" },
		{ ".*=;a=b=c", "m", "false m a=b=c" },
		{ ".*=;$v=x${t}\n.*=$(v)", "m t=1", "true [x1] m t=1" },
		{ ".*=;$v=x\n.*=;$v\n.*=<$(v)>", "m", "true [<>] m" },
		/* the action word may come from a substitution */
		{ ".*=go${x} d\n[d]\n.*=r", "m x=to", "true [r] m x=to" },
	};

	CHECK(rows);
}

static void actions(void)
{
	static const struct row rows[] = {
		{ ".*=\n.*=noop\n.*=r", "m", "true [r] m" },
		{ ".*=return\n.*=r", "m", "false m" },
		{ ".*=return true\n.*=r", "m", "true m" },
		{ ".*=return yes;a=1", "m", "true m a=1" },
		{ ".*=return maybe", "m", "false m" },
		{ ".*=returned", "m", "true [returned] m" },
		{ ".*=-;error=noroute;reason=Unknown number", "m",
		  "true [-] m error=noroute reason=Unknown number" },
		{ ".*=goto x\n.*=never\n[x]\n.*=;a=1", "m", "false m a=1" },
		{ ".*=goto x\n.*=never\n[x]\n.*=r", "m", "true [r] m" },
		{ ".*=jump x y\n[x y]\n.*=r", "m", "true [r] m" },
		{ ".*=goto zone_${zone$none}\n[zone_none]\n.*=n\n[zone_1]\n.*=one", "m zone=1",
		  "true [one] m zone=1" },
		{ ".*=include x\n.*=after\n[x]\n.*=;a=1", "m", "true [after] m a=1" },
		{ ".*=call x\n.*=after\n[x]\n.*=r", "m", "true [r] m" },
		{ ".*=call x\n.*=after\n[x]\n.*=return true", "m", "true m" },
		/* goto inside a call comes back to the caller of the call */
		{ ".*=call x\n.*=after\n[x]\n.*=goto y\n.*=never\n[y]\n.*=;a=1", "m",
		  "true [after] m a=1" },
		{ ".*=call nowhere\n.*=r", "m", "complain Missing target context 'nowhere';true [r] m" },
		{ ".*=@call nowhere\n.*=r", "m", "true [r] m" },
		{ ".*=goto nowhere\n.*=r", "m", "complain Missing target context 'nowhere';false m" },
		{ ".*=@goto nowhere\n.*=r", "m", "false m" },
		{ "^9\\(0.*\\)$=match \\1\n^0=\\0", "m t=901", "true [0] m t=901" },
		{ ".*=match\n^1=r", "m t=1", "true [r] m t=1" },
		/* a called context's match string stays */
		{ ".*=call x\n.*=\\0\n[x]\n.*=newmatch new", "m t=old", "true [new] m t=old" },
		{ ".*=;t=new\n.*=\\0", "m t=old", "true [old] m t=new" },
		{ ".*=rename call.route;message=msg.route", "msg.route",
		  "rename msg.route->call.route #1;false call.route message=msg.route" },
		{ ".*=retval x\n.*=return", "m", "false [x] m" },
		{ ".*=retval x\n.*=return true", "m", "true [x] m" },
		{ ".*=echo a ${t};b", "m t=1", "print a 1;b;false m t=1" },
		{ ".*=output <\\0>", "m t=1", "print <1>;false m t=1" },
		{ ".*=debug x", "m", "log x@10;false m" },
		{ ".*=debug 5 x y", "m", "log x y@5;false m" },
		{ ".*=debug 99 x", "m", "log x@10;false m" },
		{ ".*=debug -3 x", "m", "log x@1;false m" },
		{ ".*=msleep 20\n.*=r", "m", "wait 20;true [r] m" },
		{ ".*=msleep 0\n.*=r", "m", "true [r] m" },
		{ "^2=x\n.*=enqueue a.b;c=${t};d=", "m t=1", "enqueue a.b c=1 d= #2;false m t=1" },
		{ ".*=dispatch a.b;$v=1;c=${t};t=2\n.*=${t}$(v)", "m t=1",
		  "dispatch a.b c=1 t=2 #1;true [11] m t=1" },
		{ ".*=enqueue ${none};a=b", "m", "false m" },
		{ ".*=;call=x;sip\n.*=-", "m", "true [-] m call=x" },
		/* loops end */
		{ ".*=goto c", "m", "complain Possible loop detected, current context 'c';false m" },
		{ ".*=call c\n.*=r", "m",
		  "complain Possible loop detected, current context 'c';true [r] m" },
	};

	CHECK(rows);
}

static void blocks(void)
{
	static const char chain[] = "${billid}^$={\n"
				    "  .*=;x=1\n"
				    "} ${caller}^7={\n"
				    "  .*=;x=2\n"
				    "} ={\n"
				    "  .*=;x=3\n"
				    "}\n"
				    ".*=;end=1\n";
	static const char one_line[] = "${a}={\n.*=;x=1\n} ${b}=;x=2\n.*=;end=1\n";
	static const char nested[] = "${a}={\n"
				     "${b}={\n.*=;x=ab\n} ={\n.*=;x=a\n}\n"
				     ".*=;y=1\n"
				     "}\n"
				     ".*=;end=1\n";
	static const struct row rows[] = {
		{ chain, "m", "false m x=1 end=1" },
		{ chain, "m billid=1 caller=7", "false m billid=1 caller=7 x=2 end=1" },
		{ chain, "m billid=1", "false m billid=1 x=3 end=1" },
		{ chain, "m caller=7", "false m caller=7 x=1 end=1" },
		{ one_line, "m a=1 b=1", "false m a=1 b=1 x=1 end=1" },
		{ one_line, "m b=1", "false m b=1 x=2 end=1" },
		{ one_line, "m", "false m end=1" },
		{ nested, "m a=1 b=1", "false m a=1 b=1 x=ab y=1 end=1" },
		{ nested, "m a=1", "false m a=1 x=a y=1 end=1" },
		{ nested, "m b=1", "false m b=1 end=1" },
		{ "${a}=if ${b}={\n.*=r\n}\n.*=s", "m a=1", "true [s] m a=1" },
		{ "${a}=if ${b}={\n.*=r\n}\n.*=s", "m a=1 b=1", "true [r] m a=1 b=1" },
		{ "${a}={\n.*=return\n}\n.*=s", "m a=1", "false m a=1" },
		{ "}\n.*=r", "m", "true [r] m" },
		{ "${a}={\n.*=r", "m", "false m" },
		{ "${a}={\n.*=r", "m a=1", "true [r] m a=1" },
		{ ".*={\n.*={\n.*={\n.*={\n.*={\n.*={\n.*={\n.*={\n.*={\n.*={\n.*=r\n", "m", "true [r] m" },
		{ ".*={\n.*={\n.*={\n.*={\n.*={\n.*={\n.*={\n.*={\n.*={\n.*={\n.*={\n.*=r\n", "m",
		  "complain Block stack overflow;false m" },
	};

	CHECK(rows);
}

/* ---- Functions --------------------------------------------------------------------- */

static void functions(void)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "$()", ";" },
		{ "$($)", "$" },
		{ "$($)(length,abc)", "3" },
		{ "$(length,a,b)", "3" },
		{ "$(length,)", "0" },
		{ "$(upper,aBc,d)", "ABC,D" },
		{ "$(lower,ABC)", "abc" },
		{ "$(chr,65)", "A" },
		{ "$(streq,a,a)", "true" },
		{ "$(streq,a, a)", "false" },
		{ "$(strne,a,b)", "true" },
		{ "$(strpos,b,abc)", "1" },
		{ "$(strpos,x,abc)", "-1" },
		{ "$(add,1,2)", "3" },
		{ "$(add,007,1)", "008" },
		{ "$(+,5,3,4)", "0008" },
		{ "$(sub,5,7)", "-2" },
		{ "$(-,05,7)", "-2" },
		{ "$(-,0005,7)", "-002" },
		{ "$(mul,6,7)", "42" },
		{ "$(div,7,2)", "3" },
		{ "$(div,7,0)", "0" },
		{ "$(mod,7,4)", "3" },
		{ "$(%,7,0)", "0" },
		{ "$(add,x,1)", "1" },
		{ "$(add,2147483647,1)", "-2147483648" },
		{ "$(div,-2147483648,-1)", "-2147483648" },
		{ "$(eq,5,05)", "true" },
		{ "$(ne,5,5)", "false" },
		{ "$(gt,2,1)$(>,1,2)", "truefalse" },
		{ "$(lt,2,1)$(<,1,2)", "falsetrue" },
		{ "$(ge,2,2)$(le,3,2)", "truefalse" },
		{ "$(random,a??b)", "a77b" },
		{ "$(hex,258)", "02 01" },
		{ "$(hex,0)", "00" },
		{ "$(hex,1,3,:)", "01:00:00" },
		{ "$(hex,258,2,)", "0201" },
		{ "$(index,1,a,b,c)", "b" },
		{ "$(index,4,a,b,c)", "b" },
		{ "$(index,0)", "" },
		{ "$(rotate,1,a,b,c)", "b c a" },
		{ "$(config,general,x)", "[general]x" },
		{ "$(engine,version)", "1.0" },
		{ "$(engine,nothing)", "" },
		{ "$(loaded,sip)$(loaded,x)", "truefalse" },
		{ "$(message)", "m" },
		{ "$(message,name)", "m" },
		{ "$(message,count)", "2" },
		{ "$(message,parameters)", "t,evil" },
		{ "$(message,parameters,/)", "t/evil" },
		{ "$(message,broadcast)", "false" },
		{ "$(runid) $(nodename) $(threadname) $(timestamp) $(accepting) $(dispatching)",
		  "77 node loop 1700000000 accept 0" },
		{ "$(transcode,,alaw,mulaw)", "alaw,mulaw" },
		{ "$(v1)", "5" },
		{ "$(nothing)", "" },
		{ "$(length)", "" },
		{ "$(add,$v1,1)", "006" },
		{ "$(length,$v1)", "1" },
		{ "$(++$n)$(++$n)$(--$n)$(n)", "1211" },
		{ "$(++7)$(--0)", "8-1" },
		{ "$(index,$i,a,b)$(index,$i,a,b)$(index,$i,a,b)", "aba" },
		{ "$(rotate,$j,a,b) $(rotate,$j,a,b)", "a b b a" },
		{ "$(variables,count)", "2" },
		{ "$(variables,list)", "v1,prog" },
		{ "$(variables,list, )", "v1prog" },
		{ "$(variables,v1)$(variables,v2)", "truefalse" },
		{ "$(prog)", "3" },
		{ "$( length,x )", "1" },
		{ "$(length,x", "$(length,x" },
		/* what comes with a message is never program */
		{ "${evil}", "$(runid)${t})" },
		{ "<${evil}>$()", "<$(runid)${t})>;" },
		{ "$(length,${evil})", "13" },
		{ "$(upper,${evil})", "$(RUNID)${T})" },
		{ "$$(upper,${evil})", "$$(RUNID)${T})" },
		{ "\\1${t}$()", "$(length,abcd)$(length,abcd);" },
	};

	begin();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char conf[512], want[512];
		struct pb_text t;

		regex_vars_free(&vars);
		env.vars = vars = regex_vars_new();
		regex_vars_set(vars, PB_STR("v1"), PB_STR("5"));
		regex_vars_set(vars, PB_STR("prog"), PB_STR("$(length,abc)"));
		pb_text_init_buf(&t, conf, sizeof(conf));
		pb_text_addf(&t, "[c]\n\\(.*\\)=echo <%s>%c", rows[i].text, 0);
		pb_text_init_buf(&t, want, sizeof(want));
		pb_text_addf(&t, "print <%s>;false m t=$(length,abcd) evil=$(runid)${t})%c", rows[i].want, 0);
		PB_SAME(run_flags(conf, "m t=$(length,abcd) evil=$(runid)${t})", 0), want);
	}
	end();
}

static void complaints(void)
{
	static const struct row rows[] = {
		{ ".*=<$(nosuch,1)>", "m", "complain Unknown function 'nosuch';true [<>] m" },
		/* data kept in a variable stays data */
		{ ".*=;$v=${e}\n.*=$(v)", "m e=$(runid)", "true [$(runid)] m e=$(runid)" },
		{ ".*=;$v=${e}\n.*=$(length,$v)", "m e=$(runid)", "true [8] m e=$(runid)" },
	};

	CHECK(rows);
}

static void flavours(void)
{
	static const struct row extended[] = {
		{ "^(1|2)(.*)$=\\1-\\2", "m t=234", "true [2-34] m t=234" },
		{ "^1+$=r", "m t=111", "true [r] m t=111" },
	};
	static const struct row nocase[] = {
		{ "^AB=r", "m t=abc", "true [r] m t=abc" },
		{ "${x}^yes$=r", "m x=YES", "true [r] m x=YES" },
	};

	check_flags(extended, 2, PB_PATTERN_EXTENDED);
	check_flags(nocase, 2, PB_PATTERN_NOCASE);
}

/* ---- The chat example ---------------------------------------------------------------- */

#define CHAT                                                                                       \
	"[sip.message]\n"                                                                          \
	"${xsip_type}^$=415\n"                                                                     \
	".*=echo Got SIP MESSAGE type '${xsip_type}' ${xsip_body_encoding} from '${username}': "   \
	"${xsip_body}\n"                                                                           \
	".*=enqueue msg.execute;caller=${caller};called=${called};\\\n"                            \
	"  domain=${domain};callto=lateroute/${called};\\\n"                                       \
	"  body_encoding=${xsip_body_encoding};type=${xsip_type};text=${xsip_body}\n"              \
	".*=200\n"                                                                                 \
	"[msg.execute]\n"                                                                          \
	"${callto}^sip/\\(sip:.*\\)$=rename xsip.generate;\\\n"                                    \
	"  method=MESSAGE;uri=\\1;sip_From=<sip:${caller}@${domain$nosuch.dom}>;\\\n"              \
	"  xsip_type=${type$text/plain};xsip_body_encoding=${body_encoding};\\\n"                  \
	"  xsip_body=${text}\n"

static void chat(void)
{
	static const struct row rows[] = {
		{ CHAT "[c]\n.*=goto sip.message",
		  "sip.message username=123 caller=123 called=234 domain=h xsip_type=text/plain xsip_body=hello",
		  "print Got SIP MESSAGE type 'text/plain'  from '123': hello;"
		  "enqueue msg.execute caller=123 called=234 domain=h callto=lateroute/234 body_encoding= "
		  "type=text/plain text=hello #3;"
		  "true [200] sip.message username=123 caller=123 called=234 domain=h xsip_type=text/plain "
		  "xsip_body=hello" },
		{ CHAT "[c]\n.*=goto sip.message", "sip.message username=123",
		  "true [415] sip.message username=123" },
		{ CHAT "[c]\n.*=goto msg.execute",
		  "msg.execute caller=123 callto=sip/sip:234@1.2.3.4 text=hello body_encoding=",
		  "rename msg.execute->xsip.generate #1;"
		  "false xsip.generate caller=123 callto=sip/sip:234@1.2.3.4 text=hello body_encoding= "
		  "method=MESSAGE uri=sip:234@1.2.3.4 sip_From=<sip:123@nosuch.dom> xsip_type=text/plain "
		  "xsip_body_encoding= xsip_body=hello" },
		{ CHAT "[c]\n.*=goto msg.execute", "msg.execute callto=lateroute/234",
		  "false msg.execute callto=lateroute/234" },
	};

	CHECK(rows);
	pb_test_proves("YM-31");
	pb_test_proves("YM-37");
}

/* ---- Findings ----------------------------------------------------------------------------- */

static void findings(void)
{
	static const struct {
		const char *conf, *want;
	} rows[] = {
		{ "[c]\n.*=x\n${a}\\(1=y\n", "t:3:5: error: bad expression '\\(1'" },
		{ "[c]\n^1=if ${a}[1=y\n", "t:2:11: error: bad expression '[1'" },
		{ "[c]\n${a=y\n", "t:2:1: error: no '}' after '${': '${a'" },
		{ "[c]\n^1=or 2\n", "t:2:7: error: no '=' after a condition: '2'" },
		{ "[c]\n}\n", "t:2:1: warning: '}' closes no block" },
		{ "[c]\n\n.*={\n", "t:3:1: warning: the block is never closed" },
		{ "[c]\n^1=if 2=goto ouside\n[outside]\n.*=call c\n",
		  "t:2:4: warning: there is no context [ouside], did you mean [outside]?" },
		{ "[c]\n.*=@goto x\n.*=goto ${x}\n", "" },
		{ "[priorities]\nroute=\\(\n", "" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct setting s;

		begin();
		CU_ASSERT_TRUE(setting_new(&s, rows[i].conf, 0));
		pb_findings_print(s.findings, &seen);
		PB_SAME(pb_str_head(pb_text_str(&seen), strlen(rows[i].want)), rows[i].want);
		CU_ASSERT_EQUAL(pb_findings_count(s.findings, PB_SEV_NOTE), rows[i].want[0] ? 1 : 0);
		setting_fini(&s);
		end();
	}
}

/* ---- The index ------------------------------------------------------------------------------ */

/* With and without enough prefixes for an index the answers are the same. */
static void indexed(void)
{
	static const char *const texts[] = { "1",   "12",  "123", "77",	 "",	 "9",
					     "905", "abc", "ab",  "AbC", "12345678901234567890" };
	char small[2048], large[16384];
	struct pb_text a, b;

	pb_text_init_buf(&a, small, sizeof(small));
	pb_text_init_buf(&b, large, sizeof(large));
	pb_text_lit(&a, "[c]\n^7=seven\n^12$=exact;a=1\n^77=never\n^1=;one=${one}x\n^9\\(.*\\)$=match \\1\n"
			"^0=zero\n^5={\n.*=;five=1\n}\n^12=;p=\\0\n^123456789012345678=long\n^ab^=;not=ab\n"
			"^abc=or ${x}=abc\n^1=if 3$=three\n.*=call d\n^1=;back=1\n[d]\n^1=;d=1\n");
	pb_text_lit(&b, "[c]\n");
	for (unsigned i = 0; i < 200; i++)
		pb_text_addf(&b, "^%u0000000000000000000=no\n", i + 3000);
	pb_text_add(&b, pb_str_from(pb_text_str(&a), 4));
	pb_text_addc(&a, 0);
	pb_text_addc(&b, 0);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		for (unsigned flags = 0; flags < 3; flags += 2) {
			char message[64], want[512];
			struct pb_text t;

			pb_text_init_buf(&t, message, sizeof(message));
			pb_text_addf(&t, "m t=%s%c", texts[i], 0);
			begin();
			pb_text_init_buf(&t, want, sizeof(want));
			pb_text_add(&t, run_flags(small, message, flags));
			pb_text_addc(&t, 0);
			PB_SAME(run_flags(large, message, flags), want);
			end();
		}
	}
}

/* ---- Failures --------------------------------------------------------------------------------- */

static void one_run(void)
{
	arena = pb_arena_new(1 << 20);
	vars = regex_vars_new();
	env.vars = vars;
	pb_text_init(&seen, 1 << 20);
	if (arena && vars)
		(void)run_flags("[c]\n.*=enqueue a;b=${t};$v=${t}\n\\(.*\\)=x\\1$(v)${t};q=${t}\n^[12]*=y", "m t=1", 0);
	pb_text_fini(&seen);
	regex_vars_free(&vars);
	pb_arena_free(&arena);
}

static void allocations(void)
{
	pb_test_each_alloc(one_run);
}

/* Variables that contain themselves come to an end. */
static void endless(void)
{
	begin();
	regex_vars_set(vars, PB_STR("a"), PB_STR("$(a)$(a)"));
	(void)run_flags("[c]\n.*=;x=$(a)\n.*=r", "m", 0);
	CU_ASSERT_TRUE(pb_str_starts(pb_text_str(&seen), PB_STR("complain Endless functions")));
	end();
}

PB_TESTS("regexroute/rules", { "conditions", conditions }, { "chained conditions", chains },
	 { "assignments", assignments }, { "actions", actions }, { "blocks", blocks },
	 { "functions", functions }, { "complaints", complaints }, { "flavours", flavours },
	 { "the chat example", chat }, { "findings", findings }, { "the index changes nothing", indexed },
	 { "endless functions", endless }, { "allocation failures", allocations })
