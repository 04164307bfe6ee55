/*
 * posix_spawn(3) with everything reset: the three pipes on 0, 1, 2, all other
 * descriptors closed, "/" as the folder, an empty signal mask, every signal at
 * its default (an ignored SIGPIPE would otherwise be inherited over exec).
 *
 * Waiting for a child goes by a pidfd put into poll(2); on kernels and in
 * sandboxes without it, by asking every few milliseconds.
 *
 * proc_run: writes, reads and the end of the child are events of one poll, so
 * that no pipe that is full can stop another. It ends when the child has, even
 * if a grandchild keeps the pipes: what is in them by then is read, no more.
 */
#include "base/proc.h"

#include <assert.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"

#define WAIT_TICK_MS 5	 /* how often to ask where there is no pidfd */
#define RUN_GRACE_MS 200 /* for a child that proc_run gives up on */
#define READ_CHUNK 16384
#define STDERR_CHUNKS_MAX 64 /* one call reads no more, however fast the child writes */
#define FIRST_FREE_FD 3

enum pipe_index {
	PIPE_IN,
	PIPE_OUT,
	PIPE_ERR,
	PIPES, /* how many there are */
};

struct pipes {
	int ours[PIPES];
	int theirs[PIPES];
};

static void pipes_release(struct pipes *pipes)
{
	for (int i = 0; i < PIPES; i++) {
		io_close(&pipes->ours[i]);
		io_close(&pipes->theirs[i]);
	}
}
#define AUTO_PIPES __attribute__((cleanup(pipes_release)))

/* Moves *fd out of the way of 0, 1, 2, onto which the child's ends are put. */
static int raise_fd(int *fd)
{
	int raised;

	if (*fd >= FIRST_FREE_FD)
		return 0;
	raised = fcntl(*fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
	if (raised < 0)
		return -errno;
	io_close(fd);
	*fd = raised;
	return 0;
}

static int set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

static int pipes_open(struct pipes *pipes)
{
	for (int i = 0; i < PIPES; i++) {
		int ends[2];
		int rc;

		if (pipe2(ends, O_CLOEXEC) < 0)
			return -errno;
		pipes->theirs[i] = ends[i == PIPE_IN ? 0 : 1];
		pipes->ours[i] = ends[i == PIPE_IN ? 1 : 0];
		rc = raise_fd(&pipes->theirs[i]);
		if (rc == 0)
			rc = raise_fd(&pipes->ours[i]);
		if (rc < 0)
			return rc;
	}
	return set_nonblocking(pipes->ours[PIPE_ERR]);
}

static size_t list_len(const char *const *list)
{
	size_t len = 0;

	while (list != NULL && list[len] != NULL)
		len++;
	return len;
}

/* Takes every "NAME=..." out of list[0..len); the new length. */
static size_t env_remove(const char **list, size_t len, const char *name, size_t name_len)
{
	size_t kept = 0;

	for (size_t i = 0; i < len; i++) {
		if (strncmp(list[i], name, name_len) != 0 || list[i][name_len] != '=')
			list[kept++] = list[i];
	}
	return kept;
}

/* The environment with `changes`; the array is the caller's to free, the
 * strings are not. NULL: no memory. */
static const char **env_build(const char *const *changes)
{
	size_t len = list_len((const char *const *)environ);
	const char **list = calloc(len + list_len(changes) + 1, sizeof(*list));

	if (list == NULL)
		return NULL;
	if (len > 0)
		memcpy(list, environ, len * sizeof(*list));
	for (size_t i = 0; changes != NULL && changes[i] != NULL; i++) {
		size_t name_len = strcspn(changes[i], "=");

		len = env_remove(list, len, changes[i], name_len);
		if (changes[i][name_len] == '=')
			list[len++] = changes[i];
	}
	list[len] = NULL;
	return list;
}

static const char **list_copy(const char *const *list)
{
	size_t len = list_len(list);
	const char **copy = calloc(len + 1, sizeof(*copy));

	if (copy != NULL)
		memcpy(copy, list, len * sizeof(*copy));
	return copy;
}

static int add_actions(posix_spawn_file_actions_t *actions, const struct pipes *pipes)
{
	int rc = 0;

	for (int i = 0; i < PIPES && rc == 0; i++)
		rc = posix_spawn_file_actions_adddup2(actions, pipes->theirs[i], i);
	if (rc == 0)
		rc = posix_spawn_file_actions_addclosefrom_np(actions, FIRST_FREE_FD);
	if (rc == 0)
		rc = posix_spawn_file_actions_addchdir_np(actions, "/");
	return rc;
}

static int set_signals(posix_spawnattr_t *attr)
{
	sigset_t set;
	int rc;

	sigemptyset(&set);
	rc = posix_spawnattr_setsigmask(attr, &set);
	sigfillset(&set);
	if (rc == 0)
		rc = posix_spawnattr_setsigdefault(attr, &set);
	if (rc == 0)
		rc = posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK |
							    POSIX_SPAWN_SETSIGDEF);
	return rc;
}

