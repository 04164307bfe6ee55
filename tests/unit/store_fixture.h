/*
 * A store in a private folder with a boot id of the test's choosing, and sample
 * objects that can be made again from their number alone, so that a test needs
 * to remember numbers only.
 */
#ifndef GIT_FS_TESTS_STORE_FIXTURE_H
#define GIT_FS_TESTS_STORE_FIXTURE_H

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "base/proc.h"
#include "git/hash.h"
#include "git/zstream.h"
#include "store/store.h"

struct store_fixture {
	char dir[64];
	char store_dir[96];
	char boot_path[96];
	struct store_config config;
	struct store *store; /* NULL while closed */
	struct hasher *hasher;
};

static inline void fixture_boot(struct store_fixture *fix, const char *id)
{
	char line[64];
	int len = snprintf(line, sizeof(line), "%s\n", id);

	assert_int_equal(io_replace_file(AT_FDCWD, fix->boot_path, line, (size_t)len), 0);
}

static inline void fixture_open(struct store_fixture *fix)
{
	struct err err = ERR_INIT;

	if (store_open(&fix->store, &fix->config, &err) < 0)
		fail_msg("store: %s", err.msg);
}

static inline void fixture_close(struct store_fixture *fix)
{
	store_close(fix->store);
	fix->store = NULL;
}

static inline void fixture_reopen(struct store_fixture *fix)
{
	fixture_close(fix);
	fixture_open(fix);
}

/* The store is not open yet: tests that fork do so before. */
static inline void fixture_init(struct store_fixture *fix)
{
	const char *tmp = getenv("TMPDIR");

	memset(fix, 0, sizeof(*fix));
	snprintf(fix->dir, sizeof(fix->dir), "%s/git-fs-test-XXXXXX", tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(fix->dir));
	snprintf(fix->store_dir, sizeof(fix->store_dir), "%s/a/store", fix->dir);
	snprintf(fix->boot_path, sizeof(fix->boot_path), "%s/boot_id", fix->dir);
	fix->config = (struct store_config){ .dir = fix->store_dir,
					     .algo = HASH_SHA1,
					     .boot_id_path = fix->boot_path };
	fix->hasher = hasher_new(HASH_SHA1);
	assert_non_null(fix->hasher);
	fixture_boot(fix, "first-boot");
}

static inline void fixture_release(struct store_fixture *fix)
{
	const char *argv[] = { "rm", "-rf", "--", fix->dir, NULL };
	AUTO_BUF struct buf said = BUF_INIT;

	fixture_close(fix);
	hasher_free(fix->hasher);
	assert_int_equal(proc_run(argv, NULL, NULL, &said, &said, 30000, NULL), 0);
}

static inline struct store_stats fixture_stats(struct store_fixture *fix)
{
	struct store_stats stats;

	assert_int_equal(store_stats(fix->store, &stats), 0);
	return stats;
}

static inline uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15U;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9U;
	x = (x ^ x >> 27) * 0x94d049bb133111ebU;
	return x ^ x >> 31;
}

/* What `number` stands for: contents, of which odd numbers deflate well. */
struct sample {
	enum object_type type;
	struct oid oid;
	uint8_t *data; /* owned */
	size_t size;
};

static inline void sample_make(struct sample *sample, struct hasher *hasher, uint64_t number,
			       size_t size)
{
	uint64_t state = number;

	sample->type = (enum object_type)(OBJECT_COMMIT + number % 4);
	sample->size = size;
	sample->data = malloc(size + 1);
	assert_non_null(sample->data);
	for (size_t i = 0; i < size; i++) {
		uint64_t value = i % 8 == 0 ? next_random(&state) : state >> (i % 8);

		sample->data[i] = (uint8_t)(number % 2 == 1 && i >= 8 ? value % 4 : value);
	}
	assert_int_equal(hasher_object(hasher, sample->type, sample->data, size, &sample->oid), 0);
}

static inline void sample_release(struct sample *sample)
{
	free(sample->data);
}

#define AUTO_SAMPLE __attribute__((cleanup(sample_release)))

/* Gives a sample to a sink whole, with its zlib stream or without. */
static inline int sample_give(struct object_sink *sink, const struct sample *sample, bool deflated,
			      struct err *err)
{
	AUTO_BUF struct buf stream = BUF_INIT;
	struct object object = { .type = sample->type,
				 .oid = sample->oid,
				 .data = sample->data,
				 .size = sample->size };

	if (deflated) {
		int rc = zstream_deflate(sample->data, sample->size, 6, &stream);

		if (rc < 0)
			return rc;
		object.deflated = stream.data;
		object.deflated_len = stream.len;
	}
	return sink->object(sink, &object, err);
}

