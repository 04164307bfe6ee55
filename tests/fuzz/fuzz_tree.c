/* Trees: what was parsed, written again and parsed again is the same. */
#include <assert.h>
#include <string.h>

#include "base/buf.h"
#include "fuzz.h"
#include "git/tree.h"

static void check_entry(const struct tree_entry *entry)
{
	struct tree_iter iter;
	struct tree_entry again;
	AUTO_BUF struct buf wire = BUF_INIT;
	uint32_t kind;
	int result;

	if (tree_entry_kind(entry->mode, &kind) == 0)
		assert((kind ^ entry->mode) < 010000);
	assert(tree_entry_compare(entry, entry) == 0);
	result = tree_append(&wire, entry->mode, entry->name, entry->name_len, &entry->oid);
	if (result < 0) {
		assert(!tree_name_shown(entry->name, entry->name_len));
		return;
	}
	tree_iter_init(&iter, wire.data, wire.len, (enum hash_algo)entry->oid.algo);
	assert(tree_iter_next(&iter, &again) == 1);
	assert(again.mode == entry->mode && oid_equal(&again.oid, &entry->oid));
	assert(again.name_len == entry->name_len);
	assert(memcmp(again.name, entry->name, entry->name_len) == 0);
	assert(tree_iter_next(&iter, &again) == 0);
}

static void check_tree(const uint8_t *data, size_t size, enum hash_algo algo)
{
	struct tree_iter iter;
	struct tree_entry entry;
	struct tree_entry last = { .name = NULL };
	int result;

	tree_iter_init(&iter, data, size, algo);
	while ((result = tree_iter_next(&iter, &entry)) == 1) {
		check_entry(&entry);
		if (last.name != NULL)
			assert((tree_entry_compare(&last, &entry) < 0) ==
			       (tree_entry_compare(&entry, &last) > 0));
		last = entry;
	}
	assert(result == 0 || result == ERR_CORRUPT);
	/* Failed once, it fails again; ended once, it has ended. */
	assert(tree_iter_next(&iter, &entry) == result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_tree(data, size, HASH_SHA1);
	check_tree(data, size, HASH_SHA256);
	return 0;
}
