/*
 * Names that move or are added.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "worktree/names.h"

/* --- one more name --- */

/* The entry of that name, or a new one that is in no index yet (*made_out). */
static int entry_get(struct worktree *tree, struct node *folder, const char *name,
		     struct entry **out, struct entry **made_out)
{
	struct entry *entry = entry_find(&tree->index, folder, name, strlen(name));
	int rc = node_index_reserve(&tree->index, 1);

	if (rc == 0)
		rc = children_reserve(folder, 1);
	if (rc < 0)
		return rc;
	*made_out = NULL;
	if (entry == NULL)
		entry = *made_out = entry_new(folder, name, strlen(name));
	*out = entry;
	return entry != NULL ? 0 : -ENOMEM;
}

static int link_entry(struct worktree *tree, const struct worktree_request *request,
		      struct node *node, struct entry *entry, struct entry *made)
{
	AUTO_BUF struct buf frame = BUF_INIT;
	struct touched touched = { .now = time_now() };
	struct journal_place place;
	int rc = frame_begin(&frame);

	if (rc == 0)
		rc = names_put_locked(&frame, entry, node);
	if (rc < 0)
		return rc;
	names_touch(&touched, entry->parent->local, true);
	names_touch(&touched, node->local, false);
	names_lock(&touched);
	rc = names_put_touched(tree, &frame, &touched);
	if (rc == 0)
		rc = frame_append(tree, request, &frame, JOURNAL_NORMAL, &place);
	if (rc == 0 && made != NULL)
		entry_add(&tree->index, made);
	if (rc == 0)
		names_set_locked(tree, entry, node, &place);
	names_end(tree, &touched, rc == 0 ? &place : NULL);
	return rc;
}

static int link_locked(struct worktree *tree, const struct worktree_request *request,
		       struct node *node, struct node *folder, const char *name)
{
	struct entry *entry = NULL;
	struct entry *made = NULL;

	if (!names_folder_exists_locked(folder))
		return -ENOENT;
	int rc = entry_get(tree, folder, name, &entry, &made);

	if (rc == 0 && entry->node != NULL)
		rc = -EEXIST;
	if (rc == 0)
		rc = names_pin_locked(tree, entry);
	if (rc == 0)
		rc = overlay_pin_locked(tree, node);
	if (rc == 0)
		rc = link_entry(tree, request, node, entry, made);
	if (rc < 0)
		free(made);
	return rc;
}

int worktree_link(struct worktree *tree, const struct worktree_request *request, uint64_t id,
		  uint64_t parent, const char *name, struct worktree_attr *out)
{
	struct node *folder = NULL;
	struct node *node = NULL;
	int rc = names_folder(tree, request, parent, name, &folder);

	if (rc == 0)
		rc = node_get(tree, id, &node, request->want);
	if (rc == 0)
		rc = size_get(tree, node, request->pid, request->want);
	if (rc < 0)
		return rc;
	if (S_ISDIR(node->type))
		return -EPERM;
	pthread_rwlock_wrlock(&tree->lock);
	rc = link_locked(tree, request, node, folder, name);
	if (rc == 0) {
		attr_fill_locked(tree, node, out);
		atomic_fetch_add(&node->lookups, 1);
	}
	pthread_rwlock_unlock(&tree->lock);
	return rc;
}

/* --- renaming --- */

/* The two names of a rename, and what stands there. */
struct renaming {
	struct node *from_folder;
	struct node *to_folder;
	struct entry *from;
	struct entry *to;
	struct entry *made; /* `to`, where it is not in the index yet; owned */
	struct node *node;  /* stands at `from` */
	struct node *other; /* stands at `to`; NULL: nothing */
	bool exchange;
};

/* Whether `node` is `folder` or lies below it. */
static bool lies_in(const struct node *node, const struct node *folder)
{
	for (; node != NULL; node = node_parent(node))
		if (node == folder)
			return true;
	return false;
}

/* What takes the place of `other` must be of its kind; a folder must be empty. */
static int check_replaced(const struct renaming *move)
{
	if (S_ISDIR(move->node->type) && !S_ISDIR(move->other->type))
		return -ENOTDIR;
	if (!S_ISDIR(move->node->type) && S_ISDIR(move->other->type))
		return -EISDIR;
	if (!S_ISDIR(move->other->type))
		return 0;
	if (move->other->children_live > 0)
		return -ENOTEMPTY;
	return move->other->read || node_is_submodule(move->other) ? 0 : ERR_AGAIN;
}

static int check_rename(const struct renaming *move, unsigned flags)
{
	if (!names_folder_exists_locked(move->from_folder) ||
	    !names_folder_exists_locked(move->to_folder) || move->node == NULL)
		return -ENOENT;
	if ((flags & RENAME_NOREPLACE) != 0 && move->other != NULL)
		return -EEXIST;
	if (move->exchange && move->other == NULL)
		return -ENOENT;
	if (S_ISDIR(move->node->type) && lies_in(move->to_folder, move->node))
		return -EINVAL;
	if (move->exchange)
		return S_ISDIR(move->other->type) && lies_in(move->from_folder, move->other) ?
			       -EINVAL :
			       0;
	return move->other != NULL && move->other != move->node ? check_replaced(move) : 0;
}

