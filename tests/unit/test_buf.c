#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "failing_alloc.h"

static void empty_buffer_is_empty_text(void **state)
{
	AUTO_BUF struct buf buf = BUF_INIT;

	(void)state;
	assert_string_equal(buf_str(&buf), "");
	assert_int_equal(buf_append(&buf, NULL, 0), 0);
	assert_int_equal(buf_printf(&buf, "%s", ""), 0);
	buf_clear(&buf);
	buf_consume(&buf, 0);
	assert_null(buf_steal(&buf));
	assert_int_equal(buf.len, 0);
}

static void appends_stand_in_order(void **state)
{
	AUTO_BUF struct buf buf = BUF_INIT;

	(void)state;
	assert_int_equal(buf_append_str(&buf, "ab"), 0);
	assert_int_equal(buf_append_u8(&buf, 'c'), 0);
	assert_int_equal(buf_append(&buf, "d\0e", 3), 0);
	assert_int_equal(buf_printf(&buf, "-%d-%s", 42, "x"), 0);
	assert_int_equal(buf.len, 11);
	assert_memory_equal(buf.data, "abcd\0e-42-x", 12);
	buf_clear(&buf);
	assert_string_equal(buf_str(&buf), "");
	assert_true(buf.cap > 0);
}

static void long_formats_grow_the_buffer(void **state)
{
	AUTO_BUF struct buf buf = BUF_INIT;

	(void)state;
	assert_int_equal(buf_append_str(&buf, "x"), 0);
	assert_int_equal(buf_printf(&buf, "%01000d", 7), 0);
	assert_int_equal(buf.len, 1001);
	assert_int_equal(buf.data[1000], '7');
	assert_int_equal(buf.data[1001], '\0');
}

static void growth_is_geometric_and_terminated(void **state)
{
	AUTO_BUF struct buf buf = BUF_INIT;
	size_t moves = 0;

	(void)state;
	for (size_t i = 0; i < 100000; i++) {
		size_t cap = buf.cap;

		assert_int_equal(buf_append_u8(&buf, (uint8_t)(1 + i % 250)), 0);
		assert_int_equal(buf.data[buf.len], '\0');
		moves += buf.cap != cap;
	}
	assert_in_range(moves, 1, 30);
	for (size_t i = 0; i < 100000; i++)
		assert_int_equal(buf.data[i], 1 + i % 250);
}

static void limit_is_kept_and_reachable(void **state)
{
	AUTO_BUF struct buf buf = BUF_INIT_MAX(100);

	(void)state;
	assert_int_equal(buf_reserve(&buf, 101), ERR_LIMIT);
	assert_null(buf.data);
	for (int i = 0; i < 100; i++)
		assert_int_equal(buf_append_u8(&buf, 'a'), 0);
	assert_int_equal(buf_append_u8(&buf, 'b'), ERR_LIMIT);
	assert_int_equal(buf_printf(&buf, "b"), ERR_LIMIT);
	assert_int_equal(buf_reserve(&buf, SIZE_MAX), ERR_LIMIT);
	assert_int_equal(buf.len, 100);
	assert_int_equal(buf.cap, 100);
	assert_int_equal(strlen(buf_str(&buf)), 100);

	buf_clear(&buf);
	buf.max = 0;
	assert_int_equal(buf_reserve(&buf, BUF_MAX_DEFAULT + 1), ERR_LIMIT);
}

static void consume_and_steal(void **state)
{
	AUTO_BUF struct buf buf = BUF_INIT_MAX(50);
	uint8_t *stolen;

	(void)state;
	assert_int_equal(buf_append_str(&buf, "hello world"), 0);
	buf_consume(&buf, 6);
	assert_string_equal(buf_str(&buf), "world");
	buf_consume(&buf, 5);
	assert_string_equal(buf_str(&buf), "");
	assert_int_equal(buf_append_str(&buf, "mine"), 0);
	stolen = buf_steal(&buf);
	assert_string_equal((char *)stolen, "mine");
	free(stolen);
	assert_null(buf.data);
	assert_int_equal(buf.cap, 0);
	assert_int_equal(buf.max, 50);
	assert_int_equal(buf_append_str(&buf, "again"), 0);
	assert_string_equal(buf_str(&buf), "again");
}

