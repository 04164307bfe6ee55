/* The bytes of segments: heads there and back, and the scan over damage, holes,
 * and contents that were made to pass for records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "failing_alloc.h"
#include "git/zstream.h"
#include "store/segment.h"

static const struct segment_head head = { .id = 77, .mark = 0x1122334455667788, .algo = HASH_SHA1 };

/* A segment in memory with the records that a test puts into it. */
struct sketch {
	int fd;
	uint64_t tail;
};

static int setup(void **state)
{
	struct sketch *sketch = calloc(1, sizeof(*sketch));
	uint8_t bytes[SEGMENT_HEAD_BYTES];

	assert_non_null(sketch);
	sketch->fd = memfd_create("segment", MFD_CLOEXEC);
	assert_true(sketch->fd >= 0);
	segment_head_encode(&head, bytes);
	assert_int_equal(io_pwrite(sketch->fd, bytes, sizeof(bytes), 0), 0);
	sketch->tail = SEGMENT_HEAD_BYTES;
	*state = sketch;
	return 0;
}

static int teardown(void **state)
{
	struct sketch *sketch = *state;

	io_close(&sketch->fd);
	free(sketch);
	return 0;
}

static struct record record_of(uint8_t name, uint64_t size)
{
	return (struct record){ .state = RECORD_COMPLETE,
				.encoding = RECORD_RAW,
				.type = OBJECT_BLOB,
				.oid = { .algo = HASH_SHA1, .hash = { name } },
				.size = size,
				.stored = record_raw_stored(size) };
}

/* Appends a record whose payload is all `name`; returns its offset. */
static uint64_t sketch_add(struct sketch *sketch, const struct record *record)
{
	uint64_t at = sketch->tail;
	uint8_t *bytes = calloc(1, (size_t)record_span(record->stored));

	assert_non_null(bytes);
	record_encode(record, &head, bytes);
	memset(bytes + RECORD_HEAD_BYTES, record->oid.hash[0], (size_t)record->stored);
	assert_int_equal(io_pwrite(sketch->fd, bytes, (size_t)record_span(record->stored), at), 0);
	free(bytes);
	sketch->tail += record_span(record->stored);
	return at;
}

static uint64_t sketch_blob(struct sketch *sketch, uint8_t name, uint64_t size)
{
	struct record record = record_of(name, size);

	return sketch_add(sketch, &record);
}

/* The names of the records that a scan finds, in its order. */
static int on_record(void *arg, const struct record *record, uint64_t offset)
{
	char *names = arg;

	assert_true(offset >= SEGMENT_HEAD_BYTES && offset % RECORD_ALIGN == 0);
	names[strlen(names)] = (char)record->oid.hash[0];
	return 0;
}

static void assert_scan(const struct sketch *sketch, const char *want, uint64_t tail)
{
	char names[32] = "";
	uint64_t found;

	assert_int_equal(segment_scan(sketch->fd, &head, on_record, names, &found), 0);
	assert_string_equal(names, want);
	assert_int_equal(found, tail);
}

static void test_heads(void **state)
{
	const struct record record = record_of('x', 100000);
	uint8_t bytes[RECORD_HEAD_BYTES];
	struct segment_head other = head;
	struct record again;

	(void)state;
	record_encode(&record, &head, bytes);
	assert_int_equal(record_decode(&again, &head, bytes, sizeof(bytes)), 0);
	assert_true(oid_equal(&again.oid, &record.oid));
	assert_int_equal(again.size, record.size);
	assert_int_equal(again.stored, record.stored);
	assert_int_equal(again.type, record.type);
	for (size_t bit = 0; bit < sizeof(bytes) * 8; bit++) {
		bytes[bit / 8] = (uint8_t)(bytes[bit / 8] ^ 1U << bit % 8);
		assert_int_equal(record_decode(&again, &head, bytes, sizeof(bytes)), ERR_CORRUPT);
		bytes[bit / 8] = (uint8_t)(bytes[bit / 8] ^ 1U << bit % 8);
	}
	for (size_t len = 0; len < sizeof(bytes); len++)
		assert_int_equal(record_decode(&again, &head, bytes, len), ERR_CORRUPT);
	other.mark++;
	assert_int_equal(record_decode(&again, &other, bytes, sizeof(bytes)), ERR_CORRUPT);
}

