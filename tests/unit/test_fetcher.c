/* The fetcher between a store and the in-memory remote. */
#include "repo_fixture.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/threads.h"
#include "failing_alloc.h"
#include "remote/mem_remote.h"
#include "sync/fetcher.h"

#define ALL_FEATURES (REMOTE_LISTS_CHEAPLY | REMOTE_TELLS_SIZES)
#define PATIENCE_NS (20 * NS_PER_S)

struct bench {
	struct repo_fixture repo;
	struct mem_remote *mem;
	struct remote *remote;
	struct fetcher *fetcher;
};

static void bench_init(struct bench *bench, unsigned features)
{
	fixture_init(&bench->repo);
	bench->mem = mem_remote_new(HASH_SHA1, features);
	assert_non_null(bench->mem);
	bench->remote = mem_remote_base(bench->mem);
	assert_int_equal(fetcher_new(&bench->fetcher, bench->remote, bench->repo.store), 0);
	assert_int_equal(fetcher_start(bench->fetcher), 0);
}

static void bench_release(struct bench *bench)
{
	fetcher_free(bench->fetcher);
	remote_free(bench->remote);
	fixture_release(&bench->repo);
}

/* A wait that remembers. */
struct waiter {
	struct fetch_wait wait;
	atomic_int calls;
	atomic_int result;
};

static void on_done(struct fetch_wait *wait, int result)
{
	struct waiter *waiter = (struct waiter *)(void *)wait;

	atomic_store(&waiter->result, result);
	atomic_fetch_add(&waiter->calls, 1);
}

static void waiter_init(struct waiter *waiter)
{
	memset(waiter, 0, sizeof(*waiter));
	waiter->wait.done = on_done;
}

static int waiter_result(struct waiter *waiter)
{
	uint64_t end = mono_ns() + PATIENCE_NS;

	while (atomic_load(&waiter->calls) == 0) {
		assert_true(mono_ns() < end);
		usleep(500);
	}
	return atomic_load(&waiter->result);
}

static int want_oids(struct bench *bench, enum want_kind kind, const struct oid *oids,
		     size_t count, struct waiter *waiter)
{
	struct want want = { .kind = kind, .oids = calloc(count, sizeof(*oids)), .count = count };

	assert_non_null(want.oids);
	memcpy(want.oids, oids, count * sizeof(*oids));
	waiter_init(waiter);
	int rc = fetcher_want(bench->fetcher, &want, &waiter->wait);

	want_release(&want);
	return rc;
}

static struct oid remote_blob(struct bench *bench, const char *text)
{
	struct oid oid;

	assert_int_equal(mem_remote_add(bench->mem, OBJECT_BLOB, text, strlen(text), &oid), 0);
	return oid;
}

static bool in_store(struct bench *bench, const struct oid *oid)
{
	struct store_info info;

	return store_info(bench->repo.store, oid, &info) == 0 && info.present;
}

static void test_brings_a_blob_once(void **state)
{
	enum { WAITERS = 100 };
	static struct waiter waiters[WAITERS];
	struct bench bench;
	struct mem_remote_counts counts;
	struct fetcher_stats stats;

	(void)state;
	bench_init(&bench, ALL_FEATURES);
	struct oid oid = remote_blob(&bench, "contents");

	mem_remote_set_faults(bench.mem, 20, 0, 0);
	for (int i = 0; i < WAITERS; i++)
		assert_int_equal(want_oids(&bench, WANT_BLOB, &oid, 1, &waiters[i]), 0);
	for (int i = 0; i < WAITERS; i++)
		assert_int_equal(waiter_result(&waiters[i]), 0);
	assert_true(in_store(&bench, &oid));
	mem_remote_counts(bench.mem, &counts);
	assert_int_equal(counts.fetches, 1);
	fetcher_stats(bench.fetcher, &stats);
	assert_true(stats.failed == 0 && stats.last_error[0] == '\0');

	/* What is here already is not asked for. */
	assert_int_equal(want_oids(&bench, WANT_BLOB, &oid, 1, &waiters[0]), 0);
	assert_int_equal(waiter_result(&waiters[0]), 0);
	bench_release(&bench);
	for (int i = 0; i < WAITERS; i++)
		assert_int_equal(atomic_load(&waiters[i].calls), 1);
}

