/* Packs built byte by byte: orders that git never writes, limits, and every way
 * to be wrong. Packs that git writes are in test_pack_git.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "failing_alloc.h"
#include "git/pack.h"
#include "mem_sink.h"
#include "pack_build.h"

#define SHA1_LEN 20

static const size_t pieces[] = { 1, 7, 4096, SIZE_MAX };

/* Feeds a pack in pieces, each in memory of its own so that a sanitizer sees a
 * read beyond it. The last return value; *count_out (may be NULL) is how many
 * objects the parser says it gave. */
static int feed(struct mem_sink *mem, const uint8_t *data, size_t len, size_t piece,
		uint32_t *count_out, struct err *err)
{
	struct pack_parser *parser = pack_parser_new(HASH_SHA1, &mem->sink);
	int rc = 0;

	if (parser == NULL)
		return -ENOMEM;
	while (rc == 0 && len > 0) {
		size_t step = len < piece ? len : piece;
		uint8_t *copy = malloc(step);

		if (copy == NULL) {
			rc = -ENOMEM;
			break;
		}
		memcpy(copy, data, step);
		rc = pack_parser_feed(parser, copy, step, err);
		free(copy);
		data += step;
		len -= step;
	}
	if (rc == 1 && len > 0)
		rc = pack_parser_feed(parser, data, len, err);
	if (count_out != NULL)
		*count_out = pack_parser_count(parser);
	pack_parser_free(parser);
	return rc;
}

static int feed_new(const struct buf *pack, size_t piece, struct err *err)
{
	struct mem_sink mem;
	int rc;

	assert_true(mem_sink_init(&mem, HASH_SHA1));
	rc = feed(&mem, pack->data, pack->len, piece, NULL, err);
	mem_sink_release(&mem);
	return rc;
}

static struct mem_object *must_have(struct mem_sink *mem, enum object_type type, const char *text)
{
	struct oid oid = build_oid(HASH_SHA1, type, text, strlen(text));
	struct mem_object *object = mem_sink_find(mem, &oid);

	assert_non_null(object);
	assert_int_equal(object->type, type);
	assert_int_equal(object->data.len, strlen(text));
	return object;
}

static void an_empty_pack_is_complete(void **state)
{
	AUTO_BUF struct buf pack = BUF_INIT;
	struct pack_parser *parser;
	struct mem_sink mem;

	(void)state;
	assert_true(mem_sink_init(&mem, HASH_SHA1));
	build_head(&pack, 0);
	build_trailer(&pack, HASH_SHA1);
	parser = pack_parser_new(HASH_SHA1, &mem.sink);
	assert_non_null(parser);
	assert_int_equal(pack_parser_feed(parser, pack.data, 31, NULL), 0);
	assert_int_equal(pack_parser_feed(parser, pack.data + 31, 1, NULL), 1);
	assert_int_equal(pack_parser_feed(parser, NULL, 0, NULL), 1);
	assert_int_equal(pack_parser_count(parser), 0);
	assert_int_equal(mem.touched, 0);
	pack_parser_free(parser);
	pack_parser_free(NULL);
	mem_sink_release(&mem);
}

/* All kinds of entries, bases behind their deltas among them. */
static void build_mixed(struct buf *pack)
{
	struct oid late = build_oid(HASH_SHA1, OBJECT_BLOB, "late", 4);
	struct oid tree = build_oid(HASH_SHA1, OBJECT_TREE, "", 0);
	AUTO_BUF struct buf on_late = BUF_INIT;
	AUTO_BUF struct buf on_later = BUF_INIT;
	AUTO_BUF struct buf on_tree = BUF_INIT;
	size_t waiting, commit;

	build_delta_append(&on_late, 4, "r");
	build_delta_append(&on_later, 5, "st of all, and a bit longer than the others");
	build_delta_append(&on_tree, 0, "no tree, but who looks?");
	build_head(pack, 8);
	waiting = build_ref_delta(pack, &late, &on_late);
	build_ofs_delta(pack, waiting, &on_later);
	build_object(pack, OBJECT_TREE, "", 0);
	build_ref_delta(pack, &tree, &on_tree);
	commit = build_object(pack, OBJECT_COMMIT, "five5", 5);
	build_object(pack, OBJECT_BLOB, "late", 4);
	build_object(pack, OBJECT_TAG, "a tag", 5);
	build_ofs_delta(pack, commit, &on_later);
	build_trailer(pack, HASH_SHA1);
}

