/*
 * Who keeps a mount busy: processes with a folder, file or program in it.
 */
#ifndef GIT_FS_CLI_BUSY_H
#define GIT_FS_CLI_BUSY_H

#include <sys/types.h>

/* Calls `found` for each process that can be seen to hold something below
 * `mount_point`, once, with what it holds ("current folder", "open file", ...).
 * Does not touch the mount. */
typedef void busy_found_fn(void *arg, pid_t pid, const char *command, const char *what);
void busy_holders(const char *mount_point, busy_found_fn *found, void *arg);

#endif
