/*
 * What the files of worktree/ share.
 */
#ifndef GIT_FS_WORKTREE_WORKTREE_INTERNAL_H
#define GIT_FS_WORKTREE_WORKTREE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "worktree/node.h"
#include "worktree/node_table.h"
#include "worktree/worktree.h"

/*
 * Lock order: load_lock, then lock. The index and the `live`, `read` and
 * `children` of nodes change only with both held, so either one is enough to
 * look at them. Nodes are not freed while the worktree is open.
 */
struct worktree {
	struct store *store;
	struct node_table *table; /* guarded by load_lock */
	struct oid commit;        /* set once */
	int64_t mtime;            /* set once: the commit's time */
	bool table_renewed;       /* set once */
	pthread_mutex_t load_lock;
	pthread_rwlock_t lock;
	struct node_index index;
	atomic_ullong folders_read;
	atomic_ullong hidden;
	atomic_ullong resized;
};

/* Makes the entries of a live folder known. ERR_AGAIN with a want where its tree
 * is not here. Takes the locks. */
int folder_read(struct worktree *tree, struct node *folder, struct want *want)
	__attribute__((warn_unused_result));

#endif
