/*
 * Settings. The rows say what the keys of [priorities] are; the other three
 * sections that are no contexts are read here.
 */
#include "regexroute/settings.h"

#include <errno.h>

#define AT(field) offsetof(struct regex_settings, field)

const struct pb_opt regex_options[] = {
	{ PB_OPT_INT, "preroute", AT(preroute), .def = 100, .lo = 0, .hi = INT32_MAX,
	  .section = "priorities", .doc = "Priority of the call.preroute handler; 0: none." },
	{ PB_OPT_INT, "route", AT(route), .def = 100, .lo = 0, .hi = INT32_MAX,
	  .section = "priorities", .doc = "Priority of the call.route handler; 0: none." },
	{ PB_OPT_INT, "status", AT(status), .def = 110, .lo = 0, .hi = INT32_MAX,
	  .flags = PB_OPT_ACCEPTED, .section = "priorities",
	  .doc = "Priority of the status handlers." },
	{ PB_OPT_BOOL, "extended", AT(extended), .section = "priorities",
	  .doc = "Expressions of rules are POSIX extended ones, not basic." },
	{ PB_OPT_BOOL, "insensitive", AT(insensitive), .section = "priorities",
	  .doc = "Expressions of rules match without regard to case." },
	{ PB_OPT_INT, "maxdepth", AT(maxdepth), .def = 5, .lo = 5, .hi = 100,
	  .section = "priorities", .doc = "How deep goto and include may nest." },
	{ PB_OPT_STR, "defaultrule", AT(defaultrule),
	  .defs = "^\\(false\\|no\\|off\\|disable\\|f\\|0*\\)$^", .section = "priorities",
	  .doc = "Expression for ${...} and $(...) conditions that have none." },
	{ PB_OPT_BOOL, "prerouteall", AT(prerouteall), .section = "priorities",
	  .doc = "Run call.preroute also when a context is set or the caller is unknown." },
	{ PB_OPT_BOOL, "trackparam", AT(trackparam), .def = 1, .section = "priorities",
	  .doc = "Appear in the parameter 'handlers'." },
	{ PB_OPT_BOOL, "rex_debug", AT(rex_debug), .def = 1, .section = "priorities",
	  .doc = "The action 'debug' logs as rex_debug, not as regexroute." },
	{ PB_OPT_BOOL, "add_once", AT(add_once), .def = 1, .section = "priorities",
	  .doc = "At a reload, make variables of [$once] that do not exist yet." },
	{ PB_OPT_OTHER, "", .flags = PB_OPT_PREFIX, .section = "extra",
	  .doc = "MESSAGE=PRIORITY[,PARAM][,CONTEXT][,FILTER][,VALUE]: rules for any message." },
	{ PB_OPT_OTHER, "", .flags = PB_OPT_PREFIX, .section = "$once",
	  .doc = "Variables set when the module is first loaded." },
	{ PB_OPT_OTHER, "", .flags = PB_OPT_PREFIX, .section = "$init",
	  .doc = "Variables set at each load and reload." },
	{ PB_OPT_OTHER, "", .flags = PB_OPT_PREFIX, .section = "*",
	  .doc = "A context: CONDITION=ACTION, tried in order." },
	{ PB_OPT_END },
};

static bool is_settings(struct pb_str section)
{
	static const struct pb_str names[] = { PB_STR_INIT("priorities"), PB_STR_INIT("extra"),
					       PB_STR_INIT("$once"), PB_STR_INIT("$init") };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (pb_str_eq(section, names[i]))
			return true;
	return false;
}

/* ---- Entries -------------------------------------------------------------- */

struct reading {
	struct regex_settings *s;
	struct pb_arena *a;
	struct pb_findings *f;
	struct regex_entry *entries;
};

static void call_entry(struct reading *r, enum regex_kind kind, int64_t priority,
		       struct pb_str message, struct pb_str param)
{
	if (priority)
		r->entries[r->s->entries_n++] =
			(struct regex_entry){ .kind = kind,
					      .priority = (unsigned)priority,
					      .message = message,
					      .param = param };
}

/* "^..." is an expression, anything else the exact value. */
static bool read_filter(struct reading *r, const struct pb_conf_entry *e, struct regex_entry *x)
{
	struct pb_str why = PB_STR_NULL;

	if (!pb_str_starts(x->filter_value, PB_STR("^")))
		return true;
	if (pb_pattern_new(x->filter_value, 0, r->a, &x->filter, &why) != -EINVAL)
		return true;
	pb_findings_add(r->f, e->value_at, PB_SEV_ERROR, "regexroute-107",
			"bad expression '%.*s': %.*s, no handler", PB_STR_F(x->filter_value),
			PB_STR_F(why));
	return false;
}

