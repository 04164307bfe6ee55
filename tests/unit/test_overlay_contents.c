/* Contents of a writable worktree: where they come from, where they go, what is wanted. */
#include "overlay_fixture.h"

#include <pthread.h>

#include "worktree/local.h"

#define LOG_MAX ((size_t)CONTENTS_LOG_MAX)

/* What a file has to be, beside what it is. */
struct twin {
	struct scene *scene;
	uint64_t id;
	uint8_t data[4 * CONTENTS_LOG_MAX];
	size_t size;
};

static void twin_check(struct twin *twin)
{
	assert_int_equal(attr_of(twin->scene, twin->id).size, twin->size);
	expect_contents(twin->scene, twin->id, twin->data, twin->size);
}

static void twin_write(struct twin *twin, size_t offset, size_t len, unsigned seed)
{
	assert_true(offset + len <= sizeof(twin->data));
	write_fill(twin->scene, twin->id, offset, len, seed);
	fill(twin->data + offset, len, seed);
	if (offset + len > twin->size)
		twin->size = offset + len;
	twin_check(twin);
}

static void twin_resize(struct twin *twin, size_t size)
{
	assert_true(size <= sizeof(twin->data));
	assert_int_equal(resize(twin->scene, twin->id, size), 0);
	if (size < twin->size)
		memset(twin->data + size, 0, twin->size - size);
	twin->size = size;
	twin_check(twin);
}

static struct twin *twin_new(struct scene *scene, uint64_t id)
{
	struct twin *twin = calloc(1, sizeof(*twin));
	AUTO_BUF struct buf data = BUF_INIT;

	assert_non_null(twin);
	twin->scene = scene;
	twin->id = id;
	assert_int_equal(contents(scene, id, &data), 0);
	memcpy(twin->data, data.data, data.len);
	twin->size = data.len;
	return twin;
}

static void twin_outlives(struct twin *twin)
{
	scene_crash(twin->scene);
	twin_check(twin);
	assert_int_equal(worktree_compact(twin->scene->tree), 0);
	twin_check(twin);
	scene_reopen(twin->scene);
	twin_check(twin);
}

/* --- what is wanted --- */

static void test_wants(void **state)
{
	struct scene scene;
	uint8_t whole[ABSENT_SIZE];

	(void)state;
	scene_init(&scene);
	uint64_t id = at(&scene, "absent");

	assert_int_equal(try_write(&scene, id, 10, "x", 1), ERR_AGAIN);
	assert_true(scene.want.kind == WANT_BLOB && scene.want.count >= 1);
	assert_true(oid_equal(&scene.want.oids[0], &scene.absent));
	assert_int_equal(resize(&scene, id, 10), ERR_AGAIN);
	assert_int_equal(scene.want.kind, WANT_BLOB);
	assert_int_equal(resize(&scene, id, ABSENT_SIZE), 0); /* as it is */
	assert_int_equal(resize(&scene, id, ABSENT_SIZE + 1), ERR_AGAIN);
	struct worktree_range range = { .offset = 0, .len = 10 };

	want_release(&scene.want);
	assert_int_equal(worktree_allocate(scene.tree, &scene.by, id, &range), ERR_AGAIN);
	assert_int_equal(scene.want.kind, WANT_BLOB);
	/* Attributes alone need no contents. */
	assert_int_equal(try_change(&scene, id, &(struct worktree_change){ .what = CHANGE_MODE,
									   .mode = 0600 }),
			 0);
	/* All but the last byte is not all. */
	fill(whole, sizeof(whole), 5);
	assert_int_equal(try_write(&scene, id, 0, whole, sizeof(whole) - 1), ERR_AGAIN);
	assert_int_equal(try_write(&scene, id, 0, whole, sizeof(whole)), 0);
	expect_contents(&scene, id, whole, sizeof(whole));
	scene_crash(&scene);
	expect_contents(&scene, id, whole, sizeof(whole));
	assert_int_equal(attr_of(&scene, id).mode, S_IFREG | 0600);
	scene_release(&scene);
}

