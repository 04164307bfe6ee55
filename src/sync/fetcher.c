/*
 * Wants, items and waits.
 *
 * A wait hangs on one item, or on two of which either will do (the size of a
 * file, or its contents). An item is asked for once however many waits hang on
 * it, and ends when a worker reports it, or when its object becomes visible in
 * the store by whatever way. Waits are told after the lock is given back.
 *
 * Invariants, under the lock:
 *   - an item is in the map from its making to its end, and in exactly one
 *     queue unless it is under way;
 *   - an active wait has at least one link on an item; one that is not has none;
 *   - an item with links is urgent.
 */
#include "sync/fetcher.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "git/commit.h"
#include "sync/fetcher_internal.h"

/* --- queues --- */

static struct item_queue *queue_of(struct fetcher *fetcher, const struct fetch_item *item)
{
	struct kind_queue *queue = &fetcher->queues[item->kind];

	return item->urgent ? &queue->urgent : &queue->along;
}

static void queue_push_locked(struct fetcher *fetcher, struct fetch_item *item)
{
	struct item_queue *queue = queue_of(fetcher, item);

	item->prev = queue->last;
	item->next = NULL;
	if (queue->last != NULL)
		queue->last->next = item;
	else
		queue->first = item;
	queue->last = item;
	fetcher->queues[item->kind].count++;
}

static void queue_remove_locked(struct fetcher *fetcher, struct fetch_item *item)
{
	struct item_queue *queue = queue_of(fetcher, item);

	if (item->prev != NULL)
		item->prev->next = item->next;
	else
		queue->first = item->next;
	if (item->next != NULL)
		item->next->prev = item->prev;
	else
		queue->last = item->prev;
	item->prev = NULL;
	item->next = NULL;
	fetcher->queues[item->kind].count--;
}

/* --- items --- */

static uint64_t item_hash(enum item_kind kind, const struct oid *oid)
{
	return oid_hash(oid) + (uint64_t)kind;
}

struct fetch_item *item_find_locked(struct fetcher *fetcher, enum item_kind kind,
				    const struct oid *oid)
{
	for (struct map_node *at = map_find(&fetcher->items, item_hash(kind, oid)); at != NULL;
	     at = map_find_next(at)) {
		struct fetch_item *item = MAP_ENTRY(at, struct fetch_item, node);

		if (item->kind == kind && oid_equal(&item->oid, oid))
			return item;
	}
	return NULL;
}

struct fetch_item *item_get_locked(struct fetcher *fetcher, enum item_kind kind,
				   const struct oid *oid)
{
	struct fetch_item *item = item_find_locked(fetcher, kind, oid);

	if (item != NULL)
		return item;
	item = calloc(1, sizeof(*item));
	if (item == NULL)
		return NULL;
	item->oid = *oid;
	item->kind = kind;
	item->queued_ns = mono_ns();
	if (map_insert(&fetcher->items, &item->node, item_hash(kind, oid)) < 0) {
		free(item);
		return NULL;
	}
	queue_push_locked(fetcher, item);
	return item;
}

void item_take_locked(struct fetcher *fetcher, struct fetch_item *item)
{
	queue_remove_locked(fetcher, item);
	item->under_way = true;
}

static void item_free_locked(struct fetcher *fetcher, struct fetch_item *item)
{
	assert(item->links == NULL);
	if (!item->under_way)
		queue_remove_locked(fetcher, item);
	map_remove(&fetcher->items, &item->node);
	free(item);
}

/* --- waits --- */

static void link_add_locked(struct fetcher *fetcher, struct fetch_link *link,
			    struct fetch_item *item)
{
	link->item = item;
	link->next = item->links;
	item->links = link;
	if (item->urgent)
		return;
	if (!item->under_way)
		queue_remove_locked(fetcher, item);
	item->urgent = true;
	if (!item->under_way)
		queue_push_locked(fetcher, item);
}

static void link_remove_locked(struct fetch_link *link)
{
	if (link->item == NULL)
		return;
	for (struct fetch_link **at = &link->item->links; *at != NULL; at = &(*at)->next) {
		if (*at == link) {
			*at = link->next;
			break;
		}
	}
	link->item = NULL;
}

static struct fetch_link *link_other(struct fetch_link *link)
{
	struct fetch_link *links = link->wait->links;

	return &links[link == &links[0] ? 1 : 0];
}

static void wait_end_locked(struct fetcher *fetcher, struct fetch_wait *wait)
{
	link_remove_locked(&wait->links[0]);
	link_remove_locked(&wait->links[1]);
	wait->active = false;
	fetcher->stats.waiting--;
}

static void wait_done_locked(struct fetcher *fetcher, struct fetch_wait *wait, int result,
			     struct done_chain *chain)
{
	wait_end_locked(fetcher, wait);
	wait->result = result;
	wait->next_done = chain->first;
	chain->first = wait;
	if (result < 0)
		fetcher->stats.failed++;
}

