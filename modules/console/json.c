/*
 * Answers as JSON. Lines of status are taken apart by the grammar that all
 * modules follow: parts between ';', pairs between ',', the columns of items
 * between '|' by the names that `format` gives.
 */
#include "console/json.h"

bool console_json_take(struct pb_str *line)
{
	static const struct pb_str word = PB_STR_INIT("--json");
	struct pb_str rest;

	if (!pb_str_ends(*line, word))
		return false;
	rest = pb_str_head(*line, line->n - word.n);
	if (!rest.n || (rest.p[rest.n - 1] != ' ' && rest.p[rest.n - 1] != '\t'))
		return false;
	*line = pb_str_trim(rest);
	return true;
}

static void add_value(struct pb_text *t, struct pb_str value)
{
	int64_t n;

	/* What C would print so is a number; "007" is not. */
	if (value.n && value.n < 19 && !pb_str_to_i64(value, 10, INT64_MIN, INT64_MAX, &n) &&
	    (value.p[0] != '0' || value.n == 1) && pb_is_digit(value.p[0]))
		pb_text_addi(t, n);
	else if (pb_str_eq(value, PB_STR("true")) || pb_str_eq(value, PB_STR("false")))
		pb_text_add(t, value);
	else
		pb_text_add_json(t, value);
}

/** @return whether there were any. */
static bool add_pairs(struct pb_text *t, struct pb_str part)
{
	struct pb_str pair, key;
	const char *comma = "";

	while (part.n && pb_str_cut(&part, ',', &pair)) {
		pb_str_cut(&pair, '=', &key);
		if (!key.n || !pair.p)
			continue;
		pb_text_add(t, pb_str_z(comma));
		pb_text_add_json(t, key);
		pb_text_addc(t, ':');
		add_value(t, pair);
		comma = ",";
	}
	return comma[0] != 0;
}

/** "format" among the pairs of part 1. */
static struct pb_str format_of(struct pb_str head)
{
	struct pb_str pair, key;

	while (head.n && pb_str_cut(&head, ',', &pair)) {
		pb_str_cut(&pair, '=', &key);
		if (pb_str_eq(key, PB_STR("format")))
			return pair;
	}
	return PB_STR("");
}

static void add_item(struct pb_text *t, struct pb_str id, struct pb_str values, struct pb_str format)
{
	struct pb_str value, name;

	pb_text_lit(t, "{\"id\":");
	pb_text_add_json(t, id);
	while (pb_str_cut(&values, '|', &value)) {
		if (!format.n || !pb_str_cut(&format, '|', &name))
			name = PB_STR("value");
		pb_text_addc(t, ',');
		pb_text_add_json(t, name);
		pb_text_addc(t, ':');
		pb_text_add_json(t, value);
	}
	pb_text_addc(t, '}');
}

static void add_items(struct pb_text *t, struct pb_str part, struct pb_str format)
{
	const char *comma = "";
	struct pb_str item, id;

	while (part.n && pb_str_cut(&part, ',', &item)) {
		pb_str_cut(&item, '=', &id);
		if (!id.n)
			continue;
		pb_text_add(t, pb_str_z(comma));
		add_item(t, id, item.p ? item : PB_STR(""), format);
		comma = ",";
	}
}

static void add_status(struct pb_text *t, struct pb_str line)
{
	struct pb_str head, counts = PB_STR_NULL;

	pb_str_cut(&line, ';', &head);
	if (line.p)
		pb_str_cut(&line, ';', &counts);
	pb_text_addc(t, '{');
	pb_text_add(t, add_pairs(t, head) ? PB_STR(",") : PB_STR(""));
	pb_text_lit(t, "\"counts\":{");
	add_pairs(t, counts);
	pb_text_lit(t, "},\"items\":[");
	add_items(t, line, format_of(head));
	pb_text_lit(t, "]}");
}

void console_json(struct pb_text *t, struct pb_str line, struct pb_str text, bool ok, bool is_status)
{
	const char *comma = "";
	struct pb_str row;

	if (text.n && (text.p[0] == '{' || text.p[0] == '[')) {
		pb_text_add(t, text);
		if (text.p[text.n - 1] != '\n')
			pb_text_lit(t, "\r\n");
		return;
	}
	is_status = is_status && ok;
	pb_text_lit(t, "{\"command\":");
	pb_text_add_json(t, line);
	pb_text_addf(t, ",\"ok\":%s,\"%s\":[", ok ? "true" : "false", is_status ? "status" : "text");
	while (text.n && pb_str_cut(&text, '\n', &row)) {
		if (pb_str_ends(row, PB_STR("\r")))
			row.n--;
		if (!row.n && is_status)
			continue;
		pb_text_add(t, pb_str_z(comma));
		if (is_status)
			add_status(t, row);
		else
			pb_text_add_json(t, row);
		comma = ",";
	}
	pb_text_lit(t, "]}\r\n");
}
