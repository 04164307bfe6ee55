/* The worktree: names, modes, sizes, wants, and ids that outlive it. */
#include "repo_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#include "base/io.h"
#include "failing_alloc.h"
#include "worktree/worktree.h"

#define READER 100
#define LISTER 200

/* Opens a read-only one and shows the commit. */
static int start_tree(struct repo_fixture *fix, struct oid commit, struct worktree **out,
		      struct err *err)
{
	struct worktree_config config = {
		.store = fix->store, .table_path = fix->table, .algo = HASH_SHA1
	};
	struct worktree *tree = NULL;
	int rc = worktree_open(&tree, &config, err);

	if (rc == 0)
		rc = worktree_start(tree, &commit, err);
	if (rc < 0)
		worktree_close(tree);
	else
		*out = tree;
	return rc;
}

static struct worktree *open_tree(struct repo_fixture *fix, struct oid commit)
{
	struct worktree *tree = NULL;
	struct err err = ERR_INIT;

	if (start_tree(fix, commit, &tree, &err) < 0)
		fail_msg("worktree: %s", err.msg);
	return tree;
}

static struct worktree_attr look(struct worktree *tree, uint64_t parent, const char *name)
{
	struct worktree_attr attr = { 0 };
	struct want want = WANT_INIT;
	int rc = worktree_lookup(tree, parent, name, &attr, &want);

	if (rc < 0)
		fail_msg("lookup %s: %d", name, rc);
	return attr;
}

static int look_rc(struct worktree *tree, uint64_t parent, const char *name)
{
	struct worktree_attr attr;
	struct want want = WANT_INIT;
	int rc = worktree_lookup(tree, parent, name, &attr, &want);

	want_release(&want);
	return rc;
}

struct names {
	char text[4096];
	uint64_t last;
	size_t limit;
	size_t count;
};

static enum list_result add_name(void *arg, const char *name, const struct worktree_attr *attr,
				 uint64_t next)
{
	struct names *names = arg;

	if (names->count == names->limit)
		return LIST_FULL;
	names->count++;
	snprintf(names->text + strlen(names->text), sizeof(names->text) - strlen(names->text),
		 "%s:%o ", name, attr->mode);
	names->last = next;
	return LIST_TAKEN;
}

/* All names of a folder, asked for `step` at a time. */
static struct names list(struct worktree *tree, uint64_t id, size_t step)
{
	struct names names = { .limit = step };
	struct worktree_list list = { .pid = LISTER, .visit = add_name, .arg = &names };
	struct want want = WANT_INIT;

	for (;;) {
		size_t before = names.count;

		list.position = names.last;
		names.limit = before + step;
		assert_int_equal(worktree_list(tree, id, &list, &want), 0);
		if (names.count == before)
			return names;
	}
}

