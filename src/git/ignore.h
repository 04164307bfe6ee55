/*
 * Which paths are ignored: the rules of a .gitignore, of core.excludesFile or of an
 * exclude file, and how lists of them combine. Source of truth: gitignore(5), and git
 * 2.39 where it does otherwise (git/wildmatch.h, and the head of ignore.c).
 *
 * Whether a path is tracked is not looked at here: rules mean nothing for one that is.
 *
 * Paths are as git writes them: names joined by single slashes, none in front or behind.
 * `is_dir` is true for a folder, a submodule's too, and not for a symlink to one.
 *
 * Nothing blocks; no locks. A list never changes, so that threads may share it.
 */
#ifndef GIT_FS_GIT_IGNORE_H
#define GIT_FS_GIT_IGNORE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

/* Whoever writes a .gitignore, and names paths, decides how long it takes to look at one.
 * A rule without stars costs its length at the most, one with stars that times the length
 * of the path: at these limits, all together, about a second for a path of 4096 bytes that
 * was made for it. Rules in use take microseconds. */
#define IGNORE_FILE_MAX ((size_t)1 << 20)  /* bytes of a file */
#define IGNORE_RULES_MAX 32768             /* rules in it; comments do not count */
#define IGNORE_PATTERN_MAX 4096            /* bytes of a rule */
#define IGNORE_STARS_MAX ((size_t)1 << 16) /* bytes of all rules with a '*' together */

enum ignore_verdict {
	IGNORE_UNDECIDED, /* no rule matches */
	IGNORE_EXCLUDED,
	IGNORE_INCLUDED,  /* by a rule with '!' */
};

struct ignore_list;

/* The rules in the `len` bytes of a file. With fold_case, as of core.ignoreCase, ASCII
 * letters match in either case. No text is malformed: what can match nothing is left out.
 * ERR_LIMIT beyond a limit above: then there are no rules at all, which the caller should
 * tell somebody. -ENOMEM. The list is the caller's: ignore_list_free. */
int ignore_list_parse(const void *data, size_t len, bool fold_case, struct ignore_list **list_out)
	__attribute__((warn_unused_result));
void ignore_list_free(struct ignore_list *list); /* may be NULL */
/* How many rules there are; with none, the list need not be kept. */
size_t ignore_list_count(const struct ignore_list *list);

/* What the list alone says of a path: the last rule that matches. `path` is relative to
 * the folder that the list stands in, and not empty. */
enum ignore_verdict ignore_match(const struct ignore_list *list, const char *path,
				 size_t path_len, bool is_dir);

/*
 * The lists that have a say in one folder: those for everything, then one per folder from
 * the top down. A list that was pushed later goes first. So: core.excludesFile, <state>/exclude,
 * the .gitignore of the top folder, and so on down.
 *
 * A walk pushes the list of each folder that it enters and pops it when it leaves:
 *
 *     enter D:  ignore_stack_push(stack, D, its .gitignore or NULL)
 *     for each entry E of D:
 *         ignore_stack_check(stack, E) is EXCLUDED: so is all that is below E. Do not enter
 *             it: a rule for something in it does not bring that back, and its .gitignore
 *             is not read.
 *     leave D:  ignore_stack_pop(stack)
 *
 * Who asks for single paths pushes the lists of all folders on the way and has the parents
 * looked at too: ignore_stack_check_path.
 */
struct ignore_stack {
	struct ignore_level *levels; /* owned */
	size_t count;
	size_t cap;
	struct buf folder; /* of the last level; those before it are where its start is */
};

#define IGNORE_STACK_INIT { .levels = NULL, .count = 0, .cap = 0, .folder = BUF_INIT }

/* Does not free the lists. The stack is usable again afterwards. */
void ignore_stack_release(struct ignore_stack *stack);

/* The list of a folder, given by its path from the top ("" is the top itself), which is
 * the folder of the list pushed before, or below it: -EINVAL otherwise. The list is
 * borrowed until it is popped; NULL where the folder has none. -ENOMEM. On failure the
 * stack is as it was. */
int ignore_stack_push(struct ignore_stack *stack, const char *folder, size_t folder_len,
		      const struct ignore_list *list) __attribute__((warn_unused_result));
/* Takes the last list off; there is one. */
void ignore_stack_pop(struct ignore_stack *stack);

/* What the lists say of this path by itself, given from the top and not empty. Lists of
 * folders that it is not below say nothing. UNDECIDED and INCLUDED both mean that it is
 * not ignored. */
enum ignore_verdict ignore_stack_check(const struct ignore_stack *stack, const char *path,
				       size_t path_len, bool is_dir);
/* The same, where the folders on the way have not been looked at: EXCLUDED if one of them
 * is. */
enum ignore_verdict ignore_stack_check_path(const struct ignore_stack *stack, const char *path,
					    size_t path_len, bool is_dir);

#endif
