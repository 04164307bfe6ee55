/*
 * The pack parser: a push parser that stops wherever its input does.
 *
 * Layout of a pack:
 *
 *   "PACK", version (be32: 2), number of entries (be32)
 *   entries:
 *     size and type   1 ttt ssss, then 1 sssssss ..., the low bits first, the
 *                     top bit saying that more follow; the size is the inflated
 *     OFS_DELTA (6)   how far back the base's entry starts: 1 ooooooo ...,
 *                     the high bits first, one added at each step
 *     REF_DELTA (7)   the base's raw oid
 *     data            one zlib stream: the object, or the delta
 *   hash of all the bytes before it
 *
 * States, and what each takes off the input:
 *
 *   HEADER   the twelve bytes           -> ENTRY, or TRAILER where there are none
 *   ENTRY    the first byte of an entry -> SIZE, or what comes after it
 *   SIZE     one more byte of the size  -> BASE_OFFSET, BASE_OID, DATA or STREAM
 *   BASE_*   the base of a delta        -> DATA
 *   DATA     nothing, or a whole stream: tries libdeflate on what is at hand
 *                                       -> INFLATE if it was not whole, or next entry
 *   INFLATE  a stream in pieces, by zlib, into memory    -> next entry
 *   STREAM   the same, in steps of STREAM_STEP, into the sink -> next entry
 *   TRAILER  the hash                   -> DONE
 *   next entry: ENTRY, or TRAILER after the last
 *
 * libdeflate cannot tell a bad stream from one that is cut off, so whatever it
 * refuses is looked at by zlib, which decides. That happens about once per
 * piece of input. Memory for an object grows with the bytes that come, not
 * with the size that its entry claims, beyond OBJECT_WHOLE_MAX.
 */
#include "git/pack.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>

#include "git/pack_resolve.h"
#include "git/zstream.h"

#define PACK_SIGNATURE 0x5041434bU /* "PACK" */
#define PACK_VERSION 2
#define PACK_HEADER_LEN 12
#define STREAM_STEP ((size_t)64 << 10) /* bytes given to the sink at a time */
#define ENTRY_OFS_DELTA 6
#define ENTRY_REF_DELTA 7

enum pack_state {
	PACK_HEADER,
	PACK_ENTRY,
	PACK_SIZE,
	PACK_BASE_OFFSET,
	PACK_BASE_OID,
	PACK_DATA,
	PACK_INFLATE,
	PACK_STREAM,
	PACK_TRAILER,
	PACK_DONE,
};

struct pack_parser {
	struct pack_resolver resolver;
	struct object_sink *sink;   /* borrowed */
	struct hasher *pack_hasher; /* of all bytes before the trailer */
	struct zstream *zstream;
	enum hash_algo algo;
	enum pack_state state;
	uint64_t offset; /* in the pack, of the next byte */
	uint32_t total;  /* entries that the header announced */

	uint8_t held[OID_RAW_MAX]; /* HEADER, BASE_OID, TRAILER: what has come of it */
	size_t held_len;

	/* The entry at hand. */
	uint64_t start;        /* its offset */
	unsigned type;         /* enum object_type or ENTRY_*_DELTA */
	uint64_t size;         /* of the data, inflated */
	unsigned shift;        /* SIZE: where the next seven bits go */
	struct pack_base base; /* of a delta */
	uint64_t inflated;     /* INFLATE, STREAM: bytes so far */
	struct buf raw;        /* those; STREAM: those that the sink has not seen */
	struct buf deflated;   /* INFLATE: the stream itself, while `keep` */
	bool keep;
	void *stream; /* the sink's, open in STREAM; or NULL */
};

struct pack_parser *pack_parser_new(enum hash_algo algo, struct object_sink *sink)
{
	struct pack_parser *parser = calloc(1, sizeof(*parser));

	if (parser == NULL)
		return NULL;
	if (pack_resolver_init(&parser->resolver, algo, sink) < 0) {
		free(parser);
		return NULL;
	}
	parser->sink = sink;
	parser->algo = algo;
	parser->pack_hasher = hasher_new(algo);
	parser->zstream = zstream_new();
	if (parser->pack_hasher == NULL || parser->zstream == NULL) {
		pack_parser_free(parser);
		return NULL;
	}
	return parser;
}

