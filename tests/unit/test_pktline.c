/* pkt-lines: read whole and in pieces, written, limited. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "failing_alloc.h"
#include "git/pktline.h"

/* Lines of every kind, and what they hold. */
static const char stream[] = "000eversion 2\n"
			     "0001"
			     "0005a"
			     "0004"
			     "0000"
			     "000Dpackfile\n"
			     "0002";
static const struct {
	enum pkt_type type;
	const char *data;
} expected[] = {
	{ PKT_DATA, "version 2\n" },
	{ PKT_DELIM, "" },
	{ PKT_DATA, "a" },
	{ PKT_DATA, "" },
	{ PKT_FLUSH, "" },
	{ PKT_DATA, "packfile\n" },
	{ PKT_RESPONSE_END, "" },
};
#define EXPECTED_COUNT (sizeof(expected) / sizeof(expected[0]))

static void assert_pkt(const struct pkt *pkt, size_t i)
{
	assert_true(i < EXPECTED_COUNT);
	assert_int_equal(pkt->type, expected[i].type);
	assert_int_equal(pkt->len, strlen(expected[i].data));
	if (pkt->len != 0)
		assert_memory_equal(pkt->data, expected[i].data, pkt->len);
}

static void whole_lines_are_read_in_place(void **state)
{
	struct pktline_reader reader = PKTLINE_READER_INIT;
	struct cursor in = cursor_of(stream, strlen(stream));
	const uint8_t *start = in.ptr;
	struct pkt pkt;

	(void)state;
	for (size_t i = 0; i < EXPECTED_COUNT; i++) {
		assert_int_equal(pktline_read(&reader, &in, &pkt), 1);
		assert_pkt(&pkt, i);
		if (pkt.type == PKT_DATA)
			assert_true(pkt.data >= start && pkt.data <= in.ptr);
	}
	assert_int_equal(pktline_read(&reader, &in, &pkt), 0);
	assert_int_equal(in.left, 0);
	assert_false(pktline_reader_partial(&reader));
	/* Nothing was ever copied. */
	assert_null(reader.partial.data);
	pktline_reader_release(&reader);
}

/* Each piece lies in memory of its own, which is gone before the next comes. */
static void pieces_of_every_size_give_the_same(void **state)
{
	(void)state;
	for (size_t piece_len = 1; piece_len <= strlen(stream); piece_len++) {
		struct pktline_reader reader = PKTLINE_READER_INIT;
		struct cursor rest = cursor_of(stream, strlen(stream));
		size_t count = 0;

		while (rest.left != 0) {
			size_t len = piece_len < rest.left ? piece_len : rest.left;
			uint8_t *piece = malloc(len);
			struct cursor in = cursor_of(piece, len);
			struct pkt pkt;
			int result;

			assert_non_null(piece);
			memcpy(piece, rest.ptr, len);
			while ((result = pktline_read(&reader, &in, &pkt)) == 1)
				assert_pkt(&pkt, count++);
			assert_int_equal(result, 0);
			assert_int_equal(in.left, 0);
			free(piece);
			assert_true(cursor_skip(&rest, len));
		}
		assert_int_equal(count, EXPECTED_COUNT);
		assert_false(pktline_reader_partial(&reader));
		pktline_reader_release(&reader);
	}
}

static void an_unfinished_line_is_noticed(void **state)
{
	static const char line[] = "0008abcd";

	(void)state;
	for (size_t len = 0; len <= strlen(line); len++) {
		struct pktline_reader reader = PKTLINE_READER_INIT;
		struct cursor in = cursor_of(line, len);
		bool cut = len != 0 && len != strlen(line);
		struct pkt pkt;

		assert_int_equal(pktline_read(&reader, &in, &pkt), len == strlen(line));
		assert_int_equal(in.left, 0);
		assert_int_equal(pktline_reader_partial(&reader) != 0, cut);
		pktline_reader_release(&reader);
	}
}

