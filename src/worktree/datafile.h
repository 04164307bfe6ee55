/*
 * Data files: contents of the overlay that are too large for the journal, one
 * file each, written in place. Named by node id and a number that counts the
 * data files which that node has had, so that a name is never used again.
 *
 * Safe to use from several threads; each call blocks on the disk or page cache.
 */
#ifndef GIT_FS_WORKTREE_DATAFILE_H
#define GIT_FS_WORKTREE_DATAFILE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct datafiles; /* the folder, and a bounded set of open descriptors */

struct datafile {
	int fd;
	uint64_t id;
	uint32_t number;
	unsigned refs; /* guarded by the set's lock; one is the set's own */
	pthread_mutex_t syncing; /* held by who syncs it, before every lock of the set: a failure
				  * is told to one only, and the others have to hear of it */
};

int datafiles_open(struct datafiles **out, const char *dir, bool read_only, struct err *err)
	__attribute__((warn_unused_result));
void datafiles_close(struct datafiles *files); /* none may be in use; NULL is allowed */

/* Makes an empty file; whatever an earlier crash left under its name is emptied. */
int datafile_create(struct datafiles *files, uint64_t id, uint32_t number, struct datafile **out)
	__attribute__((warn_unused_result));
/* ERR_NOT_FOUND. */
int datafile_get(struct datafiles *files, uint64_t id, uint32_t number, struct datafile **out)
	__attribute__((warn_unused_result));
void datafile_put(struct datafiles *files, struct datafile *file);

/* Makes the names of all files durable that were made before the call. */
int datafiles_sync_names(struct datafiles *files) __attribute__((warn_unused_result));
/* The file is to be removed when `lsn` of the journal is durable, as an earlier
 * state of the journal still names it. -ENOMEM: it stays until the next cold start. */
int datafile_retire(struct datafiles *files, uint64_t id, uint32_t number, uint64_t lsn)
	__attribute__((warn_unused_result));
/* Removes what was retired up to `lsn`. */
int datafiles_remove_retired(struct datafiles *files, uint64_t lsn)
	__attribute__((warn_unused_result));
/* How many wait to be removed. */
uint64_t datafiles_retired(struct datafiles *files);

/* Removes every file that `keep` does not want; *removed_out counts them. */
typedef bool datafile_keep_fn(void *arg, uint64_t id, uint32_t number);
int datafiles_sweep(struct datafiles *files, datafile_keep_fn *keep, void *arg,
		    uint64_t *removed_out) __attribute__((warn_unused_result));

#endif