/* MESSAGE=PRIO[,PARAM][,CONTEXT][,FILTERNAME][,FILTERVALUE] */
static void extra_entry(struct reading *r, const struct pb_conf_entry *e)
{
	struct regex_entry x = { .kind = REGEX_EXTRA,
				 .message = pb_arena_str(r->a, e->key),
				 .at = e->key_at };
	struct pb_str list = pb_arena_str(r->a, e->value.p ? e->value : PB_STR("")), item;
	struct pb_str *const fields[] = { &x.param, &x.context, &x.filter_name };
	int64_t priority = 100;

	pb_str_cut(&list, ',', &item);
	if (item.n && pb_str_to_i64(item, 0, 0, INT32_MAX, &priority) == -EINVAL)
		pb_findings_add(r->f, e->value_at, PB_SEV_WARNING, "regexroute-109",
				"'%.*s' is no priority: 100 is used", PB_STR_F(item));
	x.priority = (unsigned)priority;
	for (size_t i = 0; i < 3 && pb_str_cut(&list, ',', &item); i++)
		*fields[i] = item;
	x.filter_value = list.p ? list : PB_STR("");
	if (!x.context.n)
		x.context = x.message;
	if (!regex_rules_context(r->s->rules, x.context)) {
		pb_findings_add(r->f, e->key_at, PB_SEV_WARNING, "regexroute-108",
				"there is no context [%.*s]: no handler for '%.*s'",
				PB_STR_F(x.context), PB_STR_F(x.message));
		return;
	}
	if (read_filter(r, e, &x))
		r->entries[r->s->entries_n++] = x;
}

static int read_entries(struct reading *r, const struct pb_conf *c)
{
	const struct pb_conf_section *s = pb_conf_section(c, PB_STR("extra"));
	size_t count = s ? s->count : 0;

	r->entries = pb_arena_alloc(r->a, (count + 2) * sizeof(*r->entries));
	if (!r->entries)
		return -ENOMEM;
	call_entry(r, REGEX_PREROUTE, r->s->preroute, PB_STR("call.preroute"), PB_STR("caller"));
	call_entry(r, REGEX_ROUTE, r->s->route, PB_STR("call.route"), PB_STR("called"));
	for (size_t i = 0; i < count; i++)
		extra_entry(r, &s->entries[i]);
	r->s->entries = r->entries;
	return 0;
}

/* ---- The rest ---------------------------------------------------------------- */

static int read_assignments(const struct pb_conf *c, struct pb_str section, struct pb_arena *a,
			    struct regex_assignments *out)
{
	const struct pb_conf_section *s = pb_conf_section(c, section);
	struct regex_assignment *x;

	if (!s || !s->count)
		return 0;
	x = pb_arena_alloc(a, s->count * sizeof(*x));
	if (!x)
		return -ENOMEM;
	for (size_t i = 0; i < s->count; i++) {
		x[i].name = pb_arena_str(a, s->entries[i].key);
		x[i].value =
			pb_arena_str(a, s->entries[i].value.p ? s->entries[i].value : PB_STR(""));
	}
	*out = (struct regex_assignments){ x, s->count };
	return 0;
}

/* The built-in default rule is a basic expression and means another thing in an
 * extended one. */
static void check_default(const struct regex_settings *s, const struct pb_conf *c,
			  struct pb_findings *f)
{
	const struct pb_conf_section *p = pb_conf_section(c, PB_STR("priorities"));
	const struct pb_conf_entry *e = p ? pb_conf_find(p, PB_STR("extended")) : NULL;

	if (s->extended && e && !pb_conf_find(p, PB_STR("defaultrule")))
		pb_findings_add(
			f, e->key_at, PB_SEV_WARNING, "regexroute-110",
			"extended=yes needs a defaultrule written as an extended expression");
}

int regex_settings_read(const struct pb_conf *c, void *settings, struct pb_arena *a,
			struct pb_findings *f)
{
	struct regex_settings *s = settings;
	struct reading r = { .s = s, .a = a, .f = f };
	struct regex_rules_args args = {
		.conf = c,
		.pattern_flags = (s->extended ? PB_PATTERN_EXTENDED : 0u) |
				 (s->insensitive ? PB_PATTERN_NOCASE : 0u),
		.default_rule = s->defaultrule,
		.max_depth = (unsigned)s->maxdepth,
		.is_settings = is_settings,
	};
	int err = regex_rules_new(&args, a, f, &s->rules);

	if (err)
		return err;
	check_default(s, c, f);
	s->sections = pb_conf_sections(c);
	err = read_entries(&r, c);
	if (!err)
		err = read_assignments(c, PB_STR("$once"), a, &s->once);
	return err ? err : read_assignments(c, PB_STR("$init"), a, &s->init);
}