/* Only the result of an end with an oid counts. */
static void stream_give_up(struct pack_parser *parser)
{
	void *stream = parser->stream;

	parser->stream = NULL;
	if (stream != NULL)
		parser->sink->end(parser->sink, stream, NULL, NULL);
}

void pack_parser_free(struct pack_parser *parser)
{
	if (parser == NULL)
		return;
	stream_give_up(parser);
	pack_resolver_release(&parser->resolver);
	hasher_free(parser->pack_hasher);
	zstream_free(parser->zstream);
	buf_release(&parser->raw);
	buf_release(&parser->deflated);
	free(parser);
}

uint32_t pack_parser_count(const struct pack_parser *parser)
{
	return parser->resolver.given;
}

uint32_t pack_parser_total(const struct pack_parser *parser)
{
	return parser->total;
}

static int entry_fail(const struct pack_parser *parser, int rc, const char *what, struct err *err)
{
	return err_set(err, rc, "pack: the entry at offset %" PRIu64 " %s", parser->start, what);
}

/* Fills `held` up to `want` bytes; whether they are all there. */
static bool hold(struct pack_parser *parser, struct cursor *in, size_t want)
{
	while (parser->held_len < want && cursor_u8(in, &parser->held[parser->held_len]))
		parser->held_len++;
	if (parser->held_len < want)
		return false;
	parser->held_len = 0;
	return true;
}

static void entry_next(struct pack_parser *parser)
{
	parser->state = parser->resolver.table.count < parser->total ? PACK_ENTRY : PACK_TRAILER;
}

static int step_header(struct pack_parser *parser, struct cursor *in, struct err *err)
{
	struct cursor header = cursor_of(parser->held, PACK_HEADER_LEN);
	uint32_t signature, version, total;

	if (!hold(parser, in, PACK_HEADER_LEN))
		return 0;
	if (!cursor_be32(&header, &signature) || !cursor_be32(&header, &version) ||
	    !cursor_be32(&header, &total) || signature != PACK_SIGNATURE)
		return err_set(err, ERR_CORRUPT, "pack: offset 0 has no pack signature");
	if (version != PACK_VERSION)
		return err_set(err, ERR_CORRUPT, "pack: offset 4 has the unknown version %" PRIu32,
			       version);
	if (total > PACK_OBJECTS_MAX)
		return err_set(err, ERR_LIMIT, "pack: offset 8 announces %" PRIu32
			       " objects, more than %u", total, PACK_OBJECTS_MAX);
	parser->total = total;
	entry_next(parser);
	return 0;
}

static bool entry_is_delta(const struct pack_parser *parser)
{
	return parser->type == ENTRY_OFS_DELTA || parser->type == ENTRY_REF_DELTA;
}

static int stream_begin(struct pack_parser *parser, struct err *err)
{
	int rc = hasher_begin_object(parser->resolver.hasher, OBJECT_BLOB, parser->size);

	if (rc == 0)
		rc = zstream_reset(parser->zstream);
	if (rc == 0)
		rc = buf_reserve(&parser->raw, STREAM_STEP);
	if (rc < 0)
		return entry_fail(parser, rc, "cannot be streamed", err);
	rc = parser->sink->begin(parser->sink, OBJECT_BLOB, parser->size, &parser->stream, err);
	if (rc < 0)
		return rc;
	parser->state = PACK_STREAM;
	return 0;
}

/* All but the data of an entry is known. */
static int data_begin(struct pack_parser *parser, struct err *err)
{
	parser->inflated = 0;
	parser->raw = (struct buf)BUF_INIT_MAX(OBJECT_MEMORY_MAX);
	if (parser->type == OBJECT_BLOB && parser->size > OBJECT_WHOLE_MAX)
		return stream_begin(parser, err);
	if (parser->size > OBJECT_MEMORY_MAX)
		return entry_fail(parser, ERR_LIMIT, "is too large to be held in memory", err);
	parser->state = PACK_DATA;
	return 0;
}

