/*
 * Thin covers of pthreads: one clock for every deadline, no signal in any
 * thread that this program starts.
 */
#include "base/threads.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <time.h>

#include "base/io.h"

#define THREAD_NAME_SIZE 16 /* prctl(2), PR_SET_NAME: with the NUL */

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now = { 0 };

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t mono_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t wall_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

int thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *arg)
{
	char short_name[THREAD_NAME_SIZE];
	sigset_t all;
	sigset_t before;
	pthread_t started;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&started, NULL, run, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	/* EAGAIN is how POSIX says that resources are short; here it means "fetch and retry". */
	if (rc == EAGAIN)
		return -ENOMEM;
	if (rc != 0)
		return -rc;
	snprintf(short_name, sizeof(short_name), "%.*s", THREAD_NAME_SIZE - 1, name);
	/* For people alone: a thread without its name runs as well. */
	(void)pthread_setname_np(started, short_name);
	*thread = started;
	return 0;
}

int cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;
	int rc = pthread_condattr_init(&attr);

	if (rc != 0)
		return -rc;
	rc = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	if (rc == 0)
		rc = pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
	return -rc;
}

bool cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, uint64_t deadline_ns)
{
	struct timespec deadline = {
		.tv_sec = (time_t)(deadline_ns / NS_PER_S),
		.tv_nsec = (long)(deadline_ns % NS_PER_S),
	};
	int rc = pthread_cond_timedwait(cond, mutex, &deadline);

	assert(rc == 0 || rc == ETIMEDOUT);
	return rc == 0;
}

int cancel_init(struct cancel *cancel)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0)
		return -errno;
	atomic_init(&cancel->set, false);
	cancel->fd = fd;
	return 0;
}

void cancel_release(struct cancel *cancel)
{
	io_close(&cancel->fd);
}

void cancel_set(struct cancel *cancel)
{
	uint64_t one = 1;
	int rc;

	if (atomic_exchange_explicit(&cancel->set, true, memory_order_acq_rel))
		return;
	rc = io_write(cancel->fd, &one, sizeof(one));
	assert(rc == 0); /* once per eventfd: only a descriptor that is not ours can fail */
}
