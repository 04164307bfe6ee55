/*
 * Many threads of several processes on one file and in one folder; no twin, but invariants.
 *
 * The file is an array of cells of 512 bytes, each of which one writer owns. A cell is 64
 * equal words, the number of the cell << 40 | its generation. A writer announces a
 * generation, writes it, and says that it is written; so every word that a reader sees has
 * to be of a generation between the one that was written before the read began and the one
 * that was announced when it ended. Writers use pwrite or a shared map. At last the pages
 * are dropped and the file is read anew: it holds the last generation of every cell.
 *
 * In the folder, threads make, link, rename and remove names of their own, of which they
 * know what has to come out, and fight for a few names of all: of those, creations less
 * removals is 1 or 0, and says whether the name is there at the end. Names that nobody
 * touches are in every listing exactly once.
 */
#include "model.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <pthread.h>
#include <unistd.h>

#define CELL 512U
#define CELLS 1024U
#define WORDS (CELL / sizeof(uint64_t))
#define NAMES 6U   /* that all fight for */
#define STEADY 40U /* that nobody touches */

struct shared {
	uint64_t announced[CELLS], written[CELLS];
	int64_t made[NAMES], removed[NAMES];
	uint64_t reads, writes, names;
	int stop, failed;
};

struct part {
	struct shared *shared;
	struct actor actor; /* for its generator */
	unsigned number, count;
	int folder;
	time_t end;
	pthread_t id;
};

static void fails(struct part *p, const char *what, const char *name)
{
	printf("DIFFERENCE thread %u: %s '%s': %s\n", p->number, what, name, strerror(errno));
	fflush(stdout);
	__atomic_store_n(&p->shared->failed, 1, __ATOMIC_SEQ_CST);
}

static bool goes_on(const struct part *p)
{
	return time(NULL) < p->end && !__atomic_load_n(&p->shared->failed, __ATOMIC_SEQ_CST);
}

static void write_cells(struct part *p, int fd, unsigned char *map)
{
	uint64_t words[4 * WORDS];
	unsigned own = CELLS / p->count, run = 1 + random_below(&p->actor, 4);
	unsigned cell = p->number * own + random_below(&p->actor, own - run + 1);
	size_t size = (size_t)run * CELL;

	for (unsigned i = 0; i < run; i++) {
		uint64_t next = __atomic_add_fetch(&p->shared->announced[cell + i], 1,
						   __ATOMIC_SEQ_CST);

		for (unsigned j = 0; j < WORDS; j++) {
			words[i * WORDS + j] = (uint64_t)(cell + i) << 40 | next;
		}
	}
	if (one_in(&p->actor, 3)) {
		memcpy(map + (size_t)cell * CELL, words, size);
	} else if (pwrite(fd, words, size, (off_t)cell * CELL) != (ssize_t)size) {
		fails(p, "pwrite", "cells");
	}
	for (unsigned i = 0; i < run; i++) {
		__atomic_add_fetch(&p->shared->written[cell + i], 1, __ATOMIC_SEQ_CST);
	}
	__atomic_add_fetch(&p->shared->writes, 1, __ATOMIC_RELAXED);
}

/* What one word of a cell may be, after a read that began when `oldest` was written. */
static bool judge_cell(struct part *p, unsigned cell, const uint64_t *words, uint64_t oldest)
{
	uint64_t newest = __atomic_load_n(&p->shared->announced[cell], __ATOMIC_SEQ_CST);

	for (unsigned j = 0; j < WORDS; j++) {
		uint64_t generation = words[j] & ((UINT64_C(1) << 40) - 1);

		if (words[j] >> 40 != (generation ? cell : 0) || generation < oldest ||
		    generation > newest) {
			printf("DIFFERENCE cell %u word %u is %llx: written %llu, announced %llu\n",
			       cell, j, (unsigned long long)words[j], (unsigned long long)oldest,
			       (unsigned long long)newest);
			return false;
		}
	}
	return true;
}

static void read_cells(struct part *p, int fd)
{
	uint64_t words[16 * WORDS], oldest[16];
	unsigned cell = random_below(&p->actor, CELLS - 16);

	for (unsigned i = 0; i < 16; i++) {
		oldest[i] = __atomic_load_n(&p->shared->written[cell + i], __ATOMIC_SEQ_CST);
	}
	if (pread(fd, words, sizeof(words), (off_t)cell * CELL) != (ssize_t)sizeof(words)) {
		fails(p, "pread", "cells");
		return;
	}
	for (unsigned i = 0; i < 16; i++) {
		if (!judge_cell(p, cell + i, words + (size_t)i * WORDS, oldest[i])) {
			fails(p, "read", "cells");
			return;
		}
	}
	__atomic_add_fetch(&p->shared->reads, 1, __ATOMIC_RELAXED);
}

