/*
 * What differs from the base. First pass, with `lock` held for reading: a candidate for
 * each name and node of which the overlay knows something. Second pass, without: contents
 * that were written are compared with the base's; rules say what is ignored.
 *
 * Folders are nothing to git: one that moved is told as a whole, as it need not have been
 * read; one that was made is told by what is in it.
 *
 * A file that moved is renamed where git, which knows paths alone, would have to say so:
 * nothing of the base's was where it is now, and no other file is where it came from. Else
 * the one path is modified, and the other one deleted, modified or added.
 */
#include "worktree/changes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/array.h"
#include "git/hash.h"
#include "git/tree.h"
#include "worktree/worktree_internal.h"

#define READ_PIECE ((size_t)1 << 20)
#define LISTS_MAX 4096 /* .gitignore files kept while one list of differences is made */

static void difference_release(struct difference *item)
{
	free(item->path);
	free(item->old_path);
}

void differences_release(struct differences *list)
{
	for (size_t i = 0; i < list->count; i++)
		difference_release(&list->items[i]);
	free(list->items);
	*list = (struct differences)DIFFERENCES_INIT;
}

/* --- paths --- */

/* The path of an entry, by the names that the folders above have now, or in the base. */
static int entry_path(const struct entry *entry, bool in_base, char **out)
{
	AUTO_BUF struct buf path = BUF_INIT;
	const struct entry *at = entry;
	size_t depth = 0;
	const struct entry **parts = NULL;
	int rc = 0;

	for (; at != NULL; at = entry_above(at, in_base))
		depth++;
	parts = calloc(depth, sizeof(*parts));
	if (parts == NULL)
		return -ENOMEM;
	at = entry;
	for (size_t i = depth; i-- > 0;) {
		parts[i] = at;
		at = entry_above(at, in_base);
	}
	for (size_t i = 0; rc == 0 && i < depth; i++) {
		if (i > 0)
			rc = buf_append_u8(&path, '/');
		if (rc == 0)
			rc = buf_append(&path, parts[i]->name, parts[i]->name_len);
	}
	free(parts);
	if (rc < 0)
		return rc;
	*out = (char *)buf_steal(&path);
	return 0;
}

/* --- the first pass --- */

struct gather {
	struct worktree *tree;
	struct differences list;
	size_t cap;
};

static uint32_t git_mode(const struct node *node, const struct meta *meta)
{
	if (S_ISDIR(node->type))
		return node_is_submodule(node) ? TREE_MODE_GITLINK : TREE_MODE_DIR;
	if (S_ISLNK(node->type))
		return TREE_MODE_LINK;
	if (S_ISREG(node->type))
		return (meta->mode & S_IXUSR) != 0 ? TREE_MODE_EXEC : TREE_MODE_FILE;
	return 0;
}

/* Adds what stands at an entry (or stood: DELETED). */
static int gather_add(struct gather *gather, enum difference_kind kind, const struct entry *entry,
		      const struct node *base)
{
	const struct node *node = kind == DIFFERENCE_DELETED ? NULL : entry->node;
	struct difference item = { .kind = kind };
	int rc = ARRAY_ROOM(gather->list.items, gather->cap, gather->list.count);

	if (rc == 0)
		rc = entry_path(entry, node == NULL, &item.path);
	if (rc == 0 && kind == DIFFERENCE_RENAMED)
		rc = entry_path(node->origin, true, &item.old_path);
	if (rc < 0) {
		difference_release(&item);
		return rc;
	}
	if (base != NULL) {
		item.old_mode = base->kind;
		item.old_oid = base->oid;
	}
	if (node != NULL) {
		struct worktree_attr attr;
		struct meta meta;

		attr_fill_locked(gather->tree, entry->node, &attr);
		meta.mode = attr.mode;
		item.id = node->id;
		item.mode = git_mode(node, &meta);
		item.size = attr.size;
		if (node->local != NULL) {
			WITH_LOCK(&node->local->lock);
			item.contents = node->kind == 0 ||
					(node->local->changed &&
					 node->local->meta.contents > CONTENTS_BASE);
		}
		/* Another file of the base: their ids tell. */
		if (base != NULL && base != node && !item.contents) {
			item.contents = !oid_equal(&node->oid, &base->oid);
			item.certain = true;
		}
	}
	gather->list.items[gather->list.count++] = item;
	return 0;
}

