/* Object ids: strict hex, canonical form, names of algorithms. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "git/oid.h"

#define SHA1_HEX "ce013625030ba8dba906f756967f9e9ca394464a"
#define SHA256_HEX "2cf8d83d9ee29543b34a87727421fdecb7e3f3a183d337639025de576db9ebb4"

static void hex_goes_both_ways(void **state)
{
	static const char *const cases[] = { SHA1_HEX, SHA256_HEX };
	static const enum hash_algo algos[] = { HASH_SHA1, HASH_SHA256 };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		char out[OID_HEX_MAX + 1];
		struct oid oid;

		assert_int_equal(oid_from_hex(&oid, cases[i], strlen(cases[i])), 0);
		assert_int_equal(oid.algo, algos[i]);
		assert_ptr_equal(oid_to_hex(&oid, out), out);
		assert_string_equal(out, cases[i]);
	}
}

static void hex_of_either_case_is_read(void **state)
{
	struct oid lower, upper;

	(void)state;
	assert_int_equal(oid_from_hex(&lower, SHA1_HEX, 40), 0);
	assert_int_equal(oid_from_hex(&upper, "CE013625030BA8DBA906F756967F9E9CA394464A", 40), 0);
	assert_true(oid_equal(&lower, &upper));
}

/* At every place, every byte that is no digit is refused. */
static void every_wrong_digit_is_refused(void **state)
{
	struct oid oid, before;

	(void)state;
	memset(&oid, 0x5a, sizeof(oid));
	before = oid;
	for (int byte = 0; byte < 256; byte++) {
		if (byte != 0 && strchr("0123456789abcdefABCDEF", byte) != NULL)
			continue;
		for (size_t at = 0; at < 40; at++) {
			char hex[] = SHA1_HEX;

			hex[at] = (char)byte;
			assert_int_equal(oid_from_hex(&oid, hex, 40), -EINVAL);
			assert_true(oid_equal(&oid, &before));
		}
	}
}

static void only_two_lengths_are_read(void **state)
{
	(void)state;
	for (size_t len = 0; len <= 64; len++) {
		/* Memory of that size alone, so that a read beyond it shows. */
		char *hex = malloc(len + 1);
		struct oid oid;
		int expected = len == 40 || len == 64 ? 0 : -EINVAL;

		assert_non_null(hex);
		memcpy(hex, SHA256_HEX, len);
		hex[len] = '\0';
		assert_int_equal(oid_from_hex(&oid, hex, len), expected);
		free(hex);
	}
}

/* Whatever stood in the struct before, two equal ids are equal bytes. */
static void bytes_beyond_the_hash_are_zero(void **state)
{
	static const uint8_t raw[OID_RAW_MAX] = { 0xce, 0x01, 0x36, 0x25, 0x03, 0x0b, 0xa8,
						  0xdb, 0xa9, 0x06, 0xf7, 0x56, 0x96, 0x7f,
						  0x9e, 0x9c, 0xa3, 0x94, 0x46, 0x4a, 0xff };
	struct oid from_raw, from_hex;

	(void)state;
	memset(&from_raw, 0x11, sizeof(from_raw));
	memset(&from_hex, 0x22, sizeof(from_hex));
	oid_from_raw(&from_raw, HASH_SHA1, raw);
	assert_int_equal(oid_from_hex(&from_hex, SHA1_HEX, 40), 0);
	assert_true(oid_equal(&from_raw, &from_hex));
	for (size_t i = hash_raw_len(HASH_SHA1); i < OID_RAW_MAX; i++)
		assert_int_equal(from_raw.hash[i], 0);
}

static void zero_and_unset_are_told_apart(void **state)
{
	static const char digits[] = "0000000000000000000000000000000000000000";
	struct oid zero;
	struct oid last_digit;
	struct oid unset = { .algo = 0 };

	(void)state;
	assert_int_equal(oid_from_hex(&zero, digits, 40), 0);
	assert_true(oid_is_zero(&zero));
	assert_true(oid_is_set(&zero));
	assert_false(oid_is_set(&unset));
	last_digit = zero;
	last_digit.hash[19] = 1;
	assert_false(oid_is_zero(&last_digit));
	assert_false(oid_equal(&zero, &last_digit));
}

static void same_bytes_of_two_algorithms_differ(void **state)
{
	static const uint8_t raw[OID_RAW_MAX];
	struct oid sha1, sha256;

	(void)state;
	oid_from_raw(&sha1, HASH_SHA1, raw);
	oid_from_raw(&sha256, HASH_SHA256, raw);
	assert_false(oid_equal(&sha1, &sha256));
}

static void hash_is_the_first_eight_bytes(void **state)
{
	struct oid a, b;

	(void)state;
	assert_int_equal(oid_from_hex(&a, SHA1_HEX, 40), 0);
	b = a;
	b.hash[8] ^= 1;
	assert_int_equal(oid_hash(&a), oid_hash(&b));
	b.hash[7] ^= 1;
	assert_int_not_equal(oid_hash(&a), oid_hash(&b));
}

static void algorithms_have_names(void **state)
{
	enum hash_algo algo = HASH_SHA1;

	(void)state;
	assert_string_equal(hash_name(HASH_SHA1), "sha1");
	assert_string_equal(hash_name(HASH_SHA256), "sha256");
	assert_int_equal(hash_parse_name("sha256", 6, &algo), 0);
	assert_int_equal(algo, HASH_SHA256);
	assert_int_equal(hash_parse_name("sha1 and more", 4, &algo), 0);
	assert_int_equal(algo, HASH_SHA1);
	assert_int_equal(hash_parse_name("sha256", 5, &algo), -EINVAL);
	assert_int_equal(hash_parse_name("SHA1", 4, &algo), -EINVAL);
	assert_int_equal(hash_parse_name("", 0, &algo), -EINVAL);
	assert_int_equal(algo, HASH_SHA1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hex_goes_both_ways),
		cmocka_unit_test(hex_of_either_case_is_read),
		cmocka_unit_test(every_wrong_digit_is_refused),
		cmocka_unit_test(only_two_lengths_are_read),
		cmocka_unit_test(bytes_beyond_the_hash_are_zero),
		cmocka_unit_test(zero_and_unset_are_told_apart),
		cmocka_unit_test(same_bytes_of_two_algorithms_differ),
		cmocka_unit_test(hash_is_the_first_eight_bytes),
		cmocka_unit_test(algorithms_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
