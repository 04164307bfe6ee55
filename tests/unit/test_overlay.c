/* A writable worktree: every change, and that it is there afterwards. */
#include "overlay_fixture.h"

static void set_xattr(struct scene *scene, uint64_t id, const char *name, const char *value)
{
	struct worktree_xattr xattr = { .name = name, .value = value, .len = strlen(value) };

	assert_int_equal(worktree_setxattr(scene->tree, &scene->by, id, &xattr), 0);
}

/* Something of every kind, to files of the base and to new ones. */
static void change_names(struct scene *scene)
{
	uint64_t dir = make(scene, WORKTREE_ROOT, "dir", S_IFDIR | 0750);
	uint64_t inner = make(scene, dir, "inner-dir", S_IFDIR | 02711);
	uint64_t file = make(scene, inner, "file", S_IFREG | 0640);
	struct worktree_attr attr;

	make(scene, dir, "symlink", S_IFLNK | 0777);
	make(scene, dir, "fifo", S_IFIFO | 0600);
	make(scene, dir, "socket", S_IFSOCK | 0600);
	make(scene, dir, "device", S_IFCHR | 0600);
	write_at(scene, file, 0, "contents of a new file");
	assert_int_equal(worktree_link(scene->tree, &scene->by, file, WORKTREE_ROOT, "hard", &attr),
			 0);
	worktree_forget(scene->tree, attr.id, 1);
	assert_int_equal(attr.nlink, 2);
	uint64_t b = at(scene, "b");

	assert_int_equal(worktree_link(scene->tree, &scene->by, b, dir, "b-too", &attr), 0);
	worktree_forget(scene->tree, attr.id, 1);
	assert_int_equal(worktree_unlink(scene->tree, &scene->by, WORKTREE_ROOT, "tool"), 0);
	assert_int_equal(move(scene, at(scene, "sub"), "deep", dir, "deep-moved", 0), 0);
	assert_int_equal(move(scene, WORKTREE_ROOT, "lazy", dir, "lazy-moved", 0), 0);
	assert_int_equal(move(scene, WORKTREE_ROOT, "link", WORKTREE_ROOT, "module",
			      RENAME_EXCHANGE),
			 0);
	make(scene, WORKTREE_ROOT, "goes", S_IFDIR | 0755);
	assert_int_equal(worktree_rmdir(scene->tree, &scene->by, WORKTREE_ROOT, "goes"), 0);
}

static void change_nodes(struct scene *scene)
{
	struct worktree_change all = {
		.what = CHANGE_MODE | CHANGE_UID | CHANGE_GID | CHANGE_ATIME | CHANGE_MTIME,
		.mode = 04711, .uid = 7, .gid = 8,
		.atime = { .tv_sec = -5, .tv_nsec = 1 },
		.mtime = { .tv_sec = 4000000000, .tv_nsec = 999999999 },
	};
	struct worktree_range range = { .offset = 2, .len = 3,
					.mode = 1 | 2 /* KEEP_SIZE, PUNCH_HOLE */ };

	assert_int_equal(try_change(scene, at(scene, "a"), &all), 0);
	assert_int_equal(try_change(scene, at(scene, "sub"), &all), 0);
	write_at(scene, at(scene, "b"), 2, "BB and more");
	assert_int_equal(worktree_allocate(scene->tree, &scene->by, at(scene, "b"), &range), 0);
	write_at(scene, at(scene, "big"), 50000, "in the middle");
	assert_int_equal(resize(scene, at(scene, "absent"), 0), 0);
	set_xattr(scene, at(scene, "sub/inner"), "user.one", "1");
	set_xattr(scene, at(scene, "sub/inner"), "user.two", "two");
	set_xattr(scene, at(scene, "dir"), "user.dir", "");
	set_xattr(scene, at(scene, "sub/inner"), "user.two", "anew");
	assert_int_equal(worktree_removexattr(scene->tree, &scene->by, at(scene, "sub/inner"),
					      "user.one"),
			 0);
	uint64_t large = make(scene, at(scene, "dir"), "large", S_IFREG | 0600);

	write_fill(scene, large, 0, 70000, 3);
	assert_int_equal(worktree_sync_node(scene->tree, large), 0);
	write_fill(scene, large, 65000, 20000, 4);
	write_fill(scene, make(scene, at(scene, "dir"), "unsynced", S_IFREG | 0600), 0, 40000, 5);
}

static void change_all(struct scene *scene)
{
	change_names(scene);
	change_nodes(scene);
	assert_true(worktree_is_dirty(scene->tree));
}

