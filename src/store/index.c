/*
 * The index on LMDB: three tables, keyed by the raw oid (or the segment's id,
 * little-endian). Values, little-endian:
 *
 *   objects:  0 8 segment   8 8 offset   16 8 stored   24 8 size
 *            32 1 type     33 1 encoding 34 2 zero     36 4 CRC-32 of key and bytes 0..35
 *   sizes:    0 8 size      8 4 CRC-32 of key and bytes 0..7
 *   segments: 0 8 length
 *
 * Commits are not synced: what a killed process has committed is in the page
 * cache, and after the machine itself went down the index is thrown away
 * (presence.h). No WRITEMAP, so that no stray pointer writes into it, and no
 * slot per thread (NOTLS), as threads come and go.
 *
 * The map grows when a commit finds it full: no transaction of this process
 * may be active then, so each of them holds map_lock for reading. Other
 * processes notice at their next transaction.
 */
#include "store/index.h"

#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/io.h"
#include "git/zstream.h"

#define INDEX_READERS 512
#define INDEX_MAP_MIN ((uint64_t)64 << 10)
#define INDEX_MAP_MAX ((uint64_t)1 << 40)
/* Enough for the table of INDEX_READERS readers. LMDB writes it through a
 * mapping: on a full disk a hole in it would end the process. */
#define INDEX_LOCK_BYTES (40 << 10)
/* Other processes may grow the map between two tries, not for ever. */
#define INDEX_BEGIN_TRIES 64

#define PLACE_BYTES 40
#define SIZE_BYTES 12
#define TAIL_BYTES 8

struct index {
	MDB_env *env;
	MDB_dbi objects;
	MDB_dbi sizes;
	MDB_dbi segments;
	struct presence *presence; /* borrowed */
	/* Shared: a transaction is active; alone: the map is being replaced. Taken
	 * before LMDB's own locks, and held across a commit's writes to the page
	 * cache, which is what it is for. */
	pthread_rwlock_t map_lock;
	atomic_bool damaged;
};

/* What LMDB returned, as a negative errno. */
static int result_of(struct index *index, int rc)
{
	switch (rc) {
	case MDB_SUCCESS:
		return 0;
	case MDB_NOTFOUND:
		return ERR_NOT_FOUND;
	case MDB_MAP_FULL:
	case EFBIG:
	case EDQUOT:
		return -ENOSPC;
	case MDB_MAP_RESIZED:
	case MDB_READERS_FULL:
		return ERR_AGAIN;
	default:
		if (rc > 0)
			return -rc;
		atomic_store(&index->damaged, true);
		return ERR_CORRUPT;
	}
}

bool index_damaged(const struct index *index)
{
	return atomic_load(&index->damaged);
}

static size_t map_bytes(struct index *index)
{
	MDB_envinfo info;

	return mdb_env_info(index->env, &info) == MDB_SUCCESS ? info.me_mapsize : 0;
}

/* Makes the map twice as large, unless another thread already has. `seen` is
 * the size that was too small; 0 adopts what another process has made of it. */
static int grow_map(struct index *index, size_t seen)
{
	int rc = MDB_SUCCESS;

	pthread_rwlock_wrlock(&index->map_lock);
	if (seen == 0)
		rc = mdb_env_set_mapsize(index->env, 0);
	else if (seen > INDEX_MAP_MAX / 2)
		rc = MDB_MAP_FULL;
	else if (map_bytes(index) == seen)
		rc = mdb_env_set_mapsize(index->env, seen * 2);
	pthread_rwlock_unlock(&index->map_lock);
	return rc;
}

/* On success map_lock is held for reading, until finish(). LMDB's own codes. */
static int begin(struct index *index, unsigned flags, MDB_txn **out)
{
	int rc = MDB_SUCCESS;

	for (int tries = 0; tries < INDEX_BEGIN_TRIES; tries++) {
		int dead = 0;

		pthread_rwlock_rdlock(&index->map_lock);
		rc = mdb_txn_begin(index->env, NULL, flags, out);
		if (rc == MDB_SUCCESS)
			return rc;
		pthread_rwlock_unlock(&index->map_lock);
		if (rc == MDB_MAP_RESIZED) {
			rc = grow_map(index, 0);
			if (rc != MDB_SUCCESS)
				return rc;
			continue;
		}
		if (rc != MDB_READERS_FULL || mdb_reader_check(index->env, &dead) != MDB_SUCCESS ||
		    dead == 0)
			return rc;
	}
	return rc;
}

