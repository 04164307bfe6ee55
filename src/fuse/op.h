/*
 * An operation: one request of the kernel, from its arrival to its reply.
 *
 * It runs on what is local. Where something is missing it is *parked*: what it
 * wants goes to the fetcher, the worker is free for the next request, and when
 * the want has come the operation is run once more from its start. So any
 * number of readers may wait for the remote, and none of them blocks a thread.
 *
 * States: running (on a worker's stack) -> parked (on the heap, in the
 * fetcher's hands) -> queued to resume -> running again -> replied.
 * An interrupt takes a parked one back from the fetcher: it is queued with EINTR.
 */
#ifndef GIT_FS_FUSE_OP_H
#define GIT_FS_FUSE_OP_H

#define FUSE_USE_VERSION 314

#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "fuse/request.h"
#include "sync/fetcher.h"
#include "worktree/change.h"
#include "worktree/want.h"

#define OP_SAME_WANT_MAX 3  /* times that the same thing may be missing after it was fetched */
#define OP_RESUMERS 2       /* threads that run operations whose wants have come */

struct session;
struct op;

/* Runs it: 0: it replied; ERR_AGAIN with a want; another negative errno: the
 * reply. `scratch` is the thread's own, for building replies. */
typedef int op_run_fn(struct op *op, struct buf *scratch, struct want *want);

struct op {
	struct session *session;
	fuse_req_t req;
	op_run_fn *run;
	const char *what_for; /* "read"; for the log */
	fuse_ino_t ino;
	const char *name;    /* owned once parked, as the next two */
	const char *other_name; /* rename: the new name; symlink: the target */
	const void *data;    /* write, setxattr: `size` bytes */
	uint64_t offset;
	size_t size;
	bool plus;           /* readdir with attributes */
	struct worktree_request by; /* who asks; its want is run()'s */
	struct request_marks marks;
	/* Of operations that change something. */
	uint64_t new_parent;
	struct worktree_new what;
	struct worktree_change change;
	uint64_t len;        /* allocate */
	unsigned flags;

	/* Once parked. */
	int fd;              /* where the request came from */
	struct fetch_wait wait;
	struct oid wanted;   /* the last want, and how often in a row */
	unsigned same_want;
	int result;          /* of the fetch */
	atomic_uint refs;    /* the fetcher's way and the parker's */
	atomic_bool interrupted;
	struct op *next;     /* in the resume queue; guarded by its lock */
};

/* Operations whose wants have come, and the threads that run them. */
struct op_queue {
	pthread_mutex_t lock; /* innermost */
	pthread_cond_t filled;
	struct op *first;     /* guarded by lock, as all below */
	struct op *last;
	bool stopped;
	unsigned parked;      /* not replied yet */
	pthread_t threads[OP_RESUMERS];
	unsigned threads_count;
};

/* Runs an operation that lives on the caller's stack, to its reply or until it is
 * parked. `fd` is where its request was read. */
void op_start(struct op *op, int fd, struct buf *scratch);

int op_queue_init(struct op_queue *queue) __attribute__((warn_unused_result));
int op_queue_start(struct op_queue *queue, struct session *session)
	__attribute__((warn_unused_result));
/* Ends the threads once every parked operation was replied to; the fetcher was
 * stopped before, so all of them are queued. */
void op_queue_stop(struct op_queue *queue);
void op_queue_release(struct op_queue *queue);

#endif
