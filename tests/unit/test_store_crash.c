/* What a store is after its process, or its machine, was gone without a word,
 * and after somebody damaged its files: never a wrong byte, and after a mere
 * kill nothing that was visible lost. */
#include <pthread.h>
#include <signal.h>

#include "store_fixture.h"

#define KILL_ROUNDS 20
#define KILL_WRITERS 2
#define KILL_NUMBERS 1000000U /* numbers that one writer of one round may use */
/* Bytes of a note. A write that is cut short by the kill ends at a border of
 * pages: a note of this size never lies across one. */
#define NOTE_BYTES 64

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

/* Fills a store with samples and is gone: run in a child. */
static void fill_and_vanish(struct store_fixture *fix, uint64_t count)
{
	if (store_open(&fix->store, &fix->config, NULL) < 0)
		_exit(1);
	fixture_fill(fix, 0, count);
}

static void fill_unclean(struct store_fixture *fix, uint64_t count)
{
	fixture_wait(fixture_fork(fill_and_vanish, fix, count));
}

static void index_path(struct store_fixture *fix, const char *name, char *path, size_t size)
{
	int len = snprintf(path, size, "%s/index/%s", fix->store_dir, name);

	assert_true(len > 0 && (size_t)len < size);
}

static void overwrite(const char *path, uint64_t offset, uint64_t len, int byte)
{
	AUTO_CLOSE int fd = io_open(AT_FDCWD, path, O_WRONLY, 0);
	char block[4096];

	assert_true(fd >= 0);
	memset(block, byte, sizeof(block));
	while (len > 0) {
		size_t step = len < sizeof(block) ? (size_t)len : sizeof(block);

		assert_int_equal(io_pwrite(fd, block, step, offset), 0);
		offset += step;
		len -= step;
	}
}

static void flip_bit(const char *path, uint64_t offset, unsigned bit)
{
	AUTO_CLOSE int fd = io_open(AT_FDCWD, path, O_RDWR, 0);
	uint8_t byte;

	assert_true(fd >= 0);
	assert_int_equal(io_pread(fd, &byte, 1, offset), 1);
	byte = (uint8_t)(byte ^ 1U << bit);
	assert_int_equal(io_pwrite(fd, &byte, 1, offset), 0);
}

/* Killed, on the same boot: the index is as good as it was. */
static void test_vanished(void **state)
{
	struct store_fixture *fix = *state;

	fill_unclean(fix, 200);
	fixture_open(fix);
	assert_false(fixture_stats(fix).rebuilt);
	assert_int_equal(fixture_count_good(fix, 0, 200), 200);
	/* The segment is taken up again, though nobody noted its end. */
	fixture_fill(fix, 200, 100);
	assert_int_equal(fixture_stats(fix).segments, 1);
	assert_int_equal(fixture_count_good(fix, 0, 300), 300);
}

static void test_boots(void **state)
{
	struct store_fixture *fix = *state;

	fill_unclean(fix, 200);
	fixture_boot(fix, "second-boot");
	fixture_open(fix);
	assert_true(fixture_stats(fix).rebuilt);
	assert_int_equal(fixture_count_good(fix, 0, 200), 200);
	fixture_close(fix);
	/* Closed as it should be, and only read: clean over any number of boots. */
	for (int boot = 3; boot < 6; boot++) {
		char id[16];

		snprintf(id, sizeof(id), "boot-%d", boot);
		fixture_boot(fix, id);
		fixture_open(fix);
		assert_false(fixture_stats(fix).rebuilt);
		assert_int_equal(fixture_count_good(fix, 0, 200), 200);
		fixture_close(fix);
	}
	/* One byte written makes it unclean. */
	fill_unclean(fix, 201);
	fixture_boot(fix, "last-boot");
	fixture_open(fix);
	assert_true(fixture_stats(fix).rebuilt);
	assert_int_equal(fixture_count_good(fix, 0, 201), 201);
	fixture_close(fix);
	/* No id at all: only a clean index is trusted. */
	assert_int_equal(unlink(fix->boot_path), 0);
	fixture_open(fix);
	assert_false(fixture_stats(fix).rebuilt);
	fixture_close(fix);
	fill_unclean(fix, 202);
	fixture_open(fix);
	assert_true(fixture_stats(fix).rebuilt);
	assert_int_equal(fixture_count_good(fix, 0, 202), 202);
}

