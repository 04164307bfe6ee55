/* The in-memory remote: names, objects, lists, sizes, faults. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/threads.h"
#include "failing_alloc.h"
#include "git/hash.h"
#include "git/tree.h"
#include "remote/mem_remote.h"

#define ALL (REMOTE_LISTS_CHEAPLY | REMOTE_TELLS_SIZES | REMOTE_PUBLISHES)
#define TAKEN_MAX 64

/* A sink that keeps what it was given, and checks that ids are true. */
struct taker {
	struct object_sink sink;
	struct oid oids[TAKEN_MAX];
	size_t count, streamed, given_up;
	struct buf stream; /* of the object that is being streamed */
	enum object_type stream_type;
	size_t fail_at;    /* the write that fails; 0: none */
	size_t writes;
	struct cancel *cancel; /* set by the first object; or NULL */
	bool trusting;         /* checks no ids, which takes memory */
};

static void check_id(enum object_type type, const void *data, size_t len, const struct oid *want)
{
	struct hasher *hasher = hasher_new((enum hash_algo)want->algo);
	struct oid oid;

	assert_non_null(hasher);
	assert_int_equal(hasher_object(hasher, type, data, len, &oid), 0);
	assert_true(oid_equal(&oid, want));
	hasher_free(hasher);
}

static void keep(struct taker *taker, const struct oid *oid)
{
	assert_true(taker->count < TAKEN_MAX);
	taker->oids[taker->count++] = *oid;
	if (taker->cancel != NULL)
		cancel_set(taker->cancel);
}

static int take_object(struct object_sink *sink, const struct object *object, struct err *err)
{
	struct taker *taker = (struct taker *)(void *)sink;

	(void)err;
	assert_true(object->size <= OBJECT_WHOLE_MAX);
	if (!taker->trusting)
		check_id(object->type, object->data, object->size, &object->oid);
	keep(taker, &object->oid);
	return 0;
}

static int take_begin(struct object_sink *sink, enum object_type type, uint64_t size,
		      void **stream_out, struct err *err)
{
	struct taker *taker = (struct taker *)(void *)sink;

	(void)err;
	assert_true(size > OBJECT_WHOLE_MAX);
	taker->stream_type = type;
	taker->writes = 0;
	*stream_out = &taker->stream;
	return 0;
}

static int take_write(struct object_sink *sink, void *stream, const uint8_t *data, size_t len,
		      struct err *err)
{
	struct taker *taker = (struct taker *)(void *)sink;

	if (++taker->writes == taker->fail_at)
		return err_set(err, -ENOSPC, "full");
	return buf_append(stream, data, len);
}

static int take_end(struct object_sink *sink, void *stream, const struct oid *oid,
		    struct err *err)
{
	struct taker *taker = (struct taker *)(void *)sink;
	struct buf *buf = stream;

	(void)err;
	if (oid != NULL) {
		check_id(taker->stream_type, buf->data, buf->len, oid);
		keep(taker, oid);
		taker->streamed++;
	} else {
		taker->given_up++;
	}
	buf_release(buf);
	return 0;
}

static struct taker taker_make(void)
{
	return (struct taker){ .sink = { .object = take_object,
					 .begin = take_begin,
					 .write = take_write,
					 .end = take_end },
			       .stream = BUF_INIT };
}

static bool took(const struct taker *taker, const struct oid *oid)
{
	for (size_t i = 0; i < taker->count; i++) {
		if (oid_equal(&taker->oids[i], oid))
			return true;
	}
	return false;
}

/*
 * A commit with
 *   same     blob "shared"        (once more as dir/same)
 *   tool     blob "#!"
 *   dir/     same, sub/
 *   dir/sub/ deep, twin/ -> the same tree as dir/sub/leaf/
 *   dir/sub/leaf/ bottom
 *   module   gitlink
 */
struct fixture {
	struct mem_remote *mem;
	struct remote *remote;
	struct oid same, tool, deep, bottom, leaf, sub, dir, top, commit, tag, nested, tree_tag;
};

static struct oid add(struct mem_remote *mem, enum object_type type, const char *text)
{
	struct oid oid;

	assert_int_equal(mem_remote_add(mem, type, text, strlen(text), &oid), 0);
	return oid;
}

struct line {
	uint32_t mode;
	const char *name;
	const struct oid *oid;
};

static struct oid add_tree(struct mem_remote *mem, const struct line *lines, size_t count)
{
	AUTO_BUF struct buf data = BUF_INIT;
	struct oid oid;

