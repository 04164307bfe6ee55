/*
 * Objects: their types, and the door through which they travel from whoever
 * brings them (a pack parser, the in-memory remote) to whoever keeps them
 * (the store). Neither side knows the other.
 */
#ifndef GIT_FS_GIT_OBJECT_H
#define GIT_FS_GIT_OBJECT_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "git/oid.h"

/* The numbers are those of the pack format, gitformat-pack(5). */
enum object_type { OBJECT_COMMIT = 1, OBJECT_TREE = 2, OBJECT_BLOB = 3, OBJECT_TAG = 4 };

const char *object_type_name(enum object_type type); /* "blob" */

/* Objects up to this size are handed over whole; larger ones are streamed
 * unless they came as a delta. Bytes. */
#define OBJECT_WHOLE_MAX ((uint64_t)1 << 20)
/* No object that had to be held whole (a delta's base or result, a commit, a
 * tree, a tag) may be larger. Bytes. */
#define OBJECT_MEMORY_MAX ((uint64_t)512 << 20)
/* No object at all may be larger. Bytes. */
#define OBJECT_SIZE_MAX ((uint64_t)1 << 40)

/* A whole object; everything is borrowed for the length of the call. */
struct object {
	enum object_type type;
	struct oid oid;          /* computed from `data` by the giver: verified */
	const uint8_t *data;
	size_t size;             /* bytes */
	const uint8_t *deflated; /* the same as one zlib stream, if it came as such; or NULL */
	size_t deflated_len;
};

/*
 * Where objects go. Embedded by the keeper in its own struct. The giver calls
 * it from one thread, in the order that objects become complete. A negative
 * errno from any call ends the giver's work and is passed on.
 */
struct object_sink {
	/* A whole object. */
	int (*object)(struct object_sink *sink, const struct object *object, struct err *err);
	/* A large one: `begin` opens a stream, `write` gives consecutive bytes, `end`
	 * closes it. `end` with oid == NULL: given up, forget it; that call frees the
	 * stream and its result does not count. At most one stream is open at a time. */
	int (*begin)(struct object_sink *sink, enum object_type type, uint64_t size,
		     void **stream_out, struct err *err);
	int (*write)(struct object_sink *sink, void *stream, const uint8_t *data, size_t len,
		     struct err *err);
	int (*end)(struct object_sink *sink, void *stream, const struct oid *oid, struct err *err);
	/* The base of a delta: an object that was given before or that the keeper has
	 * from earlier. Appends its bytes to `out`. ERR_NOT_FOUND where it has none. */
	int (*read)(struct object_sink *sink, const struct oid *oid, enum object_type *type_out,
		    struct buf *out);
};

#endif
