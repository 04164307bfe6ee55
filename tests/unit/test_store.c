/* The store as its callers see it: round trips, ranges, groups, sizes, refusals. */
#include "store_fixture.h"

#include "failing_alloc.h"

#define CHUNK ((size_t)64 << 10)

static const size_t border_sizes[] = {
	0, 1, 63, 64, 4095, 4096, 4097, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK - 1, 2 * CHUNK,
	2 * CHUNK + 1, 3 * CHUNK, 16 * CHUNK - 1, 16 * CHUNK, 16 * CHUNK + 1,
};
#define BORDERS (sizeof(border_sizes) / sizeof(border_sizes[0]))

enum way { WAY_DELTA, WAY_DEFLATED, WAY_STREAM, WAYS };

static int setup(void **state)
{
	struct store_fixture *fix = calloc(1, sizeof(*fix));

	assert_non_null(fix);
	fixture_init(fix);
	fixture_open(fix);
	*state = fix;
	return 0;
}

static int teardown(void **state)
{
	fixture_release(*state);
	free(*state);
	return 0;
}

static uint64_t border_number(size_t border, enum way way, bool odd)
{
	return 1000 + (border * WAYS + (size_t)way) * 2 + odd;
}

static void each_border(struct store_fixture *fix,
			void (*each)(struct store_fixture *, const struct sample *, enum way,
				     void *),
			void *arg)
{
	for (size_t border = 0; border < BORDERS; border++) {
		for (int way = 0; way < WAYS * 2; way++) {
			AUTO_SAMPLE struct sample sample;
			uint64_t number = border_number(border, (enum way)(way / 2), way % 2 != 0);

			sample_make(&sample, fix->hasher, number, border_sizes[border]);
			each(fix, &sample, (enum way)(way / 2), arg);
		}
	}
}

static void give_border(struct store_fixture *fix, const struct sample *sample, enum way way,
			void *arg)
{
	struct object_sink *sink = arg;

	(void)fix;
	if (way == WAY_STREAM)
		assert_int_equal(sample_stream(sink, sample, 50001, NULL), 0);
	else
		assert_int_equal(sample_give(sink, sample, way == WAY_DEFLATED, NULL), 0);
}

static void check_border(struct store_fixture *fix, const struct sample *sample, enum way way,
			 void *arg)
{
	struct store_info info;

	(void)way;
	(void)arg;
	assert_int_equal(sample_check(fix->store, sample), 1);
	assert_int_equal(store_info(fix->store, &sample->oid, &info), 0);
	assert_true(info.present);
	assert_int_equal(info.size, sample->size);
	assert_int_equal(info.type, sample->type);
}

static void fill_borders(struct store_fixture *fix)
{
	struct store_writer *writer = writer_make(fix, NULL, NULL);

	each_border(fix, give_border, store_writer_sink(writer));
	assert_int_equal(store_writer_flush(writer, NULL), 0);
	store_writer_free(writer);
}

static void test_round_trip(void **state)
{
	struct store_fixture *fix = *state;

	fill_borders(fix);
	each_border(fix, check_border, NULL);
	fixture_reopen(fix);
	assert_false(fixture_stats(fix).rebuilt);
	each_border(fix, check_border, NULL);
	assert_int_equal(fixture_stats(fix).bad_records, 0);
	assert_int_equal(fixture_stats(fix).segments, 1);
}