static void check_mixed(struct mem_sink *mem)
{
	assert_true(must_have(mem, OBJECT_BLOB, "late")->deflated);
	assert_false(must_have(mem, OBJECT_BLOB, "later")->deflated);
	must_have(mem, OBJECT_BLOB, "laterst of all, and a bit longer than the others");
	assert_true(must_have(mem, OBJECT_TREE, "")->deflated);
	must_have(mem, OBJECT_TREE, "no tree, but who looks?");
	must_have(mem, OBJECT_COMMIT, "five5");
	must_have(mem, OBJECT_COMMIT, "five5st of all, and a bit longer than the others");
	must_have(mem, OBJECT_TAG, "a tag");
	assert_int_equal(mem->objects.count, 8);
	assert_int_equal(mem->calls, 8);
	assert_int_equal(mem->deflated_count, 4);
}

static void deltas_wait_for_their_bases(void **state)
{
	AUTO_BUF struct buf pack = BUF_INIT;

	(void)state;
	build_mixed(&pack);
	for (size_t i = 0; i < 4; i++) {
		struct err err = ERR_INIT;
		struct mem_sink mem;
		uint32_t count;

		assert_true(mem_sink_init(&mem, HASH_SHA1));
		assert_int_equal(feed(&mem, pack.data, pack.len, pieces[i], &count, &err), 1);
		assert_string_equal(err.msg, "");
		assert_int_equal(count, 8);
		check_mixed(&mem);
		mem_sink_release(&mem);
	}
}

/* Each stands on the one behind it: 20,000 wait, and the last wakes them all. */
static void a_long_chain_backwards_is_walked(void **state)
{
	enum { LINKS = 20000 };
	AUTO_BUF struct buf pack = BUF_INIT;
	struct mem_sink mem;
	char text[9], base[9];

	(void)state;
	build_head(&pack, LINKS + 1);
	for (unsigned i = LINKS; i > 0; i--) {
		AUTO_BUF struct buf delta = BUF_INIT;
		struct oid oid;

		snprintf(text, sizeof(text), "%08u", i);
		snprintf(base, sizeof(base), "%08u", i - 1);
		oid = build_oid(HASH_SHA1, OBJECT_BLOB, base, 8);
		build_delta_size(&delta, 8);
		build_delta_size(&delta, 8);
		build_delta_insert(&delta, text, 8);
		build_ref_delta(&pack, &oid, &delta);
	}
	build_object(&pack, OBJECT_BLOB, "00000000", 8);
	build_trailer(&pack, HASH_SHA1);
	assert_true(mem_sink_init(&mem, HASH_SHA1));
	assert_int_equal(feed(&mem, pack.data, pack.len, 65536, NULL, NULL), 1);
	assert_int_equal(mem.objects.count, LINKS + 1);
	must_have(&mem, OBJECT_BLOB, "00000000");
	must_have(&mem, OBJECT_BLOB, "00020000");
	/* The cache had every base: asked was only when each delta came. */
	assert_int_equal(mem.reads, LINKS);
	mem_sink_release(&mem);
}

static void bases_may_be_the_keepers(void **state)
{
	struct oid base = build_oid(HASH_SHA1, OBJECT_COMMIT, "kept", 4);
	AUTO_BUF struct buf first = BUF_INIT;
	AUTO_BUF struct buf thin = BUF_INIT;
	AUTO_BUF struct buf delta = BUF_INIT;
	struct err err = ERR_INIT;
	struct mem_sink mem;
	uint32_t count;

	(void)state;
	build_head(&first, 1);
	build_object(&first, OBJECT_COMMIT, "kept", 4);
	build_trailer(&first, HASH_SHA1);
	build_head(&thin, 2);
	build_delta_append(&delta, 4, ", and more");
	build_ref_delta(&thin, &base, &delta);
	build_object(&thin, OBJECT_BLOB, "beside", 6);
	build_trailer(&thin, HASH_SHA1);
	assert_true(mem_sink_init(&mem, HASH_SHA1));
	/* Without its base the delta is in vain, what stands beside it is not. */
	assert_int_equal(feed(&mem, thin.data, thin.len, 7, &count, &err), ERR_CORRUPT);
	assert_non_null(strstr(err.msg, "1 deltas have no base, one at offset 12"));
	assert_int_equal(count, 1);
	assert_int_equal(feed(&mem, first.data, first.len, 7, NULL, NULL), 1);
	assert_int_equal(feed(&mem, thin.data, thin.len, 7, &count, NULL), 1);
	assert_int_equal(count, 2);
	must_have(&mem, OBJECT_COMMIT, "kept, and more");
	mem_sink_release(&mem);
}

