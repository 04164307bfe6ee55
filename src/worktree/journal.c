/*
 * Appending, syncing, reading, dropping.
 *
 * A segment is a file `<number>.log`: a head, then frames, each at a multiple
 * of 8. Bytes between frames and behind the last are zero.
 *
 *   head   "GFSJRNAL"  le32 version  le32 hash algorithm  le64 number  le64 mark
 *          36 bytes boot id  4 zero  le64 lsn of the first frame  4 zero
 *          le32 crc of the 92 bytes before
 *   frame  le64 mark of the segment
 *          le32 crc of all that follows   le32 length of the whole frame
 *          le64 lsn  le64 unique  le64 synced: every lsn up to it was durable
 *          items
 *
 * `synced` tells damage from a crash: frames up to it were whole on the disk
 * once, so that one that is not any more was damaged; behind it the loss of
 * power may have left anything, and the log ends at the first gap.
 *
 * Space is allocated with each segment (fallocate), and JOURNAL_SPARES segments are made
 * ahead. A normal frame begins a segment only where one more can be made, and is refused
 * while a spare is missing, so that they are there for what makes room on a full disk.
 */
#include "worktree/journal_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/io.h"
#include "git/zstream.h"

#define SEGMENT_BYTES_DEFAULT ((uint64_t)4 << 20)
#define BOOT_ID_PATH "/proc/sys/kernel/random/boot_id"

static struct segment *active_locked(struct journal *journal)
{
	return journal->segments[journal->count - 1];
}

/* --- opening and closing --- */

static int boot_id_read(struct journal *journal, const char *path, struct err *err)
{
	AUTO_BUF struct buf text = BUF_INIT_MAX(256);

	path = path != NULL ? path : BOOT_ID_PATH;
	int rc = io_read_file(AT_FDCWD, path, &text);

	if (rc < 0)
		return err_sys(err, -rc, "cannot read %s", path);
	snprintf(journal->boot_id, sizeof(journal->boot_id), "%.*s",
		 (int)strcspn(buf_str(&text), "\n"), buf_str(&text));
	return 0;
}

/* Sees to it that `end` lies within what is allocated. On a filesystem that cannot
 * allocate, writing will tell. */
static int allocate(struct segment *segment, uint64_t end)
{
	if (end <= segment->allocated)
		return 0;
	int rc = FAILPOINT_ERR("journal.allocate");

	if (rc == 0)
		rc = io_fallocate(segment->fd, 0, segment->allocated, end - segment->allocated);
	if (rc == ERR_UNSUPPORTED || rc == -ENOSYS)
		rc = 0;
	if (rc == 0)
		segment->allocated = end;
	return rc;
}

/* One more segment, allocated, to the spares. */
static int add_spare_locked(struct journal *journal)
{
	struct segment *segment;
	int rc = journal_segment_create(journal, journal->next_number, &segment);

	if (rc == 0) {
		rc = allocate(segment, journal->segment_bytes);
		if (rc < 0)
			journal_segment_discard(journal, segment);
	}
	if (rc < 0)
		return rc;
	journal->next_number++;
	journal->names_unsynced = true;
	journal->spares[journal->spares_count++] = segment;
	return 0;
}

static int refill_locked(struct journal *journal)
{
	while (journal->spares_count < JOURNAL_SPARES) {
		int rc = add_spare_locked(journal);

		if (rc < 0)
			return rc;
	}
	return 0;
}

int journal_refill(struct journal *journal)
{
	WITH_LOCK(&journal->lock);
	return journal->read_only ? -EROFS : refill_locked(journal);
}

