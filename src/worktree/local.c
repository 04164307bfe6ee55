#include "worktree/local.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "worktree/node.h"

struct local *local_new(struct node *node)
{
	struct local *local = calloc(1, sizeof(*local));

	if (local == NULL)
		return NULL;
	local->node = node;
	pthread_mutex_init(&local->lock, NULL);
	return local;
}

static void xattrs_free(struct local *local)
{
	while (local->xattrs != NULL) {
		struct xattr *xattr = local->xattrs;

		local->xattrs = xattr->next;
		xattr_free(xattr);
	}
}

void local_free(struct local *local)
{
	if (local == NULL)
		return;
	xattrs_free(local);
	free(local->target);
	pthread_mutex_destroy(&local->lock);
	free(local);
}

/* --- states --- */

/* Bytes beyond the end are zero when the file grows again. */
static void clip_extents(struct local *local, uint64_t size)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < local->extents_count; i++) {
		struct extent extent = local->extents[i];

		if (extent.offset >= size)
			continue;
		if (extent.len > size - extent.offset)
			extent.len = (uint32_t)(size - extent.offset);
		local->extents[kept++] = extent;
	}
	local->extents_count = kept;
}

static void forget_before(struct local *local)
{
	local->before = CONTENTS_NONE;
	local->before_size = 0;
	if (local->meta.contents != CONTENTS_LOG)
		local->extents_count = 0;
}

void local_set_meta(struct local *local, const struct meta *meta)
{
	enum contents was = local->node->kind != 0 ? CONTENTS_BASE : CONTENTS_NONE;

	if (local->changed)
		was = local->meta.contents;
	if (meta->contents == CONTENTS_FILE && was != CONTENTS_FILE) {
		/* An empty file in the journal is nothing to go back to: nor is none. */
		bool worth = was == CONTENTS_BASE ||
			     (was == CONTENTS_LOG && local->meta.size > 0);

		local->before = worth ? was : CONTENTS_NONE;
		local->before_size = local->meta.size;
		local->marked = false;
		local->lost = false;
	}
	if (meta->contents == CONTENTS_FILE && was == CONTENTS_FILE &&
	    meta->file != local->meta.file) {
		local->before = CONTENTS_NONE; /* it was synced before it was recorded */
		local->before_size = 0;
		local->marked = false;
	}
	if (meta->contents != was)
		local->version++;
	if (meta->contents == CONTENTS_LOG && was != CONTENTS_LOG)
		local->extents_count = 0;
	local->meta = *meta;
	local->changed = true;
	if (meta->contents != CONTENTS_FILE) {
		forget_before(local);
		local->lost = false;
	}
	if (meta->contents == CONTENTS_LOG)
		clip_extents(local, meta->size);
	local_check(local);
}

bool local_extents_full(const struct local *local)
{
	return local->extents_count == EXTENTS_MAX;
}

int local_add_extent(struct local *local, const struct extent *extent, bool replaces)
{
	if (replaces)
		local->extents_count = 0;
	if (local_extents_full(local))
		return ERR_LIMIT;
	if (extent->len > 0)
		local->extents[local->extents_count++] = *extent;
	local->version++;
	return 0;
}

void local_mark(struct local *local)
{
	local->marked = true;
	forget_before(local);
	local_check(local);
}

void local_clear(struct local *local)
{
	local->changed = false;
	/* The count goes on: a data file of that name may still wait to be removed. */
	local->meta = (struct meta){ .contents = CONTENTS_NONE, .file = local->meta.file };
	forget_before(local);
	local->extents_count = 0;
	local->marked = false;
	local->lost = false;
	local->version++;
	xattrs_free(local);
	free(local->target);
	local->target = NULL;
}

void local_check(const struct local *local)
{
	const struct meta *meta = &local->meta;

	if (!local->changed) {
		assert(local->extents_count == 0 && local->before == CONTENTS_NONE);
		return;
	}
	assert(local->before == CONTENTS_NONE ||
	       (meta->contents == CONTENTS_FILE && !local->marked));
	assert(local->extents_count == 0 || meta->contents == CONTENTS_LOG ||
	       local->before == CONTENTS_LOG);
	assert(meta->contents == CONTENTS_FILE || !local->unsynced);
	if (meta->contents != CONTENTS_LOG)
		return;
	assert(meta->size <= CONTENTS_LOG_MAX);
	for (unsigned i = 0; i < local->extents_count; i++)
		assert(local->extents[i].offset + (uint64_t)local->extents[i].len <= meta->size);
}

/* --- extended attributes --- */

static struct xattr **xattr_at(struct local *local, const char *name, size_t name_len)
{
	struct xattr **at = &local->xattrs;

	while (*at != NULL &&
	       (strlen((*at)->name) != name_len || memcmp((*at)->name, name, name_len) != 0))
		at = &(*at)->next;
	return at;
}

struct xattr *local_xattr(const struct local *local, const char *name, size_t name_len)
{
	struct xattr *xattr = local->xattrs;

	while (xattr != NULL &&
	       (strlen(xattr->name) != name_len || memcmp(xattr->name, name, name_len) != 0))
		xattr = xattr->next;
	return xattr;
}

struct xattr *xattr_new(const char *name, size_t name_len, const void *value, size_t value_len)
{
	struct xattr *xattr = calloc(1, sizeof(*xattr));

	if (xattr == NULL)
		return NULL;
	xattr->name = strndup(name, name_len);
	xattr->value = malloc(value_len + 1);
	if (xattr->name == NULL || xattr->value == NULL) {
		xattr_free(xattr);
		return NULL;
	}
	if (value_len > 0)
		memcpy(xattr->value, value, value_len);
	xattr->value_len = value_len;
	return xattr;
}

void xattr_free(struct xattr *xattr)
{
	if (xattr == NULL)
		return;
	free(xattr->name);
	free(xattr->value);
	free(xattr);
}

void local_put_xattr(struct local *local, const char *name, size_t name_len, struct xattr *made)
{
	struct xattr **at = xattr_at(local, name, name_len);
	struct xattr *old = *at;

	if (old != NULL)
		*at = old->next;
	xattr_free(old);
	if (made == NULL)
		return;
	made->next = local->xattrs;
	local->xattrs = made;
}
