/* Overlays; see overlays.h. Their folders are named by a hash, so each says in "info" whose
 * it is: "key=value", a line each; keys that this version does not know are left alone. */
#include "cli/overlays.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/config.h"
#include "cli/paths.h"
#include "worktree/changes.h"

#define INFO_MAX (4 * (size_t)PATH_MAX)
#define OVERLAYS_MAX 65536

void overlay_release(struct overlay *overlay)
{
	free(overlay->repository);
	free(overlay->ref);
	free(overlay->name);
	free(overlay->mount_point);
	*overlay = (struct overlay){ .folder = "" };
}

void overlays_release(struct overlay_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		overlay_release(&set->items[i]);
	free(set->items);
	*set = (struct overlay_set)OVERLAY_SET_INIT;
}

/* 1: it was this key. */
static int take_text(struct cursor line, const char *key, char **out)
{
	if (!cursor_literal(&line, key))
		return 0;
	free(*out);
	*out = strndup((const char *)line.ptr, line.left);
	return *out != NULL ? 1 : -ENOMEM;
}

static int take_line(struct overlay *overlay, struct cursor line)
{
	struct cursor hash = line;
	int ret = take_text(line, "repository=", &overlay->repository);

	if (ret == 0)
		ret = take_text(line, "ref=", &overlay->ref);
	if (ret == 0)
		ret = take_text(line, "overlay=", &overlay->name);
	if (ret == 0)
		ret = take_text(line, "mount_point=", &overlay->mount_point);
	if (ret == 0 && cursor_literal(&hash, "hash=") &&
	    hash_parse_name((const char *)hash.ptr, hash.left, &overlay->algo) < 0)
		return ERR_CORRUPT;
	return ret < 0 ? ret : 0;
}

int overlay_parse(const void *data, size_t len, struct overlay *out)
{
	struct cursor cur = cursor_of(data, len);
	struct overlay overlay = { .folder = "" };
	const uint8_t *line;
	size_t line_len;
	int ret = len > 0 && memchr(data, '\0', len) != NULL ? ERR_CORRUPT : 0;

	while (ret == 0 && cursor_until(&cur, '\n', &line, &line_len))
		ret = take_line(&overlay, cursor_of(line, line_len));
	if (ret == 0 && (cur.left > 0 || overlay.repository == NULL || overlay.ref == NULL ||
			 overlay.name == NULL || overlay.mount_point == NULL || overlay.algo == 0))
		ret = ERR_CORRUPT;
	if (ret < 0) {
		overlay_release(&overlay);
		return ret;
	}
	*out = overlay;
	return 0;
}

/* 1: *out is filled; 0: it is no overlay, or none that says so yet. */
static int read_one(const char *top, const char *name, struct overlay *out)
{
	AUTO_BUF struct buf text = BUF_INIT_MAX(INFO_MAX);
	char folder[PATH_MAX];
	char path[PATH_MAX];
	int ret;

	if (name[0] == '.' || paths_join(folder, top, name) < 0 ||
	    paths_join(path, folder, "info") < 0)
		return 0;
	ret = io_read_file(AT_FDCWD, path, &text);
	if (ret >= 0)
		ret = overlay_parse(text.data, text.len, out);
	if (ret < 0)
		return ret == -ENOMEM ? ret : 0;
	memcpy(out->folder, folder, strlen(folder) + 1);
	return 1;
}

static int by_words(const void *a, const void *b)
{
	const struct overlay *left = a;
	const struct overlay *right = b;
	int order = strcmp(left->repository, right->repository);

	if (order == 0)
		order = strcmp(left->ref, right->ref);
	return order != 0 ? order : strcmp(left->name, right->name);
}

static int read_all(DIR *dir, const char *top, struct overlay_set *set)
{
	struct dirent *entry;

	while ((entry = readdir(dir)) != NULL) {
		struct overlay *items;
		int ret;

		if (set->count == OVERLAYS_MAX)
			return ERR_LIMIT;
		items = reallocarray(set->items, set->count + 1, sizeof(*items));
		if (items == NULL)
			return -ENOMEM;
		set->items = items;
		ret = read_one(top, entry->d_name, &items[set->count]);
		if (ret < 0)
			return ret;
		set->count += (size_t)ret;
	}
	if (set->count > 0)
		qsort(set->items, set->count, sizeof(*set->items), by_words);
	return 0;
}

int overlays_read(struct overlay_set *out, const char *state_dir, struct err *err)
{
	struct overlay_set set = OVERLAY_SET_INIT;
	char top[PATH_MAX];
	DIR *dir;
	int ret = paths_join(top, state_dir, "overlays");

	if (ret < 0)
		return err_sys(err, -ret, "the folder for overlays");
	dir = opendir(top);
	if (dir == NULL && errno == ENOENT) {
		*out = set;
		return 0;
	}
	if (dir == NULL)
		return err_sys(err, errno, "cannot look into %s", top);
	ret = read_all(dir, top, &set);
	closedir(dir);
	if (ret < 0) {
		overlays_release(&set);
		return err_sys(err, -ret, "cannot read what is in %s", top);
	}
	*out = set;
	return 0;
}

/* Held for no longer than it takes to see that it can be had: lockfile_take() tries again. */
bool overlay_in_use(const struct overlay *overlay)
{
	AUTO_CLOSE int fd = -1;
	char path[PATH_MAX];

	if (paths_join(path, overlay->folder, "lock") < 0)
		return false;
	fd = io_open(AT_FDCWD, path, O_RDONLY, 0);
	return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

int overlay_look(const struct overlay *overlay, struct overlay_contents *out, struct err *err)
{
	struct worktree_config config = {
		.algo = overlay->algo,
		.uid = getuid(),
		.gid = getgid(),
		.overlay_dir = overlay->folder,
		.inspect = true,
	};
	struct difference_rules rules = { .size_max = 0 };
	struct differences list = DIFFERENCES_INIT;
	struct want want = WANT_INIT;
	struct worktree *tree;
	int ret = worktree_open(&tree, &config, err);

	if (ret < 0)
		return ret;
	out->has_base = worktree_overlay_base(tree, &out->base);
	ret = worktree_differences(tree, &rules, &list, &want);
	out->changes = list.count;
	differences_release(&list);
	want_release(&want);
	worktree_close(tree);
	return ret < 0 ? err_set(err, ret, "cannot tell what is in %s: %s", overlay->folder,
				 err_name(ret)) : 0;
}

int overlays_state_dir(const char *option, char out[PATH_MAX], struct err *err)
{
	struct config config;
	struct paths paths;
	char cwd[PATH_MAX];
	int ret;

	config_init(&config);
	ret = config_read_general(&config, err);
	if (ret == 0 && option != NULL) {
		if (getcwd(cwd, sizeof(cwd)) == NULL)
			return err_sys(err, errno, "cannot tell the current folder");
		ret = paths_absolute(config.state_dir, cwd, option);
	}
	if (ret < 0)
		return ret;
	/* The cache has no part in this: any folder does. */
	ret = paths_find(&paths, "/", config.state_dir[0] != '\0' ? config.state_dir : NULL, err);
	if (ret == 0)
		memcpy(out, paths.state, PATH_MAX);
	return ret;
}
