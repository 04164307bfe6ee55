/*
 * What an operation found missing. The worktree answers from what is local
 * and names the rest; whoever runs the operation has it fetched and asks
 * again. So no call of the worktree ever blocks on the network.
 */
#ifndef GIT_FS_WORKTREE_WANT_H
#define GIT_FS_WORKTREE_WANT_H

#include <stdbool.h>
#include <stddef.h>

#include "git/oid.h"

enum want_kind {
	WANT_NOTHING,
	WANT_BLOB,  /* oids[0]: contents */
	WANT_TREE,  /* oids[0]: the entries of a folder */
	WANT_SIZES, /* sizes of blobs: those of one folder */
};

struct want {
	enum want_kind kind;
	struct oid *oids; /* owned; oids[0] is waited for, the others come along */
	size_t count;
	bool likely;      /* WANT_SIZES: oids[0] will probably be read next */
};

#define WANT_INIT { .kind = WANT_NOTHING, .oids = NULL, .count = 0, .likely = false }

/* Frees the oids; *want is then WANT_INIT. */
void want_release(struct want *want);
/* Makes it want one object. -ENOMEM. */
int want_one(struct want *want, enum want_kind kind, const struct oid *oid)
	__attribute__((warn_unused_result));

#endif
