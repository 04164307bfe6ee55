/*
 * What is mounted, from /proc/self/mountinfo (proc(5)): read without touching
 * any mount, so that a dead or deaf one stops nobody.
 */
#ifndef GIT_FS_CLI_MOUNTS_H
#define GIT_FS_CLI_MOUNTS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

struct mount_entry {
	const char *mount_point; /* escapes undone */
	const char *source;
	const char *type;        /* "fuse.git-fs" */
	unsigned major, minor;   /* of the filesystem: st_dev of what is in it */
};

struct mount_table {
	struct mount_entry *entries; /* owned */
	size_t count;
	struct buf text;             /* where the strings lie */
};

#define MOUNT_TABLE_INIT { .entries = NULL, .count = 0, .text = BUF_INIT }

/* Fills an empty table. */
int mount_table_read(struct mount_table *table, struct err *err)
	__attribute__((warn_unused_result));
/* The same from a text that is handed over: *text is empty afterwards. A line
 * that is none is ERR_PROTOCOL. */
int mount_table_parse(struct mount_table *table, struct buf *text)
	__attribute__((warn_unused_result));
void mount_table_release(struct mount_table *table);

bool mount_entry_is_ours(const struct mount_entry *entry);
/* What is on top at exactly this path, or NULL. */
const struct mount_entry *mount_table_at(const struct mount_table *table, const char *path);
/* The mount in which the path lies, or NULL. */
const struct mount_entry *mount_table_containing(const struct mount_table *table,
						 const char *path);
/* Whether a filesystem is mounted anywhere. */
bool mount_table_has_device(const struct mount_table *table, unsigned major, unsigned minor);

/* What a user means by `text`: an absolute path, symlinks followed only as far as
 * no git-fs mount is touched. */
int mounts_resolve(const struct mount_table *table, const char *text, char out[PATH_MAX],
		   struct err *err) __attribute__((warn_unused_result));

#endif
