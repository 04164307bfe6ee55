/*
 * The parts of a running daemon; for run.c, overlay.c and what answers (answer.h) alone.
 */
#ifndef GIT_FS_CLI_RUN_INTERNAL_H
#define GIT_FS_CLI_RUN_INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "cli/run.h"
#include "cli/signals.h"
#include "cli/tip.h"
#include "control/control.h"
#include "fuse/session.h"
#include "remote/remote.h"
#include "store/store.h"
#include "sync/fetcher.h"
#include "worktree/worktree.h"

/* Set once, in this order, by the main thread, before the control socket is
 * there; only the atomics change afterwards. */
struct run {
	struct mount_spec *spec;
	struct signals signals;
	int channel;
	int lock_fd;
	int log_fd;
	struct remote *remote;
	struct tip tip;                 /* what the ref held */
	struct oid commit;              /* what is shown: the tip's, or that of the changes */
	bool offline;                   /* the remote was not to be had: the tip is an old one */
	char offline_why[256];
	char state_dir[PATH_MAX];
	char overlay_dir[PATH_MAX];     /* "" where nothing can be written */
	int overlay_lock_fd;
	char store_dir[PATH_MAX];
	struct store *store;
	struct fetcher *fetcher;
	struct worktree *worktree;
	struct session *session;
	struct control_server *control;
	uint64_t since;                 /* wall_ns() */
	atomic_uint_least64_t dev;      /* st_dev of the mount; 0 until it is known */
	atomic_bool ready;
};

/* overlay.c: finds, makes and locks the overlay of a writable mount. */
int overlay_take(struct run *run, struct err *err) __attribute__((warn_unused_result));
/* Tells the watcher of other overlays of the same branch that hold changes. */
void overlay_tell_others(const struct run *run);

#endif
