/*
 * The table of operations, and those that change nothing: from a request to the
 * worktree and back to a reply. change_ops.c and xattr_ops.c have the others.
 *
 * Nothing here changes behind the kernel's back unless we tell it, so entries,
 * attributes and absences may be remembered for ever. One exception: a lookup
 * does not wait for the size of a file. Where it is unknown the attributes
 * expire at once, and the kernel asks when somebody wants them.
 */
#define FUSE_USE_VERSION 314

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "base/log.h"
#include "fuse/session_internal.h"

#define READ_MAX ((size_t)1 << 20)
#define BLOCK_SIZE 4096
/* Reads ahead that the kernel sends at once; its own 12 would all be waiting for the
 * remote while others could be answered. Above the second it holds back. */
#define BACKGROUND_MAX 256
#define BACKGROUND_MANY 192

/* --- running operations --- */

static int run_lookup(struct op *op, struct buf *scratch, struct want *want)
{
	struct session *session = op->session;
	struct fuse_entry_param entry;
	struct worktree_attr attr;
	int rc = worktree_lookup(session->worktree, op->ino, op->name, &attr, want);

	(void)scratch;
	if (rc == 0) {
		reply_entry(op, &attr);
	} else if (rc == -ENOENT && session_uses(session, MECH_NEGATIVE)) {
		entry = (struct fuse_entry_param){ .ino = 0, .entry_timeout = FOR_EVER };
		fuse_reply_entry(op->req, &entry);
	} else {
		return rc;
	}
	return 0;
}

static int run_getattr(struct op *op, struct buf *scratch, struct want *want)
{
	struct worktree_attr attr;
	struct stat st;
	int rc = worktree_getattr(op->session->worktree, op->ino, op->by.pid, &attr, want);

	(void)scratch;
	if (rc < 0)
		return rc;
	stat_fill(&attr, &st);
	fuse_reply_attr(op->req, &st, FOR_EVER);
	return 0;
}

static int run_readlink(struct op *op, struct buf *scratch, struct want *want)
{
	buf_clear(scratch);
	int rc = worktree_readlink(op->session->worktree, op->ino, scratch, want);

	if (rc < 0)
		return rc;
	fuse_reply_readlink(op->req, buf_str(scratch));
	return 0;
}

static int run_read(struct op *op, struct buf *scratch, struct want *want)
{
	struct session *session = op->session;
	size_t len = op->size < READ_MAX ? op->size : READ_MAX;

	buf_clear(scratch);
	int rc = buf_reserve(scratch, len);

	if (rc < 0)
		return rc;
	struct worktree_read reading = {
		.offset = op->offset, .data = scratch->data, .len = len, .pid = op->by.pid
	};
	ssize_t got = worktree_read(session->worktree, op->ino, &reading, want);

	if (got < 0)
		return (int)got;
	fuse_reply_buf(op->req, (const char *)scratch->data, (size_t)got);
	if (reading.resized) {
		log_line(LOG_WARN, "fuse", "event=resized node=%" PRIu64 " reason=\"%s\"",
			 (uint64_t)op->ino, "the server had told another size");
		notifier_forget_inode(&session->notifier, op->ino);
	}
	return 0;
}

struct listing {
	struct op *op;
	struct buf *scratch;
};

static enum list_result list_one(void *arg, const char *name, const struct worktree_attr *attr,
				 uint64_t next_position)
{
	struct listing *listing = arg;
	struct op *op = listing->op;
	struct buf *scratch = listing->scratch;
	char *to = (char *)scratch->data + scratch->len;
	size_t room = op->size - scratch->len;
	struct fuse_entry_param entry;
	size_t need;

	entry_fill(attr, &entry);
	if (op->plus) {
		bool dots = strcmp(name, ".") == 0 || strcmp(name, "..") == 0;

		/* Without a node id the kernel takes the name alone and looks it up when needed. */
		if (dots || !attr_is_whole(attr))
			entry.ino = 0;
		need = fuse_add_direntry_plus(op->req, to, room, name, &entry,
					      (off_t)next_position);
	} else {
		need = fuse_add_direntry(op->req, to, room, name, &entry.attr,
					 (off_t)next_position);
	}
	if (need > room)
		return LIST_FULL;
	scratch->len += need;
	return op->plus && entry.ino != 0 ? LIST_LOOKED_UP : LIST_TAKEN;
}

