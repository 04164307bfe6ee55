/*
 * Journals that were torn by a crash, or damaged on the disk. A crash costs what was
 * never durable; damage costs what was damaged.
 */
#include "journal_fixture.h"

#include <errno.h>

#include "git/hash.h"
#include "git/zstream.h"

#define OTHER_BOOT "99999999-2222-3333-4444-555555555555\n"
#define FRAMES 12
#define SYNCED 8 /* of them; the next frame says so */

/* A journal that was written and whose writer is gone, to be harmed again and again. */
struct wreck {
	struct journal_fixture fix;
	struct journal_place places[FRAMES];
	uint64_t end;      /* of the last frame in its segment */
	struct buf whole;  /* the last segment */
	char path[160];
};

/* All frames in one segment; the first SYNCED are known to be durable by those after. */
static void wreck_init(struct wreck *wreck)
{
	memset(wreck, 0, sizeof(*wreck));
	wreck->whole = (struct buf)BUF_INIT;
	journal_fixture_init(&wreck->fix);
	open_journal(&wreck->fix);
	for (int i = 0; i < FRAMES; i++) {
		char text[TEXT_MAX];

		if (i == SYNCED)
			assert_int_equal(journal_sync(wreck->fix.journal), 0);
		snprintf(text, sizeof(text), "frame %d, and what it says", i);
		wreck->places[i] = append(&wreck->fix, text);
	}
	struct journal_stats stats = stats_of(&wreck->fix);

	wreck->end = stats.bytes;
	segment_path(&wreck->fix, stats.active, wreck->path);
	close_journal(&wreck->fix);
	assert_int_equal(io_read_file(AT_FDCWD, wreck->path, &wreck->whole), 0);
	wreck->whole.len = wreck->end; /* the rest is allocated ahead */
}

static void wreck_release(struct wreck *wreck)
{
	buf_release(&wreck->whole);
	journal_fixture_release(&wreck->fix);
}

/* The folder with this as its only segment. */
static void wreck_reset(struct wreck *wreck, const uint8_t *data, size_t len)
{
	DIR *dir;

	close_journal(&wreck->fix);
	dir = opendir(wreck->fix.log);
	assert_non_null(dir);
	for (struct dirent *at; (at = readdir(dir)) != NULL;)
		if (at->d_name[0] != '.')
			assert_int_equal(unlinkat(dirfd(dir), at->d_name, 0), 0);
	closedir(dir);
	assert_int_equal(io_replace_file(AT_FDCWD, wreck->path, data, len), 0);
	boot_set(&wreck->fix, "11111111-2222-3333-4444-555555555555\n");
}

/* The number of the first frame that ends behind `len`. */
static int frames_within(const struct wreck *wreck, size_t len)
{
	int count = 1;

	while (count < FRAMES && wreck->places[count].offset <= len)
		count++;
	return count - 1;
}

/* What can be appended and read back afterwards, twice. */
static void expect_goes_on(struct journal_fixture *fix, int kept)
{
	append_numbers(fix, 100, 103);
	reopen(fix);
	assert_int_equal(fix->count, kept + 3);
	expect_numbers(fix, (size_t)kept, 100, 103);
	assert_int_equal(fix->recovery.damaged_frames, 0);
	reopen(fix);
	assert_int_equal(fix->count, kept + 3);
	assert_int_equal(fix->recovery.torn_bytes, 0);
}

