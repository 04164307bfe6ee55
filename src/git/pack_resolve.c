/*
 * States of a delta:
 *
 *   ready    its base has an oid; it is on the work list
 *   waiting  its base is an entry that itself is unresolved (OFS_DELTA), or an
 *            object that neither this pack nor the keeper has given yet
 *            (REF_DELTA); it is in `waiting`, under the offset or the oid
 *   gone     the object that it stands for was given
 *
 *   (new) -> ready | waiting;  ready -> gone | waiting (REF_DELTA: not found);
 *   waiting -> ready, when an object of that offset or oid was given
 *
 * The work list is a stack: what stands on an object is resolved right after
 * it, while it is in the cache. Only a given object wakes deltas, and each
 * delta gives one object at most, so that the work ends whatever the pack
 * says; a circle of REF_DELTAs just waits until the end.
 */
#include "git/pack_resolve.h"

#include <inttypes.h>
#include <stdlib.h>

#include "git/delta.h"
#include "git/pack.h"

#define HASH_SEED_OFFSET 1
#define HASH_SEED_OID 2

struct pack_delta {
	struct map_node node;    /* in `waiting` */
	struct pack_delta *next; /* in `ready` */
	struct pack_base base;
	size_t place; /* of its own entry, in the table */
	struct buf bytes;
};

static void delta_free(struct pack_delta *delta)
{
	buf_release(&delta->bytes);
	free(delta);
}

static size_t delta_memory(const struct pack_delta *delta)
{
	return sizeof(*delta) + delta->bytes.cap;
}

/* Foreign bytes: the hash is seeded so that nobody can choose collisions. */
static uint64_t hash_offset(uint64_t offset)
{
	return map_hash(&offset, sizeof(offset), HASH_SEED_OFFSET);
}

static uint64_t hash_oid(const struct oid *oid)
{
	return map_hash(oid, sizeof(*oid), HASH_SEED_OID);
}

int pack_resolver_init(struct pack_resolver *resolver, enum hash_algo algo,
		       struct object_sink *sink)
{
	struct hasher *hasher = hasher_new(algo);

	if (hasher == NULL)
		return -ENOMEM;
	*resolver = (struct pack_resolver){
		.sink = sink,
		.hasher = hasher,
		.table = PACK_TABLE_INIT,
		.waiting = MAP_INIT,
	};
	pack_cache_init(&resolver->cache, PACK_CACHE_MAX);
	return 0;
}

void pack_resolver_release(struct pack_resolver *resolver)
{
	struct map_node *node = map_first(&resolver->waiting);
	struct pack_delta *delta;

	while (node != NULL) {
		delta = MAP_ENTRY(node, struct pack_delta, node);
		node = map_next(&resolver->waiting, node);
		delta_free(delta);
	}
	map_release(&resolver->waiting);
	while (resolver->ready != NULL) {
		delta = resolver->ready;
		resolver->ready = delta->next;
		delta_free(delta);
	}
	pack_cache_release(&resolver->cache);
	pack_table_release(&resolver->table);
	hasher_free(resolver->hasher);
}

static void delta_push(struct pack_resolver *resolver, struct pack_delta *delta)
{
	delta->next = resolver->ready;
	resolver->ready = delta;
}

/* On failure the delta is still the caller's. */
static int delta_wait(struct pack_resolver *resolver, struct pack_delta *delta, struct err *err)
{
	const struct pack_base *base = &delta->base;
	size_t bytes = delta_memory(delta);
	int rc;

	if (bytes > PACK_PENDING_MAX - resolver->waiting_bytes)
		return err_set(err, ERR_LIMIT,
			       "pack: deltas before their bases are over %zu bytes at offset %"
			       PRIu64,
			       PACK_PENDING_MAX, resolver->table.places[delta->place].offset);
	rc = map_insert(&resolver->waiting, &delta->node,
			base->offset > 0 ? hash_offset(base->offset) : hash_oid(&base->oid));
	if (rc < 0)
		return err_set(err, rc, "pack: no memory for deltas that wait");
	resolver->waiting_bytes += bytes;
	return 0;
}

static bool delta_stands_on(const struct pack_delta *delta, const struct pack_place *place)
{
	if (delta->base.offset > 0)
		return delta->base.offset == place->offset;
	return oid_equal(&delta->base.oid, &place->oid);
}

/* Makes ready what waits under `hash` for the object at `place`. */
static void wake_hash(struct pack_resolver *resolver, const struct pack_place *place, uint64_t hash)
{
	struct map_node *node = map_find(&resolver->waiting, hash);

	while (node != NULL) {
		struct pack_delta *delta = MAP_ENTRY(node, struct pack_delta, node);

		node = map_find_next(node);
		if (!delta_stands_on(delta, place))
			continue;
		map_remove(&resolver->waiting, &delta->node);
		resolver->waiting_bytes -= delta_memory(delta);
		delta->base.oid = place->oid;
		delta_push(resolver, delta);
	}
}

/* The sink has the object of this entry. */
static void place_given(struct pack_resolver *resolver, size_t index, const struct oid *oid)
{
	struct pack_place *place = &resolver->table.places[index];

	place->oid = *oid;
	resolver->given++;
	if (resolver->waiting.count == 0)
		return;
	wake_hash(resolver, place, hash_offset(place->offset));
	wake_hash(resolver, place, hash_oid(oid));
}

