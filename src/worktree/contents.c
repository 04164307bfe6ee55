/*
 * Changing contents: writes, allocation, holes. The states are local.h's; moving
 * from one to the next is contents_file.c's.
 *
 * A write to a file in the journal is one frame: attributes and bytes. A write to a
 * data file goes there first, then its attributes are recorded: what a frame says
 * of the size is there when the frame is.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/io.h"
#include "worktree/worktree_internal.h"

#define META_FRAME_ROOM 256 /* bytes; a frame of attributes is shorter */

static bool in_group(const struct worktree_request *request, uint32_t gid)
{
	return request->gid == gid ||
	       (request->in_group != NULL && request->in_group(request, gid));
}

void meta_kill_setid(const struct worktree_request *request, struct meta *meta)
{
	meta->mode &= ~(uint32_t)S_ISUID;
	/* Without the group's execute bit it means mandatory locking, once: that stays where
	 * the caller might have set it himself. */
	if ((meta->mode & S_ISGID) != 0 &&
	    ((meta->mode & S_IXGRP) != 0 || !in_group(request, meta->gid)))
		meta->mode &= ~(uint32_t)S_ISGID;
}

static void touch(struct meta *meta)
{
	meta->mtime = meta->ctime = time_now();
}

/* --- reading --- */

ssize_t local_read(struct worktree *tree, struct local *local, struct worktree_read *read)
{
	struct datafile *file;

	pthread_mutex_lock(&local->lock);
	struct meta meta = local->meta;
	size_t len = read->len;
	int rc = !local->changed || meta.contents == CONTENTS_BASE ? -ENODATA : 0;

	if (rc == 0 && local->lost)
		rc = -EIO;
	if (rc == 0 && read->offset >= meta.size)
		len = 0;
	else if (rc == 0 && len > meta.size - read->offset)
		len = (size_t)(meta.size - read->offset);
	if (rc == 0 && len > 0 && meta.contents == CONTENTS_LOG)
		rc = contents_read_log(tree, local, read->offset, read->data, len);
	else if (rc == 0 && len > 0)
		rc = contents_datafile(tree, local, &meta, &file);
	pthread_mutex_unlock(&local->lock);
	if (rc < 0)
		return rc;
	if (len == 0 || meta.contents == CONTENTS_LOG)
		return (ssize_t)len;
	ssize_t got = io_pread(file->fd, read->data, len, read->offset);

	datafile_put(tree->files, file);
	if (got >= 0 && (size_t)got < len) /* a hole at the end */
		memset((uint8_t *)read->data + got, 0, len - (size_t)got);
	return got < 0 ? got : (ssize_t)len;
}

/* --- writing --- */

static int append_write(struct worktree *tree, const struct worktree_request *request,
			struct local *local, const struct meta *meta,
			const struct worktree_write *write, bool replaces)
{
	AUTO_BUF struct buf frame = BUF_INIT;
	struct journal_place place;
	struct iovec data = { .iov_base = (void *)(uintptr_t)write->data, .iov_len = write->len };
	uint64_t id = local->node->id;
	int rc = frame_begin(&frame);

	if (rc == 0)
		rc = item_meta(&frame, id, meta);
	if (rc == 0)
		rc = item_write(&frame, id, write->offset, write->len,
				replaces ? WRITE_REPLACES : 0);
	if (rc == 0)
		rc = frame_append_data(tree, request, &frame, data, JOURNAL_NORMAL, &place);
	if (rc < 0)
		return rc;
	struct extent extent = {
		.offset = (uint32_t)write->offset,
		.len = (uint32_t)write->len,
		.segment = place.segment,
		.at = place.offset + frame.len,
	};

	contents_apply(tree, local, meta, &place);
	return local_add_extent(local, &extent, replaces);
}

/* A file in the journal that has as many extents as it may is written anew. */
static int write_anew(struct worktree *tree, const struct worktree_request *request,
		      struct local *local, const struct meta *meta,
		      const struct worktree_write *write)
{
	uint8_t whole[CONTENTS_LOG_MAX] = { 0 };
	struct worktree_write all = { .data = whole, .len = (size_t)meta->size };
	int rc = contents_read_log(tree, local, 0, whole, (size_t)local->meta.size);

	if (rc < 0)
		return rc;
	memcpy(whole + write->offset, write->data, write->len);
	return append_write(tree, request, local, meta, &all, true);
}

static int write_log(struct worktree *tree, const struct worktree_request *request,
		     struct local *local, struct meta *meta, const struct worktree_write *write)
{
	uint64_t end = write->offset + write->len;
	bool replaces = write->offset == 0 && end >= meta->size;

