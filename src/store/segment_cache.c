/*
 * The descriptors of segments that are read from. A file in the table has one
 * reference of the table's and one for each reader; the one that was used the
 * longest time ago makes room for the next. It is closed when the last
 * reference goes, so that a reader never loses its descriptor.
 */
#include "store/segment_cache.h"

#include <fcntl.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/io.h"
#include "base/threads.h"
#include "store/segment.h"

void segment_cache_init(struct segment_cache *cache, int dirfd, enum hash_algo algo)
{
	*cache = (struct segment_cache){ .dirfd = dirfd, .algo = algo };
	pthread_mutex_init(&cache->lock, NULL);
}

static void file_free(struct segment_file *file)
{
	if (file == NULL)
		return;
	io_close(&file->fd);
	free(file);
}

void segment_cache_release(struct segment_cache *cache)
{
	for (size_t i = 0; i < SEGMENT_CACHE_FILES; i++)
		file_free(cache->files[i]);
	pthread_mutex_destroy(&cache->lock);
}

static struct segment_file *find_locked(struct segment_cache *cache, uint64_t id)
{
	for (size_t i = 0; i < SEGMENT_CACHE_FILES; i++) {
		struct segment_file *file = cache->files[i];

		if (file != NULL && file->head.id == id) {
			file->refs++;
			file->used_at = ++cache->clock;
			return file;
		}
	}
	return NULL;
}

/* Puts `file` into the table; returns one to free, if that closed its slot. */
static struct segment_file *insert_locked(struct segment_cache *cache, struct segment_file *file)
{
	struct segment_file *old;
	size_t slot = 0;

	for (size_t i = 0; i < SEGMENT_CACHE_FILES && cache->files[slot] != NULL; i++) {
		const struct segment_file *other = cache->files[i];

		if (other == NULL || other->used_at < cache->files[slot]->used_at)
			slot = i;
	}
	old = cache->files[slot];
	cache->files[slot] = file;
	file->refs = 2;
	file->used_at = ++cache->clock;
	return old != NULL && --old->refs == 0 ? old : NULL;
}

static int file_open(const struct segment_cache *cache, uint64_t id, struct segment_file **out)
{
	struct segment_file *file = calloc(1, sizeof(*file));
	char name[SEGMENT_NAME_MAX];
	int rc;

	if (file == NULL)
		return -ENOMEM;
	file->fd = io_open(cache->dirfd, segment_name(id, name), O_RDONLY, 0);
	rc = file->fd < 0 ? file->fd : segment_read_head(file->fd, id, cache->algo, &file->head);
	if (rc < 0) {
		file_free(file);
		return rc;
	}
	*out = file;
	return 0;
}

int segment_cache_get(struct segment_cache *cache, uint64_t id, struct segment_file **out)
{
	struct segment_file *found, *opened = NULL, *unused = NULL;
	int rc;

	pthread_mutex_lock(&cache->lock);
	found = find_locked(cache, id);
	pthread_mutex_unlock(&cache->lock);
	if (found != NULL) {
		*out = found;
		return 0;
	}
	rc = file_open(cache, id, &opened);
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&cache->lock);
	found = find_locked(cache, id); /* another thread may have been faster */
	if (found == NULL) {
		unused = insert_locked(cache, opened);
		found = opened;
	} else {
		unused = opened;
	}
	pthread_mutex_unlock(&cache->lock);
	file_free(unused);
	*out = found;
	return 0;
}

void segment_cache_put(struct segment_cache *cache, struct segment_file *file)
{
	bool last;

	pthread_mutex_lock(&cache->lock);
	last = --file->refs == 0;
	pthread_mutex_unlock(&cache->lock);
	if (last)
		file_free(file);
}