/* Ends a transaction: commits it where `rc` is a success. */
static int finish(struct index *index, MDB_txn *txn, int rc)
{
	if (rc == MDB_SUCCESS)
		rc = mdb_txn_commit(txn);
	else
		mdb_txn_abort(txn);
	pthread_rwlock_unlock(&index->map_lock);
	return rc;
}

typedef int write_fn(struct index *index, MDB_txn *txn, const void *arg);

/* Runs `write` in one transaction, again with a larger map as often as needed. */
static int write_txn(struct index *index, write_fn *write, const void *arg)
{
	int rc = presence_mark_open(index->presence);

	if (rc < 0)
		return rc;
	do {
		MDB_txn *txn = NULL;
		size_t seen;

		rc = begin(index, 0, &txn);
		if (rc != MDB_SUCCESS)
			break;
		seen = map_bytes(index);
		rc = finish(index, txn, write(index, txn, arg));
		if (rc != MDB_MAP_FULL)
			break;
		rc = grow_map(index, seen);
	} while (rc == MDB_SUCCESS);
	return result_of(index, rc);
}

static MDB_val key_of(const struct oid *oid)
{
	/* LMDB's keys are not const; it only reads them. */
	union {
		const uint8_t *in;
		void *out;
	} key = { .in = oid->hash };

	return (MDB_val){ .mv_size = oid_raw_len(oid), .mv_data = key.out };
}

static uint32_t entry_crc(const MDB_val *key, const uint8_t *value, size_t len)
{
	return crc32_of(crc32_of(0, key->mv_data, key->mv_size), value, len);
}

static void encode_place(const struct place *place, const MDB_val *key, uint8_t *out)
{
	memset(out, 0, PLACE_BYTES);
	put_le64(out, place->segment);
	put_le64(out + 8, place->offset);
	put_le64(out + 16, place->stored);
	put_le64(out + 24, place->size);
	out[32] = (uint8_t)place->type;
	out[33] = (uint8_t)place->encoding;
	put_le32(out + 36, entry_crc(key, out, 36));
}

static int decode_place(const MDB_val *key, const MDB_val *value, struct place *out)
{
	struct cursor cur = cursor_of(value->mv_data, value->mv_size);
	uint8_t type, encoding;
	struct place place;
	uint16_t zero;
	uint32_t crc;

	if (!cursor_le64(&cur, &place.segment) || !cursor_le64(&cur, &place.offset) ||
	    !cursor_le64(&cur, &place.stored) || !cursor_le64(&cur, &place.size) ||
	    !cursor_u8(&cur, &type) || !cursor_u8(&cur, &encoding) ||
	    !cursor_le16(&cur, &zero) || !cursor_le32(&cur, &crc) || cur.left != 0)
		return MDB_NOTFOUND;
	if (crc != entry_crc(key, value->mv_data, 36))
		return MDB_NOTFOUND;
	place.type = (enum object_type)type;
	place.encoding = (enum record_encoding)encoding;
	*out = place;
	return MDB_SUCCESS;
}

static int decode_size(const MDB_val *key, const MDB_val *value, uint64_t *out)
{
	struct cursor cur = cursor_of(value->mv_data, value->mv_size);
	uint64_t size;
	uint32_t crc;

	if (!cursor_le64(&cur, &size) || !cursor_le32(&cur, &crc) || cur.left != 0 ||
	    crc != entry_crc(key, value->mv_data, 8))
		return MDB_NOTFOUND;
	*out = size;
	return MDB_SUCCESS;
}

