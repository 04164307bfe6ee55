/*
 * Telling the kernel that something it remembers is out of date. From a thread
 * of its own that holds no lock: a notification waits for requests under way,
 * so no handler may wait for one.
 */
#ifndef GIT_FS_FUSE_NOTIFY_H
#define GIT_FS_FUSE_NOTIFY_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NOTIFY_MAX 1024 /* inodes that wait to be told */

struct fuse_session;

struct notifier {
	struct fuse_session *se;
	pthread_mutex_t lock; /* innermost */
	pthread_cond_t filled;
	uint64_t inodes[NOTIFY_MAX]; /* a ring; guarded by lock, as all below */
	size_t first;
	size_t count;
	bool started;
	bool stopped;
	pthread_t thread;
};

int notifier_init(struct notifier *notifier, struct fuse_session *se)
	__attribute__((warn_unused_result));
int notifier_start(struct notifier *notifier) __attribute__((warn_unused_result));
void notifier_stop(struct notifier *notifier);
void notifier_release(struct notifier *notifier);

/* Attributes and contents of an inode are to be asked for again. Does not block.
 * False: the queue is full. */
bool notifier_forget_inode(struct notifier *notifier, uint64_t id);

#endif
