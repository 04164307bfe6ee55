/*
 * Time, threads, condition variables on the monotonic clock, cancellation.
 */
#ifndef GIT_FS_BASE_THREADS_H
#define GIT_FS_BASE_THREADS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define NS_PER_MS 1000000ULL
#define NS_PER_S 1000000000ULL

uint64_t mono_ns(void); /* CLOCK_MONOTONIC, nanoseconds */
uint64_t wall_ns(void); /* CLOCK_REALTIME, nanoseconds since the epoch */

/* Starts a joinable thread with every signal blocked and `name` (at most 15
 * bytes) shown by ps. Negative errno on failure, never ERR_AGAIN. */
int thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *arg)
	__attribute__((warn_unused_result));

/* A condition variable whose deadlines are mono_ns() times. */
int cond_init(pthread_cond_t *cond) __attribute__((warn_unused_result));
/* Waits until signalled or `deadline_ns`; false once the deadline passed. The
 * caller holds the mutex, and checks its condition again either way. */
bool cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, uint64_t deadline_ns);

static inline void mutex_unlock_cleanup(pthread_mutex_t **mutex)
{
	if (*mutex != NULL)
		pthread_mutex_unlock(*mutex);
}
/* Holds the mutex to the end of the enclosing block. */
#define WITH_LOCK(mutex)                                                               \
	__attribute__((cleanup(mutex_unlock_cleanup), unused)) pthread_mutex_t *lock_held_ = \
		(pthread_mutex_lock(mutex), (mutex))

/*
 * A request to stop, seen by everything that blocks: a flag to look at and a
 * descriptor to put into poll(2). Set once, never taken back. Any thread may
 * set and look at it.
 */
struct cancel {
	atomic_bool set;
	int fd; /* an eventfd, readable once set */
};

int cancel_init(struct cancel *cancel) __attribute__((warn_unused_result));
void cancel_release(struct cancel *cancel);
void cancel_set(struct cancel *cancel);
static inline bool cancel_is_set(const struct cancel *cancel)
{
	return cancel != NULL && atomic_load_explicit(&cancel->set, memory_order_acquire);
}

#endif