static int run_readdir(struct op *op, struct buf *scratch, struct want *want)
{
	struct listing listing = { .op = op, .scratch = scratch };
	struct worktree_list list = {
		.position = op->offset, .pid = op->by.pid, .visit = list_one, .arg = &listing
	};

	if (op->size > READ_MAX)
		op->size = READ_MAX;
	buf_clear(scratch);
	int rc = buf_reserve(scratch, op->size);

	if (rc == 0)
		rc = worktree_list(op->session->worktree, op->ino, &list, want);
	if (rc < 0)
		return rc;
	fuse_reply_buf(op->req, (const char *)scratch->data, scratch->len);
	return 0;
}

/* --- what libfuse calls --- */

static void do_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	session_run(&(struct op){
		.req = req, .run = run_lookup, .what_for = "lookup", .ino = parent, .name = name });
}

static void do_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)fi;
	session_run(
		&(struct op){ .req = req, .run = run_getattr, .what_for = "getattr", .ino = ino });
}

static void do_readlink(fuse_req_t req, fuse_ino_t ino)
{
	session_run(&(struct op){
		.req = req, .run = run_readlink, .what_for = "readlink", .ino = ino });
}

static void do_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *fi)
{
	(void)fi;
	session_run(&(struct op){ .req = req,
				  .run = run_read,
				  .what_for = "read",
				  .ino = ino,
				  .size = size,
				  .offset = (uint64_t)offset });
}

static void list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, bool plus)
{
	session_run(&(struct op){ .req = req,
				  .run = run_readdir,
				  .what_for = "readdir",
				  .ino = ino,
				  .size = size,
				  .offset = (uint64_t)offset,
				  .plus = plus });
}

static void do_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		       struct fuse_file_info *fi)
{
	(void)fi;
	list(req, ino, size, offset, false);
}

static void do_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
			   struct fuse_file_info *fi)
{
	(void)fi;
	list(req, ino, size, offset, true);
}

/* Answered ENOSYS once, open and opendir are not asked again: the kernel then
 * behaves as if we had said "keep what is cached", which is what we would say. */
static void do_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	if (session_uses(session_of(req), MECH_NO_OPEN)) {
		fuse_reply_err(req, ENOSYS);
		return;
	}
	fi->keep_cache = 1;
	fuse_reply_open(req, fi);
}

static void do_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	if (session_uses(session_of(req), MECH_NO_OPENDIR)) {
		fuse_reply_err(req, ENOSYS);
		return;
	}
	fi->keep_cache = 1;
	fi->cache_readdir = 1;
	fuse_reply_open(req, fi);
}

static void do_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
	worktree_forget(session_of(req)->worktree, ino, nlookup);
	fuse_reply_none(req);
}

static void do_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		worktree_forget(session_of(req)->worktree, forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

static int run_seek(struct op *op, struct buf *scratch, struct want *want)
{
	uint64_t found = 0;
	int rc = worktree_seek(op->session->worktree, op->ino, op->offset, (int)op->flags, &found,
			       want);

	(void)scratch;
	if (rc == 0)
		fuse_reply_lseek(op->req, (off_t)found);
	return rc;
}

static void do_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence,
		     struct fuse_file_info *fi)
{
	(void)fi;
	/* The kernel may have bytes that nobody here knows of: it answers by itself then. */
	if (session_uses(session_of(req), MECH_WRITEBACK)) {
		fuse_reply_err(req, ENOSYS);
		return;
	}
	session_run(&(struct op){ .req = req,
				  .run = run_seek,
				  .what_for = "lseek",
				  .ino = ino,
				  .offset = (uint64_t)offset,
				  .flags = (unsigned)whence });
}

static void do_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct worktree *tree = session_of(req)->worktree;
	struct worktree_stats stats;
	struct statvfs st = {
		.f_bsize = BLOCK_SIZE,
		.f_frsize = BLOCK_SIZE,
		.f_namemax = NAME_MAX,
		.f_flag = ST_RDONLY,
	};

	(void)ino;
	if (session_of(req)->writable) {
		int rc = worktree_statfs(tree, &st);

		st.f_namemax = NAME_MAX;
		if (rc < 0)
			fuse_reply_err(req, EIO);
		else
			fuse_reply_statfs(req, &st);
		return;
	}
	worktree_stats(tree, &stats);
	st.f_files = stats.nodes;
	fuse_reply_statfs(req, &st);
}

