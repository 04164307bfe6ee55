/*
 * Names that go, and nodes that go with their last name: at once, or when the kernel has
 * forgotten them.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "worktree/names.h"

void node_drop_locked(struct worktree *tree, struct node *node)
{
	AUTO_BUF struct buf frame = BUF_INIT;
	struct journal_place place = { .lsn = 0 };
	struct local *local = node->local;
	int rc = local != NULL && overlay_writable(tree) == 0 ? frame_begin(&frame) : -EROFS;

	if (rc == 0)
		rc = item_of_id(&frame, node->kind != 0 ? ITEM_CLEAN : ITEM_GONE, node->id);
	if (rc == 0)
		rc = frame_append(tree, NULL, &frame, JOURNAL_FREES, &place);
	if (rc < 0)
		return; /* without a name it is dropped when the overlay is taken up again */
	pthread_mutex_lock(&local->lock);
	if (local->changed && local->meta.contents == CONTENTS_FILE) {
		contents_set_unsynced(tree, local, false);
		(void)!datafile_retire(tree->files, node->id, local->meta.file, place.lsn);
	}
	local_clear(local);
	pthread_mutex_unlock(&local->lock);
	if (node->kind != 0)
		return; /* the base's stay: they tell what has gone */
	overlay_remove_local(tree, local);
	node_index_remove(&tree->index, node);
}

/* It had a name, and has none any more. One of the base whose place was damaged in the
 * journal gets its name when its folder is read. */
static bool is_orphan(const struct node *node)
{
	return node->names == NULL && node->local != NULL && node->id != WORKTREE_ROOT &&
	       (node->kind == 0 || node->local->anchored);
}

void worktree_forget(struct worktree *tree, uint64_t id, uint64_t count)
{
	pthread_rwlock_rdlock(&tree->lock);
	struct node *node = node_by_id(&tree->index, id);
	bool gone = false;

	if (node != NULL)
		gone = atomic_fetch_sub(&node->lookups, count) == count && is_orphan(node);
	pthread_rwlock_unlock(&tree->lock);
	if (!gone)
		return;
	pthread_rwlock_wrlock(&tree->lock);
	node = node_by_id(&tree->index, id); /* it may have got a name, or gone */
	if (node != NULL && is_orphan(node) && node->local->changed &&
	    atomic_load(&node->lookups) == 0)
		node_drop_locked(tree, node);
	pthread_rwlock_unlock(&tree->lock);
}

/* Who still has it open sees its change time move; nobody else ever will. */
static void touch_orphan(struct worktree *tree, struct node *node, const struct timespec *now)
{
	if (node->local == NULL)
		return;
	WITH_LOCK(&node->local->lock);
	struct meta meta = overlay_meta(tree, node->local);

	meta.ctime = *now;
	local_set_meta(node->local, &meta);
}

/* One name less. The kinds were checked. */
static int remove_locked(struct worktree *tree, const struct worktree_request *request,
			 struct entry *entry)
{
	AUTO_BUF struct buf frame = BUF_INIT;
	struct touched touched = { .now = time_now() };
	struct node *node = entry->node;
	struct node *folder = entry->parent;
	struct journal_place place;
	bool stays = node->names->next_name != NULL;
	int rc = names_pin_locked(tree, entry);

	if (rc == 0)
		rc = frame_begin(&frame);
	if (rc == 0)
		rc = names_put_locked(&frame, entry, NULL);
	if (rc < 0)
		return rc;
	names_touch(&touched, folder->local, true);
	if (stays)
		names_touch(&touched, node->local, false);
	names_lock(&touched);
	rc = names_put_touched(tree, &frame, &touched);
	if (rc == 0)
		rc = frame_append(tree, request, &frame, JOURNAL_FREES, &place);
	if (rc == 0)
		names_set_locked(tree, entry, NULL, &place);
	names_end(tree, &touched, rc == 0 ? &place : NULL);
	if (rc == 0 && !stays)
		touch_orphan(tree, node, &touched.now);
	if (rc == 0 && !stays && atomic_load(&node->lookups) == 0 && node->local != NULL)
		node_drop_locked(tree, node);
	return rc;
}

static int unlink_locked(struct worktree *tree, const struct worktree_request *request,
			 struct node *folder, const char *name, bool is_folder)
{
	struct entry *entry = entry_find(&tree->index, folder, name, strlen(name));
	struct node *node = entry != NULL ? entry->node : NULL;

	if (node == NULL)
		return -ENOENT;
	if (S_ISDIR(node->type) != is_folder)
		return is_folder ? -ENOTDIR : -EISDIR;
	if (is_folder && node->children_live > 0)
		return -ENOTEMPTY;
	if (is_folder && !node->read && !node_is_submodule(node))
		return ERR_AGAIN; /* the caller has it read */
	return remove_locked(tree, request, entry);
}

static int remove_name(struct worktree *tree, const struct worktree_request *request,
		       uint64_t parent, const char *name, bool is_folder)
{
	struct node *folder = NULL;
	int rc = names_folder(tree, request, parent, name, &folder);

	while (rc == 0) {
		struct node *inner = NULL;

		pthread_rwlock_wrlock(&tree->lock);
		rc = unlink_locked(tree, request, folder, name, is_folder);
		if (rc == ERR_AGAIN)
			inner = entry_find(&tree->index, folder, name, strlen(name))->node;
		pthread_rwlock_unlock(&tree->lock);
		if (inner == NULL)
			return rc;
		rc = folder_read(tree, inner, request->want);
	}
	return rc;
}

int worktree_unlink(struct worktree *tree, const struct worktree_request *request, uint64_t parent,
		    const char *name)
{
	return remove_name(tree, request, parent, name, false);
}

int worktree_rmdir(struct worktree *tree, const struct worktree_request *request, uint64_t parent,
		   const char *name)
{
	return remove_name(tree, request, parent, name, true);
}
