/*
 * Deltas.
 *
 * Layout: the base's size and the result's size, each seven bits a byte, the
 * low ones first, the top bit saying that more follow; then instructions:
 *
 *   1xxxxxxx  copy: bits 0..3 say which bytes of a 32-bit offset follow, bits
 *             4..6 which of a 24-bit size; absent bytes are 0; size 0 is 64 KiB
 *   0nnnnnnn  insert the n bytes that follow; n = 0 is reserved
 */
#include "git/delta.h"

#include <string.h>

#include "base/err.h"
#include "git/object.h"

#define DELTA_COPY 0x80U
#define DELTA_COPY_DEFAULT 0x10000U /* bytes, where the size says 0 */

static int delta_size(struct cursor *in, uint64_t *out)
{
	uint64_t size = 0;
	uint8_t byte;

	for (unsigned shift = 0; shift < 63; shift += 7) {
		if (!cursor_u8(in, &byte))
			return ERR_CORRUPT;
		size |= (uint64_t)(byte & 0x7f) << shift;
		if ((byte & 0x80) == 0) {
			*out = size;
			return 0;
		}
	}
	return ERR_CORRUPT;
}

static int delta_head(struct cursor *in, uint64_t *base_out, uint64_t *result_out)
{
	uint64_t base, result;

	if (delta_size(in, &base) < 0 || delta_size(in, &result) < 0)
		return ERR_CORRUPT;
	*base_out = base;
	*result_out = result;
	return 0;
}

int delta_sizes(const uint8_t *delta, size_t len, uint64_t *base_size_out,
		uint64_t *result_size_out)
{
	struct cursor in = cursor_of(delta, len);

	return delta_head(&in, base_size_out, result_size_out);
}

/* Offset and size of a copy: one look at what is left for all its bytes. */
static int copy_operands(struct cursor *in, uint8_t op, uint32_t *offset_out, uint32_t *size_out)
{
	uint32_t fields[7] = { 0 };
	const uint8_t *bytes;
	size_t used = 0;

	if (!cursor_bytes(in, (size_t)__builtin_popcount(op & 0x7fU), &bytes))
		return ERR_CORRUPT;
	for (unsigned bit = 0; bit < 7; bit++)
		if (op & (1U << bit))
			fields[bit] = bytes[used++];
	*offset_out = fields[0] | fields[1] << 8 | fields[2] << 16 | fields[3] << 24;
	*size_out = fields[4] | fields[5] << 8 | fields[6] << 16;
	if (*size_out == 0)
		*size_out = DELTA_COPY_DEFAULT;
	return 0;
}

/* Finds the bytes that one instruction stands for. */
static int delta_next(struct cursor *in, const uint8_t *base, size_t base_len,
		      struct cursor *piece_out)
{
	struct cursor from = cursor_of(base, base_len);
	uint32_t offset = 0, size;
	uint8_t op;

	if (!cursor_u8(in, &op) || op == 0)
		return ERR_CORRUPT;
	size = op;
	if (op & DELTA_COPY) {
		if (copy_operands(in, op, &offset, &size) < 0 || !cursor_skip(&from, offset))
			return ERR_CORRUPT;
		in = &from;
	}
	piece_out->left = size;
	return cursor_bytes(in, size, &piece_out->ptr) ? 0 : ERR_CORRUPT;
}

int delta_apply(const uint8_t *base, size_t base_len, const uint8_t *delta, size_t delta_len,
		struct buf *out)
{
	struct cursor in = cursor_of(delta, delta_len);
	uint64_t base_size, result_size;
	struct cursor piece;
	size_t at = out->len, room;
	int rc;

	rc = delta_head(&in, &base_size, &result_size);
	if (rc < 0)
		return rc;
	if (base_size != base_len)
		return ERR_CORRUPT;
	if (result_size > OBJECT_MEMORY_MAX)
		return ERR_LIMIT;
	room = (size_t)result_size;
	rc = buf_reserve(out, room);
	if (rc < 0)
		return rc;
	while (in.left > 0) {
		rc = delta_next(&in, base, base_len, &piece);
		if (rc < 0)
			return rc;
		if (piece.left > room)
			return ERR_CORRUPT;
		memcpy(out->data + at, piece.ptr, piece.left);
		at += piece.left;
		room -= piece.left;
	}
	if (room > 0)
		return ERR_CORRUPT;
	out->len = at;
	if (out->data != NULL)
		out->data[out->len] = 0;
	return 0;
}
