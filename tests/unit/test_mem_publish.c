/* Commits that the in-memory remote makes, held against git's own. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/proc.h"
#include "failing_alloc.h"
#include "git/commit.h"
#include "git/tree.h"
#include "remote/mem_internal.h"

#define ALL (REMOTE_LISTS_CHEAPLY | REMOTE_TELLS_SIZES | REMOTE_PUBLISHES)
#define MAIN "refs/heads/main"
#define GIT_TIMEOUT_MS 30000U

static struct change put(const char *path, const char *text)
{
	return (struct change){ .action = CHANGE_PUT,
				.path = path,
				.mode = TREE_MODE_FILE,
				.data = (const uint8_t *)text,
				.size = strlen(text) };
}

static struct change put_mode(const char *path, const char *text, uint32_t mode)
{
	struct change change = put(path, text);

	change.mode = mode;
	return change;
}

static struct change drop(const char *path)
{
	return (struct change){ .action = CHANGE_DELETE, .path = path };
}

static struct change_set set_of(const struct change *changes, size_t count,
				const struct oid *base)
{
	struct change_set set = { .ref = MAIN,
				  .message = "Update\n",
				  .author_name = "A Person",
				  .author_email = "a@example.org",
				  .time = 1700000000,
				  .changes = changes,
				  .count = count };

	if (base != NULL)
		set.base = *base;
	return set;
}

static int publish(struct mem_remote *mem, const struct change *changes, size_t count,
		   struct oid *tip, struct err *err)
{
	const struct change_set set = set_of(changes, count, oid_is_set(tip) ? tip : NULL);

	return remote_publish(mem_remote_base(mem), &set, tip, NULL, err);
}

static struct oid tree_of(struct mem_remote *mem, const struct oid *oid)
{
	struct mem_object *object = mem_object_get(mem, oid);
	struct commit commit;

	assert_non_null(object);
	assert_int_equal(commit_parse(&commit, object->data, object->size, mem->algo), 0);
	mem_object_put(mem, object);
	return commit.tree;
}

/* A repository of git's own in a temporary folder. */
struct oracle {
	char dir[64];
};

/* Runs git in the repository; what it prints is one id. */
static struct oid git_id(const struct oracle *oracle, const char *const *args,
			 const struct buf *input)
{
	static const char *const env[] = {
		"GIT_CONFIG_NOSYSTEM=1",	"GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_AUTHOR_NAME=A Person",	"GIT_AUTHOR_EMAIL=a@example.org",
		"GIT_COMMITTER_NAME=A Person",	"GIT_COMMITTER_EMAIL=a@example.org",
		"GIT_AUTHOR_DATE=1700000000 +0000", "GIT_COMMITTER_DATE=1700000000 +0000",
		"GIT_DIR",			"GIT_INDEX_FILE", NULL,
	};
	const char *argv[16] = { "git", "-C", oracle->dir };
	AUTO_BUF struct buf out = BUF_INIT, errors = BUF_INIT;
	struct oid oid = { .algo = 0 };
	struct err err = ERR_INIT;

	for (size_t i = 0; args[i] != NULL; i++)
		argv[i + 3] = args[i];
	int rc = proc_run(argv, env, input, &out, &errors, GIT_TIMEOUT_MS, &err);
	if (rc != 0)
		fail_msg("git %s: %d %s%s", args[0], rc, buf_str(&errors), err.msg);
	if (out.len > 0)
		assert_int_equal(oid_from_hex(&oid, buf_str(&out), out.len - 1), 0);
	return oid;
}

#define GIT(oracle, input, ...) git_id(oracle, (const char *const[]){ __VA_ARGS__, NULL }, input)

static void oracle_open(struct oracle *oracle, enum hash_algo algo)
{
	char format[32];

	snprintf(oracle->dir, sizeof(oracle->dir), "/tmp/git-fs-publish.XXXXXX");
	assert_non_null(mkdtemp(oracle->dir));
	snprintf(format, sizeof(format), "--object-format=%s", hash_name(algo));
	GIT(oracle, NULL, "init", "-q", "--bare", format);
}

