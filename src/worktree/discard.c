/*
 * Taking changes back.
 *
 * First the set of names that have to change is found: those at or below the path, by
 * their place now or in the base, and what hangs on them:
 *
 *   the base's node that is to come back stands elsewhere     that name, too
 *   a moved node of the base stands there and would be lost   the place it came from
 *   a folder made here stands there                           all that is in it
 *   the folder that it is to be in is gone, or below it       that folder's name, too
 *
 * Then all of them are as in the base by one change of memory; the journal hears of
 * names that go before names that come, so that no folder ever has two.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/array.h"
#include "worktree/changes.h"
#include "worktree/names.h"

#define ENTRIES_PER_FRAME 200

/* What is to be done. */
struct plan {
	struct worktree *tree;
	const char *path;
	size_t path_len;
	struct entry **entries; /* owned array */
	size_t count;
	size_t cap;
	struct node **nodes;    /* owned array: attributes and contents as in the base */
	size_t nodes_count;
	size_t nodes_cap;
};

static void plan_release(struct plan *plan)
{
	free(plan->entries);
	free(plan->nodes);
}

static int plan_entry(struct plan *plan, struct entry *entry)
{
	if (entry == NULL || !entry->local || entry->planned)
		return 0;
	int rc = ARRAY_ROOM(plan->entries, plan->cap, plan->count);

	if (rc < 0)
		return rc;
	entry->planned = true;
	plan->entries[plan->count++] = entry;
	return 0;
}

static int plan_node(struct plan *plan, struct node *node)
{
	if (node == NULL || node->kind == 0 || node->local == NULL)
		return 0;
	for (size_t i = 0; i < plan->nodes_count; i++)
		if (plan->nodes[i] == node)
			return 0;
	int rc = ARRAY_ROOM(plan->nodes, plan->nodes_cap, plan->nodes_count);

	if (rc == 0)
		plan->nodes[plan->nodes_count++] = node;
	return rc;
}

/* --- what lies at or below the path --- */

/* Compares a path from its end up, name by name, without building it. */
static bool within(const struct plan *plan, const struct entry *entry, bool in_base)
{
	size_t len = 0;
	const struct entry *at;
	size_t skip;

	for (at = entry; at != NULL; at = entry_above(at, in_base))
		len += at->name_len + 1U;
	if (plan->path_len == 0)
		return true;
	if (len < plan->path_len + 1)
		return false;
	skip = len - (plan->path_len + 1); /* of what is below the path, with its slash */
	for (at = entry; at != NULL && skip > 0; at = entry_above(at, in_base)) {
		if (at->name_len + 1U > skip)
			return false; /* the path ends within a name */
		skip -= at->name_len + 1U;
	}
	size_t end = plan->path_len;

	for (; at != NULL; at = entry_above(at, in_base)) {
		if (at->name_len > end ||
		    memcmp(plan->path + end - at->name_len, at->name, at->name_len) != 0)
			return false;
		end -= at->name_len;
		if (end == 0)
			return entry_above(at, in_base) == NULL;
		if (plan->path[--end] != '/')
			return false;
	}
	return false;
}

static bool in_scope(const struct plan *plan, const struct entry *entry)
{
	return within(plan, entry, false) || (entry->in_base && within(plan, entry, true));
}

static int plan_scope(struct plan *plan)
{
	int rc = 0;

	for (struct local *at = plan->tree->locals; rc == 0 && at != NULL; at = at->next) {
		struct node *node = at->node;
		struct entry *name = node->names != NULL ? node->names : node->origin;

		for (struct entry *entry = at->overrides; rc == 0 && entry != NULL;
		     entry = entry->next_local)
			if (in_scope(plan, entry))
				rc = plan_entry(plan, entry);
		if (rc == 0 && at->changed &&
		    (name != NULL ? in_scope(plan, name) : plan->path_len == 0))
			rc = plan_node(plan, node);
	}
	return rc;
}

/* --- what hangs on it --- */

