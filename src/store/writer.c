/*
 * Writers: objects go into the active segment one by one, and into the index
 * in groups. The states of an object:
 *
 *   written   its record is in a segment; only this writer can read it
 *   visible   the group's transaction is committed; the callback has named it
 *
 * An object that is here already joins the group without a record, so that
 * whoever waits for it hears of it. A stream's record is "incomplete" until its
 * end is reached: a scan passes it over, and what a killed process leaves
 * behind is dead space.
 *
 * A transaction that fails leaves the group as it was: it is tried again at the
 * next object or flush.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/io.h"
#include "base/map.h"
#include "base/threads.h"
#include "git/zstream.h"
#include "store/store_internal.h"

#define DEFLATE_LEVEL 1
/* Deflating has to save an eighth, or every read would pay for next to nothing. */
#define DEFLATE_MIN_GAIN 8
/* Not even tried below. Bytes. */
#define DEFLATE_MIN_BYTES 64
/* CRCs of a stream that are written at once. */
#define STREAM_CRCS 1024

struct waiting {
	struct map_node node;
	size_t at; /* its index in items */
};

struct stream {
	struct extent extent;
	struct record record;
	uint64_t written; /* bytes of the payload */
	uint32_t crc;     /* of the chunk that `written` stands in */
	uint64_t table_at; /* where the next CRCs go */
	size_t table_len;  /* bytes of table */
	uint8_t table[STREAM_CRCS * RECORD_CRC_BYTES];
};

struct store_writer {
	struct object_sink sink;
	struct store *store;
	store_visible_fn *visible;
	void *arg;

	/* The group. */
	struct index_item *items; /* STORE_GROUP_OBJECTS each; owned */
	struct waiting *waiting;
	struct oid *oids;
	struct map by_oid;
	size_t count;
	size_t bytes;
	uint64_t oldest_ns;

	struct buf scratch;    /* a zlib stream or a table of CRCs */
	struct stream *stream; /* open; owned */
};

static struct store_writer *writer_of(struct object_sink *sink)
{
	return MAP_ENTRY(sink, struct store_writer, sink);
}

/* A full disk has several names. */
static int write_failed(const struct store_writer *writer, int rc, struct err *err)
{
	if (rc == -EFBIG || rc == -EDQUOT)
		rc = -ENOSPC;
	if (rc == ERR_CORRUPT)
		return err_set(err, rc, "the index of the cache %s is damaged; it is made anew the "
			       "next time that the cache is opened", writer->store->dir);
	return err_sys(err, -rc, "cannot write to the cache %s", writer->store->dir);
}

static const struct index_item *find_waiting(const struct store_writer *writer,
					     const struct oid *oid)
{
	struct map_node *node = map_find(&writer->by_oid, oid_hash(oid));

	for (; node != NULL; node = map_find_next(node)) {
		const struct waiting *waiting = MAP_ENTRY(node, struct waiting, node);

		if (oid_equal(&writer->items[waiting->at].oid, oid))
			return &writer->items[waiting->at];
	}
	return NULL;
}

static int publish(struct store_writer *writer, struct err *err)
{
	size_t count = writer->count, fresh = 0;
	int rc = 0;

	if (count == 0)
		return 0;
	for (size_t i = 0; i < count; i++) {
		writer->oids[i] = writer->items[i].oid;
		fresh += writer->items[i].place.segment != 0;
	}
	if (fresh > 0)
		rc = index_put(writer->store->index, writer->items, count);
	if (rc < 0)
		return write_failed(writer, rc, err);
	for (size_t i = 0; i < count; i++)
		map_remove(&writer->by_oid, &writer->waiting[i].node);
	writer->count = 0;
	writer->bytes = 0;
	if (writer->visible != NULL)
		writer->visible(writer->arg, writer->oids, count);
	return 0;
}

/* Makes room in a group whose transaction failed before. */
static int want_room(struct store_writer *writer, struct err *err)
{
	return writer->count < STORE_GROUP_OBJECTS ? 0 : publish(writer, err);
}

