/*
 * Many small operations on a filesystem, without a shell or an interpreter between them;
 * prints the seconds that all of them took:
 *
 *   fsops create FOLDER COUNT SIZE     files f0, f1, ... of SIZE bytes, each closed
 *   fsops mkdir FOLDER COUNT           folders d0, d1, ...
 *   fsops rename FOLDER COUNT          f0 to r0, ...
 *   fsops unlink FOLDER COUNT          f0, ...
 *   fsops write FILE COUNT SIZE        a new file, COUNT times SIZE bytes, one after another
 *   fsops random FILE COUNT SIZE       SIZE bytes at COUNT places of a file that is there,
 *                                      multiples of SIZE, the same ones every time
 *   fsops fsync FILE COUNT SIZE        append and fsync, COUNT times
 *   fsops fdatasync FILE COUNT SIZE    append and fdatasync
 *
 * The clock runs over the operations and the close of what they wrote, not over opening
 * FILE. Nothing is synced but by the last two. No two blocks that are written are the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define COUNT_MAX UINT64_C(100000000)
#define SIZE_MAX_BYTES (UINT64_C(64) << 20)
#define SEED UINT64_C(0x9e3779b97f4a7c15)
#define NAME_BYTES 32

struct job {
	const char *path;
	uint64_t count;
	size_t size;
	char *bytes;     /* of size */
	uint64_t places; /* for random: how many of size the file has */
	uint64_t state;  /* and which is next */
};

struct operation {
	const char *name;
	bool writes;
	int (*run)(struct job *job, double *seconds_out);
};

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* xorshift64 */
static uint64_t next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void fill(struct job *job)
{
	uint64_t state = SEED;

	for (size_t at = 0; at < job->size; at++)
		job->bytes[at] = (char)next(&state);
}

/* The number-th block: enough of it differs for nobody to store it once. */
static void mark(struct job *job, uint64_t number)
{
	memcpy(job->bytes, &number, job->size < sizeof(number) ? job->size : sizeof(number));
}

static void name_of(char name[NAME_BYTES], char kind, uint64_t number)
{
	(void)snprintf(name, NAME_BYTES, "%c%" PRIu64, kind, number);
}

static int whole(ssize_t done, size_t size)
{
	if (done < 0)
		return -errno;
	return (size_t)done == size ? 0 : -EIO;
}

static int create_one(struct job *job, uint64_t number)
{
	char name[NAME_BYTES];
	int fd, status;

	name_of(name, 'f', number);
	mark(job, number);
	fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	status = whole(write(fd, job->bytes, job->size), job->size);
	if (close(fd) && !status)
		status = -errno;
	return status;
}

static int mkdir_one(struct job *job, uint64_t number)
{
	char name[NAME_BYTES];

	(void)job;
	name_of(name, 'd', number);
	return mkdir(name, 0755) ? -errno : 0;
}

static int rename_one(struct job *job, uint64_t number)
{
	char from[NAME_BYTES], to[NAME_BYTES];

	(void)job;
	name_of(from, 'f', number);
	name_of(to, 'r', number);
	return rename(from, to) ? -errno : 0;
}

static int unlink_one(struct job *job, uint64_t number)
{
	char name[NAME_BYTES];

	(void)job;
	name_of(name, 'f', number);
	return unlink(name) ? -errno : 0;
}

/* Each number by one, in the folder, which becomes the current one. */
static int in_folder(struct job *job, int (*one)(struct job *, uint64_t), double *seconds_out)
{
	double start;
	int status = 0;

	if (chdir(job->path))
		return -errno;
	start = now();
	for (uint64_t number = 0; number < job->count && !status; number++)
		status = one(job, number);
	*seconds_out = now() - start;
	return status;
}

static int run_create(struct job *job, double *seconds_out)
{
	return in_folder(job, create_one, seconds_out);
}

static int run_mkdir(struct job *job, double *seconds_out)
{
	return in_folder(job, mkdir_one, seconds_out);
}

static int run_rename(struct job *job, double *seconds_out)
{
	return in_folder(job, rename_one, seconds_out);
}

static int run_unlink(struct job *job, double *seconds_out)
{
	return in_folder(job, unlink_one, seconds_out);
}