/* The tail of the segment never reached the disk, in each of three ways. */
static void test_torn_tail(void **state)
{
	struct store_fixture *fix = *state;

	for (int way = 0; way < 3; way++) {
		char path[160], boot[32];
		uint64_t size, good;

		snprintf(fix->store_dir, sizeof(fix->store_dir), "%s/torn-%d", fix->dir, way);
		fill_unclean(fix, 300);
		assert_true(fixture_segment(fix, 0, path, sizeof(path)));
		size = file_size(path);
		if (way == 0)
			assert_int_equal(truncate(path, (off_t)(size - size / 3)), 0);
		else if (way == 1)
			overwrite(path, size - size / 3, size / 3, 0);
		else
			overwrite(path, size / 3, size / 3, 0);
		snprintf(boot, sizeof(boot), "torn-%d", way);
		fixture_boot(fix, boot);
		fixture_open(fix);
		assert_true(fixture_stats(fix).rebuilt);
		good = fixture_count_good(fix, 0, 300);
		assert_in_range(good, 120, 280);
		/* What was lost comes again, behind what is left. */
		fixture_fill(fix, 0, 300);
		assert_int_equal(fixture_count_good(fix, 0, 300), 300);
		assert_int_equal(fixture_stats(fix).objects, 300);
		assert_int_equal(fixture_stats(fix).segments, 1);
		fixture_close(fix);
	}
}

static void test_bit_flips(void **state)
{
	struct store_fixture *fix = *state;
	uint64_t random = 11, size, lost;
	char path[160];

	fill_unclean(fix, 300);
	assert_true(fixture_segment(fix, 0, path, sizeof(path)));
	size = file_size(path);
	for (unsigned i = 0; i < 40; i++)
		flip_bit(path, 40 + next_random(&random) % (size - 40), i % 8);
	/* Whether they are found by a scan or by a read, the bytes are not served. */
	fixture_open(fix);
	assert_false(fixture_stats(fix).rebuilt);
	lost = 300 - fixture_count_good(fix, 0, 300);
	assert_in_range(lost, 3, 40);
	assert_int_equal(fixture_stats(fix).bad_records, lost);
	assert_int_equal(fixture_stats(fix).objects, 300 - lost);
	/* A miss stays a miss: it was dropped. */
	assert_int_equal(fixture_count_good(fix, 0, 300), 300 - lost);
	assert_int_equal(fixture_stats(fix).bad_records, lost);
	fixture_close(fix);
	index_path(fix, "state", path, sizeof(path));
	assert_int_equal(unlink(path), 0);
	fixture_open(fix);
	assert_true(fixture_stats(fix).rebuilt);
	assert_int_equal(fixture_count_good(fix, 0, 300), 300 - lost);
	fixture_fill(fix, 0, 300);
	assert_int_equal(fixture_count_good(fix, 0, 300), 300);
}

/* Every range of a damaged object that does not touch the damage is still right. */
static void test_damaged_chunk(void **state)
{
	struct store_fixture *fix = *state;
	AUTO_SAMPLE struct sample sample;
	uint8_t data[1000];
	struct store_writer *writer;
	struct store_info info;
	char path[160];

	sample_make(&sample, fix->hasher, 2, 1000000); /* a blob's number is 4n + 2 */
	fixture_open(fix);
	writer = writer_make(fix, NULL, NULL);
	assert_int_equal(sample_stream(store_writer_sink(writer), &sample, 65536, NULL), 0);
	assert_int_equal(store_writer_flush(writer, NULL), 0);
	store_writer_free(writer);
	assert_true(fixture_segment(fix, 0, path, sizeof(path)));
	flip_bit(path, 500000, 3);
	assert_int_equal(store_read_at(fix->store, &sample.oid, 0, data, 1000), 1000);
	assert_memory_equal(data, sample.data, 1000);
	assert_int_equal(store_read_at(fix->store, &sample.oid, 900000, data, 1000), 1000);
	assert_memory_equal(data, sample.data + 900000, 1000);
	assert_int_equal(fixture_stats(fix).bad_records, 0);
	assert_int_equal(store_read_at(fix->store, &sample.oid, 490000, data, 1000), ERR_NOT_FOUND);
	assert_int_equal(fixture_stats(fix).bad_records, 1);
	/* The size was verified once: it stays known, as if told. */
	assert_int_equal(store_info(fix->store, &sample.oid, &info), 0);
	assert_false(info.present);
	assert_int_equal(info.size, 1000000);
}