static bool is_file_of_base(const struct node *base)
{
	return base != NULL && (!S_ISDIR(base->type) || node_is_submodule(base));
}

static bool has_file_in_base(const struct entry *entry)
{
	return entry->in_base && is_file_of_base(entry->base);
}

static bool is_file(const struct node *node)
{
	return node != NULL && (S_ISREG(node->type) || S_ISLNK(node->type));
}

/* Whether a node of the base is told as renamed, at its first name. */
static bool is_renamed(const struct node *node)
{
	const struct entry *origin = node->origin;

	if (origin == NULL || origin->node == node || node->names == NULL)
		return false;
	return S_ISDIR(node->type) ||
	       (!has_file_in_base(node->names) && !is_file(origin->node));
}

/* Whether what the base has at the entry is to be told as deleted, where no file is. */
static bool is_deleted(const struct entry *entry)
{
	return has_file_in_base(entry) && entry->node != entry->base && !is_renamed(entry->base);
}

/* Something made here stands at the entry. */
static int gather_new(struct gather *gather, const struct entry *entry)
{
	const struct node *node = entry->node;
	int rc = 0;

	if (is_file(node))
		return has_file_in_base(entry) ?
			       gather_add(gather, DIFFERENCE_MODIFIED, entry, entry->base) :
			       gather_add(gather, DIFFERENCE_ADDED, entry, NULL);
	if (is_deleted(entry))
		rc = gather_add(gather, DIFFERENCE_DELETED, entry, entry->base);
	if (rc == 0 && (!S_ISDIR(node->type) || node->children_live == 0))
		rc = gather_add(gather, DIFFERENCE_LOCAL, entry, NULL);
	return rc;
}

/* A node of the base stands at an entry that is not its own. */
static int gather_moved(struct gather *gather, const struct entry *entry)
{
	const struct node *node = entry->node;
	int rc = 0;

	if (S_ISDIR(node->type) && is_deleted(entry))
		rc = gather_add(gather, DIFFERENCE_DELETED, entry, entry->base);
	if (rc < 0)
		return rc;
	if (is_renamed(node) && node->names == entry)
		return gather_add(gather, DIFFERENCE_RENAMED, entry, node);
	if (has_file_in_base(entry))
		return gather_add(gather, DIFFERENCE_MODIFIED, entry, entry->base);
	return gather_add(gather, DIFFERENCE_ADDED, entry, NULL);
}

static int gather_entry(struct gather *gather, const struct entry *entry)
{
	if (entry->node != NULL)
		return entry->node->kind == 0 ? gather_new(gather, entry) :
						gather_moved(gather, entry);
	return is_deleted(entry) ? gather_add(gather, DIFFERENCE_DELETED, entry, entry->base) : 0;
}

/* A node of the base in its own place. */
static int gather_in_place(struct gather *gather, struct local *local)
{
	struct node *node = local->node;
	bool changed;

	if (node->kind == 0 || S_ISDIR(node->type) || node->origin == NULL ||
	    node->origin->node != node)
		return 0;
	pthread_mutex_lock(&local->lock);
	changed = local->changed &&
		  (local->meta.contents > CONTENTS_BASE ||
		   git_mode(node, &local->meta) != node->kind);
	pthread_mutex_unlock(&local->lock);
	return changed ? gather_add(gather, DIFFERENCE_MODIFIED, node->origin, node) : 0;
}

