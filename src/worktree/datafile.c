/*
 * A file `<node id, 16 hex digits>.<number>` in one folder. Open descriptors are
 * kept in a table of slots, a node always in the same one; a descriptor is closed
 * when its last user goes.
 */
#include "worktree/datafile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/failpoint.h"
#include "base/folder.h"
#include "base/io.h"
#include "base/threads.h"

#define SLOTS 256
#define NAME_SIZE 40

struct retired {
	uint64_t id;
	uint64_t lsn;
	uint32_t number;
};

struct datafiles {
	int dir_fd;
	bool read_only;
	atomic_ullong names_made;   /* files that were made */
	atomic_ullong names_synced; /* how many of them have a durable name */
	pthread_mutex_t lock;           /* a leaf */
	struct datafile *slots[SLOTS];  /* guarded by lock, as all below */
	struct retired *retired;        /* owned */
	size_t retired_count;
	size_t retired_cap;
};

static void name_of(uint64_t id, uint32_t number, char out[NAME_SIZE])
{
	snprintf(out, NAME_SIZE, "%016" PRIx64 ".%" PRIu32, id, number);
}

static bool name_parse(const char *name, uint64_t *id, uint32_t *number)
{
	char again[NAME_SIZE];

	if (sscanf(name, "%16" SCNx64 ".%" SCNu32, id, number) != 2)
		return false;
	name_of(*id, *number, again);
	return strcmp(name, again) == 0;
}

int datafiles_open(struct datafiles **out, const char *dir, bool read_only, struct err *err)
{
	struct datafiles *files = calloc(1, sizeof(*files));
	int rc = read_only ? 0 : io_mkdirs(dir);

	if (files == NULL)
		return err_set(err, -ENOMEM, "out of memory");
	files->read_only = read_only;
	pthread_mutex_init(&files->lock, NULL);
	files->dir_fd = rc == 0 ? io_open(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY, 0) : rc;
	if (files->dir_fd < 0) {
		rc = err_sys(err, -files->dir_fd, "cannot open %s", dir);
		datafiles_close(files);
		return rc;
	}
	*out = files;
	return 0;
}

static void file_free(struct datafile *file)
{
	if (file == NULL)
		return;
	io_close(&file->fd);
	pthread_mutex_destroy(&file->syncing);
	free(file);
}

void datafiles_close(struct datafiles *files)
{
	if (files == NULL)
		return;
	for (size_t i = 0; i < SLOTS; i++)
		file_free(files->slots[i]);
	free(files->retired);
	io_close(&files->dir_fd);
	pthread_mutex_destroy(&files->lock);
	free(files);
}

/* --- descriptors --- */

static struct datafile **slot_of(struct datafiles *files, uint64_t id)
{
	return &files->slots[id % SLOTS];
}

static struct datafile *find(struct datafiles *files, uint64_t id, uint32_t number)
{
	WITH_LOCK(&files->lock);
	struct datafile *file = *slot_of(files, id);

	if (file == NULL || file->id != id || file->number != number)
		return NULL;
	file->refs++;
	return file;
}

void datafile_put(struct datafiles *files, struct datafile *file)
{
	pthread_mutex_lock(&files->lock);
	bool last = --file->refs == 0;

	pthread_mutex_unlock(&files->lock);
	if (last)
		file_free(file);
}

/* Takes the slot; what was there goes. */
static void insert(struct datafiles *files, struct datafile *file)
{
	pthread_mutex_lock(&files->lock);
	struct datafile **slot = slot_of(files, file->id);
	struct datafile *old = *slot;

	file->refs = 2;
	*slot = file;
	bool last = old != NULL && --old->refs == 0;

	pthread_mutex_unlock(&files->lock);
	if (last)
		file_free(old);
}

static int file_open(struct datafiles *files, uint64_t id, uint32_t number, int flags,
		     struct datafile **out)
{
	char name[NAME_SIZE];
	struct datafile *file = calloc(1, sizeof(*file));

