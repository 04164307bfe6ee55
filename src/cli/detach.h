/*
 * Taking a mount away: by umount(2) where we may, else by fusermount3(1).
 */
#ifndef GIT_FS_CLI_DETACH_H
#define GIT_FS_CLI_DETACH_H

#include <stdbool.h>

#include "base/err.h"

/* `lazy`: at once, also where it is busy. -EBUSY: somebody uses it. */
int detach_mount(const char *mount_point, bool lazy, struct err *err)
	__attribute__((warn_unused_result));

#endif
