/*
 * Fields are a list of single blocks: a leg has some seven short ones, which
 * takes a tenth of what a message of its own would.
 */
#include "cdrbuild/record.h"

#include <errno.h>

#include "base/alloc.h"
#include "base/text.h"
#include "cdrbuild/timefmt.h"

struct cdr_field {
	struct cdr_field *next;
	struct pb_str name, value; /* behind the struct */
};

static const struct cdr_param usual[] = {
	{ PB_STR_INIT("billid"), true },    { PB_STR_INIT("reason"), true },
	{ PB_STR_INIT("address"), false },  { PB_STR_INIT("caller"), false },
	{ PB_STR_INIT("called"), false },   { PB_STR_INIT("calledfull"), false },
	{ PB_STR_INIT("username"), false },
};
#define USUAL (sizeof(usual) / sizeof(usual[0]))

/* Names that have a meaning of their own in records. */
static const struct pb_str reserved[] = {
	PB_STR_INIT("time"),      PB_STR_INIT("chan"),      PB_STR_INIT("operation"),
	PB_STR_INIT("direction"), PB_STR_INIT("status"),    PB_STR_INIT("duration"),
	PB_STR_INIT("billtime"),  PB_STR_INIT("ringtime"),  PB_STR_INIT("cdrwrite"),
	PB_STR_INIT("cdrtrack"),  PB_STR_INIT("cdrcreate"), PB_STR_INIT("cdrid"),
	PB_STR_INIT("runid"),
};
#define RESERVED (sizeof(reserved) / sizeof(reserved[0]))

/* ---- What is tracked ---------------------------------------------------------------- */

static struct cdr_param *find_param(const struct cdr_params *p, struct pb_str name)
{
	for (size_t i = 0; i < p->count; i++) {
		if (pb_str_eq(p->list[i].name, name))
			return &p->list[i];
	}
	return NULL;
}

static bool is_reserved(struct pb_str name)
{
	for (size_t i = 0; i < RESERVED; i++) {
		if (pb_str_eq(reserved[i], name))
			return true;
	}
	return false;
}

static void add_param(struct cdr_params *p, const struct pb_conf_entry *e, struct pb_arena *a,
		      struct pb_findings *f)
{
	bool overwrite = pb_str_to_bool(e->value, false);
	struct cdr_param *known = find_param(p, e->key);

	if (!pb_str_is_bool(e->value))
		pb_findings_add(f, e->value_at, PB_SEV_WARNING, "cdrbuild-101",
				"%.*s: '%.*s' is not yes or no: no is used", PB_STR_F(e->key),
				PB_STR_F(e->value));
	if (is_reserved(e->key))
		pb_findings_add(f, e->key_at, PB_SEV_WARNING, "cdrbuild-102",
				"'%.*s' is made by cdrbuild itself and not copied",
				PB_STR_F(e->key));
	else if (known)
		known->overwrite = overwrite;
	else
		p->list[p->count++] = (struct cdr_param){ pb_arena_str(a, e->key), overwrite };
}

int cdr_params_read(const struct pb_conf *c, struct cdr_params *p, struct pb_arena *a,
		    struct pb_findings *f)
{
	const struct pb_conf_section *s = pb_conf_section(c, PB_STR("parameters"));

	p->list = pb_arena_alloc(a, (USUAL + (s ? s->count : 0)) * sizeof(*p->list));
	if (!p->list)
		return -ENOMEM;
	memcpy(p->list, usual, sizeof(usual));
	p->count = USUAL;
	for (size_t i = 0; s && i < s->count; i++)
		add_param(p, &s->entries[i], a, f);
	return pb_arena_failed(a) ? -ENOMEM : 0;
}

/* ---- One record ---------------------------------------------------------------------- */

int cdr_init(struct cdr *r, struct pb_str chan, uint64_t number)
{
	*r = (struct cdr){ .number = number };
	r->chan_text = pb_alloc(chan.n + 1);
	if (!r->chan_text)
		return -ENOMEM;
	memcpy(r->chan_text, chan.p, chan.n);
	r->chan = pb_str(r->chan_text, chan.n);
	return 0;
}

void cdr_fini(struct cdr *r)
{
	struct cdr_field *next;

	for (struct cdr_field *it = r->fields; it; it = next) {
		next = it->next;
		pb_free(it);
	}
	pb_free(r->chan_text);
	*r = (struct cdr){ 0 };
}

