/*
 * The names of the object types, as they stand in object headers and tags.
 */
#include "git/object.h"

#include <assert.h>

const char *object_type_name(enum object_type type)
{
	static const char *const names[] = {
		[OBJECT_COMMIT] = "commit",
		[OBJECT_TREE] = "tree",
		[OBJECT_BLOB] = "blob",
		[OBJECT_TAG] = "tag",
	};

	assert(type >= OBJECT_COMMIT && type <= OBJECT_TAG);
	return names[type];
}
