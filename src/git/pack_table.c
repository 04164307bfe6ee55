/*
 * A sorted array that grows by doubling, as entries come: never by what the
 * pack's header announces.
 */
#include "git/pack_table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define PACK_TABLE_FIRST 64 /* places of the first array */

void pack_table_release(struct pack_table *table)
{
	free(table->places);
	*table = (struct pack_table)PACK_TABLE_INIT;
}

static int table_grow(struct pack_table *table)
{
	struct pack_place *places;
	size_t cap = PACK_TABLE_FIRST;
	size_t bytes;

	if (table->cap > 0 && __builtin_mul_overflow(table->cap, (size_t)2, &cap))
		return -ENOMEM;
	if (__builtin_mul_overflow(cap, sizeof(*places), &bytes))
		return -ENOMEM;
	places = realloc(table->places, bytes);
	if (places == NULL)
		return -ENOMEM;
	table->places = places;
	table->cap = cap;
	return 0;
}

int pack_table_add(struct pack_table *table, uint64_t offset)
{
	int rc;

	assert(table->count == 0 || table->places[table->count - 1].offset < offset);
	if (table->count == table->cap) {
		rc = table_grow(table);
		if (rc < 0)
			return rc;
	}
	table->places[table->count++] = (struct pack_place){ .offset = offset };
	return 0;
}

const struct pack_place *pack_table_find(const struct pack_table *table, uint64_t offset)
{
	size_t low = 0, high = table->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (table->places[middle].offset < offset)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == table->count || table->places[low].offset != offset)
		return NULL;
	return &table->places[low];
}
