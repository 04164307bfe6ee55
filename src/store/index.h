/*
 * The index: oid -> place in a segment, oid -> size that a server told, segment
 * -> length at which it was left whole. LMDB, shared by all processes; nothing
 * else in the program includes it.
 *
 * Everything in it but the told sizes can be made again from the segments. Each
 * value carries a CRC of its own and its key, as LMDB has none; one that fails
 * is not there. Safe to use from several threads; calls may block on the page
 * cache and on other writers. Errors beyond those named: ERR_CORRUPT where LMDB
 * finds damage (index_damaged() is true from then on), -ENOSPC.
 */
#ifndef GIT_FS_STORE_INDEX_H
#define GIT_FS_STORE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "git/oid.h"
#include "store/presence.h"
#include "store/record.h"

struct index;

struct index_config {
	const char *path;          /* the folder */
	int dirfd;                 /* the same, open; borrowed for the call */
	uint64_t map_bytes;        /* first size of the map */
	struct presence *presence; /* told before the first write; must outlive the index */
};

struct index_item {
	struct oid oid;
	struct place place; /* place.segment == 0: skipped */
};

/* `make`: throw away what is there and begin an empty one, which nobody else
 * may have open. Otherwise ERR_CORRUPT where there is no whole one. */
int index_open(struct index **out, const struct index_config *config, bool make)
	__attribute__((warn_unused_result));
void index_close(struct index *index); /* NULL is allowed */
int index_sync(struct index *index) __attribute__((warn_unused_result));
bool index_damaged(const struct index *index);

/* Where an object lies. ERR_NOT_FOUND. */
int index_get(struct index *index, const struct oid *oid, struct place *out)
	__attribute__((warn_unused_result));
/* The size that was told of an object. ERR_NOT_FOUND. */
int index_get_size(struct index *index, const struct oid *oid, uint64_t *out)
	__attribute__((warn_unused_result));

/* Publishes objects, all or none; sizes told of them are dropped. */
int index_put(struct index *index, const struct index_item *items, size_t count)
	__attribute__((warn_unused_result));
/* Remembers sizes of objects that have no place. */
int index_put_sizes(struct index *index, const struct oid *oids, const uint64_t *sizes,
		    size_t count) __attribute__((warn_unused_result));
/* Forgets an object, if it is still at that place; a blob's size is kept as if told. */
int index_drop(struct index *index, const struct index_item *item)
	__attribute__((warn_unused_result));

/* The length at which a segment was left by its last writer. ERR_NOT_FOUND. */
int index_get_tail(struct index *index, uint64_t segment, uint64_t *out)
	__attribute__((warn_unused_result));
int index_put_tail(struct index *index, uint64_t segment, uint64_t tail)
	__attribute__((warn_unused_result));

int index_count(struct index *index, uint64_t *objects_out, uint64_t *sizes_out)
	__attribute__((warn_unused_result));

#endif
