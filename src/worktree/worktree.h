/*
 * The worktree: the files that a mount shows. Nodes over a base commit and, where
 * it is writable, over an overlay of local changes. It knows names, modes, sizes
 * and where contents lie; it never talks to a network: what is missing it names
 * in a `struct want` and returns ERR_AGAIN.
 *
 * Safe to use from several threads. Locks: docs in ARCHITECTURE.md. The calls that
 * change something are in change.h.
 */
#ifndef GIT_FS_WORKTREE_WORKTREE_H
#define GIT_FS_WORKTREE_WORKTREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <time.h>

#include "base/buf.h"
#include "base/err.h"
#include "git/oid.h"
#include "store/store.h"
#include "worktree/journal.h"
#include "worktree/want.h"

struct worktree;

struct worktree_config {
	struct store *store;      /* borrowed for its life; NULL: the overlay alone is looked at */
	const char *table_path;   /* the node table's file */
	enum hash_algo algo;
	uid_t uid;                /* owner of what nobody has given to another */
	gid_t gid;
	const char *overlay_dir;  /* its folder; NULL: a read-only worktree */
	bool inspect;             /* the overlay is read and not changed */
	const char *boot_id_path; /* as of journal_config */
	uint64_t segment_bytes;   /* of the journal; 0: its default */
};

#define WORKTREE_ROOT 1ULL /* the node id of the top folder; FUSE_ROOT_ID */

struct worktree_attr {
	uint64_t id;       /* the node's */
	uint32_t mode;     /* st_mode: type and permission bits */
	uint32_t nlink;    /* of folders 1, "not counted", while their entries are not known */
	uint32_t uid;
	uint32_t gid;
	uint64_t rdev;
	uint64_t size;     /* bytes; 0 while not known */
	uint64_t blocks;   /* of 512 bytes */
	bool size_known;
	struct timespec atime, mtime, ctime;
};

/* Opens node table and overlay; nothing is shown yet. -errno on failure, with words. */
int worktree_open(struct worktree **out, const struct worktree_config *config, struct err *err)
	__attribute__((warn_unused_result));
/* Whether the overlay differs from its base. */
bool worktree_is_dirty(struct worktree *tree);
/* The commit that the overlay's changes are made to: false where there is none yet. */
bool worktree_overlay_base(struct worktree *tree, struct oid *commit_out);
/* Shows this commit, which with its tree must be in the store (ERR_NOT_FOUND); where
 * the overlay has changes, the commit that they are made to. Once. */
int worktree_start(struct worktree *tree, const struct oid *commit, struct err *err)
	__attribute__((warn_unused_result));
/* Makes the overlay durable (or says why not, by worktree_stats before) and lets go of
 * everything. NULL is allowed. */
void worktree_close(struct worktree *tree);

/* All of these: ERR_AGAIN with *want filled (the caller releases it) where
 * something has to be fetched first; -ENOENT, -ENOTDIR, -ENAMETOOLONG as in
 * path_resolution(7); ERR_CORRUPT where an object is damaged. */

/* `name` in `parent`; the kernel is taken to remember the node until
 * worktree_forget(). Read-only, it does not ask for the size of a file: size_known
 * may be false; writable, the size is known, as the kernel appends by it. That of a
 * symlink is known (its target is wanted): kernels before 6.14 cut a target that
 * they keep at the size that they were told. */
int worktree_lookup(struct worktree *tree, uint64_t parent, const char *name,
		    struct worktree_attr *out, struct want *want)
	__attribute__((warn_unused_result));
/* The kernel has forgotten `count` of its lookups. */
void worktree_forget(struct worktree *tree, uint64_t id, uint64_t count);
/* With the size. `pid`: who asks; one that listed the folder is taken to walk
 * it, and no contents are asked for on its account. */
int worktree_getattr(struct worktree *tree, uint64_t id, pid_t pid, struct worktree_attr *out,
		     struct want *want) __attribute__((warn_unused_result));
/* The target of a symlink, appended to `out`. */
int worktree_readlink(struct worktree *tree, uint64_t id, struct buf *out, struct want *want)
	__attribute__((warn_unused_result));
/* Up to read->len bytes at read->offset into read->data; the number read, 0 at
 * the end. Where it looks as if the whole folder is being read, the contents of
 * its other files are wanted along. */
struct worktree_read {
	uint64_t offset;
	void *data;
	size_t len;
	pid_t pid;    /* who reads */
	bool resized; /* out: the size told before was wrong; getattr has the right one */
};
ssize_t worktree_read(struct worktree *tree, uint64_t id, struct worktree_read *read,
		      struct want *want) __attribute__((warn_unused_result));

/* Entries of a folder from list->position (0: the start) on, each given with
 * the position after it, until `visit` says LIST_FULL. "." and ".." come first.
 * The order and the positions are stable while the mount lives. `visit` is
 * called with the worktree locked for reading: it may not call back. */
enum list_result {
	LIST_FULL,       /* not taken, and no more is wanted */
	LIST_TAKEN,
	LIST_LOOKED_UP,  /* taken, and the kernel remembers the node as after a lookup */
};
struct worktree_list {
	uint64_t position;
	pid_t pid; /* who lists */
	enum list_result (*visit)(void *arg, const char *name, const struct worktree_attr *attr,
				  uint64_t next_position);
	void *arg;
};
int worktree_list(struct worktree *tree, uint64_t id, const struct worktree_list *list,
		  struct want *want) __attribute__((warn_unused_result));

/* A path of a node from the top, without a leading slash, appended. -ESTALE where
 * it has none. */
int worktree_path(struct worktree *tree, uint64_t id, struct buf *out)
	__attribute__((warn_unused_result));
/* The node at such a path; "" is the root. */
int worktree_find(struct worktree *tree, const char *path, uint64_t *id_out, struct want *want)
	__attribute__((warn_unused_result));

struct worktree_stats {
	uint64_t nodes;        /* known */
	uint64_t folders_read; /* of which the entries are known */
	uint64_t table_bytes;
	uint64_t hidden;       /* entries not shown, for their names or modes */
	uint64_t resized;      /* files whose size the server had told wrong */
	bool table_renewed;    /* it was damaged: begun anew, the old one kept as .bad */
	bool writable;
	/* Of the overlay. */
	int failed;            /* 0, or why nothing can be changed any more */
	uint64_t local_nodes;  /* that the journal names */
	uint64_t unsynced;     /* data files written to since they were synced */
	uint64_t data_bytes;   /* in data files */
	uint64_t compactions;
	struct journal_stats journal;
	struct journal_recovery recovery; /* when it was opened */
	uint64_t condemned;    /* nodes and names that recovery had to give up */
	uint64_t reverted;     /* files that are as before, as power was lost before a sync */
};
void worktree_stats(struct worktree *tree, struct worktree_stats *out);
/* The base commit; *time_out its commit time (may be NULL). */
void worktree_base(struct worktree *tree, struct oid *commit_out, int64_t *time_out);
/* Whether it can be changed (it may still refuse with -EROFS, after a failure). */
bool worktree_is_writable(const struct worktree *tree);
/* Room and files of the disk that holds the overlay. Writable ones alone. */
int worktree_statfs(struct worktree *tree, struct statvfs *out)
	__attribute__((warn_unused_result));

#endif
