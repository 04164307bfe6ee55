/* Fetching while somebody waits; see fetch_now.h. */
#include "cli/fetch_now.h"

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>

#include "base/map.h"
#include "git/oid.h"

#define SAME_WANT_MAX 3 /* times that one thing may be missing after it was fetched */

struct waiter {
	struct fetch_wait wait;
	struct cancel done;   /* set by the fetcher; of a cancel, because it can be polled */
	pthread_mutex_t lock; /* held until the fetcher has let go of the waiter */
	int result;
};

static void on_done(struct fetch_wait *wait, int result)
{
	struct waiter *waiter = MAP_ENTRY(wait, struct waiter, wait);

	pthread_mutex_lock(&waiter->lock);
	waiter->result = result == ERR_NOT_FOUND ? -EIO : result;
	cancel_set(&waiter->done);
	pthread_mutex_unlock(&waiter->lock);
}

/* Waits for the first of the three. */
static int await(struct waiter *waiter, const struct cancel *cancel, int timeout_ms)
{
	struct pollfd fds[2] = {
		{ .fd = waiter->done.fd, .events = POLLIN },
		{ .fd = cancel != NULL ? cancel->fd : -1, .events = POLLIN },
	};
	int ready;

	do
		ready = poll(fds, 2, timeout_ms);
	while (ready < 0 && errno == EINTR);
	if (ready < 0)
		return -errno;
	if (fds[0].revents != 0)
		return 0;
	return ready == 0 ? ERR_TIMEOUT : ERR_CANCELLED;
}

static int fetch_one(const struct fetch_now *now, const struct want *want)
{
	struct waiter waiter = { .wait = { .done = on_done }, .lock = PTHREAD_MUTEX_INITIALIZER };
	int ret = cancel_init(&waiter.done);

	if (ret < 0)
		return ret;
	ret = fetcher_want(now->fetcher, want, &waiter.wait);
	if (ret == 0) {
		ret = await(&waiter, now->cancel, (int)now->timeout_ms);
		if (ret < 0 && !fetcher_cancel(now->fetcher, &waiter.wait))
			ret = await(&waiter, NULL, -1); /* it is about to be told */
		pthread_mutex_lock(&waiter.lock);
		if (ret == 0)
			ret = waiter.result;
		pthread_mutex_unlock(&waiter.lock);
	}
	pthread_mutex_destroy(&waiter.lock);
	cancel_release(&waiter.done);
	return ret;
}

int fetch_now(const struct fetch_now *now, fetch_now_fn *ask, void *arg)
{
	struct oid last = { .algo = 0 };
	unsigned same = 0;

	for (;;) {
		struct want want = WANT_INIT;
		int ret = ask(arg, &want);

		if (ret != ERR_AGAIN || want.count == 0) {
			want_release(&want);
			return ret;
		}
		same = oid_is_set(&last) && oid_equal(&last, &want.oids[0]) ? same + 1 : 0;
		last = want.oids[0];
		ret = same < SAME_WANT_MAX ? fetch_one(now, &want) : -EIO;
		want_release(&want);
		if (ret < 0)
			return ret;
	}
}
