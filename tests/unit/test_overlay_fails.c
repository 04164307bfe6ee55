/* Changes that fail, for want of memory or of a disk: nothing of them is there. */
#include "overlay_fixture.h"

#include "failing_alloc.h"
#include "worktree/journal.h"
#include "worktree/local.h"

/* --- each change, as something that can be tried --- */

static int create_as(struct scene *scene, const char *name, uint32_t mode, const char *target)
{
	struct worktree_new what = { .mode = mode, .target = target };
	struct worktree_attr attr;

	return worktree_create(scene->tree, &scene->by, WORKTREE_ROOT, name, &what, &attr);
}

static int do_create(struct scene *scene)
{
	return create_as(scene, "new", S_IFREG | 0600, NULL);
}

static int do_mkdir(struct scene *scene)
{
	return create_as(scene, "new", S_IFDIR | 0700, NULL);
}

static int do_symlink(struct scene *scene)
{
	return create_as(scene, "new", S_IFLNK | 0777, "a/target");
}

static int do_unlink_base(struct scene *scene)
{
	return worktree_unlink(scene->tree, &scene->by, WORKTREE_ROOT, "b");
}

static int do_unlink_large(struct scene *scene)
{
	return worktree_unlink(scene->tree, &scene->by, WORKTREE_ROOT, "large");
}

static int do_rmdir(struct scene *scene)
{
	return worktree_rmdir(scene->tree, &scene->by, WORKTREE_ROOT, "dir");
}

static int do_rename(struct scene *scene)
{
	return move(scene, WORKTREE_ROOT, "a", at(scene, "dir"), "a-moved", 0);
}

static int do_rename_over(struct scene *scene)
{
	return move(scene, WORKTREE_ROOT, "large", WORKTREE_ROOT, "tool", 0);
}

static int do_exchange(struct scene *scene)
{
	return move(scene, WORKTREE_ROOT, "sub", WORKTREE_ROOT, "small", RENAME_EXCHANGE);
}

static int do_link(struct scene *scene)
{
	struct worktree_attr attr;

	return worktree_link(scene->tree, &scene->by, at(scene, "a"), at(scene, "dir"), "hard",
			     &attr);
}

static int do_write_base(struct scene *scene)
{
	return try_write(scene, at(scene, "a"), 2, "XX", 2);
}

static int do_write_base_large(struct scene *scene)
{
	return try_write(scene, at(scene, "big"), 2, "XX", 2);
}

static int do_write_all(struct scene *scene)
{
	return try_write(scene, at(scene, "b"), 0, "everything", 10);
}

static int do_write_log(struct scene *scene)
{
	return try_write(scene, at(scene, "small"), 5, "piece", 5);
}

static int do_write_full(struct scene *scene)
{
	return try_write(scene, at(scene, "pieces"), 5, "piece", 5);
}

static int do_spill(struct scene *scene)
{
	return try_write(scene, at(scene, "small"), 40000, "far", 3);
}

static int do_write_file(struct scene *scene)
{
	return try_write(scene, at(scene, "large"), 49998, "over the end", 12);
}

static int do_truncate(struct scene *scene)
{
	return resize(scene, at(scene, "large"), 0);
}

static int do_shrink(struct scene *scene)
{
	return resize(scene, at(scene, "large"), 100);
}

static int do_grow(struct scene *scene)
{
	return resize(scene, at(scene, "large"), 60000);
}

static int do_chmod(struct scene *scene)
{
	return try_change(scene, at(scene, "sub/inner"),
			  &(struct worktree_change){ .what = CHANGE_MODE, .mode = 0600 });
}

static int do_setxattr(struct scene *scene)
{
	struct worktree_xattr xattr = { .name = "user.x", .value = "other", .len = 5 };

	return worktree_setxattr(scene->tree, &scene->by, at(scene, "small"), &xattr);
}

static int do_removexattr(struct scene *scene)
{
	return worktree_removexattr(scene->tree, &scene->by, at(scene, "small"), "user.x");
}

