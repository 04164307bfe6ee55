/*
 * git-fs unmount: never by force. A mount in use stays, and its users are
 * named; a dead one has no users that could lose anything and goes at once.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/io.h"
#include "base/threads.h"
#include "cli/busy.h"
#include "cli/commands.h"
#include "cli/daemons.h"
#include "cli/detach.h"
#include "cli/paths.h"
#include "cli/probe.h"
#include "cli/say.h"

#define TIMEOUT_S_DEFAULT 30U
#define HOLDERS_NAMED 5

struct holders {
	unsigned count;
	size_t len;
	char names[512];
};

static void add_holder(void *arg, pid_t pid, const char *command, const char *what)
{
	struct holders *holders = arg;
	size_t left = sizeof(holders->names) - holders->len;
	int len;

	if (++holders->count > HOLDERS_NAMED)
		return;
	len = snprintf(holders->names + holders->len, left, "%s%ld (%s: %s)",
		       holders->count > 1 ? ", " : "", (long)pid, command, what);
	if (len > 0)
		holders->len += (size_t)len < left ? (size_t)len : left - 1;
}

/* Another mount below it keeps a mount busy as well. */
static const char *nested_mount(const struct mount_table *table, const char *mount_point)
{
	for (size_t i = 0; i < table->count; i++) {
		const char *at = table->entries[i].mount_point;

		if (strcmp(at, mount_point) != 0 && paths_within(at, mount_point))
			return at;
	}
	return NULL;
}

static int busy_words(const struct mount_table *table, const char *mount_point, struct err *err)
{
	struct holders holders = { .count = 0 };
	const char *nested = nested_mount(table, mount_point);
	char more[32] = "";

	if (nested != NULL)
		return err_set(err, -EBUSY, "%s is busy: something is mounted on %s", mount_point,
			       nested);
	busy_holders(mount_point, add_holder, &holders);
	if (holders.count == 0)
		return err_set(err, -EBUSY,
			       "%s is busy, held by processes that you may not look at",
			       mount_point);
	if (holders.count > HOLDERS_NAMED)
		snprintf(more, sizeof(more), " and %u more", holders.count - HOLDERS_NAMED);
	return err_set(err, -EBUSY, "%s is busy, used by %s%s", mount_point, holders.names, more);
}

/* The mount that the user means, or NULL with words. */
static const struct mount_entry *find_mount(const struct mount_table *table, const char *text,
					    struct err *err)
{
	const struct mount_entry *entry;
	char path[PATH_MAX];

	if (mounts_resolve(table, text, path, err) < 0)
		return NULL;
	entry = mount_table_at(table, path);
	if (mount_entry_is_ours(entry))
		return entry;
	entry = mount_table_containing(table, path);
	if (mount_entry_is_ours(entry))
		err_set(err, -EINVAL, "%s lies in the git-fs mount at %s; unmount that", path,
			entry->mount_point);
	else
		err_set(err, -EINVAL, "%s is no git-fs mount", path);
	return NULL;
}

/* A descriptor of the mount's daemon, -1 where it is not known. Taken before the
 * unmount, when its pid cannot yet stand for another process. */
static int open_daemon(const struct mount_entry *entry, pid_t *pid_out)
{
	struct daemon_list list = DAEMON_LIST_INIT;
	const struct daemon *daemon;
	int fd = -1;

	if (daemons_ask(&list, NULL) < 0)
		return -1;
	daemon = daemons_find(&list, entry);
	if (daemon != NULL) {
		fd = (int)syscall(SYS_pidfd_open, daemon->pid, 0);
		*pid_out = daemon->pid;
	}
	daemons_release(&list);
	return fd;
}

static int await_exit(int pidfd, pid_t pid, unsigned timeout_s, struct err *err)
{
	uint64_t deadline = mono_ns() + timeout_s * NS_PER_S;
	struct pollfd pfd = { .fd = pidfd, .events = POLLIN };

	for (;;) {
		uint64_t now = mono_ns();
		int ready;

		if (now >= deadline)
			return err_set(err, ERR_TIMEOUT,
				       "unmounted, but its process %ld has not ended after %u s",
				       (long)pid, timeout_s);
		ready = poll(&pfd, 1, (int)((deadline - now) / NS_PER_MS) + 1);
		if (ready > 0)
			return 0;
		if (ready < 0 && errno != EINTR)
			return err_sys(err, errno, "cannot wait for process %ld", (long)pid);
	}
}

/* Whether the same filesystem is still mounted elsewhere, by a bind mount. */
static bool mounted_elsewhere(const struct mount_entry *entry)
{
	struct mount_table now = MOUNT_TABLE_INIT;
	bool found;

	if (mount_table_read(&now, NULL) < 0)
		return false;
	found = mount_table_has_device(&now, entry->major, entry->minor);
	mount_table_release(&now);
	return found;
}

static int unmount_entry(const struct mount_table *table, const struct mount_entry *entry,
			 unsigned timeout_s, struct err *err)
{
	AUTO_CLOSE int pidfd = -1;
	pid_t pid = 0;
	int ret;

	if (probe_path(entry->mount_point, PROBE_TIMEOUT_MS, NULL) == -ENOTCONN)
		return detach_mount(entry->mount_point, true, err);
	pidfd = open_daemon(entry, &pid);
	ret = detach_mount(entry->mount_point, false, err);
	if (ret == -EBUSY)
		return busy_words(table, entry->mount_point, err);
	if (ret < 0 || pidfd < 0 || mounted_elsewhere(entry))
		return ret;
	return await_exit(pidfd, pid, timeout_s, err);
}

static int unmount_one(const char *text, unsigned timeout_s, struct err *err)
{
	struct mount_table table = MOUNT_TABLE_INIT;
	const struct mount_entry *entry;
	int ret = mount_table_read(&table, err);

	if (ret < 0)
		return ret;
	entry = find_mount(&table, text, err);
	if (entry == NULL)
		ret = -EINVAL;
	else
		ret = unmount_entry(&table, entry, timeout_s, err);
	mount_table_release(&table);
	return ret;
}

int command_unmount(const struct options *options)
{
	unsigned timeout_s = options->timeout_s != 0 ? options->timeout_s : TIMEOUT_S_DEFAULT;
	int code = EXIT_DONE;

	for (int i = 0; i < options->operand_count; i++) {
		struct err err = ERR_INIT;
		int ret = unmount_one(options->operands[i], timeout_s, &err);

		if (ret < 0) {
			say("%s", err.msg[0] != '\0' ? err.msg : err_name(ret));
			code = EXIT_FAILED;
		}
	}
	return code;
}