/* The file ends anywhere within the last frames. */
static void torn_at_every_byte(const char *boot)
{
	struct wreck wreck;
	struct journal_fixture *fix = &wreck.fix;

	wreck_init(&wreck);
	for (size_t len = wreck.places[SYNCED + 1].offset; len < wreck.end; len++) {
		int whole = frames_within(&wreck, len);

		wreck_reset(&wreck, wreck.whole.data, len);
		if (boot != NULL)
			boot_set(fix, boot);
		open_journal(fix);
		/* The padding of a frame may be missing. */
		if (fix->count == (size_t)whole + 1)
			assert_true(len + 8 > wreck.places[whole].offset + 66);
		else
			assert_int_equal(fix->count, whole);
		whole = (int)fix->count;
		expect_numbers(fix, 0, 0, whole);
		assert_int_equal(fix->recovery.damaged_frames, 0);
		assert_int_equal(fix->recovery.damaged_bytes, 0);
		assert_true(fix->recovery.torn_bytes < 100);
		assert_true(fix->recovery.other_boot == (boot != NULL));
		if (len % 5 == 0)
			expect_goes_on(fix, whole);
	}
	wreck_release(&wreck);
}

static void test_torn_in_this_boot(void **state)
{
	(void)state;
	torn_at_every_byte(NULL);
}

static void test_torn_by_loss_of_power(void **state)
{
	(void)state;
	torn_at_every_byte(OTHER_BOOT);
}

/* Where each byte of the frame but its padding is another one. */
static void flip_frame(struct wreck *wreck, int frame, const char *boot,
		       void (*check)(struct wreck *wreck, int frame))
{
	size_t from = wreck->places[frame].offset;
	uint32_t len;
	struct cursor cur = cursor_of(wreck->whole.data + from + 12, 4);

	assert_true(cursor_le32(&cur, &len));
	for (size_t at = from; at < from + len; at++) {
		wreck->whole.data[at] ^= 0x10;
		wreck_reset(wreck, wreck->whole.data, wreck->whole.len);
		wreck->whole.data[at] ^= 0x10;
		if (boot != NULL)
			boot_set(&wreck->fix, boot);
		open_journal(&wreck->fix);
		check(wreck, frame);
	}
}

static void expect_set_aside(struct wreck *wreck, int frame)
{
	struct journal_fixture *fix = &wreck->fix;
	char path[512];
	off_t size = 0;

	assert_int_equal(fix->count, FRAMES - 1);
	expect_numbers(fix, 0, 0, frame);
	expect_numbers(fix, (size_t)frame, frame + 1, FRAMES);
	assert_int_equal(fix->recovery.damaged_frames, 1);
	assert_int_equal(fix->recovery.torn_bytes, 0);
	assert_int_equal(count_files(fix, "damaged-", path, &size), 1);
	assert_int_equal(size, fix->recovery.damaged_bytes);
	assert_int_equal(size, wreck->places[frame + 1].offset - wreck->places[frame].offset);
	AUTO_BUF struct buf aside = BUF_INIT;
	const uint8_t *was = wreck->whole.data + wreck->places[frame].offset;
	size_t different = 0;

	assert_int_equal(io_read_file(AT_FDCWD, path, &aside), 0);
	for (size_t i = 0; i < aside.len; i++)
		different += aside.data[i] != was[i];
	assert_int_equal(different, 1);
}

/* All from there on; but for zeros at the end, which nobody can tell from padding. */
static void expect_torn(const struct wreck *wreck, uint64_t from)
{
	uint64_t torn = wreck->fix.recovery.torn_bytes;

	assert_in_range(torn, wreck->end - from - 8, wreck->end - from);
}

static void expect_end_there(struct wreck *wreck, int frame)
{
	struct journal_fixture *fix = &wreck->fix;

	assert_int_equal(fix->count, frame);
	expect_numbers(fix, 0, 0, frame);
	assert_int_equal(fix->recovery.damaged_frames, 0);
	expect_torn(wreck, wreck->places[frame].offset);
	assert_int_equal(count_files(fix, "damaged-", NULL, NULL), 0);
	append_numbers(fix, 100, 101);
	reopen(fix);
	assert_int_equal(fix->count, frame + 1);
	expect_numbers(fix, (size_t)frame, 100, 101);
}

static void expect_last_torn(struct wreck *wreck, int frame)
{
	struct journal_fixture *fix = &wreck->fix;

	assert_int_equal(fix->count, frame);
	assert_int_equal(fix->recovery.damaged_frames, 0);
	assert_true(fix->recovery.torn_bytes > 0);
}

