/*
 * The node table's file (docs/formats.md):
 *
 *   header  "GFSNODES"  le32 version  le32 hash algorithm
 *   record  le32 crc    of everything after it in the record
 *           le16 name length   le16 hash length (0: no oid)
 *           le32 mode   le64 id   le64 parent
 *           oid         name
 *
 * Only ever appended to. A group of records goes out in one write(2); a crash
 * of the machine may tear the last group, so the file is read to its last
 * whole record and cut there.
 */
#include "worktree/node_table.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/io.h"
#include "git/tree.h"
#include "git/zstream.h"

#define TABLE_MAGIC "GFSNODES"
#define TABLE_MAGIC_LEN 8
#define TABLE_VERSION 1
#define TABLE_HEADER_LEN 16
#define RECORD_FIXED_LEN 28
#define RECORD_MAX (RECORD_FIXED_LEN + OID_RAW_MAX + TREE_NAME_MAX)
#define READ_PIECE ((size_t)1 << 20)
#define GROUP_MAX ((size_t)1 << 30) /* bytes of records in one group */

struct node_table {
	int fd;
	enum hash_algo algo;
	uint64_t size;    /* bytes of whole groups in the file */
	struct buf group; /* records not written yet */
};

uint64_t node_table_bytes(const struct node_table *table)
{
	return table->size;
}

void node_table_close(struct node_table *table)
{
	if (table == NULL)
		return;
	io_close(&table->fd);
	buf_release(&table->group);
	free(table);
}

/* Takes one record off. 1: done; 0: what is left is no whole record. */
static int record_parse(struct cursor *cur, struct node_record *out, enum hash_algo algo)
{
	struct cursor at = *cur;
	uint32_t crc;
	uint16_t name_len;
	uint16_t oid_len;
	const uint8_t *oid = NULL;
	const uint8_t *name;

	if (!cursor_le32(&at, &crc))
		return 0;
	const uint8_t *checked = at.ptr;

	if (!cursor_le16(&at, &name_len) || !cursor_le16(&at, &oid_len) ||
	    !cursor_le32(&at, &out->mode) || !cursor_le64(&at, &out->id) ||
	    !cursor_le64(&at, &out->parent))
		return 0;
	if (oid_len != 0 && oid_len != hash_raw_len(algo))
		return 0;
	if (!cursor_bytes(&at, oid_len, &oid) || !cursor_bytes(&at, name_len, &name))
		return 0;
	if (crc32_of(0, checked, (size_t)(at.ptr - checked)) != crc)
		return 0;
	memset(&out->oid, 0, sizeof(out->oid));
	if (oid_len != 0)
		oid_from_raw(&out->oid, algo, oid);
	out->name = (const char *)name;
	out->name_len = name_len;
	*cur = at;
	return 1;
}

static void header_make(uint8_t *header, enum hash_algo algo)
{
	memcpy(header, TABLE_MAGIC, TABLE_MAGIC_LEN);
	put_le32(header + 8, TABLE_VERSION);
	put_le32(header + 12, algo);
}

/* Reads all whole records; table->size is then where they end. */
static int table_read(struct node_table *table, node_table_visit_fn *visit, void *arg)
{
	AUTO_BUF struct buf held = BUF_INIT_MAX(READ_PIECE + RECORD_MAX);
	uint64_t offset = TABLE_HEADER_LEN;

	table->size = offset;
	for (;;) {
		int rc = buf_reserve(&held, READ_PIECE);

		if (rc < 0)
			return rc;
		ssize_t got = io_pread(table->fd, held.data + held.len, READ_PIECE, offset);

		if (got < 0)
			return (int)got;
		if (got == 0)
			return 0;
		held.len += (size_t)got;
		offset += (uint64_t)got;

		struct cursor cur = cursor_of(held.data, held.len);
		struct node_record record;

		while (record_parse(&cur, &record, table->algo) == 1) {
			rc = visit(arg, &record);
			if (rc != 0)
				return rc;
		}
		size_t used = held.len - cur.left;

		table->size += used;
		buf_consume(&held, used);
		if (held.len > RECORD_MAX)
			return 0; /* more than a record's worth that is none: damaged from here */
	}
}

