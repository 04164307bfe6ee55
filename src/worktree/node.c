#include "worktree/node.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "git/tree.h"
#include "worktree/local.h"
#include "worktree/worktree.h"

#define CHILDREN_MIN 8

/* --- the index --- */

void node_index_init(struct node_index *index)
{
	*index = (struct node_index){ .next_id = 1, .by_name = MAP_INIT };
}

void node_index_release(struct node_index *index)
{
	struct map_node *at = map_first(&index->by_name);

	while (at != NULL) {
		struct map_node *next = map_next(&index->by_name, at);

		free(MAP_ENTRY(at, struct entry, by_name));
		at = next;
	}
	map_release(&index->by_name);
	for (size_t i = 0; i < index->by_id_cap; i++)
		node_free(index->by_id[i]);
	free(index->by_id);
	node_index_init(index);
}

int node_index_reserve(struct node_index *index, size_t more)
{
	size_t need;
	size_t bytes;

	if (__builtin_add_overflow((size_t)index->next_id, more, &need))
		return -ENOMEM;
	if (need > index->by_id_cap) {
		size_t cap = index->by_id_cap < 512 ? 512 : index->by_id_cap;

		while (cap < need)
			if (__builtin_add_overflow(cap, cap / 2, &cap))
				return -ENOMEM;
		if (__builtin_mul_overflow(cap, sizeof(struct node *), &bytes))
			return -ENOMEM;
		struct node **by_id = realloc(index->by_id, bytes);

		if (by_id == NULL)
			return -ENOMEM;
		memset(by_id + index->by_id_cap, 0,
		       (cap - index->by_id_cap) * sizeof(struct node *));
		index->by_id = by_id;
		index->by_id_cap = cap;
	}
	return map_reserve(&index->by_name, more);
}

void node_index_add(struct node_index *index, struct node *node)
{
	index->by_id[node->id] = node;
	index->count++;
	if (node->id >= index->next_id)
		index->next_id = node->id + 1;
}

void node_index_remove(struct node_index *index, struct node *node)
{
	assert(node->names == NULL);
	index->by_id[node->id] = NULL;
	index->count--;
	node_free(node);
}

struct node *node_by_id(const struct node_index *index, uint64_t id)
{
	return id < index->by_id_cap ? index->by_id[id] : NULL;
}

/* --- nodes --- */

uint32_t node_type_of(uint32_t kind)
{
	switch (kind) {
	case TREE_MODE_FILE:
	case TREE_MODE_EXEC:
		return S_IFREG;
	case TREE_MODE_LINK:
		return S_IFLNK;
	default:
		return S_IFDIR;
	}
}

struct node *node_new(uint64_t id, uint32_t kind, uint32_t type)
{
	struct node *node = calloc(1, sizeof(*node));

	if (node == NULL)
		return NULL;
	node->id = id;
	node->kind = kind;
	node->type = kind != 0 ? node_type_of(kind) : type;
	node->next_position = POSITION_FIRST;
	atomic_init(&node->size, NODE_SIZE_UNKNOWN);
	return node;
}

void node_free(struct node *node)
{
	if (node == NULL)
		return;
	local_free(node->local);
	free(node->children);
	free(node);
}

struct node *node_parent(const struct node *node)
{
	return node->names != NULL ? node->names->parent : NULL;
}

unsigned node_link_count(const struct node *node)
{
	unsigned count = 0;

	if (S_ISDIR(node->type) && node->names == NULL && node->id != WORKTREE_ROOT)
		return 0;
	if (S_ISDIR(node->type))
		return node->read || node_is_submodule(node) ? 2 + node->folders : 1;

	for (const struct entry *name = node->names; name != NULL; name = name->next_name)
		count++;
	return count;
}

/* --- entries --- */

static uint64_t name_hash(const struct node *parent, const char *name, size_t name_len)
{
	return map_hash(name, name_len, parent != NULL ? parent->id : 0);
}

struct entry *entry_new(struct node *parent, const char *name, size_t name_len)
{
	struct entry *entry = calloc(1, sizeof(*entry) + name_len + 1);