static void test_damage_in_the_middle(void **state)
{
	struct wreck wreck;

	(void)state;
	wreck_init(&wreck);
	/* Known to be durable: damaged, in whatever boot. */
	flip_frame(&wreck, 0, NULL, expect_set_aside);
	flip_frame(&wreck, SYNCED - 1, OTHER_BOOT, expect_set_aside);
	/* Not durable, but the machine has been up: damaged as well. */
	flip_frame(&wreck, SYNCED + 1, NULL, expect_set_aside);
	/* Not durable when power was lost: the log ends there. */
	flip_frame(&wreck, SYNCED + 1, OTHER_BOOT, expect_end_there);
	/* The last one of all: nothing tells that it was ever whole. */
	flip_frame(&wreck, FRAMES - 1, NULL, expect_last_torn);
	flip_frame(&wreck, FRAMES - 1, OTHER_BOOT, expect_last_torn);
	wreck_release(&wreck);
}

/* Read without writing: the same is found, nothing is changed. */
static void test_damage_seen_read_only(void **state)
{
	struct wreck wreck;
	struct journal_fixture *fix = &wreck.fix;

	(void)state;
	wreck_init(&wreck);
	wreck.whole.data[wreck.places[3].offset + 50] ^= 1;
	wreck_reset(&wreck, wreck.whole.data, wreck.whole.len - 10);
	fix->config.read_only = true;
	for (int i = 0; i < 2; i++) {
		reopen(fix);
		assert_int_equal(fix->count, FRAMES - 2);
		assert_int_equal(fix->recovery.damaged_frames, 1);
		assert_true(fix->recovery.damaged_bytes > 0 && fix->recovery.torn_bytes > 0);
		assert_int_equal(count_files(fix, "", NULL, NULL), 3); /* ".", "..", the segment */
	}
	wreck_release(&wreck);
}

/* --- several segments --- */

static void flip(const char *path, uint64_t offset, size_t len)
{
	AUTO_CLOSE int fd = io_open(AT_FDCWD, path, O_RDWR, 0);
	uint8_t data[64];

	assert_true(fd >= 0 && len <= sizeof(data));
	assert_int_equal(io_pread(fd, data, len, offset), len);
	for (size_t i = 0; i < len; i++)
		data[i] ^= 0xff;
	assert_int_equal(io_pwrite(fd, data, len, offset), 0);
}

/* Ten frames in each of four segments, all synced if `sync`. */
static void write_segments(struct journal_fixture *fix, bool sync, struct journal_place *places)
{
	journal_fixture_init(fix);
	open_journal(fix);
	for (int i = 0; i < 40; i++) {
		char text[TEXT_MAX];
		uint64_t segment;

		if (i > 0 && i % 10 == 0)
			assert_int_equal(journal_rotate(fix->journal, &segment), 0);
		snprintf(text, sizeof(text), "frame %d, and what it says", i);
		places[i] = append(fix, text);
		if (sync)
			assert_int_equal(journal_sync(fix->journal), 0);
	}
	close_journal(fix);
}

/* The last frame of a segment that is not the last: kept aside and counted once. */
static void damage_last_of_segment(bool synced, const char *boot)
{
	struct journal_fixture fix;
	struct journal_place places[40];
	char path[160];
	off_t size;
	char aside[512];

	write_segments(&fix, synced, places);
	segment_path(&fix, places[19].segment, path);
	flip(path, places[19].offset + 20, 4);
	if (boot != NULL)
		boot_set(&fix, boot);
	open_journal(&fix);
	assert_int_equal(fix.count, 39);
	expect_numbers(&fix, 0, 0, 19);
	expect_numbers(&fix, 19, 20, 40);
	assert_int_equal(fix.recovery.damaged_frames, 1);
	assert_int_equal(fix.recovery.torn_bytes, 0);
	assert_int_equal(count_files(&fix, "damaged-", aside, &size), 1);
	assert_int_equal(size, fix.recovery.damaged_bytes);
	journal_fixture_release(&fix);
}