static int table_start(struct node_table *table, uint64_t file_size, node_table_visit_fn *visit,
		       void *arg, struct err *err)
{
	uint8_t header[TABLE_HEADER_LEN];
	uint8_t found[TABLE_HEADER_LEN];
	int rc;

	header_make(header, table->algo);
	if (file_size < TABLE_HEADER_LEN) { /* new, or its making was cut short */
		rc = io_pwrite(table->fd, header, sizeof(header), 0);
		if (rc < 0)
			return err_sys(err, -rc, "cannot write the node table");
		table->size = TABLE_HEADER_LEN;
		return 0;
	}
	ssize_t got = io_pread(table->fd, found, sizeof(found), 0);

	if (got < 0)
		return err_sys(err, (int)-got, "cannot read the node table");
	if ((size_t)got != sizeof(found) || memcmp(found, header, sizeof(header)) != 0)
		return err_set(err, ERR_CORRUPT,
			       "the node table is damaged, or of another version or hash");
	rc = table_read(table, visit, arg);
	if (rc != 0)
		return err_set(err, rc, "cannot read the node table: %s", err_name(rc));
	return 0;
}

int node_table_open(struct node_table **out, const char *path, enum hash_algo algo,
		    node_table_visit_fn *visit, void *arg, struct err *err)
{
	struct stat st;
	int rc;
	struct node_table *table = calloc(1, sizeof(*table));

	if (table == NULL)
		return err_set(err, -ENOMEM, "out of memory");
	table->algo = algo;
	table->group = (struct buf)BUF_INIT_MAX(GROUP_MAX);
	table->fd = io_open(AT_FDCWD, path, O_RDWR | O_CREAT, 0600);
	if (table->fd < 0) {
		rc = err_sys(err, -table->fd, "cannot open %s", path);
		goto fail;
	}
	if (fstat(table->fd, &st) < 0) {
		rc = err_sys(err, errno, "cannot look at %s", path);
		goto fail;
	}
	rc = table_start(table, (uint64_t)st.st_size, visit, arg, err);
	if (rc != 0)
		goto fail;
	rc = io_truncate(table->fd, table->size);
	if (rc < 0) {
		rc = err_sys(err, -rc, "cannot cut the torn end off %s", path);
		goto fail;
	}
	*out = table;
	return 0;
fail:
	node_table_close(table);
	return rc;
}

int node_table_add(struct node_table *table, const struct node_record *record)
{
	size_t oid_len = oid_is_set(&record->oid) ? oid_raw_len(&record->oid) : 0;
	size_t len = RECORD_FIXED_LEN + oid_len + record->name_len;

	if (record->name_len > TREE_NAME_MAX)
		return ERR_LIMIT;
	int rc = buf_reserve(&table->group, len);

	if (rc < 0)
		return rc;
	uint8_t *to = table->group.data + table->group.len;

	put_le16(to + 4, (uint16_t)record->name_len);
	put_le16(to + 6, (uint16_t)oid_len);
	put_le32(to + 8, record->mode);
	put_le64(to + 12, record->id);
	put_le64(to + 20, record->parent);
	memcpy(to + RECORD_FIXED_LEN, record->oid.hash, oid_len);
	memcpy(to + RECORD_FIXED_LEN + oid_len, record->name, record->name_len);
	put_le32(to, crc32_of(0, to + 4, len - 4));
	table->group.len += len;
	return 0;
}

int node_table_commit(struct node_table *table)
{
	int rc = io_pwrite(table->fd, table->group.data, table->group.len, table->size);

	if (rc == 0)
		table->size += table->group.len;
	else if (io_truncate(table->fd, table->size) < 0)
		rc = -EIO; /* a torn group stays behind; the next commit overwrites it */
	buf_clear(&table->group);
	return rc;
}

void node_table_drop(struct node_table *table)
{
	buf_clear(&table->group);
}
