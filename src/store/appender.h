/*
 * The segment that this process appends to, shared by all its writers. Space
 * is handed out under a mutex; the bytes are written by each writer outside of
 * it. A segment is held by flock(2) while it is active, so that each is
 * appended by one process alone.
 */
#ifndef GIT_FS_STORE_APPENDER_H
#define GIT_FS_STORE_APPENDER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "git/oid.h"
#include "store/index.h"
#include "store/record.h"

/* One segment under appending. */
struct active {
	struct segment_head head;
	int fd;
	uint64_t tail; /* guarded by appender->lock; where the next record begins */
	unsigned refs; /* guarded by appender->lock; extents, and one while it is current */
};

struct appender {
	int dirfd;           /* segments/; borrowed */
	struct index *index; /* borrowed */
	enum hash_algo algo;
	uint64_t segment_bytes;
	pthread_mutex_t lock; /* a leaf: nothing is taken and no disk touched under it */
	pthread_cond_t changed;
	bool opening;           /* guarded by lock; one thread looks for a segment */
	struct active *current; /* guarded by lock; NULL: none yet, or full */
};

/* Space for one record. */
struct extent {
	struct active *active;
	uint64_t offset;
	uint64_t end; /* where the next record begins */
};

int appender_init(struct appender *appender, int dirfd, struct index *index, enum hash_algo algo,
		  uint64_t segment_bytes) __attribute__((warn_unused_result));
/* No extent may be out. Leaves the segment to others. */
void appender_release(struct appender *appender);

/* Room for a record that stores so many bytes after its head. */
int appender_reserve(struct appender *appender, uint64_t stored, struct extent *out)
	__attribute__((warn_unused_result));
/* The record in it is written, whole. */
void appender_done(struct appender *appender, const struct extent *extent);
/* It is not, and will not be: the space is given back if nothing follows it,
 * and is dead otherwise. */
void appender_abandon(struct appender *appender, const struct extent *extent);

#endif
