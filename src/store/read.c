/*
 * Reading records. The index says where one lies and what it holds; its head
 * must say the same, and every byte that is handed out lies under a CRC that
 * was just checked. A record of which that is not true is dropped from the
 * index and counted, and the object is not here.
 *
 * Deflated and small raw records are read in one piece. Of a large raw record
 * its head is read, the CRCs of the chunks that the caller's range touches, and
 * those chunks: whole ones into the caller's memory, those at the range's two
 * ends by way of a buffer.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/io.h"
#include "git/zstream.h"
#include "store/store_internal.h"

/* Raw records up to this size are read in one piece. */
#define READ_WHOLE_MAX RECORD_DEFLATE_MAX
/* Chunks whose CRCs are read at once; bounds memory on the stack. */
#define READ_CHUNKS 64

/* An error of the disk is a bad record as well: the remote has another copy. */
static int bad_if_io(int rc)
{
	return rc == -EIO ? ERR_CORRUPT : rc;
}

/* Exactly `len` bytes; a file that ends before is a bad record. */
static int read_exact(int fd, void *data, size_t len, uint64_t offset)
{
	ssize_t got = io_pread(fd, data, len, offset);

	if (got < 0)
		return bad_if_io((int)got);
	return (size_t)got == len ? 0 : ERR_CORRUPT;
}

static int check_head(const struct segment_file *file, const void *head,
		      const struct index_item *item, struct record *out)
{
	const struct place *place = &item->place;
	int rc = record_decode(out, &file->head, head, RECORD_HEAD_BYTES);

	if (rc < 0)
		return rc;
	if (out->state != RECORD_COMPLETE || !oid_equal(&out->oid, &item->oid) ||
	    out->type != place->type || out->encoding != place->encoding ||
	    out->size != place->size || out->stored != place->stored)
		return ERR_CORRUPT;
	return 0;
}

static int check_chunk(const uint8_t *data, size_t len, struct cursor *crcs)
{
	uint32_t crc;

	if (!cursor_le32(crcs, &crc) || crc != crc32_of(0, data, len))
		return ERR_CORRUPT;
	return 0;
}

/* Whether the record is one that is read in one piece; the sizes come from the
 * index and are believed only so far as memory is concerned. */
static bool is_small(const struct place *place)
{
	return place->size <= READ_WHOLE_MAX &&
	       place->stored <= record_raw_stored(READ_WHOLE_MAX);
}

/* A small record's contents, all of them, into `out` (place->size bytes). */
static int read_small(const struct segment_file *file, const struct index_item *item,
		      uint8_t *out)
{
	const struct place *place = &item->place;
	size_t stored = (size_t)place->stored, size = (size_t)place->size, used;
	AUTO_BUF struct buf bytes = BUF_INIT;
	struct record record;
	struct cursor payload, crcs;
	int rc = buf_reserve(&bytes, RECORD_HEAD_BYTES + stored);

	if (rc < 0)
		return rc;
	rc = read_exact(file->fd, bytes.data, RECORD_HEAD_BYTES + stored, place->offset);
	if (rc == 0)
		rc = check_head(file, bytes.data, item, &record);
	if (rc < 0)
		return rc;
	payload = cursor_of(bytes.data + RECORD_HEAD_BYTES, stored);
	if (record.encoding == RECORD_DEFLATE) {
		if (crc32_of(0, payload.ptr, stored) != record.payload_crc)
			return ERR_CORRUPT;
		return zstream_inflate(payload.ptr, stored, out, size, &used);
	}
	crcs = payload;
	if (!cursor_skip(&crcs, size))
		return ERR_CORRUPT;
	for (size_t at = 0; at < size && rc == 0; at += RECORD_CHUNK_BYTES) {
		size_t len = size - at < RECORD_CHUNK_BYTES ? size - at : RECORD_CHUNK_BYTES;

		rc = check_chunk(payload.ptr + at, len, &crcs);
	}
	if (rc == 0 && size > 0)
		memcpy(out, payload.ptr, size);
	return rc;
}

/* A range of a large raw record, [at, end), within READ_CHUNKS chunks. */
struct range {
	const struct segment_file *file;
	const struct place *place;
	uint64_t at;
	uint64_t end;
	uint8_t *out;    /* where `at` goes */
	uint8_t *bounce; /* RECORD_CHUNK_BYTES, for chunks that are not wanted whole */
};

