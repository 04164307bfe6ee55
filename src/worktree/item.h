/*
 * Items: what a frame of the journal is made of. Each states how something is
 * from now on (an upsert), none says how it differs from before; so that an item
 * may be written again at any time, and the last one counts. docs/formats.md.
 *
 * Pure: writing into and reading from buffers.
 */
#ifndef GIT_FS_WORKTREE_ITEM_H
#define GIT_FS_WORKTREE_ITEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/buf.h"
#include "git/oid.h"

enum item_type {
	ITEM_BASE = 1,   /* the commit that everything here differs from */
	ITEM_ANCHOR = 2, /* a node of the base: where it is there, and what */
	ITEM_META = 3,   /* the attributes of a node, and where its contents are */
	ITEM_ENTRY = 4,  /* what stands under a name */
	ITEM_WRITE = 5,  /* bytes of a file */
	ITEM_TARGET = 6, /* of a symlink */
	ITEM_XATTR = 7,
	ITEM_GONE = 8,   /* the node is no more */
	ITEM_SYNCED = 9, /* its data file is durable up to here */
	ITEM_CLEAN = 10, /* the node of the base is again as it is there */
	ITEM_NEXT_ID = 11, /* node ids below this are used */
	ITEM_TIMES = 12,   /* modification and change time; other attributes stay */
};

/* Where the contents of a node are. */
enum contents {
	CONTENTS_NONE, /* a folder, a special file, a symlink */
	CONTENTS_BASE, /* as in the base */
	CONTENTS_LOG,  /* in ITEM_WRITEs; zero where none wrote */
	CONTENTS_FILE, /* in a data file */
};

struct meta {
	uint32_t mode; /* st_mode */
	uint32_t uid;
	uint32_t gid;
	enum contents contents;
	uint32_t file;  /* CONTENTS_FILE: counts the data files that the node has had */
	uint64_t rdev;
	uint64_t size;  /* bytes; CONTENTS_BASE: of no meaning */
	struct timespec atime, mtime, ctime;
};

#define WRITE_REPLACES 1U /* ITEM_WRITE: all bytes written before are void */
#define ENTRY_IN_BASE 1U       /* ITEM_ENTRY: the base has something of that name */
#define ENTRY_DROPPED 2U       /* ITEM_ENTRY: nothing differs from the base there any more */
#define XATTR_REMOVED 1U

/* One item as it was read; what it borrows lies in the frame. */
struct item {
	enum item_type type;
	uint8_t flags;
	uint64_t id;        /* the node's; ENTRY: of what stands there, 0: nothing */
	uint64_t parent;    /* ANCHOR, ENTRY: the folder */
	uint64_t offset;    /* WRITE: in the file */
	uint64_t size;      /* ANCHOR: bytes, NODE_SIZE_UNKNOWN */
	uint32_t kind;      /* ANCHOR: TREE_MODE_* */
	struct oid oid;     /* BASE, ANCHOR */
	struct meta meta;   /* META; TIMES: two of its times alone */
	const char *name;   /* ANCHOR, ENTRY, XATTR; not NUL-terminated */
	size_t name_len;
	const uint8_t *data; /* WRITE, TARGET, XATTR */
	size_t data_len;
	size_t data_at;      /* of `data` in the items that were given */
};

/* Each appends one item. -ENOMEM, ERR_LIMIT. */
int item_base(struct buf *frame, const struct oid *commit) __attribute__((warn_unused_result));
int item_anchor(struct buf *frame, const struct item *anchor) __attribute__((warn_unused_result));
int item_meta(struct buf *frame, uint64_t id, const struct meta *meta)
	__attribute__((warn_unused_result));
int item_times(struct buf *frame, uint64_t id, const struct meta *meta)
	__attribute__((warn_unused_result));
int item_entry(struct buf *frame, const struct item *entry) __attribute__((warn_unused_result));
/* The head alone: the caller appends data_len bytes, or gives them to the journal. */
int item_write(struct buf *frame, uint64_t id, uint64_t offset, size_t data_len, uint8_t flags)
	__attribute__((warn_unused_result));
int item_target(struct buf *frame, uint64_t id, const char *target)
	__attribute__((warn_unused_result));
int item_xattr(struct buf *frame, const struct item *xattr) __attribute__((warn_unused_result));
/* GONE, SYNCED, CLEAN, NEXT_ID. */
int item_of_id(struct buf *frame, enum item_type type, uint64_t id)
	__attribute__((warn_unused_result));

/* Takes the next item off. 1: done; 0: no more; ERR_CORRUPT. `start` is the first
 * byte that the cursor had. */
int item_next(struct cursor *cur, const uint8_t *start, enum hash_algo algo, struct item *out)
	__attribute__((warn_unused_result));

#endif
