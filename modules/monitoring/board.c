/* The text is cut where the question needs it; an answer is a view of it. */
#include "monitoring/board.h"

static bool next_line(struct pb_str *text, struct pb_str *line)
{
	while (pb_str_cut(text, '\n', line)) {
		if (line->n && line->p[line->n - 1] == '\r')
			*line = pb_str_head(*line, line->n - 1);
		if (line->n)
			return true;
	}
	return false;
}

unsigned board_lines(struct pb_str text)
{
	struct pb_str line;
	unsigned n = 0;

	while (next_line(&text, &line))
		n++;
	return n;
}

struct pb_str board_line(struct pb_str text, unsigned i)
{
	struct pb_str line;

	while (next_line(&text, &line)) {
		if (!i--)
			return line;
	}
	return PB_STR_NULL;
}

struct pb_str board_value(struct pb_str line, struct pb_str key)
{
	struct pb_str part, pair, name;

	for (unsigned i = 0; i < 2 && pb_str_cut(&line, ';', &part); i++) {
		while (pb_str_cut(&part, ',', &pair)) {
			if (pb_str_cut(&pair, '=', &name) && pb_str_eq(name, key))
				return pair.p ? pair : PB_STR("");
		}
	}
	return PB_STR_NULL;
}

static struct pb_str items(struct pb_str line)
{
	struct pb_str part;

	pb_str_cut(&line, ';', &part);
	pb_str_cut(&line, ';', &part);
	return line; /* absent when there are none */
}

unsigned board_items(struct pb_str line)
{
	struct pb_str left = items(line), item;
	unsigned n = 0;

	while (left.n && pb_str_cut(&left, ',', &item))
		n++;
	return n;
}

struct pb_str board_item(struct pb_str line, unsigned i)
{
	struct pb_str left = items(line), item;

	while (left.n && pb_str_cut(&left, ',', &item)) {
		if (!i--)
			return item;
	}
	return PB_STR_NULL;
}

struct pb_str board_item_id(struct pb_str item)
{
	struct pb_str id;

	return pb_str_cut(&item, '=', &id) ? id : PB_STR_NULL;
}

struct pb_str board_column(struct pb_str item, unsigned n)
{
	struct pb_str id, column = PB_STR_NULL;

	if (!pb_str_cut(&item, '=', &id))
		return PB_STR_NULL;
	for (unsigned i = 0; i <= n; i++) {
		if (!pb_str_cut(&item, '|', &column))
			return PB_STR_NULL;
	}
	return column;
}
