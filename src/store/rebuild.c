/*
 * The index made again from the segments: every complete record of every
 * segment, by its head. Payloads are not read: a bad one is found, and dropped,
 * by the first read. An object that lies in two segments gets either place.
 */
#include <fcntl.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/io.h"
#include "store/segment.h"
#include "store/store_internal.h"

#define REBUILD_BATCH 4096

struct rebuild {
	struct index *index;
	int segments_fd;
	enum hash_algo algo;
	uint64_t segment; /* the one that is scanned */
	struct index_item *items; /* REBUILD_BATCH, owned */
	size_t count;
};

static void rebuild_release(struct rebuild *rebuild)
{
	free(rebuild->items);
}

static int put_batch(struct rebuild *rebuild)
{
	int rc = index_put(rebuild->index, rebuild->items, rebuild->count);

	if (rc == 0)
		rebuild->count = 0;
	return rc;
}

static int on_record(void *arg, const struct record *record, uint64_t offset)
{
	struct rebuild *rebuild = arg;
	struct index_item *item = &rebuild->items[rebuild->count++];

	item->oid = record->oid;
	item->place = (struct place){ .segment = rebuild->segment,
				      .offset = offset,
				      .stored = record->stored,
				      .size = record->size,
				      .type = record->type,
				      .encoding = record->encoding };
	return rebuild->count == REBUILD_BATCH ? put_batch(rebuild) : 0;
}

static int on_segment(void *arg, uint64_t id)
{
	struct rebuild *rebuild = arg;
	AUTO_CLOSE int fd = -1;
	char name[SEGMENT_NAME_MAX];
	struct segment_head head;
	uint64_t tail;
	int rc;

	fd = io_open(rebuild->segments_fd, segment_name(id, name), O_RDONLY, 0);
	if (fd < 0)
		return fd;
	rc = segment_read_head(fd, id, rebuild->algo, &head);
	if (rc == ERR_CORRUPT)
		return io_unlink(rebuild->segments_fd, name);
	if (rc < 0)
		return rc;
	rebuild->segment = id;
	return segment_scan(fd, &head, on_record, rebuild, &tail);
}

int rebuild_index(struct index *index, int segments_fd, enum hash_algo algo)
{
	__attribute__((cleanup(rebuild_release))) struct rebuild rebuild = {
		.index = index, .segments_fd = segments_fd, .algo = algo
	};
	int rc;

	rebuild.items = calloc(REBUILD_BATCH, sizeof(*rebuild.items));
	if (rebuild.items == NULL)
		return -ENOMEM;
	rc = segment_each(segments_fd, on_segment, &rebuild);
	return rc < 0 ? rc : put_batch(&rebuild);
}
