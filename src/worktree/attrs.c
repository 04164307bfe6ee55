/*
 * Changing attributes: mode, owner, size, times; extended attributes.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "worktree/worktree_internal.h"

#define XATTR_LONGEST_NAME 255             /* XATTR_NAME_MAX of linux/limits.h */
#define XATTR_VALUE_MAX ((size_t)64 << 10) /* XATTR_SIZE_MAX of linux/limits.h */
#define XATTR_PREFIX "user."

/* --- setattr --- */

static struct timespec time_of(const struct timespec *asked, const struct timespec *now)
{
	return asked->tv_nsec == UTIME_NOW ? *now : *asked;
}

/* All but the size. */
static void change_meta(const struct worktree_request *request, struct meta *meta,
			const struct worktree_change *change)
{
	struct timespec now = time_now();

	/* Before the group changes: who may keep a bit is a matter of the old one. A request
	 * that changes nothing is what the kernel makes of chown(-1, -1), and of what it does
	 * before fallocate(2) for somebody who may not keep set-id bits. */
	if (((change->what & (CHANGE_UID | CHANGE_GID)) != 0 ||
	     (change->what & ~(unsigned)CHANGE_CTIME) == 0) &&
	    !S_ISDIR(meta->mode))
		meta_kill_setid(request, meta);
	if ((change->what & CHANGE_UID) != 0)
		meta->uid = change->uid;
	if ((change->what & CHANGE_GID) != 0)
		meta->gid = change->gid;
	if ((change->what & CHANGE_MODE) != 0)
		meta->mode = (meta->mode & S_IFMT) | (change->mode & 07777);
	if ((change->what & CHANGE_SIZE) != 0)
		meta->mtime = now;
	if ((change->what & CHANGE_KILL_SETID) != 0)
		meta_kill_setid(request, meta);
	if ((change->what & CHANGE_ATIME) != 0)
		meta->atime = time_of(&change->atime, &now);
	if ((change->what & CHANGE_MTIME) != 0)
		meta->mtime = time_of(&change->mtime, &now);
	meta->ctime = (change->what & CHANGE_CTIME) != 0 ? change->ctime : now;
}

static int setattr_locked(struct worktree *tree, const struct worktree_request *request,
			  struct local *local, const struct worktree_change *change)
{
	struct meta meta = overlay_meta(tree, local);
	bool frees = (change->what & CHANGE_SIZE) != 0 && change->size < meta.size;
	int rc = 0;

	if ((change->what & CHANGE_SIZE) != 0)
		rc = contents_resize(tree, local, &meta, change->size);
	if (rc < 0)
		return rc;
	change_meta(request, &meta, change);
	return contents_record(tree, request, local, &meta,
			       frees ? JOURNAL_FREES : JOURNAL_NORMAL);
}

int worktree_setattr(struct worktree *tree, const struct worktree_request *request, uint64_t id,
		     const struct worktree_change *change, struct worktree_attr *out)
{
	struct local *local;
	struct node *node;
	int rc = overlay_begin(tree);

	if (rc == 0)
		rc = node_get(tree, id, &node, request->want);
	/* The answer tells the size, and the kernel believes it. */
	if (rc == 0 && (change->what & CHANGE_SIZE) == 0)
		rc = size_get(tree, node, request->pid, request->want);
	if (rc < 0)
		return rc;
	if ((change->what & CHANGE_SIZE) != 0 && !S_ISREG(node->type))
		return S_ISDIR(node->type) ? -EISDIR : -EINVAL;
	rc = overlay_pin(tree, node, &local);
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&local->lock);
	rc = setattr_locked(tree, request, local, change);
	pthread_mutex_unlock(&local->lock);
	if (rc == ERR_NOT_FOUND)
		return want_contents(tree, node, request->pid, request->want);
	if (rc < 0)
		return rc;
	pthread_rwlock_rdlock(&tree->lock);
	attr_fill_locked(tree, node, out);
	pthread_rwlock_unlock(&tree->lock);
	return 0;
}

/* --- extended attributes --- */

