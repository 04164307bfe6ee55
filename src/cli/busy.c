/*
 * Holders of a mount, by the links and maps of /proc/<pid>. readlink(2) there
 * gives the kernel's own text and asks no filesystem.
 */
#include "cli/busy.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/io.h"
#include "cli/paths.h"

#define MAPS_MAX ((size_t)16 << 20)

static bool link_within(int dirfd, const char *name, const char *top)
{
	char target[PATH_MAX];
	ssize_t len = readlinkat(dirfd, name, target, sizeof(target) - 1);

	if (len <= 0)
		return false;
	target[len] = '\0';
	return paths_within(target, top);
}

static bool holds_descriptor(int procfd, const char *top)
{
	int fd = openat(procfd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;
	bool found = false;

	if (dir == NULL) {
		io_close(&fd);
		return false;
	}
	while (!found && (entry = readdir(dir)) != NULL)
		found = link_within(dirfd(dir), entry->d_name, top);
	closedir(dir);
	return found;
}

/* The path is all after the fifth field; newlines in it stand as \012. */
static bool holds_map(int procfd, const char *top)
{
	AUTO_BUF struct buf text = BUF_INIT_MAX(MAPS_MAX);
	char *line;

	if (io_read_file(procfd, "maps", &text) < 0 || text.len == 0)
		return false;
	for (line = (char *)text.data; line != NULL && *line != '\0';) {
		char *end = strchr(line, '\n');
		char *path;

		if (end != NULL)
			*end++ = '\0';
		path = strchr(line, '/');
		if (path != NULL && paths_within(path, top))
			return true;
		line = end;
	}
	return false;
}

/* What the process holds, or NULL. */
static const char *held_by(int procfd, const char *top)
{
	if (link_within(procfd, "cwd", top))
		return "current folder";
	if (link_within(procfd, "root", top))
		return "root folder";
	if (link_within(procfd, "exe", top))
		return "program";
	if (holds_descriptor(procfd, top))
		return "open file";
	return holds_map(procfd, top) ? "mapped file" : NULL;
}

static void look_at(int procfd, pid_t pid, const char *top, busy_found_fn *found, void *arg)
{
	AUTO_BUF struct buf command = BUF_INIT_MAX(256);
	const char *what = held_by(procfd, top);
	int ret;

	if (what == NULL)
		return;
	ret = io_read_file(procfd, "comm", &command);
	if (ret >= 0 && command.len > 0 && command.data[command.len - 1] == '\n')
		command.data[command.len - 1] = '\0';
	found(arg, pid, ret >= 0 ? buf_str(&command) : "?", what);
}

void busy_holders(const char *mount_point, busy_found_fn *found, void *arg)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	if (proc == NULL)
		return;
	while ((entry = readdir(proc)) != NULL) {
		long pid;
		int procfd;

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		pid = strtol(entry->d_name, NULL, 10);
		if (pid == (long)getpid())
			continue;
		procfd = openat(dirfd(proc), entry->d_name, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (procfd < 0)
			continue;
		look_at(procfd, (pid_t)pid, mount_point, found, arg);
		io_close(&procfd);
	}
	closedir(proc);
}