static int get_place(struct index *index, MDB_txn *txn, const struct oid *oid, struct place *out)
{
	MDB_val key = key_of(oid), value;
	int rc = mdb_get(txn, index->objects, &key, &value);

	return rc == MDB_SUCCESS ? decode_place(&key, &value, out) : rc;
}

static int get_size(struct index *index, MDB_txn *txn, const struct oid *oid, uint64_t *out)
{
	MDB_val key = key_of(oid), value;
	int rc = mdb_get(txn, index->sizes, &key, &value);

	return rc == MDB_SUCCESS ? decode_size(&key, &value, out) : rc;
}

static int put_size(struct index *index, MDB_txn *txn, const struct oid *oid, uint64_t size)
{
	uint8_t data[SIZE_BYTES];
	MDB_val key = key_of(oid), value = { .mv_size = sizeof(data), .mv_data = data };

	put_le64(data, size);
	put_le32(data + 8, entry_crc(&key, data, 8));
	return mdb_put(txn, index->sizes, &key, &value, 0);
}

int index_get(struct index *index, const struct oid *oid, struct place *out)
{
	struct place place;
	MDB_txn *txn;
	int rc = begin(index, MDB_RDONLY, &txn);

	if (rc != MDB_SUCCESS)
		return result_of(index, rc);
	rc = finish(index, txn, get_place(index, txn, oid, &place));
	if (rc == MDB_SUCCESS)
		*out = place;
	return result_of(index, rc);
}

int index_get_size(struct index *index, const struct oid *oid, uint64_t *out)
{
	uint64_t size;
	MDB_txn *txn;
	int rc = begin(index, MDB_RDONLY, &txn);

	if (rc != MDB_SUCCESS)
		return result_of(index, rc);
	rc = finish(index, txn, get_size(index, txn, oid, &size));
	if (rc == MDB_SUCCESS)
		*out = size;
	return result_of(index, rc);
}

struct put_arg {
	const struct index_item *items;
	size_t count;
};

static int put_places(struct index *index, MDB_txn *txn, const void *arg)
{
	const struct put_arg *put = arg;

	for (size_t i = 0; i < put->count; i++) {
		const struct index_item *item = &put->items[i];
		uint8_t data[PLACE_BYTES];
		MDB_val key = key_of(&item->oid);
		MDB_val value = { .mv_size = sizeof(data), .mv_data = data };
		int rc;

		if (item->place.segment == 0)
			continue;
		encode_place(&item->place, &key, data);
		rc = mdb_put(txn, index->objects, &key, &value, 0);
		if (rc == MDB_SUCCESS)
			rc = mdb_del(txn, index->sizes, &key, NULL);
		if (rc != MDB_SUCCESS && rc != MDB_NOTFOUND)
			return rc;
	}
	return MDB_SUCCESS;
}

int index_put(struct index *index, const struct index_item *items, size_t count)
{
	const struct put_arg arg = { .items = items, .count = count };

	return write_txn(index, put_places, &arg);
}

struct sizes_arg {
	const struct oid *oids;
	const uint64_t *sizes;
	size_t count;
};

static int put_sizes(struct index *index, MDB_txn *txn, const void *arg)
{
	const struct sizes_arg *put = arg;

	for (size_t i = 0; i < put->count; i++) {
		struct place place;
		uint64_t known;
		int rc = get_place(index, txn, &put->oids[i], &place);

		if (rc == MDB_SUCCESS)
			continue;
		if (rc != MDB_NOTFOUND)
			return rc;
		/* Told again, as every listing does: no page need be written. */
		rc = get_size(index, txn, &put->oids[i], &known);
		if (rc == MDB_SUCCESS && known == put->sizes[i])
			continue;
		if (rc != MDB_SUCCESS && rc != MDB_NOTFOUND)
			return rc;
		rc = put_size(index, txn, &put->oids[i], put->sizes[i]);
		if (rc != MDB_SUCCESS)
			return rc;
	}
	return MDB_SUCCESS;
}

int index_put_sizes(struct index *index, const struct oid *oids, const uint64_t *sizes,
		    size_t count)
{
	const struct sizes_arg arg = { .oids = oids, .sizes = sizes, .count = count };

	return write_txn(index, put_sizes, &arg);
}

