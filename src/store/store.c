/*
 * Opening and closing a store; what is known about it.
 *
 *   <dir>/format      "git-fs-store 1 <algorithm>"
 *   <dir>/lock        who is in (presence.h)
 *   <dir>/index/      LMDB's two files, and the state (presence.h, index.h)
 *   <dir>/segments/   the objects (record.h)
 *
 * The first process to enter decides whether the index can be trusted, and
 * makes it anew where not, before anybody else gets in. The last one to leave
 * brings everything to the disk and calls it clean, unless nothing was written.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/io.h"
#include "base/threads.h"
#include "store/segment.h"
#include "store/store_internal.h"

#define SEGMENT_BYTES_DEFAULT ((uint64_t)256 << 20)
#define MAP_BYTES_DEFAULT ((uint64_t)64 << 20)

#define FORMAT_FILE "format"
#define FORMAT_WORD "git-fs-store "
#define FORMAT_VERSION 1
#define FORMAT_MAX_BYTES 64
#define INDEX_DIR "index"
#define SEGMENTS_DIR "segments"

/* Stores that this process has open. The lock is a leaf. */
static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER;
static struct store *open_stores; /* guarded by open_lock */

static int list_add(struct store *store)
{
	WITH_LOCK(&open_lock);
	for (const struct store *other = open_stores; other != NULL; other = other->next) {
		if (other->dev == store->dev && other->ino == store->ino)
			return -EBUSY;
	}
	store->next = open_stores;
	open_stores = store;
	return 0;
}

static void list_remove(const struct store *store)
{
	WITH_LOCK(&open_lock);
	for (struct store **at = &open_stores; *at != NULL; at = &(*at)->next) {
		if (*at == store) {
			*at = store->next;
			return;
		}
	}
}

/* Opens the folder dir/name ("" for dir itself), which is made where missing. */
static int open_folder(const char *dir, const char *name, struct err *err)
{
	AUTO_BUF struct buf path = BUF_INIT;
	int rc = buf_printf(&path, "%s%s%s", dir, name[0] != '\0' ? "/" : "", name);

	if (rc == 0)
		rc = io_mkdirs(buf_str(&path));
	if (rc == 0)
		rc = io_open(AT_FDCWD, buf_str(&path), O_RDONLY | O_DIRECTORY, 0);
	return rc < 0 ? err_sys(err, -rc, "cannot open the cache folder %s", buf_str(&path)) : rc;
}

/* Not strdup: where memory runs out is tested by standing in for malloc. */
static int set_dir(struct store *store, const char *dir, struct err *err)
{
	AUTO_BUF struct buf text = BUF_INIT;
	int rc = buf_append_str(&text, dir);

	if (rc < 0)
		return err_sys(err, -rc, "cannot open the cache %s", dir);
	store->dir = (char *)buf_steal(&text);
	return 0;
}

static int open_folders(struct store *store, struct err *err)
{
	enum io_fs kind;
	struct stat st;
	int rc;

	store->dirfd = rc = open_folder(store->dir, "", err);
	if (rc < 0)
		return rc;
	rc = io_fs_kind(store->dirfd, &kind);
	if (rc < 0 || fstat(store->dirfd, &st) != 0)
		return err_sys(err, rc < 0 ? -rc : errno, "cannot look at %s", store->dir);
	if (kind == IO_FS_NETWORK)
		return err_set(err, ERR_UNSUPPORTED,
			       "the cache folder %s is on a network filesystem, where its index "
			       "cannot be shared safely; choose one on a local disk", store->dir);
	store->dev = st.st_dev;
	store->ino = st.st_ino;
	store->segments_fd = rc = open_folder(store->dir, SEGMENTS_DIR, err);
	if (rc < 0)
		return rc;
	store->index_fd = rc = open_folder(store->dir, INDEX_DIR, err);
	return rc < 0 ? rc : 0;
}

