/*
 * The overlay: every local difference from the base, in memory and in the journal.
 *
 *   <overlay>/journal/   what differs, and contents up to CONTENTS_LOG_MAX
 *   <overlay>/data/      larger contents
 *
 * The journal stands by itself: it names each node of the base that it speaks of,
 * with its place there (an *anchor*: folder, name, kind, contents, size), and the
 * folders above it. So neither the cache nor the node table is needed to tell
 * what was changed.
 *
 * The order of a change: it is checked, its frame appended, then the memory is
 * changed, which cannot fail any more. Whoever sees the change in memory finds it in
 * the journal.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/io.h"
#include "worktree/worktree_internal.h"

#define FRAME_MAX JOURNAL_FRAME_MAX

struct timespec time_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now;
}

/* --- opening and closing --- */

static int open_parts(struct worktree *tree, const struct worktree_config *config,
		      struct err *err)
{
	AUTO_BUF struct buf journal_dir = BUF_INIT;
	AUTO_BUF struct buf data_dir = BUF_INIT;
	struct journal_config journal = {
		.algo = tree->algo,
		.segment_bytes = config->segment_bytes,
		.boot_id_path = config->boot_id_path,
		.read_only = config->inspect,
	};
	int rc = buf_printf(&journal_dir, "%s/journal", config->overlay_dir);

	if (rc == 0)
		rc = buf_printf(&data_dir, "%s/data", config->overlay_dir);
	if (rc < 0)
		return err_set(err, rc, "out of memory");
	rc = config->inspect ? 0 : io_mkdirs(config->overlay_dir);
	if (rc == 0)
		rc = tree->overlay_fd =
			io_open(AT_FDCWD, config->overlay_dir, O_RDONLY | O_DIRECTORY, 0);
	if (rc < 0)
		return err_sys(err, -rc, "cannot open %s", config->overlay_dir);
	tree->had_failed = faccessat(tree->overlay_fd, OVERLAY_FAILED, F_OK, 0) == 0;
	rc = datafiles_open(&tree->files, buf_str(&data_dir), config->inspect, err);
	if (rc < 0)
		return rc;
	journal.dir = buf_str(&journal_dir);
	rc = journal_open(&tree->journal, &journal, overlay_replay, tree, &tree->recovery, err);
	if (rc < 0 || config->inspect)
		return rc;
	/* The names of both folders. */
	rc = io_sync(tree->overlay_fd);
	return rc < 0 ? err_sys(err, -rc, "cannot sync %s", config->overlay_dir) : 0;
}

int overlay_open(struct worktree *tree, const struct worktree_config *config, struct err *err)
{
	int rc = open_parts(tree, config, err);

	if (rc < 0)
		return rc;
	pthread_mutex_init(&tree->upkeep.lock, NULL);
	rc = cond_init(&tree->upkeep.wake);
	if (rc == 0)
		rc = overlay_settle(tree);
	if (rc < 0)
		return err_set(err, rc, "cannot take up the overlay in %s: %s",
			       config->overlay_dir, err_name(rc));
	return 0;
}

static bool same_base(const struct worktree *tree)
{
	return oid_is_set(&tree->overlay_base) && oid_equal(&tree->overlay_base, &tree->commit);
}

/* Where the old base had it: the new one may have it there, too, as its tree will say. */
static void forget_place(struct node *node)
{
	while (node->names != NULL)
		entry_detach(node->names);
	if (node->origin != NULL)
		node->origin->in_base = false;
	node->live = false;
}

void overlay_forget_base(struct worktree *tree)
{
	if (worktree_is_dirty(tree))
		return; /* by damage alone: then this is all that is known */
	pthread_rwlock_wrlock(&tree->lock);
	for (struct local *at = tree->locals; at != NULL; at = at->next) {
		WITH_LOCK(&at->lock);
		local_clear(at);
		at->anchored = false;
		if (at->node->kind != 0 && at->node->id != WORKTREE_ROOT)
			forget_place(at->node);
	}
	pthread_rwlock_unlock(&tree->lock);
}