static uint8_t *noise(size_t len)
{
	uint8_t *data = malloc(len);
	uint32_t seed = 7;

	assert_non_null(data);
	/* A tenth of it is noise, so that it is worth deflating. */
	for (size_t i = 0; i < len; i++) {
		seed = seed * 1664525 + 1013904223;
		data[i] = i % 100 < 10 ? (uint8_t)(seed >> 24) : 0;
	}
	return data;
}

/* What is held whole, what is streamed, at the limit between them; deltas that
 * stand on streamed blobs, before and behind. */
static void large_blobs_are_streamed(void **state)
{
	const size_t large = (size_t)OBJECT_WHOLE_MAX + 1;
	AUTO_BUF struct buf pack = BUF_INIT;
	AUTO_BUF struct buf delta = BUF_INIT;
	uint8_t *data = noise(large);
	struct oid blob = build_oid(HASH_SHA1, OBJECT_BLOB, data, large);
	struct oid tree = build_oid(HASH_SHA1, OBJECT_TREE, data, large);
	size_t start;

	(void)state;
	build_delta_size(&delta, large);
	build_delta_size(&delta, 10);
	build_delta_copy(&delta, (uint32_t)large - 10, 10);
	build_head(&pack, 5);
	build_ref_delta(&pack, &blob, &delta);
	build_object(&pack, OBJECT_BLOB, data, large - 1);
	build_object(&pack, OBJECT_TREE, data, large);
	start = build_object(&pack, OBJECT_BLOB, data, large);
	build_ofs_delta(&pack, start, &delta);
	build_trailer(&pack, HASH_SHA1);
	for (size_t i = 0; i < 4; i++) {
		struct mem_sink mem;
		struct oid oid;

		assert_true(mem_sink_init(&mem, HASH_SHA1));
		assert_int_equal(feed(&mem, pack.data, pack.len, pieces[i], NULL, NULL), 1);
		assert_int_equal(mem.calls, 5);
		assert_int_equal(mem.streamed_count, 1);
		assert_true(mem_sink_find(&mem, &blob)->streamed);
		assert_false(mem_sink_find(&mem, &tree)->deflated);
		oid = build_oid(HASH_SHA1, OBJECT_BLOB, data, large - 1);
		assert_true(mem_sink_find(&mem, &oid)->deflated);
		oid = build_oid(HASH_SHA1, OBJECT_BLOB, data + large - 10, 10);
		assert_int_equal(mem_sink_find(&mem, &oid)->given, 2);
		mem_sink_release(&mem);
	}
	free(data);
}

/* The cache is bounded: an old base is read from the keeper, a new one is not. */
static void old_bases_are_read_again(void **state)
{
	enum { BLOBS = 40 };
	AUTO_BUF struct buf pack = BUF_INIT;
	AUTO_BUF struct buf delta = BUF_INIT;
	const size_t len = (size_t)OBJECT_WHOLE_MAX;
	uint8_t *data = calloc(1, len);
	size_t starts[BLOBS];
	struct mem_sink mem;

	(void)state;
	assert_non_null(data);
	build_head(&pack, BLOBS + 4);
	for (unsigned i = 0; i < BLOBS; i++) {
		data[0] = (uint8_t)i;
		starts[i] = build_object(&pack, OBJECT_BLOB, data, len);
	}
	build_delta_size(&delta, len);
	build_delta_size(&delta, 1);
	build_delta_copy(&delta, 0, 1);
	build_ofs_delta(&pack, starts[BLOBS - 1], &delta);
	build_ofs_delta(&pack, starts[BLOBS - 20], &delta);
	build_ofs_delta(&pack, starts[0], &delta);
	build_ofs_delta(&pack, starts[0], &delta);
	build_trailer(&pack, HASH_SHA1);
	assert_true(mem_sink_init(&mem, HASH_SHA1));
	assert_int_equal(feed(&mem, pack.data, pack.len, SIZE_MAX, NULL, NULL), 1);
	assert_int_equal(mem.objects.count, BLOBS + 3);
	assert_int_equal(mem.reads, 1);
	mem_sink_release(&mem);
	free(data);
}

