/*
 * Child processes: started without a shell, watched without waiting.
 *
 * Ends are learnt through a pidfd on the loop, so no signal handler is needed.
 */
#ifndef PB_LOOP_PROCESS_H
#define PB_LOOP_PROCESS_H

#include <sys/types.h>

#include "loop/loop.h"

struct pb_process;

struct pb_process_args {
	const char *const *argv; /* argv[0] is the file itself, no PATH search */
	int fd[5]; /* become 0..4 of the child; -1: 0-2 inherited, 3-4 closed */
	/** It has ended; `status` as from waitpid. The object is freed after. */
	void (*ended)(void *arg, int status);
	void *arg;
};

/** @return 0 or -errno (-ENOENT, -EACCES: the file cannot be executed). */
int pb_process_start(struct pb_loop *l, const struct pb_process_args *args,
		     struct pb_process **out);
pid_t pb_process_pid(const struct pb_process *p);
/** Send a signal; a process that has ended is left alone. */
void pb_process_signal(struct pb_process *p, int sig);
/** Watch it no more (it may live on); `ended` will not be called. */
void pb_process_forget(struct pb_process **p);

#endif