/* The next spare becomes the active segment, if `need` may have it. */
static int start_segment_locked(struct journal *journal, enum journal_need need)
{
	static const unsigned left[] = {
		[JOURNAL_NORMAL] = JOURNAL_SPARES, [JOURNAL_FREES] = 1, [JOURNAL_CLEANS] = 0
	};
	int rc = add_spare_locked(journal);

	if (rc < 0 && journal->spares_count <= left[need])
		return rc;
	rc = journal_segments_room(journal);
	if (rc == 0)
		rc = journal_segment_begin(journal, journal->spares[0]);
	if (rc < 0)
		return rc;
	journal->segments[journal->count++] = journal->spares[0];
	journal->bytes += journal->spares[0]->used;
	memmove(journal->spares, journal->spares + 1,
		--journal->spares_count * sizeof(journal->spares[0]));
	if (journal->spares_count < JOURNAL_SPARES)
		(void)!refill_locked(journal); /* `pressed` says that they are missing */
	return 0;
}

int journal_open(struct journal **out, const struct journal_config *config,
		 journal_replay_fn *replay, void *arg, struct journal_recovery *recovery,
		 struct err *err)
{
	struct journal *journal = calloc(1, sizeof(*journal));
	int rc;

	if (journal == NULL)
		return err_set(err, -ENOMEM, "out of memory");
	journal->algo = config->algo;
	journal->read_only = config->read_only;
	journal->segment_bytes =
		config->segment_bytes != 0 ? config->segment_bytes : SEGMENT_BYTES_DEFAULT;
	journal->next_number = 1;
	journal->dir_fd = -1;
	pthread_mutex_init(&journal->lock, NULL);
	rc = cond_init(&journal->sync_done);
	if (rc == 0 && !config->read_only)
		rc = io_mkdirs(config->dir);
	if (rc == 0)
		journal->dir_fd = io_open(AT_FDCWD, config->dir, O_RDONLY | O_DIRECTORY, 0);
	if (rc == 0 && journal->dir_fd < 0)
		rc = journal->dir_fd;
	if (rc < 0)
		rc = err_sys(err, -rc, "cannot open the journal in %s", config->dir);
	if (rc == 0)
		rc = boot_id_read(journal, config->boot_id_path, err);
	if (rc == 0)
		rc = journal_recover(journal, replay, arg, recovery, err);
	for (size_t i = 0; rc == 0 && i < journal->count; i++)
		journal->bytes += journal->segments[i]->used;
	if (rc == 0 && !config->read_only) {
		/* A segment of this boot, so that recovery can tell under which it was written. */
		rc = start_segment_locked(journal, JOURNAL_CLEANS);
		if (rc < 0)
			err_sys(err, -rc, "cannot write to the journal in %s", config->dir);
	}
	if (rc < 0)
		journal_close(journal);
	else
		*out = journal;
	return rc;
}

void journal_close(struct journal *journal)
{
	if (journal == NULL)
		return;
	for (size_t i = 0; i < journal->count; i++)
		journal_segment_free(journal->segments[i]);
	/* Spares stay: on a disk that others fill meanwhile it could not be opened without. */
	while (journal->spares_count > 0)
		journal_segment_free(journal->spares[--journal->spares_count]);
	free(journal->segments);
	io_close(&journal->dir_fd);
	pthread_cond_destroy(&journal->sync_done);
	pthread_mutex_destroy(&journal->lock);
	free(journal);
}

/* --- appending --- */

/* Room for a frame in the active segment, or in the next. */
static int room_locked(struct journal *journal, size_t len, enum journal_need need)
{
	struct segment *segment = active_locked(journal);

	if (journal->failed != 0 || journal->read_only)
		return -EROFS;
	/* While a spare is missing, what is left of the active segment stands in for it. */
	if (need == JOURNAL_NORMAL) {
		int rc = refill_locked(journal);

		if (rc < 0)
			return rc;
	}
	if (segment->used + len > journal->segment_bytes && segment->used > SEGMENT_HEAD_LEN) {
		int rc = start_segment_locked(journal, need);

		if (rc < 0)
			return rc;
		segment = active_locked(journal);
	}
	return allocate(segment, segment->used + len);
}

int journal_room(struct journal *journal, size_t len)
{
	WITH_LOCK(&journal->lock);
	return room_locked(journal, len, JOURNAL_NORMAL);
}

