/*
 * Compaction: what is true and lies in the oldest segments is appended again, beside those
 * who write; then those segments go. From the oldest on, one by one: so a full disk
 * needs room for one segment only.
 *
 * An item may be written again at any time (item.h), so this needs no order and no
 * stop: what is written again is how it is at that moment, and what somebody else
 * writes meanwhile comes behind it. What says that something is no more need not be
 * written again: what it takes back lies in older segments, or not at all.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "worktree/names.h"
#include "worktree/rewrite.h"

#define ENTRIES_PER_FRAME 200
#define XATTRS_PER_FRAME ((size_t)1 << 20) /* bytes */

/* --- one node --- */

static int put_contents(struct worktree *tree, const struct local *local, struct buf *frame,
			struct buf *data)
{
	uint64_t id = local->node->id;

	if (local->meta.contents == CONTENTS_FILE)
		return local->marked ? item_of_id(frame, ITEM_SYNCED, id) : 0;
	if (local->meta.contents != CONTENTS_LOG || local->extents_count == 0)
		return 0;
	size_t size = (size_t)local->meta.size;
	int rc = buf_reserve(data, size);

	if (rc == 0)
		rc = contents_read_log(tree, local, 0, data->data, size);
	if (rc < 0)
		return rc;
	data->len = size;
	return item_write(frame, id, 0, size, WRITE_REPLACES);
}

/* They may be more than a frame holds: *first is then where the first one went. */
static int put_xattrs(struct worktree *tree, const struct local *local, struct buf *frame,
		      struct journal_place *first)
{
	struct journal_place place;
	int rc = 0;

	for (const struct xattr *at = local->xattrs; rc == 0 && at != NULL; at = at->next) {
		if (frame->len > XATTRS_PER_FRAME) {
			rc = frame_append(tree, NULL, frame, JOURNAL_CLEANS, &place);
			if (rc == 0 && first->segment == 0)
				*first = place;
			if (rc == 0)
				rc = frame_begin(frame);
			if (rc < 0)
				break;
		}
		struct item item = { .id = local->node->id, .name = at->name,
				     .name_len = strlen(at->name), .data = at->value,
				     .data_len = at->value_len };

		rc = item_xattr(frame, &item);
	}
	return rc;
}

int rewrite_local(struct worktree *tree, struct local *local)
{
	AUTO_BUF struct buf frame = BUF_INIT;
	AUTO_BUF struct buf data = BUF_INIT_MAX(CONTENTS_LOG_MAX);
	struct node *node = local->node;
	struct journal_place first = { .segment = 0 };
	struct journal_place place;
	int rc = frame_begin(&frame);

	if (rc == 0 && local->anchored && node->origin != NULL)
		rc = overlay_anchor_item(tree, &frame, node);
	if (rc == 0 && local->changed)
		rc = item_meta(&frame, node->id, &local->meta);
	if (rc == 0 && local->target != NULL)
		rc = item_target(&frame, node->id, local->target);
	if (rc == 0)
		rc = put_xattrs(tree, local, &frame, &first);
	if (rc == 0 && local->changed)
		rc = put_contents(tree, local, &frame, &data);
	if (rc < 0 || frame.len == JOURNAL_HEAD_LEN)
		return rc;
	rc = frame_append_data(tree, NULL, &frame,
			       (struct iovec){ .iov_base = data.data, .iov_len = data.len },
			       JOURNAL_CLEANS, &place);
	if (rc < 0)
		return rc;
	__atomic_store_n(&local->segment, first.segment != 0 ? first.segment : place.segment,
			 __ATOMIC_RELAXED);
	if (data.len == 0)
		return 0;
	struct extent extent = { .len = (uint32_t)data.len,
				 .segment = place.segment,
				 .at = place.offset + frame.len };

	return local_add_extent(local, &extent, true);
}

/* --- all nodes --- */

/* Nodes of which something may lie in segments before `segment`: those with records
 * there, and folders, for their names. */
static int collect_ids(struct worktree *tree, uint64_t segment, uint64_t **out,
		       size_t *count_out)
{
	pthread_rwlock_rdlock(&tree->lock);
	uint64_t *ids = malloc((tree->locals_count + 1) * sizeof(*ids));
	size_t count = 0;

	for (struct local *at = tree->locals; ids != NULL && at != NULL; at = at->next)
		if (at->overrides != NULL ||
		    __atomic_load_n(&at->segment, __ATOMIC_RELAXED) < segment)
			ids[count++] = at->node->id;
	pthread_rwlock_unlock(&tree->lock);
	if (ids == NULL)
		return -ENOMEM;
	*out = ids;
	*count_out = count;
	return 0;
}

/* The node's local, kept from being dropped until unhold(); NULL: it has gone. */
static struct local *hold(struct worktree *tree, uint64_t id)
{
	pthread_rwlock_rdlock(&tree->lock);
	struct node *node = node_by_id(&tree->index, id);
	struct local *local = node != NULL ? node->local : NULL;

	if (local != NULL)
		atomic_fetch_add(&node->lookups, 1);
	pthread_rwlock_unlock(&tree->lock);
	return local;
}