static void test_shows_a_commit(void **state)
{
	struct repo_fixture fix;
	AUTO_BUF struct buf root = BUF_INIT;
	AUTO_BUF struct buf sub = BUF_INIT;
	AUTO_BUF struct buf target = BUF_INIT;
	struct want want = WANT_INIT;
	char data[16];

	(void)state;
	fixture_init(&fix);
	fixture_entry(&sub, TREE_MODE_FILE, "inner", fixture_put_blob(&fix, "inside"));
	fixture_entry(&root, TREE_MODE_FILE, "a", fixture_put_blob(&fix, "hello"));
	fixture_entry(&root, 0100664, "b-odd-mode", fixture_put_blob(&fix, ""));
	fixture_entry(&root, TREE_MODE_LINK, "link", fixture_put_blob(&fix, "a"));
	fixture_entry(&root, TREE_MODE_GITLINK, "module", fixture_blob_oid(&fix, "elsewhere"));
	fixture_entry(&root, TREE_MODE_DIR, "sub", fixture_put_tree(&fix, &sub));
	fixture_entry(&root, TREE_MODE_EXEC, "tool", fixture_put_blob(&fix, "#!"));

	struct worktree *tree =
		open_tree(&fix, fixture_put_commit(&fix, fixture_put_tree(&fix, &root)));
	const char *all = ".:40755 ..:40755 a:100644 b-odd-mode:100644 link:120777 module:40755 "
			  "sub:40755 tool:100755 ";

	for (size_t step = 1; step < 10; step++)
		assert_string_equal(list(tree, WORKTREE_ROOT, step).text, all);

	struct worktree_attr a = look(tree, WORKTREE_ROOT, "a");
	struct worktree_attr module = look(tree, WORKTREE_ROOT, "module");
	struct worktree_read reading = { .data = data, .len = sizeof(data), .pid = READER };

	assert_true(a.size_known && a.size == 5 && a.mtime.tv_sec == FIXTURE_TIME);
	assert_int_equal(worktree_read(tree, a.id, &reading, &want), 5);
	assert_memory_equal(data, "hello", 5);
	reading.offset = 3;
	assert_int_equal(worktree_read(tree, a.id, &reading, &want), 2);
	assert_memory_equal(data, "lo", 2);
	reading.offset = 5;
	assert_int_equal(worktree_read(tree, a.id, &reading, &want), 0);
	assert_int_equal(worktree_read(tree, WORKTREE_ROOT, &reading, &want), -EISDIR);

	assert_string_equal(list(tree, module.id, 100).text, ".:40755 ..:40755 ");
	assert_int_equal(look_rc(tree, module.id, "x"), -ENOENT);
	assert_int_equal(look_rc(tree, a.id, "x"), -ENOTDIR);
	assert_int_equal(look_rc(tree, WORKTREE_ROOT, "absent"), -ENOENT);
	assert_int_equal(look_rc(tree, 999999, "x"), -ESTALE);
	assert_int_equal(worktree_readlink(tree, look(tree, WORKTREE_ROOT, "link").id, &target,
					   &want),
			 0);
	assert_string_equal(buf_str(&target), "a");
	assert_int_equal(worktree_readlink(tree, a.id, &target, &want), -EINVAL);

	uint64_t sub_id = look(tree, WORKTREE_ROOT, "sub").id;
	AUTO_BUF struct buf path = BUF_INIT;

	assert_int_equal(worktree_path(tree, look(tree, sub_id, "inner").id, &path), 0);
	assert_string_equal(buf_str(&path), "sub/inner");
	worktree_close(tree);
	fixture_release(&fix);
}

static void test_hides_what_cannot_be_shown(void **state)
{
	struct repo_fixture fix;
	AUTO_BUF struct buf root = BUF_INIT;
	struct worktree_stats stats;
	char longest[256];
	char too_long[257];

	(void)state;
	memset(longest, 'n', 255);
	longest[255] = '\0';
	memset(too_long, 'n', 256);
	too_long[256] = '\0';
	fixture_init(&fix);
	struct oid blob = fixture_put_blob(&fix, "x");

	fixture_entry(&root, TREE_MODE_FILE, ".", blob);
	fixture_entry(&root, TREE_MODE_FILE, "..", blob);
	fixture_entry(&root, TREE_MODE_FILE, ".GIT", blob);
	assert_int_equal(buf_append(&root, "100644 a/b", sizeof("100644 a/b")), 0);
	assert_int_equal(buf_append(&root, blob.hash, oid_raw_len(&blob)), 0);
	fixture_entry(&root, TREE_MODE_FILE, "good", blob);
	fixture_entry(&root, TREE_MODE_EXEC, "good", blob); /* a second of that name */
	fixture_entry(&root, 0060000, "device", blob);
	fixture_entry(&root, TREE_MODE_FILE, longest, blob);
	fixture_entry(&root, TREE_MODE_FILE, too_long, blob);

	struct worktree *tree =
		open_tree(&fix, fixture_put_commit(&fix, fixture_put_tree(&fix, &root)));

	assert_int_equal(list(tree, WORKTREE_ROOT, 100).count, 4);
	assert_int_equal(look(tree, WORKTREE_ROOT, "good").mode, S_IFREG | 0644);
	look(tree, WORKTREE_ROOT, longest);
	assert_int_equal(look_rc(tree, WORKTREE_ROOT, too_long), -ENAMETOOLONG);
	assert_int_equal(look_rc(tree, WORKTREE_ROOT, ".git"), -ENOENT);
	worktree_stats(tree, &stats);
	assert_int_equal(stats.hidden, 7);
	worktree_close(tree);
	fixture_release(&fix);
}

