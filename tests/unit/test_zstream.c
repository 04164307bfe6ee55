/* zlib streams, whole and in pieces; gzip and CRC-32. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/proc.h"
#include "base/threads.h"
#include "failing_alloc.h"
#include "git/zstream.h"

#define TEXT_LEN 70000

/* Half noise, half repetition; the same at each call. */
static void fill(struct buf *out, size_t len)
{
	uint32_t seed = 12345;

	for (size_t i = 0; i < len; i++) {
		uint8_t byte;

		seed = seed * 1664525 + 1013904223;
		byte = i % 200 < 100 ? (uint8_t)(seed >> 24) : 'x';
		assert_int_equal(buf_append_u8(out, byte), 0);
	}
}

static void what_is_deflated_inflates_again(void **state)
{
	static const size_t lens[] = { 0, 1, 100, TEXT_LEN };
	AUTO_BUF struct buf text = BUF_INIT;

	(void)state;
	fill(&text, TEXT_LEN);
	for (int level = 1; level <= 12; level++) {
		for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
			AUTO_BUF struct buf packed = BUF_INIT;
			uint8_t *out = malloc(lens[i] + 1);
			size_t used = 0, len;

			assert_non_null(out);
			assert_int_equal(buf_append_str(&packed, "before"), 0);
			assert_int_equal(zstream_deflate(text.data, lens[i], level, &packed), 0);
			len = packed.len - 6;
			assert_true(len <= zstream_bound(lens[i]));
			assert_int_equal(buf_append_str(&packed, "behind"), 0);
			assert_int_equal(zstream_inflate(packed.data + 6, len + 6, out, lens[i],
							 &used), 0);
			assert_int_equal(used, len);
			assert_memory_equal(out, text.data, lens[i]);
			free(out);
		}
	}
}

static void noise_stays_within_the_bound(void **state)
{
	AUTO_BUF struct buf noise = BUF_INIT;
	uint32_t seed = 1;

	(void)state;
	for (size_t i = 0; i < 100000; i++) {
		seed = seed * 1664525 + 1013904223;
		assert_int_equal(buf_append_u8(&noise, (uint8_t)(seed >> 24)), 0);
	}
	for (size_t len = 0; len <= noise.len; len = len * 2 + 1) {
		AUTO_BUF struct buf packed = BUF_INIT;

		assert_int_equal(zstream_deflate(noise.data, len, 9, &packed), 0);
		assert_true(packed.len > len && packed.len <= zstream_bound(len));
	}
	assert_true(zstream_bound(SIZE_MAX) == SIZE_MAX);
}

static void other_lengths_and_cuts_are_corrupt(void **state)
{
	AUTO_BUF struct buf text = BUF_INIT;
	AUTO_BUF struct buf packed = BUF_INIT;
	uint8_t out[1001];
	size_t used = 77;

	(void)state;
	fill(&text, 1000);
	assert_int_equal(zstream_deflate(text.data, text.len, 6, &packed), 0);
	assert_int_equal(zstream_inflate(packed.data, packed.len, out, 999, &used), ERR_CORRUPT);
	assert_int_equal(zstream_inflate(packed.data, packed.len, out, 1001, &used), ERR_CORRUPT);
	for (size_t len = 0; len < packed.len; len++)
		assert_int_equal(zstream_inflate(packed.data, len, out, 1000, &used), ERR_CORRUPT);
	assert_int_equal(used, 77);
	assert_int_equal(zstream_inflate(packed.data, packed.len, out, 1000, &used), 0);
}

/* The whole of a stream through zstream_feed, given in pieces of `in_step` and
 * taken in pieces of `out_step`. What it returned last; *in is what is left. */
static int feed_all(struct zstream *z, struct cursor *in, size_t in_step, size_t out_step,
		    struct buf *out)
{
	size_t made;
	int rc = 0;

	while (rc == 0 && in->left > 0) {
		struct cursor piece = cursor_of(in->ptr, in->left < in_step ? in->left : in_step);
		size_t before = piece.left;

		assert_int_equal(buf_reserve(out, out_step), 0);
		made = 0;
		rc = zstream_feed(z, &piece, out->data + out->len, out_step, &made);
		if (rc < 0)
			break;
		out->len += made;
		assert_true(cursor_skip(in, before - piece.left));
	}
	return rc;
}

