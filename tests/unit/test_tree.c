/* Trees: parsed, built, ordered; which names a filesystem may show. */
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
#include "git/hash.h"
#include "git/tree.h"

static const enum hash_algo algos[] = { HASH_SHA1, HASH_SHA256 };

static const char *const hello[] = {
	"ce013625030ba8dba906f756967f9e9ca394464a",
	"2cf8d83d9ee29543b34a87727421fdecb7e3f3a183d337639025de576db9ebb4",
};
static const char *const module[] = {
	"d5b1ba5ffd9c87b86712872ced93fbc95b0c493f",
	"b2220a48328ca9bdbebdcb154c49f9dd4661ce1d9da92b71e13976a1c59cec36",
};
static const char *const sub[] = {
	"e31a96220fbfbe7601ecc086a36b96dc27a8867e",
	"61fba3f21d5bd4b757298674dee23839e6758743b64675ecc771c93efc12a21b",
};

/* A tree as git mktree orders it: "sub.c" stands before the folder "sub". */
static const struct {
	uint32_t mode;
	const char *name;
	const char *const *hex; /* by sha1, by sha256 */
} sample[] = {
	{ TREE_MODE_FILE, "hello.txt", hello },
	{ TREE_MODE_LINK, "link", hello },
	{ TREE_MODE_GITLINK, "module", module },
	{ TREE_MODE_EXEC, "run.sh", hello },
	{ TREE_MODE_FILE, "sub.c", hello },
	{ TREE_MODE_DIR, "sub", sub },
	{ TREE_MODE_FILE, "sub0", hello },
};
#define SAMPLE_COUNT (sizeof(sample) / sizeof(sample[0]))

/* The ids git gives the sample. */
static const char *const sample_oids[] = {
	"82aee02098f59f0b5d23b2e6a6cf2770e2c64637",
	"b20ae735d292dda1a154b2b9af452dcd5f5bb9c18caa22aee8fccc636a1053b4",
};

static struct oid oid_of(const char *hex)
{
	struct oid oid;

	assert_int_equal(oid_from_hex(&oid, hex, strlen(hex)), 0);
	return oid;
}

static int append_sample(struct buf *out, size_t algo, size_t i)
{
	struct oid oid = oid_of(sample[i].hex[algo]);

	return tree_append(out, sample[i].mode, sample[i].name, strlen(sample[i].name), &oid);
}

static void build_sample(struct buf *out, size_t algo)
{
	for (size_t i = 0; i < SAMPLE_COUNT; i++)
		assert_int_equal(append_sample(out, algo, i), 0);
}

static void a_built_tree_is_the_one_git_builds(void **state)
{
	(void)state;
	for (size_t a = 0; a < 2; a++) {
		AUTO_BUF struct buf tree = BUF_INIT;
		struct hasher *hasher = hasher_new(algos[a]);
		char hex[OID_HEX_MAX + 1];
		struct oid oid;

		assert_non_null(hasher);
		build_sample(&tree, a);
		assert_int_equal(hasher_object(hasher, OBJECT_TREE, tree.data, tree.len, &oid), 0);
		assert_string_equal(oid_to_hex(&oid, hex), sample_oids[a]);
		hasher_free(hasher);
	}
}

static void entries_come_back_as_built(void **state)
{
	(void)state;
	for (size_t a = 0; a < 2; a++) {
		AUTO_BUF struct buf tree = BUF_INIT;
		struct tree_entry entry;
		struct tree_iter iter;

		build_sample(&tree, a);
		tree_iter_init(&iter, tree.data, tree.len, algos[a]);
		for (size_t i = 0; i < SAMPLE_COUNT; i++) {
			struct oid oid = oid_of(sample[i].hex[a]);

			assert_int_equal(tree_iter_next(&iter, &entry), 1);
			assert_int_equal(entry.mode, sample[i].mode);
			assert_int_equal(entry.name_len, strlen(sample[i].name));
			assert_memory_equal(entry.name, sample[i].name, entry.name_len);
			assert_true(oid_equal(&entry.oid, &oid));
		}
		assert_int_equal(tree_iter_next(&iter, &entry), 0);
		assert_int_equal(tree_iter_next(&iter, &entry), 0);
	}
}

static void an_empty_tree_has_no_entries(void **state)
{
	struct tree_entry entry;
	struct tree_iter iter;

	(void)state;
	tree_iter_init(&iter, NULL, 0, HASH_SHA1);
	assert_int_equal(tree_iter_next(&iter, &entry), 0);
}

