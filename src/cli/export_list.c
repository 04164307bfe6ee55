/* Lists of exported files; see export_list.h, and export.c for the lines. */
#include "cli/export_list.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/err.h"

#define FILES_MAX (UINT64_C(1) << 32)

void export_list_release(struct export_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i].path);
	free(list->items);
	*list = (struct export_list)EXPORT_LIST_INIT;
}

/* "100644 " */
static bool take_mode(struct cursor *cur, uint32_t *out)
{
	uint32_t mode = 0;
	uint8_t digit;

	for (int i = 0; i < 6; i++) {
		if (!cursor_u8(cur, &digit) || digit < '0' || digit > '7')
			return false;
		mode = mode * 8 + (uint32_t)(digit - '0');
	}
	*out = mode;
	return cursor_literal(cur, " ");
}

/* "12 ", or "=ID " */
static bool take_file(struct cursor *cur, struct export_item *item)
{
	const uint8_t *hex;
	struct oid oid;
	size_t len;

	if (!cursor_literal(cur, "="))
		return cursor_decimal(cur, FILES_MAX, &item->file) && item->file > 0 &&
		       cursor_literal(cur, " ");
	if (!cursor_until(cur, ' ', &hex, &len) || oid_from_hex(&oid, (const char *)hex, len) < 0)
		return false;
	oid_to_hex(&oid, item->commit);
	return true;
}

int export_list_take(void *arg, const char *key, const char *value)
{
	struct export_list *list = arg;
	struct cursor cur = cursor_of(value, strlen(value));
	struct export_item item = { .side = EXPORT_OLD };
	int ret;

	if (strcmp(key, "new") == 0)
		item.side = EXPORT_NEW;
	else if (strcmp(key, "old") != 0)
		return ERR_PROTOCOL;
	if (!take_mode(&cur, &item.mode) || !take_file(&cur, &item) || cur.left == 0)
		return ERR_PROTOCOL;
	ret = ARRAY_ROOM(list->items, list->room, list->count);
	if (ret < 0)
		return ret;
	item.path = strndup((const char *)cur.ptr, cur.left);
	if (item.path == NULL)
		return -ENOMEM;
	if (item.file > list->files)
		list->files = item.file;
	list->items[list->count++] = item;
	return 0;
}

/* All lines have the same length, that of the first. */
static int id_of(const struct buf *ids, uint64_t file, const char **out, size_t *len_out)
{
	const uint8_t *end = ids->len > 0 ? memchr(ids->data, '\n', ids->len) : NULL;
	size_t line = end != NULL ? (size_t)(end - ids->data) + 1 : 0;
	struct oid oid;

	if (line == 0 || file > ids->len / line)
		return ERR_PROTOCOL;
	*out = (const char *)ids->data + (file - 1) * line;
	*len_out = line - 1;
	return oid_from_hex(&oid, *out, *len_out) < 0 ? ERR_PROTOCOL : 0;
}

int export_list_index(const struct export_list *list, enum export_side side,
		      const struct buf *ids, struct buf *out)
{
	int ret = 0;

	for (size_t i = 0; ret == 0 && i < list->count; i++) {
		const struct export_item *item = &list->items[i];
		const char *id = item->commit;
		size_t len = strlen(id);

		if (item->side != side)
			continue;
		if (item->file > 0)
			ret = id_of(ids, item->file, &id, &len);
		if (ret == 0)
			ret = buf_printf(out, "%06o %.*s\t%s", item->mode, (int)len, id,
					 item->path);
		if (ret == 0)
			ret = buf_append_u8(out, '\0');
	}
	return ret;
}
