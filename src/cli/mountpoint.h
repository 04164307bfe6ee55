/*
 * Whether a folder can be mounted on.
 */
#ifndef GIT_FS_CLI_MOUNTPOINT_H
#define GIT_FS_CLI_MOUNTPOINT_H

#include <limits.h>
#include <stdbool.h>

#include "base/err.h"

/* The absolute path of the folder that the user calls `text`, which exists, is
 * empty and no mount of ours. A dead mount of ours on it is taken away first,
 * with a line that says so. Words for each obstacle. */
int mountpoint_prepare(const char *text, char out[PATH_MAX], struct err *err)
	__attribute__((warn_unused_result));
/* Whether this machine and user can mount at all, and for others to see. */
int mountpoint_check_fuse(bool allow_other, struct err *err) __attribute__((warn_unused_result));

#endif
