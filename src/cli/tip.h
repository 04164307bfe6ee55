/*
 * What a ref held when the remote was last asked: a small file in the cache,
 * so that a mount comes up without the network.
 */
#ifndef GIT_FS_CLI_TIP_H
#define GIT_FS_CLI_TIP_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "remote/remote.h"

struct tip {
	struct remote_ref ref; /* name and commit; oid is the commit */
	int64_t asked;         /* when, seconds since the epoch */
};

/* Replaces the file at `path`, making its folder. */
int tip_save(const char *path, const struct tip *tip) __attribute__((warn_unused_result));
/* ERR_NOT_FOUND; ERR_CORRUPT. */
int tip_load(const char *path, struct tip *out) __attribute__((warn_unused_result));
/* The parser, for tests. */
int tip_parse(const void *data, size_t len, struct tip *out) __attribute__((warn_unused_result));

#endif