static void test_truncation_wants_nothing(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene);
	uint64_t id = at(&scene, "absent");

	assert_int_equal(resize(&scene, id, 0), 0);
	assert_int_equal(scene.want.count, 0);
	write_at(&scene, id, 3, "new");
	expect_contents(&scene, id, "\0\0\0new", 6);
	scene_crash(&scene);
	expect_contents(&scene, id, "\0\0\0new", 6);
	scene_release(&scene);
}

static void test_fetched_meanwhile(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene);
	uint64_t id = at(&scene, "absent");

	assert_int_equal(try_write(&scene, id, 4, "IN", 2), ERR_AGAIN);
	fixture_put_blob(&scene.fix, "not in the store"); /* the server had told another size */
	assert_int_equal(try_write(&scene, id, 4, "IN", 2), 0);
	expect_text(&scene, id, "not IN the store");
	scene_release(&scene);
}

/* --- from the journal to a data file and back --- */

static void test_grows_over_the_limit(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene);
	struct twin *twin = twin_new(&scene, make(&scene, WORKTREE_ROOT, "f", S_IFREG | 0600));

	twin_write(twin, 0, 100, 1);
	twin_write(twin, LOG_MAX - 50, 50, 2); /* a hole between, and still in the journal */
	assert_int_equal(data_files(&scene, NULL), 0);
	twin_write(twin, LOG_MAX, 1, 3);
	assert_int_equal(data_files(&scene, NULL), 1);
	twin_outlives(twin);
	twin_write(twin, 3 * LOG_MAX, 10, 4);
	twin_resize(twin, LOG_MAX / 2); /* it stays in its file */
	twin_resize(twin, 2 * LOG_MAX);
	twin_outlives(twin);
	twin_resize(twin, 0);
	twin_write(twin, 10, 10, 5);
	twin_outlives(twin);
	scene_close(&scene);
	assert_int_equal(data_files(&scene, NULL), 0);
	scene_open(&scene);
	twin_write(twin, 0, 2 * LOG_MAX, 6); /* a second data file of its */
	twin_outlives(twin);
	free(twin);
	scene_release(&scene);
}

static void test_exactly_at_the_limit(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene);
	struct twin *twin = twin_new(&scene, make(&scene, WORKTREE_ROOT, "f", S_IFREG | 0600));

	twin_write(twin, 0, LOG_MAX, 1);
	twin_write(twin, 5, 10, 2);
	twin_outlives(twin);
	assert_int_equal(data_files(&scene, NULL), 0);
	twin_resize(twin, LOG_MAX + 1);
	assert_int_equal(data_files(&scene, NULL), 1);
	twin_outlives(twin);
	free(twin);
	scene_release(&scene);
}

static void shrink_and_grow(struct scene *scene, uint64_t id, size_t unit)
{
	struct twin *twin = twin_new(scene, id);

	twin_write(twin, 0, unit, 1);
	twin_resize(twin, unit / 2);
	twin_resize(twin, unit);
	twin_resize(twin, unit / 4);
	twin_write(twin, unit / 2, 7, 2);
	twin_outlives(twin);
	twin_resize(twin, 3);
	twin_outlives(twin);
	twin_resize(twin, 2 * unit);
	twin_outlives(twin);
	free(twin);
}

static void test_bytes_cut_off_stay_off(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene);
	shrink_and_grow(&scene, make(&scene, WORKTREE_ROOT, "log", S_IFREG | 0600), 1000);
	shrink_and_grow(&scene, make(&scene, WORKTREE_ROOT, "spills", S_IFREG | 0600), LOG_MAX);
	shrink_and_grow(&scene, make(&scene, WORKTREE_ROOT, "file", S_IFREG | 0600), 2 * LOG_MAX);
	shrink_and_grow(&scene, at(&scene, "b"), 500);
	shrink_and_grow(&scene, at(&scene, "big"), 40000);
	scene_release(&scene);
}

