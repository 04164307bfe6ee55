/* A writable worktree after loss of power, and over what was damaged or lost. */
#include "overlay_fixture.h"

#include "base/io_observe.h"
#include "worktree/changes.h"
#include "worktree/datafile.h"
#include "worktree/local.h"

static void lose_power(struct scene *scene)
{
	static unsigned boots;
	char id[64];

	snprintf(id, sizeof(id), "%08x-2222-3333-4444-555555555555\n", ++boots);
	scene_boot(scene, id);
	scene_crash(scene);
}

/* --- loss of power --- */

/* What is in a data file that was never synced may be anything, but is known not to be
 * what it was: that is shown again. */
static void test_unsynced_spill_is_taken_back(void **state)
{
	struct scene scene;
	uint8_t big[BIG_SIZE];
	uint8_t spilled[50000];

	(void)state;
	fill(big, sizeof(big), 99);
	fill(spilled, sizeof(spilled), 2);
	scene_init(&scene);
	uint64_t small = make(&scene, WORKTREE_ROOT, "small", S_IFREG | 0600);
	uint64_t synced = make(&scene, WORKTREE_ROOT, "synced", S_IFREG | 0600);
	uint64_t base = at(&scene, "big");

	write_at(&scene, small, 0, "what was there before");
	write_fill(&scene, synced, 0, 50000, 2);
	assert_int_equal(worktree_sync_node(scene.tree, synced), 0);
	write_fill(&scene, small, 10, 50000, 1);
	write_at(&scene, base, 70000, "changed");
	lose_power(&scene);
	assert_int_equal(stats_of(&scene).reverted, 2);
	expect_text(&scene, small, "what was there before");
	expect_contents(&scene, base, big, sizeof(big));
	expect_contents(&scene, synced, spilled, sizeof(spilled));
	/* And it stays like that, and can be changed again. */
	lose_power(&scene);
	assert_int_equal(stats_of(&scene).reverted, 0);
	expect_text(&scene, small, "what was there before");
	write_fill(&scene, small, 0, 50000, 2);
	assert_int_equal(worktree_sync(scene.tree), 0);
	lose_power(&scene);
	expect_contents(&scene, small, spilled, sizeof(spilled));
	expect_contents(&scene, base, big, sizeof(big));
	assert_int_equal(stats_of(&scene).condemned + stats_of(&scene).reverted, 0);
	scene_release(&scene);
}

/* Contents that were replaced by larger ones over the name are there until those are. */
static void test_rename_syncs_first(void **state)
{
	struct scene scene;
	uint8_t data[50000];

	(void)state;
	fill(data, sizeof(data), 1);
	scene_init(&scene);
	uint64_t one = make(&scene, WORKTREE_ROOT, "new", S_IFREG | 0600);
	uint64_t two = make(&scene, WORKTREE_ROOT, "new2", S_IFREG | 0600);

	write_fill(&scene, one, 0, sizeof(data), 1);
	write_fill(&scene, two, 0, sizeof(data), 1);
	assert_int_equal(stats_of(&scene).unsynced, 2);
	assert_int_equal(move(&scene, WORKTREE_ROOT, "new", WORKTREE_ROOT, "a", 0), 0);
	assert_int_equal(stats_of(&scene).unsynced, 1);
	assert_int_equal(move(&scene, WORKTREE_ROOT, "b", WORKTREE_ROOT, "new2", RENAME_EXCHANGE),
			 0);
	assert_int_equal(stats_of(&scene).unsynced, 0);
	lose_power(&scene);
	expect_contents(&scene, at(&scene, "a"), data, sizeof(data));
	expect_contents(&scene, at(&scene, "b"), data, sizeof(data));
	scene_release(&scene);
}

/* --- data files --- */

/* One that is named no more is there until that is durable. */
static void test_retired_waits(void **state)
{
	struct scene scene;
	struct datafiles *files;
	struct datafile *file;
	char path[512];
	struct err err = ERR_INIT;

	(void)state;
	scene_init(&scene);
	snprintf(path, sizeof(path), "%s/data", scene.overlay);
	assert_int_equal(datafiles_open(&files, path, false, &err), 0);
	assert_int_equal(datafile_create(files, 7, 1, &file), 0);
	datafile_put(files, file);
	assert_int_equal(datafile_retire(files, 7, 1, 10), 0);
	assert_int_equal(datafiles_remove_retired(files, 9), 0);
	assert_int_equal(data_files(&scene, NULL), 1);
	assert_int_equal(datafiles_retired(files), 1);
	assert_int_equal(datafiles_remove_retired(files, 10), 0);
	assert_int_equal(data_files(&scene, NULL), 0);
	datafiles_close(files);
	scene_release(&scene);
}

