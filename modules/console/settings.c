/*
 * rmanager.conf: every section is one listener. The rows are the description;
 * what they cannot say (defaults taken from other keys, aliases, quotes around
 * a prompt, what must not be listened on) is added here.
 */
#include "console/console.h"

#include <errno.h>

#define ROW(t, key, member) .type = t, .name = key, .at = offsetof(struct console_listener, member), .section = "*"

const struct pb_opt console_options[] = {
	{ ROW(PB_OPT_INT, "port", port), .def = 5038, .hi = 65535, .flags = PB_OPT_ONCE,
	  .doc = "TCP port; 0: this listener is off." },
	{ ROW(PB_OPT_ADDR, "addr", addr), .defs = "127.0.0.1", .flags = PB_OPT_ONCE,
	  .doc = "Address to listen on; empty: off. Beyond loopback a password is a must." },
	{ ROW(PB_OPT_STR, "header", header), .defs = CONSOLE_HEADER, .flags = PB_OPT_ONCE,
	  .doc = "First line, run parameters put in; empty: none." },
	{ ROW(PB_OPT_STR, "goodbye", goodbye), .defs = "Goodbye!", .flags = PB_OPT_ONCE,
	  .doc = "Answer to quit; empty: none." },
	{ ROW(PB_OPT_STR, "prompt", prompt), .flags = PB_OPT_ONCE,
	  .doc = "Prompt of administrators; quotes keep blanks." },
	{ ROW(PB_OPT_STR, "prompt_user", prompt_user), .flags = PB_OPT_ONCE,
	  .doc = "Prompt of users; else prompt." },
	{ ROW(PB_OPT_STR, "prompt_guest", prompt_guest), .flags = PB_OPT_ONCE,
	  .doc = "Prompt before authentication; else prompt_user." },
	{ ROW(PB_OPT_STR, "password", password), .flags = PB_OPT_ONCE | PB_OPT_SECRET,
	  .doc = "Password of administrators; empty (and no userpass): everybody is one." },
	{ ROW(PB_OPT_STR, "userpass", userpass), .flags = PB_OPT_ONCE | PB_OPT_SECRET,
	  .doc = "Password of users; empty: none is needed to be one." },
	{ ROW(PB_OPT_INT, "timeout", timeout_ms), .def = 30000, .hi = 86400000, .unit = "ms", .flags = PB_OPT_ONCE,
	  .doc = "How long to wait for authentication, if userpass is set; 0: for ever, else 5000 at least." },
	{ ROW(PB_OPT_BOOL, "logged", logged), .def = 1, .flags = PB_OPT_ONCE,
	  .doc = "Log who connects and disconnects." },
	{ ROW(PB_OPT_BOOL, "telnet", telnet), .def = 1, .flags = PB_OPT_ONCE,
	  .doc = "Begin with telnet negotiation." },
	{ ROW(PB_OPT_BOOL, "echoing", echoing), .flags = PB_OPT_ONCE,
	  .doc = "Echo from the start, without telnet only." },
	{ ROW(PB_OPT_BOOL, "color", color), .flags = PB_OPT_ONCE,
	  .doc = "Live output in colours, with telnet only." },
	{ ROW(PB_OPT_BOOL, "debug", debug), .flags = PB_OPT_ONCE,
	  .doc = "Administrators see the log from the start." },
	{ ROW(PB_OPT_BOOL, "output", output), .flags = PB_OPT_ONCE,
	  .doc = "Plain output is seen from the start (not with userpass); else as debug." },
	{ ROW(PB_OPT_BOOL, "interactive", interactive), .flags = PB_OPT_ONCE,
	  .doc = "Send every little thing at once (TCP_NODELAY)." },
	{ ROW(PB_OPT_INT, "maxhistory", history), .def = 10, .hi = CONSOLE_HISTORY_MAX, .unit = "lines",
	  .flags = PB_OPT_ONCE, .doc = "How many lines are remembered." },
	{ ROW(PB_OPT_STR, "context", context), .flags = PB_OPT_ONCE,
	  .doc = "TLS context: not supported, such a listener is not opened." },
	{ ROW(PB_OPT_STR, "domain", domain), .flags = PB_OPT_ONCE,
	  .doc = "TLS domain: not supported, such a listener is not opened." },
	{ ROW(PB_OPT_STR, "verify", verify), .flags = PB_OPT_ONCE | PB_OPT_ACCEPTED,
	  .doc = "How TLS verifies its peer." },
	{ ROW(PB_OPT_STR, "user_prefix", user_prefix), .flags = PB_OPT_ONCE,
	  .doc = "Beginnings of commands lent to users, comma list." },
	{ ROW(PB_OPT_STR, "user_regexp", user_regexp), .flags = PB_OPT_ONCE,
	  .doc = "Basic regular expression of commands lent to users." },
	{ ROW(PB_OPT_OTHER, "alias:", aliases), .flags = PB_OPT_ONCE | PB_OPT_PREFIX,
	  .doc = "alias:NAME=TEXT: an alias of every session." },
	{ PB_OPT_END },
};

