/*
 * The overlays of this user: those in a state folder, mounted or not. Read, never changed.
 */
#ifndef GIT_FS_CLI_OVERLAYS_H
#define GIT_FS_CLI_OVERLAYS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "git/oid.h"

struct overlay {
	char folder[PATH_MAX];
	/* What its file "info" says; owned. */
	char *repository;
	char *ref;         /* a full name, or a commit id */
	char *name;
	char *mount_point; /* where it was mounted last, cleaned as by say_clean() */
	enum hash_algo algo;
};

struct overlay_set {
	struct overlay *items; /* owned */
	size_t count;
};
#define OVERLAY_SET_INIT { .items = NULL, .count = 0 }

/* All that are in the state folder, in the order of their repositories, refs and names. A
 * folder that says nothing of itself, as it is just being made, is left out. */
int overlays_read(struct overlay_set *out, const char *state_dir, struct err *err)
	__attribute__((warn_unused_result));
void overlays_release(struct overlay_set *set);
/* The parser of "info", for tests: fills all but the folder. ERR_CORRUPT, -ENOMEM. */
int overlay_parse(const void *data, size_t len, struct overlay *out)
	__attribute__((warn_unused_result));
void overlay_release(struct overlay *overlay);

/* Whether a process has it open: a mount, or `git-fs doctor`. */
bool overlay_in_use(const struct overlay *overlay);

/* What is in one that nobody has open. */
struct overlay_contents {
	uint64_t changes; /* paths that differ; what is ignored counts */
	bool has_base;
	struct oid base;
};
/* Reads all of its journal. Somebody who opens it meanwhile is not hindered, and may make
 * this fail. */
int overlay_look(const struct overlay *overlay, struct overlay_contents *out, struct err *err)
	__attribute__((warn_unused_result));

/* The state folder of commands that are about no one repository: --state-dir as the user
 * typed it (NULL: not given), else fs.stateDir, else the usual one. */
int overlays_state_dir(const char *option, char out[PATH_MAX], struct err *err)
	__attribute__((warn_unused_result));

#endif
