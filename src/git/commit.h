/*
 * Commits and annotated tags, as far as a filesystem needs them. Source:
 * git-commit-tree(1), git-mktag(1), gitformat-signature(5).
 */
#ifndef GIT_FS_GIT_COMMIT_H
#define GIT_FS_GIT_COMMIT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "git/object.h"
#include "git/oid.h"

#define COMMIT_PARENTS_MAX 64 /* more are counted, not kept */

struct commit {
	struct oid tree;
	struct oid parents[COMMIT_PARENTS_MAX];
	size_t parents_count; /* all of them, may exceed COMMIT_PARENTS_MAX */
	int64_t author_time;  /* seconds since the epoch; 0 where unreadable */
	int64_t commit_time;
	const uint8_t *message; /* borrowed from the data; starts after the blank line */
	size_t message_len;
};

/* `data` stays the caller's and must outlive *out. ERR_CORRUPT where the tree
 * line is missing or a hash has the wrong length for `algo`. */
int commit_parse(struct commit *out, const uint8_t *data, size_t len, enum hash_algo algo)
	__attribute__((warn_unused_result));

/* The head of an annotated tag. */
struct tag {
	struct oid object;
	enum object_type type; /* of the object */
};

/* ERR_CORRUPT where it does not begin with an object of `algo` and its type. */
int tag_parse(struct tag *out, const uint8_t *data, size_t len, enum hash_algo algo)
	__attribute__((warn_unused_result));

#endif
