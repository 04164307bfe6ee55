/*
 * Operations that change something: from the request to the worktree and back. On a
 * read-only mount the kernel answers most of them itself; the worktree answers EROFS.
 */
#define FUSE_USE_VERSION 314

#include <errno.h>
#include <sys/stat.h>

#include "fuse/session_internal.h"

static struct worktree *tree_of(const struct op *op)
{
	return op->session->worktree;
}

/* --- new names --- */

static int run_create(struct op *op, struct buf *scratch, struct want *want)
{
	struct worktree_attr attr;

	(void)scratch;
	(void)want;
	op->what.target = op->other_name;
	int rc = worktree_create(tree_of(op), &op->by, op->ino, op->name, &op->what, &attr);

	if (rc == 0)
		reply_entry(op, &attr);
	return rc;
}

void change_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	session_run(&(struct op){ .req = req,
				  .run = run_create,
				  .what_for = "mknod",
				  .ino = parent,
				  .name = name,
				  .what = { .mode = (mode & S_IFMT) != 0 ? mode : mode | S_IFREG,
					    .rdev = rdev } });
}

void change_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	session_run(&(struct op){ .req = req,
				  .run = run_create,
				  .what_for = "mkdir",
				  .ino = parent,
				  .name = name,
				  .what = { .mode = (mode & ~(mode_t)S_IFMT) | S_IFDIR } });
}

void change_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	session_run(&(struct op){ .req = req,
				  .run = run_create,
				  .what_for = "symlink",
				  .ino = parent,
				  .name = name,
				  .other_name = target,
				  .what = { .mode = S_IFLNK | 0777 } });
}

static int run_create_open(struct op *op, struct buf *scratch, struct want *want)
{
	const char *name = op->marks.is_tmpfile ? NULL : op->name;
	struct fuse_file_info fi = { .keep_cache = 1 };
	struct fuse_entry_param entry;
	struct worktree_attr attr;
	int rc = worktree_create(tree_of(op), &op->by, op->ino, name, &op->what, &attr);

	(void)scratch;
	(void)want;
	if (rc < 0)
		return rc;
	entry_fill(&attr, &entry);
	if (fuse_reply_create(op->req, &entry, &fi) == -ENOENT)
		worktree_forget(tree_of(op), attr.id, 1);
	return 0;
}

/* Answered ENOSYS once, the kernel makes new files by mknod, whose close needs no
 * request. A file without a name can be had this way alone. */
void change_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		   struct fuse_file_info *fi)
{
	enum mechanism needed = session_marks()->is_tmpfile ? MECH_TMPFILE : MECH_NO_CREATE;

	(void)fi;
	if (session_uses(session_of(req), needed) != session_marks()->is_tmpfile) {
		fuse_reply_err(req, ENOSYS);
		return;
	}
	session_run(&(struct op){ .req = req,
				  .run = run_create_open,
				  .what_for = "create",
				  .ino = parent,
				  .name = name,
				  .what = { .mode = (mode & ~(mode_t)S_IFMT) | S_IFREG } });
}

static int run_link(struct op *op, struct buf *scratch, struct want *want)
{
	struct worktree_attr attr;
	int rc = worktree_link(tree_of(op), &op->by, op->ino, op->new_parent, op->name, &attr);

	(void)scratch;
	(void)want;
	if (rc == 0)
		reply_entry(op, &attr);
	return rc;
}

void change_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	session_run(&(struct op){ .req = req,
				  .run = run_link,
				  .what_for = "link",
				  .ino = ino,
				  .new_parent = parent,
				  .name = name });
}

/* --- names that go or move --- */

static int reply_done(struct op *op, int rc)
{
	if (rc == 0)
		fuse_reply_err(op->req, 0);
	return rc;
}

static int run_unlink(struct op *op, struct buf *scratch, struct want *want)
{
	(void)scratch;
	(void)want;
	return reply_done(op, worktree_unlink(tree_of(op), &op->by, op->ino, op->name));
}

void change_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	session_run(&(struct op){ .req = req,
				  .run = run_unlink,
				  .what_for = "unlink",
				  .ino = parent,
				  .name = name });
}

static int run_rmdir(struct op *op, struct buf *scratch, struct want *want)
{
	(void)scratch;
	(void)want;
	return reply_done(op, worktree_rmdir(tree_of(op), &op->by, op->ino, op->name));
}

void change_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	session_run(&(struct op){
		.req = req, .run = run_rmdir, .what_for = "rmdir", .ino = parent, .name = name });
}

static int run_rename(struct op *op, struct buf *scratch, struct want *want)
{
	struct worktree_move move = { .parent = op->ino,
				      .name = op->name,
				      .new_parent = op->new_parent,
				      .new_name = op->other_name,
				      .flags = op->flags };

	(void)scratch;
	(void)want;
	return reply_done(op, worktree_rename(tree_of(op), &op->by, &move));
}