bool console_is_safe(const struct console_listener *l)
{
	struct pb_addr a;

	if (l->password.n || l->userpass.n || !l->port || !l->addr.n)
		return true;
	return pb_addr_parse(l->addr, 0, &a) == 0 && pb_addr_is_loopback(&a);
}

static struct pb_str unquote(struct pb_str s)
{
	if (s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"')
		return pb_str(s.p + 1, s.n - 2);
	return s;
}

static int read_aliases(const struct pb_conf_section *s, struct console_listener *l, struct pb_arena *a)
{
	struct console_alias *list = pb_arena_alloc(a, (s->count + 1) * sizeof(*list));

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < s->count; i++) {
		struct pb_str key = s->entries[i].key;

		if (pb_str_starts(key, PB_STR("alias:")))
			list[l->alias_count++] = (struct console_alias){
				pb_arena_str(a, pb_str_from(key, 6)),
				pb_arena_str(a, s->entries[i].value),
			};
	}
	l->aliases = list;
	return 0;
}

static struct pb_pos place(const struct pb_conf_section *s, const char *key)
{
	const struct pb_conf_entry *e = pb_conf_find(s, pb_str_z(key));

	return e ? e->value_at : s->at;
}

static void check(const struct pb_conf_section *s, const struct console_listener *l, struct pb_findings *f)
{
	regex_t re;

	if (!console_is_safe(l))
		pb_findings_add(f, place(s, "addr"), PB_SEV_ERROR, console_log_rows[CONSOLE_NO_PASSWORD].id,
				"listener '%.*s' on %.*s would need a password: it is not opened",
				PB_STR_F(s->name), PB_STR_F(l->addr));
	if (l->context.n || l->domain.n)
		pb_findings_add(f, place(s, l->context.n ? "context" : "domain"), PB_SEV_WARNING,
				console_log_rows[CONSOLE_NO_TLS].id,
				"listener '%.*s' wants TLS, which is not supported: it is not opened",
				PB_STR_F(s->name));
	if (!l->user_regexp.n)
		return;
	if (regcomp(&re, l->user_regexp.p, REG_NOSUB) == 0)
		regfree(&re);
	else
		pb_findings_add(f, place(s, "user_regexp"), PB_SEV_WARNING, console_log_rows[CONSOLE_BAD_REGEX].id,
				"'%.*s' is no basic regular expression: nothing is lent to users",
				PB_STR_F(l->user_regexp));
}

static int read_listener(const struct pb_conf_section *s, struct console_listener *l, struct pb_arena *a,
			 struct pb_findings *f)
{
	int err = pb_opt_read_section(console_options, "*", s, l, a, f);

	if (!err)
		err = read_aliases(s, l, a);
	if (err)
		return err;
	l->name = pb_arena_str(a, s->name);
	l->prompt = unquote(l->prompt);
	l->prompt_user = pb_conf_find(s, PB_STR("prompt_user")) ? unquote(l->prompt_user) : l->prompt;
	l->prompt_guest = pb_conf_find(s, PB_STR("prompt_guest")) ? unquote(l->prompt_guest) : l->prompt_user;
	if (!pb_conf_find(s, PB_STR("output")))
		l->output = l->debug;
	if (l->timeout_ms && l->timeout_ms < 5000)
		l->timeout_ms = 5000;
	check(s, l, f);
	return 0;
}

int console_read(const struct pb_conf *c, void *settings, struct pb_arena *a, struct pb_findings *f)
{
	static const struct pb_conf_section all_defaults = { .name = PB_STR_INIT("general") };
	struct console_settings *set = settings;
	size_t n = pb_conf_sections(c);
	int err = 0;

	set->count = n ? n : 1;
	set->listeners = pb_arena_alloc(a, set->count * sizeof(*set->listeners));
	if (!set->listeners)
		return -ENOMEM;
	if (!n)
		return read_listener(&all_defaults, &set->listeners[0], a, f);
	for (size_t i = 0; i < n && !err; i++)
		err = read_listener(pb_conf_section_at(c, i), &set->listeners[i], a, f);
	return err;
}
