/*
 * A daemon's thread for signals: SIGTERM, SIGINT, SIGHUP (by signalfd(2)), and,
 * until it is ready, the loss of its watcher. Each calls off what is under way
 * and unmounts.
 */
#ifndef GIT_FS_CLI_SIGNALS_H
#define GIT_FS_CLI_SIGNALS_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/threads.h"
#include "fuse/session.h"

struct signals {
	struct cancel cancel;            /* set by the first signal; for everything that blocks */
	/* its own: */
	struct cancel stop;
	pthread_t thread;
	int signal_fd;
	int channel;                     /* borrowed */
	atomic_bool ready;
	_Atomic(struct session *) session;
	atomic_bool unmounted;
};

/* The signals that end a daemon; the caller blocks them before any thread. */
void signals_fill(sigset_t *set);

int signals_start(struct signals *signals, int channel) __attribute__((warn_unused_result));
void signals_stop(struct signals *signals);

/* From now on a signal unmounts the session; NULL: it is gone. */
void signals_set_session(struct signals *signals, struct session *session);
/* From now on the watcher may go. */
void signals_set_ready(struct signals *signals);
/* Unmounts the session, once: a second attempt could hit what lies below. */
void signals_unmount(struct signals *signals);

#endif
