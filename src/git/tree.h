/*
 * Tree objects: `<octal mode> <name>\0<raw oid>`, repeated. Source:
 * gitformat-pack(5) and git's tree-walk.
 */
#ifndef GIT_FS_GIT_TREE_H
#define GIT_FS_GIT_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "git/oid.h"

#define TREE_NAME_MAX 4096 /* bytes; longer is corrupt. The kernel shows up to 255 or 1024. */

/* Modes as they stand in trees. */
enum {
	TREE_MODE_DIR = 040000,
	TREE_MODE_FILE = 0100644,
	TREE_MODE_EXEC = 0100755,
	TREE_MODE_LINK = 0120000,
	TREE_MODE_GITLINK = 0160000,
};

struct tree_entry {
	uint32_t mode;       /* as written; 0100664 and other odd ones occur */
	const uint8_t *name; /* points into the tree; not to be read as NUL-terminated */
	size_t name_len;     /* 1..TREE_NAME_MAX */
	struct oid oid;
};

struct tree_iter {
	struct cursor rest;
	enum hash_algo algo;
};

void tree_iter_init(struct tree_iter *iter, const uint8_t *data, size_t len, enum hash_algo algo);
/* 1: *out is the next entry; 0: the end; ERR_CORRUPT: malformed from here on
 * (mode that is no octal number, empty or endless name, cut off). Names are
 * not judged; see tree_name_shown. */
int tree_iter_next(struct tree_iter *iter, struct tree_entry *out)
	__attribute__((warn_unused_result));

/* The kind an entry stands for, from its mode bits: one of the five TREE_MODE_*
 * (a regular file is EXEC if any owner-x bit is set); ERR_CORRUPT for others. */
int tree_entry_kind(uint32_t mode, uint32_t *kind_out) __attribute__((warn_unused_result));

/* Whether a name may be shown in a filesystem: not empty, no '/', no NUL, not
 * ".", "..", nor ".git" in any case. */
bool tree_name_shown(const uint8_t *name, size_t len);

/* git's order of entries: as bytes, a folder's name as if it ended in '/'.
 * <0, 0, >0. For builders and checkers. */
int tree_entry_compare(const struct tree_entry *a, const struct tree_entry *b);

/* Appends one entry in wire form, whole or not at all. -EINVAL for a mode beyond 16
 * bits or a name that no tree may hold (empty, too long, with '/' or NUL). */
int tree_append(struct buf *out, uint32_t mode, const void *name, size_t name_len,
		const struct oid *oid) __attribute__((warn_unused_result));

#endif
