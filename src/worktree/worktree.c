/*
 * The worktree over its base commit. Every call first turns an id into a live
 * node, reading folders above it where the id is only remembered from an
 * earlier run, and then answers from nodes and store.
 */
#include "worktree/worktree.h"

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

#define ID_GAP_MAX (1ULL << 24)       /* a larger jump of ids in the table is damage */
#define ALONG_MAX 500                 /* contents wanted along with one read */
#define ALONG_SIZE_MAX (256ULL << 10) /* bytes; larger files are not brought unasked */
#define MISSES_OF_A_WALK 2            /* so many files of a folder missed: all will be read */

static bool kind_is_folder(uint32_t kind)
{
	return kind == TREE_MODE_DIR || kind == TREE_MODE_GITLINK;
}

/* --- opening --- */

static int remember(void *arg, const struct node_record *record)
{
	struct worktree *tree = arg;
	struct node_index *index = &tree->index;
	struct node *parent = node_by_id(index, record->parent);

	if (record->id < index->next_id || record->id - index->next_id >= ID_GAP_MAX ||
	    (parent == NULL) != (record->id == WORKTREE_ROOT))
		return ERR_CORRUPT;
	int rc = node_index_reserve(index, (size_t)(record->id - index->next_id) + 1);

	if (rc < 0)
		return rc;
	struct node *node = node_new(record);

	if (node == NULL)
		return -ENOMEM;
	node->parent = parent;
	node_index_add(index, node);
	return 0;
}

static int table_open(struct worktree *tree, const char *path, struct err *err)
{
	enum hash_algo algo = (enum hash_algo)tree->commit.algo;
	AUTO_BUF struct buf aside = BUF_INIT;
	int rc = node_table_open(&tree->table, path, algo, remember, tree, err);

	if (rc != ERR_CORRUPT)
		return rc;
	/* Numbers can be given anew, as no kernel knows the old ones: not so the table itself. */
	node_index_release(&tree->index);
	rc = buf_printf(&aside, "%s.bad", path);
	if (rc == 0)
		rc = io_rename(AT_FDCWD, path, buf_str(&aside));
	if (rc < 0)
		return err_sys(err, -rc, "cannot move the damaged %s aside", path);
	tree->table_renewed = true;
	return node_table_open(&tree->table, path, algo, remember, tree, err);
}

static int root_make(struct worktree *tree, struct err *err)
{
	static const struct node_record record = {
		.id = WORKTREE_ROOT, .mode = TREE_MODE_DIR, .name = ""
	};
	int rc = node_index_reserve(&tree->index, 1);
	struct node *root = rc == 0 ? node_new(&record) : NULL;

	if (root == NULL)
		return err_set(err, -ENOMEM, "out of memory");
	rc = node_table_add(tree->table, &record);
	if (rc == 0)
		rc = node_table_commit(tree->table);
	if (rc < 0) {
		node_free(root);
		return err_sys(err, -rc, "cannot write the node table");
	}
	node_index_add(&tree->index, root);
	return 0;
}

/* The root and its entries: with them, the mount can answer its first questions. */
static int root_open(struct worktree *tree, const struct oid *oid, struct err *err)
{
	struct want want = WANT_INIT;
	int rc = node_by_id(&tree->index, WORKTREE_ROOT) == NULL ? root_make(tree, err) : 0;

	if (rc < 0)
		return rc;
	struct node *root = node_by_id(&tree->index, WORKTREE_ROOT);

	root->oid = *oid;
	root->live = true;
	rc = folder_read(tree, root, &want);
	want_release(&want);
	if (rc < 0)
		return err_set(err, rc == ERR_AGAIN ? ERR_NOT_FOUND : rc,
			       "cannot read the top folder of the commit");
	return 0;
}

static int base_read(struct worktree *tree, struct oid *root_out, struct err *err)
{
	AUTO_BUF struct buf data = BUF_INIT_MAX(OBJECT_MEMORY_MAX);
	char hex[OID_HEX_MAX + 1];
	enum object_type type;
	struct commit commit;
	int rc = store_read(tree->store, &tree->commit, &type, &data);

	oid_to_hex(&tree->commit, hex);
	if (rc < 0)
		return err_set(err, rc, "commit %s is not in the store", hex);
	if (type != OBJECT_COMMIT)
		return err_set(err, -EINVAL, "%s is a %s, not a commit", hex,
			       object_type_name(type));
	rc = commit_parse(&commit, data.data, data.len, (enum hash_algo)tree->commit.algo);
	if (rc < 0)
		return err_set(err, rc, "commit %s is malformed", hex);
	*root_out = commit.tree;
	tree->mtime = commit.commit_time;
	return 0;
}