static void test_gathers(void **state)
{
	enum { COUNT = 400 };
	static struct waiter waiters[COUNT];
	static struct oid oids[COUNT];
	struct bench bench;
	struct mem_remote_counts counts;
	char text[32];

	(void)state;
	bench_init(&bench, ALL_FEATURES);
	for (int i = 0; i < COUNT; i++) {
		snprintf(text, sizeof(text), "blob %d", i);
		oids[i] = remote_blob(&bench, text);
	}
	mem_remote_set_faults(bench.mem, 30, 0, 0);
	for (int i = 0; i < COUNT; i++)
		assert_int_equal(want_oids(&bench, WANT_BLOB, &oids[i], 1, &waiters[i]), 0);
	for (int i = 0; i < COUNT; i++)
		assert_int_equal(waiter_result(&waiters[i]), 0);
	mem_remote_counts(bench.mem, &counts);
	assert_in_range(counts.fetches, 1, 40);
	bench_release(&bench);
}

static void test_brings_the_others_along(void **state)
{
	struct bench bench;
	struct waiter waiter;
	struct oid oids[3];

	(void)state;
	bench_init(&bench, ALL_FEATURES);
	oids[0] = remote_blob(&bench, "a");
	oids[1] = remote_blob(&bench, "b");
	oids[2] = remote_blob(&bench, "c");
	assert_int_equal(want_oids(&bench, WANT_BLOB, oids, 3, &waiter), 0);
	assert_int_equal(waiter_result(&waiter), 0);
	for (uint64_t end = mono_ns() + PATIENCE_NS;
	     !in_store(&bench, &oids[1]) || !in_store(&bench, &oids[2]);) {
		assert_true(mono_ns() < end);
		usleep(500);
	}
	bench_release(&bench);
}

static void test_sizes(void **state)
{
	struct bench bench;
	struct waiter waiter;
	struct mem_remote_counts counts;
	struct fetcher_stats stats;
	struct store_info info;

	(void)state;
	bench_init(&bench, ALL_FEATURES);
	struct oid oid = remote_blob(&bench, "seven..");

	assert_int_equal(want_oids(&bench, WANT_SIZES, &oid, 1, &waiter), 0);
	assert_int_equal(waiter_result(&waiter), 0);
	assert_int_equal(store_info(bench.repo.store, &oid, &info), 0);
	assert_true(!info.present && info.size == 7);
	mem_remote_counts(bench.mem, &counts);
	assert_int_equal(counts.fetches, 0);
	fetcher_stats(bench.fetcher, &stats);
	assert_int_equal(stats.last_error_at, 0);
	bench_release(&bench);

	bench_init(&bench, REMOTE_LISTS_CHEAPLY); /* a host that tells none: by contents */
	oid = remote_blob(&bench, "seven..");
	assert_int_equal(want_oids(&bench, WANT_SIZES, &oid, 1, &waiter), 0);
	assert_int_equal(waiter_result(&waiter), 0);
	assert_true(in_store(&bench, &oid));
	bench_release(&bench);
}

/* Whoever will read next gets size and contents, whichever comes first. */
static void test_likely(void **state)
{
	struct bench bench;
	struct waiter waiter;

	(void)state;
	bench_init(&bench, ALL_FEATURES);
	struct oid oid = remote_blob(&bench, "seven..");
	struct want want = { .kind = WANT_SIZES, .oids = &oid, .count = 1, .likely = true };

	waiter_init(&waiter);
	assert_int_equal(fetcher_want(bench.fetcher, &want, &waiter.wait), 0);
	assert_int_equal(waiter_result(&waiter), 0);
	for (uint64_t end = mono_ns() + PATIENCE_NS; !in_store(&bench, &oid);) {
		assert_true(mono_ns() < end);
		usleep(500);
	}
	bench_release(&bench);
	assert_int_equal(atomic_load(&waiter.calls), 1);
}

