/*
 * Hashes against published vectors, and object ids against what
 * `git hash-object --stdin` prints in repositories of both formats.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/threads.h"
#include "failing_alloc.h"
#include "git/hash.h"

#define BIG_LEN ((size_t)3000000)
#define THREADS 4

static const enum hash_algo algos[] = { HASH_SHA1, HASH_SHA256 };

static void assert_hex(const struct oid *oid, const char *expected)
{
	char hex[OID_HEX_MAX + 1];

	assert_string_equal(oid_to_hex(oid, hex), expected);
}

static void plain_hashes_are_the_published_ones(void **state)
{
	static const struct {
		const char *text;
		const char *hex[2];
	} cases[] = {
		{ "",
		  { "da39a3ee5e6b4b0d3255bfef95601890afd80709",
		    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" } },
		{ "abc",
		  { "a9993e364706816aba3e25717850c26c9cd0d89d",
		    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" } },
	};

	(void)state;
	for (size_t a = 0; a < 2; a++) {
		struct hasher *hasher = hasher_new(algos[a]);

		assert_non_null(hasher);
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			struct oid oid;

			assert_int_equal(hasher_reset(hasher), 0);
			assert_int_equal(
				hasher_update(hasher, cases[i].text, strlen(cases[i].text)), 0);
			assert_int_equal(hasher_final(hasher, &oid), 0);
			assert_hex(&oid, cases[i].hex[a]);
		}
		hasher_free(hasher);
	}
}

static void a_new_hasher_needs_no_reset(void **state)
{
	struct hasher *hasher = hasher_new(HASH_SHA1);
	struct oid oid;

	(void)state;
	assert_non_null(hasher);
	assert_int_equal(hasher_update(hasher, "ab", 2), 0);
	assert_int_equal(hasher_update(hasher, "c", 1), 0);
	assert_int_equal(hasher_final(hasher, &oid), 0);
	assert_hex(&oid, "a9993e364706816aba3e25717850c26c9cd0d89d");
	hasher_free(hasher);
}

static void reset_forgets_what_was_fed(void **state)
{
	struct hasher *hasher = hasher_new(HASH_SHA1);
	struct oid oid;

	(void)state;
	assert_non_null(hasher);
	assert_int_equal(hasher_update(hasher, "something else", 14), 0);
	assert_int_equal(hasher_reset(hasher), 0);
	assert_int_equal(hasher_update(hasher, "abc", 3), 0);
	assert_int_equal(hasher_final(hasher, &oid), 0);
	assert_hex(&oid, "a9993e364706816aba3e25717850c26c9cd0d89d");
	hasher_free(hasher);
}

/* What git says to the same bytes. */
static void object_ids_are_those_of_git(void **state)
{
	static const struct {
		enum object_type type;
		const char *data;
		const char *sha1;
		const char *sha256;
	} cases[] = {
		{ OBJECT_BLOB, "", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391",
		  "473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813" },
		{ OBJECT_BLOB, "hello\n", "ce013625030ba8dba906f756967f9e9ca394464a",
		  "2cf8d83d9ee29543b34a87727421fdecb7e3f3a183d337639025de576db9ebb4" },
		{ OBJECT_TREE, "", "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
		  "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321" },
	};

	(void)state;
	for (size_t a = 0; a < 2; a++) {
		struct hasher *hasher = hasher_new(algos[a]);

		assert_non_null(hasher);
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			struct oid oid;

			assert_int_equal(hasher_object(hasher, cases[i].type, cases[i].data,
						       strlen(cases[i].data), &oid),
					 0);
			assert_int_equal(oid.algo, algos[a]);
			assert_hex(&oid, a == 0 ? cases[i].sha1 : cases[i].sha256);
		}
		hasher_free(hasher);
	}
}

