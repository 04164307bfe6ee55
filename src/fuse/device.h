/*
 * The FUSE device: descriptors, reading requests, writing replies.
 *
 * A reply must be written to the very descriptor that its request was read
 * from (the kernel keeps a list for each), so each request remembers it, and
 * whoever replies says it with device_reply_on() first.
 */
#ifndef GIT_FS_FUSE_DEVICE_H
#define GIT_FS_FUSE_DEVICE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct fuse_session;

#define DEVICE_WORKERS_MAX 16

struct device {
	int main_fd;        /* a duplicate of libfuse's, which goes before the last reply */
	int poll_fd;        /* a non-blocking clone for whoever polls; -1: no polling */
	bool clone;         /* each worker gets a clone of its own */
	uint64_t poll_ns;
	atomic_flag polled; /* somebody polls now */
	int worker_fds[DEVICE_WORKERS_MAX]; /* clones */
	size_t worker_count;
};

/* Gives libfuse our way of writing replies. `session_fd` is mounted. */
int device_init(struct device *device, struct fuse_session *se, int session_fd, bool clone,
		unsigned poll_us) __attribute__((warn_unused_result));
/* Closes all descriptors. Only when nobody will reply any more: an operation that was
 * read by a worker is often answered after that worker has ended, and the number of
 * a closed descriptor may by then be that of a file. */
void device_release(struct device *device);

/* A descriptor for one more worker: a clone, or main_fd itself where clones are
 * off or the kernel has none. The device closes it. At most DEVICE_WORKERS_MAX. */
int device_open_worker(struct device *device);

/* The next request into `data`: its length, and in *fd_out where it came from.
 * Polls for a while if nobody else does, then sleeps in the kernel. -ENODEV: the
 * mount is gone; -EINTR: a signal. */
ssize_t device_read(struct device *device, int worker_fd, void *data, size_t len, int *fd_out)
	__attribute__((warn_unused_result));

/* The next reply of this thread is that to INIT: these flags are set in it. */
void device_amend_init(uint32_t flags);
/* Replies of this thread go to `fd` from now on; -1: to the main one. */
void device_reply_on(int fd);

#endif
