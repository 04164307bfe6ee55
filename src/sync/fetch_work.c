/*
 * The fetcher's threads: from queued items to requests, from replies to the
 * store.
 *
 * A worker takes the kind of item that has waited longest, after a moment in
 * which more may gather (GATHER_NS; longer while other requests are under way,
 * as they keep the wire busy anyway), and asks for a batch of it. A batch
 * holds oids, not items: an item may end early, when its object becomes
 * visible by another way.
 *
 * While a host that cannot list without contents is sending everything, no
 * tree is asked for singly: it would bring its contents once more.
 */
#include <stdlib.h>
#include <string.h>

#include "git/tree.h"
#include "sync/fetcher_internal.h"

#define GATHER_NS (1 * NS_PER_MS)
#define GATHER_BUSY_NS (3 * NS_PER_MS)
#define SIZES_BATCH_MAX 4096

/* --- arriving objects --- */

static void on_visible(void *arg, const struct oid *oids, size_t count)
{
	struct fetcher *fetcher = arg;
	struct done_chain chain = { NULL };

	pthread_mutex_lock(&fetcher->lock);
	fetcher->stats.objects += count;
	fetcher->stats.last_good_at = wall_ns();
	for (size_t i = 0; i < count; i++) {
		for (int kind = 0; kind < ITEM_KINDS; kind++) {
			struct fetch_item *item =
				item_find_locked(fetcher, (enum item_kind)kind, &oids[i]);

			if (item != NULL)
				item_done_locked(fetcher, item, 0, &chain);
		}
	}
	pthread_cond_broadcast(&fetcher->arrived);
	pthread_mutex_unlock(&fetcher->lock);
	done_chain_run(&chain);
}

static void note_error_locked(struct fetcher *fetcher, const struct err *err)
{
	fetcher->stats.last_error_at = wall_ns();
	memcpy(fetcher->stats.last_error, err->msg, sizeof(fetcher->stats.last_error) - 1);
}

/* --- batches --- */

struct batch {
	enum item_kind kind;
	struct oid *oids; /* owned */
	size_t count;
};

/* Ends the items of a batch that are still asked for; those that arrived were
 * ended when they did. */
static void batch_done(struct fetcher *fetcher, const struct batch *batch, int result,
		       const struct err *err)
{
	struct done_chain chain = { NULL };
	bool any = false;

	pthread_mutex_lock(&fetcher->lock);
	for (size_t i = 0; i < batch->count; i++) {
		struct fetch_item *item = item_find_locked(fetcher, batch->kind, &batch->oids[i]);

		/* A failure is that of the request that was under way; a success serves all. */
		if (item == NULL || (result < 0 && !item->under_way))
			continue;
		item_done_locked(fetcher, item, result, &chain);
		any = true;
	}
	if (result == 0 && batch->count > 0)
		fetcher->stats.last_good_at = wall_ns();
	else if (any && result < 0 && result != ERR_CANCELLED)
		note_error_locked(fetcher, err);
	pthread_mutex_unlock(&fetcher->lock);
	done_chain_run(&chain);
}

static void fetch_objects(struct fetcher *fetcher, const struct batch *batch)
{
	struct err err = ERR_INIT;
	struct store_writer *writer;
	int rc = store_writer_new(&writer, fetcher->store, on_visible, fetcher);

	if (rc < 0) {
		err_set(&err, rc, "cannot write to the store: %s", err_name(rc));
		batch_done(fetcher, batch, rc, &err);
		return;
	}
	rc = remote_fetch(fetcher->remote, batch->oids, batch->count,
			  store_writer_sink(writer), NULL, &fetcher->cancel, &err);

	/* What came before a failure is whole and verified: keep it. */
	int flushed = store_writer_flush(writer, rc < 0 ? NULL : &err);

	store_writer_free(writer);
	if (rc == 0)
		rc = flushed;
	if (rc == 0) /* for items that are not visible now: they were not sent */
		rc = err_set(&err, ERR_NOT_FOUND,
			     "the remote does not have an object that it named");
	batch_done(fetcher, batch, rc, &err);
}

