/*
 * The node table: which number stands for which file, append-only, so that
 * node ids (inode numbers) are the same after a restart. docs/formats.md has
 * the layout; each record carries a CRC and the table is read to its last
 * whole record.
 *
 * Not locked: the worktree calls it under its load lock.
 */
#ifndef GIT_FS_WORKTREE_NODE_TABLE_H
#define GIT_FS_WORKTREE_NODE_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "git/oid.h"

struct node_table;

/* One node as the table knows it. */
struct node_record {
	uint64_t id;        /* >= 1; 1 is the root */
	uint64_t parent;    /* 0 for the root */
	uint32_t mode;      /* one of TREE_MODE_* */
	struct oid oid;     /* of a blob or gitlink; unset for a folder: its id outlives contents */
	const char *name;   /* NUL-terminated; borrowed */
	size_t name_len;
};

typedef int node_table_visit_fn(void *arg, const struct node_record *record);

/* Opens or makes `path`, calls `visit` for every record in order (a non-zero
 * result ends it and is returned), cuts off a torn tail. A file of another
 * version or hash is ERR_CORRUPT with words. */
int node_table_open(struct node_table **out, const char *path, enum hash_algo algo,
		    node_table_visit_fn *visit, void *arg, struct err *err)
	__attribute__((warn_unused_result));
void node_table_close(struct node_table *table);

/* Adds a record to the group that the next commit writes. -ENOMEM. */
int node_table_add(struct node_table *table, const struct node_record *record)
	__attribute__((warn_unused_result));
/* Writes the group with one write(2); ids in it may be told to the kernel
 * afterwards. On failure the group is dropped, the file as before. */
int node_table_commit(struct node_table *table) __attribute__((warn_unused_result));
void node_table_drop(struct node_table *table); /* forgets the group */

uint64_t node_table_bytes(const struct node_table *table);

#endif
