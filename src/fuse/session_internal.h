/*
 * What the files of fuse/ share.
 */
#ifndef GIT_FS_FUSE_SESSION_INTERNAL_H
#define GIT_FS_FUSE_SESSION_INTERNAL_H

#include "fuse/device.h"
#include "fuse/notify.h"
#include "fuse/op.h"
#include "fuse/session.h"

#define SESSION_WORKERS_MAX DEVICE_WORKERS_MAX

struct session {
	struct worktree *worktree;
	struct fetcher *fetcher;
	uid_t uid; /* owner of everything shown */
	gid_t gid;
	struct fuse_session *se;
	struct device device;
	struct op_queue resume;
	struct notifier notifier;

	uint32_t off;                 /* mechanisms that may not be used */
	struct mechanism_state state; /* written at INIT, before `ready` */
	atomic_bool ready;

	struct worker {
		struct session *session;
		pthread_t thread;
		int fd;       /* the device's */
		bool running; /* guarded by workers_lock; while set, the thread lives */
	} workers[SESSION_WORKERS_MAX];
	pthread_mutex_t workers_lock; /* innermost */
	unsigned workers_wanted;
	unsigned workers_count;  /* guarded by workers_lock; the starting thread may read it */
	unsigned workers_joined; /* by the one thread that waits */
	atomic_bool stop;

	atomic_ullong requests;
	atomic_ullong parked;
	atomic_ullong interrupted;
	atomic_ullong failed;
	atomic_ullong log_second; /* for at most LOG_PER_SECOND lines about failures */
	atomic_uint log_lines;
};

static inline bool session_uses(const struct session *session, enum mechanism mechanism)
{
	return (session->state.used & (1U << mechanism)) != 0;
}

/* session.c. */
struct session *session_of(fuse_req_t req);
/* Runs an operation of which the caller set `req` and all below `run`. On a worker. */
void session_run(struct op *op);

/* ops.c: the table that libfuse calls. */
extern const struct fuse_lowlevel_ops session_ops;

#endif
