/*
 * SHA-1 and SHA-256 through OpenSSL; nothing else in the program includes it.
 * OpenSSL's SHA-1 does not detect collision attacks (SECURITY.md).
 */
#ifndef GIT_FS_GIT_HASH_H
#define GIT_FS_GIT_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "git/object.h"
#include "git/oid.h"

struct hasher; /* one running hash; used by one thread at a time */

/* Ready to be fed. NULL where memory is short or the algorithm is not to be had. */
struct hasher *hasher_new(enum hash_algo algo);
void hasher_free(struct hasher *hasher);
/* Starts again from nothing. -EIO where OpenSSL fails. */
int hasher_reset(struct hasher *hasher) __attribute__((warn_unused_result));
int hasher_update(struct hasher *hasher, const void *data, size_t len)
	__attribute__((warn_unused_result));
/* Nothing may be fed after this until the hasher is reset. */
int hasher_final(struct hasher *hasher, struct oid *out) __attribute__((warn_unused_result));

/* Starts (resets) and feeds git's object header "<type> <size>\0". */
int hasher_begin_object(struct hasher *hasher, enum object_type type, uint64_t size)
	__attribute__((warn_unused_result));
/* The id of a whole object. */
int hasher_object(struct hasher *hasher, enum object_type type, const void *data, size_t len,
		  struct oid *out) __attribute__((warn_unused_result));

#endif