/* The size of an entry is whole. */
static int size_end(struct pack_parser *parser, struct err *err)
{
	if (parser->size > OBJECT_SIZE_MAX)
		return entry_fail(parser, ERR_LIMIT, "is larger than any object may be", err);
	parser->base = (struct pack_base){ .offset = 0 };
	switch (parser->type) {
	case OBJECT_COMMIT:
	case OBJECT_TREE:
	case OBJECT_BLOB:
	case OBJECT_TAG:
		return data_begin(parser, err);
	case ENTRY_OFS_DELTA:
		parser->shift = 0;
		parser->state = PACK_BASE_OFFSET;
		return 0;
	case ENTRY_REF_DELTA:
		parser->state = PACK_BASE_OID;
		return 0;
	default:
		return entry_fail(parser, ERR_CORRUPT, "has an unknown type", err);
	}
}

static int step_entry(struct pack_parser *parser, struct cursor *in, struct err *err)
{
	uint8_t byte;
	int rc;

	if (!cursor_u8(in, &byte))
		return 0;
	parser->start = parser->offset;
	rc = pack_table_add(&parser->resolver.table, parser->start);
	if (rc < 0)
		return entry_fail(parser, rc, "finds no memory", err);
	parser->type = (byte >> 4) & 7U;
	parser->size = byte & 15U;
	parser->shift = 4;
	if ((byte & 0x80) == 0)
		return size_end(parser, err);
	parser->state = PACK_SIZE;
	return 0;
}

static int step_size(struct pack_parser *parser, struct cursor *in, struct err *err)
{
	uint8_t byte;

	if (!cursor_u8(in, &byte))
		return 0;
	if (parser->shift > 56)
		return entry_fail(parser, ERR_CORRUPT, "has an endless size", err);
	parser->size |= (uint64_t)(byte & 0x7fU) << parser->shift;
	parser->shift += 7;
	return (byte & 0x80) != 0 ? 0 : size_end(parser, err);
}

/* base.offset is the distance until its last byte has come. */
static int step_base_offset(struct pack_parser *parser, struct cursor *in, struct err *err)
{
	uint64_t distance = parser->base.offset;
	const struct pack_place *place;
	uint8_t byte;

	if (!cursor_u8(in, &byte))
		return 0;
	if (distance > UINT64_MAX >> 8)
		return entry_fail(parser, ERR_CORRUPT, "has an endless base offset", err);
	if (parser->shift > 0)
		distance = (distance + 1) << 7;
	distance |= byte & 0x7fU;
	parser->shift = 7;
	parser->base.offset = distance;
	if ((byte & 0x80) != 0)
		return 0;
	if (distance == 0 || distance >= parser->start)
		return entry_fail(parser, ERR_CORRUPT, "has a base outside the pack", err);
	place = pack_table_find(&parser->resolver.table, parser->start - distance);
	if (place == NULL)
		return entry_fail(parser, ERR_CORRUPT, "has a base where no entry starts", err);
	parser->base = (struct pack_base){ .offset = place->offset, .oid = place->oid };
	return data_begin(parser, err);
}

static int step_base_oid(struct pack_parser *parser, struct cursor *in, struct err *err)
{
	if (!hold(parser, in, hash_raw_len(parser->algo)))
		return 0;
	oid_from_raw(&parser->base.oid, parser->algo, parser->held);
	return data_begin(parser, err);
}

/* The data is whole in `raw`; `deflated` is the stream it came as. */
static int entry_end(struct pack_parser *parser, struct cursor deflated, struct err *err)
{
	struct object object = { .type = (enum object_type)parser->type };

	entry_next(parser);
	if (entry_is_delta(parser))
		return pack_resolver_delta(&parser->resolver, &parser->base, &parser->raw, err);
	if (deflated.left > 0 && deflated.left <= zstream_bound((size_t)parser->size)) {
		object.deflated = deflated.ptr;
		object.deflated_len = deflated.left;
	}
	return pack_resolver_object(&parser->resolver, &object, &parser->raw, err);
}