static void oracle_close(const struct oracle *oracle)
{
	const char *argv[] = { "rm", "-rf", oracle->dir, NULL };
	AUTO_BUF struct buf out = BUF_INIT;

	assert_int_equal(proc_run(argv, NULL, NULL, &out, NULL, GIT_TIMEOUT_MS, NULL), 0);
}

/* The tree that git makes of these files, whatever their order. */
static struct oid oracle_tree(const struct oracle *oracle, const struct change *files,
			      size_t count)
{
	AUTO_BUF struct buf index = BUF_INIT;

	for (size_t i = 0; i < count; i++) {
		AUTO_BUF struct buf data = BUF_INIT;
		char hex[OID_HEX_MAX + 1];

		assert_int_equal(buf_append(&data, files[i].data, files[i].size), 0);
		struct oid blob = GIT(oracle, &data, "hash-object", "-w", "--stdin");
		assert_int_equal(buf_printf(&index, "%o %s\t%s%c", files[i].mode,
					    oid_to_hex(&blob, hex), files[i].path, '\0'), 0);
	}
	GIT(oracle, NULL, "read-tree", "--empty");
	GIT(oracle, &index, "update-index", "-z", "--index-info");
	return GIT(oracle, NULL, "write-tree");
}

static void same_as_git(enum hash_algo algo)
{
	const struct change first[] = {
		put("b.txt", "b"),
		put("a/deep/er/file", "deep"),
		put("a/other", ""),
		put("a.txt", "sorts before a/"),
		put("a0", "sorts after a/"),
		put_mode("bin/tool", "#!/bin/sh\n", TREE_MODE_EXEC),
		put_mode("link", "a/deep", TREE_MODE_LINK),
		put("gr\303\274n \377", "odd name"),
		put("gone/only/file", "x"),
		put("swap", "a file that becomes a folder"),
		put("pans/pan", "a folder that becomes a file"),
	};
	const struct change second[] = {
		put("swap/in", "s"),	 put("b.txt", "changed"), drop("gone/only/file"),
		put("pans", "p"),	 drop("swap"),	  drop("pans/pan"),
		drop("a/deep"),	 put("new/x/y/z", "z"),	  drop("link"),
		put_mode("a.txt", "sorts before a/", TREE_MODE_EXEC),
	};
	const struct change after[] = {
		put("swap/in", "s"),
		put("b.txt", "changed"),
		put("pans", "p"),
		put("new/x/y/z", "z"),
		put("a/other", ""),
		put_mode("a.txt", "sorts before a/", TREE_MODE_EXEC),
		put("a0", "sorts after a/"),
		put_mode("bin/tool", "#!/bin/sh\n", TREE_MODE_EXEC),
		put("gr\303\274n \377", "odd name"),
	};
	struct mem_remote *mem = mem_remote_new(algo, ALL);
	struct oracle oracle;
	struct oid tip = { .algo = 0 }, tree, want;
	struct err err = ERR_INIT;
	char hex[OID_HEX_MAX + 1], parent[OID_HEX_MAX + 1];

	assert_non_null(mem);
	oracle_open(&oracle, algo);
	assert_int_equal(publish(mem, first, sizeof(first) / sizeof(first[0]), &tip, &err), 0);
	tree = tree_of(mem, &tip);
	want = oracle_tree(&oracle, first, sizeof(first) / sizeof(first[0]));
	assert_string_equal(oid_to_hex(&tree, hex), oid_to_hex(&want, parent));
	want = GIT(&oracle, NULL, "commit-tree", "-m", "Update", hex);
	assert_string_equal(oid_to_hex(&tip, hex), oid_to_hex(&want, parent));

	assert_int_equal(publish(mem, second, sizeof(second) / sizeof(second[0]), &tip, &err), 0);
	tree = tree_of(mem, &tip);
	want = oracle_tree(&oracle, after, sizeof(after) / sizeof(after[0]));
	assert_true(oid_equal(&tree, &want));
	want = GIT(&oracle, NULL, "commit-tree", "-m", "Update", "-p", parent,
		   oid_to_hex(&tree, hex));
	assert_true(oid_equal(&tip, &want));

	/* All gone: the empty tree. */
	const struct change rest[] = {
		drop("swap"),  drop("b.txt"), drop("pans"), drop("new"), drop("a"),
		drop("a.txt"), drop("a0"),    drop("bin"),  drop("gr\303\274n \377"),
	};
	assert_int_equal(publish(mem, rest, 9, &tip, &err), 0);
	tree = tree_of(mem, &tip);
	want = oracle_tree(&oracle, NULL, 0);
	assert_true(oid_equal(&tree, &want));
	oracle_close(&oracle);
	remote_free(mem_remote_base(mem));
}

