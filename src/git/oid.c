/*
 * Object ids: raw bytes, hex digits, and the names of the hash algorithms.
 *
 * The struct is kept in one canonical form (bytes beyond the hash are zero),
 * because oid_equal compares all of it.
 */
#include "git/oid.h"

#include <errno.h>

#include "git/hex.h"

const char *hash_name(enum hash_algo algo)
{
	return algo == HASH_SHA256 ? "sha256" : "sha1";
}

int hash_parse_name(const char *name, size_t len, enum hash_algo *out)
{
	static const enum hash_algo known[] = { HASH_SHA1, HASH_SHA256 };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		const char *candidate = hash_name(known[i]);

		if (len == strlen(candidate) && memcmp(name, candidate, len) == 0) {
			*out = known[i];
			return 0;
		}
	}
	return -EINVAL;
}

void oid_from_raw(struct oid *out, enum hash_algo algo, const uint8_t *raw)
{
	struct oid oid = { .algo = (uint8_t)algo };

	memcpy(oid.hash, raw, hash_raw_len(algo));
	*out = oid;
}

int oid_from_hex(struct oid *out, const char *hex, size_t len)
{
	struct oid oid = { .algo = 0 };

	if (len == 2 * hash_raw_len(HASH_SHA1))
		oid.algo = HASH_SHA1;
	else if (len == 2 * hash_raw_len(HASH_SHA256))
		oid.algo = HASH_SHA256;
	else
		return -EINVAL;

	for (size_t i = 0; i < len / 2; i++) {
		int high = hex_value((uint8_t)hex[2 * i]);
		int low = hex_value((uint8_t)hex[2 * i + 1]);

		if (high < 0 || low < 0)
			return -EINVAL;
		oid.hash[i] = (uint8_t)(high * 16 + low);
	}
	*out = oid;
	return 0;
}

char *oid_to_hex(const struct oid *oid, char *out)
{
	static const char digits[] = "0123456789abcdef";
	size_t len = oid_raw_len(oid);

	for (size_t i = 0; i < len; i++) {
		out[2 * i] = digits[oid->hash[i] >> 4];
		out[2 * i + 1] = digits[oid->hash[i] & 15];
	}
	out[2 * len] = '\0';
	return out;
}

bool oid_is_zero(const struct oid *oid)
{
	static const uint8_t zero[OID_RAW_MAX];

	return memcmp(oid->hash, zero, OID_RAW_MAX) == 0;
}

uint64_t oid_hash(const struct oid *oid)
{
	uint64_t hash;

	memcpy(&hash, oid->hash, sizeof(hash));
	return hash;
}
