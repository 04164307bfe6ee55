/*
 * Contents on the move: from the base and from the journal into the overlay, and
 * data files made durable.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/io.h"
#include "worktree/worktree_internal.h"

#define COPY_PIECE ((size_t)1 << 20)

void contents_set_unsynced(struct worktree *tree, struct local *local, bool unsynced)
{
	if (local->unsynced == unsynced)
		return;
	local->unsynced = unsynced;
	if (unsynced)
		atomic_fetch_add(&tree->unsynced, 1);
	else
		atomic_fetch_sub(&tree->unsynced, 1);
}

int contents_datafile(struct worktree *tree, const struct local *local, const struct meta *meta,
		      struct datafile **out)
{
	int rc = local->lost ? -EIO :
			       datafile_get(tree->files, local->node->id, meta->file, out);

	return rc == ERR_NOT_FOUND ? -EIO : rc;
}

int contents_read_log(struct worktree *tree, const struct local *local, uint64_t offset,
		      uint8_t *data, size_t len)
{
	memset(data, 0, len);
	for (unsigned i = 0; i < local->extents_count; i++) {
		const struct extent *extent = &local->extents[i];
		uint64_t from = extent->offset > offset ? extent->offset : offset;
		uint64_t to = extent->offset + (uint64_t)extent->len;

		if (to > offset + len)
			to = offset + len;
		if (from >= to)
			continue;
		int rc = journal_read(tree->journal, extent->segment,
				      extent->at + (from - extent->offset), data + (from - offset),
				      (size_t)(to - from));

		if (rc < 0)
			return rc == ERR_NOT_FOUND ? ERR_CORRUPT : rc;
	}
	return 0;
}

/* --- recording --- */

void contents_apply(struct worktree *tree, struct local *local, const struct meta *meta,
		    const struct journal_place *place)
{
	struct meta old = overlay_meta(tree, local);

	local_recorded(local, place);
	if (old.contents == CONTENTS_FILE &&
	    (meta->contents != CONTENTS_FILE || meta->file != old.file)) {
		contents_set_unsynced(tree, local, false);
		/* Without memory it stays until the next cold start sweeps it away. */
		(void)!datafile_retire(tree->files, local->node->id, old.file, place->lsn);
	}
	local_set_meta(local, meta);
	if (old.contents != CONTENTS_FILE || meta->contents != CONTENTS_FILE ||
	    meta->file != old.file || meta->size >= old.size)
		return;
	struct datafile *file;
	int rc = datafile_get(tree->files, local->node->id, meta->file, &file);

	if (rc == 0) {
		contents_set_unsynced(tree, local, true);
		FAILPOINT("contents.file.shrink");
		rc = io_truncate(file->fd, meta->size);
		datafile_put(tree->files, file);
	}
	if (rc < 0) /* old bytes would come to light when the file grows again */
		(void)!overlay_fail(tree, rc);
}

int contents_record_in(struct worktree *tree, const struct worktree_request *request,
		       struct local *local, const struct meta *meta, struct buf *frame,
		       enum journal_need need)
{
	struct journal_place place;
	int rc = item_meta(frame, local->node->id, meta);

	if (rc == 0)
		rc = frame_append(tree, request, frame, need, &place);
	if (rc == 0)
		contents_apply(tree, local, meta, &place);
	return rc;
}

int contents_record(struct worktree *tree, const struct worktree_request *request,
		    struct local *local, const struct meta *meta, enum journal_need need)
{
	AUTO_BUF struct buf frame = BUF_INIT;
	int rc = frame_begin(&frame);

	return rc == 0 ? contents_record_in(tree, request, local, meta, &frame, need) : rc;
}

/* --- into a data file --- */

/* Fills a new data file; a negative errno leaves a file that nobody knows. */
typedef int fill_fn(struct worktree *tree, struct local *local, int fd, uint64_t size);

static int into_file(struct worktree *tree, struct local *local, struct meta *meta, fill_fn *fill)
{
	struct meta filed = *meta;
	struct datafile *file;

	filed.contents = CONTENTS_FILE;
	filed.file++;
	int rc = datafile_create(tree->files, local->node->id, filed.file, &file);

	if (rc < 0)
		return rc;
	if (fill != NULL)
		rc = fill(tree, local, file->fd, filed.size);
	FAILPOINT("contents.file.filled");
	if (rc == 0)
		rc = contents_record(tree, NULL, local, &filed, JOURNAL_NORMAL);
	if (rc < 0)
		(void)!io_truncate(file->fd, 0); /* the next one takes its place */
	datafile_put(tree->files, file);
	if (rc < 0)
		return rc;
	contents_set_unsynced(tree, local, true);
	*meta = filed;
	return 0;
}

