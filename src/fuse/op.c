/*
 * Parking, resuming and interrupting operations.
 *
 * Who may touch a parked operation: the fetcher until it calls `done`; the
 * parker until it drops its reference; libfuse's interrupt callback until
 * fuse_req_interrupt_func(req, NULL, NULL) has returned, which the resumer
 * calls first of all (libfuse holds the request's lock around the callback).
 */
#include "fuse/op.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/map.h"
#include "base/threads.h"
#include "fuse/session_internal.h"

#define LOG_PER_SECOND 10

/* --- replying --- */

/* What an application sees for a negative errno of a lower layer. Positive. */
static int errno_for_application(int rc)
{
	switch (rc) {
	case -ENOENT:
	case -ENOTDIR:
	case -EISDIR:
	case -EINVAL:
	case -ENAMETOOLONG:
	case -ESTALE:
	case -ENOMEM:
	case -EINTR:
	case -EEXIST:
	case -ENOTEMPTY:
	case -EPERM:
	case -EROFS:
	case -ENOSPC:
	case -EDQUOT:
	case -EFBIG:
	case -ENXIO:
	case -ENODATA:
	case -ERANGE:
	case -EOPNOTSUPP:
		return -rc;
	default: /* damage, protocol, network, time-out, credentials, limits */
		return EIO;
	}
}

static void log_failure(struct op *op, int rc)
{
	struct session *session = op->session;
	AUTO_BUF struct buf path = BUF_INIT_MAX(8192);
	uint64_t second = mono_ns() / NS_PER_S;

	atomic_fetch_add(&session->failed, 1);
	if (atomic_exchange(&session->log_second, second) != second)
		atomic_store(&session->log_lines, 0);
	if (atomic_fetch_add(&session->log_lines, 1) >= LOG_PER_SECOND ||
	    worktree_path(session->worktree, op->ino, &path) < 0)
		return;
	log_line(LOG_WARN, "fuse", "event=failed op=%s path=/%s%s%s reason=\"%s\"", op->what_for,
		 buf_str(&path), op->name != NULL ? "/" : "", op->name != NULL ? op->name : "",
		 err_name(rc));
}

static void op_fail(struct op *op, int rc)
{
	int errnum = errno_for_application(rc);

	if (errnum == EIO && rc != ERR_CANCELLED) /* a mount that ends fails nobody */
		log_failure(op, rc);
	fuse_reply_err(op->req, errnum);
}

static void op_unref(struct op *op)
{
	if (atomic_fetch_sub(&op->refs, 1) != 1)
		return;
	free((void *)(uintptr_t)op->name);
	free((void *)(uintptr_t)op->other_name);
	free((void *)(uintptr_t)op->data);
	free(op);
}

/* --- the queue --- */

static void queue_push(struct op *op, int result)
{
	struct op_queue *queue = &op->session->resume;

	op->result = result;
	WITH_LOCK(&queue->lock);
	op->next = NULL;
	if (queue->last != NULL)
		queue->last->next = op;
	else
		queue->first = op;
	queue->last = op;
	pthread_cond_signal(&queue->filled);
}

static void on_done(struct fetch_wait *wait, int result)
{
	queue_push(MAP_ENTRY(wait, struct op, wait), result == ERR_NOT_FOUND ? -EIO : result);
}

static void on_interrupt(fuse_req_t req, void *arg)
{
	struct op *op = arg;

	(void)req;
	atomic_store(&op->interrupted, true);
	if (fetcher_cancel(op->session->fetcher, &op->wait))
		queue_push(op, -EINTR);
}

/* --- running and parking --- */

static int op_run(struct op *op, struct buf *scratch, struct want *want)
{
	op->by.want = want;
	int rc = op->run(op, scratch, want);

	/* What was removed may still take room: it is given back only when it has to be. */
	if (rc == -ENOSPC && worktree_reclaim(op->session->worktree))
		rc = op->run(op, scratch, want);
	return rc;
}

/* Gives the wants of a parked operation to the fetcher. Afterwards the operation
 * belongs to whoever resumes it. */
static void op_wait(struct op *op, const struct want *want)
{
	atomic_fetch_add(&op->refs, 1); /* ours, until we are done here */
	fuse_req_interrupt_func(op->req, on_interrupt, op);
	int rc = fetcher_want(op->session->fetcher, want, &op->wait);

	if (rc < 0)
		queue_push(op, rc);
	else if (atomic_load(&op->interrupted) &&
		 fetcher_cancel(op->session->fetcher, &op->wait))
		queue_push(op, -EINTR); /* the interrupt came before the wait stood */
	op_unref(op);
}