static void test_survives_a_close(void **state)
{
	struct scene scene;
	AUTO_BUF struct buf before = BUF_INIT;
	AUTO_BUF struct buf fresh = BUF_INIT;
	struct oid base;

	(void)state;
	scene_init(&scene);
	assert_false(worktree_is_dirty(scene.tree));
	describe(&scene, &fresh);
	change_all(&scene);
	describe(&scene, &before);
	assert_true(before.len > fresh.len);
	for (int i = 0; i < 3; i++) {
		scene_reopen(&scene);
		expect_same(&scene, &before);
		assert_true(worktree_is_dirty(scene.tree));
		assert_true(worktree_overlay_base(scene.tree, &base));
		assert_true(oid_equal(&base, &scene.commit));
		assert_int_equal(stats_of(&scene).condemned + stats_of(&scene).reverted, 0);
	}
	scene_release(&scene);
}

static void test_survives_a_crash(void **state)
{
	struct scene scene;
	AUTO_BUF struct buf before = BUF_INIT;

	(void)state;
	scene_init(&scene);
	change_all(&scene);
	describe(&scene, &before);
	for (int i = 0; i < 3; i++) {
		scene_crash(&scene);
		expect_same(&scene, &before);
		assert_int_equal(stats_of(&scene).condemned + stats_of(&scene).reverted, 0);
	}
	/* What it is made of goes on working. */
	write_at(&scene, at(&scene, "hard"), 0, "CONTENTS");
	expect_text(&scene, at(&scene, "dir/inner-dir/file"), "CONTENTS of a new file");
	scene_release(&scene);
}

static void test_survives_compaction(void **state)
{
	struct scene scene;
	AUTO_BUF struct buf before = BUF_INIT;

	(void)state;
	scene_init(&scene);
	change_all(&scene);
	describe(&scene, &before);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(worktree_compact(scene.tree), 0);
		assert_true(stats_of(&scene).journal.segments == 1);
		expect_same(&scene, &before);
		if (i == 1)
			scene_reopen(&scene);
		else
			scene_crash(&scene);
		expect_same(&scene, &before);
		assert_int_equal(stats_of(&scene).condemned + stats_of(&scene).reverted, 0);
	}
	scene_release(&scene);
}

/* Small segments: everything lies in many of them. */
static void test_many_segments(void **state)
{
	struct scene scene;
	AUTO_BUF struct buf before = BUF_INIT;

	(void)state;
	scene_init(&scene);
	scene.segment_bytes = 512;
	scene_reopen(&scene);
	change_all(&scene);
	describe(&scene, &before);
	assert_true(stats_of(&scene).journal.segments > 10);
	scene_crash(&scene);
	expect_same(&scene, &before);
	assert_int_equal(worktree_compact(scene.tree), 0);
	expect_same(&scene, &before);
	scene_crash(&scene);
	expect_same(&scene, &before);
	scene_release(&scene);
}

static void test_ids_are_new(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene);
	uint64_t file = make(&scene, WORKTREE_ROOT, "file", S_IFREG | 0600);

	assert_int_equal(worktree_unlink(scene.tree, &scene.by, WORKTREE_ROOT, "file"), 0);
	for (int i = 0; i < 4; i++) {
		if (i % 2 == 1)
			assert_int_equal(worktree_compact(scene.tree), 0);
		scene_reopen(&scene);
		uint64_t next = make(&scene, WORKTREE_ROOT, "next", S_IFREG | 0600);

		assert_true(next > file);
		file = next;
		assert_int_equal(worktree_unlink(scene.tree, &scene.by, WORKTREE_ROOT, "next"), 0);
	}
	scene_release(&scene);
}

/* --- names that have gone --- */

