/*
 * Places are counted by an eventfd in semaphore mode rather than by a condition
 * variable, because a wait for one has to end when a `cancel`, which is a
 * descriptor too, is set: one poll(2) watches both.
 *
 * Whoever holds a place holds at most one transport. Idle transports hold no
 * place, and are never more than there are places: one is taken out of `idle`
 * before a new one is opened.
 */
#include "remote/pool.h"

#include <assert.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/io.h"

int pool_init(struct pool *pool, struct endpoint *endpoint, struct traffic *traffic,
	      unsigned connections, struct err *err)
{
	assert(connections >= 1 && connections <= REMOTE_CONNECTIONS_MAX);
	int fd = eventfd(connections, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
	if (fd < 0)
		return err_sys(err, errno, "cannot make an eventfd");
	int rc = pthread_mutex_init(&pool->lock, NULL);
	if (rc != 0) {
		close(fd);
		return err_sys(err, rc, "cannot make a mutex");
	}
	pool->endpoint = endpoint;
	pool->traffic = traffic;
	pool->slots_fd = fd;
	pool->idle_count = 0;
	return 0;
}

static void close_transport(struct pool *pool, struct transport *transport)
{
	transport->ops->close(transport);
	atomic_fetch_sub(&pool->traffic->connections, 1);
}

void pool_release(struct pool *pool)
{
	for (size_t i = 0; i < pool->idle_count; i++)
		close_transport(pool, pool->idle[i]);
	pool->endpoint->ops->free(pool->endpoint);
	io_close(&pool->slots_fd);
	pthread_mutex_destroy(&pool->lock);
}

static int wait_for_slot(struct pool *pool, const struct cancel *cancel, struct err *err)
{
	for (;;) {
		uint64_t one;
		if (cancel_is_set(cancel))
			return err_set(err, ERR_CANCELLED, "given up");
		if (read(pool->slots_fd, &one, sizeof(one)) == (ssize_t)sizeof(one))
			return 0;
		if (errno != EAGAIN && errno != EINTR)
			return err_sys(err, errno, "cannot wait for a connection");
		struct pollfd fds[2] = {
			{ .fd = pool->slots_fd, .events = POLLIN },
			{ .fd = cancel != NULL ? cancel->fd : -1, .events = POLLIN },
		};
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return err_sys(err, errno, "cannot wait for a connection");
	}
}

static int open_transport(struct pool *pool, struct transport **out, struct err *err)
{
	int rc = pool->endpoint->ops->open(pool->endpoint, out, err);
	if (rc < 0)
		return rc;
	atomic_fetch_add(&pool->traffic->connections, 1);
	return 0;
}

int pool_take(struct pool *pool, struct transport **out, const struct cancel *cancel,
	      struct err *err)
{
	int rc = wait_for_slot(pool, cancel, err);
	if (rc < 0)
		return rc;
	struct transport *idle = NULL;
	{
		WITH_LOCK(&pool->lock);
		if (pool->idle_count > 0)
			idle = pool->idle[--pool->idle_count];
	}
	if (idle != NULL) {
		*out = idle;
		return 0;
	}
	rc = open_transport(pool, out, err);
	if (rc < 0)
		pool_give(pool, NULL);
	return rc;
}

int pool_replace(struct pool *pool, struct transport **transport, struct err *err)
{
	close_transport(pool, *transport);
	*transport = NULL;
	return open_transport(pool, transport, err);
}

void pool_give(struct pool *pool, struct transport *transport)
{
	if (transport != NULL && transport->broken) {
		close_transport(pool, transport);
	} else if (transport != NULL) {
		WITH_LOCK(&pool->lock);
		assert(pool->idle_count < REMOTE_CONNECTIONS_MAX);
		pool->idle[pool->idle_count++] = transport;
	}
	uint64_t one = 1;
	ssize_t n = write(pool->slots_fd, &one, sizeof(one));
	assert(n == (ssize_t)sizeof(one));
	(void)n;
}
