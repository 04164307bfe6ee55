/*
 *   item   u8 type  u8 flags  le16 length of the name  le32 length of what follows
 *          fixed part, by type; name; data
 *
 *   BASE     oid
 *   ANCHOR   le64 id  le64 parent  le64 size  le32 kind  oid  name
 *   META     le64 id  le32 mode uid gid contents file zero  le64 rdev size
 *            three times (access, modification, change): le64 seconds  le32 ns  le32 zero
 *   TIMES    le64 id  modification and change time, as in META
 *   ENTRY    le64 parent  le64 id  name
 *   WRITE    le64 id  le64 offset  data
 *   TARGET   le64 id  data
 *   XATTR    le64 id  name  data
 *   GONE, SYNCED, CLEAN, NEXT_ID   le64 id
 */
#include "worktree/item.h"

#include <string.h>

#include "base/err.h"
#include "git/hash.h"
#include "git/tree.h"

#define ITEM_HEAD_LEN 8
#define ITEM_BODY_MAX ((size_t)4 << 20)
#define TIME_LEN 16
#define META_LEN (8 + 6 * 4 + 2 * 8 + 3 * TIME_LEN)

struct item_head {
	enum item_type type;
	uint8_t flags;
	size_t name_len;
	size_t body_len; /* bytes that follow the head */
	size_t later;    /* the last of them, which the caller brings */
};

/* Room for the item and its head, written; *body_out is where the rest goes. */
static int begin(struct buf *frame, const struct item_head *head, uint8_t **body_out)
{
	size_t room = head->body_len - head->later;

	if (head->name_len > UINT16_MAX || head->body_len > ITEM_BODY_MAX)
		return ERR_LIMIT;
	int rc = buf_reserve(frame, ITEM_HEAD_LEN + room);

	if (rc < 0)
		return rc;
	uint8_t *to = frame->data + frame->len;

	to[0] = (uint8_t)head->type;
	to[1] = head->flags;
	put_le16(to + 2, (uint16_t)head->name_len);
	put_le32(to + 4, (uint32_t)head->body_len);
	*body_out = to + ITEM_HEAD_LEN;
	frame->len += ITEM_HEAD_LEN + room;
	return 0;
}

int item_base(struct buf *frame, const struct oid *commit)
{
	size_t len = oid_raw_len(commit);
	uint8_t *to;
	int rc = begin(frame, &(struct item_head){ .type = ITEM_BASE, .body_len = len }, &to);

	if (rc == 0)
		memcpy(to, commit->hash, len);
	return rc;
}

int item_anchor(struct buf *frame, const struct item *anchor)
{
	size_t oid_len = oid_raw_len(&anchor->oid);
	size_t len = 28 + oid_len + anchor->name_len;
	uint8_t *to;
	int rc = begin(frame,
		       &(struct item_head){ .type = ITEM_ANCHOR,
					    .name_len = anchor->name_len,
					    .body_len = len },
		       &to);

	if (rc < 0)
		return rc;
	put_le64(to, anchor->id);
	put_le64(to + 8, anchor->parent);
	put_le64(to + 16, anchor->size);
	put_le32(to + 24, anchor->kind);
	memcpy(to + 28, anchor->oid.hash, oid_len);
	memcpy(to + 28 + oid_len, anchor->name, anchor->name_len);
	return 0;
}

static uint8_t *put_time(uint8_t *to, const struct timespec *time)
{
	put_le64(to, (uint64_t)time->tv_sec);
	put_le32(to + 8, (uint32_t)time->tv_nsec);
	put_le32(to + 12, 0);
	return to + TIME_LEN;
}