static void test_orphans(void **state)
{
	struct scene scene;
	struct worktree_attr attr;
	AUTO_BUF struct buf path = BUF_INIT;

	(void)state;
	scene_init(&scene);
	uint64_t small = at(&scene, "a");
	uint64_t large = make(&scene, WORKTREE_ROOT, "large", S_IFREG | 0600);
	uint64_t nameless = make(&scene, WORKTREE_ROOT, NULL, S_IFREG | 0600);

	write_fill(&scene, large, 0, 50000, 1);
	write_at(&scene, nameless, 0, "nobody's");
	assert_int_equal(worktree_lookup(scene.tree, WORKTREE_ROOT, "a", &attr, &scene.want), 0);
	assert_int_equal(worktree_lookup(scene.tree, WORKTREE_ROOT, "large", &attr, &scene.want),
			 0);
	assert_int_equal(worktree_unlink(scene.tree, &scene.by, WORKTREE_ROOT, "a"), 0);
	assert_int_equal(worktree_unlink(scene.tree, &scene.by, WORKTREE_ROOT, "large"), 0);
	assert_int_equal(find(&scene, "a") + find(&scene, "large"), 0);
	assert_int_equal(worktree_path(scene.tree, large, &path), -ESTALE);
	expect_text(&scene, small, "hello a");
	expect_text(&scene, nameless, "nobody's");
	assert_int_equal(attr_of(&scene, large).nlink, 0);
	write_at(&scene, small, 0, "HELLO");
	expect_text(&scene, small, "HELLO a");
	assert_int_equal(resize(&scene, large, 45000), 0);
	assert_int_equal(attr_of(&scene, large).size, 45000);
	assert_int_equal(worktree_compact(scene.tree), 0);
	assert_int_equal(data_files(&scene, NULL), 1);

	worktree_forget(scene.tree, large, 1);
	worktree_forget(scene.tree, small, 1);
	assert_int_equal(worktree_getattr(scene.tree, large, 1, &attr, &scene.want), -ESTALE);
	/* What it was stays until the journal's word that it is gone is durable. */
	assert_int_equal(data_files(&scene, NULL), 1);
	scene_close(&scene);
	assert_int_equal(data_files(&scene, NULL), 0);
	scene_open(&scene);
	assert_int_equal(worktree_getattr(scene.tree, nameless, 1, &attr, &scene.want), -ESTALE);
	assert_int_equal(find(&scene, "a"), 0);
	scene_release(&scene);
}

static void test_nameless_gets_a_name(void **state)
{
	struct scene scene;
	struct worktree_attr attr;

	(void)state;
	scene_init(&scene);
	uint64_t id = make(&scene, WORKTREE_ROOT, NULL, S_IFREG | 0600);

	write_at(&scene, id, 0, "named late");
	assert_int_equal(attr_of(&scene, id).nlink, 0);
	assert_int_equal(worktree_link(scene.tree, &scene.by, id, WORKTREE_ROOT, "late", &attr), 0);
	assert_int_equal(attr.nlink, 1);
	scene_crash(&scene);
	assert_true(at(&scene, "late") == id);
	expect_text(&scene, id, "named late");
	scene_release(&scene);
}

/* Nobody had it open when the daemon was killed. */
static void test_sweeps_what_nobody_names(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene);
	write_fill(&scene, make(&scene, WORKTREE_ROOT, "kept", S_IFREG | 0600), 0, 40000, 1);
	write_fill(&scene, make(&scene, WORKTREE_ROOT, NULL, S_IFREG | 0600), 0, 40000, 2);
	assert_int_equal(data_files(&scene, NULL), 2);
	scene_crash(&scene);
	assert_int_equal(data_files(&scene, NULL), 1);
	assert_int_equal(attr_of(&scene, at(&scene, "kept")).size, 40000);
	scene_release(&scene);
}

/* --- refusals --- */

static int create_rc(struct scene *scene, uint64_t parent, const char *name)
{
	struct worktree_new what = { .mode = S_IFREG | 0600 };
	struct worktree_attr attr;

	return worktree_create(scene->tree, &scene->by, parent, name, &what, &attr);
}

