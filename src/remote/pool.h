/*
 * The connections of a remote: a caller borrows one, opens one, or waits.
 */
#ifndef GIT_FS_REMOTE_POOL_H
#define GIT_FS_REMOTE_POOL_H

#include <pthread.h>
#include <stddef.h>

#include "remote/remote.h"
#include "remote/transport.h"

struct pool {
	struct endpoint *endpoint;
	struct traffic *traffic;
	int slots_fd; /* an eventfd semaphore: connections that may still be taken */
	pthread_mutex_t lock; /* innermost: nothing is called under it */
	struct transport *idle[REMOTE_CONNECTIONS_MAX]; /* guarded by lock; newest last */
	size_t idle_count;                              /* guarded by lock */
};

/* Takes over `endpoint` on success. `connections` is 1..REMOTE_CONNECTIONS_MAX. */
int pool_init(struct pool *pool, struct endpoint *endpoint, struct traffic *traffic,
	      unsigned connections, struct err *err) __attribute__((warn_unused_result));
/* Every transport was given back. */
void pool_release(struct pool *pool);

/* An idle connection (the one used last), a new one, or, with all in use, the
 * first that is given back: waits as long as that takes, for its user has
 * deadlines of his own. ERR_CANCELLED, and what opening one brings. */
int pool_take(struct pool *pool, struct transport **out, const struct cancel *cancel,
	      struct err *err) __attribute__((warn_unused_result));
/* A new connection in the place of `*transport`, which is closed. On failure
 * *transport is NULL; it is given back all the same. */
int pool_replace(struct pool *pool, struct transport **transport, struct err *err)
	__attribute__((warn_unused_result));
/* Gives it back; a broken one is closed. NULL: the place alone. */
void pool_give(struct pool *pool, struct transport *transport);

#endif
