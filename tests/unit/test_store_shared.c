/* Several processes and threads on one store, an index that outgrows its map,
 * and a disk that is full. */
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

#include "store_fixture.h"

#define PROCESSES 4
#define THREADS 4
#define EACH 400U /* samples that each of them writes */
#define WAIT_MS 20000

static int setup(void **state)
{
	struct store_fixture *fix = calloc(1, sizeof(*fix));

	assert_non_null(fix);
	fixture_init(fix);
	*state = fix;
	return 0;
}

static int teardown(void **state)
{
	fixture_release(*state);
	free(*state);
	return 0;
}

/* Waits until sample `number`, which somebody else writes, is there and right. */
static bool await_sample(struct store *store, struct hasher *hasher, uint64_t number)
{
	AUTO_SAMPLE struct sample sample;

	sample_numbered(&sample, hasher, number);
	for (int waited = 0; waited < WAIT_MS; waited++) {
		int found = sample_check(store, &sample);

		if (found != 0)
			return found == 1;
		usleep(1000);
	}
	return false;
}

/* Writes its own samples and reads the neighbour's while they come. */
static bool write_and_read(struct store_fixture *fix, uint64_t self, uint64_t others)
{
	struct hasher *hasher = hasher_new(HASH_SHA1);
	uint64_t neighbour = (self + 1) % others;
	struct store_writer *writer;
	struct object_sink *sink = NULL;
	bool good = hasher != NULL && store_writer_new(&writer, fix->store, NULL, NULL) == 0;

	if (good)
		sink = store_writer_sink(writer);
	for (uint64_t i = 0; good && i < EACH; i++) {
		AUTO_SAMPLE struct sample sample;

		sample_numbered(&sample, hasher, self * EACH + i);
		if (i % 7 == 0)
			good = sample_stream(sink, &sample, 5000, NULL) == 0;
		else
			good = sample_give(sink, &sample, false, NULL) == 0;
		if (good && i % 50 == 49)
			good = store_writer_flush(writer, NULL) == 0 &&
			       await_sample(fix->store, hasher, neighbour * EACH + i);
	}
	if (good)
		store_writer_free(writer);
	hasher_free(hasher);
	return good;
}

static void be_process(struct store_fixture *fix, uint64_t self)
{
	if (store_open(&fix->store, &fix->config, NULL) < 0)
		_exit(1);
	if (!write_and_read(fix, self, PROCESSES))
		_exit(2);
	/* Some leave as they should, some do not. */
	if (self % 2 == 0)
		store_close(fix->store);
}

static void test_processes(void **state)
{
	struct store_fixture *fix = *state;
	pid_t pids[PROCESSES];
	char path[160];

	/* As small as can be: each of them sees the map grow under its feet. */
	fix->config.map_bytes = 1;
	fix->config.segment_bytes = 500000;
	for (uint64_t self = 1; self < PROCESSES; self++)
		pids[self] = fixture_fork(be_process, fix, self);
	fixture_open(fix);
	assert_true(write_and_read(fix, 0, PROCESSES));
	for (uint64_t self = 1; self < PROCESSES; self++)
		fixture_wait(pids[self]);
	assert_int_equal(fixture_count_good(fix, 0, PROCESSES * EACH), PROCESSES * EACH);
	fixture_reopen(fix);
	assert_false(fixture_stats(fix).rebuilt);
	assert_int_equal(fixture_stats(fix).objects, PROCESSES * EACH);
	assert_int_equal(fixture_count_good(fix, 0, PROCESSES * EACH), PROCESSES * EACH);
	assert_int_equal(fixture_stats(fix).bad_records, 0);
	fixture_close(fix);
	/* All of it can be had from the segments as well. */
	snprintf(path, sizeof(path), "%s/index/state", fix->store_dir);
	assert_int_equal(unlink(path), 0);
	fixture_open(fix);
	assert_true(fixture_stats(fix).rebuilt);
	assert_int_equal(fixture_stats(fix).objects, PROCESSES * EACH);
}

