/* Patterns: each element, what slashes mean, folding, the places where git differs from its
 * manual, all short patterns against a table made by definition, and bounded time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "git/wildmatch.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct want {
	const char *pattern;
	const char *text;
	bool matches;
};

/* Both at the very end of their memory, where a sanitizer sees a read beyond. */
static bool match(const char *pattern, const char *text, unsigned flags)
{
	size_t pattern_len = strlen(pattern);
	size_t text_len = strlen(text);
	char *pattern_copy = malloc(pattern_len + 1);
	char *text_copy = malloc(text_len + 1);
	bool result;

	assert_true(pattern_copy != NULL && text_copy != NULL);
	memcpy(pattern_copy + 1, pattern, pattern_len);
	memcpy(text_copy + 1, text, text_len);
	result = wildmatch(pattern_copy + 1, pattern_len, text_copy + 1, text_len, flags);
	free(pattern_copy);
	free(text_copy);
	return result;
}

static void check_all(const struct want *wants, size_t count, unsigned flags)
{
	for (size_t i = 0; i < count; i++) {
		if (match(wants[i].pattern, wants[i].text, flags) != wants[i].matches)
			fail_msg("\"%s\" and \"%s\": not %s", wants[i].pattern, wants[i].text,
				 wants[i].matches ? "matched" : "told apart");
	}
}

static void elements_stand_for_bytes(void **state)
{
	static const struct want wants[] = {
		{ "", "", true },
		{ "", "a", false },
		{ "a", "", false },
		{ "abc", "abc", true },
		{ "abc", "abcd", false },
		{ "abcd", "abc", false },
		{ "a?c", "abc", true },
		{ "a?c", "ac", false },
		{ "?", "\xff", true },
		{ "?", "\xc3\xa9", false },
		{ "??", "\xc3\xa9", true },
		{ "*", "", true },
		{ "*", "abc", true },
		{ "a*", "a", true },
		{ "a*c", "abcbc", true },
		{ "a*c", "abcb", false },
		{ "*.o", ".o", true },
		{ "*.o", "a.o.c", false },
		{ "*a*b*", "xaxbx", true },
		{ "*a*b*", "xbxax", false },
		{ "*ab", "aab", true },
		{ "*?b", "b", false },
		{ "**", "abc", true },
		{ "a**c", "abc", true },
		{ "\\*", "*", true },
		{ "\\*", "a", false },
		{ "\\a", "a", true },
		{ "\\\\", "\\", true },
		{ "a\\", "a", false },
		{ "a\\", "a\\", false },
		{ "A", "a", false },
	};

	(void)state;
	check_all(wants, COUNT(wants), 0);
	check_all(wants, COUNT(wants), WILDMATCH_PATHNAME);
}

static void sets_stand_for_one_byte(void **state)
{
	static const struct want wants[] = {
		{ "[abc]", "b", true },
		{ "[abc]", "d", false },
		{ "[abc]", "", false },
		{ "[abc]", "ab", false },
		{ "[!abc]", "d", true },
		{ "[^abc]", "d", true },
		{ "[!abc]", "a", false },
		{ "[^abc]", "a", false },
		{ "[a!^]", "^", true },
		{ "[a-c]", "b", true },
		{ "[a-c]", "d", false },
		{ "[c-a]", "b", false },
		{ "[a-]", "-", true },
		{ "[-a]", "-", true },
		{ "[a-c-e]", "d", false },
		{ "[a-c-e]", "-", true },
		{ "[]]", "]", true },
		{ "[]a]", "a", true },
		{ "[!]]", "]", false },
		{ "[!]]", "a", true },
		{ "[]-a]", "^", true },
		{ "[a\\]b]", "]", true },
		{ "[\\]]", "]", true },
		{ "[\\a-c]", "b", true },
		{ "[a-\\c]", "b", true },
		{ "[a-\\c]", "\\", false },
		{ "[\\!a]", "!", true },
		{ "[[]", "[", true },
		{ "[[a]", "a", true },
		{ "[*?]", "?", true },
		{ "[*?]", "a", false },
		{ "[\x80-\xff]", "\xc0", true },
		{ "x[ab]y*", "xbyz", true },
	};

	(void)state;
	check_all(wants, COUNT(wants), 0);
	check_all(wants, COUNT(wants), WILDMATCH_PATHNAME);
}

