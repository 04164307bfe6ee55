/*
 * Builds packs byte by byte, in orders that git never writes, for tests and
 * fuzz targets. Memory that runs out ends the process by assert.
 */
#ifndef GIT_FS_TESTS_PACK_BUILD_H
#define GIT_FS_TESTS_PACK_BUILD_H

#include <assert.h>
#include <string.h>

#include "base/buf.h"
#include "git/hash.h"
#include "git/zstream.h"

#define PACK_BUILD_OFS 6
#define PACK_BUILD_REF 7

static inline void build_bytes(struct buf *out, const void *data, size_t len)
{
	int rc = buf_append(out, data, len);

	assert(rc == 0);
}

static inline void build_byte(struct buf *out, unsigned byte)
{
	uint8_t value = (uint8_t)byte;

	build_bytes(out, &value, 1);
}

static inline void build_be32(struct buf *out, uint32_t value)
{
	for (unsigned shift = 32; shift > 0; shift -= 8)
		build_byte(out, (value >> (shift - 8)) & 0xff);
}

static inline void build_head(struct buf *out, uint32_t count)
{
	build_bytes(out, "PACK", 4);
	build_be32(out, 2);
	build_be32(out, count);
}

static inline void build_type_size(struct buf *out, unsigned type, uint64_t size)
{
	unsigned byte = type << 4 | (unsigned)(size & 15);

	for (size >>= 4; size > 0; size >>= 7) {
		build_byte(out, byte | 0x80);
		byte = (unsigned)(size & 0x7f);
	}
	build_byte(out, byte);
}

static inline void build_deflated(struct buf *out, const void *data, size_t len)
{
	int rc = zstream_deflate(data, len, 6, out);

	assert(rc == 0);
}

/* The offset at which it starts. */
static inline size_t build_object(struct buf *out, enum object_type type, const void *data,
				  size_t len)
{
	size_t start = out->len;

	build_type_size(out, type, len);
	build_deflated(out, data, len);
	return start;
}

static inline size_t build_ref_delta(struct buf *out, const struct oid *base,
				     const struct buf *delta)
{
	size_t start = out->len;

	build_type_size(out, PACK_BUILD_REF, delta->len);
	build_bytes(out, base->hash, oid_raw_len(base));
	build_deflated(out, delta->data, delta->len);
	return start;
}

static inline void build_distance(struct buf *out, uint64_t distance)
{
	uint8_t bytes[10];
	size_t at = sizeof(bytes);

	bytes[--at] = distance & 0x7f;
	while ((distance >>= 7) > 0)
		bytes[--at] = (uint8_t)(0x80 | (--distance & 0x7f));
	build_bytes(out, bytes + at, sizeof(bytes) - at);
}

static inline size_t build_ofs_delta(struct buf *out, size_t base, const struct buf *delta)
{
	size_t start = out->len;

	build_type_size(out, PACK_BUILD_OFS, delta->len);
	build_distance(out, start - base);
	build_deflated(out, delta->data, delta->len);
	return start;
}

static inline void build_trailer(struct buf *out, enum hash_algo algo)
{
	struct hasher *hasher = hasher_new(algo);
	struct oid oid;

	assert(hasher != NULL);
	assert(hasher_update(hasher, out->data, out->len) == 0);
	assert(hasher_final(hasher, &oid) == 0);
	hasher_free(hasher);
	build_bytes(out, oid.hash, oid_raw_len(&oid));
}

static inline struct oid build_oid(enum hash_algo algo, enum object_type type, const void *data,
				   size_t len)
{
	struct hasher *hasher = hasher_new(algo);
	struct oid oid;

	assert(hasher != NULL);
	assert(hasher_object(hasher, type, data, len, &oid) == 0);
	hasher_free(hasher);
	return oid;
}

static inline void build_delta_size(struct buf *out, uint64_t size)
{
	for (; size >= 0x80; size >>= 7)
		build_byte(out, (unsigned)(size & 0x7f) | 0x80);
	build_byte(out, (unsigned)size);
}

/* All seven operand bytes, also those that could be left out. */
static inline void build_delta_copy(struct buf *out, uint32_t offset, uint32_t size)
{
	build_byte(out, 0xff);
	for (unsigned shift = 0; shift < 32; shift += 8)
		build_byte(out, (offset >> shift) & 0xff);
	for (unsigned shift = 0; shift < 24; shift += 8)
		build_byte(out, (size >> shift) & 0xff);
}

static inline void build_delta_insert(struct buf *out, const void *data, size_t len)
{
	struct cursor in = cursor_of(data, len);
	const uint8_t *bytes;

	while (in.left > 0) {
		size_t step = in.left < 127 ? in.left : 127;
		bool there = cursor_bytes(&in, step, &bytes);

		assert(there);
		build_byte(out, (unsigned)step);
		build_bytes(out, bytes, step);
	}
}

/* A delta that puts `more` behind the whole base. */
static inline void build_delta_append(struct buf *out, size_t base_len, const char *more)
{
	build_delta_size(out, base_len);
	build_delta_size(out, base_len + strlen(more));
	if (base_len > 0)
		build_delta_copy(out, 0, (uint32_t)base_len);
	build_delta_insert(out, more, strlen(more));
}

#endif
