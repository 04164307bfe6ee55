/*
 * A change set: what one commit will carry, in terms that every kind of host
 * understands. A plain value; everything in it is borrowed.
 */
#ifndef GIT_FS_REMOTE_CHANGE_H
#define GIT_FS_REMOTE_CHANGE_H

#include <stddef.h>
#include <stdint.h>

#include "git/oid.h"

enum change_action { CHANGE_PUT, CHANGE_DELETE };

struct change {
	enum change_action action;
	const char *path;    /* relative, no leading slash, no "." or ".." part */
	uint32_t mode;       /* PUT: TREE_MODE_FILE, _EXEC or _LINK */
	const uint8_t *data; /* PUT: the contents; may be empty */
	size_t size;
};

struct change_set {
	const char *ref;     /* full name: refs/heads/main */
	struct oid base;     /* what the ref must hold; unset: the ref must not exist */
	const char *message;
	const char *author_name;
	const char *author_email;
	int64_t time;        /* seconds since the epoch */
	const struct change *changes;
	size_t count;
};

#endif
