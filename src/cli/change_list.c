/*
 * Lines of the reply to "changes", of which the second follows a renamed one:
 *
 *   change KIND OLD_MODE MODE SIZE CONTENTS PATH   modes octal, CONTENTS 0 or 1
 *   from PATH
 *   note WORDS
 *
 * A path is the rest of its line and may hold any byte but NUL.
 */
#include "cli/change_list.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/buf.h"
#include "base/err.h"

const char *const difference_words[DIFFERENCE_KINDS] = {
	[DIFFERENCE_ADDED] = "added",     [DIFFERENCE_MODIFIED] = "modified",
	[DIFFERENCE_DELETED] = "deleted", [DIFFERENCE_RENAMED] = "renamed",
	[DIFFERENCE_MODE] = "mode",       [DIFFERENCE_IGNORED] = "ignored",
	[DIFFERENCE_LOCAL] = "local",     [DIFFERENCE_HELD] = "held",
};

void change_list_release(struct change_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free(list->items[i].path);
		free(list->items[i].old_path);
	}
	free(list->items);
	free(list->note);
	*list = (struct change_list)CHANGE_LIST_INIT;
}

static bool take_kind(struct cursor *cur, enum difference_kind *out)
{
	const uint8_t *word;
	size_t len;

	if (!cursor_until(cur, ' ', &word, &len))
		return false;
	for (size_t i = 0; i < DIFFERENCE_KINDS; i++) {
		if (strlen(difference_words[i]) == len &&
		    memcmp(difference_words[i], word, len) == 0) {
			*out = (enum difference_kind)i;
			return true;
		}
	}
	return false;
}

static bool take_mode(struct cursor *cur, uint32_t *out)
{
	const uint8_t *digits;
	uint32_t mode = 0;
	size_t len;

	if (!cursor_until(cur, ' ', &digits, &len) || len == 0 || len > 7)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (digits[i] < '0' || digits[i] > '7')
			return false;
		mode = mode * 8 + (uint32_t)(digits[i] - '0');
	}
	*out = mode;
	return true;
}

static int take_change(struct change_list *list, const char *value)
{
	struct cursor cur = cursor_of(value, strlen(value));
	struct path_change change = { .path = NULL };
	uint64_t contents;
	int ret;

	if (!take_kind(&cur, &change.kind) || !take_mode(&cur, &change.old_mode) ||
	    !take_mode(&cur, &change.mode) || !cursor_decimal(&cur, UINT64_MAX, &change.size) ||
	    !cursor_literal(&cur, " ") || !cursor_decimal(&cur, 1, &contents) ||
	    !cursor_literal(&cur, " ") || cur.left == 0)
		return ERR_PROTOCOL;
	change.contents = contents != 0;
	ret = ARRAY_ROOM(list->items, list->room, list->count);
	if (ret < 0)
		return ret;
	change.path = strndup((const char *)cur.ptr, cur.left);
	if (change.path == NULL)
		return -ENOMEM;
	list->items[list->count++] = change;
	return 0;
}

static int take_from(struct change_list *list, const char *value)
{
	struct path_change *last = list->count > 0 ? &list->items[list->count - 1] : NULL;

	if (last == NULL || last->old_path != NULL || value[0] == '\0')
		return ERR_PROTOCOL;
	last->old_path = strdup(value);
	return last->old_path != NULL ? 0 : -ENOMEM;
}

int change_list_take(void *arg, const char *key, const char *value)
{
	struct change_list *list = arg;

	if (strcmp(key, "change") == 0)
		return take_change(list, value);
	if (strcmp(key, "from") == 0)
		return take_from(list, value);
	if (strcmp(key, "note") != 0 || list->note != NULL)
		return ERR_PROTOCOL;
	list->note = strdup(value);
	return list->note != NULL ? 0 : -ENOMEM;
}

size_t change_list_count(const struct change_list *list, enum difference_kind kind)
{
	size_t count = 0;

	for (size_t i = 0; i < list->count; i++)
		count += list->items[i].kind == kind;
	return count;
}

uint64_t change_list_bytes(const struct change_list *list)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < list->count; i++) {
		const struct path_change *change = &list->items[i];

		if (change->kind == DIFFERENCE_ADDED ||
		    (change->contents && (change->kind == DIFFERENCE_MODIFIED ||
					  change->kind == DIFFERENCE_RENAMED)))
			bytes += change->size;
	}
	return bytes;
}
