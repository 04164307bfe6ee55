/* Packs that break the format or a limit: the error and its words. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "git/pack.h"
#include "mem_sink.h"
#include "pack_build.h"

/* What comes behind the header of a pack of two entries. */
struct wrong {
	int rc;
	const char *words;
	const char *bytes;
	size_t len;
};

#define WRONG(rc, words, bytes) { rc, words, bytes, sizeof(bytes) - 1 }
/* An empty blob: nine bytes. */
#define EMPTY "\x30\x78\x9c\x03\x00\x00\x00\x00\x01"

static const struct wrong wrongs[] = {
	WRONG(ERR_CORRUPT, "the entry at offset 12 has an unknown type", "\x00"),
	WRONG(ERR_CORRUPT, "the entry at offset 21 has an unknown type", EMPTY "\x50"),
	WRONG(ERR_CORRUPT, "the entry at offset 12 has an endless size",
	      "\xb0\x80\x80\x80\x80\x80\x80\x80\x80\x80"),
	WRONG(ERR_LIMIT, "the entry at offset 12 is larger than any object may be",
	      "\xb1\x80\x80\x80\x80\x80\x04"),
	WRONG(ERR_LIMIT, "the entry at offset 12 is too large to be held in memory",
	      "\x91\x80\x80\x80\x10"),
	WRONG(ERR_LIMIT, "the entry at offset 21 is too large to be held in memory",
	      EMPTY "\xe1\x80\x80\x80\x10\x09"),
	WRONG(ERR_CORRUPT, "the entry at offset 12 has a base outside the pack", "\x60\x0c"),
	WRONG(ERR_CORRUPT, "the entry at offset 12 has a base outside the pack", "\x60\x00"),
	WRONG(ERR_CORRUPT, "the entry at offset 12 has a base outside the pack", "\x60\x83\x10"),
	WRONG(ERR_CORRUPT, "the entry at offset 12 has an endless base offset",
	      "\x60\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
	WRONG(ERR_CORRUPT, "the entry at offset 21 has a base where no entry starts",
	      EMPTY "\x60\x08"),
	WRONG(ERR_CORRUPT, "the entry at offset 12 is no valid zlib stream", "\x30\x78\x9d"),
	WRONG(ERR_CORRUPT, "the entry at offset 12 is no valid zlib stream",
	      "\x30\x78\x9c\x03\x00\x00\x00\x00\x02"),
	WRONG(ERR_CORRUPT, "the entry at offset 12 inflates to less than announced",
	      "\x31\x78\x9c\x03\x00\x00\x00\x00\x01"),
	WRONG(ERR_CORRUPT, "the entry at offset 12 inflates to more than announced",
	      "\x30\x78\x01\x01\x01\x00\xfe\xffx\x00\x79\x00\x79"),
	WRONG(ERR_CORRUPT, "the delta at offset 21 on e69de29bb2d1d6434b8b29ae775ad8c2e48c5391",
	      EMPTY "\x62\x09\x78\x01\x01\x02\x00\xfd\xff\x01\x00\x00\x04\x00\x02"),
	/* A blob of 1 MiB and a byte of which there is nothing. */
	WRONG(ERR_CORRUPT, "the entry at offset 12 inflates to less than announced",
	      "\xb1\x80\x80\x04\x78\x9c\x03\x00\x00\x00\x00\x01"),
	WRONG(ERR_CORRUPT, "the hash at offset 30 is not that of the pack",
	      EMPTY EMPTY "12345678901234567890"),
};

static int feed(const uint8_t *data, size_t len, size_t piece, struct err *err)
{
	struct mem_sink mem;
	struct pack_parser *parser;
	int rc = 0;

	assert_true(mem_sink_init(&mem, HASH_SHA1));
	parser = pack_parser_new(HASH_SHA1, &mem.sink);
	assert_non_null(parser);
	while (rc == 0 && len > 0) {
		size_t step = len < piece ? len : piece;

		rc = pack_parser_feed(parser, data, step, err);
		data += step;
		len -= step;
	}
	pack_parser_free(parser);
	mem_sink_release(&mem);
	return rc;
}

static void expect(const struct buf *pack, int rc, const char *words)
{
	static const size_t pieces[] = { 1, 7, SIZE_MAX };

	for (size_t i = 0; i < 3; i++) {
		struct err err = ERR_INIT;
		int actual = feed(pack->data, pack->len, pieces[i], &err);

		if (actual != rc || strstr(err.msg, words) == NULL)
			fail_msg("expected %d %s, got %d %s", rc, words, actual, err.msg);
		assert_int_equal(err.code, rc);
	}
}

static void wrong_entries_are_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
		AUTO_BUF struct buf pack = BUF_INIT;

		build_head(&pack, 2);
		build_bytes(&pack, wrongs[i].bytes, wrongs[i].len);
		expect(&pack, wrongs[i].rc, wrongs[i].words);
	}
}

