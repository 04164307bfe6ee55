/* The journal: order, segments, syncing, reading, dropping, failing. */
#include "journal_fixture.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

#include "failing_alloc.h"
#include "git/hash.h"

static void test_reads_back_in_order(void **state)
{
	struct journal_fixture fix;
	struct journal_place place;
	uint64_t last_lsn = 0;

	(void)state;
	journal_fixture_init(&fix);
	open_journal(&fix);
	assert_int_equal(fix.count, 0);
	assert_int_equal(append_text(fix.journal, "with a unique", 4711, JOURNAL_NORMAL, &place),
			 0);
	assert_int_equal(append_text(fix.journal, "", 0, JOURNAL_FREES, NULL), 0);
	append_numbers(&fix, 0, 100);
	for (int round = 0; round < 5; round++) {
		reopen(&fix);
		assert_int_equal(fix.count, 102 + round * 3);
		assert_int_equal(fix.recovery.frames, fix.count);
		assert_int_equal(fix.recovery.damaged_frames + fix.recovery.damaged_bytes, 0);
		assert_int_equal(fix.recovery.torn_bytes, 0);
		assert_false(fix.recovery.other_boot);
		assert_string_equal(fix.seen[0].text, "with a unique");
		assert_true(fix.seen[0].frame.unique == 4711);
		assert_true(fix.seen[0].frame.segment == place.segment);
		assert_true(fix.seen[0].frame.offset == place.offset + JOURNAL_HEAD_LEN);
		assert_int_equal(fix.seen[1].frame.items_len, 0);
		expect_numbers(&fix, 2, 0, 100 + round * 3);
		for (size_t i = 0; i < fix.count; i++)
			assert_true(fix.seen[i].frame.lsn == i + 1);
		append_numbers(&fix, 100 + round * 3, 103 + round * 3);
		assert_true(stats_of(&fix).last_lsn > last_lsn);
		last_lsn = stats_of(&fix).last_lsn;
	}
	journal_fixture_release(&fix);
}

/* Opened and closed again and again: empty segments do not pile up. */
static void test_reopening_leaves_nothing(void **state)
{
	struct journal_fixture fix;

	(void)state;
	journal_fixture_init(&fix);
	open_journal(&fix);
	append_numbers(&fix, 0, 1);
	for (int i = 0; i < 50; i++)
		reopen(&fix);
	expect_numbers(&fix, 0, 0, 1);
	assert_int_equal(stats_of(&fix).segments, 2);
	assert_int_equal(count_files(&fix, "0", NULL, NULL), 2 + JOURNAL_SPARES);
	journal_fixture_release(&fix);
}

static void test_segments_rotate(void **state)
{
	struct journal_fixture fix;
	char byte;
	uint64_t segment;

	(void)state;
	journal_fixture_init(&fix);
	fix.config.segment_bytes = 1024;
	open_journal(&fix);
	append_numbers(&fix, 0, 200);
	struct journal_stats stats = stats_of(&fix);

	assert_true(stats.segments > 10 && stats.active > stats.oldest);
	assert_int_equal(count_files(&fix, "0", NULL, NULL), stats.segments + JOURNAL_SPARES);
	assert_int_equal(journal_rotate(fix.journal, &segment), 0);
	assert_true(segment > stats.active && segment <= stats.active + 1 + JOURNAL_SPARES);
	/* A frame larger than a segment gets one of its own. */
	AUTO_BUF struct buf large = BUF_INIT;
	struct journal_place place;

	assert_int_equal(buf_reserve(&large, 5000), 0);
	memset(large.data, 'x', 5000);
	large.len = 5000;
	assert_int_equal(journal_append(fix.journal, &large, (struct iovec){ .iov_len = 0 }, 0,
					JOURNAL_NORMAL, &place),
			 0);
	assert_int_equal(journal_read(fix.journal, place.segment, place.offset + 4999, &byte, 1),
			 0);
	assert_int_equal(byte, 'x');
	assert_int_equal(journal_read(fix.journal, place.segment + 7, 0, &byte, 1), ERR_NOT_FOUND);
	reopen(&fix);
	assert_int_equal(fix.count, 201);
	expect_numbers(&fix, 0, 0, 200);
	large.len = JOURNAL_FRAME_MAX; /* refused by its length alone */
	assert_int_equal(journal_append(fix.journal, &large,
					(struct iovec){ .iov_base = &byte, .iov_len = 1 }, 0,
					JOURNAL_NORMAL, &place),
			 ERR_LIMIT);
	large.len = 5000;
	journal_fixture_release(&fix);
}

