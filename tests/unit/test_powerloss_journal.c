/*
 * The journal after power loss: every frame whose sync was acknowledged is there;
 * those behind it are the next ones, in order, up to some point, and none from
 * before an earlier recovery comes back; no crash counts as damage; and it takes
 * frames again, which then hold through the next loss.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/io.h"
#include "powerloss.h"
#include "worktree/journal.h"

#define SEGMENT_BYTES ((uint64_t)3000) /* so that there are several */
#define FRAMES 40U
#define THREADS 3U

/* Promises. */
enum {
	SYNCED,   /* every frame up to this one was synced */
	APPENDED, /* no frame behind this one was ever begun */
	DROPPED,  /* frames up to this one may be gone, whole segments of them */
	ERA,      /* how often the journal had been recovered from a loss of power */
};

enum { BOOT_FIRST, BOOT_SECOND, BOOT_THIRD, BOOT_FOURTH, BOOTS };

struct scene {
	char top[96];
	char dir[128]; /* what loses power: the journal is in dir/j */
	char boots[BOOTS][128];
	struct powerloss *loss;
	unsigned looks;
	uint64_t acknowledged; /* guarded by lock */
	pthread_mutex_t lock;
	struct journal *journal;
};

/* A sync takes long enough for others to append meanwhile. */
int fdatasync(int fd)
{
	usleep(300);
	return (int)syscall(SYS_fdatasync, fd);
}