/* A line that came in pieces is whole once it was given out. */
static void a_line_given_out_is_not_unfinished(void **state)
{
	struct pktline_reader reader = PKTLINE_READER_INIT;
	struct cursor first = cursor_of("0006", 4);
	struct cursor second = cursor_of("ab00", 4);
	struct pkt pkt;

	(void)state;
	assert_int_equal(pktline_read(&reader, &first, &pkt), 0);
	assert_true(pktline_reader_partial(&reader));
	assert_int_equal(pktline_read(&reader, &second, &pkt), 1);
	assert_int_equal(pkt.len, 2);
	assert_memory_equal(pkt.data, "ab", 2);
	assert_false(pktline_reader_partial(&reader));
	assert_int_equal(second.left, 2);
	assert_int_equal(pktline_read(&reader, &second, &pkt), 0);
	assert_true(pktline_reader_partial(&reader));
	pktline_reader_release(&reader);
}

/* Reads four digits that come in two pieces, the first of `split` bytes. */
static void assert_refused(const char *digits, size_t split)
{
	struct pktline_reader reader = PKTLINE_READER_INIT;
	struct cursor head = cursor_of(digits, split);
	struct cursor tail = cursor_of(digits + split, 4 - split);
	struct pkt pkt = { .type = PKT_DELIM };
	int result = pktline_read(&reader, &head, &pkt);

	if (split < 4) {
		assert_int_equal(result, 0);
		result = pktline_read(&reader, &tail, &pkt);
	}
	assert_int_equal(result, ERR_PROTOCOL);
	assert_int_equal(pkt.type, PKT_DELIM);
	pktline_reader_release(&reader);
}

static void bad_lengths_are_refused(void **state)
{
	static const char *const bad[] = { "0003", "fff1", "ffff", "12zz", "z123", "-001", "+005",
					   " 005", "0x05", "005 ", "PACK", "00\n5" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		for (size_t split = 0; split <= 4; split++)
			assert_refused(bad[i], split);
	}
}

static void the_longest_line_is_read_and_written(void **state)
{
	static uint8_t payload[PKTLINE_PAYLOAD_MAX + 1];
	AUTO_BUF struct buf wire = BUF_INIT;

	(void)state;
	memset(payload, 'p', sizeof(payload));
	assert_int_equal(pktline_write(&wire, payload, PKTLINE_PAYLOAD_MAX + 1), ERR_LIMIT);
	assert_int_equal(wire.len, 0);
	assert_int_equal(pktline_write(&wire, payload, PKTLINE_PAYLOAD_MAX), 0);
	assert_memory_equal(wire.data, "fff0", 4);
	/* In one go, and with a piece that ends within it. */
	for (size_t split = 0; split <= wire.len; split += wire.len / 2) {
		struct pktline_reader reader = PKTLINE_READER_INIT;
		struct cursor head = cursor_of(wire.data, split);
		struct cursor tail = cursor_of(wire.data + split, wire.len - split);
		struct pkt pkt;
		int result = pktline_read(&reader, &head, &pkt);

		if (result == 0)
			result = pktline_read(&reader, &tail, &pkt);
		assert_int_equal(result, 1);
		assert_int_equal(pkt.len, PKTLINE_PAYLOAD_MAX);
		assert_memory_equal(pkt.data, payload, pkt.len);
		pktline_reader_release(&reader);
	}
}

static void writers_append(void **state)
{
	static const char written[] = "0012command=fetch\n"
				      "0001"
				      "0006\0y"
				      "0004"
				      "0004"
				      "0000";
	AUTO_BUF struct buf out = BUF_INIT;

	(void)state;
	assert_int_equal(pktline_printf(&out, "command=%s\n", "fetch"), 0);
	assert_int_equal(pktline_delim(&out), 0);
	assert_int_equal(pktline_write(&out, "\0y", 2), 0);
	assert_int_equal(pktline_write(&out, NULL, 0), 0);
	assert_int_equal(pktline_printf(&out, "%s", ""), 0);
	assert_int_equal(pktline_flush(&out), 0);
	assert_int_equal(out.len, sizeof(written) - 1);
	assert_memory_equal(out.data, written, out.len);
}