/* Hashes, gives, and caches an object; takes the bytes out of `data`. */
static int object_give(struct pack_resolver *resolver, size_t place, struct object *object,
		       struct buf *data, struct err *err)
{
	int rc;

	object->data = data->data != NULL ? data->data : (const uint8_t *)"";
	object->size = data->len;
	rc = hasher_object(resolver->hasher, object->type, object->data, object->size,
			   &object->oid);
	if (rc < 0)
		return err_set(err, rc, "pack: hashing the object at offset %" PRIu64 " failed",
			       resolver->table.places[place].offset);
	rc = resolver->sink->object(resolver->sink, object, err);
	if (rc < 0)
		return rc;
	pack_cache_put(&resolver->cache, &object->oid, object->type, data);
	place_given(resolver, place, &object->oid);
	return 0;
}

/* Finds the base's bytes, in the cache or by reading them into `read`. */
static int base_load(struct pack_resolver *resolver, const struct oid *oid, struct buf *read,
		     struct cursor *bytes_out, enum object_type *type_out)
{
	const struct pack_cached *cached = pack_cache_get(&resolver->cache, oid);
	int rc;

	if (cached != NULL) {
		*bytes_out = cursor_of(cached->data.data, cached->data.len);
		*type_out = cached->type;
		return 0;
	}
	rc = resolver->sink->read(resolver->sink, oid, type_out, read);
	if (rc < 0)
		return rc;
	*bytes_out = cursor_of(read->data, read->len);
	return 0;
}

static int delta_fail(const struct pack_resolver *resolver, const struct pack_delta *delta, int rc,
		      const char *what, struct err *err)
{
	char hex[OID_HEX_MAX + 1];

	return err_set(err, rc, "pack: the delta at offset %" PRIu64 " on %s: %s: %s",
		       resolver->table.places[delta->place].offset,
		       oid_to_hex(&delta->base.oid, hex), what, err_name(rc));
}

/* 0: given; 1: its base is not to be had yet. */
static int delta_resolve(struct pack_resolver *resolver, const struct pack_delta *delta,
			 struct err *err)
{
	AUTO_BUF struct buf read = BUF_INIT_MAX(OBJECT_MEMORY_MAX);
	AUTO_BUF struct buf result = BUF_INIT_MAX(OBJECT_MEMORY_MAX);
	struct object object = { .deflated = NULL };
	struct cursor base;
	int rc;

	rc = base_load(resolver, &delta->base.oid, &read, &base, &object.type);
	if (rc == ERR_NOT_FOUND && delta->base.offset == 0)
		return 1;
	if (rc < 0)
		return delta_fail(resolver, delta, rc, "the base cannot be read", err);
	rc = delta_apply(base.ptr, base.left, delta->bytes.data, delta->bytes.len, &result);
	if (rc < 0)
		return delta_fail(resolver, delta, rc, "it cannot be applied", err);
	/* A base that had to be read will be wanted by the deltas beside this one. */
	if (read.data != NULL)
		pack_cache_put(&resolver->cache, &delta->base.oid, object.type, &read);
	return object_give(resolver, delta->place, &object, &result, err);
}

static int work(struct pack_resolver *resolver, struct err *err)
{
	struct pack_delta *delta;
	int rc;

	while (resolver->ready != NULL) {
		delta = resolver->ready;
		resolver->ready = delta->next;
		rc = delta_resolve(resolver, delta, err);
		if (rc == 1) {
			rc = delta_wait(resolver, delta, err);
			if (rc == 0)
				continue;
		}
		delta_free(delta);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int pack_resolver_object(struct pack_resolver *resolver, struct object *object, struct buf *data,
			 struct err *err)
{
	int rc = object_give(resolver, resolver->table.count - 1, object, data, err);

	return rc < 0 ? rc : work(resolver, err);
}

int pack_resolver_streamed(struct pack_resolver *resolver, const struct oid *oid, struct err *err)
{
	place_given(resolver, resolver->table.count - 1, oid);
	return work(resolver, err);
}

int pack_resolver_delta(struct pack_resolver *resolver, const struct pack_base *base,
			struct buf *delta, struct err *err)
{
	struct pack_delta *made;
	int rc;

	made = malloc(sizeof(*made));
	if (made == NULL)
		return err_set(err, -ENOMEM, "pack: no memory for a delta");
	*made = (struct pack_delta){
		.base = *base,
		.place = resolver->table.count - 1,
		.bytes = *delta,
	};
	*delta = (struct buf)BUF_INIT;
	if (oid_is_set(&made->base.oid)) {
		delta_push(resolver, made);
		return work(resolver, err);
	}
	rc = delta_wait(resolver, made, err);
	if (rc < 0)
		delta_free(made);
	return rc;
}

int pack_resolver_finish(const struct pack_resolver *resolver, struct err *err)
{
	const struct pack_delta *delta;

	if (resolver->waiting.count == 0)
		return 0;
	delta = MAP_ENTRY(map_first(&resolver->waiting), struct pack_delta, node);
	return err_set(err, ERR_CORRUPT, "pack: %zu deltas have no base, one at offset %" PRIu64,
		       resolver->waiting.count, resolver->table.places[delta->place].offset);
}
