/*
 * git-fs status: what the daemon of one mount tells, for people or as JSON.
 * Exit code 0 only where all is well.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/place.h"
#include "cli/print.h"
#include "cli/probe.h"
#include "cli/say.h"
#include "cli/show_changes.h"
#include "cli/status.h"

enum kind { KIND_TEXT, KIND_NUMBER, KIND_BOOL };

/* Every key of the JSON, in order; "group.name" stands in an object of its
 * own. They are promised: none is taken out or changes its kind. */
static const struct {
	const char *key;
	enum kind kind;
} fields[] = {
	{ "repository", KIND_TEXT },
	{ "ref", KIND_TEXT },
	{ "ref_asked", KIND_TEXT },
	{ "commit", KIND_TEXT },
	{ "commit_time", KIND_NUMBER },
	{ "mount_point", KIND_TEXT },
	{ "device", KIND_TEXT },
	{ "writable", KIND_BOOL },
	{ "state", KIND_TEXT },
	{ "problem", KIND_TEXT },
	{ "pid", KIND_NUMBER },
	{ "version", KIND_TEXT },
	{ "since", KIND_NUMBER },
	{ "asked", KIND_NUMBER },
	{ "offline", KIND_BOOL },
	{ "offline_why", KIND_TEXT },
	{ "promise", KIND_TEXT },
	{ "store.folder", KIND_TEXT },
	{ "store.objects", KIND_NUMBER },
	{ "store.sizes", KIND_NUMBER },
	{ "store.segments", KIND_NUMBER },
	{ "store.bytes", KIND_NUMBER },
	{ "store.bad_records", KIND_NUMBER },
	{ "store.rebuilt", KIND_BOOL },
	{ "fetch.batches", KIND_NUMBER },
	{ "fetch.objects", KIND_NUMBER },
	{ "fetch.failed", KIND_NUMBER },
	{ "fetch.waiting", KIND_NUMBER },
	{ "fetch.under_way", KIND_NUMBER },
	{ "fetch.trees_complete", KIND_BOOL },
	{ "fetch.last_error", KIND_TEXT },
	{ "fetch.last_error_at", KIND_NUMBER },
	{ "traffic.requests", KIND_NUMBER },
	{ "traffic.bytes_received", KIND_NUMBER },
	{ "traffic.bytes_sent", KIND_NUMBER },
	{ "traffic.connections", KIND_NUMBER },
	{ "overlay.name", KIND_TEXT },
	{ "overlay.folder", KIND_TEXT },
	{ "overlay.remote_commit", KIND_TEXT },
	{ "journal.bytes", KIND_NUMBER },
	{ "journal.disk_bytes", KIND_NUMBER },
	{ "journal.segments", KIND_NUMBER },
	{ "journal.unsynced_records", KIND_NUMBER },
	{ "journal.unsynced_files", KIND_NUMBER },
	{ "journal.file_bytes", KIND_NUMBER },
	{ "journal.compactions", KIND_NUMBER },
	{ "journal.damaged_records", KIND_NUMBER },
	{ "journal.damaged_bytes", KIND_NUMBER },
	{ "journal.given_up", KIND_NUMBER },
	{ "journal.reverted_files", KIND_NUMBER },
	{ "nodes.known", KIND_NUMBER },
	{ "nodes.folders_read", KIND_NUMBER },
	{ "nodes.table_bytes", KIND_NUMBER },
	{ "nodes.hidden", KIND_NUMBER },
	{ "requests.total", KIND_NUMBER },
	{ "requests.parked", KIND_NUMBER },
	{ "requests.interrupted", KIND_NUMBER },
	{ "requests.failed", KIND_NUMBER },
	{ "requests.waiting", KIND_NUMBER },
	{ "requests.workers", KIND_NUMBER },
	{ "kernel.protocol", KIND_TEXT },
	{ "kernel.max_read_bytes", KIND_NUMBER },
	{ "kernel.max_readahead_bytes", KIND_NUMBER },
};
#define FIELD_COUNT (sizeof(fields) / sizeof(fields[0]))

static void json_field(struct json *json, const char *key, enum kind kind, const char *value)
{
	if (value == NULL)
		json_null(json, key);
	else if (kind == KIND_NUMBER)
		json_number(json, key, strtoull(value, NULL, 10));
	else if (kind == KIND_BOOL)
		json_bool(json, key, strcmp(value, "yes") == 0);
	else
		json_string(json, key, value);
}

/* "name use purpose" */
static void json_mechanism(struct json *json, const char *value)
{
	size_t name_len = strcspn(value, " ");
	const char *use = value + name_len + strspn(value + name_len, " ");
	char name[64];
	char word[32];

	snprintf(name, sizeof(name), "%.*s", (int)name_len, value);
	snprintf(word, sizeof(word), "%.*s", (int)strcspn(use, " "), use);
	json_object_begin(json, NULL);
	json_string(json, "name", name);
	json_string(json, "use", word);
	json_object_end(json);
}

