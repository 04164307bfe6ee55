/*
 * Object ids. Source: gitformat-pack(5), gitglossary(7), hash-function-transition.
 */
#ifndef GIT_FS_GIT_OID_H
#define GIT_FS_GIT_OID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum hash_algo { HASH_SHA1 = 1, HASH_SHA256 = 2 };

#define OID_RAW_MAX 32 /* bytes of the longest hash */
#define OID_HEX_MAX 64 /* hex digits of it, without the NUL */

/* A plain value. Bytes beyond the hash's length are zero, so that two oids of
 * one algorithm compare by memcmp of the whole struct. */
struct oid {
	uint8_t algo; /* enum hash_algo; 0: no oid */
	uint8_t hash[OID_RAW_MAX];
};

static inline size_t hash_raw_len(enum hash_algo algo)
{
	return algo == HASH_SHA256 ? 32 : 20;
}
static inline size_t oid_raw_len(const struct oid *oid)
{
	return hash_raw_len((enum hash_algo)oid->algo);
}
static inline bool oid_equal(const struct oid *a, const struct oid *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}
static inline bool oid_is_set(const struct oid *oid)
{
	return oid->algo != 0;
}

/* "sha1" or "sha256", as protocol and config name them; parse: -EINVAL. */
const char *hash_name(enum hash_algo algo);
int hash_parse_name(const char *name, size_t len, enum hash_algo *out)
	__attribute__((warn_unused_result));

/* `raw` has hash_raw_len(algo) bytes. */
void oid_from_raw(struct oid *out, enum hash_algo algo, const uint8_t *raw);
/* Exactly 40 or 64 lower- or upper-case hex digits; -EINVAL otherwise. */
int oid_from_hex(struct oid *out, const char *hex, size_t len) __attribute__((warn_unused_result));
/* Writes the digits and a NUL to `out` (OID_HEX_MAX + 1 bytes); returns out. */
char *oid_to_hex(const struct oid *oid, char *out);
/* The all-zero oid of the protocol ("no such ref"), of any algorithm or none. */
bool oid_is_zero(const struct oid *oid);
/* Its first eight bytes: already well mixed. Never for oids that nobody hashed. */
uint64_t oid_hash(const struct oid *oid);

#endif
