/* Commits and tags: as git writes them, as old and odd programs wrote them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "git/commit.h"

#define TREE_HEX "82aee02098f59f0b5d23b2e6a6cf2770e2c64637"
#define PARENT_HEX "98b3af6a5b619477067a856b3f4d0e59ae0091df"
#define SHA256_HEX "b20ae735d292dda1a154b2b9af452dcd5f5bb9c18caa22aee8fccc636a1053b4"
#define TREE_LINE "tree " TREE_HEX "\n"
#define PARENT_LINE "parent " PARENT_HEX "\n"
#define AUTHOR "author A U Thor <author@example.com> 1700000000 -0330\n"
#define COMMITTER "committer C O Mitter <committer@example.com> 1700000060 +0545\n"

static int parse(struct commit *out, const char *text)
{
	return commit_parse(out, (const uint8_t *)text, strlen(text), HASH_SHA1);
}

static void assert_oid(const struct oid *oid, const char *expected)
{
	char hex[OID_HEX_MAX + 1];

	assert_string_equal(oid_to_hex(oid, hex), expected);
}

static void assert_message(const struct commit *commit, const char *expected)
{
	assert_int_equal(commit->message_len, strlen(expected));
	assert_memory_equal(commit->message, expected, commit->message_len);
}

static void a_commit_of_git_is_read(void **state)
{
	struct commit commit;

	(void)state;
	assert_int_equal(parse(&commit, TREE_LINE PARENT_LINE AUTHOR COMMITTER
			       "\nSay hello again\n\nand again\n"),
			 0);
	assert_oid(&commit.tree, TREE_HEX);
	assert_int_equal(commit.parents_count, 1);
	assert_oid(&commit.parents[0], PARENT_HEX);
	assert_int_equal(commit.author_time, 1700000000);
	assert_int_equal(commit.commit_time, 1700000060);
	assert_message(&commit, "Say hello again\n\nand again\n");
}

static void a_sha256_commit_is_read(void **state)
{
	static const char text[] = "tree " SHA256_HEX "\nparent " SHA256_HEX "\n\nx";
	struct commit commit;

	(void)state;
	assert_int_equal(commit_parse(&commit, (const uint8_t *)text, strlen(text), HASH_SHA256),
			 0);
	assert_int_equal(commit.tree.algo, HASH_SHA256);
	assert_oid(&commit.tree, SHA256_HEX);
	assert_oid(&commit.parents[0], SHA256_HEX);
	assert_message(&commit, "x");
}

static void hashes_of_the_other_algorithm_are_corrupt(void **state)
{
	static const char sha1[] = TREE_LINE PARENT_LINE "\n";
	struct commit commit;

	(void)state;
	assert_int_equal(parse(&commit, "tree " SHA256_HEX "\n\n"), ERR_CORRUPT);
	assert_int_equal(parse(&commit, TREE_LINE "parent " SHA256_HEX "\n\n"), ERR_CORRUPT);
	assert_int_equal(commit_parse(&commit, (const uint8_t *)sha1, strlen(sha1), HASH_SHA256),
			 ERR_CORRUPT);
}

static void what_must_be_there_must_be_right(void **state)
{
	static const char *const bad[] = {
		"",
		"\n",
		"tree",
		"tree ",
		"tree \n",
		AUTHOR COMMITTER "\nno tree\n",
		PARENT_LINE TREE_LINE "\n",
		"tree " TREE_HEX,
		"tree " TREE_HEX " \n",
		"tree  " TREE_HEX "\n",
		"tree 82aee02098f59f0b5d23b2e6a6cf2770e2c6463\n",
		"tree 82aee02098f59f0b5d23b2e6a6cf2770e2c6463g\n",
		TREE_LINE "parent \n",
		TREE_LINE "parent " PARENT_HEX,
		TREE_LINE PARENT_LINE "parent 123\n",
	};
	struct commit commit, before;

	(void)state;
	memset(&commit, 0x5a, sizeof(commit));
	before = commit;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(parse(&commit, bad[i]), ERR_CORRUPT);
		assert_memory_equal(&commit, &before, sizeof(commit));
	}
}

/* The signature holds a blank line of its own and lines that look like headers. */
static void continued_headers_are_passed_over(void **state)
{
	static const char text[] = TREE_LINE "mergetag object " PARENT_HEX "\n"
					     " type commit\n"
					     " author no <n@o> 1 +0000\n"
					     " committer no <n@o> 2 +0000\n"
					     " \n"
					     " message of the tag\n" AUTHOR COMMITTER
					     "encoding ISO-8859-1\n"
					     "gpgsig -----BEGIN PGP SIGNATURE-----\n"
					     " \n"
					     " iQEzBAABCAAdFiEE\n"
					     " committer no <n@o> 3 +0000\n"
					     " -----END PGP SIGNATURE-----\n"
					     "\nSigned\n";
	struct commit commit;

	(void)state;
	assert_int_equal(parse(&commit, text), 0);
	assert_int_equal(commit.parents_count, 0);
	assert_int_equal(commit.author_time, 1700000000);
	assert_int_equal(commit.commit_time, 1700000060);
	assert_message(&commit, "Signed\n");
}

