/*
 * What a daemon exported for a diff: the reply to "export" (export.c), read back, and made
 * into what git takes for a tree.
 */
#ifndef GIT_FS_CLI_EXPORT_LIST_H
#define GIT_FS_CLI_EXPORT_LIST_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "git/oid.h"

enum export_side { EXPORT_OLD, EXPORT_NEW };

struct export_item {
	enum export_side side;
	uint32_t mode;
	uint64_t file;               /* its number, or 0: the id below */
	char commit[OID_HEX_MAX + 1]; /* of a submodule */
	char *path;                  /* owned */
};

struct export_list {
	struct export_item *items; /* owned */
	size_t count;
	size_t room;
	uint64_t files; /* numbers go up to this */
};
#define EXPORT_LIST_INIT { .items = NULL, .count = 0, .room = 0, .files = 0 }

/* Takes one line of the reply; a control_line_fn, `arg` is the list. ERR_PROTOCOL; -ENOMEM. */
int export_list_take(void *arg, const char *key, const char *value)
	__attribute__((warn_unused_result));
void export_list_release(struct export_list *list);

/* Appends what `git update-index -z --index-info` reads: the items of a side. `ids`: those of
 * the files in the order of their numbers, a line each. ERR_PROTOCOL where there are fewer. */
int export_list_index(const struct export_list *list, enum export_side side,
		      const struct buf *ids, struct buf *out) __attribute__((warn_unused_result));

#endif
