/*
 * Mounting, the workers, and the end.
 *
 * Each worker reads requests (device.h) and hands them to libfuse, which
 * decodes them and calls ops.c. Workers end when the kernel lets go of the
 * mount (ENODEV), or at session_unmount(): a mount that is busy lives on
 * lazily, so they are told by a signal, which ends the read they sleep in.
 */
#define FUSE_USE_VERSION 314

#include "fuse/session.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/threads.h"
#include "fuse/session_internal.h"

#define WAKE_SIGNAL SIGUSR1
#define WAKE_EVERY_NS (10 * NS_PER_MS)
/* The largest request: a write of 1 MiB and its header page. */
#define REQUEST_MAX (((size_t)1 << 20) + 4096)
#define WORKERS_MIN 4

/* --- mounting --- */

/* libfuse explains itself on stderr; we keep its last words for the error. */
static _Thread_local char libfuse_words[256];

__attribute__((format(printf, 2, 0))) static void
keep_words(enum fuse_log_level level, const char *fmt, va_list args)
{
	(void)level;
	vsnprintf(libfuse_words, sizeof(libfuse_words), fmt, args);
	libfuse_words[strcspn(libfuse_words, "\n")] = '\0';
}

/* A value in an option list: commas and backslashes escaped. */
static int append_escaped(struct buf *out, const char *value)
{
	int rc = 0;

	for (; rc == 0 && *value != '\0'; value++) {
		if (*value == ',' || *value == '\\')
			rc = buf_append_u8(out, '\\');
		if (rc == 0)
			rc = buf_append_u8(out, (uint8_t)*value);
	}
	return rc;
}

static int options_make(const struct session_config *config, struct buf *out)
{
	int rc = buf_append_str(out, config->writable ? "-o" : "-oro,");

	if (rc == 0)
		rc = buf_append_str(out, "default_permissions,subtype=git-fs,");

	if (rc == 0 && config->allow_other)
		rc = buf_append_str(out, "allow_other,");
	if (rc == 0)
		rc = buf_append_str(out, "fsname=");
	return rc == 0 ? append_escaped(out, config->source) : rc;
}

static int device_check(struct err *err)
{
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (fd >= 0) {
		close(fd);
		return 0;
	}
	if (errno == EACCES || errno == EPERM)
		return err_set(err, -EPERM,
			       "no permission to open /dev/fuse for reading and writing");
	return err_set(err, -ENODEV,
		       "no FUSE here: /dev/fuse cannot be opened (%s); as root: modprobe fuse",
		       strerror(errno));
}

static int fuse_mount(struct session *session, const struct session_config *config,
		      struct err *err)
{
	AUTO_BUF struct buf options = BUF_INIT_MAX(16384);
	char name[] = "git-fs";
	int rc = options_make(config, &options);

	if (rc < 0)
		return err_set(err, rc, "cannot build the mount options: %s", err_name(rc));
	char *argv[] = { name, (char *)options.data, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(2, argv);

	libfuse_words[0] = '\0';
	fuse_set_log_func(keep_words);
	session->se = fuse_session_new(&args, &session_ops, sizeof(session_ops), session);
	fuse_opt_free_args(&args);
	if (session->se == NULL)
		return err_set(err, -EINVAL, "FUSE refuses the mount options: %s", libfuse_words);
	if (fuse_session_mount(session->se, config->mount_point) != 0)
		return err_set(err, -EPERM, "cannot mount on %s: %s", config->mount_point,
			       libfuse_words);
	return 0;
}

static unsigned workers_choose(unsigned wanted)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	if (wanted == 0)
		wanted = processors > WORKERS_MIN ? (unsigned)processors : WORKERS_MIN;
	return wanted < SESSION_WORKERS_MAX ? wanted : SESSION_WORKERS_MAX;
}

