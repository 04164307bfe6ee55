/*
 * The model test of writable mounts: random operations on a mount and on a twin, a plain
 * folder of another filesystem that began with the same contents.
 *
 *   fsmodel [OPTION...] --state FILE --table FILE MOUNT TWIN
 *       --seed N        which operations; the same seed makes the same ones (default 1)
 *       --seconds S     as many batches as fit, at least one (default 10)
 *       --batches N     so many instead
 *       --batch N       operations of each actor in a batch (default 200)
 *       --workers N     processes (default 3), with
 *       --threads N     threads each (default 3); every thread is an actor
 *       --submodule P   a gitlink's folder; again for each; where FILE is new
 *       --xattr         the mount has extended attributes
 *       --without OP    leaves an operation out ("user": what is done as one), for who looks
 *                       for a defect; again for each
 *   fsmodel --compare [--all] --state FILE MOUNT TWIN
 *       the trees as they are; contents that nothing has read yet only with --all
 *   fsmodel --show --table FILE                   the table; false if a cell is empty
 *   fsmodel --shared [--seconds S] [--workers N] [--threads N] [--seed N] DIR
 *       many threads on one file and in one folder of DIR: model_shared.c
 *
 * The model is the twin: an operation has to answer on the mount what it answers there.
 * Actors have folders of their own, and names of their own in the folders that all share,
 * so that what each of them sees does not depend on the others, though the mount serves all
 * at once. After each batch the workers end, and the trees are compared as wholes.
 *
 * The state of an object is a column of the table:
 *
 *   unfetched   of the commit; nothing has read its contents, target or listing
 *   clean       of the commit; read, and not changed
 *   dirty       made or changed here
 *   orphan      a descriptor is its last name
 *   renamed     below (a folder: or is) a folder that was renamed
 *   submodule   a gitlink's folder: empty, and EROFS inside, which the twin cannot know
 *   ignored     matches *.o of .gitignore, as a folder above it may
 *
 * An object can be in several. The state file remembers what was read and changed, so that
 * it goes on over remounts; the table file sums over runs. Exit 1: they differ, or a cell
 * is empty; 2: it could not be tried.
 */
#include "model.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BATCH_LIMIT_S 100 /* one that takes longer hangs */
#define SUBMODULES_MAX 256

struct options {
	unsigned seconds, batches;
	const char *state, *table;
	char *submodules[SUBMODULES_MAX + 1]; /* ends with NULL */
	unsigned submodule_count;
	bool compare, all, show, shared;
};

static const char *const state_names[STATES] = { "clean", "unfetched", "dirty", "orphan",
						 "renamed", "submodule", "ignored" };

static void *map_file(const char *path, size_t size)
{
	int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
	void *map = MAP_FAILED;

	if (path && fd >= 0 && ftruncate(fd, (off_t)size) == 0) {
		map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	} else if (!path) {
		map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	}
	if (fd >= 0) {
		close(fd);
	}
	return map == MAP_FAILED ? NULL : map;
}

/* The last row says which operations a mount offered at all. */
static uint64_t *offers(uint64_t (*table)[STATES])
{
	return table[MODEL_OPS_MAX - 1];
}

static bool offered(uint64_t (*table)[STATES], const struct operation *op)
{
	if (op->run == op_tmpfile) {
		return offers(table)[0] > 0;
	}
	return !(op->flags & OP_XATTR) || offers(table)[1] > 0;
}

/* A cell: its count, or a dash where it makes no sense. True: it is empty. */
static bool show_cell(const struct operation *op, enum state state, uint64_t count)
{
	if (model_no_cell(op, state)) {
		printf(" %9s", "-");
		return false;
	}
	if (count == 0) {
		printf(" %9s", "EMPTY");
		return true;
	}
	printf(" %9llu", (unsigned long long)count);
	return false;
}

static unsigned show(uint64_t (*table)[STATES])
{
	unsigned empty = 0;

	printf("%-13s", "");
	for (unsigned j = 0; j < STATES; j++) {
		printf(" %9s", state_names[j]);
	}
	putchar('\n');
	for (unsigned i = 0; i < model_op_count; i++) {
		const struct operation *op = &model_ops[i];

		printf("%-13s", op->name);
		if (!offered(table, op)) {
			puts(" not offered by this mount");
			continue;
		}
		for (unsigned j = 0; j < STATES; j++) {
			empty += show_cell(op, (enum state)j, table[i][j]);
		}
		putchar('\n');
	}
	printf("%u empty cells\n", empty);
	return empty;
}

static bool probe_tmpfile(int root)
{
	int fd = openat(root, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0) {
		close(fd);
	}
	return fd >= 0;
}

/* Each actor has its folder, should the commit not have one for it. */
static bool make_folder(const struct model *m, unsigned number)
{
	char folder[16];

	snprintf(folder, sizeof(folder), "a%02u", number);
	if (faccessat(m->root[TWIN], folder, F_OK, 0) == 0) {
		return true;
	}
	if (mkdirat(m->root[TWIN], folder, 0755) < 0 || mkdirat(m->root[MOUNT], folder, 0755) < 0) {
		perror(folder);
		return false;
	}
	return true;
}