void item_done_locked(struct fetcher *fetcher, struct fetch_item *item, int result,
		      struct done_chain *chain)
{
	while (item->links != NULL) {
		struct fetch_link *link = item->links;
		struct fetch_wait *wait = link->wait;
		struct fetch_link *other = link_other(link);

		link_remove_locked(link);
		if (result == 0 || other->item == NULL)
			wait_done_locked(fetcher, wait, result, chain);
	}
	item_free_locked(fetcher, item);
}

void item_move_waits_locked(struct fetcher *fetcher, struct fetch_item *from,
			    struct fetch_item *to)
{
	while (from->links != NULL) {
		struct fetch_link *link = from->links;
		struct fetch_link *other = link_other(link);

		link_remove_locked(link);
		if (other->item != to)
			link_add_locked(fetcher, link, to);
	}
	item_free_locked(fetcher, from);
}

void done_chain_run(struct done_chain *chain)
{
	while (chain->first != NULL) {
		struct fetch_wait *wait = chain->first;

		chain->first = wait->next_done;
		wait->done(wait, wait->result); /* may free it */
	}
}

/* --- wants --- */

/* Which item a want's oid i becomes. */
static enum item_kind want_item_kind(const struct want *want, bool tells_sizes)
{
	if (want->kind == WANT_TREE)
		return ITEM_TREE;
	return want->kind == WANT_SIZES && tells_sizes ? ITEM_SIZE : ITEM_BLOB;
}

static int want_queue_locked(struct fetcher *fetcher, const struct want *want,
			     struct fetch_wait *wait, enum item_kind kind)
{
	struct fetch_item *first = item_get_locked(fetcher, kind, &want->oids[0]);

	if (first == NULL)
		return -ENOMEM;
	link_add_locked(fetcher, &wait->links[0], first);
	if (want->likely && kind == ITEM_SIZE) {
		struct fetch_item *blob = item_get_locked(fetcher, ITEM_BLOB, &want->oids[0]);

		if (blob != NULL)
			link_add_locked(fetcher, &wait->links[1], blob);
	}
	for (size_t i = 1; i < want->count; i++)
		if (item_get_locked(fetcher, kind, &want->oids[i]) == NULL)
			break; /* what only comes along may stay away */
	wait->active = true;
	fetcher->stats.waiting++;
	return 0;
}

/* Whether what the wait is for came before the wait was registered. */
static bool already_here(struct fetcher *fetcher, const struct want *want)
{
	struct store_info info;

	return store_info(fetcher->store, &want->oids[0], &info) == 0 &&
	       (info.present || want->kind == WANT_SIZES);
}

int fetcher_want(struct fetcher *fetcher, const struct want *want, struct fetch_wait *wait)
{
	struct done_chain chain = { NULL };
	bool tells_sizes = (remote_features(fetcher->remote) & REMOTE_TELLS_SIZES) != 0;
	int rc;

	assert(want->kind != WANT_NOTHING && want->count > 0);
	pthread_mutex_lock(&fetcher->lock);
	unsigned ticket = ++wait->ticket;

	for (int i = 0; i < 2; i++)
		wait->links[i] = (struct fetch_link){ .wait = wait };
	if (fetcher->stopped)
		rc = ERR_CANCELLED;
	else
		rc = want_queue_locked(fetcher, want, wait, want_item_kind(want, tells_sizes));
	if (rc == 0)
		pthread_cond_broadcast(&fetcher->work);
	pthread_mutex_unlock(&fetcher->lock);
	if (rc < 0 || !already_here(fetcher, want))
		return rc;

	pthread_mutex_lock(&fetcher->lock);
	if (wait->active && wait->ticket == ticket)
		wait_done_locked(fetcher, wait, 0, &chain);
	pthread_mutex_unlock(&fetcher->lock);
	done_chain_run(&chain);
	return 0;
}

bool fetcher_cancel(struct fetcher *fetcher, struct fetch_wait *wait)
{
	WITH_LOCK(&fetcher->lock);
	if (!wait->active)
		return false;
	wait_end_locked(fetcher, wait);
	return true;
}

/* --- listings --- */

int fetcher_top_tree(struct fetcher *fetcher, const struct oid *oid, struct oid *tree_out)
{
	AUTO_BUF struct buf data = BUF_INIT_MAX(OBJECT_MEMORY_MAX);
	enum object_type type;
	struct commit commit;
	int rc = store_read(fetcher->store, oid, &type, &data);

	if (rc == 0 && type != OBJECT_COMMIT)
		rc = ERR_CORRUPT;
	if (rc == 0)
		rc = commit_parse(&commit, data.data, data.len, (enum hash_algo)oid->algo);
	if (rc == 0)
		*tree_out = commit.tree;
	return rc;
}

/* Whether the commit and its top folder are in the store. */
static bool first_is_here(struct fetcher *fetcher, const struct oid *oid)
{
	struct store_info info;
	struct oid tree;

	return fetcher_top_tree(fetcher, oid, &tree) == 0 &&
	       store_info(fetcher->store, &tree, &info) == 0 && info.present;
}