static void missing_people_are_tolerated(void **state)
{
	struct commit commit;

	(void)state;
	assert_int_equal(parse(&commit, TREE_LINE "\nmessage"), 0);
	assert_int_equal(commit.author_time, 0);
	assert_int_equal(commit.commit_time, 0);
	assert_message(&commit, "message");

	assert_int_equal(parse(&commit, TREE_LINE COMMITTER "\n"), 0);
	assert_int_equal(commit.author_time, 0);
	assert_int_equal(commit.commit_time, 1700000060);
	assert_message(&commit, "");
}

/* No blank line: all of it is headers, the last perhaps without its LF. */
static void a_commit_may_end_within_its_headers(void **state)
{
	struct commit commit;

	(void)state;
	assert_int_equal(parse(&commit, TREE_LINE), 0);
	assert_message(&commit, "");
	assert_int_equal(parse(&commit, TREE_LINE AUTHOR "committer C <c@d> 12 +0000"), 0);
	assert_int_equal(commit.commit_time, 12);
	assert_message(&commit, "");
}

static void times_are_read_where_they_can_be(void **state)
{
	static const struct {
		const char *person;
		int64_t time;
	} cases[] = {
		{ "A <a@b> 0 +0000", 0 },
		{ "A <a@b> 1 -1200", 1 },
		{ "A <a@b> 7", 7 },
		{ "A <a@b>   7 +0000", 7 },
		{ "A <a@b>7 +0000", 7 },
		{ "<> 7 +0000", 7 },
		{ "A > B <a@b> 7 +0000", 7 },
		{ "A <a@b>> 7 +0000", 7 },
		{ "A <a@b> 253402300800 +0000", 253402300800 },
		{ "A <a@b> 9223372036854775807 +0000", INT64_MAX },
		{ "A <a@b> 9223372036854775808 +0000", 0 },
		{ "A <a@b> 99999999999999999999999999 +0000", 0 },
		{ "A <a@b> -7 +0000", 0 },
		{ "A <a@b> seven +0000", 0 },
		{ "A <a@b> 7x +0000", 0 },
		{ "A <a@b>", 0 },
		{ "A <a@b> ", 0 },
		{ "A 7 +0000", 0 },
		{ "", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO_BUF struct buf text = BUF_INIT;
		struct commit commit;

		assert_int_equal(buf_printf(&text, TREE_LINE "author %s\n" COMMITTER "\nm",
					    cases[i].person),
				 0);
		assert_int_equal(parse(&commit, buf_str(&text)), 0);
		assert_int_equal(commit.author_time, cases[i].time);
		assert_int_equal(commit.commit_time, 1700000060);
		assert_message(&commit, "m");
	}
}

static void the_first_author_counts(void **state)
{
	struct commit commit;

	(void)state;
	assert_int_equal(parse(&commit, TREE_LINE AUTHOR "author B <b@c> 5 +0000\n" COMMITTER
							 "committer B <b@c> 6 +0000\n\n"),
			 0);
	assert_int_equal(commit.author_time, 1700000000);
	assert_int_equal(commit.commit_time, 1700000060);
}

/* Headers end at the blank line: what the message says is not looked at. */
static void the_message_is_no_header(void **state)
{
	struct commit commit;

	(void)state;
	assert_int_equal(parse(&commit, TREE_LINE "\n" PARENT_LINE AUTHOR COMMITTER), 0);
	assert_int_equal(commit.parents_count, 0);
	assert_int_equal(commit.author_time, 0);
	assert_message(&commit, PARENT_LINE AUTHOR COMMITTER);
}

static void many_parents_are_counted_and_few_kept(void **state)
{
	AUTO_BUF struct buf text = BUF_INIT;
	struct commit commit;

	(void)state;
	assert_int_equal(buf_append_str(&text, TREE_LINE), 0);
	for (unsigned i = 0; i < COMMIT_PARENTS_MAX + 3; i++)
		assert_int_equal(buf_printf(&text, "parent %040x\n", i + 1), 0);
	assert_int_equal(buf_append_str(&text, "\noctopus"), 0);
	assert_int_equal(parse(&commit, buf_str(&text)), 0);
	assert_int_equal(commit.parents_count, COMMIT_PARENTS_MAX + 3);
	assert_int_equal(commit.parents[COMMIT_PARENTS_MAX - 1].hash[19], COMMIT_PARENTS_MAX);
	assert_message(&commit, "octopus");
}

/* Read from memory of exactly its size, cut at every byte. */
static void a_cut_commit_is_corrupt_or_shorter(void **state)
{
	static const char text[] = TREE_LINE PARENT_LINE AUTHOR COMMITTER "\nmessage\n";
	size_t tree_len = strlen(TREE_LINE);
	size_t parents_len = tree_len + strlen(PARENT_LINE);
	size_t key_len = tree_len + strlen("parent ");

	(void)state;
	for (size_t len = 0; len < strlen(text); len++) {
		uint8_t *copy = malloc(len != 0 ? len : 1);
		bool corrupt = len < tree_len || (len >= key_len && len < parents_len);
		struct commit commit;

		assert_non_null(copy);
		memcpy(copy, text, len);
		assert_int_equal(commit_parse(&commit, copy, len, HASH_SHA1),
				 corrupt ? ERR_CORRUPT : 0);
		free(copy);
	}
}

static int parse_tag(struct tag *out, const char *text)
{
	return tag_parse(out, (const uint8_t *)text, strlen(text), HASH_SHA1);
}

static void tags_of_every_type_are_read(void **state)
{
	static const struct {
		const char *text;
		enum object_type type;
	} cases[] = {
		{ "object " TREE_HEX "\ntype commit\ntag v1.0\ntagger A <a@b> 1 +0000\n\nm\n",
		  OBJECT_COMMIT },
		{ "object " TREE_HEX "\ntype tree\ntag v1.0\n", OBJECT_TREE },
		{ "object " TREE_HEX "\ntype blob\n", OBJECT_BLOB },
		{ "object " TREE_HEX "\ntype tag", OBJECT_TAG },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tag tag;

		assert_int_equal(parse_tag(&tag, cases[i].text), 0);
		assert_oid(&tag.object, TREE_HEX);
		assert_int_equal(tag.type, cases[i].type);
	}
}

static void a_sha256_tag_is_read(void **state)
{
	static const char text[] = "object " SHA256_HEX "\ntype commit\n";
	struct tag tag;

	(void)state;
	assert_int_equal(tag_parse(&tag, (const uint8_t *)text, strlen(text), HASH_SHA256), 0);
	assert_oid(&tag.object, SHA256_HEX);
	assert_int_equal(parse_tag(&tag, text), ERR_CORRUPT);
}

static void bad_tags_are_corrupt(void **state)
{
	static const char *const bad[] = {
		"",
		"type commit\nobject " TREE_HEX "\n",
		"object " TREE_HEX,
		"object " TREE_HEX "\n",
		"object " TREE_HEX "\ntype",
		"object " TREE_HEX "\ntype \n",
		"object " TREE_HEX "\ntype commits\n",
		"object " TREE_HEX "\ntype comm\n",
		"object " TREE_HEX "\ntype Commit\n",
		"object " TREE_HEX "\n\ntype commit\n",
		"object 123\ntype commit\n",
	};
	struct tag tag, before;

	(void)state;
	memset(&tag, 0x5a, sizeof(tag));
	before = tag;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(parse_tag(&tag, bad[i]), ERR_CORRUPT);
		assert_memory_equal(&tag, &before, sizeof(tag));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_commit_of_git_is_read),
		cmocka_unit_test(a_sha256_commit_is_read),
		cmocka_unit_test(hashes_of_the_other_algorithm_are_corrupt),
		cmocka_unit_test(what_must_be_there_must_be_right),
		cmocka_unit_test(continued_headers_are_passed_over),
		cmocka_unit_test(missing_people_are_tolerated),
		cmocka_unit_test(a_commit_may_end_within_its_headers),
		cmocka_unit_test(times_are_read_where_they_can_be),
		cmocka_unit_test(the_first_author_counts),
		cmocka_unit_test(the_message_is_no_header),
		cmocka_unit_test(many_parents_are_counted_and_few_kept),
		cmocka_unit_test(a_cut_commit_is_corrupt_or_shorter),
		cmocka_unit_test(tags_of_every_type_are_read),
		cmocka_unit_test(a_sha256_tag_is_read),
		cmocka_unit_test(bad_tags_are_corrupt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
