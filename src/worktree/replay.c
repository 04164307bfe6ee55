/*
 * Reading the journal back: each item says how something is, the last one counts.
 *
 * Items may name nodes of which nothing has been said yet (compaction writes nodes in
 * the order of their numbers): those are made without a type, and get one. One that
 * has none at the end was damaged.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "worktree/worktree_internal.h"

/* The node of an id, and its local; made where it is not known yet. */
static int node_obtain(struct worktree *tree, uint64_t id, struct node **out)
{
	struct node_index *index = &tree->index;
	struct node *node = node_by_id(index, id);

	if (id == 0)
		return ERR_CORRUPT;
	if (node == NULL) {
		size_t more = id >= index->next_id ? (size_t)(id - index->next_id) + 1 : 1;
		int rc = node_index_reserve(index, more);

		if (rc < 0)
			return rc;
		node = node_new(id, 0, 0);
		if (node == NULL)
			return -ENOMEM;
		node_index_add(index, node);
	}
	if (node->local == NULL) {
		node->local = local_new(node);
		if (node->local == NULL)
			return -ENOMEM;
		overlay_add_local(tree, node->local);
	}
	*out = node;
	return 0;
}

/* NULL: no memory. */
static struct entry *entry_obtain(struct worktree *tree, struct node *parent,
				  const struct item *item)
{
	struct entry *entry = entry_find(&tree->index, parent, item->name, item->name_len);

	if (entry != NULL || node_index_reserve(&tree->index, 1) < 0)
		return entry;
	entry = entry_new(parent, item->name, item->name_len);
	if (entry != NULL)
		entry_add(&tree->index, entry);
	return entry;
}

static int replay_anchor(struct worktree *tree, struct node *node, const struct item *item)
{
	struct node *parent;
	int rc = node_obtain(tree, item->parent, &parent);

	if (rc < 0)
		return rc;
	struct entry *entry = entry_obtain(tree, parent, item);

	if (entry == NULL)
		return -ENOMEM;
	node->kind = item->kind;
	node->type = node_type_of(item->kind);
	node->oid = item->oid;
	node->live = true;
	node->local->anchored = true;
	if (item->size != NODE_SIZE_UNKNOWN)
		atomic_store(&node->size, item->size);
	if (entry->base != NULL && entry->base != node)
		entry->base->origin = NULL; /* the node table knew another one there */
	entry->base = node;
	entry->in_base = true;
	node->origin = entry;
	if (!entry->local && entry->node != node) {
		entry_detach(entry);
		entry_attach(entry, node);
	}
	return 0;
}

static int replay_meta(struct node *node, const struct meta *meta)
{
	bool bytes = meta->contents == CONTENTS_LOG || meta->contents == CONTENTS_FILE;

	/* Whole, but of a version that keeps other things elsewhere. */
	if ((bytes && !S_ISREG(meta->mode)) ||
	    (meta->contents == CONTENTS_LOG && meta->size > CONTENTS_LOG_MAX))
		return ERR_UNSUPPORTED;
	if (node->type == 0) {
		node->type = meta->mode & S_IFMT;
		node->read = S_ISDIR(node->type);
	}
	/* One of the base whose place was damaged is known from the node table at most: it is
	 * live when the folder that it is in was read. */
	node->live |= node->kind == 0 || node->local->anchored;
	local_set_meta(node->local, meta);
	return 0;
}

static void replay_times(struct node *node, const struct meta *times)
{
	struct meta meta = node->local->meta;

	if (!node->local->changed)
		return; /* the frame that said more was damaged */
	meta.mtime = times->mtime;
	meta.ctime = times->ctime;
	local_set_meta(node->local, &meta);
}

static int replay_entry(struct worktree *tree, const struct item *item,
			const struct journal_frame *frame)
{
	struct node *parent;
	struct node *node = NULL;
	int rc = node_obtain(tree, item->parent, &parent);

	if (rc == 0 && item->id != 0)
		rc = node_obtain(tree, item->id, &node);
	if (rc < 0)
		return rc;
	struct entry *entry = entry_obtain(tree, parent, item);

	if (entry == NULL)
		return -ENOMEM;
	entry->in_base = (item->flags & ENTRY_IN_BASE) != 0;
	entry->segment = frame->segment;
	entry_detach(entry);
	entry_attach(entry, node);
	overlay_set_override(tree, entry, (item->flags & ENTRY_DROPPED) == 0);
	if (node == NULL && !entry->in_base && !entry->local && entry->base == NULL)
		entry_remove(&tree->index, entry);
	return 0;
}