static void commits_are_those_of_git(void **state)
{
	(void)state;
	same_as_git(HASH_SHA1);
	same_as_git(HASH_SHA256);
}

/*
 * Random states of a few paths, each reached from the one before by one change
 * set; its tree must be what git makes of the state.
 */
enum { PATHS = 14, ROUNDS = 25 };
static const char *const paths[PATHS] = {
	"a",   "a/a", "a/b", "a/c/d", "a/c/e/f", "a-", "a.b/c",
	"b/c", "b/c/d", "b",   "c",	 "c/a/a/a",  "c/a/b", "c0",
};

static bool conflicts(const char *a, const char *b)
{
	size_t len = strlen(a);

	return strncmp(a, b, len) == 0 && b[len] == '/';
}

static unsigned next_random(unsigned *seed)
{
	*seed = *seed * 1103515245U + 12345U;
	return *seed >> 16;
}

/* contents[i]: 0: not there, else which text it has. */
static void random_state(unsigned *seed, unsigned contents[PATHS])
{
	for (size_t i = 0; i < PATHS; i++) {
		contents[i] = next_random(seed) % 4;
		for (size_t j = 0; j < i; j++) {
			if (contents[j] != 0 && (conflicts(paths[i], paths[j]) ||
						 conflicts(paths[j], paths[i])))
				contents[i] = 0;
		}
	}
}

static void random_states_are_those_of_git(void **state)
{
	static const char *const texts[] = { NULL, "one", "two", "" };
	unsigned old[PATHS] = { 0 }, now[PATHS], seed = 20240229;
	struct mem_remote *mem = mem_remote_new(HASH_SHA1, ALL);
	struct oracle oracle;
	struct oid tip = { .algo = 0 };

	(void)state;
	oracle_open(&oracle, HASH_SHA1);
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct change changes[PATHS], files[PATHS];
		size_t count = 0, files_count = 0;

		random_state(&seed, now);
		for (size_t i = 0; i < PATHS; i++) {
			if (now[i] != 0)
				files[files_count++] = put(paths[i], texts[now[i]]);
			if (now[i] != old[i])
				changes[count++] = now[i] != 0 ? put(paths[i], texts[now[i]])
							       : drop(paths[i]);
		}
		assert_int_equal(publish(mem, changes, count, &tip, NULL), 0);
		struct oid tree = tree_of(mem, &tip);
		struct oid want = oracle_tree(&oracle, files, files_count);
		if (!oid_equal(&tree, &want))
			fail_msg("round %u differs", round);
		memcpy(old, now, sizeof(old));
	}
	oracle_close(&oracle);
	remote_free(mem_remote_base(mem));
}

static void only_the_holder_of_the_tip_may_publish(void **state)
{
	struct mem_remote *mem = mem_remote_new(HASH_SHA1, ALL);
	const struct change one = put("a", "1"), two = put("a", "2");
	struct oid tip = { .algo = 0 }, old, unset = { .algo = 0 };
	struct remote_ref ref;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(publish(mem, &one, 1, &tip, &err), 0);
	old = tip;
	assert_int_equal(publish(mem, &one, 1, &unset, &err), ERR_STALE);
	assert_false(oid_is_set(&unset));
	assert_int_equal(publish(mem, &two, 1, &tip, &err), 0);
	assert_int_equal(publish(mem, &one, 1, &old, &err), ERR_STALE);
	assert_int_equal(err.code, ERR_STALE);
	assert_int_equal(remote_resolve(mem_remote_base(mem), "main", &ref, NULL, &err), 0);
	assert_true(oid_equal(&ref.oid, &tip));
	/* A ref that is gone is not what it was, either. */
	assert_int_equal(mem_remote_set_ref(mem, MAIN, NULL), 0);
	assert_int_equal(publish(mem, &two, 1, &tip, &err), ERR_STALE);
	remote_free(mem_remote_base(mem));
}

