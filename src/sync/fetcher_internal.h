/*
 * What the files of the fetcher share.
 */
#ifndef GIT_FS_SYNC_FETCHER_INTERNAL_H
#define GIT_FS_SYNC_FETCHER_INTERNAL_H

#include <pthread.h>

#include "base/map.h"
#include "sync/fetcher.h"

enum item_kind { ITEM_TREE, ITEM_SIZE, ITEM_BLOB, ITEM_KINDS };

/*
 * One thing asked for. States:
 *
 *   queued     in a queue, in the map
 *   under way  in the map; a worker has its oid in a batch
 *   gone       freed: it arrived, or could not be had; its waits were told
 */
struct fetch_item {
	struct map_node node; /* key: kind, oid */
	struct oid oid;
	enum item_kind kind;
	bool under_way;
	bool urgent;              /* somebody waits for it */
	struct fetch_link *links; /* those who wait */
	struct fetch_item *prev;  /* in the queue */
	struct fetch_item *next;
	uint64_t queued_ns;
};

struct item_queue {
	struct fetch_item *first;
	struct fetch_item *last;
};

/* Items of one kind that are not under way: those that somebody waits for, and
 * those that only come along. */
struct kind_queue {
	struct item_queue urgent;
	struct item_queue along;
	size_t count;
};

/* A listing that was asked for: at most one at a time. One of everything that was
 * asked for while another was under way waits in `all`. */
struct list_job {
	struct oid all; /* unset: none waits */
	struct oid commit;
	unsigned depth; /* 1, or REMOTE_DEPTH_ALL */
	enum { LIST_NONE, LIST_WANTED, LIST_UNDER_WAY } state;
	int result; /* of the last one */
	char words[ERR_MSG_MAX];
};

#define FETCHER_THREADS REMOTE_CONNECTIONS_MAX

struct fetcher {
	struct remote *remote;
	struct store *store;
	struct cancel cancel; /* set by fetcher_stop */
	pthread_t threads[FETCHER_THREADS];
	unsigned threads_count;

	pthread_mutex_t lock;
	/* All below guarded by lock. Nothing that locks is called while it is held but
	 * remote_features(). */
	pthread_cond_t work;    /* a queue or the list job changed, or stop */
	pthread_cond_t arrived; /* objects became visible, or the list job ended */
	struct map items;
	struct kind_queue queues[ITEM_KINDS];
	struct list_job list;
	struct oid warm; /* a commit, the sizes of whose top folder are to be asked for; or unset */
	bool stopped;
	struct fetcher_stats stats;
};

/* A chain of waits (by next_done) to be told after the lock is given back. */
struct done_chain {
	struct fetch_wait *first;
};
void done_chain_run(struct done_chain *chain);

/* fetcher.c; the caller holds the lock. */
struct fetch_item *item_find_locked(struct fetcher *fetcher, enum item_kind kind,
				    const struct oid *oid);
/* Finds or queues an item. NULL: no memory. */
struct fetch_item *item_get_locked(struct fetcher *fetcher, enum item_kind kind,
				   const struct oid *oid);
/* Takes it out of its queue; it is under way then. */
void item_take_locked(struct fetcher *fetcher, struct fetch_item *item);
/* Ends it: its waits go on the chain with `result`, it is freed. */
void item_done_locked(struct fetcher *fetcher, struct fetch_item *item, int result,
		      struct done_chain *chain);
/* Hands the waits of `from` to `to`, and ends `from`. */
void item_move_waits_locked(struct fetcher *fetcher, struct fetch_item *from,
			    struct fetch_item *to);

/* fetcher.c: the top folder of a commit that is in the store. ERR_NOT_FOUND, ERR_CORRUPT. */
int fetcher_top_tree(struct fetcher *fetcher, const struct oid *oid, struct oid *tree_out)
	__attribute__((warn_unused_result));

/* fetch_work.c: the body of each thread. */
void *fetcher_thread(void *arg);

#endif