int worktree_open(struct worktree **out, const struct worktree_config *config, struct err *err)
{
	struct oid root_oid;
	struct worktree *tree = calloc(1, sizeof(*tree));

	if (tree == NULL)
		return err_set(err, -ENOMEM, "out of memory");
	tree->store = config->store;
	tree->commit = config->commit;
	node_index_init(&tree->index);
	pthread_mutex_init(&tree->load_lock, NULL);
	pthread_rwlock_init(&tree->lock, NULL);

	int rc = base_read(tree, &root_oid, err);

	if (rc == 0)
		rc = table_open(tree, config->table_path, err);
	if (rc == 0)
		rc = root_open(tree, &root_oid, err);
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
	node_table_close(tree->table);
	node_index_release(&tree->index);
	pthread_rwlock_destroy(&tree->lock);
	pthread_mutex_destroy(&tree->load_lock);
	free(tree);
}

/* --- finding nodes --- */

/* The folder to read so that the node may become live: the lowest live one
 * above it. NULL: it is live, or can never be. */
static struct node *folder_to_read_locked(struct node *node)
{
	struct node *at = node;

	while (at != NULL && !at->live)
		at = at->parent;
	return at == node || at == NULL || at->read ? NULL : at;
}

/* The live node of an id. */
static int node_get(struct worktree *tree, uint64_t id, struct node **out, struct want *want)
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

/* The live folder of an id, its entries known. */
static int folder_get(struct worktree *tree, uint64_t id, struct node **out, struct want *want)
{
	struct node *folder;
	int rc = node_get(tree, id, &folder, want);

	if (rc < 0)
		return rc;
	if (!kind_is_folder(folder->kind))
		return -ENOTDIR;
	if (folder->kind == TREE_MODE_DIR) { /* a submodule's is empty, nothing to read */
		pthread_rwlock_rdlock(&tree->lock);
		bool known = folder->read;

		pthread_rwlock_unlock(&tree->lock);
		rc = known ? 0 : folder_read(tree, folder, want);
	}
	if (rc == 0)
		*out = folder;
	return rc;
}

/* --- attributes --- */

static uint64_t node_size(struct worktree *tree, struct node *node)
{
	uint64_t size = atomic_load(&node->size);
	struct store_info info;

	if (size != NODE_SIZE_UNKNOWN || kind_is_folder(node->kind))
		return size;
	if (store_info(tree->store, &node->oid, &info) < 0)
		return NODE_SIZE_UNKNOWN;
	atomic_store(&node->size_told, !info.present);
	atomic_store(&node->size, info.size);
	return info.size;
}

static uint32_t mode_of(uint32_t kind)
{
	switch (kind) {
	case TREE_MODE_FILE:
		return S_IFREG | 0644;
	case TREE_MODE_EXEC:
		return S_IFREG | 0755;
	case TREE_MODE_LINK:
		return S_IFLNK | 0777;
	default:
		return S_IFDIR | 0755;
	}
}

static void attr_fill(struct worktree *tree, struct node *node, struct worktree_attr *out)
{
	uint64_t size = kind_is_folder(node->kind) ? 0 : node_size(tree, node);

	*out = (struct worktree_attr){
		.id = node->id,
		.mode = mode_of(node->kind),
		.size = size == NODE_SIZE_UNKNOWN ? 0 : size,
		.size_known = size != NODE_SIZE_UNKNOWN,
		.mtime = tree->mtime,
	};
}

/* --- wants --- */

/* Whether a sibling should be brought along with what is wanted. */
typedef bool along_fn(struct worktree *tree, struct node *node);

static bool along_size(struct worktree *tree, struct node *node)
{
	return !kind_is_folder(node->kind) && node_size(tree, node) == NODE_SIZE_UNKNOWN;
}

static bool contents_missing(struct worktree *tree, struct node *node)
{
	struct store_info info;
	int rc = store_info(tree->store, &node->oid, &info);

	return rc < 0 || !info.present;
}