static void test_names_what_is_missing(void **state)
{
	struct repo_fixture fix;
	AUTO_BUF struct buf root = BUF_INIT;
	AUTO_BUF struct buf sub = BUF_INIT;
	struct want want = WANT_INIT;
	struct worktree_attr attr;
	char data[16];
	char name[8];

	(void)state;
	fixture_init(&fix);
	for (int i = 0; i < 5; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		fixture_entry(&sub, TREE_MODE_FILE, name, fixture_blob_oid(&fix, name));
	}
	fixture_entry(&sub, TREE_MODE_GITLINK, "m", fixture_blob_oid(&fix, "module"));
	struct oid sub_oid = fixture_hash(&fix, OBJECT_TREE, sub.data, sub.len);

	fixture_entry(&root, TREE_MODE_DIR, "sub", sub_oid);
	struct worktree *tree =
		open_tree(&fix, fixture_put_commit(&fix, fixture_put_tree(&fix, &root)));
	uint64_t sub_id = look(tree, WORKTREE_ROOT, "sub").id;

	assert_int_equal(worktree_lookup(tree, sub_id, "f2", &attr, &want), ERR_AGAIN);
	assert_int_equal(want.kind, WANT_TREE);
	assert_true(want.count == 1 && oid_equal(&want.oids[0], &sub_oid));
	want_release(&want);
	fixture_put_tree(&fix, &sub);

	/* A lookup goes without the size; getattr wants it, and those of the neighbours. */
	uint64_t f2 = look(tree, sub_id, "f2").id;
	struct oid f2_oid = fixture_blob_oid(&fix, "f2");

	assert_false(look(tree, sub_id, "f2").size_known);
	assert_int_equal(worktree_getattr(tree, f2, READER, &attr, &want), ERR_AGAIN);
	assert_true(want.kind == WANT_SIZES && want.likely && want.count == 5);
	assert_true(oid_equal(&want.oids[0], &f2_oid));
	want_release(&want);
	list(tree, sub_id, 100);
	assert_int_equal(worktree_getattr(tree, f2, LISTER, &attr, &want), ERR_AGAIN);
	assert_false(want.likely); /* a walk, not a reader */
	want_release(&want);

	/* A size that was told serves, until the contents say otherwise. */
	assert_int_equal(store_put_sizes(fix.store, &f2_oid, &(uint64_t){ 77 }, 1), 0);
	assert_int_equal(worktree_getattr(tree, f2, READER, &attr, &want), 0);
	assert_int_equal(attr.size, 77);

	struct worktree_read reading = { .data = data, .len = sizeof(data), .pid = READER };

	assert_int_equal(worktree_read(tree, f2, &reading, &want), ERR_AGAIN);
	assert_true(want.kind == WANT_BLOB && want.count == 1);
	want_release(&want);
	assert_int_equal(worktree_read(tree, f2, &reading, &want), ERR_AGAIN);
	assert_int_equal(want.count, 5); /* the second miss in a folder looks like a walk */
	want_release(&want);
	fixture_put_blob(&fix, "f2");
	assert_int_equal(worktree_read(tree, f2, &reading, &want), 2);
	assert_true(reading.resized);
	assert_int_equal(worktree_getattr(tree, f2, READER, &attr, &want), 0);
	assert_int_equal(attr.size, 2);
	assert_int_equal(worktree_read(tree, f2, &reading, &want), 2);
	assert_false(reading.resized);
	worktree_close(tree);
	fixture_release(&fix);
}

