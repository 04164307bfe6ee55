/*
 * Segments on the disk, and what recovery makes of them.
 *
 * All segments are read in order, twice: first to learn how far the log had been
 * durable (the largest `synced` of any whole frame), then frame by frame. Frames
 * are numbered without gaps, so a gap is seen wherever it lies:
 *
 *   the missing frames had been durable, or the machine has not gone down since:
 *                they were damaged; what is left of them is copied aside, and what
 *                follows is taken
 *   else         they never were: the log ends here, and what follows is cut off
 *
 * Each head says which frame its segment begins with, so that a gap is seen before
 * the first one that is left, too. A spare has the head that it was made with.
 *
 * Where no frame stands, every eighth byte is looked at for the next one. That is
 * safe whatever the frames contain: nobody outside knows the segment's mark.
 */
#include "worktree/journal_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/array.h"
#include "base/failpoint.h"
#include "base/folder.h"
#include "base/io.h"
#include "git/zstream.h"

#define SEGMENT_MAGIC "GFSJRNAL"
#define SEGMENT_MAGIC_LEN 8
#define SEGMENT_VERSION 1
#define NAME_DIGITS 16

/* --- segment files --- */

void journal_segment_name(uint64_t number, char out[32])
{
	snprintf(out, 32, "%016" PRIx64 ".log", number);
}

void journal_segment_free(struct segment *segment)
{
	if (segment == NULL)
		return;
	io_close(&segment->fd);
	free(segment);
}

static int head_write(const struct journal *journal, struct segment *segment)
{
	uint8_t head[SEGMENT_HEAD_LEN] = { 0 };

	memcpy(head, SEGMENT_MAGIC, SEGMENT_MAGIC_LEN);
	put_le32(head + 8, SEGMENT_VERSION);
	put_le32(head + 12, journal->algo);
	put_le64(head + 16, segment->number);
	put_le64(head + 24, segment->mark);
	memcpy(head + 32, segment->boot_id, strlen(segment->boot_id));
	put_le64(head + 72, segment->first_lsn);
	put_le32(head + SEGMENT_HEAD_LEN - 4, crc32_of(0, head, SEGMENT_HEAD_LEN - 4));
	return io_pwrite(segment->fd, head, sizeof(head), 0);
}

int journal_segment_begin(const struct journal *journal, struct segment *segment)
{
	segment->first_lsn = journal->last_lsn + 1;
	return head_write(journal, segment);
}

void journal_segment_discard(struct journal *journal, struct segment *segment)
{
	char name[32];

	journal_segment_name(segment->number, name);
	/* One that stays is empty, and goes when the journal is opened. */
	(void)!io_unlink(journal->dir_fd, name);
	journal_segment_free(segment);
}

int journal_segments_room(struct journal *journal)
{
	return ARRAY_ROOM(journal->segments, journal->cap, journal->count);
}

int journal_segment_create(struct journal *journal, uint64_t number, struct segment **out)
{
	char name[32];
	struct segment *segment = calloc(1, sizeof(*segment));

	if (segment == NULL)
		return -ENOMEM;
	segment->number = number;
	segment->used = SEGMENT_HEAD_LEN;
	snprintf(segment->boot_id, sizeof(segment->boot_id), "%s", journal->boot_id);
	journal_segment_name(number, name);
	segment->fd = io_open(journal->dir_fd, name, O_RDWR | O_CREAT | O_EXCL, 0600);
	int rc = segment->fd < 0 ? segment->fd : 0;

	if (rc == 0 && getrandom(&segment->mark, sizeof(segment->mark), 0) < 0)
		rc = -errno;
	segment->mark |= 1; /* never 0, as empty space is */
	FAILPOINT("journal.segment.named");
	if (rc == 0)
		rc = head_write(journal, segment);
	FAILPOINT("journal.segment.made");
	if (rc < 0) {
		if (segment->fd >= 0)
			(void)!io_unlink(journal->dir_fd, name);
		journal_segment_free(segment);
		return rc;
	}
	*out = segment;
	return 0;
}