/* As posix_spawnp(3): 0 or a positive errno. */
static int spawn(pid_t *pid, const struct pipes *pipes, const char **argv, const char **env)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	void *args = argv; /* execve(2) changes no string, whatever its prototype says */
	void *vars = env;
	int rc;

	rc = posix_spawn_file_actions_init(&actions);
	if (rc != 0)
		return rc;
	rc = posix_spawnattr_init(&attr);
	if (rc != 0)
		goto out_actions;
	rc = add_actions(&actions, pipes);
	if (rc == 0)
		rc = set_signals(&attr);
	if (rc == 0)
		rc = posix_spawnp(pid, argv[0], &actions, &attr, args, vars);
	posix_spawnattr_destroy(&attr);
out_actions:
	posix_spawn_file_actions_destroy(&actions);
	return rc;
}

/* Three numbers of execve(2) and fork(2) mean something else in err.h. */
static int spawn_failed(int errnum, const char *name, struct err *err)
{
	if (errnum == ENOENT && strchr(name, '/') == NULL)
		return err_set(err, -ENOENT, "cannot run '%s': no such program on PATH", name);
	(void)err_sys(err, errnum, "cannot run '%s'", name);
	if (errnum == EACCES)
		errnum = ENOEXEC;
	if (errnum == EAGAIN)
		errnum = ENOMEM;
	if (err != NULL)
		err->code = -errnum;
	return -errnum;
}

int proc_start(struct proc *proc, const char *const *argv, const char *const *env, struct err *err)
{
	AUTO_PIPES struct pipes pipes = { .ours = { -1, -1, -1 }, .theirs = { -1, -1, -1 } };
	const char **args;
	const char **vars;
	pid_t pid = -1;
	int rc;

	assert(argv[0] != NULL);
	rc = pipes_open(&pipes);
	if (rc < 0)
		return err_sys(err, -rc, "cannot make the pipes for '%s'", argv[0]);
	args = list_copy(argv);
	vars = env_build(env);
	rc = args != NULL && vars != NULL ? spawn(&pid, &pipes, args, vars) : ENOMEM;
	free(args);
	free(vars);
	if (rc != 0)
		return spawn_failed(rc, argv[0], err);
	*proc = (struct proc){
		.pid = pid,
		.in_fd = pipes.ours[PIPE_IN],
		.out_fd = pipes.ours[PIPE_OUT],
		.err_fd = pipes.ours[PIPE_ERR],
	};
	for (int i = 0; i < PIPES; i++)
		pipes.ours[i] = -1;
	return 0;
}

/* One read(2) of a non-blocking pipe into `to`. 1: something was there, 0: end
 * of file, -EAGAIN: nothing now. Beyond to->max the bytes are dropped, or
 * ERR_LIMIT where `strict`; the same for memory. `to` may be NULL. */