static void wrong_headers_are_named(void **state)
{
	static const struct wrong headers[] = {
		WRONG(ERR_CORRUPT, "offset 0 has no pack signature", "PACk\0\0\0\2\0\0\0\1"),
		WRONG(ERR_CORRUPT, "offset 4 has the unknown version 4", "PACK\0\0\0\4\0\0\0\1"),
		WRONG(ERR_LIMIT, "offset 8 announces 50000001 objects",
		      "PACK\0\0\0\2\2\xfa\xf0\x81"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		AUTO_BUF struct buf pack = BUF_INIT;

		build_bytes(&pack, headers[i].bytes, headers[i].len);
		expect(&pack, headers[i].rc, headers[i].words);
	}
}

/* An announced total is no reason to allocate anything. */
static void a_large_total_costs_nothing(void **state)
{
	AUTO_BUF struct buf pack = BUF_INIT;
	struct mem_sink mem;
	struct pack_parser *parser;

	(void)state;
	build_head(&pack, PACK_OBJECTS_MAX);
	assert_true(mem_sink_init(&mem, HASH_SHA1));
	parser = pack_parser_new(HASH_SHA1, &mem.sink);
	assert_non_null(parser);
	assert_int_equal(pack_parser_total(parser), 0);
	assert_int_equal(pack_parser_feed(parser, pack.data, pack.len, NULL), 0);
	assert_int_equal(pack_parser_total(parser), PACK_OBJECTS_MAX);
	pack_parser_free(parser);
	mem_sink_release(&mem);
}

static void a_result_beyond_the_limit_is_refused(void **state)
{
	struct oid base = build_oid(HASH_SHA1, OBJECT_BLOB, "", 0);
	AUTO_BUF struct buf pack = BUF_INIT;
	AUTO_BUF struct buf delta = BUF_INIT;

	(void)state;
	build_delta_size(&delta, 0);
	build_delta_size(&delta, OBJECT_MEMORY_MAX + 1);
	build_delta_insert(&delta, "x", 1);
	build_head(&pack, 2);
	build_object(&pack, OBJECT_BLOB, "", 0);
	build_ref_delta(&pack, &base, &delta);
	expect(&pack, ERR_LIMIT, "the delta at offset");
}

/* Deltas of 1 MiB whose base never comes: 256 of them are too many. */
static void waiting_deltas_are_bounded(void **state)
{
	struct oid base = build_oid(HASH_SHA1, OBJECT_BLOB, "never", 5);
	AUTO_BUF struct buf pack = BUF_INIT;
	AUTO_BUF struct buf entry = BUF_INIT;
	AUTO_BUF struct buf delta = BUF_INIT;
	struct err err = ERR_INIT;
	struct pack_parser *parser;
	struct mem_sink mem;
	int rc = 0, fed;

	(void)state;
	for (size_t i = 0; i < 1 << 20; i++)
		build_byte(&delta, 0);
	build_ref_delta(&entry, &base, &delta);
	build_head(&pack, 1000);
	assert_true(mem_sink_init(&mem, HASH_SHA1));
	parser = pack_parser_new(HASH_SHA1, &mem.sink);
	assert_non_null(parser);
	assert_int_equal(pack_parser_feed(parser, pack.data, pack.len, &err), 0);
	for (fed = 0; rc == 0 && fed < 1000; fed++)
		rc = pack_parser_feed(parser, entry.data, entry.len, &err);
	assert_int_equal(rc, ERR_LIMIT);
	assert_in_range(fed, 250, 256);
	assert_non_null(strstr(err.msg, "deltas before their bases are over 268435456 bytes"));
	pack_parser_free(parser);
	mem_sink_release(&mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrong_entries_are_named),
		cmocka_unit_test(wrong_headers_are_named),
		cmocka_unit_test(a_large_total_costs_nothing),
		cmocka_unit_test(a_result_beyond_the_limit_is_refused),
		cmocka_unit_test(waiting_deltas_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