static void commits_and_tags_are_hashed_as_such(void **state)
{
	static const char commit[] =
		"tree 5cd59781b7626a4ab24412fc9b901d144654b625\n"
		"author A U Thor <author@example.com> 1700000000 -0330\n"
		"committer C O Mitter <committer@example.com> 1700000060 +0545\n"
		"\n"
		"Say hello\n";
	static const char tag[] =
		"object 73603e085a4609fa845036098d70eb6906100a8e\n"
		"type commit\n"
		"tag v1.0\n"
		"tagger C O Mitter <committer@example.com> 1700000060 +0545\n"
		"\n"
		"The first\n";
	struct hasher *hasher = hasher_new(HASH_SHA1);
	struct oid oid;

	(void)state;
	assert_non_null(hasher);
	assert_int_equal(hasher_object(hasher, OBJECT_COMMIT, commit, strlen(commit), &oid), 0);
	assert_hex(&oid, "73603e085a4609fa845036098d70eb6906100a8e");
	assert_int_equal(hasher_object(hasher, OBJECT_TAG, tag, strlen(tag), &oid), 0);
	assert_hex(&oid, "8baf08672d0b58f1f5bec6d7b6ed5ea7d2f55e0a");
	hasher_free(hasher);
}

/* Three million times "a", in pieces whose sizes share no factor with it. */
static void pieces_make_no_difference(void **state)
{
	static const char *const expected[] = {
		"ae9ea2ccdaed325e1d5cdc54eb010d6908b9ffe6",
		"79db42357cc878efdd0629f0b0527ea364f3172ac28a5fa096838a25fae12569",
	};
	uint8_t piece[7919];

	(void)state;
	memset(piece, 'a', sizeof(piece));
	for (size_t a = 0; a < 2; a++) {
		struct hasher *hasher = hasher_new(algos[a]);
		size_t left = BIG_LEN;
		struct oid oid;

		assert_non_null(hasher);
		assert_int_equal(hasher_begin_object(hasher, OBJECT_BLOB, BIG_LEN), 0);
		while (left != 0) {
			size_t len = left < sizeof(piece) ? left : sizeof(piece);

			assert_int_equal(hasher_update(hasher, piece, len), 0);
			left -= len;
		}
		assert_int_equal(hasher_final(hasher, &oid), 0);
		assert_hex(&oid, expected[a]);
		hasher_free(hasher);
	}
}

static void *hash_hello(void *arg)
{
	struct oid *out = arg;
	struct hasher *hasher = hasher_new(HASH_SHA256);

	if (hasher != NULL && hasher_object(hasher, OBJECT_BLOB, "hello\n", 6, out) < 0)
		out->algo = 0;
	hasher_free(hasher);
	return NULL;
}

/* The first test, so that the threads race for the first use of the algorithm. */
static void threads_share_the_algorithm(void **state)
{
	pthread_t threads[THREADS];
	struct oid oids[THREADS] = { { .algo = 0 } };

	(void)state;
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(thread_start(&threads[i], "hash", hash_hello, &oids[i]), 0);
	for (size_t i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_hex(&oids[i], "2cf8d83d9ee29543b34a87727421fdec"
				     "b7e3f3a183d337639025de576db9ebb4");
	}
}

static void free_takes_null(void **state)
{
	(void)state;
	hasher_free(NULL);
}

static void short_memory_makes_no_hasher(void **state)
{
	long nth = 1;
	bool delivered;

	(void)state;
	do {
		struct hasher *hasher;

		failing_alloc_arm(nth++);
		hasher = hasher_new(HASH_SHA1);
		delivered = failing_alloc_disarm();
		assert_true((hasher == NULL) == delivered);
		hasher_free(hasher);
	} while (delivered);
	assert_true(nth > 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_share_the_algorithm),
		cmocka_unit_test(plain_hashes_are_the_published_ones),
		cmocka_unit_test(a_new_hasher_needs_no_reset),
		cmocka_unit_test(reset_forgets_what_was_fed),
		cmocka_unit_test(object_ids_are_those_of_git),
		cmocka_unit_test(commits_and_tags_are_hashed_as_such),
		cmocka_unit_test(pieces_make_no_difference),
		cmocka_unit_test(free_takes_null),
		cmocka_unit_test(short_memory_makes_no_hasher),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
