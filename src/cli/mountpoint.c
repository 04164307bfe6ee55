/* Checks before a mount; see mountpoint.h. */
#include "cli/mountpoint.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/detach.h"
#include "cli/mounts.h"
#include "cli/probe.h"
#include "cli/say.h"

#define DEVICE "/dev/fuse"
#define FUSE_CONF "/etc/fuse.conf"
#define SHARING "user_allow_other"
#define FUSE_CONF_MAX ((size_t)64 << 10)
#define DEAD_MAX 16 /* dead mounts on one folder, one above the other */

/* 1: there was a dead mount, and it is gone; 0: there is no mount of ours. */
static int clear_one(const struct mount_entry *entry, const char *path, struct err *err)
{
	int ret;

	if (!mount_entry_is_ours(entry))
		return 0;
	ret = probe_path(path, PROBE_TIMEOUT_MS, NULL);
	if (ret == ERR_TIMEOUT)
		return err_set(err, -EBUSY,
			       "%s is a git-fs mount of %s that does not answer; "
			       "run git-fs unmount on it first", path, entry->source);
	if (ret != -ENOTCONN)
		return err_set(err, -EBUSY, "%s is already a git-fs mount of %s", path,
			       entry->source);
	ret = detach_mount(path, true, err);
	if (ret < 0)
		return ret;
	say("took away a dead mount of %s on %s", entry->source, path);
	return 1;
}

static int clear_dead(const char *text, char path[PATH_MAX], struct err *err)
{
	for (int i = 0; i < DEAD_MAX; i++) {
		struct mount_table table = MOUNT_TABLE_INIT;
		int ret = mount_table_read(&table, err);

		if (ret < 0)
			return ret;
		ret = mounts_resolve(&table, text, path, err);
		if (ret == 0)
			ret = clear_one(mount_table_at(&table, path), path, err);
		mount_table_release(&table);
		if (ret <= 0)
			return ret;
	}
	return err_set(err, -EBUSY, "%s: too many dead mounts, one above the other", path);
}

static int check_empty(const char *path, struct err *err)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	bool empty = true;

	if (dir == NULL)
		return err_sys(err, errno, "cannot look into %s", path);
	while (empty && (entry = readdir(dir)) != NULL)
		empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
	closedir(dir);
	if (!empty)
		return err_set(err, -ENOTEMPTY, "%s is not empty; mount on an empty folder", path);
	return 0;
}

int mountpoint_prepare(const char *text, char out[PATH_MAX], struct err *err)
{
	char path[PATH_MAX];
	struct stat st;
	int ret = clear_dead(text, path, err);

	if (ret < 0)
		return ret;
	if (stat(path, &st) < 0) {
		if (errno == ENOENT)
			return err_set(err, -ENOENT, "%s does not exist; make it with mkdir",
				       path);
		return err_sys(err, errno, "cannot look at %s", path);
	}
	if (!S_ISDIR(st.st_mode))
		return err_set(err, -ENOTDIR, "%s is not a folder", path);
	ret = check_empty(path, err);
	if (ret < 0)
		return ret;
	/* fusermount3 asks for the same. */
	if (access(path, W_OK) < 0 && errno == EACCES)
		return err_set(err, -EACCES,
			       "you may not write to %s; mount on a folder of your own", path);
	memcpy(out, path, strlen(path) + 1);
	return 0;
}

/* fusermount3 lets others than root share a mount only where its configuration,
 * a line of its own, says so: mount.fuse3(8). */
static int check_sharing(struct err *err)
{
	AUTO_BUF struct buf text = BUF_INIT_MAX(FUSE_CONF_MAX);
	char *rest, *line;

	if (io_read_file(AT_FDCWD, FUSE_CONF, &text) < 0)
		buf_clear(&text);
	line = text.len > 0 ? strtok_r((char *)text.data, "\n", &rest) : NULL;
	for (; line != NULL; line = strtok_r(NULL, "\n", &rest)) {
		line += strspn(line, " \t");
		if (strcspn(line, " \t") == strlen(SHARING) &&
		    strncmp(line, SHARING, strlen(SHARING)) == 0)
			return 0;
	}
	return err_set(err, -EPERM,
		       "only root may share a mount, unless " FUSE_CONF " has the line " SHARING);
}

int mountpoint_check_fuse(bool allow_other, struct err *err)
{
	int fd = io_open(AT_FDCWD, DEVICE, O_RDWR, 0);

	if (fd == -ENOENT)
		return err_set(err, fd,
			       "there is no " DEVICE "; run modprobe fuse, or give the container "
			       "the device (--device " DEVICE ")");
	if (fd == -ENODEV || fd == -ENXIO)
		return err_set(err, fd, "the kernel has no FUSE; run modprobe fuse");
	if (fd == -EACCES || fd == -EPERM)
		return err_set(err, fd, "no permission to open " DEVICE);
	if (fd < 0)
		return err_sys(err, -fd, "cannot open " DEVICE);
	io_close(&fd);
	return allow_other && geteuid() != 0 ? check_sharing(err) : 0;
}
