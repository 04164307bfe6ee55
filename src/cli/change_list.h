/*
 * What a daemon tells of the changes in its mount: the reply to "changes", read back.
 */
#ifndef GIT_FS_CLI_CHANGE_LIST_H
#define GIT_FS_CLI_CHANGE_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worktree/changes.h"

/* A word for each kind, the same on the wire, in JSON and for people. */
extern const char *const difference_words[DIFFERENCE_KINDS];

struct path_change {
	enum difference_kind kind;
	char *path;         /* owned, as the next */
	char *old_path;     /* RENAMED; else NULL */
	uint32_t mode, old_mode;
	uint64_t size;
	bool contents;
};

/* In the daemon's order: sorted by path. */
struct change_list {
	struct path_change *items; /* owned */
	size_t count;
	size_t room;
	char *note; /* owned; words for people, or NULL */
};
#define CHANGE_LIST_INIT { .items = NULL, .count = 0, .room = 0, .note = NULL }

/* Takes one line of the reply; a control_line_fn, `arg` is the list. ERR_PROTOCOL: it is
 * none that is known; -ENOMEM. */
int change_list_take(void *arg, const char *key, const char *value)
	__attribute__((warn_unused_result));
void change_list_release(struct change_list *list);

/* How many there are of a kind. */
size_t change_list_count(const struct change_list *list, enum difference_kind kind);
/* Bytes of contents that a commit of all of it would carry. */
uint64_t change_list_bytes(const struct change_list *list);

#endif
