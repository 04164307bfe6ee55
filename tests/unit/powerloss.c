/*
 * The recorder. Files and folders are known by their inodes: a call tells a
 * descriptor, or a path relative to one, and both lead there. What was in the
 * folder at the start is the head of the log, as if it had just been made.
 */
#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/threads.h"
#include "powerloss_internal.h"

static struct powerloss *recording; /* set and taken back while nothing runs */
static _Thread_local size_t sync_began;

/* The list with room for one more; rooms are powers of two. */
void *grow_list(void *list, size_t count, size_t size)
{
	if (count != 0 && (count & (count - 1)) != 0)
		return list;
	list = realloc(list, (count == 0 ? 1 : count * 2) * size);
	assert(list != NULL);
	return list;
}

static struct event *add_event_locked(struct powerloss *loss, enum event_kind kind, uint32_t node)
{
	loss->events = grow_list(loss->events, loss->event_count, sizeof(struct event));
	struct event *event = &loss->events[loss->event_count++];

	*event = (struct event){ .kind = kind, .node = node };
	return event;
}

static uint32_t find_node_locked(const struct powerloss *loss, const struct stat *st)
{
	for (uint32_t i = loss->node_count; st->st_dev == loss->dev && i > 0; i--) {
		if (loss->nodes[i - 1].ino == st->st_ino && !loss->nodes[i - 1].gone)
			return i - 1;
	}
	return NO_NODE;
}

static uint32_t add_node_locked(struct powerloss *loss, const struct stat *st)
{
	uint32_t old = find_node_locked(loss, st);

	if (old != NO_NODE)
		loss->nodes[old].gone = true;
	loss->nodes = grow_list(loss->nodes, loss->node_count, sizeof(struct node));
	loss->nodes[loss->node_count] = (struct node){ .ino = st->st_ino,
						       .folder = S_ISDIR(st->st_mode) };
	return loss->node_count++;
}

/* The folder that a path lies in, and its last part; NO_NODE: not ours. */
static uint32_t find_folder_locked(const struct powerloss *loss, int dirfd, const char *path,
				   const char **name)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_MAX];
	struct stat st;

	*name = slash != NULL ? slash + 1 : path;
	snprintf(folder, sizeof(folder), "%.*s", (int)(*name - path), path);
	if (fstatat(dirfd, slash != NULL ? folder : ".", &st, 0) < 0)
		return NO_NODE;
	return find_node_locked(loss, &st);
}

static bool is_name(const struct event *event, int which, uint32_t folder, const char *name)
{
	return event->name[which] != NULL && event->folder[which] == folder &&
	       strcmp(event->name[which], name) == 0;
}

/* What has a name now, by the last event that was about it. */
static uint32_t named_locked(const struct powerloss *loss, uint32_t folder, const char *name)
{
	for (size_t i = loss->event_count; i > 0; i--) {
		const struct event *event = &loss->events[i - 1];

		if (is_name(event, 1, folder, name))
			return event->node;
		if (is_name(event, 0, folder, name))
			return event->kind == EVENT_NAME ? event->node : NO_NODE;
	}
	return NO_NODE;
}

static struct event *add_name_locked(struct powerloss *loss, enum event_kind kind, uint32_t node,
				     uint32_t folder, const char *name)
{
	struct event *event = add_event_locked(loss, kind, node);

	event->folder[0] = folder;
	event->name[0] = strdup(name);
	assert(event->name[0] != NULL);
	return event;
}

static void add_write_locked(struct powerloss *loss, uint32_t node, uint64_t offset,
			     const void *data, size_t len)
{
	struct event *event = add_event_locked(loss, EVENT_WRITE, node);

	event->offset = offset;
	event->len = len;
	event->data = malloc(len + 1);
	assert(event->data != NULL);
	memcpy(event->data, data, len);
}

/* The node of a descriptor. One that was made past base/io is met here first. */
static uint32_t node_of_fd_locked(struct powerloss *loss, int fd)
{
	char link[64], path[PATH_MAX];
	const char *name;
	struct stat st;
	uint32_t node, folder;
	ssize_t len;

	if (fstat(fd, &st) < 0 || (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)))
		return NO_NODE;
	node = find_node_locked(loss, &st);
	if (node != NO_NODE || !S_ISREG(st.st_mode) || st.st_nlink == 0)
		return node;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, sizeof(path) - 1);
	if (len <= 0)
		return NO_NODE;
	path[len] = '\0';
	folder = find_folder_locked(loss, AT_FDCWD, path, &name);
	if (folder == NO_NODE)
		return NO_NODE;
	node = add_node_locked(loss, &st);
	add_name_locked(loss, EVENT_NAME, node, folder, name);
	return node;
}

