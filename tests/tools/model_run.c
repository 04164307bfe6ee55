/*
 * Runs operations one by one and judges each. For every operation:
 *
 *   choose    an operation, and half of the time the state that this actor has covered least
 *   look      at the attributes of all that it may touch, on both sides
 *   do        it on the twin, then on the mount
 *   judge     results, errno; attributes now; which times moved; numbers of inodes that
 *             stayed; after a change of data, the contents by a new descriptor
 *   count     the cells of the table, where the operation did what it is for
 *
 * A part is done with the rights of a user who is not root (setfsuid, which is the
 * thread's own), so that permissions, sticky folders and the clearing of set-id bits are
 * the twin's as well.
 */
#include "model.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <time.h>
#include <unistd.h>

#define ENTRIES_MAX 350U /* of an actor; above, nothing is added */

void outcome(struct call *c, unsigned side, long ret)
{
	c->err[side] = ret < 0 ? errno : 0;
	c->ret[side] = ret < 0 ? -1 : ret;
}

void outcome_none(struct call *c, unsigned side)
{
	c->ret[side] = 0;
	c->err[side] = 0;
}

void describe(struct call *c, const char *format, ...)
{
	size_t len = strlen(c->words);
	va_list args;

	va_start(args, format);
	vsnprintf(c->words + len, sizeof(c->words) - len, format, args);
	va_end(args);
}

static struct watch *watch_new(struct call *c)
{
	struct watch *w = &c->watches[c->watch_count];

	if (c->watch_count == WATCHES_MAX) {
		return NULL;
	}
	c->watch_count++;
	w->path[0] = '\0';
	w->fd[TWIN] = w->fd[MOUNT] = -1;
	w->no_times = false;
	return w;
}

void watch_path(struct call *c, const char *path, bool no_times)
{
	struct watch *w = watch_new(c);

	if (w) {
		copy_path(w->path, path);
		w->no_times = no_times;
		watch_look(c, w, w->before, w->had);
	}
}

static void watch_parent(struct call *c, const char *path)
{
	char parent[MODEL_PATH_MAX];

	parent_of(path, parent);
	watch_path(c, parent, path_shared(parent));
}

void watch_target(struct call *c, const struct target *t)
{
	if (t->handle) {
		struct watch *w = watch_new(c);

		if (w) {
			w->fd[TWIN] = t->handle->fd[TWIN];
			w->fd[MOUNT] = t->handle->fd[MOUNT];
			watch_look(c, w, w->before, w->had);
		}
		return;
	}
	watch_path(c, t->path, t->shared);
	if (*t->path) {
		watch_parent(c, t->path);
	}
}

void learn(struct call *c, const struct target *t, unsigned flags)
{
	known_add(c->model->known, t->st.st_ino, flags);
	if (flags & KNOWN_DATA) {
		c->target.states |= 1U << DIRTY;
	}
}

/* `flags` of 0: it was made just now. */
void learn_path(struct call *c, const char *path, unsigned flags)
{
	struct stat st;

	if (fstatat(c->model->root[TWIN], *path ? path : ".", &st, AT_SYMLINK_NOFOLLOW) == 0) {
		if (flags == 0) {
			known_set(c->model->known, st.st_ino, KNOWN_READ | KNOWN_DATA);
		} else {
			known_add(c->model->known, st.st_ino, flags);
		}
	}
}

void learn_parent(struct call *c, const char *path)
{
	char parent[MODEL_PATH_MAX];

	parent_of(path, parent);
	learn_path(c, parent, KNOWN_DATA);
}

/* Lets an actor keep the descriptors of this call, for operations to come. */
bool keep_handle(struct call *c)
{
	for (unsigned i = 0; i < MODEL_HANDLES; i++) {
		struct handle *h = &c->actor->handles[i];

		if (h->fd[TWIN] < 0) {
			h->fd[TWIN] = c->fd[TWIN];
			h->fd[MOUNT] = c->fd[MOUNT];
			c->fd[TWIN] = c->fd[MOUNT] = -1;
			return true;
		}
	}
	return false;
}

static void count(struct call *c, unsigned states)
{
	unsigned row = (unsigned)(c->op - model_ops);
	int wanted = c->inside_submodule ? EROFS : c->op->wanted_err;

	if (wanted == OP_ANY_ERROR || wanted == 0) {
		if ((c->ret[MOUNT] < 0) != (wanted != 0)) {
			return;
		}
	} else if (c->err[MOUNT] != wanted) {
		return;
	}
	if (c->inside_submodule) {
		states = 1U << SUBMODULE;
	}
	for (unsigned i = 0; i < STATES; i++) {
		if (states >> i & 1 && !model_no_cell(c->op, (enum state)i)) {
			c->actor->guide[row][i]++;
			__atomic_add_fetch(&c->model->table[row][i], 1, __ATOMIC_RELAXED);
		}
	}
}

static bool usable(const struct call *c, const struct operation *op)
{
	if ((op->flags & OP_XATTR && !c->model->xattr) ||
	    c->model->without >> (op - model_ops) & 1) {
		return false;
	}
	if (op->run == op_tmpfile && !c->model->tmpfile[MOUNT]) {
		return false;
	}
	return !(op->flags & OP_MAKES) || c->actor->entries < ENTRIES_MAX;
}

