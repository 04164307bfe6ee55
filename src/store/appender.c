/*
 * The active segment: none -> (opening) -> current -> full -> left.
 *
 * Whoever needs space and finds no current segment looks for one, alone: first
 * among those that stand unlocked and are not full, so that many short
 * processes do not leave many small files, then by making a new one. A segment
 * that is full leaves the place of the current one at once and is closed when
 * the last record under way in it is done.
 *
 * Leaving cuts the file to its last whole record and notes the length in the
 * index. If a segment is found at the length that was noted, it was left whole,
 * and its end need not be looked for: any append makes it longer.
 */
#include "store/appender.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/io.h"
#include "base/threads.h"
#include "store/segment.h"

/* Ids are random: two processes hit upon the same one in the same folder about
 * never, and then the second takes another. */
#define NEW_SEGMENT_TRIES 8

int appender_init(struct appender *appender, int dirfd, struct index *index, enum hash_algo algo,
		  uint64_t segment_bytes)
{
	*appender = (struct appender){ .dirfd = dirfd,
				       .index = index,
				       .algo = algo,
				       .segment_bytes = segment_bytes };
	pthread_mutex_init(&appender->lock, NULL);
	return cond_init(&appender->changed);
}

static void active_free(struct active *active)
{
	if (active == NULL)
		return;
	io_close(&active->fd); /* gives the flock back */
	free(active);
}

static void active_cleanup(struct active **active)
{
	active_free(*active);
}

/* Nobody appends to it any more. What fails here costs the next writer a scan. */
static void leave(struct appender *appender, struct active *active)
{
	if (active == NULL)
		return;
	if (io_truncate(active->fd, active->tail) == 0)
		(void)!index_put_tail(appender->index, active->head.id, active->tail);
	active_free(active);
}

/* Drops one reference; returns the segment if it is to be left. */
static struct active *unref_locked(struct active *active)
{
	return --active->refs == 0 ? active : NULL;
}

void appender_release(struct appender *appender)
{
	leave(appender, appender->current);
	pthread_cond_destroy(&appender->changed);
	pthread_mutex_destroy(&appender->lock);
}

static int write_head(struct active *active, uint64_t id, enum hash_algo algo)
{
	uint8_t data[SEGMENT_HEAD_BYTES];

	active->head = (struct segment_head){ .id = id, .algo = algo };
	if (getrandom(&active->head.mark, sizeof(active->head.mark), 0) !=
	    (ssize_t)sizeof(active->head.mark))
		return -EIO;
	segment_head_encode(&active->head, data);
	active->tail = SEGMENT_HEAD_BYTES;
	return io_pwrite(active->fd, data, sizeof(data), 0);
}

/* Finds the end of a segment that is locked, and cuts off what is behind it. */
static int find_tail(const struct appender *appender, struct active *active, uint64_t file_bytes)
{
	uint64_t noted;
	int rc = index_get_tail(appender->index, active->head.id, &noted);

	if (rc == 0 && noted == file_bytes) {
		active->tail = noted;
		return 0;
	}
	rc = segment_scan(active->fd, &active->head, NULL, NULL, &active->tail);
	return rc < 0 ? rc : io_truncate(active->fd, active->tail);
}

/* Makes an open file the active segment if nobody else has it and it has room.
 * -EWOULDBLOCK, ERR_CORRUPT, -EFBIG: not this one. */
static int take(const struct appender *appender, uint64_t id, struct active *active)
{
	struct stat st;
	int rc;

	if (flock(active->fd, LOCK_EX | LOCK_NB) != 0)
		return -errno;
	if (fstat(active->fd, &st) != 0)
		return -errno;
	if (st.st_nlink == 0)
		return ERR_NOT_FOUND;
	/* Just made, or its maker died before the first record. */
	if (st.st_size < SEGMENT_HEAD_BYTES)
		return write_head(active, id, appender->algo);
	rc = segment_read_head(active->fd, id, appender->algo, &active->head);
	if (rc == 0)
		rc = find_tail(appender, active, (uint64_t)st.st_size);
	if (rc == 0 && active->tail >= appender->segment_bytes)
		rc = -EFBIG;
	return rc;
}

static int open_segment(const struct appender *appender, uint64_t id, int flags,
			struct active **out)
{
	__attribute__((cleanup(active_cleanup))) struct active *active = NULL;
	char name[SEGMENT_NAME_MAX];
	int rc;

