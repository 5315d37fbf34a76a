/* The ports and sockets that scripts connect to. */
#ifndef EXTMODULE_LISTENERS_H
#define EXTMODULE_LISTENERS_H

#include "extmodule/host.h"
#include "loop/stream.h"

struct ext_listeners;

/** Open those of the settings; one that fails is logged and left out. @return 0 or -ENOMEM. */
int ext_listeners_open(struct ext_host *h, struct ext_listeners **out);
void ext_listeners_close(struct ext_listeners **ls);
size_t ext_listeners_count(const struct ext_listeners *ls);
/** The bound address of one, NULL when it is not open or a Unix socket. */
const struct pb_addr *ext_listeners_local(const struct ext_listeners *ls, size_t i);

#endif
