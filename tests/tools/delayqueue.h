/*
 * Bytes on their way: a queue of pieces, each with the moment at which it
 * arrives, in the order in which they were sent. Bounded: a full queue takes
 * nothing more, and its sender is to be left waiting.
 */
#ifndef GIT_FS_TESTS_DELAYQUEUE_H
#define GIT_FS_TESTS_DELAYQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QUEUE_MAX ((size_t)8 << 20) /* bytes in one direction, with what the pieces cost */
#define NEVER UINT64_MAX

/* How a direction ends: not yet, by FIN, by RST. */
enum queue_end { END_NONE, END_FIN, END_RESET };

struct piece {
	struct piece *next;
	uint64_t due_ns;
	enum queue_end end; /* not END_NONE: the last one, without bytes */
	size_t len, sent;
	uint8_t data[];
};

struct queue {
	struct piece *first, *last; /* owned */
	size_t cost;                /* bytes of memory */
};

/* false: no memory. Times never decrease along a queue: an earlier one is set
 * to that of the piece before. */
bool queue_put(struct queue *queue, uint64_t due_ns, enum queue_end end, const void *data,
	       size_t len);
/* Takes the first piece off; there must be one. */
void queue_drop(struct queue *queue);
void queue_clear(struct queue *queue);

static inline bool queue_full(const struct queue *queue)
{
	return queue->cost >= QUEUE_MAX;
}
/* When the first piece arrives; NEVER where the queue is empty. */
static inline uint64_t queue_due(const struct queue *queue)
{
	return queue->first != NULL ? queue->first->due_ns : NEVER;
}

#endif
