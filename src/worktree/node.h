/*
 * Nodes, and the two ways to find one: by id, and by (parent, name).
 *
 * Identity spaces: a *node id* is the kernel's nodeid and the inode number; it
 * is given once, written to the node table, and never used for another file.
 * A *name* belongs to a parent node. An *oid* is contents; several nodes may
 * have the same.
 *
 * Part of worktree/, which guards it with its lock.
 */
#ifndef GIT_FS_WORKTREE_NODE_H
#define GIT_FS_WORKTREE_NODE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/map.h"
#include "git/oid.h"
#include "worktree/node_table.h"

#define NODE_SIZE_UNKNOWN UINT64_MAX

struct node {
	struct map_node by_name;
	uint64_t id;
	struct node *parent;    /* NULL for the root */
	struct node **children; /* owned array; folders, once `read`; in the order of the tree */
	size_t children_count;
	_Atomic uint64_t size;  /* bytes, or NODE_SIZE_UNKNOWN; set without the lock */
	_Atomic pid_t lister;   /* folders: who listed it last */
	atomic_uint misses;     /* folders: files in it that were read and not here */
	struct oid oid;         /* contents in the base: blob, tree, or the gitlink's commit */
	uint32_t kind;          /* one of TREE_MODE_* */
	atomic_bool size_told;  /* by the server alone; not checked against contents yet */
	bool live;              /* in the base; false: only remembered from the node table */
	bool read;              /* a folder whose entries are known */
	uint16_t name_len;
	char name[];            /* NUL-terminated */
};

struct node_index {
	struct node **by_id; /* owned, with the nodes; NULL where an id is out of use */
	size_t by_id_cap;
	uint64_t next_id;
	struct map by_name;
	size_t count;
};

/* An index with nothing in it; ids start at 1. */
void node_index_init(struct node_index *index);
void node_index_release(struct node_index *index); /* frees every node */

/* Makes room for `more` nodes, so that adding them cannot fail for the tables. */
int node_index_reserve(struct node_index *index, size_t more) __attribute__((warn_unused_result));
/* A node that is in no index yet. NULL: no memory. */
struct node *node_new(const struct node_record *record);
void node_free(struct node *node);
/* Adds a node whose room was reserved; the index owns it then. One of the same
 * parent and name is no longer found by name. node->id <= the highest id so far + reserved. */
void node_index_add(struct node_index *index, struct node *node);

/* NULL where there is none. */
struct node *node_by_id(const struct node_index *index, uint64_t id);
struct node *node_by_name(const struct node_index *index, const struct node *parent,
			  const char *name, size_t name_len);

#endif
