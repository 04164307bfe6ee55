/*
 * Chooses what an operation is applied to. Names are read from the twin, sorted, and every
 * choice is the actor's own generator's: the same seed makes the same operations whatever
 * the other actors do meanwhile.
 *
 * An actor has the folder aNN to itself, and in the folders that all share ("" and common)
 * the names that begin with aNN-.
 */
#include "model.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHARED_FOLDER "common"
#define TRIES_WANTED 40U /* walks to find an object in a state that is wanted */
#define NAMES 20U	 /* names are few, so that they are used again */

uint64_t random_next(struct actor *a)
{
	uint64_t z = a->random += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

unsigned random_below(struct actor *a, unsigned limit)
{
	return limit ? (unsigned)(random_next(a) % limit) : 0;
}

bool one_in(struct actor *a, unsigned n)
{
	return random_below(a, n) == 0;
}

static int not_dots(const struct dirent *entry)
{
	return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

int list_names(int root, const char *path, struct dirent ***out)
{
	return scandirat(root, *path ? path : ".", out, not_dots, by_bytes);
}

void free_names(struct dirent **names, int count)
{
	for (int i = 0; i < count; i++) {
		free(names[i]);
	}
	if (count >= 0) {
		free(names);
	}
}

void parent_of(const char *path, char *out)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;

	memmove(out, path, len);
	out[len] = '\0';
}

bool path_inside(const char *path, const char *folder)
{
	size_t len = strlen(folder);

	return strncmp(path, folder, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

bool path_shared(const char *path)
{
	return *path == '\0' || strcmp(path, SHARED_FOLDER) == 0;
}

/* .gitignore has *.o, which matches folders, too. */
bool path_ignored(const char *path)
{
	for (const char *dot = strstr(path, ".o"); dot; dot = strstr(dot + 1, ".o")) {
		if (dot[2] == '/' || dot[2] == '\0') {
			return true;
		}
	}
	return false;
}

void copy_path(char *out, const char *path)
{
	snprintf(out, MODEL_PATH_MAX, "%s", path);
}

static bool join(char *path, const char *name)
{
	size_t len = strlen(path), more = strlen(name) + 1;

	if (len + more + 1 > MODEL_PATH_MAX) {
		return false;
	}
	if (len > 0) {
		path[len++] = '/';
	}
	memcpy(path + len, name, more);
	return true;
}

static unsigned kind_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return FILES;
	case S_IFLNK:
		return LINKS;
	case S_IFDIR:
		return FOLDERS | PARENT;
	default:
		return SPECIALS;
	}
}

/* A walk downwards. */
struct walk {
	char path[MODEL_PATH_MAX];
	unsigned depth;
	bool moved; /* below or at a folder that was renamed */
};

static bool fits(struct call *c, const struct walk *w, unsigned kinds, struct target *out)
{
	unsigned flags;

	if (fstatat(c->model->root[TWIN], *w->path ? w->path : ".", &out->st,
		    AT_SYMLINK_NOFOLLOW) < 0 ||
	    !(kind_of(out->st.st_mode) & kinds)) {
		return false;
	}
	copy_path(out->path, w->path);
	out->handle = NULL;
	out->depth = w->depth;
	out->shared = path_shared(w->path);
	flags = known_get(c->model->known, out->st.st_ino);
	/* Of a folder that all share, what is known depends on the others. */
	out->states = out->shared ? 1U << DIRTY : known_states(flags);
	if (w->moved || flags & KNOWN_MOVED) {
		out->states |= 1U << RENAMED;
	}
	if (path_ignored(w->path)) {
		out->states |= 1U << IGNORED;
	}
	return true;
}

/* Names of the actor in a folder that all share. */
static unsigned keep_own(struct dirent **names, int count, unsigned number)
{
	char prefix[16];
	unsigned kept = 0;

	snprintf(prefix, sizeof(prefix), "a%02u-", number);
	for (int i = 0; i < count; i++) {
		if (strncmp(names[i]->d_name, prefix, 4) == 0) {
			struct dirent *name = names[i];

			names[i] = names[kept];
			names[kept++] = name;
		}
	}
	return kept;
}

/* One step down to a random name; false where there is none. */
static bool descend(struct call *c, struct walk *w)
{
	struct dirent **names = NULL;
	int count = list_names(c->model->root[TWIN], w->path, &names);
	unsigned own = count < 0 ? 0 : (unsigned)count;
	bool good = false;

	if (path_shared(w->path)) {
		own = keep_own(names, count, c->actor->number);
	}
	if (own > 0) {
		good = join(w->path, names[random_below(c->actor, own)]->d_name);
	}
	free_names(names, count);
	w->depth++;
	return good;
}

static void walk_start(struct call *c, struct walk *w)
{
	memset(w, 0, sizeof(*w));
	if (one_in(c->actor, 8)) {
		copy_path(w->path, one_in(c->actor, 3) ? "" : SHARED_FOLDER);
	} else {
		snprintf(w->path, sizeof(w->path), "a%02u", c->actor->number);
		w->depth = 1;
	}
}

/* The folder at the start is nobody's to rename or remove, but things are made in it. */
static bool walk_once(struct call *c, unsigned kinds, struct target *out)
{
	struct walk w;
	struct stat st;

	walk_start(c, &w);
	if (kinds & PARENT && one_in(c->actor, 3) && fits(c, &w, PARENT, out)) {
		return true;
	}
	while (descend(c, &w)) {
		if (fstatat(c->model->root[TWIN], w.path, &st, AT_SYMLINK_NOFOLLOW) < 0) {
			return false;
		}
		if (!S_ISDIR(st.st_mode) || (kinds & (FOLDERS | PARENT) && one_in(c->actor, 3))) {
			return fits(c, &w, kinds, out);
		}
		if (known_get(c->model->known, st.st_ino) & KNOWN_MOVED) {
			w.moved = true;
		}
		if (kinds & (FOLDERS | PARENT) && fits(c, &w, kinds, out) && one_in(c->actor, 2)) {
			return true;
		}
	}
	return false;
}

bool pick_target(struct call *c, unsigned kinds, struct target *out)
{
	unsigned spared = one_in(c->actor, 4) ? 0 : 1U << UNFETCHED;
	bool found = false;

	for (unsigned tries = 0; tries < TRIES_WANTED; tries++) {
		if (!walk_once(c, kinds, out)) {
			continue;
		}
		found = true;
		if (c->wanted == STATES ? !(out->states & spared) : out->states >> c->wanted & 1) {
			return true;
		}
		/* What was never fetched is rare: it is spent where it is asked for. */
		if (c->wanted == STATES && tries > 2) {
			return true;
		}
	}
	/* `out` may be of an earlier walk, or half of a later one. */
	return found && walk_once(c, kinds, out);
}

/* Where an orphan is wanted, one; else a descriptor of what has a name. */
bool pick_handle(struct call *c, struct target *out)
{
	unsigned start = random_below(c->actor, MODEL_HANDLES);

	memset(out, 0, sizeof(*out));
	for (unsigned i = 0; i < MODEL_HANDLES && !out->handle; i++) {
		struct handle *h = &c->actor->handles[(start + i) % MODEL_HANDLES];

		if (h->fd[TWIN] >= 0 && fstat(h->fd[TWIN], &out->st) == 0 &&
		    (out->st.st_nlink == 0) == (c->wanted == ORPHAN)) {
			out->handle = h;
		}
	}
	if (!out->handle) {
		return false;
	}
	out->states = known_states(known_get(c->model->known, out->st.st_ino));
	if (c->wanted == ORPHAN) {
		out->states |= 1U << ORPHAN;
	}
	return true;
}

bool pick_new_name(struct call *c, const struct target *parent, char *out)
{
	static const char *const ends[] = { "", ".c", ".txt", ".o", "-long-name-with-a-tail" };
	struct actor *a = c->actor;
	char name[80], prefix[16] = "";
	struct stat st;

	if (parent->shared) {
		snprintf(prefix, sizeof(prefix), "a%02u-", a->number);
	}
	for (unsigned tries = 0; tries < 12; tries++) {
		unsigned number = random_below(a, NAMES);
		const char *end = ends[random_below(a, 5)];

		if (c->wanted == IGNORED) {
			end = ".o";
		}
		snprintf(name, sizeof(name), "%sn%u%s", prefix, number, end);
		copy_path(out, parent->path);
		if (!join(out, name)) {
			return false;
		}
		if (fstatat(c->model->root[TWIN], out, &st, AT_SYMLINK_NOFOLLOW) < 0 &&
		    errno == ENOENT) {
			return true;
		}
	}
	return true;
}

bool pick_parent_and_name(struct call *c)
{
	struct call any = *c;

	/* The folder that something moves to need not be in the state that was asked for. */
	any.wanted = one_in(c->actor, 6) ? SUBMODULE : STATES;
	if (c->wanted == SUBMODULE && c->op->kinds & FILES) {
		any.wanted = SUBMODULE;
	}
	return pick_target(&any, PARENT, &c->other) && c->other.depth < MODEL_DEPTH_MAX &&
	       pick_new_name(c, &c->other, c->name);
}
