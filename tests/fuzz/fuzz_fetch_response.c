/*
 * Answers to fetch: the pieces in which they arrive make no difference, and
 * every stream that was opened is closed.
 */
#include <assert.h>
#include <string.h>

#include "answers.h"
#include "fuzz.h"
#include "remote/fetch_response.h"

/* Counts what comes, and keeps nothing. */
struct counting_sink {
	struct object_sink base;
	size_t objects;
	uint64_t bytes;
	bool open;
};

static int on_object(struct object_sink *base, const struct object *object, struct err *err)
{
	struct counting_sink *sink = (struct counting_sink *)(void *)base;

	(void)err;
	assert(!sink->open);
	sink->objects++;
	sink->bytes += object->size;
	return 0;
}

static int on_begin(struct object_sink *base, enum object_type type, uint64_t size,
		    void **stream_out, struct err *err)
{
	struct counting_sink *sink = (struct counting_sink *)(void *)base;

	(void)type;
	(void)size;
	(void)err;
	assert(!sink->open);
	sink->open = true;
	*stream_out = sink;
	return 0;
}

static int on_write(struct object_sink *base, void *stream, const uint8_t *data, size_t len,
		    struct err *err)
{
	struct counting_sink *sink = stream;

	(void)base;
	(void)data;
	(void)err;
	assert(sink->open);
	sink->bytes += len;
	return 0;
}

static int on_end(struct object_sink *base, void *stream, const struct oid *oid, struct err *err)
{
	struct counting_sink *sink = stream;

	(void)base;
	(void)err;
	assert(sink->open);
	sink->open = false;
	sink->objects += oid != NULL;
	return 0;
}

static int on_read(struct object_sink *base, const struct oid *oid, enum object_type *type_out,
		   struct buf *out)
{
	(void)base;
	(void)oid;
	(void)type_out;
	(void)out;
	return ERR_NOT_FOUND;
}

static int take(const uint8_t *data, size_t size, size_t piece_len, struct counting_sink *sink)
{
	struct fetch_response fetch;

	*sink = (struct counting_sink){
		.base = { on_object, on_begin, on_write, on_end, on_read },
	};
	fetch_response_init(&fetch, HASH_SHA1, &sink->base);
	int rc = feed_answer(&fetch.response, data, size, piece_len);
	fetch_response_release(&fetch);
	assert(!sink->open);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t piece_lens[] = { 1, 13 };
	struct counting_sink whole, pieces;
	int rc = take(data, size, size, &whole);

	for (size_t i = 0; i < sizeof(piece_lens) / sizeof(piece_lens[0]); i++) {
		assert(take(data, size, piece_lens[i], &pieces) == rc);
		assert(pieces.objects == whole.objects && pieces.bytes == whole.bytes);
	}
	return 0;
}
