/*
 * Operations on the attributes of one object, by its path or by a descriptor that may be
 * its last name. That they are the same on both sides the runner sees; here are those
 * whose very values are at stake.
 */
#include "model.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

void op_chmod(struct call *c)
{
	static const mode_t modes[] = { 0644, 0755, 0600, 0777, 0666, 0444, 0000, 04755,
					02755, 06777, 02644, 01777, 02777, 0711, 0070, 04644 };
	mode_t mode = modes[random_below(c->actor, 16)];

	describe(c, "%04o", mode);
	for (unsigned s = c->first; s < SIDES; s++) {
		if (c->target.handle) {
			outcome(c, s, fchmod(c->target.handle->fd[s], mode));
		} else {
			outcome(c, s, fchmodat(c->model->root[s], c->target.path, mode, 0));
		}
	}
	if (c->ret[TWIN] == 0) {
		learn(c, &c->target, KNOWN_META);
	}
}

void op_chown(struct call *c)
{
	const uid_t ids[] = { geteuid(), MODEL_USER, MODEL_USER, 54321, (uid_t)-1 };
	uid_t user = ids[random_below(c->actor, 5)];
	gid_t group = ids[random_below(c->actor, user == (uid_t)-1 ? 4 : 5)];

	describe(c, "%d:%d", (int)user, (int)group);
	for (unsigned s = c->first; s < SIDES; s++) {
		const char *path = c->target.path;
		int root = c->model->root[s];

		if (c->target.handle) {
			outcome(c, s, fchown(c->target.handle->fd[s], user, group));
		} else {
			outcome(c, s, fchownat(root, path, user, group, AT_SYMLINK_NOFOLLOW));
		}
	}
	if (c->ret[TWIN] == 0) {
		learn(c, &c->target, KNOWN_META);
	}
}

/* Long ago, so that trees_same knows those times that were set from those that came to be. */
static struct timespec pick_time(struct actor *a)
{
	struct timespec t = { (time_t)random_below(a, 1200000000),
			      (long)random_below(a, 1000000000) };

	if (one_in(a, 12)) {
		t.tv_sec = -t.tv_sec;
	} else if (one_in(a, 12)) {
		t.tv_sec += 4000000000;
	}
	return t;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

void op_utimens(struct call *c)
{
	struct timespec times[2] = { pick_time(c->actor), pick_time(c->actor) };
	unsigned special = random_below(c->actor, 8);
	struct stat st[SIDES];
	bool there = true;

	if (special < 2) {
		times[special].tv_nsec = UTIME_OMIT;
	} else if (special == 2) {
		times[1].tv_nsec = UTIME_NOW;
	}
	describe(c, "atime %lld.%09ld mtime %lld.%09ld", (long long)times[0].tv_sec,
		 times[0].tv_nsec, (long long)times[1].tv_sec, times[1].tv_nsec);
	for (unsigned s = c->first; s < SIDES; s++) {
		const char *path = c->target.path;
		int root = c->model->root[s];

		if (c->target.handle) {
			outcome(c, s, futimens(c->target.handle->fd[s], times));
			there = there && fstat(c->target.handle->fd[s], &st[s]) == 0;
		} else {
			outcome(c, s, utimensat(root, path, times, AT_SYMLINK_NOFOLLOW));
			there = there && fstatat(root, path, &st[s], AT_SYMLINK_NOFOLLOW) == 0;
		}
	}
	if (!there || c->ret[TWIN] < 0) {
		return;
	}
	learn(c, &c->target, KNOWN_META);
	if (special != 0 && !same_time(&st[TWIN].st_atim, &st[MOUNT].st_atim)) {
		complain(c, "atime is not what was set");
	}
	if (special != 1 && special != 2 && !same_time(&st[TWIN].st_mtim, &st[MOUNT].st_mtim)) {
		complain(c, "mtime is not what was set: %lld.%09ld on the mount",
			 (long long)st[MOUNT].st_mtim.tv_sec, st[MOUNT].st_mtim.tv_nsec);
	}
}

/* Attributes are compared by the runner; here, a name is asked for that may not be there. */
void op_stat(struct call *c)
{
	static const char *const ends[] = { "-not-there", "/below", "" };
	const char *end = ends[random_below(c->actor, 3)];

	for (unsigned s = c->first; s < SIDES; s++) {
		struct stat st;
		char path[MODEL_PATH_MAX + 16];

		if (c->target.handle) {
			outcome(c, s, fstat(c->target.handle->fd[s], &st));
			continue;
		}
		snprintf(path, sizeof(path), "%s%s", c->target.path, end);
		outcome(c, s, fstatat(c->model->root[s], path, &st, AT_SYMLINK_NOFOLLOW));
	}
}

void op_access(struct call *c)
{
	int mode = (int)random_below(c->actor, 8), flags = AT_EACCESS | AT_SYMLINK_NOFOLLOW;

	describe(c, "%d", mode);
	for (unsigned s = c->first; s < SIDES; s++) {
		char path[64];

		if (c->target.handle) {
			snprintf(path, sizeof(path), "/proc/self/fd/%d", c->target.handle->fd[s]);
			outcome(c, s, faccessat(AT_FDCWD, path, mode, AT_EACCESS));
		} else {
			outcome(c, s, faccessat(c->model->root[s], c->target.path, mode, flags));
		}
	}
}

void op_xattr(struct call *c)
{
	char name[32];
	unsigned what = random_below(c->actor, 4);
	size_t len = random_below(c->actor, 200);

	if (!data_open_both(c, O_RDONLY)) {
		return;
	}
	snprintf(name, sizeof(name), "user.n%u", random_below(c->actor, MODEL_XATTRS));
	describe(c, "%s %s", (const char *[]){ "set", "get", "list", "remove" }[what], name);
	data_fill(c, len);
	for (unsigned s = c->first; s < SIDES; s++) {
		char list[4096];

		if (what == 0) {
			outcome(c, s, fsetxattr(c->fd[s], name, c->actor->buffer[TWIN], len, 0));
		} else if (what == 1) {
			outcome(c, s, fgetxattr(c->fd[s], name, c->actor->buffer[s], 4096));
		} else if (what == 2) {
			outcome(c, s, flistxattr(c->fd[s], list, sizeof(list)));
		} else {
			outcome(c, s, fremovexattr(c->fd[s], name));
		}
	}
	if (what == 1) {
		data_compare_bytes(c, 0);
	}
	if (what == 0 || what == 3) {
		learn(c, &c->target, KNOWN_META);
	}
}