/* What the kernel offers and we use, of one mechanism. */
static bool mechanism_set(struct session *session, struct fuse_conn_info *conn,
			  enum mechanism mechanism, unsigned capability)
{
	uint32_t bit = 1U << mechanism;
	bool offered = capability == 0 || (conn->capable & capability) != 0;

	if (offered)
		session->state.offered |= bit;
	if (!offered || (session->off & bit) != 0)
		return false;
	session->state.used |= bit;
	conn->want |= capability;
	return true;
}

static void do_init(void *userdata, struct fuse_conn_info *conn)
{
	struct session *session = userdata;
	struct mechanism_state *state = &session->state;

	state->used = 0;
	state->off = session->off;
	conn->want = 0; /* libfuse's own choices are not ours */
	mechanism_set(session, conn, MECH_NO_OPEN, FUSE_CAP_NO_OPEN_SUPPORT);
	mechanism_set(session, conn, MECH_NO_OPENDIR, FUSE_CAP_NO_OPENDIR_SUPPORT);
	mechanism_set(session, conn, MECH_READDIRPLUS, FUSE_CAP_READDIRPLUS);
	mechanism_set(session, conn, MECH_CACHE_SYMLINKS, FUSE_CAP_CACHE_SYMLINKS);
	mechanism_set(session, conn, MECH_PARALLEL_DIROPS, FUSE_CAP_PARALLEL_DIROPS);
	mechanism_set(session, conn, MECH_ASYNC_READ, FUSE_CAP_ASYNC_READ);
	mechanism_set(session, conn, MECH_EXPLICIT_INVAL, FUSE_CAP_EXPLICIT_INVAL_DATA);
	mechanism_set(session, conn, MECH_NEGATIVE, 0);
	if (session->writable) {
		mechanism_set(session, conn, MECH_NO_CREATE, 0);
		mechanism_set(session, conn, MECH_TMPFILE, 0);
		if (session->writeback)
			mechanism_set(session, conn, MECH_WRITEBACK, FUSE_CAP_WRITEBACK_CACHE);
		else if ((conn->capable & FUSE_CAP_WRITEBACK_CACHE) != 0)
			state->offered |= 1U << MECH_WRITEBACK; /* not asked for, but there */
	}
	if (session->killpriv)
		state->used |= 1U << MECH_KILLPRIV;
	if (session->device.clone)
		mechanism_set(session, conn, MECH_CLONE_FD, 0);
	if (!mechanism_set(session, conn, MECH_BIG_REQUESTS, 0))
		conn->max_write = 128 << 10; /* libfuse makes of it how much one request carries */
	conn->max_background = BACKGROUND_MAX;
	conn->congestion_threshold = BACKGROUND_MANY;
	state->proto_major = conn->proto_major;
	state->proto_minor = conn->proto_minor;
	state->max_read_bytes = conn->max_write;
	state->max_readahead_bytes = conn->max_readahead;
	atomic_store(&session->ready, true);
}

const struct fuse_lowlevel_ops session_ops = {
	.init = do_init,
	.lookup = do_lookup,
	.forget = do_forget,
	.forget_multi = do_forget_multi,
	.getattr = do_getattr,
	.readlink = do_readlink,
	.open = do_open,
	.read = do_read,
	.opendir = do_opendir,
	.readdir = do_readdir,
	.readdirplus = do_readdirplus,
	.statfs = do_statfs,
	.lseek = do_lseek,
	.setattr = change_setattr,
	.mknod = change_mknod,
	.mkdir = change_mkdir,
	.symlink = change_symlink,
	.create = change_create,
	.unlink = change_unlink,
	.rmdir = change_rmdir,
	.rename = change_rename,
	.link = change_link,
	.write = change_write,
	.fallocate = change_allocate,
	.fsync = change_fsync,
	.fsyncdir = change_fsync,
	.setxattr = xattr_set,
	.getxattr = xattr_get,
	.listxattr = xattr_list,
	.removexattr = xattr_remove,
};