static void test_refuses(void **state)
{
	struct scene scene;
	struct worktree_attr attr;
	char longest[257];

	(void)state;
	memset(longest, 'n', 256);
	longest[256] = '\0';
	scene_init(&scene);
	AUTO_BUF struct buf before = BUF_INIT;
	struct worktree *tree = scene.tree;
	uint64_t module = at(&scene, "module");
	uint64_t sub = at(&scene, "sub");
	uint64_t a = at(&scene, "a");

	describe(&scene, &before);
	assert_int_equal(create_rc(&scene, module, "x"), -EROFS);
	assert_int_equal(worktree_unlink(tree, &scene.by, module, "x"), -EROFS);
	assert_int_equal(move(&scene, WORKTREE_ROOT, "a", module, "a", 0), -EROFS);
	assert_int_equal(worktree_link(tree, &scene.by, a, module, "a", &attr), -EROFS);
	assert_int_equal(create_rc(&scene, WORKTREE_ROOT, "a"), -EEXIST);
	assert_int_equal(create_rc(&scene, a, "x"), -ENOTDIR);
	assert_int_equal(create_rc(&scene, WORKTREE_ROOT, longest), -ENAMETOOLONG);
	assert_int_equal(worktree_unlink(tree, &scene.by, WORKTREE_ROOT, "sub"), -EISDIR);
	assert_int_equal(worktree_rmdir(tree, &scene.by, WORKTREE_ROOT, "a"), -ENOTDIR);
	assert_int_equal(worktree_rmdir(tree, &scene.by, WORKTREE_ROOT, "sub"), -ENOTEMPTY);
	assert_int_equal(worktree_rmdir(tree, &scene.by, WORKTREE_ROOT, "lazy"), ERR_AGAIN);
	assert_int_equal(scene.want.kind, WANT_TREE);
	assert_int_equal(worktree_unlink(tree, &scene.by, WORKTREE_ROOT, "none"), -ENOENT);
	assert_int_equal(worktree_link(tree, &scene.by, sub, WORKTREE_ROOT, "s", &attr), -EPERM);
	assert_int_equal(worktree_link(tree, &scene.by, a, WORKTREE_ROOT, "b", &attr), -EEXIST);
	assert_int_equal(move(&scene, WORKTREE_ROOT, "none", sub, "x", 0), -ENOENT);
	assert_int_equal(move(&scene, WORKTREE_ROOT, "a", WORKTREE_ROOT, "b", RENAME_NOREPLACE),
			 -EEXIST);
	assert_int_equal(move(&scene, WORKTREE_ROOT, "a", WORKTREE_ROOT, "c", RENAME_EXCHANGE),
			 -ENOENT);
	assert_int_equal(move(&scene, WORKTREE_ROOT, "sub", at(&scene, "sub/deep"), "x", 0),
			 -EINVAL);
	assert_int_equal(move(&scene, WORKTREE_ROOT, "sub", WORKTREE_ROOT, "a", 0), -ENOTDIR);
	assert_int_equal(move(&scene, WORKTREE_ROOT, "a", WORKTREE_ROOT, "sub", 0), -EISDIR);
	assert_int_equal(move(&scene, sub, "deep", WORKTREE_ROOT, "lazy", 0), ERR_AGAIN);
	assert_int_equal(move(&scene, WORKTREE_ROOT, "a", sub, "x", 64), -EINVAL);
	assert_int_equal(try_write(&scene, sub, 0, "x", 1), -EISDIR);
	assert_int_equal(try_write(&scene, at(&scene, "link"), 0, "x", 1), -EINVAL);
	assert_int_equal(try_write(&scene, a, INT64_MAX, "x", 1), -EFBIG);
	assert_int_equal(resize(&scene, a, UINT64_MAX), -EFBIG);
	assert_int_equal(resize(&scene, sub, 0), -EISDIR);
	expect_same(&scene, &before);
	assert_false(worktree_is_dirty(tree));
	scene_reopen(&scene);
	expect_same(&scene, &before);
	scene_release(&scene);
}

/* --- moving --- */

static void test_moves_an_unfetched_folder(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene);
	uint64_t lazy = at(&scene, "lazy");
	uint64_t id;

	assert_int_equal(move(&scene, WORKTREE_ROOT, "lazy", at(&scene, "sub"), "moved", 0), 0);
	assert_int_equal(scene.want.count, 0);
	assert_int_equal(worktree_find(scene.tree, "sub/moved/x", &id, &scene.want), ERR_AGAIN);
	assert_int_equal(scene.want.kind, WANT_TREE);
	scene_crash(&scene);
	assert_int_equal(worktree_find(scene.tree, "sub/moved/x", &id, &scene.want), ERR_AGAIN);
	fixture_put_tree(&scene.fix, &scene.lazy);
	expect_text(&scene, at(&scene, "sub/moved/x"), "lazy x");
	assert_true(at(&scene, "sub/moved") == lazy);
	assert_int_equal(find(&scene, "lazy"), 0);
	write_at(&scene, at(&scene, "sub/moved/x"), 0, "LAZY");
	scene_crash(&scene);
	expect_text(&scene, at(&scene, "sub/moved/x"), "LAZY x");
	scene_release(&scene);
}

