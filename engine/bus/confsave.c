/*
 * A configuration written back as one file. It is written beside its place and
 * then takes it, so that a reader finds the old file or the new one and never
 * half of one.
 */
#include "bus/conf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"

#define SAVE_BYTES_MAX (256u << 20)
#define NEW_FILE_MODE  0640

/* A space keeps a value's last backslash from continuing the line. */
static void add_entry(struct pb_text *t, const struct pb_conf_entry *e)
{
	pb_text_add(t, e->key);
	pb_text_addc(t, '=');
	pb_text_add(t, e->value);
	if (e->value.n && e->value.p[e->value.n - 1] == '\\')
		pb_text_addc(t, ' ');
	pb_text_addc(t, '\n');
}

static void add_section(struct pb_text *t, const struct pb_conf_section *s)
{
	if (t->n)
		pb_text_addc(t, '\n');
	pb_text_addf(t, "[%.*s]\n", PB_STR_F(s->name));
	for (size_t i = 0; i < s->count; i++)
		add_entry(t, &s->entries[i]);
}

static int write_all(int fd, struct pb_str s)
{
	while (s.n) {
		ssize_t n = write(fd, s.p, s.n);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			s = pb_str_from(s, (size_t)n);
	}
	return fsync(fd) ? -errno : 0;
}

static int write_beside(const char *path, char *temporary, struct pb_str all)
{
	struct stat old;
	int fd = mkostemp(temporary, 0), err;

	if (fd < 0)
		return -errno;
	err = write_all(fd, all);
	if (!err && fchmod(fd, stat(path, &old) ? NEW_FILE_MODE : old.st_mode & 07777))
		err = -errno;
	if (close(fd) && !err)
		err = -errno;
	if (!err && rename(temporary, path))
		err = -errno;
	if (err)
		unlink(temporary);
	return err;
}

int pb_conf_save(const struct pb_conf *c, const char *path)
{
	struct pb_text all, temporary;
	int err = -ENOMEM;

	pb_text_init(&all, SAVE_BYTES_MAX);
	pb_text_init(&temporary, 8192);
	for (size_t i = 0; i < pb_conf_sections(c); i++)
		add_section(&all, pb_conf_section_at(c, i));
	pb_text_addf(&temporary, "%s.XXXXXX", path);
	pb_text_addc(&temporary, '\0');
	if (!pb_text_failed(&all) && !pb_text_failed(&temporary))
		err = write_beside(path, temporary.p, pb_text_str(&all));
	pb_text_fini(&temporary);
	pb_text_fini(&all);
	return err;
}