/* Cut anywhere but between two entries it is corrupt, and stays so. */
static void a_cut_tree_is_corrupt(void **state)
{
	AUTO_BUF struct buf tree = BUF_INIT;
	size_t whole = 0; /* trees that end between entries */

	(void)state;
	build_sample(&tree, 0);
	for (size_t len = 0; len < tree.len; len++) {
		uint8_t *copy = malloc(len + 1);
		struct tree_entry entry;
		struct tree_iter iter;
		int result;

		assert_non_null(copy);
		memcpy(copy + 1, tree.data, len);
		tree_iter_init(&iter, copy + 1, len, HASH_SHA1);
		while ((result = tree_iter_next(&iter, &entry)) == 1)
			continue;
		assert_int_equal(tree_iter_next(&iter, &entry), result);
		if (result == 0)
			whole++;
		else
			assert_int_equal(result, ERR_CORRUPT);
		free(copy);
	}
	assert_int_equal(whole, SAMPLE_COUNT);
}

/* One entry with this mode and a name of name_len bytes. */
static int parse_one(const char *mode, size_t name_len, struct tree_entry *out)
{
	static const uint8_t raw[20];
	struct tree_iter iter;
	AUTO_BUF struct buf tree = BUF_INIT;

	assert_int_equal(buf_printf(&tree, "%s ", mode), 0);
	for (size_t i = 0; i < name_len; i++)
		assert_int_equal(buf_append_u8(&tree, 'n'), 0);
	assert_int_equal(buf_append_u8(&tree, '\0'), 0);
	assert_int_equal(buf_append(&tree, raw, sizeof(raw)), 0);
	tree_iter_init(&iter, tree.data, tree.len, HASH_SHA1);
	return tree_iter_next(&iter, out);
}

static void modes_are_octal_numbers(void **state)
{
	static const char *const bad[] = { "", "100648", "10064a", "-100644", "+100644",
					   "0x8000", "200000", "777777777777", "000100644",
					   "100644\t" };
	struct tree_entry entry = { .mode = 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(parse_one(bad[i], 1, &entry), ERR_CORRUPT);
		assert_int_equal(entry.mode, 0);
	}
	assert_int_equal(parse_one("040000", 1, &entry), 1);
	assert_int_equal(entry.mode, TREE_MODE_DIR);
	assert_int_equal(parse_one("100664", 1, &entry), 1);
	assert_int_equal(entry.mode, 0100664);
	assert_int_equal(parse_one("177777", 1, &entry), 1);
}

static void names_have_limits(void **state)
{
	struct tree_entry entry;

	(void)state;
	assert_int_equal(parse_one("100644", 0, &entry), ERR_CORRUPT);
	assert_int_equal(parse_one("100644", TREE_NAME_MAX, &entry), 1);
	assert_int_equal(parse_one("100644", TREE_NAME_MAX + 1, &entry), ERR_CORRUPT);
}

static void modes_stand_for_kinds(void **state)
{
	static const struct {
		uint32_t mode;
		uint32_t kind; /* 0: none */
	} cases[] = {
		{ 0100644, TREE_MODE_FILE },
		{ 0100664, TREE_MODE_FILE },
		{ 0100600, TREE_MODE_FILE },
		{ 0100000, TREE_MODE_FILE },
		{ 0100611, TREE_MODE_FILE },
		{ 0100755, TREE_MODE_EXEC },
		{ 0100700, TREE_MODE_EXEC },
		{ 0100775, TREE_MODE_EXEC },
		{ 040000, TREE_MODE_DIR },
		{ 040755, TREE_MODE_DIR },
		{ 0120000, TREE_MODE_LINK },
		{ 0120777, TREE_MODE_LINK },
		{ 0160000, TREE_MODE_GITLINK },
		{ 0, 0 },
		{ 0644, 0 },
		{ 0020644, 0 },
		{ 0060644, 0 },
		{ 0140000, 0 },
		{ 0010000, 0 },
		{ 0170000, 0 },
		{ 01040000, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t kind = 0;
		int expected = cases[i].kind != 0 ? 0 : ERR_CORRUPT;

		assert_int_equal(tree_entry_kind(cases[i].mode, &kind), expected);
		assert_int_equal(kind, cases[i].kind);
	}
}

static bool shown(const char *name)
{
	return tree_name_shown((const uint8_t *)name, strlen(name));
}

static void dangerous_names_are_not_shown(void **state)
{
	static const char *const hidden[] = { "", ".", "..", ".git", ".Git", ".gIt", ".giT",
					      ".GIT", "/", "a/b", "/a", "a/" };

	(void)state;
	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
		assert_false(shown(hidden[i]));
	assert_false(tree_name_shown((const uint8_t *)"a\0b", 3));
	assert_false(tree_name_shown((const uint8_t *)"a\0", 2));
	assert_false(tree_name_shown((const uint8_t *)"\0", 1));
}

static void other_names_are_shown(void **state)
{
	static const char *const fine[] = { "a", "...", ". ", ".gitignore", ".gi", ".gits",
					    "git", "x.git", "..a", ".g\tt", "-", "\x0egit",
					    "\\", "\xff\xfe", "a\nb", " ", ".gi\x14" };

	(void)state;
	for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++)
		assert_true(shown(fine[i]));
	/* The length counts, not what lies beyond. */
	assert_true(tree_name_shown((const uint8_t *)".git", 3));
	assert_false(tree_name_shown((const uint8_t *)"..x", 2));
}