int item_meta(struct buf *frame, uint64_t id, const struct meta *meta)
{
	uint8_t *to;
	int rc = begin(frame, &(struct item_head){ .type = ITEM_META, .body_len = META_LEN }, &to);

	if (rc < 0)
		return rc;
	put_le64(to, id);
	put_le32(to + 8, meta->mode);
	put_le32(to + 12, meta->uid);
	put_le32(to + 16, meta->gid);
	put_le32(to + 20, (uint32_t)meta->contents);
	put_le32(to + 24, meta->file);
	put_le32(to + 28, 0);
	put_le64(to + 32, meta->rdev);
	put_le64(to + 40, meta->size);
	to = put_time(to + 48, &meta->atime);
	to = put_time(to, &meta->mtime);
	put_time(to, &meta->ctime);
	return 0;
}

int item_times(struct buf *frame, uint64_t id, const struct meta *meta)
{
	uint8_t *to;
	int rc = begin(frame,
		       &(struct item_head){ .type = ITEM_TIMES,
					    .body_len = 8 + 2 * TIME_LEN },
		       &to);

	if (rc < 0)
		return rc;
	put_le64(to, id);
	put_time(put_time(to + 8, &meta->mtime), &meta->ctime);
	return 0;
}

int item_entry(struct buf *frame, const struct item *entry)
{
	size_t len = 16 + entry->name_len;
	uint8_t *to;
	int rc = begin(frame,
		       &(struct item_head){ .type = ITEM_ENTRY,
					    .flags = entry->flags,
					    .name_len = entry->name_len,
					    .body_len = len },
		       &to);

	if (rc < 0)
		return rc;
	put_le64(to, entry->parent);
	put_le64(to + 8, entry->id);
	memcpy(to + 16, entry->name, entry->name_len);
	return 0;
}

int item_write(struct buf *frame, uint64_t id, uint64_t offset, size_t data_len, uint8_t flags)
{
	uint8_t *to;
	int rc = begin(frame,
		       &(struct item_head){ .type = ITEM_WRITE,
					    .flags = flags,
					    .body_len = 16 + data_len,
					    .later = data_len },
		       &to);

	if (rc < 0)
		return rc;
	put_le64(to, id);
	put_le64(to + 8, offset);
	return 0;
}

int item_target(struct buf *frame, uint64_t id, const char *target)
{
	size_t len = strlen(target);
	uint8_t *to;
	int rc = begin(frame, &(struct item_head){ .type = ITEM_TARGET, .body_len = 8 + len }, &to);

	if (rc < 0)
		return rc;
	put_le64(to, id);
	memcpy(to + 8, target, len);
	return 0;
}

int item_xattr(struct buf *frame, const struct item *xattr)
{
	size_t len = 8 + xattr->name_len + xattr->data_len;
	uint8_t *to;
	int rc = begin(frame,
		       &(struct item_head){ .type = ITEM_XATTR,
					    .flags = xattr->flags,
					    .name_len = xattr->name_len,
					    .body_len = len },
		       &to);

	if (rc < 0)
		return rc;
	put_le64(to, xattr->id);
	memcpy(to + 8, xattr->name, xattr->name_len);
	if (xattr->data_len > 0)
		memcpy(to + 8 + xattr->name_len, xattr->data, xattr->data_len);
	return 0;
}

int item_of_id(struct buf *frame, enum item_type type, uint64_t id)
{
	uint8_t *to;
	int rc = begin(frame, &(struct item_head){ .type = type, .body_len = 8 }, &to);

	if (rc == 0)
		put_le64(to, id);
	return rc;
}

/* --- reading --- */

static bool read_time(struct cursor *cur, struct timespec *out)
{
	uint64_t seconds;
	uint32_t ns, zero;

	if (!cursor_le64(cur, &seconds) || !cursor_le32(cur, &ns) || !cursor_le32(cur, &zero) ||
	    ns >= 1000000000)
		return false;
	*out = (struct timespec){ .tv_sec = (time_t)seconds, .tv_nsec = (long)ns };
	return true;
}