	active = calloc(1, sizeof(*active));
	if (active == NULL)
		return -ENOMEM;
	active->fd = io_open(appender->dirfd, segment_name(id, name), O_RDWR | flags, 0600);
	rc = active->fd < 0 ? active->fd : take(appender, id, active);
	if (rc < 0)
		return rc;
	*out = active;
	active = NULL;
	return 0;
}

struct search {
	const struct appender *appender;
	struct active *found;
};

/* 1: found one, look no further. One that cannot be had is passed over. */
static int try_segment(void *arg, uint64_t id)
{
	struct search *search = arg;
	const struct appender *appender = search->appender;
	char name[SEGMENT_NAME_MAX];
	struct stat st;
	int rc;

	if (fstatat(appender->dirfd, segment_name(id, name), &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    (uint64_t)st.st_size >= appender->segment_bytes)
		return 0;
	rc = open_segment(appender, id, 0, &search->found);
	if (rc == -ENOMEM)
		return rc;
	return rc == 0;
}

static int find_segment(const struct appender *appender, struct active **out)
{
	struct search search = { .appender = appender, .found = NULL };
	int rc = segment_each(appender->dirfd, try_segment, &search);

	if (rc < 0)
		return rc;
	for (int tries = 0; search.found == NULL && tries < NEW_SEGMENT_TRIES; tries++) {
		uint64_t id;

		if (getrandom(&id, sizeof(id), 0) != (ssize_t)sizeof(id))
			return -EIO;
		if (id == 0)
			continue;
		rc = open_segment(appender, id, O_CREAT | O_EXCL, &search.found);
		if (rc < 0 && rc != -EEXIST && rc != -EWOULDBLOCK)
			return rc;
	}
	if (search.found == NULL)
		return -EBUSY;
	search.found->refs = 1;
	*out = search.found;
	return 0;
}

/* Waits for, or finds, a current segment. The lock is let go in between. */
static int want_current_locked(struct appender *appender)
{
	while (appender->current == NULL) {
		struct active *found = NULL;
		int rc;

		if (appender->opening) {
			/* For a thread that works on the local disk and always ends. */
			pthread_cond_wait(&appender->changed, &appender->lock);
			continue;
		}
		appender->opening = true;
		pthread_mutex_unlock(&appender->lock);
		rc = find_segment(appender, &found);
		pthread_mutex_lock(&appender->lock);
		appender->opening = false;
		appender->current = found;
		pthread_cond_broadcast(&appender->changed);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int appender_reserve(struct appender *appender, uint64_t stored, struct extent *out)
{
	int rc;

	pthread_mutex_lock(&appender->lock);
	rc = want_current_locked(appender);
	if (rc == 0) {
		struct active *active = appender->current;

		*out = (struct extent){ .active = active,
					.offset = active->tail,
					.end = active->tail + record_span(stored) };
		active->tail = out->end;
		active->refs++;
		if (active->tail >= appender->segment_bytes) {
			appender->current = NULL;
			active->refs--; /* the extent holds it yet */
		}
	}
	pthread_mutex_unlock(&appender->lock);
	return rc;
}

void appender_done(struct appender *appender, const struct extent *extent)
{
	struct active *unused;

	pthread_mutex_lock(&appender->lock);
	unused = unref_locked(extent->active);
	pthread_mutex_unlock(&appender->lock);
	leave(appender, unused);
}

static bool is_last(struct appender *appender, const struct extent *extent)
{
	WITH_LOCK(&appender->lock);
	return extent->active->tail == extent->end;
}

static void give_back(struct appender *appender, const struct extent *extent)
{
	WITH_LOCK(&appender->lock);
	if (extent->active->tail == extent->end)
		extent->active->tail = extent->offset;
}

void appender_abandon(struct appender *appender, const struct extent *extent)
{
	static const uint8_t zeros[RECORD_HEAD_BYTES];

	/* A head that stays behind would, were this process killed, hide from a scan
	 * what other threads have put into the space that it claims. */
	if (is_last(appender, extent) &&
	    io_pwrite(extent->active->fd, zeros, sizeof(zeros), extent->offset) == 0)
		give_back(appender, extent);
	appender_done(appender, extent);
}