static void harm_data_file(struct scene *scene, off_t size)
{
	char path[512];

	assert_int_equal(data_files(scene, path), 1);
	if (size < 0)
		assert_int_equal(unlink(path), 0);
	else
		assert_int_equal(truncate(path, size), 0);
}

static void data_file_is(off_t size, bool power_lost, bool synced)
{
	struct scene scene;
	uint8_t data[50000];
	uint64_t expected = size < 50000 ? (uint64_t)size : 50000;

	fill(data, sizeof(data), 1);
	scene_init(&scene);
	uint64_t id = make(&scene, WORKTREE_ROOT, "f", S_IFREG | 0600);

	write_fill(&scene, id, 0, sizeof(data), 1);
	if (synced)
		assert_int_equal(worktree_sync_node(scene.tree, id), 0);
	/* Closing would sync it. */
	assert_int_equal(failpoint_set("contents.file.sync:1+=EIO"), 0);
	scene_close(&scene);
	assert_int_equal(failpoint_set(NULL), 0);
	harm_data_file(&scene, size);
	if (power_lost)
		scene_boot(&scene, BOOT_2);
	scene_open(&scene);
	struct worktree_stats stats = stats_of(&scene);

	if (size < 0 && (synced || !power_lost)) {
		AUTO_BUF struct buf found = BUF_INIT;

		assert_int_equal(contents(&scene, id, &found), -EIO);
		assert_int_equal(stats.condemned, 1);
		assert_int_equal(try_write(&scene, id, 50000, "x", 1) < 0, 1);
		assert_int_equal(resize(&scene, id, 0), 0); /* a way out */
		write_at(&scene, id, 0, "again");
		expect_text(&scene, id, "again");
	} else {
		expect_contents(&scene, id, data, size < 0 ? 0 : expected);
		assert_int_equal(stats.condemned, size >= 0 && size < 50000 && !power_lost);
		assert_int_equal(stats.reverted, size < 50000 && power_lost);
		write_at(&scene, id, 0, "again");
	}
	expect_text(&scene, at(&scene, "a"), "hello a");
	scene_reopen(&scene);
	assert_int_equal(stats_of(&scene).condemned + stats_of(&scene).reverted, 0);
	scene_release(&scene);
}

static void test_data_file_harmed(void **state)
{
	static const off_t sizes[] = { -1, 0, 100, 49999, 50001, 90000 };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		data_file_is(sizes[i], false, true);
		data_file_is(sizes[i], true, true);
		data_file_is(sizes[i], false, false);
		data_file_is(sizes[i], true, false);
	}
}

/* A file is removed once the word that it is not needed is durable: not by an opening
 * that has only read that word. */
struct order {
	bool synced;
	bool unlinked_before;
};

static void on_synced(void *arg, int fd, bool data_only)
{
	struct order *order = arg;

	(void)fd;
	order->synced |= data_only; /* as segments are */
}

static void on_unlinked(void *arg, int dirfd, const char *path)
{
	struct order *order = arg;

	(void)dirfd;
	if (strstr(path, ".log") == NULL && !order->synced)
		order->unlinked_before = true;
}

static void test_sweeps_after_a_sync(void **state)
{
	struct scene scene;
	struct order order = { .synced = false };
	struct io_observer observer = { .arg = &order, .synced = on_synced,
					.unlinked = on_unlinked };

	(void)state;
	scene_init(&scene);
	uint64_t id = make(&scene, WORKTREE_ROOT, "f", S_IFREG | 0600);

	write_fill(&scene, id, 0, 50000, 1);
	assert_int_equal(worktree_sync(scene.tree), 0);
	assert_int_equal(worktree_unlink(scene.tree, &scene.by, WORKTREE_ROOT, "f"), 0);
	/* What is left after kill -9; the other is closed, which syncs, behind its back. */
	char copy[sizeof(scene.overlay)];

	snprintf(copy, sizeof(copy), "%.60s/left", scene.fix.dir);
	run((const char *[]){ "cp", "-r", scene.overlay, copy, NULL });
	scene_close(&scene);
	memcpy(scene.overlay, copy, sizeof(copy));
	assert_int_equal(data_files(&scene, NULL), 1);
	io_observe(&observer);
	scene_open(&scene);
	io_observe(NULL);
	assert_int_equal(data_files(&scene, NULL), 0);
	assert_true(order.synced);
	assert_false(order.unlinked_before);
	scene_release(&scene);
}

/* --- sizes --- */