static void test_last_of_a_segment(void **state)
{
	(void)state;
	damage_last_of_segment(true, NULL);
	damage_last_of_segment(true, OTHER_BOOT);
	damage_last_of_segment(false, NULL);
}

/* A head that cannot be read costs its segment; one that is not there, the same. */
static void lose_segment(bool removed, int number)
{
	struct journal_fixture fix;
	struct journal_place places[40];
	char path[160];
	int from = number * 10;

	write_segments(&fix, true, places);
	segment_path(&fix, places[from].segment, path);
	if (removed)
		assert_int_equal(unlink(path), 0);
	else
		flip(path, 16, 8);
	boot_set(&fix, OTHER_BOOT);
	open_journal(&fix);
	assert_int_equal(fix.count, 30);
	expect_numbers(&fix, 0, 0, from);
	expect_numbers(&fix, (size_t)from, from + 10, 40);
	if (from > 0)
		assert_int_equal(fix.recovery.damaged_frames, 10);
	else if (!removed)
		assert_true(fix.recovery.damaged_frames > 0);
	assert_int_equal(count_files(&fix, "damaged-", NULL, NULL), removed ? 0 : 1);
	append_numbers(&fix, 40, 41);
	reopen(&fix);
	assert_int_equal(fix.count, 31);
	journal_fixture_release(&fix);
}

static void test_segment_lost(void **state)
{
	(void)state;
	lose_segment(false, 0);
	lose_segment(false, 1);
	lose_segment(true, 1);
	lose_segment(true, 0);
}

/* Power was lost: later segments reached the disk, an earlier frame did not. */
static void test_hole_after_loss_of_power(void **state)
{
	struct journal_fixture fix;
	struct journal_place places[40];
	char path[160];

	(void)state;
	write_segments(&fix, false, places);
	segment_path(&fix, places[15].segment, path);
	flip(path, places[15].offset, 8);
	boot_set(&fix, OTHER_BOOT);
	open_journal(&fix);
	assert_int_equal(fix.count, 15);
	assert_int_equal(fix.recovery.damaged_frames, 0);
	assert_true(fix.recovery.torn_bytes > 0);
	assert_int_equal(stats_of(&fix).segments, 3); /* two, and the new one */
	append_numbers(&fix, 15, 20);
	boot_set(&fix, "77777777-2222-3333-4444-555555555555\n");
	reopen(&fix);
	assert_int_equal(fix.count, 20);
	expect_numbers(&fix, 0, 0, 20);
	assert_int_equal(fix.recovery.torn_bytes, 0);
	journal_fixture_release(&fix);
}

/* Frames that had been durable are gone, and so is one behind them that had not: the
 * log ends, and what was damaged is counted. */
static void test_damage_before_a_hole(void **state)
{
	struct wreck wreck;
	struct journal_fixture *fix = &wreck.fix;

	(void)state;
	wreck_init(&wreck);
	for (int i = SYNCED - 2; i <= SYNCED + 1; i++)
		if (i != SYNCED) /* which says how far the log was durable */
			wreck.whole.data[wreck.places[i].offset + 45] ^= 1;
	wreck_reset(&wreck, wreck.whole.data, wreck.whole.len);
	boot_set(fix, OTHER_BOOT);
	open_journal(fix);
	assert_int_equal(fix->count, SYNCED - 1);
	expect_numbers(fix, 0, 0, SYNCED - 2);
	expect_numbers(fix, SYNCED - 2, SYNCED, SYNCED + 1);
	assert_int_equal(fix->recovery.damaged_frames, 2);
	expect_torn(&wreck, wreck.places[SYNCED + 1].offset);

	/* The same, with the hole right behind. */
	wreck.whole.data[wreck.places[SYNCED].offset + 45] ^= 1;
	wreck_reset(&wreck, wreck.whole.data, wreck.whole.len);
	boot_set(fix, OTHER_BOOT);
	open_journal(fix);
	assert_int_equal(fix->count, SYNCED - 2);
	assert_int_equal(fix->recovery.damaged_frames, 2);
	assert_int_equal(count_files(fix, "damaged-", NULL, NULL), 1);
	append_numbers(fix, 50, 52);
	reopen(fix);
	assert_int_equal(fix->count, SYNCED);
	assert_int_equal(fix->recovery.damaged_frames, 0);
	wreck_release(&wreck);
}