/* Adds an object to the group, which has room; place NULL: it was here before. */
static int add_waiting(struct store_writer *writer, const struct oid *oid,
		       const struct place *place, struct err *err)
{
	size_t at = writer->count;
	uint64_t now = mono_ns();
	int rc;

	writer->items[at] = (struct index_item){ .oid = *oid };
	if (place != NULL)
		writer->items[at].place = *place;
	writer->waiting[at].at = at;
	rc = map_insert(&writer->by_oid, &writer->waiting[at].node, oid_hash(oid));
	if (rc < 0)
		return write_failed(writer, rc, err);
	writer->count++;
	if (at == 0)
		writer->oldest_ns = now;
	if (place != NULL)
		writer->bytes += place->stored;
	if (writer->count < STORE_GROUP_OBJECTS && writer->bytes < STORE_GROUP_BYTES &&
	    now - writer->oldest_ns < STORE_GROUP_MS * NS_PER_MS)
		return 0;
	return publish(writer, err);
}

/* Whether the store has it, visible; damage of the index shows when it is written. */
static int look_up(struct store_writer *writer, const struct oid *oid)
{
	struct place place;
	int rc = index_get(writer->store->index, oid, &place);

	if (rc == 0)
		return 1;
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

static void place_of(const struct record *record, const struct extent *extent, struct place *out)
{
	*out = (struct place){ .segment = extent->active->head.id,
			       .offset = extent->offset,
			       .stored = record->stored,
			       .size = record->size,
			       .type = record->type,
			       .encoding = record->encoding };
}

/* Writes one complete record: its head, and two pieces of `stored` bytes. */
static int append(struct store_writer *writer, const struct record *record,
		  const struct iovec *payload, const struct iovec *table, struct place *out)
{
	struct appender *appender = &writer->store->appender;
	uint8_t head[RECORD_HEAD_BYTES];
	struct iovec iov[] = { { .iov_base = head, .iov_len = sizeof(head) }, *payload, *table };
	struct extent extent;
	int rc = appender_reserve(appender, record->stored, &extent);

	if (rc < 0)
		return rc;
	record_encode(record, &extent.active->head, head);
	rc = io_pwritev(extent.active->fd, iov, 3, extent.offset);
	if (rc < 0) {
		appender_abandon(appender, &extent);
		return rc;
	}
	place_of(record, &extent, out);
	appender_done(appender, &extent);
	return 0;
}

/* vectors are not const, though they are only read from. */
static struct iovec vector_of(const uint8_t *data, size_t len)
{
	union {
		const uint8_t *in;
		void *out;
	} base = { .in = data };

	return (struct iovec){ .iov_base = base.out, .iov_len = len };
}

static int append_raw(struct store_writer *writer, struct record *record,
		      const struct object *object, struct place *out)
{
	struct iovec payload = vector_of(object->data, object->size), table;
	size_t chunks = (size_t)record_chunks(object->size);
	int rc;

	buf_clear(&writer->scratch);
	rc = buf_reserve(&writer->scratch, chunks * RECORD_CRC_BYTES);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < chunks; i++) {
		size_t at = i * RECORD_CHUNK_BYTES, left = object->size - at;
		size_t len = left < RECORD_CHUNK_BYTES ? left : RECORD_CHUNK_BYTES;

		put_le32(writer->scratch.data + i * RECORD_CRC_BYTES,
			 crc32_of(0, object->data + at, len));
	}
	record->encoding = RECORD_RAW;
	record->stored = record_raw_stored(object->size);
	table = vector_of(writer->scratch.data, chunks * RECORD_CRC_BYTES);
	return append(writer, record, &payload, &table, out);
}

/* The zlib stream to keep of an object: the one it came with, or one of our
 * own making; .len == 0: better none. */
static int choose_deflated(struct store_writer *writer, const struct object *object,
			   struct cursor *out)
{
	int rc;

	*out = cursor_of(NULL, 0);
	if (object->size > RECORD_DEFLATE_MAX)
		return 0;
	if (object->deflated != NULL) {
		if (object->deflated_len < object->size)
			*out = cursor_of(object->deflated, object->deflated_len);
		return 0;
	}
	if (object->size < DEFLATE_MIN_BYTES)
		return 0;
	buf_clear(&writer->scratch);
	rc = zstream_deflate(object->data, object->size, DEFLATE_LEVEL, &writer->scratch);
	if (rc < 0)
		return rc;
	if (writer->scratch.len < object->size - object->size / DEFLATE_MIN_GAIN)
		*out = cursor_of(writer->scratch.data, writer->scratch.len);
	return 0;
}

static int append_object(struct store_writer *writer, const struct object *object,
			 struct place *out)
{
	struct record record = { .state = RECORD_COMPLETE,
				 .type = object->type,
				 .oid = object->oid,
				 .size = object->size };
	struct iovec payload, nothing = vector_of(NULL, 0);
	struct cursor deflated;
	int rc = choose_deflated(writer, object, &deflated);