static int write_format(const struct store *store)
{
	AUTO_BUF struct buf text = BUF_INIT_MAX(FORMAT_MAX_BYTES);
	int rc = buf_printf(&text, FORMAT_WORD "%d %s\n", FORMAT_VERSION, hash_name(store->algo));

	return rc < 0 ? rc : presence_write_file(store->dirfd, FORMAT_FILE, &text);
}

/* Nothing, or the zeros of a write that never reached the disk. */
static bool is_blank(const struct buf *text)
{
	for (size_t i = 0; i < text->len; i++) {
		if (text->data[i] != 0)
			return false;
	}
	return true;
}

/* The gate is shut. A folder without a format is a new one, or was when the
 * power failed. */
static int check_format(const struct store *store, struct err *err)
{
	AUTO_BUF struct buf text = BUF_INIT_MAX(FORMAT_MAX_BYTES);
	int rc = io_read_file(store->dirfd, FORMAT_FILE, &text);
	struct cursor cur = cursor_of(text.data, text.len);
	enum hash_algo algo;
	const uint8_t *name;
	uint64_t version;
	size_t len;

	if (rc == -ENOENT || (rc == 0 && is_blank(&text))) {
		rc = write_format(store);
		return rc < 0 ? err_sys(err, -rc, "cannot write to the cache %s", store->dir) : 0;
	}
	if (rc < 0 && rc != ERR_LIMIT)
		return err_sys(err, -rc, "cannot read the cache %s", store->dir);
	if (rc < 0 || !cursor_literal(&cur, FORMAT_WORD) ||
	    !cursor_decimal(&cur, UINT32_MAX, &version))
		return err_set(err, -EINVAL, "%s is not a cache of git-fs", store->dir);
	if (version != FORMAT_VERSION)
		return err_set(err, -EINVAL, "the cache %s is of a version that is not known here",
			       store->dir);
	if (!cursor_literal(&cur, " ") || !cursor_until(&cur, '\n', &name, &len) ||
	    hash_parse_name((const char *)name, len, &algo) < 0 || algo != store->algo)
		return err_set(err, -EINVAL, "the cache %s was not made for %s objects", store->dir,
			       hash_name(store->algo));
	return 0;
}

/* Opens the index, or a new one filled from the segments. The gate is shut. */
static int open_index(struct store *store, const struct index_config *config)
{
	int rc = ERR_CORRUPT;

	if (store->presence.trusted)
		rc = index_open(&store->index, config, false);
	if (rc != ERR_CORRUPT)
		return rc;
	presence_set_damaged(&store->presence);
	if (!store->presence.first)
		return rc; /* others have it open yet */
	rc = index_open(&store->index, config, true);
	if (rc == 0)
		rc = rebuild_index(store->index, store->segments_fd, store->algo);
	if (rc == 0)
		rc = presence_set_new(&store->presence);
	store->rebuilt = rc == 0;
	return rc;
}

static int enter(struct store *store, const struct store_config *config, struct err *err)
{
	AUTO_BUF struct buf path = BUF_INIT;
	struct index_config index_config = {
		.dirfd = store->index_fd,
		.map_bytes = config->map_bytes != 0 ? config->map_bytes : MAP_BYTES_DEFAULT,
		.presence = &store->presence,
	};
	int rc = buf_printf(&path, "%s/" INDEX_DIR, store->dir);

	if (rc < 0)
		return err_sys(err, -rc, "cannot open the cache");
	index_config.path = buf_str(&path);
	rc = presence_enter(&store->presence, store->dirfd, store->index_fd, config->boot_id_path,
			    err);
	if (rc < 0)
		return rc;
	rc = check_format(store, err);
	if (rc == 0) {
		rc = open_index(store, &index_config);
		if (rc == 0)
			rc = presence_settle(&store->presence);
		if (rc < 0)
			err_sys(err, -rc, "cannot open the index of the cache %s", store->dir);
	}
	if (rc < 0) {
		index_close(store->index);
		presence_release(&store->presence);
	}
	return rc;
}

static void store_free(struct store *store)
{
	io_close(&store->index_fd);
	io_close(&store->segments_fd);
	io_close(&store->dirfd);
	free(store->dir);
	free(store);
}

