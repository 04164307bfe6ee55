/*
 * JSON, written only (RFC 8259). Bytes that are no UTF-8 become U+FFFD.
 */
#ifndef GIT_FS_CLI_JSON_H
#define GIT_FS_CLI_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define JSON_INDENT 2 /* blanks for each level */

/* The first failure stays in `ret`; what comes after it does nothing. */
struct json {
	struct buf text;
	unsigned depth;
	bool comma; /* something stands before in this level */
	int ret;
};

#define JSON_INIT { .text = BUF_INIT, .depth = 0, .comma = false, .ret = 0 }

void json_release(struct json *json);

/* `key` is NULL for elements of an array and for the outermost value. */
void json_object_begin(struct json *json, const char *key);
void json_object_end(struct json *json);
void json_array_begin(struct json *json, const char *key);
void json_array_end(struct json *json);
void json_string(struct json *json, const char *key, const char *value);
void json_number(struct json *json, const char *key, uint64_t value);
void json_bool(struct json *json, const char *key, bool value);
void json_null(struct json *json, const char *key);

#endif