static bool along_link(struct worktree *tree, struct node *node)
{
	return node->kind == TREE_MODE_LINK && contents_missing(tree, node);
}

static bool along_contents(struct worktree *tree, struct node *node)
{
	uint64_t size;

	if (kind_is_folder(node->kind))
		return false;
	size = node_size(tree, node);
	if (size != NODE_SIZE_UNKNOWN && size > ALONG_SIZE_MAX)
		return false;
	return contents_missing(tree, node);
}

/* Wants the node's own object first, then up to `max` of its siblings'. Returns
 * ERR_AGAIN. The children of a folder that was read do not change, so no lock. */
static int want_with_siblings(struct worktree *tree, struct node *node, struct want *want,
			      enum want_kind kind, along_fn *along, size_t max)
{
	const struct node *folder = node->parent;
	size_t all = folder->children_count < max ? folder->children_count : max;
	struct oid *oids = calloc(all + 1, sizeof(*oids));
	size_t count = 0;

	if (oids == NULL)
		return -ENOMEM;
	oids[count++] = node->oid;
	for (size_t i = 0; along != NULL && i < folder->children_count && count <= max; i++) {
		struct node *other = folder->children[i];

		if (other != node && along(tree, other))
			oids[count++] = other->oid;
	}
	want_release(want);
	*want = (struct want){ .kind = kind, .oids = oids, .count = count };
	return ERR_AGAIN;
}

/* --- answers --- */

int worktree_lookup(struct worktree *tree, uint64_t parent, const char *name,
		    struct worktree_attr *out, struct want *want)
{
	struct node *folder = NULL;
	size_t name_len = strlen(name);
	int rc = folder_get(tree, parent, &folder, want);

	if (rc < 0)
		return rc;
	if (name_len > NAME_MAX)
		return -ENAMETOOLONG;
	pthread_rwlock_rdlock(&tree->lock);
	struct node *node = node_by_name(&tree->index, folder, name, name_len);
	bool live = node != NULL && node->live;

	pthread_rwlock_unlock(&tree->lock);
	if (!live)
		return -ENOENT;
	if (node->kind == TREE_MODE_LINK && node_size(tree, node) == NODE_SIZE_UNKNOWN)
		return want_with_siblings(tree, node, want, WANT_BLOB, along_link, ALONG_MAX);
	attr_fill(tree, node, out);
	return 0;
}

int worktree_getattr(struct worktree *tree, uint64_t id, pid_t pid, struct worktree_attr *out,
		     struct want *want)
{
	struct node *node;
	int rc = node_get(tree, id, &node, want);

	if (rc < 0)
		return rc;
	attr_fill(tree, node, out);
	if (kind_is_folder(node->kind) || out->size_known)
		return 0;
	rc = want_with_siblings(tree, node, want, WANT_SIZES, along_size, SIZE_MAX - 1);
	want->likely = atomic_load(&node->parent->lister) != pid;
	return rc;
}

int worktree_readlink(struct worktree *tree, uint64_t id, struct buf *out, struct want *want)
{
	AUTO_BUF struct buf data = BUF_INIT_MAX(PATH_MAX);
	enum object_type type;
	struct node *node;
	int rc = node_get(tree, id, &node, want);

	if (rc < 0)
		return rc;
	if (node->kind != TREE_MODE_LINK)
		return -EINVAL;
	rc = store_read(tree->store, &node->oid, &type, &data);
	if (rc == ERR_NOT_FOUND)
		return want_with_siblings(tree, node, want, WANT_BLOB, along_link, ALONG_MAX);
	if (rc == ERR_LIMIT || (rc == 0 && data.len >= PATH_MAX))
		return -ENAMETOOLONG;
	if (rc < 0)
		return rc;
	if (type != OBJECT_BLOB || memchr(data.data, '\0', data.len) != NULL)
		return ERR_CORRUPT;
	return buf_append(out, data.data, data.len);
}

/* The contents are here now: is the size that the server told right? */
static bool size_corrected(struct worktree *tree, struct node *node)
{
	struct store_info info;

	if (!atomic_exchange(&node->size_told, false))
		return false;
	if (store_info(tree->store, &node->oid, &info) < 0)
		return false;
	if (atomic_exchange(&node->size, info.size) == info.size)
		return false;
	atomic_fetch_add(&tree->resized, 1);
	return true;
}

