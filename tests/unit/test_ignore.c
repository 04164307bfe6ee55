/* Ignore rules: the lines of a file, what each kind of rule matches, limits, and how the
 * lists of folders combine. Against git itself: test_ignore_git.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "failing_alloc.h"
#include "git/ignore.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define NO IGNORE_UNDECIDED
#define OUT IGNORE_EXCLUDED
#define IN IGNORE_INCLUDED

static struct ignore_list *parse_bytes(const void *data, size_t len, bool fold_case)
{
	struct ignore_list *list = NULL;
	/* Gone afterwards: the list keeps what it needs. */
	uint8_t *copy = malloc(len + 1);

	assert_non_null(copy);
	/* To its end, where a sanitizer sees a read beyond. */
	memcpy(copy + 1, data, len);
	assert_int_equal(ignore_list_parse(copy + 1, len, fold_case, &list), 0);
	assert_non_null(list);
	free(copy);
	return list;
}

static struct ignore_list *parse(const char *text)
{
	return parse_bytes(text, strlen(text), false);
}

/* A path that ends in a slash is a folder. */
static enum ignore_verdict match(const struct ignore_list *list, const char *path)
{
	size_t len = strlen(path);
	bool is_dir = path[len - 1] == '/';

	return ignore_match(list, path, is_dir ? len - 1 : len, is_dir);
}

struct want {
	const char *rules;
	const char *path;
	enum ignore_verdict verdict;
};

static void check_all(const struct want *wants, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct ignore_list *list = parse(wants[i].rules);
		enum ignore_verdict verdict = match(list, wants[i].path);

		if (verdict != wants[i].verdict)
			fail_msg("\"%s\", %s: %d", wants[i].rules, wants[i].path, verdict);
		ignore_list_free(list);
	}
}

static void rules_match_names_or_paths(void **state)
{
	static const struct want wants[] = {
		{ "a", "a", OUT },
		{ "a", "x/y/a", OUT },
		{ "a", "a/x", NO }, /* by itself; its parent is not looked at */
		{ "a", "ab", NO },
		{ "*.o", "x/y.o", OUT },
		{ "x*y", "x/y", NO },
		{ "/a", "a", OUT },
		{ "/a", "x/a", NO },
		{ "/*", "a", OUT },
		{ "/*", "x/a", NO },
		{ "a/b", "a/b", OUT },
		{ "a/b", "x/a/b", NO },
		{ "/a/b", "a/b", OUT },
		{ "a/b", "a/bc", NO },
		{ "a/*.o", "a/b.o", OUT },
		{ "a/*.o", "a/x/b.o", NO },
		{ "**/a", "x/a", OUT },
		{ "a/**", "a/x/y", OUT },
		{ "a/**", "a/", NO },
		{ "**", "x/y", OUT },
		{ "a/", "a", NO },
		{ "a/", "a/", OUT },
		{ "a/", "x/a/", OUT },
		{ "/a/", "x/a/", NO },
		{ "/a/", "a/", OUT },
		{ "a/b/", "a/b/", OUT },
		{ "a/b/", "a/b", NO },
		{ "*/", "a/", OUT },
		{ "**/", "x/a/", OUT },
		{ "**/", "x/a", NO },
		{ "a//", "a/", NO },
		{ "//a", "a", NO },
		/* The double star behind a literal start: git, not gitignore(5). */
		{ "foo**/bar", "foobar", OUT },
		{ "foo**/bar", "foo/x/bar", OUT },
		{ "fo?**/bar", "foo/x/bar", NO },
		{ "fo?**/bar", "foo/bar", OUT },
	};

	(void)state;
	check_all(wants, COUNT(wants));
}

