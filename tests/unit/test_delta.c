/* Deltas: every encoding of an instruction, and every way to be wrong. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "failing_alloc.h"
#include "git/delta.h"
#include "git/object.h"
#include "pack_build.h"

#define BASE "The quick brown fox jumps over the lazy dog"
#define BASE_LEN (sizeof(BASE) - 1)

static int apply(const void *base, size_t base_len, const struct buf *delta, struct buf *out)
{
	return delta_apply(base, base_len, delta->data, delta->len, out);
}

static void copies_and_inserts_are_joined(void **state)
{
	AUTO_BUF struct buf delta = BUF_INIT;
	AUTO_BUF struct buf out = BUF_INIT;
	uint64_t base_size, result_size;

	(void)state;
	build_delta_size(&delta, BASE_LEN);
	build_delta_size(&delta, 17);
	build_delta_copy(&delta, 40, 3);
	build_delta_insert(&delta, " bites ", 7);
	/* Short form: offset byte 0 and size byte 0 alone. */
	build_byte(&delta, 0x80 | 0x01 | 0x10);
	build_byte(&delta, 16);
	build_byte(&delta, 3);
	/* No offset byte means 0. */
	build_byte(&delta, 0x80 | 0x10);
	build_byte(&delta, 4);
	assert_int_equal(buf_append_str(&out, "> "), 0);
	assert_int_equal(apply(BASE, BASE_LEN, &delta, &out), 0);
	assert_string_equal(buf_str(&out), "> dog bites foxThe ");
	assert_int_equal(out.len, 19);
	assert_int_equal(delta_sizes(delta.data, delta.len, &base_size, &result_size), 0);
	assert_int_equal(base_size, BASE_LEN);
	assert_int_equal(result_size, 17);
}

/* Every combination of operand bytes, against the same bytes cut out by hand. */
static void every_copy_encoding_is_read(void **state)
{
	const size_t base_len = (size_t)0x02020000;
	uint8_t *base = malloc(base_len);

	(void)state;
	assert_non_null(base);
	for (size_t i = 0; i < base_len; i++)
		base[i] = (uint8_t)(i * 2654435761U >> 13);
	for (unsigned bits = 0; bits < 128; bits++) {
		/* Offset bytes and size bytes, the low ones first. */
		static const uint8_t operands[7] = { 0x11, 0x22, 0x01, 0x01, 0x33, 0x44, 0x01 };
		AUTO_BUF struct buf delta = BUF_INIT;
		AUTO_BUF struct buf out = BUF_INIT;
		size_t offset = 0, size = 0;

		for (unsigned i = 0; i < 4; i++)
			offset |= bits & 1U << i ? (size_t)operands[i] << 8 * i : 0;
		for (unsigned i = 4; i < 7; i++)
			size |= bits & 1U << i ? (size_t)operands[i] << 8 * (i - 4) : 0;
		if (size == 0)
			size = 0x10000;
		build_delta_size(&delta, base_len);
		build_delta_size(&delta, size);
		build_byte(&delta, 0x80 | bits);
		for (unsigned i = 0; i < 7; i++)
			if (bits & 1U << i)
				build_byte(&delta, operands[i]);
		assert_int_equal(apply(base, base_len, &delta, &out), 0);
		assert_int_equal(out.len, size);
		assert_memory_equal(out.data, base + offset, size);
	}
	free(base);
}

static void nothing_from_nothing(void **state)
{
	AUTO_BUF struct buf delta = BUF_INIT;
	AUTO_BUF struct buf out = BUF_INIT;

	(void)state;
	build_delta_size(&delta, 0);
	build_delta_size(&delta, 0);
	assert_int_equal(apply(NULL, 0, &delta, &out), 0);
	assert_int_equal(out.len, 0);
	assert_int_equal(apply(BASE, 1, &delta, &out), ERR_CORRUPT);
}

struct wrong {
	const char *what;
	const char *bytes;
	size_t len;
};

#define WRONG(what, bytes) { what, bytes, sizeof(bytes) - 1 }