static void streams_come_in_pieces(void **state)
{
	static const size_t steps[] = { 1, 7, 4096, SIZE_MAX >> 40 };
	AUTO_BUF struct buf text = BUF_INIT;
	AUTO_BUF struct buf packed = BUF_INIT;
	struct zstream *z = zstream_new();

	(void)state;
	assert_non_null(z);
	fill(&text, TEXT_LEN);
	assert_int_equal(zstream_deflate(text.data, text.len, 6, &packed), 0);
	assert_int_equal(buf_append_str(&packed, "behind"), 0);
	for (size_t i = 0; i < 16; i++) {
		struct cursor in = cursor_of(packed.data, packed.len);
		AUTO_BUF struct buf out = BUF_INIT;

		assert_int_equal(zstream_reset(z), 0);
		assert_int_equal(feed_all(z, &in, steps[i / 4], steps[i % 4], &out), 1);
		assert_int_equal(out.len, text.len);
		assert_memory_equal(out.data, text.data, text.len);
		assert_int_equal(in.left, 6);
		assert_memory_equal(in.ptr, "behind", 6);
	}
	zstream_free(z);
}

/* A bit that is wrong is found, unless it changes nothing that is shown (the
 * level in the header); after it a reset makes the stream good again. */
static void flipped_bits_are_found(void **state)
{
	AUTO_BUF struct buf text = BUF_INIT;
	AUTO_BUF struct buf packed = BUF_INIT;
	struct zstream *z = zstream_new();
	size_t found = 0;

	(void)state;
	assert_non_null(z);
	fill(&text, 300);
	assert_int_equal(zstream_deflate(text.data, text.len, 6, &packed), 0);
	for (size_t bit = 0; bit < packed.len * 8; bit++) {
		AUTO_BUF struct buf out = BUF_INIT;
		struct cursor in = cursor_of(packed.data, packed.len);
		uint8_t whole[300];
		size_t used;
		int rc;

		packed.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
		assert_int_equal(zstream_reset(z), 0);
		rc = feed_all(z, &in, SIZE_MAX, 4096, &out);
		if (rc == 1)
			assert_true(out.len == text.len &&
				    memcmp(out.data, text.data, text.len) == 0);
		found += rc == ERR_CORRUPT;
		if (zstream_inflate(packed.data, packed.len, whole, text.len, &used) == 0)
			assert_memory_equal(whole, text.data, text.len);
		packed.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
	}
	assert_true(found > packed.len * 7);
	zstream_free(z);
	zstream_free(NULL);
}

static void no_dictionary_is_taken(void **state)
{
	/* A header that asks for a preset dictionary. */
	static const uint8_t bytes[] = {
		0x78, 0xbb, 0x12, 0x34, 0x56, 0x78, 0x03, 0x00, 0, 0, 0, 1,
	};
	struct zstream *z = zstream_new();
	AUTO_BUF struct buf out = BUF_INIT;
	struct cursor in = cursor_of(bytes, sizeof(bytes));
	uint8_t byte;
	size_t used;

	(void)state;
	assert_non_null(z);
	assert_int_equal(feed_all(z, &in, SIZE_MAX, 16, &out), ERR_CORRUPT);
	assert_int_equal(zstream_inflate(bytes, sizeof(bytes), &byte, 0, &used), ERR_CORRUPT);
	zstream_free(z);
}

static void gzip_is_read_by_gzip(void **state)
{
	static const char *const argv[] = { "gzip", "-dc", NULL };
	AUTO_BUF struct buf text = BUF_INIT;
	AUTO_BUF struct buf packed = BUF_INIT;
	AUTO_BUF struct buf out = BUF_INIT;
	struct err err = ERR_INIT;

	(void)state;
	fill(&text, TEXT_LEN);
	assert_int_equal(zstream_gzip(text.data, text.len, 6, &packed), 0);
	assert_int_equal(proc_run(argv, NULL, &packed, &out, NULL, 20000, &err), 0);
	assert_int_equal(out.len, text.len);
	assert_memory_equal(out.data, text.data, text.len);
}

static void crc32_is_the_known_one(void **state)
{
	uint32_t crc = 0;

	(void)state;
	assert_int_equal(crc32_of(0, "123456789", 9), 0xcbf43926);
	crc = crc32_of(crc, "1234", 4);
	crc = crc32_of(crc, "", 0);
	assert_int_equal(crc32_of(crc, "56789", 5), 0xcbf43926);
}

