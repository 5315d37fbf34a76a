/*
 * /proc/self/net/udp and its like give the inode of the socket on each local
 * address; among the descriptors of all processes that we may look into, the one
 * that leads to this inode names its owner.
 */
#include "loop/holder.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

/* An address as the kernel prints it: words of the machine's order. */
static bool is_at(struct pb_str hex, const struct pb_addr *a)
{
	const void *ours = pb_addr_is_v6(a) ? (const void *)&a->in6.sin6_addr : &a->in.sin_addr;
	size_t n = pb_addr_is_v6(a) ? 16 : 4;
	uint32_t words[4] = { 0 };
	uint32_t all = 0;

	if (hex.n != 8 && hex.n != 32)
		return false;
	for (size_t i = 0; i < hex.n / 8; i++) {
		int64_t word = 0;

		if (pb_str_to_i64(pb_str(hex.p + 8 * i, 8), 16, 0, UINT32_MAX, &word))
			return false;
		all |= words[i] = (uint32_t)word;
	}
	return !all || pb_addr_is_any(a) || (hex.n == 2 * n && memcmp(words, ours, n) == 0);
}

/* "  0: 0100007F:13C4 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0  0 4711 ..." */
static uint64_t inode_of_line(struct pb_str line, const struct pb_addr *a, bool tcp)
{
	struct pb_str word[10], ip;
	int64_t port = 0, inode = 0;
	size_t n = 0;

	while (n < 10 && pb_str_word(&line, &word[n]))
		n++;
	if (n < 10 || !pb_str_cut(&word[1], ':', &ip) ||
	    pb_str_to_i64(word[1], 16, 0, 65535, &port))
		return 0;
	if (port != pb_addr_port(a) || !is_at(ip, a))
		return 0;
	if (tcp && !pb_str_eq(word[3], PB_STR("0A")))
		return 0; /* it does not listen */
	return pb_str_to_i64(word[9], 10, 0, INT64_MAX, &inode) ? 0 : (uint64_t)inode;
}

/* The inode of who is bound to the port; 0: not found. */
static uint64_t inode_in(const char *path, const struct pb_addr *a, bool tcp)
{
	FILE *f = fopen(path, "re");
	uint64_t found = 0;
	char line[512];

	while (f && !found && fgets(line, sizeof(line), f))
		found = inode_of_line(pb_str_trim_space(pb_str_z(line)), a, tcp);
	if (f)
		fclose(f);
	return found;
}

static uint64_t inode_of(enum pb_transport kind, const struct pb_addr *a)
{
	static const char *const files[][2] = {
		[PB_UDP] = { "/proc/self/net/udp", "/proc/self/net/udp6" },
		[PB_TCP] = { "/proc/self/net/tcp", "/proc/self/net/tcp6" },
	};
	uint64_t inode = inode_in(files[kind][0], a, kind == PB_TCP);

	return inode ? inode : inode_in(files[kind][1], a, kind == PB_TCP);
}

static bool has_socket(const char *pid, uint64_t inode)
{
	char path[300], target[64], wanted[64];
	struct dirent *it;
	bool found = false;
	DIR *d;

	snprintf(wanted, sizeof(wanted), "socket:[%" PRIu64 "]", inode);
	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	d = opendir(path);
	while (d && !found && (it = readdir(d))) {
		ssize_t n = readlinkat(dirfd(d), it->d_name, target, sizeof(target) - 1);

		if (n > 0)
			target[n] = '\0';
		found = n > 0 && strcmp(target, wanted) == 0;
	}
	if (d)
		closedir(d);
	return found;
}

static void say_process(struct pb_text *t, const char *pid)
{
	char path[300], name[64] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	f = fopen(path, "re");
	if (f && fgets(name, sizeof(name), f))
		name[strcspn(name, "\n")] = '\0';
	if (f)
		fclose(f);
	pb_text_addf(t, " (by %s, process %s)", name[0] ? name : "somebody", pid);
}

static void say_holder(struct pb_text *t, uint64_t inode)
{
	DIR *d = opendir("/proc");
	struct dirent *it;

	while (d && (it = readdir(d))) {
		if (pb_is_digit(it->d_name[0]) && has_socket(it->d_name, inode)) {
			say_process(t, it->d_name);
			break;
		}
	}
	if (d)
		closedir(d);
}

void pb_port_say(struct pb_text *t, enum pb_transport kind, const struct pb_addr *a, int err)
{
	uint64_t inode = err == -EADDRINUSE ? inode_of(kind, a) : 0;

	pb_text_add(t, pb_str_z(strerrordesc_np(-err)));
	if (inode)
		say_holder(t, inode);
	if (err == -EACCES && pb_addr_port(a) < 1024)
		pb_text_lit(t, " (a port below 1024 needs the right CAP_NET_BIND_SERVICE)");
	if (err == -EADDRNOTAVAIL)
		pb_text_lit(t, " (no interface of this machine has that address)");
}