static void text_filled_in_place_is_terminated(void **state)
{
	AUTO_BUF struct buf buf = BUF_INIT;

	(void)state;
	assert_int_equal(buf_append_str(&buf, "long text"), 0);
	buf_clear(&buf);
	assert_int_equal(buf_reserve(&buf, 8), 0);
	/* Filled in place: the NUL is behind it all the same. */
	memcpy(buf.data, "in place", 8);
	buf.data[8] = 'X';
	buf.len = 8;
	assert_string_equal(buf_str(&buf), "in place");
}

static void no_memory_changes_nothing(void **state)
{
	AUTO_BUF struct buf buf = BUF_INIT;
	size_t before;
	int rc;

	(void)state;
	failing_alloc_arm(1);
	assert_int_equal(buf_append_str(&buf, "x"), -ENOMEM);
	assert_true(failing_alloc_disarm());
	assert_null(buf.data);

	assert_int_equal(buf_append_str(&buf, "kept"), 0);
	before = buf.cap;
	failing_alloc_arm(1);
	rc = buf_printf(&buf, "%0500d", 1);
	assert_true(failing_alloc_disarm());
	assert_int_equal(rc, -ENOMEM);
	assert_int_equal(buf.cap, before);
	assert_string_equal(buf_str(&buf), "kept");
}

static void numbers_in_both_orders(void **state)
{
	static const uint8_t bytes[] = { 0x01, 0x82, 0x03, 0x84, 0x05, 0x86, 0x07, 0x88 };
	struct cursor cur;
	uint8_t u8;
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;

	(void)state;
	cur = cursor_of(bytes, 8);
	assert_true(cursor_u8(&cur, &u8));
	assert_int_equal(u8, 0x01);
	cur = cursor_of(bytes, 8);
	assert_true(cursor_be16(&cur, &u16));
	assert_int_equal(u16, 0x0182);
	assert_true(cursor_le16(&cur, &u16));
	assert_int_equal(u16, 0x8403);
	assert_true(cursor_be32(&cur, &u32));
	assert_int_equal(u32, 0x05860788);
	assert_int_equal(cur.left, 0);
	cur = cursor_of(bytes, 8);
	assert_true(cursor_le32(&cur, &u32));
	assert_int_equal(u32, 0x84038201);
	cur = cursor_of(bytes, 8);
	assert_true(cursor_be64(&cur, &u64));
	assert_true(u64 == 0x0182038405860788);
	cur = cursor_of(bytes, 8);
	assert_true(cursor_le64(&cur, &u64));
	assert_true(u64 == 0x8807860584038201);
}

static void short_reads_move_nothing(void **state)
{
	static const uint8_t bytes[7] = { 0 };
	struct cursor cur = cursor_of(bytes, 7);
	struct cursor none = cursor_of(NULL, 0);
	const uint8_t *at = bytes;
	uint8_t u8 = 9;
	uint16_t u16 = 9;
	uint32_t u32 = 9;
	uint64_t u64 = 9;
	size_t len = 9;

	(void)state;
	assert_false(cursor_be64(&cur, &u64));
	assert_false(cursor_le64(&cur, &u64));
	assert_false(cursor_bytes(&cur, 8, &at));
	assert_false(cursor_skip(&cur, SIZE_MAX));
	assert_ptr_equal(cur.ptr, bytes);
	assert_int_equal(cur.left, 7);
	cur.left = 3;
	assert_false(cursor_be32(&cur, &u32));
	assert_false(cursor_le32(&cur, &u32));
	cur.left = 1;
	assert_false(cursor_be16(&cur, &u16));
	assert_false(cursor_le16(&cur, &u16));
	assert_false(cursor_u8(&none, &u8));
	assert_false(cursor_until(&none, 0, &at, &len));
	assert_false(cursor_decimal(&none, 10, &u64));
	assert_false(cursor_literal(&none, "x"));
	assert_true(cursor_literal(&none, ""));
	assert_true(cursor_bytes(&none, 0, &at));
	assert_true(u8 == 9 && u16 == 9 && u32 == 9 && u64 == 9 && len == 9);
	assert_ptr_equal(cur.ptr, bytes);
}