/* The kernel appends by the size that a lookup told. */
static void test_lookup_waits_for_the_size(void **state)
{
	struct scene scene;
	AUTO_BUF struct buf root = BUF_INIT;
	struct worktree_attr attr = { 0 };

	(void)state;
	scene_init(&scene);
	scene_close(&scene);
	fixture_entry(&root, TREE_MODE_FILE, "later",
		      fixture_blob_oid(&scene.fix, "not here yet"));
	scene.commit = fixture_put_commit(&scene.fix, fixture_put_tree(&scene.fix, &root));
	scene_open(&scene);
	assert_int_equal(worktree_lookup(scene.tree, WORKTREE_ROOT, "later", &attr, &scene.want),
			 ERR_AGAIN);
	want_release(&scene.want);
	(void)fixture_put_blob(&scene.fix, "not here yet");
	attr = look_in(&scene, WORKTREE_ROOT, "later");
	assert_true(attr.size_known && attr.size == strlen("not here yet"));
	scene_release(&scene);
}

/* --- the node table --- */

static void harm_table(struct scene *scene, int how)
{
	struct stat st;

	assert_int_equal(stat(scene->table, &st), 0);
	if (how == 0)
		assert_int_equal(unlink(scene->table), 0);
	else if (how == 1)
		assert_int_equal(truncate(scene->table, st.st_size / 2), 0);
	else
		assert_int_equal(io_replace_file(AT_FDCWD, scene->table, "what is this?????", 17),
				 0);
}

static void test_table_lost(void **state)
{
	(void)state;
	for (int how = 0; how < 3; how++) {
		struct scene scene;
		AUTO_BUF struct buf before = BUF_INIT;

		scene_init(&scene);
		uint64_t dir = make(&scene, WORKTREE_ROOT, "dir", S_IFDIR | 0755);
		uint64_t file = make(&scene, dir, "file", S_IFREG | 0600);
		uint64_t deep = at(&scene, "sub/deep");
		uint64_t a = at(&scene, "a");

		write_at(&scene, file, 0, "mine");
		write_at(&scene, a, 0, "J");
		make(&scene, deep, "in-the-base", S_IFREG | 0600);
		scene_close(&scene);
		harm_table(&scene, how);
		scene_open(&scene);
		assert_true(at(&scene, "dir") == dir && at(&scene, "dir/file") == file);
		assert_true(at(&scene, "a") == a && at(&scene, "sub/deep") == deep);
		expect_text(&scene, file, "mine");
		expect_text(&scene, a, "Jello a");
		expect_text(&scene, at(&scene, "sub/deep/leaf"), "leaf");
		describe(&scene, &before);
		/* Numbers that were given since stay, too. */
		for (int i = 0; i < 3; i++) {
			scene_reopen(&scene);
			assert_false(stats_of(&scene).table_renewed);
			expect_same(&scene, &before);
		}
		scene_release(&scene);
	}
}

/* --- another base --- */

/* The next commit: sub/inner and a have other contents, b is gone. */
static struct oid next_commit(struct scene *scene)
{
	struct repo_fixture *fix = &scene->fix;
	AUTO_BUF struct buf root = BUF_INIT;
	AUTO_BUF struct buf sub = BUF_INIT;

	fixture_entry(&sub, TREE_MODE_FILE, "inner", fixture_put_blob(fix, "INSIDE"));
	fixture_entry(&root, TREE_MODE_FILE, "a", fixture_put_blob(fix, "hello again"));
	fixture_entry(&root, TREE_MODE_DIR, "sub", fixture_put_tree(fix, &sub));
	return fixture_put_commit(fix, fixture_put_tree(fix, &root));
}

static void expect_next(struct scene *scene)
{
	assert_false(worktree_is_dirty(scene->tree));
	expect_text(scene, at(scene, "a"), "hello again");
	expect_text(scene, at(scene, "sub/inner"), "INSIDE");
	assert_int_equal(find(scene, "b"), 0);
	assert_int_equal(find(scene, "sub/deep"), 0);
	assert_int_equal(find(scene, "absent"), 0);
}