static void on_opened(void *arg, int fd, int dirfd, const char *path, int flags)
{
	struct powerloss *loss = arg;
	const char *name;
	struct stat st;
	uint32_t folder, node;

	WITH_LOCK(&loss->lock);
	if (fstat(fd, &st) < 0)
		return;
	if ((flags & O_TMPFILE) == O_TMPFILE) {
		if (st.st_dev == loss->dev)
			add_node_locked(loss, &st);
		return;
	}
	folder = find_folder_locked(loss, dirfd, path, &name);
	if (folder == NO_NODE)
		return;
	node = named_locked(loss, folder, name);
	if (node == NO_NODE)
		add_name_locked(loss, EVENT_NAME, add_node_locked(loss, &st), folder, name);
	else if ((flags & O_TRUNC) != 0)
		add_event_locked(loss, EVENT_TRUNCATE, node);
}

static void on_wrote(void *arg, int fd, uint64_t offset, const void *data, size_t len)
{
	struct powerloss *loss = arg;
	uint32_t node;

	WITH_LOCK(&loss->lock);
	node = node_of_fd_locked(loss, fd);
	if (node != NO_NODE)
		add_write_locked(loss, node, offset, data, len);
}

static void on_truncated(void *arg, int fd, uint64_t size)
{
	struct powerloss *loss = arg;
	uint32_t node;

	WITH_LOCK(&loss->lock);
	node = node_of_fd_locked(loss, fd);
	if (node != NO_NODE)
		add_event_locked(loss, EVENT_TRUNCATE, node)->offset = size;
}

static void on_allocated(void *arg, int fd, int mode, uint64_t offset, uint64_t len)
{
	struct powerloss *loss = arg;
	uint32_t node;

	/* The others move bytes about; nobody here uses them. */
	assert((mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) == 0);
	WITH_LOCK(&loss->lock);
	node = node_of_fd_locked(loss, fd);
	if (node == NO_NODE)
		return;
	if ((mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) != 0) {
		struct event *event = add_event_locked(loss, EVENT_ZERO, node);

		event->offset = offset;
		event->len = len;
	}
	if ((mode & FALLOC_FL_KEEP_SIZE) == 0)
		add_event_locked(loss, EVENT_GROW, node)->offset = offset + len;
}

static void on_sync_begins(void *arg, int fd)
{
	struct powerloss *loss = arg;

	(void)fd;
	WITH_LOCK(&loss->lock);
	sync_began = loss->event_count;
}

static void on_synced(void *arg, int fd, bool data_only)
{
	struct powerloss *loss = arg;
	uint32_t node;

	/* Of sizes and contents fdatasync keeps as much. */
	(void)data_only;
	WITH_LOCK(&loss->lock);
	node = node_of_fd_locked(loss, fd);
	if (node != NO_NODE)
		add_event_locked(loss, EVENT_SYNC, node)->covers = sync_began;
}

static void on_renamed(void *arg, int dirfd, const char *from, const char *to)
{
	struct powerloss *loss = arg;
	const char *names[2];
	uint32_t folders[2], node;
	struct event *event;

	WITH_LOCK(&loss->lock);
	folders[0] = find_folder_locked(loss, dirfd, from, &names[0]);
	folders[1] = find_folder_locked(loss, dirfd, to, &names[1]);
	if (folders[0] == NO_NODE && folders[1] == NO_NODE)
		return;
	assert(folders[0] != NO_NODE && folders[1] != NO_NODE);
	node = named_locked(loss, folders[0], names[0]);
	assert(node != NO_NODE);
	event = add_name_locked(loss, EVENT_RENAME, node, folders[0], names[0]);
	event->folder[1] = folders[1];
	event->name[1] = strdup(names[1]);
	assert(event->name[1] != NULL);
}