/* ERR_CORRUPT: the head is bad; ERR_UNSUPPORTED: it is whole, of another kind. */
static int head_parse(const struct journal *journal, struct segment *segment,
		      const struct buf *data)
{
	struct cursor cur = cursor_of(data->data, data->len);
	const uint8_t *boot;
	uint32_t version, algo;
	uint64_t number;

	if (data->len < SEGMENT_HEAD_LEN)
		return ERR_CORRUPT;
	struct cursor tail = cursor_of(data->data + SEGMENT_HEAD_LEN - 4, 4);
	uint32_t crc;

	if (!cursor_le32(&tail, &crc) || crc != crc32_of(0, data->data, SEGMENT_HEAD_LEN - 4) ||
	    !cursor_literal(&cur, SEGMENT_MAGIC) || !cursor_le32(&cur, &version) ||
	    !cursor_le32(&cur, &algo) || !cursor_le64(&cur, &number) ||
	    !cursor_le64(&cur, &segment->mark) || !cursor_bytes(&cur, BOOT_ID_MAX, &boot) ||
	    !cursor_skip(&cur, 4) || !cursor_le64(&cur, &segment->first_lsn))
		return ERR_CORRUPT;
	if (version != SEGMENT_VERSION || algo != (uint32_t)journal->algo)
		return ERR_UNSUPPORTED;
	memcpy(segment->boot_id, boot, BOOT_ID_MAX);
	return number == segment->number ? 0 : ERR_CORRUPT;
}

/* --- scanning --- */

/* Where a scan is in a segment. */
struct scan {
	const struct segment *segment;
	const uint8_t *data;
	size_t len;
	size_t at;
};

struct found {
	size_t offset; /* of the frame */
	size_t len;
	uint64_t lsn, unique, synced;
};

/* A whole frame at scan->at, which is moved behind it. */
static bool frame_here(struct scan *scan, struct found *out)
{
	size_t left = scan->len - scan->at;
	struct cursor cur = cursor_of(scan->data + scan->at, left);
	uint64_t mark;
	uint32_t crc, len;

	if (!cursor_le64(&cur, &mark) || mark != scan->segment->mark || !cursor_le32(&cur, &crc) ||
	    !cursor_le32(&cur, &len) || len < JOURNAL_HEAD_LEN || len > JOURNAL_FRAME_MAX ||
	    len > left || crc32_of(0, scan->data + scan->at + 12, len - 12) != crc)
		return false;
	if (!cursor_le64(&cur, &out->lsn) || !cursor_le64(&cur, &out->unique) ||
	    !cursor_le64(&cur, &out->synced))
		return false;
	out->offset = scan->at;
	out->len = len;
	scan->at += (size_t)frame_room(len);
	return true;
}

/* The next whole frame at or behind scan->at. False: there is none. Most of what is
 * passed over is empty space, of megabytes. */
static bool scan_next(struct scan *scan, struct found *out)
{
	uint8_t mark[8];

	if (scan->at < scan->len && frame_here(scan, out)) /* where it is, nearly always */
		return true;
	put_le64(mark, scan->segment->mark);
	while (scan->at + JOURNAL_HEAD_LEN <= scan->len) {
		const uint8_t *hit = memmem(scan->data + scan->at, scan->len - scan->at, mark,
					    sizeof(mark));

		if (hit == NULL)
			return false;
		scan->at = (size_t)(hit - scan->data);
		if (scan->at % 8 == 0 && frame_here(scan, out))
			return true;
		scan->at = scan->at / 8 * 8 + 8;
	}
	return false;
}

/* Where the last byte that is not zero ends, from `from` on; `from` where all are. */
static size_t content_end(const struct scan *scan, size_t from)
{
	static const uint8_t zeros[4096];
	size_t end = scan->len;

	if (end < from) /* the room of the last frame, which is not written out */
		return from;
	while (end - from >= sizeof(zeros) &&
	       memcmp(scan->data + end - sizeof(zeros), zeros, sizeof(zeros)) == 0)
		end -= sizeof(zeros);
	while (end > from && scan->data[end - 1] == 0)
		end--;
	return end;
}

/* --- recovery --- */

