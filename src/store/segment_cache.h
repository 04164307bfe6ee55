/*
 * Open segments for reading: a bounded set of descriptors, shared by all
 * threads. Segments come and go by other processes' hands; one that is gone
 * is ERR_NOT_FOUND.
 */
#ifndef GIT_FS_STORE_SEGMENT_CACHE_H
#define GIT_FS_STORE_SEGMENT_CACHE_H

#include <pthread.h>
#include <stdint.h>

#include "git/oid.h"
#include "store/record.h"

#define SEGMENT_CACHE_FILES 64 /* descriptors kept; more only while in use */

struct segment_file {
	int fd;
	struct segment_head head;
	unsigned refs;    /* guarded by cache->lock; one is the table's own */
	uint64_t used_at; /* guarded by cache->lock */
};

struct segment_cache {
	int dirfd; /* borrowed */
	enum hash_algo algo;
	pthread_mutex_t lock; /* a leaf: nothing is taken and no disk touched under it */
	struct segment_file *files[SEGMENT_CACHE_FILES]; /* guarded by lock */
	uint64_t clock;                                  /* guarded by lock */
};

void segment_cache_init(struct segment_cache *cache, int dirfd, enum hash_algo algo);
void segment_cache_release(struct segment_cache *cache); /* none may be in use */

/* ERR_NOT_FOUND: no such file; ERR_CORRUPT: its head is bad. */
int segment_cache_get(struct segment_cache *cache, uint64_t id, struct segment_file **out)
	__attribute__((warn_unused_result));
void segment_cache_put(struct segment_cache *cache, struct segment_file *file);

#endif