static int gather_all(struct gather *gather)
{
	struct worktree *tree = gather->tree;
	int rc = 0;

	pthread_rwlock_rdlock(&tree->lock);
	for (struct local *at = tree->locals; rc == 0 && at != NULL; at = at->next) {
		for (const struct entry *entry = at->overrides; rc == 0 && entry != NULL;
		     entry = entry->next_local)
			rc = gather_entry(gather, entry);
		if (rc == 0)
			rc = gather_in_place(gather, at);
	}
	pthread_rwlock_unlock(&tree->lock);
	return rc;
}

/* --- the second pass: contents --- */

/* The id that git would give to the contents of a node. */
static int hash_node(struct worktree *tree, const struct difference *item, struct hasher *hasher,
		     struct want *want, struct oid *out)
{
	AUTO_BUF struct buf data = BUF_INIT;
	struct worktree_read read = { .len = READ_PIECE };
	int rc = buf_reserve(&data, READ_PIECE);

	if (rc == 0 && item->mode == TREE_MODE_LINK) {
		rc = worktree_readlink(tree, item->id, &data, want);
		return rc == 0 ? hasher_object(hasher, OBJECT_BLOB, data.data, data.len, out) : rc;
	}
	if (rc == 0)
		rc = hasher_begin_object(hasher, OBJECT_BLOB, item->size);
	read.data = data.data;
	while (rc == 0) {
		ssize_t got = worktree_read(tree, item->id, &read, want);

		if (got <= 0) {
			rc = (int)got;
			break;
		}
		read.offset += (uint64_t)got;
		rc = hasher_update(hasher, data.data, (size_t)got);
	}
	return rc == 0 ? hasher_final(hasher, out) : rc;
}

static uint64_t base_size(struct worktree *tree, const struct oid *oid)
{
	struct store_info info;

	if (tree->store == NULL || store_info(tree->store, oid, &info) < 0)
		return NODE_SIZE_UNKNOWN;
	return info.size;
}

/* Whether what was written differs from the base's; item->contents then says so. */
static int compare_contents(struct worktree *tree, struct difference *item, struct hasher *hasher,
			    struct want *want)
{
	struct oid oid;

	if (!item->contents || item->certain || item->old_mode == 0 ||
	    item->old_mode == TREE_MODE_GITLINK)
		return 0;
	if ((item->old_mode == TREE_MODE_LINK) != (item->mode == TREE_MODE_LINK))
		return 0;
	uint64_t size = base_size(tree, &item->old_oid);

	if (size != NODE_SIZE_UNKNOWN && size != item->size)
		return 0;
	int rc = hash_node(tree, item, hasher, want, &oid);

	if (rc == -ENOENT || rc == -ESTALE || rc == -EIO) /* gone meanwhile, or lost */
		return 0;
	if (rc == 0)
		item->contents = !oid_equal(&oid, &item->old_oid);
	return rc;
}

/* --- the second pass: rules --- */

/* Lists of the folders on the way to the path that was looked at last. */
struct rules_walk {
	struct worktree *tree;
	const struct difference_rules *rules;
	struct ignore_stack stack;
	struct ignore_list *lists[LISTS_MAX]; /* owned, one a folder, NULL where it has none */
	char *folder;  /* owned; the deepest folder pushed; NULL: not begun */
	size_t depth;
};

static void walk_release(struct rules_walk *walk)
{
	while (walk->depth > 0)
		ignore_list_free(walk->lists[--walk->depth]);
	ignore_stack_release(&walk->stack);
	free(walk->folder);
	walk->folder = NULL;
}

/* The rules of one folder. */
static int read_rules(struct rules_walk *walk, const char *folder, size_t len,
		      struct ignore_list **out, struct want *want)
{
	AUTO_BUF struct buf path = BUF_INIT;
	AUTO_BUF struct buf data = BUF_INIT_MAX(IGNORE_FILE_MAX + 1);
	struct worktree_read read = { .len = IGNORE_FILE_MAX };
	uint64_t id = 0;
	int rc = buf_printf(&path, "%.*s%s.gitignore", (int)len, folder, len > 0 ? "/" : "");

