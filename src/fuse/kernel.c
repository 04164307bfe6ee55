#include "fuse/kernel.h"

#include <errno.h>
#include <string.h>

const struct mechanism_info mechanism_table[MECH_COUNT] = {
	[MECH_NO_OPEN] = { "open_elision", "open and close need no request" },
	[MECH_NO_OPENDIR] = { "opendir_elision", "opendir needs no request; listings are cached" },
	[MECH_READDIRPLUS] = { "readdirplus", "listings carry attributes where they are known" },
	[MECH_CACHE_SYMLINKS] = { "cache_symlinks", "symlink targets are cached" },
	[MECH_PARALLEL_DIROPS] = { "parallel_dirops", "lookups in one folder run side by side" },
	[MECH_ASYNC_READ] = { "async_read", "several reads of one file at once" },
	[MECH_BIG_REQUESTS] = { "big_requests", "up to 1 MiB in one request" },
	[MECH_EXPLICIT_INVAL] = { "explicit_inval", "cached contents stay until dropped" },
	[MECH_NEGATIVE] = { "negative_entries", "names that do not exist are cached" },
	[MECH_CLONE_FD] = { "clone_fd", "each worker reads a device descriptor of its own" },
	[MECH_NO_CREATE] = { "create_elision", "new files need no release" },
	[MECH_KILLPRIV] = { "killpriv", "writes do not ask for capabilities" },
	[MECH_TMPFILE] = { "tmpfile", "files without a name (O_TMPFILE)" },
	[MECH_WRITEBACK] = { "writeback", "the kernel gathers writes (-o writeback)" },
};

int mechanism_find(const char *name, size_t len, enum mechanism *out)
{
	for (int i = 0; i < MECH_COUNT; i++) {
		const char *known = mechanism_table[i].name;

		if (strlen(known) == len && memcmp(known, name, len) == 0) {
			*out = (enum mechanism)i;
			return 0;
		}
	}
	return -ENOENT;
}
