/*
 * Looking an overlay over: what recovery found, and whether every byte of it can be
 * read. Changes nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "worktree/changes.h"
#include "worktree/worktree_internal.h"

struct verify {
	struct worktree *tree;
	worktree_finding_fn *finding;
	void *arg;
};

__attribute__((format(printf, 2, 3))) static int say(struct verify *verify, const char *fmt, ...)
{
	AUTO_BUF struct buf words = BUF_INIT;
	va_list args;

	va_start(args, fmt);
	int rc = buf_vprintf(&words, fmt, args);

	va_end(args);
	return rc == 0 ? verify->finding(verify->arg, buf_str(&words)) : rc;
}

static int verify_recovery(struct verify *verify)
{
	const struct journal_recovery *found = &verify->tree->recovery;
	uint64_t condemned = atomic_load(&verify->tree->condemned);
	int rc = 0;

	if (found->damaged_frames > 0)
		rc = say(verify,
			 "the journal was damaged: %" PRIu64 " records are lost, %" PRIu64
			 " bytes of it were no records any more (kept in journal/damaged-*)",
			 found->damaged_frames, found->damaged_bytes);
	if (rc == 0 && condemned > 0)
		rc = say(verify, "%" PRIu64 " files or names could not be put together again",
			 condemned);
	if (rc == 0 && verify->tree->failed != 0)
		rc = say(verify, "nothing can be changed any more, as the disk failed: %s",
			 err_name(verify->tree->failed));
	return rc;
}

static int path_words(struct worktree *tree, uint64_t id, struct buf *out)
{
	int rc = worktree_path(tree, id, out);

	return rc == -ESTALE ? buf_printf(out, "(without a name, number %" PRIu64 ")", id) : rc;
}

static int verify_file(struct verify *verify, uint64_t id)
{
	static const size_t piece = (size_t)1 << 20;
	AUTO_BUF struct buf path = BUF_INIT;
	AUTO_BUF struct buf data = BUF_INIT;
	struct worktree_attr attr;
	struct want want = WANT_INIT;
	struct worktree_read read = { .len = piece };
	int rc = worktree_getattr(verify->tree, id, 0, &attr, &want);
	ssize_t got = 0;

	if (rc == 0)
		rc = buf_reserve(&data, piece);
	read.data = data.data;
	while (rc == 0) {
		got = worktree_read(verify->tree, id, &read, &want);
		if (got <= 0)
			break;
		read.offset += (uint64_t)got;
	}
	want_release(&want);
	if (rc == -ESTALE || got == -ESTALE)
		return 0; /* it went meanwhile */
	if (rc == 0 && got == 0)
		return 0;
	rc = rc < 0 ? rc : (int)got;
	if (rc == -ENOMEM)
		return rc;
	int named = path_words(verify->tree, id, &path);

	return named < 0 ? named : say(verify, "%s: its contents cannot be read: %s",
				       buf_str(&path), err_name(rc));
}

/* Ids of files whose contents are the overlay's. */
static int collect(struct worktree *tree, uint64_t **out, size_t *count_out)
{
	size_t count = 0;

	pthread_rwlock_rdlock(&tree->lock);
	uint64_t *ids = malloc((tree->locals_count + 1) * sizeof(*ids));

	for (struct local *at = tree->locals; ids != NULL && at != NULL; at = at->next) {
		WITH_LOCK(&at->lock);
		if (at->changed && at->meta.contents > CONTENTS_BASE)
			ids[count++] = at->node->id;
	}
	pthread_rwlock_unlock(&tree->lock);
	if (ids == NULL)
		return -ENOMEM;
	*out = ids;
	*count_out = count;
	return 0;
}

int worktree_verify(struct worktree *tree, worktree_finding_fn *finding, void *arg)
{
	struct verify verify = { .tree = tree, .finding = finding, .arg = arg };
	uint64_t *ids = NULL;
	size_t count = 0;
	int rc = tree->journal != NULL ? verify_recovery(&verify) : 0;

	if (rc == 0)
		rc = collect(tree, &ids, &count);
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = verify_file(&verify, ids[i]);
	free(ids);
	return rc;
}
