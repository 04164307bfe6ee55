/*
 * Files: whole reads and writes, folders, replacement of a file as one step.
 * Every change that this program makes to a disk goes through here, so that a
 * recorder can be put underneath (io_observe.h); scripts/check-layers holds it.
 *
 * All calls block on the disk and retry EINTR. Errors are negative errno.
 */
#ifndef GIT_FS_BASE_IO_H
#define GIT_FS_BASE_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/buf.h"
#include "base/err.h"

void io_close(int *fd); /* closes *fd if it is >= 0 and sets it to -1 */
#define AUTO_CLOSE __attribute__((cleanup(io_close)))

/* Reads until `len` bytes or end of file; the number read. */
ssize_t io_read(int fd, void *data, size_t len) __attribute__((warn_unused_result));
ssize_t io_pread(int fd, void *data, size_t len, uint64_t offset)
	__attribute__((warn_unused_result));
/* Writes all of it or fails. A write to a closed pipe or socket is -EPIPE;
 * SIGPIPE is the caller's to ignore. */
int io_write(int fd, const void *data, size_t len) __attribute__((warn_unused_result));
int io_pwrite(int fd, const void *data, size_t len, uint64_t offset)
	__attribute__((warn_unused_result));
/* Writes all vectors at `offset`; `iov` is used up (changed) on the way. */
int io_pwritev(int fd, struct iovec *iov, int count, uint64_t offset)
	__attribute__((warn_unused_result));

/* O_CLOEXEC is added. Returns the descriptor. */
int io_open(int dirfd, const char *path, int flags, mode_t mode)
	__attribute__((warn_unused_result));
int io_truncate(int fd, uint64_t size) __attribute__((warn_unused_result));
/* fallocate(2), all modes; -EOPNOTSUPP where the filesystem has it not. */
int io_fallocate(int fd, int mode, uint64_t offset, uint64_t len)
	__attribute__((warn_unused_result));
/* Copies up to `len` bytes, sharing blocks where the filesystem can; the number
 * copied, less than `len` at the end of the file alone. Ranges of one file must
 * not overlap. Where it fails, a part may have been copied. */
int64_t io_copy(int fd_in, uint64_t offset_in, int fd_out, uint64_t offset_out, uint64_t len)
	__attribute__((warn_unused_result));
int io_sync_data(int fd) __attribute__((warn_unused_result)); /* fdatasync(2) */
int io_sync(int fd) __attribute__((warn_unused_result));      /* fsync(2), folders too */
/* Syncs a folder and those it lies in, up to where its filesystem is mounted, so that
 * its name is durable too. What may not be opened was made by somebody else. */
int io_sync_above(int dirfd) __attribute__((warn_unused_result));
/* syncfs(2): what the kernel has of the filesystem and has not sent to it. */
int io_sync_all(int fd) __attribute__((warn_unused_result));
int io_unlink(int dirfd, const char *path) __attribute__((warn_unused_result));
int io_rename(int dirfd, const char *from, const char *to) __attribute__((warn_unused_result));
int io_link(int dirfd, const char *from, const char *to) __attribute__((warn_unused_result));
int io_mkdir(int dirfd, const char *path, mode_t mode) __attribute__((warn_unused_result));
int io_rmdir(int dirfd, const char *path) __attribute__((warn_unused_result));

/* Makes `path` and its missing parents, each new one with mode 0700. */
int io_mkdirs(const char *path) __attribute__((warn_unused_result));
/* The whole file into `out` (appended), ERR_LIMIT over out->max. */
int io_read_file(int dirfd, const char *path, struct buf *out) __attribute__((warn_unused_result));
/* Replaces dirfd/path with a new file (mode 0600) of these contents, written,
 * synced and renamed into place, the folder synced: after a crash the old
 * file or the new one. */
int io_replace_file(int dirfd, const char *path, const void *data, size_t len)
	__attribute__((warn_unused_result));

/* What kind of filesystem an open file or folder lies on. */
enum io_fs { IO_FS_LOCAL, IO_FS_MEMORY, IO_FS_NETWORK };
int io_fs_kind(int fd, enum io_fs *out) __attribute__((warn_unused_result));

#endif