struct recover {
	struct journal *journal;
	journal_replay_fn *replay;
	void *arg;
	struct journal_recovery *recovery;
	uint64_t durable;   /* every lsn up to it was durable once */
	uint64_t expected;  /* the next lsn; 0: whatever comes first */
	bool trust_all;     /* this boot's: whatever was appended is there, unless damaged */
	bool ended;         /* at a gap that was never durable */
};

static int read_segment(struct recover *rec, struct segment *segment, struct buf *data)
{
	char name[32];

	buf_clear(data);
	journal_segment_name(segment->number, name);
	return io_read_file(rec->journal->dir_fd, name, data);
}

/* Bytes that are no frames any more, for whoever wants to look at them. */
static int set_aside(struct recover *rec, const struct scan *scan, size_t from, size_t to)
{
	char name[64];

	rec->recovery->damaged_bytes += to - from;
	if (rec->journal->read_only)
		return 0;
	snprintf(name, sizeof(name), "damaged-%016" PRIx64 "-%zu", scan->segment->number, from);
	return io_replace_file(rec->journal->dir_fd, name, scan->data + from, to - from);
}

/* Whether `lsn`, which is missing, had been whole once. */
static bool was_durable(const struct recover *rec, uint64_t lsn)
{
	return rec->trust_all || lsn <= rec->durable;
}

/* A frame was found behind bytes that are none (from `gap` on). */
static int after_gap(struct recover *rec, const struct scan *scan, size_t gap,
		     const struct found *found)
{
	uint64_t lost = found->lsn > rec->expected ? found->lsn - rec->expected : 0;

	if (found->lsn == rec->expected)
		return 0;
	if (!was_durable(rec, found->lsn - 1)) {
		rec->ended = true;
		if (rec->expected > rec->durable)
			return 0;
		lost = rec->durable - rec->expected + 1; /* these had been, for all that */
	}
	rec->recovery->damaged_frames += lost;
	return found->offset > gap ? set_aside(rec, scan, gap, found->offset) : 0;
}

static int take_frame(struct recover *rec, const struct scan *scan, const struct found *found)
{
	struct journal_frame frame = {
		.segment = scan->segment->number,
		.offset = found->offset + JOURNAL_HEAD_LEN,
		.lsn = found->lsn,
		.unique = found->unique,
		.items = scan->data + found->offset + JOURNAL_HEAD_LEN,
		.items_len = found->len - JOURNAL_HEAD_LEN,
	};

	rec->expected = found->lsn + 1;
	rec->recovery->frames++;
	return rec->replay(rec->arg, &frame);
}

/* Whether what is missing here was damaged, as whole frames come later: the gap before
 * those tells how many are missing. */
static bool is_damage(const struct recover *rec)
{
	return rec->expected != 0 && rec->expected <= rec->journal->last_lsn &&
	       was_durable(rec, rec->expected);
}

/* What lies behind the last frame: nothing, a torn frame, or a damaged one. */
static int segment_tail(struct recover *rec, const struct scan *scan, size_t end)
{
	size_t content = content_end(scan, end);

	if (content == end)
		return 0;
	if (is_damage(rec))
		return set_aside(rec, scan, end, content);
	rec->recovery->torn_bytes += content - end;
	return 0;
}

static int replay_segment(struct recover *rec, struct segment *segment, const struct buf *data)
{
	struct scan scan = { .segment = segment, .data = data->data, .len = data->len };
	struct found found;
	size_t end = SEGMENT_HEAD_LEN;
	int rc = 0;

	/* What was before the first segment is gone for good only if all of it was durable
	 * (journal_drop_before); else its file's name was lost, and what follows is no log. */
	if (rec->expected == 0 && was_durable(rec, segment->first_lsn - 1))
		rec->expected = segment->first_lsn;
	else if (rec->expected == 0)
		rec->ended = true;
	scan.at = end;
	while (rc == 0 && !rec->ended && scan_next(&scan, &found)) {
		rc = after_gap(rec, &scan, end, &found);
		if (rc < 0 || rec->ended)
			break;
		rc = take_frame(rec, &scan, &found);
		end = scan.at;
	}
	segment->used = end;
	if (rec->ended)
		rec->recovery->torn_bytes += content_end(&scan, end) - end;
	else if (rc == 0)
		rc = segment_tail(rec, &scan, end);
	return rc;
}