static void check_ranges(struct store_fixture *fix, const struct sample *sample, enum way way,
			 void *arg)
{
	uint64_t *random = arg;
	uint8_t *data = malloc(sample->size + 100);

	(void)way;
	assert_non_null(data);
	for (int i = 0; i < 24; i++) {
		uint64_t offset = next_random(random) % (sample->size + 2);
		size_t len = (size_t)(next_random(random) % (sample->size + 50));
		size_t left = offset < sample->size ? sample->size - (size_t)offset : 0;
		size_t want = len < left ? len : left;
		ssize_t got;

		if (i % 3 == 0) /* at a border of chunks */
			offset = offset / CHUNK * CHUNK;
		if (i % 4 == 0)
			len = len / CHUNK * CHUNK + 1;
		left = offset < sample->size ? sample->size - (size_t)offset : 0;
		want = len < left ? len : left;
		memset(data, 0xee, sample->size + 100);
		got = store_read_at(fix->store, &sample->oid, offset, data, len);
		assert_int_equal(got, want);
		assert_memory_equal(data, sample->data + (want > 0 ? offset : 0), want);
		assert_int_equal(data[want], 0xee);
	}
	free(data);
}

static void test_read_at(void **state)
{
	struct store_fixture *fix = *state;
	uint64_t random = 42;
	uint8_t byte;
	struct oid unknown = { .algo = HASH_SHA1, .hash = { 9 } };

	fill_borders(fix);
	each_border(fix, check_ranges, &random);
	assert_int_equal(store_read_at(fix->store, &unknown, 0, &byte, 1), ERR_NOT_FOUND);
}

/* A large object has more chunks than CRCs are read, or written, at once. */
static void test_large(void **state)
{
	struct store_fixture *fix = *state;
	struct store_writer *writer = writer_make(fix, NULL, NULL);
	AUTO_SAMPLE struct sample sample;
	uint64_t random = 7;

	sample_make(&sample, fix->hasher, 2, 1100 * CHUNK + 77);
	assert_int_equal(sample_stream(store_writer_sink(writer), &sample, 1000003, NULL), 0);
	/* More than STORE_GROUP_BYTES: visible at once. */
	assert_int_equal(sample_check(fix->store, &sample), 1);
	check_ranges(fix, &sample, WAY_STREAM, &random);
	store_writer_free(writer);
}

struct seen {
	struct store_fixture *fix;
	size_t calls;
	size_t count;
	struct oid last;
};

static void on_visible(void *arg, const struct oid *oids, size_t count)
{
	struct seen *seen = arg;
	struct store_info info;

	for (size_t i = 0; i < count; i++) {
		assert_int_equal(store_info(seen->fix->store, &oids[i], &info), 0);
		assert_true(info.present);
	}
	seen->calls++;
	seen->count += count;
	seen->last = oids[count - 1];
}

static void test_groups(void **state)
{
	struct store_fixture *fix = *state;
	struct seen seen = { .fix = fix };
	struct store_writer *writer = writer_make(fix, on_visible, &seen);
	struct object_sink *sink = store_writer_sink(writer);
	AUTO_SAMPLE struct sample first, second, again;
	AUTO_BUF struct buf data = BUF_INIT;
	enum object_type type;

	sample_make(&first, fix->hasher, 1, 300);
	sample_make(&second, fix->hasher, 2, 300);
	sample_make(&again, fix->hasher, 1, 300);
	assert_int_equal(sample_give(sink, &first, false, NULL), 0);
	if (seen.calls == 0) { /* unless this machine took STORE_GROUP_MS for it */
		assert_int_equal(sample_check(fix->store, &first), 0);
		/* Its own writer reads it already. */
		assert_int_equal(sink->read(sink, &first.oid, &type, &data), 0);
		assert_int_equal(type, first.type);
		assert_int_equal(data.len, first.size);
		assert_memory_equal(data.data, first.data, data.len);
	}
	assert_int_equal(store_writer_flush(writer, NULL), 0);
	assert_int_equal(seen.count, 1);
	assert_int_equal(sample_check(fix->store, &first), 1);
	/* Known already: told again, written never. */
	assert_int_equal(sample_give(sink, &again, true, NULL), 0);
	assert_int_equal(sample_stream(sink, &again, 100, NULL), 0);
	assert_int_equal(store_writer_flush(writer, NULL), 0);
	assert_true(seen.count >= 2);
	assert_true(oid_equal(&seen.last, &first.oid));
	/* The oldest has waited long enough when the next one comes. */
	seen.calls = 0;
	assert_int_equal(sample_give(sink, &second, false, NULL), 0);
	usleep((STORE_GROUP_MS + 5) * 1000);
	sample_release(&again);
	sample_make(&again, fix->hasher, 3, 10);
	assert_int_equal(sample_give(sink, &again, false, NULL), 0);
	assert_true(seen.calls > 0);
	assert_int_equal(sample_check(fix->store, &second), 1);
	assert_int_equal(fixture_stats(fix).objects, 3);
	store_writer_free(writer);
}

