/*
 * An intrusive hash table: the caller embeds a map_node, computes the hash,
 * and compares keys itself. It owns the bucket array alone. Not locked.
 */
#ifndef GIT_FS_BASE_MAP_H
#define GIT_FS_BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

struct map_node {
	struct map_node *next;
	uint64_t hash;
};

struct map {
	struct map_node **buckets; /* owned; NULL while empty */
	size_t mask;               /* number of buckets - 1, a power of two less one */
	size_t count;
};

#define MAP_INIT { .buckets = NULL, .mask = 0, .count = 0 }

void map_release(struct map *map); /* the nodes are the caller's */

/* -ENOMEM only where the first bucket array cannot be had; a failed growth
 * makes the chains longer and nothing else. */
int map_insert(struct map *map, struct map_node *node, uint64_t hash)
	__attribute__((warn_unused_result));
/* Makes room for `more` nodes at once, so that inserting them cannot fail. */
int map_reserve(struct map *map, size_t more) __attribute__((warn_unused_result));
/* The node must be in the map. */
void map_remove(struct map *map, struct map_node *node);

/* First and next node whose hash is equal; NULL at the end. */
struct map_node *map_find(const struct map *map, uint64_t hash);
struct map_node *map_find_next(const struct map_node *node);

/* Visits every node once in no order: for (n = map_first(m); n; n = map_next(m, n)).
 * The visited node may not be removed before the next is asked for. */
struct map_node *map_first(const struct map *map);
struct map_node *map_next(const struct map *map, const struct map_node *node);

/* A well-mixed hash of bytes, seeded once per process (foreign names cannot
 * be chosen so that they collide). */
uint64_t map_hash(const void *data, size_t len, uint64_t seed);

#define MAP_ENTRY(node, type, member) \
	((type *)(void *)((char *)(node) - offsetof(type, member)))

#endif
