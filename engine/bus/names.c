/*
 * Tables made from names.def. Exact names are sorted there and found by halving
 * (a test watches over the order); beginnings are few and tried one by one.
 */
#include "bus/names.h"

#define QUESTION      PB_NAME_QUESTION
#define NOTICE        PB_NAME_NOTICE
#define SECRET        PB_NAME_SECRET
#define SECRET_RETVAL PB_NAME_SECRET_RETVAL
#define ASKED	      PB_NAME_ASKED

#define MESSAGE(name, kind, flags, doc)
#define MESSAGE_PREFIX(name, kind, flags, doc)
#define PARAM(name, flags, doc)
#define PARAM_PREFIX(name, flags, doc)
#define PARAM_IN(message, name, flags, doc)

static const struct pb_name_message messages[] = {
#undef MESSAGE
#define MESSAGE(name, kind, flags, doc) { PB_STR_INIT(name), kind, flags, doc },
#include "bus/names.def"
#undef MESSAGE
#define MESSAGE(name, kind, flags, doc)
};

static const struct pb_name_message message_prefixes[] = {
#undef MESSAGE_PREFIX
#define MESSAGE_PREFIX(name, kind, flags, doc) { PB_STR_INIT(name), kind, flags, doc },
#include "bus/names.def"
#undef MESSAGE_PREFIX
#define MESSAGE_PREFIX(name, kind, flags, doc)
};

static const struct pb_name_param params[] = {
#undef PARAM
#define PARAM(name, flags, doc) { PB_STR_INIT(name), { NULL, 0 }, flags, doc },
#include "bus/names.def"
#undef PARAM
#define PARAM(name, flags, doc)
};

static const struct pb_name_param param_prefixes[] = {
#undef PARAM_PREFIX
#define PARAM_PREFIX(name, flags, doc) { PB_STR_INIT(name), { NULL, 0 }, flags, doc },
#include "bus/names.def"
#undef PARAM_PREFIX
#define PARAM_PREFIX(name, flags, doc)
};

static const struct pb_name_param params_in[] = {
#undef PARAM_IN
#define PARAM_IN(message, name, flags, doc) { PB_STR_INIT(name), PB_STR_INIT(message), flags, doc },
#include "bus/names.def"
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

const struct pb_name_message *pb_name_message(struct pb_str name)
{
	const struct pb_name_message *best = NULL;
	size_t lo = 0, hi = COUNT(messages);

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		int d = pb_str_cmp(name, messages[mid].name);

		if (!d)
			return &messages[mid];
		if (d < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	for (size_t i = 0; i < COUNT(message_prefixes); i++) {
		const struct pb_name_message *p = &message_prefixes[i];

		if (pb_str_starts(name, p->name) && (!best || p->name.n > best->name.n))
			best = p;
	}
	return best;
}

static const struct pb_name_param *find_in(struct pb_str message, struct pb_str name)
{
	for (size_t i = 0; i < COUNT(params_in); i++) {
		if (pb_str_eq(params_in[i].message, message) && pb_str_eq(params_in[i].name, name))
			return &params_in[i];
	}
	return NULL;
}

const struct pb_name_param *pb_name_param(struct pb_str message, struct pb_str name)
{
	const struct pb_name_param *best = find_in(message, name);
	size_t lo = 0, hi = COUNT(params);

	if (best)
		return best;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		int d = pb_str_cmp(name, params[mid].name);

		if (!d)
			return &params[mid];
		if (d < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	for (size_t i = 0; i < COUNT(param_prefixes); i++) {
		const struct pb_name_param *p = &param_prefixes[i];

		if (pb_str_starts(name, p->name) && (!best || p->name.n > best->name.n))
			best = p;
	}
	return best;
}

bool pb_name_is_notice(struct pb_str message)
{
	const struct pb_name_message *row = pb_name_message(message);

	return row && row->kind == PB_NAME_NOTICE;
}

bool pb_name_is_secret(struct pb_str message, struct pb_str param)
{
	const struct pb_name_param *row = pb_name_param(message, param);

	return row && (row->flags & PB_NAME_SECRET);
}

const struct pb_name_message *pb_name_message_at(size_t i)
{
	if (i < COUNT(messages))
		return &messages[i];
	i -= COUNT(messages);
	return i < COUNT(message_prefixes) ? &message_prefixes[i] : NULL;
}

const struct pb_name_param *pb_name_param_at(size_t i)
{
	if (i < COUNT(params))
		return &params[i];
	i -= COUNT(params);
	if (i < COUNT(param_prefixes))
		return &param_prefixes[i];
	i -= COUNT(param_prefixes);
	return i < COUNT(params_in) ? &params_in[i] : NULL;
}

bool pb_name_message_is_prefix(const struct pb_name_message *row)
{
	return row >= message_prefixes && row < message_prefixes + COUNT(message_prefixes);
}

bool pb_name_param_is_prefix(const struct pb_name_param *row)
{
	return row >= param_prefixes && row < param_prefixes + COUNT(param_prefixes);
}
