/*
 * Changes in a mount, for people and for programs.
 */
#ifndef GIT_FS_CLI_SHOW_CHANGES_H
#define GIT_FS_CLI_SHOW_CHANGES_H

#include "cli/change_list.h"
#include "cli/json.h"

#define SHOW_CHANGES_MAX 20 /* paths of a kind, where not all are asked for */

/* Lines on stdout: how many of each kind, then paths, up to `limit` of a kind (0: all). */
void show_changes_text(const struct change_list *list, size_t limit);
/* The object "changes"; null where `list` is NULL: not known. */
void show_changes_json(struct json *json, const struct change_list *list);

#endif