/* The data in one go, if all of it is at hand. 1: it was; 0: it was not. */
static int inflate_whole(struct pack_parser *parser, struct cursor *in, struct cursor *deflated_out)
{
	size_t size = (size_t)parser->size;
	struct cursor rest = *in;
	size_t used;
	int rc;

	rc = buf_reserve(&parser->raw, size > 0 ? size : 1);
	if (rc < 0)
		return rc;
	rc = zstream_inflate(in->ptr, in->left, parser->raw.data, size, &used);
	if (rc == ERR_CORRUPT || (rc == 0 && !cursor_skip(&rest, used)))
		return 0;
	if (rc < 0)
		return rc;
	parser->raw.len = size;
	parser->raw.data[size] = 0;
	*deflated_out = cursor_of(in->ptr, used);
	*in = rest;
	return 1;
}

static int step_data(struct pack_parser *parser, struct cursor *in, struct err *err)
{
	struct cursor deflated;
	int rc = 0;

	if (parser->size <= OBJECT_WHOLE_MAX)
		rc = inflate_whole(parser, in, &deflated);
	if (rc > 0)
		return entry_end(parser, deflated, err);
	if (rc == 0)
		rc = zstream_reset(parser->zstream);
	if (rc < 0)
		return entry_fail(parser, rc, "finds no memory", err);
	buf_clear(&parser->deflated);
	parser->keep = parser->size <= OBJECT_WHOLE_MAX && !entry_is_delta(parser);
	parser->state = PACK_INFLATE;
	return 0;
}

/*
 * Inflates what is at hand into the room behind `raw`, at most `step` bytes and
 * never more than the entry announced. 1: the stream has ended, as long as
 * announced; 0: it has not.
 */
static int inflate_some(struct pack_parser *parser, struct cursor *in, size_t step,
			struct err *err)
{
	uint64_t left = parser->size - parser->inflated;
	size_t room = left < step ? (size_t)left : step;
	uint8_t spill;
	size_t made;
	int rc;

	/* Behind the last byte only the stream's own end may come. */
	if (left == 0)
		rc = zstream_feed(parser->zstream, in, &spill, sizeof(spill), &made);
	else
		rc = zstream_feed(parser->zstream, in, parser->raw.data + parser->raw.len, room,
				  &made);
	if (rc == -ENOMEM)
		return entry_fail(parser, rc, "finds no memory", err);
	if (rc < 0)
		return entry_fail(parser, rc, "is no valid zlib stream", err);
	if (made > left)
		return entry_fail(parser, ERR_CORRUPT, "inflates to more than announced", err);
	if (rc == 1 && made < left)
		return entry_fail(parser, ERR_CORRUPT, "inflates to less than announced", err);
	parser->inflated += made;
	parser->raw.len += made;
	return rc;
}

/* Keeps what a step took of the stream, up to what a sane deflater makes. */
static int keep_deflated(struct pack_parser *parser, const struct cursor *before, size_t taken)
{
	if (!parser->keep)
		return 0;
	if (taken > zstream_bound((size_t)parser->size) - parser->deflated.len) {
		parser->keep = false;
		buf_release(&parser->deflated);
		return 0;
	}
	return buf_append(&parser->deflated, before->ptr, taken);
}

static int step_inflate(struct pack_parser *parser, struct cursor *in, struct err *err)
{
	struct cursor deflated = cursor_of(NULL, 0);
	struct cursor before = *in;
	uint64_t left = parser->size - parser->inflated;
	size_t step = parser->raw.len < STREAM_STEP ? STREAM_STEP : parser->raw.len;
	int rc, ended;

	if (left < step)
		step = (size_t)left;
	rc = buf_reserve(&parser->raw, step);
	if (rc < 0)
		return entry_fail(parser, rc, "finds no memory", err);
	ended = inflate_some(parser, in, step, err);
	if (ended < 0)
		return ended;
	rc = keep_deflated(parser, &before, before.left - in->left);
	if (rc < 0)
		return entry_fail(parser, rc, "finds no memory", err);
	if (ended == 0)
		return 0;
	parser->raw.data[parser->raw.len] = 0;
	if (parser->keep)
		deflated = cursor_of(parser->deflated.data, parser->deflated.len);
	return entry_end(parser, deflated, err);
}