/* Cuts off what was not taken, so that it is not met again. */
static int cut(struct recover *rec, struct segment *segment)
{
	segment->allocated = segment->used;
	if (rec->journal->read_only)
		return 0;
	FAILPOINT("journal.cut");
	int rc = io_truncate(segment->fd, segment->used);

	/* Else a second crash could bring it back, beside new frames of the same numbers. */
	return rc == 0 && rec->recovery->torn_bytes > 0 ? io_sync(segment->fd) : rc;
}

/* The first pass. */
static int learn(struct recover *rec, struct buf *data)
{
	struct journal *journal = rec->journal;

	for (size_t i = 0; i < journal->count; i++) {
		struct segment *segment = journal->segments[i];
		struct found found;
		int rc = read_segment(rec, segment, data);

		if (rc == 0)
			rc = head_parse(journal, segment, data);
		if (rc == ERR_CORRUPT) {
			segment->mark = 0; /* known to be bad; the second pass deals with it */
			continue;
		}
		if (rc < 0)
			return rc;
		struct scan scan = { .segment = segment, .data = data->data, .len = data->len,
				     .at = SEGMENT_HEAD_LEN };

		while (scan_next(&scan, &found)) {
			if (found.synced > rec->durable)
				rec->durable = found.synced;
			if (found.lsn > journal->last_lsn)
				journal->last_lsn = found.lsn;
		}
	}
	return 0;
}

/* A segment without a head that can be read: nothing in it can be told from
 * anything else. Where it never was durable the log ends with it. */
static int bad_segment(struct recover *rec, struct segment *segment, const struct buf *data)
{
	struct scan scan = { .segment = segment, .data = data->data, .len = data->len };
	size_t content = content_end(&scan, 0);

	segment->used = 0;
	if (!was_durable(rec, rec->expected != 0 ? rec->expected : 1)) {
		rec->recovery->torn_bytes += content;
		rec->ended = true;
		return 0;
	}
	if (content == 0)
		return 0;
	if (!is_damage(rec))
		rec->recovery->damaged_frames++; /* at least one; no gap will tell */
	return set_aside(rec, &scan, 0, content);
}

/* A spare, with the head that it was made with. Frames in it were never synced, or the
 * head that names the first of them would be there. */
static int unused_segment(struct recover *rec, struct segment *segment, const struct buf *data)
{
	struct scan scan = { .segment = segment, .data = data->data, .len = data->len,
			     .at = SEGMENT_HEAD_LEN };
	size_t content = content_end(&scan, SEGMENT_HEAD_LEN);

	segment->used = 0;
	rec->recovery->torn_bytes += content - SEGMENT_HEAD_LEN;
	rec->ended |= content > SEGMENT_HEAD_LEN;
	return 0;
}

static int replay_one(struct recover *rec, struct segment *segment, const struct buf *data)
{
	if (segment->mark == 0)
		return bad_segment(rec, segment, data);
	if (segment->first_lsn == 0)
		return unused_segment(rec, segment, data);
	return replay_segment(rec, segment, data);
}