static void test_failures(void **state)
{
	struct bench bench;
	struct waiter waiter;
	struct fetcher_stats stats;

	(void)state;
	bench_init(&bench, ALL_FEATURES);
	struct oid oid = remote_blob(&bench, "later");
	struct oid absent = fixture_blob_oid(&bench.repo, "nobody has it");

	assert_int_equal(want_oids(&bench, WANT_BLOB, &absent, 1, &waiter), 0);
	assert_int_equal(waiter_result(&waiter), ERR_NOT_FOUND);
	mem_remote_set_faults(bench.mem, 0, 1, ERR_UNREACHABLE);
	assert_int_equal(want_oids(&bench, WANT_BLOB, &oid, 1, &waiter), 0);
	assert_int_equal(waiter_result(&waiter), ERR_UNREACHABLE);
	fetcher_stats(bench.fetcher, &stats);
	assert_int_equal(stats.failed, 2);
	assert_true(stats.last_error[0] != '\0' && stats.last_error_at != 0);
	assert_true(stats.last_error_at > stats.last_good_at);
	assert_int_equal(want_oids(&bench, WANT_BLOB, &oid, 1, &waiter), 0); /* and it goes on */
	assert_int_equal(waiter_result(&waiter), 0);
	fetcher_stats(bench.fetcher, &stats);
	assert_true(stats.last_good_at > stats.last_error_at);
	bench_release(&bench);
}

static void test_cancel_and_stop(void **state)
{
	struct bench bench;
	struct waiter waiter;
	struct waiter other;

	(void)state;
	bench_init(&bench, ALL_FEATURES);
	struct oid oid = remote_blob(&bench, "slow");

	mem_remote_set_faults(bench.mem, 5000, 0, 0);
	assert_int_equal(want_oids(&bench, WANT_BLOB, &oid, 1, &waiter), 0);
	assert_int_equal(want_oids(&bench, WANT_BLOB, &oid, 1, &other), 0);
	usleep(20000);
	assert_true(fetcher_cancel(bench.fetcher, &waiter.wait));
	assert_false(fetcher_cancel(bench.fetcher, &waiter.wait));
	uint64_t start = mono_ns();

	fetcher_stop(bench.fetcher);
	assert_true(mono_ns() - start < 3 * NS_PER_S);
	assert_int_equal(atomic_load(&waiter.calls), 0);
	assert_int_equal(atomic_load(&other.result), ERR_CANCELLED);
	assert_int_equal(want_oids(&bench, WANT_BLOB, &oid, 1, &waiter), ERR_CANCELLED);
	bench_release(&bench);
}

/* A commit with a folder in a folder, at the remote. */
static struct oid remote_commit(struct bench *bench, struct oid *deep_out)
{
	AUTO_BUF struct buf deep = BUF_INIT;
	AUTO_BUF struct buf root = BUF_INIT;
	AUTO_BUF struct buf text = BUF_INIT;
	struct oid root_oid;
	struct oid commit;

	fixture_entry(&deep, TREE_MODE_FILE, "f", remote_blob(bench, "deep file"));
	assert_int_equal(mem_remote_add(bench->mem, OBJECT_TREE, deep.data, deep.len, deep_out), 0);
	fixture_entry(&root, TREE_MODE_DIR, "d", *deep_out);
	assert_int_equal(mem_remote_add(bench->mem, OBJECT_TREE, root.data, root.len, &root_oid),
			 0);
	fixture_commit_text(&text, &root_oid);
	assert_int_equal(mem_remote_add(bench->mem, OBJECT_COMMIT, text.data, text.len, &commit),
			 0);
	return commit;
}

static void wait_for_trees(struct bench *bench)
{
	struct fetcher_stats stats = { .trees_complete = false };

	for (uint64_t end = mono_ns() + PATIENCE_NS; !stats.trees_complete;) {
		assert_true(mono_ns() < end);
		usleep(500);
		fetcher_stats(bench->fetcher, &stats);
	}
}