	*out = NULL;
	if (rc == 0)
		rc = worktree_find(walk->tree, buf_str(&path), &id, want);
	if (rc == 0)
		rc = buf_reserve(&data, IGNORE_FILE_MAX);
	if (rc == -ENOENT || rc == -ENOTDIR || rc == -ENAMETOOLONG)
		return 0;
	if (rc < 0)
		return rc;
	read.data = data.data;
	ssize_t got = worktree_read(walk->tree, id, &read, want);

	if (got == ERR_AGAIN || got == -ENOMEM)
		return (int)got;
	if (got <= 0)
		return 0; /* empty, a folder, not to be read: git has no rules then either */
	rc = ignore_list_parse(data.data, (size_t)got, walk->rules->fold_case, out);
	return rc == ERR_LIMIT ? 0 : rc;
}

static int walk_push(struct rules_walk *walk, const char *folder, size_t len, struct want *want)
{
	struct ignore_list *list;

	if (walk->depth == LISTS_MAX)
		return ERR_LIMIT;
	int rc = walk->tree->store != NULL ? read_rules(walk, folder, len, &list, want) : 0;

	if (walk->tree->store == NULL)
		list = NULL;
	if (rc < 0)
		return rc;
	rc = ignore_stack_push(&walk->stack, folder, len, list);
	if (rc < 0) {
		ignore_list_free(list);
		return rc;
	}
	walk->lists[walk->depth++] = list;
	return 0;
}

/* Begins anew for each folder that is not below the one before: paths are sorted. */
static int walk_enter(struct rules_walk *walk, const char *path, struct want *want)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash != NULL ? (size_t)(slash - path) : 0;
	int rc = 0;

	if (walk->folder != NULL && strlen(walk->folder) == len &&
	    memcmp(walk->folder, path, len) == 0)
		return 0;
	walk_release(walk);
	for (size_t i = 0; rc == 0 && i < 3; i++)
		if (walk->rules->everywhere[i] != NULL)
			rc = ignore_stack_push(&walk->stack, "", 0, walk->rules->everywhere[i]);
	if (rc == 0)
		rc = walk_push(walk, "", 0, want);
	for (size_t end = 0; rc == 0 && len > 0 && end < len;) {
		end += strcspn(path + end, "/");
		rc = walk_push(walk, path, end, want);
		end++;
	}
	walk->folder = rc == 0 ? strndup(path, len) : NULL;
	return rc == 0 && walk->folder == NULL ? -ENOMEM : rc;
}

static bool in_dot_git(const char *path)
{
	for (;;) {
		size_t len = strcspn(path, "/");

		if (len == 4 && memcmp(path, ".git", 4) == 0)
			return true;
		if (path[len] == '\0')
			return false;
		path += len + 1;
	}
}

/* The path that the base had is deleted, and what stands at the new one is none of git's. */
static int split_rename(struct difference *item, enum difference_kind kind,
			struct gather *more)
{
	struct difference deleted = { .kind = DIFFERENCE_DELETED, .path = item->old_path,
				      .old_mode = item->old_mode, .old_oid = item->old_oid };
	int rc = ARRAY_ROOM(more->list.items, more->cap, more->list.count);

	if (rc < 0)
		return rc;
	more->list.items[more->list.count++] = deleted;
	item->kind = kind;
	item->old_path = NULL;
	item->old_mode = 0;
	item->contents = true;
	return 0;
}

/* Whether git would take up what stands at a new path; what comes of a rename besides is
 * added to `more`. */
static int judge_new(struct rules_walk *walk, struct difference *item, struct gather *more,
		     struct want *want)
{
	enum difference_kind kind = DIFFERENCE_LOCAL;
	int rc = 0;