static void test_moves_over_others(void **state)
{
	struct scene scene;
	AUTO_BUF struct buf before = BUF_INIT;

	(void)state;
	scene_init(&scene);
	uint64_t a = at(&scene, "a");
	uint64_t sub = at(&scene, "sub");
	uint64_t empty = make(&scene, WORKTREE_ROOT, "empty", S_IFDIR | 0755);

	assert_int_equal(move(&scene, WORKTREE_ROOT, "a", WORKTREE_ROOT, "b", 0), 0);
	assert_true(at(&scene, "b") == a && find(&scene, "a") == 0);
	assert_int_equal(move(&scene, WORKTREE_ROOT, "sub", WORKTREE_ROOT, "empty", 0), 0);
	assert_true(at(&scene, "empty") == sub && find(&scene, "sub") == 0);
	expect_text(&scene, at(&scene, "empty/deep/leaf"), "leaf");
	assert_int_not_equal(empty, sub);
	assert_int_equal(move(&scene, WORKTREE_ROOT, "tool", sub, "inner", RENAME_EXCHANGE), 0);
	expect_text(&scene, at(&scene, "tool"), "inside");
	expect_text(&scene, at(&scene, "empty/inner"), "#!");
	assert_int_equal(make(&scene, WORKTREE_ROOT, "a", S_IFREG | 0600) == a, 0);
	describe(&scene, &before);
	scene_crash(&scene);
	expect_same(&scene, &before);
	scene_release(&scene);
}

/* Moved away and back is not moved: neither the overlay nor a new mount says so. */
static void test_moves_away_and_back(void **state)
{
	struct scene scene;
	static const char *const names[] = { "a", "sub", "lazy", "link", "module", "absent" };

	(void)state;
	scene_init(&scene);
	uint64_t sub = at(&scene, "sub");

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		uint64_t other = i == 1 ? WORKTREE_ROOT : sub;
		uint64_t id = at(&scene, names[i]);

		assert_int_equal(move(&scene, WORKTREE_ROOT, names[i], other, "away", 0), 0);
		assert_true(worktree_is_dirty(scene.tree));
		assert_int_equal(move(&scene, other, "away", WORKTREE_ROOT, names[i], 0), 0);
		assert_true(at(&scene, names[i]) == id);
		assert_false(worktree_is_dirty(scene.tree));
	}
	for (int i = 0; i < 2; i++) {
		assert_int_equal(move(&scene, WORKTREE_ROOT, "a", sub, "deep", RENAME_EXCHANGE), 0);
		assert_true(worktree_is_dirty(scene.tree) == (i == 0));
	}
	scene_crash(&scene);
	assert_false(worktree_is_dirty(scene.tree));
	expect_text(&scene, at(&scene, "sub/deep/leaf"), "leaf");
	/* Times that somebody set are a difference. */
	assert_int_equal(try_change(&scene, at(&scene, "a"),
				    &(struct worktree_change){ .what = CHANGE_MTIME,
							       .mtime = { .tv_sec = 5 } }),
			 0);
	assert_true(worktree_is_dirty(scene.tree));
	scene_release(&scene);
}

/* Two names of one file: a rename of one over the other does nothing. */
static void test_moves_onto_itself(void **state)
{
	struct scene scene;
	struct worktree_attr attr;

	(void)state;
	scene_init(&scene);
	uint64_t a = at(&scene, "a");

	assert_int_equal(worktree_link(scene.tree, &scene.by, a, WORKTREE_ROOT, "a2", &attr), 0);
	assert_int_equal(move(&scene, WORKTREE_ROOT, "a", WORKTREE_ROOT, "a2", 0), 0);
	assert_int_equal(move(&scene, WORKTREE_ROOT, "a", WORKTREE_ROOT, "a", 0), 0);
	assert_true(at(&scene, "a") == a && at(&scene, "a2") == a);
	assert_int_equal(attr_of(&scene, a).nlink, 2);
	assert_int_equal(worktree_unlink(scene.tree, &scene.by, WORKTREE_ROOT, "a"), 0);
	assert_int_equal(attr_of(&scene, a).nlink, 1);
	scene_crash(&scene);
	assert_true(at(&scene, "a2") == a && find(&scene, "a") == 0);
	expect_text(&scene, a, "hello a");
	scene_release(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_survives_a_close),
		cmocka_unit_test(test_survives_a_crash),
		cmocka_unit_test(test_survives_compaction),
		cmocka_unit_test(test_many_segments),
		cmocka_unit_test(test_ids_are_new),
		cmocka_unit_test(test_orphans),
		cmocka_unit_test(test_nameless_gets_a_name),
		cmocka_unit_test(test_sweeps_what_nobody_names),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_moves_an_unfetched_folder),
		cmocka_unit_test(test_moves_over_others),
		cmocka_unit_test(test_moves_away_and_back),
		cmocka_unit_test(test_moves_onto_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
