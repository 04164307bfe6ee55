/*
 * Arrays that grow: room for one more element.
 */
#ifndef GIT_FS_BASE_ARRAY_H
#define GIT_FS_BASE_ARRAY_H

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#define ARRAY_ROOM_MIN ((size_t)16)

/* Sees to it that *items, an owned array with room for *room elements of `size` bytes of
 * which `count` are in use, has room for one more. It may move. -ENOMEM: as it was. */
static inline int array_room_of(void **items, size_t *room, size_t count, size_t size)
{
	if (count < *room)
		return 0;
	size_t more = *room == 0 ? ARRAY_ROOM_MIN : *room * 2;
	void *grown = reallocarray(*items, more, size);

	if (grown == NULL)
		return -ENOMEM;
	*items = grown;
	*room = more;
	return 0;
}

/* The same of a typed pointer. */
#define ARRAY_ROOM(items, room, count)                                                \
	__extension__({                                                               \
		void *array_items_ = (items);                                         \
		int array_rc_ = array_room_of(&array_items_, &(room), (count), sizeof(*(items))); \
		(items) = array_items_;                                               \
		array_rc_;                                                            \
	})

#endif
