/*
 * Opening, closing, and finding nodes. Every call of the worktree first turns an
 * id into a live node, reading folders above it where the id is only remembered
 * from an earlier run.
 */
#include "worktree/worktree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "git/commit.h"
#include "git/tree.h"
#include "worktree/worktree_internal.h"

#define ID_GAP_MAX (1ULL << 24) /* a larger jump of ids in the table is damage */

/* --- the node table --- */

/* The entry that a node of the base is known by. NULL: no memory. */
static struct entry *remember_name(struct worktree *tree, struct node *parent,
				   const struct node_record *record)
{
	struct entry *entry =
		entry_find(&tree->index, parent, record->name, record->name_len);

	if (entry != NULL)
		return entry;
	entry = entry_new(parent, record->name, record->name_len);
	if (entry != NULL)
		entry_add(&tree->index, entry);
	return entry;
}

static int remember_node(struct worktree *tree, struct node *parent,
			 const struct node_record *record)
{
	struct node *node = node_new(record->id, record->mode, 0);
	struct entry *entry = NULL;

	if (node == NULL)
		return -ENOMEM;
	node->oid = record->oid;
	if (parent != NULL) {
		entry = remember_name(tree, parent, record);
		if (entry == NULL) {
			node_free(node);
			return -ENOMEM;
		}
		entry->base = node;
		node->origin = entry;
	}
	node_index_add(&tree->index, node);
	return 0;
}

static int remember(void *arg, const struct node_record *record)
{
	struct worktree *tree = arg;
	struct node_index *index = &tree->index;
	struct node *parent = node_by_id(index, record->parent);

	if (record->id < index->next_id || record->id - index->next_id >= ID_GAP_MAX)
		return ERR_CORRUPT;
	int rc = node_index_reserve(index, (size_t)(record->id - index->next_id) + 1);

	if (rc < 0)
		return rc;
	if ((parent == NULL) != (record->id == WORKTREE_ROOT)) {
		/* Its folder was given a number while the disk was full. */
		index->next_id = record->id + 1;
		return 0;
	}
	return remember_node(tree, parent, record);
}

static int table_open(struct worktree *tree, const char *path, struct err *err)
{
	AUTO_BUF struct buf aside = BUF_INIT;
	int rc = node_table_open(&tree->table, path, tree->algo, remember, tree, err);

	if (rc != ERR_CORRUPT)
		return rc;
	/* Numbers can be given anew, as no kernel knows the old ones, and the journal has
	 * those that the overlay needs: not so the table itself. */
	node_index_release(&tree->index);
	rc = buf_printf(&aside, "%s.bad", path);
	if (rc == 0)
		rc = io_rename(AT_FDCWD, path, buf_str(&aside));
	if (rc < 0)
		return err_sys(err, -rc, "cannot move the damaged %s aside", path);
	tree->table_renewed = true;
	return node_table_open(&tree->table, path, tree->algo, remember, tree, err);
}

static int root_make(struct worktree *tree, struct err *err)
{
	static const struct node_record record = {
		.id = WORKTREE_ROOT, .mode = TREE_MODE_DIR, .name = ""
	};
	int rc = node_index_reserve(&tree->index, 1);
	struct node *root = rc == 0 ? node_new(WORKTREE_ROOT, TREE_MODE_DIR, 0) : NULL;

	if (root == NULL)
		return err_set(err, -ENOMEM, "out of memory");
	if (tree->table != NULL) {
		rc = node_table_add(tree->table, &record);
		if (rc == 0)
			rc = node_table_commit(tree->table);
	}
	if (rc < 0) {
		node_free(root);
		return err_sys(err, -rc, "cannot write the node table");
	}
	node_index_add(&tree->index, root);
	return 0;
}

/* --- opening --- */

/* The journal may know nodes of the base that the table has lost, or never had. The
 * table is to have them, too: what is in them names them as its folders. `first`: the
 * first id that the table does not know. */
static int table_complete(struct worktree *tree, uint64_t first, struct err *err)
{
	int rc = 0;

	for (uint64_t id = first; rc == 0 && id < tree->index.next_id; id++) {
		const struct node *node = node_by_id(&tree->index, id);

		if (node == NULL || node->origin == NULL || node->origin->parent->id >= id)
			continue;
		struct node_record record = {
			.id = id,
			.parent = node->origin->parent->id,
			.mode = node->kind,
			.name = node->origin->name,
			.name_len = node->origin->name_len,
		};

		if (node->kind != TREE_MODE_DIR)
			record.oid = node->oid;
		rc = node_table_add(tree->table, &record);
	}
	if (rc == 0)
		rc = node_table_commit(tree->table);
	if (rc == -ENOSPC || rc == -EDQUOT)
		return 0;
	return rc < 0 ? err_sys(err, -rc, "cannot write the node table") : 0;
}

