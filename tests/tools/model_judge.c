/*
 * Judges what an operation did: answers, attributes now, which times moved, inodes that
 * stayed the same, and contents by new descriptors. The first complaint of an actor comes
 * with its last operations; after it the actor does nothing more, as its trees differ.
 *
 * Times have the granularity of a clock tick on some kernels: that one did not move says
 * something only if it was older than that before.
 */
#include "model.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CLOCK_GRAIN_NS INT64_C(20000000)
#define READ_BACK_MAX ((off_t)1 << 20)

int64_t time_ns(const struct timespec *t)
{
	return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

static void states_words(unsigned states, char *out, size_t size)
{
	static const char *const names[STATES] = { "clean", "unfetched", "dirty", "orphan",
						   "renamed", "submodule", "ignored" };

	*out = '\0';
	for (unsigned i = 0; i < STATES; i++) {
		if (states >> i & 1) {
			snprintf(out + strlen(out), size - strlen(out), "%s%s", *out ? "," : "",
				 names[i]);
		}
	}
}

void call_words(const struct call *c, char *out, size_t size)
{
	char states[80];

	states_words(c->target.states, states, sizeof(states));
	snprintf(out, size, "#%llu %s%s '%.100s'%s [%s] -> '%.80s' %s",
		 (unsigned long long)c->actor->done, c->op->name, c->user ? " (as a user)" : "",
		 c->target.path, c->target.handle ? " (a descriptor)" : "", states,
		 c->name[0] ? c->name : c->other.path, c->words);
}

void complain(struct call *c, const char *format, ...)
{
	char text[512], line[MODEL_LOG_WIDTH];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	call_words(c, line, sizeof(line));
	flockfile(c->model->report);
	fprintf(c->model->report, "DIFFERENCE seed %llu actor %u: %s\n    %s\n",
		(unsigned long long)c->model->seed, c->actor->number, text, line);
	fprintf(c->model->report, "    answers: twin %ld (%s), mount %ld (%s)\n", c->ret[TWIN],
		strerror(c->err[TWIN]), c->ret[MOUNT], strerror(c->err[MOUNT]));
	for (unsigned i = 0; i < MODEL_LOG_LINES && !c->actor->failed; i++) {
		const char *old = c->actor->log[(c->actor->done + i) % MODEL_LOG_LINES];

		fprintf(c->model->report, "    before: %s\n", old);
	}
	fflush(c->model->report);
	funlockfile(c->model->report);
	c->actor->failed = true;
}

const char *stat_difference(const struct stat *twin, const struct stat *mount)
{
	if (twin->st_mode != mount->st_mode) {
		return "mode";
	}
	if (twin->st_uid != mount->st_uid) {
		return "owner";
	}
	if (twin->st_gid != mount->st_gid) {
		return "group";
	}
	if (!S_ISDIR(twin->st_mode) && twin->st_nlink != mount->st_nlink) {
		return "nlink";
	}
	if ((S_ISREG(twin->st_mode) || S_ISLNK(twin->st_mode)) && twin->st_size != mount->st_size) {
		return "size";
	}
	if ((S_ISCHR(twin->st_mode) || S_ISBLK(twin->st_mode)) && twin->st_rdev != mount->st_rdev) {
		return "device";
	}
	return "";
}

void watch_look(struct call *c, const struct watch *w, struct stat out[SIDES],
		bool has_out[SIDES])
{
	for (unsigned s = 0; s < SIDES; s++) {
		if (w->fd[s] >= 0) {
			has_out[s] = fstat(w->fd[s], &out[s]) == 0;
		} else {
			has_out[s] = fstatat(c->model->root[s], *w->path ? w->path : ".", &out[s],
					     AT_SYMLINK_NOFOLLOW) == 0;
		}
	}
}

/* Times count as moved or not; what they moved to is the clock's. */
static void judge_times(struct call *c, const struct watch *was, const struct watch *is)
{
	static const char *const names[] = { "mtime", "ctime" };

	if (c->no_times || c->op->flags & OP_NO_TIMES || was->no_times || is->no_times) {
		return;
	}
	for (unsigned i = 0; i < 2; i++) {
		bool moved[SIDES], old = true;

		for (unsigned s = 0; s < SIDES; s++) {
			const struct stat *then = &was->before[s], *now = &is->after[s];
			int64_t before = time_ns(i ? &then->st_ctim : &then->st_mtim);
			int64_t after = time_ns(i ? &now->st_ctim : &now->st_mtim);

			moved[s] = before != after;
			old = old && before < c->started_ns - CLOCK_GRAIN_NS;
		}
		if (old && moved[TWIN] != moved[MOUNT]) {
			complain(c, "%s of '%s' (now '%s'): %s on the twin, %s on the mount",
				 names[i], was->path, is->path, moved[TWIN] ? "moved" : "stayed",
				 moved[MOUNT] ? "moved" : "stayed");
		}
	}
}

/* An inode of the twin that is there before and after: so it must be on the mount. */
static void judge_same_inode(struct call *c, const struct watch *was, const struct watch *is)
{
	if (!was->had[TWIN] || !was->had[MOUNT] || !is->has[TWIN] ||
	    was->before[TWIN].st_ino != is->after[TWIN].st_ino ||
	    was->before[TWIN].st_dev != is->after[TWIN].st_dev) {
		return;
	}
	if (was->before[MOUNT].st_ino != is->after[MOUNT].st_ino) {
		complain(c, "'%s' was inode %lu of the mount and as '%s' is %lu", was->path,
			 was->before[MOUNT].st_ino, is->path, is->after[MOUNT].st_ino);
	}
	judge_times(c, was, is);
}

static void judge_watches(struct call *c)
{
	for (unsigned i = 0; i < c->watch_count; i++) {
		struct watch *w = &c->watches[i];
		const char *what;

		watch_look(c, w, w->after, w->has);
		if (w->has[TWIN] != w->has[MOUNT]) {
			complain(c, "'%s' %s on the twin, %s on the mount", w->path,
				 w->has[TWIN] ? "is" : "is not", w->has[MOUNT] ? "is" : "is not");
			return;
		}
		what = w->has[TWIN] ? stat_difference(&w->after[TWIN], &w->after[MOUNT]) : "";
		if (*what) {
			complain(c,
				 "%s of '%s': twin mode %o owner %u:%u nlink %lu size %lld, "
				 "mount mode %o owner %u:%u nlink %lu size %lld",
				 what, w->path, w->after[TWIN].st_mode, w->after[TWIN].st_uid,
				 w->after[TWIN].st_gid, w->after[TWIN].st_nlink,
				 (long long)w->after[TWIN].st_size, w->after[MOUNT].st_mode,
				 w->after[MOUNT].st_uid, w->after[MOUNT].st_gid,
				 w->after[MOUNT].st_nlink, (long long)w->after[MOUNT].st_size);
			return;
		}
	}
	for (unsigned i = 0; i < c->watch_count; i++) {
		for (unsigned j = 0; j < c->watch_count; j++) {
			judge_same_inode(c, &c->watches[i], &c->watches[j]);
		}
	}
}

static off_t first_difference(unsigned char *const buffer[SIDES], off_t at)
{
	size_t i = 0;

	while (buffer[TWIN][i] == buffer[MOUNT][i]) {
		i++;
	}
	return at + (off_t)i;
}

bool same_contents(int twin, int mount, unsigned char *buffer[SIDES], off_t *where_out)
{
	for (off_t at = 0;; at += 1 << 18) {
		ssize_t a = pread(twin, buffer[TWIN], 1 << 18, at);
		ssize_t b = pread(mount, buffer[MOUNT], 1 << 18, at);

		*where_out = at;
		if (a != b) {
			return false;
		}
		if (a <= 0) {
			return a == 0;
		}
		if (memcmp(buffer[TWIN], buffer[MOUNT], (size_t)a) != 0) {
			*where_out = first_difference(buffer, at);
			return false;
		}
	}
}

/* Read after write, by descriptors that were opened after it. */
static void judge_contents(struct call *c)
{
	int fd[SIDES];
	off_t where = 0;
	struct stat st;

	if (c->target.states >> UNFETCHED & 1 && !(c->target.states >> DIRTY & 1)) {
		return; /* nothing was changed after all */
	}
	for (unsigned s = 0; s < SIDES; s++) {
		char path[64];

		if (c->target.handle) {
			snprintf(path, sizeof(path), "/proc/self/fd/%d", c->target.handle->fd[s]);
			fd[s] = open(path, O_RDONLY | O_CLOEXEC);
		} else {
			fd[s] = openat(c->model->root[s], c->target.path,
				       O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		}
	}
	if (fd[TWIN] >= 0 && fd[MOUNT] >= 0) {
		if (fstat(fd[TWIN], &st) == 0 &&
		    (st.st_size <= READ_BACK_MAX || one_in(c->actor, 4)) &&
		    !same_contents(fd[TWIN], fd[MOUNT], c->actor->buffer, &where)) {
			complain(c, "contents differ from byte %lld", (long long)where);
		}
	} else if (fd[TWIN] >= 0 || fd[MOUNT] >= 0) {
		complain(c, "it can be opened on one side only");
	}
	for (unsigned s = 0; s < SIDES; s++) {
		if (fd[s] >= 0) {
			close(fd[s]);
		}
	}
}

void judge(struct call *c)
{
	if (c->first == MOUNT) {
		c->ret[TWIN] = -1;
		c->err[TWIN] = c->inside_submodule ? EROFS : 0;
	}
	if (c->ret[TWIN] != c->ret[MOUNT] || c->err[TWIN] != c->err[MOUNT]) {
		complain(c, "the mount answers otherwise%s",
			 c->inside_submodule ? " than EROFS inside a submodule" : "");
	}
	judge_watches(c);
	if (c->op->flags & OP_CHANGES_DATA && !c->actor->failed) {
		judge_contents(c);
	}
}