static int pin_all(struct worktree *tree, const struct renaming *move)
{
	int rc = names_pin_locked(tree, move->from);

	if (rc == 0)
		rc = names_pin_locked(tree, move->to);
	if (rc == 0)
		rc = overlay_pin_locked(tree, move->node);
	if (rc == 0 && move->other != NULL)
		rc = overlay_pin_locked(tree, move->other);
	return rc;
}

static int rename_write(struct worktree *tree, const struct worktree_request *request,
			const struct renaming *move, const struct touched *touched,
			struct journal_place *place)
{
	AUTO_BUF struct buf frame = BUF_INIT;
	int rc = frame_begin(&frame);

	if (rc == 0)
		rc = names_put_locked(&frame, move->from, move->exchange ? move->other : NULL);
	if (rc == 0)
		rc = names_put_locked(&frame, move->to, move->node);
	if (rc == 0)
		rc = names_put_touched(tree, &frame, touched);
	return rc == 0 ? frame_append(tree, request, &frame, JOURNAL_NORMAL, place) : rc;
}

static void rename_apply(struct worktree *tree, struct renaming *move,
			 const struct journal_place *place)
{
	if (move->made != NULL)
		entry_add(&tree->index, move->made);
	move->made = NULL;
	entry_detach(move->from); /* first: a node stands where it is going, too, else */
	names_set_locked(tree, move->to, move->node, place);
	names_set_locked(tree, move->from, move->exchange ? move->other : NULL, place);
}

static int rename_locked(struct worktree *tree, const struct worktree_request *request,
			 struct renaming *move)
{
	struct touched touched = { .now = time_now() };
	struct journal_place place;
	struct node *other = move->other;
	int rc = pin_all(tree, move);

	if (rc < 0)
		return rc;
	names_touch(&touched, move->from_folder->local, true);
	names_touch(&touched, move->to_folder->local, true);
	names_touch(&touched, move->node->local, false);
	if (other != NULL)
		names_touch(&touched, other->local, false);
	names_lock(&touched);
	rc = rename_write(tree, request, move, &touched, &place);
	if (rc == 0)
		rename_apply(tree, move, &place);
	names_end(tree, &touched, rc == 0 ? &place : NULL);
	if (rc == 0 && other != NULL && other->names == NULL && atomic_load(&other->lookups) == 0)
		node_drop_locked(tree, other);
	return rc;
}

/* A file that takes the place of another has to be durable before the record of its new
 * name is: after a crash there are the old contents or the new ones. In an exchange both
 * do. The one that is not; NULL: all are. */
static struct local *not_durable(const struct renaming *move)
{
	struct node *const nodes[2] = { move->node, move->exchange ? move->other : NULL };

	for (size_t i = 0; i < 2 && move->other != NULL; i++) {
		struct local *local = nodes[i] != NULL ? nodes[i]->local : NULL;

		if (local == NULL)
			continue;
		WITH_LOCK(&local->lock);
		if (contents_need_sync(local))
			return local;
	}
	return NULL;
}

/* Finds both names, checks, renames. Where something has to be synced before, *sync_out
 * is set and nothing done. */
static int rename_in(struct worktree *tree, const struct worktree_request *request,
		     struct renaming *move, const struct worktree_move *names,
		     struct local **sync_out)
{
	move->from = entry_find(&tree->index, move->from_folder, names->name, strlen(names->name));
	move->node = move->from != NULL ? move->from->node : NULL;
	move->exchange = (names->flags & RENAME_EXCHANGE) != 0;
	int rc = entry_get(tree, move->to_folder, names->new_name, &move->to, &move->made);

	if (rc < 0)
		return rc;
	move->other = move->to->node;
	rc = check_rename(move, names->flags);
	if (rc == 0 && move->other != move->node) { /* two names of one file: nothing happens */
		*sync_out = not_durable(move);
		if (*sync_out == NULL)
			rc = rename_locked(tree, request, move);
	}
	free(move->made);
	move->made = NULL;
	return rc;
}

int worktree_rename(struct worktree *tree, const struct worktree_request *request,
		    const struct worktree_move *names)
{
	struct renaming move = { .made = NULL };
	int rc = names_folder(tree, request, names->parent, names->name, &move.from_folder);

	if (rc == 0)
		rc = names_folder(tree, request, names->new_parent, names->new_name,
				  &move.to_folder);
	if (rc < 0)
		return rc;
	if ((names->flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE)) != 0 ||
	    names->flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	while (rc == 0) {
		struct local *sync = NULL;

		pthread_rwlock_wrlock(&tree->lock);
		rc = rename_in(tree, request, &move, names, &sync);
		pthread_rwlock_unlock(&tree->lock);
		if (rc == ERR_AGAIN)
			rc = folder_read(tree, move.other, request->want);
		else if (rc == 0 && sync != NULL)
			rc = contents_sync(tree, sync); /* the kernel holds both nodes */
		else
			return rc;
	}
	return rc;
}