static int show_json(const struct facts *facts, const struct change_list *changes)
{
	struct json json = JSON_INIT;
	char group[32] = "";
	int code;

	json_object_begin(&json, NULL);
	for (size_t i = 0; i < FIELD_COUNT; i++) {
		const char *key = fields[i].key;
		const char *dot = strchr(key, '.');
		size_t len = dot != NULL ? (size_t)(dot - key) : 0;

		if (strlen(group) != len || strncmp(group, key, len) != 0) {
			if (group[0] != '\0')
				json_object_end(&json);
			snprintf(group, sizeof(group), "%.*s", (int)len, key);
			if (len > 0)
				json_object_begin(&json, group);
		}
		json_field(&json, dot != NULL ? dot + 1 : key, fields[i].kind,
			   facts_get(facts, key));
	}
	if (group[0] != '\0')
		json_object_end(&json);
	show_changes_json(&json, changes);
	json_array_begin(&json, "mechanisms");
	for (size_t i = 0; i < facts->count; i++) {
		if (strcmp(facts->items[i].key, "mechanism") == 0)
			json_mechanism(&json, facts->items[i].value);
	}
	json_array_end(&json);
	json_object_end(&json);
	code = print_json(&json);
	json_release(&json);
	return code;
}

/* What mountinfo alone tells of a mount whose daemon does not. */
static int facts_without(struct facts *facts, const struct mount_entry *entry)
{
	char device[32];
	int ret = facts_add(facts, "repository", entry->source);

	snprintf(device, sizeof(device), "%u:%u", entry->major, entry->minor);
	if (ret >= 0)
		ret = facts_add(facts, "device", device);
	if (ret >= 0)
		ret = facts_add(facts, "mount_point", entry->mount_point);
	if (ret >= 0)
		ret = facts_add(facts, "state", daemons_state_without(entry));
	return ret;
}

/* Says as the last line what is wrong; the exit code. */
static int judge(const struct facts *facts)
{
	const char *state = facts_text(facts, "state");
	const char *place = facts_text(facts, "mount_point");

	if (strcmp(state, "dead") == 0)
		say("the daemon of %s is dead; mount again, or run git-fs unmount %s", place,
		    place);
	else if (strcmp(state, "deaf") == 0)
		say("the daemon of %s does not answer", place);
	else if (strcmp(state, "unknown") == 0)
		say("no control socket of yours answers for %s", place);
	else if (facts_get(facts, "problem") != NULL)
		say("%s: %s", place, facts_text(facts, "problem"));
	else
		return EXIT_DONE;
	return EXIT_FAILED;
}

/* What has changed, where anything can. 1: *out is filled. */
static int ask_changes(const struct place *place, struct change_list *out, struct err *err)
{
	static const char *const words[] = { "changes", NULL };
	int ret;

	if (!place_is_writable(place, NULL))
		return 0;
	/* Where it does not come, what has come is shown. */
	(void)!probe_flush(place->entry->mount_point, PROBE_TIMEOUT_MS);
	ret = place_ask(place->daemon, words, change_list_take, out, err);
	if (ret == 0)
		return 1;
	err_prefix(err, "what has changed is not known");
	return ret < 0 ? ret : -EIO;
}

/* The exit code. Where the changes are not known, all else is shown. */
static int show_mount(const struct place *place, const struct options *options)
{
	struct change_list changes = CHANGE_LIST_INIT;
	struct facts without = FACTS_INIT;
	const struct facts *facts = &without;
	struct err err = ERR_INIT;
	const struct change_list *known;
	int ret = 0;
	int code;

	if (place->daemon != NULL) {
		facts = &place->daemon->facts;
		ret = ask_changes(place, &changes, &err);
	} else if (facts_without(&without, place->entry) < 0) {
		say("cannot show %s: %s", place->entry->mount_point, err_name(-ENOMEM));
		facts_release(&without);
		return EXIT_FAILED;
	}
	known = ret > 0 ? &changes : NULL;
	code = options->json ? show_json(facts, known) :
			       status_text(facts, known, options->all ? 0 : SHOW_CHANGES_MAX);
	if (ret < 0) {
		say("%s", err.msg);
		code = EXIT_FAILED;
	}
	if (code == EXIT_DONE)
		code = judge(facts);
	facts_release(&without);
	change_list_release(&changes);
	return code;
}

int command_status(const struct options *options)
{
	struct place place = PLACE_INIT;
	struct err err = ERR_INIT;
	int code;

	if (place_find(&place, options->operand_count > 0 ? options->operands[0] : NULL, "status",
		       &err) < 0) {
		say("%s", err.msg);
		return EXIT_FAILED;
	}
	code = show_mount(&place, options);
	place_release(&place);
	return code;
}
