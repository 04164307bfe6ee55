/* Reading the names in a folder. Source: opendir(3), readdir(3). */
#ifndef GIT_FS_BASE_FOLDER_H
#define GIT_FS_BASE_FOLDER_H

#include <dirent.h>

/* Opens the folder `path` under `parent` to read its names. A symlink is -ENOTDIR or
 * -ELOOP. The caller's to closedir(). 0 or a negative errno; may block on the disk. */
int folder_open(int parent, const char *path, DIR **out) __attribute__((warn_unused_result));

#endif