static void test_segment_heads(void **state)
{
	const struct sketch *sketch = *state;
	uint8_t bytes[SEGMENT_HEAD_BYTES];
	struct segment_head again;

	assert_int_equal(segment_read_head(sketch->fd, 77, HASH_SHA1, &again), 0);
	assert_true(again.id == head.id && again.mark == head.mark && again.algo == head.algo);
	assert_int_equal(segment_read_head(sketch->fd, 78, HASH_SHA1, &again), ERR_CORRUPT);
	assert_int_equal(segment_read_head(sketch->fd, 77, HASH_SHA256, &again), ERR_CORRUPT);
	segment_head_encode(&head, bytes);
	for (size_t bit = 0; bit < sizeof(bytes) * 8; bit++) {
		bytes[bit / 8] = (uint8_t)(bytes[bit / 8] ^ 1U << bit % 8);
		assert_int_equal(segment_head_decode(&again, bytes, sizeof(bytes)), ERR_CORRUPT);
		bytes[bit / 8] = (uint8_t)(bytes[bit / 8] ^ 1U << bit % 8);
	}
	for (size_t len = 0; len < sizeof(bytes); len++)
		assert_int_equal(segment_head_decode(&again, bytes, len), ERR_CORRUPT);
}

/* Whole and checksummed, but no record that this program writes. */
static void test_implausible(void **state)
{
	struct record wrong[] = {
		record_of('x', 100), record_of('x', 100), record_of('x', 100), record_of('x', 100),
		record_of('x', OBJECT_SIZE_MAX + 1), record_of('x', 100), record_of('x', 200000),
	};
	uint8_t bytes[RECORD_HEAD_BYTES];
	struct record again;

	(void)state;
	wrong[0].state = (enum record_state)3;
	wrong[1].encoding = (enum record_encoding)3;
	wrong[2].type = (enum object_type)5;
	wrong[3].stored--;
	wrong[5].encoding = RECORD_DEFLATE; /* not smaller than what it holds */
	wrong[6].encoding = RECORD_DEFLATE;
	wrong[6].stored = 1000;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		record_encode(&wrong[i], &head, bytes);
		assert_int_equal(record_decode(&again, &head, bytes, sizeof(bytes)), ERR_CORRUPT);
	}
}

static void test_scan(void **state)
{
	struct sketch *sketch = *state;
	struct record incomplete = record_of('-', 1000);
	uint64_t tail;

	assert_scan(sketch, "", SEGMENT_HEAD_BYTES);
	sketch_blob(sketch, 'a', 0);
	sketch_blob(sketch, 'b', 1);
	sketch_blob(sketch, 'c', 300000); /* beyond the scan's window */
	tail = sketch_blob(sketch, 'd', 7) + record_span(record_raw_stored(7));
	assert_scan(sketch, "abcd", tail);
	/* Space of a stream that was given up: passed over, and no end of anything. */
	incomplete.state = RECORD_INCOMPLETE;
	sketch_add(sketch, &incomplete);
	assert_scan(sketch, "abcd", tail);
	tail = sketch_blob(sketch, 'e', 7) + record_span(record_raw_stored(7));
	assert_scan(sketch, "abcde", tail);
}

static void test_scan_damage(void **state)
{
	struct sketch *sketch = *state;
	uint64_t b, d, e;

	sketch_blob(sketch, 'a', 100);
	b = sketch_blob(sketch, 'b', 70000);
	sketch_blob(sketch, 'c', 100);
	d = sketch_blob(sketch, 'd', 100);
	e = sketch_blob(sketch, 'e', 100);
	/* A head that is bad costs its own record. */
	assert_int_equal(io_pwrite(sketch->fd, "?", 1, b + 20), 0);
	assert_scan(sketch, "acde", sketch->tail);
	/* One of which the end is missing is none. */
	assert_int_equal(io_truncate(sketch->fd, sketch->tail - 10), 0);
	assert_scan(sketch, "acd", e);
	assert_int_equal(io_truncate(sketch->fd, e + 20), 0);
	assert_scan(sketch, "acd", e);
	assert_int_equal(io_truncate(sketch->fd, e - 8), 0);
	assert_scan(sketch, "ac", d);
	assert_int_equal(io_truncate(sketch->fd, 10), 0);
	assert_scan(sketch, "", SEGMENT_HEAD_BYTES);
}