static void test_sync(void **state)
{
	struct journal_fixture fix;

	(void)state;
	journal_fixture_init(&fix);
	fix.config.segment_bytes = 512;
	open_journal(&fix);
	assert_int_equal(journal_sync(fix.journal), 0);
	assert_int_equal(stats_of(&fix).syncs, 0); /* there is nothing to be synced */
	append_numbers(&fix, 0, 50);
	assert_int_equal(stats_of(&fix).synced_lsn, 0);
	assert_int_equal(journal_sync(fix.journal), 0);
	assert_int_equal(stats_of(&fix).synced_lsn, 50);
	assert_int_equal(journal_sync(fix.journal), 0);
	assert_int_equal(stats_of(&fix).syncs, 1);
	append_numbers(&fix, 50, 60);
	reopen(&fix);
	/* The ten behind what was synced are not known to be durable. */
	assert_int_equal(stats_of(&fix).last_lsn, 60);
	assert_int_equal(stats_of(&fix).synced_lsn, 50);
	assert_int_equal(journal_sync(fix.journal), 0);
	assert_int_equal(stats_of(&fix).synced_lsn, 60);
	journal_fixture_release(&fix);
}

static void test_drop_before(void **state)
{
	struct journal_fixture fix;
	uint64_t segment;
	char byte;

	(void)state;
	journal_fixture_init(&fix);
	fix.config.segment_bytes = 512;
	open_journal(&fix);
	struct journal_place first = append(&fix, "first");

	append_numbers(&fix, 0, 50);
	assert_int_equal(journal_rotate(fix.journal, &segment), 0);
	append_numbers(&fix, 50, 55);
	assert_int_equal(journal_drop_before(fix.journal, segment), 0);
	assert_int_equal(stats_of(&fix).oldest, segment);
	assert_int_equal(journal_read(fix.journal, first.segment, first.offset, &byte, 1),
			 ERR_NOT_FOUND);
	assert_int_equal(journal_drop_before(fix.journal, UINT64_MAX), 0); /* not the active one */
	assert_int_equal(stats_of(&fix).segments, 1);
	append_numbers(&fix, 55, 56);
	reopen(&fix);
	assert_int_equal(fix.recovery.damaged_frames, 0);
	struct journal_stats stats = stats_of(&fix);

	assert_true(fix.count > 0 && stats.last_lsn == 57);
	expect_numbers(&fix, 0, 56 - (int)fix.count, 56);
	journal_fixture_release(&fix);
}

struct reader {
	struct journal_fixture *fix;
	struct journal_place place;
	atomic_bool stop;
	unsigned long reads, gone;
};

static void *read_on(void *arg)
{
	static char wrong[] = "read something else";

	struct reader *reader = arg;
	char text[5];

	while (!atomic_load(&reader->stop) && reader->gone == 0) {
		int rc = journal_read(reader->fix->journal, reader->place.segment,
				      reader->place.offset + JOURNAL_HEAD_LEN, text, 5);

		if (rc == ERR_NOT_FOUND)
			reader->gone++;
		else if (rc != 0 || memcmp(text, "bytes", 5) != 0)
			return wrong;
		reader->reads++;
	}
	return NULL;
}

/* Whoever reads has the bytes, or hears that they are elsewhere now. */
static void test_read_while_dropped(void **state)
{
	struct journal_fixture fix;

	(void)state;
	journal_fixture_init(&fix);
	open_journal(&fix);
	for (int round = 0; round < 50; round++) {
		struct reader reader = { .fix = &fix, .place = append(&fix, "bytes") };
		pthread_t thread;
		uint64_t segment;
		void *wrong;

		assert_int_equal(pthread_create(&thread, NULL, read_on, &reader), 0);
		assert_int_equal(journal_rotate(fix.journal, &segment), 0);
		assert_int_equal(journal_drop_before(fix.journal, segment), 0);
		atomic_store(&reader.stop, round % 2 == 0);
		assert_int_equal(pthread_join(thread, &wrong), 0);
		if (wrong != NULL)
			fail_msg("%s", (const char *)wrong);
		assert_true(round % 2 == 0 || reader.gone == 1);
	}
	journal_fixture_release(&fix);
}

