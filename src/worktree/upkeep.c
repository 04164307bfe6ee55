/*
 * What happens by itself: everything that was changed reaches the disk within five
 * seconds, data files that nobody needs go, the journal stays short.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "worktree/rewrite.h"

#define SYNC_EVERY_NS (2 * NS_PER_S) /* leaves the disk three seconds of the five promised */
/* The journal is compacted when it is longer than twice what it says, and this. */
#define JOURNAL_SLACK ((uint64_t)32 << 20)
/* So much longer, and who writes has to wait for it. With the spares and the segment that
 * is open it stays below the 64 MiB that are promised. */
#define JOURNAL_AHEAD ((uint64_t)8 << 20)
#define ENTRY_COST 64   /* bytes of the journal for a name */
#define NODE_COST 400   /* for a node without its contents */

/* Ids of nodes whose data files wait to be synced, or are being synced by another. */
static int collect_unsynced(struct worktree *tree, uint64_t **out, size_t *count_out)
{
	pthread_rwlock_rdlock(&tree->lock);
	uint64_t *ids = malloc((tree->locals_count + 1) * sizeof(*ids));
	size_t count = 0;

	for (struct local *at = tree->locals; ids != NULL && at != NULL; at = at->next) {
		WITH_LOCK(&at->lock);
		if (at->unsynced || at->syncing > 0) {
			atomic_fetch_add(&at->node->lookups, 1); /* it stays until we are done */
			ids[count++] = at->node->id;
		}
	}
	pthread_rwlock_unlock(&tree->lock);
	if (ids == NULL)
		return -ENOMEM;
	*out = ids;
	*count_out = count;
	return 0;
}

static int sync_files(struct worktree *tree)
{
	uint64_t *ids = NULL;
	size_t count = 0;
	int rc = 0;

	if (atomic_load(&tree->unsynced) == 0 && atomic_load(&tree->syncing) == 0)
		return 0;
	rc = collect_unsynced(tree, &ids, &count);
	for (size_t i = 0; i < count; i++) {
		pthread_rwlock_rdlock(&tree->lock);
		struct local *local = node_by_id(&tree->index, ids[i])->local;

		pthread_rwlock_unlock(&tree->lock);
		if (rc == 0)
			rc = contents_sync(tree, local);
		worktree_forget(tree, ids[i], 1);
	}
	free(ids);
	return rc;
}

int worktree_sync(struct worktree *tree)
{
	int rc = overlay_writable(tree);

	if (rc == 0)
		rc = sync_files(tree);
	if (rc < 0)
		return rc;
	rc = journal_sync(tree->journal);
	return rc < 0 ? overlay_fail(tree, rc) : 0;
}

static int remove_retired(struct worktree *tree)
{
	struct journal_stats stats;

	journal_stats(tree->journal, &stats);
	return datafiles_remove_retired(tree->files, stats.synced_lsn);
}

/* About how long a journal would be that says what is true and nothing else. */
static uint64_t live_bytes(struct worktree *tree)
{
	uint64_t bytes = 0;

	pthread_rwlock_rdlock(&tree->lock);
	bytes = tree->overrides_count * ENTRY_COST + tree->locals_count * NODE_COST;
	for (struct local *at = tree->locals; at != NULL; at = at->next) {
		WITH_LOCK(&at->lock);
		if (at->changed && at->meta.contents == CONTENTS_LOG)
			bytes += at->meta.size;
	}
	pthread_rwlock_unlock(&tree->lock);
	return bytes;
}

/* Compacts from the oldest segment on, at most once through all, until the journal is no
 * longer than `factor` / 4 of what it says, and `slack`. */
static int shorten(struct worktree *tree, unsigned factor, uint64_t slack)
{
	struct journal_stats stats;
	int rc = 0;

	journal_stats(tree->journal, &stats);
	uint64_t goal = stats.bytes > slack ? live_bytes(tree) / 4 * factor + slack : UINT64_MAX;

	for (uint64_t left = stats.segments; rc == 0 && left > 0 && stats.bytes > goal; left--) {
		rc = compact_oldest(tree);
		journal_stats(tree->journal, &stats);
	}
	return rc;
}

/* Where the journal runs ahead, no further than to `pace_at`. */
static void keep_pace(struct worktree *tree)
{
	uint64_t goal, bytes;

	if (journal_bytes(tree->journal) < atomic_load(&tree->pace_at))
		return;
	(void)!shorten(tree, 8, JOURNAL_SLACK); /* upkeep says why, if it cannot */
	goal = 2 * live_bytes(tree) + JOURNAL_SLACK;
	bytes = journal_bytes(tree->journal);
	atomic_store(&tree->pace_at, (bytes > goal ? bytes : goal) + JOURNAL_AHEAD);
}

int overlay_begin(struct worktree *tree)
{
	int rc = overlay_writable(tree);

	if (rc == 0)
		keep_pace(tree);
	return rc;
}

bool worktree_reclaim(struct worktree *tree)
{
	struct journal_stats before, after;
	uint64_t retired;

	if (!worktree_is_writable(tree))
		return false;
	retired = datafiles_retired(tree->files);
	journal_stats(tree->journal, &before);
	if (journal_sync(tree->journal) < 0 || remove_retired(tree) < 0)
		return false;
	if (shorten(tree, 4, 2 * before.bytes / before.segments) < 0)
		return false;
	(void)!journal_refill(tree->journal); /* `pressed` says whether it could */
	journal_stats(tree->journal, &after);
	return retired > 0 || after.segments < before.segments ||
	       (before.pressed && !after.pressed);
}

static void upkeep_round(struct worktree *tree)
{
	struct journal_stats stats;
	int rc = worktree_sync(tree);

	journal_stats(tree->journal, &stats);
	if (rc == 0)
		rc = remove_retired(tree);
	if (rc == 0)
		rc = stats.pressed ? shorten(tree, 5, 2 * stats.bytes / stats.segments) :
				     shorten(tree, 8, JOURNAL_SLACK);
	if (rc == 0)
		rc = journal_refill(tree->journal);
	if (rc < 0 && rc != -ENOSPC && rc != -EDQUOT)
		log_line(LOG_ERROR, "worktree", "event=upkeep_failed reason=\"%s\"", err_name(rc));
}

static void *upkeep_thread(void *arg)
{
	struct worktree *tree = arg;
	struct upkeep *upkeep = &tree->upkeep;
	bool stop = false;

	while (!stop && overlay_writable(tree) == 0) {
		uint64_t deadline = mono_ns() + SYNC_EVERY_NS;

		pthread_mutex_lock(&upkeep->lock);
		while (!upkeep->stop &&
		       cond_wait_until(&upkeep->wake, &upkeep->lock, deadline))
			;
		stop = upkeep->stop;
		pthread_mutex_unlock(&upkeep->lock);
		if (!stop)
			upkeep_round(tree);
	}
	return NULL;
}

int worktree_upkeep_start(struct worktree *tree)
{
	if (!worktree_is_writable(tree))
		return 0;
	int rc = thread_start(&tree->upkeep.thread, "upkeep", upkeep_thread, tree);

	tree->upkeep.started = rc == 0;
	return rc;
}
