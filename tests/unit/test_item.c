/* Items: what is written is read back; what was cut off, changed or is unknown is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/stat.h>

#include "base/err.h"
#include "failing_alloc.h"
#include "git/hash.h"
#include "worktree/item.h"

static struct oid oid_of(enum hash_algo algo, uint8_t fill)
{
	uint8_t raw[OID_RAW_MAX];
	struct oid oid;

	memset(raw, fill, sizeof(raw));
	oid_from_raw(&oid, algo, raw);
	return oid;
}

static const struct meta meta_full = {
	.mode = S_IFREG | 04755,
	.uid = 1000,
	.gid = UINT32_MAX,
	.contents = CONTENTS_FILE,
	.file = 77,
	.rdev = 0x123456789abcdef0,
	.size = INT64_MAX,
	.atime = { .tv_sec = -1, .tv_nsec = 999999999 },
	.mtime = { .tv_sec = INT64_MAX, .tv_nsec = 0 },
	.ctime = { .tv_sec = 1700000000, .tv_nsec = 123456789 },
};

static bool times_equal(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* One of each kind; the caller releases it. */
static int put_all(struct buf *frame, enum hash_algo algo)
{
	const struct oid oid = oid_of(algo, 0x5a);
	const struct item anchor = { .id = 2, .parent = 1, .size = UINT64_MAX, .kind = 0100644,
				     .oid = oid, .name = "name", .name_len = 4 };
	const struct item entry = { .id = 0, .parent = 3, .flags = ENTRY_IN_BASE | ENTRY_DROPPED,
				    .name = "e", .name_len = 1 };
	const struct item xattr = { .id = 9, .name = "user.a", .name_len = 6, .flags = 0,
				    .data = (const uint8_t *)"v\0w", .data_len = 3 };
	const struct item removed = { .id = 9, .name = "user.b", .name_len = 6,
				      .flags = XATTR_REMOVED };
	int rc = item_base(frame, &oid);

	rc = rc == 0 ? item_anchor(frame, &anchor) : rc;
	rc = rc == 0 ? item_meta(frame, 4, &meta_full) : rc;
	rc = rc == 0 ? item_times(frame, 5, &meta_full) : rc;
	rc = rc == 0 ? item_entry(frame, &entry) : rc;
	rc = rc == 0 ? item_target(frame, 6, "to/where") : rc;
	rc = rc == 0 ? item_xattr(frame, &xattr) : rc;
	rc = rc == 0 ? item_xattr(frame, &removed) : rc;
	for (int type = ITEM_GONE; rc == 0 && type <= ITEM_NEXT_ID; type++)
		rc = item_of_id(frame, (enum item_type)type, UINT64_MAX - (uint64_t)type);
	rc = rc == 0 ? item_write(frame, 7, INT64_MAX, 5, WRITE_REPLACES) : rc;
	return rc == 0 ? buf_append(frame, "bytes", 5) : rc;
}

#define ALL_COUNT 13

static struct item next(struct cursor *cur, const struct buf *frame, enum hash_algo algo,
			enum item_type type)
{
	struct item item;

	assert_int_equal(item_next(cur, frame->data, algo, &item), 1);
	assert_int_equal(item.type, type);
	return item;
}

static void expect_names(struct cursor *cur, const struct buf *frame, enum hash_algo algo)
{
	const struct oid oid = oid_of(algo, 0x5a);
	struct item item = next(cur, frame, algo, ITEM_BASE);

	assert_true(oid_equal(&item.oid, &oid));
	item = next(cur, frame, algo, ITEM_ANCHOR);
	assert_true(item.id == 2 && item.parent == 1 && item.size == UINT64_MAX);
	assert_true(item.kind == 0100644 && oid_equal(&item.oid, &oid));
	assert_true(item.name_len == 4 && memcmp(item.name, "name", 4) == 0);

	item = next(cur, frame, algo, ITEM_META);
	assert_true(item.id == 4 && item.meta.mode == meta_full.mode && item.meta.uid == 1000);
	assert_true(item.meta.gid == UINT32_MAX && item.meta.contents == CONTENTS_FILE);
	assert_true(item.meta.file == 77 && item.meta.rdev == meta_full.rdev);
	assert_true(item.meta.size == INT64_MAX);
	assert_true(times_equal(&item.meta.atime, &meta_full.atime));
	assert_true(times_equal(&item.meta.mtime, &meta_full.mtime));
	assert_true(times_equal(&item.meta.ctime, &meta_full.ctime));

	item = next(cur, frame, algo, ITEM_TIMES);
	assert_true(item.id == 5 && times_equal(&item.meta.mtime, &meta_full.mtime));
	assert_true(times_equal(&item.meta.ctime, &meta_full.ctime));

	item = next(cur, frame, algo, ITEM_ENTRY);
	assert_true(item.id == 0 && item.parent == 3 && item.name_len == 1 && item.name[0] == 'e');
	assert_int_equal(item.flags, ENTRY_IN_BASE | ENTRY_DROPPED);
}

