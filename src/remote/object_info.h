/*
 * `object-info`: sizes of objects without their contents. Source:
 * gitprotocol-v2(5) "object-info".
 */
#ifndef GIT_FS_REMOTE_OBJECT_INFO_H
#define GIT_FS_REMOTE_OBJECT_INFO_H

#include <stddef.h>
#include <stdint.h>

#include "git/oid.h"
#include "remote/response.h"

struct object_info {
	struct response response;
	const struct oid *oids; /* borrowed: what was asked */
	size_t count;
	uint64_t *sizes;        /* borrowed: `count` of them, SIZE_NOT_TOLD at first */
	size_t next;            /* the oid that the next line is about, or a later one */
	bool headed;            /* the line that names the columns came */
};

void object_info_init(struct object_info *info, const struct oid *oids, size_t count,
		      uint64_t *sizes);
void object_info_release(struct object_info *info);

#endif