/* Nothing of the old base is left in memory: nor will be in the journal. */
static int begin_anew(struct worktree *tree)
{
	struct oid old = tree->overlay_base;

	tree->overlay_base = tree->commit;
	int rc = worktree_compact(tree);

	if (rc < 0)
		tree->overlay_base = old;
	return rc;
}

int overlay_start(struct worktree *tree, struct err *err)
{
	int rc = 0;

	if (!same_base(tree))
		rc = begin_anew(tree);
	return rc < 0 ? err_set(err, rc, "cannot write to the journal: %s", err_name(rc)) : 0;
}

void overlay_close(struct worktree *tree)
{
	if (tree->upkeep.started) {
		pthread_mutex_lock(&tree->upkeep.lock);
		tree->upkeep.stop = true;
		pthread_cond_broadcast(&tree->upkeep.wake);
		pthread_mutex_unlock(&tree->upkeep.lock);
		pthread_join(tree->upkeep.thread, NULL);
	}
	if (worktree_is_writable(tree) && overlay_writable(tree) == 0 && worktree_sync(tree) == 0)
		(void)!datafiles_remove_retired(tree->files, UINT64_MAX);
	journal_close(tree->journal);
	datafiles_close(tree->files);
	io_close(&tree->overlay_fd);
	while (tree->locals != NULL) /* they go with their nodes */
		overlay_remove_local(tree, tree->locals);
}

