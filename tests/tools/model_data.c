/*
 * Operations on the contents of one file, by its path or by a descriptor that may be its
 * last name. Offsets and lengths crowd around pages, around 32 KiB (below
 * which the journal holds contents) and around the end of the file.
 */
#include "model.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE ((size_t)4096)
#define JOURNAL_LIMIT 32768U
#define USUAL_MAX 200000U
#define RARE_MAX (3U << 20)

/* Whether a descriptor that is open already can do what `flags` ask for. */
static bool can(int fd, int flags)
{
	int mode = fcntl(fd, F_GETFL);

	return (flags & ~O_ACCMODE) == 0 &&
	       ((mode & O_ACCMODE) == O_RDWR || (mode & O_ACCMODE) == (flags & O_ACCMODE));
}

static int open_side(const struct call *c, unsigned side, int flags, bool again)
{
	char path[64];

	if (c->target.handle && !again) {
		return fcntl(c->target.handle->fd[side], F_DUPFD_CLOEXEC, 0);
	}
	if (c->target.handle) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", c->target.handle->fd[side]);
		return open(path, flags | O_CLOEXEC);
	}
	return openat(c->model->root[side], c->target.path, flags | O_NOFOLLOW | O_CLOEXEC);
}

/* False where one of them cannot be opened; that is the answer of the operation then. */
bool data_open_both(struct call *c, int flags)
{
	bool again = c->target.handle &&
		     (!can(c->target.handle->fd[TWIN], flags) || one_in(c->actor, 2));

	for (unsigned s = c->first; s < SIDES; s++) {
		c->fd[s] = open_side(c, s, flags, again);
		outcome(c, s, c->fd[s] < 0 ? -1 : 0);
	}
	return c->fd[TWIN] >= 0 && c->fd[MOUNT] >= 0;
}

static off_t size_now(const struct call *c)
{
	struct stat st;

	return fstat(c->fd[TWIN], &st) == 0 ? st.st_size : 0;
}

static off_t pick_offset(struct call *c, off_t size)
{
	struct actor *a = c->actor;
	unsigned some = random_below(a, 9);

	switch (random_below(a, 8)) {
	case 0:
		return 0;
	case 1:
		return size;
	case 2:
		return size > some ? size - some : 0;
	case 3:
		return (off_t)(JOURNAL_LIMIT - 4 + some);
	case 4:
		return (off_t)(PAGE * random_below(a, 50));
	case 5:
		return one_in(a, 16) ? (off_t)random_below(a, RARE_MAX)
				     : size + (off_t)random_below(a, 40000);
	default:
		return (off_t)random_below(a, size > 0 ? (unsigned)size : USUAL_MAX);
	}
}

static size_t pick_length(struct call *c)
{
	struct actor *a = c->actor;

	switch (random_below(a, 6)) {
	case 0:
		return 1 + random_below(a, 16);
	case 1:
		return PAGE * (1 + random_below(a, 16));
	case 2:
		return JOURNAL_LIMIT - 3 + random_below(a, 7);
	case 3:
		return one_in(a, 24) ? 1 + random_below(a, RARE_MAX / 4)
				     : 1 + random_below(a, USUAL_MAX);
	default:
		return 1 + random_below(a, 6000);
	}
}

/* Bytes that tell where they came from, as no two operations make the same. */
void data_fill(struct call *c, size_t len)
{
	unsigned char *bytes = c->actor->buffer[TWIN];
	uint64_t word = random_next(c->actor);

	for (size_t i = 0; i < len; i++) {
		bytes[i] = (unsigned char)(word >> (i % 8 * 8)) ^ (unsigned char)(i >> 8);
	}
}

static bool too_large(struct call *c, off_t end)
{
	c->skipped = end > (off_t)MODEL_BUFFER_SIZE;
	return c->skipped;
}

