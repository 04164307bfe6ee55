/* JSON; see json.h. */
#include "cli/json.h"

#include <assert.h>
#include <string.h>

void json_release(struct json *json)
{
	buf_release(&json->text);
}

static void add(struct json *json, const char *text)
{
	if (json->ret == 0)
		json->ret = buf_append_str(&json->text, text);
}

/* The bytes of the UTF-8 character at `at`, 0 where there is none: RFC 3629,
 * no overlong forms, no surrogates. `at` ends with a NUL, which stops it. */
static size_t utf8_len(const unsigned char *at)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t len;

	if (at[0] < 0x80)
		return 1;
	if (at[0] >= 0xc2 && at[0] <= 0xdf)
		len = 2;
	else if (at[0] >= 0xe0 && at[0] <= 0xef)
		len = 3;
	else if (at[0] >= 0xf0 && at[0] <= 0xf4)
		len = 4;
	else
		return 0;
	if (at[0] == 0xe0)
		low = 0xa0;
	else if (at[0] == 0xed)
		high = 0x9f;
	else if (at[0] == 0xf0)
		low = 0x90;
	else if (at[0] == 0xf4)
		high = 0x8f;
	if (at[1] < low || at[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++) {
		if (at[i] < 0x80 || at[i] > 0xbf)
			return 0;
	}
	return len;
}

/* One character from `at`; how many bytes it took. */
static size_t add_char(struct json *json, const unsigned char *at)
{
	size_t len = utf8_len(at);

	if (json->ret < 0)
		return 1;
	if (len == 0)
		json->ret = buf_append_str(&json->text, "\\ufffd");
	else if (*at == '"' || *at == '\\')
		json->ret = buf_printf(&json->text, "\\%c", *at);
	else if (*at < 0x20 || *at == 0x7f)
		json->ret = buf_printf(&json->text, "\\u%04x", *at);
	else
		json->ret = buf_append(&json->text, at, len);
	return len == 0 ? 1 : len;
}

static void add_quoted(struct json *json, const char *value)
{
	const unsigned char *at = (const unsigned char *)value;

	add(json, "\"");
	while (*at != '\0')
		at += add_char(json, at);
	add(json, "\"");
}

static void new_line(struct json *json)
{
	add(json, "\n");
	for (unsigned i = 0; i < json->depth * JSON_INDENT; i++)
		add(json, " ");
}

/* What stands before a value. */
static void begin_value(struct json *json, const char *key)
{
	if (json->comma)
		add(json, ",");
	if (json->depth > 0)
		new_line(json);
	if (key != NULL) {
		add_quoted(json, key);
		add(json, ": ");
	}
	json->comma = true;
}

static void begin_level(struct json *json, const char *key, const char *bracket)
{
	begin_value(json, key);
	add(json, bracket);
	json->depth++;
	json->comma = false;
}

static void end_level(struct json *json, const char *bracket)
{
	bool empty = !json->comma;

	assert(json->depth > 0);
	json->depth--;
	if (!empty)
		new_line(json);
	add(json, bracket);
	json->comma = true;
}

void json_object_begin(struct json *json, const char *key)
{
	begin_level(json, key, "{");
}

void json_object_end(struct json *json)
{
	end_level(json, "}");
}

void json_array_begin(struct json *json, const char *key)
{
	begin_level(json, key, "[");
}

void json_array_end(struct json *json)
{
	end_level(json, "]");
}

void json_string(struct json *json, const char *key, const char *value)
{
	begin_value(json, key);
	add_quoted(json, value);
}

void json_number(struct json *json, const char *key, uint64_t value)
{
	begin_value(json, key);
	if (json->ret == 0)
		json->ret = buf_printf(&json->text, "%llu", (unsigned long long)value);
}

void json_bool(struct json *json, const char *key, bool value)
{
	begin_value(json, key);
	add(json, value ? "true" : "false");
}

void json_null(struct json *json, const char *key)
{
	begin_value(json, key);
	add(json, "null");
}
