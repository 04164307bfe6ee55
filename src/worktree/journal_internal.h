/*
 * What the files of the journal share: segments on the disk.
 */
#ifndef GIT_FS_WORKTREE_JOURNAL_INTERNAL_H
#define GIT_FS_WORKTREE_JOURNAL_INTERNAL_H

#include <pthread.h>

#include "base/threads.h"
#include "worktree/journal.h"

#define SEGMENT_HEAD_LEN 96
#define BOOT_ID_MAX 36
#define SEGMENT_READ_MAX ((size_t)1 << 30) /* no segment that is read back is larger */

struct segment {
	uint64_t number;
	uint64_t mark;        /* opens every frame of this segment */
	uint64_t first_lsn;   /* of the first frame that it has; 0: a spare */
	uint64_t used;        /* bytes of head and frames */
	uint64_t allocated;   /* bytes that writing cannot lack the space for */
	int fd;
	unsigned readers;     /* guarded by journal->lock */
	bool dropped;         /* closed by the last reader; guarded by journal->lock */
	char boot_id[BOOT_ID_MAX + 1]; /* of the boot under which it was made */
};

struct journal {
	int dir_fd;
	enum hash_algo algo;
	uint64_t segment_bytes;
	bool read_only;
	char boot_id[BOOT_ID_MAX + 1];
	pthread_mutex_t lock;       /* after every other lock of the worktree; held across an
				     * append to the page cache */
	pthread_cond_t sync_done;
	struct segment **segments;  /* owned; oldest first; guarded by lock, as all below */
	size_t count;
	size_t cap;
	struct segment *spares[JOURNAL_SPARES + 1]; /* empty, allocated; the next one first */
	unsigned spares_count;
	uint64_t next_number;
	uint64_t bytes;             /* `used` of all segments */
	uint64_t last_lsn;
	uint64_t synced_lsn;
	uint64_t first_unsynced;    /* number of the first segment with frames not synced; changed
				     * by who syncs alone */
	uint64_t syncs;
	bool names_unsynced;        /* a segment was made since the folder was synced */
	bool syncing;
	int failed;
};

static inline uint64_t frame_room(uint64_t len)
{
	return (len + 7) & ~UINT64_C(7);
}

/* Makes an empty segment file and opens it. */
int journal_segment_create(struct journal *journal, uint64_t number, struct segment **out)
	__attribute__((warn_unused_result));
/* The last reference is gone. */
void journal_segment_free(struct segment *segment);
/* Frames will be written to it, the next one first. */
int journal_segment_begin(const struct journal *journal, struct segment *segment)
	__attribute__((warn_unused_result));
/* One that nobody wrote a frame to: its file goes as well. */
void journal_segment_discard(struct journal *journal, struct segment *segment);
/* Room for one more in journal->segments. */
int journal_segments_room(struct journal *journal) __attribute__((warn_unused_result));
/* "<16 digits>.log" */
void journal_segment_name(uint64_t number, char out[32]);

/* Reads back what is on the disk: recovers, and fills journal->segments. */
int journal_recover(struct journal *journal, journal_replay_fn *replay, void *arg,
		    struct journal_recovery *recovery, struct err *err)
	__attribute__((warn_unused_result));

#endif
