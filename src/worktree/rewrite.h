/*
 * Writing anew what the journal says, so that older segments can go. Internal to
 * worktree/.
 */
#ifndef GIT_FS_WORKTREE_REWRITE_H
#define GIT_FS_WORKTREE_REWRITE_H

#include "worktree/worktree_internal.h"

/* Appends all that is to be said of a local. Its lock is held, or nobody else is there
 * yet; a data file has been synced once, or has no `before`. */
int rewrite_local(struct worktree *tree, struct local *local) __attribute__((warn_unused_result));

/* The oldest segment goes; what of it is true is appended again. */
int compact_oldest(struct worktree *tree) __attribute__((warn_unused_result));

#endif