/* A symlink is looked up with its target, and brings those beside it along. */
static void test_links_have_sizes(void **state)
{
	struct repo_fixture fix;
	AUTO_BUF struct buf root = BUF_INIT;
	AUTO_BUF struct buf target = BUF_INIT;
	struct want want = WANT_INIT;
	struct worktree_attr attr;

	(void)state;
	fixture_init(&fix);
	struct oid one = fixture_blob_oid(&fix, "target/one");

	fixture_entry(&root, TREE_MODE_FILE, "file", fixture_blob_oid(&fix, "contents"));
	fixture_entry(&root, TREE_MODE_LINK, "one", one);
	fixture_entry(&root, TREE_MODE_LINK, "two", fixture_blob_oid(&fix, "two"));

	struct worktree *tree =
		open_tree(&fix, fixture_put_commit(&fix, fixture_put_tree(&fix, &root)));

	assert_int_equal(worktree_lookup(tree, WORKTREE_ROOT, "one", &attr, &want), ERR_AGAIN);
	assert_true(want.kind == WANT_BLOB && want.count == 2 && oid_equal(&want.oids[0], &one));
	want_release(&want);
	fixture_put_blob(&fix, "target/one");
	attr = look(tree, WORKTREE_ROOT, "one");
	assert_true(attr.size_known && attr.size == strlen("target/one"));
	assert_int_equal(worktree_readlink(tree, attr.id, &target, &want), 0);
	assert_string_equal(buf_str(&target), "target/one");
	worktree_close(tree);
	fixture_release(&fix);
}

static struct oid two_level_commit(struct repo_fixture *fix, const char *changing)
{
	AUTO_BUF struct buf root = BUF_INIT;
	AUTO_BUF struct buf sub = BUF_INIT;

	fixture_entry(&sub, TREE_MODE_FILE, "changing", fixture_put_blob(fix, changing));
	fixture_entry(&sub, TREE_MODE_FILE, "same", fixture_put_blob(fix, "same"));
	fixture_entry(&root, TREE_MODE_DIR, "sub", fixture_put_tree(fix, &sub));
	fixture_entry(&root, TREE_MODE_FILE, "top", fixture_put_blob(fix, "top"));
	return fixture_put_commit(fix, fixture_put_tree(fix, &root));
}

static void test_ids_outlive_it(void **state)
{
	struct repo_fixture fix;
	struct want want = WANT_INIT;
	struct worktree_attr attr;

	(void)state;
	fixture_init(&fix);
	struct oid first = two_level_commit(&fix, "one");
	struct oid second = two_level_commit(&fix, "two");
	struct worktree *tree = open_tree(&fix, first);
	uint64_t sub = look(tree, WORKTREE_ROOT, "sub").id;
	uint64_t same = look(tree, sub, "same").id;
	uint64_t changing = look(tree, sub, "changing").id;

	worktree_close(tree);
	tree = open_tree(&fix, first);
	/* An id that is only remembered is good at once, its folders not looked up before. */
	assert_int_equal(worktree_getattr(tree, same, READER, &attr, &want), 0);
	assert_int_equal(attr.size, 4);
	assert_int_equal(look(tree, WORKTREE_ROOT, "sub").id, sub);
	assert_int_equal(look(tree, sub, "changing").id, changing);
	worktree_close(tree);

	tree = open_tree(&fix, second);
	assert_int_equal(look(tree, WORKTREE_ROOT, "sub").id, sub);
	assert_int_equal(look(tree, sub, "same").id, same);
	assert_int_not_equal(look(tree, sub, "changing").id, changing);
	assert_int_equal(worktree_getattr(tree, changing, READER, &attr, &want), -ESTALE);
	worktree_close(tree);

	tree = open_tree(&fix, first);
	assert_int_equal(look(tree, sub, "same").id, same);
	look(tree, sub, "changing");
	worktree_close(tree);
	fixture_release(&fix);
}

