/*
 * Reading a folder: from a tree object to nodes.
 *
 * Each entry gets the id that the node table remembers for its name, if it is
 * still the same kind of thing with the same contents (a folder's contents may
 * have changed), else a new one. New ids are in the table before anybody can
 * see them. The tree object is read and parsed without a lock; load_lock makes
 * giving out ids and writing them one step; `lock` is held for writing only to
 * link the finished nodes in.
 */
#include <stdlib.h>

#include "base/threads.h"
#include "git/tree.h"
#include "worktree/worktree_internal.h"

#define SHOWN_NAME_MAX 255 /* NAME_MAX: no clone on ext4 could hold a longer one */

/* Entries of a folder on their way into the index. */
struct batch {
	struct node **nodes; /* owned array */
	bool *is_new;        /* owned array; a new node is owned until it is linked */
	size_t count;
	size_t cap;
	uint64_t next_id;
	uint64_t hidden;
};

static void batch_release(struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++)
		if (batch->is_new[i])
			node_free(batch->nodes[i]);
	free(batch->nodes);
	free(batch->is_new);
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
	batch->nodes = calloc(batch->cap + 1, sizeof(*batch->nodes));
	batch->is_new = calloc(batch->cap + 1, sizeof(*batch->is_new));
	return batch->nodes != NULL && batch->is_new != NULL ? 0 : -ENOMEM;
}

static bool same_thing(const struct node *node, uint32_t kind, const struct oid *oid)
{
	return node->kind == kind && (kind == TREE_MODE_DIR || oid_equal(&node->oid, oid));
}

/* Finds or makes the node of one entry. */
static int batch_add(struct worktree *tree, struct batch *batch, struct node *folder,
		     const struct tree_entry *entry)
{
	const char *name = (const char *)entry->name;
	uint32_t kind;

	if (tree_entry_kind(entry->mode, &kind) < 0 || entry->name_len > SHOWN_NAME_MAX ||
	    !tree_name_shown(entry->name, entry->name_len)) {
		batch->hidden++;
		return 0;
	}
	struct node *node = node_by_name(&tree->index, folder, name, entry->name_len);
	bool is_new = node == NULL || !same_thing(node, kind, &entry->oid);

	if (is_new) {
		struct node_record record = {
			.id = batch->next_id,
			.parent = folder->id,
			.mode = kind,
			.name = name,
			.name_len = entry->name_len,
		};

		if (kind != TREE_MODE_DIR)
			record.oid = entry->oid;
		node = node_new(&record);
		if (node == NULL)
			return -ENOMEM;
		node->parent = folder;
		int rc = node_table_add(tree->table, &record);

		if (rc < 0) {
			node_free(node);
			return rc;
		}
		node->oid = entry->oid;
		batch->next_id++;
	} else if (!node->live) {
		node->oid = entry->oid; /* nobody looks at a node that is not live */
	}
	batch->nodes[batch->count] = node;
	batch->is_new[batch->count++] = is_new;
	return 0;
}

/* Links the nodes in; the caller holds both locks. A name that comes twice in
 * the tree is shown once, as it was first. */
static void batch_link_locked(struct worktree *tree, struct batch *batch, struct node *folder)
{
	size_t linked = 0;

	for (size_t i = 0; i < batch->count; i++) {
		struct node *node = batch->nodes[i];
		struct node *twin = node_by_name(&tree->index, folder, node->name, node->name_len);

		if (twin != NULL && twin->live) {
			batch->hidden++;
			if (batch->is_new[i])
				node_free(node);
			continue;
		}
		if (batch->is_new[i])
			node_index_add(&tree->index, node);
		node->live = true;
		batch->nodes[linked++] = node;
	}
	folder->children = batch->nodes;
	folder->children_count = linked;
	folder->read = true;
	batch->nodes = NULL;
	batch->count = 0;
}

static int load_locked(struct worktree *tree, struct node *folder, const struct buf *data)
{
	enum hash_algo algo = (enum hash_algo)tree->commit.algo;
	struct tree_iter iter;
	struct tree_entry entry;
	struct batch batch;
	int rc = batch_init(&batch, data->data, data->len, algo);

	if (rc < 0)
		goto out;
	pthread_rwlock_wrlock(&tree->lock);
	rc = node_index_reserve(&tree->index, batch.cap);
	pthread_rwlock_unlock(&tree->lock);
	batch.next_id = tree->index.next_id;
	tree_iter_init(&iter, data->data, data->len, algo);
	while (rc == 0 && tree_iter_next(&iter, &entry) == 1)
		rc = batch_add(tree, &batch, folder, &entry);
	if (rc == 0)
		rc = node_table_commit(tree->table);
	if (rc < 0) {
		node_table_drop(tree->table);
		goto out;
	}
	pthread_rwlock_wrlock(&tree->lock);
	batch_link_locked(tree, &batch, folder);
	pthread_rwlock_unlock(&tree->lock);
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