/* The host does not tell sizes: whoever waits for one waits for the contents. */
static void sizes_become_blobs(struct fetcher *fetcher, const struct batch *batch)
{
	struct done_chain chain = { NULL };

	pthread_mutex_lock(&fetcher->lock);
	for (size_t i = 0; i < batch->count; i++) {
		struct fetch_item *item = item_find_locked(fetcher, ITEM_SIZE, &batch->oids[i]);

		if (item == NULL)
			continue;
		struct fetch_item *blob = item_get_locked(fetcher, ITEM_BLOB, &batch->oids[i]);

		if (blob != NULL)
			item_move_waits_locked(fetcher, item, blob);
		else
			item_done_locked(fetcher, item, -ENOMEM, &chain);
	}
	pthread_cond_broadcast(&fetcher->work);
	pthread_mutex_unlock(&fetcher->lock);
	done_chain_run(&chain);
}

/* Keeps the sizes that were told (moving them to the front of both arrays) and ends
 * their items. The result is that of the others. */
static int sizes_keep(struct fetcher *fetcher, struct batch *batch, uint64_t *sizes,
		      struct err *err)
{
	struct batch told = { .kind = ITEM_SIZE, .oids = batch->oids };

	for (size_t i = 0; i < batch->count; i++) {
		if (sizes[i] == SIZE_NOT_TOLD)
			continue;
		struct oid swap = batch->oids[told.count];

		sizes[told.count] = sizes[i];
		batch->oids[told.count++] = batch->oids[i];
		batch->oids[i] = swap;
	}
	int rc = store_put_sizes(fetcher->store, told.oids, sizes, told.count);

	if (rc < 0)
		return err_set(err, rc, "cannot keep sizes in the store: %s", err_name(rc));
	batch_done(fetcher, &told, 0, err);
	return err_set(err, ERR_NOT_FOUND, "the remote told no size of an object that it named");
}

static void fetch_sizes(struct fetcher *fetcher, struct batch *batch)
{
	struct err err = ERR_INIT;
	uint64_t *sizes = calloc(batch->count, sizeof(*sizes));
	int rc = sizes == NULL ? err_set(&err, -ENOMEM, "out of memory")
			       : remote_sizes(fetcher->remote, batch->oids, batch->count, sizes,
					      &fetcher->cancel, &err);

	if (rc == ERR_UNSUPPORTED) {
		sizes_become_blobs(fetcher, batch);
	} else {
		if (rc == 0)
			rc = sizes_keep(fetcher, batch, sizes, &err);
		batch_done(fetcher, batch, rc, &err);
	}
	free(sizes);
}

/* --- the background list --- */

/* Depth-first over the trees that are here, with a stack of our own; false at the
 * first one that is not. */
static bool trees_are_here(struct fetcher *fetcher, const struct oid *commit_oid)
{
	AUTO_BUF struct buf stack = BUF_INIT; /* of struct oid */
	AUTO_BUF struct buf data = BUF_INIT_MAX(OBJECT_MEMORY_MAX);
	enum hash_algo algo = (enum hash_algo)commit_oid->algo;
	enum object_type type;
	struct oid top;
	struct tree_iter iter;
	struct tree_entry entry;

	if (fetcher_top_tree(fetcher, commit_oid, &top) < 0 ||
	    buf_append(&stack, &top, sizeof(top)) < 0)
		return false;
	while (stack.len > 0 && !cancel_is_set(&fetcher->cancel)) {
		struct oid oid;

		stack.len -= sizeof(oid);
		memcpy(&oid, stack.data + stack.len, sizeof(oid));
		buf_clear(&data);
		if (store_read(fetcher->store, &oid, &type, &data) < 0 || type != OBJECT_TREE)
			return false;
		tree_iter_init(&iter, data.data, data.len, algo);
		while (tree_iter_next(&iter, &entry) == 1)
			if (entry.mode == TREE_MODE_DIR &&
			    buf_append(&stack, &entry.oid, sizeof(entry.oid)) < 0)
				return false;
	}
	return stack.len == 0;
}

static int list_run(struct fetcher *fetcher, const struct remote_list *what, struct err *err)
{
	struct store_writer *writer;

	if (what->depth == REMOTE_DEPTH_ALL && trees_are_here(fetcher, &what->root))
		return 0;
	int rc = store_writer_new(&writer, fetcher->store, on_visible, fetcher);

	if (rc < 0)
		return err_set(err, rc, "cannot write to the store: %s", err_name(rc));
	rc = remote_list(fetcher->remote, what, store_writer_sink(writer), &fetcher->cancel, err);

	int flushed = store_writer_flush(writer, rc < 0 ? NULL : err);

	store_writer_free(writer);
	return rc < 0 ? rc : flushed;
}