static bool read_meta(struct cursor *cur, struct meta *out)
{
	uint32_t contents, zero;

	if (!cursor_le32(cur, &out->mode) || !cursor_le32(cur, &out->uid) ||
	    !cursor_le32(cur, &out->gid) || !cursor_le32(cur, &contents) ||
	    !cursor_le32(cur, &out->file) || !cursor_le32(cur, &zero) ||
	    !cursor_le64(cur, &out->rdev) || !cursor_le64(cur, &out->size) ||
	    !read_time(cur, &out->atime) || !read_time(cur, &out->mtime) ||
	    !read_time(cur, &out->ctime))
		return false;
	out->contents = (enum contents)contents;
	return contents <= CONTENTS_FILE && out->size <= INT64_MAX;
}

static bool read_oid(struct cursor *cur, enum hash_algo algo, struct oid *out)
{
	const uint8_t *raw;

	if (!cursor_bytes(cur, hash_raw_len(algo), &raw))
		return false;
	oid_from_raw(out, algo, raw);
	return true;
}

static bool read_name(struct cursor *cur, struct item *out)
{
	const uint8_t *name;

	if (!cursor_bytes(cur, out->name_len, &name))
		return false;
	out->name = (const char *)name;
	return true;
}

static bool read_data(struct cursor *cur, const uint8_t *start, struct item *out)
{
	out->data_len = cur->left;
	out->data_at = (size_t)(cur->ptr - start);
	return cursor_bytes(cur, cur->left, &out->data);
}

static bool read_body(struct cursor *cur, const uint8_t *start, enum hash_algo algo,
		      struct item *out)
{
	switch (out->type) {
	case ITEM_BASE:
		return read_oid(cur, algo, &out->oid);
	case ITEM_ANCHOR:
		return cursor_le64(cur, &out->id) && cursor_le64(cur, &out->parent) &&
		       cursor_le64(cur, &out->size) && cursor_le32(cur, &out->kind) &&
		       read_oid(cur, algo, &out->oid) && read_name(cur, out);
	case ITEM_META:
		return cursor_le64(cur, &out->id) && read_meta(cur, &out->meta);
	case ITEM_TIMES:
		return cursor_le64(cur, &out->id) && read_time(cur, &out->meta.mtime) &&
		       read_time(cur, &out->meta.ctime);
	case ITEM_ENTRY:
		return cursor_le64(cur, &out->parent) && cursor_le64(cur, &out->id) &&
		       read_name(cur, out) && out->name_len > 0;
	case ITEM_WRITE:
		return cursor_le64(cur, &out->id) && cursor_le64(cur, &out->offset) &&
		       read_data(cur, start, out);
	case ITEM_TARGET:
		return cursor_le64(cur, &out->id) && read_data(cur, start, out);
	case ITEM_XATTR:
		return cursor_le64(cur, &out->id) && read_name(cur, out) &&
		       read_data(cur, start, out);
	case ITEM_GONE:
	case ITEM_SYNCED:
	case ITEM_CLEAN:
	case ITEM_NEXT_ID:
		return cursor_le64(cur, &out->id);
	}
	return false;
}

int item_next(struct cursor *cur, const uint8_t *start, enum hash_algo algo, struct item *out)
{
	uint8_t type, flags;
	uint16_t name_len;
	uint32_t body_len;
	const uint8_t *body;

	if (cur->left == 0)
		return 0;
	if (!cursor_u8(cur, &type) || !cursor_u8(cur, &flags) || !cursor_le16(cur, &name_len) ||
	    !cursor_le32(cur, &body_len) || !cursor_bytes(cur, body_len, &body))
		return ERR_CORRUPT;
	struct cursor rest = cursor_of(body, body_len);

	memset(out, 0, sizeof(*out));
	out->type = (enum item_type)type;
	out->flags = flags;
	out->name_len = name_len;
	if (!read_body(&rest, start, algo, out) || rest.left != 0)
		return ERR_CORRUPT;
	return out->name != NULL || name_len == 0 ? 1 : ERR_CORRUPT;
}