static void too_long_a_text_is_not_written(void **state)
{
	AUTO_BUF struct buf out = BUF_INIT;

	(void)state;
	assert_int_equal(pktline_flush(&out), 0);
	assert_int_equal(pktline_printf(&out, "%*s", PKTLINE_PAYLOAD_MAX + 1, "x"), ERR_LIMIT);
	assert_int_equal(out.len, 4);
	assert_int_equal(pktline_printf(&out, "%*s", PKTLINE_PAYLOAD_MAX, "x"), 0);
	assert_int_equal(out.len, 4 + 4 + PKTLINE_PAYLOAD_MAX);
}

static void text_ends_before_one_newline(void **state)
{
	static const struct {
		const char *data;
		size_t len;
	} cases[] = {
		{ "", 0 },
		{ "\n", 0 },
		{ "a", 1 },
		{ "a\n", 1 },
		{ "a\n\n", 2 },
		{ "\na", 2 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pkt pkt = { .type = PKT_DATA,
				   .data = (const uint8_t *)cases[i].data,
				   .len = strlen(cases[i].data) };
		struct cursor text = pkt_text(&pkt);

		assert_ptr_equal(text.ptr, pkt.data);
		assert_int_equal(text.left, cases[i].len);
	}
}

/* Reads the stream byte by byte; a byte that memory was short for comes again.
 * Returns how often that was. */
static int read_with_patience(struct pktline_reader *reader)
{
	struct cursor rest = cursor_of(stream, strlen(stream));
	size_t count = 0;
	int failures = 0;

	while (rest.left != 0) {
		struct cursor in = cursor_of(rest.ptr, 1);
		struct pkt pkt;
		int result;

		while ((result = pktline_read(reader, &in, &pkt)) == 1)
			assert_pkt(&pkt, count++);
		assert_true(result == 0 || result == -ENOMEM);
		assert_int_equal(in.left, result == 0 ? 0 : 1);
		failures += result == 0 ? 0 : 1;
		assert_true(cursor_skip(&rest, result == 0 ? 1 : 0));
	}
	assert_int_equal(count, EXPECTED_COUNT);
	return failures;
}

static void reading_survives_short_memory(void **state)
{
	long nth = 1;
	bool delivered;

	(void)state;
	do {
		struct pktline_reader reader = PKTLINE_READER_INIT;
		int failures;

		failing_alloc_arm(nth++);
		failures = read_with_patience(&reader);
		delivered = failing_alloc_disarm();
		assert_int_equal(failures, delivered ? 1 : 0);
		pktline_reader_release(&reader);
	} while (delivered);
	assert_true(nth > 2);
}

/* The second line does not fit into the memory that the first one took: its
 * digits would. */
static void writing_survives_short_memory(void **state)
{
	static const char done[] = "done, and more than fits\n";
	long nth = 1;
	bool delivered;

	(void)state;
	do {
		AUTO_BUF struct buf out = BUF_INIT;
		size_t len = 0;
		int first, second, third;

		failing_alloc_arm(nth++);
		first = pktline_printf(&out, "want %040d\n", 7);
		second = pktline_write(&out, done, strlen(done));
		third = pktline_flush(&out);
		delivered = failing_alloc_disarm();
		assert_int_equal(first < 0 || second < 0 || third < 0, delivered);
		len += first == 0 ? 4 + strlen("want ") + 40 + 1 : 0;
		len += second == 0 ? 4 + strlen(done) : 0;
		len += third == 0 ? 4 : 0;
		assert_int_equal(out.len, len);
	} while (delivered);
	assert_true(nth > 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_lines_are_read_in_place),
		cmocka_unit_test(pieces_of_every_size_give_the_same),
		cmocka_unit_test(an_unfinished_line_is_noticed),
		cmocka_unit_test(a_line_given_out_is_not_unfinished),
		cmocka_unit_test(bad_lengths_are_refused),
		cmocka_unit_test(the_longest_line_is_read_and_written),
		cmocka_unit_test(writers_append),
		cmocka_unit_test(too_long_a_text_is_not_written),
		cmocka_unit_test(text_ends_before_one_newline),
		cmocka_unit_test(reading_survives_short_memory),
		cmocka_unit_test(writing_survives_short_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
