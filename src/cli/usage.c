/* What `git-fs help` prints. The man pages say more. */
#include "cli/commands.h"

const char usage_overview[] =
	"git-fs: mounts a remote git repository as a folder, without cloning it\n"
	"\n"
	"  git-fs mount [options] REPOSITORY DIR   mount (the word mount may be left out)\n"
	"  git-fs unmount DIR...                   unmount\n"
	"  git-fs list [--json]                    show all mounts\n"
	"  git-fs status [--json] [DIR]            show one mount in detail\n"
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
		"  -o LIST               allow_other, writeback, xattr, workers=N, poll_us=N, and no_NAME for\n"
		"                        each kernel mechanism that git-fs status names\n"
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
		"Shows all mounts: state, folder, repository, ref, commit.\n"
		"\n"
		"      --json            for programs\n"
		"  -h, --help            show this\n",
	[COMMAND_STATUS] =
		"usage: git-fs status [--json] [DIR]\n"
		"\n"
		"Shows the mount in which DIR, or else the current folder, lies. Exits 1 where\n"
		"something is wrong with it.\n"
		"\n"
		"      --json            for programs\n"
		"  -h, --help            show this\n",
};

const char *usage_of(enum command_id command)
{
	return usages[command];
}