int contents_write_new(struct worktree *tree, const struct worktree_request *request,
		       struct local *local, struct meta *meta, const struct worktree_write *write)
{
	struct datafile *file;

	meta->contents = CONTENTS_FILE;
	meta->size = write->offset + write->len;
	meta->file++;
	int rc = datafile_create(tree->files, local->node->id, meta->file, &file);

	if (rc < 0)
		return rc;
	rc = io_pwrite(file->fd, write->data, write->len, write->offset);
	FAILPOINT("contents.file.begun");
	if (rc == 0)
		rc = contents_record(tree, request, local, meta, JOURNAL_NORMAL);
	if (rc < 0)
		(void)!io_truncate(file->fd, 0); /* the next one takes its place */
	else
		contents_set_unsynced(tree, local, true);
	datafile_put(tree->files, file);
	local->version++;
	return rc;
}

static int fill_from_log(struct worktree *tree, struct local *local, int fd, uint64_t size)
{
	uint8_t whole[CONTENTS_LOG_MAX];
	int rc = contents_read_log(tree, local, 0, whole, (size_t)size);

	return rc == 0 ? io_pwrite(fd, whole, (size_t)size, 0) : rc;
}

int contents_spill(struct worktree *tree, struct local *local, struct meta *meta)
{
	return into_file(tree, local, meta, meta->size == 0 ? NULL : fill_from_log);
}

static int fill_from_store(struct worktree *tree, struct local *local, int fd, uint64_t size)
{
	uint8_t *piece = malloc(COPY_PIECE);
	uint64_t done = 0;
	int rc = piece != NULL ? 0 : -ENOMEM;

	while (rc == 0 && done < size) {
		ssize_t got = store_read_at(tree->store, &local->node->oid, done, piece,
					    COPY_PIECE);

		if (got <= 0)
			rc = got < 0 ? (int)got : ERR_CORRUPT;
		else
			rc = io_pwrite(fd, piece, (size_t)got, done);
		if (got > 0)
			done += (uint64_t)got;
	}
	free(piece);
	return rc;
}

/* A small one, into the journal. */
static int copy_up_small(struct worktree *tree, struct local *local, const struct meta *meta)
{
	AUTO_BUF struct buf data = BUF_INIT_MAX(CONTENTS_LOG_MAX);
	AUTO_BUF struct buf frame = BUF_INIT;
	struct journal_place place;
	enum object_type type;
	int rc = store_read(tree->store, &local->node->oid, &type, &data);

	if (rc == 0)
		rc = frame_begin(&frame);
	if (rc == 0)
		rc = item_meta(&frame, local->node->id, meta);
	if (rc == 0)
		rc = item_write(&frame, local->node->id, 0, data.len, WRITE_REPLACES);
	if (rc == 0)
		rc = frame_append_data(tree, NULL, &frame,
				       (struct iovec){ .iov_base = data.data, .iov_len = data.len },
				       JOURNAL_NORMAL, &place);
	if (rc < 0)
		return rc;
	struct extent extent = { .len = (uint32_t)data.len,
				 .segment = place.segment,
				 .at = place.offset + frame.len };

	contents_apply(tree, local, meta, &place);
	return local_add_extent(local, &extent, true);
}

int contents_copy_up(struct worktree *tree, struct local *local, struct meta *meta)
{
	struct meta copied = *meta;
	struct store_info info;
	int rc = store_info(tree->store, &local->node->oid, &info);

	if (rc < 0 || !info.present)
		return rc < 0 ? rc : ERR_NOT_FOUND;
	atomic_store(&local->node->size, info.size); /* a told size may have been wrong */
	copied.size = info.size;
	if (info.size > CONTENTS_LOG_MAX) {
		rc = into_file(tree, local, &copied, fill_from_store);
	} else {
		copied.contents = CONTENTS_LOG;
		rc = copy_up_small(tree, local, &copied);
	}
	if (rc == 0)
		*meta = copied;
	return rc;
}

/* The first sync of a data file: what was there before is not needed any more. */
static int mark(struct worktree *tree, struct local *local)
{
	AUTO_BUF struct buf frame = BUF_INIT;
	struct journal_place place;
	int rc = frame_begin(&frame);

	if (rc == 0)
		rc = item_of_id(&frame, ITEM_SYNCED, local->node->id);
	if (rc == 0)
		rc = frame_append(tree, NULL, &frame, JOURNAL_FREES, &place);
	if (rc == 0) {
		local_recorded(local, &place);
		local_mark(local);
	}
	return rc;
}

/* --- after a failed sync --- */

static int copy_file(struct worktree *tree, struct local *local, int fd)
{
	struct datafile *old;
	int rc = contents_datafile(tree, local, &local->meta, &old);

	if (rc < 0)
		return rc;
	int64_t done = io_copy(old->fd, 0, fd, 0, local->meta.size);

	datafile_put(tree->files, old);
	if (done < 0)
		return (int)done;
	rc = io_truncate(fd, local->meta.size);
	return rc == 0 ? io_sync_data(fd) : rc;
}

