/*
 * The process beside a daemon that comes up: asks the mount whether it
 * answers, and tells the user how it went. The daemon cannot do the first
 * itself: it would wait for its own threads.
 */
#ifndef GIT_FS_CLI_WATCH_H
#define GIT_FS_CLI_WATCH_H

#include <sys/types.h>

/* Watches until the daemon is ready or gone; says the outcome; the exit code.
 * `before` is st_dev of the folder, taken before the daemon could mount on it; `daemon`
 * is the child to wait for where it fails, or -1. The signals that end
 * a program are blocked by the caller; they call the daemon off. */
int watch_daemon(int channel, const char *mount_point, dev_t before, pid_t daemon);

#endif