/* The folders above, as they stand now, that were moved: where a folder is to come
 * back into what lies in it. */
static int plan_moved_above(struct plan *plan, struct node *folder)
{
	int rc = 0;

	for (struct node *at = folder; rc == 0 && at != NULL; at = node_parent(at)) {
		rc = plan_entry(plan, at->origin);
		if (rc == 0)
			rc = plan_entry(plan, at->names);
	}
	return rc;
}

static int plan_hanging(struct plan *plan, struct entry *entry)
{
	struct node *back = entry->in_base ? entry->base : NULL;
	struct node *there = entry->node;
	int rc = plan_node(plan, back);

	for (struct entry *name = back != NULL ? back->names : NULL; rc == 0 && name != NULL;
	     name = name->next_name)
		rc = plan_entry(plan, name);
	if (rc == 0 && there != NULL && there->kind != 0)
		rc = plan_entry(plan, there->origin);
	if (rc == 0 && there != NULL && there->kind == 0 && there->local->overrides != NULL)
		for (struct entry *in = there->local->overrides; rc == 0 && in != NULL;
		     in = in->next_local)
			rc = plan_entry(plan, in);
	if (rc == 0 && back != NULL && !names_folder_exists_locked(entry->parent))
		rc = plan_entry(plan, entry->parent->origin);
	if (rc == 0 && back != NULL && S_ISDIR(back->type))
		for (struct node *at = entry->parent; rc == 0 && at != NULL; at = node_parent(at))
			if (at == back)
				rc = plan_moved_above(plan, entry->parent);
	return rc;
}

static int plan_make(struct plan *plan)
{
	int rc = plan_scope(plan);

	for (size_t i = 0; rc == 0 && i < plan->count; i++) /* it grows on the way */
		rc = plan_hanging(plan, plan->entries[i]);
	return rc;
}

static void plan_unmark(struct plan *plan)
{
	for (size_t i = 0; i < plan->count; i++)
		plan->entries[i]->planned = false;
}

/* A folder of the base in which something changes and whose entries are not known. */
static struct node *unread_folder(const struct plan *plan)
{
	for (size_t i = 0; i < plan->count; i++) {
		struct node *folder = plan->entries[i]->parent;

		if (folder->kind != 0 && !folder->read && folder->live)
			return folder;
	}
	return NULL;
}

/* --- doing it --- */

static int plan_write_names(struct plan *plan, bool coming, struct journal_place *place)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < plan->count;) {
		AUTO_BUF struct buf frame = BUF_INIT;
		unsigned count = 0;

		rc = frame_begin(&frame);
		for (; rc == 0 && i < plan->count && count < ENTRIES_PER_FRAME; i++) {
			const struct entry *entry = plan->entries[i];

			if (entry->in_base != coming)
				continue;
			rc = names_put_locked(&frame, entry, coming ? entry->base : NULL);
			count++;
		}
		if (rc == 0 && count > 0)
			rc = frame_append(plan->tree, NULL, &frame, JOURNAL_FREES, place);
	}
	return rc;
}

static int plan_write_nodes(struct plan *plan, struct journal_place *place)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < plan->nodes_count; i++) {
		AUTO_BUF struct buf frame = BUF_INIT;

		rc = frame_begin(&frame);
		if (rc == 0)
			rc = item_of_id(&frame, ITEM_CLEAN, plan->nodes[i]->id);
		if (rc == 0)
			rc = frame_append(plan->tree, NULL, &frame, JOURNAL_FREES, place);
	}
	return rc;
}

static int outdated_add(struct plan *plan, struct outdated *out)
{
	out->names = calloc(plan->count + 1, sizeof(*out->names));
	out->ids = calloc(plan->nodes_count + 2 * plan->count + 1, sizeof(*out->ids));
	if (out->names == NULL || out->ids == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < plan->count; i++) {
		const struct entry *entry = plan->entries[i];
		char *name = strdup(entry->name);

		if (name == NULL)
			return -ENOMEM;
		out->names[out->names_count++] =
			(struct outdated_name){ .parent = entry->parent->id, .name = name };
		out->ids[out->ids_count++] = entry->parent->id;
		if (entry->node != NULL)
			out->ids[out->ids_count++] = entry->node->id;
	}
	for (size_t i = 0; i < plan->nodes_count; i++)
		out->ids[out->ids_count++] = plan->nodes[i]->id;
	return 0;
}