struct thread_arg {
	struct store_fixture *fix;
	uint64_t self;
	bool good;
};

static void *be_thread(void *arg)
{
	struct thread_arg *self = arg;

	self->good = write_and_read(self->fix, self->self, THREADS);
	return NULL;
}

static void test_threads(void **state)
{
	struct store_fixture *fix = *state;
	struct thread_arg args[THREADS];
	pthread_t threads[THREADS];

	fix->config.map_bytes = 1;
	fix->config.segment_bytes = 200000;
	fixture_open(fix);
	for (uint64_t i = 0; i < THREADS; i++) {
		args[i] = (struct thread_arg){ .fix = fix, .self = i };
		assert_int_equal(pthread_create(&threads[i], NULL, be_thread, &args[i]), 0);
	}
	for (uint64_t i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_true(args[i].good);
	}
	assert_int_equal(fixture_count_good(fix, 0, THREADS * EACH), THREADS * EACH);
	fixture_reopen(fix);
	assert_int_equal(fixture_stats(fix).objects, THREADS * EACH);
	assert_int_equal(fixture_stats(fix).bad_records, 0);
}

/* Opens, and closes, at the same time as others do. */
static void open_and_close(struct store_fixture *fix, uint64_t rounds)
{
	for (uint64_t i = 0; i < rounds; i++) {
		if (store_open(&fix->store, &fix->config, NULL) < 0)
			_exit(1);
		fixture_fill(fix, (uint64_t)getpid() * 1000 + i, 1);
		if (i % 3 == 2)
			_exit(fixture_count_good(fix, (uint64_t)getpid() * 1000 + i, 1) != 1);
		store_close(fix->store);
	}
}

static void test_doors(void **state)
{
	struct store_fixture *fix = *state;
	pid_t pids[6];

	for (int i = 0; i < 6; i++)
		pids[i] = fixture_fork(open_and_close, fix, 2 + (uint64_t)i % 2);
	for (int i = 0; i < 6; i++)
		fixture_wait(pids[i]);
	fixture_open(fix);
	assert_false(fixture_stats(fix).rebuilt);
	assert_int_equal(fixture_stats(fix).objects, 15);
	for (int i = 0; i < 6; i++)
		assert_int_equal(fixture_count_good(fix, (uint64_t)pids[i] * 1000, 2), 2);
}

static void test_map_growth(void **state)
{
	struct store_fixture *fix = *state;
	struct oid oids[500] = { 0 };
	uint64_t sizes[500], random = 3;
	struct store_info info;

	fix->config.map_bytes = 1;
	fixture_open(fix);
	for (int round = 0; round < 40; round++) {
		for (size_t i = 0; i < 500; i++) {
			uint64_t value = next_random(&random);

			oids[i].algo = HASH_SHA1;
			memcpy(oids[i].hash, &value, sizeof(value));
			sizes[i] = (uint64_t)round * 500 + i;
		}
		assert_int_equal(store_put_sizes(fix->store, oids, sizes, 500), 0);
	}
	assert_int_equal(fixture_stats(fix).sizes, 20000);
	/* Opened with a map that is smaller than what is there. */
	fixture_reopen(fix);
	assert_false(fixture_stats(fix).rebuilt);
	assert_int_equal(store_info(fix->store, &oids[499], &info), 0);
	assert_int_equal(info.size, 19999);
	fixture_fill(fix, 0, 2000);
	assert_int_equal(fixture_count_good(fix, 0, 2000), 2000);
}

