/* What `git-fs help` prints. The man pages say more. */
#include "cli/commands.h"

const char usage_overview[] =
	"git-fs: mounts a remote git repository as a folder, without cloning it\n"
	"\n"
	"  git-fs mount [options] REPOSITORY DIR   mount (the word mount may be left out)\n"
	"  git-fs unmount DIR...                   unmount\n"
	"  git-fs list [--json]                    show all mounts\n"
	"  git-fs status [--json] [DIR]            show one mount in detail\n"
	"  git-fs diff [DIR] [-- PATH...]          show what was changed, as git diff does\n"
	"  git-fs discard PATH...                  take changes back\n"
	"  git-fs doctor [--repair] [DIR]          check what holds the changes\n"
	"  git-fs help [COMMAND]                   show this, or the options of a command\n"
	"  git-fs --version                        show the version\n"
	"\n"
	"REPOSITORY is owner/name (at github.com), a git URL, or a path.\n";

static const char *const usages[COMMAND_COUNT] = {
	[COMMAND_MOUNT] =
		"usage: git-fs mount [options] REPOSITORY DIR\n"
		"\n"
		"Mounts REPOSITORY on the empty folder DIR and returns when it answers.\n"
		"\n"
		"      --ref REF         a branch, tag or commit id; else the default branch\n"
		"  -f, --foreground      stay in front and log to stderr\n"
		"      --allow-other     let other users read the mount\n"
		"      --timeout S       seconds without a byte until the remote is given up\n"
		"      --cache-dir DIR   where fetched objects are kept\n"
		"      --state-dir DIR   where the state of mounts is kept\n"
		"  -o LIST               allow_other, writeback, xattr, workers=N, poll_us=N, and\n"
		"                        no_NAME for each mechanism that git-fs status names\n"
		"  -w, --writable        changes are kept on this machine, over the commit\n"
		"      --overlay NAME    which set of changes, where there are several (default)\n"
		"      --state-dir-unsafe  also on a disk where changes do not survive\n"
		"  -h, --help            show this\n",
	[COMMAND_UNMOUNT] =
		"usage: git-fs unmount [--timeout S] DIR...\n"
		"\n"
		"Unmounts each DIR and waits until its daemon is gone. A mount in use stays, and\n"
		"its users are named.\n"
		"\n"
		"      --timeout S       seconds to wait for the daemon (30)\n"
		"  -h, --help            show this\n",
	[COMMAND_LIST] =
		"usage: git-fs list [--json]\n"
		"\n"
		"Shows all mounts: state, folder, repository, ref, commit; and local changes that\n"
		"are not mounted.\n"
		"\n"
		"      --json            for programs\n"
		"      --state-dir DIR   where the state of mounts is kept\n"
		"  -h, --help            show this\n",
	[COMMAND_STATUS] =
		"usage: git-fs status [--json] [--all] [DIR]\n"
		"\n"
		"Shows the mount in which DIR, or else the current folder, lies, and what was\n"
		"changed in it. Exits 1 where something is wrong with it.\n"
		"\n"
		"      --all             all paths that were changed, however many\n"
		"      --json            for programs\n"
		"  -h, --help            show this\n",
	[COMMAND_DIFF] =
		"usage: git-fs diff [DIR] [-- PATH...]\n"
		"       git-fs diff PATH...\n"
		"\n"
		"Shows, by git diff, what was changed in the mount of DIR or of the current\n"
		"folder, at PATH and below it alone where that is given. With DIR, PATH begins\n"
		"there. Not for a terminal, it is a patch that git apply takes.\n"
		"\n"
		"  -h, --help            show this\n",
	[COMMAND_DISCARD] =
		"usage: git-fs discard PATH...\n"
		"       git-fs discard --all [DIR]\n"
		"\n"
		"Makes each PATH, and all that is below it, what it is in the base: what was\n"
		"added is removed, what was removed or moved away comes back.\n"
		"\n"
		"      --all             the whole mount\n"
		"  -h, --help            show this\n",
	[COMMAND_DOCTOR] =
		"usage: git-fs doctor [--repair] [--overlay NAME] [DIR | REPOSITORY]\n"
		"\n"
		"Checks the local changes: of the mount at DIR, mounted or not, of a repository,\n"
		"or all of them. Exits 1 where anything is wrong.\n"
		"\n"
		"      --repair          of one that is not mounted: keeps what is whole, moves\n"
		"                        aside what is not\n"
		"      --overlay NAME    one set of changes, where there are several\n"
		"      --state-dir DIR   where the state of mounts is kept\n"
		"  -h, --help            show this\n",
};

const char *usage_of(enum command_id command)
{
	return usages[command];
}
