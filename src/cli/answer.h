/*
 * What a daemon answers at its control socket; docs/control.md has the requests. Handlers
 * run beside each other and beside the main thread; what they read does not change
 * (run_internal.h) or has locks of its own. For run.c and these files alone.
 */
#ifndef GIT_FS_CLI_ANSWER_H
#define GIT_FS_CLI_ANSWER_H

#include "cli/change_list.h"
#include "cli/fetch_now.h"
#include "cli/run_internal.h"
#include "worktree/changes.h"

/* The handler of the control socket; `arg` is the struct run. */
int answer_handle(void *arg, const char *const *words, size_t count, struct control_reply *reply);

/* report.c: "status". */
int report_status(struct run *run, struct control_reply *reply);
/* export.c: "export FOLDER [PATH...]": words[0] is the folder. */
int export_changes(struct run *run, const char *const *words, size_t count,
		   struct control_reply *reply);

/* fetch_now() by the settings of the mount. */
int answer_fetching(struct run *run, fetch_now_fn *ask, void *arg);
/* What differs now, by the settings of the mount: what is missing is fetched. `note` has
 * 256 bytes, or is NULL: words for people. */
int answer_differences(struct run *run, struct differences *out, char *note);

#endif
