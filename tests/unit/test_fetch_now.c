/* Fetching while somebody waits: what comes, what does not, and who calls it off. */
#include "repo_fixture.h"

#include <errno.h>

#include "base/threads.h"
#include "cli/fetch_now.h"
#include "remote/mem_remote.h"

#define FEATURES (REMOTE_LISTS_CHEAPLY | REMOTE_TELLS_SIZES)

struct bench {
	struct repo_fixture repo;
	struct mem_remote *mem;
	struct remote *remote;
	struct fetcher *fetcher;
	struct cancel cancel;
};

static void bench_init(struct bench *bench)
{
	fixture_init(&bench->repo);
	bench->mem = mem_remote_new(HASH_SHA1, FEATURES);
	assert_non_null(bench->mem);
	bench->remote = mem_remote_base(bench->mem);
	assert_int_equal(fetcher_new(&bench->fetcher, bench->remote, bench->repo.store), 0);
	assert_int_equal(fetcher_start(bench->fetcher), 0);
	assert_int_equal(cancel_init(&bench->cancel), 0);
}

static void bench_release(struct bench *bench)
{
	fetcher_free(bench->fetcher);
	remote_free(bench->remote);
	fixture_release(&bench->repo);
	cancel_release(&bench->cancel);
}

/* Asks for objects, one after the other, until all are in the store. */
struct question {
	struct store *store;
	struct oid oids[3];
	size_t count;
	unsigned asked;
	int answer;  /* once they are here */
	bool blind;  /* it does not see what has come */
};

static int ask(void *arg, struct want *want)
{
	struct question *question = arg;

	question->asked++;
	for (size_t i = 0; i < question->count; i++) {
		struct store_info info;

		if (!question->blind &&
		    store_info(question->store, &question->oids[i], &info) == 0 && info.present)
			continue;
		int rc = want_one(want, WANT_BLOB, &question->oids[i]);

		return rc < 0 ? rc : ERR_AGAIN;
	}
	return question->answer;
}

static int run(struct bench *bench, struct question *question, unsigned timeout_ms)
{
	struct fetch_now now = { .fetcher = bench->fetcher, .cancel = &bench->cancel,
				 .timeout_ms = timeout_ms };

	question->store = bench->repo.store;
	return fetch_now(&now, ask, question);
}

static struct oid remote_blob(struct bench *bench, const char *text)
{
	struct oid oid;

	assert_int_equal(mem_remote_add(bench->mem, OBJECT_BLOB, text, strlen(text), &oid), 0);
	return oid;
}

static void what_is_missing_comes(void **state)
{
	struct question question = { .count = 3, .answer = 7 };
	struct bench bench;

	(void)state;
	bench_init(&bench);
	question.oids[0] = remote_blob(&bench, "a");
	question.oids[1] = remote_blob(&bench, "b");
	question.oids[2] = remote_blob(&bench, "c");
	assert_int_equal(run(&bench, &question, 20000), 7);
	assert_int_equal(question.asked, 4);
	/* Now nothing is missing. */
	question.answer = -ENOTDIR;
	assert_int_equal(run(&bench, &question, 20000), -ENOTDIR);
	assert_int_equal(question.asked, 5);
	bench_release(&bench);
}

static void what_the_remote_has_not_is_an_error(void **state)
{
	struct question question = { .count = 1 };
	struct bench bench;

	(void)state;
	bench_init(&bench);
	memset(&question.oids[0], 0, sizeof(question.oids[0]));
	question.oids[0].algo = HASH_SHA1;
	question.oids[0].hash[0] = 1;
	assert_int_equal(run(&bench, &question, 20000), -EIO);
	assert_int_equal(question.asked, 1);
	bench_release(&bench);
}

static void circles_end(void **state)
{
	struct question question = { .count = 1, .blind = true };
	struct bench bench;

	(void)state;
	bench_init(&bench);
	question.oids[0] = remote_blob(&bench, "a");
	assert_int_equal(run(&bench, &question, 20000), -EIO);
	assert_in_range(question.asked, 2, 10);
	bench_release(&bench);
}

static void waiting_has_a_limit(void **state)
{
	struct question question = { .count = 1 };
	struct bench bench;
	uint64_t start;

	(void)state;
	bench_init(&bench);
	question.oids[0] = remote_blob(&bench, "a");
	mem_remote_set_faults(bench.mem, 2000, 0, 0);
	start = mono_ns();
	assert_int_equal(run(&bench, &question, 50), ERR_TIMEOUT);
	assert_true(mono_ns() - start < NS_PER_S);
	bench_release(&bench);
}

static void *call_off(void *arg)
{
	usleep(50000);
	cancel_set(arg);
	return NULL;
}

static void waiting_is_called_off(void **state)
{
	struct question question = { .count = 1 };
	struct bench bench;
	pthread_t thread;
	uint64_t start;

	(void)state;
	bench_init(&bench);
	question.oids[0] = remote_blob(&bench, "a");
	mem_remote_set_faults(bench.mem, 2000, 0, 0);
	start = mono_ns();
	assert_int_equal(thread_start(&thread, "caller", call_off, &bench.cancel), 0);
	assert_int_equal(run(&bench, &question, 20000), ERR_CANCELLED);
	assert_true(mono_ns() - start < NS_PER_S);
	pthread_join(thread, NULL);
	bench_release(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_missing_comes),
		cmocka_unit_test(what_the_remote_has_not_is_an_error),
		cmocka_unit_test(circles_end),
		cmocka_unit_test(waiting_has_a_limit),
		cmocka_unit_test(waiting_is_called_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
