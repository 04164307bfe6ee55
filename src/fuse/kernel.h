/*
 * What git-fs asks of the kernel's FUSE, in one place: each mechanism, what
 * it is good for, whether the kernel has it, whether it is in use. Probed at
 * INIT, never by version number; each can be switched off (-o no_NAME), and
 * what then happens is tested. Source: linux/fuse.h, fuse.rst.
 */
#ifndef GIT_FS_FUSE_KERNEL_H
#define GIT_FS_FUSE_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mechanism {
	MECH_NO_OPEN,       /* open and flush answered ENOSYS once, never asked again */
	MECH_NO_OPENDIR,    /* the same for opendir; the kernel keeps listings */
	MECH_READDIRPLUS,   /* entries with attributes, where sizes are known */
	MECH_CACHE_SYMLINKS,/* targets stay in the page cache */
	MECH_PARALLEL_DIROPS,
	MECH_ASYNC_READ,    /* several reads of one file at once */
	MECH_BIG_REQUESTS,  /* up to 1 MiB in one request */
	MECH_EXPLICIT_INVAL,/* cached contents are dropped when we say so, not by mtime */
	MECH_NEGATIVE,      /* names that do not exist are remembered */
	MECH_CLONE_FD,      /* each worker reads a device descriptor of its own */
	MECH_NO_CREATE,     /* create answered ENOSYS once: mknod needs no release */
	MECH_KILLPRIV,      /* set-id bits are cleared here: saves a getxattr for each write */
	MECH_TMPFILE,       /* O_TMPFILE */
	MECH_WRITEBACK,     /* the kernel gathers writes; only where it was asked for */
	MECH_COUNT,
};

struct mechanism_info {
	const char *name;    /* "readdirplus"; the switch is -o no_readdirplus */
	const char *purpose; /* a few words for status */
};
extern const struct mechanism_info mechanism_table[MECH_COUNT];

struct mechanism_state {
	uint32_t offered; /* by the kernel, as bits 1 << enum mechanism */
	uint32_t used;
	uint32_t off;     /* switched off by the user */
	unsigned proto_major, proto_minor; /* of the FUSE protocol */
	unsigned max_read_bytes;
	unsigned max_readahead_bytes;
};

/* The mechanism called `name`, -ENOENT. */
int mechanism_find(const char *name, size_t len, enum mechanism *out)
	__attribute__((warn_unused_result));

#endif
