/*
 * Tree objects.
 *
 *     entry:  <mode> SP <name> NUL <raw oid>
 *     mode:   octal digits, as a rule without leading zeros; some old writers
 *             padded folders ("040000"), which is therefore accepted
 *     name:   any bytes but NUL; judged by tree_name_shown, not by the parser,
 *             so that a checker sees what is there
 *     oid:    20 or 32 bytes, by the repository's algorithm
 *
 * A failed step leaves the iterator where it was: the same call fails again.
 */
#include "git/tree.h"

#include <errno.h>

#define MODE_DIGITS_MAX 8 /* "0100644" and one to spare */
#define MODE_MAX 0177777U /* the 16 bits that a mode has */
#define MODE_KIND_MASK 0170000U
#define MODE_KIND_FILE 0100000U
#define MODE_OWNER_EXEC 0100U

void tree_iter_init(struct tree_iter *iter, const uint8_t *data, size_t len, enum hash_algo algo)
{
	iter->rest = cursor_of(data, len);
	iter->algo = algo;
}

static bool parse_mode(const uint8_t *digits, size_t len, uint32_t *out)
{
	uint32_t mode = 0;

	if (len == 0 || len > MODE_DIGITS_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (digits[i] < '0' || digits[i] > '7')
			return false;
		mode = mode * 8 + (uint32_t)(digits[i] - '0');
	}
	if (mode > MODE_MAX)
		return false;
	*out = mode;
	return true;
}

int tree_iter_next(struct tree_iter *iter, struct tree_entry *out)
{
	struct cursor rest = iter->rest;
	struct tree_entry entry;
	const uint8_t *mode;
	const uint8_t *raw;
	size_t mode_len;

	if (rest.left == 0)
		return 0;
	if (!cursor_until(&rest, ' ', &mode, &mode_len) ||
	    !parse_mode(mode, mode_len, &entry.mode) ||
	    !cursor_until(&rest, '\0', &entry.name, &entry.name_len) ||
	    entry.name_len == 0 || entry.name_len > TREE_NAME_MAX ||
	    !cursor_bytes(&rest, hash_raw_len(iter->algo), &raw))
		return ERR_CORRUPT;
	oid_from_raw(&entry.oid, iter->algo, raw);
	iter->rest = rest;
	*out = entry;
	return 1;
}

int tree_entry_kind(uint32_t mode, uint32_t *kind_out)
{
	if (mode > MODE_MAX)
		return ERR_CORRUPT;
	switch (mode & MODE_KIND_MASK) {
	case TREE_MODE_DIR:
	case TREE_MODE_LINK:
	case TREE_MODE_GITLINK:
		*kind_out = mode & MODE_KIND_MASK;
		return 0;
	case MODE_KIND_FILE:
		*kind_out = (mode & MODE_OWNER_EXEC) != 0 ? TREE_MODE_EXEC : TREE_MODE_FILE;
		return 0;
	default:
		return ERR_CORRUPT;
	}
}

/* `lower` is a lower-case letter. ASCII alone: no locale has a say in this. */
static bool is_letter(uint8_t byte, char lower)
{
	return (byte | 0x20) == (uint8_t)lower;
}

static bool is_dot_git(const uint8_t *name, size_t len)
{
	return len == 4 && name[0] == '.' && is_letter(name[1], 'g') && is_letter(name[2], 'i') &&
	       is_letter(name[3], 't');
}

bool tree_name_shown(const uint8_t *name, size_t len)
{
	if (len == 0 || memchr(name, '/', len) != NULL || memchr(name, '\0', len) != NULL)
		return false;
	if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
		return false;
	return !is_dot_git(name, len);
}

/* The byte of the name at `at`, where a folder's name is followed by '/' and
 * every other one by NUL. */
static int byte_for_order(const struct tree_entry *entry, size_t at)
{
	if (at < entry->name_len)
		return entry->name[at];
	return (entry->mode & MODE_KIND_MASK) == TREE_MODE_DIR ? '/' : '\0';
}

int tree_entry_compare(const struct tree_entry *a, const struct tree_entry *b)
{
	size_t common = a->name_len < b->name_len ? a->name_len : b->name_len;
	int order = memcmp(a->name, b->name, common);

	if (order != 0)
		return order;
	return byte_for_order(a, common) - byte_for_order(b, common);
}

int tree_append(struct buf *out, uint32_t mode, const void *name, size_t name_len,
		const struct oid *oid)
{
	size_t raw_len = oid_raw_len(oid);
	int result;

	if (mode > MODE_MAX || name_len == 0 || name_len > TREE_NAME_MAX ||
	    memchr(name, '/', name_len) != NULL || memchr(name, '\0', name_len) != NULL)
		return -EINVAL;
	/* All of it at once: the entry is appended whole or not at all. */
	result = buf_reserve(out, MODE_DIGITS_MAX + 1 + name_len + 1 + raw_len);
	if (result == 0)
		result = buf_printf(out, "%o ", mode);
	if (result == 0)
		result = buf_append(out, name, name_len);
	if (result == 0)
		result = buf_append_u8(out, '\0');
	if (result == 0)
		result = buf_append(out, oid->hash, raw_len);
	return result;
}
