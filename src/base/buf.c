/*
 * Memory of a buffer: cap + 1 bytes, so that a NUL always fits behind the
 * contents; len <= cap <= max. It grows by half, never beyond max. Nothing is
 * changed by a call that fails.
 */
#include "base/buf.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

#define BUF_FIRST_CAP ((size_t)63)

void buf_release(struct buf *buf)
{
	free(buf->data);
	buf->data = NULL;
	buf->len = 0;
	buf->cap = 0;
}

void buf_clear(struct buf *buf)
{
	buf->len = 0;
	if (buf->data != NULL)
		buf->data[0] = '\0';
}

/* The capacity to take for `need` bytes: by half more than now, as far as the
 * limit allows, so that n appends copy O(n) bytes. need <= limit. */
static size_t grown_cap(size_t cap, size_t need, size_t limit)
{
	size_t grown;

	if (__builtin_add_overflow(cap, cap / 2, &grown))
		grown = limit;
	if (grown < BUF_FIRST_CAP)
		grown = BUF_FIRST_CAP;
	if (grown > limit)
		grown = limit;
	return grown < need ? need : grown;
}

int buf_reserve(struct buf *buf, size_t more)
{
	size_t limit = buf->max != 0 ? buf->max : BUF_MAX_DEFAULT;
	size_t need;
	size_t cap;
	size_t bytes;
	uint8_t *data;

	if (__builtin_add_overflow(buf->len, more, &need) || need > limit)
		return ERR_LIMIT;
	if (need <= buf->cap)
		return 0;
	cap = grown_cap(buf->cap, need, limit);
	if (__builtin_add_overflow(cap, (size_t)1, &bytes))
		return -ENOMEM;
	data = realloc(buf->data, bytes);
	if (data == NULL)
		return -ENOMEM;
	data[buf->len] = '\0';
	buf->data = data;
	buf->cap = cap;
	return 0;
}

int buf_append(struct buf *buf, const void *data, size_t len)
{
	int rc;

	if (len == 0)
		return 0;
	rc = buf_reserve(buf, len);
	if (rc < 0)
		return rc;
	memcpy(buf->data + buf->len, data, len);
	buf->len += len;
	buf->data[buf->len] = '\0';
	return 0;
}

int buf_append_str(struct buf *buf, const char *str)
{
	return buf_append(buf, str, strlen(str));
}

int buf_append_u8(struct buf *buf, uint8_t byte)
{
	return buf_append(buf, &byte, 1);
}

int buf_printf(struct buf *buf, const char *fmt, ...)
{
	va_list args;
	int rc;

	va_start(args, fmt);
	rc = buf_vprintf(buf, fmt, args);
	va_end(args);
	return rc;
}

int buf_vprintf(struct buf *buf, const char *fmt, va_list args)
{
	va_list counted;
	int len;
	int rc;

	va_copy(counted, args);
	len = vsnprintf(NULL, 0, fmt, counted);
	va_end(counted);
	if (len < 0)
		return -errno;
	if (len == 0)
		return 0;
	rc = buf_reserve(buf, (size_t)len);
	if (rc < 0)
		return rc;
	vsnprintf((char *)buf->data + buf->len, (size_t)len + 1, fmt, args);
	buf->len += (size_t)len;
	return 0;
}

void buf_consume(struct buf *buf, size_t n)
{
	assert(n <= buf->len);
	if (n == 0)
		return;
	memmove(buf->data, buf->data + n, buf->len - n);
	buf->len -= n;
	buf->data[buf->len] = '\0';
}

const char *buf_str(const struct buf *buf)
{
	if (buf->data == NULL)
		return "";
	/* Who fills reserved room by himself and moves len has left no NUL. */
	if (buf->data[buf->len] != '\0')
		buf->data[buf->len] = '\0';
	return (const char *)buf->data;
}

uint8_t *buf_steal(struct buf *buf)
{
	uint8_t *data = buf->data;

	buf->data = NULL;
	buf->len = 0;
	buf->cap = 0;
	return data;
}

bool cursor_bytes(struct cursor *cur, size_t len, const uint8_t **out)
{
	if (len > cur->left)
		return false;
	*out = cur->ptr;
	/* An empty cursor may stand on NULL, to which not even 0 may be added. */
	if (len > 0)
		cur->ptr += len;
	cur->left -= len;
	return true;
}

