/*
 * Answers: attributes, names, contents, listings; and what has to be fetched for
 * them. What the overlay has of a node comes first, the base's where it has nothing.
 *
 * The store is asked under `lock` for sizes alone (an index in memory); contents
 * are read without any lock.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "git/tree.h"
#include "worktree/worktree_internal.h"

#define ALONG_MAX 500                 /* contents wanted along with one read */
#define ALONG_SIZE_MAX (256ULL << 10) /* bytes; larger files are not brought unasked */
#define MISSES_OF_A_WALK 2            /* so many files of a folder missed: all will be read */

/* --- attributes --- */

uint64_t node_base_size(struct worktree *tree, struct node *node)
{
	uint64_t size = atomic_load(&node->size);
	struct store_info info;

	if (size != NODE_SIZE_UNKNOWN || tree->store == NULL || S_ISDIR(node->type))
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

/* As it is in the base. */
struct meta node_base_meta(const struct worktree *tree, const struct node *node)
{
	return (struct meta){
		.mode = mode_of(node->kind),
		.uid = tree->uid,
		.gid = tree->gid,
		.contents = S_ISREG(node->type) || S_ISLNK(node->type) ? CONTENTS_BASE :
									   CONTENTS_NONE,
		.atime = tree->time,
		.mtime = tree->time,
		.ctime = tree->time,
	};
}

struct meta overlay_meta(struct worktree *tree, const struct local *local)
{
	struct meta meta = local->changed ? local->meta : node_base_meta(tree, local->node);

	meta.file = local->meta.file;
	return meta;
}

static struct meta meta_of_locked(struct worktree *tree, struct node *node)
{
	struct local *local = node->local;

	if (local == NULL)
		return node_base_meta(tree, node);
	WITH_LOCK(&local->lock);
	return overlay_meta(tree, local);
}

void attr_fill_locked(struct worktree *tree, struct node *node, struct worktree_attr *out)
{
	struct meta meta = meta_of_locked(tree, node);
	uint64_t size = meta.contents == CONTENTS_BASE ? node_base_size(tree, node) : meta.size;

	*out = (struct worktree_attr){
		.id = node->id,
		.mode = meta.mode,
		.nlink = node_link_count(node),
		.uid = meta.uid,
		.gid = meta.gid,
		.rdev = meta.rdev,
		.size = size == NODE_SIZE_UNKNOWN ? 0 : size,
		.size_known = size != NODE_SIZE_UNKNOWN,
		.atime = meta.atime,
		.mtime = meta.mtime,
		.ctime = meta.ctime,
	};
	out->blocks = (out->size + 511) / 512;
}

/* --- wants --- */

/* Whether a sibling should be brought along with what is wanted. */
typedef bool along_fn(struct worktree *tree, struct node *node);

static bool along_size(struct worktree *tree, struct node *node)
{
	return !S_ISDIR(node->type) && node_base_size(tree, node) == NODE_SIZE_UNKNOWN;
}

static bool contents_missing(struct worktree *tree, struct node *node)
{
	struct store_info info;
	int rc = store_info(tree->store, &node->oid, &info);

	return rc < 0 || !info.present;
}

static bool along_link(struct worktree *tree, struct node *node)
{
	return S_ISLNK(node->type) && contents_missing(tree, node);
}

static bool along_contents(struct worktree *tree, struct node *node)
{
	uint64_t size;

	if (S_ISDIR(node->type))
		return false;
	size = node_base_size(tree, node);
	if (size != NODE_SIZE_UNKNOWN && size > ALONG_SIZE_MAX)
		return false;
	return contents_missing(tree, node);
}

/* The node of a child that shows the base's contents; NULL for others. */
static struct node *base_child(const struct child *child)
{
	struct node *node = child->entry != NULL ? child->entry->node : NULL;

	return node != NULL && node->kind != 0 ? node : NULL;
}

/* Wants the node's own object first, then up to `max` of its siblings'. Returns
 * ERR_AGAIN. */
static int want_with_siblings(struct worktree *tree, struct node *node, struct want *want,
			      enum want_kind kind, along_fn *along, size_t max)
{
	pthread_rwlock_rdlock(&tree->lock);
	const struct node *folder = node_parent(node);
	size_t children = folder != NULL && along != NULL ? folder->children_count : 0;
	size_t room = children < max ? children : max;
	struct oid *oids = calloc(room + 1, sizeof(*oids));
	size_t count = 0;

	if (oids != NULL)
		oids[count++] = node->oid;
	for (size_t i = 0; oids != NULL && i < children && count <= room; i++) {
		struct node *other = base_child(&folder->children[i]);

		if (other != NULL && other != node && along(tree, other))
			oids[count++] = other->oid;
	}
	pthread_rwlock_unlock(&tree->lock);
	if (oids == NULL)
		return -ENOMEM;
	want_release(want);
	*want = (struct want){ .kind = kind, .oids = oids, .count = count };
	return ERR_AGAIN;
}

int want_contents(struct worktree *tree, struct node *node, pid_t pid, struct want *want)
{
	bool walk = false;

	pthread_rwlock_rdlock(&tree->lock);
	struct node *folder = node_parent(node);

	if (folder != NULL)
		walk = atomic_load(&folder->lister) == pid ||
		       atomic_fetch_add(&folder->misses, 1) + 1 >= MISSES_OF_A_WALK;
	pthread_rwlock_unlock(&tree->lock);
	return want_with_siblings(tree, node, want, WANT_BLOB, walk ? along_contents : NULL,
				  ALONG_MAX - 1);
}

int size_get(struct worktree *tree, struct node *node, pid_t pid, struct want *want)
{
	if (S_ISDIR(node->type) || node->kind == 0 ||
	    node_base_size(tree, node) != NODE_SIZE_UNKNOWN)
		return 0;
	int rc = want_with_siblings(tree, node, want, WANT_SIZES, along_size, SIZE_MAX - 1);

	pthread_rwlock_rdlock(&tree->lock);
	const struct node *folder = node_parent(node);

	want->likely = folder == NULL || atomic_load(&folder->lister) != pid;
	pthread_rwlock_unlock(&tree->lock);
	return rc;
}

/* --- names and attributes --- */

/* What stands under the name; counted as looked up where it is fit to be told: with
 * its size where that is needed. ERR_AGAIN: that is not known. */
static int lookup_locked(struct worktree *tree, struct node *folder, const char *name,
			 struct worktree_attr *out, struct node **node_out)
{
	struct entry *entry = entry_find(&tree->index, folder, name, strlen(name));
	struct node *node = entry != NULL ? entry->node : NULL;

	if (node == NULL)
		return -ENOENT;
	*node_out = node;
	attr_fill_locked(tree, node, out);
	if (!out->size_known && (S_ISLNK(node->type) || tree->journal != NULL))
		return ERR_AGAIN;
	atomic_fetch_add(&node->lookups, 1);
	return 0;
}

int worktree_lookup(struct worktree *tree, uint64_t parent, const char *name,
		    struct worktree_attr *out, struct want *want)
{
	struct node *folder = NULL;
	struct node *node = NULL;
	int rc = folder_get(tree, parent, &folder, want);

	if (rc < 0)
		return rc;
	if (strlen(name) > NAME_MAX)
		return -ENAMETOOLONG;
	do {
		pthread_rwlock_rdlock(&tree->lock);
		rc = lookup_locked(tree, folder, name, out, &node);
		pthread_rwlock_unlock(&tree->lock);
		if (rc != ERR_AGAIN)
			return rc;
		if (S_ISLNK(node->type))
			return want_with_siblings(tree, node, want, WANT_BLOB, along_link,
						  ALONG_MAX);
		rc = size_get(tree, node, 0, want);
		want->likely = false; /* who looks up a name is not about to read */
	} while (rc == 0); /* it has come meanwhile */
	return rc;
}

int worktree_getattr(struct worktree *tree, uint64_t id, pid_t pid, struct worktree_attr *out,
		     struct want *want)
{
	struct node *node;
	int rc = node_get(tree, id, &node, want);

	while (rc == 0) {
		pthread_rwlock_rdlock(&tree->lock);
		attr_fill_locked(tree, node, out);
		pthread_rwlock_unlock(&tree->lock);
		if (out->size_known)
			return 0;
		rc = size_get(tree, node, pid, want);
	}
	return rc;
}

/* The target of a symlink that was made here. -ENODATA: it is the base's. */
static int local_target(struct worktree *tree, struct node *node, struct buf *out)
{
	pthread_rwlock_rdlock(&tree->lock);
	struct local *local = node->local;

	pthread_rwlock_unlock(&tree->lock);
	if (local == NULL)
		return -ENODATA;
	WITH_LOCK(&local->lock);
	return local->target != NULL ? buf_append_str(out, local->target) : -ENODATA;
}

int worktree_readlink(struct worktree *tree, uint64_t id, struct buf *out, struct want *want)
{
	AUTO_BUF struct buf data = BUF_INIT_MAX(PATH_MAX);
	enum object_type type;
	struct node *node;
	int rc = node_get(tree, id, &node, want);

	if (rc < 0)
		return rc;
	if (!S_ISLNK(node->type))
		return -EINVAL;
	rc = local_target(tree, node, out);
	if (rc != -ENODATA)
		return rc;
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

/* --- contents --- */

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

ssize_t worktree_read(struct worktree *tree, uint64_t id, struct worktree_read *read,
		      struct want *want)
{
	struct node *node;
	int rc = node_get(tree, id, &node, want);

	if (rc < 0)
		return rc;
	if (S_ISDIR(node->type))
		return -EISDIR;
	if (!S_ISREG(node->type) && !S_ISLNK(node->type))
		return -EINVAL;
	pthread_rwlock_rdlock(&tree->lock);
	struct local *local = node->local;

	pthread_rwlock_unlock(&tree->lock);
	ssize_t got = local != NULL ? local_read(tree, local, read) : -ENODATA;

	if (got != -ENODATA)
		return got;
	got = store_read_at(tree->store, &node->oid, read->offset, read->data, read->len);
	if (got == ERR_NOT_FOUND)
		return want_contents(tree, node, read->pid, want);
	if (got >= 0)
		read->resized = size_corrected(tree, node);
	return got;
}

/* --- listing --- */

/* "." and ".." have the positions 1 and 2 behind them. */
static bool list_dots(struct worktree *tree, struct node *folder, const struct worktree_list *list)
{
	struct node *parent = node_parent(folder);
	struct worktree_attr attr;

	if (list->position < 1) {
		attr_fill_locked(tree, folder, &attr);
		if (list->visit(list->arg, ".", &attr, 1) == LIST_FULL)
			return false;
	}
	if (list->position < 2) {
		attr_fill_locked(tree, parent != NULL ? parent : folder, &attr);
		if (list->visit(list->arg, "..", &attr, 2) == LIST_FULL)
			return false;
	}
	return true;
}

static bool list_child(struct worktree *tree, const struct child *child,
		       const struct worktree_list *list)
{
	struct worktree_attr attr;

	if (child->entry == NULL)
		return true;
	attr_fill_locked(tree, child->entry->node, &attr);
	switch (list->visit(list->arg, child->entry->name, &attr, child->position)) {
	case LIST_FULL:
		return false;
	case LIST_LOOKED_UP:
		atomic_fetch_add(&child->entry->node->lookups, 1);
		return true;
	case LIST_TAKEN:
		return true;
	}
	return false;
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
	if (list_dots(tree, folder, list)) {
		for (size_t i = children_after(folder, list->position); i < folder->children_count;
		     i++)
			if (!list_child(tree, &folder->children[i], list))
				break;
	}
	pthread_rwlock_unlock(&tree->lock);
	return 0;
}