static int setup(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	const char *tmp = getenv("TMPDIR");

	assert_non_null(scene);
	pthread_mutex_init(&scene->lock, NULL);
	snprintf(scene->top, sizeof(scene->top), "%s/git-fs-test-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(scene->top));
	snprintf(scene->dir, sizeof(scene->dir), "%s/dir", scene->top);
	assert_int_equal(io_mkdirs(scene->dir), 0);
	for (int i = 0; i < BOOTS; i++) {
		char id[40];
		int len = snprintf(id, sizeof(id), "%036d\n", i);

		snprintf(scene->boots[i], sizeof(scene->boots[i]), "%s/boot-%d", scene->top, i);
		assert_int_equal(io_replace_file(AT_FDCWD, scene->boots[i], id, (size_t)len), 0);
	}
	*state = scene;
	return 0;
}

static int teardown(void **state)
{
	struct scene *scene = *state;
	char command[160];

	powerloss_free(scene->loss);
	snprintf(command, sizeof(command), "rm -rf -- '%s'", scene->top);
	assert_int_equal(system(command), 0);
	pthread_mutex_destroy(&scene->lock);
	free(scene);
	return 0;
}

/* Contents of frame `lsn` when it was appended in `era`: their length and each byte
 * follow from both. Now and then larger than a page. */
static size_t frame_len(uint64_t lsn, uint64_t era)
{
	uint64_t mix = (lsn * 2654435761U + era * 40503U) >> 3;

	return 16 + (size_t)(mix % 5 == 0 ? mix % 5000 : mix % 300);
}

static void frame_fill(uint8_t *out, uint64_t lsn, uint64_t era)
{
	size_t len = frame_len(lsn, era);

	put_le64(out, lsn);
	put_le64(out + 8, era);
	for (size_t i = 16; i < len; i++)
		out[i] = (uint8_t)(lsn * 31 + era * 7 + i + 1);
}

static int append(struct journal *journal, uint64_t lsn, uint64_t era)
{
	AUTO_BUF struct buf frame = BUF_INIT;
	struct journal_place place;
	size_t len = frame_len(lsn, era);
	uint8_t contents[6000];
	int rc = buf_reserve(&frame, JOURNAL_HEAD_LEN + len);

	if (rc < 0)
		return rc;
	frame_fill(contents, lsn, era);
	/* Odd ones in two pieces. */
	frame.len = JOURNAL_HEAD_LEN + (lsn % 2 != 0 ? 16 : len);
	memcpy(frame.data + JOURNAL_HEAD_LEN, contents, frame.len - JOURNAL_HEAD_LEN);
	rc = journal_append(journal, &frame,
			    (struct iovec){ .iov_base = contents + 16,
					    .iov_len = lsn % 2 != 0 ? len - 16 : 0 },
			    lsn, JOURNAL_NORMAL, &place);
	if (rc == 0 && place.lsn != lsn)
		rc = -EINVAL;
	return rc;
}

/* What comes out of it. */
struct replay {
	uint64_t first, last; /* lsn; 0: none came */
	uint64_t cut[2];      /* the last one of each era before the present one; 0: no such era */
	const char *wrong;
};

static int on_frame(void *arg, const struct journal_frame *frame)
{
	struct replay *replay = arg;
	struct cursor cur = cursor_of(frame->items, frame->items_len);
	uint64_t lsn, era, expected_era = 0;
	uint8_t contents[6000];

	if (!cursor_le64(&cur, &lsn) || !cursor_le64(&cur, &era) || lsn != frame->lsn ||
	    frame->unique != lsn)
		replay->wrong = "a frame has another's contents";
	else if (replay->last != 0 && lsn != replay->last + 1)
		replay->wrong = "a frame is missing in between";
	if (replay->wrong != NULL)
		return 0;
	for (int i = 0; i < 2; i++)
		expected_era += replay->cut[i] != 0 && lsn > replay->cut[i];
	frame_fill(contents, lsn, expected_era);
	if (era != expected_era)
		replay->wrong = "a frame from before the recovery came back";
	else if (frame->items_len != frame_len(lsn, era) ||
		 memcmp(contents, frame->items, frame->items_len) != 0)
		replay->wrong = "a frame has wrong bytes";
	replay->first = replay->first == 0 ? lsn : replay->first;
	replay->last = lsn;
	return 0;
}

/* `boot` NULL: only to look at it. */
static int open_journal(struct journal **out, const char *dir, const char *boot,
			struct replay *replay, struct journal_recovery *recovery)
{
	char path[256];
	struct journal_config config = { .dir = path,
					 .algo = HASH_SHA1,
					 .segment_bytes = SEGMENT_BYTES,
					 .boot_id_path = boot,
					 .read_only = boot == NULL };
	struct err err = ERR_INIT;
	int rc;

	snprintf(path, sizeof(path), "%s/j", dir);
	replay->first = replay->last = 0;
	rc = journal_open(out, &config, on_frame, replay, recovery, &err);
	if (rc < 0)
		print_message("%s\n", err.msg);
	return rc;
}

static const char *judge(const struct replay *replay, const struct journal_recovery *recovery,
			 const uint64_t marks[POWERLOSS_MARKS])
{
	if (replay->wrong != NULL)
		return replay->wrong;
	if (replay->last < marks[SYNCED] && marks[SYNCED] > marks[DROPPED])
		return "a frame that was synced is gone";
	if (replay->last > marks[APPENDED])
		return "a frame that was never appended";
	if (replay->first > marks[DROPPED] + 1)
		return "the first frames are gone";
	if (recovery->damaged_frames != 0 || recovery->damaged_bytes != 0)
		return "a crash counts as damage";
	return NULL;
}

/* Three frames more, synced, with what is promised on the way. */
static const char *go_on(struct journal *journal, uint64_t last, uint64_t era,
			 struct powerloss *loss)
{
	for (uint64_t lsn = last + 1; lsn <= last + 3; lsn++) {
		if (loss != NULL)
			powerloss_mark(loss, APPENDED, lsn);
		if (append(journal, lsn, era) < 0)
			return "takes no frames";
	}
	if (journal_sync(journal) < 0)
		return "does not sync";
	if (loss != NULL)
		powerloss_mark(loss, SYNCED, last + 3);
	return NULL;
}

struct second {
	struct scene *scene;
	uint64_t cut;             /* the last frame of the first era */
	const uint64_t *promises; /* of before the first loss */
};

/* After the second loss; what was there before the first frame of the new era is there
 * still, as it was seen. */
static const char *check_second(void *arg, const char *dir, const uint64_t marks[POWERLOSS_MARKS])
{
	const struct second *second = arg;
	struct replay replay = { .cut = { marks[ERA] != 0 ? second->cut : UINT64_MAX } };
	struct journal_recovery recovery;
	struct journal *journal;
	uint64_t promises[POWERLOSS_MARKS];
	const char *wrong;

	for (unsigned mark = 0; mark < POWERLOSS_MARKS; mark++)
		promises[mark] = marks[mark] != 0 ? marks[mark] : second->promises[mark];
	if (open_journal(&journal, dir, second->scene->boots[BOOT_THIRD], &replay, &recovery) < 0)
		return "does not open after a second loss";
	wrong = judge(&replay, &recovery, promises);
	journal_close(journal);
	return wrong;
}

/* The state is recovered and written to, and loses power in the middle of that. */
static const char *lose_again(struct scene *scene, const char *dir, uint64_t last,
			      const uint64_t marks[POWERLOSS_MARKS])
{
	static char words[POWERLOSS_WORDS + 64];
	const struct powerloss_plan plan = { .points_max = 8, .random = 2,
					     .seed = 1 + scene->looks };
	struct second second = { .scene = scene, .cut = last, .promises = marks };
	struct powerloss *loss = powerloss_start(dir);
	struct replay replay = { .wrong = NULL };
	struct journal_recovery recovery;
	struct journal *journal;
	char found[POWERLOSS_WORDS];
	const char *wrong;

	wrong = open_journal(&journal, dir, scene->boots[BOOT_SECOND], &replay, &recovery) < 0 ?
			"does not open" : NULL;
	if (wrong == NULL) {
		powerloss_mark(loss, ERA, 1);
		wrong = go_on(journal, last, 1, loss);
		journal_close(journal);
	}
	powerloss_stop(loss);
	if (wrong == NULL && powerloss_finds(loss, &plan, check_second, &second, found)) {
		snprintf(words, sizeof(words), "after a second loss: %s\nthe first:", found);
		wrong = words;
	}
	powerloss_free(loss);
	return wrong;
}

/* Recovered, written to, and found again by the boot after the next. */
static const char *go_on_twice(struct scene *scene, const char *dir, uint64_t last,
			       const uint64_t marks[POWERLOSS_MARKS])
{
	const uint64_t promises[POWERLOSS_MARKS] = { last + 3, last + 3, marks[DROPPED], 1 };
	struct replay replay = { .wrong = NULL };
	struct journal_recovery recovery;
	struct journal *journal;
	const char *wrong;

	if (open_journal(&journal, dir, scene->boots[BOOT_SECOND], &replay, &recovery) < 0)
		return "does not open";
	wrong = replay.last == last ? judge(&replay, &recovery, marks)
				    : "is not what it was when it was looked at";
	if (wrong == NULL)
		wrong = go_on(journal, last, 1, NULL);
	journal_close(journal);
	if (wrong != NULL)
		return wrong;
	replay.cut[0] = last;
	if (open_journal(&journal, dir, scene->boots[BOOT_THIRD], &replay, &recovery) < 0)
		return "does not open again";
	wrong = judge(&replay, &recovery, promises);
	journal_close(journal);
	return wrong;
}

static bool journal_exists(const char *dir)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/j", dir);
	return access(path, F_OK) == 0;
}

