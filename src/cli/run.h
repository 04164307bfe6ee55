/*
 * The daemon of one mount, from its start to its end.
 */
#ifndef GIT_FS_CLI_RUN_H
#define GIT_FS_CLI_RUN_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "cli/config.h"
#include "cli/paths.h"
#include "remote/remote.h"
#include "remote/url.h"

/* What to mount, all settled. */
struct mount_spec {
	struct url url;
	char ref[REF_NAME_MAX]; /* as typed; "": the default branch */
	char dir[PATH_MAX];     /* absolute */
	struct paths paths;
	unsigned timeout_ms;    /* of the network */
	unsigned connections;
	unsigned workers;       /* 0: chosen */
	unsigned poll_us;
	uint32_t mechanisms_off;
	bool allow_other;
	bool foreground;
	bool writable;
	bool writeback;         /* -o writeback */
	bool xattr;             /* -o xattr */
	bool state_dir_unsafe;  /* the overlay may lie where it does not survive */
	char overlay[OVERLAY_NAME_MAX + 1];
	struct config_rules rules; /* what is kept from commits */
};

/* Brings the mount up, tells the watcher at the other end of `channel` (taken
 * over), serves until it is unmounted, takes everything down. The exit code.
 * SIGTERM, SIGINT and SIGHUP are blocked by the caller; the credentials in
 * spec->url are wiped. Where it fails, nothing is left mounted. */
int run_daemon(struct mount_spec *spec, int channel);

#endif