/* The same as a stream, in pieces of `piece` bytes. */
static inline int sample_stream(struct object_sink *sink, const struct sample *sample, size_t piece,
				struct err *err)
{
	void *stream;
	int rc = sink->begin(sink, sample->type, sample->size, &stream, err);

	if (rc < 0)
		return rc;
	for (size_t at = 0; at < sample->size; at += piece) {
		size_t len = sample->size - at < piece ? sample->size - at : piece;

		rc = sink->write(sink, stream, sample->data + at, len, err);
		if (rc < 0) {
			(void)sink->end(sink, stream, NULL, NULL);
			return rc;
		}
	}
	return sink->end(sink, stream, &sample->oid, err);
}

/* 1: it is there with the right bytes; 0: it is not there; -1: anything else. */
static inline int sample_check(struct store *store, const struct sample *sample)
{
	AUTO_BUF struct buf data = BUF_INIT;
	enum object_type type;
	int rc = store_read(store, &sample->oid, &type, &data);

	if (rc == ERR_NOT_FOUND)
		return 0;
	if (rc < 0 || type != sample->type || data.len != sample->size ||
	    (data.len > 0 && memcmp(data.data, sample->data, data.len) != 0))
		return -1;
	return 1;
}

/* Sizes of numbered samples: mostly small, now and then larger than what is
 * deflated; none so small that two could be the same. */
static inline size_t sample_size(uint64_t number)
{
	uint64_t state = ~number;
	uint64_t pick = next_random(&state);

	if (number % 97 == 0)
		return 100000 + (size_t)(pick % 200000);
	return 16 + (size_t)(pick % 6000);
}

static inline void sample_numbered(struct sample *sample, struct hasher *hasher, uint64_t number)
{
	sample_make(sample, hasher, number, sample_size(number));
}

static inline struct store_writer *writer_make(struct store_fixture *fix, store_visible_fn *visible,
					       void *arg)
{
	struct store_writer *writer;

	assert_int_equal(store_writer_new(&writer, fix->store, visible, arg), 0);
	return writer;
}

/* Samples first..first+count-1 into the store, visible. */
static inline void fixture_fill(struct store_fixture *fix, uint64_t first, uint64_t count)
{
	struct store_writer *writer = writer_make(fix, NULL, NULL);
	struct object_sink *sink = store_writer_sink(writer);

	for (uint64_t number = first; number < first + count; number++) {
		AUTO_SAMPLE struct sample sample;

		sample_numbered(&sample, fix->hasher, number);
		if (number % 5 == 0)
			assert_int_equal(sample_stream(sink, &sample, 10000, NULL), 0);
		else
			assert_int_equal(sample_give(sink, &sample, number % 3 == 0, NULL), 0);
	}
	assert_int_equal(store_writer_flush(writer, NULL), 0);
	store_writer_free(writer);
}

/* How many of them are there; none may be there with wrong bytes. */
static inline uint64_t fixture_count_good(struct store_fixture *fix, uint64_t first, uint64_t count)
{
	uint64_t good = 0;

	for (uint64_t number = first; number < first + count; number++) {
		AUTO_SAMPLE struct sample sample;
		int found;

		sample_numbered(&sample, fix->hasher, number);
		found = sample_check(fix->store, &sample);
		assert_int_not_equal(found, -1);
		good += found == 1;
	}
	return good;
}

/* Runs `body` in a child that is gone without closing anything. */
static inline pid_t fixture_fork(void (*body)(struct store_fixture *, uint64_t),
				 struct store_fixture *fix, uint64_t arg)
{
	pid_t pid;

	assert_null(fix->store);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		alarm(60);
		body(fix, arg);
		_exit(0);
	}
	return pid;
}

static inline void fixture_wait(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* The path of the n-th segment file, in the order of names; false: no such one. */
static inline bool fixture_segment(struct store_fixture *fix, int n, char *path, size_t size)
{
	char dir[128];
	struct dirent **list;
	int count, seen = 0;
	bool found = false;

	snprintf(dir, sizeof(dir), "%s/segments", fix->store_dir);
	count = scandir(dir, &list, NULL, alphasort);
	assert_true(count >= 0);
	for (int i = 0; i < count; i++) {
		if (list[i]->d_name[0] != '.' && seen++ == n) {
			int len = snprintf(path, size, "%s/%s", dir, list[i]->d_name);

			assert_true(len > 0 && (size_t)len < size);
			found = true;
		}
		free(list[i]);
	}
	free(list);
	return found;
}

static inline uint64_t file_size(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return (uint64_t)st.st_size;
}

#endif
