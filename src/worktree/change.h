/*
 * Changing a worktree: what a program on a local filesystem may do. Each call that
 * returns success has its change in the journal: it survives the death of this
 * process. Errors are those of the system calls that they serve; besides
 *
 *   ERR_AGAIN  something has to be fetched first, named in *request->want
 *   -EROFS     read-only, or inside a submodule, or after a failure of the disk
 *   -ENOSPC, -EDQUOT, -EIO   of the disk that holds the overlay; nothing was changed
 *
 * Who may do what is the kernel's to check; set-id bits, times and link counts are
 * kept here. Calls block on the disk, never on the network.
 */
#ifndef GIT_FS_WORKTREE_CHANGE_H
#define GIT_FS_WORKTREE_CHANGE_H

#include "worktree/worktree.h"

/* Who asks, by which request. */
struct worktree_request {
	uint64_t unique; /* the kernel's number of the request; 0: none */
	uint32_t uid;
	uint32_t gid;
	pid_t pid;
	struct want *want; /* out, with ERR_AGAIN; the caller releases it */
	/* Whether the caller is in a group, or above such things; NULL: by `gid` alone. Asked
	 * rarely; may block on /proc. */
	bool (*in_group)(const struct worktree_request *request, uint32_t gid);
	void *context;     /* its own */
};

/* --- names --- */

struct worktree_new {
	uint32_t mode;      /* type and permission bits, umask applied; S_IFMT decides what */
	uint64_t rdev;      /* devices */
	const char *target; /* symlinks */
};
/* A new file, folder, symlink or special file; looked up at once. `name` NULL: without a
 * name, for linkat(2) to give it one (O_TMPFILE). */
int worktree_create(struct worktree *tree, const struct worktree_request *request, uint64_t parent,
		    const char *name, const struct worktree_new *what, struct worktree_attr *out)
	__attribute__((warn_unused_result));
int worktree_unlink(struct worktree *tree, const struct worktree_request *request, uint64_t parent,
		    const char *name) __attribute__((warn_unused_result));
int worktree_rmdir(struct worktree *tree, const struct worktree_request *request, uint64_t parent,
		   const char *name) __attribute__((warn_unused_result));
/* One more name; looked up at once. */
int worktree_link(struct worktree *tree, const struct worktree_request *request, uint64_t id,
		  uint64_t parent, const char *name, struct worktree_attr *out)
	__attribute__((warn_unused_result));

struct worktree_move {
	uint64_t parent;
	const char *name;
	uint64_t new_parent;
	const char *new_name;
	unsigned flags; /* RENAME_NOREPLACE, RENAME_EXCHANGE */
};
/* A folder moves as it is, whatever is in it: nothing is fetched for that. A file that
 * takes the place of another is durable before its record is. */
int worktree_rename(struct worktree *tree, const struct worktree_request *request,
		    const struct worktree_move *move)
	__attribute__((warn_unused_result));

/* --- attributes --- */

enum {
	CHANGE_MODE = 1,
	CHANGE_UID = 2,
	CHANGE_GID = 4,
	CHANGE_SIZE = 8,
	CHANGE_ATIME = 16,
	CHANGE_MTIME = 32,
	CHANGE_CTIME = 64,
	CHANGE_KILL_SETID = 128, /* with SIZE: the caller may not keep set-id bits */
};
struct worktree_change {
	unsigned what;
	uint32_t mode; /* permission bits */
	uint32_t uid;
	uint32_t gid;
	uint64_t size; /* bytes */
	struct timespec atime, mtime, ctime; /* tv_nsec UTIME_NOW: now */
};
int worktree_setattr(struct worktree *tree, const struct worktree_request *request, uint64_t id,
		     const struct worktree_change *change, struct worktree_attr *out)
	__attribute__((warn_unused_result));

/* -ENODATA, -EEXIST, -ERANGE, -EOPNOTSUPP as xattr(7); `flags` XATTR_CREATE or _REPLACE. */
struct worktree_xattr {
	const char *name;
	const void *value;
	size_t len;
	int flags;
};
int worktree_setxattr(struct worktree *tree, const struct worktree_request *request, uint64_t id,
		      const struct worktree_xattr *xattr)
	__attribute__((warn_unused_result));
int worktree_removexattr(struct worktree *tree, const struct worktree_request *request, uint64_t id,
			 const char *name) __attribute__((warn_unused_result));
/* Appends the value. */
int worktree_getxattr(struct worktree *tree, uint64_t id, const char *name, struct buf *out,
		      struct want *want) __attribute__((warn_unused_result));
/* Appends all names, each with its NUL. */
int worktree_listxattr(struct worktree *tree, uint64_t id, struct buf *out, struct want *want)
	__attribute__((warn_unused_result));

/* --- contents --- */

struct worktree_write {
	uint64_t offset;
	const void *data;
	size_t len;
	bool kill_setid; /* the caller may not keep set-id bits */
};
/* All of it, or an error. */
int worktree_write(struct worktree *tree, const struct worktree_request *request, uint64_t id,
		   const struct worktree_write *write)
	__attribute__((warn_unused_result));

struct worktree_range {
	uint64_t offset;
	uint64_t len;
	int mode; /* of fallocate(2): 0, KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE */
};
int worktree_allocate(struct worktree *tree, const struct worktree_request *request, uint64_t id,
		      const struct worktree_range *range)
	__attribute__((warn_unused_result));
/* SEEK_DATA and SEEK_HOLE of lseek(2). */
int worktree_seek(struct worktree *tree, uint64_t id, uint64_t offset, int whence,
		  uint64_t *out, struct want *want) __attribute__((warn_unused_result));

/* --- durability --- */

/* What was changed in the node survives the loss of power: its data file, then the
 * journal up to now. A failure is final: the data are not written again behind the
 * caller's back, the worktree takes nothing any more. */
int worktree_sync_node(struct worktree *tree, uint64_t id) __attribute__((warn_unused_result));
/* The same for everything. */
int worktree_sync(struct worktree *tree) __attribute__((warn_unused_result));

/* After -ENOSPC: gives back what was removed and still takes room, in data files and in
 * the journal. True: it is worth to try again. */
bool worktree_reclaim(struct worktree *tree);
/* Threads that sync what is older than a few seconds and keep the journal short. */
int worktree_upkeep_start(struct worktree *tree) __attribute__((warn_unused_result));
/* Writes everything that is true into new segments and drops the old ones. */
int worktree_compact(struct worktree *tree) __attribute__((warn_unused_result));

#endif