void op_open_excl(struct call *c)
{
	for (unsigned s = c->first; s < SIDES; s++) {
		int fd = openat(c->model->root[s], c->target.path,
				O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

		outcome(c, s, fd < 0 ? -1 : 0);
		if (fd >= 0) {
			close(fd);
		}
	}
}

void op_open_trunc(struct call *c)
{
	int extra = one_in(c->actor, 2) ? O_CREAT : 0;

	for (unsigned s = c->first; s < SIDES; s++) {
		char path[64];

		if (c->target.handle) {
			snprintf(path, sizeof(path), "/proc/self/fd/%d", c->target.handle->fd[s]);
			c->fd[s] = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
		} else {
			c->fd[s] = openat(c->model->root[s], c->target.path,
					  O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC | extra,
					  0666);
		}
		outcome(c, s, c->fd[s] < 0 ? -1 : 0);
	}
	if (c->fd[TWIN] >= 0) {
		learn(c, &c->target, KNOWN_DATA);
	}
	if (c->fd[TWIN] >= 0 && c->fd[MOUNT] >= 0 && one_in(c->actor, 2)) {
		data_fill(c, 1000);
		for (unsigned s = c->first; s < SIDES; s++) {
			outcome(c, s, write(c->fd[s], c->actor->buffer[TWIN], 1000));
		}
	}
}

static void write_at(struct call *c, off_t at, size_t len)
{
	data_fill(c, len);
	describe(c, "%zu bytes at %lld", len, (long long)at);
	for (unsigned s = c->first; s < SIDES; s++) {
		outcome(c, s, pwrite(c->fd[s], c->actor->buffer[TWIN], len, at));
	}
	learn(c, &c->target, KNOWN_DATA);
}

void op_write(struct call *c)
{
	off_t at;
	size_t len = pick_length(c);

	if (!data_open_both(c, one_in(c->actor, 2) ? O_RDWR : O_WRONLY)) {
		return;
	}
	at = pick_offset(c, size_now(c));
	if (!too_large(c, at + (off_t)len)) {
		write_at(c, at, len);
	}
	if (!c->target.handle && one_in(c->actor, 8)) {
		keep_handle(c);
	}
}

void op_append(struct call *c)
{
	size_t len = pick_length(c);

	if (!data_open_both(c, O_WRONLY | O_APPEND) || too_large(c, size_now(c) + (off_t)len)) {
		return;
	}
	data_fill(c, len);
	describe(c, "%zu bytes", len);
	for (unsigned s = c->first; s < SIDES; s++) {
		outcome(c, s, write(c->fd[s], c->actor->buffer[TWIN], len));
	}
	learn(c, &c->target, KNOWN_DATA);
}

void data_compare_bytes(struct call *c, off_t at)
{
	for (long i = 0; i < c->ret[TWIN] && c->ret[TWIN] == c->ret[MOUNT]; i++) {
		if (c->actor->buffer[TWIN][i] != c->actor->buffer[MOUNT][i]) {
			complain(c, "byte %lld: %02x on the twin, %02x on the mount",
				 (long long)at + i, c->actor->buffer[TWIN][i],
				 c->actor->buffer[MOUNT][i]);
			return;
		}
	}
}

void op_pread(struct call *c)
{
	off_t at;
	size_t len = one_in(c->actor, 2) ? (size_t)1 << 20 : pick_length(c);

	if (!data_open_both(c, O_RDONLY)) {
		return;
	}
	at = one_in(c->actor, 2) ? 0 : pick_offset(c, size_now(c));
	describe(c, "%zu bytes at %lld", len, (long long)at);
	for (unsigned s = c->first; s < SIDES; s++) {
		outcome(c, s, pread(c->fd[s], c->actor->buffer[s], len, at));
	}
	data_compare_bytes(c, at);
	learn(c, &c->target, KNOWN_READ);
	if (!c->target.handle && one_in(c->actor, 8)) {
		keep_handle(c);
	}
}

/* Maps the same pages of both and hands over where the same `len` bytes within them are. */
static bool map_both(struct call *c, int flags, unsigned char *map[SIDES], size_t *len)
{
	off_t size = size_now(c), at;

	*len = pick_length(c);
	if (size == 0) {
		c->skipped = true;
		return false;
	}
	at = pick_offset(c, size);
	at = at >= size ? 0 : at & ~(off_t)(PAGE - 1);
	if (*len > (size_t)(size - at)) {
		*len = (size_t)(size - at);
	}
	describe(c, "%zu bytes of the map at %lld", *len, (long long)at);
	for (unsigned s = c->first; s < SIDES; s++) {
		map[s] = mmap(NULL, *len, PROT_READ | PROT_WRITE, flags, c->fd[s], at);
		outcome(c, s, map[s] == MAP_FAILED ? -1 : 0);
		map[s] = map[s] == MAP_FAILED ? NULL : map[s];
	}
	if (!map[TWIN] || !map[MOUNT]) {
		return false;
	}
	/* To the end of the page: behind the file's end there are zeros. */
	if (memcmp(map[TWIN], map[MOUNT], (*len + PAGE - 1) & ~(PAGE - 1)) != 0) {
		complain(c, "the pages mapped at %lld differ", (long long)at);
	}
	return true;
}

static void unmap_both(unsigned char *map[SIDES], size_t len)
{
	for (unsigned s = 0; s < SIDES; s++) {
		if (map[s]) {
			munmap(map[s], len);
		}
	}
}

void op_mmap_shared(struct call *c)
{
	unsigned char *map[SIDES] = { NULL, NULL };
	size_t len = 0;

	if (!data_open_both(c, O_RDWR)) {
		return;
	}
	/* When a store into a map moves the times is left open by POSIX. */
	c->no_times = true;
	if (map_both(c, MAP_SHARED, map, &len)) {
		size_t from = random_below(c->actor, (unsigned)len);

		learn(c, &c->target, KNOWN_DATA);
		data_fill(c, len - from);
		for (unsigned s = c->first; s < SIDES; s++) {
			memcpy(map[s] + from, c->actor->buffer[TWIN], len - from);
			/* Sometimes it is left to munmap and close to bring it out. */
			outcome(c, s, c->actor->random & 3 ? msync(map[s], len, MS_SYNC) : 0);
		}
		if (memcmp(map[TWIN], map[MOUNT], len) != 0) {
			complain(c, "the pages differ after the write into them");
		}
	}
	unmap_both(map, len);
}

/* Private pages are nobody else's: the file stays what it was. */
void op_mmap_private(struct call *c)
{
	unsigned char *map[SIDES] = { NULL, NULL };
	size_t len = 0;

	if (!data_open_both(c, O_RDONLY)) {
		return;
	}
	if (map_both(c, MAP_PRIVATE, map, &len)) {
		for (unsigned s = c->first; s < SIDES; s++) {
			memset(map[s], 0x5a, len);
			outcome(c, s, pread(c->fd[s], c->actor->buffer[s], len, 0));
		}
		data_compare_bytes(c, 0);
		learn(c, &c->target, KNOWN_READ);
	}
	unmap_both(map, len);
}

static off_t pick_size(struct call *c, off_t size)
{
	off_t to = pick_offset(c, size);

	return one_in(c->actor, 4) && size > 0 ? (off_t)random_below(c->actor, (unsigned)size) : to;
}

void op_truncate(struct call *c)
{
	off_t to = pick_size(c, c->target.st.st_size);

	describe(c, "to %lld", (long long)to);
	c->no_times = to == c->target.st.st_size; /* filesystems differ, POSIX allows both */
	for (unsigned s = c->first; s < SIDES; s++) {
		char path[MODEL_PATH_MAX + 64];

		if (c->target.handle) {
			snprintf(path, sizeof(path), "/proc/self/fd/%d", c->target.handle->fd[s]);
		} else {
			snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", c->model->root[s],
				 c->target.path);
		}
		outcome(c, s, truncate(path, to));
	}
	if (c->ret[TWIN] == 0) {
		learn(c, &c->target, KNOWN_DATA);
	}
}

