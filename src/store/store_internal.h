/*
 * What the files of the store share.
 */
#ifndef GIT_FS_STORE_STORE_INTERNAL_H
#define GIT_FS_STORE_STORE_INTERNAL_H

#include <stdatomic.h>
#include <sys/types.h>

#include "store/appender.h"
#include "store/index.h"
#include "store/presence.h"
#include "store/record.h"
#include "store/segment_cache.h"
#include "store/store.h"

struct store {
	char *dir; /* owned; for words */
	int dirfd;
	int segments_fd;
	int index_fd;
	enum hash_algo algo;
	struct presence presence;
	struct index *index;
	struct segment_cache cache;
	struct appender appender;
	atomic_uint_least64_t bad_records;
	bool rebuilt;

	/* One store, one handle: LMDB must not be opened twice in a process. */
	dev_t dev;
	ino_t ino;
	struct store *next; /* guarded by the lock of the list in store.c */
};

/* Makes an index's entries from the segments; those without a whole head are
 * removed. Nobody else may have the store open. */
int rebuild_index(struct index *index, int segments_fd, enum hash_algo algo)
	__attribute__((warn_unused_result));

/* The contents of a record, appended to `out`. ERR_CORRUPT: the record is bad,
 * or gone. */
int record_read(struct store *store, const struct index_item *item, struct buf *out)
	__attribute__((warn_unused_result));

#endif