bool worktree_overlay_base(struct worktree *tree, struct oid *commit_out)
{
	*commit_out = tree->overlay_base;
	return oid_is_set(&tree->overlay_base);
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* Names apart. The times of a folder move with everything that comes and goes in it, and
 * are nothing to keep; nor is the moment at which a file was moved away or back. */
static bool local_differs(struct worktree *tree, struct local *local)
{
	WITH_LOCK(&local->lock);
	const struct meta *meta = &local->meta;
	struct meta base = node_base_meta(tree, local->node);

	if (local->xattrs != NULL)
		return true;
	if (!local->changed || local->node->kind == 0)
		return false;
	if (meta->mode != base.mode || meta->uid != base.uid || meta->gid != base.gid)
		return true;
	return !S_ISDIR(local->node->type) &&
	       (meta->contents != base.contents || !same_time(&meta->mtime, &base.mtime) ||
		!same_time(&meta->atime, &base.atime));
}

bool worktree_is_dirty(struct worktree *tree)
{
	bool dirty = false;

	pthread_rwlock_rdlock(&tree->lock);
	dirty = tree->overrides_count > 0;
	for (struct local *local = tree->locals; !dirty && local != NULL; local = local->next)
		dirty = local_differs(tree, local);
	pthread_rwlock_unlock(&tree->lock);
	return dirty;
}

/* --- failing --- */

int overlay_writable(const struct worktree *tree)
{
	return tree->journal == NULL || tree->inspect || atomic_load(&tree->failed) != 0 ? -EROFS :
											   0;
}

int overlay_fail(struct worktree *tree, int why)
{
	int none = 0;

	/* The disk may refuse that as well: then nothing is lost but the second copy. */
	if (atomic_compare_exchange_strong(&tree->failed, &none, why))
		(void)!io_replace_file(tree->overlay_fd, OVERLAY_FAILED, "", 0);
	return -EROFS;
}

/* --- frames --- */

int frame_begin(struct buf *frame)
{
	frame->max = FRAME_MAX;
	int rc = buf_reserve(frame, JOURNAL_HEAD_LEN + 512);

	frame->len = JOURNAL_HEAD_LEN;
	return rc;
}

int frame_append(struct worktree *tree, const struct worktree_request *request, struct buf *frame,
		 enum journal_need need, struct journal_place *out)
{
	return frame_append_data(tree, request, frame, (struct iovec){ .iov_len = 0 }, need, out);
}

int frame_append_data(struct worktree *tree, const struct worktree_request *request,
		      struct buf *frame, struct iovec data, enum journal_need need,
		      struct journal_place *out)
{
	int rc = FAILPOINT_ERR("overlay.append");

	if (rc == 0)
		rc = journal_append(tree->journal, frame, data,
				    request != NULL ? request->unique : 0, need, out);
	FAILPOINT("overlay.appended");
	return rc;
}

/* --- locals --- */

void overlay_add_local(struct worktree *tree, struct local *local)
{
	local->next = tree->locals;
	if (local->next != NULL)
		local->next->at = &local->next;
	local->at = &tree->locals;
	tree->locals = local;
	tree->locals_count++;
}

void overlay_remove_local(struct worktree *tree, struct local *local)
{
	*local->at = local->next;
	if (local->next != NULL)
		local->next->at = local->at;
	tree->locals_count--;
}

void overlay_set_override(struct worktree *tree, struct entry *entry, bool local)
{
	struct local *folder = entry->parent->local;

	if (entry->local == local)
		return;
	entry->local = local;
	if (!local) {
		*entry->local_at = entry->next_local;
		if (entry->next_local != NULL)
			entry->next_local->local_at = entry->local_at;
		tree->overrides_count--;
		return;
	}
	entry->next_local = folder->overrides;
	if (entry->next_local != NULL)
		entry->next_local->local_at = &entry->next_local;
	entry->local_at = &folder->overrides;
	folder->overrides = entry;
	tree->overrides_count++;
}

/* --- pinning --- */

/* The next node to be anchored on the way from the base's root to `node`: the highest
 * one that is not. NULL: all are. */
static struct node *next_to_anchor(struct node *node)
{
	struct node *found = NULL;

	for (struct node *at = node; at != NULL;
	     at = at->origin != NULL ? at->origin->parent : NULL)
		if (at->local == NULL || !at->local->anchored)
			found = at;
	return found;
}

int overlay_anchor_item(struct worktree *tree, struct buf *frame, struct node *node)
{
	struct item item = {
		.id = node->id,
		.parent = node->origin->parent->id,
		.size = S_ISDIR(node->type) ? 0 : node_base_size(tree, node),
		.kind = node->kind,
		.oid = node->oid,
		.name = node->origin->name,
		.name_len = node->origin->name_len,
	};

	return item_anchor(frame, &item);
}

static int anchor_one(struct worktree *tree, struct node *node)
{
	AUTO_BUF struct buf frame = BUF_INIT;
	struct journal_place place = { .segment = 0 };
	struct local *local = node->local;
	int rc = 0;

	if (local == NULL) {
		local = local_new(node);
		if (local == NULL)
			return -ENOMEM;
	}
	if (node->origin != NULL) { /* the root needs no place */
		rc = frame_begin(&frame);
		if (rc == 0)
			rc = overlay_anchor_item(tree, &frame, node);
		if (rc == 0)
			rc = frame_append(tree, NULL, &frame, JOURNAL_FREES, &place);
	}
	if (rc < 0) {
		if (node->local == NULL)
			local_free(local);
		return rc;
	}
	local->anchored = true;
	if (place.segment != 0)
		local_recorded(local, &place);
	if (node->local == NULL) {
		node->local = local;
		overlay_add_local(tree, local);
	}
	return 0;
}

int overlay_pin_locked(struct worktree *tree, struct node *node)
{
	struct node *next;

	if (node->kind == 0)
		return 0; /* made here: it has been in the journal from the first */
	while ((next = next_to_anchor(node)) != NULL) {
		int rc = anchor_one(tree, next);

		if (rc < 0)
			return rc;
	}
	return 0;
}

int overlay_pin(struct worktree *tree, struct node *node, struct local **out)
{
	int rc = overlay_writable(tree);

	if (rc < 0)
		return rc;
	pthread_rwlock_rdlock(&tree->lock);
	struct local *local = node->local;
	bool pinned = local != NULL && (node->kind == 0 || local->anchored);

	pthread_rwlock_unlock(&tree->lock);
	if (!pinned) {
		pthread_rwlock_wrlock(&tree->lock);
		rc = overlay_pin_locked(tree, node);
		local = node->local;
		pthread_rwlock_unlock(&tree->lock);
	}
	if (rc == 0)
		*out = local;
	return rc;
}
