/*
 * The bytes of a segment file: its head, and the head of each record in it.
 * Pure functions; docs/formats.md has the tables.
 *
 * All numbers are little-endian. A record is a head of RECORD_HEAD_BYTES, then
 * `stored` bytes, then nothing up to the next multiple of RECORD_ALIGN. What is
 * stored is one zlib stream, whose CRC-32 stands in the head, or the contents
 * as they are, followed by one CRC-32 for each RECORD_CHUNK_BYTES of them.
 */
#ifndef GIT_FS_STORE_RECORD_H
#define GIT_FS_STORE_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "git/object.h"
#include "git/oid.h"

#define SEGMENT_HEAD_BYTES 40
#define RECORD_HEAD_BYTES 72
#define RECORD_ALIGN ((uint64_t)8)
#define RECORD_CHUNK_BYTES ((uint64_t)64 << 10)
#define RECORD_CRC_BYTES ((uint64_t)4)
/* Larger objects are never deflated, so that a read at any offset of them
 * touches the chunks it needs alone. Bytes. */
#define RECORD_DEFLATE_MAX ((uint64_t)128 << 10)

enum record_state { RECORD_INCOMPLETE = 1, RECORD_COMPLETE = 2 };
enum record_encoding { RECORD_RAW = 1, RECORD_DEFLATE = 2 };

struct segment_head {
	uint64_t id; /* as in the file's name; never 0 */
	/* A random number that opens every record of this segment. Nobody outside
	 * knows it, so that no object can carry something that passes for a record. */
	uint64_t mark;
	enum hash_algo algo;
};

struct record {
	enum record_state state;
	enum record_encoding encoding;
	enum object_type type;
	struct oid oid;       /* of a complete one; otherwise not set */
	uint64_t size;        /* bytes, inflated */
	uint64_t stored;      /* bytes after the head: the payload and its CRCs */
	uint32_t payload_crc; /* of a zlib stream; otherwise 0 */
};

/* Where a record lies and what it holds: the value of the index. */
struct place {
	uint64_t segment; /* 0: no place */
	uint64_t offset;  /* of the record's head */
	uint64_t stored;
	uint64_t size;
	enum object_type type;
	enum record_encoding encoding;
};

/* `out` has SEGMENT_HEAD_BYTES. */
void segment_head_encode(const struct segment_head *head, uint8_t *out);
/* ERR_CORRUPT where the bytes are no such head. */
int segment_head_decode(struct segment_head *out, const void *data, size_t len)
	__attribute__((warn_unused_result));

/* `out` has RECORD_HEAD_BYTES. */
void record_encode(const struct record *record, const struct segment_head *segment, uint8_t *out);
/* ERR_CORRUPT where the bytes are no head of a record of that segment. */
int record_decode(struct record *out, const struct segment_head *segment, const void *data,
		  size_t len) __attribute__((warn_unused_result));

/* `stored` of a raw record of this size (at most OBJECT_SIZE_MAX). */
uint64_t record_raw_stored(uint64_t size);
/* Chunks of an object of this size. */
uint64_t record_chunks(uint64_t size);
/* Bytes from one record's head to where the next may start. */
uint64_t record_span(uint64_t stored);

#endif
