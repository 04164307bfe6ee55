/*
 * git-fs status: what the daemon of one mount tells, for people or as JSON.
 * Exit code 0 only where all is well.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/daemons.h"
#include "cli/print.h"
#include "cli/say.h"

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

static int show_json(const struct facts *facts)
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

static const char *text_of(const struct facts *facts, const char *key)
{
	const char *value = facts_get(facts, key);

	return value != NULL && value[0] != '\0' ? value : "-";
}

static uint64_t number_of(const struct facts *facts, const char *key)
{
	const char *value = facts_get(facts, key);

	return value != NULL ? strtoull(value, NULL, 10) : 0;
}

static void line(const char *label, const char *text)
{
	char clean[4096];

	say_clean(clean, sizeof(clean), text);
	printf("%-12s %s\n", label, clean);
}

/* Of a mount whose daemon does not answer. */
static int show_little(const struct facts *facts)
{
	line("repository", text_of(facts, "repository"));
	line("mount point", text_of(facts, "mount_point"));
	line("state", text_of(facts, "state"));
	return print_flush();
}

static void show_head(const struct facts *facts)
{
	const char *asked = facts_get(facts, "ref_asked");
	char text[4096];
	char when[32];

	line("repository", text_of(facts, "repository"));
	snprintf(text, sizeof(text), "%s (asked for: %s)", text_of(facts, "ref"),
		 asked != NULL && asked[0] != '\0' ? asked : "the default branch");
	line("ref", text);
	snprintf(text, sizeof(text), "%s of %s", text_of(facts, "commit"),
		 print_time(when, number_of(facts, "commit_time")));
	line("commit", text);
	line("mount point", text_of(facts, "mount_point"));
	line("writable", text_of(facts, "writable"));
	line("state", text_of(facts, "state"));
	if (facts_get(facts, "problem") != NULL)
		line("problem", text_of(facts, "problem"));
	if (facts_get(facts, "offline_why") != NULL) {
		snprintf(text, sizeof(text), "mounted as the remote was at %s: %s",
			 print_time(when, number_of(facts, "asked")),
			 text_of(facts, "offline_why"));
		line("offline", text);
	}
	snprintf(text, sizeof(text), "process %s, git-fs %s, since %s", text_of(facts, "pid"),
		 text_of(facts, "version"), print_time(when, number_of(facts, "since")));
	line("daemon", text);
}

static void show_work(const struct facts *facts)
{
	char text[4096];
	char a[32], b[32];

	snprintf(text, sizeof(text), "%s objects, %s more sizes, %s in %s segments, %s bad records",
		 text_of(facts, "store.objects"), text_of(facts, "store.sizes"),
		 print_bytes(a, number_of(facts, "store.bytes")), text_of(facts, "store.segments"),
		 text_of(facts, "store.bad_records"));
	line("cache", text);
	line("", text_of(facts, "store.folder"));
	snprintf(text, sizeof(text),
		 "%s objects in %s batches, %s waiting, %s under way, %s failed; folders %s",
		 text_of(facts, "fetch.objects"), text_of(facts, "fetch.batches"),
		 text_of(facts, "fetch.waiting"), text_of(facts, "fetch.under_way"),
		 text_of(facts, "fetch.failed"),
		 strcmp(text_of(facts, "fetch.trees_complete"), "yes") == 0 ? "complete" :
									     "on demand");
	line("fetched", text);
	/* While it is recent it stands above, as the problem. */
	if (facts_get(facts, "fetch.last_error") != NULL && facts_get(facts, "problem") == NULL) {
		snprintf(text, sizeof(text), "%s: %s",
			 print_time(a, number_of(facts, "fetch.last_error_at")),
			 text_of(facts, "fetch.last_error"));
		line("last error", text);
	}
	snprintf(text, sizeof(text), "%s requests, %s received, %s sent, %s connections",
		 text_of(facts, "traffic.requests"),
		 print_bytes(a, number_of(facts, "traffic.bytes_received")),
		 print_bytes(b, number_of(facts, "traffic.bytes_sent")),
		 text_of(facts, "traffic.connections"));
	line("traffic", text);
	snprintf(text, sizeof(text), "%s known, %s folders read, %s hidden",
		 text_of(facts, "nodes.known"), text_of(facts, "nodes.folders_read"),
		 text_of(facts, "nodes.hidden"));
	line("nodes", text);
	snprintf(text, sizeof(text),
		 "%s answered, %s waited for the remote, %s given up, %s failed",
		 text_of(facts, "requests.total"), text_of(facts, "requests.parked"),
		 text_of(facts, "requests.interrupted"), text_of(facts, "requests.failed"));
	line("requests", text);
}

