/*
 * A keeper of objects in memory, for tests and fuzz targets. It believes
 * nothing: each object is hashed again, its deflated form inflated again, and
 * a broken promise of the giver ends the process by assert.
 */
#ifndef GIT_FS_TESTS_MEM_SINK_H
#define GIT_FS_TESTS_MEM_SINK_H

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/map.h"
#include "git/hash.h"
#include "git/object.h"
#include "git/zstream.h"

struct mem_object {
	struct map_node node;
	struct oid oid;
	enum object_type type;
	struct buf data;
	size_t given;  /* how many times */
	bool deflated; /* came with its deflated form */
	bool streamed;
};

struct mem_sink {
	struct object_sink sink; /* the first member */
	struct map objects;
	struct hasher *hasher;
	size_t calls;            /* of object and end */
	size_t deflated_count;   /* objects that came with their deflated form */
	size_t streamed_count;
	size_t reads;            /* calls of read */
	size_t fail_at;          /* this call of any function fails with -EDQUOT; 0: none */
	size_t touched;          /* calls of any function */
	struct mem_object *open; /* the stream */
	uint64_t open_left;
};

static inline bool mem_sink_fails(struct mem_sink *mem)
{
	return ++mem->touched == mem->fail_at;
}

static inline struct mem_object *mem_sink_find(const struct mem_sink *mem, const struct oid *oid)
{
	struct map_node *node = map_find(&mem->objects, oid_hash(oid));

	for (; node != NULL; node = map_find_next(node)) {
		struct mem_object *object = MAP_ENTRY(node, struct mem_object, node);

		if (oid_equal(&object->oid, oid))
			return object;
	}
	return NULL;
}

static inline void mem_object_free(struct mem_object *object)
{
	buf_release(&object->data);
	free(object);
}

/* Takes the object; one that is there already must be the same. */
static inline int mem_sink_keep(struct mem_sink *mem, struct mem_object *object)
{
	struct mem_object *known = mem_sink_find(mem, &object->oid);
	struct oid oid;
	int rc;

	assert(hasher_object(mem->hasher, object->type, object->data.data, object->data.len,
			     &oid) == 0);
	assert(oid_equal(&oid, &object->oid));
	if (known != NULL) {
		known->given++;
		mem_object_free(object);
		return 0;
	}
	object->given = 1;
	rc = map_insert(&mem->objects, &object->node, oid_hash(&object->oid));
	if (rc < 0)
		mem_object_free(object);
	return rc;
}

/* The deflated form is one zlib stream, to its last byte, of the same bytes. */
static inline int mem_sink_check_deflated(const struct object *object)
{
	AUTO_BUF struct buf raw = BUF_INIT;
	size_t used;
	int rc = buf_reserve(&raw, object->size + 1);

	if (rc < 0)
		return rc;
	rc = zstream_inflate(object->deflated, object->deflated_len, raw.data, object->size, &used);
	if (rc == -ENOMEM)
		return rc;
	assert(rc == 0 && used == object->deflated_len);
	assert(memcmp(raw.data, object->data, object->size) == 0);
	return 0;
}

static inline int mem_sink_object(struct object_sink *sink, const struct object *object,
				  struct err *err)
{
	struct mem_sink *mem = (struct mem_sink *)sink;
	struct mem_object *made;
	int rc = 0;

	assert(mem->open == NULL && object->data != NULL);
	if (mem_sink_fails(mem))
		return err_set(err, -EDQUOT, "the sink failed");
	if (object->deflated != NULL)
		rc = mem_sink_check_deflated(object);
	if (rc < 0)
		return rc;
	made = calloc(1, sizeof(*made));
	if (made == NULL)
		return -ENOMEM;
	made->oid = object->oid;
	made->type = object->type;
	made->deflated = object->deflated != NULL;
	rc = buf_append(&made->data, object->data, object->size);
	if (rc < 0) {
		mem_object_free(made);
		return rc;
	}
	mem->calls++;
	mem->deflated_count += made->deflated;
	return mem_sink_keep(mem, made);
}

static inline int mem_sink_begin(struct object_sink *sink, enum object_type type, uint64_t size,
				 void **stream_out, struct err *err)
{
	struct mem_sink *mem = (struct mem_sink *)sink;

	assert(mem->open == NULL && size > OBJECT_WHOLE_MAX);
	if (mem_sink_fails(mem))
		return err_set(err, -EDQUOT, "the sink failed");
	mem->open = calloc(1, sizeof(*mem->open));
	if (mem->open == NULL)
		return -ENOMEM;
	mem->open->type = type;
	mem->open->streamed = true;
	mem->open_left = size;
	*stream_out = mem->open;
	return 0;
}

static inline int mem_sink_write(struct object_sink *sink, void *stream, const uint8_t *data,
				 size_t len, struct err *err)
{
	struct mem_sink *mem = (struct mem_sink *)sink;

	assert(mem->open != NULL && stream == mem->open && len <= mem->open_left);
	if (mem_sink_fails(mem))
		return err_set(err, -EDQUOT, "the sink failed");
	mem->open_left -= len;
	return buf_append(&mem->open->data, data, len);
}

static inline int mem_sink_end(struct object_sink *sink, void *stream, const struct oid *oid,
			       struct err *err)
{
	struct mem_sink *mem = (struct mem_sink *)sink;
	struct mem_object *object = mem->open;

	assert(object != NULL && stream == object);
	mem->open = NULL;
	if (oid == NULL || mem_sink_fails(mem)) {
		mem_object_free(object);
		return err_set(err, -EDQUOT, "the sink failed");
	}
	assert(mem->open_left == 0);
	object->oid = *oid;
	mem->calls++;
	mem->streamed_count++;
	return mem_sink_keep(mem, object);
}

static inline int mem_sink_read(struct object_sink *sink, const struct oid *oid,
				enum object_type *type_out, struct buf *out)
{
	struct mem_sink *mem = (struct mem_sink *)sink;
	struct mem_object *object;
	int rc;

	if (mem_sink_fails(mem))
		return -EDQUOT;
	mem->reads++;
	object = mem_sink_find(mem, oid);
	if (object == NULL)
		return ERR_NOT_FOUND;
	rc = buf_append(out, object->data.data, object->data.len);
	if (rc < 0)
		return rc;
	*type_out = object->type;
	return 0;
}

/* Allocates for nothing but the hasher; false where that fails. */
static inline bool mem_sink_init(struct mem_sink *mem, enum hash_algo algo)
{
	*mem = (struct mem_sink){
		.sink = {
			.object = mem_sink_object,
			.begin = mem_sink_begin,
			.write = mem_sink_write,
			.end = mem_sink_end,
			.read = mem_sink_read,
		},
		.objects = MAP_INIT,
		.hasher = hasher_new(algo),
	};
	return mem->hasher != NULL;
}

static inline void mem_sink_release(struct mem_sink *mem)
{
	struct map_node *node = map_first(&mem->objects);

	assert(mem->open == NULL); /* every stream was ended */
	while (node != NULL) {
		struct mem_object *object = MAP_ENTRY(node, struct mem_object, node);

		node = map_next(&mem->objects, node);
		mem_object_free(object);
	}
	map_release(&mem->objects);
	hasher_free(mem->hasher);
}

#endif