	if (file == NULL)
		return -ENOMEM;
	name_of(id, number, name);
	file->id = id;
	file->number = number;
	pthread_mutex_init(&file->syncing, NULL);
	file->fd = io_open(files->dir_fd, name, files->read_only ? O_RDONLY : O_RDWR | flags, 0600);
	if (file->fd < 0) {
		int rc = file->fd;

		file_free(file);
		return rc;
	}
	insert(files, file);
	*out = file;
	return 0;
}

int datafile_create(struct datafiles *files, uint64_t id, uint32_t number, struct datafile **out)
{
	int rc = FAILPOINT_ERR("datafile.create");

	if (rc == 0)
		rc = file_open(files, id, number, O_CREAT | O_TRUNC, out);
	if (rc == 0)
		atomic_fetch_add(&files->names_made, 1);
	return rc;
}

int datafile_get(struct datafiles *files, uint64_t id, uint32_t number, struct datafile **out)
{
	struct datafile *file = find(files, id, number);

	if (file == NULL)
		return file_open(files, id, number, 0, out);
	*out = file;
	return 0;
}

int datafiles_sync_names(struct datafiles *files)
{
	unsigned long long made = atomic_load(&files->names_made);
	unsigned long long synced = atomic_load(&files->names_synced);

	if (synced >= made)
		return 0;
	int rc = io_sync(files->dir_fd);

	/* Only now: whoever asks meanwhile syncs as well. */
	while (rc == 0 && synced < made &&
	       !atomic_compare_exchange_weak(&files->names_synced, &synced, made))
		;
	return rc;
}

/* --- removing --- */

static void forget_slot(struct datafiles *files, uint64_t id, uint32_t number)
{
	struct datafile *file = find(files, id, number);

	if (file == NULL)
		return;
	pthread_mutex_lock(&files->lock);
	if (*slot_of(files, id) == file) {
		*slot_of(files, id) = NULL;
		file->refs--;
	}
	pthread_mutex_unlock(&files->lock);
	datafile_put(files, file);
}

int datafile_retire(struct datafiles *files, uint64_t id, uint32_t number, uint64_t lsn)
{
	WITH_LOCK(&files->lock);
	if (ARRAY_ROOM(files->retired, files->retired_cap, files->retired_count) < 0)
		return -ENOMEM;
	files->retired[files->retired_count++] =
		(struct retired){ .id = id, .lsn = lsn, .number = number };
	return 0;
}

uint64_t datafiles_retired(struct datafiles *files)
{
	WITH_LOCK(&files->lock);
	return files->retired_count;
}

static bool take_retired(struct datafiles *files, uint64_t lsn, struct retired *out)
{
	WITH_LOCK(&files->lock);
	for (size_t i = files->retired_count; i-- > 0;) {
		if (files->retired[i].lsn > lsn)
			continue;
		*out = files->retired[i];
		files->retired[i] = files->retired[--files->retired_count];
		return true;
	}
	return false;
}

int datafiles_remove_retired(struct datafiles *files, uint64_t lsn)
{
	struct retired found;

	while (take_retired(files, lsn, &found)) {
		char name[NAME_SIZE];

		forget_slot(files, found.id, found.number);
		name_of(found.id, found.number, name);
		FAILPOINT("datafile.remove");
		int rc = io_unlink(files->dir_fd, name);

		if (rc < 0 && rc != -ENOENT)
			return rc;
	}
	return 0;
}

int datafiles_sweep(struct datafiles *files, datafile_keep_fn *keep, void *arg,
		    uint64_t *removed_out)
{
	DIR *dir;
	int rc = folder_open(files->dir_fd, ".", &dir);

	if (rc < 0)
		return rc;
	for (struct dirent *found; rc == 0 && (found = readdir(dir)) != NULL;) {
		uint64_t id;
		uint32_t number;

		if (!name_parse(found->d_name, &id, &number) || keep(arg, id, number))
			continue;
		FAILPOINT("datafile.sweep");
		rc = io_unlink(files->dir_fd, found->d_name);
		*removed_out += rc == 0;
	}
	closedir(dir);
	return rc;
}