void op_ftruncate(struct call *c)
{
	off_t to;

	if (!data_open_both(c, O_WRONLY)) {
		return;
	}
	to = pick_size(c, size_now(c));
	describe(c, "to %lld", (long long)to);
	c->no_times = to == size_now(c); /* as with truncate */
	for (unsigned s = c->first; s < SIDES; s++) {
		outcome(c, s, ftruncate(c->fd[s], to));
	}
	learn(c, &c->target, KNOWN_DATA);
}

static void allocate(struct call *c, int mode)
{
	off_t at;
	size_t len = pick_length(c);

	if (!data_open_both(c, O_RDWR)) {
		return;
	}
	at = pick_offset(c, size_now(c));
	describe(c, "mode %d, %zu bytes at %lld", mode, len, (long long)at);
	if (too_large(c, at + (off_t)len)) {
		return;
	}
	for (unsigned s = c->first; s < SIDES; s++) {
		outcome(c, s, fallocate(c->fd[s], mode, at, (off_t)len));
	}
	learn(c, &c->target, KNOWN_DATA);
}

void op_fallocate(struct call *c)
{
	allocate(c, one_in(c->actor, 2) ? FALLOC_FL_KEEP_SIZE : 0);
}

void op_punch(struct call *c)
{
	allocate(c, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
}

void op_zero(struct call *c)
{
	allocate(c, FALLOC_FL_ZERO_RANGE | (one_in(c->actor, 2) ? FALLOC_FL_KEEP_SIZE : 0));
}

/* From some file of the actor's, fetched or not, to the object. A short count is allowed:
 * it goes on until nothing comes any more. */
void op_copy_range(struct call *c)
{
	size_t len = pick_length(c);
	off_t from = one_in(c->actor, 2) ? 0 : (off_t)random_below(c->actor, USUAL_MAX), to;

	if (!data_open_both(c, O_RDWR)) {
		return;
	}
	to = pick_offset(c, size_now(c));
	describe(c, "%zu bytes from %lld of '%.60s' to %lld", len, (long long)from, c->other.path,
		 (long long)to);
	if (too_large(c, to + (off_t)len)) {
		return;
	}
	for (unsigned s = c->first; s < SIDES; s++) {
		off_t in = from, out = to;
		long total = 0, some = -1;
		int fd = openat(c->model->root[s], c->other.path,
				O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

		do {
			some = copy_file_range(fd, &in, c->fd[s], &out, len - (size_t)total, 0);
			total += some > 0 ? some : 0;
		} while (some > 0 && total < (long)len);
		outcome(c, s, some < 0 && total == 0 ? -1 : total);
		if (fd >= 0) {
			close(fd);
		}
	}
	learn(c, &c->other, KNOWN_READ);
	learn(c, &c->target, KNOWN_DATA);
}

bool prepare_source(struct call *c)
{
	struct call any = *c;

	any.wanted = STATES;
	if (!pick_target(&any, FILES, &c->other)) {
		return false;
	}
	watch_target(c, &c->other);
	return true;
}

/* The first byte that is no zero; len where all are. */
static ssize_t first_set(const unsigned char *bytes, ssize_t len)
{
	ssize_t i = 0;

	while (i < len && bytes[i] == 0) {
		i++;
	}
	return i;
}

/* Where holes are is each filesystem's own affair; that they read as zeros is not. */
void op_seek(struct call *c)
{
	off_t size, at, data, hole;

	if (!data_open_both(c, O_RDONLY)) {
		return;
	}
	size = size_now(c);
	at = pick_offset(c, size);
	describe(c, "from %lld", (long long)at);
	for (unsigned s = c->first; s < SIDES; s++) {
		outcome(c, s, lseek(c->fd[s], at, SEEK_HOLE) < 0 ? -1 : 0);
	}
	hole = lseek(c->fd[MOUNT], at, SEEK_HOLE);
	data = lseek(c->fd[MOUNT], at, SEEK_DATA);
	if (at < size && (hole < at || hole > size)) {
		complain(c, "SEEK_HOLE from %lld of %lld says %lld", (long long)at,
			 (long long)size, (long long)hole);
	}
	if (data < 0) {
		data = size;
	}
	for (off_t i = at; i < data && i < at + (off_t)MODEL_BUFFER_SIZE;) {
		ssize_t got = pread(c->fd[TWIN], c->actor->buffer[TWIN], MODEL_BUFFER_SIZE, i);
		ssize_t first = first_set(c->actor->buffer[TWIN], got);

		if (first < got && i + first < data) {
			complain(c, "SEEK_DATA skips byte %ld, which is no zero", i + first);
			return;
		}
		i += got > 0 ? got : data;
	}
}

void op_direct(struct call *c)
{
	bool reads = one_in(c->actor, 2);
	off_t at = (off_t)(PAGE * random_below(c->actor, 30));
	size_t len = PAGE * (1 + random_below(c->actor, 40));

	if (!data_open_both(c, O_RDWR | O_DIRECT)) {
		return;
	}
	if (!reads) {
		write_at(c, at, len);
		return;
	}
	describe(c, "read of %zu bytes at %lld", len, (long long)at);
	for (unsigned s = c->first; s < SIDES; s++) {
		outcome(c, s, pread(c->fd[s], c->actor->buffer[s], len, at));
	}
	data_compare_bytes(c, at);
	learn(c, &c->target, KNOWN_READ);
}

void op_fsync(struct call *c)
{
	if (data_open_both(c, one_in(c->actor, 2) ? O_RDONLY : O_RDWR)) {
		for (unsigned s = c->first; s < SIDES; s++) {
			outcome(c, s, fsync(c->fd[s]));
		}
	}
}

void op_fdatasync(struct call *c)
{
	if (data_open_both(c, one_in(c->actor, 2) ? O_RDONLY : O_RDWR)) {
		for (unsigned s = c->first; s < SIDES; s++) {
			outcome(c, s, fdatasync(c->fd[s]));
		}
	}
}
