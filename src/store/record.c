/*
 * Heads of segments and records, to bytes and back.
 *
 *   segment head                        record head
 *    0  8  "GitFSseg"                     0  8  the segment's mark
 *    8  4  version                        8  1  state
 *   12  4  algorithm                      9  1  encoding
 *   16  8  id                            10  1  object type
 *   24  8  mark                          11  1  algorithm
 *   32  4  zero                          12  4  CRC-32 of the zlib stream, or 0
 *   36  4  CRC-32 of bytes 0..35         16  8  size, inflated
 *                                        24  8  stored
 *                                        32 32  oid, zeros after its end
 *                                        64  4  zero
 *                                        68  4  CRC-32 of bytes 0..67
 */
#include "store/record.h"

#include <string.h>

#include "base/err.h"
#include "git/zstream.h"

#define SEGMENT_MAGIC "GitFSseg"
#define SEGMENT_VERSION 1U

void segment_head_encode(const struct segment_head *head, uint8_t *out)
{
	memset(out, 0, SEGMENT_HEAD_BYTES);
	memcpy(out, SEGMENT_MAGIC, strlen(SEGMENT_MAGIC));
	put_le32(out + 8, SEGMENT_VERSION);
	put_le32(out + 12, (uint32_t)head->algo);
	put_le64(out + 16, head->id);
	put_le64(out + 24, head->mark);
	put_le32(out + 36, crc32_of(0, out, 36));
}

int segment_head_decode(struct segment_head *out, const void *data, size_t len)
{
	struct cursor cur = cursor_of(data, len);
	uint32_t version, algo, zero, crc;
	struct segment_head head;

	if (!cursor_literal(&cur, SEGMENT_MAGIC) || !cursor_le32(&cur, &version) ||
	    !cursor_le32(&cur, &algo) || !cursor_le64(&cur, &head.id) ||
	    !cursor_le64(&cur, &head.mark) || !cursor_le32(&cur, &zero) ||
	    !cursor_le32(&cur, &crc))
		return ERR_CORRUPT;
	if (crc != crc32_of(0, data, 36) || version != SEGMENT_VERSION || head.id == 0)
		return ERR_CORRUPT;
	if (algo != HASH_SHA1 && algo != HASH_SHA256)
		return ERR_CORRUPT;
	head.algo = (enum hash_algo)algo;
	*out = head;
	return 0;
}

void record_encode(const struct record *record, const struct segment_head *segment, uint8_t *out)
{
	memset(out, 0, RECORD_HEAD_BYTES);
	put_le64(out, segment->mark);
	out[8] = (uint8_t)record->state;
	out[9] = (uint8_t)record->encoding;
	out[10] = (uint8_t)record->type;
	out[11] = (uint8_t)segment->algo;
	put_le32(out + 12, record->payload_crc);
	put_le64(out + 16, record->size);
	put_le64(out + 24, record->stored);
	if (record->state == RECORD_COMPLETE)
		memcpy(out + 32, record->oid.hash, OID_RAW_MAX);
	put_le32(out + 68, crc32_of(0, out, 68));
}

/* Whether the fields can stand together in one record. */
static bool record_plausible(const struct record *record)
{
	if (record->state != RECORD_INCOMPLETE && record->state != RECORD_COMPLETE)
		return false;
	if (record->type < OBJECT_COMMIT || record->type > OBJECT_TAG)
		return false;
	if (record->size > OBJECT_SIZE_MAX)
		return false;
	if (record->encoding == RECORD_RAW)
		return record->stored == record_raw_stored(record->size);
	return record->encoding == RECORD_DEFLATE && record->size <= RECORD_DEFLATE_MAX &&
	       record->stored < record->size;
}

int record_decode(struct record *out, const struct segment_head *segment, const void *data,
		  size_t len)
{
	struct cursor cur = cursor_of(data, len);
	uint64_t mark;
	uint8_t state, encoding, type, algo;
	uint32_t zero, crc;
	const uint8_t *hash;
	struct record record = { .oid = { .algo = 0 } };

	/* The mark first: a scan that looks for the next record asks at every step. */
	if (!cursor_le64(&cur, &mark) || mark != segment->mark)
		return ERR_CORRUPT;
	if (!cursor_u8(&cur, &state) || !cursor_u8(&cur, &encoding) || !cursor_u8(&cur, &type) ||
	    !cursor_u8(&cur, &algo) || !cursor_le32(&cur, &record.payload_crc) ||
	    !cursor_le64(&cur, &record.size) || !cursor_le64(&cur, &record.stored) ||
	    !cursor_bytes(&cur, OID_RAW_MAX, &hash) || !cursor_le32(&cur, &zero) ||
	    !cursor_le32(&cur, &crc))
		return ERR_CORRUPT;
	if (crc != crc32_of(0, data, 68) || algo != (uint8_t)segment->algo)
		return ERR_CORRUPT;
	record.state = (enum record_state)state;
	record.encoding = (enum record_encoding)encoding;
	record.type = (enum object_type)type;
	if (!record_plausible(&record))
		return ERR_CORRUPT;
	if (record.state == RECORD_COMPLETE)
		oid_from_raw(&record.oid, segment->algo, hash);
	*out = record;
	return 0;
}

uint64_t record_chunks(uint64_t size)
{
	return size / RECORD_CHUNK_BYTES + (size % RECORD_CHUNK_BYTES != 0);
}

uint64_t record_raw_stored(uint64_t size)
{
	return size + record_chunks(size) * RECORD_CRC_BYTES;
}

uint64_t record_span(uint64_t stored)
{
	uint64_t end = RECORD_HEAD_BYTES + stored;

	return (end + RECORD_ALIGN - 1) / RECORD_ALIGN * RECORD_ALIGN;
}
