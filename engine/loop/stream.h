/*
 * Streams: connections that carry bytes in order (TCP, Unix sockets, a pair of
 * pipes), read and written without waiting.
 *
 * A stream lives on one loop. Output is buffered up to a limit; a peer that
 * stops reading makes the stream fail, never the writer wait.
 */
#ifndef PB_LOOP_STREAM_H
#define PB_LOOP_STREAM_H

#include "loop/addr.h"
#include "loop/loop.h"

struct pb_stream;
struct pb_listener;

struct pb_stream_ops {
	/**
	 * Bytes have come. Answer how many were used; the rest stays and is
	 * offered again with what follows. To use none of a full buffer
	 * (in_limit bytes) closes the stream with -EMSGSIZE.
	 */
	size_t (*data)(void *arg, struct pb_str bytes);
	/**
	 * It has ended: 0 at the peer's end of file, else -errno. Not called for
	 * pb_stream_close. The stream is freed after this returns.
	 */
	void (*closed)(void *arg, int err);
	/** Optional: connected (pb_stream_connect), or all output written. */
	void (*drained)(void *arg);
	/**
	 * Optional: the peer will say no more but may still read. True: the stream
	 * stays for what is yet to be written, until pb_stream_close or an error.
	 * False, or NULL: `closed` follows.
	 */
	bool (*half_closed)(void *arg);
};

struct pb_stream_args {
	const struct pb_stream_ops *ops;
	void *arg;
	size_t in_limit_bytes;	/* 0: 8192 */
	size_t out_limit_bytes; /* 0: 1 MiB */
};

/**
 * Take over descriptors (the same one twice for a socket); both get closed with
 * the stream. @return 0, or -errno: they stay the caller's.
 */
int pb_stream_adopt(struct pb_loop *l, int fd_in, int fd_out, const struct pb_stream_args *args,
		    struct pb_stream **out);
/** Begin to connect; `drained` tells of success, `closed` of failure. */
int pb_stream_connect(struct pb_loop *l, const struct pb_addr *to, const struct pb_stream_args *args,
		      struct pb_stream **out);
/**
 * Queue a copy. @return 0, or -ENOBUFS (limit reached) or -ENOMEM: the stream
 * is then closed with that error from a later turn.
 */
int pb_stream_write(struct pb_stream *s, struct pb_str bytes);
/** Write what is queued, then close; at once when `now`. NULLs the pointer. */
void pb_stream_close(struct pb_stream **s, bool now);
void pb_stream_set_in_limit(struct pb_stream *s, size_t bytes);
/** "127.0.0.1:40000", or "unix"; valid as long as the stream. */
struct pb_str pb_stream_peer(const struct pb_stream *s);
struct pb_str pb_stream_local(const struct pb_stream *s);
size_t pb_stream_queued(const struct pb_stream *s);

/**
 * Listen on TCP. `accepted` gets each new descriptor (its to adopt or close)
 * and the peer's address. @return 0 or -errno (-EADDRINUSE ...).
 */
int pb_listener_open(struct pb_loop *l, const struct pb_addr *local, int backlog,
		     void (*accepted)(void *arg, int fd, const struct pb_addr *from), void *arg,
		     struct pb_listener **out);
/**
 * The same on a Unix socket of access mode `mode`; a socket file left over is
 * removed first unless somebody listens on it (-EADDRINUSE); another file is
 * not. `from` has no address.
 */
int pb_listener_open_unix(struct pb_loop *l, const char *path, unsigned mode, int backlog,
			  void (*accepted)(void *arg, int fd, const struct pb_addr *from), void *arg,
			  struct pb_listener **out);
void pb_listener_close(struct pb_listener **l);
const struct pb_addr *pb_listener_local(const struct pb_listener *l);

#endif
