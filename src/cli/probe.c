/* A child does the asking and writes what it found to a pipe; see probe.h. */
#include "cli/probe.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/io.h"
#include "base/threads.h"

struct finding {
	int result;
	dev_t dev;
};

/* statfs(2) always asks the daemon, where stat(2) may be answered by the
 * kernel's memory of a daemon that is dead. */
static struct finding ask(const char *path)
{
	struct finding finding = { .result = 0 };
	struct statfs fs;
	struct stat st;

	if (statfs(path, &fs) < 0 || stat(path, &st) < 0)
		finding.result = -errno;
	else
		finding.dev = st.st_dev;
	return finding;
}

static struct finding flush(const char *path)
{
	AUTO_CLOSE int fd = io_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);

	return (struct finding){ .result = fd < 0 ? fd : io_sync_all(fd) };
}

static int await(int fd, unsigned timeout_ms, struct finding *out)
{
	uint64_t deadline = mono_ns() + timeout_ms * NS_PER_MS;
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	for (;;) {
		uint64_t now = mono_ns();
		int ready;

		if (now >= deadline)
			return ERR_TIMEOUT;
		ready = poll(&pfd, 1, (int)((deadline - now) / NS_PER_MS) + 1);
		if (ready < 0 && errno != EINTR)
			return -errno;
		if (ready > 0)
			return io_read(fd, out, sizeof(*out)) == (ssize_t)sizeof(*out) ? 0 : -EIO;
	}
}

/* Has a child do it. */
static int probe(struct finding (*what)(const char *path), const char *path, unsigned timeout_ms,
		 struct finding *out)
{
	struct finding finding;
	int fds[2];
	pid_t pid;
	int ret;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid < 0) {
		ret = -errno;
		io_close(&fds[0]);
		io_close(&fds[1]);
		return ret;
	}
	if (pid == 0) {
		finding = what(path);
		_exit(io_write(fds[1], &finding, sizeof(finding)) < 0 ? 1 : 0);
	}
	io_close(&fds[1]);
	ret = await(fds[0], timeout_ms, &finding);
	io_close(&fds[0]);
	/* A wait in a FUSE mount ends by a fatal signal. */
	if (ret < 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (ret < 0)
		return ret;
	*out = finding;
	return finding.result;
}

int probe_path(const char *path, unsigned timeout_ms, dev_t *dev_out)
{
	struct finding finding;
	int ret = probe(ask, path, timeout_ms, &finding);

	if (ret == 0 && dev_out != NULL)
		*dev_out = finding.dev;
	return ret;
}

int probe_flush(const char *path, unsigned timeout_ms)
{
	struct finding finding;

	return probe(flush, path, timeout_ms, &finding);
}