/* Copies what lies in the worker's request. False: no memory. */
static bool op_take_over(struct op *parked, const struct op *op)
{
	char *name = op->name != NULL ? strdup(op->name) : NULL;
	char *other = op->other_name != NULL ? strdup(op->other_name) : NULL;
	void *data = op->data != NULL ? malloc(op->size + 1) : NULL;

	if ((op->name != NULL && name == NULL) || (op->other_name != NULL && other == NULL) ||
	    (op->data != NULL && data == NULL)) {
		free(name);
		free(other);
		free(data);
		return false;
	}
	if (data != NULL)
		memcpy(data, op->data, op->size);
	parked->name = name;
	parked->other_name = other;
	parked->data = data;
	return true;
}

static struct op *op_move_to_heap(const struct op *op)
{
	struct op *parked = malloc(sizeof(*parked));

	if (parked == NULL)
		return NULL;
	*parked = *op;
	if (!op_take_over(parked, op)) {
		free(parked);
		return NULL;
	}
	parked->wait.done = on_done;
	atomic_init(&parked->refs, 1); /* that of whoever will reply */
	atomic_init(&parked->interrupted, false);
	return parked;
}

/* True: the want that was fetched last is missing once more, too often. */
static bool op_goes_in_circles(struct op *op, const struct want *want)
{
	if (!oid_equal(&op->wanted, &want->oids[0])) {
		op->wanted = want->oids[0];
		op->same_want = 0;
	}
	return ++op->same_want > OP_SAME_WANT_MAX;
}

void op_start(struct op *op, int fd, struct buf *scratch)
{
	struct session *session = op->session;
	struct want want = WANT_INIT;
	int rc = op_run(op, scratch, &want);

	atomic_fetch_add(&session->requests, 1);
	if (rc == ERR_AGAIN) {
		struct op *parked = op_move_to_heap(op);

		rc = parked != NULL ? 0 : -ENOMEM;
		if (parked != NULL) {
			parked->fd = fd;
			parked->wanted = want.oids[0];
			parked->same_want = 1;
			pthread_mutex_lock(&session->resume.lock);
			session->resume.parked++;
			pthread_mutex_unlock(&session->resume.lock);
			atomic_fetch_add(&session->parked, 1);
			op_wait(parked, &want);
		}
	}
	want_release(&want);
	if (rc < 0)
		op_fail(op, rc);
}

/* Runs a parked operation on. True: it was replied to. */
static bool op_resume(struct op *op, struct buf *scratch)
{
	struct want want = WANT_INIT;
	int rc = op->result;

	fuse_req_interrupt_func(op->req, NULL, NULL);
	device_reply_on(op->fd);
	if (rc == -EINTR)
		atomic_fetch_add(&op->session->interrupted, 1);
	if (rc == 0)
		rc = op_run(op, scratch, &want);
	if (rc == ERR_AGAIN && op_goes_in_circles(op, &want))
		rc = -EIO;
	if (rc == ERR_AGAIN)
		op_wait(op, &want);
	else if (rc < 0)
		op_fail(op, rc);
	want_release(&want);
	return rc != ERR_AGAIN;
}

static void *resumer(void *arg)
{
	struct session *session = arg;
	struct op_queue *queue = &session->resume;
	AUTO_BUF struct buf scratch = BUF_INIT;

	pthread_mutex_lock(&queue->lock);
	for (;;) {
		while (queue->first == NULL && !(queue->stopped && queue->parked == 0))
			pthread_cond_wait(&queue->filled, &queue->lock);
		struct op *op = queue->first;

		if (op == NULL)
			break;
		queue->first = op->next;
		if (queue->first == NULL)
			queue->last = NULL;
		pthread_mutex_unlock(&queue->lock);
		bool replied = op_resume(op, &scratch);

		if (replied)
			op_unref(op);
		pthread_mutex_lock(&queue->lock);
		if (replied && --queue->parked == 0 && queue->stopped)
			pthread_cond_broadcast(&queue->filled);
	}
	pthread_mutex_unlock(&queue->lock);
	return NULL;
}

int op_queue_init(struct op_queue *queue)
{
	*queue = (struct op_queue){ .first = NULL };
	pthread_mutex_init(&queue->lock, NULL);
	return cond_init(&queue->filled);
}

int op_queue_start(struct op_queue *queue, struct session *session)
{
	while (queue->threads_count < OP_RESUMERS) {
		int rc = thread_start(&queue->threads[queue->threads_count], "resume", resumer,
				      session);

		if (rc < 0)
			return rc;
		queue->threads_count++;
	}
	return 0;
}

void op_queue_stop(struct op_queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	queue->stopped = true;
	pthread_cond_broadcast(&queue->filled);
	pthread_mutex_unlock(&queue->lock);
	for (unsigned i = 0; i < queue->threads_count; i++)
		pthread_join(queue->threads[i], NULL);
	queue->threads_count = 0;
}

void op_queue_release(struct op_queue *queue)
{
	pthread_cond_destroy(&queue->filled);
	pthread_mutex_destroy(&queue->lock);
}