static void the_last_rule_that_matches_wins(void **state)
{
	static const struct want wants[] = {
		{ "*.o\n!a.o\n", "a.o", IN },
		{ "*.o\n!a.o\n", "b.o", OUT },
		{ "!a.o\n*.o\n", "a.o", OUT },
		{ "a\n!a\na\n", "a", OUT },
		{ "a\n!a/\n", "a", OUT },
		{ "a\n!a/\n", "a/", IN },
		{ "/*\n!/a\n", "a", IN },
		{ "!a", "a", IN },
		{ "!a", "b", NO },
		{ "!!a", "!a", IN },
		{ "!/a", "a", IN },
		{ "/!a", "!a", OUT },
	};

	(void)state;
	check_all(wants, COUNT(wants));
}

static void lines_are_read_as_git_reads_them(void **state)
{
	static const struct want wants[] = {
		{ "#a", "#a", NO },
		{ "\\#a", "#a", OUT },
		{ " #a", " #a", OUT },
		{ "!#a", "#a", IN },
		{ "\\!a", "!a", OUT },
		{ "a#b", "a#b", OUT },
		{ "\n\n \n\na", "a", OUT },
		{ " a", " a", OUT },
		{ " a", "a", NO },
		{ "a  ", "a", OUT },
		{ "a  \n", "a", OUT },
		{ "a\\ ", "a ", OUT },
		{ "a\\ ", "a", NO },
		{ "a\\   ", "a ", OUT },
		{ "a \\ ", "a  ", OUT },
		{ "a\\\\ ", "a\\", OUT },
		{ "a b", "a b", OUT },
		{ "a\t", "a", NO },
		{ "a\t", "a\t", OUT },
		{ "a/ ", "a/", OUT },
		{ "a/ ", "a", NO },
		{ "a\r\nb\r\n", "a", OUT },
		{ "a\r\nb\r\n", "b", OUT },
		{ "a\r", "a", OUT },
		{ "a \r\n", "a", OUT },
		{ "a\r \n", "a\r", OUT },
		{ "a\r \n", "a", NO },
		{ "a\r\r\n", "a\r", OUT },
		{ "a\rb\n", "a\rb", OUT },
		{ "\xef\xbb\xbf" "a", "a", OUT },
		{ "\xef\xbb\xbf" "#a", "#a", NO },
		{ "b\n\xef\xbb\xbf" "a", "a", NO },
		{ "b\n\xef\xbb\xbf" "a", "\xef\xbb\xbf" "a", OUT },
		{ "\xef\xbb" "a", "a", NO },
		{ "a\\", "a", NO },
		{ "a\\", "a\\", NO },
		{ "a\\/", "a/", NO },
	};
	struct ignore_list *list;

	(void)state;
	check_all(wants, COUNT(wants));
	list = parse_bytes("a \0b\nc\0\n\0d\n", 11, false);
	assert_int_equal(match(list, "a"), OUT);
	assert_int_equal(match(list, "c"), OUT);
	assert_int_equal(match(list, "b"), NO);
	assert_int_equal(match(list, "d"), NO);
	assert_int_equal(ignore_list_count(list), 2);
	ignore_list_free(list);
}

static void lines_that_match_nothing_are_no_rules(void **state)
{
	static const char *const empty[] = { "", "\n", "\n\n", "#", "# x\n", " ", "!", "!/", "/",
					     "//", "! ", "\r\n", "!\r\n", "\xef\xbb\xbf",
					     "\xef\xbb\xbf\n" };
	struct ignore_list *list = NULL;

	(void)state;
	for (size_t i = 0; i < COUNT(empty); i++) {
		list = parse(empty[i]);
		assert_int_equal(ignore_list_count(list), 0);
		assert_int_equal(match(list, "a"), NO);
		assert_int_equal(match(list, "a/"), NO);
		ignore_list_free(list);
	}
	assert_int_equal(ignore_list_parse(NULL, 0, false, &list), 0);
	assert_int_equal(ignore_list_count(list), 0);
	ignore_list_free(list);
	ignore_list_free(NULL);
}

