/*
 * One state from a log, in memory and then on a disk; the model stands in powerloss.h.
 */
#include <assert.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "powerloss_internal.h"

#define SECTOR 512U
#define PAGE 4096U

uint64_t draw(uint64_t *random)
{
	uint64_t x = *random += 0x9e3779b97f4a7c15U;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9U;
	x = (x ^ x >> 27) * 0x94d049bb133111ebU;
	return x ^ x >> 31;
}

static uint64_t draw_up_to(uint64_t *random, uint64_t most)
{
	return draw(random) % (most + 1);
}

static bool is_kept(const struct state *state, size_t event, uint32_t node)
{
	return event < state->loss->base_count || event < state->covered[node];
}

void find_covered(struct state *state)
{
	memset(state->covered, 0, state->loss->node_count * sizeof(*state->covered));
	for (size_t i = 0; i < state->point; i++) {
		const struct event *event = &state->loss->events[i];

		if (event->kind == EVENT_SYNC && event->covers > state->covered[event->node])
			state->covered[event->node] = event->covers;
	}
}

static bool name_is_kept(const struct state *state, size_t i)
{
	const struct event *event = &state->loss->events[i];

	return is_kept(state, i, event->folder[0]) &&
	       (event->kind != EVENT_RENAME || is_kept(state, i, event->folder[1]));
}

static void unlink_name(struct state *state, uint32_t folder, const char *name, uint32_t node)
{
	for (size_t i = 0; i < state->link_count; i++) {
		struct link *link = &state->links[i];

		if (link->name != NULL && link->folder == folder &&
		    strcmp(link->name, name) == 0 && (node == NO_NODE || link->node == node))
			link->name = NULL;
	}
}

static void link_name(struct state *state, uint32_t folder, const char *name, uint32_t node)
{
	unlink_name(state, folder, name, NO_NODE);
	state->links = grow_list(state->links, state->link_count, sizeof(struct link));
	state->links[state->link_count++] = (struct link){ folder, node, name };
}

static void apply_name(struct state *state, const struct event *event)
{
	if (event->kind == EVENT_NAME) {
		link_name(state, event->folder[0], event->name[0], event->node);
		return;
	}
	unlink_name(state, event->folder[0], event->name[0], event->node);
	if (event->kind == EVENT_RENAME)
		link_name(state, event->folder[1], event->name[1], event->node);
}

/* Which changes of names have happened. */
static void make_links(struct state *state)
{
	size_t open = 0, first;

	state->link_count = 0;
	for (size_t i = 0; i < state->point; i++)
		open += is_about_names(&state->loss->events[i]) && !name_is_kept(state, i);
	first = draw_up_to(&state->random, open);
	for (size_t i = 0; i < state->point; i++) {
		const struct event *event = &state->loss->events[i];
		bool happened = is_about_names(event);

		if (happened && !name_is_kept(state, i)) {
			happened = state->kind.names == NAMES_KEPT ||
				   (state->kind.names == NAMES_SOME && draw(&state->random) % 2) ||
				   (state->kind.names == NAMES_FIRST_SOME && first > 0);
			first -= first > 0;
		}
		if (happened)
			apply_name(state, event);
	}
}

/* One file's changes: `count` in all, the first `kept` of them on the disk. Version
 * v is what it was after v of them. */
struct versions {
	const struct event **events;
	uint64_t *sizes; /* of each version */
	size_t count, kept;
	uint64_t end; /* of what was ever written: the rest is zeros */
};

static uint64_t size_after(uint64_t size, const struct event *event)
{
	uint64_t end = event->offset + (event->kind == EVENT_WRITE ? event->len : 0);

	if (event->kind == EVENT_TRUNCATE)
		return event->offset;
	return event->kind != EVENT_ZERO && end > size ? end : size;
}

