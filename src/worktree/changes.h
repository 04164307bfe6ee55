/*
 * What differs from the base, as git would see it, and taking it back.
 */
#ifndef GIT_FS_WORKTREE_CHANGES_H
#define GIT_FS_WORKTREE_CHANGES_H

#include "git/ignore.h"
#include "worktree/worktree.h"

enum difference_kind {
	DIFFERENCE_ADDED,
	DIFFERENCE_MODIFIED, /* contents or type, perhaps the mode as well */
	DIFFERENCE_DELETED,
	DIFFERENCE_RENAMED,  /* perhaps with other contents or mode; or a whole folder */
	DIFFERENCE_MODE,     /* executable or not; nothing else */
	DIFFERENCE_IGNORED,  /* added, and kept from commits by a rule */
	DIFFERENCE_LOCAL,    /* added, and nothing that git could hold: a special file, an empty
			      * folder, what is in a .git */
	DIFFERENCE_HELD,     /* added or modified, and too large for a commit */
	DIFFERENCE_KINDS,
};

struct difference {
	enum difference_kind kind;
	char *path;        /* where it is now; DELETED: where the base has it */
	char *old_path;    /* RENAMED: where the base has it; else NULL */
	uint64_t id;       /* the node's; 0: DELETED */
	uint32_t mode;     /* TREE_MODE_* now; 0: none. A submodule or folder: that it is one */
	uint32_t old_mode; /* the same in the base */
	struct oid old_oid; /* contents in the base, where old_mode is a file's or link's */
	uint64_t size;     /* bytes now */
	bool contents;     /* they differ from the base's (RENAMED: too) */
	bool certain;      /* changes.c's own: `contents` needs no look at the contents */
};

/* Sorted by path. */
struct differences {
	struct difference *items; /* owned */
	size_t count;
};
#define DIFFERENCES_INIT { .items = NULL, .count = 0 }

/* What decides whether something new is ignored or held. */
struct difference_rules {
	const struct ignore_list *everywhere[3]; /* borrowed, or NULL: core.excludesFile,
						  * <state>/exclude, fs.localOnly: lowest first */
	uint64_t size_max; /* bytes; larger is held; 0: no limit */
	bool fold_case;
};

/* Fills an empty list: what has changed, now. ERR_AGAIN with a want where a .gitignore is
 * not here. Contents that were written are compared with the base's by their hash. */
int worktree_differences(struct worktree *tree, const struct difference_rules *rules,
			 struct differences *out, struct want *want)
	__attribute__((warn_unused_result));
void differences_release(struct differences *list);

/* What the kernel has to be told after a change behind its back. */
struct outdated_name {
	uint64_t parent;
	char *name;
};
struct outdated {
	struct outdated_name *names; /* owned: entries to be looked up again */
	size_t names_count;
	uint64_t *ids; /* owned: nodes whose attributes and contents changed */
	size_t ids_count;
};
#define OUTDATED_INIT { .names = NULL }
void outdated_release(struct outdated *outdated);

/* Makes `path` and everything below it as it is in the base: what was added goes, what was
 * deleted or moved away comes back (a move is taken back whole), what was changed is as
 * it was. *count_out: differences that were taken back; 0: there were none. The
 * kernel is to be told *outdated, also after a failure. */
int worktree_discard(struct worktree *tree, const char *path, struct outdated *outdated,
		     uint64_t *count_out, struct want *want, struct err *err)
	__attribute__((warn_unused_result));

/* What is wrong with the overlay, a line each; nothing: all is well. Reads every byte. */
typedef int worktree_finding_fn(void *arg, const char *words);
int worktree_verify(struct worktree *tree, worktree_finding_fn *finding, void *arg)
	__attribute__((warn_unused_result));

#endif
