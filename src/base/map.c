/*
 * Chains in an array of buckets whose number is a power of two; the array is
 * doubled when there are as many nodes as buckets. It never shrinks.
 *
 * Invariant: a node stands in the chain buckets[node->hash & mask], once.
 *
 * The hash is SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast short-input
 * PRF", with one and three rounds), keyed with 16 random bytes of the process;
 * the caller's seed is hashed as the first word of the message.
 */
#include "base/map.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/random.h>
#include <sys/types.h>

#define MAP_FIRST_BUCKETS ((size_t)16)

void map_release(struct map *map)
{
	free(map->buckets);
	*map = (struct map)MAP_INIT;
}

static void chain_push(struct map_node **buckets, size_t mask, struct map_node *node)
{
	struct map_node **head = &buckets[node->hash & mask];

	node->next = *head;
	*head = node;
}

/* `buckets` is a power of two. */
static int resize(struct map *map, size_t buckets)
{
	struct map_node **fresh = calloc(buckets, sizeof(struct map_node *));
	struct map_node *node;
	struct map_node *next;

	if (fresh == NULL)
		return -ENOMEM;
	for (node = map_first(map); node != NULL; node = next) {
		next = map_next(map, node);
		chain_push(fresh, buckets - 1, node);
	}
	free(map->buckets);
	map->buckets = fresh;
	map->mask = buckets - 1;
	return 0;
}

int map_insert(struct map *map, struct map_node *node, uint64_t hash)
{
	int rc = 0;

	if (map->buckets == NULL)
		rc = resize(map, MAP_FIRST_BUCKETS);
	else if (map->count > map->mask && map->mask < SIZE_MAX / 2)
		rc = resize(map, (map->mask + 1) * 2);
	if (rc < 0 && map->buckets == NULL)
		return rc;
	node->hash = hash;
	chain_push(map->buckets, map->mask, node);
	map->count++;
	return 0;
}

int map_reserve(struct map *map, size_t more)
{
	size_t have = map->buckets != NULL ? map->mask + 1 : 0;
	size_t buckets = MAP_FIRST_BUCKETS;
	size_t need;

	if (__builtin_add_overflow(map->count, more, &need) || need > SIZE_MAX / 2)
		return -ENOMEM;
	while (buckets < need)
		buckets *= 2;
	if (more == 0 || buckets <= have)
		return 0;
	return resize(map, buckets);
}

void map_remove(struct map *map, struct map_node *node)
{
	struct map_node **link;

	assert(map->buckets != NULL);
	link = &map->buckets[node->hash & map->mask];
	while (*link != NULL && *link != node)
		link = &(*link)->next;
	assert(*link == node);
	*link = node->next;
	node->next = NULL;
	map->count--;
}

static struct map_node *chain_seek(struct map_node *node, uint64_t hash)
{
	while (node != NULL && node->hash != hash)
		node = node->next;
	return node;
}

struct map_node *map_find(const struct map *map, uint64_t hash)
{
	if (map->buckets == NULL)
		return NULL;
	return chain_seek(map->buckets[hash & map->mask], hash);
}

struct map_node *map_find_next(const struct map_node *node)
{
	return chain_seek(node->next, node->hash);
}

/* The head of the first chain that is not empty, from `bucket` on. */
static struct map_node *first_from(const struct map *map, size_t bucket)
{
	for (; bucket <= map->mask; bucket++) {
		if (map->buckets[bucket] != NULL)
			return map->buckets[bucket];
	}
	return NULL;
}

struct map_node *map_first(const struct map *map)
{
	return map->buckets != NULL ? first_from(map, 0) : NULL;
}

struct map_node *map_next(const struct map *map, const struct map_node *node)
{
	if (node->next != NULL)
		return node->next;
	return first_from(map, (node->hash & map->mask) + 1);
}

static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static uint64_t process_key[2]; /* written under key_once alone */

static void draw_key(void)
{
	const void *boot = (const void *)getauxval(AT_RANDOM);
	ssize_t got;

	do {
		got = getrandom(process_key, sizeof(process_key), 0);
	} while (got < 0 && errno == EINTR);
	/* A sandbox may forbid getrandom(2); the kernel gave every process 16 bytes at exec. */
	if (got != (ssize_t)sizeof(process_key) && boot != NULL)
		memcpy(process_key, boot, sizeof(process_key));
}

static inline uint64_t rotl(uint64_t value, unsigned bits)
{
	return value << bits | value >> (64 - bits);
}

struct sip {
	uint64_t v0, v1, v2, v3;
};

static inline void sip_round(struct sip *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = rotl(s->v1, 13) ^ s->v0;
	s->v3 = rotl(s->v3, 16) ^ s->v2;
	s->v0 = rotl(s->v0, 32);
	s->v2 += s->v1;
	s->v0 += s->v3;
	s->v1 = rotl(s->v1, 17) ^ s->v2;
	s->v3 = rotl(s->v3, 21) ^ s->v0;
	s->v2 = rotl(s->v2, 32);
}

static inline void sip_word(struct sip *s, uint64_t word)
{
	s->v3 ^= word;
	sip_round(s);
	s->v0 ^= word;
}

/* Up to 8 bytes as a number, lowest first. */
static inline uint64_t load_le(const uint8_t *at, size_t len)
{
	uint64_t word = 0;

	for (size_t i = 0; i < len; i++)
		word |= (uint64_t)at[i] << (8 * i);
	return word;
}

uint64_t map_hash(const void *data, size_t len, uint64_t seed)
{
	const uint8_t *bytes = data;
	size_t whole = len & ~(size_t)7;
	uint64_t last = (uint64_t)(len & 0xff) << 56;
	struct sip s;

	pthread_once(&key_once, draw_key);
	s.v0 = process_key[0] ^ 0x736f6d6570736575;
	s.v1 = process_key[1] ^ 0x646f72616e646f6d;
	s.v2 = process_key[0] ^ 0x6c7967656e657261;
	s.v3 = process_key[1] ^ 0x7465646279746573;
	sip_word(&s, seed);
	for (size_t i = 0; i < whole; i += 8)
		sip_word(&s, load_le(bytes + i, 8));
	if (len > whole)
		last |= load_le(bytes + whole, len - whole);
	sip_word(&s, last);
	s.v2 ^= 0xff;
	sip_round(&s);
	sip_round(&s);
	sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