	for (size_t i = 0; i < count; i++)
		assert_int_equal(tree_append(&data, lines[i].mode, lines[i].name,
					     strlen(lines[i].name), lines[i].oid), 0);
	assert_int_equal(mem_remote_add(mem, OBJECT_TREE, data.data, data.len, &oid), 0);
	return oid;
}

static struct oid add_commit(struct mem_remote *mem, const struct oid *tree, const char *message)
{
	char text[512], hex[OID_HEX_MAX + 1];

	snprintf(text, sizeof(text), "tree %s\nauthor A <a@b> 1 +0000\n\n%s",
		 oid_to_hex(tree, hex), message);
	return add(mem, OBJECT_COMMIT, text);
}

static struct oid add_tag(struct mem_remote *mem, const struct oid *oid, const char *type)
{
	char text[512], hex[OID_HEX_MAX + 1];

	snprintf(text, sizeof(text), "object %s\ntype %s\ntag t\ntagger A <a@b> 1 +0000\n\nm\n",
		 oid_to_hex(oid, hex), type);
	return add(mem, OBJECT_TAG, text);
}

static void fill(struct fixture *fix, unsigned features)
{
	struct mem_remote *mem = mem_remote_new(HASH_SHA1, features);

	assert_non_null(mem);
	fix->mem = mem;
	fix->remote = mem_remote_base(mem);
	fix->same = add(mem, OBJECT_BLOB, "shared");
	fix->tool = add(mem, OBJECT_BLOB, "#!");
	fix->deep = add(mem, OBJECT_BLOB, "deep contents");
	fix->bottom = add(mem, OBJECT_BLOB, "");
	const struct line leaf[] = { { TREE_MODE_FILE, "bottom", &fix->bottom } };
	fix->leaf = add_tree(mem, leaf, 1);
	const struct line sub[] = { { TREE_MODE_FILE, "deep", &fix->deep },
				    { TREE_MODE_DIR, "leaf", &fix->leaf },
				    { TREE_MODE_DIR, "twin", &fix->leaf } };
	fix->sub = add_tree(mem, sub, 3);
	const struct line dir[] = { { TREE_MODE_FILE, "same", &fix->same },
				    { TREE_MODE_DIR, "sub", &fix->sub } };
	fix->dir = add_tree(mem, dir, 2);
	const struct line top[] = { { TREE_MODE_DIR, "dir", &fix->dir },
				    { TREE_MODE_GITLINK, "module", &fix->same },
				    { TREE_MODE_FILE, "same", &fix->same },
				    { TREE_MODE_EXEC, "tool", &fix->tool } };
	fix->top = add_tree(mem, top, 4);
	fix->commit = add_commit(mem, &fix->top, "first\n");
	fix->tag = add_tag(mem, &fix->commit, "commit");
	fix->nested = add_tag(mem, &fix->tag, "tag");
	fix->tree_tag = add_tag(mem, &fix->top, "tree");
	assert_int_equal(mem_remote_set_ref(mem, "refs/heads/main", &fix->commit), 0);
	assert_int_equal(mem_remote_set_ref(mem, "refs/tags/v1", &fix->tag), 0);
	assert_int_equal(mem_remote_set_ref(mem, "refs/tags/again", &fix->nested), 0);
	assert_int_equal(mem_remote_set_ref(mem, "refs/tags/tree", &fix->tree_tag), 0);
}

static void names_resolve_as_git_has_them(void **state)
{
	static const char *const main_names[] = { "", "HEAD", "main", "heads/main",
						  "refs/heads/main" };
	static const char *const wrong[] = {
		"mai", "refs/main", "tags/main", "tree", "v2", "heads/",
		"0123456789012345678901234567890123456789",
	};
	struct fixture fix;
	struct remote_ref ref;
	struct err err = ERR_INIT;
	char hex[OID_HEX_MAX + 1];

	(void)state;
	fill(&fix, ALL);
	for (size_t i = 0; i < sizeof(main_names) / sizeof(main_names[0]); i++) {
		assert_int_equal(remote_resolve(fix.remote, main_names[i], &ref, NULL, &err), 0);
		assert_string_equal(ref.name, "refs/heads/main");
		assert_true(oid_equal(&ref.oid, &fix.commit));
		assert_true(oid_equal(&ref.commit, &fix.commit));
	}
	assert_int_equal(remote_resolve(fix.remote, "v1", &ref, NULL, &err), 0);
	assert_string_equal(ref.name, "refs/tags/v1");
	assert_true(oid_equal(&ref.oid, &fix.tag) && oid_equal(&ref.commit, &fix.commit));
	assert_int_equal(remote_resolve(fix.remote, "tags/again", &ref, NULL, &err), 0);
	assert_true(oid_equal(&ref.oid, &fix.nested) && oid_equal(&ref.commit, &fix.commit));
	assert_int_equal(
		remote_resolve(fix.remote, oid_to_hex(&fix.commit, hex), &ref, NULL, &err), 0);
	assert_string_equal(ref.name, "");
	assert_true(oid_equal(&ref.commit, &fix.commit));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(remote_resolve(fix.remote, wrong[i], &ref, NULL, &err),
				 ERR_NOT_FOUND);
		assert_non_null(strstr(err.msg, wrong[i]));
	}
	assert_int_equal(remote_resolve(fix.remote, oid_to_hex(&fix.top, hex), &ref, NULL, &err),
			 ERR_NOT_FOUND);
	remote_free(fix.remote);
}

