/*
 * Compares the two trees as wholes, while nobody changes them: names, attributes, targets,
 * contents, which names are one file, and the modification times that somebody set.
 * Unless all is asked for, contents stay unread that nothing has fetched yet: they are the
 * next operations' to come upon.
 */
#include "model.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SAID_MAX 20U
/* utimensat sets times out of these; base files and clocks are in between. */
#define SET_BEFORE ((time_t)1300000000)
#define SET_AFTER ((time_t)3000000000)

struct pending {
	struct pending *next;
	char path[];
};

/* Which inode of the mount belongs to one of the twin that has several names. */
struct pair {
	ino_t ino[SIDES];
};

struct compare {
	struct model *m;
	bool all;
	struct pending *folders; /* still to be looked at */
	struct pair *pairs;
	size_t pair_count;
	unsigned differences;
	unsigned char *buffer[SIDES];
};

static void differ(struct compare *c, const char *path, const char *what)
{
	if (++c->differences <= SAID_MAX) {
		fprintf(c->m->report, "DIFFERENCE seed %llu between the trees: '%s': %s\n",
			(unsigned long long)c->m->seed, path, what);
	}
}

static bool push(struct pending **list, const char *folder, const char *name)
{
	size_t len = strlen(folder) + strlen(name) + 2;
	struct pending *p = malloc(sizeof(*p) + len);

	if (!p) {
		return false;
	}
	snprintf(p->path, len, "%s%s%s", folder, *folder && *name ? "/" : "", name);
	p->next = *list;
	*list = p;
	return true;
}