int store_open(struct store **out, const struct store_config *config, struct err *err)
{
	struct store *store = calloc(1, sizeof(*store));
	uint64_t segment_bytes = config->segment_bytes;
	int rc;

	if (store == NULL)
		return err_sys(err, ENOMEM, "cannot open the cache");
	store->dirfd = store->segments_fd = store->index_fd = -1;
	store->algo = config->algo;
	rc = set_dir(store, config->dir, err);
	if (rc < 0)
		goto fail;
	rc = open_folders(store, err);
	if (rc < 0)
		goto fail;
	rc = list_add(store);
	if (rc < 0) {
		err_set(err, rc, "this process has the cache %s open already", store->dir);
		goto fail;
	}
	rc = enter(store, config, err);
	if (rc < 0)
		goto fail_listed;
	segment_cache_init(&store->cache, store->segments_fd, store->algo);
	rc = appender_init(&store->appender, store->segments_fd, store->index, store->algo,
			   segment_bytes != 0 ? segment_bytes : SEGMENT_BYTES_DEFAULT);
	if (rc < 0) {
		err_sys(err, -rc, "cannot open the cache %s", store->dir);
		goto fail_entered;
	}
	*out = store;
	return 0;

fail_entered:
	segment_cache_release(&store->cache);
	index_close(store->index);
	presence_release(&store->presence);
fail_listed:
	list_remove(store);
fail:
	store_free(store);
	return rc;
}

static int sync_segment(void *arg, uint64_t id)
{
	const struct store *store = arg;
	AUTO_CLOSE int fd = -1;
	char name[SEGMENT_NAME_MAX];

	fd = io_open(store->segments_fd, segment_name(id, name), O_RDONLY, 0);
	return fd < 0 ? fd : io_sync(fd);
}

/* All of it on the disk, whichever process wrote it. */
static int sync_all(struct store *store)
{
	int rc = segment_each(store->segments_fd, sync_segment, store);

	if (rc == 0)
		rc = io_sync_above(store->segments_fd);
	return rc == 0 ? index_sync(store->index) : rc;
}

/* The gate is shut from presence_leave() on. What fails leaves the state "open":
 * the next process trusts it under this boot and not under another. */
static void leave(struct store *store)
{
	bool clean = presence_leave(&store->presence) == 1 && sync_all(store) == 0;

	if (index_damaged(store->index)) {
		presence_set_damaged(&store->presence);
		clean = false;
	}
	index_close(store->index);
	if (clean)
		(void)!presence_set_clean(&store->presence);
	presence_release(&store->presence);
}

void store_close(struct store *store)
{
	if (store == NULL)
		return;
	appender_release(&store->appender);
	segment_cache_release(&store->cache);
	leave(store);
	list_remove(store);
	store_free(store);
}

int store_put_sizes(struct store *store, const struct oid *oids, const uint64_t *sizes,
		    size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (oids[i].algo != (uint8_t)store->algo)
			return -EINVAL;
	}
	return index_put_sizes(store->index, oids, sizes, count);
}

struct count_arg {
	int segments_fd;
	uint64_t files;
	uint64_t bytes;
};

static int count_segment(void *arg, uint64_t id)
{
	struct count_arg *count = arg;
	char name[SEGMENT_NAME_MAX];
	struct stat st;

	if (fstatat(count->segments_fd, segment_name(id, name), &st, AT_SYMLINK_NOFOLLOW) == 0) {
		count->files++;
		count->bytes += (uint64_t)st.st_size;
	}
	return 0;
}

int store_stats(struct store *store, struct store_stats *out)
{
	struct store_stats stats = { .rebuilt = store->rebuilt };
	struct count_arg count = { .segments_fd = store->segments_fd };
	int rc = segment_each(store->segments_fd, count_segment, &count);

	if (rc == 0)
		rc = index_count(store->index, &stats.objects, &stats.sizes);
	if (rc < 0)
		return rc;
	stats.segments = count.files;
	stats.bytes = count.bytes;
	stats.bad_records = atomic_load(&store->bad_records);
	*out = stats;
	return 0;
}