	if (!in_dot_git(item->path)) {
		rc = walk_enter(walk, item->path, want);
		if (rc < 0 || ignore_stack_check_path(&walk->stack, item->path,
						      strlen(item->path),
						      false) != IGNORE_EXCLUDED)
			return rc;
		kind = DIFFERENCE_IGNORED;
	}
	if (item->kind == DIFFERENCE_RENAMED)
		return split_rename(item, kind, more);
	item->kind = kind;
	return 0;
}

static int judge(struct rules_walk *walk, struct difference *item, struct gather *more,
		 struct want *want)
{
	int rc = 0;

	if (item->kind == DIFFERENCE_ADDED ||
	    (item->kind == DIFFERENCE_RENAMED && item->mode != TREE_MODE_DIR &&
	     item->mode != TREE_MODE_GITLINK))
		rc = judge_new(walk, item, more, want);
	if (rc == 0 && (item->kind == DIFFERENCE_ADDED || item->kind == DIFFERENCE_MODIFIED) &&
	    item->contents && walk->rules->size_max != 0 && item->size > walk->rules->size_max)
		item->kind = DIFFERENCE_HELD;
	return rc;
}

/* --- all of it --- */

static int by_path(const void *a, const void *b)
{
	const struct difference *left = a;
	const struct difference *right = b;
	int order = strcmp(left->path, right->path);

	return order != 0 ? order : (int)left->kind - (int)right->kind;
}

/* False: nothing differs after all. */
static bool differs(struct difference *item)
{
	if (item->kind != DIFFERENCE_MODIFIED || item->contents)
		return true;
	item->kind = DIFFERENCE_MODE;
	return item->mode != item->old_mode;
}

/* What became two differences, after all others were looked at. */
static int add_more(struct differences *list, struct gather *more)
{
	struct difference *items = NULL;

	if (more->list.count == 0)
		return 0;
	items = realloc(list->items, (list->count + more->list.count) * sizeof(*items));
	if (items == NULL)
		return -ENOMEM;
	list->items = items;
	memcpy(items + list->count, more->list.items, more->list.count * sizeof(*items));
	list->count += more->list.count;
	more->list.count = 0;
	qsort(items, list->count, sizeof(*items), by_path);
	return 0;
}

static int refine(struct worktree *tree, const struct difference_rules *rules,
		  struct differences *list, struct want *want)
{
	struct gather more = { .tree = tree };
	struct hasher *hasher = hasher_new(tree->algo);
	struct rules_walk *walk = calloc(1, sizeof(*walk));
	size_t kept = 0;
	int rc = hasher != NULL && walk != NULL ? 0 : -ENOMEM;

	if (walk != NULL)
		*walk = (struct rules_walk){ .tree = tree, .rules = rules,
					     .stack = IGNORE_STACK_INIT };
	if (list->count > 0)
		qsort(list->items, list->count, sizeof(*list->items), by_path);
	for (size_t i = 0; i < list->count; i++) {
		struct difference *item = &list->items[i];

		if (rc == 0)
			rc = compare_contents(tree, item, hasher, want);
		if (rc == 0)
			rc = judge(walk, item, &more, want);
		if (rc == 0 && differs(item))
			list->items[kept++] = *item;
		else
			difference_release(item);
	}
	list->count = kept;
	if (rc == 0)
		rc = add_more(list, &more);
	differences_release(&more.list);
	if (walk != NULL)
		walk_release(walk);
	free(walk);
	hasher_free(hasher);
	return rc;
}

int worktree_differences(struct worktree *tree, const struct difference_rules *rules,
			 struct differences *out, struct want *want)
{
	struct gather gather = { .tree = tree };
	int rc = tree->journal != NULL ? gather_all(&gather) : 0;

	if (rc == 0)
		rc = refine(tree, rules, &gather.list, want);
	if (rc < 0)
		differences_release(&gather.list);
	else
		*out = gather.list;
	return rc;
}