static int drop_place(struct index *index, MDB_txn *txn, const void *arg)
{
	const struct index_item *item = arg;
	MDB_val key = key_of(&item->oid);
	struct place place;
	int rc = get_place(index, txn, &item->oid, &place);

	if (rc != MDB_SUCCESS)
		return rc;
	/* Another process may have brought it again in the meantime. */
	if (place.segment != item->place.segment || place.offset != item->place.offset)
		return MDB_NOTFOUND;
	rc = mdb_del(txn, index->objects, &key, NULL);
	if (rc == MDB_SUCCESS && place.type == OBJECT_BLOB)
		rc = put_size(index, txn, &item->oid, place.size);
	return rc;
}

int index_drop(struct index *index, const struct index_item *item)
{
	int rc = write_txn(index, drop_place, item);

	return rc == ERR_NOT_FOUND ? 0 : rc;
}

static int get_tail(struct index *index, MDB_txn *txn, uint8_t *id, uint64_t *out)
{
	MDB_val key = { .mv_size = TAIL_BYTES, .mv_data = id }, value;
	struct cursor cur;
	int rc = mdb_get(txn, index->segments, &key, &value);

	if (rc != MDB_SUCCESS)
		return rc;
	cur = cursor_of(value.mv_data, value.mv_size);
	return cursor_le64(&cur, out) ? MDB_SUCCESS : MDB_NOTFOUND;
}

int index_get_tail(struct index *index, uint64_t segment, uint64_t *out)
{
	uint8_t id[TAIL_BYTES];
	uint64_t tail;
	MDB_txn *txn;
	int rc = begin(index, MDB_RDONLY, &txn);

	if (rc != MDB_SUCCESS)
		return result_of(index, rc);
	put_le64(id, segment);
	rc = finish(index, txn, get_tail(index, txn, id, &tail));
	if (rc == MDB_SUCCESS)
		*out = tail;
	return result_of(index, rc);
}

struct tail_arg {
	uint64_t segment;
	uint64_t tail;
};

static int put_tail(struct index *index, MDB_txn *txn, const void *arg)
{
	const struct tail_arg *put = arg;
	uint8_t id[TAIL_BYTES], data[TAIL_BYTES];
	MDB_val key = { .mv_size = sizeof(id), .mv_data = id };
	MDB_val value = { .mv_size = sizeof(data), .mv_data = data };

	put_le64(id, put->segment);
	put_le64(data, put->tail);
	return mdb_put(txn, index->segments, &key, &value, 0);
}

int index_put_tail(struct index *index, uint64_t segment, uint64_t tail)
{
	const struct tail_arg arg = { .segment = segment, .tail = tail };

	return write_txn(index, put_tail, &arg);
}

static int count_tables(struct index *index, MDB_txn *txn, MDB_stat *objects, MDB_stat *sizes)
{
	int rc = mdb_stat(txn, index->objects, objects);

	return rc == MDB_SUCCESS ? mdb_stat(txn, index->sizes, sizes) : rc;
}

int index_count(struct index *index, uint64_t *objects_out, uint64_t *sizes_out)
{
	MDB_stat objects, sizes;
	MDB_txn *txn;
	int rc = begin(index, MDB_RDONLY, &txn);

	if (rc != MDB_SUCCESS)
		return result_of(index, rc);
	rc = finish(index, txn, count_tables(index, txn, &objects, &sizes));
	if (rc == MDB_SUCCESS) {
		*objects_out = objects.ms_entries;
		*sizes_out = sizes.ms_entries;
	}
	return result_of(index, rc);
}

int index_sync(struct index *index)
{
	return result_of(index, mdb_env_sync(index->env, 1));
}