	if (rc < 0)
		return rc;
	if (deflated.left == 0)
		return append_raw(writer, &record, object, out);
	record.encoding = RECORD_DEFLATE;
	record.stored = deflated.left;
	record.payload_crc = crc32_of(0, deflated.ptr, deflated.left);
	payload = vector_of(deflated.ptr, deflated.left);
	return append(writer, &record, &payload, &nothing, out);
}

static int sink_object(struct object_sink *sink, const struct object *object, struct err *err)
{
	struct store_writer *writer = writer_of(sink);
	struct place place;
	int rc;

	if (object->oid.algo != (uint8_t)writer->store->algo || object->size > OBJECT_SIZE_MAX)
		return err_set(err, -EINVAL, "an object that the cache cannot hold");
	rc = want_room(writer, err);
	if (rc < 0)
		return rc;
	if (find_waiting(writer, &object->oid) != NULL)
		return 0;
	rc = look_up(writer, &object->oid);
	if (rc > 0)
		return add_waiting(writer, &object->oid, NULL, err);
	if (rc == 0)
		rc = append_object(writer, object, &place);
	if (rc < 0)
		return write_failed(writer, rc, err);
	return add_waiting(writer, &object->oid, &place, err);
}

static void stream_abandon(struct store_writer *writer)
{
	if (writer->stream == NULL)
		return;
	appender_abandon(&writer->store->appender, &writer->stream->extent);
	free(writer->stream);
	writer->stream = NULL;
}

static int write_head(struct stream *stream)
{
	const struct active *active = stream->extent.active;
	uint8_t head[RECORD_HEAD_BYTES];

	record_encode(&stream->record, &active->head, head);
	return io_pwrite(active->fd, head, sizeof(head), stream->extent.offset);
}

static int sink_begin(struct object_sink *sink, enum object_type type, uint64_t size,
		      void **stream_out, struct err *err)
{
	struct store_writer *writer = writer_of(sink);
	struct stream *stream;
	int rc;

	assert(writer->stream == NULL);
	if (size > OBJECT_SIZE_MAX)
		return err_set(err, ERR_LIMIT, "an object is too large for the cache");
	stream = calloc(1, sizeof(*stream));
	if (stream == NULL)
		return write_failed(writer, -ENOMEM, err);
	stream->record = (struct record){ .state = RECORD_INCOMPLETE,
					  .encoding = RECORD_RAW,
					  .type = type,
					  .size = size,
					  .stored = record_raw_stored(size) };
	rc = appender_reserve(&writer->store->appender, stream->record.stored, &stream->extent);
	if (rc < 0) {
		free(stream);
		return write_failed(writer, rc, err);
	}
	stream->table_at = stream->extent.offset + RECORD_HEAD_BYTES + size;
	writer->stream = stream;
	rc = write_head(stream);
	if (rc < 0) {
		stream_abandon(writer);
		return write_failed(writer, rc, err);
	}
	*stream_out = stream;
	return 0;
}

static int flush_table(struct stream *stream)
{
	int rc = io_pwrite(stream->extent.active->fd, stream->table, stream->table_len,
			   stream->table_at);

	if (rc < 0)
		return rc;
	stream->table_at += stream->table_len;
	stream->table_len = 0;
	return 0;
}

/* A chunk is whole, or the object ends in it. */
static int end_chunk(struct stream *stream)
{
	put_le32(stream->table + stream->table_len, stream->crc);
	stream->table_len += RECORD_CRC_BYTES;
	stream->crc = 0;
	return stream->table_len == sizeof(stream->table) ? flush_table(stream) : 0;
}

static int sink_write(struct object_sink *sink, void *handle, const uint8_t *data, size_t len,
		      struct err *err)
{
	struct store_writer *writer = writer_of(sink);
	struct stream *stream = handle;
	uint64_t payload = stream->extent.offset + RECORD_HEAD_BYTES;
	int rc;

	if (len > stream->record.size - stream->written)
		return err_set(err, ERR_CORRUPT, "an object is larger than was announced");
	rc = io_pwrite(stream->extent.active->fd, data, len, payload + stream->written);
	while (rc == 0 && len > 0) {
		uint64_t left = RECORD_CHUNK_BYTES - stream->written % RECORD_CHUNK_BYTES;
		size_t step = len < left ? len : (size_t)left;

		stream->crc = crc32_of(stream->crc, data, step);
		stream->written += step;
		data += step;
		len -= step;
		if (step == left)
			rc = end_chunk(stream);
	}
	return rc < 0 ? write_failed(writer, rc, err) : 0;
}

