/*
 * A store in a private folder, and a few lines to fill it (or a remote) with
 * objects, for the tests of what lies above.
 */
#ifndef GIT_FS_TESTS_REPO_FIXTURE_H
#define GIT_FS_TESTS_REPO_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/proc.h"
#include "git/hash.h"
#include "git/tree.h"
#include "store/store.h"

#define FIXTURE_TIME 1700000000

struct repo_fixture {
	char dir[64];
	char table[128];
	struct store *store;
	struct hasher *hasher;
};

static inline void fixture_open_store(struct repo_fixture *fix)
{
	char dir[128];
	struct err err = ERR_INIT;
	struct store_config config = { .dir = dir, .algo = HASH_SHA1 };

	snprintf(dir, sizeof(dir), "%s/store", fix->dir);
	if (store_open(&fix->store, &config, &err) < 0)
		fail_msg("store: %s", err.msg);
}

static inline void fixture_init(struct repo_fixture *fix)
{
	const char *tmp = getenv("TMPDIR");

	memset(fix, 0, sizeof(*fix));
	snprintf(fix->dir, sizeof(fix->dir), "%s/git-fs-test-XXXXXX", tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(fix->dir));
	snprintf(fix->table, sizeof(fix->table), "%s/nodes", fix->dir);
	fix->hasher = hasher_new(HASH_SHA1);
	assert_non_null(fix->hasher);
	fixture_open_store(fix);
}

static inline void fixture_release(struct repo_fixture *fix)
{
	const char *argv[] = { "rm", "-rf", "--", fix->dir, NULL };
	AUTO_BUF struct buf out = BUF_INIT;

	store_close(fix->store);
	hasher_free(fix->hasher);
	assert_int_equal(proc_run(argv, NULL, NULL, &out, NULL, 30000, NULL), 0);
}

static inline struct oid fixture_hash(struct repo_fixture *fix, enum object_type type,
				      const void *data, size_t len)
{
	struct oid oid;

	assert_int_equal(hasher_object(fix->hasher, type, data, len, &oid), 0);
	return oid;
}

/* Into the store, at once visible. */
static inline struct oid fixture_put(struct repo_fixture *fix, enum object_type type,
				     const void *data, size_t len)
{
	struct object object = {
		.type = type,
		.oid = fixture_hash(fix, type, data, len),
		.data = data,
		.size = len,
	};
	struct store_writer *writer;
	struct err err = ERR_INIT;

	assert_int_equal(store_writer_new(&writer, fix->store, NULL, NULL), 0);
	struct object_sink *sink = store_writer_sink(writer);

	assert_int_equal(sink->object(sink, &object, &err), 0);
	assert_int_equal(store_writer_flush(writer, &err), 0);
	store_writer_free(writer);
	return object.oid;
}

static inline struct oid fixture_blob_oid(struct repo_fixture *fix, const char *text)
{
	return fixture_hash(fix, OBJECT_BLOB, text, strlen(text));
}

static inline struct oid fixture_put_blob(struct repo_fixture *fix, const char *text)
{
	return fixture_put(fix, OBJECT_BLOB, text, strlen(text));
}

static inline void fixture_entry(struct buf *tree, uint32_t mode, const char *name,
				 struct oid oid)
{
	assert_int_equal(tree_append(tree, mode, name, strlen(name), &oid), 0);
}

static inline struct oid fixture_put_tree(struct repo_fixture *fix, const struct buf *tree)
{
	return fixture_put(fix, OBJECT_TREE, tree->len > 0 ? (const void *)tree->data : "",
			   tree->len);
}

/* The text of a commit of this tree. */
static inline void fixture_commit_text(struct buf *out, const struct oid *tree)
{
	char hex[OID_HEX_MAX + 1];

	assert_int_equal(buf_printf(out,
				    "tree %s\nauthor A <a@example.com> %d +0000\n"
				    "committer A <a@example.com> %d +0000\n\nmessage\n",
				    oid_to_hex(tree, hex), FIXTURE_TIME, FIXTURE_TIME),
			 0);
}

static inline struct oid fixture_put_commit(struct repo_fixture *fix, struct oid tree)
{
	AUTO_BUF struct buf text = BUF_INIT;

	fixture_commit_text(&text, &tree);
	return fixture_put(fix, OBJECT_COMMIT, text.data, text.len);
}

#endif