/* Removes LMDB's files and lays out its lock file. */
static int make_files(int dirfd)
{
	static const uint8_t zeros[INDEX_LOCK_BYTES];
	AUTO_CLOSE int fd = -1;
	int rc = io_unlink(dirfd, INDEX_DATA_FILE);

	if (rc == 0 || rc == -ENOENT)
		rc = io_unlink(dirfd, INDEX_LOCK_FILE);
	if (rc < 0 && rc != -ENOENT)
		return rc;
	fd = io_open(dirfd, INDEX_LOCK_FILE, O_RDWR | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		return fd;
	rc = io_fallocate(fd, 0, 0, INDEX_LOCK_BYTES);
	return rc == -EOPNOTSUPP ? io_pwrite(fd, zeros, sizeof(zeros), 0) : rc;
}

static int open_tables(struct index *index, unsigned txn_flags, unsigned dbi_flags)
{
	MDB_txn *txn;
	int rc = begin(index, txn_flags, &txn);

	if (rc != MDB_SUCCESS)
		return rc;
	rc = mdb_dbi_open(txn, "objects", dbi_flags, &index->objects);
	if (rc == MDB_SUCCESS)
		rc = mdb_dbi_open(txn, "sizes", dbi_flags, &index->sizes);
	if (rc == MDB_SUCCESS)
		rc = mdb_dbi_open(txn, "segments", dbi_flags, &index->segments);
	return finish(index, txn, rc);
}

static int open_env(struct index *index, const struct index_config *config, bool make)
{
	uint64_t page = 4096, map = config->map_bytes;
	int rc, dead, fd;

	map = map < INDEX_MAP_MIN ? INDEX_MAP_MIN : map;
	map = map > INDEX_MAP_MAX ? INDEX_MAP_MAX : map / page * page;
	rc = mdb_env_create(&index->env);
	if (rc != MDB_SUCCESS)
		return rc;
	rc = mdb_env_set_maxdbs(index->env, 3);
	if (rc == MDB_SUCCESS)
		rc = mdb_env_set_maxreaders(index->env, INDEX_READERS);
	if (rc == MDB_SUCCESS)
		rc = mdb_env_set_mapsize(index->env, map);
	if (rc == MDB_SUCCESS)
		rc = mdb_env_open(index->env, config->path, MDB_NOTLS | MDB_NOSYNC, 0600);
	/* LMDB 0.9 leaves this one descriptor open across exec. */
	if (rc == MDB_SUCCESS)
		rc = mdb_env_get_fd(index->env, &fd);
	if (rc == MDB_SUCCESS && fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
		rc = errno;
	if (rc == MDB_SUCCESS)
		rc = mdb_reader_check(index->env, &dead);
	if (rc == MDB_SUCCESS)
		rc = make ? open_tables(index, 0, MDB_CREATE) : open_tables(index, MDB_RDONLY, 0);
	return rc;
}

/* A thread that wants to grow the map must not wait for ever behind readers. */
static int init_map_lock(pthread_rwlock_t *lock)
{
	pthread_rwlockattr_t attr;
	int rc = pthread_rwlockattr_init(&attr);

	if (rc != 0)
		return -rc;
	rc = pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	if (rc == 0)
		rc = pthread_rwlock_init(lock, &attr);
	pthread_rwlockattr_destroy(&attr);
	return -rc;
}

int index_open(struct index **out, const struct index_config *config, bool make)
{
	struct index *index;
	int rc = make ? make_files(config->dirfd) : 0;

	if (rc < 0)
		return rc;
	index = calloc(1, sizeof(*index));
	if (index == NULL)
		return -ENOMEM;
	index->presence = config->presence;
	rc = init_map_lock(&index->map_lock);
	if (rc < 0) {
		free(index);
		return rc;
	}
	rc = open_env(index, config, make);
	if (rc != MDB_SUCCESS) {
		/* Missing files and tables are damage too: nobody takes them away. */
		rc = rc == MDB_NOTFOUND || rc == ENOENT ? ERR_CORRUPT : result_of(index, rc);
		index_close(index);
		return rc;
	}
	*out = index;
	return 0;
}

void index_close(struct index *index)
{
	if (index == NULL)
		return;
	if (index->env != NULL)
		mdb_env_close(index->env);
	pthread_rwlock_destroy(&index->map_lock);
	free(index);
}