/* Gives the sink what was gathered. */
static int stream_write(struct pack_parser *parser, struct err *err)
{
	struct buf *raw = &parser->raw;
	int rc;

	rc = hasher_update(parser->resolver.hasher, raw->data, raw->len);
	if (rc < 0)
		return entry_fail(parser, rc, "cannot be hashed", err);
	rc = parser->sink->write(parser->sink, parser->stream, raw->data, raw->len, err);
	if (rc < 0)
		return rc;
	buf_clear(raw);
	return 0;
}

static int stream_end(struct pack_parser *parser, struct err *err)
{
	void *stream = parser->stream;
	struct oid oid;
	int rc;

	if (parser->raw.len > 0) {
		rc = stream_write(parser, err);
		if (rc < 0)
			return rc;
	}
	rc = hasher_final(parser->resolver.hasher, &oid);
	if (rc < 0)
		return entry_fail(parser, rc, "cannot be hashed", err);
	parser->stream = NULL;
	rc = parser->sink->end(parser->sink, stream, &oid, err);
	if (rc < 0)
		return rc;
	buf_release(&parser->raw);
	entry_next(parser);
	return pack_resolver_streamed(&parser->resolver, &oid, err);
}

static int step_stream(struct pack_parser *parser, struct cursor *in, struct err *err)
{
	int rc;

	rc = inflate_some(parser, in, STREAM_STEP - parser->raw.len, err);
	if (rc < 0)
		return rc;
	if (rc == 1)
		return stream_end(parser, err);
	return parser->raw.len == STREAM_STEP ? stream_write(parser, err) : 0;
}

static int step(struct pack_parser *parser, struct cursor *in, struct err *err)
{
	static int (*const steps[])(struct pack_parser *, struct cursor *, struct err *) = {
		[PACK_HEADER] = step_header,
		[PACK_ENTRY] = step_entry,
		[PACK_SIZE] = step_size,
		[PACK_BASE_OFFSET] = step_base_offset,
		[PACK_BASE_OID] = step_base_oid,
		[PACK_DATA] = step_data,
		[PACK_INFLATE] = step_inflate,
		[PACK_STREAM] = step_stream,
	};

	return steps[parser->state](parser, in, err);
}

static int step_trailer(struct pack_parser *parser, struct cursor *in, struct err *err)
{
	struct oid announced, actual;
	int rc;

	if (!hold(parser, in, hash_raw_len(parser->algo)))
		return 0;
	oid_from_raw(&announced, parser->algo, parser->held);
	rc = hasher_final(parser->pack_hasher, &actual);
	if (rc < 0)
		return err_set(err, rc, "pack: hashing it failed");
	if (!oid_equal(&announced, &actual))
		return err_set(err, ERR_CORRUPT, "pack: the hash at offset %" PRIu64
			       " is not that of the pack", parser->offset);
	parser->offset += hash_raw_len(parser->algo);
	parser->state = PACK_DONE;
	return pack_resolver_finish(&parser->resolver, err);
}

/* Takes what comes before the trailer, and hashes it. */
static int feed_body(struct pack_parser *parser, struct cursor *in, struct err *err)
{
	const struct cursor all = *in;
	size_t before;
	int rc;

	while (in->left > 0 && parser->state < PACK_TRAILER) {
		before = in->left;
		rc = step(parser, in, err);
		if (rc < 0)
			return rc;
		parser->offset += before - in->left;
	}
	rc = hasher_update(parser->pack_hasher, all.ptr, all.left - in->left);
	return rc < 0 ? err_set(err, rc, "pack: hashing it failed") : 0;
}

int pack_parser_feed(struct pack_parser *parser, const uint8_t *data, size_t len, struct err *err)
{
	struct cursor in = cursor_of(data, len);
	int rc = 0;

	if (parser->state < PACK_TRAILER)
		rc = feed_body(parser, &in, err);
	if (rc == 0 && parser->state == PACK_TRAILER)
		rc = step_trailer(parser, &in, err);
	if (rc < 0)
		return rc;
	if (parser->state == PACK_DONE && in.left > 0)
		return err_set(err, ERR_CORRUPT,
			       "pack: bytes come after its end at offset %" PRIu64, parser->offset);
	return parser->state == PACK_DONE ? 1 : 0;
}
