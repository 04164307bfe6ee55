/*
 * A hash table by oid, and a ring by use that the cache's own link closes:
 * ring.older is the newest object, ring.newer the oldest.
 */
#include "git/pack_cache.h"

#include <stdlib.h>

static void ring_remove(struct pack_cache_link *link)
{
	link->newer->older = link->older;
	link->older->newer = link->newer;
}

static void ring_add_newest(struct pack_cache *cache, struct pack_cache_link *link)
{
	link->newer = &cache->ring;
	link->older = cache->ring.older;
	link->older->newer = link;
	cache->ring.older = link;
}

static size_t cached_bytes(const struct buf *data)
{
	return data->cap + sizeof(struct pack_cached);
}

static void cached_drop(struct pack_cache *cache, struct pack_cached *cached)
{
	map_remove(&cache->by_oid, &cached->node);
	ring_remove(&cached->link);
	cache->bytes -= cached_bytes(&cached->data);
	buf_release(&cached->data);
	free(cached);
}

/* Drops the oldest objects until at most `bytes` are held. */
static void cache_shrink(struct pack_cache *cache, size_t bytes)
{
	while (cache->bytes > bytes)
		cached_drop(cache, MAP_ENTRY(cache->ring.newer, struct pack_cached, link));
}

void pack_cache_init(struct pack_cache *cache, size_t max)
{
	cache->by_oid = (struct map)MAP_INIT;
	cache->ring.newer = &cache->ring;
	cache->ring.older = &cache->ring;
	cache->bytes = 0;
	cache->max = max;
}

void pack_cache_release(struct pack_cache *cache)
{
	cache_shrink(cache, 0);
	map_release(&cache->by_oid);
}

static struct pack_cached *cache_find(const struct pack_cache *cache, const struct oid *oid)
{
	struct map_node *node = map_find(&cache->by_oid, oid_hash(oid));

	for (; node != NULL; node = map_find_next(node)) {
		struct pack_cached *cached = MAP_ENTRY(node, struct pack_cached, node);

		if (oid_equal(&cached->oid, oid))
			return cached;
	}
	return NULL;
}

const struct pack_cached *pack_cache_get(struct pack_cache *cache, const struct oid *oid)
{
	struct pack_cached *cached = cache_find(cache, oid);

	if (cached != NULL) {
		ring_remove(&cached->link);
		ring_add_newest(cache, &cached->link);
	}
	return cached;
}

static void cache_insert(struct pack_cache *cache, const struct oid *oid, enum object_type type,
			 struct buf *data)
{
	struct pack_cached *cached;
	size_t bytes = cached_bytes(data);

	/* One large object must not push out all the small ones. */
	if (bytes > cache->max / 8 || cache_find(cache, oid) != NULL)
		return;
	cached = calloc(1, sizeof(*cached));
	if (cached == NULL)
		return;
	if (map_insert(&cache->by_oid, &cached->node, oid_hash(oid)) < 0) {
		free(cached);
		return;
	}
	cache_shrink(cache, cache->max - bytes);
	ring_add_newest(cache, &cached->link);
	cached->oid = *oid;
	cached->type = type;
	cached->data = *data;
	*data = (struct buf)BUF_INIT_MAX(data->max);
	cache->bytes += bytes;
}

void pack_cache_put(struct pack_cache *cache, const struct oid *oid, enum object_type type,
		    struct buf *data)
{
	cache_insert(cache, oid, type, data);
	buf_release(data);
}