static void letters_fold_on_demand(void **state)
{
	static const char text[] = "Makefile\n*.OBJ\n/Top/Dir/*.c\n";
	struct ignore_list *exact = parse_bytes(text, strlen(text), false);
	struct ignore_list *folded = parse_bytes(text, strlen(text), true);

	(void)state;
	assert_int_equal(match(exact, "makefile"), NO);
	assert_int_equal(match(exact, "x.obj"), NO);
	assert_int_equal(match(exact, "top/dir/x.c"), NO);
	assert_int_equal(match(folded, "makeFILE"), OUT);
	assert_int_equal(match(folded, "x/y.Obj"), OUT);
	assert_int_equal(match(folded, "top/DIR/x.C"), OUT);
	assert_int_equal(match(folded, "top/DIR/x.h"), NO);
	ignore_list_free(exact);
	ignore_list_free(folded);
}

/* `count` times `unit`, and `last`. */
static void repeat(struct buf *out, const char *unit, size_t count, const char *last)
{
	buf_clear(out);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(buf_append_str(out, unit), 0);
	assert_int_equal(buf_append_str(out, last), 0);
}

static int parse_result(const struct buf *text)
{
	struct ignore_list *list = NULL;
	int result = ignore_list_parse(text->data, text->len, false, &list);

	assert_int_equal(list != NULL, result == 0);
	ignore_list_free(list);
	return result;
}

static void sizes_have_limits(void **state)
{
	AUTO_BUF struct buf text = BUF_INIT;

	(void)state;
	repeat(&text, "x", IGNORE_PATTERN_MAX, "");
	assert_int_equal(parse_result(&text), 0);
	repeat(&text, "x", IGNORE_PATTERN_MAX, "\na\n");
	assert_int_equal(parse_result(&text), 0);
	repeat(&text, "x", IGNORE_PATTERN_MAX + 1, "\na\n");
	assert_int_equal(parse_result(&text), ERR_LIMIT);
	repeat(&text, "#", IGNORE_PATTERN_MAX + 1, "\na\n");
	assert_int_equal(parse_result(&text), 0);
	repeat(&text, "a\n", IGNORE_RULES_MAX, "");
	assert_int_equal(parse_result(&text), 0);
	repeat(&text, "a\n", IGNORE_RULES_MAX, "#\n");
	assert_int_equal(parse_result(&text), 0);
	repeat(&text, "a\n", IGNORE_RULES_MAX, "a");
	assert_int_equal(parse_result(&text), ERR_LIMIT);
	repeat(&text, "/*2345678/\n", IGNORE_STARS_MAX / 8, "no star\n#*\n!\n/\n");
	assert_int_equal(parse_result(&text), 0);
	repeat(&text, "/*2345678/\n", IGNORE_STARS_MAX / 8, "no star\n!/*/\n");
	assert_int_equal(parse_result(&text), ERR_LIMIT);
	repeat(&text, "#\n", IGNORE_FILE_MAX / 2, "");
	assert_int_equal(parse_result(&text), 0);
	repeat(&text, "#\n", IGNORE_FILE_MAX / 2, "\n");
	assert_int_equal(parse_result(&text), ERR_LIMIT);
}

static void short_memory_is_told(void **state)
{
	AUTO_BUF struct buf text = BUF_INIT;
	bool delivered;
	long nth = 1;

	(void)state;
	repeat(&text, "some*rule\n!/of/several/\n", 100, "last");
	do {
		struct ignore_list *list = NULL;
		int result;

		failing_alloc_arm(nth++);
		result = ignore_list_parse(text.data, text.len, false, &list);
		delivered = failing_alloc_disarm();
		assert_int_equal(result, delivered ? -ENOMEM : 0);
		assert_int_equal(list != NULL, !delivered);
		if (list != NULL)
			assert_int_equal(ignore_list_count(list), 201);
		ignore_list_free(list);
	} while (delivered);
	assert_true(nth > 4);
}

static int push(struct ignore_stack *stack, const char *folder, const struct ignore_list *list)
{
	return ignore_stack_push(stack, folder, strlen(folder), list);
}