/* A machine that crashed may have torn the table anywhere. */
static void test_torn_table(void **state)
{
	struct repo_fixture fix;
	struct stat st;

	(void)state;
	fixture_init(&fix);
	struct oid commit = two_level_commit(&fix, "one");
	struct worktree *tree = open_tree(&fix, commit);
	uint64_t sub = look(tree, WORKTREE_ROOT, "sub").id;
	uint64_t same = look(tree, sub, "same").id;

	worktree_close(tree);
	assert_int_equal(stat(fix.table, &st), 0);
	AUTO_BUF struct buf whole = BUF_INIT;

	assert_int_equal(io_read_file(AT_FDCWD, fix.table, &whole), 0);
	for (size_t len = 0; len < whole.len; len++) {
		assert_int_equal(io_replace_file(AT_FDCWD, fix.table, whole.data, len), 0);
		tree = open_tree(&fix, commit);
		look(tree, look(tree, WORKTREE_ROOT, "sub").id, "same");
		worktree_close(tree);
	}
	/* Garbage behind whole records takes nothing from them. */
	assert_int_equal(buf_append_str(&whole, "garbage at the end of the table"), 0);
	assert_int_equal(io_replace_file(AT_FDCWD, fix.table, whole.data, whole.len), 0);
	tree = open_tree(&fix, commit);
	assert_int_equal(look(tree, sub, "same").id, same);
	worktree_close(tree);
	/* A damaged header moves the file aside. */
	whole.data[0] ^= 1;
	assert_int_equal(io_replace_file(AT_FDCWD, fix.table, whole.data, whole.len), 0);
	tree = open_tree(&fix, commit);
	struct worktree_stats stats;

	worktree_stats(tree, &stats);
	assert_true(stats.table_renewed);
	look(tree, look(tree, WORKTREE_ROOT, "sub").id, "same");
	worktree_close(tree);
	fixture_release(&fix);
}

static void test_bad_objects(void **state)
{
	struct repo_fixture fix;
	AUTO_BUF struct buf root = BUF_INIT;
	AUTO_BUF struct buf target = BUF_INIT;
	char longer[5000];
	struct want want = WANT_INIT;
	struct worktree_attr attr;

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	fixture_init(&fix);
	fixture_entry(&root, TREE_MODE_DIR, "blob-as-folder", fixture_put_blob(&fix, "no tree"));
	fixture_entry(&root, TREE_MODE_DIR, "cut-tree",
		      fixture_put(&fix, OBJECT_TREE, "100644 cut", 10));
	fixture_entry(&root, TREE_MODE_LINK, "long-link", fixture_put_blob(&fix, longer));
	fixture_entry(&root, TREE_MODE_LINK, "nul-link",
		      fixture_put(&fix, OBJECT_BLOB, "a\0b", 3));
	fixture_entry(&root, TREE_MODE_FILE, "still-fine", fixture_put_blob(&fix, "x"));

	struct worktree *tree =
		open_tree(&fix, fixture_put_commit(&fix, fixture_put_tree(&fix, &root)));

	assert_int_equal(look_rc(tree, look(tree, WORKTREE_ROOT, "blob-as-folder").id, "x"),
			 ERR_CORRUPT);
	assert_int_equal(look_rc(tree, look(tree, WORKTREE_ROOT, "cut-tree").id, "x"), ERR_CORRUPT);
	assert_int_equal(worktree_readlink(tree, look(tree, WORKTREE_ROOT, "long-link").id,
					   &target, &want),
			 -ENAMETOOLONG);
	assert_int_equal(worktree_readlink(tree, look(tree, WORKTREE_ROOT, "nul-link").id, &target,
					   &want),
			 ERR_CORRUPT);
	assert_int_equal(worktree_getattr(tree, look(tree, WORKTREE_ROOT, "still-fine").id, READER,
					  &attr, &want),
			 0);
	worktree_close(tree);
	fixture_release(&fix);
}

static void test_refuses_what_is_no_commit(void **state)
{
	struct repo_fixture fix;
	struct worktree *tree = NULL;
	struct err err = ERR_INIT;

	(void)state;
	fixture_init(&fix);
	assert_int_equal(start_tree(&fix, fixture_blob_oid(&fix, "absent"), &tree, &err),
			 ERR_NOT_FOUND);
	assert_int_equal(start_tree(&fix, fixture_put_blob(&fix, "a blob"), &tree, &err), -EINVAL);
	assert_int_equal(start_tree(&fix,
				    fixture_put_commit(&fix,
						       fixture_blob_oid(&fix, "no such tree")),
				    &tree, &err),
			 ERR_NOT_FOUND);
	fixture_release(&fix);
}