static int replay_all(struct recover *rec, struct buf *data)
{
	struct journal *journal = rec->journal;

	for (size_t i = 0; i < journal->count; i++) {
		struct segment *segment = journal->segments[i];
		int rc = read_segment(rec, segment, data);

		if (rc == 0 && rec->ended) {
			rec->recovery->torn_bytes += content_end(&(struct scan){
				.data = data->data, .len = data->len }, 0);
			segment->used = 0;
		} else if (rc == 0) {
			rc = replay_one(rec, segment, data);
		}
		if (rc == 0)
			rc = cut(rec, segment);
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* Segments in which nothing is left go. */
static int remove_empty(struct journal *journal)
{
	size_t kept = 0;

	for (size_t i = 0; i < journal->count; i++) {
		struct segment *segment = journal->segments[i];
		char name[32];

		if (segment->used > SEGMENT_HEAD_LEN) {
			journal->segments[kept++] = segment;
			continue;
		}
		journal_segment_name(segment->number, name);
		FAILPOINT("journal.remove");
		int rc = journal->read_only ? 0 : io_unlink(journal->dir_fd, name);

		journal_segment_free(segment);
		journal->segments[i] = NULL;
		if (rc < 0)
			return rc;
	}
	journal->count = kept;
	return 0;
}

/* --- finding the segments --- */

static int compare(const void *a, const void *b)
{
	const struct segment *const *left = a;
	const struct segment *const *right = b;

	return (*left)->number < (*right)->number ? -1 : (*left)->number > (*right)->number;
}

static int add_segment(struct journal *journal, const char *name, uint64_t number)
{
	int room = journal_segments_room(journal);
	struct segment *segment = room == 0 ? calloc(1, sizeof(*segment)) : NULL;

	if (segment == NULL)
		return -ENOMEM;
	segment->number = number;
	segment->fd = io_open(journal->dir_fd, name, journal->read_only ? O_RDONLY : O_RDWR, 0);
	if (segment->fd < 0) {
		int rc = segment->fd;

		free(segment);
		return rc;
	}
	journal->segments[journal->count++] = segment;
	if (number >= journal->next_number)
		journal->next_number = number + 1;
	return 0;
}

static bool segment_number(const char *name, uint64_t *out)
{
	char *end;

	if (strlen(name) != NAME_DIGITS + 4 || strcmp(name + NAME_DIGITS, ".log") != 0 ||
	    strspn(name, "0123456789abcdef") != NAME_DIGITS)
		return false;
	*out = strtoull(name, &end, 16);
	return *out != 0 && *out != UINT64_MAX;
}

static int find_segments(struct journal *journal)
{
	DIR *dir;
	int rc = folder_open(journal->dir_fd, ".", &dir);

	if (rc < 0)
		return rc;
	for (struct dirent *found; rc == 0 && (found = readdir(dir)) != NULL;) {
		uint64_t number;

		if (segment_number(found->d_name, &number))
			rc = add_segment(journal, found->d_name, number);
	}
	closedir(dir);
	if (rc == 0 && journal->count > 0)
		qsort(journal->segments, journal->count, sizeof(struct segment *), compare);
	return rc;
}

/* The boot under which the journal was written last: that of its last segment
 * whose head can be read. */
static bool same_boot(const struct journal *journal)
{
	for (size_t i = journal->count; i-- > 0;)
		if (journal->segments[i]->mark != 0)
			return strcmp(journal->segments[i]->boot_id, journal->boot_id) == 0;
	return false;
}

int journal_recover(struct journal *journal, journal_replay_fn *replay, void *arg,
		    struct journal_recovery *recovery, struct err *err)
{
	AUTO_BUF struct buf data = BUF_INIT_MAX(SEGMENT_READ_MAX);
	struct recover rec = {
		.journal = journal, .replay = replay, .arg = arg, .recovery = recovery
	};
	int rc = find_segments(journal);

	*recovery = (struct journal_recovery){ .frames = 0 };
	if (rc == 0)
		rc = learn(&rec, &data);
	if (rc == ERR_UNSUPPORTED)
		return err_set(err, rc,
			       "the journal was written by another version of git-fs, or for "
			       "another hash; it is left alone");
	if (rc == 0) {
		rec.trust_all = same_boot(journal);
		recovery->other_boot = !rec.trust_all;
		rc = replay_all(&rec, &data);
	}
	if (rc == 0)
		rc = remove_empty(journal);
	if (rc != 0)
		return err_set(err, rc, "cannot read the journal: %s", err_name(rc));
	if (rec.expected != 0)
		journal->last_lsn = rec.expected - 1;
	/* What is here now is read from the disk, or in the page cache of this boot. */
	journal->synced_lsn = rec.durable < journal->last_lsn ? rec.durable : journal->last_lsn;
	journal->first_unsynced = journal->count > 0 ? journal->segments[0]->number : 1;
	return 0;
}
