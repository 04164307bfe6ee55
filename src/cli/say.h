/*
 * Words for the person at the terminal: one line on stderr, "git-fs: ...",
 * without credentials and control bytes, whatever is passed.
 */
#ifndef GIT_FS_CLI_SAY_H
#define GIT_FS_CLI_SAY_H

#include <stddef.h>

void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The same cleaning for text that goes elsewhere. `out` has `size` bytes. */
void say_clean(char *out, size_t size, const char *text);

#endif
