/*
 * The ids that a fetch still wants: a sink in front of the caller's, which
 * passes everything on and notes what came.
 */
#ifndef GIT_FS_REMOTE_WANTED_H
#define GIT_FS_REMOTE_WANTED_H

#include <stdbool.h>
#include <stddef.h>

#include "git/object.h"
#include "git/oid.h"

struct wanted {
	struct object_sink base;
	struct object_sink *next; /* borrowed */
	struct oid *oids;         /* owned, sorted; the first `count` are still wanted */
	bool *came;               /* owned; for each of them */
	size_t count;
};

/* Copies `oids`. -ENOMEM. */
int wanted_init(struct wanted *wanted, const struct oid *oids, size_t count,
		struct object_sink *next) __attribute__((warn_unused_result));
void wanted_release(struct wanted *wanted);

/* Takes out what came, or every copy of one id; how many that were. */
size_t wanted_drop_came(struct wanted *wanted);
size_t wanted_drop(struct wanted *wanted, const struct oid *oid);

#endif
