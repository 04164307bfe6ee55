/*
 * Bytes: a growing buffer that one owner fills, and a bounded cursor that is
 * the only way this program reads foreign bytes.
 */
#ifndef GIT_FS_BASE_BUF_H
#define GIT_FS_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A growing buffer. Always NUL-terminated beyond `len` once anything was
 * reserved, so that text in it can be printed; the NUL does not count. Who
 * fills reserved room by himself and moves len leaves the NUL to buf_str. */
struct buf {
	uint8_t *data;  /* owned; NULL while nothing was reserved */
	size_t len;     /* bytes in use */
	size_t cap;     /* bytes allocated, the NUL not counted */
	size_t max;     /* never grows beyond this many bytes; 0: BUF_MAX_DEFAULT */
};

#define BUF_MAX_DEFAULT ((size_t)1 << 31)
#define BUF_INIT { .data = NULL, .len = 0, .cap = 0, .max = 0 }
#define BUF_INIT_MAX(limit) { .data = NULL, .len = 0, .cap = 0, .max = (limit) }

void buf_release(struct buf *buf); /* frees; usable again afterwards */
void buf_clear(struct buf *buf);   /* len = 0, memory kept */

/* Room for `more` bytes after len. -ENOMEM; ERR_LIMIT beyond max. */
int buf_reserve(struct buf *buf, size_t more) __attribute__((warn_unused_result));
int buf_append(struct buf *buf, const void *data, size_t len) __attribute__((warn_unused_result));
int buf_append_str(struct buf *buf, const char *str) __attribute__((warn_unused_result));
int buf_append_u8(struct buf *buf, uint8_t byte) __attribute__((warn_unused_result));
int buf_printf(struct buf *buf, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), warn_unused_result));
int buf_vprintf(struct buf *buf, const char *fmt, va_list args)
	__attribute__((format(printf, 2, 0), warn_unused_result));

/* Drops the first `n` bytes (n <= len), moving the rest down. */
void buf_consume(struct buf *buf, size_t n);
/* The text in it; "" where it is empty. Valid until the next change. */
const char *buf_str(const struct buf *buf);
/* Hands the memory to the caller (free()); the buffer is empty afterwards.
 * NULL where nothing was ever reserved. */
uint8_t *buf_steal(struct buf *buf);

#define AUTO_BUF __attribute__((cleanup(buf_release)))

/* A cursor over bytes that somebody else owns. Every read checks what is
 * left; a failed read moves nothing and returns false. */
struct cursor {
	const uint8_t *ptr;
	size_t left;
};

static inline struct cursor cursor_of(const void *data, size_t len)
{
	return (struct cursor){ .ptr = data, .left = len };
}

bool cursor_u8(struct cursor *cur, uint8_t *out);
bool cursor_be16(struct cursor *cur, uint16_t *out);
bool cursor_be32(struct cursor *cur, uint32_t *out);
bool cursor_be64(struct cursor *cur, uint64_t *out);
bool cursor_le16(struct cursor *cur, uint16_t *out);
bool cursor_le32(struct cursor *cur, uint32_t *out);
bool cursor_le64(struct cursor *cur, uint64_t *out);
/* The next `len` bytes, in place. */
bool cursor_bytes(struct cursor *cur, size_t len, const uint8_t **out);
bool cursor_skip(struct cursor *cur, size_t len);
/* The bytes up to `stop`, which is taken off but not part of *len_out; fails
 * where `stop` does not come. */
bool cursor_until(struct cursor *cur, uint8_t stop, const uint8_t **out, size_t *len_out);
/* Takes `literal` off if it stands next. */
bool cursor_literal(struct cursor *cur, const char *literal);
/* A decimal number without sign, of at least one digit, <= max. Stops at the
 * first byte that is no digit. */
bool cursor_decimal(struct cursor *cur, uint64_t max, uint64_t *out);

/* Little-endian stores for formats of our own. The caller has room. */
void put_le16(uint8_t *to, uint16_t value);
void put_le32(uint8_t *to, uint32_t value);
void put_le64(uint8_t *to, uint64_t value);

#endif
