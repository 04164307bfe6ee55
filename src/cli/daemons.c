/* Asking daemons; see daemons.h. The name of a socket is its daemon's pid. */
#include "cli/daemons.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/io.h"
#include "cli/paths.h"
#include "cli/probe.h"
#include "control/control.h"

#define ASK_TIMEOUT_MS 3000
#define FACTS_MAX 4096
#define DAEMONS_MAX 4096

void facts_release(struct facts *facts)
{
	for (size_t i = 0; i < facts->count; i++) {
		free(facts->items[i].key);
		free(facts->items[i].value);
	}
	free(facts->items);
	*facts = (struct facts)FACTS_INIT;
}

int facts_add(struct facts *facts, const char *key, const char *value)
{
	struct fact fact;

	if (facts->count == FACTS_MAX)
		return ERR_LIMIT;
	if (facts->count == facts->room) {
		size_t room = facts->room == 0 ? 64 : 2 * facts->room;
		struct fact *items = reallocarray(facts->items, room, sizeof(*items));

		if (items == NULL)
			return -ENOMEM;
		facts->items = items;
		facts->room = room;
	}
	fact.key = strdup(key);
	fact.value = strdup(value);
	if (fact.key == NULL || fact.value == NULL) {
		free(fact.key);
		free(fact.value);
		return -ENOMEM;
	}
	facts->items[facts->count++] = fact;
	return 0;
}

const char *facts_get(const struct facts *facts, const char *key)
{
	for (size_t i = 0; i < facts->count; i++) {
		if (strcmp(facts->items[i].key, key) == 0)
			return facts->items[i].value;
	}
	return NULL;
}

const char *facts_text(const struct facts *facts, const char *key)
{
	const char *value = facts_get(facts, key);

	return value != NULL && value[0] != '\0' ? value : "-";
}

uint64_t facts_number(const struct facts *facts, const char *key)
{
	const char *value = facts_get(facts, key);

	return value != NULL ? strtoull(value, NULL, 10) : 0;
}

static int take_fact(void *arg, const char *key, const char *value)
{
	return facts_add(arg, key, value);
}

void daemons_release(struct daemon_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		facts_release(&list->items[i].facts);
	free(list->items);
	*list = (struct daemon_list)DAEMON_LIST_INIT;
}

/* "123.sock" */
static bool pid_of(const char *name, pid_t *out)
{
	struct cursor cur = cursor_of(name, strlen(name));
	uint64_t pid;

	if (!cursor_decimal(&cur, INT32_MAX, &pid) || pid == 0 || !cursor_literal(&cur, ".sock") ||
	    cur.left != 0)
		return false;
	*out = (pid_t)pid;
	return true;
}

/* 0: not a daemon any more. */
static int ask_one(const char *runtime, pid_t pid, struct daemon *out)
{
	const char *const words[] = { "status", NULL };
	struct daemon daemon = { .pid = pid, .facts = FACTS_INIT };
	char path[PATH_MAX];
	int ret = paths_socket(runtime, pid, path);

	if (ret < 0)
		return ret;
	ret = control_call(path, words, take_fact, &daemon.facts, ASK_TIMEOUT_MS, NULL);
	if (ret == 0) {
		*out = daemon;
		return 1;
	}
	facts_release(&daemon.facts);
	if (ret == -ENOENT)
		return 0;
	if (ret == -ECONNREFUSED) {
		/* Nobody listens, nor will (control.c). Where it cannot be removed, the
		 * next command tries again. */
		(void)!io_unlink(AT_FDCWD, path);
		return 0;
	}
	daemon.result = ret < 0 ? ret : -EIO;
	*out = daemon;
	return 1;
}

static int ask_all(DIR *dir, const char *runtime, struct daemon_list *list)
{
	struct dirent *entry;

	while ((entry = readdir(dir)) != NULL) {
		struct daemon *items;
		pid_t pid;
		int ret;

		if (!pid_of(entry->d_name, &pid))
			continue;
		if (list->count == DAEMONS_MAX)
			return ERR_LIMIT;
		items = reallocarray(list->items, list->count + 1, sizeof(*items));
		if (items == NULL)
			return -ENOMEM;
		list->items = items;
		ret = ask_one(runtime, pid, &items[list->count]);
		if (ret < 0)
			return ret;
		list->count += (size_t)ret;
	}
	return 0;
}

int daemons_ask(struct daemon_list *out, struct err *err)
{
	struct daemon_list list = DAEMON_LIST_INIT;
	char runtime[PATH_MAX];
	DIR *dir;
	int ret = paths_find_runtime(runtime, err);

	if (ret < 0)
		return ret;
	dir = opendir(runtime);
	if (dir == NULL && errno == ENOENT) {
		*out = list;
		return 0;
	}
	if (dir == NULL)
		return err_sys(err, errno, "cannot look into %s", runtime);
	ret = ask_all(dir, runtime, &list);
	closedir(dir);
	if (ret < 0) {
		daemons_release(&list);
		return err_sys(err, -ret, "cannot ask the daemons");
	}
	*out = list;
	return 0;
}

bool daemon_serves(const struct daemon *daemon, const struct mount_entry *entry)
{
	const char *told = facts_get(&daemon->facts, "device");
	char device[32];

	snprintf(device, sizeof(device), "%u:%u", entry->major, entry->minor);
	return told != NULL && strcmp(told, device) == 0;
}

const struct daemon *daemons_find(const struct daemon_list *list, const struct mount_entry *entry)
{
	for (size_t i = 0; i < list->count; i++) {
		if (daemon_serves(&list->items[i], entry))
			return &list->items[i];
	}
	return NULL;
}

const char *daemons_state_without(const struct mount_entry *entry)
{
	int ret = probe_path(entry->mount_point, PROBE_TIMEOUT_MS, NULL);

	if (ret == -ENOTCONN)
		return "dead";
	return ret == ERR_TIMEOUT ? "deaf" : "unknown";
}
