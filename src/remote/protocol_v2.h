/*
 * Requests of git's protocol, version 2, as bytes. Source: gitprotocol-v2(5).
 * What a server has not offered is left out; where it was not asked, what every
 * server of our time understands is put in.
 */
#ifndef GIT_FS_REMOTE_PROTOCOL_V2_H
#define GIT_FS_REMOTE_PROTOCOL_V2_H

#include <stddef.h>

#include "base/buf.h"
#include "git/oid.h"
#include "remote/advert.h"
#include "remote/ls_refs.h"

/* What every request says. */
struct v2_context {
	struct offer offer;
	enum hash_algo algo; /* of the ids in it; 0: none, or not known */
	const char *agent;
};

/* Filters of objects, the finest first. Each is also a bit: 1 << filter. */
enum filter {
	FILTER_TREE,      /* tree:<depth> alone */
	FILTER_COMBINE,   /* no blobs, and tree:<depth> */
	FILTER_BLOB_NONE, /* no blobs */
	FILTER_NONE,      /* everything */
};

/* Each appends one whole request. ERR_LIMIT, -ENOMEM. NULL candidates: all refs. */
int v2_ls_refs(struct buf *out, const struct v2_context *context,
	       const struct ref_candidates *candidates) __attribute__((warn_unused_result));
int v2_fetch(struct buf *out, const struct v2_context *context, const struct oid *oids,
	     size_t count, enum filter filter, unsigned tree_depth)
	__attribute__((warn_unused_result));
int v2_object_info(struct buf *out, const struct v2_context *context, const struct oid *oids,
		   size_t count) __attribute__((warn_unused_result));

#endif
