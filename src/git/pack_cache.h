/*
 * Recent objects of a pack, kept as bases for the deltas that follow them:
 * bounded, the least recently used dropped first. Internal to the pack parser.
 */
#ifndef GIT_FS_GIT_PACK_CACHE_H
#define GIT_FS_GIT_PACK_CACHE_H

#include <stddef.h>

#include "base/buf.h"
#include "base/map.h"
#include "git/object.h"
#include "git/oid.h"

/* Neighbours in the order of use; the cache's own link closes the ring. */
struct pack_cache_link {
	struct pack_cache_link *newer;
	struct pack_cache_link *older;
};

struct pack_cached {
	struct map_node node;        /* by oid */
	struct pack_cache_link link; /* by use */
	struct oid oid;
	enum object_type type;
	struct buf data; /* owned */
};

struct pack_cache {
	struct map by_oid;
	struct pack_cache_link ring; /* .older: the newest; .newer: the oldest */
	size_t bytes;                /* memory of all objects, with their structs */
	size_t max;
};

void pack_cache_init(struct pack_cache *cache, size_t max);
void pack_cache_release(struct pack_cache *cache);

/* The object, now the most recently used, or NULL. Borrowed until the next
 * pack_cache_put. */
const struct pack_cached *pack_cache_get(struct pack_cache *cache, const struct oid *oid);
/* Takes the bytes out of `data`, which is empty afterwards. An object that is
 * there already, is larger than an eighth of the cache, or finds no memory is
 * dropped: the cache makes things faster and nothing else. */
void pack_cache_put(struct pack_cache *cache, const struct oid *oid, enum object_type type,
		    struct buf *data);

#endif
