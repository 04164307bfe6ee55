/*
 * The folder of a repository, looked for in git's own order: a clone's .git, the
 * folder itself, and both again with ".git" put after the name.
 */
#include "remote/url_local.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* false: too long for the system. */
static bool join(char *out, const char *dir, const char *name)
{
	int len = snprintf(out, PATH_MAX, "%s%s", dir, name);

	return len >= 0 && len < PATH_MAX;
}

static bool is_repository(const char *dir)
{
	static const char *const marks[] = { "/HEAD", "/.git" };
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		if (join(path, dir, marks[i]) && access(path, F_OK) == 0)
			return true;
	}
	return false;
}

int url_find_local(char *out, const char *path, bool repository_only, struct err *err)
{
	static const char *const suffixes[] = { "/.git", "", ".git/.git", ".git" };
	char candidate[PATH_MAX], resolved[PATH_MAX];
	struct stat st;

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		if (!join(candidate, path, suffixes[i]))
			return err_set(err, -ENAMETOOLONG, "the path is too long");
		if (stat(candidate, &st) < 0) {
			if (errno == ENOENT || errno == ENOTDIR)
				continue;
			return err_sys(err, errno, "cannot look at '%s'", candidate);
		}
		if (!S_ISDIR(st.st_mode))
			continue;
		if (repository_only && !is_repository(candidate))
			continue;
		if (realpath(candidate, resolved) == NULL)
			return err_sys(err, errno, "cannot look at '%s'", candidate);
		memcpy(out, resolved, strlen(resolved) + 1);
		return 1;
	}
	return 0;
}
