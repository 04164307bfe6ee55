/*
 * The operations, what each is applied to, and the cells of the table operation x state
 * that make no sense. A state that an operation could meet has to be met.
 */
#include "model.h"

#include <errno.h>
#include <string.h>

#define NAMED (FILES | LINKS | SPECIALS)
#define ANY (NAMED | FOLDERS)

const struct operation model_ops[] = {
	{ "create", op_create, NULL, PARENT, 0, OP_MAKES },
	{ "tmpfile", op_tmpfile, NULL, PARENT, 0, OP_MAKES },
	{ "mkdir", op_mkdir, NULL, PARENT, 0, OP_MAKES },
	{ "symlink", op_symlink, NULL, PARENT, 0, OP_MAKES },
	{ "mknod", op_mknod, NULL, PARENT, 0, OP_MAKES },
	{ "open_excl", op_open_excl, NULL, FILES, EEXIST, 0 },
	{ "open_trunc", op_open_trunc, NULL, FILES, 0, OP_CHANGES_DATA },
	{ "write", op_write, NULL, FILES, 0, OP_CHANGES_DATA },
	{ "append", op_append, NULL, FILES, 0, OP_CHANGES_DATA },
	{ "pread", op_pread, NULL, FILES, 0, 0 },
	{ "mmap_shared", op_mmap_shared, NULL, FILES, 0, OP_CHANGES_DATA },
	{ "mmap_private", op_mmap_private, NULL, FILES, 0, 0 },
	{ "truncate", op_truncate, NULL, FILES, 0, OP_CHANGES_DATA },
	{ "ftruncate", op_ftruncate, NULL, FILES, 0, OP_CHANGES_DATA },
	/* Whether allocating what is allocated moves times, filesystems differ. */
	{ "fallocate", op_fallocate, NULL, FILES, 0, OP_CHANGES_DATA | OP_NO_TIMES },
	{ "punch", op_punch, NULL, FILES, 0, OP_CHANGES_DATA | OP_NO_TIMES },
	{ "zero", op_zero, NULL, FILES, 0, OP_CHANGES_DATA | OP_NO_TIMES },
	{ "copy_range", op_copy_range, prepare_source, FILES, 0, OP_CHANGES_DATA },
	{ "seek", op_seek, NULL, FILES, 0, OP_AS_ROOT },
	{ "direct", op_direct, NULL, FILES, 0, OP_CHANGES_DATA },
	{ "fsync", op_fsync, NULL, FILES, 0, 0 },
	{ "fdatasync", op_fdatasync, NULL, FILES, 0, 0 },
	{ "chmod", op_chmod, NULL, FILES | SPECIALS | FOLDERS, 0, 0 },
	{ "chown", op_chown, NULL, ANY, 0, 0 },
	{ "utimens", op_utimens, NULL, ANY, 0, 0 },
	{ "stat", op_stat, NULL, ANY, 0, 0 },
	{ "access", op_access, NULL, ANY, 0, 0 },
	{ "xattr", op_xattr, NULL, FILES, 0, OP_XATTR },
	{ "readlink", op_readlink, NULL, LINKS, 0, 0 },
	{ "link", op_link, prepare_destination, NAMED, 0, OP_MAKES },
	{ "unlink", op_unlink, NULL, NAMED, 0, 0 },
	{ "unlink_open", op_unlink_open, NULL, FILES, 0, 0 },
	{ "rename", op_rename, prepare_destination, NAMED, 0, 0 },
	{ "rename_dir", op_rename_dir, prepare_destination, FOLDERS, 0, 0 },
	{ "rename_over", op_rename_over, prepare_replaced, ANY, 0, 0 },
	{ "rename_self", op_rename_self, NULL, FOLDERS, EINVAL, 0 },
	{ "noreplace", op_noreplace, prepare_noreplace, ANY, 0, 0 },
	{ "exchange", op_exchange, prepare_exchange, ANY, 0, 0 },
	{ "rmdir", op_rmdir, NULL, FOLDERS, 0, 0 },
	{ "rmdir_full", op_rmdir_full, NULL, FOLDERS, ENOTEMPTY, 0 },
	{ "readdir", op_readdir, NULL, FOLDERS, 0, 0 },
	{ "fsync_dir", op_fsync_dir, NULL, FOLDERS, 0, 0 },
	{ "wrong_kind", op_wrong_kind, NULL, ANY, OP_ANY_ERROR, 0 },
};

const unsigned model_op_count = sizeof(model_ops) / sizeof(model_ops[0]);

static const struct {
	const char *op;
	enum state state;
	const char *reason;
} no_cells[] = {
	{ "chmod", SUBMODULE, "what a gitlink's folder keeps of it is not laid down" },
	{ "chown", SUBMODULE, "what a gitlink's folder keeps of it is not laid down" },
	{ "utimens", SUBMODULE, "what a gitlink's folder keeps of it is not laid down" },
	{ "rmdir", UNFETCHED, "git has no empty folders" },
	{ "rmdir", CLEAN, "git has no empty folders" },
	{ "rmdir_full", SUBMODULE, "a submodule's folder is empty" },
	{ "open_excl", ORPHAN, "it is applied to a name, and an orphan has none" },
	{ "copy_range", SUBMODULE, "a submodule is a folder" },
	{ "unlink_open", ORPHAN, "it is applied to a name, and an orphan has none" },
};

/* Those that go by a descriptor, too. */
static bool takes_descriptors(const struct operation *op)
{
	static const char *const names[] = { "open_trunc", "write", "append", "pread",
					     "mmap_shared", "mmap_private", "truncate",
					     "ftruncate", "fallocate", "punch", "zero",
					     "copy_range", "seek", "direct", "fsync", "fdatasync",
					     "chmod", "chown", "utimens", "stat", "access",
					     "xattr" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(names[i], op->name) == 0) {
			return true;
		}
	}
	return false;
}

const char *model_no_cell(const struct operation *op, enum state state)
{
	for (size_t i = 0; i < sizeof(no_cells) / sizeof(no_cells[0]); i++) {
		if (no_cells[i].state == state && strcmp(no_cells[i].op, op->name) == 0) {
			return no_cells[i].reason;
		}
	}
	if (state == ORPHAN && !takes_descriptors(op)) {
		return "it is applied to a name, and an orphan has none";
	}
	/* link and rename have a place to go to, which may be a submodule. */
	if (state == SUBMODULE && !(op->kinds & (FOLDERS | PARENT)) && !op->prepare) {
		return "a submodule is a folder";
	}
	return NULL;
}