/* A stream of a hundred empty blocks is right but not worth keeping. */
static void a_wasteful_stream_is_not_handed_on(void **state)
{
	struct oid oid = build_oid(HASH_SHA1, OBJECT_BLOB, "", 0);
	AUTO_BUF struct buf pack = BUF_INIT;

	(void)state;
	build_head(&pack, 1);
	build_type_size(&pack, OBJECT_BLOB, 0);
	build_bytes(&pack, "\x78\x01", 2);
	for (int i = 0; i < 100; i++)
		build_bytes(&pack, "\0\0\0\xff\xff", 5);
	build_bytes(&pack, "\1\0\0\xff\xff\0\0\0\1", 9);
	build_trailer(&pack, HASH_SHA1);
	for (size_t i = 0; i < 4; i++) {
		struct mem_sink mem;

		assert_true(mem_sink_init(&mem, HASH_SHA1));
		assert_int_equal(feed(&mem, pack.data, pack.len, pieces[i], NULL, NULL), 1);
		assert_non_null(mem_sink_find(&mem, &oid));
		assert_int_equal(mem.deflated_count, 0);
		mem_sink_release(&mem);
	}
}

static void what_comes_after_the_end_is_wrong(void **state)
{
	AUTO_BUF struct buf pack = BUF_INIT;
	struct err err;

	(void)state;
	build_mixed(&pack);
	build_byte(&pack, 0);
	for (size_t i = 0; i < 4; i++) {
		err = (struct err)ERR_INIT;
		assert_int_equal(feed_new(&pack, pieces[i], &err), ERR_CORRUPT);
		assert_non_null(strstr(err.msg, "bytes come after its end at offset"));
	}
}

static void every_wrong_byte_is_found(void **state)
{
	static const uint8_t masks[] = { 0x01, 0x80, 0x10, 0xff };
	AUTO_BUF struct buf pack = BUF_INIT;
	struct err err;

	(void)state;
	build_mixed(&pack);
	for (size_t i = 0; i < pack.len * 4; i++) {
		pack.data[i / 4] ^= masks[i % 4];
		for (size_t piece = 0; piece < 4; piece++) {
			err = (struct err)ERR_INIT;
			/* Never complete: an error, or waiting for bytes that do not come. */
			assert_in_range(feed_new(&pack, pieces[piece], &err) + 4096, 0, 4096);
		}
		pack.data[i / 4] ^= masks[i % 4];
	}
	assert_int_equal(feed_new(&pack, SIZE_MAX, NULL), 1);
}

static void no_truncated_pack_is_complete(void **state)
{
	AUTO_BUF struct buf pack = BUF_INIT;

	(void)state;
	build_mixed(&pack);
	for (pack.len--; pack.len > 0; pack.len--) {
		assert_int_equal(feed_new(&pack, SIZE_MAX, NULL), 0);
		assert_int_equal(feed_new(&pack, 7, NULL), 0);
	}
}

