/*
 * What a command is about: a mount, who serves it, and a path in it. But for what is said
 * below, nothing here touches the mount.
 */
#ifndef GIT_FS_CLI_PLACE_H
#define GIT_FS_CLI_PLACE_H

#include <limits.h>
#include <stdbool.h>

#include "cli/daemons.h"
#include "cli/mounts.h"
#include "control/control.h"

struct place {
	struct mount_table table;
	struct daemon_list daemons;
	const struct mount_entry *entry; /* in the table */
	const struct daemon *daemon;     /* in the list; NULL: none said that it serves the mount */
	char path[PATH_MAX];             /* in the mount; "": its top */
};

#define PLACE_INIT { .table = MOUNT_TABLE_INIT, .daemons = DAEMON_LIST_INIT }

/* The place that a user calls `text` (NULL: the current folder), in a mount of ours; fills
 * an empty one. `command` is named in the words for a current folder that is in none. */
int place_find(struct place *out, const char *text, const char *command, struct err *err)
	__attribute__((warn_unused_result));
/* The same, of a mount that can be written to and whose daemon answers. What the kernel still
 * kept of writes to it has come to the daemon then: this alone touches the mount. */
int place_find_writable(struct place *out, const char *text, const char *command,
			struct err *err) __attribute__((warn_unused_result));
/* Whether it can be written to and its daemon answers. Words for why not; may be NULL. */
bool place_is_writable(const struct place *place, struct err *err);
/* The path in that mount of what a user calls `text`, relative to `from`, absolute, or to the
 * current folder where that is NULL. */
int place_path(const struct place *place, const char *from, const char *text,
	       char out[PATH_MAX], struct err *err) __attribute__((warn_unused_result));
void place_release(struct place *place);

/* Asks a daemon that may have to fetch, or to read much, before it answers: waits for an
 * hour. The exit code of the reply, or a negative errno with words. */
int place_ask(const struct daemon *daemon, const char *const *words, control_line_fn *line,
	      void *arg, struct err *err) __attribute__((warn_unused_result));

#endif