static void test_segment_gone(void **state)
{
	struct store_fixture *fix = *state;
	char path[160];

	fix->config.segment_bytes = 50000;
	fixture_open(fix);
	fixture_fill(fix, 1, 96); /* none is larger than a segment */
	assert_true(fixture_stats(fix).segments > 1);
	fixture_reopen(fix);
	assert_true(fixture_segment(fix, 0, path, sizeof(path)));
	assert_int_equal(unlink(path), 0);
	assert_in_range(fixture_count_good(fix, 1, 96), 1, 95);
	/* Of another, the head is bad. */
	assert_true(fixture_segment(fix, 0, path, sizeof(path)));
	fixture_fill(fix, 1, 96);
	fixture_close(fix);
	flip_bit(path, 30, 1);
	fixture_open(fix);
	assert_in_range(fixture_count_good(fix, 1, 96), 0, 95);
	fixture_fill(fix, 1, 96);
	assert_int_equal(fixture_count_good(fix, 1, 96), 96);
}

static void damage_index(struct store_fixture *fix, int way)
{
	char path[160];
	uint64_t size;

	index_path(fix, way == 0 ? "state" : "data.mdb", path, sizeof(path));
	size = file_size(path);
	switch (way) {
	case 0:
	case 1:
		assert_int_equal(unlink(path), 0);
		break;
	case 2: /* all of it */
		overwrite(path, 0, size, 0x5a);
		break;
	case 3: /* its end is missing */
		assert_int_equal(truncate(path, (off_t)(size / 2)), 0);
		break;
	case 4: /* all but the two pages that say where to begin */
		overwrite(path, 8192, size - 8192, 0);
		break;
	default: /* an empty file */
		assert_int_equal(truncate(path, 0), 0);
		break;
	}
}

static void test_index_damaged(void **state)
{
	struct store_fixture *fix = *state;
	char path[160];
	const char *argv[] = { "rm", "-r", "--", path, NULL };
	AUTO_BUF struct buf said = BUF_INIT;

	fixture_open(fix);
	fixture_fill(fix, 0, 300);
	for (int way = 0; way < 6; way++) {
		fixture_close(fix);
		damage_index(fix, way);
		fixture_open(fix);
		assert_true(fixture_stats(fix).rebuilt);
		assert_int_equal(fixture_stats(fix).objects, 300);
		assert_int_equal(fixture_count_good(fix, 0, 300), 300);
	}
	fixture_close(fix);
	snprintf(path, sizeof(path), "%s/index", fix->store_dir);
	assert_int_equal(proc_run(argv, NULL, NULL, &said, &said, 30000, NULL), 0);
	fixture_open(fix);
	assert_true(fixture_stats(fix).rebuilt);
	assert_int_equal(fixture_count_good(fix, 0, 300), 300);
}

/* Damage that shows while the store is open. */
static void test_index_damaged_in_use(void **state)
{
	struct store_fixture *fix = *state;
	AUTO_SAMPLE struct sample sample;
	struct store_writer *writer;
	struct err err = ERR_INIT;
	char path[160];
	int rc;

	fixture_open(fix);
	fixture_fill(fix, 0, 300);
	fixture_reopen(fix);
	index_path(fix, "data.mdb", path, sizeof(path));
	overwrite(path, 8192, file_size(path) - 8192, 0);
	assert_int_equal(fixture_count_good(fix, 0, 10), 0);
	sample_numbered(&sample, fix->hasher, 1000);
	writer = writer_make(fix, NULL, NULL);
	rc = sample_give(store_writer_sink(writer), &sample, false, &err);
	assert_int_equal(rc, ERR_CORRUPT);
	assert_non_null(strstr(err.msg, "damaged"));
	store_writer_free(writer);
	fixture_reopen(fix);
	assert_true(fixture_stats(fix).rebuilt);
	assert_int_equal(fixture_count_good(fix, 0, 300), 300);
}

/* A child's threads write for as long as they live and note in a file what has
 * become visible. */
struct kill_writer {
	struct store_fixture *fix;
	uint64_t first;
	int fd;
};

static void note_visible(void *arg, const struct oid *oids, size_t count)
{
	const struct kill_writer *writer = arg;

	for (size_t i = 0; i < count; i++) {
		uint8_t note[NOTE_BYTES] = { 0 };

		memcpy(note, &oids[i], sizeof(oids[i]));
		if (io_write(writer->fd, note, sizeof(note)) < 0)
			_exit(1);
	}
}