/* The last CRCs and the head: from here on a scan finds the record. */
static int stream_complete(struct stream *stream, const struct oid *oid)
{
	int rc = stream->written % RECORD_CHUNK_BYTES != 0 ? end_chunk(stream) : 0;

	if (rc == 0)
		rc = flush_table(stream);
	if (rc < 0)
		return rc;
	stream->record.state = RECORD_COMPLETE;
	stream->record.oid = *oid;
	return write_head(stream);
}

/* Completes the stream's record and ends the stream, or leaves it as it is. */
static int stream_finish(struct store_writer *writer, const struct oid *oid, struct place *out)
{
	struct stream *stream = writer->stream;
	int rc = stream_complete(stream, oid);

	if (rc < 0)
		return rc;
	place_of(&stream->record, &stream->extent, out);
	appender_done(&writer->store->appender, &stream->extent);
	free(stream);
	writer->stream = NULL;
	return 0;
}

static int end_stream(struct store_writer *writer, const struct oid *oid, struct err *err)
{
	const struct stream *stream = writer->stream;
	struct place place;
	int rc;

	if (stream->written != stream->record.size)
		return err_set(err, ERR_CORRUPT, "an object is smaller than was announced");
	if (oid->algo != (uint8_t)writer->store->algo)
		return err_set(err, -EINVAL, "an object that the cache cannot hold");
	rc = want_room(writer, err);
	if (rc < 0)
		return rc;
	if (find_waiting(writer, oid) != NULL)
		return 0;
	rc = look_up(writer, oid);
	if (rc > 0)
		return add_waiting(writer, oid, NULL, err);
	if (rc == 0)
		rc = stream_finish(writer, oid, &place);
	return rc < 0 ? write_failed(writer, rc, err) : add_waiting(writer, oid, &place, err);
}

static int sink_end(struct object_sink *sink, void *handle, const struct oid *oid, struct err *err)
{
	struct store_writer *writer = writer_of(sink);
	int rc;

	assert(handle != NULL && writer->stream == handle);
	rc = oid != NULL ? end_stream(writer, oid, err) : 0;
	stream_abandon(writer); /* unless it was finished */
	return rc;
}

static int sink_read(struct object_sink *sink, const struct oid *oid, enum object_type *type_out,
		     struct buf *out)
{
	struct store_writer *writer = writer_of(sink);
	const struct index_item *item = find_waiting(writer, oid);
	int rc;

	if (item == NULL || item->place.segment == 0)
		return store_read(writer->store, oid, type_out, out);
	rc = record_read(writer->store, item, out);
	if (rc == 0)
		*type_out = item->place.type;
	return rc == ERR_CORRUPT ? ERR_NOT_FOUND : rc;
}

int store_writer_new(struct store_writer **out, struct store *store, store_visible_fn *visible,
		     void *arg)
{
	struct store_writer *writer = calloc(1, sizeof(*writer));

	if (writer == NULL)
		return -ENOMEM;
	writer->sink = (struct object_sink){ .object = sink_object,
					     .begin = sink_begin,
					     .write = sink_write,
					     .end = sink_end,
					     .read = sink_read };
	writer->store = store;
	writer->visible = visible;
	writer->arg = arg;
	writer->items = calloc(STORE_GROUP_OBJECTS, sizeof(*writer->items));
	writer->waiting = calloc(STORE_GROUP_OBJECTS, sizeof(*writer->waiting));
	writer->oids = calloc(STORE_GROUP_OBJECTS, sizeof(*writer->oids));
	if (writer->items == NULL || writer->waiting == NULL || writer->oids == NULL ||
	    map_reserve(&writer->by_oid, STORE_GROUP_OBJECTS) < 0) {
		store_writer_free(writer);
		return -ENOMEM;
	}
	*out = writer;
	return 0;
}

struct object_sink *store_writer_sink(struct store_writer *writer)
{
	return &writer->sink;
}

int store_writer_flush(struct store_writer *writer, struct err *err)
{
	return publish(writer, err);
}

void store_writer_free(struct store_writer *writer)
{
	if (writer == NULL)
		return;
	stream_abandon(writer);
	map_release(&writer->by_oid);
	buf_release(&writer->scratch);
	free(writer->oids);
	free(writer->waiting);
	free(writer->items);
	free(writer);
}