static struct cdr_field *field_new(struct pb_str name, struct pb_str value)
{
	struct cdr_field *k = pb_alloc(sizeof(*k) + name.n + value.n);
	char *at = (char *)(k + 1);

	if (!k)
		return NULL;
	memcpy(at, name.p, name.n);
	memcpy(at + name.n, value.p, value.n);
	k->next = NULL;
	k->name = pb_str(at, name.n);
	k->value = pb_str(at + name.n, value.n);
	return k;
}

static struct cdr_field **find_field(const struct cdr *r, struct pb_str name)
{
	struct cdr_field *const *at = &r->fields;

	while (*at && !pb_str_eq((*at)->name, name))
		at = &(*at)->next;
	return (struct cdr_field **)(uintptr_t)at;
}

/* An overwritten value keeps its place. */
void cdr_set(struct cdr *r, struct pb_str name, struct pb_str value)
{
	struct cdr_field **at = find_field(r, name), *old = *at, *fresh;

	if (!value.n || (old && pb_str_eq(old->value, value)))
		return;
	fresh = field_new(name, value);
	if (!fresh) {
		r->failed = true;
		return;
	}
	fresh->next = old ? old->next : NULL;
	*at = fresh;
	pb_free(old);
}

struct pb_str cdr_get(const struct cdr *r, struct pb_str name)
{
	const struct cdr_field *k = *find_field(r, name);

	return k ? k->value : PB_STR_NULL;
}

static void set_direction(struct cdr *r, struct pb_str word)
{
	if (pb_str_eq(word, PB_STR("incoming")))
		r->direction = PB_STR("incoming");
	else if (pb_str_eq(word, PB_STR("outgoing")))
		r->direction = PB_STR("outgoing");
}

/* The status is kept as a field under a name that no parameter has. */
static void set_status(struct cdr *r, struct pb_str status)
{
	if (!status.n)
		return;
	cdr_set(r, PB_STR(""), status);
	r->status = cdr_get(r, PB_STR(""));
	set_direction(r, status);
}

static void stamp(uint64_t *at, uint64_t us)
{
	if (!*at)
		*at = us ? us : 1;
}

void cdr_note(struct cdr *r, enum cdr_event ev, uint64_t at_us, struct pb_str status)
{
	stamp(&r->start_us, at_us);
	switch (ev) {
	case CDR_EXECUTE:
		stamp(&r->call_us, at_us);
		break;
	case CDR_RINGING:
		stamp(&r->ringing_us, at_us);
		break;
	case CDR_ANSWERED:
		stamp(&r->answer_us, at_us);
		break;
	case CDR_HANGUP:
		stamp(&r->hangup_us, at_us);
		break;
	case CDR_STARTUP:
	case CDR_ROUTE:
	case CDR_UPDATE:
		break;
	}
	set_status(r, status);
}

void cdr_take(struct cdr *r, const struct cdr_params *p, enum cdr_event ev, const struct pb_msg *m)
{
	bool first = !r->start_us;
	struct pb_str trace = pb_msg_get(m, PB_STR("trace_id"));

	cdr_note(r, ev, pb_msg_time_us(m), pb_msg_get(m, PB_STR("status")));
	set_direction(r, pb_msg_get(m, PB_STR("direction")));
	for (size_t i = 0; i < pb_msg_count(m); i++) {
		const struct pb_param *param = pb_msg_at(m, i);
		const struct cdr_param *want = find_param(p, param->name);

		if (want && (want->overwrite || !cdr_get(r, want->name).p))
			cdr_set(r, want->name, param->value);
	}
	if (trace.n && !cdr_get(r, PB_STR("trace_id")).p)
		cdr_set(r, PB_STR("trace_id"), trace);
	if (first)
		r->unwritten = !pb_msg_get_bool(m, PB_STR("cdrwrite"), true);
}

/* ---- Writing ------------------------------------------------------------------------- */

void cdr_print_time(struct pb_text *t, uint64_t us, enum cdr_resolution res)
{
	switch (res) {
	case CDR_SEC:
		pb_text_addu(t, (us + 500000) / 1000000);
		return;
	case CDR_MSEC:
		us += 500;
		pb_text_addf(t, "%llu.%03u", (unsigned long long)(us / 1000000),
			     (unsigned)(us / 1000 % 1000));
		return;
	case CDR_USEC:
		pb_text_addf(t, "%llu.%06u", (unsigned long long)(us / 1000000),
			     (unsigned)(us % 1000000));
		return;
	}
}

