#include "cli/lockfile.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/io.h"

/* Whoever looks whether it is held (overlays.c) holds it for a moment. */
#define TRIES 5
#define RETRY_MS 20

static int take_lock(int fd)
{
	for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
		if (errno != EWOULDBLOCK)
			return -errno;
		if (i == TRIES)
			return -EBUSY;
		poll(NULL, 0, RETRY_MS);
	}
	return 0;
}

/* One that has just taken the lock may not have written its pid yet. */
static void read_holder(int fd, struct lock_holder *out)
{
	char text[PATH_MAX + 64] = "";
	ssize_t len = io_pread(fd, text, sizeof(text) - 1, 0);
	size_t pid_len;

	*out = (struct lock_holder){ .pid = "" };
	if (len <= 0)
		return;
	pid_len = strcspn(text, "\n");
	if (pid_len > 0 && pid_len < sizeof(out->pid) - 1)
		snprintf(out->pid, sizeof(out->pid), " %.*s", (int)pid_len, text);
	if (text[pid_len] == '\n')
		snprintf(out->place, sizeof(out->place), "%.*s",
			 (int)strcspn(text + pid_len + 1, "\n"), text + pid_len + 1);
}

int lockfile_take(const char *path, const char *place, int *fd_out, struct lock_holder *holder)
{
	char text[PATH_MAX + 64];
	int fd = io_open(AT_FDCWD, path, O_RDWR | O_CREAT, 0600);
	int ret;

	if (fd < 0)
		return fd;
	ret = take_lock(fd);
	if (ret < 0) {
		if (ret == -EBUSY)
			read_holder(fd, holder);
		io_close(&fd);
		return ret;
	}
	snprintf(text, sizeof(text), "%ld\n%s\n", (long)getpid(), place);
	ret = io_pwrite(fd, text, strlen(text), 0);
	if (ret == 0)
		ret = io_truncate(fd, strlen(text));
	if (ret < 0 && ret != -ENOSPC && ret != -EDQUOT) { /* held all the same on a full disk */
		io_close(&fd);
		return ret;
	}
	*fd_out = fd;
	return 0;
}
