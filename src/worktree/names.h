/*
 * What changing names has in common; for create.c, remove.c and rename.c.
 */
#ifndef GIT_FS_WORKTREE_NAMES_H
#define GIT_FS_WORKTREE_NAMES_H

#include "worktree/worktree_internal.h"

/* A folder in which names may be changed, its entries known. -EROFS in a submodule. */
int names_folder(struct worktree *tree, const struct worktree_request *request, uint64_t id,
		 const char *name, struct node **out) __attribute__((warn_unused_result));
/* False once it was removed, though somebody still has it open. */
bool names_folder_exists_locked(const struct node *folder);
/* The item that says: `node` stands at the entry, or nothing does. */
int names_put_locked(struct buf *frame, const struct entry *entry, const struct node *node)
	__attribute__((warn_unused_result));
/* Makes it so. Room in the folder's list was reserved. The entry may be freed where
 * nothing is left of it. */
void names_set_locked(struct worktree *tree, struct entry *entry, struct node *node,
		      const struct journal_place *place);
/* Pins the entry's folder, and what the base has there. */
int names_pin_locked(struct worktree *tree, const struct entry *entry)
	__attribute__((warn_unused_result));

/* Whose times move by a change of names. */
#define TOUCHED_MAX 4
struct touched {
	struct local *locals[TOUCHED_MAX]; /* by id; locked from names_lock to names_end */
	bool mtime[TOUCHED_MAX];           /* the change time alone, or the modification time too */
	unsigned count;
	struct timespec now;
};
void names_touch(struct touched *touched, struct local *local, bool mtime);
/* All have been named. */
void names_lock(struct touched *touched);
/* The items that say so. */
int names_put_touched(struct worktree *tree, struct buf *frame, const struct touched *touched)
	__attribute__((warn_unused_result));
/* Applies them, if `place` is where they were recorded; NULL: nothing happened. */
void names_end(struct worktree *tree, struct touched *touched, const struct journal_place *place);

#endif
