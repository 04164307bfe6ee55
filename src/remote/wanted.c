/*
 * Sorted once, so that each object that comes is found by halving. An id may
 * stand there more than once; its copies are neighbours and share their fate.
 */
#include "remote/wanted.h"

#include <stdlib.h>
#include <string.h>

static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct oid));
}

static void note(struct wanted *wanted, const struct oid *oid)
{
	const struct oid *found = NULL;
	if (wanted->count > 0)
		found = bsearch(oid, wanted->oids, wanted->count, sizeof(*oid), by_bytes);
	if (found == NULL)
		return;
	size_t at = (size_t)(found - wanted->oids);
	while (at > 0 && oid_equal(&wanted->oids[at - 1], oid))
		at--;
	for (; at < wanted->count && oid_equal(&wanted->oids[at], oid); at++)
		wanted->came[at] = true;
}

static int on_object(struct object_sink *sink, const struct object *object, struct err *err)
{
	struct wanted *wanted = (struct wanted *)(void *)sink;
	int rc = wanted->next->object(wanted->next, object, err);
	if (rc >= 0)
		note(wanted, &object->oid);
	return rc;
}

static int on_begin(struct object_sink *sink, enum object_type type, uint64_t size,
		    void **stream_out, struct err *err)
{
	struct wanted *wanted = (struct wanted *)(void *)sink;
	return wanted->next->begin(wanted->next, type, size, stream_out, err);
}

static int on_write(struct object_sink *sink, void *stream, const uint8_t *data, size_t len,
		    struct err *err)
{
	struct wanted *wanted = (struct wanted *)(void *)sink;
	return wanted->next->write(wanted->next, stream, data, len, err);
}

static int on_end(struct object_sink *sink, void *stream, const struct oid *oid, struct err *err)
{
	struct wanted *wanted = (struct wanted *)(void *)sink;
	int rc = wanted->next->end(wanted->next, stream, oid, err);
	if (rc >= 0 && oid != NULL)
		note(wanted, oid);
	return rc;
}

static int on_read(struct object_sink *sink, const struct oid *oid, enum object_type *type_out,
		   struct buf *out)
{
	struct wanted *wanted = (struct wanted *)(void *)sink;
	return wanted->next->read(wanted->next, oid, type_out, out);
}

int wanted_init(struct wanted *wanted, const struct oid *oids, size_t count,
		struct object_sink *next)
{
	size_t places = count > 0 ? count : 1;
	struct oid *copy = calloc(places, sizeof(*copy));
	bool *came = calloc(places, sizeof(*came));
	if (copy == NULL || came == NULL) {
		free(copy);
		free(came);
		return -ENOMEM;
	}
	if (count > 0) {
		memcpy(copy, oids, count * sizeof(*copy));
		qsort(copy, count, sizeof(*copy), by_bytes);
	}
	*wanted = (struct wanted){
		.base = { on_object, on_begin, on_write, on_end, on_read },
		.next = next,
		.oids = copy,
		.came = came,
		.count = count,
	};
	return 0;
}

void wanted_release(struct wanted *wanted)
{
	free(wanted->oids);
	free(wanted->came);
}

size_t wanted_drop_came(struct wanted *wanted)
{
	size_t kept = 0, before = wanted->count;
	for (size_t i = 0; i < before; i++)
		if (!wanted->came[i])
			wanted->oids[kept++] = wanted->oids[i];
	memset(wanted->came, 0, before * sizeof(*wanted->came));
	wanted->count = kept;
	return before - kept;
}

size_t wanted_drop(struct wanted *wanted, const struct oid *oid)
{
	memset(wanted->came, 0, wanted->count * sizeof(*wanted->came));
	note(wanted, oid);
	return wanted_drop_came(wanted);
}