static int do_punch(struct scene *scene)
{
	struct worktree_range range = { .offset = 4096, .len = 8192, .mode = 1 | 2 };

	return worktree_allocate(scene->tree, &scene->by, at(scene, "large"), &range);
}

static int do_sync(struct scene *scene)
{
	return worktree_sync_node(scene->tree, at(scene, "large"));
}

static int do_compact(struct scene *scene)
{
	return worktree_compact(scene->tree);
}

static const struct attempt {
	const char *name;
	int (*change)(struct scene *scene);
	bool shows; /* as it differs afterwards */
} attempts[] = {
	{ "create", do_create, true },
	{ "mkdir", do_mkdir, true },
	{ "symlink", do_symlink, true },
	{ "unlink (base)", do_unlink_base, true },
	{ "unlink (large)", do_unlink_large, true },
	{ "rmdir", do_rmdir, true },
	{ "rename", do_rename, true },
	{ "rename over", do_rename_over, true },
	{ "exchange", do_exchange, true },
	{ "link", do_link, true },
	{ "write (base)", do_write_base, true },
	{ "write (large base)", do_write_base_large, true },
	{ "write (all of it)", do_write_all, true },
	{ "write (log)", do_write_log, true },
	{ "write (all extents used)", do_write_full, true },
	{ "write (spills)", do_spill, true },
	{ "write (data file)", do_write_file, true },
	{ "truncate", do_truncate, true },
	{ "shrink", do_shrink, true },
	{ "grow", do_grow, true },
	{ "chmod", do_chmod, true },
	{ "setxattr", do_setxattr, true },
	{ "removexattr", do_removexattr, true },
	{ "punch", do_punch, true },
	{ "sync", do_sync, false },
	{ "compact", do_compact, false },
};
#define ATTEMPTS (sizeof(attempts) / sizeof(attempts[0]))

static void attempt_init(struct scene *scene)
{
	struct worktree_xattr xattr = { .name = "user.x", .value = "value", .len = 5 };

	scene_init(scene);
	scene->segment_bytes = 64 << 10;
	scene_reopen(scene);
	uint64_t small = make(scene, WORKTREE_ROOT, "small", S_IFREG | 0600);
	uint64_t pieces = make(scene, WORKTREE_ROOT, "pieces", S_IFREG | 0600);

	make(scene, WORKTREE_ROOT, "dir", S_IFDIR | 0755);
	write_at(scene, small, 0, "a small file");
	assert_int_equal(worktree_setxattr(scene->tree, &scene->by, small, &xattr), 0);
	for (unsigned i = 0; i < EXTENTS_MAX; i++)
		write_at(scene, pieces, i * 20, "extent");
	write_fill(scene, make(scene, WORKTREE_ROOT, "large", S_IFREG | 0600), 0, 50000, 1);
	assert_int_equal(find(scene, "dir/none") + find(scene, "sub/deep/none"), 0);
}

/* It may be that the change is there and now there is no more: never half of it. */
static void attempt_goes_through(struct scene *scene, const struct attempt *attempt,
				 const struct buf *before)
{
	AUTO_BUF struct buf after = BUF_INIT;

	describe(scene, &after);
	if (attempt->shows && before->len == after.len &&
	    memcmp(before->data, after.data, after.len) == 0)
		fail_msg("%s: nothing happened", attempt->name);
	scene_crash(scene);
	expect_same(scene, &after);
	assert_int_equal(stats_of(scene).condemned, 0);
}

static void test_memory_runs_out(void **state)
{
	(void)state;
	for (size_t i = 0; i < ATTEMPTS; i++) {
		struct scene scene;
		AUTO_BUF struct buf before = BUF_INIT;
		bool failed = true;
		long nth = 0;
		int rc;

		attempt_init(&scene);
		describe(&scene, &before);
		do {
			failing_alloc_arm(++nth);
			rc = attempts[i].change(&scene);
			failed = failing_alloc_disarm();
			assert_true(failed || rc == 0);
			if (rc == 0)
				break; /* also where it can do without the memory */
			expect_same(&scene, &before);
			if (nth % 4 == 1)
				scene_crash(&scene);
			expect_same(&scene, &before);
		} while (failed);
		assert_int_equal(stats_of(&scene).failed, 0);
		attempt_goes_through(&scene, &attempts[i], &before);
		scene_release(&scene);
	}
}