static void limits_of_the_buffer_hold(void **state)
{
	AUTO_BUF struct buf out = BUF_INIT_MAX(8);

	(void)state;
	assert_int_equal(zstream_deflate("0123456789", 10, 6, &out), ERR_LIMIT);
	assert_int_equal(zstream_gzip("0123456789", 10, 6, &out), ERR_LIMIT);
	assert_int_equal(out.len, 0);
}

static int zstream_whole_way(const struct buf *packed)
{
	struct zstream *z = zstream_new();
	struct cursor in = cursor_of(packed->data, packed->len);
	uint8_t out[512];
	size_t made;
	int rc = 0;

	if (z == NULL)
		return -ENOMEM;
	while (rc == 0)
		rc = zstream_feed(z, &in, out, sizeof(out), &made);
	zstream_free(z);
	return rc;
}

/* On a thread of its own, because a thread keeps what it once allocated. */
static void *packs_and_unpacks(void *arg)
{
	const struct buf *text = arg;
	struct buf packed = BUF_INIT;
	uint8_t out[TEXT_LEN];
	size_t used;
	int rc;

	rc = zstream_deflate(text->data, text->len, 1, &packed);
	if (rc == 0)
		rc = zstream_inflate(packed.data, packed.len, out, text->len, &used);
	if (rc == 0 && memcmp(out, text->data, text->len) != 0)
		rc = -EIO;
	buf_release(&packed);
	return (void *)(intptr_t)rc;
}

struct failing {
	struct buf *text;
	long nth;
	bool delivered;
};

static void *packs_without_memory(void *arg)
{
	struct failing *failing = arg;
	void *result;

	failing_alloc_arm(failing->nth);
	result = packs_and_unpacks(failing->text);
	failing->delivered = failing_alloc_disarm();
	return result;
}

static void memory_that_runs_out_is_an_error(void **state)
{
	AUTO_BUF struct buf text = BUF_INIT;
	AUTO_BUF struct buf packed = BUF_INIT;
	struct failing failing = { .text = &text, .nth = 1, .delivered = true };
	pthread_t thread;
	void *result;
	long nth;
	int rc;

	(void)state;
	fill(&text, TEXT_LEN);
	assert_int_equal(zstream_deflate(text.data, text.len, 6, &packed), 0);
	for (nth = 1;; nth++) {
		failing_alloc_arm(nth);
		rc = zstream_whole_way(&packed);
		if (!failing_alloc_disarm())
			break;
		assert_int_equal(rc, -ENOMEM);
	}
	assert_int_equal(rc, 1);
	assert_true(nth > 3); /* ours, zlib's state, zlib's window */
	for (; failing.delivered; failing.nth++) {
		assert_int_equal(thread_start(&thread, "packs", packs_without_memory, &failing), 0);
		assert_int_equal(pthread_join(thread, &result), 0);
		assert_int_equal((intptr_t)result, failing.delivered ? -ENOMEM : 0);
	}
	assert_true(failing.nth > 3);
}

static void threads_do_not_disturb_each_other(void **state)
{
	AUTO_BUF struct buf text = BUF_INIT;
	pthread_t threads[4];
	void *result;

	(void)state;
	fill(&text, TEXT_LEN);
	for (int round = 0; round < 20; round++) {
		for (size_t i = 0; i < 4; i++)
			assert_int_equal(thread_start(&threads[i], "packs", packs_and_unpacks,
						      &text), 0);
		for (size_t i = 0; i < 4; i++) {
			assert_int_equal(pthread_join(threads[i], &result), 0);
			assert_null(result);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_deflated_inflates_again),
		cmocka_unit_test(noise_stays_within_the_bound),
		cmocka_unit_test(other_lengths_and_cuts_are_corrupt),
		cmocka_unit_test(streams_come_in_pieces),
		cmocka_unit_test(flipped_bits_are_found),
		cmocka_unit_test(no_dictionary_is_taken),
		cmocka_unit_test(gzip_is_read_by_gzip),
		cmocka_unit_test(crc32_is_the_known_one),
		cmocka_unit_test(limits_of_the_buffer_hold),
		cmocka_unit_test(memory_that_runs_out_is_an_error),
		cmocka_unit_test(threads_do_not_disturb_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
