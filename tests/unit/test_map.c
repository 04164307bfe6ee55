#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "base/map.h"
#include "failing_alloc.h"

#define ITEMS 5000

struct item {
	uint32_t key;
	unsigned seen;
	struct map_node node;
};

static uint64_t hash_of(uint32_t key)
{
	return map_hash(&key, sizeof(key), 0);
}

static struct item *find(const struct map *map, uint32_t key)
{
	struct map_node *node;

	for (node = map_find(map, hash_of(key)); node != NULL; node = map_find_next(node)) {
		struct item *item = MAP_ENTRY(node, struct item, node);

		if (item->key == key)
			return item;
	}
	return NULL;
}

static void an_empty_map_has_nothing(void **state)
{
	struct map map = MAP_INIT;

	(void)state;
	assert_null(map_find(&map, 1));
	assert_null(map_first(&map));
	assert_int_equal(map_reserve(&map, 0), 0);
	assert_null(map.buckets);
	map_release(&map);
}

static void what_was_inserted_is_found_until_removed(void **state)
{
	static struct item items[ITEMS];
	struct map map = MAP_INIT;
	struct map_node *node;

	(void)state;
	for (uint32_t i = 0; i < ITEMS; i++) {
		items[i].key = i;
		assert_int_equal(map_insert(&map, &items[i].node, hash_of(i)), 0);
	}
	assert_int_equal(map.count, ITEMS);
	assert_true(map.mask + 1 >= ITEMS);
	for (uint32_t i = 0; i < ITEMS; i += 2)
		map_remove(&map, &items[i].node);
	assert_int_equal(map.count, ITEMS / 2);
	for (uint32_t i = 0; i < ITEMS; i++)
		assert_ptr_equal(find(&map, i), i % 2 == 0 ? NULL : &items[i]);
	assert_null(find(&map, ITEMS));
	for (node = map_first(&map); node != NULL; node = map_next(&map, node))
		MAP_ENTRY(node, struct item, node)->seen++;
	for (uint32_t i = 0; i < ITEMS; i++)
		assert_int_equal(items[i].seen, i % 2);
	map_release(&map);
	assert_int_equal(map.count, 0);
	assert_null(map.buckets);
}

static void equal_hashes_are_all_found(void **state)
{
	struct map_node nodes[40];
	struct map_node other;
	struct map map = MAP_INIT;
	struct map_node *node;
	size_t found = 0;

	(void)state;
	for (size_t i = 0; i < 40; i++)
		assert_int_equal(map_insert(&map, &nodes[i], 77), 0);
	assert_int_equal(map_insert(&map, &other, 77 + 1024), 0); /* same bucket, other hash */
	for (node = map_find(&map, 77); node != NULL; node = map_find_next(node)) {
		assert_ptr_not_equal(node, &other);
		found++;
	}
	assert_int_equal(found, 40);
	assert_ptr_equal(map_find(&map, 77 + 1024), &other);
	assert_null(map_find_next(&other));
	map_release(&map);
}

static void reserved_room_needs_no_memory(void **state)
{
	static struct map_node nodes[1000];
	struct map map = MAP_INIT;
	size_t mask;

	(void)state;
	assert_int_equal(map_reserve(&map, 1000), 0);
	mask = map.mask;
	failing_alloc_arm(1);
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(map_insert(&map, &nodes[i], i), 0);
	assert_false(failing_alloc_disarm());
	assert_int_equal(map.mask, mask);
	assert_int_equal(map_reserve(&map, SIZE_MAX), -ENOMEM);
	assert_int_equal(map_reserve(&map, SIZE_MAX / 2), -ENOMEM);
	map_release(&map);
}

static void a_failed_growth_loses_nothing(void **state)
{
	struct map_node nodes[64];
	struct map map = MAP_INIT;
	size_t delivered = 0;

	(void)state;
	failing_alloc_arm(1);
	assert_int_equal(map_insert(&map, &nodes[0], 0), -ENOMEM);
	assert_true(failing_alloc_disarm());
	assert_int_equal(map.count, 0);
	failing_alloc_arm(1);
	assert_int_equal(map_reserve(&map, 5), -ENOMEM);
	assert_true(failing_alloc_disarm());

	assert_int_equal(map_reserve(&map, 1), 0);
	for (size_t i = 0; i < 64; i++) {
		failing_alloc_arm(1);
		assert_int_equal(map_insert(&map, &nodes[i], i), 0);
		delivered += failing_alloc_disarm();
	}
	assert_int_equal(delivered, 64 - 16); /* every insert after the 16 first tried to grow */
	assert_int_equal(map.mask, 15);
	for (size_t i = 0; i < 64; i++)
		assert_ptr_equal(map_find(&map, i), &nodes[i]);
	map_release(&map);
}

/* Each bit of the input, the length and the seed must turn about half of the
 * bits of the hash. 64 coins: fewer than 8 or more than 56 heads come about
 * once in 10^10 throws. */
static void assert_mixed(uint64_t a, uint64_t b)
{
	assert_in_range(__builtin_popcountll(a ^ b), 8, 56);
}

static void hashes_are_well_mixed(void **state)
{
	uint8_t bytes[33] = { 0 };

	(void)state;
	for (size_t len = 1; len <= sizeof(bytes); len++) {
		uint64_t plain = map_hash(bytes, len, 0);

		assert_true(plain == map_hash(bytes, len, 0));
		assert_mixed(plain, map_hash(bytes, len - 1, 0));
		assert_mixed(plain, map_hash(bytes, len, 1));
		for (size_t bit = 0; bit < len * 8; bit++) {
			bytes[bit / 8] ^= (uint8_t)(1U << (bit % 8));
			assert_mixed(plain, map_hash(bytes, len, 0));
			bytes[bit / 8] ^= (uint8_t)(1U << (bit % 8));
		}
	}
	assert_true(map_hash(NULL, 0, 3) == map_hash("", 0, 3));
}

static void low_bits_spread_evenly(void **state)
{
	unsigned chains[256] = { 0 };

	(void)state;
	for (uint32_t key = 0; key < 256 * 100; key++)
		chains[hash_of(key) & 255]++;
	/* 100 expected, deviation 10: eight deviations do not happen. */
	for (size_t i = 0; i < 256; i++)
		assert_in_range(chains[i], 20, 180);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_map_has_nothing),
		cmocka_unit_test(what_was_inserted_is_found_until_removed),
		cmocka_unit_test(equal_hashes_are_all_found),
		cmocka_unit_test(reserved_room_needs_no_memory),
		cmocka_unit_test(a_failed_growth_loses_nothing),
		cmocka_unit_test(hashes_are_well_mixed),
		cmocka_unit_test(low_bits_spread_evenly),
	};

	return cmocka_run_group_tests_name("map", tests, NULL, NULL);
}