/* They match nothing; POSIX would take the '[' for itself. */
static void malformed_sets_match_nothing(void **state)
{
	static const struct want wants[] = {
		{ "[", "[", false },
		{ "[a", "a", false },
		{ "[a", "[a", false },
		{ "[!", "a", false },
		{ "[]", "]", false },
		{ "[]", "[]", false },
		{ "[!]", "a", false },
		{ "[a-", "a", false },
		{ "[a-\\", "a", false },
		{ "[a\\", "a", false },
		{ "[[:alpha:]", "a", false },
		{ "[[:alpha", "a", false },
		{ "[[:nope:]]", "a", false },
		{ "[![:nope:]]", "a", false },
		{ "[a[:nope:]]", "a", false },
		{ "[[::]]", "a", false },
		{ "[[:ALPHA:]]", "a", false },
		{ "[[:alphas:]]", "a", false },
		{ "[[:alph:]]", "a", false },
		/* Well-formed, though they do not look it. */
		{ "[[:]", ":", true },
		{ "[[:]]", ":]", true },
		{ "[[:a]", "a", true },
		{ "[[:a\\]b]", "b", true },
		{ "[[:x[:y]", "y", true },
		{ "[[:x\\][:alpha:]]", "q", true },
		{ "[[:x\\][:alpha:]]", "1", false },
		/* The range a-[ is empty, and the letters of the name are members. */
		{ "[a-[:alpha:]", "l", true },
		{ "[a-[:alpha:]", "b", false },
		{ "[a-[:alpha:]]", "l]", true },
	};

	(void)state;
	check_all(wants, COUNT(wants), 0);
	check_all(wants, COUNT(wants), WILDMATCH_PATHNAME);
}

/* Of ASCII, the set matches these alone, and of the rest all or none. */
static void check_members(const char *pattern, const char *members)
{
	bool negated = pattern[1] == '!';

	for (int byte = 1; byte < 256; byte++) {
		char text[2] = { (char)byte, '\0' };
		bool member = byte < 0x80 ? strchr(members, byte) != NULL : negated;

		if (match(pattern, text, 0) != member)
			fail_msg("%s: byte %d", pattern, byte);
	}
}