static bool prepare_actors(struct model *m)
{
	unsigned count = m->workers * m->threads;

	m->actors = map_file(NULL, count * sizeof(*m->actors));
	if (!m->actors) {
		return false;
	}
	for (unsigned i = 0; i < count; i++) {
		m->actors[i].number = i;
		m->actors[i].random = m->seed * UINT64_C(0x2545f4914f6cdd1d) + i;
		if (!make_folder(m, i)) {
			return false;
		}
	}
	return true;
}

struct thread {
	struct model *m;
	struct actor *actor;
	pthread_t id;
};

static void *thread_main(void *arg)
{
	struct thread *t = arg;
	struct actor *a = t->actor;
	void *buffers[SIDES] = { NULL, NULL };
	char folder[16];

	snprintf(folder, sizeof(folder), "a%02u", a->number);
	a->entries = tree_count(t->m->root[TWIN], folder);
	if (posix_memalign(&buffers[TWIN], 4096, MODEL_BUFFER_SIZE) != 0 ||
	    posix_memalign(&buffers[MOUNT], 4096, MODEL_BUFFER_SIZE) != 0) {
		a->failed = true;
	} else {
		a->buffer[TWIN] = buffers[TWIN];
		a->buffer[MOUNT] = buffers[MOUNT];
		actor_run(t->m, a);
	}
	free(buffers[TWIN]);
	free(buffers[MOUNT]);
	return NULL;
}

/* One process; masks differ from worker to worker, as the mount has to honour each. */
static int worker_main(struct model *m, unsigned worker)
{
	static const mode_t masks[] = { 022, 002, 077, 0 };
	struct thread threads[MODEL_ACTORS_MAX];
	int status = 0;

	umask(masks[worker % 4]);
	if (geteuid() == 0) {
		setgroups(0, NULL);
	}
	for (unsigned i = 0; i < m->threads; i++) {
		threads[i].m = m;
		threads[i].actor = &m->actors[worker * m->threads + i];
		if (pthread_create(&threads[i].id, NULL, thread_main, &threads[i]) != 0) {
			abort();
		}
	}
	for (unsigned i = 0; i < m->threads; i++) {
		pthread_join(threads[i].id, NULL);
		status |= threads[i].actor->failed;
	}
	return status;
}

static void say_busy(const struct model *m, const char *why)
{
	for (unsigned i = 0; i < m->workers * m->threads; i++) {
		const struct actor *a = &m->actors[i];

		if (a->busy) {
			printf("%s seed %llu actor %u in: %s\n", why,
			       (unsigned long long)m->seed, i, a->log[a->done % MODEL_LOG_LINES]);
		}
	}
	fflush(stdout);
}

static bool ended_well(const struct model *m, int status)
{
	if (WIFSIGNALED(status)) {
		printf("DIFFERENCE a worker ended by signal %d\n", WTERMSIG(status));
		say_busy(m, "it or another was, with");
	}
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Waits for all; one that hangs may be beyond any signal, so nobody waits for it. */
static bool workers_end(const struct model *m, const pid_t *pids)
{
	struct timespec pause = { 0, 5000000 };
	unsigned left = m->workers;
	bool good = true;
	time_t limit = time(NULL) + BATCH_LIMIT_S;

	while (left > 0 && time(NULL) <= limit) {
		int status;

		if (waitpid(-1, &status, WNOHANG) > 0) {
			left--;
			good = ended_well(m, status) && good;
		} else {
			nanosleep(&pause, NULL);
		}
	}
	if (left == 0) {
		return good;
	}
	say_busy(m, "HANGS");
	for (unsigned i = 0; i < m->workers; i++) {
		kill(pids[i], SIGKILL);
	}
	return false;
}

static bool batch_run(struct model *m)
{
	pid_t pids[MODEL_ACTORS_MAX];

	fflush(stdout);
	for (unsigned i = 0; i < m->workers; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			int status = worker_main(m, i);

			fflush(stdout);
			_exit(status);
		}
		if (pids[i] < 0) {
			perror("fork");
			exit(2);
		}
	}
	return workers_end(m, pids);
}

static int model_run(struct model *m, const struct options *o)
{
	time_t end = time(NULL) + o->seconds;
	unsigned batches = 0;
	uint64_t done = 0;
	bool good;

	printf("seed %llu, %u processes of %u threads, batches of %u\n",
	       (unsigned long long)m->seed, m->workers, m->threads, m->batch_ops);
	do {
		good = batch_run(m);
		/* Where a hung operation holds the mount, a comparison would hang as well. */
		good = good && trees_same(m, false);
		batches++;
	} while (good && (o->batches ? batches < o->batches : time(NULL) < end));
	for (unsigned i = 0; i < m->workers * m->threads; i++) {
		done += m->actors[i].done;
	}
	printf("%s: seed %llu, %llu operations in %u batches\n", good ? "no difference" : "FAILED",
	       (unsigned long long)m->seed, (unsigned long long)done, batches);
	return good ? 0 : 1;
}

