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

struct device {
	int main_fd;        /* that of the mount; borrowed from libfuse */
	int poll_fd;        /* a non-blocking clone for whoever polls; -1: no polling */
	bool clone;         /* each worker gets a clone of its own */
	uint64_t poll_ns;
	atomic_flag polled; /* somebody polls now */
};

/* Gives libfuse our way of writing replies. `main_fd` is mounted. */
int device_init(struct device *device, struct fuse_session *se, int main_fd, bool clone,
		unsigned poll_us) __attribute__((warn_unused_result));
void device_release(struct device *device);

/* A descriptor for one more worker: a clone, or main_fd itself where clones are
 * off or the kernel has none. */
int device_open_worker(struct device *device) __attribute__((warn_unused_result));
void device_close_worker(struct device *device, int fd);

/* The next request into `data`: its length, and in *fd_out where it came from.
 * Polls for a while if nobody else does, then sleeps in the kernel. -ENODEV: the
 * mount is gone; -EINTR: a signal. */
ssize_t device_read(struct device *device, int worker_fd, void *data, size_t len, int *fd_out)
	__attribute__((warn_unused_result));

/* Replies of this thread go to `fd` from now on; -1: to the main one. */
void device_reply_on(int fd);

#endif