static void find_versions(const struct state *state, uint32_t node, struct versions *out)
{
	*out = (struct versions){ .count = 0 };
	out->sizes = grow_list(NULL, 0, sizeof(*out->sizes));
	out->sizes[0] = 0;
	for (size_t i = 0; i < state->point; i++) {
		const struct event *event = &state->loss->events[i];

		if (event->node != node || event->kind < EVENT_WRITE || event->kind > EVENT_GROW)
			continue;
		out->events = grow_list(out->events, out->count, sizeof(*out->events));
		out->events[out->count++] = event;
		out->sizes = grow_list(out->sizes, out->count, sizeof(*out->sizes));
		out->sizes[out->count] = size_after(out->sizes[out->count - 1], event);
		if (event->kind == EVENT_WRITE && event->offset + event->len > out->end)
			out->end = event->offset + event->len;
		if (is_kept(state, i, node))
			out->kept = out->count;
	}
}

/* How one file comes out. */
struct picks {
	enum contents contents;
	uint64_t cut;  /* a sector */
	size_t step;   /* a version */
	size_t page;   /* the version of the page that is being picked */
	uint64_t size;
};

static size_t pick_any(const struct versions *versions, uint64_t *random)
{
	return versions->kept + draw_up_to(random, versions->count - versions->kept);
}

static void pick_file(struct state *state, const struct versions *versions, struct picks *picks)
{
	size_t size = versions->count;

	picks->contents = state->kind.contents;
	if (picks->contents == CONTENTS_MIXED)
		picks->contents = (enum contents)draw_up_to(&state->random, CONTENTS_SECTORS);
	picks->cut = draw_up_to(&state->random, versions->end / SECTOR);
	picks->step = pick_any(versions, &state->random);
	if (picks->contents == CONTENTS_LOST)
		size = versions->kept;
	else if (picks->contents == CONTENTS_STEP)
		size = picks->step;
	else if (picks->contents >= CONTENTS_PAGES && draw(&state->random) % 2)
		size = pick_any(versions, &state->random);
	picks->size = versions->sizes[size];
	/* Of a file that has been cut, half the time the size was not written either. */
	if (picks->contents == CONTENTS_CUT && picks->cut * SECTOR < picks->size &&
	    picks->cut * SECTOR >= versions->sizes[versions->kept] && draw(&state->random) % 2)
		picks->size = picks->cut * SECTOR;
}

/* The version that a sector shows. Sectors are asked for in order. */
static size_t pick_sector(struct state *state, const struct versions *versions,
			  struct picks *picks, uint64_t sector)
{
	switch (picks->contents) {
	case CONTENTS_KEPT:
		return versions->count;
	case CONTENTS_LOST:
	case CONTENTS_SIZE_ONLY:
		return versions->kept;
	case CONTENTS_CUT:
		return sector < picks->cut ? versions->count : versions->kept;
	case CONTENTS_BEHIND:
		return sector >= picks->cut ? versions->count : versions->kept;
	case CONTENTS_STEP:
		return picks->step;
	case CONTENTS_PAGES:
		if (sector % (PAGE / SECTOR) == 0)
			picks->page = pick_any(versions, &state->random);
		return picks->page;
	case CONTENTS_SECTORS:
	case CONTENTS_MIXED:
		break;
	}
	return pick_any(versions, &state->random);
}

/* What change number `index` does to the sectors that show it. */
static void apply_change(const struct versions *versions, size_t index, const size_t *shown,
			 struct buf *out)
{
	const struct event *event = versions->events[index];
	uint64_t end = event->offset + event->len;

	if (event->kind == EVENT_GROW)
		return;
	if (event->kind == EVENT_TRUNCATE || end > out->len)
		end = out->len;
	for (uint64_t at = event->offset; at < end;) {
		uint64_t next = (at / SECTOR + 1) * SECTOR;

		next = next < end ? next : end;
		if (shown[at / SECTOR] > index && event->kind == EVENT_WRITE)
			memcpy(out->data + at, event->data + (at - event->offset), next - at);
		else if (shown[at / SECTOR] > index)
			memset(out->data + at, 0, next - at);
		at = next;
	}
}