static void what_cannot_be_a_commit_is_refused(void **state)
{
	const struct {
		struct change changes[2];
		size_t count;
		int rc;
	} cases[] = {
		{ { put("", "x") }, 1, -EINVAL },
		{ { put("/a", "x") }, 1, -EINVAL },
		{ { put("a/", "x") }, 1, -EINVAL },
		{ { put("a//b", "x") }, 1, -EINVAL },
		{ { put("a/../b", "x") }, 1, -EINVAL },
		{ { put("./b", "x") }, 1, -EINVAL },
		{ { put("sub/.GIT/config", "x") }, 1, -EINVAL },
		{ { put_mode("m", "x", TREE_MODE_GITLINK) }, 1, -EINVAL },
		{ { put_mode("m", "x", 0100600) }, 1, -EINVAL },
		{ { put("file/below", "x") }, 1, -EINVAL },
		{ { put("folder", "x") }, 1, -EINVAL },
		{ { drop("nothing") }, 1, ERR_NOT_FOUND },
		{ { drop("folder/nothing") }, 1, ERR_NOT_FOUND },
		{ { drop("file/below") }, 1, ERR_NOT_FOUND },
		{ { drop("file"), drop("file") }, 2, ERR_NOT_FOUND },
	};
	const struct change start[] = { put("file", "f"), put("folder/in", "i") };
	struct mem_remote *mem = mem_remote_new(HASH_SHA1, ALL);
	struct oid tip = { .algo = 0 };
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(publish(mem, start, 2, &tip, &err), 0);
	struct oid before = tip;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int rc = publish(mem, cases[i].changes, cases[i].count, &tip, &err);

		if (rc != cases[i].rc)
			fail_msg("case %zu gives %d", i, rc);
		assert_int_equal(err.code, rc);
		assert_true(oid_equal(&tip, &before));
	}
	struct change_set set = set_of(start, 2, &tip);
	set.author_name = "A <b>";
	assert_int_equal(remote_publish(mem_remote_base(mem), &set, &tip, NULL, &err), -EINVAL);
	set = set_of(start, 2, &tip);
	set.ref = "main";
	assert_int_equal(remote_publish(mem_remote_base(mem), &set, &tip, NULL, &err), -EINVAL);
	mem_remote_set_faults(mem, 0, 1, ERR_TIMEOUT);
	assert_int_equal(publish(mem, start, 2, &tip, &err), ERR_TIMEOUT);
	assert_int_equal(publish(mem, start, 2, &tip, &err), 0);
	remote_free(mem_remote_base(mem));
}

static void a_remote_may_take_no_commits(void **state)
{
	struct mem_remote *mem = mem_remote_new(HASH_SHA1, REMOTE_TELLS_SIZES);
	const struct change one = put("a", "1");
	struct oid tip = { .algo = 0 };

	(void)state;
	assert_int_equal(publish(mem, &one, 1, &tip, NULL), ERR_UNSUPPORTED);
	remote_free(mem_remote_base(mem));
}

/* Writers that all want to be next: each of their commits must be in the end. */
enum { WRITERS = 4, COMMITS = 25 };

struct writer {
	struct mem_remote *mem;
	pthread_t thread;
	unsigned number, stale;
};

static void *write_commits(void *arg)
{
	struct writer *writer = arg;

	for (unsigned i = 0; i < COMMITS; i++) {
		char path[32];
		int rc;

		snprintf(path, sizeof(path), "w%u/f%u", writer->number, i);
		do {
			const struct change change = put(path, path);
			struct remote_ref ref;

			rc = remote_resolve(mem_remote_base(writer->mem), "", &ref, NULL, NULL);
			if (rc == 0)
				rc = publish(writer->mem, &change, 1, &ref.oid, NULL);
			writer->stale += rc == ERR_STALE ? 1 : 0;
		} while (rc == ERR_STALE);
		assert_int_equal(rc, 0);
	}
	return NULL;
}