int session_mount(struct session **out, const struct session_config *config, struct err *err)
{
	int rc = device_check(err);

	if (rc < 0)
		return rc;
	struct session *session = calloc(1, sizeof(*session));

	if (session == NULL)
		return err_set(err, -ENOMEM, "out of memory");
	session->worktree = config->worktree;
	session->fetcher = config->fetcher;
	session->writable = config->writable;
	session->writeback = config->writeback;
	session->xattr = config->xattr;
	session->off = config->mechanisms_off;
	session->workers_wanted = workers_choose(config->workers);
	session->device = (struct device){ .main_fd = -1, .poll_fd = -1 };

	pthread_mutex_init(&session->workers_lock, NULL);
	rc = op_queue_init(&session->resume);
	if (rc == 0)
		rc = fuse_mount(session, config, err);
	if (rc == 0) {
		bool clone = (session->off & (1U << MECH_CLONE_FD)) == 0;

		rc = device_init(&session->device, session->se, fuse_session_fd(session->se), clone,
				 config->poll_us);
	}
	if (rc == 0)
		rc = notifier_init(&session->notifier, session->se);
	if (rc < 0) {
		session_free(session);
		return rc;
	}
	*out = session;
	return 0;
}

/* --- workers --- */

struct session *session_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

/* Of the worker that runs on this thread. */
static _Thread_local struct {
	int fd;
	struct buf scratch;
	struct request_marks marks; /* of the request that is being decoded */
} worker_self;

const struct request_marks *session_marks(void)
{
	return &worker_self.marks;
}

#define GROUPS_MAX 1024

/* The kernel tells one group of the caller; the others stand in /proc. */
static bool caller_in_group(const struct worktree_request *request, uint32_t gid)
{
	gid_t groups[GROUPS_MAX];
	int count = 0;

	if (request->uid != 0)
		count = fuse_req_getgroups(request->context, GROUPS_MAX, groups);
	for (int i = 0; i < count && i < GROUPS_MAX; i++)
		if (groups[i] == gid)
			return true;
	return request->uid == 0;
}

void session_run(struct op *op)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(op->req);

	op->session = session_of(op->req);
	op->marks = worker_self.marks;
	op->by = (struct worktree_request){ .unique = op->marks.unique,
					    .uid = ctx->uid,
					    .gid = ctx->gid,
					    .pid = ctx->pid,
					    .in_group = caller_in_group,
					    .context = op->req };
	op_start(op, worker_self.fd, &worker_self.scratch);
}

/* What libfuse does not ask for by itself. */
static uint32_t session_init_flags(struct session *session, const struct request_marks *marks)
{
	uint32_t bit = 1U << MECH_KILLPRIV;
	uint32_t flags = request_killpriv_flag(marks);

	if (flags == 0 || !session->writable)
		return 0;
	session->state.offered |= bit;
	if ((session->off & bit) != 0)
		return 0;
	session->killpriv = true;
	return flags;
}

static void worker_loop(struct session *session, int fd, void *request)
{
	while (!atomic_load(&session->stop)) {
		ssize_t got = device_read(&session->device, fd, request, REQUEST_MAX,
					  &worker_self.fd);

		if (got == -EINTR)
			continue;
		if (got <= 0) {
			if (got != -ENODEV)
				log_line(LOG_ERROR, "fuse", "event=device-failed reason=\"%s\"",
					 err_name((int)got));
			return;
		}
		struct fuse_buf buf = { .mem = request, .size = (size_t)got };

		request_peek(request, (size_t)got, &worker_self.marks);
		if (worker_self.marks.is_init)
			device_amend_init(session_init_flags(session, &worker_self.marks));
		device_reply_on(worker_self.fd);
		fuse_session_process_buf(session->se, &buf);
	}
}

static void wake(int signal)
{
	(void)signal;
}

