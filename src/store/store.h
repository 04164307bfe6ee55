/*
 * The store: a local cache of verified git objects, one per remote, shared by
 * every process that mounts it.
 *
 * Contents lie in append-only segment files, each written by one process; an
 * LMDB index says where (oid -> place, type, size) and can be made again from
 * the segments. An object's hash was checked by whoever gave it, once; each
 * record carries a CRC that is checked on every read, and a record that fails
 * is a miss. docs/formats.md has the layouts.
 *
 * Safe to use from several threads. Calls block on the disk, never on the
 * network. A store is opened once per process and never taken across fork.
 * Losing the folder loses nothing but time.
 */
#ifndef GIT_FS_STORE_STORE_H
#define GIT_FS_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "git/object.h"
#include "git/oid.h"

struct store;

struct store_config {
	const char *dir;        /* made with mode 0700 where missing; not on a network filesystem */
	enum hash_algo algo;    /* a folder made for the other algorithm is -EINVAL */
	uint64_t segment_bytes; /* a segment is closed when it is larger; 0: 256 MiB */
	uint64_t map_bytes;     /* first size of the index map, grown as needed; 0: 64 MiB */
	const char *boot_id_path; /* holds the id of the running boot; NULL: the one in /proc */
};

struct store_info {
	enum object_type type; /* OBJECT_BLOB where only the size was told: it is told of blobs */
	uint64_t size;         /* bytes, inflated */
	bool present;          /* contents are here; false: only the size was told */
};

/* Opens or makes it; discards and rebuilds the index after an unclean boot, or
 * when it is damaged. -EBUSY: opened twice in one process; ERR_UNSUPPORTED: on a
 * network filesystem; ERR_TIMEOUT: another process keeps it locked. */
int store_open(struct store **out, const struct store_config *config, struct err *err)
	__attribute__((warn_unused_result));
void store_close(struct store *store); /* NULL is allowed */

/* What is known of an object. ERR_NOT_FOUND. */
int store_info(struct store *store, const struct oid *oid, struct store_info *out)
	__attribute__((warn_unused_result));
/* The whole contents, appended to `out`. ERR_NOT_FOUND: not here, or its record
 * is bad (it is then dropped from the index, and counted). */
int store_read(struct store *store, const struct oid *oid, enum object_type *type_out,
	       struct buf *out) __attribute__((warn_unused_result));
/* Up to `len` bytes at `offset`; the number read, 0 at or beyond the end. Cheap at
 * any offset of a large object. Errors as store_read; what `data` then holds is
 * not to be used. */
ssize_t store_read_at(struct store *store, const struct oid *oid, uint64_t offset, void *data,
		      size_t len) __attribute__((warn_unused_result));

/* Remembers sizes that a server told. An object that is here keeps its own. */
int store_put_sizes(struct store *store, const struct oid *oids, const uint64_t *sizes,
		    size_t count) __attribute__((warn_unused_result));

/*
 * A writer: takes objects from a giver (git/object.h) and appends them to a
 * segment of this process. Objects become visible to every reader in groups:
 * at store_writer_flush(), when STORE_GROUP_OBJECTS or STORE_GROUP_BYTES are
 * waiting, and when an object comes and the oldest has waited STORE_GROUP_MS.
 * After each group `visible` is called, from the writer's thread with no lock
 * held; objects that were here before are in it too. One thread per writer;
 * several writers may run at once. Where a call fails, nothing that is visible
 * is harmed, and what was waiting still waits: a later flush tries again.
 */
struct store_writer;
#define STORE_GROUP_OBJECTS 1000
#define STORE_GROUP_BYTES ((size_t)4 << 20)
#define STORE_GROUP_MS 20

typedef void store_visible_fn(void *arg, const struct oid *oids, size_t count);

/* `visible` may be NULL. Every writer is freed before its store is closed. */
int store_writer_new(struct store_writer **out, struct store *store, store_visible_fn *visible,
		     void *arg) __attribute__((warn_unused_result));
/* Borrowed. Its `end` frees the stream whatever it returns. */
struct object_sink *store_writer_sink(struct store_writer *writer);
int store_writer_flush(struct store_writer *writer, struct err *err)
	__attribute__((warn_unused_result));
void store_writer_free(struct store_writer *writer); /* drops what was not flushed */

struct store_stats {
	uint64_t objects;       /* contents here */
	uint64_t sizes;         /* only the size known */
	uint64_t segments;      /* files */
	uint64_t bytes;         /* in all segments */
	uint64_t bad_records;   /* found by this process since it opened the store */
	bool rebuilt;           /* the index was made again when this process opened it */
};
int store_stats(struct store *store, struct store_stats *out) __attribute__((warn_unused_result));

#endif