static void *file_main(void *arg)
{
	struct part *p = arg;
	int fd = openat(p->folder, "cells", O_RDWR | O_CLOEXEC);
	unsigned char *map = MAP_FAILED;

	if (fd >= 0) {
		map = mmap(NULL, CELLS * CELL, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	}
	if (map == MAP_FAILED) {
		fails(p, "open or mmap", "cells");
		return NULL;
	}
	while (goes_on(p)) {
		if (one_in(&p->actor, 2)) {
			write_cells(p, fd, map);
		} else {
			read_cells(p, fd);
		}
		if (one_in(&p->actor, 200) && fsync(fd) < 0) {
			fails(p, "fsync", "cells");
		}
	}
	munmap(map, CELLS * CELL);
	close(fd);
	return NULL;
}

/* One step of the fight; those who lose hear ENOENT or EEXIST and nothing else. */
static void fight(struct part *p)
{
	unsigned one = random_below(&p->actor, NAMES), two = random_below(&p->actor, NAMES);
	struct shared *s = p->shared;
	char name[16], other[16];
	int done;

	snprintf(name, sizeof(name), "fight%u", one);
	snprintf(other, sizeof(other), "fight%u", two);
	switch (random_below(&p->actor, 4)) {
	case 0:
		done = openat(p->folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		if (done >= 0) {
			close(done);
			__atomic_add_fetch(&s->made[one], 1, __ATOMIC_SEQ_CST);
		}
		break;
	case 1:
		done = unlinkat(p->folder, name, 0);
		if (done == 0) {
			__atomic_add_fetch(&s->removed[one], 1, __ATOMIC_SEQ_CST);
		}
		break;
	case 2:
		done = renameat2(p->folder, name, p->folder, other, 1);
		if (done == 0) {
			__atomic_add_fetch(&s->removed[one], 1, __ATOMIC_SEQ_CST);
			__atomic_add_fetch(&s->made[two], 1, __ATOMIC_SEQ_CST);
		}
		break;
	default:
		done = renameat2(p->folder, name, p->folder, other, 2);
		break;
	}
	if (done < 0 && errno != ENOENT && errno != EEXIST) {
		fails(p, "create, unlink or rename of", name);
	}
}

static void own_names(struct part *p, unsigned round)
{
	char a[32], b[32], c[32];
	struct stat st;
	int fd;

	snprintf(a, sizeof(a), "own%u-%u", p->number, round % 7);
	snprintf(b, sizeof(b), "own%u-moved", p->number);
	snprintf(c, sizeof(c), "own%u-link", p->number);
	fd = openat(p->folder, a, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, &round, sizeof(round)) != sizeof(round)) {
		fails(p, "create", a);
		return;
	}
	if (linkat(p->folder, a, p->folder, c, 0) < 0 || renameat(p->folder, a, p->folder, b) < 0) {
		fails(p, "link and rename", a);
	} else if (fstat(fd, &st) < 0 || st.st_nlink != 2 || st.st_size != sizeof(round)) {
		fails(p, "fstat with two names", b);
	} else if (fstatat(p->folder, a, &st, 0) == 0 || errno != ENOENT) {
		fails(p, "the old name is still there", a);
	} else if (unlinkat(p->folder, c, 0) < 0 || unlinkat(p->folder, b, 0) < 0 ||
		   fstat(fd, &st) < 0 || st.st_nlink != 0) {
		fails(p, "unlink", b);
	}
	close(fd);
	__atomic_add_fetch(&p->shared->names, 1, __ATOMIC_RELAXED);
}

/* Those that nobody touches; any name twice is found, too, as the listing is sorted. */
static void list(struct part *p)
{
	struct dirent **names = NULL;
	int count = list_names(p->folder, "", &names);
	unsigned steady = 0;

	if (count < 0) {
		fails(p, "list", ".");
	}
	for (int i = 0; i < count; i++) {
		bool is = strncmp(names[i]->d_name, "steady", 6) == 0;

		steady += is;
		if (is && i > 0 && strcmp(names[i - 1]->d_name, names[i]->d_name) == 0) {
			fails(p, "a listing has twice", names[i]->d_name);
		}
	}
	if (count >= 0 && steady != STEADY) {
		printf("DIFFERENCE a listing has %u of %u names\n", steady, STEADY);
		fails(p, "list", ".");
	}
	free_names(names, count);
}

static void *folder_main(void *arg)
{
	struct part *p = arg;

	for (unsigned round = 0; goes_on(p); round++) {
		unsigned what = random_below(&p->actor, 8);

		if (what == 0) {
			list(p);
		} else if (what < 4) {
			own_names(p, round);
		} else {
			fight(p);
		}
	}
	return NULL;
}

static void process_main(struct part *parts, unsigned threads)
{
	for (unsigned i = 0; i < threads; i++) {
		/* Every thread has a companion: both sorts of work go on at the same time. */
		void *(*work)(void *) = parts[i].number % 2 ? folder_main : file_main;

		if (pthread_create(&parts[i].id, NULL, work, &parts[i]) != 0) {
			abort();
		}
	}
	for (unsigned i = 0; i < threads; i++) {
		pthread_join(parts[i].id, NULL);
	}
}

static bool begin(int folder)
{
	int fd = openat(folder, "cells", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	bool good = fd >= 0 && ftruncate(fd, CELLS * CELL) == 0;

	for (unsigned i = 0; i < STEADY && good; i++) {
		char name[16];
		int one;

		snprintf(name, sizeof(name), "steady%02u", i);
		one = openat(folder, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		good = one >= 0 && close(one) == 0;
	}
	for (unsigned i = 0; i < NAMES && good; i++) {
		char name[16];

		snprintf(name, sizeof(name), "fight%u", i);
		unlinkat(folder, name, 0);
	}
	if (fd >= 0) {
		close(fd);
	}
	if (!good) {
		perror("fsmodel: the folder");
	}
	return good;
}

static void judge_end(struct part *p)
{
	struct dirent **names = NULL;
	int count, fd = openat(p->folder, "cells", O_RDONLY | O_CLOEXEC);
	unsigned expected = STEADY + 1;

	if (fd < 0 || fsync(fd) < 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0) {
		fails(p, "fsync and fadvise", "cells");
	}
	for (unsigned i = 0; i < CELLS; i++) {
		uint64_t words[WORDS], last = p->shared->written[i];
		uint64_t wanted = last ? (uint64_t)i << 40 | last : 0;

		if (pread(fd, words, CELL, (off_t)i * CELL) != CELL || words[0] != wanted ||
		    memcmp(words, words + 1, CELL - sizeof(words[0])) != 0) {
			printf("DIFFERENCE cell %u at the end is %llx, was written %llx\n", i,
			       (unsigned long long)words[0], (unsigned long long)wanted);
			fails(p, "read at the end", "cells");
			break;
		}
	}
	close(fd);
	for (unsigned i = 0; i < NAMES; i++) {
		int64_t left = p->shared->made[i] - p->shared->removed[i];
		struct stat st;
		char name[16];
		bool there;

		snprintf(name, sizeof(name), "fight%u", i);
		there = fstatat(p->folder, name, &st, 0) == 0;
		expected += left == 1;
		if (left < 0 || left > 1 || there != (left == 1)) {
			printf("DIFFERENCE made less removed is %lld\n", (long long)left);
			fails(p, "the count does not hold for", name);
		}
	}
	count = list_names(p->folder, "", &names);
	if (count != (int)expected) {
		printf("DIFFERENCE %d names at the end, %u wanted\n", count, expected);
		fails(p, "list at the end", ".");
	}
	free_names(names, count);
}

bool shared_run(const char *path, const struct model *m, unsigned seconds)
{
	struct part parts[MODEL_ACTORS_MAX];
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned count = m->workers * m->threads;
	int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), status;

	if (shared == MAP_FAILED || folder < 0 || count < 2 || !begin(folder)) {
		return false;
	}
	memset(parts, 0, sizeof(parts));
	for (unsigned i = 0; i < count; i++) {
		parts[i].shared = shared;
		parts[i].actor.random = m->seed + i;
		parts[i].number = i;
		parts[i].count = count;
		parts[i].folder = folder;
		parts[i].end = time(NULL) + seconds;
	}
	fflush(stdout);
	for (unsigned i = 0; i < m->workers; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			process_main(parts + i * m->threads, m->threads);
			_exit(0);
		}
		shared->failed |= pid < 0;
	}
	while (wait(&status) > 0) {
		shared->failed |= status != 0;
	}
	if (!shared->failed) {
		judge_end(&parts[0]);
	}
	printf("%s: seed %llu, %llu reads and %llu writes of cells, %llu names\n",
	       shared->failed ? "FAILED" : "it held", (unsigned long long)m->seed,
	       (unsigned long long)shared->reads, (unsigned long long)shared->writes,
	       (unsigned long long)shared->names);
	close(folder);
	return !shared->failed && shared->reads && shared->writes && shared->names;
}
