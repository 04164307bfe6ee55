/*
 * "export": the old and the new contents of what differs, for `git-fs diff`, as files in a
 * folder that the command made for it. Files are named by numbers, so that no path of the
 * mount, however odd, is one of this folder; the reply says what they are:
 *
 *   old MODE FILE PATH     what the base has at the path
 *   new MODE FILE PATH     what stands there now
 *
 * MODE octal, FILE a number, or "=ID" for the commit of a submodule. Of contents that are the
 * same and that nobody needs to see (export_plan.c), nothing is fetched: the file then holds
 * words that are the same in old and new, and in nothing else.
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#include "base/io.h"
#include "cli/export_plan.h"
#include "git/tree.h"

#define PIECE_BYTES ((size_t)1 << 20)

struct exporting {
	struct run *run;
	struct control_reply *reply;
	int dirfd;
	uint64_t files; /* made so far */
	struct buf piece;
};

/* --- files --- */

/* Where bytes come from: a node as it is now, or an object of the base. */
struct source {
	struct run *run;
	uint64_t id;           /* 0: the object */
	const struct oid *oid;
	bool link;             /* the node is a symlink */
	struct worktree_read read;
	ssize_t got;
};

static int source_ask(void *arg, struct want *want)
{
	struct source *source = arg;
	struct worktree *tree = source->run->worktree;

	if (source->id != 0)
		source->got = worktree_read(tree, source->id, &source->read, want);
	else
		source->got = store_read_at(source->run->store, source->oid, source->read.offset,
					    source->read.data, source->read.len);
	if (source->id == 0 && source->got == ERR_NOT_FOUND) {
		int ret = want_one(want, WANT_BLOB, source->oid);

		return ret < 0 ? ret : ERR_AGAIN;
	}
	return source->got < 0 ? (int)source->got : 0;
}

