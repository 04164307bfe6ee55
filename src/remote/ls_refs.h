/*
 * `ls-refs`: which of a few names a repository has. Source: gitprotocol-v2(5)
 * "ls-refs"; the order of names is that of gitrevisions(7) "<refname>".
 */
#ifndef GIT_FS_REMOTE_LS_REFS_H
#define GIT_FS_REMOTE_LS_REFS_H

#include <stdbool.h>
#include <stddef.h>

#include "remote/remote.h"
#include "remote/response.h"

#define REF_CANDIDATES_MAX 6
#define REF_SPEC_MAX (REF_NAME_MAX - 32) /* bytes of what a user typed, with the NUL */
#define LS_REFS_LINES_MAX 8000000U       /* refs in one answer */

/* The full names that a typed one may stand for, the best first. */
struct ref_candidates {
	char names[REF_CANDIDATES_MAX][REF_NAME_MAX];
	size_t count;
};

/* "" is HEAD. ERR_NOT_FOUND, with words, for what cannot be a name. */
int ref_candidates_of(struct ref_candidates *out, const char *spec, struct err *err)
	__attribute__((warn_unused_result));

/* The answer, looked through as it arrives: nothing but the best match is kept. */
struct ls_refs {
	struct response response;
	const struct ref_candidates *candidates; /* borrowed; NULL: any ref will do, the first */
	size_t best;              /* index of the match; SIZE_MAX: none yet */
	struct remote_ref ref;    /* the match, by its own name */
	char target[REF_NAME_MAX]; /* what it points to where it is symbolic, or "" */
	enum hash_algo algo;      /* of the ids; 0 while none came */
	size_t lines;
};

void ls_refs_init(struct ls_refs *refs, const struct ref_candidates *candidates);
void ls_refs_release(struct ls_refs *refs);
static inline bool ls_refs_found(const struct ls_refs *refs)
{
	return refs->best != SIZE_MAX;
}

#endif