/* What the journal had to say of the old one means nothing over the new one. */
static void test_another_base(void **state)
{
	struct scene scene;
	struct outdated outdated = OUTDATED_INIT;
	AUTO_BUF struct buf before = BUF_INIT;
	uint64_t count = 0;

	(void)state;
	scene_init(&scene);
	/* Anchored: by changes that were taken back, and by one that never came about. */
	write_at(&scene, at(&scene, "a"), 0, "J");
	write_at(&scene, at(&scene, "sub/inner"), 0, "J");
	write_at(&scene, at(&scene, "sub/deep/leaf"), 0, "J");
	write_at(&scene, at(&scene, "b"), 0, "J");
	assert_int_equal(worktree_discard(scene.tree, "", &outdated, &count, &scene.want, NULL), 0);
	outdated_release(&outdated);
	assert_int_equal(try_write(&scene, at(&scene, "absent"), 1, "x", 1), ERR_AGAIN);
	assert_false(worktree_is_dirty(scene.tree));
	scene_close(&scene);
	scene.commit = next_commit(&scene);
	scene_open(&scene);
	expect_next(&scene);
	write_at(&scene, at(&scene, "sub/inner"), 0, "W");
	describe(&scene, &before);
	for (int i = 0; i < 2; i++) {
		scene_crash(&scene);
		expect_same(&scene, &before);
		assert_int_equal(worktree_compact(scene.tree), 0);
	}
	scene_release(&scene);
}

/* Contents that were discarded and written anew are not those of the file that waits to
 * be removed. */
static void test_discarded_and_written_anew(void **state)
{
	struct scene scene;
	struct outdated outdated = OUTDATED_INIT;
	uint8_t data[BIG_SIZE];
	uint64_t count = 0;

	(void)state;
	fill(data, sizeof(data), 99);
	memcpy(data + 60000, "two", 3);
	scene_init(&scene);
	uint64_t id = at(&scene, "big");

	write_at(&scene, id, 50000, "one");
	assert_int_equal(worktree_sync(scene.tree), 0);
	assert_int_equal(worktree_discard(scene.tree, "big", &outdated, &count, &scene.want, NULL),
			 0);
	outdated_release(&outdated);
	write_at(&scene, id, 60000, "two");
	expect_contents(&scene, id, data, sizeof(data));
	assert_int_equal(data_files(&scene, NULL), 2);
	scene_close(&scene);
	assert_int_equal(data_files(&scene, NULL), 1);
	scene_open(&scene);
	expect_contents(&scene, id, data, sizeof(data));
	scene_release(&scene);
}

/* --- damage in the journal --- */

/* Flips a byte of the frame in which these bytes stand for the nth time. */
static void harm_journal(struct scene *scene, const char *bytes, int nth)
{
	char dir[128];

	snprintf(dir, sizeof(dir), "%s/journal", scene->overlay);
	DIR *open = opendir(dir);

	assert_non_null(open);
	for (struct dirent *at; (at = readdir(open)) != NULL;) {
		AUTO_BUF struct buf data = BUF_INIT;

		if (strstr(at->d_name, ".log") == NULL)
			continue;
		assert_int_equal(io_read_file(dirfd(open), at->d_name, &data), 0);
		uint8_t *found = memmem(data.data, data.len, bytes, strlen(bytes));

		for (int i = 1; found != NULL && i < nth; i++)
			found = memmem(found + 1, data.len - (size_t)(found + 1 - data.data), bytes,
				       strlen(bytes));
		if (found == NULL)
			continue;
		*found ^= 1;
		assert_int_equal(io_replace_file(dirfd(open), at->d_name, data.data, data.len), 0);
		closedir(open);
		return;
	}
	fail_msg("%s is nowhere in the journal", bytes);
}

/* A frame that is damaged costs what it said: contents outlive the loss of their name. */
static void test_damage_costs_itself(void **state)
{
	struct scene scene;
	AUTO_BUF struct buf before = BUF_INIT;
	char name[64];

	(void)state;
	scene_init(&scene);
	uint64_t dir = make(&scene, WORKTREE_ROOT, "dir", S_IFDIR | 0755);
	uint64_t named = make(&scene, dir, "the-name-that-goes", S_IFREG | 0600);
	uint64_t kept = make(&scene, dir, "kept", S_IFREG | 0600);

	write_at(&scene, named, 0, "contents to be kept");
	write_at(&scene, kept, 0, "kept contents");
	write_at(&scene, at(&scene, "a"), 0, "J");
	scene_close(&scene);
	harm_journal(&scene, "the-name-that-goes", 1);
	scene_open(&scene);
	assert_int_equal(stats_of(&scene).recovery.damaged_frames, 1);
	expect_text(&scene, at(&scene, "dir/kept"), "kept contents");
	expect_text(&scene, at(&scene, "a"), "Jello a");
	snprintf(name, sizeof(name), "recovered-by-git-fs-%llu", (unsigned long long)named);
	assert_true(at(&scene, name) == named);
	expect_text(&scene, named, "contents to be kept");
	describe(&scene, &before);
	scene_crash(&scene);
	assert_int_equal(stats_of(&scene).recovery.damaged_frames, 0);
	expect_same(&scene, &before);
	scene_release(&scene);
}

