/*
 * A file that one process holds by flock(2) and in which its name stands.
 */
#ifndef GIT_FS_CLI_LOCKFILE_H
#define GIT_FS_CLI_LOCKFILE_H

#include <limits.h>

struct lock_holder {
	char pid[32];            /* " 1234", or "" where it has not written it yet */
	char place[PATH_MAX];    /* what it said with it */
};

/* Opens or makes `path`, locks it, writes our pid and `place` into it; the descriptor,
 * which holds the lock, in *fd_out. -EBUSY with *holder filled. */
int lockfile_take(const char *path, const char *place, int *fd_out, struct lock_holder *holder)
	__attribute__((warn_unused_result));

#endif