static bool open_roots(struct model *m, char **paths, unsigned count)
{
	/* The mount is named first, as the one that is looked at. */
	for (unsigned i = 0; i < count; i++) {
		unsigned side = i == 0 ? MOUNT : TWIN;

		m->root[side] = open(paths[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (m->root[side] < 0) {
			perror(paths[i]);
			return false;
		}
	}
	return true;
}

static bool set_number(struct model *m, struct options *o, int option, const char *text)
{
	char *rest;
	unsigned long long n = strtoull(text, &rest, 10);

	if (*rest || !*text) {
		return false;
	}
	switch (option) {
	case 's':
		m->seed = n;
		break;
	case 'S':
		o->seconds = (unsigned)n;
		break;
	case 'B':
		o->batches = (unsigned)n;
		break;
	case 'b':
		m->batch_ops = (unsigned)n;
		break;
	case 'w':
		m->workers = (unsigned)n;
		break;
	default:
		m->threads = (unsigned)n;
		break;
	}
	return true;
}

static bool leave_out(struct model *m, const char *name)
{
	if (strcmp(name, "user") == 0) {
		m->root_only = true;
		return true;
	}
	for (unsigned i = 0; i < model_op_count; i++) {
		if (strcmp(name, model_ops[i].name) == 0) {
			m->without |= UINT64_C(1) << i;
			return true;
		}
	}
	return false;
}

static bool parse(int argc, char **argv, struct model *m, struct options *o)
{
	static const struct option names[] = {
		{ "seed", 1, NULL, 's' },
		{ "seconds", 1, NULL, 'S' },
		{ "batches", 1, NULL, 'B' },
		{ "batch", 1, NULL, 'b' },
		{ "workers", 1, NULL, 'w' },
		{ "threads", 1, NULL, 't' },
		{ "state", 1, NULL, 'f' },
		{ "table", 1, NULL, 'F' },
		{ "submodule", 1, NULL, 'm' },
		{ "without", 1, NULL, 'W' },
		{ "xattr", 0, NULL, 'x' },
		{ "compare", 0, NULL, 'c' },
		{ "all", 0, NULL, 'a' },
		{ "show", 0, NULL, 'o' },
		{ "shared", 0, NULL, 'h' },
		{ NULL, 0, NULL, 0 }
	};
	int option;

	while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (option == 'f') {
			o->state = optarg;
		} else if (option == 'F') {
			o->table = optarg;
		} else if (option == 'm' && o->submodule_count < SUBMODULES_MAX) {
			o->submodules[o->submodule_count++] = optarg;
		} else if (option == 'x') {
			m->xattr = true;
		} else if (strchr("caoh", option)) {
			o->compare |= option == 'c';
			o->all |= option == 'a';
			o->show |= option == 'o';
			o->shared |= option == 'h';
		} else if (option == '?' || (option == 'W' && !leave_out(m, optarg)) ||
			   (option != 'W' && !set_number(m, o, option, optarg))) {
			return false;
		}
	}
	if (m->workers == 0 || m->threads == 0 || m->workers > MODEL_ACTORS_MAX ||
	    m->threads > MODEL_ACTORS_MAX || m->workers * m->threads > MODEL_ACTORS_MAX) {
		return false;
	}
	if (o->show) {
		return o->table && optind == argc;
	}
	return o->shared ? optind + 1 == argc : o->state && optind + 2 == argc;
}

int main(int argc, char **argv)
{
	struct model m = { .seed = 1, .workers = 3, .threads = 3, .batch_ops = 200 };
	static struct options o = { .seconds = 10 };
	bool new_state = false;

	m.report = stdout;
	if (!parse(argc, argv, &m, &o)) {
		fputs("usage: fsmodel [OPTION...] --state FILE --table FILE MOUNT TWIN\n", stderr);
		return 2;
	}
	m.table = map_file(o.table, MODEL_OPS_MAX * sizeof(*m.table));
	if (!m.table) {
		perror(o.table);
		return 2;
	}
	if (o.show) {
		return show(m.table) == 0 ? 0 : 1;
	}
	if (o.shared) {
		return shared_run(argv[optind], &m, o.seconds) ? 0 : 1;
	}
	m.known = known_open(o.state, &new_state);
	if (!m.known || !open_roots(&m, argv + optind, SIDES)) {
		fprintf(stderr, "fsmodel: %s: %s\n", o.state, strerror(errno));
		return 2;
	}
	if (o.compare) {
		return trees_same(&m, o.all) ? 0 : 1;
	}
	if ((new_state && !tree_learn_base(&m, o.submodules)) || !prepare_actors(&m)) {
		fputs("fsmodel: the twin is not as it was told\n", stderr);
		return 2;
	}
	m.tmpfile[TWIN] = probe_tmpfile(m.root[TWIN]);
	m.tmpfile[MOUNT] = probe_tmpfile(m.root[MOUNT]);
	offers(m.table)[0] += m.tmpfile[MOUNT];
	offers(m.table)[1] += m.xattr;
	return model_run(&m, &o);
}
