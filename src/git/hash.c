/*
 * Hashing through OpenSSL.
 *
 * EVP_MD_fetch walks OpenSSL's providers under its locks, so each algorithm is
 * fetched once per process and shared by all threads from then on; it is never
 * given back. A fetch that failed is tried again by the next hasher: memory
 * that was short once must not stop a daemon from hashing for good.
 *
 * A hasher is fresh (just made or reset), running (fed), or done (final taken).
 * Done, it takes nothing until it is reset: OpenSSL leaves that undefined.
 */
#include "git/hash.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

struct hasher {
	EVP_MD_CTX *context;  /* owned */
	const EVP_MD *digest; /* shared by the process */
	enum hash_algo algo;
	bool done;
};

static const EVP_MD *shared_digest(enum hash_algo algo)
{
	static _Atomic(EVP_MD *) digests[HASH_SHA256 + 1];
	_Atomic(EVP_MD *) *slot = &digests[algo];
	EVP_MD *digest = atomic_load(slot);
	EVP_MD *expected = NULL;

	if (digest != NULL)
		return digest;
	digest = EVP_MD_fetch(NULL, algo == HASH_SHA256 ? "SHA2-256" : "SHA1", NULL);
	if (digest == NULL)
		return NULL;
	if (atomic_compare_exchange_strong(slot, &expected, digest))
		return digest;
	/* Another thread was first. */
	EVP_MD_free(digest);
	return expected;
}

struct hasher *hasher_new(enum hash_algo algo)
{
	struct hasher *hasher;

	assert(algo == HASH_SHA1 || algo == HASH_SHA256);
	hasher = calloc(1, sizeof(*hasher));
	if (hasher == NULL)
		return NULL;
	hasher->algo = algo;
	hasher->digest = shared_digest(algo);
	hasher->context = EVP_MD_CTX_new();
	if (hasher->digest == NULL || hasher->context == NULL || hasher_reset(hasher) < 0) {
		hasher_free(hasher);
		return NULL;
	}
	return hasher;
}

void hasher_free(struct hasher *hasher)
{
	if (hasher == NULL)
		return;
	EVP_MD_CTX_free(hasher->context);
	free(hasher);
}

int hasher_reset(struct hasher *hasher)
{
	if (EVP_DigestInit_ex2(hasher->context, hasher->digest, NULL) != 1)
		return -EIO;
	hasher->done = false;
	return 0;
}

int hasher_update(struct hasher *hasher, const void *data, size_t len)
{
	assert(!hasher->done);
	return EVP_DigestUpdate(hasher->context, data, len) == 1 ? 0 : -EIO;
}

int hasher_final(struct hasher *hasher, struct oid *out)
{
	uint8_t raw[EVP_MAX_MD_SIZE];
	unsigned len;

	assert(!hasher->done);
	hasher->done = true;
	if (EVP_DigestFinal_ex(hasher->context, raw, &len) != 1)
		return -EIO;
	assert(len == hash_raw_len(hasher->algo));
	oid_from_raw(out, hasher->algo, raw);
	return 0;
}

int hasher_begin_object(struct hasher *hasher, enum object_type type, uint64_t size)
{
	char header[32]; /* "commit ", 20 digits, NUL */
	int len = snprintf(header, sizeof(header), "%s %" PRIu64, object_type_name(type), size);
	int result;

	assert(len > 0 && (size_t)len < sizeof(header));
	result = hasher_reset(hasher);
	if (result < 0)
		return result;
	/* The NUL that ends the text is the one that ends the header. */
	return hasher_update(hasher, header, (size_t)len + 1);
}

int hasher_object(struct hasher *hasher, enum object_type type, const void *data, size_t len,
		  struct oid *out)
{
	int result = hasher_begin_object(hasher, type, len);

	if (result == 0)
		result = hasher_update(hasher, data, len);
	if (result == 0)
		result = hasher_final(hasher, out);
	return result;
}
