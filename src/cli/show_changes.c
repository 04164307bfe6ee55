/* Showing changes; see show_changes.h. The keys of the JSON are promised. */
#include "cli/show_changes.h"

#include <stdio.h>
#include <string.h>

#include "cli/print.h"
#include "cli/say.h"

static void show_counts(const struct change_list *list)
{
	const char *comma = ": ";
	char bytes[32];

	printf("%-12s %zu", "changes", list->count);
	for (size_t kind = 0; kind < DIFFERENCE_KINDS; kind++) {
		size_t count = change_list_count(list, (enum difference_kind)kind);

		if (count == 0)
			continue;
		printf("%s%zu %s", comma, count, difference_words[kind]);
		comma = ", ";
	}
	if (list->count > 0)
		printf("; %s pending", print_bytes(bytes, change_list_bytes(list)));
	printf("\n");
}

static void show_path(const struct path_change *change)
{
	char path[2 * 4096];
	char old_path[2 * 4096];

	say_clean(path, sizeof(path), change->path);
	if (change->old_path == NULL) {
		printf("%-12s %-9s %s\n", "", difference_words[change->kind], path);
		return;
	}
	say_clean(old_path, sizeof(old_path), change->old_path);
	printf("%-12s %-9s %s -> %s\n", "", difference_words[change->kind], old_path, path);
}

void show_changes_text(const struct change_list *list, size_t limit)
{
	show_counts(list);
	for (size_t kind = 0; kind < DIFFERENCE_KINDS; kind++) {
		size_t shown = 0;

		for (size_t i = 0; i < list->count; i++) {
			if (list->items[i].kind != kind)
				continue;
			if (limit == 0 || shown < limit)
				show_path(&list->items[i]);
			shown++;
		}
		if (limit != 0 && shown > limit)
			printf("%-12s and %zu more %s: git-fs status --all\n", "", shown - limit,
			       difference_words[kind]);
	}
	if (list->note != NULL)
		print_line("note", list->note);
}

static void json_mode(struct json *json, const char *key, uint32_t mode)
{
	char octal[16];

	snprintf(octal, sizeof(octal), "%06o", mode);
	if (mode != 0)
		json_string(json, key, octal);
	else
		json_null(json, key);
}

static void json_change(struct json *json, const struct path_change *change)
{
	json_object_begin(json, NULL);
	json_string(json, "kind", difference_words[change->kind]);
	json_string(json, "path", change->path);
	if (change->old_path != NULL)
		json_string(json, "old_path", change->old_path);
	else
		json_null(json, "old_path");
	json_mode(json, "mode", change->mode);
	json_mode(json, "old_mode", change->old_mode);
	json_number(json, "bytes", change->size);
	json_bool(json, "contents", change->contents);
	json_object_end(json);
}

void show_changes_json(struct json *json, const struct change_list *list)
{
	if (list == NULL) {
		json_null(json, "changes");
		return;
	}
	json_object_begin(json, "changes");
	for (size_t kind = 0; kind < DIFFERENCE_KINDS; kind++)
		json_number(json, difference_words[kind],
			    change_list_count(list, (enum difference_kind)kind));
	json_number(json, "bytes_pending", change_list_bytes(list));
	if (list->note != NULL)
		json_string(json, "note", list->note);
	else
		json_null(json, "note");
	json_array_begin(json, "paths");
	for (size_t i = 0; i < list->count; i++)
		json_change(json, &list->items[i]);
	json_array_end(json);
	json_object_end(json);
}