static void make_contents(struct state *state, uint32_t node, struct buf *out)
{
	struct versions versions;
	struct picks picks = { .page = 0 };
	size_t *shown;

	find_versions(state, node, &versions);
	pick_file(state, &versions, &picks);
	shown = calloc(versions.end / SECTOR + 1, sizeof(*shown));
	assert(shown != NULL && buf_reserve(out, versions.end + 1) == 0);
	for (uint64_t sector = 0; sector <= versions.end / SECTOR; sector++)
		shown[sector] = pick_sector(state, &versions, &picks, sector);
	out->len = versions.end;
	memset(out->data, 0, out->len);
	for (size_t i = 0; i < versions.count; i++)
		apply_change(&versions, i, shown, out);
	out->len = picks.size < out->len ? picks.size : out->len;
	state->sizes[node] = picks.size;
	free(shown);
	free(versions.events);
	free(versions.sizes);
}

void state_clear(struct state *state)
{
	for (uint32_t node = 0; node < state->loss->node_count; node++) {
		free(state->paths[node]);
		state->paths[node] = NULL;
		buf_release(&state->contents[node]);
		state->contents[node] = (struct buf)BUF_INIT;
	}
}

/* Gives a path to what a link names, if its folder has one. */
static bool make_path(struct state *state, const struct link *link)
{
	if (link->name == NULL || state->paths[link->node] != NULL ||
	    state->paths[link->folder] == NULL)
		return false;
	assert(asprintf(&state->paths[link->node], "%s/%s", state->paths[link->folder],
			link->name) > 0);
	return true;
}

/* Gives paths to all that can be reached from the top, folders before what is in them. */
static void make_paths(struct state *state)
{
	bool more = true;

	state->paths[0] = strdup("");
	while (more) {
		more = false;
		for (size_t i = 0; i < state->link_count; i++)
			more |= make_path(state, &state->links[i]);
	}
}

/* The state in memory; its hash. */
uint64_t state_make(struct state *state)
{
	uint64_t hash = 0xcbf29ce484222325U;

	make_links(state);
	make_paths(state);
	for (size_t i = 0; i < state->link_count; i++) {
		const struct link *link = &state->links[i];

		if (link->name == NULL || state->paths[link->folder] == NULL)
			continue;
		hash = hash_bytes(hash, &link->folder, sizeof(link->folder));
		hash = hash_bytes(hash, link->name, strlen(link->name) + 1);
		hash = hash_bytes(hash, &link->node, sizeof(link->node));
	}
	for (uint32_t node = 0; node < state->loss->node_count; node++) {
		struct buf *contents = &state->contents[node];

		if (state->paths[node] == NULL || state->loss->nodes[node].folder)
			continue;
		make_contents(state, node, contents);
		hash = hash_bytes(hash, &state->sizes[node], sizeof(state->sizes[node]));
		hash = hash_bytes(hash, contents->data, contents->len);
	}
	return hash;
}

static void write_file(const char *path, const struct buf *contents, uint64_t size)
{
	AUTO_CLOSE int fd = io_open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL, 0600);

	assert(fd >= 0 && io_write(fd, contents->data, contents->len) == 0);
	assert(io_truncate(fd, size) == 0);
}

/* The state on a disk, in `dir`, which is made. */
void state_write(const struct state *state, const char *dir)
{
	bool *written = calloc(state->loss->node_count, sizeof(*written));
	bool more = true;

	assert(written != NULL && mkdir(dir, 0700) == 0);
	written[0] = true;
	while (more) {
		more = false;
		for (uint32_t node = 1; node < state->loss->node_count; node++) {
			char path[2 * PATH_MAX];

			if (written[node] || state->paths[node] == NULL)
				continue;
			snprintf(path, sizeof(path), "%s%s", dir, state->paths[node]);
			if (!state->loss->nodes[node].folder)
				write_file(path, &state->contents[node], state->sizes[node]);
			else if (mkdir(path, 0700) < 0)
				continue; /* the one that it lies in comes first */
			written[node] = true;
			more = true;
		}
	}
	free(written);
}