static int set_locked(struct worktree *tree, const struct worktree_request *request,
		      struct local *local, const struct worktree_xattr *xattr)
{
	AUTO_BUF struct buf frame = BUF_INIT;
	struct meta meta = overlay_meta(tree, local);
	struct journal_place place;
	struct item item = {
		.id = local->node->id,
		.flags = xattr->value == NULL ? XATTR_REMOVED : 0,
		.name = xattr->name,
		.name_len = strlen(xattr->name),
		.data = xattr->value,
		.data_len = xattr->len,
	};
	bool is_there = local_xattr(local, item.name, item.name_len) != NULL;

	if (is_there && (xattr->flags & XATTR_CREATE) != 0)
		return -EEXIST;
	if (!is_there && ((xattr->flags & XATTR_REPLACE) != 0 || xattr->value == NULL))
		return -ENODATA;
	meta.ctime = time_now();
	struct xattr *made = NULL;
	int rc = frame_begin(&frame);

	if (rc == 0 && xattr->value != NULL) {
		made = xattr_new(item.name, item.name_len, xattr->value, xattr->len);
		rc = made != NULL ? 0 : -ENOMEM;
	}
	if (rc == 0)
		rc = item_meta(&frame, item.id, &meta);
	if (rc == 0)
		rc = item_xattr(&frame, &item);
	if (rc == 0)
		rc = frame_append(tree, request, &frame, JOURNAL_NORMAL, &place);
	if (rc < 0) {
		xattr_free(made);
		return rc;
	}
	contents_apply(tree, local, &meta, &place);
	local_put_xattr(local, item.name, item.name_len, made);
	return 0;
}

int worktree_setxattr(struct worktree *tree, const struct worktree_request *request, uint64_t id,
		      const struct worktree_xattr *xattr)
{
	struct local *local;
	struct node *node;
	int rc = overlay_begin(tree);

	if (rc == 0)
		rc = node_get(tree, id, &node, request->want);
	if (rc < 0)
		return rc;
	if (strncmp(xattr->name, XATTR_PREFIX, strlen(XATTR_PREFIX)) != 0)
		return -EOPNOTSUPP;
	if (strlen(xattr->name) > XATTR_LONGEST_NAME || xattr->name[strlen(XATTR_PREFIX)] == '\0')
		return xattr->name[strlen(XATTR_PREFIX)] == '\0' ? -EINVAL : -ERANGE;
	if (xattr->len > XATTR_VALUE_MAX)
		return -E2BIG;
	rc = overlay_pin(tree, node, &local);
	if (rc < 0)
		return rc;
	WITH_LOCK(&local->lock);
	return set_locked(tree, request, local, xattr);
}

int worktree_removexattr(struct worktree *tree, const struct worktree_request *request,
			 uint64_t id, const char *name)
{
	struct worktree_xattr xattr = { .name = name, .value = NULL };

	return worktree_setxattr(tree, request, id, &xattr);
}

/* The local of a node, or NULL: it has no attributes then. */
static int find_local(struct worktree *tree, uint64_t id, struct local **out, struct want *want)
{
	struct node *node;
	int rc = node_get(tree, id, &node, want);

	if (rc < 0)
		return rc;
	pthread_rwlock_rdlock(&tree->lock);
	*out = node->local;
	pthread_rwlock_unlock(&tree->lock);
	return 0;
}

int worktree_getxattr(struct worktree *tree, uint64_t id, const char *name, struct buf *out,
		      struct want *want)
{
	struct local *local;
	int rc = find_local(tree, id, &local, want);

	if (rc < 0)
		return rc;
	if (strncmp(name, XATTR_PREFIX, strlen(XATTR_PREFIX)) != 0)
		return -EOPNOTSUPP;
	if (local == NULL)
		return -ENODATA;
	WITH_LOCK(&local->lock);
	const struct xattr *xattr = local_xattr(local, name, strlen(name));

	return xattr != NULL ? buf_append(out, xattr->value, xattr->value_len) : -ENODATA;
}

int worktree_listxattr(struct worktree *tree, uint64_t id, struct buf *out, struct want *want)
{
	struct local *local;
	int rc = find_local(tree, id, &local, want);

	if (rc < 0 || local == NULL)
		return rc;
	WITH_LOCK(&local->lock);
	for (const struct xattr *xattr = local->xattrs; rc == 0 && xattr != NULL;
	     xattr = xattr->next)
		rc = buf_append(out, xattr->name, strlen(xattr->name) + 1);
	return rc;
}
