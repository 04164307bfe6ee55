#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <time.h>

#include "base/threads.h"

static void clocks_run(void **state)
{
	uint64_t mono = mono_ns();
	uint64_t wall = wall_ns();
	struct timespec pause = { .tv_nsec = 5 * (long)NS_PER_MS };

	(void)state;
	nanosleep(&pause, NULL);
	assert_true(mono_ns() - mono >= 5 * NS_PER_MS);
	assert_true(wall_ns() > wall);
	assert_in_range(wall / NS_PER_S, (uint64_t)time(NULL) - 2, (uint64_t)time(NULL) + 2);
}

struct thread_view {
	sem_t named;
	char name[16];
	sigset_t blocked;
};

static void *look_around(void *arg)
{
	struct thread_view *view = arg;

	sem_wait(&view->named);
	pthread_getname_np(pthread_self(), view->name, sizeof(view->name));
	pthread_sigmask(SIG_SETMASK, NULL, &view->blocked);
	return view;
}

static void threads_have_a_name_and_no_signals(void **state)
{
	struct thread_view view = { .name = "" };
	sigset_t ours;
	pthread_t thread;
	void *result;

	(void)state;
	assert_int_equal(sem_init(&view.named, 0, 0), 0);
	assert_int_equal(thread_start(&thread, "a-name-that-is-too-long", look_around, &view), 0);
	sem_post(&view.named);
	assert_int_equal(pthread_join(thread, &result), 0);
	sem_destroy(&view.named);
	assert_ptr_equal(result, &view);
	assert_string_equal(view.name, "a-name-that-is-");
	assert_true(sigismember(&view.blocked, SIGTERM));
	assert_true(sigismember(&view.blocked, SIGINT));
	assert_true(sigismember(&view.blocked, SIGPIPE));
	pthread_sigmask(SIG_SETMASK, NULL, &ours);
	assert_false(sigismember(&ours, SIGTERM));
}

struct gate {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool open; /* guarded by lock */
};

static void *open_gate(void *arg)
{
	struct gate *gate = arg;

	WITH_LOCK(&gate->lock);
	gate->open = true;
	pthread_cond_signal(&gate->cond);
	return NULL;
}

static void conditions_wait_until_signalled_or_late(void **state)
{
	struct gate gate = { .lock = PTHREAD_MUTEX_INITIALIZER };
	uint64_t deadline_ns;
	pthread_t thread;
	bool in_time = true;

	(void)state;
	assert_int_equal(cond_init(&gate.cond), 0);
	deadline_ns = mono_ns() + 20 * NS_PER_MS;
	pthread_mutex_lock(&gate.lock);
	while (in_time)
		in_time = cond_wait_until(&gate.cond, &gate.lock, deadline_ns);
	assert_true(mono_ns() >= deadline_ns);
	assert_false(cond_wait_until(&gate.cond, &gate.lock, 0));

	/* "Never" is a deadline too. */
	assert_int_equal(thread_start(&thread, "opener", open_gate, &gate), 0);
	while (!gate.open)
		assert_true(cond_wait_until(&gate.cond, &gate.lock, UINT64_MAX));
	pthread_mutex_unlock(&gate.lock);
	pthread_join(thread, NULL);
	pthread_cond_destroy(&gate.cond);
}

static int leave_early(pthread_mutex_t *lock, bool early)
{
	WITH_LOCK(lock);
	assert_int_equal(pthread_mutex_trylock(lock), EBUSY);
	if (early)
		return 1;
	return 2;
}

static void locks_are_given_back_at_the_end_of_the_block(void **state)
{
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

	(void)state;
	assert_int_equal(leave_early(&lock, true), 1);
	assert_int_equal(leave_early(&lock, false), 2);
	assert_int_equal(pthread_mutex_trylock(&lock), 0);
	pthread_mutex_unlock(&lock);
}

static bool readable(int fd, int timeout_ms)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };

	return poll(&ready, 1, timeout_ms) == 1;
}

static void *set_cancel(void *arg)
{
	cancel_set(arg);
	return NULL;
}

static void a_cancel_wakes_those_who_poll(void **state)
{
	struct cancel cancel;
	pthread_t thread;

	(void)state;
	assert_false(cancel_is_set(NULL));
	assert_int_equal(cancel_init(&cancel), 0);
	assert_false(cancel_is_set(&cancel));
	assert_false(readable(cancel.fd, 0));
	assert_int_equal(thread_start(&thread, "canceller", set_cancel, &cancel), 0);
	assert_true(readable(cancel.fd, 10000));
	pthread_join(thread, NULL);
	assert_true(cancel_is_set(&cancel));
	cancel_set(&cancel);
	assert_true(readable(cancel.fd, 0)); /* and stays so */
	cancel_release(&cancel);
	assert_int_equal(cancel.fd, -1);
	cancel_release(&cancel);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clocks_run),
		cmocka_unit_test(threads_have_a_name_and_no_signals),
		cmocka_unit_test(conditions_wait_until_signalled_or_late),
		cmocka_unit_test(locks_are_given_back_at_the_end_of_the_block),
		cmocka_unit_test(a_cancel_wakes_those_who_poll),
	};

	return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
