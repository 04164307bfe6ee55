/*
 * Where git-fs keeps things: the folders of the XDG base directory
 * specification, each mode 0700, and names of what lies in them.
 *
 *   cache/<hash>-<slug>/      the store of one repository
 *   cache/tips/<hash>         what a ref held when it was last asked
 *   state/mounts/<hash>/      of one mount: nodes, log, lock, info
 *   state/overlays/<hash>/    local changes: journal/, data/, nodes, lock, info
 *   runtime/<pid>.sock        the control socket of a daemon
 */
#ifndef GIT_FS_CLI_PATHS_H
#define GIT_FS_CLI_PATHS_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

struct paths {
	char cache[PATH_MAX];
	char state[PATH_MAX];
	char runtime[PATH_MAX];
};

/* Names all three; makes none. cache_dir and state_dir, where not NULL, are
 * absolute and win. -ENOENT with words where the environment names no home. */
int paths_find(struct paths *out, const char *cache_dir, const char *state_dir, struct err *err)
	__attribute__((warn_unused_result));
/* The runtime folder alone. */
int paths_find_runtime(char out[PATH_MAX], struct err *err) __attribute__((warn_unused_result));

/* Makes the folder and its missing parents. It has to be a real folder of ours;
 * where `strict`, one that nobody else may enter: -EPERM with words. */
int paths_make(const char *dir, bool strict, struct err *err) __attribute__((warn_unused_result));

#define OVERLAY_NAME_MAX 64 /* bytes */
#define OVERLAY_NAME_DEFAULT "default"
#define OVERLAY_NAME_BYTES                                                            \
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

/* All of these: -ENAMETOOLONG; -ENOMEM. */
int paths_store(const struct paths *paths, const char *url, char out[PATH_MAX])
	__attribute__((warn_unused_result));
int paths_tip(const struct paths *paths, const char *url, const char *ref, char out[PATH_MAX])
	__attribute__((warn_unused_result));
int paths_mount_state(const struct paths *paths, const char *url, const char *ref,
		      const char *mount_point, char out[PATH_MAX])
	__attribute__((warn_unused_result));
/* `ref`: its full name, or the commit id. */
int paths_overlay(const struct paths *paths, const char *url, const char *ref, const char *name,
		  char out[PATH_MAX]) __attribute__((warn_unused_result));
int paths_socket(const char *runtime, pid_t pid, char out[PATH_MAX])
	__attribute__((warn_unused_result));

/* dir/name */
int paths_join(char out[PATH_MAX], const char *dir, const char *name)
	__attribute__((warn_unused_result));
/* `text` as an absolute path without ".", "..", "//" and trailing slashes, by the
 * words alone: the disk is not asked. A relative one begins at `cwd` (absolute). */
int paths_absolute(char out[PATH_MAX], const char *cwd, const char *text)
	__attribute__((warn_unused_result));
/* Whether `path` is `top` or lies below it; both as of paths_absolute(). */
bool paths_within(const char *path, const char *top);

#endif
