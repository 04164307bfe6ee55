#include "worktree/node.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void node_index_init(struct node_index *index)
{
	*index = (struct node_index){ .next_id = 1, .by_name = MAP_INIT };
}

void node_index_release(struct node_index *index)
{
	for (size_t i = 0; i < index->by_id_cap; i++)
		node_free(index->by_id[i]);
	free(index->by_id);
	map_release(&index->by_name);
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

struct node *node_new(const struct node_record *record)
{
	struct node *node = calloc(1, sizeof(*node) + record->name_len + 1);

	if (node == NULL)
		return NULL;
	node->id = record->id;
	node->kind = record->mode;
	node->oid = record->oid;
	atomic_init(&node->size, NODE_SIZE_UNKNOWN);
	node->name_len = (uint16_t)record->name_len;
	memcpy(node->name, record->name, record->name_len);
	return node;
}

void node_free(struct node *node)
{
	if (node == NULL)
		return;
	free(node->children);
	free(node);
}

static uint64_t name_hash(const struct node *parent, const char *name, size_t name_len)
{
	return map_hash(name, name_len, parent != NULL ? parent->id : 0);
}

static struct node *find_hashed(const struct node_index *index, const struct node *parent,
				const char *name, size_t name_len, uint64_t hash)
{
	for (struct map_node *at = map_find(&index->by_name, hash); at != NULL;
	     at = map_find_next(at)) {
		struct node *node = MAP_ENTRY(at, struct node, by_name);

		if (node->parent == parent && node->name_len == name_len &&
		    memcmp(node->name, name, name_len) == 0)
			return node;
	}
	return NULL;
}

void node_index_add(struct node_index *index, struct node *node)
{
	uint64_t hash = name_hash(node->parent, node->name, node->name_len);
	struct node *old = find_hashed(index, node->parent, node->name, node->name_len, hash);

	if (old != NULL)
		map_remove(&index->by_name, &old->by_name);
	index->by_id[node->id] = node;
	index->count++;
	if (node->id >= index->next_id)
		index->next_id = node->id + 1;
	int rc = map_insert(&index->by_name, &node->by_name, hash);

	assert(rc == 0); /* the room was reserved */
	(void)rc;
}

struct node *node_by_id(const struct node_index *index, uint64_t id)
{
	return id < index->by_id_cap ? index->by_id[id] : NULL;
}

struct node *node_by_name(const struct node_index *index, const struct node *parent,
			  const char *name, size_t name_len)
{
	return find_hashed(index, parent, name, name_len, name_hash(parent, name, name_len));
}
