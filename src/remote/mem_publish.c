/*
 * Commits that the in-memory remote makes.
 *
 * The folders that changes touch are taken apart into entries; those of the rest
 * stay ids. A folder made or opened is put first on a list, after its parent was:
 * so the list, walked from its head, has children before their parents, and one
 * pass over it writes all trees bottom-up. Names point into the trees they come
 * from, which are held, or into the changes.
 *
 * Objects are added before the ref is compared a second time and moved: a host
 * that refuses keeps what was uploaded, unreachable.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "git/commit.h"
#include "git/tree.h"
#include "remote/mem_internal.h"

struct folder;

struct item {
	struct tree_entry entry;
	struct folder *folder; /* opened; entry.oid is then not valid before the end */
};

struct folder {
	struct folder *older;    /* the list */
	struct folder *parent;   /* NULL: the top */
	struct mem_object *tree; /* what it was made from; NULL: it is new */
	struct item *items;      /* owned */
	size_t count, cap;
};

struct builder {
	struct mem_remote *mem;
	struct folder *newest; /* owned, with all that are older */
	struct folder *top;
};

static void builder_release(struct builder *builder)
{
	while (builder->newest != NULL) {
		struct folder *folder = builder->newest;

		builder->newest = folder->older;
		mem_object_put(builder->mem, folder->tree);
		free(folder->items);
		free(folder);
	}
}

/* NULL: no memory. Valid until the next call for this folder. */
static struct item *add_item(struct folder *folder, const struct tree_entry *entry)
{
	if (folder->count == folder->cap) {
		size_t cap = folder->cap == 0 ? 16 : folder->cap * 2;
		struct item *items = reallocarray(folder->items, cap, sizeof(*items));

		if (items == NULL)
			return NULL;
		folder->items = items;
		folder->cap = cap;
	}
	folder->items[folder->count] = (struct item){ .entry = *entry, .folder = NULL };
	return &folder->items[folder->count++];
}

static void remove_item(struct folder *folder, struct item *item)
{
	*item = folder->items[--folder->count];
}

static struct item *find_item(const struct folder *folder, struct cursor name)
{
	for (size_t i = 0; i < folder->count; i++) {
		const struct tree_entry *entry = &folder->items[i].entry;

		if (entry->name_len == name.left && memcmp(entry->name, name.ptr, name.left) == 0)
			return &folder->items[i];
	}
	return NULL;
}

static int read_items(struct builder *builder, struct folder *folder)
{
	struct tree_iter iter;
	struct tree_entry entry;
	int rc;

	tree_iter_init(&iter, folder->tree->data, folder->tree->size, builder->mem->algo);
	while ((rc = tree_iter_next(&iter, &entry)) > 0) {
		if (add_item(folder, &entry) == NULL)
			return -ENOMEM;
	}
	return rc;
}

/* A folder with the entries of `tree`; NULL: without any. */
static int open_folder(struct builder *builder, struct folder *parent, const struct oid *tree,
		       struct folder **out, struct err *err)
{
	struct folder *folder = calloc(1, sizeof(*folder));

	if (folder == NULL)
		return -ENOMEM;
	folder->parent = parent;
	folder->older = builder->newest;
	builder->newest = folder;
	*out = folder;
	if (tree == NULL)
		return 0;
	folder->tree = mem_object_get(builder->mem, tree);
	if (folder->tree == NULL || folder->tree->type != OBJECT_TREE)
		return err_set(err, ERR_NOT_FOUND, "the remote lacks a tree of the base");
	return read_items(builder, folder);
}

static bool is_folder(const struct item *item)
{
	uint32_t kind;

	return item->folder != NULL ||
	       (tree_entry_kind(item->entry.mode, &kind) == 0 && kind == TREE_MODE_DIR);
}

/* The next name of a path; false at its end. */
static bool next_name(struct cursor *path, struct cursor *name)
{
	const uint8_t *ptr;
	size_t len;

	if (path->left == 0)
		return false;
	if (!cursor_until(path, '/', &ptr, &len)) {
		len = path->left;
		if (!cursor_bytes(path, len, &ptr))
			return false;
	}
	*name = cursor_of(ptr, len);
	return true;
}

static int check_path(const char *path, struct err *err)
{
	struct cursor rest = cursor_of(path, strlen(path)), name;
	bool bad = rest.left == 0 || path[rest.left - 1] == '/';

	while (!bad && next_name(&rest, &name))
		bad = name.left > TREE_NAME_MAX || !tree_name_shown(name.ptr, name.left);
	return bad ? err_set(err, -EINVAL, "'%s' cannot be a path", path) : 0;
}

/*
 * Goes to the folder that `path` lies in; *name is then its last name. `make`:
 * missing folders are made. ERR_NOT_FOUND, or -EINVAL where something that is no
 * folder is in the way.
 */
