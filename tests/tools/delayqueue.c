/*
 * A linked list of pieces, each in one allocation. See the header.
 */
#include "delayqueue.h"

#include <stdlib.h>
#include <string.h>

bool queue_put(struct queue *queue, uint64_t due_ns, enum queue_end end, const void *data,
	       size_t len)
{
	struct piece *piece = malloc(sizeof(*piece) + len);

	if (piece == NULL)
		return false;
	*piece = (struct piece){ .due_ns = due_ns, .end = end, .len = len };
	if (len > 0)
		memcpy(piece->data, data, len);
	if (queue->last != NULL) {
		if (piece->due_ns < queue->last->due_ns)
			piece->due_ns = queue->last->due_ns;
		queue->last->next = piece;
	} else {
		queue->first = piece;
	}
	queue->last = piece;
	queue->cost += sizeof(*piece) + len;
	return true;
}

void queue_drop(struct queue *queue)
{
	struct piece *piece = queue->first;

	queue->first = piece->next;
	if (queue->first == NULL)
		queue->last = NULL;
	queue->cost -= sizeof(*piece) + piece->len;
	free(piece);
}

void queue_clear(struct queue *queue)
{
	while (queue->first != NULL)
		queue_drop(queue);
}