/* --- failing --- */

static void append_fails(const char *rules, int error)
{
	struct journal_fixture fix;
	AUTO_BUF struct buf large = BUF_INIT;
	struct journal_place place;

	/* It does not fit into what is allocated for a segment. */
	assert_int_equal(buf_reserve(&large, 5000), 0);
	memset(large.data, 'l', 5000);
	large.len = 5000;
	journal_fixture_init(&fix);
	fix.config.segment_bytes = 4096;
	open_journal(&fix);
	append_numbers(&fix, 0, 10);
	uint64_t before = stats_of(&fix).last_lsn;

	assert_int_equal(failpoint_set(rules), 0);
	assert_int_equal(journal_append(fix.journal, &large, (struct iovec){ .iov_len = 0 }, 0,
					JOURNAL_NORMAL, &place),
			 error);
	assert_int_equal(failpoint_set(NULL), 0);
	assert_int_equal(stats_of(&fix).last_lsn, before);
	append_numbers(&fix, 10, 20);
	reopen(&fix);
	assert_int_equal(fix.count, 20);
	expect_numbers(&fix, 0, 0, 20);
	assert_int_equal(fix.recovery.torn_bytes + fix.recovery.damaged_frames, 0);
	journal_fixture_release(&fix);
}

/* What could not be appended is not there, and nothing else suffers. */
static void test_append_fails(void **state)
{
	(void)state;
	append_fails("journal.write=ENOSPC", -ENOSPC);
	append_fails("journal.write=EIO", -EIO);
	append_fails("journal.write=EDQUOT", -EDQUOT);
	append_fails("journal.allocate:1+=ENOSPC", -ENOSPC);
	append_fails("journal.allocate=EIO", -EIO);
}