static int replay_write(struct worktree *tree, struct node *node, const struct item *item,
			const struct journal_frame *frame)
{
	struct extent extent = {
		.offset = (uint32_t)item->offset,
		.len = (uint32_t)item->data_len,
		.segment = frame->segment,
		.at = frame->offset + item->data_at,
	};
	struct local *local = node->local;

	if (!local->changed || local->meta.contents != CONTENTS_LOG ||
	    item->offset > local->meta.size || item->data_len > local->meta.size - item->offset) {
		atomic_fetch_add(&tree->condemned, 1);
		return 0;
	}
	int rc = local_add_extent(local, &extent, (item->flags & WRITE_REPLACES) != 0);

	if (rc == ERR_LIMIT) {
		atomic_fetch_add(&tree->condemned, 1);
		return 0;
	}
	return rc;
}

static int replay_xattr(struct local *local, const struct item *item)
{
	struct xattr *made = NULL;

	if ((item->flags & XATTR_REMOVED) == 0) {
		made = xattr_new(item->name, item->name_len, item->data, item->data_len);
		if (made == NULL)
			return -ENOMEM;
	}
	local_put_xattr(local, item->name, item->name_len, made);
	return 0;
}

static int replay_target(struct node *node, const struct item *item)
{
	free(node->local->target);
	node->local->target = strndup((const char *)item->data, item->data_len);
	return node->local->target != NULL ? 0 : -ENOMEM;
}

static void replay_gone(struct worktree *tree, struct node *node)
{
	struct local *local = node->local;

	local_clear(local);
	if (node->kind != 0 || node->names != NULL || local->overrides != NULL)
		return;
	overlay_remove_local(tree, local);
	node_index_remove(&tree->index, node);
}

static int replay_next_id(struct worktree *tree, uint64_t id)
{
	struct node_index *index = &tree->index;

	if (id <= index->next_id)
		return 0;
	int rc = node_index_reserve(index, (size_t)(id - index->next_id));

	if (rc == 0)
		index->next_id = id;
	return rc;
}

static int replay_of_node(struct worktree *tree, const struct item *item,
			  const struct journal_frame *frame)
{
	struct journal_place place = { .segment = frame->segment };
	struct node *node;
	int rc = node_obtain(tree, item->id, &node);

	if (rc < 0)
		return rc;
	local_recorded(node->local, &place);
	switch (item->type) {
	case ITEM_ANCHOR:
		return replay_anchor(tree, node, item);
	case ITEM_META:
		return replay_meta(node, &item->meta);
	case ITEM_TIMES:
		replay_times(node, &item->meta);
		return 0;
	case ITEM_WRITE:
		return replay_write(tree, node, item, frame);
	case ITEM_TARGET:
		return replay_target(node, item);
	case ITEM_XATTR:
		return replay_xattr(node->local, item);
	case ITEM_GONE:
		replay_gone(tree, node);
		return 0;
	case ITEM_CLEAN:
		local_clear(node->local);
		return 0;
	case ITEM_SYNCED:
		if (node->local->changed && node->local->meta.contents == CONTENTS_FILE)
			local_mark(node->local);
		return 0;
	default:
		return ERR_UNSUPPORTED;
	}
}

/* Another base follows: of the one before, nothing had differed any more. */
static void replay_base(struct worktree *tree, const struct oid *commit)
{
	if (oid_is_set(&tree->overlay_base) && !oid_equal(&tree->overlay_base, commit))
		overlay_forget_base(tree);
	tree->overlay_base = *commit;
}

int overlay_replay(void *arg, const struct journal_frame *frame)
{
	struct worktree *tree = arg;
	struct cursor cur = cursor_of(frame->items, frame->items_len);
	struct item item;
	int rc;

	while ((rc = item_next(&cur, frame->items, tree->algo, &item)) == 1) {
		if (item.type == ITEM_BASE)
			replay_base(tree, &item.oid);
		else if (item.type == ITEM_ENTRY)
			rc = replay_entry(tree, &item, frame);
		else if (item.type == ITEM_NEXT_ID)
			rc = replay_next_id(tree, item.id);
		else
			rc = replay_of_node(tree, &item, frame);
		if (rc < 0)
			return rc;
	}
	/* The checksum was right, so it was written like that: by another version. */
	return rc == ERR_CORRUPT ? ERR_UNSUPPORTED : rc;
}
