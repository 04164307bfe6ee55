/*
 * Names from the in-memory remote: the trees below a root, level by level, each
 * object once however often it occurs. A queue instead of recursion: what stands
 * in it is what was seen, and the first time that a tree is seen is at its
 * highest place, so that a limit of depth cuts none that is wanted. Where contents
 * come along there is no such limit, as with a host that cannot leave things out.
 */
#include <stdlib.h>

#include "git/commit.h"
#include "git/tree.h"
#include "remote/mem_internal.h"

struct visit {
	struct map_node node;
	struct visit *next;
	struct mem_object *object; /* held until the walk ends */
	unsigned level;            /* 1: the top tree; of a blob: its tree's; 0: the commit */
};

struct walk {
	struct mem_remote *mem;
	const struct remote_list *what;
	bool contents;       /* blobs come along */
	struct map seen;     /* of visit */
	struct visit *first; /* owned, as are all behind it */
	struct visit *last;
};

static void walk_release(struct walk *walk)
{
	while (walk->first != NULL) {
		struct visit *visit = walk->first;

		walk->first = visit->next;
		mem_object_put(walk->mem, visit->object);
		free(visit);
	}
	map_release(&walk->seen);
}

static bool was_seen(const struct walk *walk, const struct oid *oid)
{
	struct map_node *node = map_find(&walk->seen, oid_hash(oid));

	for (; node != NULL; node = map_find_next(node)) {
		if (oid_equal(&MAP_ENTRY(node, struct visit, node)->object->oid, oid))
			return true;
	}
	return false;
}

static int walk_add(struct walk *walk, const struct oid *oid, unsigned level, struct err *err)
{
	char hex[OID_HEX_MAX + 1];

	if (was_seen(walk, oid))
		return 0;
	struct visit *visit = calloc(1, sizeof(*visit));
	if (visit == NULL)
		return -ENOMEM;
	visit->level = level;
	visit->object = mem_object_get(walk->mem, oid);
	if (visit->object == NULL) {
		free(visit);
		return err_set(err, ERR_NOT_FOUND, "the remote does not have %s",
			       oid_to_hex(oid, hex));
	}
	int rc = map_insert(&walk->seen, &visit->node, oid_hash(oid));
	if (rc < 0) {
		mem_object_put(walk->mem, visit->object);
		free(visit);
		return rc;
	}
	if (walk->last != NULL)
		walk->last->next = visit;
	else
		walk->first = visit;
	walk->last = visit;
	return 0;
}

static int expand_tree(struct walk *walk, const struct visit *visit, struct err *err)
{
	unsigned depth = walk->what->depth;
	bool deeper = walk->contents || depth == REMOTE_DEPTH_ALL || visit->level < depth;
	struct tree_iter iter;
	struct tree_entry entry;
	uint32_t kind;
	int rc;

	tree_iter_init(&iter, visit->object->data, visit->object->size, walk->mem->algo);
	while ((rc = tree_iter_next(&iter, &entry)) > 0) {
		rc = tree_entry_kind(entry.mode, &kind);
		if (rc == 0 && kind == TREE_MODE_DIR && deeper)
			rc = walk_add(walk, &entry.oid, visit->level + 1, err);
		else if (rc == 0 && kind != TREE_MODE_DIR && kind != TREE_MODE_GITLINK &&
			 walk->contents)
			rc = walk_add(walk, &entry.oid, visit->level, err);
		if (rc < 0)
			return rc;
	}
	return rc;
}

/* Queues what the object names. */
static int expand(struct walk *walk, const struct visit *visit, struct err *err)
{
	struct commit commit;
	int rc;

	if (visit->object->type == OBJECT_TREE)
		return expand_tree(walk, visit, err);
	if (visit->object->type == OBJECT_BLOB && visit->level > 0)
		return 0;
	if (visit->object->type != OBJECT_COMMIT)
		return err_set(err, ERR_NOT_FOUND, "what is to be listed is no commit and no tree");
	rc = commit_parse(&commit, visit->object->data, visit->object->size, walk->mem->algo);
	return rc < 0 ? rc : walk_add(walk, &commit.tree, 1, err);
}

int mem_list(struct remote *remote, const struct remote_list *what, struct object_sink *sink,
	     const struct cancel *cancel, struct err *err)
{
	struct mem_remote *mem = mem_of(remote);
	__attribute__((cleanup(walk_release))) struct walk walk = {
		.mem = mem,
		.what = what,
		.contents = (mem->features & REMOTE_LISTS_CHEAPLY) == 0,
		.seen = MAP_INIT,
	};
	int rc = mem_enter(mem, cancel, err);

	if (rc < 0)
		return rc;
	{
		WITH_LOCK(&mem->lock);
		mem->counts.lists++;
	}
	struct mem_object *root = mem_object_get(mem, &what->root);
	bool is_tree = root != NULL && root->type == OBJECT_TREE;
	mem_object_put(mem, root);
	rc = walk_add(&walk, &what->root, is_tree ? 1 : 0, err);
	if (rc < 0)
		return rc;
	for (const struct visit *visit = walk.first; visit != NULL; visit = visit->next) {
		if (cancel_is_set(cancel))
			return err_set(err, ERR_CANCELLED, "given up");
		rc = expand(&walk, visit, err);
		if (rc == 0)
			rc = mem_give(mem, visit->object, sink, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}
