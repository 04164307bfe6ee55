/*
 * A folder for a command's own files while it runs, mode 0700.
 */
#ifndef GIT_FS_CLI_TEMPDIR_H
#define GIT_FS_CLI_TEMPDIR_H

#include <limits.h>

#include "base/err.h"
#include "cli/mounts.h"

/* Makes one in $TMPDIR, or in /tmp where that is not set or lies in a mount of ours. */
int tempdir_make(const struct mount_table *table, char out[PATH_MAX], struct err *err)
	__attribute__((warn_unused_result));
/* Removes it and everything in it, also while somebody still writes into it: it is gone
 * afterwards, and he finds no folder. */
int tempdir_remove(const char *path) __attribute__((warn_unused_result));

#endif
