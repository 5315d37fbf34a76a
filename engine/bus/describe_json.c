/*
 * A row of the registry as a JSON object: kind, name, doc, and what its kind
 * has beyond them. Keys that say nothing are left out.
 */
#include "bus/describe.h"

static void add_key(struct pb_text *t, const char *key)
{
	pb_text_addf(t, ",\"%s\":", key);
}

static void add_text(struct pb_text *t, const char *key, const char *value)
{
	if (!value)
		return;
	add_key(t, key);
	pb_text_add_json(t, pb_str_z(value));
}

static void add_true(struct pb_text *t, const char *key, bool value)
{
	if (value)
		pb_text_addf(t, ",\"%s\":true", key);
}

/* Behind '[' no comma. */
static void add_comma(struct pb_text *t)
{
	if (t->n && t->p[t->n - 1] != '[')
		pb_text_addc(t, ',');
}

static void add_words(struct pb_text *t, const char *list)
{
	struct pb_str left = pb_str_z(list), word;

	pb_text_addc(t, '[');
	while (pb_str_word(&left, &word)) {
		add_comma(t);
		pb_text_add_json(t, word);
	}
	pb_text_addc(t, ']');
}

static bool add_hearer(void *arg, const struct pb_hearer *h)
{
	struct pb_text *t = arg;

	add_comma(t);
	pb_text_addf(t, "{\"module\":\"%s\",\"priority\":%u", h->module->name, h->priority);
	add_text(t, "option", h->option);
	add_true(t, "filtered", h->filtered);
	pb_text_addc(t, '}');
	return true;
}

static bool add_sender(void *arg, const struct pb_module *d, const struct pb_sends *s)
{
	struct pb_text *t = arg;

	add_comma(t);
	pb_text_addf(t, "{\"module\":\"%s\"", d->name);
	add_true(t, "answers", s->answers);
	add_key(t, "params");
	add_words(t, s->params);
	pb_text_addc(t, '}');
	return true;
}

static void add_message(const struct pb_registry *r, const struct pb_named *row, struct pb_text *t)
{
	const struct pb_name_message *m = row->as.message;

	add_text(t, "type", m->kind == PB_NAME_NOTICE ? "notice" : "question");
	add_true(t, "secret_retval", m->flags & PB_NAME_SECRET_RETVAL);
	add_key(t, "sent_by");
	pb_text_addc(t, '[');
	pb_registry_senders(r, row->name, add_sender, t);
	pb_text_lit(t, "],\"heard_by\":[");
	pb_registry_hearers(r, row->name, add_hearer, t);
	pb_text_addc(t, ']');
}

static const char *type_of(const struct pb_opt *o)
{
	static const char *const types[] = {
		[PB_OPT_END] = "text",   [PB_OPT_BOOL] = "boolean", [PB_OPT_INT] = "number",
		[PB_OPT_STR] = "text",   [PB_OPT_WORD] = "word",    [PB_OPT_ADDR] = "address",
		[PB_OPT_OTHER] = "text",
	};

	return types[o->type];
}

static void add_default(const struct pb_opt *o, struct pb_text *t)
{
	struct pb_text v;
	char buf[512];

	if (o->type == PB_OPT_OTHER || o->flags & (PB_OPT_PREFIX | PB_OPT_ACCEPTED))
		return;
	pb_text_init_buf(&v, buf, sizeof(buf));
	pb_option_default(o, &v);
	add_key(t, "default");
	pb_text_add_json(t, pb_text_str(&v));
}

static void add_option(const struct pb_named *row, struct pb_text *t)
{
	const struct pb_opt *o = row->as.option;

	pb_text_addf(t, ",\"file\":\"%s.%s\"", row->file, row->cfg ? "cfg" : "conf");
	add_text(t, "section", pb_option_section(o));
	add_text(t, "type", type_of(o));
	add_default(o, t);
	if (o->type == PB_OPT_INT && (o->lo || o->hi))
		pb_text_addf(t, ",\"min\":%lld,\"max\":%lld", (long long)o->lo, (long long)o->hi);
	if (o->type == PB_OPT_WORD) {
		pb_text_lit(t, ",\"words\":[");
		for (size_t i = 0; o->words[i]; i++) {
			add_comma(t);
			pb_text_add_json(t, pb_str_z(o->words[i]));
		}
		pb_text_addc(t, ']');
	}
	add_text(t, "unit", o->unit);
	add_true(t, "secret", o->flags & PB_OPT_SECRET);
	add_true(t, "no_effect", o->flags & PB_OPT_ACCEPTED);
	add_true(t, "start_only", o->flags & PB_OPT_ONCE);
}

static void add_module(const struct pb_module *d, struct pb_text *t)
{
	if (d->conf)
		pb_text_addf(t, ",\"file\":\"%s.conf\"", d->conf);
	add_text(t, "aliases", d->aliases);
	add_text(t, "status_type", d->status_type);
	add_text(t, "status_format", d->status_format);
}

static void add_kind(const struct pb_registry *r, const struct pb_named *row, struct pb_text *t)
{
	switch (row->kind) {
	case PB_KIND_MESSAGE:
		add_message(r, row, t);
		break;
	case PB_KIND_PARAMETER:
		if (row->as.param->message.n) {
			add_key(t, "message");
			pb_text_add_json(t, row->as.param->message);
		}
		add_true(t, "secret", row->as.param->flags & PB_NAME_SECRET);
		break;
	case PB_KIND_MODULE:
		add_module(row->module, t);
		break;
	case PB_KIND_OPTION:
		add_option(row, t);
		break;
	case PB_KIND_COMMAND:
		add_text(t, "args", row->args);
		break;
	case PB_KIND_COUNTER:
		add_text(t, "unit", row->as.counter->unit);
		break;
	case PB_KIND_LOG:
		add_text(t, "facility", row->facility);
		add_text(t, "level", pb_named_level(row));
		break;
	case PB_KIND_COUNT:
		break;
	}
}

void pb_describe_json(const struct pb_registry *r, const struct pb_named *row, struct pb_text *t)
{
	pb_text_addf(t, "{\"kind\":\"%s\",\"name\":", pb_kind_words[row->kind]);
	pb_text_add_json(t, row->name);
	add_true(t, "prefix", row->prefix);
	if (row->module && row->kind != PB_KIND_MODULE)
		add_text(t, "module", row->module->name);
	add_kind(r, row, t);
	add_text(t, "doc", row->doc);
	pb_text_addc(t, '}');
}
