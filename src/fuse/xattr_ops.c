/*
 * Extended attributes: user.* where the mount was made with -o xattr, else none at
 * all. ENOSYS makes the kernel answer EOPNOTSUPP by itself from then on.
 */
#define FUSE_USE_VERSION 314

#include <errno.h>
#include <string.h>

#include "fuse/session_internal.h"

static bool refused(fuse_req_t req)
{
	if (session_of(req)->xattr)
		return false;
	fuse_reply_err(req, ENOSYS);
	return true;
}

static int run_set(struct op *op, struct buf *scratch, struct want *want)
{
	struct worktree_xattr xattr = { .name = op->name,
					.value = op->data != NULL ? op->data : "",
					.len = op->size,
					.flags = (int)op->flags };
	int rc = worktree_setxattr(op->session->worktree, &op->by, op->ino, &xattr);

	(void)scratch;
	(void)want;
	if (rc == 0)
		fuse_reply_err(op->req, 0);
	return rc;
}

void xattr_set(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t len,
	       int flags)
{
	if (refused(req))
		return;
	session_run(&(struct op){ .req = req,
				  .run = run_set,
				  .what_for = "setxattr",
				  .ino = ino,
				  .name = name,
				  .data = value,
				  .size = len,
				  .flags = (unsigned)flags });
}

static int run_remove(struct op *op, struct buf *scratch, struct want *want)
{
	int rc = worktree_removexattr(op->session->worktree, &op->by, op->ino, op->name);

	(void)scratch;
	(void)want;
	if (rc == 0)
		fuse_reply_err(op->req, 0);
	return rc;
}

void xattr_remove(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	if (refused(req))
		return;
	session_run(&(struct op){ .req = req,
				  .run = run_remove,
				  .what_for = "removexattr",
				  .ino = ino,
				  .name = name });
}

/* The answer to getxattr and listxattr: its length, or itself where there is room. */
static int reply_value(struct op *op, const struct buf *value)
{
	if (op->size == 0)
		fuse_reply_xattr(op->req, value->len);
	else if (value->len > op->size)
		return -ERANGE;
	else
		fuse_reply_buf(op->req, (const char *)value->data, value->len);
	return 0;
}

static int run_get(struct op *op, struct buf *scratch, struct want *want)
{
	buf_clear(scratch);
	int rc = worktree_getxattr(op->session->worktree, op->ino, op->name, scratch, want);

	return rc == 0 ? reply_value(op, scratch) : rc;
}

void xattr_get(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	if (refused(req))
		return;
	session_run(&(struct op){ .req = req,
				  .run = run_get,
				  .what_for = "getxattr",
				  .ino = ino,
				  .name = name,
				  .size = size });
}

static int run_list(struct op *op, struct buf *scratch, struct want *want)
{
	buf_clear(scratch);
	int rc = worktree_listxattr(op->session->worktree, op->ino, scratch, want);

	return rc == 0 ? reply_value(op, scratch) : rc;
}

void xattr_list(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	if (refused(req))
		return;
	session_run(&(struct op){
		.req = req, .run = run_list, .what_for = "listxattr", .ino = ino, .size = size });
}