static void test_group_limits(void **state)
{
	struct store_fixture *fix = *state;
	struct seen seen = { .fix = fix };
	struct store_writer *writer = writer_make(fix, on_visible, &seen);
	struct object_sink *sink = store_writer_sink(writer);
	AUTO_SAMPLE struct sample large;
	uint64_t number;

	for (number = 0; number < STORE_GROUP_OBJECTS; number++) {
		AUTO_SAMPLE struct sample sample;

		sample_make(&sample, fix->hasher, number, 20);
		assert_int_equal(sample_give(sink, &sample, false, NULL), 0);
	}
	/* Nobody flushed: the number alone has closed the group, if time did not. */
	assert_true(seen.count > 0);
	sample_make(&large, fix->hasher, number, STORE_GROUP_BYTES);
	assert_int_equal(sample_give(sink, &large, false, NULL), 0);
	assert_int_equal(seen.count, STORE_GROUP_OBJECTS + 1);
	store_writer_free(writer);
}

static void test_dropped_without_flush(void **state)
{
	struct store_fixture *fix = *state;
	struct store_writer *writer = writer_make(fix, NULL, NULL);
	struct object_sink *sink = store_writer_sink(writer);
	AUTO_SAMPLE struct sample sample;
	void *stream;

	sample_make(&sample, fix->hasher, 1, 100000);
	assert_int_equal(sink->begin(sink, sample.type, sample.size, &stream, NULL), 0);
	assert_int_equal(sink->write(sink, stream, sample.data, 5000, NULL), 0);
	store_writer_free(writer); /* with its stream open */
	assert_int_equal(sample_check(fix->store, &sample), 0);
	fixture_reopen(fix);
	/* What was given up has left no dead space either: it was the last. */
	assert_true(fixture_stats(fix).bytes < 1000);
}

static void test_stream_lies(void **state)
{
	struct store_fixture *fix = *state;
	struct store_writer *writer = writer_make(fix, NULL, NULL);
	struct object_sink *sink = store_writer_sink(writer);
	AUTO_SAMPLE struct sample sample;
	struct err err = ERR_INIT;
	void *stream;

	sample_make(&sample, fix->hasher, 1, 1000);
	assert_int_equal(sink->begin(sink, sample.type, 999, &stream, &err), 0);
	assert_int_equal(sink->write(sink, stream, sample.data, 1000, &err), ERR_CORRUPT);
	assert_int_equal(sink->end(sink, stream, NULL, NULL), 0);
	assert_int_equal(sink->begin(sink, sample.type, 1001, &stream, &err), 0);
	assert_int_equal(sink->write(sink, stream, sample.data, 1000, &err), 0);
	assert_int_equal(sink->end(sink, stream, &sample.oid, &err), ERR_CORRUPT);
	assert_int_equal(sink->begin(sink, sample.type, OBJECT_SIZE_MAX + 1, &stream, &err),
			 ERR_LIMIT);
	assert_int_equal(store_writer_flush(writer, &err), 0);
	assert_int_equal(sample_check(fix->store, &sample), 0);
	assert_int_equal(sample_give(sink, &sample, false, &err), 0);
	assert_int_equal(store_writer_flush(writer, &err), 0);
	assert_int_equal(sample_check(fix->store, &sample), 1);
	store_writer_free(writer);
}

