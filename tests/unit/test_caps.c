/* Capabilities: what a v2 server advertises, and what no server should. */
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
#include "git/caps.h"

static int add(struct caps *caps, const char *line)
{
	return caps_add(caps, (const uint8_t *)line, strlen(line));
}

static void an_advertisement_is_found_again(void **state)
{
	static const char *const lines[] = {
		"agent=git/2.39.5",
		"ls-refs=unborn",
		"fetch=shallow wait-for-done filter",
		"server-option",
		"object-format=sha256",
	};
	struct caps caps = CAPS_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_int_equal(add(&caps, lines[i]), 0);
	assert_int_equal(caps.count, 5);
	assert_string_equal(caps_value(&caps, "agent"), "git/2.39.5");
	assert_string_equal(caps_value(&caps, "object-format"), "sha256");
	assert_string_equal(caps_value(&caps, "server-option"), "");
	assert_null(caps_value(&caps, "object-info"));
	assert_true(caps_has_word(&caps, "fetch", "shallow"));
	assert_true(caps_has_word(&caps, "fetch", "wait-for-done"));
	assert_true(caps_has_word(&caps, "fetch", "filter"));
	caps_release(&caps);
}

/* "fetch" is not offered by "fetcher", nor "filter" by "filters". */
static void parts_of_names_and_words_do_not_match(void **state)
{
	struct caps caps = CAPS_INIT;

	(void)state;
	assert_int_equal(add(&caps, "fetcher=filters unfilter"), 0);
	assert_null(caps_value(&caps, "fetch"));
	assert_null(caps_value(&caps, "fetcher=filters"));
	assert_null(caps_value(&caps, ""));
	assert_false(caps_has_word(&caps, "fetcher", "filter"));
	assert_false(caps_has_word(&caps, "fetcher", ""));
	assert_false(caps_has_word(&caps, "fetcher", "filters unfilter"));
	assert_false(caps_has_word(&caps, "fetch", "filter"));
	caps_release(&caps);
}

static void words_may_be_apart_by_several_spaces(void **state)
{
	struct caps caps = CAPS_INIT;

	(void)state;
	assert_int_equal(add(&caps, "fetch=  shallow   filter "), 0);
	assert_true(caps_has_word(&caps, "fetch", "shallow"));
	assert_true(caps_has_word(&caps, "fetch", "filter"));
	assert_false(caps_has_word(&caps, "fetch", ""));
	caps_release(&caps);
}

static void values_may_be_empty_or_hold_an_equals_sign(void **state)
{
	struct caps caps = CAPS_INIT;

	(void)state;
	assert_int_equal(add(&caps, "empty="), 0);
	assert_int_equal(add(&caps, "session=a=b"), 0);
	assert_string_equal(caps_value(&caps, "empty"), "");
	assert_false(caps_has_word(&caps, "empty", "a"));
	assert_string_equal(caps_value(&caps, "session"), "a=b");
	caps_release(&caps);
}

static void the_first_of_two_counts(void **state)
{
	struct caps caps = CAPS_INIT;

	(void)state;
	assert_int_equal(add(&caps, "object-format=sha1"), 0);
	assert_int_equal(add(&caps, "object-format=sha256"), 0);
	assert_string_equal(caps_value(&caps, "object-format"), "sha1");
	caps_release(&caps);
}

static void nothing_is_in_nothing(void **state)
{
	struct caps caps = CAPS_INIT;

	(void)state;
	assert_null(caps_value(&caps, "fetch"));
	assert_false(caps_has_word(&caps, "fetch", "filter"));
	caps_release(&caps);
}

static void bad_lines_are_refused(void **state)
{
	struct caps caps = CAPS_INIT;

	(void)state;
	assert_int_equal(add(&caps, ""), ERR_PROTOCOL);
	assert_int_equal(add(&caps, "=value"), ERR_PROTOCOL);
	for (unsigned byte = 0; byte < 256; byte++) {
		uint8_t line[] = { 'n', '=', (uint8_t)byte };
		int expected = byte < 32 || byte == 127 ? ERR_PROTOCOL : 0;

		assert_int_equal(caps_add(&caps, line, sizeof(line)), expected);
		caps_release(&caps);
	}
	assert_int_equal(caps.count, 0);
}

static void their_number_is_limited(void **state)
{
	struct caps caps = CAPS_INIT;

	(void)state;
	for (size_t i = 0; i < CAPS_MAX; i++)
		assert_int_equal(add(&caps, "x"), 0);
	assert_int_equal(add(&caps, "x"), ERR_LIMIT);
	assert_int_equal(caps.count, CAPS_MAX);
	caps_release(&caps);
}

static void their_bytes_are_limited(void **state)
{
	static uint8_t line[CAPS_TEXT_MAX + 1];
	struct caps caps = CAPS_INIT;

	(void)state;
	memset(line, 'x', sizeof(line));
	assert_int_equal(caps_add(&caps, line, CAPS_TEXT_MAX + 1), ERR_LIMIT);
	/* One byte is for the end of the text. */
	assert_int_equal(caps_add(&caps, line, CAPS_TEXT_MAX), ERR_LIMIT);
	assert_int_equal(caps.count, 0);
	assert_int_equal(caps_add(&caps, line, CAPS_TEXT_MAX - 1), 0);
	assert_int_equal(add(&caps, "y"), ERR_LIMIT);
	assert_int_equal(caps.count, 1);
	assert_null(caps_value(&caps, "y"));
	caps_release(&caps);
}

static void short_memory_leaves_what_was_there(void **state)
{
	long nth = 1;
	bool delivered;

	(void)state;
	do {
		struct caps caps = CAPS_INIT;
		char line[512];
		int first, second;

		memset(line, 'v', sizeof(line));
		memcpy(line, "long=", 5);
		failing_alloc_arm(nth++);
		first = add(&caps, "fetch=filter");
		second = caps_add(&caps, (const uint8_t *)line, sizeof(line));
		delivered = failing_alloc_disarm();
		assert_true(first == 0 || first == -ENOMEM);
		assert_true(second == 0 || second == -ENOMEM);
		assert_int_equal(first < 0 || second < 0, delivered);
		assert_int_equal(caps_has_word(&caps, "fetch", "filter"), first == 0);
		assert_int_equal(caps_value(&caps, "long") != NULL, second == 0);
		caps_release(&caps);
	} while (delivered);
	assert_true(nth > 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_advertisement_is_found_again),
		cmocka_unit_test(parts_of_names_and_words_do_not_match),
		cmocka_unit_test(words_may_be_apart_by_several_spaces),
		cmocka_unit_test(values_may_be_empty_or_hold_an_equals_sign),
		cmocka_unit_test(the_first_of_two_counts),
		cmocka_unit_test(nothing_is_in_nothing),
		cmocka_unit_test(bad_lines_are_refused),
		cmocka_unit_test(their_number_is_limited),
		cmocka_unit_test(their_bytes_are_limited),
		cmocka_unit_test(short_memory_leaves_what_was_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