static void compare_files(struct compare *c, const char *path)
{
	int fd[SIDES];
	off_t where = 0;

	for (unsigned s = 0; s < SIDES; s++) {
		fd[s] = openat(c->m->root[s], path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	}
	if (fd[TWIN] < 0 || fd[MOUNT] < 0) {
		differ(c, path, "cannot be opened");
	} else if (!same_contents(fd[TWIN], fd[MOUNT], c->buffer, &where)) {
		char words[64];

		snprintf(words, sizeof(words), "contents differ from byte %lld", (long long)where);
		differ(c, path, words);
	}
	for (unsigned s = 0; s < SIDES; s++) {
		if (fd[s] >= 0) {
			close(fd[s]);
		}
	}
}

/* Those that op_xattr sets. */
static void compare_xattrs(struct compare *c, const char *path)
{
	char place[MODEL_PATH_MAX + 300], name[16], value[SIDES][256];
	ssize_t len[SIDES];

	for (unsigned i = 0; i < MODEL_XATTRS; i++) {
		snprintf(name, sizeof(name), "user.n%u", i);
		for (unsigned s = 0; s < SIDES; s++) {
			snprintf(place, sizeof(place), "/proc/self/fd/%d/%s", c->m->root[s], path);
			len[s] = lgetxattr(place, name, value[s], sizeof(value[s]));
		}
		if (len[TWIN] != len[MOUNT] ||
		    (len[TWIN] > 0 && memcmp(value[TWIN], value[MOUNT], (size_t)len[TWIN]) != 0)) {
			differ(c, path, name);
		}
	}
}

static void compare_links(struct compare *c, const char *path)
{
	char text[SIDES][4097];
	ssize_t len[SIDES];

	for (unsigned s = 0; s < SIDES; s++) {
		len[s] = readlinkat(c->m->root[s], path, text[s], sizeof(text[s]));
	}
	if (len[TWIN] != len[MOUNT] || len[TWIN] < 0 ||
	    memcmp(text[TWIN], text[MOUNT], (size_t)len[TWIN]) != 0) {
		differ(c, path, "the targets differ");
	}
}

/* Names that are one file on the twin are one on the mount, and no others are. */
static void compare_pairs(struct compare *c, const char *path, const struct stat st[SIDES])
{
	struct pair *pairs;

	for (size_t i = 0; i < c->pair_count; i++) {
		bool twin = c->pairs[i].ino[TWIN] == st[TWIN].st_ino;

		if (twin != (c->pairs[i].ino[MOUNT] == st[MOUNT].st_ino)) {
			differ(c, path, "is one file with another name on one side only");
			return;
		}
		if (twin) {
			return;
		}
	}
	pairs = realloc(c->pairs, (c->pair_count + 1) * sizeof(*pairs));
	if (pairs) {
		c->pairs = pairs;
		pairs[c->pair_count].ino[TWIN] = st[TWIN].st_ino;
		pairs[c->pair_count++].ino[MOUNT] = st[MOUNT].st_ino;
	}
}

static void compare_times(struct compare *c, const char *path, const struct stat st[SIDES])
{
	char words[128];
	time_t set = st[TWIN].st_mtim.tv_sec;

	if (set >= SET_BEFORE && set <= SET_AFTER) {
		return;
	}
	if (time_ns(&st[TWIN].st_mtim) != time_ns(&st[MOUNT].st_mtim)) {
		snprintf(words, sizeof(words), "mtime was set to %lld.%09ld, is %lld.%09ld",
			 (long long)set, st[TWIN].st_mtim.tv_nsec,
			 (long long)st[MOUNT].st_mtim.tv_sec, st[MOUNT].st_mtim.tv_nsec);
		differ(c, path, words);
	}
}

static void compare_object(struct compare *c, const char *path)
{
	struct stat st[SIDES];
	char words[160];
	const char *what;
	bool unread;

	for (unsigned s = 0; s < SIDES; s++) {
		if (fstatat(c->m->root[s], path, &st[s], AT_SYMLINK_NOFOLLOW) < 0) {
			differ(c, path, strerror(errno));
			return;
		}
	}
	what = stat_difference(&st[TWIN], &st[MOUNT]);
	if (*what) {
		snprintf(words, sizeof(words),
			 "%s: mode %o and %o, owner %u:%u and %u:%u, nlink %lu and %lu, "
			 "size %lld and %lld",
			 what, st[TWIN].st_mode, st[MOUNT].st_mode, st[TWIN].st_uid,
			 st[TWIN].st_gid, st[MOUNT].st_uid, st[MOUNT].st_gid, st[TWIN].st_nlink,
			 st[MOUNT].st_nlink, (long long)st[TWIN].st_size,
			 (long long)st[MOUNT].st_size);
		differ(c, path, words);
		return;
	}
	unread = !c->all && known_unfetched(known_get(c->m->known, st[TWIN].st_ino));
	compare_times(c, path, st);
	if (S_ISDIR(st[TWIN].st_mode)) {
		push(&c->folders, path, "");
		return;
	}
	if (st[TWIN].st_nlink > 1) {
		compare_pairs(c, path, st);
	}
	if (S_ISREG(st[TWIN].st_mode) && c->m->xattr) {
		compare_xattrs(c, path);
	}
	if (S_ISREG(st[TWIN].st_mode) && !unread) {
		compare_files(c, path);
	} else if (S_ISLNK(st[TWIN].st_mode) && !unread) {
		compare_links(c, path);
	}
}

/* Which side has the next name: as strcmp says, where one that is at its end comes last. */
static int next_order(struct dirent **const names[SIDES], const int count[SIDES],
		      const int at[SIDES])
{
	if (at[TWIN] == count[TWIN]) {
		return 1;
	}
	if (at[MOUNT] == count[MOUNT]) {
		return -1;
	}
	return strcmp(names[TWIN][at[TWIN]]->d_name, names[MOUNT][at[MOUNT]]->d_name);
}

static void compare_folder(struct compare *c, const char *folder)
{
	struct dirent **names[SIDES] = { NULL, NULL };
	int count[SIDES], at[SIDES] = { 0, 0 };
	char path[MODEL_PATH_MAX + 260];

	for (unsigned s = 0; s < SIDES; s++) {
		count[s] = list_names(c->m->root[s], folder, &names[s]);
		if (count[s] < 0) {
			differ(c, folder, s == TWIN ? "the twin fails" : "the mount fails");
		}
	}
	while (count[TWIN] >= 0 && count[MOUNT] >= 0 &&
	       (at[TWIN] < count[TWIN] || at[MOUNT] < count[MOUNT])) {
		int order = next_order(names, count, at);

		snprintf(path, sizeof(path), "%s%s%s", folder, *folder ? "/" : "",
			 order <= 0 ? names[TWIN][at[TWIN]]->d_name
				    : names[MOUNT][at[MOUNT]]->d_name);
		if (order == 0) {
			compare_object(c, path);
		} else {
			differ(c, path, order < 0 ? "is on the twin only" : "is on the mount only");
		}
		at[TWIN] += order <= 0;
		at[MOUNT] += order >= 0;
	}
	free_names(names[TWIN], count[TWIN]);
	free_names(names[MOUNT], count[MOUNT]);
}

bool trees_same(struct model *m, bool all)
{
	struct compare c = { .m = m, .all = all };
	bool ready;

	c.buffer[TWIN] = malloc(MODEL_BUFFER_SIZE);
	c.buffer[MOUNT] = malloc(MODEL_BUFFER_SIZE);
	ready = c.buffer[TWIN] && c.buffer[MOUNT] && push(&c.folders, "", "");
	while (ready && c.folders) {
		struct pending *p = c.folders;

		c.folders = p->next;
		compare_folder(&c, p->path);
		free(p);
	}
	if (c.differences > SAID_MAX) {
		fprintf(m->report, "and %u differences more\n", c.differences - SAID_MAX);
	}
	fflush(m->report);
	free(c.pairs);
	free(c.buffer[TWIN]);
	free(c.buffer[MOUNT]);
	return ready && c.differences == 0;
}

static void push_folders(struct pending **list, const char *path, struct dirent **names, int count)
{
	for (int i = 0; i < count; i++) {
		if (names[i]->d_type == DT_DIR) {
			push(list, path, names[i]->d_name);
		}
	}
}

unsigned tree_count(int root, const char *path)
{
	struct pending *folders = NULL;
	unsigned found = 0;

	push(&folders, path, "");
	while (folders) {
		struct pending *p = folders;
		struct dirent **names = NULL;
		int count = list_names(root, p->path, &names);

		folders = p->next;
		found += count > 0 ? (unsigned)count : 0;
		push_folders(&folders, p->path, names, count);
		free_names(names, count);
		free(p);
	}
	return found;
}

static bool is_submodule(const char *path, char *const *submodules)
{
	for (; *submodules; submodules++) {
		if (strcmp(path, *submodules) == 0) {
			return true;
		}
	}
	return false;
}

bool tree_learn_base(struct model *m, char *const *submodules)
{
	struct pending *all = NULL;
	unsigned found = 0, wanted = 0;

	while (submodules[wanted]) {
		wanted++;
	}
	push(&all, "", "");
	while (all) {
		struct pending *p = all;
		struct dirent **names = NULL;
		struct stat st = { .st_mode = 0 };
		bool is = is_submodule(p->path, submodules);
		int count = -1;

		all = p->next;
		if (fstatat(m->root[TWIN], *p->path ? p->path : ".", &st,
			    AT_SYMLINK_NOFOLLOW) == 0) {
			known_set(m->known, st.st_ino, KNOWN_BASE | (is ? KNOWN_SUBMODULE : 0U));
			found += is;
		}
		if (S_ISDIR(st.st_mode)) {
			count = list_names(m->root[TWIN], p->path, &names);
		}
		for (int i = 0; i < count; i++) {
			push(&all, p->path, names[i]->d_name);
		}
		free_names(names, count);
		free(p);
	}
	return found == wanted;
}