static void an_empty_repository_says_so(void **state)
{
	struct mem_remote *mem = mem_remote_new(HASH_SHA256, ALL);
	struct remote *remote = mem_remote_base(mem);
	struct remote_ref ref;
	struct err err = ERR_INIT;
	enum hash_algo algo = HASH_SHA1;
	struct oid oid = add(mem, OBJECT_BLOB, "x");

	(void)state;
	assert_int_equal(remote_resolve(remote, "", &ref, NULL, &err), ERR_NOT_FOUND);
	assert_non_null(strstr(err.msg, "empty"));
	assert_int_equal(remote_algo(remote, &algo, NULL, &err), 0);
	assert_int_equal(algo, HASH_SHA256);
	assert_int_equal(remote_features(remote), ALL);
	assert_int_equal(mem_remote_set_ref(mem, "main", &oid), -EINVAL);
	mem_remote_forget(mem, &oid);
	assert_int_equal(mem_remote_set_ref(mem, "refs/heads/main", &oid), ERR_NOT_FOUND);
	remote_free(remote);
}

static void objects_come_whole_or_in_pieces(void **state)
{
	enum { LARGE = (1 << 20) + 12345 };
	struct fixture fix;
	struct taker taker = taker_make();
	struct mem_remote_counts counts;
	struct remote_traffic traffic;
	struct oid large, whole;
	size_t missing = 77;
	uint8_t *data = malloc(LARGE);

	(void)state;
	assert_non_null(data);
	for (size_t i = 0; i < LARGE; i++)
		data[i] = (uint8_t)(i * 7 + i / 251);
	fill(&fix, ALL);
	assert_int_equal(mem_remote_add(fix.mem, OBJECT_BLOB, data, LARGE, &large), 0);
	assert_int_equal(mem_remote_add(fix.mem, OBJECT_BLOB, data, OBJECT_WHOLE_MAX, &whole), 0);
	free(data);
	mem_remote_forget(fix.mem, &fix.tool);
	const struct oid oids[] = { fix.same, large, fix.tool, fix.top, fix.bottom, whole };

	assert_int_equal(remote_fetch(fix.remote, oids, 6, &taker.sink, &missing, NULL, NULL), 0);
	assert_int_equal(missing, 1);
	assert_int_equal(taker.count, 5);
	assert_int_equal(taker.streamed, 1);
	assert_false(took(&taker, &fix.tool));
	mem_remote_counts(fix.mem, &counts);
	assert_int_equal(counts.fetches, 1);
	assert_int_equal(counts.objects, 5);
	remote_traffic(fix.remote, &traffic);
	assert_int_equal(traffic.requests, 1);
	assert_true(traffic.bytes_received > LARGE + OBJECT_WHOLE_MAX);

	/* What a sink says ends the call; a stream is closed either way. */
	taker.fail_at = 3;
	missing = 77;
	assert_int_equal(remote_fetch(fix.remote, &large, 1, &taker.sink, &missing, NULL, NULL),
			 -ENOSPC);
	assert_int_equal(taker.given_up, 1);
	assert_int_equal(missing, 77);
	remote_free(fix.remote);
}

struct listing {
	const struct oid *root;
	unsigned depth;
	const struct oid *wanted[12]; /* NULL-ended */
};

static void check_lists(struct fixture *fix, const struct listing *lists, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct taker taker = taker_make();
		struct remote_list what = { .root = *lists[i].root, .depth = lists[i].depth };
		size_t wanted = 0;

		what.commit = fix->commit;
		what.path = "";
		assert_int_equal(remote_list(fix->remote, &what, &taker.sink, NULL, NULL), 0);
		while (lists[i].wanted[wanted] != NULL)
			assert_true(took(&taker, lists[i].wanted[wanted++]));
		assert_int_equal(taker.count, wanted);
	}
}

