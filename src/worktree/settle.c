/*
 * After the journal was read back: what belongs together, and what does not any more.
 *
 * What ended without damage: nodes without a name had been open when the last daemon
 * ended; nobody can reach them, they go. After damage they may have lost their name,
 * and get one in the top folder.
 *
 * Data files: longer than recorded: the tail was never acknowledged, it is cut off.
 * Shorter, or never synced, after the machine went down: see local.h, `before`.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "worktree/names.h"
#include "worktree/rewrite.h"
#include "worktree/worktree_internal.h"

#define RECOVERED_NAME "recovered-by-git-fs-%" PRIu64

static void condemn(struct worktree *tree, struct local *local)
{
	local->condemned = true;
	atomic_fetch_add(&tree->condemned, 1);
}

/* --- nodes that the journal names and says nothing of --- */

static void settle_unknown(struct worktree *tree, struct local *local)
{
	struct node *node = local->node;

	condemn(tree, local);
	if (local->overrides != NULL) { /* a folder, then: what is in it is not given up */
		struct timespec now = time_now();
		struct meta meta = { .mode = S_IFDIR | 0755, .uid = tree->uid, .gid = tree->gid,
				     .atime = now, .mtime = now, .ctime = now };

		node->type = S_IFDIR;
		node->read = true;
		node->live = true;
		local_set_meta(local, &meta);
		return;
	}
	while (node->names != NULL) {
		struct entry *entry = node->names;

		entry_detach(entry);
		overlay_set_override(tree, entry, false);
		if (entry->in_base && entry->base != NULL)
			entry_attach(entry, entry->base);
	}
}

/* --- folders made here --- */

/* What is in one of the base comes when its tree is read; what is in one of ours is
 * known now. */
static int settle_folder(struct local *local)
{
	struct node *folder = local->node;

	if (folder->kind != 0 || !S_ISDIR(folder->type))
		return 0;
	for (struct entry *at = local->overrides; at != NULL; at = at->next_local) {
		int rc = children_reserve(folder, 1);

		if (rc < 0)
			return rc;
		if (at->node != NULL && at->position == 0)
			children_add(folder, at);
	}
	return 0;
}

/* --- nodes without a name --- */

static int name_again(struct worktree *tree, struct node *node)
{
	struct node *root = node_by_id(&tree->index, WORKTREE_ROOT);
	struct journal_place place = { .segment = 0 };
	struct entry *entry;
	char name[64];
	int rc = overlay_pin_locked(tree, root);

	snprintf(name, sizeof(name), RECOVERED_NAME, node->id);
	if (rc == 0)
		rc = node_index_reserve(&tree->index, 1);
	if (rc == 0)
		rc = children_reserve(root, 1);
	if (rc < 0)
		return rc;
	entry = entry_new(root, name, strlen(name));
	if (entry == NULL)
		return -ENOMEM;
	entry_add(&tree->index, entry);
	names_set_locked(tree, entry, node, &place); /* recorded when all is written anew */
	return 0;
}

static int settle_nameless(struct worktree *tree, struct local *local, bool damaged)
{
	struct node *node = local->node;
	bool worth = S_ISREG(node->type) || local->overrides != NULL;

	if (node->id == WORKTREE_ROOT || node->names != NULL || !local->changed)
		return 0;
	if (tree->inspect || (damaged && node->kind != 0 && !local->anchored))
		return 0; /* the place of the latter was damaged: the tree will tell it */
	if (damaged && worth && node->kind == 0)
		return name_again(tree, node);
	node_drop_locked(tree, node);
	return 0;
}

/* --- folders that stand nowhere, or at two names --- */

/* Frames that are lost may have moved a folder away, so that it stands where it was as
 * well, or moved another one out of it, so that it lies in itself. */

static void keep_one_name(struct worktree *tree, struct node *folder)
{
	while (folder->names->next_name != NULL) { /* the first is the latest */
		struct entry *entry = folder->names->next_name;

		entry_detach(entry);
		overlay_set_override(tree, entry, entry->in_base);
		if (entry->node == NULL && !entry->local && entry->base == NULL)
			entry_remove(&tree->index, entry);
	}
}

static bool reaches_root(const struct worktree *tree, const struct node *node)
{
	uint64_t steps = tree->index.count;

	while (node != NULL && node->id != WORKTREE_ROOT && steps-- > 0)
		node = node_parent(node);
	return node != NULL && node->id == WORKTREE_ROOT;
}

static int settle_place(struct worktree *tree, struct local *local)
{
	struct node *folder = local->node;

	if (!S_ISDIR(folder->type) || folder->names == NULL)
		return 0;
	keep_one_name(tree, folder);
	if (reaches_root(tree, folder))
		return 0;
	struct entry *entry = folder->names;

	condemn(tree, local);
	entry_detach(entry);
	overlay_set_override(tree, entry, entry->in_base);
	if (!entry->local && entry->base == NULL)
		entry_remove(&tree->index, entry);
	return name_again(tree, folder);
}