static uint64_t between(uint64_t from, uint64_t to)
{
	return to > from ? to - from : 0; /* the wall clock may be set back */
}

uint64_t cdr_duration_us(const struct cdr *r, uint64_t now_us)
{
	return between(r->call_us ? r->call_us : r->start_us, r->hangup_us ? r->hangup_us : now_us);
}

static void add_time(struct pb_msg *m, struct pb_str name, uint64_t us, enum cdr_resolution res)
{
	struct pb_text t;
	char buf[40];

	pb_text_init_buf(&t, buf, sizeof(buf));
	cdr_print_time(&t, us, res);
	pb_msg_add(m, name, pb_text_str(&t));
}

static void add_known(struct pb_msg *m, struct pb_str name, struct pb_str value, struct pb_str def)
{
	if (value.n || def.n)
		pb_msg_add(m, name, value.n ? value : def);
}

static void add_external(const struct cdr *r, struct pb_msg *m)
{
	bool incoming = pb_str_eq(r->direction, PB_STR("incoming"));

	if (r->direction.n && !cdr_get(r, PB_STR("external")).p)
		add_known(m, PB_STR("external"),
			  cdr_get(r, incoming ? PB_STR("caller") : PB_STR("called")), PB_STR_NULL);
}

static void add_formatted(struct pb_msg *m, struct pb_str name, struct pb_str format, uint64_t us,
			  void (*print)(struct pb_text *t, struct pb_str format, uint64_t us))
{
	struct pb_text t;

	if (!format.n)
		return;
	pb_text_init(&t, 4096);
	print(&t, format, us);
	pb_msg_add(m, name, pb_text_str(&t));
	pb_text_fini(&t);
}

/* Of times only those that there are. */
static void add_formats(const struct cdr *r, struct pb_msg *m, const struct cdr_formats *f,
			uint64_t now_us)
{
	add_formatted(m, PB_STR("call_start_time"), f->start, r->start_us, cdr_format_time);
	if (r->answer_us)
		add_formatted(m, PB_STR("call_answer_time"), f->answer, r->answer_us,
			      cdr_format_time);
	if (r->hangup_us)
		add_formatted(m, PB_STR("call_hangup_time"), f->hangup, r->hangup_us,
			      cdr_format_time);
	add_formatted(m, PB_STR("call_duration"), f->duration, cdr_duration_us(r, now_us),
		      cdr_format_duration);
}

void cdr_write(const struct cdr *r, struct pb_msg *m, struct pb_str operation,
	       const struct cdr_style *style, uint64_t now_us)
{
	enum cdr_resolution res = style->resolution;
	uint64_t end = r->hangup_us ? r->hangup_us : now_us;
	uint64_t answer = r->answer_us ? r->answer_us : end;

	add_time(m, PB_STR("time"), r->start_us, res);
	pb_msg_add(m, PB_STR("chan"), r->chan);
	pb_msg_set_int(m, PB_STR("cdrid"), (int64_t)r->number);
	pb_msg_add(m, PB_STR("runid"), style->runid);
	pb_msg_add(m, PB_STR("operation"), operation);
	add_known(m, PB_STR("direction"), r->direction, PB_STR("unknown"));
	add_time(m, PB_STR("duration"), cdr_duration_us(r, now_us), res);
	add_time(m, PB_STR("billtime"), between(answer, end), res);
	add_time(m, PB_STR("ringtime"), r->ringing_us ? between(r->ringing_us, answer) : 0, res);
	add_known(m, PB_STR("status"), r->status, PB_STR("unknown"));
	add_known(m, PB_STR("trace_id"), cdr_get(r, PB_STR("trace_id")), PB_STR_NULL);
	add_formats(r, m, style->formats, now_us);
	add_external(r, m);
	pb_msg_set_bool(m, PB_STR("cdrwrite"), !r->unwritten);
	for (const struct cdr_field *k = r->fields; k; k = k->next) {
		if (k->name.n && !pb_msg_has(m, k->name))
			pb_msg_add(m, k->name, k->value);
	}
}