/* The bytes of one chunk that are in the range, by way of the buffer. */
static int read_part(struct range *range, uint64_t chunk, struct cursor *crcs)
{
	uint64_t start = chunk * RECORD_CHUNK_BYTES, stop = start + RECORD_CHUNK_BYTES;
	uint64_t payload = range->place->offset + RECORD_HEAD_BYTES;
	uint64_t until;
	size_t len;
	int rc;

	stop = stop > range->place->size ? range->place->size : stop;
	len = (size_t)(stop - start);
	rc = read_exact(range->file->fd, range->bounce, len, payload + start);
	if (rc == 0)
		rc = check_chunk(range->bounce, len, crcs);
	if (rc < 0)
		return rc;
	until = stop < range->end ? stop : range->end;
	memcpy(range->out, range->bounce + (range->at - start), (size_t)(until - range->at));
	range->out += until - range->at;
	range->at = until;
	return 0;
}

/* The chunks that are wanted whole, from where the range stands. */
static int read_whole_chunks(struct range *range, struct cursor *crcs)
{
	uint64_t payload = range->place->offset + RECORD_HEAD_BYTES;
	uint64_t until = range->end;
	size_t len;
	int rc;

	if (until != range->place->size)
		until = until / RECORD_CHUNK_BYTES * RECORD_CHUNK_BYTES;
	if (until <= range->at)
		return 0;
	len = (size_t)(until - range->at);
	rc = read_exact(range->file->fd, range->out, len, payload + range->at);
	for (size_t done = 0; done < len && rc == 0; done += RECORD_CHUNK_BYTES) {
		size_t left = len - done;

		rc = check_chunk(range->out + done,
				 left < RECORD_CHUNK_BYTES ? left : RECORD_CHUNK_BYTES, crcs);
	}
	range->out += len;
	range->at = until;
	return rc;
}

static int read_range(struct range *range)
{
	const struct place *place = range->place;
	uint64_t first = range->at / RECORD_CHUNK_BYTES;
	uint64_t last = (range->end - 1) / RECORD_CHUNK_BYTES;
	uint8_t table[READ_CHUNKS * RECORD_CRC_BYTES];
	size_t table_len = (size_t)((last - first + 1) * RECORD_CRC_BYTES);
	uint64_t table_at = place->offset + RECORD_HEAD_BYTES + place->size;
	struct cursor crcs = cursor_of(table, table_len);
	int rc = read_exact(range->file->fd, table, table_len, table_at + first * RECORD_CRC_BYTES);

	if (rc == 0 && range->at % RECORD_CHUNK_BYTES != 0)
		rc = read_part(range, first, &crcs);
	if (rc == 0 && range->at < range->end)
		rc = read_whole_chunks(range, &crcs);
	if (rc == 0 && range->at < range->end)
		rc = read_part(range, last, &crcs);
	return rc;
}

/* Bytes [offset, offset + len) of a large raw record; all are in the object. */
static int read_large(const struct segment_file *file, const struct index_item *item,
		      uint64_t offset, uint8_t *out, size_t len)
{
	const struct place *place = &item->place;
	uint8_t head[RECORD_HEAD_BYTES];
	AUTO_BUF struct buf bounce = BUF_INIT;
	struct range range = { .file = file, .place = place, .at = offset, .out = out };
	struct record record;
	int rc = read_exact(file->fd, head, sizeof(head), place->offset);

	if (rc == 0)
		rc = check_head(file, head, item, &record);
	if (rc == 0 && record.encoding != RECORD_RAW)
		rc = ERR_CORRUPT;
	if (rc == 0)
		rc = buf_reserve(&bounce, RECORD_CHUNK_BYTES);
	range.bounce = bounce.data;
	while (rc == 0 && range.at < offset + len) {
		uint64_t chunk = range.at / RECORD_CHUNK_BYTES;

		range.end = (chunk + READ_CHUNKS) * RECORD_CHUNK_BYTES;
		if (range.end > offset + len)
			range.end = offset + len;
		rc = read_range(&range);
	}
	return rc;
}

/* Bytes [offset, offset + len) of a record; all are in the object. Of a small
 * one all is read, into place where that is what the caller wants. */