static void classes_are_those_of_ascii(void **state)
{
	static const struct {
		const char *pattern;
		const char *members;
	} wants[] = {
		{ "[[:digit:]]", "0123456789" },
		{ "[[:xdigit:]]", "0123456789abcdefABCDEF" },
		{ "[[:lower:]]", "abcdefghijklmnopqrstuvwxyz" },
		{ "[[:upper:]]", "ABCDEFGHIJKLMNOPQRSTUVWXYZ" },
		{ "[[:alpha:]]", "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" },
		{ "[[:alnum:]]", "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				 "0123456789" },
		{ "[[:blank:]]", " \t" },
		{ "[[:space:]]", " \t\n\r" }, /* git's; POSIX has \v and \f too */
		{ "[[:punct:]]", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~" },
		{ "[[:cntrl:]]", "\1\2\3\4\5\6\a\b\t\n\v\f\r\16\17\20\21\22\23\24\25\26\27\30"
				 "\31\32\33\34\35\36\37\177" },
		{ "[![:graph:]_-]", "\1\2\3\4\5\6\a\b\t\n\v\f\r\16\17\20\21\22\23\24\25\26\27"
				    "\30\31\32\33\34\35\36\37\177 " },
		{ "[![:print:]]", "\1\2\3\4\5\6\a\b\t\n\v\f\r\16\17\20\21\22\23\24\25\26\27\30"
				  "\31\32\33\34\35\36\37\177" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(wants); i++)
		check_members(wants[i].pattern, wants[i].members);
	assert_true(match("[x[:digit:][:blank:]y]", "7", 0));
	assert_true(match("[x[:digit:][:blank:]y]", "y", 0));
	assert_false(match("[[:digit:]-z]", "a", 0));
	assert_true(match("[[:digit:]-z]", "-", 0));
}

static void slashes_are_special_in_paths(void **state)
{
	static const struct want wants[] = {
		{ "a*c", "a/c", false },
		{ "a?c", "a/c", false },
		{ "a[/]c", "a/c", false },
		{ "a[!x]c", "a/c", false },
		{ "a[.-0]c", "a/c", false },
		{ "a\\/c", "a/c", true },
		{ "*/c", "a/c", true },
		{ "*/c", "a/b/c", false },
		{ "*", "a/c", false },
		{ "a/*", "a/b", true },
		{ "a/*", "a/b/c", false },
		{ "a/*", "a", false },
		{ "a*/b*c", "ax/bxc", true },
		{ "a*/b*c", "ax/b/c", false },
		{ "*a/*a/b", "xa/xa/b", true },
	};
	static const struct want plain[] = {
		{ "a*c", "a/c", true },
		{ "a?c", "a/c", true },
		{ "a[/]c", "a/c", true },
		{ "a[!x]c", "a/c", true },
		{ "*c", "a/b/c", true },
		{ "**/c", "c", false },
		{ "**/c", "x/y/c", true },
	};

	(void)state;
	check_all(wants, COUNT(wants), WILDMATCH_PATHNAME);
	check_all(plain, COUNT(plain), 0);
}

static void double_stars_stand_for_folders(void **state)
{
	static const struct want wants[] = {
		{ "**", "a", true },
		{ "**", "a/b/c", true },
		{ "**/c", "c", true },
		{ "**/c", "a/c", true },
		{ "**/c", "a/b/c", true },
		{ "**/c", "a/bc", false },
		{ "**/c", "c/a", false },
		{ "a/**", "a/b", true },
		{ "a/**", "a/b/c", true },
		{ "a/**", "a", false },
		{ "a/**", "ab/c", false },
		{ "a/**/c", "a/c", true },
		{ "a/**/c", "a/x/y/c", true },
		{ "a/**/c", "ac", false },
		{ "a/**/c", "a/xc", false },
		{ "a/***/c", "a/c", true },
		{ "a/**/**/c", "a/c", true },
		{ "**/**", "a", true },
		{ "**/b/**", "a/b/c", true },
		{ "**/b/**", "a/b", false },
		{ "**/*.o", "a/b.o", true },
		{ "**/a/*/b", "x/a/a/q/b", true },
		{ "**/a*b/c", "ab/x/axb/c", true },
		{ "**/x*y/**/z", "xy/x/xay/z", true },
		{ "**/x*y/**/z", "xy/x/xay/az", false },
		/* Not alone between slashes: one star. */
		{ "a**/c", "ax/c", true },
		{ "a**/c", "a/x/c", false },
		{ "a/**c", "a/xc", true },
		{ "a/**c", "a/x/c", false },
		{ "?**/c", "ab/c", true },
		{ "?**/c", "a/b/c", false },
		/* An escaped slash ends a name too, but the stars take one name at least. */
		{ "a/**\\/c", "a/x/c", true },
		{ "a/**\\/c", "a/x/y/c", true },
		{ "a/**\\/c", "a/c", false },
	};

	(void)state;
	check_all(wants, COUNT(wants), WILDMATCH_PATHNAME);
}

static void letters_fold_where_git_folds_them(void **state)
{
	static const struct want wants[] = {
		{ "abc", "ABC", true },
		{ "ABC", "abc", true },
		{ "*B*", "abc", true },
		{ "a*C", "ABc", true },
		{ "[a-c]", "B", true },
		{ "[A-C]", "b", true },
		{ "[abc]", "B", true },
		{ "[[:upper:]]", "a", true },
		{ "[[:upper:]]", "A", true },
		{ "[[:lower:]]", "A", true },
		{ "[[:upper:]]", "1", false },
		{ "[Z-_]", "z", true },
		{ "@", "`", false },
		{ "\xc3\xa9", "\xc3\x89", false },
		/* The text is folded, and these are not. */
		{ "[A]", "a", false },
		{ "[A]", "A", false },
		{ "[!A]", "A", true },
		{ "\\A", "A", false },
		{ "\\a", "A", true },
	};

	(void)state;
	check_all(wants, COUNT(wants), WILDMATCH_FOLD);
	check_all(wants, COUNT(wants), WILDMATCH_FOLD | WILDMATCH_PATHNAME);
}

static void bytes_may_be_any(void **state)
{
	(void)state;
	assert_true(wildmatch("a\0b", 3, "a\0b", 3, 0));
	assert_false(wildmatch("a\0b", 3, "a\0c", 3, 0));
	assert_true(wildmatch("a?b", 3, "a\0b", 3, 0));
	assert_true(wildmatch("*b", 2, "a\0b", 3, 0));
	assert_true(wildmatch(NULL, 0, NULL, 0, 0));
	assert_false(wildmatch("a", 1, NULL, 0, 0));
	assert_false(wildmatch(NULL, 0, "a", 1, 0));
	assert_true(wildmatch("**", 2, NULL, 0, WILDMATCH_PATHNAME));
}

/* rest[i][j]: whether pattern[i..] matches text[j..], from the back, by definition. */
#define SHORT 8

struct table {
	const char *pattern;
	const char *text;
	size_t pattern_len;
	size_t text_len;
	bool rest[SHORT][SHORT];
};

static bool stars_match(const struct table *table, size_t i, size_t j, bool pathname)
{
	const char *pattern = table->pattern;
	size_t end = i + strspn(pattern + i, "*");
	bool deep = !pathname || (end - i > 1 && (i == 0 || pattern[i - 1] == '/') &&
				  (pattern[end] == '/' || pattern[end] == '\0'));
	bool folders = pathname && deep && pattern[end] == '/';

	if (folders && table->rest[end + 1][j])
		return true;
	for (; j <= table->text_len; j++) {
		if (!folders && table->rest[end][j])
			return true;
		if (folders && table->text[j] == '/' && table->rest[end + 1][j + 1])
			return true;
		if (!deep && table->text[j] == '/')
			return false;
	}
	return false;
}

static bool element_matches(const struct table *table, size_t i, size_t j, bool pathname)
{
	char byte = table->text[j];

	if (i == table->pattern_len || j == table->text_len)
		return i == table->pattern_len && j == table->text_len;
	if (table->pattern[i] == '?' ? pathname && byte == '/' : table->pattern[i] != byte)
		return false;
	return table->rest[i + 1][j + 1];
}

static bool matches_by_definition(const char *pattern, const char *text, bool pathname)
{
	struct table table = { .pattern = pattern, .text = text, .pattern_len = strlen(pattern),
			       .text_len = strlen(text) };

	for (size_t i = table.pattern_len + 1; i-- > 0;) {
		for (size_t j = table.text_len + 1; j-- > 0;)
			table.rest[i][j] = pattern[i] == '*' ?
						   stars_match(&table, i, j, pathname) :
						   element_matches(&table, i, j, pathname);
	}
	return table.rest[0][0];
}

/* The number written in bytes of the alphabet, the shorter ones first. */
static void spell(size_t number, const char *alphabet, char out[SHORT])
{
	size_t base = strlen(alphabet);
	size_t len = 0;

	for (; number > 0; number = (number - 1) / base)
		out[len++] = alphabet[(number - 1) % base];
	out[len] = '\0';
}

/* Against every text of up to 5 bytes of 3. How many match. */
static size_t check_pattern(const char *pattern, unsigned flags)
{
	size_t matched = 0;
	char text[SHORT];

	for (size_t i = 0; i < 364; i++) {
		bool expected;

		spell(i, "ab/", text);
		expected = matches_by_definition(pattern, text, flags == WILDMATCH_PATHNAME);
		if (wildmatch(pattern, strlen(pattern), text, strlen(text), flags) != expected)
			fail_msg("\"%s\" \"%s\" %u: not %d", pattern, text, flags, expected);
		matched += expected ? 1 : 0;
	}
	return matched;
}

static void short_patterns_match_by_definition(void **state)
{
	const size_t patterns = 5461; /* up to 6 bytes of 4 */
	size_t matched = 0;
	char pattern[SHORT];

	(void)state;
	for (size_t i = 0; i < patterns; i++) {
		spell(i, "a*/?", pattern);
		matched += check_pattern(pattern, 0);
		matched += check_pattern(pattern, WILDMATCH_PATHNAME);
	}
	assert_in_range(matched, patterns * 364 / 25, patterns * 364);
}

#define LONG 4096

/* `unit` again and again, then `last`. */
static void fill(char out[LONG + 1], const char *unit, const char *last)
{
	size_t unit_len = strlen(unit);

	for (size_t i = 0; i < LONG; i++)
		out[i] = unit[i % unit_len];
	memcpy(out + LONG - strlen(last), last, strlen(last));
	out[LONG] = '\0';
}

/* Each of these takes for ever if every star is tried against every other. */
static void time_is_bounded(void **state)
{
	static const struct {
		const char *unit, *last, *text;
	} hard[] = {
		{ "a*", "b", "a" },
		{ "*a", "b", "a" },
		{ "a**", "b", "a" },
		{ "**/", "b", "a/" },
		{ "**/a/", "b", "a/" },
		{ "**/*a", "b", "a/" },
		{ "**/*a*a/", "b", "aaaaaaa/" },
		{ "*a*/", "b", "aa/" },
		{ "[!b]*", "b", "a" },
		{ "*?", "b", "a" },
		{ "[[:", "]b", "a" },
		{ "*a[a-z][[:alpha:]]", "b", "a" },
	};
	static char pattern[LONG + 1], text[LONG + 1];
	struct timespec before, after;

	(void)state;
	assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before), 0);
	for (size_t i = 0; i < COUNT(hard); i++) {
		fill(pattern, hard[i].unit, hard[i].last);
		fill(text, hard[i].text, "c");
		assert_false(wildmatch(pattern, LONG, text, LONG, 0));
		assert_false(wildmatch(pattern, LONG, text, LONG, WILDMATCH_PATHNAME));
	}
	assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after), 0);
	print_message("%ld ms\n", (after.tv_sec - before.tv_sec) * 1000 +
					  (after.tv_nsec - before.tv_nsec) / 1000000);
	assert_true(after.tv_sec - before.tv_sec < 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elements_stand_for_bytes),
		cmocka_unit_test(sets_stand_for_one_byte),
		cmocka_unit_test(malformed_sets_match_nothing),
		cmocka_unit_test(classes_are_those_of_ascii),
		cmocka_unit_test(slashes_are_special_in_paths),
		cmocka_unit_test(double_stars_stand_for_folders),
		cmocka_unit_test(letters_fold_where_git_folds_them),
		cmocka_unit_test(bytes_may_be_any),
		cmocka_unit_test(short_patterns_match_by_definition),
		cmocka_unit_test(time_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