static void test_memory_runs_out(void **state)
{
	struct repo_fixture fix;
	long nth = 0;
	bool failed;

	(void)state;
	fixture_init(&fix);
	struct oid commit = two_level_commit(&fix, "one");

	do {
		struct worktree *tree = NULL;
		struct want want = WANT_INIT;
		struct worktree_attr attr;

		failing_alloc_arm(++nth);
		int rc = start_tree(&fix, commit, &tree, NULL);

		if (rc == 0)
			rc = worktree_lookup(tree, WORKTREE_ROOT, "sub", &attr, &want);
		if (rc == 0)
			rc = worktree_lookup(tree, attr.id, "same", &attr, &want);
		failed = failing_alloc_disarm();
		want_release(&want);
		/* LMDB and the rest may also say that an object is not there: never a wrong one. */
		assert_true(rc == 0 || rc == -ENOMEM || rc == ERR_NOT_FOUND || rc == ERR_AGAIN);
		if (!failed)
			assert_int_equal(rc, 0);
		if (tree != NULL) {
			look(tree, look(tree, WORKTREE_ROOT, "sub").id, "same");
			worktree_close(tree);
		}
		if (nth % 2 == 0)
			unlink(fix.table);
	} while (failed);
	assert_true(nth > 5);
	fixture_release(&fix);
}

#define RACERS 8
#define RACE_FILES 300

struct racer {
	struct worktree *tree;
	uint64_t ids[RACE_FILES];
	pthread_t thread;
};

static void *race(void *arg)
{
	struct racer *racer = arg;
	struct want want = WANT_INIT;
	struct worktree_attr attr = { 0 };
	char name[16];

	if (worktree_lookup(racer->tree, WORKTREE_ROOT, "sub", &attr, &want) < 0)
		return NULL;
	uint64_t sub = attr.id;

	for (int i = 0; i < RACE_FILES; i++) {
		snprintf(name, sizeof(name), "file%03d", i);
		if (worktree_lookup(racer->tree, sub, name, &attr, &want) == 0)
			racer->ids[i] = attr.id;
	}
	return NULL;
}

/* Many look up the same names at once: one id for each. */
static void test_one_id_for_all(void **state)
{
	struct repo_fixture fix;
	AUTO_BUF struct buf root = BUF_INIT;
	AUTO_BUF struct buf sub = BUF_INIT;
	struct racer racers[RACERS];
	char name[16];

	(void)state;
	fixture_init(&fix);
	struct oid blob = fixture_put_blob(&fix, "x");

	for (int i = 0; i < RACE_FILES; i++) {
		snprintf(name, sizeof(name), "file%03d", i);
		fixture_entry(&sub, TREE_MODE_FILE, name, blob);
	}
	fixture_entry(&root, TREE_MODE_DIR, "sub", fixture_put_tree(&fix, &sub));
	struct worktree *tree =
		open_tree(&fix, fixture_put_commit(&fix, fixture_put_tree(&fix, &root)));

	for (int i = 0; i < RACERS; i++) {
		racers[i] = (struct racer){ .tree = tree };
		assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
	}
	for (int i = 0; i < RACERS; i++)
		pthread_join(racers[i].thread, NULL);
	for (int i = 0; i < RACE_FILES; i++) {
		assert_int_not_equal(racers[0].ids[i], 0);
		for (int j = 1; j < RACERS; j++)
			assert_int_equal(racers[j].ids[i], racers[0].ids[i]);
	}
	worktree_close(tree);
	fixture_release(&fix);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shows_a_commit),
		cmocka_unit_test(test_hides_what_cannot_be_shown),
		cmocka_unit_test(test_names_what_is_missing),
		cmocka_unit_test(test_links_have_sizes),
		cmocka_unit_test(test_ids_outlive_it),
		cmocka_unit_test(test_torn_table),
		cmocka_unit_test(test_bad_objects),
		cmocka_unit_test(test_refuses_what_is_no_commit),
		cmocka_unit_test(test_memory_runs_out),
		cmocka_unit_test(test_one_id_for_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
