/*
 * Which old and new contents a diff needs: the list of differences, with folders that moved
 * taken apart into their files.
 */
#ifndef GIT_FS_CLI_EXPORT_PLAN_H
#define GIT_FS_CLI_EXPORT_PLAN_H

#include "cli/answer.h"

struct export_entry {
	char *old_path;      /* owned; NULL: the base has nothing */
	char *path;          /* owned; NULL: nothing is there now */
	uint32_t old_mode;   /* TREE_MODE_*, as the next */
	uint32_t mode;
	struct oid old_oid;  /* unset: the base's contents are those of the node */
	uint64_t id;         /* of the node, where there is a path */
	bool same;           /* contents are the same, and nobody needs to see them */
};

struct export_plan {
	struct export_entry *items; /* owned */
	size_t count;
	size_t room;
};
#define EXPORT_PLAN_INIT { .items = NULL, .count = 0, .room = 0 }

/* Fills an empty plan: of `list`, what is at or below one of the scope's paths (none: all).
 * Folders that moved are read, for which something may have to be fetched. */
int export_plan_make(struct export_plan *out, struct run *run, const struct differences *list,
		     const char *const *scope, size_t scope_count)
	__attribute__((warn_unused_result));
void export_plan_release(struct export_plan *plan);

#endif