static void test_first_and_all(void **state)
{
	struct bench bench;
	struct oid deep;
	struct err err = ERR_INIT;
	struct mem_remote_counts counts;

	(void)state;
	bench_init(&bench, ALL_FEATURES);
	struct oid commit = remote_commit(&bench, &deep);

	assert_int_equal(fetcher_first(bench.fetcher, &commit, NULL, &err), 0);
	assert_true(in_store(&bench, &commit));
	assert_false(in_store(&bench, &deep));
	assert_int_equal(fetcher_first(bench.fetcher, &commit, NULL, &err), 0);
	mem_remote_counts(bench.mem, &counts);
	assert_int_equal(counts.lists, 1); /* the second time it was here */

	assert_int_equal(fetcher_prefetch(bench.fetcher, &commit), 0);
	wait_for_trees(&bench);
	assert_true(in_store(&bench, &deep));

	struct oid absent = fixture_blob_oid(&bench.repo, "no such commit");

	assert_true(fetcher_first(bench.fetcher, &absent, NULL, &err) < 0);
	assert_true(err.msg[0] != '\0');
	fetcher_free(bench.fetcher);

	/* Another mount of the same commit: all trees are here, nothing is asked. */
	mem_remote_counts(bench.mem, &counts);
	unsigned lists = counts.lists;

	assert_int_equal(fetcher_new(&bench.fetcher, bench.remote, bench.repo.store), 0);
	assert_int_equal(fetcher_start(bench.fetcher), 0);
	assert_int_equal(fetcher_prefetch(bench.fetcher, &commit), 0);
	wait_for_trees(&bench);
	mem_remote_counts(bench.mem, &counts);
	assert_int_equal(counts.lists, lists);
	bench_release(&bench);
}

/* A host that cannot list without contents: one list brings everything. */
static void test_first_without_cheap_lists(void **state)
{
	struct bench bench;
	struct oid deep;
	struct err err = ERR_INIT;
	struct mem_remote_counts counts;

	(void)state;
	bench_init(&bench, 0);
	struct oid commit = remote_commit(&bench, &deep);
	struct oid file = fixture_blob_oid(&bench.repo, "deep file");

	assert_int_equal(fetcher_first(bench.fetcher, &commit, NULL, &err), 0);
	assert_int_equal(fetcher_prefetch(bench.fetcher, &commit), 0);
	wait_for_trees(&bench);
	assert_true(in_store(&bench, &deep));
	assert_true(in_store(&bench, &file));
	mem_remote_counts(bench.mem, &counts);
	assert_int_equal(counts.lists, 1);
	bench_release(&bench);
}

static void test_memory_runs_out(void **state)
{
	struct bench bench;
	long nth = 0;
	bool failed;

	(void)state;
	bench_init(&bench, ALL_FEATURES);
	struct oid oids[2] = { remote_blob(&bench, "x"), remote_blob(&bench, "y") };

	do {
		struct fetcher *fetcher = NULL;
		struct waiter waiter;
		struct want want = { .kind = WANT_SIZES, .oids = oids, .count = 2, .likely = true };

		waiter_init(&waiter);
		failing_alloc_arm(++nth);
		int rc = fetcher_new(&fetcher, bench.remote, bench.repo.store);

		if (rc == 0)
			rc = fetcher_want(fetcher, &want, &waiter.wait);
		failed = failing_alloc_disarm();
		if (!failed)
			assert_int_equal(rc, 0);
		if (rc < 0)
			assert_int_equal(rc, -ENOMEM);
		fetcher_free(fetcher);
		if (rc == 0)
			assert_int_equal(atomic_load(&waiter.result), ERR_CANCELLED);
	} while (failed);
	assert_true(nth > 3);
	bench_release(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_brings_a_blob_once),
		cmocka_unit_test(test_gathers),
		cmocka_unit_test(test_brings_the_others_along),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_likely),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_cancel_and_stop),
		cmocka_unit_test(test_first_and_all),
		cmocka_unit_test(test_first_without_cheap_lists),
		cmocka_unit_test(test_memory_runs_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