static void *write_for_ever(void *arg)
{
	struct kill_writer *self = arg;
	struct hasher *hasher = hasher_new(HASH_SHA1);
	struct store_writer *writer;
	struct object_sink *sink;

	if (hasher == NULL || store_writer_new(&writer, self->fix->store, note_visible, self) < 0)
		_exit(1);
	sink = store_writer_sink(writer);
	for (uint64_t number = self->first;; number++) {
		AUTO_SAMPLE struct sample sample;
		int rc;

		sample_numbered(&sample, hasher, number);
		rc = number % 4 == 0 ? sample_stream(sink, &sample, 3000, NULL) :
				       sample_give(sink, &sample, false, NULL);
		if (rc < 0 || (number % 16 == 0 && store_writer_flush(writer, NULL) < 0))
			_exit(1);
	}
}

static void kill_child(struct store_fixture *fix, uint64_t round)
{
	struct kill_writer writers[KILL_WRITERS];
	pthread_t threads[KILL_WRITERS];
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/notes", fix->dir);
	fd = io_open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (fd < 0 || store_open(&fix->store, &fix->config, NULL) < 0)
		_exit(1);
	for (uint64_t i = 0; i < KILL_WRITERS; i++) {
		uint64_t first = (round * KILL_WRITERS + i) * KILL_NUMBERS;

		writers[i] = (struct kill_writer){ .fix = fix, .first = first, .fd = fd };
		if (pthread_create(&threads[i], NULL, write_for_ever, &writers[i]) != 0)
			_exit(1);
	}
	for (uint64_t i = 0; i < KILL_WRITERS; i++)
		pthread_join(threads[i], NULL);
}

/* All that was ever noted is there; the store gives bytes and type, and their
 * hash says whether they are right. */
static size_t check_notes(struct store_fixture *fix)
{
	AUTO_BUF struct buf notes = BUF_INIT;
	struct cursor cur;
	const uint8_t *bytes;
	char path[128];
	size_t count = 0;

	snprintf(path, sizeof(path), "%s/notes", fix->dir);
	assert_int_equal(io_read_file(AT_FDCWD, path, &notes), 0);
	cur = cursor_of(notes.data, notes.len);
	while (cursor_bytes(&cur, NOTE_BYTES, &bytes)) {
		AUTO_BUF struct buf data = BUF_INIT;
		enum object_type type;
		struct oid oid, hashed;

		memcpy(&oid, bytes, sizeof(oid));
		assert_int_equal(store_read(fix->store, &oid, &type, &data), 0);
		assert_int_equal(hasher_object(fix->hasher, type, data.data, data.len, &hashed), 0);
		assert_true(oid_equal(&oid, &hashed));
		count++;
	}
	assert_int_equal(cur.left, 0);
	return count;
}

/* Waits until a child has noted more than the notes that were there. */
static void await_notes(const char *path, uint64_t before)
{
	struct stat st = { .st_size = 0 };

	for (int waited = 0; waited < 20000; waited++) {
		if (stat(path, &st) == 0 && (uint64_t)st.st_size > before)
			return;
		usleep(1000);
	}
	fail_msg("no object became visible");
}

static void test_kill(void **state)
{
	struct store_fixture *fix = *state;
	size_t count = 0, before = 0;
	uint64_t random = 5, noted = 0;
	char path[128];

	snprintf(path, sizeof(path), "%s/notes", fix->dir);
	for (uint64_t round = 0; round < KILL_ROUNDS; round++) {
		pid_t pid = fixture_fork(kill_child, fix, round);
		int status;

		await_notes(path, noted);
		usleep((useconds_t)(next_random(&random) % 50000));
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		noted = file_size(path);
		if (round % 4 != 3)
			continue; /* the next one begins where this one fell */
		fixture_open(fix);
		before = count;
		count = check_notes(fix);
		assert_true(count > before);
		assert_int_equal(fixture_stats(fix).bad_records, 0);
		assert_false(fixture_stats(fix).rebuilt);
		assert_int_equal(fixture_stats(fix).segments, 1);
		fixture_close(fix);
	}
	fixture_boot(fix, "after-the-kills");
	fixture_open(fix);
	assert_int_equal(check_notes(fix), count);
}

#define STORE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_vanished),
		STORE_TEST(test_boots),
		STORE_TEST(test_torn_tail),
		STORE_TEST(test_bit_flips),
		STORE_TEST(test_damaged_chunk),
		STORE_TEST(test_segment_gone),
		STORE_TEST(test_index_damaged),
		STORE_TEST(test_index_damaged_in_use),
		STORE_TEST(test_kill),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