static enum ignore_verdict check(const struct ignore_stack *stack, const char *path)
{
	size_t len = strlen(path);
	bool is_dir = path[len - 1] == '/';

	return ignore_stack_check(stack, path, is_dir ? len - 1 : len, is_dir);
}

static enum ignore_verdict check_path(const struct ignore_stack *stack, const char *path)
{
	size_t len = strlen(path);
	bool is_dir = path[len - 1] == '/';

	return ignore_stack_check_path(stack, path, is_dir ? len - 1 : len, is_dir);
}

/* What is pushed later goes first, as far as it reaches. */
static void deeper_lists_go_first(void **state)
{
	struct ignore_stack stack = IGNORE_STACK_INIT;
	struct ignore_list *user = parse("*.o\n*.swp\n");
	struct ignore_list *top = parse("!a.o\n/b/c/only\n*.log\n");
	struct ignore_list *deep = parse("/only\n!x.log\na.o\n");

	(void)state;
	assert_int_equal(check(&stack, "a.o"), NO);
	assert_int_equal(push(&stack, "", user), 0);
	assert_int_equal(check(&stack, "a.o"), OUT);
	assert_int_equal(push(&stack, "", top), 0);
	assert_int_equal(push(&stack, "b", NULL), 0);
	assert_int_equal(push(&stack, "b/c", deep), 0);
	/* Decided by the user's, the top's, the folder's. */
	assert_int_equal(check(&stack, "b/c/x.swp"), OUT);
	assert_int_equal(check(&stack, "b/a.o"), IN);
	assert_int_equal(check(&stack, "b/c/a.o"), OUT);
	assert_int_equal(check(&stack, "b/c/x.log"), IN);
	assert_int_equal(check(&stack, "b/c/y.log"), OUT);
	assert_int_equal(check(&stack, "b/c/only"), OUT);
	/* A list reaches what is below its folder, not the folder or what begins as it does. */
	assert_int_equal(check(&stack, "b/x.log"), OUT);
	assert_int_equal(check(&stack, "b/cx.log"), OUT);
	assert_int_equal(check(&stack, "b/c.log"), OUT);
	assert_int_equal(check(&stack, "only"), NO);
	assert_int_equal(check(&stack, "b/c/d/only"), NO);
	assert_int_equal(check(&stack, "b/c/d/x.log"), IN);
	ignore_stack_pop(&stack);
	assert_int_equal(check(&stack, "b/c/x.log"), OUT);
	assert_int_equal(check(&stack, "b/c/only"), OUT);
	ignore_stack_pop(&stack);
	ignore_stack_pop(&stack);
	assert_int_equal(check(&stack, "b/c/only"), NO);
	assert_int_equal(check(&stack, "a.o"), OUT);
	ignore_stack_pop(&stack);
	assert_int_equal(check(&stack, "a.o"), NO);
	ignore_stack_release(&stack);
	ignore_list_free(user);
	ignore_list_free(top);
	ignore_list_free(deep);
}

static void folders_are_pushed_from_the_top_down(void **state)
{
	struct ignore_stack stack = IGNORE_STACK_INIT;
	struct ignore_list *list = parse("x");

	(void)state;
	assert_int_equal(push(&stack, "a/b", list), 0);
	assert_int_equal(push(&stack, "", list), -EINVAL);
	assert_int_equal(push(&stack, "a", list), -EINVAL);
	assert_int_equal(push(&stack, "a/bc", list), -EINVAL);
	assert_int_equal(push(&stack, "a/c/d", list), -EINVAL);
	assert_int_equal(push(&stack, "a/b", list), 0);
	assert_int_equal(push(&stack, "a/b/c/d", list), 0);
	assert_int_equal(stack.count, 3);
	ignore_stack_pop(&stack);
	assert_int_equal(push(&stack, "a/b/e", list), 0);
	assert_int_equal(check(&stack, "a/b/e/x"), OUT);
	assert_int_equal(check(&stack, "x"), NO);
	ignore_stack_release(&stack);
	assert_int_equal(check(&stack, "a/b/x"), NO);
	assert_int_equal(push(&stack, "", list), 0);
	assert_int_equal(check(&stack, "x"), OUT);
	ignore_stack_release(&stack);
	ignore_list_free(list);
}