void change_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
		   const char *new_name, unsigned flags)
{
	session_run(&(struct op){ .req = req,
				  .run = run_rename,
				  .what_for = "rename",
				  .ino = parent,
				  .name = name,
				  .new_parent = new_parent,
				  .other_name = new_name,
				  .flags = flags });
}

/* --- attributes --- */

static int run_setattr(struct op *op, struct buf *scratch, struct want *want)
{
	struct worktree_attr attr;
	struct stat st;
	int rc = worktree_setattr(tree_of(op), &op->by, op->ino, &op->change, &attr);

	(void)scratch;
	(void)want;
	if (rc < 0)
		return rc;
	stat_fill(&attr, &st);
	fuse_reply_attr(op->req, &st, FOR_EVER);
	return 0;
}

static struct timespec time_asked(const struct timespec *time, bool is_now)
{
	return is_now ? (struct timespec){ .tv_nsec = UTIME_NOW } : *time;
}

static struct worktree_change change_of(const struct stat *attr, int to_set, bool kill_setid)
{
	static const struct {
		int asked;
		unsigned what;
	} table[] = {
		{ FUSE_SET_ATTR_MODE, CHANGE_MODE },   { FUSE_SET_ATTR_UID, CHANGE_UID },
		{ FUSE_SET_ATTR_GID, CHANGE_GID },     { FUSE_SET_ATTR_SIZE, CHANGE_SIZE },
		{ FUSE_SET_ATTR_ATIME, CHANGE_ATIME }, { FUSE_SET_ATTR_MTIME, CHANGE_MTIME },
		{ FUSE_SET_ATTR_CTIME, CHANGE_CTIME },
	};
	struct worktree_change change = {
		.what = kill_setid ? CHANGE_KILL_SETID : 0,
		.mode = attr->st_mode,
		.uid = attr->st_uid,
		.gid = attr->st_gid,
		.size = (uint64_t)attr->st_size,
		.atime = time_asked(&attr->st_atim, (to_set & FUSE_SET_ATTR_ATIME_NOW) != 0),
		.mtime = time_asked(&attr->st_mtim, (to_set & FUSE_SET_ATTR_MTIME_NOW) != 0),
		.ctime = attr->st_ctim,
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if ((to_set & table[i].asked) != 0)
			change.what |= table[i].what;
	return change;
}

void change_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		    struct fuse_file_info *fi)
{
	(void)fi;
	session_run(&(struct op){
		.req = req,
		.run = run_setattr,
		.what_for = "setattr",
		.ino = ino,
		.change = change_of(attr, to_set, session_marks()->kill_setid) });
}

/* --- contents --- */

static int run_write(struct op *op, struct buf *scratch, struct want *want)
{
	struct worktree_write write = { .offset = op->offset,
					.data = op->data,
					.len = op->size,
					.kill_setid = op->marks.kill_setid };
	int rc = worktree_write(tree_of(op), &op->by, op->ino, &write);

	(void)scratch;
	(void)want;
	if (rc == 0)
		fuse_reply_write(op->req, op->size);
	return rc;
}

void change_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t len, off_t offset,
		  struct fuse_file_info *fi)
{
	(void)fi;
	session_run(&(struct op){ .req = req,
				  .run = run_write,
				  .what_for = "write",
				  .ino = ino,
				  .data = data,
				  .size = len,
				  .offset = (uint64_t)offset });
}

static int run_allocate(struct op *op, struct buf *scratch, struct want *want)
{
	struct worktree_range range = { .offset = op->offset,
					.len = op->len,
					.mode = (int)op->flags };

	(void)scratch;
	(void)want;
	return reply_done(op, worktree_allocate(tree_of(op), &op->by, op->ino, &range));
}

void change_allocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t len,
		     struct fuse_file_info *fi)
{
	(void)fi;
	session_run(&(struct op){ .req = req,
				  .run = run_allocate,
				  .what_for = "fallocate",
				  .ino = ino,
				  .offset = (uint64_t)offset,
				  .len = (uint64_t)len,
				  .flags = (unsigned)mode });
}

static int run_fsync(struct op *op, struct buf *scratch, struct want *want)
{
	(void)scratch;
	(void)want;
	return reply_done(op, worktree_sync_node(tree_of(op), op->ino));
}

/* Also of folders: what was done to their names stands in the journal. */
void change_fsync(fuse_req_t req, fuse_ino_t ino, int data_only, struct fuse_file_info *fi)
{
	(void)fi;
	(void)data_only;
	session_run(
		&(struct op){ .req = req, .run = run_fsync, .what_for = "fsync", .ino = ino });
}
