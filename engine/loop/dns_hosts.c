/* The hosts file, read once before the loops run: names that need no server. */
#include "loop/dns_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/arena.h"

/* Lists of unwanted names have megabytes; nobody calls them. */
#define FILE_MAX       (1u << 20)
#define ARENA_MAX      (16u << 20)
#define LINE_NAMES_MAX 64

struct host {
	struct pb_map_node found;
	struct pb_str name;
	struct pb_addr addr;
};

struct pbi_hosts {
	struct pb_arena *arena; /* the hosts live in it */
	struct pb_map names;
};

static int add_name(struct pbi_hosts *h, struct pb_str name, const struct pb_addr *addr)
{
	struct host *n = pb_arena_alloc(h->arena, sizeof(*n));

	if (!n)
		return -ENOMEM;
	n->name = pb_arena_str(h->arena, name);
	n->addr = *addr;
	return n->name.p ? pb_map_add(&h->names, &n->found, pb_hash_nocase(name)) : -ENOMEM;
}

/** "192.0.2.1  name other-name  # remark" */
static int add_line(struct pbi_hosts *h, struct pb_str line)
{
	struct pb_str text, word;
	struct pb_addr addr;
	int err = 0;

	pb_str_cut(&line, '#', &text);
	text = pb_str_trim_space(text);
	if (!pb_str_word(&text, &word) || pb_addr_parse(word, 0, &addr) < 0)
		return 0;
	for (int i = 0; !err && i < LINE_NAMES_MAX && pb_str_word(&text, &word); i++)
		err = add_name(h, word, &addr);
	return err;
}

static size_t read_file(const char *path, char *into, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t used = 0;
	ssize_t n = 1;

	while (fd >= 0 && n > 0 && used < size) {
		n = read(fd, into + used, size - used);
		used += n > 0 ? (size_t)n : 0;
	}
	if (fd >= 0)
		close(fd);
	return used;
}

static int read_hosts(struct pbi_hosts *h, const char *path)
{
	char *text = pb_alloc(FILE_MAX);
	struct pb_str rest, line;
	int err = 0;

	h->arena = pb_arena_new(ARENA_MAX);
	if (text && h->arena) {
		rest = pb_str(text, read_file(path, text, FILE_MAX));
		while (!err && pb_str_cut(&rest, '\n', &line))
			err = add_line(h, line);
	} else {
		err = -ENOMEM;
	}
	pb_free(text);
	return err;
}

int pbi_hosts_read(const char *path, struct pbi_hosts **out)
{
	struct pbi_hosts *h = pb_alloc_zero(1, sizeof(*h));
	int err = h ? read_hosts(h, path) : -ENOMEM;

	if (err < 0)
		pbi_hosts_free(&h);
	*out = h;
	return err;
}

void pbi_hosts_free(struct pbi_hosts **hp)
{
	struct pbi_hosts *h = *hp;

	if (!h)
		return;
	*hp = NULL;
	pb_map_fini(&h->names);
	pb_arena_free(&h->arena);
	pb_free(h);
}

static size_t find_family(const struct pbi_hosts *h, struct pb_str name, bool v6,
			  struct pb_addr *out, size_t max)
{
	struct pb_map_node *n = pb_map_first(&h->names, pb_hash_nocase(name));
	size_t count = 0;

	for (; n && count < max; n = pb_map_next(n)) {
		struct host *x = pb_container(n, struct host, found);

		if (pb_str_ieq(x->name, name) && pb_addr_is_v6(&x->addr) == v6)
			out[count++] = x->addr;
	}
	/* The map has the newest first, the file means the first. */
	for (size_t i = 0; i < count / 2; i++) {
		struct pb_addr a = out[i];

		out[i] = out[count - 1 - i];
		out[count - 1 - i] = a;
	}
	return count;
}

size_t pbi_hosts_find(const struct pbi_hosts *h, struct pb_str name, unsigned families,
		      struct pb_addr *out, size_t max)
{
	size_t n = 0;

	if (h && families & PB_DNS_V4)
		n = find_family(h, name, false, out, max);
	if (h && families & PB_DNS_V6)
		n += find_family(h, name, true, out + n, max - n);
	return n;
}