/* Nothing in an excluded folder comes back. */
static void excluded_folders_exclude_what_is_in_them(void **state)
{
	struct ignore_stack stack = IGNORE_STACK_INIT;
	struct ignore_list *top = parse("build/\n!build/keep\n/out/*\n!/out/keep/\n*.tmp\n");
	struct ignore_list *build = parse("!*\n");

	(void)state;
	assert_int_equal(push(&stack, "", top), 0);
	assert_int_equal(push(&stack, "build", build), 0);
	assert_int_equal(check(&stack, "build/"), OUT);
	assert_int_equal(check(&stack, "build/keep"), IN);
	assert_int_equal(check_path(&stack, "build/keep"), OUT);
	assert_int_equal(check_path(&stack, "build/x/y"), OUT);
	assert_int_equal(check_path(&stack, "build/"), OUT);
	/* A file of that name is no folder. */
	assert_int_equal(check_path(&stack, "build"), NO);
	assert_int_equal(check_path(&stack, "out/x/y"), OUT);
	assert_int_equal(check_path(&stack, "out/keep/"), IN);
	assert_int_equal(check_path(&stack, "out/keep/y"), NO);
	assert_int_equal(check_path(&stack, "a.tmp/b/c"), OUT);
	assert_int_equal(check_path(&stack, "a/b.tmp/c"), OUT);
	assert_int_equal(check_path(&stack, "a/b/c.tmp"), OUT);
	assert_int_equal(check_path(&stack, "a/b/c"), NO);
	ignore_stack_release(&stack);
	ignore_list_free(top);
	ignore_list_free(build);
}

#define DEEP 40 /* levels, so that the stack grows more than once */

static void short_memory_leaves_the_stack_as_it_was(void **state)
{
	struct ignore_stack stack = IGNORE_STACK_INIT;
	struct ignore_list *lists[DEEP];
	AUTO_BUF struct buf folder = BUF_INIT;
	size_t failures = 0;

	(void)state;
	for (size_t level = 0; level < DEEP; level++) {
		char rule[32];
		int result;

		repeat(&folder, "dir/", level, "dir");
		snprintf(rule, sizeof(rule), "file%zu", level);
		lists[level] = parse(rule);
		for (long nth = 1;; nth++) {
			failing_alloc_arm(nth);
			result = push(&stack, buf_str(&folder), lists[level]);
			if (!failing_alloc_disarm())
				break;
			failures++;
			assert_int_equal(result, -ENOMEM);
			assert_int_equal(stack.count, level);
		}
		assert_int_equal(result, 0);
		repeat(&folder, "dir/", level + 1, rule);
		assert_int_equal(check(&stack, buf_str(&folder)), OUT);
	}
	assert_true(failures >= 5);
	for (size_t level = DEEP; level-- > 0;) {
		ignore_stack_pop(&stack);
		ignore_list_free(lists[level]);
	}
	ignore_stack_release(&stack);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_match_names_or_paths),
		cmocka_unit_test(the_last_rule_that_matches_wins),
		cmocka_unit_test(lines_are_read_as_git_reads_them),
		cmocka_unit_test(lines_that_match_nothing_are_no_rules),
		cmocka_unit_test(letters_fold_on_demand),
		cmocka_unit_test(sizes_have_limits),
		cmocka_unit_test(short_memory_is_told),
		cmocka_unit_test(deeper_lists_go_first),
		cmocka_unit_test(folders_are_pushed_from_the_top_down),
		cmocka_unit_test(excluded_folders_exclude_what_is_in_them),
		cmocka_unit_test(short_memory_leaves_the_stack_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