static int count_finding(void *arg, const char *words)
{
	(void)words;
	++*(int *)arg;
	return 0;
}

/* What the overlay by itself has to say against itself: without node table or store. */
static int findings(struct scene *scene)
{
	struct worktree_config config = { .algo = HASH_SHA1,
					  .overlay_dir = scene->overlay,
					  .inspect = true,
					  .boot_id_path = scene->boot };
	struct worktree *tree;
	int count = 0;

	assert_int_equal(worktree_open(&tree, &config, NULL), 0);
	assert_int_equal(worktree_verify(tree, count_finding, &count), 0);
	worktree_close(tree);
	return count;
}

/* The places of a folder and of a file of the base are lost from the journal, and known
 * from the table and the tree: nothing else is lost, and the journal has them again. */
static void test_place_damaged(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene);
	uint64_t made = make(&scene, at(&scene, "sub"), "made-in-sub", S_IFREG | 0600);

	write_at(&scene, made, 0, "contents");
	write_at(&scene, at(&scene, "sub/inner"), 0, "I");
	scene_close(&scene);
	assert_int_equal(findings(&scene), 0);
	harm_journal(&scene, "sub", 1);
	harm_journal(&scene, "inner", 1);
	assert_true(findings(&scene) > 0);
	scene_open(&scene);
	assert_int_equal(stats_of(&scene).recovery.damaged_frames, 2);
	expect_text(&scene, at(&scene, "sub/made-in-sub"), "contents");
	expect_text(&scene, at(&scene, "sub/inner"), "Inside");
	scene_close(&scene);
	assert_int_equal(findings(&scene), 0);
	scene_open(&scene);
	scene_release(&scene);
}

/* Each frame of a rich overlay in turn: it opens, and can be written to and opened again. */
static void test_any_frame_damaged(void **state)
{
	struct scene scene;
	static const char *const words[] = { "one", "two", "three", "four" };
	int opened = 0;

	(void)state;
	scene_init(&scene);
	uint64_t one = make(&scene, WORKTREE_ROOT, "one", S_IFDIR | 0755);
	uint64_t two = make(&scene, one, "two", S_IFDIR | 0755);

	write_at(&scene, make(&scene, two, "three", S_IFREG | 0600), 0, "contents of three");
	assert_int_equal(move(&scene, one, "two", WORKTREE_ROOT, "two", 0), 0);
	assert_int_equal(move(&scene, WORKTREE_ROOT, "one", two, "one", 0), 0);
	assert_int_equal(move(&scene, WORKTREE_ROOT, "sub", two, "four", 0), 0);
	assert_int_equal(move(&scene, WORKTREE_ROOT, "two", WORKTREE_ROOT, "four", 0), 0);
	const char *keep[] = { "cp", "-r", scene.overlay, NULL, NULL };
	char copy[128];

	snprintf(copy, sizeof(copy), "%s/kept", scene.fix.dir);
	keep[3] = copy;
	run(keep);
	scene_close(&scene);
	for (size_t i = 0; i < 4; i++) {
		for (int nth = 1; nth <= 2; nth++) {
			const char *clear[] = { "rm", "-rf", scene.overlay, NULL };
			const char *back[] = { "cp", "-r", copy, scene.overlay, NULL };
			AUTO_BUF struct buf before = BUF_INIT;

			run(clear);
			run(back);
			harm_journal(&scene, words[i], nth);
			scene_open(&scene);
			make(&scene, WORKTREE_ROOT, "goes-on", S_IFREG | 0600);
			expect_text(&scene, at(&scene, "a"), "hello a");
			describe(&scene, &before);
			/* The file is there, if not by its name. */
			assert_true(memmem(before.data, before.len, "/three", 6) != NULL ||
				    (i == 2 && nth == 1 &&
				     memmem(before.data, before.len, "/recovered-by", 13) != NULL));
			scene_reopen(&scene);
			expect_same(&scene, &before);
			scene_close(&scene);
			opened++;
		}
	}
	assert_int_equal(opened, 8);
	scene_release(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unsynced_spill_is_taken_back),
		cmocka_unit_test(test_rename_syncs_first),
		cmocka_unit_test(test_retired_waits),
		cmocka_unit_test(test_data_file_harmed),
		cmocka_unit_test(test_sweeps_after_a_sync),
		cmocka_unit_test(test_lookup_waits_for_the_size),
		cmocka_unit_test(test_table_lost),
		cmocka_unit_test(test_another_base),
		cmocka_unit_test(test_discarded_and_written_anew),
		cmocka_unit_test(test_damage_costs_itself),
		cmocka_unit_test(test_place_damaged),
		cmocka_unit_test(test_any_frame_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