static int write_one(struct job *job, int fd, uint64_t number)
{
	(void)number;
	return whole(write(fd, job->bytes, job->size), job->size);
}

static int random_one(struct job *job, int fd, uint64_t number)
{
	uint64_t place = next(&job->state) % job->places * job->size;

	(void)number;
	return whole(pwrite(fd, job->bytes, job->size, (off_t)place), job->size);
}

static int fsync_one(struct job *job, int fd, uint64_t number)
{
	int status = write_one(job, fd, number);

	if (!status && fsync(fd))
		status = -errno;
	return status;
}

static int fdatasync_one(struct job *job, int fd, uint64_t number)
{
	int status = write_one(job, fd, number);

	if (!status && fdatasync(fd))
		status = -errno;
	return status;
}

static int in_file(struct job *job, int flags, int (*one)(struct job *, int, uint64_t),
		   double *seconds_out)
{
	double start;
	int status = 0;
	int fd = open(job->path, flags | O_WRONLY | O_CLOEXEC, 0644);

	if (fd < 0)
		return -errno;
	start = now();
	for (uint64_t number = 0; number < job->count && !status; number++) {
		mark(job, number);
		status = one(job, fd, number);
	}
	if (close(fd) && !status)
		status = -errno;
	*seconds_out = now() - start;
	return status;
}

static int run_write(struct job *job, double *seconds_out)
{
	return in_file(job, O_CREAT | O_EXCL, write_one, seconds_out);
}

static int run_random(struct job *job, double *seconds_out)
{
	struct stat stat_of;

	if (stat(job->path, &stat_of))
		return -errno;
	job->state = SEED;
	job->places = (uint64_t)stat_of.st_size / job->size;
	return job->places ? in_file(job, 0, random_one, seconds_out) : -EINVAL;
}

static int run_fsync(struct job *job, double *seconds_out)
{
	return in_file(job, O_CREAT | O_APPEND, fsync_one, seconds_out);
}

static int run_fdatasync(struct job *job, double *seconds_out)
{
	return in_file(job, O_CREAT | O_APPEND, fdatasync_one, seconds_out);
}

static const struct operation operations[] = {
	{ "create", true, run_create },
	{ "mkdir", false, run_mkdir },
	{ "rename", false, run_rename },
	{ "unlink", false, run_unlink },
	{ "write", true, run_write },
	{ "random", true, run_random },
	{ "fsync", true, run_fsync },
	{ "fdatasync", true, run_fdatasync },
};

/* 1 to max; 0 for anything else. */
static uint64_t number_of(const char *word, uint64_t max)
{
	char *end;
	unsigned long long number;

	errno = 0;
	number = strtoull(word, &end, 10);
	return errno || end == word || *end || number > max ? 0 : number;
}

static const struct operation *find(const char *name)
{
	for (size_t at = 0; at < sizeof(operations) / sizeof(operations[0]); at++) {
		if (!strcmp(operations[at].name, name))
			return &operations[at];
	}
	return NULL;
}

int main(int argc, char **argv)
{
	const struct operation *operation = argc > 1 ? find(argv[1]) : NULL;
	struct job job = { 0 };
	double seconds = 0;
	int status;

	if (operation && argc == (operation->writes ? 5 : 4)) {
		job.path = argv[2];
		job.count = number_of(argv[3], COUNT_MAX);
		job.size = operation->writes ? (size_t)number_of(argv[4], SIZE_MAX_BYTES) : 1;
	}
	if (!job.count || !job.size) {
		(void)fprintf(stderr, "usage: fsops OPERATION PATH COUNT [SIZE]\n");
		return 2;
	}
	job.bytes = malloc(job.size);
	if (!job.bytes) {
		(void)fprintf(stderr, "fsops: out of memory\n");
		return 1;
	}
	fill(&job);
	status = operation->run(&job, &seconds);
	free(job.bytes);
	if (status) {
		(void)fprintf(stderr, "fsops: %s %s: %s\n", argv[1], argv[2], strerror(-status));
		return 1;
	}
	(void)printf("%.9f\n", seconds);
	return 0;
}
