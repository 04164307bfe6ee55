/*
 * git-fs list: what is mounted, by mountinfo; who serves it, by the control
 * sockets. A daemon whose mount is gone (unmounted lazily, still in use) is
 * listed as well, and so are overlays that are not mounted and hold changes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/daemons.h"
#include "cli/overlays.h"
#include "cli/print.h"
#include "cli/say.h"

#define COMMIT_DIGITS 12

/* One line of the list; strings are borrowed, NULL where not known. */
struct row {
	const char *mount_point, *repository, *ref, *commit, *state, *overlay;
	uint64_t pid;      /* 0: none */
	uint64_t changes;  /* of an overlay that is not mounted */
	char base[OID_HEX_MAX + 1]; /* its commit */
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
	row->overlay = facts_get(&daemon->facts, "overlay.name");
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

/* Those that nobody has open and that hold changes. One that cannot be read is named on
 * stderr: it is not to be forgotten. */
static void gather_overlays(struct row_list *out, const struct overlay_set *set)
{
	for (size_t i = 0; i < set->count; i++) {
		const struct overlay *overlay = &set->items[i];
		struct overlay_contents contents;
		struct err err = ERR_INIT;
		struct row *row = &out->rows[out->count];

		if (overlay_in_use(overlay))
			continue;
		if (overlay_look(overlay, &contents, &err) < 0) {
			say("%s (git-fs doctor may tell more)", err.msg);
			continue;
		}
		if (contents.changes == 0)
			continue;
		*row = (struct row){ .repository = overlay->repository, .ref = overlay->ref,
				     .state = "unmounted", .overlay = overlay->name,
				     .changes = contents.changes };
		if (contents.has_base)
			row->commit = oid_to_hex(&contents.base, row->base);
		out->count++;
	}
}

static int gather(struct row_list *out, const struct mount_table *table,
		  const struct daemon_list *daemons, const struct overlay_set *set)
{
	out->rows = calloc(table->count + daemons->count + set->count + 1, sizeof(*out->rows));
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
	gather_overlays(out, set);
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
		json_text(&json, "overlay", row->overlay);
		if (row->changes != 0)
			json_number(&json, "changes", row->changes);
		else
			json_null(&json, "changes");
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

		say_clean(place, sizeof(place),
			  text_or(row->mount_point, row->changes != 0 ? "-" : "?"));
		say_clean(source, sizeof(source), text_or(row->repository, "?"));
		say_clean(ref, sizeof(ref), text_or(row->ref, "-"));
		printf("%-8s %s  %s  %s  %.*s", text_or(row->state, "?"), place, source, ref,
		       COMMIT_DIGITS, text_or(row->commit, "-"));
		if (row->overlay != NULL)
			printf("  overlay %s", row->overlay);
		if (row->changes != 0)
			printf(", %llu change%s", (unsigned long long)row->changes,
			       row->changes == 1 ? "" : "s");
		printf("\n");
	}
	return print_flush();
}

int command_list(const struct options *options)
{
	struct mount_table table = MOUNT_TABLE_INIT;
	struct daemon_list daemons = DAEMON_LIST_INIT;
	struct row_list list = { .rows = NULL, .count = 0 };
	struct overlay_set set = OVERLAY_SET_INIT;
	struct err err = ERR_INIT;
	char state[PATH_MAX];
	int code = EXIT_FAILED;
	int ret;

	/* The daemons first: one that ends meanwhile is then not taken for dead. */
	ret = daemons_ask(&daemons, &err);
	if (ret >= 0)
		ret = mount_table_read(&table, &err);
	if (ret >= 0)
		ret = overlays_state_dir(options->state_dir, state, &err);
	if (ret >= 0)
		ret = overlays_read(&set, state, &err);
	if (ret >= 0)
		ret = gather(&list, &table, &daemons, &set);
	if (ret < 0)
		say("%s", err.msg[0] != '\0' ? err.msg : err_name(ret));
	else
		code = options->json ? show_json(&list) : show_text(&list);
	free(list.rows);
	overlays_release(&set);
	daemons_release(&daemons);
	mount_table_release(&table);
	return code;
}
