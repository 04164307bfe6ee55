/*
 * Packs, parsed while they arrive. Source: gitformat-pack(5), version 2.
 *
 * The parser takes bytes in pieces of any size, hashes every object, and gives
 * it to a sink as soon as it is complete: whole ones by libdeflate when all
 * their bytes are at hand, large ones streamed. A delta is resolved when its
 * base is known, from a bounded cache of recent objects or through
 * sink->read(); REF_DELTAs whose base has not come yet wait, bounded by
 * PACK_PENDING_MAX. No recursion: a chain is walked object by object.
 */
#ifndef GIT_FS_GIT_PACK_H
#define GIT_FS_GIT_PACK_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "git/object.h"
#include "git/oid.h"

#define PACK_OBJECTS_MAX 50000000U                 /* objects in one pack */
#define PACK_PENDING_MAX ((size_t)256 << 20)       /* bytes of deltas that wait for a base */
#define PACK_CACHE_MAX ((size_t)32 << 20)          /* bytes of recent objects kept as bases */

struct pack_parser;

/* `sink` is borrowed until the parser is freed. NULL: no memory. */
struct pack_parser *pack_parser_new(enum hash_algo algo, struct object_sink *sink);
/* Gives up an open stream and forgets all that is pending. */
void pack_parser_free(struct pack_parser *parser);

/* The next bytes of the pack. 0: go on; 1: the pack is complete, its trailer
 * right and every delta resolved (bytes after it are ERR_CORRUPT). ERR_CORRUPT,
 * ERR_LIMIT, -ENOMEM, or whatever the sink returned; after a failure only
 * pack_parser_free may be called. Blocks as long as the sink does. */
int pack_parser_feed(struct pack_parser *parser, const uint8_t *data, size_t len, struct err *err)
	__attribute__((warn_unused_result));

/* Objects given to the sink so far, and how many the header announced (0 until
 * it came). */
uint32_t pack_parser_count(const struct pack_parser *parser);
uint32_t pack_parser_total(const struct pack_parser *parser);

#endif