/* The frame does not get to the journal: as it was, and once there is room it is done. */
static void fails_at(const char *rule, int error, bool data)
{
	for (size_t i = 0; i < ATTEMPTS; i++) {
		struct scene scene;
		AUTO_BUF struct buf before = BUF_INIT;

		attempt_init(&scene);
		describe(&scene, &before);
		assert_int_equal(failpoint_set(rule), 0);
		int rc = attempts[i].change(&scene);

		assert_int_equal(failpoint_set(NULL), 0);
		if (rc != error && !(data && rc == 0))
			fail_msg("%s: %d", attempts[i].name, rc);
		/* What is in a data file is written in place, before its record. */
		if (rc < 0 && attempts[i].change != do_punch && attempts[i].change != do_write_file)
			expect_same(&scene, &before);
		if (rc < 0 && !attempts[i].shows)
			rc = 0;
		else if (rc < 0)
			rc = attempts[i].change(&scene);
		assert_int_equal(rc, 0);
		assert_int_equal(stats_of(&scene).failed, 0);
		attempt_goes_through(&scene, &attempts[i], &before);
		scene_release(&scene);
	}
}

static void test_journal_is_full(void **state)
{
	(void)state;
	fails_at("journal.write:1+=ENOSPC", -ENOSPC, false);
	fails_at("journal.write:1+=EIO", -EIO, false);
}

static void test_data_disk_is_full(void **state)
{
	(void)state;
	fails_at("contents.file.write:1+=ENOSPC", -ENOSPC, true);
}

/* Bytes of a write that failed are not there when the file grows over them. */
static void test_no_bytes_of_failed_writes(void **state)
{
	struct scene scene;
	static const uint8_t zeros[100];

	(void)state;
	attempt_init(&scene);
	uint64_t id = at(&scene, "large");

	assert_int_equal(failpoint_set("journal.write:1+=ENOSPC"), 0);
	assert_int_equal(try_write(&scene, id, 50000, "not to be seen", 14), -ENOSPC);
	assert_int_equal(failpoint_set(NULL), 0);
	assert_int_equal(attr_of(&scene, id).size, 50000);
	assert_int_equal(resize(&scene, id, 50100), 0);
	AUTO_BUF struct buf data = BUF_INIT;

	assert_int_equal(contents(&scene, id, &data), 0);
	assert_memory_equal(data.data + 50000, zeros, 100);
	scene_release(&scene);
}

/* --- a disk that fails --- */

static void expect_read_only(struct scene *scene)
{
	struct worktree_attr attr;

	for (size_t i = 0; i < ATTEMPTS; i++)
		if (attempts[i].change(scene) != -EROFS)
			fail_msg("%s is allowed", attempts[i].name);
	assert_int_equal(worktree_sync(scene->tree), -EROFS);
	expect_text(scene, at(scene, "small"), "a small file"); /* reading goes on */
	assert_int_equal(worktree_getattr(scene->tree, at(scene, "a"), 1, &attr, &scene->want), 0);
}

/* Not one data file of before is trusted any more: those are other files. */
static void expect_written_anew(struct scene *scene, const char *failed, const char *old_file)
{
	struct stat st;

	assert_int_equal(access(failed, F_OK), -1);
	assert_int_equal(worktree_sync(scene->tree), 0);
	scene_reopen(scene); /* so that what was put away is gone */
	assert_int_equal(stat(old_file, &st), -1);
	assert_true(data_files(scene, NULL) > 0);
}