static int read_bytes(const struct segment_file *file, const struct index_item *item,
		      uint64_t offset, uint8_t *out, size_t len)
{
	const struct place *place = &item->place;
	AUTO_BUF struct buf whole = BUF_INIT;
	int rc;

	if (!is_small(place))
		return read_large(file, item, offset, out, len);
	if (offset == 0 && len == place->size)
		return read_small(file, item, out);
	rc = buf_reserve(&whole, (size_t)place->size);
	if (rc == 0)
		rc = read_small(file, item, whole.data);
	if (rc == 0)
		memcpy(out, whole.data + offset, len);
	return rc;
}

/* A segment that is gone, or whose head is bad, has taken its records with it. */
static int open_record(struct store *store, const struct place *place, struct segment_file **out)
{
	int rc = segment_cache_get(&store->cache, place->segment, out);

	return rc == ERR_NOT_FOUND ? ERR_CORRUPT : bad_if_io(rc);
}

int record_read(struct store *store, const struct index_item *item, struct buf *out)
{
	const struct place *place = &item->place;
	struct segment_file *file;
	int rc = open_record(store, place, &file);

	if (rc < 0)
		return rc;
	/* The head of a large record is checked before memory is taken for it. */
	if (!is_small(place))
		rc = read_large(file, item, 0, NULL, 0);
	if (rc == 0)
		rc = place->size > SIZE_MAX ? ERR_LIMIT : buf_reserve(out, (size_t)place->size);
	if (rc == 0) {
		uint8_t *to = out->len > 0 ? out->data + out->len : out->data;

		rc = read_bytes(file, item, 0, to, (size_t)place->size);
	}
	if (rc == 0 && place->size > 0) {
		out->len += (size_t)place->size;
		out->data[out->len] = '\0';
	}
	segment_cache_put(&store->cache, file);
	return rc;
}

/* What to tell the caller of a read that failed. */
static int read_failed(struct store *store, const struct index_item *item, int rc)
{
	if (rc != ERR_CORRUPT)
		return rc;
	atomic_fetch_add(&store->bad_records, 1);
	/* Where the entry cannot be dropped now, the next read comes here again. */
	(void)!index_drop(store->index, item);
	return ERR_NOT_FOUND;
}

/* Damage of the index is a miss as well. */
static int look_up(struct store *store, const struct oid *oid, struct place *out)
{
	int rc;

	if (oid->algo != (uint8_t)store->algo)
		return ERR_NOT_FOUND;
	rc = index_get(store->index, oid, out);
	if (rc == ERR_CORRUPT) {
		atomic_fetch_add(&store->bad_records, 1);
		return ERR_NOT_FOUND;
	}
	return rc;
}

int store_info(struct store *store, const struct oid *oid, struct store_info *out)
{
	struct place place;
	uint64_t size;
	int rc = look_up(store, oid, &place);

	if (rc == 0) {
		*out = (struct store_info){ .type = place.type,
					    .size = place.size,
					    .present = true };
		return 0;
	}
	if (rc != ERR_NOT_FOUND || oid->algo != (uint8_t)store->algo)
		return rc;
	rc = index_get_size(store->index, oid, &size);
	if (rc == 0)
		*out = (struct store_info){ .type = OBJECT_BLOB, .size = size, .present = false };
	return rc == ERR_CORRUPT ? ERR_NOT_FOUND : rc;
}

int store_read(struct store *store, const struct oid *oid, enum object_type *type_out,
	       struct buf *out)
{
	struct index_item item = { .oid = *oid };
	int rc = look_up(store, oid, &item.place);

	if (rc < 0)
		return rc;
	rc = record_read(store, &item, out);
	if (rc < 0)
		return read_failed(store, &item, rc);
	*type_out = item.place.type;
	return 0;
}

ssize_t store_read_at(struct store *store, const struct oid *oid, uint64_t offset, void *data,
		      size_t len)
{
	struct index_item item = { .oid = *oid };
	struct segment_file *file;
	int rc = look_up(store, oid, &item.place);

	if (rc < 0)
		return rc;
	if (offset >= item.place.size || len == 0)
		return 0;
	if (len > item.place.size - offset)
		len = (size_t)(item.place.size - offset);
	if (len > SSIZE_MAX)
		len = SSIZE_MAX;
	rc = open_record(store, &item.place, &file);
	if (rc == 0) {
		rc = read_bytes(file, &item, offset, data, len);
		segment_cache_put(&store->cache, file);
	}
	return rc < 0 ? read_failed(store, &item, rc) : (ssize_t)len;
}
