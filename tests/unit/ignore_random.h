/*
 * Random paths, and random ignore rules for them: a rule is made from a path by putting
 * stars, sets, escapes and so on for parts of it, so that many of them match.
 */
#ifndef GIT_FS_TESTS_IGNORE_RANDOM_H
#define GIT_FS_TESTS_IGNORE_RANDOM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"

#define PATH_BYTES 256
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Something special to rules is in many of them; so are bytes that are in no class. */
static const char *const names[] = {
	"a",  "b",  "ab",  "ba",   "aab", "A",	 "aB",	"foo", "foo.o", "Foo.c", "x y", "a ",
	"*",  "[",  "\\",  "!n",   "#n",  "a]",	 "-",	"a-b", "^",	"\v",	 "\t",	"\xc3\xa9",
	"b[", "a\n", "\x7f", "0",	  "{b}", "a?b", "lnk",
};

static const char *const classes[] = {
	"[:alnum:]", "[:alpha:]", "[:blank:]", "[:cntrl:]", "[:digit:]", "[:graph:]", "[:lower:]",
	"[:print:]", "[:punct:]", "[:space:]", "[:upper:]", "[:xdigit:]", "[:nope:]", "[:", "[::]",
	"[:]", "[.a.]",
};

static uint64_t random_state;

/* splitmix64 */
static inline uint64_t random_below(uint64_t bound)
{
	uint64_t mixed = random_state += 0x9e3779b97f4a7c15;

	mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
	mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
	return (mixed ^ (mixed >> 31)) % bound;
}

static inline bool one_in(unsigned n)
{
	return random_below(n) == 0;
}

static inline void put(struct buf *out, const char *text)
{
	assert_int_equal(buf_append_str(out, text), 0);
}

static inline void put_byte(struct buf *out, unsigned byte)
{
	assert_int_equal(buf_append_u8(out, (uint8_t)byte), 0);
}

static const char *random_name(void)
{
	/* The first ones, mostly, so that names come again. */
	return names[random_below(one_in(3) ? COUNT(names) : 8)];
}

/* `folder` and up to `depth` names below it. */
static inline void random_path(char out[PATH_BYTES], const char *folder, unsigned depth)
{
	size_t len = (size_t)snprintf(out, PATH_BYTES, "%s", folder);
	uint64_t count = 1 + random_below(depth);

	for (uint64_t i = 0; i < count; i++)
		len += (size_t)snprintf(out + len, PATH_BYTES - len, "%s%s%s",
					len > 0 ? "/" : "", random_name(),
					one_in(8) ? random_name() : "");
	assert_true(len < PATH_BYTES);
}

static inline void put_member(struct buf *out, uint8_t byte)
{
	switch (random_below(9)) {
	case 0:
		put_byte(out, byte > 1 ? byte - 1U : 1U);
		put(out, one_in(4) ? "-\\" : "-");
		put_byte(out, byte < 0xff ? byte + 1U : byte);
		return;
	case 1:
		put(out, classes[random_below(COUNT(classes))]);
		return;
	case 2:
		put(out, "\\");
		break;
	case 3:
		put_byte(out, (unsigned)"]-[^!:/\\*azAZ09"[random_below(15)]);
		return;
	case 4:
		put(out, "a-");
		return;
	default:
		break;
	}
	put_byte(out, byte);
}

static inline void put_set(struct buf *out, uint8_t byte)
{
	uint64_t members = 1 + random_below(3);

	put(out, "[");
	if (one_in(4))
		put(out, one_in(2) ? "!" : "^");
	if (one_in(10))
		put(out, "]");
	for (uint64_t i = 0; i < members; i++)
		put_member(out, byte);
	if (!one_in(16))
		put(out, "]");
}

/* Something that may stand for the text from `at` on. How much it stands for. */
static inline size_t put_element(struct buf *out, const char *at)
{
	size_t name = strcspn(at, "/");
	uint8_t byte = (uint8_t)*at;

	switch (random_below(22)) {
	case 0:
		put(out, "?");
		return 1;
	case 1:
		put(out, "*");
		return random_below(name + 1);
	case 2:
		put(out, one_in(4) ? "***" : "**");
		return random_below(strlen(at) + 1);
	case 3:
	case 4:
		put_set(out, byte);
		return 1;
	case 5:
		put(out, "\\");
		break;
	case 6:
		put_byte(out, byte ^ 0x20U ? byte ^ 0x20U : byte);
		return 1;
	case 7:
		put_byte(out, (unsigned)"*?[]\\!-^/#ab "[random_below(13)]);
		return random_below(2);
	case 8:
		put(out, "*");
		return name;
	default:
		break;
	}
	put_byte(out, byte);
	return 1;
}

static inline void put_line_end(struct buf *out)
{
	static const char *const ends[] = { "/", "/**", "/*", " ", "  ", "\\ ", "\\", "\t", "\r",
					    " \r", "\r ", "\\  ", "//", "*", "**" };

	if (one_in(3))
		put(out, ends[random_below(COUNT(ends))]);
	if (one_in(50)) {
		put_byte(out, '\0');
		put(out, "junk");
	}
	put(out, "\n");
}

/* A line with a rule that may match the path, or a folder on its way. */
static inline void put_rule(struct buf *out, const char *path)
{
	const char *at = path;
	const char *slash;

	if (one_in(4))
		put(out, "!");
	if (one_in(8))
		put(out, "**/");
	while (one_in(2) && (slash = strchr(at, '/')) != NULL)
		at = slash + 1;
	if (one_in(4))
		put(out, "/");
	if (one_in(60))
		put(out, one_in(2) ? "#" : "\\#");
	while (*at != '\0') {
		if (at[0] == '/' && one_in(5))
			put(out, one_in(3) ? "/**" : "**");
		if (at[0] == '/' && one_in(8))
			break;
		at += put_element(out, at);
	}
	put_line_end(out);
}

/* The path with a byte or a name changed, taken out or put in. */
static inline void vary(char out[PATH_BYTES], const char *path)
{
	size_t at = random_below(strlen(path));
	int len;

	switch (random_below(5)) {
	case 0:
		len = snprintf(out, PATH_BYTES, "%.*s%s", (int)at, path, path + at + 1);
		break;
	case 1:
		len = snprintf(out, PATH_BYTES, "%.*s%c%s", (int)at, path,
			       "ab/A-] x\t"[random_below(9)], path + at);
		break;
	case 2:
		len = snprintf(out, PATH_BYTES, "%s/%s", random_name(), path);
		break;
	case 3:
		len = snprintf(out, PATH_BYTES, "%s/%s", path, random_name());
		break;
	default:
		len = snprintf(out, PATH_BYTES, "%s", path);
		break;
	}
	assert_in_range(len, 0, PATH_BYTES - 1);
}

/* Whether git and we take it for a path as it stands. */
static inline bool is_path(const char *path)
{
	const char *at = path;

	for (;;) {
		size_t len = strcspn(at, "/");

		if (len == 0 || (at[0] == '.' && (len == 1 || (len == 2 && at[1] == '.'))))
			return false;
		/* Nothing lies below a symlink. */
		if (at == path && len == 3 && memcmp(at, "lnk", 3) == 0 && at[len] == '/')
			return false;
		if (at[len] == '\0')
			return true;
		at += len + 1;
	}
}

#endif