bool cursor_skip(struct cursor *cur, size_t len)
{
	const uint8_t *skipped;

	return cursor_bytes(cur, len, &skipped);
}

bool cursor_u8(struct cursor *cur, uint8_t *out)
{
	const uint8_t *at;

	if (!cursor_bytes(cur, 1, &at))
		return false;
	*out = at[0];
	return true;
}

static uint64_t get_be(const uint8_t *at, size_t len)
{
	uint64_t value = 0;

	for (size_t i = 0; i < len; i++)
		value = value << 8 | at[i];
	return value;
}

static uint64_t get_le(const uint8_t *at, size_t len)
{
	uint64_t value = 0;

	for (size_t i = len; i > 0; i--)
		value = value << 8 | at[i - 1];
	return value;
}

bool cursor_be16(struct cursor *cur, uint16_t *out)
{
	const uint8_t *at;

	if (!cursor_bytes(cur, sizeof(*out), &at))
		return false;
	*out = (uint16_t)get_be(at, sizeof(*out));
	return true;
}

bool cursor_be32(struct cursor *cur, uint32_t *out)
{
	const uint8_t *at;

	if (!cursor_bytes(cur, sizeof(*out), &at))
		return false;
	*out = (uint32_t)get_be(at, sizeof(*out));
	return true;
}

bool cursor_be64(struct cursor *cur, uint64_t *out)
{
	const uint8_t *at;

	if (!cursor_bytes(cur, sizeof(*out), &at))
		return false;
	*out = get_be(at, sizeof(*out));
	return true;
}

bool cursor_le16(struct cursor *cur, uint16_t *out)
{
	const uint8_t *at;

	if (!cursor_bytes(cur, sizeof(*out), &at))
		return false;
	*out = (uint16_t)get_le(at, sizeof(*out));
	return true;
}

bool cursor_le32(struct cursor *cur, uint32_t *out)
{
	const uint8_t *at;

	if (!cursor_bytes(cur, sizeof(*out), &at))
		return false;
	*out = (uint32_t)get_le(at, sizeof(*out));
	return true;
}

bool cursor_le64(struct cursor *cur, uint64_t *out)
{
	const uint8_t *at;

	if (!cursor_bytes(cur, sizeof(*out), &at))
		return false;
	*out = get_le(at, sizeof(*out));
	return true;
}

bool cursor_until(struct cursor *cur, uint8_t stop, const uint8_t **out, size_t *len_out)
{
	const uint8_t *found;
	size_t len;

	if (cur->left == 0)
		return false;
	found = memchr(cur->ptr, stop, cur->left);
	if (found == NULL)
		return false;
	len = (size_t)(found - cur->ptr);
	*out = cur->ptr;
	*len_out = len;
	cur->ptr += len + 1;
	cur->left -= len + 1;
	return true;
}

bool cursor_literal(struct cursor *cur, const char *literal)
{
	size_t len = strlen(literal);

	if (len > cur->left || (len > 0 && memcmp(cur->ptr, literal, len) != 0))
		return false;
	return cursor_skip(cur, len);
}

bool cursor_decimal(struct cursor *cur, uint64_t max, uint64_t *out)
{
	uint64_t value = 0;
	size_t digits = 0;

	while (digits < cur->left && cur->ptr[digits] >= '0' && cur->ptr[digits] <= '9') {
		uint64_t digit = (uint64_t)(cur->ptr[digits] - '0');

		if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
		    __builtin_add_overflow(value, digit, &value) || value > max)
			return false;
		digits++;
	}
	if (digits == 0)
		return false;
	*out = value;
	return cursor_skip(cur, digits);
}

static void put_le(uint8_t *to, uint64_t value, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		to[i] = (uint8_t)(value & 0xff);
		value >>= 8;
	}
}

void put_le16(uint8_t *to, uint16_t value)
{
	put_le(to, value, sizeof(value));
}

void put_le32(uint8_t *to, uint32_t value)
{
	put_le(to, value, sizeof(value));
}

void put_le64(uint8_t *to, uint64_t value)
{
	put_le(to, value, sizeof(value));
}