static void memory_that_runs_out_is_an_error(void **state)
{
	AUTO_BUF struct buf pack = BUF_INIT;
	AUTO_BUF struct buf large = BUF_INIT;
	const struct buf *packs[] = { &pack, &large };
	uint8_t *data = noise((size_t)OBJECT_WHOLE_MAX + 1);
	size_t failures = 0;

	(void)state;
	build_mixed(&pack);
	build_head(&large, 1);
	build_object(&large, OBJECT_BLOB, data, (size_t)OBJECT_WHOLE_MAX + 1);
	build_trailer(&large, HASH_SHA1);
	for (size_t i = 0; i < 4; i++) {
		struct mem_sink mem;
		int rc;

		for (long nth = 1;; nth++) {
			assert_true(mem_sink_init(&mem, HASH_SHA1));
			failing_alloc_arm(nth);
			rc = feed(&mem, packs[i % 2]->data, packs[i % 2]->len,
				  i < 2 ? SIZE_MAX : 40, NULL, NULL);
			if (!failing_alloc_disarm())
				break;
			/* A success: what failed was the cache. */
			assert_true(rc == -ENOMEM || rc == 1);
			if (rc == 1)
				check_mixed(&mem);
			failures += rc == -ENOMEM;
			mem_sink_release(&mem);
		}
		assert_int_equal(rc, 1);
		mem_sink_release(&mem);
	}
	assert_true(failures > 50);
	free(data);
}

static void errors_of_the_sink_are_passed_on(void **state)
{
	AUTO_BUF struct buf pack = BUF_INIT;
	uint8_t *data = noise((size_t)OBJECT_WHOLE_MAX + 1);
	struct mem_sink mem;
	size_t at;
	int rc;

	(void)state;
	build_mixed(&pack);
	pack.len -= SHA1_LEN;
	pack.data[11]++;
	build_object(&pack, OBJECT_BLOB, data, (size_t)OBJECT_WHOLE_MAX + 1);
	build_trailer(&pack, HASH_SHA1);
	for (at = 1;; at++) {
		struct err err = ERR_INIT;

		assert_true(mem_sink_init(&mem, HASH_SHA1));
		mem.fail_at = at;
		rc = feed(&mem, pack.data, pack.len, 4096, NULL, &err);
		if (mem.touched < at)
			break;
		assert_int_equal(rc, -EDQUOT);
		assert_int_equal(err.code, -EDQUOT);
		assert_string_not_equal(err.msg, "");
		mem_sink_release(&mem);
	}
	assert_int_equal(rc, 1);
	assert_true(at > 25); /* 8 objects, begin, 17 writes, end, reads */
	mem_sink_release(&mem);
	free(data);
}

/* Three deltas are ready at once when the sink refuses the first of them. */
static void what_is_ready_at_a_failure_is_given_up(void **state)
{
	struct oid base = build_oid(HASH_SHA1, OBJECT_BLOB, "base", 4);
	static const char *const texts[] = { "a", "b", "c" };
	AUTO_BUF struct buf pack = BUF_INIT;
	struct mem_sink mem;
	uint32_t count;

	(void)state;
	build_head(&pack, 4);
	for (size_t i = 0; i < 3; i++) {
		AUTO_BUF struct buf delta = BUF_INIT;

		build_delta_append(&delta, 4, texts[i]);
		build_ref_delta(&pack, &base, &delta);
	}
	build_object(&pack, OBJECT_BLOB, "base", 4);
	build_trailer(&pack, HASH_SHA1);
	assert_true(mem_sink_init(&mem, HASH_SHA1));
	mem.fail_at = 5; /* three reads in vain, the base, the first delta */
	assert_int_equal(feed(&mem, pack.data, pack.len, SIZE_MAX, &count, NULL), -EDQUOT);
	assert_int_equal(count, 1);
	mem_sink_release(&mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_pack_is_complete),
		cmocka_unit_test(deltas_wait_for_their_bases),
		cmocka_unit_test(a_long_chain_backwards_is_walked),
		cmocka_unit_test(bases_may_be_the_keepers),
		cmocka_unit_test(large_blobs_are_streamed),
		cmocka_unit_test(old_bases_are_read_again),
		cmocka_unit_test(a_wasteful_stream_is_not_handed_on),
		cmocka_unit_test(what_comes_after_the_end_is_wrong),
		cmocka_unit_test(every_wrong_byte_is_found),
		cmocka_unit_test(no_truncated_pack_is_complete),
		cmocka_unit_test(memory_that_runs_out_is_an_error),
		cmocka_unit_test(errors_of_the_sink_are_passed_on),
		cmocka_unit_test(what_is_ready_at_a_failure_is_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
