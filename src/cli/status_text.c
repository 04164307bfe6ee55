/* What `git-fs status` shows to people; see status.h. */
#include "cli/status.h"

#include <stdio.h>
#include <string.h>

#include "cli/print.h"
#include "cli/show_changes.h"

/* Of a mount whose daemon does not answer. */
static int show_little(const struct facts *facts)
{
	print_line("repository", facts_text(facts, "repository"));
	print_line("mount point", facts_text(facts, "mount_point"));
	print_line("state", facts_text(facts, "state"));
	return print_flush();
}

static void show_head(const struct facts *facts)
{
	const char *asked = facts_get(facts, "ref_asked");
	char text[4096];
	char when[32];

	print_line("repository", facts_text(facts, "repository"));
	snprintf(text, sizeof(text), "%s (asked for: %s)", facts_text(facts, "ref"),
		 asked != NULL && asked[0] != '\0' ? asked : "the default branch");
	print_line("ref", text);
	snprintf(text, sizeof(text), "%s of %s", facts_text(facts, "commit"),
		 print_time(when, facts_number(facts, "commit_time")));
	print_line("commit", text);
	print_line("mount point", facts_text(facts, "mount_point"));
	print_line("writable", facts_text(facts, "writable"));
	print_line("state", facts_text(facts, "state"));
	if (facts_get(facts, "problem") != NULL)
		print_line("problem", facts_text(facts, "problem"));
	if (facts_get(facts, "offline_why") != NULL) {
		snprintf(text, sizeof(text), "mounted as the remote was at %s: %s",
			 print_time(when, facts_number(facts, "asked")),
			 facts_text(facts, "offline_why"));
		print_line("offline", text);
	}
	snprintf(text, sizeof(text), "process %s, git-fs %s, since %s", facts_text(facts, "pid"),
		 facts_text(facts, "version"), print_time(when, facts_number(facts, "since")));
	print_line("daemon", text);
}

/* Where changes are kept, and how safe they are there. */
static void show_overlay(const struct facts *facts)
{
	const char *remote = facts_text(facts, "overlay.remote_commit");
	char text[4096];
	char a[32], b[32];

	snprintf(text, sizeof(text), "%s in %s", facts_text(facts, "overlay.name"),
		 facts_text(facts, "overlay.folder"));
	print_line("overlay", text);
	if (strcmp(remote, facts_text(facts, "commit")) != 0) {
		snprintf(text, sizeof(text),
			 "the changes are over an older commit; when it was mounted, the remote "
			 "had %s",
			 remote);
		print_line("", text);
	}
	snprintf(text, sizeof(text),
		 "%s in %s segments, and %s in files; %s records and %s files not synced yet; "
		 "%s compactions",
		 print_bytes(a, facts_number(facts, "journal.bytes")),
		 facts_text(facts, "journal.segments"),
		 print_bytes(b, facts_number(facts, "journal.file_bytes")),
		 facts_text(facts, "journal.unsynced_records"),
		 facts_text(facts, "journal.unsynced_files"),
		 facts_text(facts, "journal.compactions"));
	print_line("journal", text);
	if (facts_number(facts, "journal.reverted_files") > 0) {
		snprintf(text, sizeof(text),
			 "%s files are as they were before their last writes: the machine went "
			 "down before those were synced",
			 facts_text(facts, "journal.reverted_files"));
		print_line("", text);
	}
}

static void show_work(const struct facts *facts)
{
	char text[4096];
	char a[32], b[32];

	snprintf(text, sizeof(text), "%s objects, %s more sizes, %s in %s segments, %s bad records",
		 facts_text(facts, "store.objects"), facts_text(facts, "store.sizes"),
		 print_bytes(a, facts_number(facts, "store.bytes")),
		 facts_text(facts, "store.segments"),
		 facts_text(facts, "store.bad_records"));
	print_line("cache", text);
	print_line("", facts_text(facts, "store.folder"));
	snprintf(text, sizeof(text),
		 "%s objects in %s batches, %s waiting, %s under way, %s failed; folders %s",
		 facts_text(facts, "fetch.objects"), facts_text(facts, "fetch.batches"),
		 facts_text(facts, "fetch.waiting"), facts_text(facts, "fetch.under_way"),
		 facts_text(facts, "fetch.failed"),
		 strcmp(facts_text(facts, "fetch.trees_complete"), "yes") == 0 ? "complete" :
									     "on demand");
	print_line("fetched", text);
	/* While it is recent it stands above, as the problem. */
	if (facts_get(facts, "fetch.last_error") != NULL && facts_get(facts, "problem") == NULL) {
		snprintf(text, sizeof(text), "%s: %s",
			 print_time(a, facts_number(facts, "fetch.last_error_at")),
			 facts_text(facts, "fetch.last_error"));
		print_line("last error", text);
	}
	snprintf(text, sizeof(text), "%s requests, %s received, %s sent, %s connections",
		 facts_text(facts, "traffic.requests"),
		 print_bytes(a, facts_number(facts, "traffic.bytes_received")),
		 print_bytes(b, facts_number(facts, "traffic.bytes_sent")),
		 facts_text(facts, "traffic.connections"));
	print_line("traffic", text);
	snprintf(text, sizeof(text), "%s known, %s folders read, %s hidden",
		 facts_text(facts, "nodes.known"), facts_text(facts, "nodes.folders_read"),
		 facts_text(facts, "nodes.hidden"));
	print_line("nodes", text);
	snprintf(text, sizeof(text),
		 "%s answered, %s waited for the remote, %s given up, %s failed",
		 facts_text(facts, "requests.total"), facts_text(facts, "requests.parked"),
		 facts_text(facts, "requests.interrupted"), facts_text(facts, "requests.failed"));
	print_line("requests", text);
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
		print_line("", text);
}

int status_text(const struct facts *facts, const struct change_list *changes, size_t limit)
{
	static const char *const uses[] = { "used", "unused", "off", "missing" };
	char text[256];

	if (facts_get(facts, "pid") == NULL)
		return show_little(facts);
	show_head(facts);
	if (changes != NULL)
		show_changes_text(changes, limit);
	if (facts_get(facts, "overlay.name") != NULL)
		show_overlay(facts);
	show_work(facts);
	snprintf(text, sizeof(text), "FUSE %s, %s workers", facts_text(facts, "kernel.protocol"),
		 facts_text(facts, "requests.workers"));
	print_line("kernel", text);
	for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++)
		show_mechanisms(facts, uses[i]);
	print_line("promise", facts_text(facts, "promise"));
	return print_flush();
}
