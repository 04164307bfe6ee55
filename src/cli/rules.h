/*
 * What keeps a new file from commits, as it stands now: the rules' files may change while
 * a mount lives, the settings do not.
 */
#ifndef GIT_FS_CLI_RULES_H
#define GIT_FS_CLI_RULES_H

#include "cli/config.h"
#include "worktree/changes.h"

#define RULES_FILE "exclude" /* in the folder of an overlay */

struct rules {
	struct difference_rules differences; /* its lists are those below */
	struct ignore_list *lists[3];
	char note[256]; /* words about a file that could not be used; "": none */
};

/* Reads core.excludesFile, <overlay_dir>/exclude and fs.localOnly. One file that is missing
 * has no rules; one that cannot be read, or has too many, is named in the note. A file in
 * the mount itself is not read: whoever does so may be who has to answer. -ENOMEM. */
int rules_load(struct rules *out, const struct config_rules *config, const char *overlay_dir,
	       const char *mount_point) __attribute__((warn_unused_result));
void rules_release(struct rules *rules);

#endif
