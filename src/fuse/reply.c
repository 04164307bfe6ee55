/* From attributes to replies. */
#include <errno.h>
#include <sys/stat.h>

#include "fuse/session_internal.h"

#define BLOCK_SIZE 4096

void stat_fill(const struct worktree_attr *attr, struct stat *out)
{
	*out = (struct stat){
		.st_ino = attr->id,
		.st_mode = attr->mode,
		.st_nlink = attr->nlink,
		.st_uid = attr->uid,
		.st_gid = attr->gid,
		.st_rdev = attr->rdev,
		.st_size = (off_t)attr->size,
		.st_blksize = BLOCK_SIZE,
		.st_blocks = (blkcnt_t)attr->blocks,
		.st_atim = attr->atime,
		.st_mtim = attr->mtime,
		.st_ctim = attr->ctime,
	};
}

bool attr_is_whole(const struct worktree_attr *attr)
{
	return attr->size_known || S_ISDIR(attr->mode);
}

void entry_fill(const struct worktree_attr *attr, struct fuse_entry_param *out)
{
	*out = (struct fuse_entry_param){
		.ino = attr->id,
		.attr_timeout = attr_is_whole(attr) ? FOR_EVER : 0,
		.entry_timeout = FOR_EVER,
	};
	stat_fill(attr, &out->attr);
}

void reply_entry(struct op *op, const struct worktree_attr *attr)
{
	struct fuse_entry_param entry;

	entry_fill(attr, &entry);
	if (fuse_reply_entry(op->req, &entry) == -ENOENT)
		worktree_forget(op->session->worktree, attr->id, 1);
}
