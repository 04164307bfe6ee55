/*
 * Reading a folder: from a tree object to entries and nodes.
 *
 * Each entry of the tree gets the id that the node table (or the journal)
 * remembers for its name, if it is still the same kind of thing with the same
 * contents (a folder's contents may have changed), else a new one. New ids are in
 * the table before anybody can see them. Where the overlay decides what stands
 * under a name, that stands; what it has beyond the tree comes after.
 *
 * The tree object is read and parsed without a lock; load_lock makes giving out
 * ids and writing them one step; `lock` is held for writing only to link the
 * finished nodes in.
 */
#include <errno.h>
#include <stdlib.h>

#include "git/tree.h"
#include "worktree/worktree_internal.h"

#define SHOWN_NAME_MAX 255 /* NAME_MAX: no clone on ext4 could hold a longer one */

struct slot {
	struct entry *entry;
	struct node *node; /* what the base has there */
	bool new_entry;    /* owned until it is linked */
	bool new_node;     /* the same */
};

/* Entries of a folder on their way into the index. */
struct batch {
	struct slot *slots; /* owned array */
	size_t count;
	size_t cap;
	uint64_t next_id;
	uint64_t hidden;
};

static void batch_release(struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		if (batch->slots[i].new_entry)
			free(batch->slots[i].entry);
		if (batch->slots[i].new_node)
			node_free(batch->slots[i].node);
	}
	free(batch->slots);
}

static int batch_init(struct batch *batch, const uint8_t *data, size_t len, enum hash_algo algo)
{
	struct tree_iter iter;
	struct tree_entry entry;
	int rc;

	*batch = (struct batch){ .count = 0 };
	tree_iter_init(&iter, data, len, algo);
	while ((rc = tree_iter_next(&iter, &entry)) == 1)
		batch->cap++;
	if (rc < 0)
		return rc;
	batch->slots = calloc(batch->cap + 1, sizeof(*batch->slots));
	return batch->slots != NULL ? 0 : -ENOMEM;
}

static bool same_thing(const struct node *node, uint32_t kind, const struct oid *oid)
{
	return node->kind == kind && (kind == TREE_MODE_DIR || oid_equal(&node->oid, oid));
}

/* A node with a new number, written to the table's group. */
static int new_node(struct worktree *tree, struct batch *batch, struct slot *slot, uint32_t kind,
		    const struct oid *oid)
{
	const struct entry *entry = slot->entry;
	struct node_record record = {
		.id = batch->next_id,
		.parent = entry->parent->id,
		.mode = kind,
		.name = entry->name,
		.name_len = entry->name_len,
	};

	if (kind != TREE_MODE_DIR)
		record.oid = *oid;
	slot->node = node_new(record.id, kind, 0);
	if (slot->node == NULL)
		return -ENOMEM;
	slot->new_node = true;
	slot->node->oid = *oid;
	batch->next_id++;
	return node_table_add(tree->table, &record);
}

/* Finds or makes entry and node of one entry of the tree. load_lock is held. */
static int batch_add(struct worktree *tree, struct batch *batch, struct node *folder,
		     const struct tree_entry *found)
{
	const char *name = (const char *)found->name;
	struct slot *slot = &batch->slots[batch->count];
	uint32_t kind;

	if (tree_entry_kind(found->mode, &kind) < 0 || found->name_len > SHOWN_NAME_MAX ||
	    !tree_name_shown(found->name, found->name_len)) {
		batch->hidden++;
		return 0;
	}
	pthread_rwlock_rdlock(&tree->lock);
	slot->entry = entry_find(&tree->index, folder, name, found->name_len);
	pthread_rwlock_unlock(&tree->lock);
	slot->new_entry = slot->entry == NULL;
	if (slot->new_entry)
		slot->entry = entry_new(folder, name, found->name_len);
	if (slot->entry == NULL)
		return -ENOMEM;
	batch->count++;
	slot->node = slot->entry->base;
	if (slot->node == NULL || !same_thing(slot->node, kind, &found->oid)) {
		slot->node = NULL;
		return new_node(tree, batch, slot, kind, &found->oid);
	}
	if (!slot->node->live)
		slot->node->oid = found->oid; /* nobody looks at a node that is not live */
	return 0;
}