static const char *check_journal(void *arg, const char *dir, const uint64_t marks[POWERLOSS_MARKS])
{
	struct scene *scene = arg;
	struct replay replay = { .wrong = NULL };
	struct journal_recovery recovery;
	struct journal *journal;
	const char *wrong;

	if (!journal_exists(dir))
		return marks[SYNCED] != 0 ? "the journal is gone" : NULL;
	if (open_journal(&journal, dir, NULL, &replay, &recovery) < 0)
		return "does not open to be read";
	wrong = judge(&replay, &recovery, marks);
	journal_close(journal);
	/* Where not one frame is left, the test does not know the next one's number. */
	if (wrong != NULL || replay.last == 0)
		return wrong;
	/* What has to be cut off could come back. */
	if (++scene->looks % (recovery.torn_bytes > 0 ? 2 : 16) == 0)
		return lose_again(scene, dir, replay.last, marks);
	return go_on_twice(scene, dir, replay.last, marks);
}

static void reopen(struct scene *scene)
{
	struct replay replay = { .wrong = NULL };
	struct journal_recovery recovery;

	journal_close(scene->journal);
	assert_int_equal(open_journal(&scene->journal, scene->dir, scene->boots[BOOT_FIRST],
				      &replay, &recovery), 0);
	assert_null(replay.wrong);
}

