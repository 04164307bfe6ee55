/*
 * Touching a mount by a process of its own: one that hangs in a deaf mount can be
 * ended, and a daemon never waits for itself.
 */
#ifndef GIT_FS_CLI_PROBE_H
#define GIT_FS_CLI_PROBE_H

#include <sys/types.h>

#define PROBE_TIMEOUT_MS 2000
#define PROBE_FLUSH_MS 30000

/* Asks the filesystem at `path`; its st_dev in *dev_out (may be NULL). -ENOTCONN:
 * its daemon is dead; ERR_TIMEOUT: it does not answer; or what stat(2) gives.
 * Called from a process of one thread. */
int probe_path(const char *path, unsigned timeout_ms, dev_t *dev_out)
	__attribute__((warn_unused_result));

/* Brings what the kernel keeps of writes to the filesystem at `path` (mapped files,
 * -o writeback) to its daemon. ERR_TIMEOUT where that takes longer; the same caller. */
int probe_flush(const char *path, unsigned timeout_ms);

#endif
