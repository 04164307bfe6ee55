/*
 * A sink that keeps all objects in memory, for tests to look at.
 */
#ifndef GIT_FS_TESTS_COLLECT_SINK_H
#define GIT_FS_TESTS_COLLECT_SINK_H

#include <stdlib.h>
#include <string.h>

#include "git/object.h"

#define COLLECT_MAX 4096

struct collected {
	enum object_type type;
	struct oid oid;
	struct buf data;
};

struct collect_sink {
	struct object_sink base;
	struct collected *objects; /* COLLECT_MAX of them */
	size_t count;
	size_t streamed; /* objects that came in pieces */
	int fail_with;   /* what object() returns from now on, where not 0 */
};

static inline int collect_object(struct object_sink *base, const struct object *object,
				 struct err *err)
{
	struct collect_sink *sink = (struct collect_sink *)(void *)base;
	struct collected *to = &sink->objects[sink->count];

	if (sink->fail_with != 0)
		return err_set(err, sink->fail_with, "told to fail");
	if (sink->count == COLLECT_MAX)
		return ERR_LIMIT;
	*to = (struct collected){ .type = object->type, .oid = object->oid, .data = BUF_INIT };
	if (buf_append(&to->data, object->data, object->size) < 0) {
		buf_release(&to->data);
		return -ENOMEM;
	}
	sink->count++;
	return 0;
}

static inline int collect_begin(struct object_sink *base, enum object_type type, uint64_t size,
				void **stream_out, struct err *err)
{
	struct collected *stream = calloc(1, sizeof(*stream));

	(void)base;
	(void)size;
	(void)err;
	if (stream == NULL)
		return -ENOMEM;
	stream->type = type;
	*stream_out = stream;
	return 0;
}

static inline int collect_write(struct object_sink *base, void *stream, const uint8_t *data,
				size_t len, struct err *err)
{
	struct collected *to = stream;

	(void)base;
	(void)err;
	return buf_append(&to->data, data, len);
}

static inline int collect_end(struct object_sink *base, void *stream, const struct oid *oid,
			      struct err *err)
{
	struct collect_sink *sink = (struct collect_sink *)(void *)base;
	struct collected *from = stream;
	int rc = 0;

	(void)err;
	if (oid != NULL && sink->count < COLLECT_MAX) {
		from->oid = *oid;
		sink->objects[sink->count++] = *from;
		sink->streamed++;
	} else {
		rc = ERR_LIMIT;
		buf_release(&from->data);
	}
	free(from);
	return rc;
}

static inline const struct collected *collect_find(const struct collect_sink *sink,
						   const struct oid *oid)
{
	for (size_t i = 0; i < sink->count; i++)
		if (oid_equal(&sink->objects[i].oid, oid))
			return &sink->objects[i];
	return NULL;
}

static inline int collect_read(struct object_sink *base, const struct oid *oid,
			       enum object_type *type_out, struct buf *out)
{
	const struct collected *found = collect_find((struct collect_sink *)(void *)base, oid);

	if (found == NULL)
		return ERR_NOT_FOUND;
	*type_out = found->type;
	return buf_append(out, found->data.data, found->data.len);
}

static inline void collect_clear(struct collect_sink *sink)
{
	for (size_t i = 0; i < sink->count; i++)
		buf_release(&sink->objects[i].data);
	sink->count = 0;
	sink->streamed = 0;
}

static inline void collect_release(struct collect_sink *sink)
{
	collect_clear(sink);
	free(sink->objects);
}

static inline void collect_init(struct collect_sink *sink)
{
	*sink = (struct collect_sink){
		.base = {
			.object = collect_object,
			.begin = collect_begin,
			.write = collect_write,
			.end = collect_end,
			.read = collect_read,
		},
		.objects = calloc(COLLECT_MAX, sizeof(struct collected)),
	};
	if (sink->objects == NULL)
		abort();
}

#endif