/* What the base has under a name, linked in. Both locks are held. */
static void link_slot(struct worktree *tree, struct slot *slot, struct node *folder)
{
	struct entry *entry = slot->entry;

	if (slot->new_entry)
		entry_add(&tree->index, entry);
	if (slot->new_node)
		node_index_add(&tree->index, slot->node);
	slot->new_entry = false;
	slot->new_node = false;
	entry->base = slot->node;
	entry->in_base = true;
	entry->in_tree = true;
	slot->node->origin = entry;
	/* Its place was damaged in the journal. If it cannot be written now, then at the next
	 * reading of the folder. */
	if (slot->node->local != NULL && !slot->node->local->anchored &&
	    overlay_writable(tree) == 0)
		(void)!overlay_pin_locked(tree, slot->node);
	if (!entry->local && entry->node != slot->node) {
		entry_detach(entry);
		entry_attach(entry, slot->node);
	}
	if (entry->node == NULL)
		return;
	entry->node->live = true;
	children_add(folder, entry);
}

/* A name that comes twice in the tree is shown once, as it was first. */
static bool is_twin(struct worktree *tree, const struct slot *slot, const struct node *folder)
{
	const struct entry *entry = slot->entry;

	return slot->new_entry ?
		       entry_find(&tree->index, folder, entry->name, entry->name_len) != NULL :
		       entry->in_tree;
}

static size_t count_overrides(const struct node *folder)
{
	size_t count = 0;

	if (folder->local == NULL)
		return 0;
	for (const struct entry *at = folder->local->overrides; at != NULL; at = at->next_local)
		count++;
	return count;
}

/* Both locks are held. */
static int batch_link_locked(struct worktree *tree, struct batch *batch, struct node *folder)
{
	int rc = children_reserve(folder, batch->count + count_overrides(folder));

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < batch->count; i++) {
		if (is_twin(tree, &batch->slots[i], folder))
			batch->hidden++;
		else
			link_slot(tree, &batch->slots[i], folder);
	}
	if (folder->local != NULL)
		for (struct entry *at = folder->local->overrides; at != NULL; at = at->next_local) {
			at->in_base = at->in_tree;
			if (at->node != NULL && at->position == 0)
				children_add(folder, at);
		}
	folder->read = true;
	return 0;
}

static int load_locked(struct worktree *tree, struct node *folder, const struct buf *data)
{
	struct tree_iter iter;
	struct tree_entry entry;
	struct batch batch;
	int rc = batch_init(&batch, data->data, data->len, tree->algo);

	if (rc < 0)
		goto out;
	pthread_rwlock_wrlock(&tree->lock);
	rc = node_index_reserve(&tree->index, batch.cap);
	pthread_rwlock_unlock(&tree->lock);
	batch.next_id = tree->index.next_id;
	tree_iter_init(&iter, data->data, data->len, tree->algo);
	while (rc == 0 && tree_iter_next(&iter, &entry) == 1)
		rc = batch_add(tree, &batch, folder, &entry);
	if (rc == 0)
		rc = node_table_commit(tree->table);
	if (rc == -ENOSPC || rc == -EDQUOT)
		rc = 0; /* the numbers hold while the mount lives; reading must go on */
	if (rc < 0) {
		node_table_drop(tree->table);
		goto out;
	}
	pthread_rwlock_wrlock(&tree->lock);
	rc = batch_link_locked(tree, &batch, folder);
	if (tree->index.next_id < batch.next_id) /* in the table, though nobody has them */
		tree->index.next_id = batch.next_id;
	pthread_rwlock_unlock(&tree->lock);
	if (rc < 0)
		goto out;
	atomic_fetch_add(&tree->folders_read, 1);
	atomic_fetch_add(&tree->hidden, batch.hidden);
out:
	batch_release(&batch);
	return rc;
}

int folder_read(struct worktree *tree, struct node *folder, struct want *want)
{
	AUTO_BUF struct buf data = BUF_INIT_MAX(OBJECT_MEMORY_MAX);
	enum object_type type;
	int rc = store_read(tree->store, &folder->oid, &type, &data);

	if (rc == ERR_NOT_FOUND) {
		rc = want_one(want, WANT_TREE, &folder->oid);
		return rc < 0 ? rc : ERR_AGAIN;
	}
	if (rc < 0)
		return rc;
	if (type != OBJECT_TREE)
		return ERR_CORRUPT;
	WITH_LOCK(&tree->load_lock);
	return folder->read ? 0 : load_locked(tree, folder, &data);
}