	if (end > meta->size)
		meta->size = end;
	if (!replaces && local->changed && local->meta.contents == CONTENTS_LOG &&
	    local_extents_full(local))
		return write_anew(tree, request, local, meta, write);
	return append_write(tree, request, local, meta, write, replaces);
}

/* What a change of a data file needs, all of it before the file is touched: once it is,
 * the record must not fail. */
static int begin_file(struct worktree *tree, struct local *local, const struct meta *meta,
		      struct buf *frame, struct datafile **file)
{
	int rc = journal_room(tree->journal, META_FRAME_ROOM);

	if (rc == 0)
		rc = frame_begin(frame);
	if (rc == 0)
		rc = contents_datafile(tree, local, meta, file);
	if (rc == 0)
		contents_set_unsynced(tree, local, true);
	return rc;
}

static int write_file(struct worktree *tree, const struct worktree_request *request,
		      struct local *local, struct meta *meta, const struct worktree_write *write)
{
	uint64_t end = write->offset + write->len;
	uint64_t size = meta->size;
	AUTO_BUF struct buf frame = BUF_INIT;
	struct datafile *file;
	int rc = begin_file(tree, local, meta, &frame, &file);

	if (rc < 0)
		return rc;
	rc = FAILPOINT_ERR("contents.file.write");
	if (rc == 0)
		rc = io_pwrite(file->fd, write->data, write->len, write->offset);
	FAILPOINT("contents.file.written");
	if (end > meta->size)
		meta->size = end;
	if (rc == 0)
		rc = contents_record_in(tree, request, local, meta, &frame, JOURNAL_FREES);
	if (rc < 0 && end > size && io_truncate(file->fd, size) < 0)
		rc = overlay_fail(tree, rc); /* bytes behind the end could come to light */
	datafile_put(tree->files, file);
	local->version++;
	return rc;
}

static int write_locked(struct worktree *tree, const struct worktree_request *request,
			struct local *local, const struct worktree_write *write)
{
	struct meta meta = overlay_meta(tree, local);
	uint64_t end = write->offset + write->len;
	int rc = 0;

	if (meta.contents == CONTENTS_BASE) {
		uint64_t size = node_base_size(tree, local->node);

		if (write->offset == 0 && end >= size) { /* nothing of the base is left */
			meta.contents = CONTENTS_LOG;
			meta.size = 0;
		} else {
			rc = contents_copy_up(tree, local, &meta);
		}
	}
	bool large = meta.contents == CONTENTS_LOG && end > CONTENTS_LOG_MAX;

	if (rc == 0 && large && meta.size > 0)
		rc = contents_spill(tree, local, &meta);
	if (rc < 0)
		return rc;
	touch(&meta);
	if (write->kill_setid)
		meta_kill_setid(request, &meta);
	if (large && meta.size == 0) /* also where the base's contents are void */
		return contents_write_new(tree, request, local, &meta, write);
	if (meta.contents == CONTENTS_LOG)
		return write_log(tree, request, local, &meta, write);
	return write_file(tree, request, local, &meta, write);
}

/* The node of a regular file and its local, ready to be changed. */
static int file_get(struct worktree *tree, const struct worktree_request *request, uint64_t id,
		    struct node **node_out, struct local **local_out)
{
	int rc = overlay_begin(tree);

	if (rc == 0)
		rc = node_get(tree, id, node_out, request->want);
	if (rc < 0)
		return rc;
	if (S_ISDIR((*node_out)->type))
		return -EISDIR;
	if (!S_ISREG((*node_out)->type))
		return -EINVAL;
	rc = size_get(tree, *node_out, request->pid, request->want);
	return rc == 0 ? overlay_pin(tree, *node_out, local_out) : rc;
}

int worktree_write(struct worktree *tree, const struct worktree_request *request, uint64_t id,
		   const struct worktree_write *write)
{
	struct node *node;
	struct local *local;
	int rc = file_get(tree, request, id, &node, &local);

	if (rc < 0 || write->len == 0)
		return rc;
	if (write->offset > INT64_MAX - write->len)
		return -EFBIG;
	pthread_mutex_lock(&local->lock);
	rc = write_locked(tree, request, local, write);
	pthread_mutex_unlock(&local->lock);
	return rc == ERR_NOT_FOUND ? want_contents(tree, node, request->pid, request->want) : rc;
}

/* --- allocation --- */

