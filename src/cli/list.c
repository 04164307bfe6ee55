/*
 * git-fs list: what is mounted, by mountinfo; who serves it, by the control
 * sockets. A daemon whose mount is gone (unmounted lazily, still in use) is
 * listed as well.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/daemons.h"
#include "cli/print.h"
#include "cli/say.h"

#define COMMIT_DIGITS 12

/* One line of the list; strings are borrowed, NULL where not known. */
struct row {
	const char *mount_point, *repository, *ref, *commit, *state;
	uint64_t pid; /* 0: none */
};

struct row_list {
	struct row *rows; /* owned */
	size_t count;
};

static void fill_from_daemon(struct row *row, const struct daemon *daemon)
{
	row->repository = facts_get(&daemon->facts, "repository");
	row->ref = facts_get(&daemon->facts, "ref");
	row->commit = facts_get(&daemon->facts, "commit");
	row->state = facts_get(&daemon->facts, "state");
	row->pid = (uint64_t)daemon->pid;
}

static void row_of_entry(struct row *row, const struct mount_entry *entry,
			 const struct daemon_list *daemons)
{
	const struct daemon *daemon = daemons_find(daemons, entry);

	*row = (struct row){ .mount_point = entry->mount_point, .repository = entry->source };
	if (daemon != NULL)
		fill_from_daemon(row, daemon);
	else
		row->state = daemons_state_without(entry);
}

static bool serves_any(const struct mount_table *table, const struct daemon *daemon)
{
	for (size_t i = 0; i < table->count; i++) {
		if (mount_entry_is_ours(&table->entries[i]) &&
		    daemon_serves(daemon, &table->entries[i]))
			return true;
	}
	return false;
}

static int gather(struct row_list *out, const struct mount_table *table,
		  const struct daemon_list *daemons)
{
	out->rows = calloc(table->count + daemons->count + 1, sizeof(*out->rows));
	if (out->rows == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < table->count; i++) {
		if (mount_entry_is_ours(&table->entries[i]))
			row_of_entry(&out->rows[out->count++], &table->entries[i], daemons);
	}
	for (size_t i = 0; i < daemons->count; i++) {
		const struct daemon *daemon = &daemons->items[i];
		struct row *row = &out->rows[out->count];

		if (daemon->result < 0 || serves_any(table, daemon))
			continue;
		fill_from_daemon(row, daemon);
		row->mount_point = facts_get(&daemon->facts, "mount_point");
		if (row->state == NULL || strcmp(row->state, "starting") != 0)
			row->state = "detached";
		out->count++;
	}
	return 0;
}

static void json_text(struct json *json, const char *key, const char *value)
{
	if (value != NULL)
		json_string(json, key, value);
	else
		json_null(json, key);
}

static int show_json(const struct row_list *list)
{
	struct json json = JSON_INIT;
	int code;

	json_array_begin(&json, NULL);
	for (size_t i = 0; i < list->count; i++) {
		const struct row *row = &list->rows[i];

		json_object_begin(&json, NULL);
		json_text(&json, "mount_point", row->mount_point);
		json_text(&json, "repository", row->repository);
		json_text(&json, "ref", row->ref);
		json_text(&json, "commit", row->commit);
		json_text(&json, "state", row->state);
		if (row->pid != 0)
			json_number(&json, "pid", row->pid);
		else
			json_null(&json, "pid");
		json_object_end(&json);
	}
	json_array_end(&json);
	code = print_json(&json);
	json_release(&json);
	return code;
}

static const char *text_or(const char *text, const char *otherwise)
{
	return text != NULL && text[0] != '\0' ? text : otherwise;
}

static int show_text(const struct row_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct row *row = &list->rows[i];
		char place[4096], source[4096], ref[1024];

		say_clean(place, sizeof(place), text_or(row->mount_point, "?"));
		say_clean(source, sizeof(source), text_or(row->repository, "?"));
		say_clean(ref, sizeof(ref), text_or(row->ref, "-"));
		printf("%-8s %s  %s  %s  %.*s\n", text_or(row->state, "?"), place, source, ref,
		       COMMIT_DIGITS, text_or(row->commit, "-"));
	}
	return print_flush();
}

int command_list(const struct options *options)
{
	struct mount_table table = MOUNT_TABLE_INIT;
	struct daemon_list daemons = DAEMON_LIST_INIT;
	struct row_list list = { .rows = NULL, .count = 0 };
	struct err err = ERR_INIT;
	int code = EXIT_FAILED;
	int ret;

	/* The daemons first: one that ends meanwhile is then not taken for dead. */
	ret = daemons_ask(&daemons, &err);
	if (ret >= 0)
		ret = mount_table_read(&table, &err);
	if (ret >= 0)
		ret = gather(&list, &table, &daemons);
	if (ret < 0)
		say("%s", err.msg[0] != '\0' ? err.msg : err_name(ret));
	else
		code = options->json ? show_json(&list) : show_text(&list);
	free(list.rows);
	daemons_release(&daemons);
	mount_table_release(&table);
	return code;
}