static int append_locked(struct journal *journal, struct buf *frame, struct iovec data,
			 uint64_t unique)
{
	struct segment *segment = active_locked(journal);
	uint8_t *head = frame->data;
	size_t len = frame->len + data.iov_len;
	uint32_t crc;
	struct iovec iov[2] = { { .iov_base = head, .iov_len = frame->len }, data };

	put_le64(head, segment->mark);
	put_le32(head + 12, (uint32_t)len);
	put_le64(head + 16, journal->last_lsn + 1);
	put_le64(head + 24, unique);
	put_le64(head + 32, journal->synced_lsn);
	crc = crc32_of(0, head + 12, frame->len - 12);
	if (data.iov_len > 0)
		crc = crc32_of(crc, data.iov_base, data.iov_len);
	put_le32(head + 8, crc);
	int rc = FAILPOINT_ERR("journal.write");

	return rc == 0 ? io_pwritev(segment->fd, iov, data.iov_len > 0 ? 2 : 1, segment->used) : rc;
}

int journal_append(struct journal *journal, struct buf *frame, struct iovec data,
		   uint64_t unique, enum journal_need need, struct journal_place *out)
{
	size_t len = frame->len + data.iov_len;

	if (len > JOURNAL_FRAME_MAX)
		return ERR_LIMIT;
	WITH_LOCK(&journal->lock);
	int rc = room_locked(journal, len, need);

	if (rc == 0)
		rc = append_locked(journal, frame, data, unique);
	if (rc < 0)
		return rc;
	struct segment *segment = active_locked(journal);

	*out = (struct journal_place){
		.segment = segment->number, .offset = segment->used, .lsn = ++journal->last_lsn
	};
	segment->used += frame_room(len);
	journal->bytes += frame_room(len);
	return 0;
}

int journal_rotate(struct journal *journal, uint64_t *segment_out)
{
	WITH_LOCK(&journal->lock);
	if (journal->failed != 0 || journal->read_only)
		return -EROFS;
	int rc = start_segment_locked(journal, JOURNAL_CLEANS);

	if (rc == 0)
		*segment_out = active_locked(journal)->number;
	return rc;
}

/* --- segments in use --- */