/* All mechanisms of one use, on one line. */
static void show_mechanisms(const struct facts *facts, const char *use)
{
	char text[4096];
	size_t len = 0;

	snprintf(text, sizeof(text), "%s:", use);
	len = strlen(text);
	for (size_t i = 0; i < facts->count; i++) {
		const char *value = facts->items[i].value;
		size_t name_len = strcspn(value, " ");
		int added;

		if (strcmp(facts->items[i].key, "mechanism") != 0 || value[name_len] == '\0' ||
		    strncmp(value + name_len + 1, use, strlen(use)) != 0 ||
		    value[name_len + 1 + strlen(use)] != ' ')
			continue;
		added = snprintf(text + len, sizeof(text) - len, " %.*s", (int)name_len, value);
		if (added < 0 || (size_t)added >= sizeof(text) - len)
			break;
		len += (size_t)added;
	}
	if (text[len - 1] != ':')
		line("", text);
}

static int show_text(const struct facts *facts)
{
	static const char *const uses[] = { "used", "unused", "off", "missing" };
	char text[256];

	if (facts_get(facts, "pid") == NULL)
		return show_little(facts);
	show_head(facts);
	show_work(facts);
	snprintf(text, sizeof(text), "FUSE %s, %s workers", text_of(facts, "kernel.protocol"),
		 text_of(facts, "requests.workers"));
	line("kernel", text);
	for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++)
		show_mechanisms(facts, uses[i]);
	line("promise", text_of(facts, "promise"));
	return print_flush();
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

/* Shows, and says as the last line what is wrong; the exit code. */
static int show(const struct facts *facts, bool as_json)
{
	const char *state = text_of(facts, "state");
	const char *place = text_of(facts, "mount_point");
	int code = as_json ? show_json(facts) : show_text(facts);

	if (code != EXIT_DONE)
		return code;
	if (strcmp(state, "dead") == 0)
		say("the daemon of %s is dead; mount again, or run git-fs unmount %s", place,
		    place);
	else if (strcmp(state, "deaf") == 0)
		say("the daemon of %s does not answer", place);
	else if (strcmp(state, "unknown") == 0)
		say("no control socket of yours answers for %s", place);
	else if (facts_get(facts, "problem") != NULL)
		say("%s: %s", place, text_of(facts, "problem"));
	else
		return EXIT_DONE;
	return EXIT_FAILED;
}

/* The mount meant by the operand, or the one around the current folder; NULL
 * with words where there is none. */
static const struct mount_entry *find_mount(const struct mount_table *table,
					    const struct options *options, struct err *err)
{
	const char *text = options->operand_count > 0 ? options->operands[0] : ".";
	const struct mount_entry *entry;
	char path[PATH_MAX];

	if (mounts_resolve(table, text, path, err) < 0)
		return NULL;
	entry = mount_table_containing(table, path);
	if (mount_entry_is_ours(entry))
		return entry;
	if (options->operand_count > 0)
		err_set(err, -EINVAL, "%s is in no git-fs mount", path);
	else
		err_set(err, -EINVAL,
			"the current folder is in no git-fs mount; name one: git-fs status DIR "
			"(git-fs list shows them)");
	return NULL;
}

static int show_mount(const struct mount_entry *entry, bool as_json, struct err *err)
{
	struct daemon_list daemons = DAEMON_LIST_INIT;
	struct facts without = FACTS_INIT;
	const struct daemon *daemon;
	int ret = daemons_ask(&daemons, err);

	if (ret < 0)
		return ret;
	daemon = daemons_find(&daemons, entry);
	if (daemon == NULL)
		ret = facts_without(&without, entry);
	if (ret < 0)
		err_sys(err, -ret, "cannot show %s", entry->mount_point);
	else
		ret = show(daemon != NULL ? &daemon->facts : &without, as_json);
	facts_release(&without);
	daemons_release(&daemons);
	return ret;
}

int command_status(const struct options *options)
{
	struct mount_table table = MOUNT_TABLE_INIT;
	const struct mount_entry *entry = NULL;
	struct err err = ERR_INIT;
	int ret = mount_table_read(&table, &err);

	if (ret >= 0)
		entry = find_mount(&table, options, &err);
	if (entry != NULL)
		ret = show_mount(entry, options->json, &err);
	if (entry == NULL || ret < 0) {
		say("%s", err.msg);
		ret = EXIT_FAILED;
	}
	mount_table_release(&table);
	return ret;
}
