/* A list of levels, read once; stepping looks at the neighbours until it stands still. */
#include "cpuload/level.h"

#include <errno.h>
#include <string.h>

static const char *read_level(struct pb_str text, bool last, struct cpuload_level *out)
{
	struct pb_str name, threshold, hysteresis = PB_STR("0");

	*out = (struct cpuload_level){ .name = PB_STR_NULL };
	if (!pb_str_cut(&text, ',', &name) || !pb_str_trim(name).n)
		return "a level has no name";
	out->name = pb_str_trim(name);
	if (!pb_str_cut(&text, ',', &threshold))
		return last ? NULL : "a level that is not the last has no threshold";
	if (last)
		return "the last level has no threshold: it has no upper end";
	pb_str_cut(&text, ',', &hysteresis);
	if (pb_str_to_u32(pb_str_trim(threshold), 0, 100, &out->threshold))
		return "a threshold is no number from 0 to 100";
	if (pb_str_to_u32(pb_str_trim(hysteresis), 0, 50, &out->hysteresis))
		return "a hysteresis is no number from 0 to 50";
	return NULL;
}

int cpuload_levels_read(struct pb_str text, struct cpuload_levels *out, const char **wrong)
{
	struct pb_str item;

	*wrong = NULL;
	out->count = 0;
	while (!*wrong && pb_str_cut(&text, ';', &item)) {
		struct cpuload_level *l = &out->at[out->count];

		if (out->count == CPULOAD_LEVELS_MAX) {
			*wrong = "there are more than 16 levels";
			break;
		}
		*wrong = read_level(item, !text.p, l);
		if (!*wrong && l->name.n && out->count && text.p && l->threshold <= l[-1].threshold)
			*wrong = "thresholds do not rise";
		out->count++;
	}
	if (!*wrong && out->count < 2)
		*wrong = "there are fewer than two levels";
	return *wrong ? -EINVAL : 0;
}

unsigned cpuload_level_step(const struct cpuload_levels *l, unsigned now, unsigned percent)
{
	while (now + 1 < l->count && percent > l->at[now].threshold + l->at[now].hysteresis)
		now++;
	while (now && percent + l->at[now - 1].hysteresis < l->at[now - 1].threshold)
		now--;
	return now;
}