static void test_sizes(void **state)
{
	struct store_fixture *fix = *state;
	AUTO_SAMPLE struct sample sample;
	struct oid oids[2] = { { .algo = HASH_SHA1, .hash = { 1 } } };
	uint64_t sizes[2] = { 123, 456 };
	struct store_info info;
	struct store_writer *writer;

	sample_make(&sample, fix->hasher, 5, 777);
	oids[1] = sample.oid;
	assert_int_equal(store_info(fix->store, &oids[0], &info), ERR_NOT_FOUND);
	assert_int_equal(store_put_sizes(fix->store, oids, sizes, 2), 0);
	assert_int_equal(store_info(fix->store, &oids[1], &info), 0);
	assert_int_equal(info.size, 456);
	assert_false(info.present);
	assert_int_equal(sample_check(fix->store, &sample), 0);
	assert_int_equal(fixture_stats(fix).sizes, 2);
	/* The contents say what is true; what is told later changes nothing. */
	writer = writer_make(fix, NULL, NULL);
	assert_int_equal(sample_give(store_writer_sink(writer), &sample, false, NULL), 0);
	assert_int_equal(store_writer_flush(writer, NULL), 0);
	store_writer_free(writer);
	sizes[0] = 124;
	assert_int_equal(store_put_sizes(fix->store, oids, sizes, 2), 0);
	fixture_reopen(fix);
	assert_int_equal(store_info(fix->store, &oids[1], &info), 0);
	assert_int_equal(info.size, 777);
	assert_true(info.present);
	assert_int_equal(store_info(fix->store, &oids[0], &info), 0);
	assert_int_equal(info.size, 124);
	assert_int_equal(fixture_stats(fix).sizes, 1);
	assert_int_equal(fixture_stats(fix).objects, 1);
}

static void test_refusals(void **state)
{
	struct store_fixture *fix = *state;
	struct store_config other = fix->config;
	struct err err = ERR_INIT;
	struct store *store = NULL;
	struct oid oid = { .algo = HASH_SHA256, .hash = { 1 } };
	struct store_info info;
	char path[160];

	assert_int_equal(store_open(&store, &fix->config, &err), -EBUSY);
	assert_non_null(strstr(err.msg, fix->store_dir));
	assert_int_equal(store_info(fix->store, &oid, &info), ERR_NOT_FOUND);
	assert_int_equal(store_put_sizes(fix->store, &oid, &(uint64_t){ 1 }, 1), -EINVAL);
	fixture_close(fix);
	other.algo = HASH_SHA256;
	assert_int_equal(store_open(&store, &other, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "sha256"));
	snprintf(path, sizeof(path), "%s/format", fix->store_dir);
	assert_int_equal(io_replace_file(AT_FDCWD, path, "git-fs-store 2 sha1\n", 20), 0);
	assert_int_equal(store_open(&store, &fix->config, &err), -EINVAL);
	assert_int_equal(io_replace_file(AT_FDCWD, path, "something\n", 10), 0);
	assert_int_equal(store_open(&store, &fix->config, &err), -EINVAL);
	assert_null(store);
	/* Empty, as a power failure may leave it: made for whoever comes. */
	assert_int_equal(truncate(path, 0), 0);
	fixture_open(fix);
	fixture_close(fix);
	assert_int_equal(store_open(&store, &other, &err), -EINVAL);
	fixture_open(fix);
}

static void test_sha256(void **state)
{
	struct store_fixture *fix = *state;
	AUTO_SAMPLE struct sample sample;

	fixture_close(fix);
	hasher_free(fix->hasher);
	fix->hasher = hasher_new(HASH_SHA256);
	fix->config.algo = HASH_SHA256;
	snprintf(fix->store_dir, sizeof(fix->store_dir), "%s/b", fix->dir);
	fixture_open(fix);
	fixture_fill(fix, 0, 100);
	fixture_reopen(fix);
	assert_int_equal(fixture_count_good(fix, 0, 100), 100);
	sample_numbered(&sample, fix->hasher, 101);
	assert_int_equal(sample_check(fix->store, &sample), 0);
}