/* On a base of 43 bytes, 0x2b. */
static const struct wrong wrongs[] = {
	WRONG("nothing at all", ""),
	WRONG("one size", "\x2b"),
	WRONG("endless base size", "\xab\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00\x01\x01x"),
	WRONG("endless result size", "\x2b\x81\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00\x01x"),
	WRONG("another base size", "\x2a\x01\x01x"),
	WRONG("reserved instruction", "\x2b\x01\x00\x01x"),
	WRONG("result shorter than announced", "\x2b\x02\x01x"),
	WRONG("result longer than announced", "\x2b\x01\x02xy"),
	WRONG("longer by a second instruction", "\x2b\x01\x01x\x01y"),
	WRONG("insert cut off", "\x2b\x02\x02x"),
	WRONG("copy operand cut off", "\x2b\x02\x91\x01"),
	WRONG("copy from behind the base", "\x2b\x01\x91\x2b\x01"),
	WRONG("copy from far behind the base", "\x2b\x01\x9f\xff\xff\xff\xff\x01"),
	WRONG("copy over the end of the base", "\x2b\x02\x91\x2a\x02"),
	WRONG("copy of 64 KiB", "\x2b\x2b\x80"),
};

static void wrong_deltas_change_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
		AUTO_BUF struct buf out = BUF_INIT;
		int rc;

		assert_int_equal(buf_append_str(&out, "kept"), 0);
		rc = delta_apply((const uint8_t *)BASE, BASE_LEN,
				 (const uint8_t *)wrongs[i].bytes, wrongs[i].len, &out);
		if (rc != ERR_CORRUPT)
			fail_msg("%s: %d", wrongs[i].what, rc);
		assert_int_equal(out.len, 4);
		assert_memory_equal(out.data, "kept", 4);
	}
}

static void sizes_stay_untouched_on_failure(void **state)
{
	uint64_t base_size = 7, result_size = 8;

	(void)state;
	assert_int_equal(delta_sizes((const uint8_t *)"\x2b\x80", 2, &base_size, &result_size),
			 ERR_CORRUPT);
	assert_int_equal(base_size, 7);
	assert_int_equal(result_size, 8);
}

static void results_are_bounded(void **state)
{
	AUTO_BUF struct buf delta = BUF_INIT;
	AUTO_BUF struct buf huge = BUF_INIT;
	AUTO_BUF struct buf out = BUF_INIT_MAX(10);

	(void)state;
	build_delta_append(&delta, 9, "ab");
	assert_int_equal(apply("123456789", 9, &delta, &out), ERR_LIMIT);
	assert_int_equal(out.len, 0);
	out.max = 11;
	assert_int_equal(apply("123456789", 9, &delta, &out), 0);
	assert_string_equal(buf_str(&out), "123456789ab");

	out.max = 0;
	build_delta_size(&huge, 1);
	build_delta_size(&huge, OBJECT_MEMORY_MAX + 1);
	build_delta_copy(&huge, 0, 1);
	assert_int_equal(apply("1", 1, &huge, &out), ERR_LIMIT);
}

/* Cut off anywhere it is wrong: the result is then shorter than announced. */
static void truncated_deltas_are_wrong(void **state)
{
	AUTO_BUF struct buf delta = BUF_INIT;
	char text[300];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	build_delta_append(&delta, BASE_LEN, text);
	for (size_t len = 0; len <= delta.len; len++) {
		AUTO_BUF struct buf out = BUF_INIT;
		uint8_t *exact = malloc(len > 0 ? len : 1);

		assert_non_null(exact);
		memcpy(exact, delta.data, len);
		assert_int_equal(delta_apply((const uint8_t *)BASE, BASE_LEN, exact, len, &out),
				 len == delta.len ? 0 : ERR_CORRUPT);
		free(exact);
	}
}

static void memory_that_runs_out_is_an_error(void **state)
{
	AUTO_BUF struct buf delta = BUF_INIT;
	int failures = 0;

	(void)state;
	build_delta_append(&delta, BASE_LEN, ".");
	for (long nth = 1;; nth++) {
		AUTO_BUF struct buf out = BUF_INIT;
		int rc;

		failing_alloc_arm(nth);
		rc = apply(BASE, BASE_LEN, &delta, &out);
		if (!failing_alloc_disarm()) {
			assert_int_equal(rc, 0);
			break;
		}
		assert_int_equal(rc, -ENOMEM);
		assert_int_equal(out.len, 0);
		failures++;
	}
	assert_true(failures > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copies_and_inserts_are_joined),
		cmocka_unit_test(every_copy_encoding_is_read),
		cmocka_unit_test(nothing_from_nothing),
		cmocka_unit_test(wrong_deltas_change_nothing),
		cmocka_unit_test(sizes_stay_untouched_on_failure),
		cmocka_unit_test(results_are_bounded),
		cmocka_unit_test(truncated_deltas_are_wrong),
		cmocka_unit_test(memory_that_runs_out_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
