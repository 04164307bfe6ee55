/*
 * What the overlay knows of a node: its attributes, and where its contents are.
 *
 * Every node that the journal names has one. Guarded by its own lock, which comes
 * after the worktree's; but for what is marked otherwise.
 *
 * Contents go through these states:
 *
 *   BASE   as in the base           -> LOG or FILE: the first write or truncation
 *   LOG    extents in the journal   -> FILE: grown over CONTENTS_LOG_MAX
 *   FILE   a data file              -> LOG: truncated to nothing
 *   any of a node of the base       -> BASE: discarded
 *
 * A data file is written in place and may not be durable when the record is that
 * names it. Until the first sync of the file is recorded (`marked`), what the
 * contents were before is kept as `before`: after a loss of power they are that
 * again. Invariants: local_check().
 */
#ifndef GIT_FS_WORKTREE_LOCAL_H
#define GIT_FS_WORKTREE_LOCAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worktree/item.h"

#define CONTENTS_LOG_MAX ((uint64_t)32 << 10) /* bytes of a file that is kept in the journal */
#define EXTENTS_MAX 8 /* then the file is written anew in one piece */

struct node;
struct entry;

/* Bytes of a file, in the journal. Later ones lie over earlier ones. */
struct extent {
	uint32_t offset; /* in the file */
	uint32_t len;
	uint64_t segment;
	uint64_t at;     /* in the segment */
};

struct xattr {
	struct xattr *next;
	char *name;      /* owned, as the value */
	uint8_t *value;
	size_t value_len;
};

struct local {
	struct node *node;
	struct local *next;      /* all of the worktree; guarded by its lock, as the next four */
	struct local **at;
	struct entry *overrides; /* folders: names where the overlay decides */
	bool anchored;           /* the journal says where the base has the node */
	bool condemned;          /* recovery could not make sense of it */
	uint64_t segment;        /* no record of it lies in an older segment; atomic access */

	pthread_mutex_t lock;
	bool changed;            /* `meta` counts; else the node is as in the base */
	struct meta meta;        /* of which `file` always counts */
	struct extent extents[EXTENTS_MAX]; /* CONTENTS_LOG, or what was before */
	unsigned extents_count;
	char *target;            /* symlinks made here; owned */
	struct xattr *xattrs;    /* owned */
	enum contents before;    /* CONTENTS_FILE, while not marked: LOG or BASE; else NONE */
	uint64_t before_size;
	bool marked;             /* CONTENTS_FILE: its first sync is recorded */
	bool unsynced;           /* CONTENTS_FILE: written since the last sync began */
	unsigned syncing;        /* syncs of the data file that have not ended */
	bool lost;               /* CONTENTS_FILE: the data file is not there; reads fail */
	uint64_t version;        /* counts changes of the contents */
};

struct local *local_new(struct node *node); /* NULL: no memory */
void local_free(struct local *local);       /* NULL is allowed */

/* --- states; used alike while running and while reading the journal back --- */

/* The attributes are these from now on; the contents follow as META says. */
void local_set_meta(struct local *local, const struct meta *meta);
/* These bytes of the file are in the journal. `replaces`: all that was there before
 * is void. At most EXTENTS_MAX; -E2BIG beyond, nothing done. */
int local_add_extent(struct local *local, const struct extent *extent, bool replaces)
	__attribute__((warn_unused_result));
/* Whether one more extent has room. */
bool local_extents_full(const struct local *local);
/* The data file is durable: what was before is not needed any more. */
void local_mark(struct local *local);
/* As in the base again. */
void local_clear(struct local *local);

/* NULL where there is none. */
struct xattr *local_xattr(const struct local *local, const char *name, size_t name_len);
/* One for local_put_xattr, which cannot fail then. NULL: no memory. */
struct xattr *xattr_new(const char *name, size_t name_len, const void *value, size_t value_len);
void xattr_free(struct xattr *xattr); /* NULL is allowed */
/* In the place of one of that name; `made` NULL: removed. Takes it over. */
void local_put_xattr(struct local *local, const char *name, size_t name_len, struct xattr *made);

/* Asserts what has to be true of it; the lock is held. */
void local_check(const struct local *local);

#endif