	if (entry == NULL)
		return NULL;
	entry->parent = parent;
	entry->name_len = (uint16_t)name_len;
	memcpy(entry->name, name, name_len);
	return entry;
}

void entry_add(struct node_index *index, struct entry *entry)
{
	int rc = map_insert(&index->by_name, &entry->by_name,
			    name_hash(entry->parent, entry->name, entry->name_len));

	assert(rc == 0); /* the room was reserved */
	(void)rc;
}

void entry_remove(struct node_index *index, struct entry *entry)
{
	assert(entry->node == NULL && entry->base == NULL && entry->position == 0);
	map_remove(&index->by_name, &entry->by_name);
	free(entry);
}

struct entry *entry_find(const struct node_index *index, const struct node *parent,
			 const char *name, size_t name_len)
{
	uint64_t hash = name_hash(parent, name, name_len);

	for (struct map_node *at = map_find(&index->by_name, hash); at != NULL;
	     at = map_find_next(at)) {
		struct entry *entry = MAP_ENTRY(at, struct entry, by_name);

		if (entry->parent == parent && entry->name_len == name_len &&
		    memcmp(entry->name, name, name_len) == 0)
			return entry;
	}
	return NULL;
}

struct entry *entry_above(const struct entry *entry, bool in_base)
{
	const struct node *folder = entry->parent;

	return in_base || folder->names == NULL ? folder->origin : folder->names;
}

/* A folder stands at an entry in the listing, or stands there no more. */
static void count_folder(const struct entry *entry, bool comes)
{
	if (entry->position == 0 || entry->node == NULL || !S_ISDIR(entry->node->type))
		return;
	if (comes)
		entry->parent->folders++;
	else
		entry->parent->folders--;
}

void entry_attach(struct entry *entry, struct node *node)
{
	assert(entry->node == NULL);
	if (node == NULL)
		return;
	entry->node = node;
	entry->next_name = node->names;
	node->names = entry;
	count_folder(entry, true);
}

void entry_detach(struct entry *entry)
{
	struct node *node = entry->node;

	if (node == NULL)
		return;
	count_folder(entry, false);
	struct entry **at = &node->names;

	while (*at != entry)
		at = &(*at)->next_name;
	*at = entry->next_name;
	entry->next_name = NULL;
	entry->node = NULL;
}

/* --- listings --- */

int children_reserve(struct node *folder, size_t more)
{
	size_t need = folder->children_count + more;
	size_t cap = folder->children_cap;

	if (need <= cap)
		return 0;
	if (more == 1) /* one by one: in steps */
		need = cap < CHILDREN_MIN ? CHILDREN_MIN : cap + cap / 2;
	struct child *children = realloc(folder->children, need * sizeof(*children));

	if (children == NULL)
		return -ENOMEM;
	folder->children = children;
	folder->children_cap = need;
	return 0;
}

void children_add(struct node *folder, struct entry *entry)
{
	assert(folder->children_count < folder->children_cap);
	entry->position = folder->next_position++;
	folder->children[folder->children_count++] =
		(struct child){ .position = entry->position, .entry = entry };
	folder->children_live++;
	count_folder(entry, true);
}

size_t children_after(const struct node *folder, uint64_t position)
{
	size_t low = 0;
	size_t high = folder->children_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (folder->children[middle].position > position)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* Gaps cost memory and time, so they are closed when they are the half; positions
 * stay as they are. */
static void close_gaps(struct node *folder)
{
	size_t kept = 0;

	for (size_t i = 0; i < folder->children_count; i++)
		if (folder->children[i].entry != NULL)
			folder->children[kept++] = folder->children[i];
	folder->children_count = kept;
	folder->children_gone = 0;
}

void children_remove(struct node *folder, struct entry *entry)
{
	size_t at = children_after(folder, entry->position - 1);

	assert(at < folder->children_count && folder->children[at].entry == entry);
	count_folder(entry, false);
	folder->children[at].entry = NULL;
	entry->position = 0;
	folder->children_live--;
	if (++folder->children_gone > folder->children_count / 2)
		close_gaps(folder);
}