static void *worker_thread(void *arg)
{
	struct worker *worker = arg;
	struct session *session = worker->session;
	sigset_t signals;
	void *request = malloc(REQUEST_MAX);

	sigemptyset(&signals);
	sigaddset(&signals, WAKE_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
	if (request != NULL)
		worker_loop(session, worker->fd, request);
	buf_release(&worker_self.scratch);
	free(request);
	WITH_LOCK(&session->workers_lock);
	worker->running = false;
	return NULL;
}

static int worker_start(struct session *session)
{
	struct worker *worker = &session->workers[session->workers_count];

	WITH_LOCK(&session->workers_lock);
	if (atomic_load(&session->stop))
		return ERR_CANCELLED;
	worker->session = session;
	int rc = thread_start(&worker->thread, "fuse", worker_thread, worker);

	if (rc < 0)
		return rc;
	worker->running = true;
	session->workers_count++;
	return 0;
}

int session_start(struct session *session, struct err *err)
{
	struct sigaction action = { .sa_handler = wake };
	int rc = sigaction(WAKE_SIGNAL, &action, NULL) < 0 ? -errno : 0;

	if (rc == 0)
		rc = op_queue_start(&session->resume, session);
	if (rc == 0)
		rc = notifier_start(&session->notifier);
	/* All before the first worker answers INIT, which says whether clones are in use. */
	for (unsigned i = 0; i < session->workers_wanted; i++)
		session->workers[i].fd = device_open_worker(&session->device);
	while (rc == 0 && session->workers_count < session->workers_wanted)
		rc = worker_start(session);
	if (rc == ERR_CANCELLED)
		return err_set(err, rc, "called off; nothing is mounted");
	if (rc < 0)
		return err_sys(err, -rc, "cannot start the threads of the mount");
	return 0;
}

void session_wait(struct session *session)
{
	for (; session->workers_joined < session->workers_count; session->workers_joined++)
		pthread_join(session->workers[session->workers_joined].thread, NULL);
}

/* Ends the read that a worker sleeps in; false once it has ended. */
static bool worker_wake(struct session *session, struct worker *worker)
{
	WITH_LOCK(&session->workers_lock);
	if (worker->running)
		pthread_kill(worker->thread, WAKE_SIGNAL);
	return worker->running;
}

void session_unmount(struct session *session)
{
	const struct timespec pause = { .tv_nsec = WAKE_EVERY_NS };

	pthread_mutex_lock(&session->workers_lock);
	atomic_store(&session->stop, true); /* no more workers start */
	unsigned count = session->workers_count;

	pthread_mutex_unlock(&session->workers_lock);
	fuse_session_unmount(session->se);
	/* Again and again: a signal that comes just before the read is lost. */
	for (unsigned i = 0; i < count; i++)
		while (worker_wake(session, &session->workers[i]))
			nanosleep(&pause, NULL);
}

void session_free(struct session *session)
{
	if (session == NULL)
		return;
	op_queue_stop(&session->resume);
	notifier_stop(&session->notifier);
	if (session->notifier.se != NULL)
		notifier_release(&session->notifier);
	if (session->se != NULL) {
		fuse_session_unmount(session->se);
		fuse_session_destroy(session->se);
	}
	device_release(&session->device);
	op_queue_release(&session->resume);
	pthread_mutex_destroy(&session->workers_lock);
	free(session);
}

/* --- for status --- */

void session_stats(struct session *session, struct session_stats *out)
{
	pthread_mutex_lock(&session->resume.lock);
	out->waiting = session->resume.parked;
	pthread_mutex_unlock(&session->resume.lock);
	out->requests = atomic_load(&session->requests);
	out->parked = atomic_load(&session->parked);
	out->interrupted = atomic_load(&session->interrupted);
	out->failed = atomic_load(&session->failed);
	out->workers = session->workers_wanted;
}

void session_mechanisms(struct session *session, struct mechanism_state *out)
{
	*out = atomic_load(&session->ready) ? session->state : (struct mechanism_state){ 0 };
}
