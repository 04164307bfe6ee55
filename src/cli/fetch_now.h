/*
 * Asking the worktree from a thread that may wait: what is missing is fetched, then it is
 * asked again. Handlers of the control socket do so; requests of the kernel never.
 */
#ifndef GIT_FS_CLI_FETCH_NOW_H
#define GIT_FS_CLI_FETCH_NOW_H

#include "base/err.h"
#include "base/threads.h"
#include "sync/fetcher.h"
#include "worktree/want.h"

struct fetch_now {
	struct fetcher *fetcher;     /* borrowed, as the next */
	const struct cancel *cancel; /* calls the waiting off */
	unsigned timeout_ms;         /* for each thing that is fetched */
};

/* Its answer (>= 0 or a negative errno), or ERR_AGAIN with *want filled. */
typedef int fetch_now_fn(void *arg, struct want *want);

/* The answer of `ask`, asked as often as something new is missing. Besides its own errors
 * ERR_TIMEOUT, ERR_CANCELLED, and why something could not be fetched. Blocks. */
int fetch_now(const struct fetch_now *now, fetch_now_fn *ask, void *arg)
	__attribute__((warn_unused_result));

#endif