static void test_short_processes_share_a_segment(void **state)
{
	struct store_fixture *fix = *state;
	char path[160];

	for (uint64_t number = 0; number < 20; number++) {
		fixture_fill(fix, number, 1);
		fixture_reopen(fix);
	}
	assert_int_equal(fixture_stats(fix).segments, 1);
	assert_int_equal(fixture_count_good(fix, 0, 20), 20);
	/* A full one is left alone. */
	assert_true(fixture_segment(fix, 0, path, sizeof(path)));
	fix->config.segment_bytes = file_size(path);
	fixture_reopen(fix);
	fixture_fill(fix, 20, 1);
	assert_int_equal(fixture_stats(fix).segments, 2);
	assert_int_equal(fixture_count_good(fix, 0, 21), 21);
}

static int count_descriptors(void)
{
	struct dirent **list;
	int count = scandir("/proc/self/fd", &list, NULL, NULL);

	assert_true(count > 0);
	for (int i = 0; i < count; i++)
		free(list[i]);
	free(list);
	return count;
}

static void test_roll_over(void **state)
{
	struct store_fixture *fix = *state;
	int before;

	fix->config.segment_bytes = 5000;
	fixture_reopen(fix);
	before = count_descriptors();
	fixture_fill(fix, 0, 600);
	assert_true(fixture_stats(fix).segments > 100);
	/* One stays open for writing, and of those that are read a bounded number. */
	assert_int_equal(count_descriptors(), before + 1);
	assert_int_equal(fixture_count_good(fix, 0, 600), 600);
	assert_int_equal(count_descriptors(), before + 1 + 64);
	assert_int_equal(fixture_count_good(fix, 0, 600), 600);
}

/* Opens a store, new or old, with each allocation failing in turn. */
static void alloc_open(struct store_fixture *fix)
{
	for (long nth = 1;; nth++) {
		struct store *store = NULL;
		int rc;

		failing_alloc_arm(nth);
		rc = store_open(&store, &fix->config, NULL);
		if (!failing_alloc_disarm()) {
			assert_int_equal(rc, 0);
			store_close(store);
			return;
		}
		assert_true(rc == 0 || rc == -ENOMEM);
		assert_true(rc == 0 ? store != NULL : store == NULL);
		store_close(store);
	}
}

static void test_alloc_open(void **state)
{
	struct store_fixture *fix = *state;
	char path[160];

	fixture_fill(fix, 0, 10);
	fixture_close(fix);
	alloc_open(fix);
	/* With the index to be made anew. */
	snprintf(path, sizeof(path), "%s/index/state", fix->store_dir);
	for (long nth = 1;; nth++) {
		struct store *store = NULL;
		bool failed;
		int rc;

		assert_int_equal(unlink(path), 0);
		failing_alloc_arm(nth);
		rc = store_open(&store, &fix->config, NULL);
		failed = failing_alloc_disarm();
		assert_int_equal(rc, failed ? -ENOMEM : 0);
		store_close(store);
		if (!failed)
			break;
		/* The next one comes to the end of it. */
		fixture_open(fix);
		assert_int_equal(fixture_count_good(fix, 0, 10), 10);
		fixture_close(fix);
	}
	snprintf(fix->store_dir, sizeof(fix->store_dir), "%s/new", fix->dir);
	alloc_open(fix);
	fixture_open(fix);
}