/* More pieces than a file in the journal may have, over each other and apart. */
static void test_many_small_writes(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene);
	struct twin *twin = twin_new(&scene, make(&scene, WORKTREE_ROOT, "f", S_IFREG | 0600));

	for (unsigned i = 0; i < 5 * EXTENTS_MAX; i++) {
		twin_write(twin, (i * 7919) % (LOG_MAX - 300), 1 + (i * 37) % 300, i);
		if (i % 11 == 3)
			twin_resize(twin, twin->size / 2 + 1);
		if (i % 16 == 9)
			twin_outlives(twin);
	}
	for (unsigned i = 0; i < 3 * EXTENTS_MAX; i++)
		twin_write(twin, twin->size, 50, i);
	twin_outlives(twin);
	free(twin);
	scene_release(&scene);
}

static void test_partly_over_the_base(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene);
	struct twin *small = twin_new(&scene, at(&scene, "b"));
	struct twin *large = twin_new(&scene, at(&scene, "big"));

	assert_int_equal(small->size, 4);
	twin_write(small, 1, 2, 1);
	twin_write(small, 10, 2, 2);
	twin_write(large, 33333, 3, 3);
	twin_write(large, BIG_SIZE + 1000, 10, 4);
	twin_outlives(small);
	twin_check(large);
	twin_write(small, 0, 40000, 5);
	twin_resize(large, 99);
	twin_outlives(large);
	twin_check(small);
	free(small);
	free(large);
	scene_release(&scene);
}

/* --- allocation and holes --- */

static void holes(struct scene *scene, uint64_t id, size_t unit)
{
	struct twin *twin = twin_new(scene, id);
	struct worktree_range punch = { .offset = unit / 4, .len = unit / 4, .mode = 1 | 2 };
	struct worktree_range zero = { .offset = unit - 10, .len = 30, .mode = 16 };
	struct worktree_range keep = { .offset = unit, .len = 3 * unit, .mode = 1 };
	struct worktree_range grow = { .offset = 0, .len = unit + 100, .mode = 0 };
	struct worktree_range beyond = { .offset = 3 * unit, .len = unit, .mode = 1 | 2 };

	twin_write(twin, 0, unit, 1);
	assert_int_equal(worktree_allocate(scene->tree, &scene->by, id, &punch), 0);
	memset(twin->data + punch.offset, 0, punch.len);
	twin_check(twin);
	assert_int_equal(worktree_allocate(scene->tree, &scene->by, id, &zero), 0);
	memset(twin->data + zero.offset, 0, 10);
	twin->size = unit + 20;
	twin_check(twin);
	assert_int_equal(worktree_allocate(scene->tree, &scene->by, id, &keep), 0);
	assert_int_equal(worktree_allocate(scene->tree, &scene->by, id, &beyond), 0);
	twin_check(twin);
	assert_int_equal(worktree_allocate(scene->tree, &scene->by, id, &grow), 0);
	twin->size = unit + 100;
	twin_check(twin);
	twin_outlives(twin);
	free(twin);
}

static void test_allocation(void **state)
{
	struct scene scene;
	uint64_t found = 0;

	(void)state;
	scene_init(&scene);
	uint64_t file = make(&scene, WORKTREE_ROOT, "file", S_IFREG | 0600);

	holes(&scene, make(&scene, WORKTREE_ROOT, "log", S_IFREG | 0600), 1000);
	holes(&scene, file, LOG_MAX + 8192);
	assert_int_equal(resize(&scene, file, 0), 0);
	write_at(&scene, file, 64 << 10, "behind a hole");
	assert_int_equal(worktree_seek(scene.tree, file, 0, SEEK_HOLE, &found, &scene.want), 0);
	assert_true(found == 0);
	assert_int_equal(worktree_seek(scene.tree, file, 70000, SEEK_DATA, &found, &scene.want),
			 -ENXIO);
	uint64_t a = at(&scene, "a");

	assert_int_equal(worktree_seek(scene.tree, a, 2, SEEK_DATA, &found, &scene.want), 0);
	assert_true(found == 2);
	assert_int_equal(worktree_seek(scene.tree, a, 2, SEEK_HOLE, &found, &scene.want), 0);
	assert_true(found == 7);
	assert_int_equal(worktree_seek(scene.tree, a, 0, SEEK_SET, &found, &scene.want), -EINVAL);
	scene_release(&scene);
}