static void set_file_limit(rlim_t bytes)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* No file may grow any more: what a full disk says. */
static void test_segment_full(void **state)
{
	struct store_fixture *fix = *state;
	struct err err = ERR_INIT;
	struct store_writer *writer;
	struct object_sink *sink;
	AUTO_SAMPLE struct sample large;
	uint64_t number = 500;
	char path[160];
	void *stream;
	int rc = 0;

	fixture_open(fix);
	fixture_fill(fix, 0, 500);
	writer = writer_make(fix, NULL, NULL);
	sink = store_writer_sink(writer);
	sample_make(&large, fix->hasher, 4, 300000);
	assert_true(fixture_segment(fix, 0, path, sizeof(path)));
	set_file_limit(file_size(path) + 20000);
	while (rc == 0 && number < 600) {
		AUTO_SAMPLE struct sample sample;

		sample_numbered(&sample, fix->hasher, number);
		rc = sample_give(sink, &sample, false, &err);
		number += rc == 0;
	}
	assert_int_equal(rc, -ENOSPC);
	assert_non_null(strstr(err.msg, fix->store_dir));
	assert_true(number > 500 && number < 600);
	assert_int_equal(sink->begin(sink, large.type, large.size, &stream, &err), 0);
	assert_int_equal(sink->write(sink, stream, large.data, large.size, &err), -ENOSPC);
	assert_int_equal(sink->end(sink, stream, NULL, NULL), 0);
	/* Those that went through are as good as ever. */
	assert_int_equal(store_writer_flush(writer, &err), 0);
	assert_int_equal(fixture_count_good(fix, 0, 600), number);
	set_file_limit(RLIM_INFINITY);
	assert_int_equal(sample_stream(sink, &large, 100000, &err), 0);
	assert_int_equal(store_writer_flush(writer, &err), 0);
	store_writer_free(writer);
	assert_int_equal(sample_check(fix->store, &large), 1);
	fixture_fill(fix, 0, 600);
	fixture_reopen(fix);
	assert_int_equal(fixture_count_good(fix, 0, 600), 600);
	assert_int_equal(fixture_stats(fix).bad_records, 0);
	assert_int_equal(fixture_stats(fix).segments, 1);
}

static void test_index_full(void **state)
{
	struct store_fixture *fix = *state;
	struct err err = ERR_INIT;
	struct store_writer *writer;
	uint64_t number = 100;
	char path[160];
	int rc = 0;

	fixture_open(fix);
	fixture_fill(fix, 1, 20);
	/* Sizes make the index larger than the segment will get. */
	for (uint64_t i = 1; i <= 20000; i++) {
		struct oid oid = { .algo = HASH_SHA1 };

		memcpy(oid.hash, &(uint64_t){ i * 0x9e3779b97f4a7c15U }, 8);
		if (i % 50 == 0)
			assert_int_equal(store_put_sizes(fix->store, &oid, &i, 1), 0);
	}
	snprintf(path, sizeof(path), "%s/index/data.mdb", fix->store_dir);
	set_file_limit(file_size(path));
	writer = writer_make(fix, NULL, NULL);
	while (rc == 0 && number < 3000) {
		AUTO_SAMPLE struct sample sample;

		sample_make(&sample, fix->hasher, number++, 8);
		rc = sample_give(store_writer_sink(writer), &sample, false, &err);
		if (rc == 0 && number % 50 == 0)
			rc = store_writer_flush(writer, &err);
	}
	/* LMDB calls a write that was cut short EIO. */
	assert_true(rc == -ENOSPC || rc == -EIO);
	assert_int_equal(fixture_count_good(fix, 1, 20), 20);
	set_file_limit(RLIM_INFINITY);
	/* What was waiting still waits. */
	assert_int_equal(store_writer_flush(writer, &err), 0);
	store_writer_free(writer);
	assert_int_equal(fixture_stats(fix).objects, 20 + number - 100);
	fixture_reopen(fix);
	assert_false(fixture_stats(fix).rebuilt);
	assert_int_equal(fixture_stats(fix).objects, 20 + number - 100);
	assert_int_equal(fixture_count_good(fix, 1, 20), 20);
}

#define STORE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_processes),
		STORE_TEST(test_threads),
		STORE_TEST(test_doors),
		STORE_TEST(test_map_growth),
		STORE_TEST(test_segment_full),
		STORE_TEST(test_index_full),
	};

	signal(SIGXFSZ, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