static struct tree_entry entry_of(uint32_t mode, const char *name)
{
	return (struct tree_entry){ .mode = mode,
				    .name = (const uint8_t *)name,
				    .name_len = strlen(name) };
}

static void order_is_that_of_git(void **state)
{
	static const struct {
		uint32_t mode;
		const char *name;
	} sorted[] = {
		{ TREE_MODE_FILE, "A" },
		{ TREE_MODE_FILE, "a" },
		{ TREE_MODE_FILE, "a-b" },
		{ TREE_MODE_GITLINK, "a." },
		{ TREE_MODE_DIR, "a" },
		{ TREE_MODE_FILE, "a0" },
		{ TREE_MODE_DIR, "ab" },
		{ TREE_MODE_FILE, "ab0" },
		{ TREE_MODE_FILE, "\xff" },
	};
	size_t count = sizeof(sorted) / sizeof(sorted[0]);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < count; j++) {
			struct tree_entry a = entry_of(sorted[i].mode, sorted[i].name);
			struct tree_entry b = entry_of(sorted[j].mode, sorted[j].name);
			int order = tree_entry_compare(&a, &b);

			assert_int_equal(order < 0, i < j);
			assert_int_equal(order > 0, i > j);
		}
	}
}

static void no_bad_entry_is_built(void **state)
{
	static const char long_name[TREE_NAME_MAX + 2];
	AUTO_BUF struct buf tree = BUF_INIT;
	struct oid oid = oid_of(sample[0].hex[0]);

	(void)state;
	assert_int_equal(tree_append(&tree, TREE_MODE_FILE, "", 0, &oid), -EINVAL);
	assert_int_equal(tree_append(&tree, TREE_MODE_FILE, "a/b", 3, &oid), -EINVAL);
	assert_int_equal(tree_append(&tree, TREE_MODE_FILE, "a\0b", 3, &oid), -EINVAL);
	assert_int_equal(tree_append(&tree, TREE_MODE_FILE, long_name, TREE_NAME_MAX + 1, &oid),
			 -EINVAL);
	assert_int_equal(tree_append(&tree, 0200000, "a", 1, &oid), -EINVAL);
	assert_int_equal(tree.len, 0);
}

static void a_full_buffer_is_left_as_it_was(void **state)
{
	AUTO_BUF struct buf tree = BUF_INIT_MAX(64);
	size_t len;

	(void)state;
	assert_int_equal(append_sample(&tree, 0, 0), 0);
	len = tree.len;
	assert_int_equal(append_sample(&tree, 0, 1), ERR_LIMIT);
	assert_int_equal(tree.len, len);
}

static void short_memory_leaves_whole_entries(void **state)
{
	long nth = 1;
	bool delivered;

	(void)state;
	do {
		AUTO_BUF struct buf tree = BUF_INIT;
		struct tree_entry entry;
		struct tree_iter iter;
		size_t built = 0;
		size_t read = 0;
		int result;

		failing_alloc_arm(nth++);
		for (size_t i = 0; i < SAMPLE_COUNT; i++) {
			result = append_sample(&tree, 0, i);
			assert_true(result == 0 || result == -ENOMEM);
			built += result == 0 ? 1 : 0;
		}
		delivered = failing_alloc_disarm();
		assert_int_equal(built, delivered ? SAMPLE_COUNT - 1 : SAMPLE_COUNT);
		tree_iter_init(&iter, tree.data, tree.len, HASH_SHA1);
		while ((result = tree_iter_next(&iter, &entry)) == 1)
			read++;
		assert_int_equal(result, 0);
		assert_int_equal(read, built);
	} while (delivered);
	assert_true(nth > 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_built_tree_is_the_one_git_builds),
		cmocka_unit_test(entries_come_back_as_built),
		cmocka_unit_test(an_empty_tree_has_no_entries),
		cmocka_unit_test(a_cut_tree_is_corrupt),
		cmocka_unit_test(modes_are_octal_numbers),
		cmocka_unit_test(names_have_limits),
		cmocka_unit_test(modes_stand_for_kinds),
		cmocka_unit_test(dangerous_names_are_not_shown),
		cmocka_unit_test(other_names_are_shown),
		cmocka_unit_test(order_is_that_of_git),
		cmocka_unit_test(no_bad_entry_is_built),
		cmocka_unit_test(a_full_buffer_is_left_as_it_was),
		cmocka_unit_test(short_memory_leaves_whole_entries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