static void lists_hold_trees_to_their_depth(void **state)
{
	struct fixture fix;

	(void)state;
	fill(&fix, ALL);
	const struct listing lists[] = {
		{ &fix.commit, 1, { &fix.commit, &fix.top } },
		{ &fix.commit, 2, { &fix.commit, &fix.top, &fix.dir } },
		{ &fix.commit, 3, { &fix.commit, &fix.top, &fix.dir, &fix.sub } },
		{ &fix.commit, REMOTE_DEPTH_ALL,
		  { &fix.commit, &fix.top, &fix.dir, &fix.sub, &fix.leaf } },
		{ &fix.dir, 1, { &fix.dir } },
		{ &fix.dir, 2, { &fix.dir, &fix.sub } },
		{ &fix.sub, REMOTE_DEPTH_ALL, { &fix.sub, &fix.leaf } },
	};
	check_lists(&fix, lists, sizeof(lists) / sizeof(lists[0]));
	remote_free(fix.remote);
}

static void lists_that_are_not_cheap_bring_contents(void **state)
{
	struct fixture fix;

	(void)state;
	fill(&fix, REMOTE_TELLS_SIZES);
	const struct listing lists[] = {
		{ &fix.commit, 1,
		  { &fix.commit, &fix.top, &fix.dir, &fix.sub, &fix.leaf, &fix.same, &fix.tool,
		    &fix.deep, &fix.bottom } },
		{ &fix.sub, REMOTE_DEPTH_ALL, { &fix.sub, &fix.leaf, &fix.deep, &fix.bottom } },
		{ &fix.top, REMOTE_DEPTH_ALL,
		  { &fix.top, &fix.dir, &fix.sub, &fix.leaf, &fix.same, &fix.tool, &fix.deep,
		    &fix.bottom } },
	};
	check_lists(&fix, lists, sizeof(lists) / sizeof(lists[0]));
	remote_free(fix.remote);
}

static void lists_of_what_is_gone_fail(void **state)
{
	struct fixture fix;
	struct taker taker = taker_make();
	struct err err = ERR_INIT;

	(void)state;
	fill(&fix, ALL);
	struct remote_list what = { .root = fix.same, .depth = REMOTE_DEPTH_ALL };
	assert_int_equal(remote_list(fix.remote, &what, &taker.sink, NULL, &err), ERR_NOT_FOUND);
	what.root = fix.tag;
	assert_int_equal(remote_list(fix.remote, &what, &taker.sink, NULL, &err), ERR_NOT_FOUND);
	what.root = fix.commit;
	mem_remote_forget(fix.mem, &fix.sub);
	assert_int_equal(remote_list(fix.remote, &what, &taker.sink, NULL, &err), ERR_NOT_FOUND);
	mem_remote_forget(fix.mem, &fix.commit);
	mem_remote_forget(fix.mem, &fix.commit);
	assert_int_equal(remote_list(fix.remote, &what, &taker.sink, NULL, &err), ERR_NOT_FOUND);
	remote_free(fix.remote);
}

static void sizes_are_told_where_offered(void **state)
{
	struct fixture fix;
	uint64_t sizes[4] = { 1, 2, 3, 4 };

	(void)state;
	fill(&fix, REMOTE_TELLS_SIZES);
	mem_remote_forget(fix.mem, &fix.tool);
	const struct oid oids[] = { fix.same, fix.bottom, fix.top, fix.tool };
	assert_int_equal(remote_sizes(fix.remote, oids, 4, sizes, NULL, NULL), 0);
	assert_int_equal(sizes[0], 6);
	assert_int_equal(sizes[1], 0);
	assert_true(sizes[2] == SIZE_NOT_TOLD && sizes[3] == SIZE_NOT_TOLD);
	remote_free(fix.remote);
	fill(&fix, REMOTE_LISTS_CHEAPLY);
	sizes[0] = 99;
	assert_int_equal(remote_sizes(fix.remote, oids, 4, sizes, NULL, NULL), ERR_UNSUPPORTED);
	assert_int_equal(sizes[0], 99);
	remote_free(fix.remote);
}

