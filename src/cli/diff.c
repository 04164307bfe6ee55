/*
 * git-fs diff: what differs from the base, shown by git's own diff.
 *
 * A child does the work in a temporary folder: the daemon puts old and new contents there
 * (export.c), git makes two trees of them in a repository of its own, and the child becomes
 * `git diff` of the two, with its pager, colours and the user's settings. So paths, modes,
 * renames and submodules read as they do in a clone. (`git diff --no-index` on two folders
 * would not do: of a rename it names paths that `git apply` does not find.)
 *
 * The parent does nothing but wait and take the folder away, however the child ends.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/proc.h"
#include "cli/commands.h"
#include "cli/export_list.h"
#include "cli/paths.h"
#include "cli/place.h"
#include "cli/say.h"
#include "cli/tempdir.h"
#include "control/control_wire.h"

#define PATHS_MAX (CONTROL_WORDS_MAX - 2)
#define GIT_TIMEOUT_MS 3600000U
#define TREE_HEX_MAX (OID_HEX_MAX + 1)

struct diff {
	struct place place;
	char paths[PATHS_MAX][PATH_MAX]; /* in the mount */
	size_t paths_count;
	char folder[PATH_MAX];
	char git_dir[PATH_MAX];
	struct export_list list;
	struct err err;
};

/* --- in the child --- */

/* `git ARGV...` in the temporary folder, with `index` as its index. */
static int run_git(struct diff *diff, const char *const *args, const char *index,
		   const struct buf *input, struct buf *out)
{
	AUTO_BUF struct buf errors = BUF_INIT_MAX(1024);
	char dir_env[PATH_MAX + 16];
	char index_env[PATH_MAX + 32];
	const char *const env[] = { dir_env, index_env, NULL };
	/* Names are the mount's, which holds what other systems could not; and contents are
	 * here for a moment only. */
	const char *argv[24] = { "git", "-C", diff->folder, "-c", "core.protectNTFS=false", "-c",
				 "core.protectHFS=false", "-c", "core.compression=0" };
	size_t count = 9;
	int ret;

	for (; *args != NULL; args++)
		argv[count++] = *args;
	argv[count] = NULL;
	snprintf(dir_env, sizeof(dir_env), "GIT_DIR=%s", diff->git_dir);
	snprintf(index_env, sizeof(index_env), "GIT_INDEX_FILE=%s/%s", diff->git_dir, index);
	ret = proc_run(argv, env, input, out, &errors, GIT_TIMEOUT_MS, &diff->err);
	if (ret <= 0)
		return ret;
	return err_set(&diff->err, -EIO, "git %s failed: %.*s", argv[9],
		       (int)strcspn(buf_str(&errors), "\n"), buf_str(&errors));
}

static int make_repository(struct diff *diff)
{
	const char *commit = facts_get(&diff->place.daemon->facts, "commit");
	bool sha256 = commit != NULL && strlen(commit) == OID_HEX_MAX;
	const char *const args[] = { "init", "-q", "--bare", "--template=",
				     sha256 ? "--object-format=sha256" : "--object-format=sha1",
				     NULL };
	AUTO_BUF struct buf out = BUF_INIT_MAX(4096);

	return run_git(diff, args, "index", NULL, &out);
}

/* The contents of the files become objects; their ids, a line each, in the files' order. */
static int hash_files(struct diff *diff, struct buf *ids)
{
	const char *const args[] = { "hash-object", "-w", "--no-filters", "--stdin-paths", NULL };
	AUTO_BUF struct buf names = BUF_INIT;
	int ret = 0;

	for (uint64_t i = 1; ret == 0 && i <= diff->list.files; i++)
		ret = buf_printf(&names, "%llu\n", (unsigned long long)i);
	return ret < 0 ? ret : run_git(diff, args, "index", &names, ids);
}

static int make_tree(struct diff *diff, enum export_side side, const struct buf *ids,
		     char hex_out[TREE_HEX_MAX])
{
	static const char *const indexes[] = { [EXPORT_OLD] = "old", [EXPORT_NEW] = "new" };
	const char *const update[] = { "update-index", "-z", "--index-info", NULL };
	const char *const write[] = { "write-tree", NULL };
	AUTO_BUF struct buf lines = BUF_INIT;
	AUTO_BUF struct buf out = BUF_INIT_MAX(4096);
	int ret = export_list_index(&diff->list, side, ids, &lines);

	if (ret < 0)
		return err_set(&diff->err, ret, "cannot read the ids that git gave: %s",
			       err_name(ret));
	ret = run_git(diff, update, indexes[side], &lines, &out);
	if (ret == 0)
		ret = run_git(diff, write, indexes[side], NULL, &out);
	if (ret < 0)
		return ret;
	snprintf(hex_out, TREE_HEX_MAX, "%.*s", (int)strcspn(buf_str(&out), "\n"),
		 buf_str(&out));
	return 0;
}