static void round_trip(enum hash_algo algo)
{
	AUTO_BUF struct buf frame = BUF_INIT;

	assert_int_equal(put_all(&frame, algo), 0);
	struct cursor cur = cursor_of(frame.data, frame.len);

	expect_names(&cur, &frame, algo);
	struct item item = next(&cur, &frame, algo, ITEM_TARGET);

	assert_true(item.id == 6 && item.data_len == 8 && memcmp(item.data, "to/where", 8) == 0);
	item = next(&cur, &frame, algo, ITEM_XATTR);
	assert_true(item.id == 9 && item.flags == 0 && memcmp(item.name, "user.a", 6) == 0);
	assert_true(item.data_len == 3 && memcmp(item.data, "v\0w", 3) == 0);
	item = next(&cur, &frame, algo, ITEM_XATTR);
	assert_true(item.flags == XATTR_REMOVED && item.data_len == 0 && item.name_len == 6);
	for (int type = ITEM_GONE; type <= ITEM_NEXT_ID; type++) {
		item = next(&cur, &frame, algo, (enum item_type)type);
		assert_true(item.id == UINT64_MAX - (uint64_t)type);
	}
	item = next(&cur, &frame, algo, ITEM_WRITE);
	assert_true(item.id == 7 && item.offset == INT64_MAX && item.flags == WRITE_REPLACES);
	assert_true(item.data_len == 5 && memcmp(item.data, "bytes", 5) == 0);
	assert_memory_equal(frame.data + item.data_at, "bytes", 5);
	assert_int_equal(item_next(&cur, frame.data, algo, &item), 0);
}

static void test_round_trip(void **state)
{
	(void)state;
	round_trip(HASH_SHA1);
	round_trip(HASH_SHA256);
}

/* Cut off anywhere: whole items before, then nothing or an error; never a wrong one. */
static void test_cut_off(void **state)
{
	AUTO_BUF struct buf frame = BUF_INIT;
	size_t ends[ALL_COUNT + 1] = { 0 };
	struct item item;
	size_t count = 0;

	(void)state;
	assert_int_equal(put_all(&frame, HASH_SHA1), 0);
	struct cursor cur = cursor_of(frame.data, frame.len);

	while (item_next(&cur, frame.data, HASH_SHA1, &item) == 1) {
		assert_true(count < ALL_COUNT);
		ends[++count] = frame.len - cur.left;
	}
	assert_int_equal(count, ALL_COUNT);
	for (size_t len = 0; len < frame.len; len++) {
		uint8_t *exact = malloc(len + (len == 0));
		size_t whole = 0;
		int rc;

		assert_non_null(exact);
		memcpy(exact, frame.data, len);
		cur = cursor_of(exact, len);
		while ((rc = item_next(&cur, exact, HASH_SHA1, &item)) == 1)
			whole++;
		assert_true(ends[whole] <= len && (whole == ALL_COUNT || len < ends[whole + 1]));
		assert_int_equal(rc, ends[whole] == len ? 0 : ERR_CORRUPT);
		free(exact);
	}
}

/* A body that is shorter or longer than its kind's, with a head that says so. */
static void test_wrong_lengths(void **state)
{
	AUTO_BUF struct buf frame = BUF_INIT;
	struct item item;

	(void)state;
	assert_int_equal(item_meta(&frame, 4, &meta_full), 0);
	assert_int_equal(buf_append(&frame, "xxxxxxxx", 8), 0);
	for (uint32_t len = 0; len <= frame.len - 8; len++) {
		struct cursor cur = cursor_of(frame.data, 8 + len);

		put_le32(frame.data + 4, len);
		assert_int_equal(item_next(&cur, frame.data, HASH_SHA1, &item),
				 len == frame.len - 16 ? 1 : ERR_CORRUPT);
	}
	/* A name that is longer than the body has room for. */
	const struct item entry = { .id = 1, .parent = 3, .name = "abc", .name_len = 3 };

	buf_clear(&frame);
	assert_int_equal(item_entry(&frame, &entry), 0);
	for (uint16_t len = 0; len < 8; len++) {
		struct cursor cur = cursor_of(frame.data, frame.len);

		put_le16(frame.data + 2, len);
		assert_int_equal(item_next(&cur, frame.data, HASH_SHA1, &item),
				 len == 3 ? 1 : ERR_CORRUPT);
	}
}

