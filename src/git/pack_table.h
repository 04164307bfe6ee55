/*
 * Where each entry of a pack starts and which object it turned out to be: what
 * an OFS_DELTA needs to find its base. Internal to the pack parser.
 */
#ifndef GIT_FS_GIT_PACK_TABLE_H
#define GIT_FS_GIT_PACK_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "git/object.h"
#include "git/oid.h"

struct pack_place {
	uint64_t offset; /* of the entry's first byte in the pack */
	struct oid oid;  /* not set: a delta that waits for its base */
};

/* Places in the order of the pack, which is that of their offsets. */
struct pack_table {
	struct pack_place *places; /* owned */
	size_t count;
	size_t cap;
};

#define PACK_TABLE_INIT { .places = NULL, .count = 0, .cap = 0 }

void pack_table_release(struct pack_table *table);
/* Adds the entry that starts at `offset`, beyond all others; its index is the
 * count before. -ENOMEM. */
int pack_table_add(struct pack_table *table, uint64_t offset)
	__attribute__((warn_unused_result));
/* The entry that starts at `offset`, valid until the next is added; NULL. */
const struct pack_place *pack_table_find(const struct pack_table *table, uint64_t offset);

#endif
