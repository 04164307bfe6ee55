/* Temporary folders; see tempdir.h. */
#include "cli/tempdir.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/folder.h"
#include "base/io.h"
#include "base/threads.h"
#include "cli/paths.h"

#define TRIES 100

static bool usable(const struct mount_table *table, const char *dir)
{
	char path[PATH_MAX];

	return dir != NULL && dir[0] == '/' && mounts_resolve(table, dir, path, NULL) == 0 &&
	       !mount_entry_is_ours(mount_table_containing(table, path));
}

int tempdir_make(const struct mount_table *table, char out[PATH_MAX], struct err *err)
{
	const char *dir = getenv("TMPDIR");
	int ret = -EEXIST;

	if (!usable(table, dir))
		dir = "/tmp";
	if (!usable(table, dir))
		return err_set(err, -EINVAL,
			       "%s lies in a git-fs mount; name another folder by TMPDIR", dir);
	for (int i = 0; i < TRIES && ret == -EEXIST; i++) {
		char path[PATH_MAX];
		char name[64];

		/* Who guesses it first costs us a try: a folder is never taken over. */
		snprintf(name, sizeof(name), "git-fs-%ld-%08" PRIx64, (long)getpid(),
			 mono_ns() & UINT32_MAX);
		ret = paths_join(path, dir, name);
		if (ret == 0)
			ret = io_mkdir(AT_FDCWD, path, 0700);
		if (ret == 0)
			memcpy(out, path, strlen(path) + 1);
	}
	return ret < 0 ? err_sys(err, -ret, "cannot make a temporary folder in %s", dir) : 0;
}

static int empty_folder(int parent, const char *name);

/* Removes what is called so, whatever it is. */
static int remove_any(int dirfd, const char *name)
{
	int ret = io_unlink(dirfd, name);

	if (ret != -EISDIR)
		return ret == -ENOENT ? 0 : ret;
	ret = empty_folder(dirfd, name);
	if (ret == 0)
		ret = io_rmdir(dirfd, name);
	return ret == -ENOENT ? 0 : ret;
}

/* As deep as git's own folders are. */
static int empty_folder(int parent, const char *name)
{
	DIR *dir;
	struct dirent *entry;
	int ret = folder_open(parent, name, &dir);

	if (ret < 0)
		return ret;
	while (ret == 0 && (entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			ret = remove_any(dirfd(dir), entry->d_name);
	}
	closedir(dir);
	return ret;
}

int tempdir_remove(const char *path)
{
	int ret = -ENOTEMPTY;

	for (int i = 0; i < TRIES && ret == -ENOTEMPTY; i++) {
		ret = empty_folder(AT_FDCWD, path);
		if (ret == 0)
			ret = io_rmdir(AT_FDCWD, path);
	}
	return ret;
}
