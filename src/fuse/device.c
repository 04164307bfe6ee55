/*
 * Waking a sleeping worker costs more than answering most requests, so one
 * worker at a time polls for a moment before it sleeps. It polls a descriptor
 * of its own, because O_NONBLOCK belongs to the open file and the others want
 * to sleep: in read(2), not in poll(2), so that the kernel wakes one of them
 * and not all.
 */
#define FUSE_USE_VERSION 314

#include "fuse/device.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/io.h"
#include "base/threads.h"
#include "fuse/request.h"

#ifndef FUSE_DEV_IOC_CLONE /* linux/fuse.h; libfuse does not install its copy */
#define FUSE_DEV_IOC_CLONE _IOR(229, 0, uint32_t)
#endif

static _Thread_local int reply_fd = -1;

void device_reply_on(int fd)
{
	reply_fd = fd;
}

static _Thread_local uint32_t init_flags;

void device_amend_init(uint32_t flags)
{
	init_flags = flags;
}

static ssize_t reply_writev(int fd, struct iovec *iov, int count, void *userdata)
{
	(void)userdata;
	if (init_flags != 0) {
		if (count == 2)
			request_amend_init(iov[1].iov_base, iov[1].iov_len, init_flags);
		init_flags = 0;
	}
	return writev(reply_fd >= 0 ? reply_fd : fd, iov, count);
}

/* libfuse asks for one, but workers read by themselves. */
static ssize_t request_read(int fd, void *data, size_t len, void *userdata)
{
	(void)userdata;
	return read(fd, data, len);
}

static int device_clone(const struct device *device, int flags)
{
	uint32_t main_fd = (uint32_t)device->main_fd;
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC | flags);

	if (fd < 0)
		return -errno;
	if (ioctl(fd, FUSE_DEV_IOC_CLONE, &main_fd) < 0) {
		int rc = -errno;

		close(fd);
		return rc;
	}
	return fd;
}

int device_init(struct device *device, struct fuse_session *se, int session_fd, bool clone,
		unsigned poll_us)
{
	static const struct fuse_custom_io io = { .writev = reply_writev, .read = request_read };

	*device = (struct device){ .poll_fd = -1, .clone = clone };
	atomic_flag_clear(&device->polled);
	device->main_fd = fcntl(session_fd, F_DUPFD_CLOEXEC, 0);
	if (device->main_fd < 0)
		return -errno;
	int rc = fuse_session_custom_io(se, &io, session_fd);

	if (rc < 0)
		return rc;
	device->poll_ns = (uint64_t)poll_us * 1000;
	if (poll_us > 0 && clone)
		device->poll_fd = device_clone(device, O_NONBLOCK);
	return 0;
}

void device_release(struct device *device)
{
	while (device->worker_count > 0)
		io_close(&device->worker_fds[--device->worker_count]);
	io_close(&device->poll_fd);
	io_close(&device->main_fd);
}

int device_open_worker(struct device *device)
{
	int fd = device->clone ? device_clone(device, 0) : -ENOTTY;

	assert(device->worker_count < DEVICE_WORKERS_MAX);
	if (fd < 0) {
		device->clone = false;
		return device->main_fd;
	}
	device->worker_fds[device->worker_count++] = fd;
	return fd;
}

/* 0: nothing came while polling. */
static ssize_t device_poll(struct device *device, void *data, size_t len)
{
	uint64_t end = mono_ns() + device->poll_ns;
	ssize_t got;

	do {
		got = read(device->poll_fd, data, len);
		if (got >= 0)
			return got;
		if (errno != EAGAIN && errno != ENOENT)
			return -errno;
	} while (mono_ns() < end);
	return 0;
}

ssize_t device_read(struct device *device, int worker_fd, void *data, size_t len, int *fd_out)
{
	ssize_t got = 0;

	if (device->poll_fd >= 0 && !atomic_flag_test_and_set(&device->polled)) {
		got = device_poll(device, data, len);
		atomic_flag_clear(&device->polled);
		*fd_out = device->poll_fd;
		if (got != 0)
			return got;
	}
	*fd_out = worker_fd;
	do { /* ENOENT: the request was interrupted before we got it */
		got = read(worker_fd, data, len);
	} while (got < 0 && (errno == ENOENT || errno == EAGAIN));
	return got < 0 ? -errno : got;
}