static void text_is_taken_apart(void **state)
{
	struct cursor cur = cursor_of("tree 120\0rest", 13);
	const uint8_t *at;
	uint64_t number;
	size_t len;

	(void)state;
	assert_false(cursor_literal(&cur, "blob "));
	assert_false(cursor_literal(&cur, "tree 120 and much more than stands there"));
	assert_true(cursor_literal(&cur, "tree "));
	assert_false(cursor_until(&cur, '\n', &at, &len));
	assert_true(cursor_decimal(&cur, 1000, &number));
	assert_int_equal(number, 120);
	assert_true(cursor_until(&cur, '\0', &at, &len));
	assert_int_equal(len, 0);
	assert_true(cursor_skip(&cur, 1));
	assert_true(cursor_until(&cur, 't', &at, &len));
	assert_int_equal(len, 2);
	assert_memory_equal(at, "es", 2);
	assert_int_equal(cur.left, 0);
}

static bool decimal(const char *text, uint64_t max, uint64_t *out, size_t *left)
{
	struct cursor cur = cursor_of(text, strlen(text));
	bool ok = cursor_decimal(&cur, max, out);

	*left = cur.left;
	return ok;
}

static void decimals_are_bounded(void **state)
{
	uint64_t out = 5;
	size_t left;

	(void)state;
	assert_true(decimal("18446744073709551615", UINT64_MAX, &out, &left));
	assert_true(out == UINT64_MAX);
	out = 5;
	assert_false(decimal("18446744073709551616", UINT64_MAX, &out, &left));
	assert_int_equal(left, 20);
	assert_false(decimal("99999999999999999999", UINT64_MAX, &out, &left));
	assert_false(decimal("101", 100, &out, &left));
	assert_false(decimal("-1", 100, &out, &left));
	assert_false(decimal("+1", 100, &out, &left));
	assert_false(decimal(" 1", 100, &out, &left));
	assert_false(decimal("", 100, &out, &left));
	assert_int_equal(out, 5);
	assert_true(decimal("100", 100, &out, &left));
	assert_int_equal(out, 100);
	assert_true(decimal("0012x", 100, &out, &left));
	assert_int_equal(out, 12);
	assert_int_equal(left, 1);
}

static void stores_are_little_endian(void **state)
{
	uint8_t bytes[15] = { 0 };

	(void)state;
	put_le16(bytes, 0x0102);
	put_le32(bytes + 2, 0x03040506);
	put_le64(bytes + 6, 0x0708090a0b0c0d0e);
	assert_memory_equal(bytes, "\x02\x01\x06\x05\x04\x03\x0e\x0d\x0c\x0b\x0a\x09\x08\x07\0",
			    15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_buffer_is_empty_text),
		cmocka_unit_test(appends_stand_in_order),
		cmocka_unit_test(long_formats_grow_the_buffer),
		cmocka_unit_test(growth_is_geometric_and_terminated),
		cmocka_unit_test(limit_is_kept_and_reachable),
		cmocka_unit_test(consume_and_steal),
		cmocka_unit_test(text_filled_in_place_is_terminated),
		cmocka_unit_test(no_memory_changes_nothing),
		cmocka_unit_test(numbers_in_both_orders),
		cmocka_unit_test(short_reads_move_nothing),
		cmocka_unit_test(text_is_taken_apart),
		cmocka_unit_test(decimals_are_bounded),
		cmocka_unit_test(stores_are_little_endian),
	};

	return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
