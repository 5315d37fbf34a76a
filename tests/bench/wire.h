/*
 * A UDP socket on loopback that reads and writes in batches: the generator's
 * and the bouncer's only contact with the kernel.
 */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include "base/str.h"

#include <netinet/in.h>

#define WIRE_BATCH    64
#define WIRE_DATAGRAM 2048

struct wire;

/** What came in: valid until the callback returns. */
typedef void (*wire_fn)(void *arg, struct wire *w, struct pb_str datagram, const struct sockaddr_in *from);

/**
 * "127.0.0.1:5060" as an address; only 127.0.0.0/8 is accepted.
 *
 * @return 0 or -EINVAL.
 */
int wire_addr(const char *text, struct sockaddr_in *out);

/** Bind `local` (port 0: any). @return 0 or a negative errno. */
int wire_new(const struct sockaddr_in *local, struct wire **out);
void wire_free(struct wire **w);

int wire_fd(const struct wire *w);
uint16_t wire_port(const struct wire *w);

/** Room of WIRE_DATAGRAM bytes for the next datagram; flushes when the batch is full. */
char *wire_room(struct wire *w);
/** What was written to wire_room() goes out with the batch. */
void wire_queue(struct wire *w, size_t n, const struct sockaddr_in *to);
void wire_flush(struct wire *w);

/**
 * Read one batch and hand each datagram to `fn`.
 *
 * @param wait  Sleep until there is one.
 * @return how many, 0 when none was there.
 */
unsigned wire_read(struct wire *w, bool wait, wire_fn fn, void *arg);

#endif