/* --- set-id bits and times --- */

static void test_set_id_bits(void **state)
{
	struct scene scene;
	struct worktree_write write = { .data = "x", .len = 1, .kill_setid = true };

	(void)state;
	scene_init(&scene);
	uint64_t id = make(&scene, WORKTREE_ROOT, "f", S_IFREG | 06755);

	write_at(&scene, id, 0, "by root");
	assert_int_equal(attr_of(&scene, id).mode, S_IFREG | 06755);
	assert_int_equal(worktree_write(scene.tree, &scene.by, id, &write), 0);
	assert_int_equal(attr_of(&scene, id).mode, S_IFREG | 0755);
	assert_int_equal(try_change(&scene, id, &(struct worktree_change){ .what = CHANGE_MODE,
									   .mode = 06745 }),
			 0);
	assert_int_equal(try_change(&scene, id, &(struct worktree_change){ .what = CHANGE_UID,
									   .uid = 5 }),
			 0);
	assert_int_equal(attr_of(&scene, id).mode, S_IFREG | 02745); /* locking, not set-id */
	scene_crash(&scene);
	assert_int_equal(attr_of(&scene, id).mode, S_IFREG | 02745);
	scene_release(&scene);
}

static bool moved(struct timespec before, struct timespec after)
{
	return before.tv_sec != after.tv_sec || before.tv_nsec != after.tv_nsec;
}

static void test_times(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene);
	uint64_t sub = at(&scene, "sub");
	uint64_t inner = at(&scene, "sub/inner");
	struct worktree_attr folder = attr_of(&scene, sub);
	struct worktree_attr file = attr_of(&scene, inner);

	assert_int_equal(folder.mtime.tv_sec, FIXTURE_TIME);
	write_at(&scene, inner, 0, "I");
	assert_true(moved(file.mtime, attr_of(&scene, inner).mtime));
	assert_true(moved(file.ctime, attr_of(&scene, inner).ctime));
	assert_false(moved(file.atime, attr_of(&scene, inner).atime));
	assert_false(moved(folder.mtime, attr_of(&scene, sub).mtime));
	file = attr_of(&scene, inner);
	assert_int_equal(move(&scene, sub, "inner", sub, "other", 0), 0);
	assert_true(moved(folder.mtime, attr_of(&scene, sub).mtime));
	assert_false(moved(file.mtime, attr_of(&scene, inner).mtime));
	assert_true(moved(file.ctime, attr_of(&scene, inner).ctime));
	assert_false(moved(folder.mtime, attr_of(&scene, WORKTREE_ROOT).mtime));
	scene_release(&scene);
}

/* --- beside each other --- */

#define WRITERS 4
#define ROUNDS 60

struct writer {
	struct scene *scene;
	uint64_t id;
	unsigned number;
	int rc;
	pthread_t thread;
};

static int writer_round(struct writer *writer, unsigned round)
{
	struct worktree *tree = writer->scene->tree;
	struct want want = WANT_INIT;
	struct worktree_request by = { .uid = 1000, .gid = 1000, .want = &want };
	struct worktree_new what = { .mode = S_IFREG | 0600 };
	struct worktree_attr attr;
	uint8_t data[3000];
	char name[32];
	char other[32];

	snprintf(name, sizeof(name), "w%u-%u", writer->number, round % 5);
	snprintf(other, sizeof(other), "w%u-moved", writer->number);
	fill(data, sizeof(data), writer->number + round);
	struct worktree_write write = { .offset = round * 700, .data = data, .len = sizeof(data) };
	struct worktree_move names = { WORKTREE_ROOT, name, WORKTREE_ROOT, other, 0 };
	int rc = worktree_write(tree, &by, writer->id, &write);

	if (rc == 0)
		rc = worktree_create(tree, &by, WORKTREE_ROOT, name, &what, &attr);
	if (rc == 0)
		rc = worktree_write(tree, &by, attr.id, &write);
	if (rc == 0 && round % 3 == 0)
		rc = worktree_rename(tree, &by, &names);
	else if (rc == 0)
		rc = worktree_unlink(tree, &by, WORKTREE_ROOT, name);
	if (rc == 0 && round % 8 == 0)
		rc = worktree_sync_node(tree, writer->id);
	if (rc == 0)
		worktree_forget(tree, attr.id, 1);
	return rc;
}