/* Does not return where it goes well. */
static int become_diff(struct diff *diff, const char *old_tree, const char *new_tree)
{
	/* Not for a terminal, it is a patch: one that can be applied. */
	const char *const binary = isatty(STDOUT_FILENO) ? "--patch" : "--binary";
	const char *const argv[] = { "git", "-C", "/", "diff", "-M", "--src-prefix=a/",
				     "--dst-prefix=b/", binary, old_tree, new_tree, "--", NULL };

	if (setenv("GIT_DIR", diff->git_dir, 1) < 0)
		return -ENOMEM;
	signal(SIGPIPE, SIG_DFL);
	execvp("git", (char *const *)(uintptr_t)argv);
	return err_sys(&diff->err, errno, "cannot run git");
}

static int ask_for_export(struct diff *diff)
{
	const char *words[PATHS_MAX + 3] = { "export", diff->folder };
	size_t count = 2;

	for (size_t i = 0; i < diff->paths_count; i++)
		words[count++] = diff->paths[i];
	words[count] = NULL;
	return place_ask(diff->place.daemon, words, export_list_take, &diff->list, &diff->err);
}

static int work(struct diff *diff)
{
	AUTO_BUF struct buf ids = BUF_INIT;
	char trees[2][TREE_HEX_MAX];
	int ret = ask_for_export(diff);

	if (ret != 0)
		return ret < 0 ? ret : -EIO;
	if (diff->list.count == 0)
		return 0;
	ret = make_repository(diff);
	if (ret == 0)
		ret = hash_files(diff, &ids);
	if (ret == 0)
		ret = make_tree(diff, EXPORT_OLD, &ids, trees[EXPORT_OLD]);
	if (ret == 0)
		ret = make_tree(diff, EXPORT_NEW, &ids, trees[EXPORT_NEW]);
	return ret == 0 ? become_diff(diff, trees[EXPORT_OLD], trees[EXPORT_NEW]) : ret;
}

/* --- in the parent --- */

/* Signals of the terminal go to the child by themselves: git and its pager know what to do
 * with them. Those that somebody sent to this process are handed on. */
static int await(pid_t child, const sigset_t *set)
{
	int status;

	for (;;) {
		siginfo_t info;
		int got = sigwaitinfo(set, &info);

		if (got == SIGCHLD && waitpid(child, &status, WNOHANG) == child)
			break;
		if (got > 0 && got != SIGCHLD && info.si_code != SI_KERNEL)
			kill(child, got);
	}
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? EXIT_DONE : EXIT_FAILED;
}

static int run_in_child(struct diff *diff)
{
	sigset_t set, before;
	pid_t child;
	int code;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, &before);
	code = tempdir_make(&diff->place.table, diff->folder, &diff->err);
	if (code < 0)
		return code;
	code = paths_join(diff->git_dir, diff->folder, "git");
	child = code == 0 ? fork() : -1;
	if (child == 0) {
		sigprocmask(SIG_SETMASK, &before, NULL);
		code = work(diff);
		if (code < 0)
			say("%s", diff->err.msg[0] != '\0' ? diff->err.msg : err_name(code));
		_exit(code < 0 ? EXIT_FAILED : EXIT_DONE);
	}
	if (child > 0)
		code = await(child, &set);
	else
		code = err_sys(&diff->err, code < 0 ? -code : errno, "cannot start a process");
	if (tempdir_remove(diff->folder) < 0)
		say("cannot remove %s", diff->folder);
	return code;
}

/* DIR, where "--" follows it, says which mount, and paths after it are relative to it. */
static int settle(struct diff *diff, const struct options *options)
{
	int before = options->operands_before;
	bool dir_given = before == 1 && options->dashes;
	const char *dir = dir_given ? options->operands[0] : NULL;
	int first = dir_given ? 1 : 0;
	int ret;

	if (options->operand_count - first > PATHS_MAX)
		return err_set(&diff->err, -E2BIG, "more than %d paths", PATHS_MAX);
	if (dir == NULL && options->operand_count > 0)
		ret = place_find_writable(&diff->place, options->operands[0], "diff", &diff->err);
	else
		ret = place_find_writable(&diff->place, dir, "diff", &diff->err);
	for (int i = first; ret == 0 && i < options->operand_count; i++)
		ret = place_path(&diff->place, dir, options->operands[i],
				 diff->paths[diff->paths_count++], &diff->err);
	if (ret == 0 && dir_given && options->operand_count == 1)
		memcpy(diff->paths[diff->paths_count++], diff->place.path, PATH_MAX);
	/* All of it is no limit at all. */
	for (size_t i = 0; ret == 0 && i < diff->paths_count; i++) {
		if (diff->paths[i][0] == '\0')
			diff->paths_count = 0;
	}
	return ret;
}

int command_diff(const struct options *options)
{
	struct diff *diff = calloc(1, sizeof(*diff));
	int code;

	if (diff == NULL) {
		say("%s", err_name(-ENOMEM));
		return EXIT_FAILED;
	}
	code = settle(diff, options);
	if (code == 0)
		code = run_in_child(diff);
	if (code < 0) {
		say("%s", diff->err.msg[0] != '\0' ? diff->err.msg : err_name(code));
		code = EXIT_FAILED;
	}
	place_release(&diff->place);
	export_list_release(&diff->list);
	free(diff);
	return code;
}
