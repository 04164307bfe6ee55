/*
 * Nodes and names.
 *
 * Identity spaces: a *node id* is the kernel's nodeid and the inode number; it
 * is given once, written down before anybody can see it, and never used for
 * another file. A *name* belongs to a folder. An *oid* is contents in the base;
 * several nodes may have the same.
 *
 * A `struct entry` is a name in a folder. It knows two nodes: what the base has
 * there, and what stands there now. Where the overlay decides, the entry is
 * `local`: the two differ, or one of them is nothing. A `struct node` is a file or
 * folder with any number of names: one as a rule, several after link(2), none
 * when it was unlinked and somebody still has it open.
 *
 * Part of worktree/, which guards all of it with its lock; but for what is
 * atomic here, and for what hangs on node->local (local.h).
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
#define POSITION_FIRST 3 /* of an entry in a listing; "." and ".." come before */

struct entry {
	struct map_node by_name;
	struct node *parent;
	struct node *base;         /* what the base has there, as far as that is known */
	struct node *node;         /* what stands there now; NULL: nothing */
	struct entry *next_name;   /* of the same node */
	struct entry *next_local;  /* of the same folder; while `local` */
	struct entry **local_at;   /* what points to this one in that list */
	uint64_t position;         /* in listings; 0: in none */
	uint64_t segment;          /* of the journal, where the last record about it lies */
	bool in_base;              /* the base has the name, as the journal or the tree says */
	bool planned;              /* used by discard.c alone */
	bool in_tree;              /* it was met in the folder's tree object */
	bool local;                /* the overlay decides what stands here */
	uint16_t name_len;
	char name[];               /* NUL-terminated */
};

struct child {
	uint64_t position; /* ascending */
	struct entry *entry; /* NULL: it has gone */
};

struct local;

struct node {
	uint64_t id;
	struct entry *names;    /* linked by next_name */
	struct entry *origin;   /* where the base has it; NULL: it is none of the base's */
	struct child *children; /* owned; folders, once `read` */
	size_t children_count;
	size_t children_cap;
	size_t children_gone;
	size_t children_live;
	unsigned folders;       /* that stand at entries in the listing */
	uint64_t next_position;
	struct local *local;    /* owned; what the overlay knows of it; NULL: nothing */
	_Atomic uint64_t lookups; /* that the kernel has not forgotten */
	_Atomic uint64_t size;  /* of the base's contents, bytes, or NODE_SIZE_UNKNOWN */
	_Atomic pid_t lister;   /* folders: who listed it last */
	atomic_uint misses;     /* folders: files in it that were read and not here */
	uint32_t type;          /* S_IFMT bits; never changes */
	uint32_t kind;          /* TREE_MODE_* in the base; 0: none of the base's */
	struct oid oid;         /* contents in the base: blob, tree, or the gitlink's commit */
	atomic_bool size_told;  /* by the server alone; not checked against contents yet */
	bool live;              /* to be found; false: only remembered from an earlier run */
	bool read;              /* a folder whose entries are known */
};

struct node_index {
	struct node **by_id; /* owned, with the nodes; NULL where an id is out of use */
	size_t by_id_cap;
	uint64_t next_id;
	struct map by_name;  /* entries; owned */
	size_t count;        /* of nodes */
};

/* An index with nothing in it; ids start at 1. */
void node_index_init(struct node_index *index);
void node_index_release(struct node_index *index); /* frees all nodes and entries */

/* Makes room for `more` nodes and entries, so that adding them cannot fail. */
int node_index_reserve(struct node_index *index, size_t more) __attribute__((warn_unused_result));
/* A node that is in no index yet, of this kind of the base (0: none of the base's, and
 * the type is `type`). NULL: no memory. */
struct node *node_new(uint64_t id, uint32_t kind, uint32_t type);
void node_free(struct node *node);
/* Adds a node whose room was reserved; the index owns it then. */
void node_index_add(struct node_index *index, struct node *node);
/* Takes a node out that has no names and is no entry's base, and frees it. */
void node_index_remove(struct node_index *index, struct node *node);
/* NULL where there is none. */
struct node *node_by_id(const struct node_index *index, uint64_t id);

/* An entry that is in no index yet. NULL: no memory. */
struct entry *entry_new(struct node *parent, const char *name, size_t name_len);
/* Room was reserved, and there is none of that name. */
void entry_add(struct node_index *index, struct entry *entry);
/* It stands in no folder's list and has no nodes. */
void entry_remove(struct node_index *index, struct entry *entry);
struct entry *entry_find(const struct node_index *index, const struct node *parent,
			 const char *name, size_t name_len);

/* The S_IFMT bits of a kind of the base. */
uint32_t node_type_of(uint32_t kind);
/* The folder that holds its first name; NULL for the root and for nodes without one. */
struct node *node_parent(const struct node *node);
/* How many names it has. Of a folder: 2 and one for each folder in it, as on ext4, where
 * its entries are known; 1 ("not counted") where they are not; 0: it was removed. */
unsigned node_link_count(const struct node *node);
static inline bool node_is_submodule(const struct node *node)
{
	return node->kind == 0160000; /* TREE_MODE_GITLINK */
}

/* The entry of the folder that `entry` is in: where it is now, or in the base. NULL: in
 * the top folder. */
struct entry *entry_above(const struct entry *entry, bool in_base);
/* Names `node` as standing at the entry, or nothing (NULL); the entry had nothing. */
void entry_attach(struct entry *entry, struct node *node);
/* Takes what stands there away: the entry has nothing, the node one name less. */
void entry_detach(struct entry *entry);

/* --- listings --- */

/* Room for `more` children. */
int children_reserve(struct node *folder, size_t more) __attribute__((warn_unused_result));
/* Appends it with a position of its own; room was reserved. */
void children_add(struct node *folder, struct entry *entry);
/* Takes it out of the listing. */
void children_remove(struct node *folder, struct entry *entry);
/* The first child whose position is larger; children_count where there is none. */
size_t children_after(const struct node *folder, uint64_t position);

#endif