/* The state of this operation that was covered least, for half of the calls. */
static void choose(struct call *c)
{
	struct actor *a = c->actor;
	unsigned row, least = 0, start = random_below(a, STATES);

	do {
		row = random_below(a, model_op_count);
	} while (!usable(c, &model_ops[row]));
	c->op = &model_ops[row];
	c->wanted = STATES;
	if (one_in(a, 2)) {
		return;
	}
	for (unsigned i = 0; i < STATES; i++) {
		enum state state = (enum state)((start + i) % STATES);

		if (!model_no_cell(c->op, state) &&
		    (c->wanted == STATES || a->guide[row][state] < least)) {
			c->wanted = state;
			least = a->guide[row][state];
		}
	}
}

/* Where the state that is wanted has to be made first, this call does nothing else. */
static bool instead(struct call *c, void (*run)(struct call *c))
{
	for (c->op = model_ops; c->op->run != run;) {
		c->op++;
	}
	return usable(c, c->op);
}

/* There is no clean object: one that nothing has read yet becomes one. */
static bool aim_to_clean(struct call *c)
{
	c->wanted = UNFETCHED;
	if (!pick_target(c, c->op->kinds, &c->target) || !(c->target.states >> UNFETCHED & 1)) {
		return false;
	}
	if (S_ISDIR(c->target.st.st_mode)) {
		return instead(c, op_readdir);
	}
	return instead(c, S_ISLNK(c->target.st.st_mode) ? op_readlink : op_pread);
}

/* Makes the object of the call; false where there is none such. */
static bool aim(struct call *c)
{
	bool files = (c->op->kinds & FILES) != 0 && !model_no_cell(c->op, ORPHAN);

	if (files && (c->wanted == ORPHAN || (c->wanted == STATES && one_in(c->actor, 5)))) {
		if (pick_handle(c, &c->target)) {
			return true;
		}
		/* There is none: one is made. */
		if (c->wanted == ORPHAN && !instead(c, op_unlink_open)) {
			return false;
		}
		c->wanted = STATES;
	}
	if (!pick_target(c, c->op->kinds, &c->target) ||
	    (c->target.states >> SUBMODULE & 1 && model_no_cell(c->op, SUBMODULE))) {
		return false;
	}
	if (c->wanted == CLEAN && !(c->target.states >> CLEAN & 1)) {
		return aim_to_clean(c);
	}
	if (c->op->kinds & PARENT) {
		if (c->target.states >> SUBMODULE & 1) {
			c->inside_submodule = true;
			c->first = MOUNT;
		}
		if (c->target.depth >= MODEL_DEPTH_MAX || !pick_new_name(c, &c->target, c->name)) {
			return false;
		}
		if (path_ignored(c->name)) {
			c->target.states |= 1U << IGNORED;
		}
	}
	return true;
}

static void as_user(uid_t user)
{
	setfsgid(user);
	setfsuid(user);
}

static void close_pair(int fd[SIDES])
{
	for (unsigned s = 0; s < SIDES; s++) {
		if (fd[s] >= 0) {
			close(fd[s]);
		}
		fd[s] = -1;
	}
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return time_ns(&now);
}

static void call_run(struct call *c)
{
	unsigned states;

	watch_target(c, &c->target);
	if (c->op->prepare && !c->op->prepare(c)) {
		return;
	}
	states = c->target.states;
	if (c->name[0]) {
		watch_path(c, c->name, false);
	}
	if (!(c->op->flags & OP_AS_ROOT) && !c->inside_submodule &&
	    !c->model->root_only && geteuid() == 0 &&
	    one_in(c->actor, 5)) {
		c->user = MODEL_USER;
	}
	/* Before it, too: so it can be named should it hang, or end the process. */
	call_words(c, c->actor->log[c->actor->done % MODEL_LOG_LINES], MODEL_LOG_WIDTH);
	c->started_ns = now_ns();
	if (c->user) {
		as_user(c->user);
	}
	c->op->run(c);
	if (c->user) {
		as_user(0);
	}
	if (!c->skipped) {
		judge(c);
		count(c, states);
	}
	close_pair(c->fd);
	call_words(c, c->actor->log[c->actor->done % MODEL_LOG_LINES], MODEL_LOG_WIDTH);
}

void actor_run(struct model *m, struct actor *a)
{
	struct call *c = malloc(sizeof(*c));
	uint64_t end = a->done + m->batch_ops;

	for (unsigned i = 0; i < MODEL_HANDLES; i++) {
		a->handles[i].fd[TWIN] = a->handles[i].fd[MOUNT] = -1;
	}
	while (c && a->done < end && !a->failed) {
		memset(c, 0, sizeof(*c));
		c->model = m;
		c->actor = a;
		c->fd[TWIN] = c->fd[MOUNT] = -1;
		choose(c);
		if (aim(c)) {
			__atomic_store_n(&a->busy, true, __ATOMIC_RELEASE);
			call_run(c);
			__atomic_store_n(&a->busy, false, __ATOMIC_RELEASE);
		}
		a->done++;
		if (one_in(a, 6)) {
			close_pair(a->handles[random_below(a, MODEL_HANDLES)].fd);
		}
	}
	for (unsigned i = 0; i < MODEL_HANDLES; i++) {
		close_pair(a->handles[i].fd);
	}
	free(c);
}
