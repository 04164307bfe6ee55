/*
 * The journal: the append-only log that makes the overlay durable.
 *
 * A change is a *frame*: a group of items (item.h) that become true together.
 * A frame that was appended is in the page cache: it survives the death of this
 * process; one that was synced survives the loss of power. Frames are numbered
 * (lsn), lie in segments in that order, and are read back in that order. What a
 * frame means is its owner's business: the journal knows no item.
 *
 * Safe to use from several threads. Layout and rules of recovery: journal.c,
 * docs/formats.md.
 */
#ifndef GIT_FS_WORKTREE_JOURNAL_H
#define GIT_FS_WORKTREE_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/buf.h"
#include "base/err.h"
#include "git/oid.h"

#define JOURNAL_HEAD_LEN 40 /* of a frame; a frame under construction begins with as much room */
#define JOURNAL_FRAME_MAX ((size_t)2 << 20) /* bytes of a frame, head and data included */

struct journal;

struct journal_config {
	const char *dir;          /* made where missing */
	enum hash_algo algo;
	uint64_t segment_bytes;   /* a segment is closed when it is larger; 0: 4 MiB */
	const char *boot_id_path; /* holds the id of the running boot; NULL: the one in /proc */
	bool read_only;           /* nothing is changed on the disk; append and sync are -EROFS */
};

/* One frame while it is read back. */
struct journal_frame {
	uint64_t segment; /* where it lies */
	uint64_t offset;  /* of `items` in the segment */
	uint64_t lsn;
	uint64_t unique;  /* the kernel's number of the request that it answered; 0: none */
	const uint8_t *items;
	size_t items_len;
};

/* A non-zero result ends the opening and is returned. */
typedef int journal_replay_fn(void *arg, const struct journal_frame *frame);

/* What was found when the journal was opened. */
struct journal_recovery {
	uint64_t frames;
	uint64_t damaged_frames; /* lost to damage, not to a crash: they had been whole once */
	uint64_t damaged_bytes;  /* set aside in dir/damaged-… */
	uint64_t torn_bytes;     /* never acknowledged as durable; cut off */
	bool other_boot;         /* the last writer's machine went down, or was started anew */
};

/* Opens or makes it, calls `replay` for every frame in order. ERR_UNSUPPORTED: of
 * another version. Blocks on the disk. */
int journal_open(struct journal **out, const struct journal_config *config,
		 journal_replay_fn *replay, void *arg, struct journal_recovery *recovery,
		 struct err *err) __attribute__((warn_unused_result));
/* Nothing is synced. NULL is allowed. */
void journal_close(struct journal *journal);

/* Where a frame went. */
struct journal_place {
	uint64_t segment;
	uint64_t offset; /* of the frame's first byte */
	uint64_t lsn;
};

/* On a full disk there are still JOURNAL_SPARES segments for what makes room again. */
#define JOURNAL_SPARES 2
enum journal_need {
	JOURNAL_NORMAL,
	JOURNAL_FREES,  /* gives space back, or records what has happened: all spares but one */
	JOURNAL_CLEANS, /* says again what is true, so that older segments can go: all of them */
};

/* Appends `frame`: JOURNAL_HEAD_LEN bytes to be filled in, then items; then
 * `data`, the end of the last item. When it returns 0 the frame survives this
 * process. -ENOSPC, -EDQUOT, -EIO: nothing was appended. */
int journal_append(struct journal *journal, struct buf *frame, struct iovec data,
		   uint64_t unique, enum journal_need need, struct journal_place *out)
	__attribute__((warn_unused_result));
/* Whether a normal frame of `len` bytes would find room: for what is to be known
 * before data are written elsewhere. -ENOSPC. */
int journal_room(struct journal *journal, size_t len) __attribute__((warn_unused_result));

/* Makes every frame durable that was appended before the call; one fdatasync(2)
 * serves all who wait. After a failure the journal takes nothing any more: every
 * later append and sync is -EROFS. */
int journal_sync(struct journal *journal) __attribute__((warn_unused_result));

/* Reads bytes of a segment, from the page cache as a rule. ERR_NOT_FOUND where it
 * has been dropped: what lay there lies elsewhere now. */
int journal_read(struct journal *journal, uint64_t segment, uint64_t offset, void *data,
		 size_t len) __attribute__((warn_unused_result));

/* Makes the spares that are missing. -ENOSPC: the disk is still full. */
int journal_refill(struct journal *journal) __attribute__((warn_unused_result));
/* Frames go into a new segment from now on; its number. */
int journal_rotate(struct journal *journal, uint64_t *segment_out)
	__attribute__((warn_unused_result));
/* Removes all segments before `segment`. What of them is still true must have been
 * appended again and synced; then a frame must have been appended, which says so, and
 * been synced: without it, a log that begins in the middle could not be told from one
 * that has lost its beginning. */
int journal_drop_before(struct journal *journal, uint64_t segment)
	__attribute__((warn_unused_result));

struct journal_stats {
	uint64_t bytes;          /* in frames, of all segments */
	uint64_t disk_bytes;     /* with what is allocated ahead */
	uint64_t segments;
	uint64_t oldest;         /* number of the first and the active segment */
	uint64_t active;
	uint64_t last_lsn;
	uint64_t synced_lsn;
	uint64_t syncs;          /* fdatasync(2) calls */
	bool pressed;            /* spares are missing: the disk is full, or was */
	int failed;              /* 0, or why the journal takes nothing any more */
};
void journal_stats(struct journal *journal, struct journal_stats *out);
/* Its `bytes` alone: for every change. */
uint64_t journal_bytes(struct journal *journal);

#endif
