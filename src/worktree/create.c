/*
 * New files, folders, symlinks and special files. load_lock is held as well, as a node id
 * is given out.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "worktree/names.h"

/* Everything about something new, on its way into the tree. */
struct creation {
	struct node *folder;
	struct entry *entry;  /* NULL: it gets no name */
	bool new_entry;       /* owned until it is in the index */
	struct node *node;    /* owned until it is in the index */
	struct meta meta;
	const char *target;
};

static void creation_release(struct creation *new)
{
	if (new->new_entry)
		free(new->entry);
	node_free(new->node);
}

static struct meta new_meta(const struct worktree_request *request, const struct meta *folder,
			    const struct worktree_new *what, const struct timespec *now)
{
	struct meta meta = {
		.mode = what->mode,
		.uid = request->uid,
		.gid = request->gid,
		.rdev = S_ISCHR(what->mode) || S_ISBLK(what->mode) ? what->rdev : 0,
		.contents = S_ISREG(what->mode) ? CONTENTS_LOG : CONTENTS_NONE,
		.size = what->target != NULL ? strlen(what->target) : 0,
		.atime = *now,
		.mtime = *now,
		.ctime = *now,
	};

	if ((folder->mode & S_ISGID) != 0) {
		meta.gid = folder->gid;
		if (S_ISDIR(what->mode))
			meta.mode |= S_ISGID;
	}
	return meta;
}

/* Node, local, entry: made, and known to nobody. Both locks are held. */
static int creation_prepare(struct worktree *tree, struct creation *new, const char *name,
			    const struct worktree_new *what)
{
	int rc = node_index_reserve(&tree->index, 1);

	if (rc == 0)
		rc = children_reserve(new->folder, 1);
	if (rc < 0)
		return rc;
	new->node = node_new(tree->index.next_id, 0, what->mode & S_IFMT);
	if (new->node == NULL)
		return -ENOMEM;
	new->node->local = local_new(new->node);
	if (new->node->local == NULL)
		return -ENOMEM;
	new->node->live = true;
	new->node->read = S_ISDIR(what->mode);
	if (what->target != NULL) {
		new->node->local->target = strdup(what->target);
		if (new->node->local->target == NULL)
			return -ENOMEM;
	}
	if (name == NULL || new->entry != NULL)
		return 0;
	new->entry = entry_new(new->folder, name, strlen(name));
	new->new_entry = new->entry != NULL;
	return new->new_entry ? 0 : -ENOMEM;
}

static int creation_write(struct worktree *tree, const struct worktree_request *request,
			  struct creation *new, const struct touched *touched,
			  struct journal_place *place)
{
	AUTO_BUF struct buf frame = BUF_INIT;
	int rc = frame_begin(&frame);

	if (rc == 0)
		rc = item_meta(&frame, new->node->id, &new->meta);
	if (rc == 0 && new->target != NULL)
		rc = item_target(&frame, new->node->id, new->target);
	if (rc == 0 && new->entry != NULL)
		rc = names_put_locked(&frame, new->entry, new->node);
	if (rc == 0)
		rc = names_put_touched(tree, &frame, touched);
	return rc == 0 ? frame_append(tree, request, &frame, JOURNAL_NORMAL, place) : rc;
}

static void creation_apply(struct worktree *tree, struct creation *new,
			   const struct journal_place *place)
{
	struct local *local = new->node->local;

	node_index_add(&tree->index, new->node);
	overlay_add_local(tree, local);
	local_recorded(local, place);
	local_set_meta(local, &new->meta);
	atomic_store(&new->node->lookups, 1);
	if (new->new_entry)
		entry_add(&tree->index, new->entry);
	if (new->entry != NULL)
		names_set_locked(tree, new->entry, new->node, place);
	new->new_entry = false;
	new->node = NULL;
}

static int create_locked(struct worktree *tree, const struct worktree_request *request,
			 struct creation *new, const char *name, const struct worktree_new *what)
{
	struct touched touched = { .now = time_now() };
	struct journal_place place;
	struct meta folder_meta;

	if (!names_folder_exists_locked(new->folder))
		return -ENOENT;
	if (name != NULL)
		new->entry = entry_find(&tree->index, new->folder, name, strlen(name));
	if (new->entry != NULL && new->entry->node != NULL)
		return -EEXIST;
	int rc = new->entry != NULL ? names_pin_locked(tree, new->entry) :
				      overlay_pin_locked(tree, new->folder);

	if (rc == 0)
		rc = creation_prepare(tree, new, name, what);
	if (rc < 0)
		return rc;
	names_touch(&touched, new->folder->local, true);
	names_lock(&touched);
	folder_meta = overlay_meta(tree, new->folder->local);
	if (name == NULL)
		names_end(tree, &touched, NULL); /* its folder does not change */
	new->meta = new_meta(request, &folder_meta, what, &touched.now);
	new->target = what->target;
	rc = creation_write(tree, request, new, &touched, &place);
	if (rc == 0)
		creation_apply(tree, new, &place);
	names_end(tree, &touched, rc == 0 ? &place : NULL);
	return rc;
}

int worktree_create(struct worktree *tree, const struct worktree_request *request, uint64_t parent,
		    const char *name, const struct worktree_new *what, struct worktree_attr *out)
{
	struct creation new = { .folder = NULL };
	int rc = names_folder(tree, request, parent, name, &new.folder);

	if (rc < 0)
		return rc;
	if (what->target != NULL && strlen(what->target) >= PATH_MAX)
		return -ENAMETOOLONG;
	pthread_mutex_lock(&tree->load_lock);
	pthread_rwlock_wrlock(&tree->lock);
	uint64_t id = tree->index.next_id;

	rc = create_locked(tree, request, &new, name, what);
	if (rc == 0)
		attr_fill_locked(tree, node_by_id(&tree->index, id), out);
	pthread_rwlock_unlock(&tree->lock);
	pthread_mutex_unlock(&tree->load_lock);
	creation_release(&new);
	return rc;
}