static void faults_delay_and_fail(void **state)
{
	struct fixture fix;
	struct taker taker = taker_make();
	struct remote_ref ref;
	struct cancel cancel;
	struct err err = ERR_INIT;

	(void)state;
	fill(&fix, ALL);
	mem_remote_set_faults(fix.mem, 30, 2, ERR_UNREACHABLE);
	uint64_t start = mono_ns();
	assert_int_equal(remote_resolve(fix.remote, "", &ref, NULL, &err), ERR_UNREACHABLE);
	assert_true(mono_ns() - start >= 30 * NS_PER_MS);
	assert_int_equal(err.code, ERR_UNREACHABLE);
	assert_int_equal(remote_fetch(fix.remote, &fix.top, 1, &taker.sink, NULL, NULL, &err),
			 ERR_UNREACHABLE);
	assert_int_equal(remote_resolve(fix.remote, "", &ref, NULL, &err), 0);

	/* A cancel ends a delay at once. */
	assert_int_equal(cancel_init(&cancel), 0);
	cancel_set(&cancel);
	mem_remote_set_faults(fix.mem, 60000, 0, 0);
	start = mono_ns();
	assert_int_equal(remote_resolve(fix.remote, "", &ref, &cancel, &err), ERR_CANCELLED);
	assert_true(mono_ns() - start < 10 * NS_PER_S);
	cancel_release(&cancel);

	/* And a fetch between two objects. */
	assert_int_equal(cancel_init(&cancel), 0);
	mem_remote_set_faults(fix.mem, 0, 0, 0);
	taker.cancel = &cancel;
	const struct oid oids[] = { fix.same, fix.top };
	assert_int_equal(remote_fetch(fix.remote, oids, 2, &taker.sink, NULL, &cancel, &err),
			 ERR_CANCELLED);
	assert_int_equal(taker.count, 1);
	cancel_release(&cancel);
	remote_free(fix.remote);
}

/* Forgets and adds again what the other threads fetch and list. */
static void *forget_and_add(void *arg)
{
	struct fixture *fix = arg;

	for (unsigned i = 0; i < 2000; i++) {
		mem_remote_forget(fix->mem, &fix->same);
		struct oid oid = add(fix->mem, OBJECT_BLOB, "shared");
		assert_true(oid_equal(&oid, &fix->same));
	}
	return NULL;
}

static void objects_in_use_outlive_being_forgotten(void **state)
{
	struct fixture fix;
	pthread_t threads[2];

	(void)state;
	fill(&fix, 0);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(thread_start(&threads[i], "forget", forget_and_add, &fix), 0);
	for (unsigned i = 0; i < 500; i++) {
		struct taker taker = taker_make();
		struct remote_list what = { .root = fix.top, .depth = REMOTE_DEPTH_ALL };
		size_t missing;

		assert_int_equal(remote_fetch(fix.remote, &fix.same, 1, &taker.sink, &missing, NULL,
					      NULL), 0);
		assert_int_equal(taker.count + missing, 1);
		int rc = remote_list(fix.remote, &what, &taker.sink, NULL, NULL);
		assert_true(rc == 0 || rc == ERR_NOT_FOUND);
	}
	for (size_t i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	remote_free(fix.remote);
}

static void every_allocation_may_fail(void **state)
{
	struct fixture fix;
	long nth;

	(void)state;
	fill(&fix, 0);
	for (nth = 1;; nth++) {
		struct mem_remote *mem;
		struct oid oid;
		int rc = -ENOMEM;

		failing_alloc_arm(nth);
		mem = mem_remote_new(HASH_SHA1, ALL);
		if (mem != NULL)
			rc = mem_remote_add(mem, OBJECT_BLOB, "x", 1, &oid);
		if (rc == 0)
			rc = mem_remote_set_ref(mem, "refs/heads/main", &oid);
		bool failed = failing_alloc_disarm();
		assert_true(failed ? rc == -ENOMEM : rc == 0);
		remote_free(mem != NULL ? mem_remote_base(mem) : NULL);
		if (!failed)
			break;
	}
	assert_true(nth > 4);
	for (nth = 1;; nth++) {
		struct taker taker = taker_make();
		struct remote_list what = { .root = fix.commit, .depth = REMOTE_DEPTH_ALL };

		taker.trusting = true;
		failing_alloc_arm(nth);
		int rc = remote_list(fix.remote, &what, &taker.sink, NULL, NULL);
		bool failed = failing_alloc_disarm();
		assert_true(rc == 0 || (failed && rc == -ENOMEM));
		if (!failed)
			break;
	}
	assert_true(nth > 9);
	remote_free(fix.remote);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_resolve_as_git_has_them),
		cmocka_unit_test(an_empty_repository_says_so),
		cmocka_unit_test(objects_come_whole_or_in_pieces),
		cmocka_unit_test(lists_hold_trees_to_their_depth),
		cmocka_unit_test(lists_that_are_not_cheap_bring_contents),
		cmocka_unit_test(lists_of_what_is_gone_fail),
		cmocka_unit_test(sizes_are_told_where_offered),
		cmocka_unit_test(faults_delay_and_fail),
		cmocka_unit_test(objects_in_use_outlive_being_forgotten),
		cmocka_unit_test(every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