/* A write that ends in the middle of a frame: the next one takes its place. */
static void test_half_a_frame(void **state)
{
	struct journal_fixture fix;
	struct rlimit old, limit;
	struct stat st;
	char path[160];
	char text[301];

	(void)state;
	memset(text, 'y', 300);
	text[300] = '\0';
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	signal(SIGXFSZ, SIG_IGN);
	journal_fixture_init(&fix);
	open_journal(&fix);
	append_numbers(&fix, 0, 1);
	segment_path(&fix, stats_of(&fix).active, path);
	assert_int_equal(stat(path, &st), 0);
	limit = (struct rlimit){ .rlim_cur = stats_of(&fix).bytes + 100, .rlim_max = old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	int rc = append_text(fix.journal, text, 0, JOURNAL_NORMAL, NULL);

	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(rc, -EFBIG);
	append(&fix, "z"); /* shorter than what stands there */
	append_numbers(&fix, 1, 3);
	reopen(&fix);
	assert_int_equal(fix.count, 4);
	expect_numbers(&fix, 0, 0, 1);
	assert_string_equal(fix.seen[1].text, "z");
	expect_numbers(&fix, 2, 1, 3);
	assert_int_equal(fix.recovery.damaged_frames, 0);
	journal_fixture_release(&fix);
}

/* How many of these find room. */
static unsigned append_until_full(struct journal_fixture *fix, enum journal_need need)
{
	unsigned count = 0;
	int rc;

	while ((rc = append_text(fix->journal, "unlink", 0, need, NULL)) == 0 && count < 100000)
		count++;
	assert_int_equal(rc, -ENOSPC);
	return count;
}

/* On a full disk what gives space back finds room, and what cleans up finds more. */
static void test_spares(void **state)
{
	struct journal_fixture fix;
	uint64_t segment;

	(void)state;
	journal_fixture_init(&fix);
	fix.config.segment_bytes = 4096;
	open_journal(&fix);
	append_numbers(&fix, 0, 3);
	assert_int_equal(failpoint_set("journal.allocate:1+=ENOSPC"), 0);
	append_until_full(&fix, JOURNAL_NORMAL);
	assert_int_equal(journal_room(fix.journal, 100), -ENOSPC);
	assert_int_equal(append_text(fix.journal, "unlink", 0, JOURNAL_FREES, NULL), 0);
	assert_true(stats_of(&fix).pressed);
	assert_int_equal(append_until_full(&fix, JOURNAL_NORMAL), 0); /* it is not for these */
	assert_true(append_until_full(&fix, JOURNAL_FREES) > 50);
	assert_true(append_until_full(&fix, JOURNAL_CLEANS) > 50);
	assert_int_equal(journal_rotate(fix.journal, &segment), -ENOSPC);
	assert_int_equal(failpoint_set(NULL), 0);
	assert_int_equal(journal_refill(fix.journal), 0);
	assert_false(stats_of(&fix).pressed);
	append_numbers(&fix, 3, 5);
	size_t last = (size_t)stats_of(&fix).last_lsn;

	reopen(&fix);
	assert_int_equal(fix.count, last);
	expect_numbers(&fix, last - 2, 3, 5);
	journal_fixture_release(&fix);
}

/* A failed fdatasync may have dropped pages that are clean from then on. */
static void test_failed_sync_is_final(void **state)
{
	struct journal_fixture fix;
	struct journal_place place;
	uint64_t segment;

	(void)state;
	journal_fixture_init(&fix);
	open_journal(&fix);
	append_numbers(&fix, 0, 5);
	assert_int_equal(journal_sync(fix.journal), 0);
	append_numbers(&fix, 5, 6);
	assert_int_equal(failpoint_set("journal.sync=EIO"), 0);
	assert_int_equal(journal_sync(fix.journal), -EROFS);
	assert_int_equal(failpoint_set(NULL), 0);
	assert_int_equal(journal_sync(fix.journal), -EROFS);
	assert_int_equal(append_text(fix.journal, "x", 0, JOURNAL_FREES, &place), -EROFS);
	assert_int_equal(journal_room(fix.journal, 1), -EROFS);
	assert_int_equal(journal_rotate(fix.journal, &segment), -EROFS);
	assert_int_equal(stats_of(&fix).failed, -EIO);
	assert_int_equal(stats_of(&fix).synced_lsn, 5);
	reopen(&fix);
	assert_int_equal(fix.count, 6);
	append_numbers(&fix, 6, 7);
	assert_int_equal(journal_sync(fix.journal), 0);
	journal_fixture_release(&fix);
}

static void test_read_only(void **state)
{
	struct journal_fixture fix;
	uint64_t segment;

	(void)state;
	journal_fixture_init(&fix);
	fix.config.read_only = true;
	assert_int_equal(try_open(&fix), -ENOENT);
	fix.config.read_only = false;
	open_journal(&fix);
	append_numbers(&fix, 0, 5);
	close_journal(&fix);
	size_t files = count_files(&fix, "", NULL, NULL);

	fix.config.read_only = true;
	open_journal(&fix);
	assert_int_equal(fix.count, 5);
	assert_int_equal(append_text(fix.journal, "x", 0, JOURNAL_NORMAL, NULL), -EROFS);
	assert_int_equal(journal_sync(fix.journal), -EROFS);
	assert_int_equal(journal_rotate(fix.journal, &segment), -EROFS);
	assert_int_equal(count_files(&fix, "", NULL, NULL), files);
	journal_fixture_release(&fix);
}

/* The one who reads may refuse. */
static void test_replay_refuses(void **state)
{
	struct journal_fixture fix;

	(void)state;
	journal_fixture_init(&fix);
	open_journal(&fix);
	append_numbers(&fix, 0, 5);
	close_journal(&fix);
	fix.replay_rc = ERR_UNSUPPORTED;
	assert_int_equal(try_open(&fix), ERR_UNSUPPORTED);
	assert_int_equal(fix.count, 1);
	fix.replay_rc = 0;
	open_journal(&fix);
	assert_int_equal(fix.count, 5);
	journal_fixture_release(&fix);
}

static void test_memory_runs_out(void **state)
{
	struct journal_fixture fix;
	bool failed;
	long nth = 0;

	(void)state;
	journal_fixture_init(&fix);
	fix.config.segment_bytes = 256;
	do {
		uint64_t segment;
		size_t written = 0;

		failing_alloc_arm(++nth);
		int rc = try_open(&fix);

		for (int i = 0; rc == 0 && i < 5; i++) {
			rc = append_text(fix.journal, "frame", 0, JOURNAL_NORMAL, NULL);
			written += rc == 0;
		}
		if (rc == 0)
			rc = journal_rotate(fix.journal, &segment);
		failed = failing_alloc_disarm();
		assert_true(rc == 0 || rc == -ENOMEM);
		close_journal(&fix);
		/* Whatever failed: what was said to be there is there. */
		open_journal(&fix);
		assert_int_equal(fix.count, written);
		assert_int_equal(fix.recovery.damaged_frames + fix.recovery.torn_bytes, 0);
		assert_true(failed || written == 5);
		/* Begun anew, else there would be more to be allocated each time. */
		assert_int_equal(journal_drop_before(fix.journal, UINT64_MAX), 0);
		close_journal(&fix);
	} while (failed);
	assert_true(nth > 10);
	journal_fixture_release(&fix);
}

/* --- many at once --- */

#define WRITERS 8
#define WRITES 100

struct writer {
	struct journal_fixture *fix;
	int number;
	int rc;
	pthread_t thread;
};

static void *write_and_sync(void *arg)
{
	struct writer *writer = arg;
	char text[TEXT_MAX];

	for (int i = 0; i < WRITES && writer->rc == 0; i++) {
		struct journal_place place;
		struct journal_stats stats;

		snprintf(text, sizeof(text), "%d %d", writer->number, i);
		writer->rc = append_text(writer->fix->journal, text, 0, JOURNAL_NORMAL, &place);
		if (writer->rc == 0)
			writer->rc = journal_sync(writer->fix->journal);
		journal_stats(writer->fix->journal, &stats);
		if (writer->rc == 0 && stats.synced_lsn < place.lsn)
			writer->rc = -EIO; /* it came back before it was done */
	}
	return NULL;
}

static void test_many_writers(void **state)
{
	struct journal_fixture fix;
	struct writer writers[WRITERS];
	int next[WRITERS] = { 0 };

	(void)state;
	journal_fixture_init(&fix);
	fix.config.segment_bytes = 4096;
	open_journal(&fix);
	for (int i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer){ .fix = &fix, .number = i };
		assert_int_equal(pthread_create(&writers[i].thread, NULL, write_and_sync,
						&writers[i]),
				 0);
	}
	for (int i = 0; i < WRITERS; i++) {
		pthread_join(writers[i].thread, NULL);
		assert_int_equal(writers[i].rc, 0);
	}
	assert_int_equal(stats_of(&fix).last_lsn, WRITERS * WRITES);
	/* One fdatasync serves all who wait. */
	assert_true(stats_of(&fix).syncs < WRITERS * WRITES);
	reopen(&fix);
	assert_int_equal(fix.count, WRITERS * WRITES);
	for (size_t i = 0; i < fix.count; i++) {
		int writer, number;

		assert_int_equal(sscanf(fix.seen[i].text, "%d %d", &writer, &number), 2);
		assert_in_range(writer, 0, WRITERS - 1);
		assert_int_equal(number, next[writer]++);
	}
	journal_fixture_release(&fix);
}

static int leave(void **state)
{
	(void)state;
	return failpoint_set(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_reads_back_in_order, leave),
		cmocka_unit_test_teardown(test_reopening_leaves_nothing, leave),
		cmocka_unit_test_teardown(test_segments_rotate, leave),
		cmocka_unit_test_teardown(test_sync, leave),
		cmocka_unit_test_teardown(test_drop_before, leave),
		cmocka_unit_test_teardown(test_read_while_dropped, leave),
		cmocka_unit_test_teardown(test_append_fails, leave),
		cmocka_unit_test_teardown(test_half_a_frame, leave),
		cmocka_unit_test_teardown(test_spares, leave),
		cmocka_unit_test_teardown(test_failed_sync_is_final, leave),
		cmocka_unit_test_teardown(test_read_only, leave),
		cmocka_unit_test_teardown(test_replay_refuses, leave),
		cmocka_unit_test_teardown(test_memory_runs_out, leave),
		cmocka_unit_test_teardown(test_many_writers, leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