static int write_some(struct store_fixture *fix, const struct sample *whole,
		      const struct sample *streamed)
{
	struct store_writer *writer;
	int rc = store_writer_new(&writer, fix->store, NULL, NULL);

	if (rc < 0)
		return rc;
	rc = sample_give(store_writer_sink(writer), whole, false, NULL);
	if (rc == 0)
		rc = sample_stream(store_writer_sink(writer), streamed, 1000, NULL);
	if (rc == 0)
		rc = store_writer_flush(writer, NULL);
	store_writer_free(writer);
	return rc;
}

static void test_alloc_write(void **state)
{
	struct store_fixture *fix = *state;

	for (long nth = 1;; nth++) {
		AUTO_SAMPLE struct sample whole, streamed;
		bool failed;
		int rc;

		sample_make(&whole, fix->hasher, 1000 + (uint64_t)nth, 70000);
		sample_make(&streamed, fix->hasher, 2000 + (uint64_t)nth, 5000);
		fixture_reopen(fix); /* so that a segment is looked for as well */
		failing_alloc_arm(nth);
		rc = write_some(fix, &whole, &streamed);
		failed = failing_alloc_disarm();
		assert_true(rc == 0 || (failed && rc == -ENOMEM));
		if (rc == 0) {
			assert_int_equal(sample_check(fix->store, &whole), 1);
			assert_int_equal(sample_check(fix->store, &streamed), 1);
		} else {
			assert_int_not_equal(sample_check(fix->store, &streamed), -1);
		}
		if (!failed)
			break;
	}
	assert_int_equal(fixture_stats(fix).bad_records, 0);
}

static void check_alloc_read(struct store_fixture *fix, const struct sample *sample,
			     enum way way, void *arg)
{
	uint8_t byte;

	(void)way;
	(void)arg;
	for (long nth = 1;; nth++) {
		AUTO_BUF struct buf data = BUF_INIT;
		enum object_type type;
		ssize_t rc, at;
		bool failed;

		fixture_reopen(fix); /* so that the segment is opened as well */
		failing_alloc_arm(nth);
		rc = store_read(fix->store, &sample->oid, &type, &data);
		failed = failing_alloc_disarm();
		assert_true(rc == 0 || (failed && rc == -ENOMEM));
		failing_alloc_arm(nth);
		at = store_read_at(fix->store, &sample->oid, 1, &byte, 1);
		failed = failing_alloc_disarm() || failed;
		assert_true(at == 1 || (failed && at == -ENOMEM));
		if (!failed)
			break;
	}
}

static void test_alloc_read(void **state)
{
	struct store_fixture *fix = *state;
	struct store_writer *writer = writer_make(fix, NULL, NULL);
	AUTO_SAMPLE struct sample small, large;

	sample_make(&small, fix->hasher, 1, 1000);
	sample_make(&large, fix->hasher, 2, 3 * CHUNK);
	assert_int_equal(sample_give(store_writer_sink(writer), &small, false, NULL), 0);
	assert_int_equal(sample_give(store_writer_sink(writer), &large, false, NULL), 0);
	assert_int_equal(store_writer_flush(writer, NULL), 0);
	store_writer_free(writer);
	check_alloc_read(fix, &small, WAY_DELTA, NULL);
	check_alloc_read(fix, &large, WAY_DELTA, NULL);
	/* Memory that runs out is not taken for damage. */
	assert_int_equal(fixture_stats(fix).bad_records, 0);
	assert_int_equal(fixture_stats(fix).objects, 2);
}

#define STORE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_round_trip),
		STORE_TEST(test_read_at),
		STORE_TEST(test_large),
		STORE_TEST(test_groups),
		STORE_TEST(test_group_limits),
		STORE_TEST(test_dropped_without_flush),
		STORE_TEST(test_stream_lies),
		STORE_TEST(test_sizes),
		STORE_TEST(test_refusals),
		STORE_TEST(test_sha256),
		STORE_TEST(test_short_processes_share_a_segment),
		STORE_TEST(test_roll_over),
		STORE_TEST(test_alloc_open),
		STORE_TEST(test_alloc_write),
		STORE_TEST(test_alloc_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
