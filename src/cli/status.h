/*
 * The parts of `git-fs status`.
 */
#ifndef GIT_FS_CLI_STATUS_H
#define GIT_FS_CLI_STATUS_H

#include "cli/change_list.h"
#include "cli/daemons.h"

/* status_text.c: prints it for people. `changes` NULL: there are none to show; `limit`: as of
 * show_changes_text(). The exit code. */
int status_text(const struct facts *facts, const struct change_list *changes, size_t limit);

#endif
