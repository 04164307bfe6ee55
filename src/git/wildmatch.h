/*
 * git's patterns of names and paths: gitignore(5), which is fnmatch(3) with FNM_PATHNAME
 * plus the double star. Bytes, not characters; no locale has a say in it.
 *
 *     *        any run of bytes, none of them '/'
 *     ?        one byte, not '/'
 *     [a-z]    one byte of a set, not '/'; [!a-z] and [^a-z] one that is not in it;
 *              [[:alpha:]] and the other classes of POSIX, of ASCII alone
 *     \x       x itself
 *     **       alone between slashes: any number of folders. Elsewhere the same as '*'
 *
 * Where git (2.39) does otherwise than its manual says, this does as git does:
 *
 *   - a trailing "\" and a set that is not closed, or that names an unknown class, match
 *     nothing, where POSIX takes "[" for itself
 *   - [:space:] is blank, tab, newline and carriage return, without \v and \f
 *   - with WILDMATCH_FOLD only bare letters, ends of ranges and [:upper:] are folded: an
 *     upper-case letter behind "\", or by itself in a set, matches nothing any more
 */
#ifndef GIT_FS_GIT_WILDMATCH_H
#define GIT_FS_GIT_WILDMATCH_H

#include <stdbool.h>
#include <stddef.h>

enum wildmatch_flags {
	WILDMATCH_PATHNAME = 1, /* a slash is special; without it, it is a byte as any other */
	WILDMATCH_FOLD = 2,     /* ASCII letters match in either case */
};

/* Whether the whole of `text` matches the whole of `pattern`. Neither need end in NUL.
 * Takes no memory, and time in proportion to pattern_len * text_len at the worst; the
 * caller limits both. */
bool wildmatch(const void *pattern, size_t pattern_len, const void *text, size_t text_len,
	       unsigned flags) __attribute__((warn_unused_result));

#endif