static int go_to(struct builder *builder, const char *path, bool make, struct folder **out,
		 struct cursor *name, struct err *err)
{
	struct cursor rest = cursor_of(path, strlen(path));
	struct folder *folder = builder->top;

	while (next_name(&rest, name) && rest.left > 0) {
		struct item *item = find_item(folder, *name);
		bool missing = item == NULL;

		if (missing && !make)
			return err_set(err, ERR_NOT_FOUND, "'%s' is not there", path);
		if (missing) {
			struct tree_entry entry = { .mode = TREE_MODE_DIR,
						    .name = name->ptr,
						    .name_len = name->left };

			item = add_item(folder, &entry);
			if (item == NULL)
				return -ENOMEM;
		}
		if (!is_folder(item))
			return err_set(err, make ? -EINVAL : ERR_NOT_FOUND,
				       "'%s' lies below something that is no folder", path);
		if (item->folder == NULL) {
			int rc = open_folder(builder, folder, missing ? NULL : &item->entry.oid,
					     &item->folder, err);

			if (rc < 0)
				return rc;
		}
		folder = item->folder;
	}
	*out = folder;
	return 0;
}

/* The parent's item for an opened folder; NULL where that was deleted since. */
static struct item *item_of(const struct folder *folder)
{
	for (size_t i = 0; i < folder->parent->count; i++) {
		if (folder->parent->items[i].folder == folder)
			return &folder->parent->items[i];
	}
	return NULL;
}

static int apply_delete(struct builder *builder, const struct change *change, struct err *err)
{
	struct folder *folder;
	struct cursor name;
	int rc = go_to(builder, change->path, false, &folder, &name, err);

	if (rc < 0)
		return rc;
	struct item *item = find_item(folder, name);
	if (item == NULL)
		return err_set(err, ERR_NOT_FOUND, "'%s' is not there", change->path);
	remove_item(folder, item);
	/* Folders that this emptied go with it. */
	for (; folder->count == 0 && folder->parent != NULL; folder = folder->parent) {
		struct item *own = item_of(folder);

		assert(own != NULL);
		remove_item(folder->parent, own);
	}
	return 0;
}

static int apply_put(struct builder *builder, const struct change *change, struct err *err)
{
	struct tree_entry entry = { .mode = change->mode };
	struct folder *folder;
	struct cursor name;

	if (change->mode != TREE_MODE_FILE && change->mode != TREE_MODE_EXEC &&
	    change->mode != TREE_MODE_LINK)
		return err_set(err, -EINVAL, "'%s' cannot have the mode %o", change->path,
			       change->mode);
	int rc = go_to(builder, change->path, true, &folder, &name, err);
	if (rc < 0)
		return rc;
	rc = mem_remote_add(builder->mem, OBJECT_BLOB, change->data, change->size, &entry.oid);
	if (rc < 0)
		return rc;
	entry.name = name.ptr;
	entry.name_len = name.left;
	struct item *item = find_item(folder, name);
	if (item == NULL)
		return add_item(folder, &entry) != NULL ? 0 : -ENOMEM;
	if (is_folder(item))
		return err_set(err, -EINVAL, "'%s' is a folder", change->path);
	*item = (struct item){ .entry = entry, .folder = NULL };
	return 0;
}

static int compare_items(const void *a, const void *b)
{
	return tree_entry_compare(&((const struct item *)a)->entry,
				  &((const struct item *)b)->entry);
}

static int write_folder(struct builder *builder, struct folder *folder, struct oid *out)
{
	AUTO_BUF struct buf data = BUF_INIT;

	if (folder->count > 0)
		qsort(folder->items, folder->count, sizeof(folder->items[0]), compare_items);
	for (size_t i = 0; i < folder->count; i++) {
		const struct tree_entry *entry = &folder->items[i].entry;
		int rc = tree_append(&data, entry->mode, entry->name, entry->name_len, &entry->oid);

		if (rc < 0)
			return rc;
	}
	return mem_remote_add(builder->mem, OBJECT_TREE, data.data, data.len, out);
}

/* Writes all opened folders, children first; the top is the oldest. */
static int write_folders(struct builder *builder, struct oid *top_out)
{
	for (struct folder *folder = builder->newest; folder != builder->top;
	     folder = folder->older) {
		struct item *item = item_of(folder);

		if (item == NULL)
			continue;
		int rc = write_folder(builder, folder, &item->entry.oid);
		if (rc < 0)
			return rc;
	}
	return write_folder(builder, builder->top, top_out);
}