int contents_renew(struct worktree *tree, struct local *local)
{
	struct meta meta = local->meta;
	struct datafile *file;

	meta.file++;
	int rc = datafile_create(tree->files, local->node->id, meta.file, &file);

	if (rc < 0)
		return rc;
	rc = copy_file(tree, local, file->fd);
	if (rc == 0)
		rc = datafiles_sync_names(tree->files);
	datafile_put(tree->files, file);
	if (rc == 0)
		rc = contents_record(tree, NULL, local, &meta, JOURNAL_FREES);
	return rc == 0 ? mark(tree, local) : rc;
}

/* --- resizing --- */

/* A data file grows before the record says so: zeros are all that can be there. */
static int grow_file(struct worktree *tree, struct local *local, const struct meta *meta,
		     uint64_t size)
{
	struct datafile *file;
	int rc = journal_room(tree->journal, JOURNAL_HEAD_LEN * 4);

	if (rc == 0)
		rc = contents_datafile(tree, local, meta, &file);
	if (rc < 0)
		return rc;
	contents_set_unsynced(tree, local, true);
	rc = io_truncate(file->fd, size);
	datafile_put(tree->files, file);
	return rc;
}

int contents_resize(struct worktree *tree, struct local *local, struct meta *meta, uint64_t size)
{
	int rc = 0;

	if (size > INT64_MAX)
		return -EFBIG;
	local->version++;
	if (size == 0) {
		meta->contents = CONTENTS_LOG;
		meta->size = 0;
		return 0;
	}
	if (meta->contents == CONTENTS_BASE) {
		if (node_base_size(tree, local->node) == size)
			return 0;
		rc = contents_copy_up(tree, local, meta);
	}
	if (rc == 0 && meta->contents == CONTENTS_LOG && size > CONTENTS_LOG_MAX)
		rc = contents_spill(tree, local, meta);
	if (rc == 0 && meta->contents == CONTENTS_FILE && size > meta->size)
		rc = grow_file(tree, local, meta, size);
	if (rc == 0)
		meta->size = size;
	return rc;
}

/* --- durability --- */

bool contents_need_sync(const struct local *local)
{
	return local->changed && local->meta.contents == CONTENTS_FILE && !local->lost &&
	       (local->unsynced || local->syncing > 0 || !local->marked);
}

static int sync_file(struct worktree *tree, struct datafile *file)
{
	WITH_LOCK(&file->syncing);
	int rc = overlay_writable(tree); /* another's sync of it may have failed just now */

	if (rc < 0)
		return rc;
	rc = FAILPOINT_ERR("contents.file.sync");
	if (rc == 0)
		rc = io_sync_data(file->fd);
	if (rc == 0)
		rc = datafiles_sync_names(tree->files);
	return rc < 0 ? overlay_fail(tree, rc) : 0;
}

int contents_sync(struct worktree *tree, struct local *local)
{
	struct datafile *file;

	pthread_mutex_lock(&local->lock);
	bool needed = contents_need_sync(local);
	uint32_t number = local->meta.file;
	int rc = needed ? contents_datafile(tree, local, &local->meta, &file) : 0;

	if (needed && rc == 0) {
		local->syncing++;
		atomic_fetch_add(&tree->syncing, 1); /* before it is unsynced no more */
		contents_set_unsynced(tree, local, false);
	}
	pthread_mutex_unlock(&local->lock);
	if (!needed || rc < 0)
		return rc;
	rc = sync_file(tree, file);
	FAILPOINT("contents.file.synced");
	datafile_put(tree->files, file);
	WITH_LOCK(&local->lock);
	local->syncing--;
	atomic_fetch_sub(&tree->syncing, 1);
	if (rc < 0 || local->marked || !local->changed ||
	    local->meta.contents != CONTENTS_FILE || local->meta.file != number)
		return rc;
	return mark(tree, local);
}

int worktree_sync_node(struct worktree *tree, uint64_t id)
{
	if (tree->journal == NULL)
		return 0;
	int rc = overlay_writable(tree);

	if (rc < 0)
		return rc;
	pthread_rwlock_rdlock(&tree->lock);
	struct node *node = node_by_id(&tree->index, id);
	struct local *local = node != NULL ? node->local : NULL;

	pthread_rwlock_unlock(&tree->lock);
	if (local != NULL)
		rc = contents_sync(tree, local);
	if (rc < 0)
		return rc;
	FAILPOINT("sync.journal");
	rc = journal_sync(tree->journal);
	return rc < 0 ? overlay_fail(tree, rc) : 0;
}
