/*
 * Who has the store open, and whether its index can be trusted.
 *
 * The file `lock` carries two locks (open file description locks, so that they
 * end with the process however it ends):
 *
 *   byte 0  the gate: held alone while somebody enters, leaves or changes the state
 *   byte 1  the house: held shared by everybody who is in, alone by the first
 *           to enter and the last to leave, for as long as the gate is shut
 *
 * The file `index/state` is one line: the state, the id of the boot it was
 * written under, and the size of the index's file:
 *
 *   clean  everything was on the disk when the last process left
 *   open   somebody has written since
 *   (none) damaged, or never whole
 *
 * The index is trusted when it is clean and of the size it had, or when it is
 * open under the running boot: the page cache outlives processes. Otherwise
 * the machine went down in between, and LMDB has no checksums to tell what of
 * it reached the disk.
 */
#ifndef GIT_FS_STORE_PRESENCE_H
#define GIT_FS_STORE_PRESENCE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

/* How long to wait for somebody who is entering (and may make the index anew)
 * or leaving (and may write a lot of data back). */
#define PRESENCE_WAIT_S 120U
#define PRESENCE_BOOT_MAX 64 /* bytes of a boot id with the NUL */
#define INDEX_DATA_FILE "data.mdb" /* LMDB's own names */
#define INDEX_LOCK_FILE "lock.mdb"

struct presence {
	int lock_fd;
	int index_fd;                 /* the folder index/; borrowed */
	char boot[PRESENCE_BOOT_MAX]; /* "" where the kernel does not tell */
	bool first;                   /* nobody else was in when we entered */
	bool trusted;                 /* the index could be used as it was then */
	/* Held across the one write to the disk that every thread which wants to
	 * write has to wait for. A leaf. */
	pthread_mutex_t lock;
	atomic_bool marked; /* the state need not be set to "open" any more */
};

/* Shuts the gate and looks around: sets `first` and `trusted`. `boot_path` is
 * where the id of the running boot stands, NULL: in /proc. ERR_TIMEOUT where
 * somebody else keeps the gate shut. */
int presence_enter(struct presence *presence, int dirfd, int index_fd, const char *boot_path,
		   struct err *err)
	__attribute__((warn_unused_result));
/* The caller is in; opens the gate for others. */
int presence_settle(struct presence *presence) __attribute__((warn_unused_result));
/* Instead of it, or at the end: out, and everything released. */
void presence_release(struct presence *presence);

/* Writes a small file anew, without a sync: it may be lost, or empty, when the
 * power is, and must be one that is written anew then. */
int presence_write_file(int dirfd, const char *name, const struct buf *text)
	__attribute__((warn_unused_result));

/* A new index stands, and nobody else is in: it is "open" from now on. Not
 * synced: were the line lost with the power, the index would be made anew, as
 * it has to be then. */
int presence_set_new(struct presence *presence) __attribute__((warn_unused_result));
/* Before anything is written to the index: "open", on the disk. Cheap after
 * the first time. */
int presence_mark_open(struct presence *presence) __attribute__((warn_unused_result));

/* Shuts the gate. 1: the caller is the last one in and the state is "open", so
 * that there is something to bring to the disk; 0: nothing to do. */
int presence_leave(struct presence *presence) __attribute__((warn_unused_result));
/* After presence_leave() gave 1 and all is on the disk, the index closed. */
int presence_set_clean(struct presence *presence) __attribute__((warn_unused_result));
/* The index is damaged, or about to be thrown away: whoever is first next makes
 * it anew. The caller has shut the gate. */
void presence_set_damaged(struct presence *presence);

#endif
