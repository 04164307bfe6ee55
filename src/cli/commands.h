/*
 * The commands. Each says what went wrong itself, the reason last, and returns
 * the exit code: EXIT_DONE, EXIT_FAILED or EXIT_USAGE.
 */
#ifndef GIT_FS_CLI_COMMANDS_H
#define GIT_FS_CLI_COMMANDS_H

#include "cli/options.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* The number of operands was checked by the caller. */
int command_mount(const struct options *options);
int command_unmount(const struct options *options);
int command_list(const struct options *options);
int command_status(const struct options *options);
int command_diff(const struct options *options);
int command_discard(const struct options *options);
int command_doctor(const struct options *options);

/* The text of `git-fs help COMMAND`, and of `git-fs help`. */
const char *usage_of(enum command_id command);
extern const char usage_overview[];

#endif
