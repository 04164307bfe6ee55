/*
 * A journal in a private folder, and what it says when it is read back.
 */
#ifndef GIT_FS_TESTS_JOURNAL_FIXTURE_H
#define GIT_FS_TESTS_JOURNAL_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/failpoint.h"
#include "base/io.h"
#include "base/proc.h"
#include "worktree/journal.h"

#define TEXT_MAX 64    /* of a frame that is kept */
#define FRAMES_MAX 4096

struct seen {
	struct journal_frame frame; /* `items` is not good any more */
	char text[TEXT_MAX];
};

struct journal_fixture {
	char dir[64];
	char log[96];      /* the journal's folder */
	char boot_path[96];
	struct journal_config config;
	struct journal *journal;
	struct journal_recovery recovery;
	struct err err;
	/* What the last opening read back. */
	struct seen *seen;
	size_t count;
	int replay_rc; /* what the replay is to return */
};

static inline void boot_set(struct journal_fixture *fix, const char *id)
{
	assert_int_equal(io_replace_file(AT_FDCWD, fix->boot_path, id, strlen(id)), 0);
}

static inline void journal_fixture_init(struct journal_fixture *fix)
{
	const char *tmp = getenv("TMPDIR");

	memset(fix, 0, sizeof(*fix));
	snprintf(fix->dir, sizeof(fix->dir), "%s/git-fs-test-XXXXXX", tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(fix->dir));
	snprintf(fix->log, sizeof(fix->log), "%s/journal", fix->dir);
	snprintf(fix->boot_path, sizeof(fix->boot_path), "%s/boot", fix->dir);
	fix->seen = calloc(FRAMES_MAX, sizeof(*fix->seen));
	assert_non_null(fix->seen);
	boot_set(fix, "11111111-2222-3333-4444-555555555555\n");
	fix->config = (struct journal_config){
		.dir = fix->log, .algo = HASH_SHA1, .boot_id_path = fix->boot_path
	};
}

static inline void journal_fixture_release(struct journal_fixture *fix)
{
	const char *argv[] = { "rm", "-rf", "--", fix->dir, NULL };
	AUTO_BUF struct buf out = BUF_INIT;

	journal_close(fix->journal);
	free(fix->seen);
	assert_int_equal(proc_run(argv, NULL, NULL, &out, NULL, 30000, NULL), 0);
}

static inline int keep_frame(void *arg, const struct journal_frame *frame)
{
	struct journal_fixture *fix = arg;
	size_t len = strnlen((const char *)frame->items, frame->items_len);
	struct seen *seen = &fix->seen[fix->count];

	assert_true(fix->count < FRAMES_MAX);
	seen->frame = *frame;
	seen->frame.items = NULL;
	snprintf(seen->text, sizeof(seen->text), "%.*s", (int)len, (const char *)frame->items);
	fix->count++;
	return fix->replay_rc;
}

static inline int try_open(struct journal_fixture *fix)
{
	fix->count = 0;
	fix->err = (struct err)ERR_INIT;
	return journal_open(&fix->journal, &fix->config, keep_frame, fix, &fix->recovery,
			    &fix->err);
}

static inline void open_journal(struct journal_fixture *fix)
{
	if (try_open(fix) < 0)
		fail_msg("journal: %s", fix->err.msg);
}

static inline void close_journal(struct journal_fixture *fix)
{
	journal_close(fix->journal);
	fix->journal = NULL;
}

static inline void reopen(struct journal_fixture *fix)
{
	close_journal(fix);
	open_journal(fix);
}

/* `text` as the items, in two pieces if it is longer than eight bytes. */
static inline int append_text(struct journal *journal, const char *text, uint64_t unique,
			      enum journal_need need, struct journal_place *out)
{
	AUTO_BUF struct buf frame = BUF_INIT;
	struct journal_place place;
	size_t len = strlen(text);
	size_t first = len > 8 ? 8 : len;

	if (buf_reserve(&frame, JOURNAL_HEAD_LEN) < 0)
		return -ENOMEM;
	frame.len = JOURNAL_HEAD_LEN;
	if (buf_append(&frame, text, first) < 0)
		return -ENOMEM;
	struct iovec rest = { .iov_base = (void *)(uintptr_t)(text + first),
			      .iov_len = len - first };

	return journal_append(journal, &frame, rest, unique, need, out != NULL ? out : &place);
}

static inline struct journal_place append(struct journal_fixture *fix, const char *text)
{
	struct journal_place place = { 0 };

	assert_int_equal(append_text(fix->journal, text, 0, JOURNAL_NORMAL, &place), 0);
	return place;
}

static inline void append_numbers(struct journal_fixture *fix, int from, int to)
{
	char text[TEXT_MAX];

	for (int i = from; i < to; i++) {
		snprintf(text, sizeof(text), "frame %d, and what it says", i);
		append(fix, text);
	}
}

/* Read back were frames of these numbers, from the `at`th on. */
static inline void expect_numbers(const struct journal_fixture *fix, size_t at, int from, int to)
{
	char text[TEXT_MAX];

	for (int i = from; i < to; i++, at++) {
		snprintf(text, sizeof(text), "frame %d, and what it says", i);
		assert_true(at < fix->count);
		assert_string_equal(fix->seen[at].text, text);
	}
}

static inline struct journal_stats stats_of(const struct journal_fixture *fix)
{
	struct journal_stats stats;

	journal_stats(fix->journal, &stats);
	return stats;
}

static inline void segment_path(const struct journal_fixture *fix, uint64_t number, char out[160])
{
	snprintf(out, 160, "%s/%016llx.log", fix->log, (unsigned long long)number);
}

/* How many names in the folder begin like that; the last one's path and size. */
static inline size_t count_files(const struct journal_fixture *fix, const char *prefix,
				 char path_out[512], off_t *size_out)
{
	DIR *dir = opendir(fix->log);
	size_t count = 0;

	assert_non_null(dir);
	for (struct dirent *at; (at = readdir(dir)) != NULL;) {
		struct stat st;

		if (strncmp(at->d_name, prefix, strlen(prefix)) != 0)
			continue;
		count++;
		if (path_out == NULL)
			continue;
		snprintf(path_out, 512, "%s/%s", fix->log, at->d_name);
		assert_int_equal(stat(path_out, &st), 0);
		*size_out = st.st_size;
	}
	closedir(dir);
	return count;
}

#endif
