/*
 * Changing names: what create.c, remove.c and rename.c have in common.
 *
 * All of it happens with `lock` held for writing, from the check to the change in
 * memory; the frame is appended in between. The locals whose times move are locked
 * from the moment that their attributes are looked at until they are changed, as a
 * write may be under way. Nobody else locks two of them, and here it is by their ids.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "worktree/names.h"

int names_folder(struct worktree *tree, const struct worktree_request *request, uint64_t id,
		 const char *name, struct node **out)
{
	int rc = overlay_begin(tree);

	if (rc == 0)
		rc = folder_get(tree, id, out, request->want);
	if (rc < 0)
		return rc;
	if (node_is_submodule(*out))
		return -EROFS;
	return name != NULL && strlen(name) > NAME_MAX ? -ENAMETOOLONG : 0;
}

bool names_folder_exists_locked(const struct node *folder)
{
	return folder->names != NULL || folder->id == WORKTREE_ROOT;
}

int names_pin_locked(struct worktree *tree, const struct entry *entry)
{
	int rc = overlay_pin_locked(tree, entry->parent);

	return rc == 0 && entry->in_base ? overlay_pin_locked(tree, entry->base) : rc;
}

int names_put_locked(struct buf *frame, const struct entry *entry, const struct node *node)
{
	bool as_base = node != NULL && entry->in_base && entry->base == node;
	bool nothing = node == NULL && !entry->in_base;
	struct item item = {
		.parent = entry->parent->id,
		.id = node != NULL ? node->id : 0,
		.name = entry->name,
		.name_len = entry->name_len,
		.flags = (uint8_t)((entry->in_base ? ENTRY_IN_BASE : 0) |
				   (as_base || nothing ? ENTRY_DROPPED : 0)),
	};

	return item_entry(frame, &item);
}

void names_set_locked(struct worktree *tree, struct entry *entry, struct node *node,
		      const struct journal_place *place)
{
	bool as_base = entry->in_base && entry->base == node;

	entry_detach(entry);
	entry_attach(entry, node);
	overlay_set_override(tree, entry, node != NULL ? !as_base : entry->in_base);
	entry->segment = place->segment;
	if (node == NULL && entry->position != 0)
		children_remove(entry->parent, entry);
	else if (node != NULL && entry->position == 0)
		children_add(entry->parent, entry);
	if (node == NULL && !entry->in_base && entry->base == NULL)
		entry_remove(&tree->index, entry);
}

/* --- times --- */

void names_touch(struct touched *touched, struct local *local, bool mtime)
{
	for (unsigned i = 0; i < touched->count; i++) {
		if (touched->locals[i] == local) {
			touched->mtime[i] |= mtime;
			return;
		}
	}
	unsigned at = touched->count++;

	for (; at > 0 && touched->locals[at - 1]->node->id > local->node->id; at--) {
		touched->locals[at] = touched->locals[at - 1];
		touched->mtime[at] = touched->mtime[at - 1];
	}
	touched->locals[at] = local;
	touched->mtime[at] = mtime;
}

void names_lock(struct touched *touched)
{
	for (unsigned i = 0; i < touched->count; i++)
		pthread_mutex_lock(&touched->locals[i]->lock);
}

static struct meta touched_meta(struct worktree *tree, const struct touched *touched, unsigned i)
{
	struct meta meta = overlay_meta(tree, touched->locals[i]);

	meta.ctime = touched->now;
	if (touched->mtime[i])
		meta.mtime = touched->now;
	return meta;
}

int names_put_touched(struct worktree *tree, struct buf *frame, const struct touched *touched)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < touched->count; i++) {
		struct meta meta = touched_meta(tree, touched, i);
		uint64_t id = touched->locals[i]->node->id;

		rc = touched->locals[i]->changed ? item_times(frame, id, &meta) :
						   item_meta(frame, id, &meta);
	}
	return rc;
}

void names_end(struct worktree *tree, struct touched *touched, const struct journal_place *place)
{
	for (unsigned i = 0; i < touched->count; i++) {
		if (place != NULL) {
			struct meta meta = touched_meta(tree, touched, i);

			local_recorded(touched->locals[i], place);
			local_set_meta(touched->locals[i], &meta);
		}
		pthread_mutex_unlock(&touched->locals[i]->lock);
	}
	touched->count = 0;
}