/* Readers come without end; who changes names must get his turn. Nobody takes it twice. */
static void lock_init(pthread_rwlock_t *lock)
{
	pthread_rwlockattr_t attr;

	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(lock, &attr);
	pthread_rwlockattr_destroy(&attr);
}

int worktree_open(struct worktree **out, const struct worktree_config *config, struct err *err)
{
	struct worktree *tree = calloc(1, sizeof(*tree));
	int rc = 0;

	if (tree == NULL)
		return err_set(err, -ENOMEM, "out of memory");
	tree->store = config->store;
	tree->algo = config->algo;
	tree->uid = config->uid;
	tree->gid = config->gid;
	tree->inspect = config->inspect;
	tree->overlay_fd = -1;
	node_index_init(&tree->index);
	pthread_mutex_init(&tree->load_lock, NULL);
	lock_init(&tree->lock);
	pthread_mutex_init(&tree->compact_lock, NULL);

	if (!config->inspect)
		rc = table_open(tree, config->table_path, err);
	if (rc == 0 && node_by_id(&tree->index, WORKTREE_ROOT) == NULL)
		rc = root_make(tree, err);
	if (rc == 0)
		node_by_id(&tree->index, WORKTREE_ROOT)->live = true;
	uint64_t known = tree->index.next_id;

	if (rc == 0 && config->overlay_dir != NULL)
		rc = overlay_open(tree, config, err);
	if (rc == 0 && tree->table != NULL)
		rc = table_complete(tree, known, err);
	if (rc < 0)
		worktree_close(tree);
	else
		*out = tree;
	return rc;
}

void worktree_close(struct worktree *tree)
{
	if (tree == NULL)
		return;
	overlay_close(tree);
	node_table_close(tree->table);
	node_index_release(&tree->index);
	pthread_mutex_destroy(&tree->compact_lock);
	pthread_rwlock_destroy(&tree->lock);
	pthread_mutex_destroy(&tree->load_lock);
	free(tree);
}

static int base_read(struct worktree *tree, const struct oid *oid, struct oid *root_out,
		     struct err *err)
{
	AUTO_BUF struct buf data = BUF_INIT_MAX(OBJECT_MEMORY_MAX);
	char hex[OID_HEX_MAX + 1];
	enum object_type type;
	struct commit commit;
	int rc = store_read(tree->store, oid, &type, &data);

	oid_to_hex(oid, hex);
	if (rc < 0)
		return err_set(err, rc, "commit %s is not in the store", hex);
	if (type != OBJECT_COMMIT)
		return err_set(err, -EINVAL, "%s is a %s, not a commit", hex,
			       object_type_name(type));
	rc = commit_parse(&commit, data.data, data.len, tree->algo);
	if (rc < 0)
		return err_set(err, rc, "commit %s is malformed", hex);
	*root_out = commit.tree;
	tree->commit = *oid;
	tree->time = (struct timespec){ .tv_sec = (time_t)commit.commit_time };
	return 0;
}

int worktree_start(struct worktree *tree, const struct oid *commit, struct err *err)
{
	struct node *root = node_by_id(&tree->index, WORKTREE_ROOT);
	struct want want = WANT_INIT;
	int rc = base_read(tree, commit, &root->oid, err);

	if (rc < 0)
		return rc;
	if (tree->journal != NULL && !oid_equal(&tree->overlay_base, &tree->commit))
		overlay_forget_base(tree);
	rc = folder_read(tree, root, &want);
	want_release(&want);
	if (rc < 0)
		return err_set(err, rc == ERR_AGAIN ? ERR_NOT_FOUND : rc,
			       "cannot read the top folder of the commit");
	return tree->journal != NULL ? overlay_start(tree, err) : 0;
}

/* --- finding nodes --- */

/* The folder to read so that the node may become live: the lowest live one
 * above it. NULL: it is live, or can never be. */
static struct node *folder_to_read_locked(struct node *node)
{
	struct node *at = node;

	while (at != NULL && !at->live)
		at = at->origin != NULL ? at->origin->parent : NULL;
	return at == node || at == NULL || at->read ? NULL : at;
}

int node_get(struct worktree *tree, uint64_t id, struct node **out, struct want *want)
{
	for (;;) {
		pthread_rwlock_rdlock(&tree->lock);
		struct node *node = node_by_id(&tree->index, id);
		struct node *above = node != NULL ? folder_to_read_locked(node) : NULL;
		bool live = node != NULL && node->live;

		pthread_rwlock_unlock(&tree->lock);
		if (live) {
			*out = node;
			return 0;
		}
		if (above == NULL)
			return -ESTALE;
		int rc = folder_read(tree, above, want);

		if (rc < 0)
			return rc;
	}
}

