/*
 * The answer to `fetch`: sections, of which the last is a pack. Source:
 * gitprotocol-v2(5) "fetch"; side bands: gitprotocol-pack(5).
 */
#ifndef GIT_FS_REMOTE_FETCH_RESPONSE_H
#define GIT_FS_REMOTE_FETCH_RESPONSE_H

#include <stddef.h>

#include "git/object.h"
#include "git/pack.h"
#include "remote/response.h"

#define FETCH_SECTION_LINES_MAX 1000000U /* lines before the pack */

struct fetch_response {
	struct response response;
	enum hash_algo algo;
	struct object_sink *sink;   /* borrowed */
	struct pack_parser *parser; /* from the pack's first byte on */
	enum { FETCH_HEADER, FETCH_SKIP, FETCH_PACK, FETCH_PACK_DONE } state;
	size_t lines;
};

void fetch_response_init(struct fetch_response *fetch, enum hash_algo algo,
			 struct object_sink *sink);
void fetch_response_release(struct fetch_response *fetch);

#endif