static size_t history_length(struct mem_remote *mem, struct oid tip)
{
	for (size_t length = 1;; length++) {
		struct mem_object *object = mem_object_get(mem, &tip);
		struct commit commit;

		assert_non_null(object);
		assert_int_equal(commit_parse(&commit, object->data, object->size, mem->algo), 0);
		mem_object_put(mem, object);
		if (commit.parents_count == 0)
			return length;
		tip = commit.parents[0];
	}
}

static void writers_at_once_lose_nothing(void **state)
{
	struct mem_remote *mem = mem_remote_new(HASH_SHA1, ALL);
	struct change files[WRITERS * COMMITS + 1];
	char names[WRITERS * COMMITS][32];
	struct writer writers[WRITERS];
	const struct change start = put("start", "");
	struct oid tip = { .algo = 0 };
	struct remote_ref ref;
	size_t count = 0;

	(void)state;
	assert_int_equal(publish(mem, &start, 1, &tip, NULL), 0);
	for (unsigned i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer){ .mem = mem, .number = i };
		assert_int_equal(thread_start(&writers[i].thread, "writer", write_commits,
					      &writers[i]), 0);
	}
	for (unsigned i = 0; i < WRITERS; i++)
		pthread_join(writers[i].thread, NULL);
	assert_int_equal(remote_resolve(mem_remote_base(mem), "", &ref, NULL, NULL), 0);
	assert_int_equal(history_length(mem, ref.oid), WRITERS * COMMITS + 1);

	/* One commit with all of it has the same tree. */
	for (; count < WRITERS * COMMITS; count++) {
		snprintf(names[count], sizeof(names[count]), "w%zu/f%zu", count / COMMITS,
			 count % COMMITS);
		files[count] = put(names[count], names[count]);
	}
	files[count++] = start;
	struct change_set set = set_of(files, count, NULL);
	set.ref = "refs/heads/other";
	assert_int_equal(remote_publish(mem_remote_base(mem), &set, &tip, NULL, NULL), 0);
	struct oid tree = tree_of(mem, &ref.oid), want = tree_of(mem, &tip);
	assert_true(oid_equal(&tree, &want));
	remote_free(mem_remote_base(mem));
}

static void every_allocation_may_fail(void **state)
{
	const struct change first[] = { put("a/b/c", "1"), put("d", "2"), put("e/f", "3") };
	const struct change second[] = { put("a/b/x", "4"), drop("e/f"), put("g/h", "5") };
	struct oid tip = { .algo = 0 };
	long nth;

	(void)state;
	for (nth = 1;; nth++) {
		struct mem_remote *mem = mem_remote_new(HASH_SHA1, ALL);
		struct remote_ref ref;

		tip = (struct oid){ .algo = 0 };
		assert_int_equal(publish(mem, first, 3, &tip, NULL), 0);
		struct oid before = tip;
		failing_alloc_arm(nth);
		int rc = publish(mem, second, 3, &tip, NULL);
		bool failed = failing_alloc_disarm();
		assert_true(rc == 0 || (failed && rc == -ENOMEM));
		assert_int_equal(remote_resolve(mem_remote_base(mem), "", &ref, NULL, NULL), 0);
		assert_true(oid_equal(&ref.oid, &tip));
		assert_true(oid_equal(&before, &tip) == (rc != 0));
		remote_free(mem_remote_base(mem));
		if (!failed)
			break;
	}
	assert_true(nth > 15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commits_are_those_of_git),
		cmocka_unit_test(random_states_are_those_of_git),
		cmocka_unit_test(only_the_holder_of_the_tip_may_publish),
		cmocka_unit_test(what_cannot_be_a_commit_is_refused),
		cmocka_unit_test(a_remote_may_take_no_commits),
		cmocka_unit_test(writers_at_once_lose_nothing),
		cmocka_unit_test(every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