static int read_some(int fd, struct buf *to, bool strict)
{
	uint8_t chunk[READ_CHUNK];
	size_t limit = to != NULL && to->max != 0 ? to->max : BUF_MAX_DEFAULT;
	size_t room = to != NULL && limit > to->len ? limit - to->len : 0;
	size_t kept;
	ssize_t n;
	int rc = 0;

	do {
		n = read(fd, chunk, sizeof(chunk));
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 ? -errno : 0;
	kept = (size_t)n < room ? (size_t)n : room;
	if (strict && kept < (size_t)n)
		return ERR_LIMIT;
	if (kept > 0)
		rc = buf_append(to, chunk, kept);
	return strict && rc < 0 ? rc : 1;
}

void proc_read_stderr(struct proc *proc, struct buf *text)
{
	for (int i = 0; i < STDERR_CHUNKS_MAX && proc->err_fd >= 0; i++) {
		if (read_some(proc->err_fd, text, false) <= 0)
			break;
	}
}

/* Time left for poll(2): rounded up, so that it does not spin at the end. */
static int left_ms(uint64_t deadline_ns)
{
	uint64_t now_ns = mono_ns();
	uint64_t left;

	if (now_ns >= deadline_ns)
		return 0;
	left = (deadline_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS;
	return left < INT_MAX ? (int)left : INT_MAX;
}

/* 1 and the wait status once the child has ended; 0 at the deadline. */
static int wait_until(pid_t pid, uint64_t deadline_ns, int *status)
{
	AUTO_CLOSE int pidfd = pidfd_open(pid, 0);
	struct pollfd ended = { .fd = pidfd, .events = POLLIN };
	pid_t got;
	int left;

	for (;;) {
		got = waitpid(pid, status, WNOHANG);
		if (got == pid)
			return 1;
		if (got < 0 && errno != EINTR)
			return -errno;
		left = left_ms(deadline_ns);
		if (left == 0)
			return 0;
		if (pidfd < 0 && left > WAIT_TICK_MS)
			left = WAIT_TICK_MS;
		poll(&ended, 1, left); /* EINTR: ask again */
	}
}

static uint64_t deadline_after(unsigned ms)
{
	return mono_ns() + ms * NS_PER_MS;
}

int proc_end(struct proc *proc, unsigned grace_ms)
{
	static const int signals[] = { SIGTERM, SIGKILL };
	pid_t pid = proc->pid;
	int status = 0;
	int rc;

	io_close(&proc->in_fd);
	io_close(&proc->out_fd);
	io_close(&proc->err_fd);
	if (pid < 0)
		return -ECHILD;
	rc = wait_until(pid, deadline_after(grace_ms), &status);
	for (size_t i = 0; i < 2 && rc == 0; i++) {
		kill(pid, signals[i]);
		/* SIGKILL cannot be refused: only a child stuck in the kernel outlasts it. */
		rc = wait_until(pid, signals[i] == SIGKILL ? UINT64_MAX : deadline_after(grace_ms),
				&status);
	}
	proc->pid = -1;
	return rc < 0 ? rc : status;
}

struct run {
	struct proc proc;
	const struct buf *input; /* may be NULL */
	size_t sent;
	struct buf *out;
	struct buf *errors; /* may be NULL */
	uint64_t deadline_ns;
	bool ended; /* the child has: only what is in the pipes is still read */
};

/* Writes what the pipe takes; closes it at the end of the input, and where the
 * child does not want the rest, which is its own affair. */
static int run_send(struct run *run)
{
	ssize_t n;

	if (run->input != NULL && run->sent < run->input->len) {
		n = write(run->proc.in_fd, run->input->data + run->sent,
			  run->input->len - run->sent);
		if (n < 0 && errno != EPIPE)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		if (n > 0)
			run->sent += (size_t)n;
		if (n > 0 && run->sent < run->input->len)
			return 0;
	}
	io_close(&run->proc.in_fd);
	return 0;
}

static int run_receive(int *fd, struct buf *to, bool strict)
{
	int rc = read_some(*fd, to, strict);

	if (rc == 0)
		io_close(fd);
	return rc == -EAGAIN || rc > 0 ? 0 : rc;
}

/* Waits for the next events and serves them. 1: go on; 0: nothing is left. */
static int run_step(struct run *run, int pidfd)
{
	struct proc *proc = &run->proc;
	int left = left_ms(run->deadline_ns);
	struct pollfd fds[] = {
		{ .fd = run->ended ? -1 : proc->in_fd, .events = POLLOUT },
		{ .fd = proc->out_fd, .events = POLLIN },
		{ .fd = proc->err_fd, .events = POLLIN },
		{ .fd = run->ended ? -1 : pidfd, .events = POLLIN },
	};
	int rc;

	if (fds[0].fd < 0 && fds[1].fd < 0 && fds[2].fd < 0)
		return 0;
	if (left == 0)
		return ERR_TIMEOUT;
	rc = poll(fds, sizeof(fds) / sizeof(fds[0]), run->ended ? 0 : left);
	if (rc < 0)
		return errno == EINTR ? 1 : -errno;
	if (rc == 0 && run->ended)
		return 0;
	rc = fds[0].revents != 0 ? run_send(run) : 0;
	if (rc == 0 && fds[1].revents != 0)
		rc = run_receive(&proc->out_fd, run->out, true);
	if (rc == 0 && fds[2].revents != 0)
		rc = run_receive(&proc->err_fd, run->errors, false);
	if (fds[3].revents != 0)
		run->ended = true;
	return rc < 0 ? rc : 1;
}

/* Serves the pipes and waits for the end. The exit code. */
static int run_serve(struct run *run)
{
	AUTO_CLOSE int pidfd = pidfd_open(run->proc.pid, 0);
	int status = 0;
	int rc;

	rc = set_nonblocking(run->proc.in_fd);
	if (rc == 0)
		rc = set_nonblocking(run->proc.out_fd);
	if (rc < 0)
		return rc;
	do {
		rc = run_step(run, pidfd);
	} while (rc > 0);
	if (rc < 0)
		return rc;
	rc = wait_until(run->proc.pid, run->deadline_ns, &status);
	if (rc == 0)
		return ERR_TIMEOUT;
	run->proc.pid = -1;
	if (rc < 0)
		return rc;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int proc_run(const char *const *argv, const char *const *env, const struct buf *input,
	     struct buf *out, struct buf *errors, unsigned timeout_ms, struct err *err)
{
	struct run run = {
		.proc = PROC_INIT,
		.input = input,
		.out = out,
		.errors = errors,
		.deadline_ns = deadline_after(timeout_ms),
	};
	size_t before = out->len;
	int rc;

	rc = proc_start(&run.proc, argv, env, err);
	if (rc < 0)
		return rc;
	rc = run_serve(&run);
	(void)proc_end(&run.proc, rc < 0 ? RUN_GRACE_MS : 0);
	if (rc >= 0)
		return rc;
	out->len = before;
	if (out->data != NULL)
		out->data[before] = '\0';
	if (rc == ERR_TIMEOUT)
		return err_set(err, rc, "'%s' was not done after %u ms", argv[0], timeout_ms);
	if (rc == ERR_LIMIT)
		return err_set(err, rc, "'%s' wrote more than is allowed", argv[0]);
	return err_sys(err, -rc, "cannot talk to '%s'", argv[0]);
}