static void list_do_locked(struct fetcher *fetcher)
{
	struct list_job *job = &fetcher->list;
	struct err err = ERR_INIT;
	struct remote_list what = {
		.root = job->commit, .path = "", .commit = job->commit, .depth = job->depth
	};

	job->state = LIST_UNDER_WAY;
	fetcher->stats.under_way++;
	pthread_mutex_unlock(&fetcher->lock);
	int rc = list_run(fetcher, &what, &err);
	bool everything = what.depth == REMOTE_DEPTH_ALL ||
			  (remote_features(fetcher->remote) & REMOTE_LISTS_CHEAPLY) == 0;

	pthread_mutex_lock(&fetcher->lock);
	fetcher->stats.under_way--;
	fetcher->stats.batches++;
	job->state = LIST_NONE;
	job->result = rc;
	memcpy(job->words, err.msg, sizeof(job->words));
	if (rc < 0 && rc != ERR_CANCELLED)
		note_error_locked(fetcher, &err);
	if (rc == 0 && everything)
		fetcher->stats.trees_complete = true;
	pthread_cond_broadcast(&fetcher->arrived);
	pthread_cond_broadcast(&fetcher->work); /* trees may have waited for it */
}

/* Makes a list of everything that waits the next job; false: there is none, or the
 * list that has just ended brought everything already. */
static bool list_all_locked(struct fetcher *fetcher)
{
	struct list_job *job = &fetcher->list;

	if (job->state != LIST_NONE || !oid_is_set(&job->all))
		return false;
	job->commit = job->all;
	job->depth = REMOTE_DEPTH_ALL;
	memset(&job->all, 0, sizeof(job->all));
	return !fetcher->stats.trees_complete;
}

/* --- the sizes of the top folder --- */

/* The files of the commit's top folder whose sizes are not known. */
static int top_files(struct fetcher *fetcher, const struct oid *commit_oid, struct buf *oids)
{
	AUTO_BUF struct buf tree = BUF_INIT_MAX(OBJECT_MEMORY_MAX);
	enum hash_algo algo = (enum hash_algo)commit_oid->algo;
	enum object_type type;
	struct oid top;
	struct tree_iter iter;
	struct tree_entry entry;
	struct store_info info;
	int rc = fetcher_top_tree(fetcher, commit_oid, &top);

	if (rc == 0)
		rc = store_read(fetcher->store, &top, &type, &tree);
	if (rc < 0)
		return rc;
	tree_iter_init(&iter, tree.data, tree.len, algo);
	while (rc >= 0 && tree_iter_next(&iter, &entry) == 1)
		if (entry.mode != TREE_MODE_DIR && entry.mode != TREE_MODE_GITLINK &&
		    store_info(fetcher->store, &entry.oid, &info) < 0)
			rc = buf_append(oids, &entry.oid, sizeof(entry.oid));
	return rc;
}

/* The first thing that people do in a new mount is `ls`. Asking early also makes
 * known what the server offers, on a second connection, which is then open. What
 * fails here fails again when somebody needs it, and is told then. */
static void warm_run(struct fetcher *fetcher, const struct oid *commit)
{
	AUTO_BUF struct buf oids = BUF_INIT;

	if (top_files(fetcher, commit, &oids) < 0)
		return;
	size_t count = oids.len / sizeof(struct oid);
	const struct oid *first = (const void *)oids.data;
	uint64_t *sizes = calloc(count + 1, sizeof(*sizes));

	if (sizes != NULL && count > 0 && count <= SIZES_BATCH_MAX &&
	    remote_sizes(fetcher->remote, first, count, sizes, &fetcher->cancel, NULL) == 0) {
		struct batch batch = { .kind = ITEM_SIZE,
				       .oids = (struct oid *)(void *)oids.data,
				       .count = count };

		sizes_keep(fetcher, &batch, sizes, NULL);
	}
	free(sizes);
}

