/*
 * Segment files as a whole: their names, their heads, and the scan that finds
 * the records in one without an index.
 */
#ifndef GIT_FS_STORE_SEGMENT_H
#define GIT_FS_STORE_SEGMENT_H

#include <stdint.h>

#include "git/oid.h"
#include "store/record.h"

#define SEGMENT_NAME_MAX 24 /* bytes of "<16 hex digits>.seg" with the NUL, and some */

/* Writes the file name of segment `id` to `out` (SEGMENT_NAME_MAX); returns out. */
char *segment_name(uint64_t id, char *out);

/* Calls `each` for every file in `dirfd` that is named like a segment, in no
 * order; ends at the first result that is not 0 and returns it. */
typedef int segment_each_fn(void *arg, uint64_t id);
int segment_each(int dirfd, segment_each_fn *each, void *arg) __attribute__((warn_unused_result));

/* Reads the head of an open segment. ERR_CORRUPT: it is none of that id and algorithm. */
int segment_read_head(int fd, uint64_t id, enum hash_algo algo, struct segment_head *out)
	__attribute__((warn_unused_result));

/*
 * Calls `each` for every complete record whose extent lies in the file, in the
 * order of the file; payloads are not read. Damage costs the records that it
 * touches: the scan goes on at the next whole head. *tail_out is where the last
 * complete record's span ends: nothing beyond is of use. A result of `each`
 * that is not 0 ends the scan and is returned.
 */
typedef int segment_record_fn(void *arg, const struct record *record, uint64_t offset);
int segment_scan(int fd, const struct segment_head *head, segment_record_fn *each, void *arg,
		 uint64_t *tail_out) __attribute__((warn_unused_result));

#endif
