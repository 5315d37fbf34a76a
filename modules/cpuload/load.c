/*
 * The share of a kind is its ticks between two readings over the ticks that the
 * cores had in that time, which /proc/stat counts too: no clock of ours is in it.
 */
#include "cpuload/load.h"

#include <errno.h>

const char *const cpuload_names[] = { "kernelLoad", "userLoad", "totalLoad", "systemLoad", NULL };

int cpuload_kind_of(struct pb_str name)
{
	for (int i = 0; i < CPULOAD_KINDS; i++) {
		if (pb_str_eq(name, pb_str_z(cpuload_names[i])))
			return i;
	}
	return -1;
}

static bool number(struct pb_str *line, uint64_t *out)
{
	struct pb_str word;
	int64_t v;

	if (!pb_str_word(line, &word) || pb_str_to_i64(word, 10, 0, INT64_MAX, &v))
		return false;
	*out = (uint64_t)v;
	return true;
}

/* proc(5): cpu user nice system idle iowait irq softirq steal guest guest_nice;
 * the guests' are in user and nice already. */
int cpuload_read_system(struct pb_str text, struct cpuload_ticks *t)
{
	enum { IDLE = 3, IOWAIT = 4, COUNTED = 8 };
	uint64_t busy = 0, all = 0, v;
	struct pb_str line, word;
	unsigned n = 0;

	if (!pb_str_cut(&text, '\n', &line) || !pb_str_word(&line, &word) || !pb_str_eq(word, PB_STR("cpu")))
		return -EINVAL;
	for (; n < COUNTED && number(&line, &v); n++) {
		all += v;
		busy += n == IDLE || n == IOWAIT ? 0 : v;
	}
	if (n <= IDLE)
		return -EINVAL;
	t->cores = 0;
	while (pb_str_cut(&text, '\n', &line) && pb_str_starts(line, PB_STR("cpu")))
		t->cores++;
	t->busy = busy;
	t->all = all;
	return 0;
}

/* Fields 14 and 15, counted from the number before the name in parentheses. */
int cpuload_read_process(struct pb_str text, struct cpuload_ticks *t)
{
	size_t at = text.n;
	struct pb_str skipped;
	uint64_t user, kernel;

	while (at && text.p[at - 1] != ')')
		at--;
	if (!at)
		return -EINVAL;
	text = pb_str_from(text, at);
	for (unsigned i = 3; i < 14; i++) {
		if (!pb_str_word(&text, &skipped))
			return -EINVAL;
	}
	if (!number(&text, &user) || !number(&text, &kernel))
		return -EINVAL;
	t->user = user;
	t->kernel = kernel;
	return 0;
}

static uint64_t share(uint64_t part, uint64_t whole)
{
	uint64_t milli = whole ? part * 100000 / whole : 0;

	return milli > 100000 ? 100000 : milli;
}

static uint64_t since(uint64_t now, uint64_t last)
{
	return now > last ? now - last : 0;
}

void cpuload_step(struct cpuload *l, const struct cpuload_ticks *now, unsigned cores, unsigned smooth)
{
	uint64_t all = since(now->all, l->last.all), user = since(now->user, l->last.user),
		 kernel = since(now->kernel, l->last.kernel);
	uint64_t ours = cores && now->cores ? all * cores / now->cores : all; /* what the process could have had */
	uint64_t fresh[CPULOAD_KINDS] = {
		[CPULOAD_KERNEL] = share(kernel, ours),
		[CPULOAD_USER] = share(user, ours),
		[CPULOAD_TOTAL] = share(user + kernel, ours),
		[CPULOAD_SYSTEM] = share(since(now->busy, l->last.busy), all),
	};
	bool first = !l->started;

	l->started = true;
	l->last = *now;
	if (first || !all)
		return;
	for (unsigned i = 0; i < CPULOAD_KINDS; i++) {
		l->milli[i] = l->known ? (l->milli[i] * (100 - smooth) + fresh[i] * smooth) / 100 : fresh[i];
		l->percent[i] = (unsigned)((l->milli[i] + 500) / 1000);
	}
	l->known = true;
}
