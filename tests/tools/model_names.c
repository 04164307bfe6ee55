/*
 * Operations on names: what makes, moves, lists and takes away.
 */
#include "model.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static mode_t pick_mode(struct actor *a)
{
	static const mode_t modes[] = { 0666, 0777, 0644, 0600, 04755, 02755, 0400, 0 };

	return modes[random_below(a, 8)];
}

static const char *here(const char *path)
{
	return *path ? path : ".";
}

static void made(struct call *c)
{
	if (c->first == TWIN && c->ret[TWIN] >= 0) {
		learn_path(c, c->name, 0);
		learn_parent(c, c->name);
	}
}

void op_create(struct call *c)
{
	static const int more[] = { O_EXCL, O_EXCL, O_TRUNC, O_APPEND, 0 };
	int flags = O_RDWR | O_CREAT | O_CLOEXEC | more[random_below(c->actor, 5)];
	mode_t mode = pick_mode(c->actor);
	size_t len = random_below(c->actor, one_in(c->actor, 3) ? 50000 : 300);
	bool old = faccessat(c->model->root[TWIN], c->name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;

	/* Of a fifo it would wait for another end; an old file is others' business. */
	c->skipped = old && !(flags & O_EXCL);
	if (c->skipped) {
		return;
	}
	describe(c, "mode %o flags %x, %zu bytes", mode, (unsigned)flags, len);
	memset(c->actor->buffer[TWIN], (int)random_below(c->actor, 256), len);
	for (unsigned s = c->first; s < SIDES; s++) {
		c->fd[s] = openat(c->model->root[s], c->name, flags, mode);
		outcome(c, s, c->fd[s] < 0 ? -1 : write(c->fd[s], c->actor->buffer[TWIN], len));
	}
	made(c);
	if (c->fd[TWIN] >= 0 && c->fd[MOUNT] >= 0 && one_in(c->actor, 4)) {
		keep_handle(c);
	}
}

/* It gets a name, or is an orphan from the start. */
void op_tmpfile(struct call *c)
{
	bool named = one_in(c->actor, 2);
	mode_t mode = pick_mode(c->actor);
	struct stat st;

	for (unsigned s = c->first; s < SIDES; s++) {
		c->fd[s] = openat(c->model->root[s], here(c->target.path),
				  O_TMPFILE | O_RDWR | O_CLOEXEC, mode);
		outcome(c, s, c->fd[s] < 0 ? -1 : write(c->fd[s], "a file without a name", 21));
	}
	if (c->fd[TWIN] < 0 || c->fd[MOUNT] < 0 || fstat(c->fd[TWIN], &st) < 0) {
		return;
	}
	known_set(c->model->known, st.st_ino, KNOWN_READ | KNOWN_DATA);
	if (!named) {
		keep_handle(c);
		return;
	}
	for (unsigned s = c->first; s < SIDES; s++) {
		char path[64];
		int root = c->model->root[s];

		snprintf(path, sizeof(path), "/proc/self/fd/%d", c->fd[s]);
		outcome(c, s, linkat(AT_FDCWD, path, root, c->name, AT_SYMLINK_FOLLOW));
	}
	if (c->ret[TWIN] == 0) {
		learn_parent(c, c->name);
	}
}

void op_mkdir(struct call *c)
{
	mode_t mode = one_in(c->actor, 4) ? 01777 : 0777;

	for (unsigned s = c->first; s < SIDES; s++) {
		outcome(c, s, mkdirat(c->model->root[s], c->name, mode));
	}
	made(c);
}

void op_symlink(struct call *c)
{
	char text[4000];
	size_t len = 1 + random_below(c->actor, one_in(c->actor, 20) ? 3900 : 60);

	/* Below its folder: what is above the two roots differs. */
	text[0] = 'a';
	for (size_t i = 1; i < len; i++) {
		text[i] = "abc/de"[random_below(c->actor, 6)];
	}
	text[len] = '\0';
	describe(c, "%zu bytes", len);
	for (unsigned s = c->first; s < SIDES; s++) {
		outcome(c, s, symlinkat(text, c->model->root[s], c->name));
	}
	made(c);
}

void op_mknod(struct call *c)
{
	static const mode_t types[] = { S_IFIFO, S_IFSOCK, S_IFCHR, S_IFREG };
	mode_t type = types[random_below(c->actor, 4)];
	mode_t mode = pick_mode(c->actor);
	dev_t device = type == S_IFCHR ? makedev(1, 3 + random_below(c->actor, 3)) : 0;

	describe(c, "type %o mode %o", type, mode);
	for (unsigned s = c->first; s < SIDES; s++) {
		outcome(c, s, mknodat(c->model->root[s], c->name, type | mode, device));
	}
	made(c);
}

void op_readlink(struct call *c)
{
	for (unsigned s = c->first; s < SIDES; s++) {
		char *buffer = (char *)c->actor->buffer[s];

		outcome(c, s, readlinkat(c->model->root[s], c->target.path, buffer, 4096));
	}
	if (c->ret[TWIN] >= 0 && c->ret[TWIN] == c->ret[MOUNT] &&
	    memcmp(c->actor->buffer[TWIN], c->actor->buffer[MOUNT], (size_t)c->ret[TWIN]) != 0) {
		complain(c, "the targets differ");
	}
	learn(c, &c->target, KNOWN_READ);
}

static void unlink_both(struct call *c, int flags)
{
	for (unsigned s = c->first; s < SIDES; s++) {
		outcome(c, s, unlinkat(c->model->root[s], c->target.path, flags));
	}
	if (c->ret[TWIN] == 0) {
		learn(c, &c->target, KNOWN_META);
		learn_parent(c, c->target.path);
	}
}

void op_unlink(struct call *c)
{
	unlink_both(c, 0);
}

/* The descriptor goes on: what was never fetched can still be read by it. */
void op_unlink_open(struct call *c)
{
	struct stat st[SIDES];

	for (unsigned s = c->first; s < SIDES; s++) {
		c->fd[s] = openat(c->model->root[s], c->target.path,
				  O_RDWR | O_NOFOLLOW | O_CLOEXEC);
		outcome(c, s, c->fd[s] < 0 ? -1 : 0);
	}
	if (c->fd[TWIN] < 0 || c->fd[MOUNT] < 0) {
		return;
	}
	unlink_both(c, 0);
	if (fstat(c->fd[TWIN], &st[TWIN]) < 0 || fstat(c->fd[MOUNT], &st[MOUNT]) < 0) {
		complain(c, "fstat of what was unlinked fails: %s", strerror(errno));
		return;
	}
	if (*stat_difference(&st[TWIN], &st[MOUNT])) {
		complain(c, "%s of what was unlinked: nlink %lu and %lu, size %lld and %lld",
			 stat_difference(&st[TWIN], &st[MOUNT]), st[TWIN].st_nlink,
			 st[MOUNT].st_nlink, (long long)st[TWIN].st_size,
			 (long long)st[MOUNT].st_size);
	}
	if (one_in(c->actor, 2)) {
		off_t where;

		if (!same_contents(c->fd[TWIN], c->fd[MOUNT], c->actor->buffer, &where)) {
			complain(c, "contents of what was unlinked differ from byte %lld",
				 (long long)where);
		}
		learn(c, &c->target, KNOWN_READ);
	}
	keep_handle(c);
}

/* A name in some folder; in a submodule it is the mount alone that refuses. */
bool prepare_destination(struct call *c)
{
	if (!pick_parent_and_name(c) ||
	    (S_ISDIR(c->target.st.st_mode) && path_inside(c->name, c->target.path))) {
		return false;
	}
	if (c->other.states >> SUBMODULE & 1) {
		c->inside_submodule = true;
		c->first = MOUNT;
	}
	watch_path(c, c->other.path, c->other.shared);
	watch_path(c, c->name, false);
	if (path_ignored(c->name)) {
		c->target.states |= 1U << IGNORED;
	}
	return true;
}

void op_link(struct call *c)
{
	for (unsigned s = c->first; s < SIDES; s++) {
		int root = c->model->root[s];

		outcome(c, s, linkat(root, c->target.path, root, c->name, 0));
	}
	if (c->first == TWIN && c->ret[TWIN] == 0) {
		learn(c, &c->target, KNOWN_META);
		learn_parent(c, c->name);
	}
}

void op_rmdir(struct call *c)
{
	unlink_both(c, AT_REMOVEDIR);
}

/* Of folders that are not empty; a picked one that is must not go. */
void op_rmdir_full(struct call *c)
{
	struct dirent **names = NULL;
	int count = list_names(c->model->root[TWIN], c->target.path, &names);

	free_names(names, count);
	c->skipped = count == 0;
	if (!c->skipped) {
		unlink_both(c, AT_REMOVEDIR);
	}
}

static void rename_both(struct call *c, const char *from, const char *to, unsigned flags)
{
	for (unsigned s = c->first; s < SIDES; s++) {
		outcome(c, s, renameat2(c->model->root[s], from, c->model->root[s], to, flags));
	}
	if (c->first == TWIN && c->ret[TWIN] == 0) {
		learn_parent(c, from);
		learn_parent(c, to);
	}
}

static void learn_moved(struct call *c, const struct target *t)
{
	if (c->first == TWIN && c->ret[TWIN] == 0) {
		learn(c, t, S_ISDIR(t->st.st_mode) ? KNOWN_MOVED : KNOWN_META);
	}
}

void op_rename(struct call *c)
{
	rename_both(c, c->target.path, c->name, 0);
	learn_moved(c, &c->target);
}

void op_rename_dir(struct call *c)
{
	rename_both(c, c->target.path, c->name, 0);
	learn_moved(c, &c->target);
}

/* Neither of two objects may hold the other. */
static bool pick_beside(struct call *c, unsigned kinds)
{
	struct call any = *c;

	any.wanted = STATES;
	if (!pick_target(&any, kinds, &c->other) || path_inside(c->other.path, c->target.path) ||
	    path_inside(c->target.path, c->other.path)) {
		return false;
	}
	watch_target(c, &c->other);
	return true;
}

/* The object is the one that is replaced. */
bool prepare_replaced(struct call *c)
{
	return pick_beside(c, S_ISDIR(c->target.st.st_mode) ? FOLDERS : FILES | LINKS | SPECIALS);
}

void op_rename_over(struct call *c)
{
	rename_both(c, c->other.path, c->target.path, 0);
	learn_moved(c, &c->other);
	describe(c, "is replaced by it");
}

void op_rename_self(struct call *c)
{
	char below[MODEL_PATH_MAX + 16];

	snprintf(below, sizeof(below), "%s/below", c->target.path);
	for (unsigned s = c->first; s < SIDES; s++) {
		int root = c->model->root[s];

		outcome(c, s, renameat(root, c->target.path, root, below));
	}
}

bool prepare_noreplace(struct call *c)
{
	return one_in(c->actor, 2) ? prepare_destination(c)
				   : pick_beside(c, FILES | LINKS | SPECIALS | FOLDERS);
}

void op_noreplace(struct call *c)
{
	rename_both(c, c->target.path, c->name[0] ? c->name : c->other.path, 1);
	learn_moved(c, &c->target);
}

bool prepare_exchange(struct call *c)
{
	return pick_beside(c, FILES | LINKS | SPECIALS | FOLDERS);
}

void op_exchange(struct call *c)
{
	rename_both(c, c->target.path, c->other.path, 2);
	learn_moved(c, &c->target);
	learn_moved(c, &c->other);
}

void op_readdir(struct call *c)
{
	struct dirent **names[SIDES] = { NULL, NULL };
	int count[SIDES] = { -1, -1 };

	for (unsigned s = c->first; s < SIDES; s++) {
		count[s] = list_names(c->model->root[s], c->target.path, &names[s]);
		outcome(c, s, c->target.shared && count[s] >= 0 ? 0 : count[s]);
	}
	/* In a folder that all share, other actors are at work. */
	for (int i = 0; i < count[TWIN] && count[TWIN] == count[MOUNT] && !c->target.shared; i++) {
		const struct dirent *twin = names[TWIN][i], *mount = names[MOUNT][i];

		if (strcmp(twin->d_name, mount->d_name) != 0) {
			complain(c, "name %d is '%s' on the twin, '%s' on the mount", i,
				 twin->d_name, mount->d_name);
			break;
		}
		if (mount->d_type != DT_UNKNOWN && twin->d_type != mount->d_type) {
			complain(c, "'%s' is of type %d on the twin, %d on the mount", twin->d_name,
				 twin->d_type, mount->d_type);
		}
	}
	free_names(names[TWIN], count[TWIN]);
	free_names(names[MOUNT], count[MOUNT]);
	learn(c, &c->target, KNOWN_READ);
}

void op_fsync_dir(struct call *c)
{
	for (unsigned s = c->first; s < SIDES; s++) {
		c->fd[s] = openat(c->model->root[s], here(c->target.path),
				  O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		outcome(c, s, c->fd[s] < 0 ? -1 : fsync(c->fd[s]));
	}
}

/* What does not go with this kind of object, or with such a name. */
void op_wrong_kind(struct call *c)
{
	char text[16], longer[MODEL_PATH_MAX + 300];
	unsigned what = random_below(c->actor, 5);
	bool folder = S_ISDIR(c->target.st.st_mode);

	describe(c, "case %u", what);
	snprintf(longer, sizeof(longer), "%s/%0256d", c->target.path, 1);
	for (unsigned s = c->first; s < SIDES; s++) {
		int root = c->model->root[s];
		const char *path = c->target.path;

		if (what == 0) {
			outcome(c, s, unlinkat(root, path, folder ? 0 : AT_REMOVEDIR));
		} else if (what == 1) {
			outcome(c, s, mkdirat(root, path, 0777));
		} else if (what == 2) {
			outcome(c, s, symlinkat("somewhere", root, path));
		} else if (what == 3 && S_ISLNK(c->target.st.st_mode)) {
			outcome(c, s, openat(root, path, O_RDONLY | O_NOFOLLOW));
		} else if (what == 3) {
			outcome(c, s, readlinkat(root, path, text, sizeof(text)));
		} else {
			outcome(c, s, mkdirat(root, longer, 0777));
		}
	}
}