static void *write_on(void *arg)
{
	struct writer *writer = arg;

	for (unsigned i = 0; i < ROUNDS && writer->rc == 0; i++)
		writer->rc = writer_round(writer, i);
	return NULL;
}

static void test_compaction_beside_writers(void **state)
{
	struct scene scene;
	struct writer writers[WRITERS];
	AUTO_BUF struct buf before = BUF_INIT;
	char name[32];

	(void)state;
	scene_init(&scene);
	scene.segment_bytes = 16384;
	scene_reopen(&scene);
	for (unsigned i = 0; i < WRITERS; i++) {
		snprintf(name, sizeof(name), "writer%u", i);
		writers[i] = (struct writer){ .scene = &scene, .number = i };
		writers[i].id = make(&scene, WORKTREE_ROOT, name, S_IFREG | 0600);
		assert_int_equal(pthread_create(&writers[i].thread, NULL, write_on, &writers[i]),
				 0);
	}
	for (int i = 0; i < 20; i++) {
		assert_int_equal(worktree_compact(scene.tree), 0);
		assert_int_equal(worktree_sync(scene.tree), 0);
		(void)worktree_is_dirty(scene.tree);
	}
	for (unsigned i = 0; i < WRITERS; i++) {
		pthread_join(writers[i].thread, NULL);
		assert_int_equal(writers[i].rc, 0);
	}
	for (unsigned i = 0; i < WRITERS; i++) {
		uint8_t expected[ROUNDS * 700 + 3000];

		for (unsigned round = 0; round < ROUNDS; round++)
			fill(expected + round * 700, 3000, i + round);
		expect_contents(&scene, writers[i].id, expected, (ROUNDS - 1) * 700 + 3000);
	}
	describe(&scene, &before);
	scene_crash(&scene);
	expect_same(&scene, &before);
	assert_int_equal(worktree_compact(scene.tree), 0);
	scene_crash(&scene);
	expect_same(&scene, &before);
	assert_int_equal(stats_of(&scene).condemned, 0);
	scene_release(&scene);
}

/* Whatever nobody syncs reaches the disk by itself. */
static void test_upkeep(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene);
	assert_int_equal(worktree_upkeep_start(scene.tree), 0);
	write_fill(&scene, make(&scene, WORKTREE_ROOT, "f", S_IFREG | 0600), 0, 50000, 1);
	write_at(&scene, at(&scene, "a"), 0, "HELLO");
	for (int i = 0; i < 100; i++) {
		struct worktree_stats stats = stats_of(&scene);

		if (stats.unsynced == 0 && stats.journal.synced_lsn == stats.journal.last_lsn)
			break;
		assert_true(i < 99);
		usleep(100000);
	}
	assert_int_equal(stats_of(&scene).failed, 0);
	scene_release(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wants),
		cmocka_unit_test(test_truncation_wants_nothing),
		cmocka_unit_test(test_fetched_meanwhile),
		cmocka_unit_test(test_grows_over_the_limit),
		cmocka_unit_test(test_exactly_at_the_limit),
		cmocka_unit_test(test_bytes_cut_off_stay_off),
		cmocka_unit_test(test_many_small_writes),
		cmocka_unit_test(test_partly_over_the_base),
		cmocka_unit_test(test_allocation),
		cmocka_unit_test(test_set_id_bits),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_compaction_beside_writers),
		cmocka_unit_test(test_upkeep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