static void list_start_locked(struct fetcher *fetcher, const struct oid *commit, unsigned depth)
{
	fetcher->list.commit = *commit;
	fetcher->list.depth = depth;
	fetcher->list.state = LIST_WANTED;
	pthread_cond_broadcast(&fetcher->work);
}

/* Waits until the list job has ended or brought something new: false: ended. */
static bool list_wait(struct fetcher *fetcher, const struct cancel *cancel)
{
	WITH_LOCK(&fetcher->lock);
	if (fetcher->list.state == LIST_NONE || cancel_is_set(cancel))
		return false;
	/* `cancel` has no way to signal a condition variable, so look at it now and then. */
	cond_wait_until(&fetcher->arrived, &fetcher->lock, mono_ns() + 100 * NS_PER_MS);
	return true;
}

int fetcher_first(struct fetcher *fetcher, const struct oid *commit, const struct cancel *cancel,
		  struct err *err)
{
	char hex[OID_HEX_MAX + 1];

	if (first_is_here(fetcher, commit))
		return 0;
	pthread_mutex_lock(&fetcher->lock);
	list_start_locked(fetcher, commit, 1);
	pthread_mutex_unlock(&fetcher->lock);
	while (list_wait(fetcher, cancel))
		if (first_is_here(fetcher, commit))
			return 0;
	if (cancel_is_set(cancel))
		return err_set(err, ERR_CANCELLED, "interrupted");
	if (first_is_here(fetcher, commit))
		return 0;
	WITH_LOCK(&fetcher->lock);
	if (fetcher->list.result < 0)
		return err_set(err, fetcher->list.result, "%s", fetcher->list.words);
	return err_set(err, ERR_NOT_FOUND, "the remote did not send the commit %s and its tree",
		       oid_to_hex(commit, hex));
}

int fetcher_prefetch(struct fetcher *fetcher, const struct oid *commit)
{
	WITH_LOCK(&fetcher->lock);
	if (fetcher->stopped)
		return ERR_CANCELLED;
	fetcher->list.all = *commit;
	fetcher->warm = *commit;
	pthread_cond_broadcast(&fetcher->work);
	return 0;
}

/* --- life --- */

int fetcher_new(struct fetcher **out, struct remote *remote, struct store *store)
{
	struct fetcher *fetcher = calloc(1, sizeof(*fetcher));

	if (fetcher == NULL)
		return -ENOMEM;
	fetcher->remote = remote;
	fetcher->store = store;
	int rc = cancel_init(&fetcher->cancel);

	if (rc < 0) {
		free(fetcher);
		return rc;
	}
	pthread_mutex_init(&fetcher->lock, NULL);
	rc = cond_init(&fetcher->work);
	if (rc == 0) {
		rc = cond_init(&fetcher->arrived);
		if (rc < 0)
			pthread_cond_destroy(&fetcher->work);
	}
	if (rc < 0) {
		pthread_mutex_destroy(&fetcher->lock);
		cancel_release(&fetcher->cancel);
		free(fetcher);
		return rc;
	}
	*out = fetcher;
	return 0;
}

int fetcher_start(struct fetcher *fetcher)
{
	while (fetcher->threads_count < FETCHER_THREADS) {
		int rc = thread_start(&fetcher->threads[fetcher->threads_count], "fetch",
				      fetcher_thread, fetcher);

		if (rc < 0)
			return rc;
		fetcher->threads_count++;
	}
	return 0;
}

void fetcher_stop(struct fetcher *fetcher)
{
	struct done_chain chain = { NULL };

	pthread_mutex_lock(&fetcher->lock);
	fetcher->stopped = true;
	pthread_cond_broadcast(&fetcher->work);
	pthread_cond_broadcast(&fetcher->arrived);
	pthread_mutex_unlock(&fetcher->lock);
	cancel_set(&fetcher->cancel);
	for (unsigned i = 0; i < fetcher->threads_count; i++)
		pthread_join(fetcher->threads[i], NULL);
	fetcher->threads_count = 0;

	pthread_mutex_lock(&fetcher->lock);
	for (struct map_node *at; (at = map_first(&fetcher->items)) != NULL;)
		item_done_locked(fetcher, MAP_ENTRY(at, struct fetch_item, node), ERR_CANCELLED,
				 &chain);
	pthread_mutex_unlock(&fetcher->lock);
	done_chain_run(&chain);
}

void fetcher_free(struct fetcher *fetcher)
{
	if (fetcher == NULL)
		return;
	fetcher_stop(fetcher);
	map_release(&fetcher->items);
	pthread_cond_destroy(&fetcher->arrived);
	pthread_cond_destroy(&fetcher->work);
	pthread_mutex_destroy(&fetcher->lock);
	cancel_release(&fetcher->cancel);
	free(fetcher);
}

void fetcher_stats(struct fetcher *fetcher, struct fetcher_stats *out)
{
	WITH_LOCK(&fetcher->lock);
	*out = fetcher->stats;
}
