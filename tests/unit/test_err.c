#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

static void set_stores_code_and_words(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(err_set(&err, ERR_CORRUPT, "pack %s at %d", "x", 7), ERR_CORRUPT);
	assert_int_equal(err.code, ERR_CORRUPT);
	assert_string_equal(err.msg, "pack x at 7");
}

static void null_takes_no_words(void **state)
{
	(void)state;
	assert_int_equal(err_set(NULL, ERR_AUTH, "%s", "dropped"), ERR_AUTH);
	assert_int_equal(err_sys(NULL, EPERM, "%s", "dropped"), -EPERM);
	err_prefix(NULL, "%s", "dropped");
}

static void sys_appends_the_reason(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(err_sys(&err, ENOSPC, "write %s", "log"), -ENOSPC);
	assert_int_equal(err.code, -ENOSPC);
	assert_string_equal(err.msg, "write log: No space left on device");
	assert_int_equal(err_sys(&err, 99999, "odd"), -99999);
	assert_string_equal(err.msg, "odd: unknown error");
}

static void prefix_goes_before(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	err_set(&err, ERR_TIMEOUT, "no answer");
	err_prefix(&err, "fetch of %s", "refs");
	assert_int_equal(err.code, ERR_TIMEOUT);
	assert_string_equal(err.msg, "fetch of refs: no answer");

	err.msg[0] = '\0';
	err_prefix(&err, "alone");
	assert_string_equal(err.msg, "alone");
}

static void own_words_may_be_an_argument(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	err_set(&err, ERR_PROTOCOL, "inner");
	err_set(&err, ERR_STALE, "outer: %s", err.msg);
	assert_string_equal(err.msg, "outer: inner");
	err_sys(&err, EIO, "%s", err.msg);
	assert_string_equal(err.msg, "outer: inner: Input/output error");
}

static void long_words_are_cut(void **state)
{
	struct err err = ERR_INIT;
	char words[2 * ERR_MSG_MAX];

	(void)state;
	memset(words, 'w', sizeof(words) - 1);
	words[sizeof(words) - 1] = '\0';
	err_set(&err, ERR_LIMIT, "%s", words);
	assert_int_equal(strlen(err.msg), ERR_MSG_MAX - 1);
	err_sys(&err, EIO, "%s", words);
	assert_int_equal(strlen(err.msg), ERR_MSG_MAX - 1);
	err_prefix(&err, "front");
	assert_int_equal(strlen(err.msg), ERR_MSG_MAX - 1);
	assert_memory_equal(err.msg, "front: www", 10);
	err_prefix(&err, "%s", words);
	assert_int_equal(err.msg[ERR_MSG_MAX - 2], 'w');
}

static void every_code_has_words(void **state)
{
	static const int codes[] = {
		ERR_CORRUPT,
		ERR_PROTOCOL,
		ERR_UNREACHABLE,
		ERR_TIMEOUT,
		ERR_AUTH,
		ERR_STALE,
		ERR_LIMIT,
		ERR_NOT_FOUND,
		ERR_UNSUPPORTED,
		ERR_CANCELLED,
		ERR_AGAIN,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		assert_string_not_equal(err_name(codes[i]), "unknown error");
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(err_name(codes[i]), err_name(codes[j]));
	}
	assert_string_equal(err_name(-ENOMEM), "Cannot allocate memory");
	assert_string_equal(err_name(-99999), "unknown error");
	assert_string_equal(err_name(5), "unknown error");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_stores_code_and_words),
		cmocka_unit_test(null_takes_no_words),
		cmocka_unit_test(sys_appends_the_reason),
		cmocka_unit_test(prefix_goes_before),
		cmocka_unit_test(own_words_may_be_an_argument),
		cmocka_unit_test(long_words_are_cut),
		cmocka_unit_test(every_code_has_words),
	};

	return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}
