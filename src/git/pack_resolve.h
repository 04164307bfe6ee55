/*
 * From the entries of a pack to objects: hashes each, gives it to the sink,
 * and resolves the deltas that stand on it. Internal to the pack parser.
 */
#ifndef GIT_FS_GIT_PACK_RESOLVE_H
#define GIT_FS_GIT_PACK_RESOLVE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/map.h"
#include "git/hash.h"
#include "git/object.h"
#include "git/oid.h"
#include "git/pack_cache.h"
#include "git/pack_table.h"

struct pack_delta;

/* What a delta stands on. */
struct pack_base {
	uint64_t offset; /* of an entry in this pack; 0: `oid` alone says it */
	struct oid oid;  /* not set while the entry at `offset` is itself unresolved */
};

struct pack_resolver {
	struct object_sink *sink; /* borrowed */
	struct hasher *hasher;    /* of objects; the parser borrows it for a stream */
	struct pack_table table;
	struct pack_cache cache;
	struct map waiting;       /* deltas by their base */
	size_t waiting_bytes;     /* memory of those, <= PACK_PENDING_MAX */
	struct pack_delta *ready; /* deltas whose base is known, the next first */
	uint32_t given;           /* objects that the sink has */
};

/* -ENOMEM: nothing is held. */
int pack_resolver_init(struct pack_resolver *resolver, enum hash_algo algo,
		       struct object_sink *sink) __attribute__((warn_unused_result));
void pack_resolver_release(struct pack_resolver *resolver);

/* All three end the entry that was last added to the table, and resolve what
 * waited for it. */

/* A whole object: `object` has its type and deflated form, `data` its bytes,
 * which are taken out. */
int pack_resolver_object(struct pack_resolver *resolver, struct object *object, struct buf *data,
			 struct err *err) __attribute__((warn_unused_result));
/* An object that went to the sink as a stream. */
int pack_resolver_streamed(struct pack_resolver *resolver, const struct oid *oid, struct err *err)
	__attribute__((warn_unused_result));
/* A delta, whose bytes are taken out of `delta`. ERR_CORRUPT where it does not
 * fit its base; ERR_LIMIT where too many wait. */
int pack_resolver_delta(struct pack_resolver *resolver, const struct pack_base *base,
			struct buf *delta, struct err *err) __attribute__((warn_unused_result));

/* ERR_CORRUPT where a delta still waits. */
int pack_resolver_finish(const struct pack_resolver *resolver, struct err *err)
	__attribute__((warn_unused_result));

#endif