static void on_linked(void *arg, int dirfd, const char *from, const char *to)
{
	struct powerloss *loss = arg;
	const char *name;
	uint32_t folder, node;
	struct stat st;

	(void)from;
	WITH_LOCK(&loss->lock);
	folder = find_folder_locked(loss, dirfd, to, &name);
	if (folder == NO_NODE || fstatat(dirfd, to, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	node = find_node_locked(loss, &st);
	assert(node != NO_NODE);
	add_name_locked(loss, EVENT_NAME, node, folder, name);
}

static void on_unlinked(void *arg, int dirfd, const char *path)
{
	struct powerloss *loss = arg;
	const char *name;
	uint32_t folder, node;

	WITH_LOCK(&loss->lock);
	folder = find_folder_locked(loss, dirfd, path, &name);
	node = folder != NO_NODE ? named_locked(loss, folder, name) : NO_NODE;
	if (node != NO_NODE)
		add_name_locked(loss, EVENT_UNNAME, node, folder, name);
}

static void on_made_folder(void *arg, int dirfd, const char *path)
{
	struct powerloss *loss = arg;
	const char *name;
	uint32_t folder;
	struct stat st;

	WITH_LOCK(&loss->lock);
	folder = find_folder_locked(loss, dirfd, path, &name);
	if (folder != NO_NODE && fstatat(dirfd, path, &st, 0) == 0)
		add_name_locked(loss, EVENT_NAME, add_node_locked(loss, &st), folder, name);
}

/* Contents that are there at the start; zeros at the end are not kept as such. */
static void take_contents_locked(struct powerloss *loss, uint32_t node, const char *path)
{
	AUTO_BUF struct buf data = BUF_INIT;
	size_t size;
	int rc = io_read_file(AT_FDCWD, path, &data);

	assert(rc == 0);
	size = data.len;
	while (data.len > 0 && data.data[data.len - 1] == 0)
		data.len--;
	add_write_locked(loss, node, 0, data.data, data.len);
	add_event_locked(loss, EVENT_GROW, node)->offset = size;
}

/* One entry of what is there at the start. Sockets and the like are left out. */
static void take_entry(struct powerloss *loss, const char *path, uint32_t folder, const char *name)
{
	struct stat st;
	uint32_t node;

	if (lstat(path, &st) < 0 || (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)))
		return;
	node = find_node_locked(loss, &st);
	if (node == NO_NODE) {
		node = add_node_locked(loss, &st);
		if (S_ISREG(st.st_mode))
			take_contents_locked(loss, node, path);
	}
	add_name_locked(loss, EVENT_NAME, node, folder, name);
}

/* By the name that it was found under; those of folders above are known. NULL: none. */
static char *path_of(const struct powerloss *loss, char *const *paths, uint32_t node)
{
	char *path = NULL;

	for (size_t i = 0; path == NULL && i < loss->event_count; i++) {
		const struct event *event = &loss->events[i];

		if (event->kind != EVENT_NAME || event->node != node)
			continue;
		assert(asprintf(&path, "%s/%s", paths[event->folder[0]], event->name[0]) > 0);
	}
	return path;
}

/* What is in a folder, then in those that were found: a list, no recursion. */
static void take_all(struct powerloss *loss, const char *dir)
{
	char **paths = NULL; /* of nodes that are folders, by their number */

	for (uint32_t node = 0; node < loss->node_count; node++) {
		paths = grow_list(paths, node, sizeof(*paths));
		paths[node] = node == 0 ? strdup(dir) : NULL;
		if (node > 0)
			paths[node] = path_of(loss, paths, node);
		DIR *entries = loss->nodes[node].folder ? opendir(paths[node]) : NULL;
		const struct dirent *entry;

		while (entries != NULL && (entry = readdir(entries)) != NULL) {
			char path[PATH_MAX];

			if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
				continue;
			snprintf(path, sizeof(path), "%s/%s", paths[node], entry->d_name);
			take_entry(loss, path, node, entry->d_name);
		}
		if (entries != NULL)
			closedir(entries);
	}
	for (uint32_t node = 0; node < loss->node_count; node++)
		free(paths[node]);
	free(paths);
}

struct powerloss *powerloss_start(const char *dir)
{
	struct powerloss *loss = calloc(1, sizeof(*loss));
	struct stat st;

	assert(loss != NULL && recording == NULL && stat(dir, &st) == 0);
	pthread_mutex_init(&loss->lock, NULL);
	loss->dev = st.st_dev;
	add_node_locked(loss, &st);
	take_all(loss, dir);
	loss->base_count = loss->event_count;
	loss->observer = (struct io_observer){ .arg = loss,
					       .opened = on_opened,
					       .wrote = on_wrote,
					       .truncated = on_truncated,
					       .allocated = on_allocated,
					       .sync_begins = on_sync_begins,
					       .synced = on_synced,
					       .renamed = on_renamed,
					       .linked = on_linked,
					       .unlinked = on_unlinked,
					       .made_folder = on_made_folder };
	recording = loss;
	io_observe(&loss->observer);
	return loss;
}

void powerloss_mark(struct powerloss *loss, unsigned mark, uint64_t value)
{
	struct event *event;

	assert(mark < POWERLOSS_MARKS);
	WITH_LOCK(&loss->lock);
	event = add_event_locked(loss, EVENT_MARK, NO_NODE);
	event->mark = mark;
	event->value = value;
}

void powerloss_stop(struct powerloss *loss)
{
	assert(recording == loss);
	io_observe(NULL);
	recording = NULL;
}

void powerloss_free(struct powerloss *loss)
{
	if (loss == NULL)
		return;
	if (recording == loss)
		powerloss_stop(loss);
	for (size_t i = 0; i < loss->event_count; i++) {
		free(loss->events[i].name[0]);
		free(loss->events[i].name[1]);
		free(loss->events[i].data);
	}
	pthread_mutex_destroy(&loss->lock);
	free(loss->events);
	free(loss->nodes);
	free(loss);
}

size_t powerloss_events(const struct powerloss *loss)
{
	return loss->event_count - loss->base_count;
}

void powerloss_saw_write(int fd, uint64_t offset, const void *data, size_t len)
{
	if (recording != NULL && len > 0)
		on_wrote(recording, fd, offset, data, len);
}

void powerloss_saw_truncate(int fd, uint64_t size)
{
	if (recording != NULL)
		on_truncated(recording, fd, size);
}

void powerloss_saw_sync_begin(int fd)
{
	if (recording != NULL)
		on_sync_begins(recording, fd);
}

void powerloss_saw_sync(int fd)
{
	if (recording != NULL)
		on_synced(recording, fd, true);
}
