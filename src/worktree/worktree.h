/*
 * The worktree: the files that a mount shows. Nodes over a base commit (and,
 * in time, over an overlay of local changes). It knows names, modes, sizes
 * and where contents lie; it never talks to a network: what is missing it
 * names in a `struct want` and returns ERR_AGAIN.
 *
 * Safe to use from several threads. Locks: docs in ARCHITECTURE.md.
 */
#ifndef GIT_FS_WORKTREE_WORKTREE_H
#define GIT_FS_WORKTREE_WORKTREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "git/oid.h"
#include "store/store.h"
#include "worktree/want.h"

struct worktree;

struct worktree_config {
	struct store *store;    /* borrowed for its life */
	const char *table_path; /* the node table's file */
	struct oid commit;      /* the base; it and its tree must be in the store */
};

#define WORKTREE_ROOT 1ULL /* the node id of the top folder; FUSE_ROOT_ID */

struct worktree_attr {
	uint64_t id;       /* the node's */
	uint32_t mode;     /* st_mode: type and permission bits */
	uint64_t size;     /* bytes; 0 while not known */
	bool size_known;
	int64_t mtime;     /* seconds since the epoch */
};

/* Both -errno on failure; ERR_NOT_FOUND where commit or tree are not local. */
int worktree_open(struct worktree **out, const struct worktree_config *config, struct err *err)
	__attribute__((warn_unused_result));
void worktree_close(struct worktree *tree);

/* All of these: ERR_AGAIN with *want filled (the caller releases it) where
 * something has to be fetched first; -ENOENT, -ENOTDIR, -ENAMETOOLONG as in
 * path_resolution(7); ERR_CORRUPT where an object is damaged. */

/* `name` in `parent`. Does not ask for the size of a file: size_known may be
 * false. That of a symlink is known (its target is wanted): kernels before 6.14
 * cut a target that they keep at the size that they were told. */
int worktree_lookup(struct worktree *tree, uint64_t parent, const char *name,
		    struct worktree_attr *out, struct want *want)
	__attribute__((warn_unused_result));
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
 * the position after it, until `visit` returns non-zero. "." and ".." come first.
 * The order and the positions are stable while the mount lives. `visit` is
 * called with the worktree locked for reading: it may not call back. */
struct worktree_list {
	uint64_t position;
	pid_t pid; /* who lists */
	int (*visit)(void *arg, const char *name, const struct worktree_attr *attr,
		     uint64_t next_position);
	void *arg;
};
int worktree_list(struct worktree *tree, uint64_t id, const struct worktree_list *list,
		  struct want *want) __attribute__((warn_unused_result));

/* The path of a node from the top, without a leading slash, appended. */
int worktree_path(struct worktree *tree, uint64_t id, struct buf *out)
	__attribute__((warn_unused_result));

struct worktree_stats {
	uint64_t nodes;        /* known */
	uint64_t folders_read; /* of which the entries are known */
	uint64_t table_bytes;
	uint64_t hidden;       /* entries not shown, for their names or modes */
	uint64_t resized;      /* files whose size the server had told wrong */
	bool table_renewed;    /* it was damaged: begun anew, the old one kept as .bad */
};
void worktree_stats(struct worktree *tree, struct worktree_stats *out);
/* The base commit; *time_out its commit time (may be NULL). */
void worktree_base(struct worktree *tree, struct oid *commit_out, int64_t *time_out);

#endif
