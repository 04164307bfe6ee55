/*
 * A FUSE session: one mount of one worktree. The only door to libfuse.
 *
 * session_mount() mounts and nothing more; session_start() starts the worker
 * threads; session_wait() returns when the mount is gone.
 */
#ifndef GIT_FS_FUSE_SESSION_H
#define GIT_FS_FUSE_SESSION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "fuse/kernel.h"
#include "sync/fetcher.h"
#include "worktree/changes.h"
#include "worktree/worktree.h"

struct session;

struct session_config {
	const char *mount_point;    /* absolute */
	const char *source;         /* shown by mount(8) and df; no credentials */
	bool allow_other;
	bool writable;              /* the worktree is */
	bool writeback;             /* the kernel may gather writes */
	bool xattr;                 /* extended attributes, user.* */
	unsigned workers;           /* 0: chosen by the number of processors */
	unsigned poll_us;           /* how long an idle worker polls before it sleeps; 0: never */
	uint32_t mechanisms_off;    /* bits of enum mechanism that may not be used */
	struct worktree *worktree;  /* borrowed */
	struct fetcher *fetcher;    /* borrowed, started */
};

#define SESSION_POLL_US_DEFAULT 30

/* -ENODEV: no /dev/fuse; -EPERM: may not open it or mount; words for each. */
int session_mount(struct session **out, const struct session_config *config, struct err *err)
	__attribute__((warn_unused_result));
/* After a failure, too, session_unmount() and session_wait() end what was started.
 * ERR_CANCELLED where session_unmount() came first. */
int session_start(struct session *session, struct err *err) __attribute__((warn_unused_result));
/* Waits until the kernel has let go of the mount (unmounted by anybody); at once
 * when called again. One thread. */
void session_wait(struct session *session);
/* Unmounts, lazily where it is busy; then session_wait() returns soon. Any
 * thread but a worker. */
void session_unmount(struct session *session);
/* Tells the kernel what was changed behind its back. Waits for requests under way: from a
 * thread that answers none and holds no lock. */
void session_outdated(struct session *session, const struct outdated *outdated);
/* After session_wait() and fetcher_stop(). NULL is allowed. */
void session_free(struct session *session);

struct session_stats {
	uint64_t requests;     /* answered or under way, in all */
	uint64_t parked;       /* had to wait for the remote */
	uint64_t interrupted;  /* given up by their callers */
	uint64_t failed;       /* answered EIO */
	unsigned waiting;      /* now */
	unsigned workers;
};
void session_stats(struct session *session, struct session_stats *out);
/* For status: what of the kernel's mechanisms is in use. */
void session_mechanisms(struct session *session, struct mechanism_state *out);

#endif