static struct segment *find_locked(struct journal *journal, uint64_t number)
{
	size_t low = 0;
	size_t high = journal->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (journal->segments[middle]->number == number)
			return journal->segments[middle];
		if (journal->segments[middle]->number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* Keeps it open until segment_put(). NULL where there is none. */
static struct segment *segment_get(struct journal *journal, uint64_t number)
{
	WITH_LOCK(&journal->lock);
	struct segment *segment = find_locked(journal, number);

	if (segment != NULL)
		segment->readers++;
	return segment;
}

static void segment_put(struct journal *journal, struct segment *segment)
{
	pthread_mutex_lock(&journal->lock);
	bool last = --segment->readers == 0 && segment->dropped;

	pthread_mutex_unlock(&journal->lock);
	if (last)
		journal_segment_free(segment);
}

/* --- syncing --- */

/* All segments from `first` to `last`; one that was dropped is not needed any more. */
static int sync_segments(struct journal *journal, uint64_t first, uint64_t last)
{
	for (uint64_t number = first; number <= last; number++) {
		struct segment *segment = segment_get(journal, number);

		if (segment == NULL)
			continue;
		int rc = FAILPOINT_ERR("journal.sync");

		if (rc == 0)
			rc = io_sync_data(segment->fd);
		segment_put(journal, segment);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* One round: whatever was appended until now. The lock is given back meanwhile;
 * `syncing` keeps others from beginning a round of their own. */
static void sync_round_locked(struct journal *journal)
{
	uint64_t target = journal->last_lsn;
	uint64_t active = active_locked(journal)->number;
	bool names = journal->names_unsynced;

	journal->syncing = true;
	journal->names_unsynced = false;
	journal->syncs++;
	pthread_mutex_unlock(&journal->lock);
	int rc = sync_segments(journal, journal->first_unsynced, active);

	FAILPOINT("journal.synced");
	if (rc == 0 && names)
		rc = io_sync_above(journal->dir_fd);
	pthread_mutex_lock(&journal->lock);
	journal->syncing = false;
	if (rc < 0) {
		journal->failed = rc;
	} else {
		journal->synced_lsn = target;
		journal->first_unsynced = active;
	}
	pthread_cond_broadcast(&journal->sync_done);
}

int journal_sync(struct journal *journal)
{
	if (journal->read_only)
		return -EROFS;
	WITH_LOCK(&journal->lock);
	uint64_t wanted = journal->last_lsn;

	while (journal->synced_lsn < wanted && journal->failed == 0) {
		if (journal->syncing)
			pthread_cond_wait(&journal->sync_done, &journal->lock);
		else
			sync_round_locked(journal);
	}
	return journal->failed == 0 ? 0 : -EROFS;
}

/* --- reading and dropping --- */

int journal_read(struct journal *journal, uint64_t number, uint64_t offset, void *data, size_t len)
{
	struct segment *segment = segment_get(journal, number);

	if (segment == NULL)
		return ERR_NOT_FOUND;
	ssize_t got = io_pread(segment->fd, data, len, offset);

	segment_put(journal, segment);
	if (got < 0)
		return (int)got;
	return (size_t)got == len ? 0 : ERR_CORRUPT;
}

/* Takes the first segment out of the list: *number is set. The caller frees what is
 * returned. */
static struct segment *take_first(struct journal *journal, uint64_t before, uint64_t *number)
{
	WITH_LOCK(&journal->lock);
	if (journal->count < 2 || journal->segments[0]->number >= before)
		return NULL;
	struct segment *segment = journal->segments[0];

	*number = segment->number;
	journal->bytes -= segment->used;
	memmove(journal->segments, journal->segments + 1,
		--journal->count * sizeof(struct segment *));
	segment->dropped = true;
	return segment->readers == 0 ? segment : NULL; /* else the last reader frees it */
}

int journal_drop_before(struct journal *journal, uint64_t before)
{
	bool more = false;

	for (;;) {
		char name[32];
		uint64_t number = 0;
		struct segment *segment = take_first(journal, before, &number);

		if (number == 0)
			return 0;
		if (segment != NULL)
			journal_segment_free(segment);
		/* Oldest first on the disk too: frames without those that followed them would
		 * be changes that were taken back, come to life again. */
		int rc = more ? io_sync(journal->dir_fd) : 0;

		journal_segment_name(number, name);
		FAILPOINT("journal.drop");
		if (rc == 0)
			rc = io_unlink(journal->dir_fd, name);
		if (rc < 0)
			return rc;
		more = true;
	}
}

uint64_t journal_bytes(struct journal *journal)
{
	WITH_LOCK(&journal->lock);
	return journal->bytes;
}

void journal_stats(struct journal *journal, struct journal_stats *out)
{
	WITH_LOCK(&journal->lock);
	*out = (struct journal_stats){
		.bytes = journal->bytes,
		.segments = journal->count,
		.last_lsn = journal->last_lsn,
		.synced_lsn = journal->synced_lsn,
		.syncs = journal->syncs,
		.pressed = journal->spares_count < JOURNAL_SPARES,
		.failed = journal->failed,
	};
	for (size_t i = 0; i < journal->count; i++) {
		const struct segment *segment = journal->segments[i];

		out->disk_bytes += segment->allocated > segment->used ? segment->allocated :
									segment->used;
	}
	for (unsigned i = 0; i < journal->spares_count; i++)
		out->disk_bytes += journal->spares[i]->allocated;
	if (journal->count > 0) {
		out->oldest = journal->segments[0]->number;
		out->active = active_locked(journal)->number;
	}
}