/* --- data files --- */

/* Back to what it was before the data file that nobody knows to be durable. */
static void revert(struct worktree *tree, struct local *local)
{
	local->meta.contents = local->before;
	local->meta.size = local->before_size;
	local->before = CONTENTS_NONE;
	local->before_size = 0;
	local->version++;
	atomic_fetch_add(&tree->reverted, 1);
}

static int settle_size(struct worktree *tree, struct local *local, struct datafile *file)
{
	struct stat st;

	if (fstat(file->fd, &st) < 0)
		return -errno;
	uint64_t size = (uint64_t)st.st_size;

	if (size > local->meta.size)
		return tree->inspect ? 0 : io_truncate(file->fd, local->meta.size);
	if (size == local->meta.size)
		return 0;
	if (tree->recovery.other_boot)
		atomic_fetch_add(&tree->reverted, 1);
	else
		condemn(tree, local);
	struct meta meta = local->meta;

	meta.size = size;
	return tree->inspect ? 0 : contents_record(tree, NULL, local, &meta, JOURNAL_FREES);
}

static int settle_file(struct worktree *tree, struct local *local)
{
	struct datafile *file;

	if (local->changed && local->meta.contents == CONTENTS_BASE && local->node->kind == 0) {
		local->meta.contents = CONTENTS_FILE; /* nobody knows any more which */
		local->lost = true;
		condemn(tree, local);
	}
	if (!local->changed || local->meta.contents != CONTENTS_FILE || local->lost)
		return 0;
	if (tree->recovery.other_boot && !local->marked && local->before != CONTENTS_NONE) {
		revert(tree, local);
		return tree->inspect ? 0 : rewrite_local(tree, local);
	}
	int rc = datafile_get(tree->files, local->node->id, local->meta.file, &file);

	if (rc == ERR_NOT_FOUND && tree->recovery.other_boot && !local->marked) {
		struct meta meta = local->meta; /* it was never synced: short, to the utmost */

		meta.contents = CONTENTS_LOG;
		meta.size = 0;
		atomic_fetch_add(&tree->reverted, 1);
		return tree->inspect ? 0 :
				       contents_record(tree, NULL, local, &meta, JOURNAL_FREES);
	}
	if (rc == ERR_NOT_FOUND) {
		local->lost = true;
		condemn(tree, local);
		return 0;
	}
	if (rc < 0)
		return rc;
	rc = settle_size(tree, local, file);
	datafile_put(tree->files, file);
	contents_set_unsynced(tree, local, true); /* who knows */
	return rc;
}

static bool keep_file(void *arg, uint64_t id, uint32_t number)
{
	struct worktree *tree = arg;
	struct node *node = node_by_id(&tree->index, id);
	const struct local *local = node != NULL ? node->local : NULL;

	return local != NULL && local->changed && local->meta.contents == CONTENTS_FILE &&
	       local->meta.file == number;
}

/* After a sync that failed: the kernel takes pages for written that never were, so what it
 * still has of them is written to other places. */
static int write_anew(struct worktree *tree)
{
	int rc = 0;

	for (struct local *at = tree->locals; rc == 0 && at != NULL; at = at->next)
		if (at->changed && at->meta.contents == CONTENTS_FILE && !at->lost)
			rc = contents_renew(tree, at);
	if (rc == 0)
		rc = worktree_compact(tree);
	return rc == 0 ? io_unlink(tree->overlay_fd, OVERLAY_FAILED) : rc;
}

/* --- all of it --- */

int overlay_settle(struct worktree *tree)
{
	bool damaged = tree->recovery.damaged_frames > 0;
	uint64_t removed = 0;
	int rc = 0;

	pthread_rwlock_wrlock(&tree->lock);
	for (struct local *at = tree->locals; at != NULL; at = at->next)
		if (at->node->type == 0)
			settle_unknown(tree, at);
	for (struct local *at = tree->locals; damaged && rc == 0 && at != NULL; at = at->next)
		rc = settle_place(tree, at);
	for (struct local *at = tree->locals, *next; rc == 0 && at != NULL; at = next) {
		next = at->next;
		rc = settle_nameless(tree, at, damaged);
	}
	for (struct local *at = tree->locals; rc == 0 && at != NULL; at = at->next) {
		rc = settle_file(tree, at);
		if (rc == 0)
			rc = settle_folder(at);
	}
	pthread_rwlock_unlock(&tree->lock);
	if (rc < 0 || tree->inspect)
		return rc;
	if (tree->had_failed)
		rc = write_anew(tree);
	if (rc < 0 || damaged) /* else the damage would be met again each time */
		return rc < 0 ? rc : worktree_compact(tree);
	/* Else a loss of power could bring back a journal that names what is swept away. */
	rc = journal_sync(tree->journal);
	return rc == 0 ? datafiles_sweep(tree->files, keep_file, tree, &removed) : rc;
}