static void unhold(struct worktree *tree, uint64_t id)
{
	worktree_forget(tree, id, 1);
}

/* What is said of one node lies in segments from `segment` on afterwards. */
static int renew(struct worktree *tree, struct local *local, uint64_t segment)
{
	int rc = 0;
	bool done = false;

	if (__atomic_load_n(&local->segment, __ATOMIC_RELAXED) >= segment)
		return 0;
	while (rc == 0 && !done) {
		rc = contents_sync(tree, local);
		if (rc < 0)
			return rc;
		pthread_rwlock_rdlock(&tree->lock);
		pthread_mutex_lock(&local->lock);
		/* Between the sync and here it may have got a data file that is not synced. */
		done = !local->changed || local->meta.contents != CONTENTS_FILE ||
		       local->marked || local->lost;
		if (done && __atomic_load_n(&local->segment, __ATOMIC_RELAXED) < segment)
			rc = rewrite_local(tree, local);
		pthread_mutex_unlock(&local->lock);
		pthread_rwlock_unlock(&tree->lock);
	}
	return rc;
}

static int renew_nodes(struct worktree *tree, const uint64_t *ids, size_t count, uint64_t segment)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < count; i++) {
		struct local *local = hold(tree, ids[i]);

		if (local == NULL)
			continue;
		rc = renew(tree, local, segment);
		unhold(tree, ids[i]);
		FAILPOINT("compact.node");
	}
	return rc;
}

/* --- names --- */

/* The overrides of one folder that lie in older segments. `lock` is held for reading. */
static int renew_entries(struct worktree *tree, const struct local *folder, uint64_t segment)
{
	struct entry *at = folder->overrides;
	int rc = 0;

	while (rc == 0 && at != NULL) {
		AUTO_BUF struct buf frame = BUF_INIT;
		struct entry *first = at;
		struct journal_place place;
		unsigned count = 0;

		rc = frame_begin(&frame);
		for (; rc == 0 && at != NULL && count < ENTRIES_PER_FRAME; at = at->next_local) {
			if (at->segment >= segment)
				continue;
			rc = names_put_locked(&frame, at, at->node);
			count++;
		}
		if (rc == 0 && count > 0)
			rc = frame_append(tree, NULL, &frame, JOURNAL_CLEANS, &place);
		for (; rc == 0 && count > 0 && first != at; first = first->next_local)
			if (first->segment < segment)
				first->segment = place.segment;
	}
	return rc;
}

static int renew_names(struct worktree *tree, const uint64_t *ids, size_t count, uint64_t segment)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < count; i++) {
		pthread_rwlock_rdlock(&tree->lock);
		struct node *node = node_by_id(&tree->index, ids[i]);

		if (node != NULL && node->local != NULL)
			rc = renew_entries(tree, node->local, segment);
		pthread_rwlock_unlock(&tree->lock);
	}
	return rc;
}

static int renew_rest(struct worktree *tree)
{
	AUTO_BUF struct buf frame = BUF_INIT;
	struct journal_place place;
	int rc = frame_begin(&frame);

	pthread_rwlock_rdlock(&tree->lock);
	uint64_t next_id = tree->index.next_id;

	pthread_rwlock_unlock(&tree->lock);
	if (rc == 0 && oid_is_set(&tree->overlay_base))
		rc = item_base(&frame, &tree->overlay_base);
	if (rc == 0)
		rc = item_of_id(&frame, ITEM_NEXT_ID, next_id);
	return rc == 0 ? frame_append(tree, NULL, &frame, JOURNAL_CLEANS, &place) : rc;
}

/* All that is true is in segments from `segment` on afterwards, and the others are gone.
 * compact_lock is held. */
static int compact_before(struct worktree *tree, uint64_t segment)
{
	uint64_t *ids = NULL;
	size_t count;
	int rc = collect_ids(tree, segment, &ids, &count);

	if (rc == 0)
		rc = renew_nodes(tree, ids, count, segment);
	if (rc == 0)
		rc = renew_names(tree, ids, count, segment);
	free(ids);
	FAILPOINT("compact.written");
	if (rc == 0)
		rc = journal_sync(tree->journal);
	if (rc == 0)
		rc = renew_rest(tree); /* its frame says that those before it are durable */
	if (rc == 0)
		rc = journal_sync(tree->journal);
	FAILPOINT("compact.synced");
	if (rc == 0)
		rc = journal_drop_before(tree->journal, segment);
	if (rc == 0)
		atomic_fetch_add(&tree->compactions, 1);
	return rc;
}

int worktree_compact(struct worktree *tree)
{
	uint64_t segment;
	int rc = overlay_writable(tree);

	if (rc < 0)
		return rc;
	WITH_LOCK(&tree->compact_lock);
	rc = journal_rotate(tree->journal, &segment);
	return rc == 0 ? compact_before(tree, segment) : rc;
}

int compact_oldest(struct worktree *tree)
{
	struct journal_stats stats;

	WITH_LOCK(&tree->compact_lock);
	journal_stats(tree->journal, &stats);
	return stats.oldest < stats.active ? compact_before(tree, stats.oldest + 1) : 0;
}
