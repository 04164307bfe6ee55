/*
 * Segment files: names, heads, the scan.
 *
 * The scan goes from record to record by their heads. Where no head stands -
 * a killed process had reserved the space and never wrote it, or the disk lost
 * a block - it looks at each multiple of RECORD_ALIGN for the next one. That
 * is safe with hostile contents: a head opens with the segment's secret mark.
 */
#include "store/segment.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/folder.h"
#include "base/io.h"

#define NAME_DIGITS 16
#define NAME_SUFFIX ".seg"
#define SCAN_WINDOW_BYTES ((size_t)64 << 10)

char *segment_name(uint64_t id, char *out)
{
	snprintf(out, SEGMENT_NAME_MAX, "%016" PRIx64 NAME_SUFFIX, id);
	return out;
}

/* The id that a file name stands for; 0: it is no segment's. */
static uint64_t id_of_name(const char *name)
{
	char again[SEGMENT_NAME_MAX];
	uint64_t id = 0;

	for (size_t i = 0; i < NAME_DIGITS; i++) {
		const char *digits = "0123456789abcdef";
		const char *at = name[i] != '\0' ? strchr(digits, name[i]) : NULL;

		if (at == NULL)
			return 0;
		id = id << 4 | (uint64_t)(at - digits);
	}
	return strcmp(segment_name(id, again), name) == 0 ? id : 0;
}

static void close_dir(DIR **dir)
{
	if (*dir != NULL)
		closedir(*dir);
}

int segment_each(int dirfd, segment_each_fn *each, void *arg)
{
	__attribute__((cleanup(close_dir))) DIR *dir = NULL;
	struct dirent *entry;
	int opened = folder_open(dirfd, ".", &dir);

	if (opened < 0)
		return opened;
	for (errno = 0; (entry = readdir(dir)) != NULL; errno = 0) {
		uint64_t id = id_of_name(entry->d_name);
		int rc = id != 0 ? each(arg, id) : 0;

		if (rc != 0)
			return rc;
	}
	return errno != 0 ? -errno : 0;
}

int segment_read_head(int fd, uint64_t id, enum hash_algo algo, struct segment_head *out)
{
	uint8_t data[SEGMENT_HEAD_BYTES];
	struct segment_head head;
	ssize_t got = io_pread(fd, data, sizeof(data), 0);
	int rc;

	if (got < 0)
		return (int)got;
	rc = segment_head_decode(&head, data, (size_t)got);
	if (rc < 0)
		return rc;
	if (head.id != id || head.algo != algo)
		return ERR_CORRUPT;
	*out = head;
	return 0;
}

/* A part of the file in memory, moved along by the scan. */
struct window {
	int fd;
	uint64_t file_bytes;
	uint64_t start; /* offset of data[0] */
	size_t len;
	uint8_t *data; /* SCAN_WINDOW_BYTES, owned */
};

static void window_release(struct window *window)
{
	free(window->data);
}

/* Whether a record's head at `offset` would lie in memory. */
static bool window_has(const struct window *window, uint64_t offset)
{
	return offset >= window->start && offset - window->start <= window->len &&
	       window->len - (offset - window->start) >= RECORD_HEAD_BYTES;
}

/* Brings the head at `offset` into memory; 0: the file ends before it does. */
static int window_load(struct window *window, uint64_t offset)
{
	ssize_t got;

	if (window_has(window, offset))
		return 1;
	got = io_pread(window->fd, window->data, SCAN_WINDOW_BYTES, offset);
	if (got < 0)
		return (int)got;
	window->start = offset;
	window->len = (size_t)got;
	return got >= RECORD_HEAD_BYTES;
}

/* Where to look after there was no head at `offset`. Holes are jumped: one may
 * be as large as an object can get. */
static uint64_t next_candidate(const struct window *window, uint64_t offset)
{
	off_t data;

	offset += RECORD_ALIGN;
	if (window_has(window, offset))
		return offset;
	data = lseek(window->fd, (off_t)offset, SEEK_DATA);
	if (data < 0)
		return errno == ENXIO ? window->file_bytes : offset;
	return (uint64_t)data > offset ? (uint64_t)data / RECORD_ALIGN * RECORD_ALIGN : offset;
}

static bool record_fits(const struct record *record, uint64_t offset, uint64_t file_bytes)
{
	uint64_t left = file_bytes - offset; /* a whole head was read there */

	return record->stored <= left - RECORD_HEAD_BYTES;
}

int segment_scan(int fd, const struct segment_head *head, segment_record_fn *each, void *arg,
		 uint64_t *tail_out)
{
	__attribute__((cleanup(window_release))) struct window window = { .fd = fd };
	uint64_t offset = SEGMENT_HEAD_BYTES, tail = SEGMENT_HEAD_BYTES;
	struct stat st;
	int rc;

	if (fstat(fd, &st) != 0)
		return -errno;
	window.file_bytes = (uint64_t)st.st_size;
	window.data = malloc(SCAN_WINDOW_BYTES);
	if (window.data == NULL)
		return -ENOMEM;
	while ((rc = window_load(&window, offset)) > 0) {
		const uint8_t *data = window.data + (offset - window.start);
		struct record record;

		if (record_decode(&record, head, data, RECORD_HEAD_BYTES) < 0 ||
		    !record_fits(&record, offset, window.file_bytes)) {
			offset = next_candidate(&window, offset);
			continue;
		}
		if (record.state == RECORD_COMPLETE) {
			rc = each != NULL ? each(arg, &record, offset) : 0;
			if (rc != 0)
				return rc;
			tail = offset + record_span(record.stored);
		}
		offset += record_span(record.stored);
	}
	if (rc < 0)
		return rc;
	*tail_out = tail;
	return 0;
}