/* A name where the kind has none is nothing to be passed on without one. */
static void test_name_of_nothing(void **state)
{
	AUTO_BUF struct buf frame = BUF_INIT;
	struct item item;

	(void)state;
	assert_int_equal(item_of_id(&frame, ITEM_GONE, 5), 0);
	put_le16(frame.data + 2, 3);
	struct cursor cur = cursor_of(frame.data, frame.len);

	assert_int_equal(item_next(&cur, frame.data, HASH_SHA1, &item), ERR_CORRUPT);
}

static void test_unknown_types(void **state)
{
	AUTO_BUF struct buf frame = BUF_INIT;
	struct item item;

	(void)state;
	assert_int_equal(item_of_id(&frame, ITEM_GONE, 5), 0);
	for (unsigned type = 0; type < 256; type++) {
		struct cursor cur = cursor_of(frame.data, frame.len);
		bool of_id = (type >= ITEM_GONE && type <= ITEM_NEXT_ID) || type == ITEM_TARGET ||
			     type == ITEM_XATTR; /* empty ones */

		frame.data[0] = (uint8_t)type;
		assert_int_equal(item_next(&cur, frame.data, HASH_SHA1, &item),
				 of_id ? 1 : ERR_CORRUPT);
	}
}

static void expect_bad_meta(size_t at, uint64_t value, size_t width)
{
	AUTO_BUF struct buf frame = BUF_INIT;
	struct item item;

	assert_int_equal(item_meta(&frame, 4, &meta_full), 0);
	if (width == 4)
		put_le32(frame.data + 8 + at, (uint32_t)value);
	else
		put_le64(frame.data + 8 + at, value);
	struct cursor cur = cursor_of(frame.data, frame.len);

	assert_int_equal(item_next(&cur, frame.data, HASH_SHA1, &item), ERR_CORRUPT);
}

/* Values that nobody writes. */
static void test_values_out_of_range(void **state)
{
	(void)state;
	expect_bad_meta(20, CONTENTS_FILE + 1, 4);
	expect_bad_meta(20, UINT32_MAX, 4);
	expect_bad_meta(40, (uint64_t)INT64_MAX + 1, 8);
	for (size_t at = 48; at < 48 + 3 * 16; at += 16) {
		expect_bad_meta(at + 8, 1000000000, 4);
		expect_bad_meta(at + 8, UINT32_MAX, 4);
	}
}

static void test_limits(void **state)
{
	AUTO_BUF struct buf frame = BUF_INIT;
	char *name = calloc(1, UINT16_MAX + 2);
	struct item entry = { .id = 1, .parent = 3, .name = name, .name_len = UINT16_MAX + 1 };
	struct item item;

	(void)state;
	assert_non_null(name);
	memset(name, 'n', UINT16_MAX + 1);
	assert_int_equal(item_entry(&frame, &entry), ERR_LIMIT);
	assert_int_equal(frame.len, 0);
	entry.name_len = UINT16_MAX;
	assert_int_equal(item_entry(&frame, &entry), 0);
	struct cursor cur = cursor_of(frame.data, frame.len);

	assert_int_equal(item_next(&cur, frame.data, HASH_SHA1, &item), 1);
	assert_int_equal(item.name_len, UINT16_MAX);

	buf_clear(&frame);
	assert_int_equal(item_write(&frame, 1, 0, (4U << 20) - 15, 0), ERR_LIMIT);
	assert_int_equal(item_write(&frame, 1, 0, SIZE_MAX - 20, 0), ERR_LIMIT);
	assert_int_equal(frame.len, 0);
	assert_int_equal(item_write(&frame, 1, 0, (4U << 20) - 16, 0), 0);

	/* A frame that may not grow is left as it was. */
	AUTO_BUF struct buf narrow = BUF_INIT_MAX(64);

	assert_int_equal(item_of_id(&narrow, ITEM_GONE, 1), 0);
	assert_int_equal(item_meta(&narrow, 1, &meta_full), ERR_LIMIT);
	assert_int_equal(narrow.len, 16);
	free(name);
}

static void test_memory_runs_out(void **state)
{
	bool failed;
	long nth = 0;

	(void)state;
	do {
		AUTO_BUF struct buf frame = BUF_INIT;

		failing_alloc_arm(++nth);
		int rc = put_all(&frame, HASH_SHA1);

		failed = failing_alloc_disarm();
		assert_int_equal(rc, failed ? -ENOMEM : 0);
	} while (failed);
	assert_true(nth > 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_cut_off),
		cmocka_unit_test(test_wrong_lengths),
		cmocka_unit_test(test_name_of_nothing),
		cmocka_unit_test(test_unknown_types),
		cmocka_unit_test(test_values_out_of_range),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_memory_runs_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