int mem_tree_build(struct mem_remote *mem, const struct oid *base,
		   const struct change_set *changes, struct oid *tree_out, struct err *err)
{
	__attribute__((cleanup(builder_release))) struct builder builder = { .mem = mem };
	int rc = open_folder(&builder, NULL, base, &builder.top, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < changes->count; i++) {
		const struct change *change = &changes->changes[i];

		rc = check_path(change->path, err);
		if (rc == 0 && change->action == CHANGE_DELETE)
			rc = apply_delete(&builder, change, err);
		if (rc < 0)
			return rc;
	}
	for (size_t i = 0; i < changes->count; i++) {
		if (changes->changes[i].action != CHANGE_PUT)
			continue;
		rc = apply_put(&builder, &changes->changes[i], err);
		if (rc < 0)
			return rc;
	}
	return write_folders(&builder, tree_out);
}

static int check_ref_locked(struct mem_remote *mem, const struct change_set *changes,
			    struct err *err)
{
	const struct mem_ref *ref = mem_ref_find_locked(mem, changes->ref);
	bool same = ref != NULL ? oid_equal(&ref->oid, &changes->base)
				: !oid_is_set(&changes->base);

	return same ? 0 : err_set(err, ERR_STALE, "%s has moved", changes->ref);
}

static int base_tree(struct mem_remote *mem, const struct oid *oid, struct oid *out,
		     struct err *err)
{
	struct mem_object *object = mem_object_get(mem, oid);
	struct commit commit;
	int rc = ERR_NOT_FOUND;

	if (object != NULL && object->type == OBJECT_COMMIT)
		rc = commit_parse(&commit, object->data, object->size, mem->algo);
	mem_object_put(mem, object);
	if (rc < 0)
		return err_set(err, rc, "the base is no commit that can be read");
	*out = commit.tree;
	return 0;
}

static bool is_person(const char *text)
{
	return strpbrk(text, "<>\n") == NULL;
}

static int make_commit(struct mem_remote *mem, const struct change_set *changes,
		       const struct oid *tree, struct oid *out, struct err *err)
{
	static const char *const roles[] = { "author", "committer" };
	AUTO_BUF struct buf data = BUF_INIT;
	char hex[OID_HEX_MAX + 1];

	if (!is_person(changes->author_name) || !is_person(changes->author_email))
		return err_set(err, -EINVAL, "the author cannot be written into a commit");
	int rc = buf_printf(&data, "tree %s\n", oid_to_hex(tree, hex));
	if (rc == 0 && oid_is_set(&changes->base))
		rc = buf_printf(&data, "parent %s\n", oid_to_hex(&changes->base, hex));
	for (size_t i = 0; i < 2 && rc == 0; i++)
		rc = buf_printf(&data, "%s %s <%s> %" PRId64 " +0000\n", roles[i],
				changes->author_name, changes->author_email, changes->time);
	if (rc == 0)
		rc = buf_printf(&data, "\n%s", changes->message);
	if (rc < 0)
		return rc;
	return mem_remote_add(mem, OBJECT_COMMIT, data.data, data.len, out);
}

static int check_set(const struct mem_remote *mem, const struct change_set *changes,
		     struct err *err)
{
	if ((mem->features & REMOTE_PUBLISHES) == 0)
		return err_set(err, ERR_UNSUPPORTED, "the remote takes no commits");
	if (strncmp(changes->ref, "refs/", 5) != 0 || strlen(changes->ref) >= REF_NAME_MAX)
		return err_set(err, -EINVAL, "'%s' is no full name of a ref", changes->ref);
	return 0;
}

int mem_publish(struct remote *remote, const struct change_set *changes, struct oid *commit_out,
		const struct cancel *cancel, struct err *err)
{
	struct mem_remote *mem = mem_of(remote);
	bool has_base = oid_is_set(&changes->base);
	struct oid tree, commit;
	uint64_t bytes = 0;
	int rc = mem_enter(mem, cancel, err);

	if (rc == 0)
		rc = check_set(mem, changes, err);
	if (rc < 0)
		return rc;
	{
		WITH_LOCK(&mem->lock);
		rc = check_ref_locked(mem, changes, err);
	}
	if (rc == 0 && has_base)
		rc = base_tree(mem, &changes->base, &tree, err);
	if (rc == 0)
		rc = mem_tree_build(mem, has_base ? &tree : NULL, changes, &tree, err);
	if (rc == 0)
		rc = make_commit(mem, changes, &tree, &commit, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < changes->count; i++)
		bytes += changes->changes[i].action == CHANGE_PUT ? changes->changes[i].size : 0;

	WITH_LOCK(&mem->lock);
	mem->traffic.bytes_sent += bytes;
	rc = check_ref_locked(mem, changes, err);
	if (rc == 0)
		rc = mem_ref_set_locked(mem, changes->ref, &commit);
	if (rc == 0)
		*commit_out = commit;
	return rc;
}
