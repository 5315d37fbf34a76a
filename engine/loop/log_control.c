/*
 * The `debug` directives of a log source, as a table of words: what the
 * console, engine.debug and [debug] of the main file have in common.
 */
#include "loop/log.h"

#include <errno.h>

/** `level N`, `level N+`, `level N-`; a sign after a blank is ignored. */
static int set_level(struct pb_log_source *src, struct pb_str args)
{
	int now = pb_log_source_level(src);
	struct pb_str word;
	char sign = 0;
	int64_t level;

	if (!pb_str_word(&args, &word))
		return -EINVAL;
	if (word.n > 1 && (word.p[word.n - 1] == '+' || word.p[word.n - 1] == '-')) {
		sign = word.p[word.n - 1];
		word.n--;
	}
	if (pb_str_to_i64(word, 10, PB_CONF, PB_ALL, &level) == -EINVAL)
		return -EINVAL;
	if ((sign == '+' && level < now) || (sign == '-' && level > now))
		level = now;
	pb_log_source_set_level(src, (int)level);
	return 0;
}

static int reset(struct pb_log_source *src, struct pb_str args)
{
	pb_log_source_set_level(src, -1);
	return 0;
}

/** Objects are not counted and lines not filtered by source. */
static int unsupported(struct pb_log_source *src, struct pb_str args)
{
	return -EOPNOTSUPP;
}

static const struct directive {
	struct pb_str word;
	int (*fn)(struct pb_log_source *src, struct pb_str args);
} directives[] = {
	{ PB_STR_INIT("level"), set_level },
	{ PB_STR_INIT("reset"), reset },
	{ PB_STR_INIT("objects"), unsupported },
	{ PB_STR_INIT("filter"), unsupported },
};

static int apply(struct pb_log_source *src, struct pb_str line)
{
	for (size_t i = 0; i < sizeof(directives) / sizeof(directives[0]); i++) {
		if (pb_str_skip_word(&line, directives[i].word))
			return directives[i].fn(src, line);
	}
	if (!pb_str_is_bool(line))
		return -EINVAL;
	pb_log_source_switch(src, pb_str_to_bool(line, true));
	return 0;
}

int pb_log_control(struct pb_log_source *src, struct pb_str line, struct pb_text *answer)
{
	int err = 0;

	line = pb_str_trim_space(line);
	if (line.n)
		err = apply(src, line);
	if (!err && answer)
		pb_text_addf(answer, "Module %s debug %s level %d objects off\r\n", src->name,
			     pb_log_source_is_on(src) ? "on" : "off", pb_log_source_level(src));
	return err;
}