static void sync_fails(const char *rule, bool node)
{
	char failed[512], old_file[512];

	struct scene scene;
	AUTO_BUF struct buf before = BUF_INIT;

	attempt_init(&scene);
	describe(&scene, &before);
	assert_int_equal(failpoint_set(rule), 0);
	assert_int_equal(node ? do_sync(&scene) : worktree_sync(scene.tree), -EROFS);
	assert_int_equal(failpoint_set(NULL), 0);
	assert_int_equal(stats_of(&scene).failed != 0, 1);
	expect_read_only(&scene);
	snprintf(failed, sizeof(failed), "%s/failed", scene.overlay);
	assert_int_equal(access(failed, F_OK), 0);
	assert_true(data_files(&scene, old_file) > 0);
	scene_reopen(&scene);
	expect_same(&scene, &before);
	expect_written_anew(&scene, failed, old_file);
	assert_int_equal(do_create(&scene), 0);
	assert_int_equal(worktree_sync(scene.tree), 0);
	scene_release(&scene);
}

static void test_failed_sync_is_final(void **state)
{
	(void)state;
	sync_fails("journal.sync=EIO", true);
	sync_fails("journal.sync=EIO", false);
	sync_fails("contents.file.sync=EIO", true);
	sync_fails("contents.file.sync=ENOSPC", false);
}

/* --- what the journal says of requests --- */

struct uniques {
	uint64_t wanted;
	unsigned count;
	bool last;
};

static int count_unique(void *arg, const struct journal_frame *frame)
{
	struct uniques *found = arg;

	found->last = frame->unique == found->wanted;
	found->count += found->last;
	return 0;
}

/* One frame carries the number of a request: the one that makes it done. */
static void test_request_numbers(void **state)
{
	static int (*const changes[])(struct scene *) = {
		do_create, do_unlink_base, do_rename_over, do_write_base, do_write_base_large,
		do_write_all, do_spill, do_write_file, do_shrink, do_grow, do_chmod, do_setxattr,
		do_punch,
	};
	char dir[128];

	(void)state;
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		struct scene scene;
		struct uniques found = { .wanted = 4711 };
		struct journal_recovery recovery;
		struct journal *journal = NULL;

		attempt_init(&scene);
		scene.by.unique = found.wanted;
		assert_int_equal(changes[i](&scene), 0);
		struct journal_config config = { .dir = dir, .algo = HASH_SHA1, .read_only = true,
						 .boot_id_path = scene.boot };

		snprintf(dir, sizeof(dir), "%s/journal", scene.overlay);
		assert_int_equal(journal_open(&journal, &config, count_unique, &found, &recovery,
					      NULL),
				 0);
		journal_close(journal);
		assert_int_equal(found.count, 1);
		/* A name that has gone takes its node along, afterwards. */
		assert_true(found.last || changes[i] == do_unlink_base ||
			    changes[i] == do_rename_over);
		scene_release(&scene);
	}
}

/* --- extended attributes without end --- */

static void test_many_xattrs(void **state)
{
	struct scene scene;
	AUTO_BUF struct buf before = BUF_INIT;
	static char value[64 << 10];
	char name[32];

	(void)state;
	scene_init(&scene);
	uint64_t id = at(&scene, "a");

	for (unsigned i = 0; i < 50; i++) {
		struct worktree_xattr xattr = { .name = name, .value = value,
						.len = sizeof(value) };

		snprintf(name, sizeof(name), "user.number-%u", i);
		memset(value, (int)i, sizeof(value));
		assert_int_equal(worktree_setxattr(scene.tree, &scene.by, id, &xattr), 0);
	}
	write_at(&scene, id, 0, "J");
	describe(&scene, &before);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(worktree_compact(scene.tree), 0);
		expect_same(&scene, &before);
		scene_crash(&scene);
		expect_same(&scene, &before);
	}
	scene_release(&scene);
}

static int leave(void **state)
{
	(void)state;
	return failpoint_set(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory_runs_out),
		cmocka_unit_test_teardown(test_journal_is_full, leave),
		cmocka_unit_test_teardown(test_data_disk_is_full, leave),
		cmocka_unit_test_teardown(test_no_bytes_of_failed_writes, leave),
		cmocka_unit_test_teardown(test_failed_sync_is_final, leave),
		cmocka_unit_test(test_request_numbers),
		cmocka_unit_test(test_many_xattrs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
