/* Commits and tags: whatever comes out lies within what went in. */
#include <assert.h>

#include "fuzz.h"
#include "git/commit.h"

static void check_commit(const uint8_t *data, size_t size, enum hash_algo algo)
{
	struct commit commit;
	int result = commit_parse(&commit, data, size, algo);

	if (result < 0) {
		assert(result == ERR_CORRUPT);
		return;
	}
	assert(commit.tree.algo == algo);
	for (size_t i = 0; i < commit.parents_count && i < COMMIT_PARENTS_MAX; i++)
		assert(commit.parents[i].algo == algo);
	assert(commit.author_time >= 0 && commit.commit_time >= 0);
	assert(commit.message >= data && commit.message + commit.message_len == data + size);
}

static void check_tag(const uint8_t *data, size_t size, enum hash_algo algo)
{
	struct tag tag;
	int result = tag_parse(&tag, data, size, algo);

	if (result < 0) {
		assert(result == ERR_CORRUPT);
		return;
	}
	assert(tag.object.algo == algo);
	assert(tag.type >= OBJECT_COMMIT && tag.type <= OBJECT_TAG);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_commit(data, size, HASH_SHA1);
	check_commit(data, size, HASH_SHA256);
	check_tag(data, size, HASH_SHA1);
	check_tag(data, size, HASH_SHA256);
	return 0;
}
