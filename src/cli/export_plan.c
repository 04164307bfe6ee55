/*
 * Planning an export; see export_plan.h. A path that was only moved, or only made executable,
 * is `same`: its contents need not be fetched, words that stand for them will do. Not so
 * where something else comes to its old path, or something went from its new one: git then
 * sees a file that changed, and shows its contents.
 */
#include "cli/export_plan.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "git/tree.h"

struct planner {
	struct run *run;
	const struct differences *list;
	const char *const *scope;
	size_t scope_count;
	size_t moved; /* folders in the list */
	struct export_plan plan;
};

void export_plan_release(struct export_plan *plan)
{
	for (size_t i = 0; i < plan->count; i++) {
		free(plan->items[i].old_path);
		free(plan->items[i].path);
	}
	free(plan->items);
	*plan = (struct export_plan)EXPORT_PLAN_INIT;
}

/* --- paths --- */

/* Both from the top, without a slash in front. */
static bool at_or_below(const char *path, const char *top)
{
	size_t len = strlen(top);

	return strncmp(path, top, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

static bool in_scope(const struct planner *planner, const char *path)
{
	for (size_t i = 0; i < planner->scope_count; i++) {
		if (at_or_below(path, planner->scope[i]))
			return true;
	}
	return planner->scope_count == 0;
}

static bool is_moved_folder(const struct difference *item)
{
	return item->kind == DIFFERENCE_RENAMED && item->mode == TREE_MODE_DIR;
}

/* Where the base has what is at `path` now, if it has it: a folder above may have moved.
 * The deepest such folder comes last in the list. */
static int base_path(const struct planner *planner, const char *path, struct buf *out)
{
	const struct difference *moved = NULL;

	for (size_t i = 0; planner->moved > 0 && i < planner->list->count; i++) {
		const struct difference *item = &planner->list->items[i];

		if (is_moved_folder(item) && strcmp(item->path, path) != 0 &&
		    at_or_below(path, item->path))
			moved = item;
	}
	if (moved == NULL)
		return buf_append_str(out, path);
	return buf_printf(out, "%s%s", moved->old_path, path + strlen(moved->path));
}

/* Adds an entry with copies of its paths, where it is in the scope. */
static int add(struct planner *planner, const struct export_entry *entry)
{
	struct export_plan *plan = &planner->plan;
	struct export_entry copy = *entry;

	if (!(entry->path != NULL && in_scope(planner, entry->path)) &&
	    !(entry->old_path != NULL && in_scope(planner, entry->old_path)))
		return 0;
	if (plan->count == plan->room) {
		size_t room = plan->room == 0 ? 64 : 2 * plan->room;
		struct export_entry *items = reallocarray(plan->items, room, sizeof(*items));

		if (items == NULL)
			return -ENOMEM;
		plan->items = items;
		plan->room = room;
	}
	copy.old_path = entry->old_path != NULL ? strdup(entry->old_path) : NULL;
	copy.path = entry->path != NULL ? strdup(entry->path) : NULL;
	if ((entry->old_path != NULL && copy.old_path == NULL) ||
	    (entry->path != NULL && copy.path == NULL)) {
		free(copy.old_path);
		free(copy.path);
		return -ENOMEM;
	}
	plan->items[plan->count++] = copy;
	return 0;
}

/* --- folders that moved --- */

struct folder_file {
	char *name; /* owned */
	uint64_t id;
	uint32_t mode;
};

struct folder_files {
	struct folder_file *items; /* owned */
	size_t count;
	size_t room;
	uint64_t position;
	int ret;
};

static int take_file(struct folder_files *files, const char *name,
		     const struct worktree_attr *attr)
{
	struct folder_file file = { .name = strdup(name), .id = attr->id, .mode = attr->mode };

	if (file.name == NULL)
		return -ENOMEM;
	if (files->count == files->room) {
		size_t room = files->room == 0 ? 64 : 2 * files->room;
		struct folder_file *items = reallocarray(files->items, room, sizeof(*items));

		if (items == NULL) {
			free(file.name);
			return -ENOMEM;
		}
		files->items = items;
		files->room = room;
	}
	files->items[files->count++] = file;
	return 0;
}

static enum list_result visit(void *arg, const char *name, const struct worktree_attr *attr,
			      uint64_t next_position)
{
	struct folder_files *files = arg;

	if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
		files->ret = take_file(files, name, attr);
	if (files->ret < 0)
		return LIST_FULL;
	files->position = next_position;
	return LIST_TAKEN;
}

struct folder_ask {
	struct worktree *tree;
	uint64_t id;
	struct folder_files *files;
};

static int ask_folder(void *arg, struct want *want)
{
	struct folder_ask *ask = arg;
	struct worktree_list list = { .position = ask->files->position, .visit = visit,
				      .arg = ask->files };
	int ret = worktree_list(ask->tree, ask->id, &list, want);

	return ret == 0 ? ask->files->ret : ret;
}

static int by_path(const void *path, const void *item)
{
	return strcmp(path, ((const struct difference *)item)->path);
}

/* What is told by itself is not told with its folder. */
static bool is_told(const struct planner *planner, const char *path)
{
	return bsearch(path, planner->list->items, planner->list->count,
		       sizeof(*planner->list->items), by_path) != NULL;
}

static int plan_folder(struct planner *planner, uint64_t id, const char *old_path,
		       const char *path);

static int plan_file(struct planner *planner, const struct folder_file *file,
		     const char *old_folder, const char *folder)
{
	AUTO_BUF struct buf old_path = BUF_INIT;
	AUTO_BUF struct buf path = BUF_INIT;
	struct export_entry entry = { .id = file->id, .same = true };
	int ret = buf_printf(&old_path, "%s/%s", old_folder, file->name);

	if (ret == 0)
		ret = buf_printf(&path, "%s/%s", folder, file->name);
	if (ret < 0 || is_told(planner, buf_str(&path)))
		return ret;
	if (S_ISDIR(file->mode))
		return plan_folder(planner, file->id, buf_str(&old_path), buf_str(&path));
	if (S_ISLNK(file->mode))
		entry.mode = TREE_MODE_LINK;
	else if (S_ISREG(file->mode))
		entry.mode = (file->mode & S_IXUSR) != 0 ? TREE_MODE_EXEC : TREE_MODE_FILE;
	else
		return 0;
	entry.old_mode = entry.mode;
	entry.old_path = (char *)(uintptr_t)buf_str(&old_path);
	entry.path = (char *)(uintptr_t)buf_str(&path);
	return add(planner, &entry);
}

/* Calls itself as deep as paths are. */
static int plan_folder(struct planner *planner, uint64_t id, const char *old_path,
		       const char *path)
{
	struct folder_files files = { .items = NULL };
	struct folder_ask ask = { .tree = planner->run->worktree, .id = id, .files = &files };
	int ret = answer_fetching(planner->run, ask_folder, &ask);

	for (size_t i = 0; ret == 0 && i < files.count; i++)
		ret = plan_file(planner, &files.items[i], old_path, path);
	for (size_t i = 0; i < files.count; i++)
		free(files.items[i].name);
	free(files.items);
	return ret;
}

/* --- all of it --- */

static int plan_item(struct planner *planner, const struct difference *item)
{
	AUTO_BUF struct buf old_path = BUF_INIT;
	struct export_entry entry = { .old_mode = item->old_mode, .mode = item->mode,
				      .old_oid = item->old_oid, .id = item->id };
	int ret = 0;

	if (item->kind == DIFFERENCE_LOCAL || item->kind == DIFFERENCE_IGNORED)
		return 0;
	if (is_moved_folder(item))
		return plan_folder(planner, item->id, item->old_path, item->path);
	if (item->old_path != NULL)
		ret = buf_append_str(&old_path, item->old_path);
	else if (item->kind == DIFFERENCE_DELETED)
		ret = buf_append_str(&old_path, item->path);
	else if (item->old_mode != 0)
		ret = base_path(planner, item->path, &old_path);
	if (ret < 0)
		return ret;
	if (old_path.len > 0 && item->old_mode != TREE_MODE_DIR)
		entry.old_path = (char *)(uintptr_t)buf_str(&old_path);
	if (item->mode != 0 && item->mode != TREE_MODE_DIR)
		entry.path = item->path;
	entry.same = !item->contents && item->old_mode != TREE_MODE_GITLINK &&
		     (item->kind == DIFFERENCE_RENAMED || item->kind == DIFFERENCE_MODE);
	return add(planner, &entry);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool has(const char *const *texts, size_t count, const char *text)
{
	return bsearch(&text, texts, count, sizeof(*texts), by_text) != NULL;
}

/* Contents of which git sees more than a move. */
static int find_shown(struct export_plan *plan)
{
	const char **olds = calloc(plan->count + 1, sizeof(*olds));
	const char **news = calloc(plan->count + 1, sizeof(*news));
	size_t old_count = 0, new_count = 0;

	for (size_t i = 0; olds != NULL && news != NULL && i < plan->count; i++) {
		if (plan->items[i].old_path != NULL)
			olds[old_count++] = plan->items[i].old_path;
		if (plan->items[i].path != NULL)
			news[new_count++] = plan->items[i].path;
	}
	if (olds != NULL && news != NULL) {
		qsort(olds, old_count, sizeof(*olds), by_text);
		qsort(news, new_count, sizeof(*news), by_text);
	}
	for (size_t i = 0; olds != NULL && news != NULL && i < plan->count; i++) {
		struct export_entry *entry = &plan->items[i];

		if (entry->same && strcmp(entry->old_path, entry->path) != 0 &&
		    (has(news, new_count, entry->old_path) || has(olds, old_count, entry->path)))
			entry->same = false;
	}
	free(olds);
	free(news);
	return olds != NULL && news != NULL ? 0 : -ENOMEM;
}

int export_plan_make(struct export_plan *out, struct run *run, const struct differences *list,
		     const char *const *scope, size_t scope_count)
{
	struct planner planner = { .run = run, .list = list, .scope = scope,
				   .scope_count = scope_count, .plan = EXPORT_PLAN_INIT };
	int ret = 0;

	for (size_t i = 0; i < list->count; i++)
		planner.moved += is_moved_folder(&list->items[i]);
	for (size_t i = 0; ret == 0 && i < list->count; i++)
		ret = plan_item(&planner, &list->items[i]);
	if (ret == 0)
		ret = find_shown(&planner.plan);
	if (ret < 0)
		export_plan_release(&planner.plan);
	else
		*out = planner.plan;
	return ret;
}