static int new_file(struct exporting *export, uint64_t *number_out)
{
	char name[32];
	int fd;

	snprintf(name, sizeof(name), "%" PRIu64, export->files + 1);
	fd = io_open(export->dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	if (fd >= 0)
		*number_out = ++export->files;
	return fd;
}

static int copy(struct exporting *export, struct source *source, int fd)
{
	int ret;

	source->read.data = export->piece.data;
	source->read.len = PIECE_BYTES;
	do {
		if (cancel_is_set(&export->run->signals.cancel))
			return ERR_CANCELLED;
		ret = answer_fetching(export->run, source_ask, source);
		if (ret == 0 && source->got > 0)
			ret = io_write(fd, source->read.data, (size_t)source->got);
		source->read.offset += ret == 0 ? (uint64_t)source->got : 0;
	} while (ret == 0 && source->got > 0);
	return ret;
}

struct target_ask {
	struct worktree *tree;
	uint64_t id;
	struct buf *out;
};

static int target_ask(void *arg, struct want *want)
{
	struct target_ask *ask = arg;

	buf_clear(ask->out);
	return worktree_readlink(ask->tree, ask->id, ask->out, want);
}

static int copy_target(struct exporting *export, struct source *source, int fd)
{
	AUTO_BUF struct buf target = BUF_INIT_MAX(PATH_MAX);
	struct target_ask ask = { .tree = export->run->worktree, .id = source->id, .out = &target };
	int ret = answer_fetching(export->run, target_ask, &ask);

	return ret == 0 ? io_write(fd, target.data, target.len) : ret;
}

/* A file with what the source has; its number in *number_out. */
static int export_source(struct exporting *export, struct source *source, uint64_t *number_out)
{
	AUTO_CLOSE int fd = new_file(export, number_out);

	if (fd < 0)
		return fd;
	return source->link ? copy_target(export, source, fd) : copy(export, source, fd);
}

/* A file that stands for contents which are the same, old and new. */
static int export_words(struct exporting *export, const char *old_path, uint64_t *number_out)
{
	AUTO_BUF struct buf words = BUF_INIT;
	AUTO_CLOSE int fd = new_file(export, number_out);
	int ret = fd < 0 ? fd : buf_printf(&words, "as before: %s\n", old_path);

	return ret == 0 ? io_write(fd, words.data, words.len) : ret;
}

static int tell(struct exporting *export, const char *side, uint32_t mode, uint64_t number,
		const char *path)
{
	return control_reply_add(export->reply, side, "%o %" PRIu64 " %s", mode, number, path);
}

/* --- entries --- */

static int tell_submodule(struct exporting *export, const char *side, const struct oid *commit,
			  const char *path)
{
	char hex[OID_HEX_MAX + 1];

	return control_reply_add(export->reply, side, "%o =%s %s", TREE_MODE_GITLINK,
				 oid_to_hex(commit, hex), path);
}

static int export_same(struct exporting *export, const struct export_entry *entry)
{
	uint64_t number;
	int ret = export_words(export, entry->old_path, &number);

	if (ret == 0)
		ret = tell(export, "old", entry->old_mode, number, entry->old_path);
	return ret == 0 ? tell(export, "new", entry->mode, number, entry->path) : ret;
}

static int export_old(struct exporting *export, const struct export_entry *entry)
{
	bool by_node = !oid_is_set(&entry->old_oid);
	struct source source = { .run = export->run, .oid = &entry->old_oid,
				 .id = by_node ? entry->id : 0,
				 .link = by_node && entry->mode == TREE_MODE_LINK };
	uint64_t number;
	int ret;

	if (entry->old_mode == TREE_MODE_GITLINK)
		return tell_submodule(export, "old", &entry->old_oid, entry->old_path);
	ret = export_source(export, &source, &number);
	return ret == 0 ? tell(export, "old", entry->old_mode, number, entry->old_path) : ret;
}

static int export_new(struct exporting *export, const struct export_entry *entry)
{
	struct source source = { .run = export->run, .id = entry->id,
				 .link = entry->mode == TREE_MODE_LINK };
	uint64_t number;
	int ret;

	if (entry->mode == TREE_MODE_GITLINK)
		return tell_submodule(export, "new", &entry->old_oid, entry->path);
	ret = export_source(export, &source, &number);
	if (ret == -ESTALE)
		return 0; /* it went meanwhile */
	return ret == 0 ? tell(export, "new", entry->mode, number, entry->path) : ret;
}

static int export_entry(struct exporting *export, const struct export_entry *entry)
{
	int ret = 0;

	if (entry->same)
		return export_same(export, entry);
	if (entry->old_path != NULL)
		ret = export_old(export, entry);
	return ret == 0 && entry->path != NULL ? export_new(export, entry) : ret;
}

/* --- all of it --- */

static int export_all(struct exporting *export, const struct export_plan *plan)
{
	for (size_t i = 0; i < plan->count; i++) {
		const struct export_entry *entry = &plan->items[i];
		int ret = export_entry(export, entry);

		if (ret < 0) {
			int told = control_reply_error(export->reply, "%s: %s",
						       entry->path != NULL ? entry->path :
									     entry->old_path,
						       err_name(ret));

			return told < 0 ? told : ret;
		}
	}
	return 0;
}

int export_changes(struct run *run, const char *const *words, size_t count,
		   struct control_reply *reply)
{
	AUTO_CLOSE int dirfd = io_open(AT_FDCWD, words[0], O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	struct exporting export = {
		.run = run,
		.reply = reply,
		.dirfd = dirfd,
		.piece = BUF_INIT_MAX(PIECE_BYTES),
	};
	struct differences list = DIFFERENCES_INIT;
	struct export_plan plan = EXPORT_PLAN_INIT;
	int ret = dirfd < 0 ? dirfd : buf_reserve(&export.piece, PIECE_BYTES);

	if (ret == 0)
		ret = answer_differences(run, &list, NULL);
	if (ret == 0)
		ret = export_plan_make(&plan, run, &list, words + 1, count - 1);
	if (ret == 0)
		ret = export_all(&export, &plan);
	export_plan_release(&plan);
	differences_release(&list);
	buf_release(&export.piece);
	return ret;
}