int folder_get(struct worktree *tree, uint64_t id, struct node **out, struct want *want)
{
	struct node *folder;
	int rc = node_get(tree, id, &folder, want);

	if (rc < 0)
		return rc;
	if (!S_ISDIR(folder->type))
		return -ENOTDIR;
	pthread_rwlock_rdlock(&tree->lock);
	bool known = folder->read || folder->kind != TREE_MODE_DIR;

	pthread_rwlock_unlock(&tree->lock);
	rc = known ? 0 : folder_read(tree, folder, want);
	if (rc == 0)
		*out = folder;
	return rc;
}

int worktree_path(struct worktree *tree, uint64_t id, struct buf *out)
{
	const struct entry *parts[PATH_MAX / 2];
	size_t count = 0;
	int rc = 0;

	pthread_rwlock_rdlock(&tree->lock);
	const struct node *node = node_by_id(&tree->index, id);

	if (node == NULL)
		rc = -ESTALE;
	while (rc == 0 && node->id != WORKTREE_ROOT) {
		if (count == sizeof(parts) / sizeof(parts[0]))
			rc = -ENAMETOOLONG;
		else if (node->names == NULL && (node->live || node->origin == NULL))
			rc = -ESTALE;
		if (rc < 0)
			break;
		parts[count] = node->names != NULL ? node->names : node->origin;
		node = parts[count++]->parent;
	}
	for (size_t i = count; rc == 0 && i-- > 0;) {
		rc = buf_append(out, parts[i]->name, parts[i]->name_len);
		if (rc == 0 && i > 0)
			rc = buf_append_u8(out, '/');
	}
	pthread_rwlock_unlock(&tree->lock);
	return rc;
}

int worktree_find(struct worktree *tree, const char *path, uint64_t *id_out, struct want *want)
{
	uint64_t id = WORKTREE_ROOT;

	while (*path != '\0') {
		size_t len = strcspn(path, "/");
		struct node *folder = NULL;
		int rc = len > NAME_MAX ? -ENAMETOOLONG : folder_get(tree, id, &folder, want);

		if (rc < 0)
			return rc;
		pthread_rwlock_rdlock(&tree->lock);
		struct entry *entry = entry_find(&tree->index, folder, path, len);

		id = entry != NULL && entry->node != NULL ? entry->node->id : 0;
		pthread_rwlock_unlock(&tree->lock);
		if (id == 0)
			return -ENOENT;
		path += len;
		path += strspn(path, "/");
	}
	*id_out = id;
	return 0;
}

/* --- for status --- */

void worktree_stats(struct worktree *tree, struct worktree_stats *out)
{
	*out = (struct worktree_stats){ .nodes = 0 };
	pthread_mutex_lock(&tree->load_lock);
	out->table_bytes = tree->table != NULL ? node_table_bytes(tree->table) : 0;
	pthread_mutex_unlock(&tree->load_lock);
	pthread_rwlock_rdlock(&tree->lock);
	out->nodes = tree->index.count;
	out->local_nodes = tree->locals_count;
	for (struct local *local = tree->locals; local != NULL; local = local->next) {
		WITH_LOCK(&local->lock);
		if (local->changed && local->meta.contents == CONTENTS_FILE)
			out->data_bytes += local->meta.size;
	}
	pthread_rwlock_unlock(&tree->lock);
	out->folders_read = atomic_load(&tree->folders_read);
	out->hidden = atomic_load(&tree->hidden);
	out->resized = atomic_load(&tree->resized);
	out->table_renewed = tree->table_renewed;
	out->writable = worktree_is_writable(tree);
	if (tree->journal == NULL)
		return;
	out->failed = atomic_load(&tree->failed);
	out->unsynced = atomic_load(&tree->unsynced);
	out->compactions = atomic_load(&tree->compactions);
	out->condemned = atomic_load(&tree->condemned);
	out->reverted = atomic_load(&tree->reverted);
	out->recovery = tree->recovery;
	journal_stats(tree->journal, &out->journal);
}

void worktree_base(struct worktree *tree, struct oid *commit_out, int64_t *time_out)
{
	*commit_out = tree->commit;
	if (time_out != NULL)
		*time_out = tree->time.tv_sec;
}

bool worktree_is_writable(const struct worktree *tree)
{
	return tree->journal != NULL && !tree->inspect;
}

int worktree_statfs(struct worktree *tree, struct statvfs *out)
{
	return fstatvfs(tree->overlay_fd, out) < 0 ? -errno : 0;
}
