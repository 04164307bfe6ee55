/* Folders and names; see paths.h. */
#include "cli/paths.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "git/hash.h"

#define NAME_HASH_DIGITS 16 /* 64 bits: enough to keep a user's repositories apart */
#define SLUG_MAX 60         /* bytes; the end of a URL says most */

int paths_join(char out[PATH_MAX], const char *dir, const char *name)
{
	char joined[PATH_MAX];
	int len = snprintf(joined, sizeof(joined), "%s/%s", dir, name);

	if (len < 0 || (size_t)len >= sizeof(joined))
		return -ENAMETOOLONG;
	memcpy(out, joined, (size_t)len + 1);
	return 0;
}

bool paths_within(const char *path, const char *top)
{
	size_t len = strlen(top);

	if (len == 1)
		return true; /* "/" */
	return strncmp(path, top, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

/* Adds the parts of `text` to out[0..*len), which has no trailing slash. */
static int add_parts(char out[PATH_MAX], size_t *len, const char *text)
{
	while (*text != '\0') {
		size_t part = strcspn(text, "/");

		if (part == 2 && strncmp(text, "..", 2) == 0) {
			while (*len > 0 && out[--*len] != '/')
				;
		} else if (part > 0 && !(part == 1 && text[0] == '.')) {
			if (*len + 1 + part >= PATH_MAX)
				return -ENAMETOOLONG;
			out[(*len)++] = '/';
			memcpy(out + *len, text, part);
			*len += part;
		}
		text += part;
		text += strspn(text, "/");
	}
	return 0;
}

int paths_absolute(char out[PATH_MAX], const char *cwd, const char *text)
{
	char path[PATH_MAX];
	size_t len = 0;
	int ret = 0;

	if (text[0] != '/')
		ret = add_parts(path, &len, cwd);
	if (ret == 0)
		ret = add_parts(path, &len, text);
	if (ret < 0)
		return ret;
	if (len == 0)
		path[len++] = '/';
	memcpy(out, path, len);
	out[len] = '\0';
	return 0;
}

/* An absolute path from the environment; the specification has others ignored. */
static const char *absolute_env(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && value[0] == '/' ? value : NULL;
}

static int find_home(char out[PATH_MAX], const char *variable, const char *below_home,
		     const char *option, struct err *err)
{
	const char *base = absolute_env(variable);
	const char *home = absolute_env("HOME");
	char parent[PATH_MAX];
	int ret;

	if (base != NULL)
		return paths_join(out, base, "git-fs");
	if (home == NULL)
		return err_set(err, -ENOENT, "neither %s nor HOME is set; name a folder with %s",
			       variable, option);
	ret = paths_join(parent, home, below_home);
	return ret < 0 ? ret : paths_join(out, parent, "git-fs");
}

static bool is_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int paths_find_runtime(char out[PATH_MAX], struct err *err)
{
	const char *xdg = absolute_env("XDG_RUNTIME_DIR");
	const char *tmp = absolute_env("TMPDIR");
	char name[64];
	int ret;

	snprintf(name, sizeof(name), "/run/user/%u", (unsigned)geteuid());
	if (xdg != NULL && is_folder(xdg)) {
		ret = paths_join(out, xdg, "git-fs");
	} else if (is_folder(name)) {
		ret = paths_join(out, name, "git-fs");
	} else if (geteuid() == 0) {
		ret = paths_join(out, "/run", "git-fs");
	} else {
		snprintf(name, sizeof(name), "git-fs-%u", (unsigned)geteuid());
		ret = paths_join(out, tmp != NULL ? tmp : "/tmp", name);
	}
	return ret < 0 ? err_sys(err, -ret, "the folder for sockets") : 0;
}

int paths_find(struct paths *out, const char *cache_dir, const char *state_dir, struct err *err)
{
	struct paths paths;
	int ret;

	if (cache_dir != NULL)
		ret = paths_absolute(paths.cache, "/", cache_dir);
	else
		ret = find_home(paths.cache, "XDG_CACHE_HOME", ".cache", "--cache-dir", err);
	if (ret < 0)
		return ret == -ENOENT ? ret : err_sys(err, -ret, "the folder for the cache");
	if (state_dir != NULL)
		ret = paths_absolute(paths.state, "/", state_dir);
	else
		ret = find_home(paths.state, "XDG_STATE_HOME", ".local/state", "--state-dir", err);
	if (ret < 0)
		return ret == -ENOENT ? ret : err_sys(err, -ret, "the folder for the state");
	ret = paths_find_runtime(paths.runtime, err);
	if (ret < 0)
		return ret;
	*out = paths;
	return 0;
}

int paths_make(const char *dir, bool strict, struct err *err)
{
	struct stat st;
	int ret = io_mkdirs(dir);

	if (ret < 0)
		return err_sys(err, -ret, "cannot make the folder %s", dir);
	/* In a folder that others may write to, a link could have been put there. */
	if ((strict ? lstat(dir, &st) : stat(dir, &st)) < 0)
		return err_sys(err, errno, "cannot look at %s", dir);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, -ENOTDIR, "%s is not a folder", dir);
	if (st.st_uid != geteuid())
		return err_set(err, -EPERM, "%s belongs to another user (uid %u)", dir,
			       (unsigned)st.st_uid);
	if (strict && (st.st_mode & 077) != 0)
		return err_set(err, -EPERM, "others may enter %s; run chmod 700 on it", dir);
	return 0;
}

/* The first digits of a hash over the texts, each with its NUL. */
static int hash_texts(const char *const *texts, char out[NAME_HASH_DIGITS + 1])
{
	struct hasher *hasher = hasher_new(HASH_SHA256);
	char hex[OID_HEX_MAX + 1];
	struct oid oid;
	int ret;

	if (hasher == NULL)
		return -ENOMEM;
	ret = hasher_reset(hasher);
	for (; ret == 0 && *texts != NULL; texts++)
		ret = hasher_update(hasher, *texts, strlen(*texts) + 1);
	if (ret == 0)
		ret = hasher_final(hasher, &oid);
	hasher_free(hasher);
	if (ret < 0)
		return ret;
	memcpy(out, oid_to_hex(&oid, hex), NAME_HASH_DIGITS);
	out[NAME_HASH_DIGITS] = '\0';
	return 0;
}

/* What people can read of a URL in the name of a folder. */
static void slug_of(const char *url, char out[SLUG_MAX + 1])
{
	const char *rest = strstr(url, "://");
	size_t len;

	rest = rest != NULL ? rest + 3 : url;
	len = strlen(rest);
	if (len > SLUG_MAX)
		rest += len - SLUG_MAX;
	for (; *rest != '\0'; rest++, out++) {
		unsigned char byte = (unsigned char)*rest;
		bool plain = byte < 0x80 && (isalnum(byte) || strchr("._", byte) != NULL);

		*out = plain ? (char)byte : '-';
	}
	*out = '\0';
}

int paths_store(const struct paths *paths, const char *url, char out[PATH_MAX])
{
	const char *const texts[] = { url, NULL };
	char hash[NAME_HASH_DIGITS + 1];
	char slug[SLUG_MAX + 1];
	char name[NAME_HASH_DIGITS + SLUG_MAX + 2];
	int ret = hash_texts(texts, hash);

	if (ret < 0)
		return ret;
	slug_of(url, slug);
	snprintf(name, sizeof(name), "%s-%s", hash, slug);
	return paths_join(out, paths->cache, name);
}

static int hashed_name(const char *top, const char *folder, const char *const *texts,
		       char out[PATH_MAX])
{
	char hash[NAME_HASH_DIGITS + 1];
	char name[64];
	int ret = hash_texts(texts, hash);

	if (ret < 0)
		return ret;
	snprintf(name, sizeof(name), "%s/%s", folder, hash);
	return paths_join(out, top, name);
}

int paths_tip(const struct paths *paths, const char *url, const char *ref, char out[PATH_MAX])
{
	const char *const texts[] = { url, ref, NULL };

	return hashed_name(paths->cache, "tips", texts, out);
}

int paths_mount_state(const struct paths *paths, const char *url, const char *ref,
		      const char *mount_point, char out[PATH_MAX])
{
	const char *const texts[] = { url, ref, mount_point, NULL };

	return hashed_name(paths->state, "mounts", texts, out);
}

int paths_overlay(const struct paths *paths, const char *url, const char *ref, const char *name,
		  char out[PATH_MAX])
{
	const char *const texts[] = { url, ref, name, NULL };

	return hashed_name(paths->state, "overlays", texts, out);
}

int paths_socket(const char *runtime, pid_t pid, char out[PATH_MAX])
{
	char name[32];

	snprintf(name, sizeof(name), "%ld.sock", (long)pid);
	return paths_join(out, runtime, name);
}
