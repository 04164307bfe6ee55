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
	bool writable;
	bool writeback;
	bool xattr;
	bool killpriv; /* set when INIT comes */
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
/* Of the request that this worker is decoding. */
const struct request_marks *session_marks(void);
/* Runs an operation of which the caller set `req` and all below `run`. On a worker. */
void session_run(struct op *op);

/* Entries, attributes and absences are remembered until we say otherwise; libfuse and
 * the kernel cut it to their maxima. Seconds. */
#define FOR_EVER 1e15

/* reply.c. */
void stat_fill(const struct worktree_attr *attr, struct stat *out);
bool attr_is_whole(const struct worktree_attr *attr);
void entry_fill(const struct worktree_attr *attr, struct fuse_entry_param *out);
/* Replies with a node that was looked up; one of which the kernel does not want to hear
 * any more is forgotten. */
void reply_entry(struct op *op, const struct worktree_attr *attr);

/* change_ops.c: what changes something; each replies. */
void change_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		    struct fuse_file_info *fi);
void change_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev);
void change_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void change_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name);
void change_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		   struct fuse_file_info *fi);
void change_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void change_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void change_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
		   const char *new_name, unsigned flags);
void change_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name);
void change_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t len, off_t offset,
		  struct fuse_file_info *fi);
void change_allocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t len,
		     struct fuse_file_info *fi);
void change_fsync(fuse_req_t req, fuse_ino_t ino, int data_only, struct fuse_file_info *fi);

/* xattr_ops.c. */
void xattr_set(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t len,
	       int flags);
void xattr_get(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void xattr_list(fuse_req_t req, fuse_ino_t ino, size_t size);
void xattr_remove(fuse_req_t req, fuse_ino_t ino, const char *name);

/* ops.c: the table that libfuse calls. */
extern const struct fuse_lowlevel_ops session_ops;

#endif