/* A file that ends with the last byte of a frame: filesystems without fallocate(2). */
static void test_no_padding(void **state)
{
	struct wreck wreck;
	struct journal_fixture *fix = &wreck.fix;
	struct journal_place place;

	(void)state;
	wreck_init(&wreck);
	wreck_reset(&wreck, wreck.whole.data, wreck.whole.len);
	open_journal(fix);
	assert_int_equal(append_text(fix->journal, "x", 0, JOURNAL_NORMAL, &place), 0);
	char path[160];

	segment_path(fix, place.segment, path);
	assert_int_equal(truncate(path, (off_t)place.offset + JOURNAL_HEAD_LEN + 1), 0);
	reopen(fix);
	assert_int_equal(fix->count, FRAMES + 1);
	assert_int_equal(fix->recovery.torn_bytes, 0);
	assert_int_equal(fix->recovery.damaged_frames + fix->recovery.damaged_bytes, 0);
	wreck_release(&wreck);
}

/* Garbage in place of a segment, of every small length. */
static void test_garbage(void **state)
{
	struct wreck wreck;
	uint8_t garbage[300];

	(void)state;
	for (size_t i = 0; i < sizeof(garbage); i++)
		garbage[i] = (uint8_t)(i * 7 + 1);
	wreck_init(&wreck);
	for (size_t len = 0; len < sizeof(garbage); len += 13) {
		wreck_reset(&wreck, garbage, len);
		open_journal(&wreck.fix);
		assert_int_equal(wreck.fix.count, 0);
		append_numbers(&wreck.fix, 0, 1);
		reopen(&wreck.fix);
		assert_int_equal(wreck.fix.count, 1);
	}
	wreck_release(&wreck);
}

/* --- what is not ours to read --- */

static void expect_unsupported(struct wreck *wreck)
{
	AUTO_BUF struct buf after = BUF_INIT;
	uint8_t *head = wreck->whole.data;

	put_le32(head + 92, crc32_of(0, head, 92));
	wreck_reset(wreck, head, wreck->whole.len);
	assert_int_equal(try_open(&wreck->fix), ERR_UNSUPPORTED);
	assert_non_null(strstr(wreck->fix.err.msg, "another version"));
	assert_int_equal(wreck->fix.count, 0);
	assert_int_equal(io_read_file(AT_FDCWD, wreck->path, &after), 0);
	assert_int_equal(after.len, wreck->whole.len);
	assert_memory_equal(after.data, head, after.len);
	assert_int_equal(count_files(&wreck->fix, "", NULL, NULL), 3);
}

static void test_other_version(void **state)
{
	struct wreck wreck;

	(void)state;
	wreck_init(&wreck);
	put_le32(wreck.whole.data + 8, 2);
	expect_unsupported(&wreck);
	put_le32(wreck.whole.data + 8, 1);
	put_le32(wreck.whole.data + 12, HASH_SHA256);
	expect_unsupported(&wreck);
	wreck_release(&wreck);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_torn_in_this_boot),
		cmocka_unit_test(test_torn_by_loss_of_power),
		cmocka_unit_test(test_damage_in_the_middle),
		cmocka_unit_test(test_damage_seen_read_only),
		cmocka_unit_test(test_last_of_a_segment),
		cmocka_unit_test(test_segment_lost),
		cmocka_unit_test(test_hole_after_loss_of_power),
		cmocka_unit_test(test_damage_before_a_hole),
		cmocka_unit_test(test_no_padding),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_other_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
