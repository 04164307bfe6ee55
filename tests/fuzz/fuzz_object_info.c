/*
 * Lists of sizes: the pieces in which they arrive make no difference; nothing is
 * written beyond what was asked for; a size is one that an object can have.
 */
#include <assert.h>
#include <string.h>

#include "answers.h"
#include "fuzz.h"
#include "git/object.h"
#include "remote/object_info.h"
#include "remote/remote.h"

#define COUNT 4

static int sizes_of(const uint8_t *data, size_t size, size_t piece_len, uint64_t sizes[COUNT + 1])
{
	struct object_info info;
	struct oid oids[COUNT];

	for (size_t i = 0; i < COUNT; i++) {
		uint8_t raw[OID_RAW_MAX];

		memset(raw, (int)(0xaa + 0x11 * i), sizeof(raw)); /* aaaa..., bbbb..., ... */
		oid_from_raw(&oids[i], HASH_SHA1, raw);
	}
	object_info_init(&info, oids, COUNT, sizes);
	sizes[COUNT] = 12345;
	int rc = feed_answer(&info.response, data, size, piece_len);
	object_info_release(&info);
	assert(sizes[COUNT] == 12345);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t piece_lens[] = { 1, 7, 50 };
	uint64_t whole[COUNT + 1], pieces[COUNT + 1];
	int rc = sizes_of(data, size, size, whole);

	for (size_t i = 0; i < COUNT; i++)
		assert(whole[i] == SIZE_NOT_TOLD || whole[i] <= OBJECT_SIZE_MAX);
	for (size_t i = 0; i < sizeof(piece_lens) / sizeof(piece_lens[0]); i++) {
		assert(sizes_of(data, size, piece_lens[i], pieces) == rc);
		assert(memcmp(whole, pieces, sizeof(whole)) == 0);
	}
	return 0;
}
