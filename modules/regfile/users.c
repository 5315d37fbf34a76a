/* Hash tables in the settings' arena, which dies with them at the next reload. */
#include "regfile/users.h"

#include <errno.h>

#include "base/map.h"

static size_t slot_of(const struct regfile_users *u, struct pb_str name)
{
	return (size_t)pb_hash(name) & u->mask;
}

static bool make_tables(const struct pb_conf *c, struct regfile_users *u, struct pb_arena *a)
{
	size_t n = 16;

	while (n < pb_conf_sections(c) * 2)
		n *= 2;
	u->mask = n - 1;
	u->slots = pb_arena_alloc(a, n * sizeof(struct regfile_user *));
	u->numbers = pb_arena_alloc(a, n * sizeof(struct regfile_alternative *));
	return u->slots && u->numbers;
}

/* Appended, so that users of one number stay in order of the file. */
static void add_number(struct regfile_users *u, struct regfile_user *user, struct pb_str number,
		       struct pb_arena *a)
{
	struct regfile_alternative *alt = pb_arena_alloc(a, sizeof(*alt));
	struct regfile_alternative **at;

	if (!alt)
		return;
	alt->number = pb_arena_str(a, number);
	alt->user = user;
	for (at = &u->numbers[slot_of(u, number)]; *at; at = &(*at)->next)
		continue;
	*at = alt;
}

static void add_numbers(struct regfile_users *u, struct regfile_user *user, struct pb_str list,
			struct pb_arena *a)
{
	struct pb_str number;

	while (pb_str_cut(&list, ',', &number)) {
		number = pb_str_trim(number);
		if (number.n)
			add_number(u, user, number, a);
	}
}

static void check_name(const struct pb_conf_section *s, struct pb_findings *f)
{
	static const struct pb_str general = PB_STR_INIT("general");

	if (pb_suggest(s->name, &general, 1).p)
		pb_findings_add(f, s->at, PB_SEV_WARNING, "regfile-103",
				"[%.*s] is read as a user, did you mean 'general'?",
				PB_STR_F(s->name));
}

static void check_password(const struct regfile_user *user, const struct pb_conf_section *s,
			   struct pb_findings *f)
{
	if (!user->password.p)
		pb_findings_add(f, s->at, PB_SEV_NOTE, "regfile-101",
				"user '%.*s' has no password and can never authenticate",
				PB_STR_F(s->name));
	else if (!user->password.n)
		pb_findings_add(f, s->at, PB_SEV_WARNING, "regfile-102",
				"user '%.*s' has an empty password: anybody is let in",
				PB_STR_F(s->name));
}

static void read_user(struct regfile_users *u, const struct pb_conf_section *s, struct pb_arena *a,
		      struct pb_findings *f)
{
	struct regfile_user *user = pb_arena_alloc(a, sizeof(*user));
	size_t slot = slot_of(u, s->name);

	if (!user)
		return;
	user->name = pb_arena_str(a, s->name);
	user->extra = pb_arena_alloc(a, s->count * sizeof(*user->extra));
	for (size_t i = 0; i < s->count && user->extra; i++) {
		const struct pb_conf_entry *e = &s->entries[i];

		if (pb_str_eq(e->key, PB_STR("password"))) {
			if (!user->password.p)
				user->password = pb_arena_str(a, e->value);
		} else if (pb_str_eq(e->key, PB_STR("alternatives"))) {
			add_numbers(u, user, e->value, a);
		} else {
			user->extra[user->extra_count++] =
				(struct pb_param){ pb_arena_str(a, e->key),
						   pb_arena_str(a, e->value) };
		}
	}
	check_name(s, f);
	check_password(user, s, f);
	user->next = u->slots[slot];
	u->slots[slot] = user;
	u->count++;
}

int regfile_users_read(const struct pb_conf *c, struct regfile_users *u, struct pb_arena *a,
		       struct pb_findings *f)
{
	if (!make_tables(c, u, a))
		return -ENOMEM;
	for (size_t i = 0; i < pb_conf_sections(c); i++) {
		const struct pb_conf_section *s = pb_conf_section_at(c, i);

		if (!pb_str_eq(s->name, PB_STR("general")))
			read_user(u, s, a, f);
	}
	return pb_arena_failed(a) ? -ENOMEM : 0;
}

const struct regfile_user *regfile_user_find(const struct regfile_users *u, struct pb_str name)
{
	const struct regfile_user *it = name.n ? u->slots[slot_of(u, name)] : NULL;

	while (it && !pb_str_eq(it->name, name))
		it = it->next;
	return it;
}

static const struct regfile_alternative *same_number(const struct regfile_alternative *it,
						     struct pb_str number)
{
	while (it && !pb_str_eq(it->number, number))
		it = it->next;
	return it;
}

const struct regfile_alternative *regfile_alternative_first(const struct regfile_users *u,
							    struct pb_str number)
{
	return number.n ? same_number(u->numbers[slot_of(u, number)], number) : NULL;
}

const struct regfile_alternative *regfile_alternative_next(const struct regfile_alternative *alt)
{
	return same_number(alt->next, alt->number);
}

void regfile_user_apply(const struct regfile_user *user, struct pb_msg *m)
{
	for (size_t i = 0; i < user->extra_count; i++) {
		const struct pb_param *p = &user->extra[i];

		pb_msg_set(m, p->name, pb_msg_expand(m, p->value, pb_msg_arena(m)));
	}
}