static void warm_do_locked(struct fetcher *fetcher)
{
	struct oid commit = fetcher->warm;

	memset(&fetcher->warm, 0, sizeof(fetcher->warm));
	fetcher->stats.under_way++;
	pthread_mutex_unlock(&fetcher->lock);
	warm_run(fetcher, &commit);
	pthread_mutex_lock(&fetcher->lock);
	fetcher->stats.under_way--;
}

/* --- the loop --- */

static uint64_t oldest_ns(const struct kind_queue *queue)
{
	uint64_t oldest = UINT64_MAX;

	if (queue->urgent.first != NULL)
		oldest = queue->urgent.first->queued_ns;
	if (queue->along.first != NULL && queue->along.first->queued_ns < oldest)
		oldest = queue->along.first->queued_ns;
	return oldest;
}

/* The kind to ask for next; ITEM_KINDS: none. */
static enum item_kind kind_choose_locked(const struct fetcher *fetcher, bool cheap_lists)
{
	enum item_kind best = ITEM_KINDS;
	uint64_t best_ns = UINT64_MAX;

	for (int kind = 0; kind < ITEM_KINDS; kind++) {
		if (kind == ITEM_TREE && !cheap_lists && fetcher->list.state == LIST_UNDER_WAY)
			continue;
		uint64_t ns = oldest_ns(&fetcher->queues[kind]);

		if (ns < best_ns) {
			best_ns = ns;
			best = (enum item_kind)kind;
		}
	}
	return best;
}

static size_t batch_max(enum item_kind kind)
{
	return kind == ITEM_SIZE ? SIZES_BATCH_MAX : REMOTE_BATCH_MAX;
}

static int batch_take_locked(struct fetcher *fetcher, struct batch *batch)
{
	struct kind_queue *queue = &fetcher->queues[batch->kind];
	size_t max = batch_max(batch->kind);
	size_t count = queue->count < max ? queue->count : max;

	batch->oids = calloc(count, sizeof(*batch->oids));
	if (batch->oids == NULL)
		return -ENOMEM;
	while (batch->count < count) {
		struct fetch_item *item =
			queue->urgent.first != NULL ? queue->urgent.first : queue->along.first;

		batch->oids[batch->count++] = item->oid;
		item_take_locked(fetcher, item);
	}
	return 0;
}

static void batch_run(struct fetcher *fetcher, struct batch *batch)
{
	if (batch->kind == ITEM_SIZE)
		fetch_sizes(fetcher, batch);
	else
		fetch_objects(fetcher, batch);
	free(batch->oids);
}

/* Asks for a batch of this kind, or waits until it is time to. */
static void kind_do_locked(struct fetcher *fetcher, enum item_kind kind)
{
	struct batch batch = { .kind = kind };
	uint64_t gather = fetcher->stats.under_way > 0 ? GATHER_BUSY_NS : GATHER_NS;
	uint64_t due = oldest_ns(&fetcher->queues[kind]) + gather;

	if (fetcher->queues[kind].count < batch_max(kind) && mono_ns() < due) {
		cond_wait_until(&fetcher->work, &fetcher->lock, due);
		return;
	}
	if (batch_take_locked(fetcher, &batch) < 0) {
		/* Memory may come back; the items stay queued. */
		cond_wait_until(&fetcher->work, &fetcher->lock, mono_ns() + 100 * NS_PER_MS);
		return;
	}
	fetcher->stats.under_way++;
	fetcher->stats.batches++;
	pthread_mutex_unlock(&fetcher->lock);
	batch_run(fetcher, &batch);
	pthread_mutex_lock(&fetcher->lock);
	fetcher->stats.under_way--;
}

void *fetcher_thread(void *arg)
{
	struct fetcher *fetcher = arg;

	pthread_mutex_lock(&fetcher->lock);
	while (!fetcher->stopped) {
		bool cheap = (remote_features(fetcher->remote) & REMOTE_LISTS_CHEAPLY) != 0;
		enum item_kind kind = kind_choose_locked(fetcher, cheap);

		if (fetcher->list.state == LIST_WANTED || list_all_locked(fetcher))
			list_do_locked(fetcher);
		else if (oid_is_set(&fetcher->warm))
			warm_do_locked(fetcher);
		else if (kind != ITEM_KINDS)
			kind_do_locked(fetcher, kind);
		else
			pthread_cond_wait(&fetcher->work, &fetcher->lock);
	}
	pthread_mutex_unlock(&fetcher->lock);
	return NULL;
}