/* What stood there and has no name any more. */
static void drop_nameless(struct worktree *tree, struct node **there, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct node *node = there[i];

		if (node == NULL || node->kind != 0 || node->names != NULL)
			continue;
		for (size_t j = i + 1; j < count; j++) /* it may have stood at several names */
			if (there[j] == node)
				there[j] = NULL;
		if (atomic_load(&node->lookups) == 0)
			node_drop_locked(tree, node);
	}
}

static void clean_node(struct worktree *tree, struct node *node, const struct journal_place *place)
{
	struct local *local = node->local;

	WITH_LOCK(&local->lock);
	if (local->changed && local->meta.contents == CONTENTS_FILE) {
		contents_set_unsynced(tree, local, false);
		(void)!datafile_retire(tree->files, node->id, local->meta.file, place->lsn);
	}
	local_clear(local);
}

static int plan_do(struct plan *plan, struct outdated *outdated)
{
	struct worktree *tree = plan->tree;
	struct node **there = calloc(plan->count + 1, sizeof(*there));
	struct journal_place place = { .lsn = 0 };
	int rc = there != NULL ? outdated_add(plan, outdated) : -ENOMEM;

	for (size_t i = 0; rc == 0 && i < plan->count; i++)
		rc = children_reserve(plan->entries[i]->parent, plan->count);
	if (rc == 0)
		rc = plan_write_names(plan, false, &place);
	if (rc == 0)
		rc = plan_write_names(plan, true, &place);
	if (rc == 0)
		rc = plan_write_nodes(plan, &place);
	plan_unmark(plan);
	if (rc < 0) {
		free(there);
		return rc;
	}
	for (size_t i = 0; i < plan->count; i++) {
		there[i] = plan->entries[i]->node;
		entry_detach(plan->entries[i]);
	}
	for (size_t i = 0; i < plan->count; i++) {
		struct entry *entry = plan->entries[i];

		names_set_locked(tree, entry, entry->in_base ? entry->base : NULL, &place);
	}
	for (size_t i = 0; i < plan->nodes_count; i++)
		clean_node(tree, plan->nodes[i], &place);
	drop_nameless(tree, there, plan->count);
	free(there);
	return 0;
}

void outdated_release(struct outdated *outdated)
{
	for (size_t i = 0; i < outdated->names_count; i++)
		free(outdated->names[i].name);
	free(outdated->names);
	free(outdated->ids);
	*outdated = (struct outdated)OUTDATED_INIT;
}

int worktree_discard(struct worktree *tree, const char *path, struct outdated *outdated,
		     uint64_t *count_out, struct want *want, struct err *err)
{
	int rc = overlay_writable(tree);

	while (rc == 0) {
		struct plan plan = { .tree = tree, .path = path, .path_len = strlen(path) };
		struct node *unread = NULL;

		pthread_rwlock_wrlock(&tree->lock);
		rc = plan_make(&plan);
		if (rc == 0)
			unread = unread_folder(&plan);
		if (rc == 0 && unread == NULL)
			rc = plan_do(&plan, outdated);
		else
			plan_unmark(&plan);
		pthread_rwlock_unlock(&tree->lock);
		*count_out = plan.count + plan.nodes_count;
		plan_release(&plan);
		if (rc < 0 || unread == NULL)
			break;
		rc = folder_read(tree, unread, want);
	}
	if (rc < 0 && rc != ERR_AGAIN)
		return err_set(err, rc, "cannot take back the changes of '%s': %s", path,
			       err_name(rc));
	return rc;
}
