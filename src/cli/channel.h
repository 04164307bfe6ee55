/*
 * Between a daemon that comes up and the process that watches it: a pair of
 * sockets, one struct a message.
 *
 *   daemon  -> watcher   STARTED  the mount is made: ask it
 *   watcher -> daemon    ANSWERS (dev), or DEAF with words
 *   daemon  -> watcher   NOTE with words for the user, any number of times
 *   daemon  -> watcher   READY with words for the user, or FAILED with words
 */
#ifndef GIT_FS_CLI_CHANNEL_H
#define GIT_FS_CLI_CHANNEL_H

#include <stdint.h>

#include "base/err.h"
#include "base/threads.h"

enum channel_kind {
	CHANNEL_STARTED = 1,
	CHANNEL_ANSWERS,
	CHANNEL_DEAF,
	CHANNEL_NOTE,
	CHANNEL_READY,
	CHANNEL_FAILED,
};

struct channel_message {
	uint32_t kind; /* enum channel_kind */
	uint64_t dev;  /* ANSWERS: st_dev of the mount */
	char words[ERR_MSG_MAX];
};

/* fds[0] for the daemon, fds[1] for the watcher. */
int channel_open(int fds[2]) __attribute__((warn_unused_result));
/* `words` are cut where too long. -EPIPE: the other side is gone. */
int channel_send(int fd, enum channel_kind kind, uint64_t dev, const char *words)
	__attribute__((warn_unused_result));
/* Waits for a message. -EPIPE: the other side is gone; ERR_CANCELLED where
 * `cancel` (may be NULL) was set, or where `wake_fd` (-1: none) became readable. */
int channel_recv(int fd, struct channel_message *out, const struct cancel *cancel, int wake_fd)
	__attribute__((warn_unused_result));

#endif
