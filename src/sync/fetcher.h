/*
 * The fetcher: brings what the worktree wants from the remote into the store.
 *
 * Misses are gathered for a moment and sent in batches; an oid is asked for
 * once however many wait for it; at most REMOTE_CONNECTIONS_MAX requests are
 * under way. Sizes come by themselves where the host tells them, else with
 * the contents.
 */
#ifndef GIT_FS_SYNC_FETCHER_H
#define GIT_FS_SYNC_FETCHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/threads.h"
#include "remote/remote.h"
#include "store/store.h"
#include "worktree/want.h"

struct fetcher;

/* Embedded by whoever waits; lives until fetcher_want has returned, and `done` was
 * called or fetcher_cancel returned true. `done` is called once, from any thread,
 * holding no lock of the fetcher: result 0: ask again, it is here; else why it
 * cannot be had. It must not block. Zeroed but for `done` before its first use;
 * `done` may register it once more. */
struct fetch_wait {
	void (*done)(struct fetch_wait *wait, int result);
	/* The fetcher's own; guarded by its lock. */
	struct fetch_link {
		struct fetch_link *next; /* of the same item */
		struct fetch_item *item; /* NULL: not linked */
		struct fetch_wait *wait;
	} links[2]; /* a size may come by itself or with the contents */
	struct fetch_wait *next_done;
	unsigned ticket; /* counts registrations */
	int result;
	bool active;
};

/* Both borrowed for its life. */
int fetcher_new(struct fetcher **out, struct remote *remote, struct store *store)
	__attribute__((warn_unused_result));
/* Starts its threads (after any fork). */
int fetcher_start(struct fetcher *fetcher) __attribute__((warn_unused_result));
/* Ends what is under way (its waiters get ERR_CANCELLED) and all threads. */
void fetcher_stop(struct fetcher *fetcher);
void fetcher_free(struct fetcher *fetcher); /* stopped or never started */

/* Registers the wait; `done` may be called before this returns. -ENOMEM, ERR_CANCELLED
 * once stopped: not registered then. */
int fetcher_want(struct fetcher *fetcher, const struct want *want, struct fetch_wait *wait)
	__attribute__((warn_unused_result));
/* Takes the wait back: true: `done` was not and will not be called; false: it
 * was, or is about to be. The fetch itself goes on. */
bool fetcher_cancel(struct fetcher *fetcher, struct fetch_wait *wait);

/* Brings a commit and its top folder, returning as soon as both are in the
 * store (at once where they are); on a host that cannot list without contents
 * the rest goes on arriving behind. Blocks; after fetcher_start(). */
int fetcher_first(struct fetcher *fetcher, const struct oid *commit, const struct cancel *cancel,
		  struct err *err) __attribute__((warn_unused_result));
/* Sees to it that all folders of the commit are in the store, and the sizes of
 * the files in its top folder, in the background; returns at once. */
int fetcher_prefetch(struct fetcher *fetcher, const struct oid *commit)
	__attribute__((warn_unused_result));

struct fetcher_stats {
	uint64_t batches;       /* fetch requests made */
	uint64_t objects;       /* received */
	uint64_t failed;        /* waits that ended in an error */
	unsigned waiting;       /* now */
	unsigned under_way;     /* requests now */
	bool trees_complete;    /* the background list has ended well */
	char last_error[256];   /* words of the last failure; "" if none */
	uint64_t last_error_at; /* wall_ns() */
	uint64_t last_good_at;  /* the same, when something was received */
};
void fetcher_stats(struct fetcher *fetcher, struct fetcher_stats *out);

#endif
