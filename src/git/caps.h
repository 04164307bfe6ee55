/*
 * What a server says it can do: the v2 capability advertisement, and the
 * space-separated list that v0 and v1 hide behind a NUL. Source:
 * gitprotocol-v2(5) "Capability Advertisement", gitprotocol-capabilities(5).
 */
#ifndef GIT_FS_GIT_CAPS_H
#define GIT_FS_GIT_CAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define CAPS_MAX 128          /* capabilities kept */
#define CAPS_TEXT_MAX 16384   /* bytes of all of them together */

/* A plain value; caps_release frees the text. */
struct caps {
	struct buf text; /* "name=value\0name\0" ... */
	size_t count;
};

#define CAPS_INIT { .text = BUF_INIT_MAX(CAPS_TEXT_MAX), .count = 0 }

void caps_release(struct caps *caps);
/* One v2 line ("fetch=shallow filter"), without its newline. ERR_LIMIT beyond the
 * maxima; ERR_PROTOCOL for one without a name or with a NUL or control byte. */
int caps_add(struct caps *caps, const uint8_t *line, size_t len)
	__attribute__((warn_unused_result));
/* The value of `name` ("" where it has none; the first where it came twice); NULL
 * where it is not offered. Borrowed until the next caps_add. */
const char *caps_value(const struct caps *caps, const char *name);
/* Whether `word` is among the space-separated words of the value of `name`. */
bool caps_has_word(const struct caps *caps, const char *name, const char *word);

#endif