static void sync_all(struct scene *scene, uint64_t lsn)
{
	assert_int_equal(journal_sync(scene->journal), 0);
	powerloss_mark(scene->loss, SYNCED, lsn);
}

static void append_one(struct scene *scene, uint64_t lsn)
{
	powerloss_mark(scene->loss, APPENDED, lsn);
	assert_int_equal(append(scene->journal, lsn, 0), 0);
}

/* As a checkpoint does: what is before a segment goes when that is on the disk, and a
 * frame that says so. Two frames. */
static void drop_old(struct scene *scene, uint64_t lsn)
{
	uint64_t segment;

	assert_int_equal(journal_rotate(scene->journal, &segment), 0);
	append_one(scene, lsn);
	sync_all(scene, lsn);
	append_one(scene, lsn + 1);
	sync_all(scene, lsn + 1);
	powerloss_mark(scene->loss, DROPPED, lsn - 1);
	assert_int_equal(journal_drop_before(scene->journal, segment), 0);
}

/* All of them where there is time. */
static unsigned points(unsigned most)
{
	return getenv("GIT_FS_LONG") != NULL ? 0 : most;
}

static void test_one_writer(void **state)
{
	const struct powerloss_plan plan = { .points_max = points(30), .random = 8 };
	struct scene *scene = *state;

	scene->loss = powerloss_start(scene->dir);
	reopen(scene);
	for (uint64_t lsn = 1; lsn <= FRAMES; lsn++) {
		if (lsn % 18 == 0)
			drop_old(scene, lsn++);
		else
			append_one(scene, lsn);
		if (lsn % 5 == 0 && lsn > FRAMES / 4) /* some segments before the first sync */
			sync_all(scene, lsn);
		if (lsn == FRAMES / 2)
			reopen(scene);
	}
	powerloss_stop(scene->loss);
	journal_close(scene->journal);
	assert_true(powerloss_each(scene->loss, &plan, check_journal, scene) > 100);
}

/* Appends, then syncs what it and the others have appended. */
static void *run_writer(void *arg)
{
	struct scene *scene = arg;

	for (uint64_t i = 0; i < FRAMES / THREADS; i++) {
		struct journal_stats stats;
		uint64_t lsn;
		int rc;

		pthread_mutex_lock(&scene->lock);
		journal_stats(scene->journal, &stats);
		lsn = stats.last_lsn + 1;
		powerloss_mark(scene->loss, APPENDED, lsn);
		rc = append(scene->journal, lsn, 0);
		pthread_mutex_unlock(&scene->lock);
		if (rc < 0 || journal_sync(scene->journal) < 0)
			return arg;
		pthread_mutex_lock(&scene->lock);
		if (lsn > scene->acknowledged) {
			scene->acknowledged = lsn;
			powerloss_mark(scene->loss, SYNCED, lsn);
		}
		pthread_mutex_unlock(&scene->lock);
	}
	return NULL;
}

static void test_group_commit(void **state)
{
	const struct powerloss_plan plan = { .points_max = points(25), .random = 6 };
	struct scene *scene = *state;
	pthread_t threads[THREADS];

	scene->loss = powerloss_start(scene->dir);
	reopen(scene);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run_writer, scene), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		void *failed;

		assert_int_equal(pthread_join(threads[i], &failed), 0);
		assert_null(failed);
	}
	powerloss_stop(scene->loss);
	journal_close(scene->journal);
	powerloss_each(scene->loss, &plan, check_journal, scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_writer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_group_commit, setup, teardown),
	};

	return cmocka_run_group_tests_name("powerloss_journal", tests, NULL, NULL);
}
