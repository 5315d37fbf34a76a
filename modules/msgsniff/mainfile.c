/*
 * Each key stands for a command of the sniffer and is done as such, so that a
 * file and a console say the same thing in the same words.
 */
#include "msgsniff/mainfile.h"

/* Longest command made of a key. */
#define COMMAND_BYTES (64u << 10)

#define RULE_KEY PB_STR("msgsniff:")

static const struct {
	struct pb_str key;
	const char *command;
} keys[] = {
	{ PB_STR_INIT("filtersniff"), "filter" },
	{ PB_STR_INIT("agesniff"), "age" },
	{ PB_STR_INIT("filtersniffparams"), "params" },
};

static struct pb_str general(const struct pb_conf *main, struct pb_str key)
{
	return pb_conf_get(main, PB_STR("general"), key);
}

/* Put the rules after "COMMAND[NAME] VALUE" in the place of `*r`; gone: no memory. */
static void change(struct sniff_rules **r, struct pb_str command, struct pb_str name,
		   struct pb_str value, struct pb_str *why)
{
	struct sniff_rules *next = NULL;
	struct pb_str broken;
	struct pb_text t;

	if (!*r)
		return;
	pb_text_init(&t, COMMAND_BYTES);
	pb_text_addf(&t, "%.*s%.*s %.*s", PB_STR_F(command), PB_STR_F(name), PB_STR_F(value));
	if (!pb_text_failed(&t))
		next = sniff_rules_change(*r, pb_text_str(&t), &broken);
	pb_text_fini(&t);
	*why = next ? pb_arena_str(next->arena, broken.p ? broken : *why) : PB_STR_NULL;
	sniff_rules_free(r);
	*r = next;
}

static void add_named(struct sniff_rules **r, const struct pb_conf *main, struct pb_str *why)
{
	const struct pb_conf_section *s = pb_conf_section(main, PB_STR("general"));

	for (size_t i = 0; s && i < s->count; i++) {
		const struct pb_conf_entry *e = &s->entries[i];

		if (pb_str_starts(e->key, RULE_KEY) && e->key.n > RULE_KEY.n)
			change(r, PB_STR("set name="), pb_str_from(e->key, RULE_KEY.n), e->value,
			       why);
	}
}

struct sniff_rules *sniff_main_rules(const struct pb_conf *main, struct pb_str *why)
{
	struct sniff_rules *r = sniff_rules_new();

	*why = PB_STR_NULL;
	if (r)
		r->dump = sniff_main_dump(main);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (general(main, keys[i].key).n)
			change(&r, pb_str_z(keys[i].command), PB_STR(""),
			       general(main, keys[i].key), why);
	add_named(&r, main, why);
	if (pb_str_to_bool(general(main, PB_STR("msgsniff")), false))
		change(&r, PB_STR("on"), PB_STR(""), PB_STR(""), why);
	return r;
}

struct sniff_dump sniff_main_dump(const struct pb_conf *main)
{
	return (struct sniff_dump){
		.chan = pb_str_to_bool(general(main, PB_STR("dump_msg_data")), false),
		.brief = pb_str_to_bool(general(main, PB_STR("dump_msg_data_short")), true),
	};
}

struct pb_str sniff_main_track(const struct pb_conf *main, struct pb_arena *a)
{
	struct pb_str s = general(main, PB_STR("msgsniff_trackname"));

	if (!pb_str_is_bool(s))
		return s.n ? pb_arena_str(a, s) : PB_STR_NULL;
	return pb_str_to_bool(s, false) ? PB_STR("msgsniff") : PB_STR_NULL;
}