static int want_contents(struct worktree *tree, struct node *node, pid_t pid, struct want *want)
{
	bool walk = atomic_load(&node->parent->lister) == pid ||
		    atomic_fetch_add(&node->parent->misses, 1) + 1 >= MISSES_OF_A_WALK;

	return want_with_siblings(tree, node, want, WANT_BLOB, walk ? along_contents : NULL,
				  ALONG_MAX - 1);
}

ssize_t worktree_read(struct worktree *tree, uint64_t id, struct worktree_read *read,
		      struct want *want)
{
	struct node *node;
	int rc = node_get(tree, id, &node, want);

	if (rc < 0)
		return rc;
	if (kind_is_folder(node->kind))
		return -EISDIR;
	ssize_t got = store_read_at(tree->store, &node->oid, read->offset, read->data, read->len);

	if (got == ERR_NOT_FOUND)
		return want_contents(tree, node, read->pid, want);
	if (got >= 0)
		read->resized = size_corrected(tree, node);
	return got;
}

/* --- listing --- */

/* "." and ".." have the positions 1 and 2 behind them, entry i has i + 3. */
static int list_dots(struct worktree *tree, struct node *folder, const struct worktree_list *list)
{
	struct node *parent = folder->parent != NULL ? folder->parent : folder;
	struct worktree_attr attr;

	if (list->position < 1) {
		attr_fill(tree, folder, &attr);
		if (list->visit(list->arg, ".", &attr, 1) != 0)
			return 1;
	}
	if (list->position < 2) {
		attr_fill(tree, parent, &attr);
		if (list->visit(list->arg, "..", &attr, 2) != 0)
			return 1;
	}
	return 0;
}

int worktree_list(struct worktree *tree, uint64_t id, const struct worktree_list *list,
		  struct want *want)
{
	struct node *folder = NULL;
	int rc = folder_get(tree, id, &folder, want);

	if (rc < 0)
		return rc;
	atomic_store(&folder->lister, list->pid);
	pthread_rwlock_rdlock(&tree->lock);
	size_t first = list->position > 2 ? (size_t)(list->position - 2) : 0;

	if (list_dots(tree, folder, list) == 0) {
		for (size_t i = first; i < folder->children_count; i++) {
			struct worktree_attr attr;

			attr_fill(tree, folder->children[i], &attr);
			if (list->visit(list->arg, folder->children[i]->name, &attr, i + 3) != 0)
				break;
		}
	}
	pthread_rwlock_unlock(&tree->lock);
	return 0;
}

int worktree_path(struct worktree *tree, uint64_t id, struct buf *out)
{
	const struct node *parts[PATH_MAX / 2];
	size_t count = 0;
	int rc = 0;

	pthread_rwlock_rdlock(&tree->lock);
	const struct node *node = node_by_id(&tree->index, id);

	if (node == NULL)
		rc = -ESTALE;
	for (; rc == 0 && node->parent != NULL; node = node->parent) {
		if (count == sizeof(parts) / sizeof(parts[0]))
			rc = -ENAMETOOLONG;
		else
			parts[count++] = node;
	}
	pthread_rwlock_unlock(&tree->lock);
	for (size_t i = count; rc == 0 && i-- > 0;) {
		rc = buf_append(out, parts[i]->name, parts[i]->name_len);
		if (rc == 0 && i > 0)
			rc = buf_append_u8(out, '/');
	}
	return rc;
}

/* --- for status --- */

void worktree_stats(struct worktree *tree, struct worktree_stats *out)
{
	pthread_mutex_lock(&tree->load_lock);
	out->nodes = tree->index.count;
	out->table_bytes = node_table_bytes(tree->table);
	pthread_mutex_unlock(&tree->load_lock);
	out->folders_read = atomic_load(&tree->folders_read);
	out->hidden = atomic_load(&tree->hidden);
	out->resized = atomic_load(&tree->resized);
	out->table_renewed = tree->table_renewed;
}

void worktree_base(struct worktree *tree, struct oid *commit_out, int64_t *time_out)
{
	*commit_out = tree->commit;
	if (time_out != NULL)
		*time_out = tree->mtime;
}
