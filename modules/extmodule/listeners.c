/*
 * Each listener knows the role of who connects to it; without one the script
 * has to say it in its first line.
 */
#include "extmodule/listeners.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "base/alloc.h"
#include "extmodule/script.h"

#define BACKLOG 128
/** Scripts at once, processes included. */
#define SCRIPTS_MAX 4096

struct one {
	struct ext_host *host;
	enum ext_role role;
	struct pb_listener *l;
	bool unix_socket;
};

struct ext_listeners {
	size_t n;
	struct one all[];
};

static size_t count_scripts(const struct ext_host *h)
{
	size_t n = 0;

	pb_list_each(it, &h->scripts)
		n++;
	return n;
}

static void on_accepted(void *arg, int fd, const struct pb_addr *from)
{
	struct one *o = arg;
	char buf[PB_ADDR_TEXT];
	struct pb_str peer = o->unix_socket ? PB_STR("unix") : pb_addr_print(from, buf);

	if (o->host->stopping || count_scripts(o->host) >= SCRIPTS_MAX) {
		pb_log(&ext_log, &ext_said[EXT_SAY_REFUSED],
		       "script '%.*s': refused, %d are connected", PB_STR_F(peer), SCRIPTS_MAX);
		close(fd);
		return;
	}
	/* Lines are gathered by the turn already; none waits for an acknowledgement. */
	if (!o->unix_socket)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	ext_script_adopt(o->host, fd, peer, o->role);
}

static int open_one(struct one *o, const struct ext_listen *cfg)
{
	struct pb_addr local;

	if (o->unix_socket)
		return cfg->path.n ? pb_listener_open_unix(o->host->loop, cfg->path.p, 0600, BACKLOG,
							   on_accepted, o, &o->l)
				   : -EINVAL;
	if (pb_addr_parse(cfg->addr, (uint16_t)cfg->port, &local) < 0)
		return -EINVAL;
	return pb_listener_open(o->host->loop, &local, BACKLOG, on_accepted, o, &o->l);
}

int ext_listeners_open(struct ext_host *h, struct ext_listeners **out)
{
	size_t n = h->settings->listener_count;
	struct ext_listeners *ls = pb_alloc_zero(1, sizeof(*ls) + n * sizeof(ls->all[0]));

	*out = ls;
	if (!ls)
		return -ENOMEM;
	ls->n = n;
	for (size_t i = 0; i < n; i++) {
		const struct ext_listen *cfg = &h->settings->listeners[i];
		struct one *o = &ls->all[i];
		int err;

		*o = (struct one){ .host = h, .role = cfg->role, .unix_socket = cfg->type == 1 };
		err = open_one(o, cfg);
		if (err)
			pb_log(&ext_log, &ext_said[EXT_SAY_LISTENER], "[%.*s] cannot be opened: %s",
			       PB_STR_F(cfg->name), strerror(-err));
	}
	return 0;
}

void ext_listeners_close(struct ext_listeners **lsp)
{
	struct ext_listeners *ls = *lsp;

	*lsp = NULL;
	for (size_t i = 0; ls && i < ls->n; i++)
		pb_listener_close(&ls->all[i].l);
	pb_free(ls);
}

size_t ext_listeners_count(const struct ext_listeners *ls)
{
	return ls ? ls->n : 0;
}

const struct pb_addr *ext_listeners_local(const struct ext_listeners *ls, size_t i)
{
	return i < ext_listeners_count(ls) && ls->all[i].l && !ls->all[i].unix_socket
		       ? pb_listener_local(ls->all[i].l)
		       : NULL;
}