static int allocate_log(struct worktree *tree, const struct worktree_request *request,
			struct local *local, struct meta *meta, const struct worktree_range *range)
{
	static const uint8_t zeros[CONTENTS_LOG_MAX];
	uint64_t end = range->offset + range->len;

	if ((range->mode & FALLOC_FL_KEEP_SIZE) == 0 && end > meta->size)
		meta->size = end;
	if (end > meta->size)
		end = meta->size;
	if ((range->mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) == 0 ||
	    range->offset >= end)
		return contents_record(tree, request, local, meta, JOURNAL_NORMAL);
	struct worktree_write write = {
		.offset = range->offset, .data = zeros, .len = (size_t)(end - range->offset)
	};

	return write_log(tree, request, local, meta, &write);
}

static int allocate_file(struct worktree *tree, const struct worktree_request *request,
			 struct local *local, struct meta *meta, const struct worktree_range *range)
{
	uint64_t end = range->offset + range->len;
	AUTO_BUF struct buf frame = BUF_INIT;
	struct datafile *file;
	int rc = begin_file(tree, local, meta, &frame, &file);

	if (rc < 0)
		return rc;
	rc = io_fallocate(file->fd, range->mode, range->offset, range->len);
	datafile_put(tree->files, file);
	local->version++;
	if (rc < 0)
		return rc;
	if ((range->mode & FALLOC_FL_KEEP_SIZE) == 0 && end > meta->size)
		meta->size = end;
	return contents_record_in(tree, request, local, meta, &frame, JOURNAL_FREES);
}

static int allocate_locked(struct worktree *tree, const struct worktree_request *request,
			   struct local *local, const struct worktree_range *range)
{
	struct meta meta = overlay_meta(tree, local);
	uint64_t end = range->offset + range->len;
	int rc = 0;

	if (meta.contents == CONTENTS_BASE)
		rc = contents_copy_up(tree, local, &meta);
	if (rc == 0 && meta.contents == CONTENTS_LOG && end > CONTENTS_LOG_MAX &&
	    (range->mode & FALLOC_FL_PUNCH_HOLE) == 0)
		rc = contents_spill(tree, local, &meta);
	if (rc < 0)
		return rc;
	touch(&meta);
	if (meta.contents == CONTENTS_LOG)
		return allocate_log(tree, request, local, &meta, range);
	return allocate_file(tree, request, local, &meta, range);
}

int worktree_allocate(struct worktree *tree, const struct worktree_request *request, uint64_t id,
		      const struct worktree_range *range)
{
	const int known = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE;
	struct node *node;
	struct local *local;
	int rc = file_get(tree, request, id, &node, &local);

	if (rc < 0)
		return rc;
	if ((range->mode & ~known) != 0)
		return -EOPNOTSUPP;
	if (range->len == 0)
		return -EINVAL;
	if (range->offset > INT64_MAX || range->len > INT64_MAX - range->offset)
		return -EFBIG;
	pthread_mutex_lock(&local->lock);
	rc = allocate_locked(tree, request, local, range);
	pthread_mutex_unlock(&local->lock);
	return rc == ERR_NOT_FOUND ? want_contents(tree, node, request->pid, request->want) : rc;
}

/* --- looking for holes --- */

static int seek_file(struct worktree *tree, struct local *local, uint64_t offset, int whence,
		     uint64_t *out)
{
	struct datafile *file;
	int rc = contents_datafile(tree, local, &local->meta, &file);

	if (rc < 0)
		return rc;
	off_t found = lseek(file->fd, (off_t)offset, whence);

	rc = found < 0 ? -errno : 0;
	datafile_put(tree->files, file);
	if (rc == 0)
		*out = (uint64_t)found;
	return rc;
}

int worktree_seek(struct worktree *tree, uint64_t id, uint64_t offset, int whence,
		  uint64_t *out, struct want *want)
{
	struct worktree_attr attr;
	int rc = worktree_getattr(tree, id, 0, &attr, want);
	struct node *node = NULL;

	if (rc == 0)
		rc = node_get(tree, id, &node, want);
	if (rc < 0)
		return rc;
	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return -EINVAL;
	if (offset >= attr.size)
		return -ENXIO;
	pthread_rwlock_rdlock(&tree->lock);
	struct local *local = node->local;

	pthread_rwlock_unlock(&tree->lock);
	if (local != NULL) {
		WITH_LOCK(&local->lock);
		if (local->changed && local->meta.contents == CONTENTS_FILE)
			return seek_file(tree, local, offset, whence, out);
	}
	*out = whence == SEEK_DATA ? offset : attr.size;
	return 0;
}
