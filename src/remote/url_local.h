/*
 * Repositories in folders of this machine. Source: git-clone(1), and what
 * git-upload-pack(1) does without --strict.
 */
#ifndef GIT_FS_REMOTE_URL_LOCAL_H
#define GIT_FS_REMOTE_URL_LOCAL_H

#include <stdbool.h>

#include "base/err.h"

/* The folder of the repository that `path` (absolute) means. 1: it stands in
 * `out` (PATH_MAX bytes), symlinks resolved; 0: nothing is there, `out` is
 * untouched. With repository_only a folder that is no repository is nothing.
 * Blocks on the disk. */
int url_find_local(char *out, const char *path, bool repository_only, struct err *err)
	__attribute__((warn_unused_result));

#endif