/* A writer that was killed before it wrote leaves a hole, of any size. */
static void test_scan_hole(void **state)
{
	struct sketch *sketch = *state;

	sketch_blob(sketch, 'a', 100);
	sketch->tail += (uint64_t)1 << 40;
	sketch_blob(sketch, 'b', 100);
	sketch->tail += 12345 * RECORD_ALIGN;
	sketch_blob(sketch, 'c', 100);
	assert_scan(sketch, "abc", sketch->tail);
	assert_int_equal(io_truncate(sketch->fd, sketch->tail + ((uint64_t)1 << 40)), 0);
	assert_scan(sketch, "abc", sketch->tail);
}

/* Contents that hold a record, whole and at a place where one may begin, are no
 * record even where the scan has to look at them byte by byte. */
static void test_scan_hostile(void **state)
{
	struct sketch *sketch = *state;
	struct segment_head guessed = head;
	struct record forged = record_of('!', 8);
	uint8_t bytes[RECORD_HEAD_BYTES];
	uint64_t at = sketch_blob(sketch, 'a', 1000), inside = at + RECORD_HEAD_BYTES + 8;

	sketch_blob(sketch, 'b', 100);
	guessed.mark = 0x1122334455667789;
	record_encode(&forged, &guessed, bytes);
	assert_int_equal(io_pwrite(sketch->fd, bytes, sizeof(bytes), inside), 0);
	assert_int_equal(io_pwrite(sketch->fd, "?", 1, at + 20), 0);
	assert_scan(sketch, "b", sketch->tail);
	/* With the mark it would have passed: that is what the mark is for. */
	record_encode(&forged, &head, bytes);
	assert_int_equal(io_pwrite(sketch->fd, bytes, sizeof(bytes), inside), 0);
	assert_scan(sketch, "!b", sketch->tail);
}

static int stop_at_b(void *arg, const struct record *record, uint64_t offset)
{
	(void)offset;
	(*(int *)arg)++;
	return record->oid.hash[0] == 'b' ? 5 : 0;
}

static void test_scan_ends(void **state)
{
	struct sketch *sketch = *state;
	uint64_t tail = 1;
	int calls = 0;

	sketch_blob(sketch, 'a', 1);
	sketch_blob(sketch, 'b', 1);
	sketch_blob(sketch, 'c', 1);
	assert_int_equal(segment_scan(sketch->fd, &head, stop_at_b, &calls, &tail), 5);
	assert_int_equal(calls, 2);
	assert_int_equal(tail, 1);
	failing_alloc_arm(1);
	assert_int_equal(segment_scan(sketch->fd, &head, stop_at_b, &calls, &tail), -ENOMEM);
	assert_true(failing_alloc_disarm());
	assert_int_equal(tail, 1);
}

static int count_id(void *arg, uint64_t id)
{
	*(uint64_t *)arg += id;
	return 0;
}

static void test_names(void **state)
{
	const char *names[] = {
		"0000000000000001.seg", "00000000000000a0.seg",  "0000000000000000.seg",
		"00000000000000A0.seg", "000000000000001.seg",   "0000000000000004.seg~",
		"0000000000000008",     "notes",
	};
	const size_t count = sizeof(names) / sizeof(names[0]);
	char dir[] = "/tmp/git-fs-test-XXXXXX";
	char name[SEGMENT_NAME_MAX];
	AUTO_CLOSE int dirfd = -1;
	uint64_t sum = 0;

	(void)state;
	assert_string_equal(segment_name(0xfeULL << 56 | 1, name), "fe00000000000001.seg");
	assert_non_null(mkdtemp(dir));
	dirfd = io_open(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY, 0);
	assert_true(dirfd >= 0);
	for (size_t i = 0; i < count; i++) {
		AUTO_CLOSE int fd = io_open(dirfd, names[i], O_CREAT | O_WRONLY, 0600);

		assert_true(fd >= 0);
	}
	assert_int_equal(segment_each(dirfd, count_id, &sum), 0);
	assert_int_equal(sum, 0xa1);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(io_unlink(dirfd, names[i]), 0);
	assert_int_equal(rmdir(dir), 0);
}

#define SEGMENT_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SEGMENT_TEST(test_heads),
		SEGMENT_TEST(test_segment_heads),
		SEGMENT_TEST(test_implausible),
		SEGMENT_TEST(test_scan),
		SEGMENT_TEST(test_scan_damage),
		SEGMENT_TEST(test_scan_hole),
		SEGMENT_TEST(test_scan_hostile),
		SEGMENT_TEST(test_scan_ends),
		SEGMENT_TEST(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
