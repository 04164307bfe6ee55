/*
 * Keeps objects as files DIR/TYPE/OID, and prints a line `OID TYPE SIZE` for each.
 * The base of a delta is read from there. Used by one thread at a time; several may
 * share a folder.
 */
#ifndef GIT_FS_TESTS_KEEPER_H
#define GIT_FS_TESTS_KEEPER_H

#include <limits.h>
#include <stdint.h>

#include "git/object.h"

struct keeper {
	struct object_sink sink;
	const char *dir; /* borrowed */
	struct large {
		int fd; /* -1: none is open */
		enum object_type type;
		uint64_t size;
		char path[PATH_MAX];
	} large;
};

void keeper_init(struct keeper *keeper, const char *dir);

#endif
