/*
 * System calls on files, made whole: short reads and writes are continued,
 * EINTR is retried, errno becomes the return value.
 */
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/io_observe.h"

#define READ_CHUNK ((size_t)64 * 1024)
#define COPY_CHUNK ((size_t)128 * 1024)
#define TEMP_TRIES 1000 /* names that leftovers of a crash may stand in the way of */

const struct io_observer *_Atomic io_observer_set;

void io_observe(const struct io_observer *observer)
{
	atomic_store_explicit(&io_observer_set, observer, memory_order_release);
}

void io_close(int *fd)
{
	/* No retry: on Linux the descriptor is gone whatever close(2) says. */
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

ssize_t io_read(int fd, void *data, size_t len)
{
	uint8_t *to = data;
	size_t done = 0;

	while (done < len) {
		ssize_t n = read(fd, to + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

/* Whether all of `len` bytes at `offset` have offsets that an off_t can hold. */
static bool range_fits(uint64_t offset, size_t len)
{
	uint64_t end;

	return !__builtin_add_overflow(offset, (uint64_t)len, &end) && end <= INT64_MAX;
}

ssize_t io_pread(int fd, void *data, size_t len, uint64_t offset)
{
	uint8_t *to = data;
	size_t done = 0;

	if (!range_fits(offset, len))
		return -EFBIG;
	while (done < len) {
		ssize_t n = pread(fd, to + done, len - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

/* What a write call came to: bytes taken, 0 to try again, or a negative errno. */
static ssize_t write_result(ssize_t n)
{
	if (n > 0)
		return n;
	/* Nothing taken and no reason given would otherwise be tried for ever. */
	if (n == 0)
		return -EIO;
	return errno == EINTR ? 0 : -errno;
}

/* Only a file has a place that bytes were written to: what went to its end, or
 * wherever it stood, ends where it stands now. */
static void tell_written(int fd, const void *data, size_t len)
{
	off_t now = io_observer() != NULL ? lseek(fd, 0, SEEK_CUR) : -1;

	if (now >= 0 && len > 0)
		IO_TELL(wrote, fd, (uint64_t)now - len, data, len);
}

int io_write(int fd, const void *data, size_t len)
{
	const uint8_t *from = data;
	size_t done = 0;

	while (done < len) {
		ssize_t n = write_result(write(fd, from + done, len - done));

		if (n < 0)
			return (int)n;
		tell_written(fd, from + done, (size_t)n);
		done += (size_t)n;
	}
	return 0;
}

int io_pwrite(int fd, const void *data, size_t len, uint64_t offset)
{
	const uint8_t *from = data;
	size_t done = 0;

	if (!range_fits(offset, len))
		return -EFBIG;
	while (done < len) {
		off_t at = (off_t)(offset + done);
		ssize_t n = write_result(pwrite(fd, from + done, len - done, at));

		if (n < 0)
			return (int)n;
		IO_TELL(wrote, fd, (uint64_t)at, from + done, (size_t)n);
		done += (size_t)n;
	}
	return 0;
}

static void tell_vectors(int fd, const struct iovec *iov, size_t len, uint64_t offset)
{
	for (; io_observer() != NULL && len > 0; iov++) {
		size_t part = iov->iov_len < len ? iov->iov_len : len;

		if (part > 0)
			IO_TELL(wrote, fd, offset, iov->iov_base, part);
		offset += part;
		len -= part;
	}
}

/* Takes `done` bytes, and vectors that are empty, off the front. */
static void iov_advance(struct iovec **iov, int *count, size_t done)
{
	while (*count > 0 && done >= (*iov)->iov_len) {
		done -= (*iov)->iov_len;
		(*iov)++;
		(*count)--;
	}
	if (*count > 0 && done > 0) {
		(*iov)->iov_base = (uint8_t *)(*iov)->iov_base + done;
		(*iov)->iov_len -= done;
	}
}

int io_pwritev(int fd, struct iovec *iov, int count, uint64_t offset)
{
	size_t total = 0;

	for (int i = 0; i < count; i++) {
		if (__builtin_add_overflow(total, iov[i].iov_len, &total))
			return -EFBIG;
	}
	if (!range_fits(offset, total))
		return -EFBIG;
	iov_advance(&iov, &count, 0);
	while (count > 0) {
		int batch = count < IOV_MAX ? count : IOV_MAX;
		ssize_t n = write_result(pwritev(fd, iov, batch, (off_t)offset));

		if (n < 0)
			return (int)n;
		tell_vectors(fd, iov, (size_t)n, offset);
		offset += (uint64_t)n;
		iov_advance(&iov, &count, (size_t)n);
	}
	return 0;
}

int io_open(int dirfd, const char *path, int flags, mode_t mode)
{
	int fd;

	do {
		fd = openat(dirfd, path, flags | O_CLOEXEC, mode);
	} while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return -errno;
	if ((flags & (O_CREAT | O_TRUNC)) != 0 || (flags & O_TMPFILE) == O_TMPFILE)
		IO_TELL(opened, fd, dirfd, path, flags);
	return fd;
}

int io_truncate(int fd, uint64_t size)
{
	int rc;

	if (!range_fits(size, 0))
		return -EFBIG;
	do {
		rc = ftruncate(fd, (off_t)size);
	} while (rc < 0 && errno == EINTR);
	if (rc < 0)
		return -errno;
	IO_TELL(truncated, fd, size);
	return 0;
}

int io_fallocate(int fd, int mode, uint64_t offset, uint64_t len)
{
	int rc;

	if (len > INT64_MAX || !range_fits(offset, len))
		return -EFBIG;
	do {
		rc = fallocate(fd, mode, (off_t)offset, (off_t)len);
	} while (rc < 0 && errno == EINTR);
	if (rc < 0)
		return -errno;
	IO_TELL(allocated, fd, mode, offset, len);
	return 0;
}

/* The same through memory, one piece of it; the number of bytes. */
static int64_t copy_piece(int fd_in, uint64_t offset_in, int fd_out, uint64_t offset_out,
			  size_t len)
{
	AUTO_BUF struct buf held = BUF_INIT_MAX(COPY_CHUNK);
	ssize_t n;
	int rc;

	len = len < COPY_CHUNK ? len : COPY_CHUNK;
	rc = buf_reserve(&held, len);
	if (rc < 0)
		return rc;
	n = io_pread(fd_in, held.data, len, offset_in);
	if (n <= 0)
		return n;
	rc = io_pwrite(fd_out, held.data, (size_t)n, offset_out);
	return rc < 0 ? rc : n;
}

/* What copy_file_range(2) says where it does not do these two files. */
static bool cannot_share(int errnum)
{
	return errnum == EXDEV || errnum == EINVAL || errnum == EOPNOTSUPP || errnum == ENOSYS;
}

int64_t io_copy(int fd_in, uint64_t offset_in, int fd_out, uint64_t offset_out, uint64_t len)
{
	/* An observer hears of bytes. */
	bool share = io_observer() == NULL;
	uint64_t done = 0;

	if (len > INT64_MAX || !range_fits(offset_in, len) || !range_fits(offset_out, len))
		return -EFBIG;
	while (done < len) {
		off_t in = (off_t)(offset_in + done), out = (off_t)(offset_out + done);
		int64_t n;

		if (share) {
			n = copy_file_range(fd_in, &in, fd_out, &out, len - done, 0);
			n = n < 0 ? -errno : n;
		} else {
			n = copy_piece(fd_in, (uint64_t)in, fd_out, (uint64_t)out, len - done);
		}
		if (share && n < 0 && cannot_share((int)-n))
			share = false;
		else if (n < 0 && n != -EINTR)
			return n;
		else if (n == 0)
			break;
		else if (n > 0)
			done += (uint64_t)n;
	}
	return (int64_t)done;
}

int io_sync_data(int fd)
{
	int rc;

	IO_TELL(sync_begins, fd);
	do {
		rc = fdatasync(fd);
	} while (rc < 0 && errno == EINTR);
	if (rc < 0)
		return -errno;
	IO_TELL(synced, fd, true);
	return 0;
}

int io_sync(int fd)
{
	int rc;

	IO_TELL(sync_begins, fd);
	do {
		rc = fsync(fd);
	} while (rc < 0 && errno == EINTR);
	if (rc < 0)
		return -errno;
	IO_TELL(synced, fd, false);
	return 0;
}

/* Opens the folder above in place of *fd. 0: there is none, or it is not ours. */
static int open_above(int *fd)
{
	AUTO_CLOSE int above = io_open(*fd, "..", O_RDONLY | O_DIRECTORY, 0);
	struct stat st, st_above;
	int swap = *fd;

	if (above < 0)
		return above == -EACCES ? 0 : above;
	if (fstat(*fd, &st) < 0 || fstat(above, &st_above) < 0)
		return -errno;
	if (st.st_dev != st_above.st_dev || st.st_ino == st_above.st_ino)
		return 0;
	*fd = above;
	above = swap;
	return 1;
}

int io_sync_above(int dirfd)
{
	AUTO_CLOSE int fd = io_open(dirfd, ".", O_RDONLY | O_DIRECTORY, 0);
	int rc;

	if (fd < 0)
		return fd;
	do {
		rc = io_sync(fd);
		if (rc == 0)
			rc = open_above(&fd);
	} while (rc > 0);
	return rc;
}

int io_sync_all(int fd)
{
	return syncfs(fd) < 0 ? -errno : 0;
}

int io_unlink(int dirfd, const char *path)
{
	if (unlinkat(dirfd, path, 0) < 0)
		return -errno;
	IO_TELL(unlinked, dirfd, path);
	return 0;
}

int io_rename(int dirfd, const char *from, const char *to)
{
	if (renameat(dirfd, from, dirfd, to) < 0)
		return -errno;
	IO_TELL(renamed, dirfd, from, to);
	return 0;
}

int io_link(int dirfd, const char *from, const char *to)
{
	if (linkat(dirfd, from, dirfd, to, 0) < 0)
		return -errno;
	IO_TELL(linked, dirfd, from, to);
	return 0;
}

int io_mkdir(int dirfd, const char *path, mode_t mode)
{
	if (mkdirat(dirfd, path, mode) < 0)
		return -errno;
	IO_TELL(made_folder, dirfd, path);
	return 0;
}

int io_rmdir(int dirfd, const char *path)
{
	if (unlinkat(dirfd, path, AT_REMOVEDIR) < 0)
		return -errno;
	IO_TELL(unlinked, dirfd, path);
	return 0;
}

/* Success where the folder is there afterwards, whoever made it. Some
 * filesystems refuse (EACCES, EROFS) before they look whether it exists. */
static int make_folder(const char *path)
{
	struct stat st;
	int rc = io_mkdir(AT_FDCWD, path, 0700);

	if (rc == 0)
		return 0;
	if (stat(path, &st) < 0)
		return rc;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	return 0;
}

int io_mkdirs(const char *path)
{
	char prefix[PATH_MAX];
	size_t len = strlen(path);
	int rc;

	if (len == 0)
		return -ENOENT;
	if (len >= sizeof(prefix))
		return -ENAMETOOLONG;
	memcpy(prefix, path, len + 1);
	for (size_t i = 1; i < len; i++) {
		if (prefix[i] != '/' || prefix[i - 1] == '/')
			continue;
		prefix[i] = '\0';
		rc = make_folder(prefix);
		prefix[i] = '/';
		if (rc < 0)
			return rc;
	}
	return make_folder(path);
}

/* Reads on into `out`: 1 for more to come, 0 at the end of the file. */
static int read_chunk(int fd, struct buf *out)
{
	size_t limit = out->max != 0 ? out->max : BUF_MAX_DEFAULT;
	size_t room = limit > out->len ? limit - out->len : 0;
	uint8_t beyond;
	ssize_t n;
	int rc;

	if (room == 0) {
		n = io_read(fd, &beyond, 1);
		if (n < 0)
			return (int)n;
		return n > 0 ? ERR_LIMIT : 0;
	}
	room = room < READ_CHUNK ? room : READ_CHUNK;
	rc = buf_reserve(out, room);
	if (rc < 0)
		return rc;
	n = io_read(fd, out->data + out->len, room);
	if (n < 0)
		return (int)n;
	out->len += (size_t)n;
	return (size_t)n == room ? 1 : 0;
}

int io_read_file(int dirfd, const char *path, struct buf *out)
{
	AUTO_CLOSE int fd = io_open(dirfd, path, O_RDONLY, 0);
	size_t before = out->len;
	int rc;

	if (fd < 0)
		return fd;
	do {
		rc = read_chunk(fd, out);
	} while (rc > 0);
	if (rc < 0)
		out->len = before;
	if (out->data != NULL)
		out->data[out->len] = '\0';
	return rc;
}

/* Opens a new file beside `name` under a name that nobody else has, not even
 * a crashed predecessor. The descriptor; the name in `temp`. */
static int open_temp(int folder, const char *name, char temp[NAME_MAX + 1])
{
	static atomic_uint serial;
	int fd = -EEXIST;

	for (int i = 0; i < TEMP_TRIES && fd == -EEXIST; i++) {
		unsigned number = atomic_fetch_add_explicit(&serial, 1, memory_order_relaxed);
		int n = snprintf(temp, NAME_MAX + 1, "%s.%ld-%u.tmp", name, (long)getpid(), number);

		if (n < 0 || n > NAME_MAX)
			return -ENAMETOOLONG;
		fd = io_open(folder, temp, O_WRONLY | O_CREAT | O_EXCL, 0600);
	}
	return fd;
}

/* Opens the folder that `path` lies in; *name is the last part of `path`. */
static int open_parent(int dirfd, const char *path, const char **name)
{
	char folder[PATH_MAX] = ".";
	const char *slash = strrchr(path, '/');
	const char *last = slash != NULL ? slash + 1 : path;
	size_t len = (size_t)(last - path);
	int fd;

	if (last[0] == '\0')
		return path[0] == '\0' ? -ENOENT : -EISDIR;
	if (len >= sizeof(folder))
		return -ENAMETOOLONG;
	if (len > 0) {
		memcpy(folder, path, len);
		folder[len] = '\0';
	}
	fd = io_open(dirfd, folder, O_RDONLY | O_DIRECTORY, 0);
	if (fd >= 0)
		*name = last;
	return fd;
}

int io_replace_file(int dirfd, const char *path, const void *data, size_t len)
{
	const char *name = NULL;
	AUTO_CLOSE int folder = open_parent(dirfd, path, &name);
	char temp[NAME_MAX + 1];
	int rc;

	if (folder < 0)
		return folder;

	AUTO_CLOSE int fd = open_temp(folder, name, temp);

	if (fd < 0)
		return fd;
	rc = io_write(fd, data, len);
	if (rc == 0)
		rc = io_sync(fd);
	if (rc == 0)
		rc = io_rename(folder, temp, name);
	if (rc < 0) {
		(void)!io_unlink(folder, temp); /* the first failure is the one to report */
		return rc;
	}
	return io_sync(folder);
}

/* statfs(2), linux/magic.h, and the filesystems' own sources. FUSE may have
 * anything behind it, virtiofs and sshfs among it, and counts as network. */
static const struct {
	uint32_t magic;
	enum io_fs kind;
} fs_kinds[] = {
	{ 0x01021994, IO_FS_MEMORY },  /* tmpfs */
	{ 0x858458f6, IO_FS_MEMORY },  /* ramfs */
	{ 0x958458f6, IO_FS_MEMORY },  /* hugetlbfs */
	{ 0x00006969, IO_FS_NETWORK }, /* NFS */
	{ 0x0000517b, IO_FS_NETWORK }, /* SMB */
	{ 0xff534d42, IO_FS_NETWORK }, /* CIFS */
	{ 0xfe534d42, IO_FS_NETWORK }, /* SMB 2 */
	{ 0x01021997, IO_FS_NETWORK }, /* 9p */
	{ 0x65735546, IO_FS_NETWORK }, /* FUSE */
	{ 0x5346414f, IO_FS_NETWORK }, /* AFS, OpenAFS's number */
	{ 0x6b414653, IO_FS_NETWORK }, /* AFS, the kernel's own */
	{ 0x73757245, IO_FS_NETWORK }, /* Coda */
	{ 0x00c36400, IO_FS_NETWORK }, /* Ceph */
	{ 0x0000564c, IO_FS_NETWORK }, /* NCP */
	{ 0x01161970, IO_FS_NETWORK }, /* GFS2 */
	{ 0x7461636f, IO_FS_NETWORK }, /* OCFS2 */
	{ 0x0bd00bd0, IO_FS_NETWORK }, /* Lustre */
	{ 0x47504653, IO_FS_NETWORK }, /* GPFS */
	{ 0x19830326, IO_FS_NETWORK }, /* BeeGFS */
	{ 0x20030528, IO_FS_NETWORK }, /* OrangeFS */
	{ 0x786f4256, IO_FS_NETWORK }, /* VirtualBox shared folder */
	{ 0xbacbacbc, IO_FS_NETWORK }, /* VMware shared folder */
};

int io_fs_kind(int fd, enum io_fs *out)
{
	struct statfs st;
	enum io_fs kind = IO_FS_LOCAL;
	int rc;

	do {
		rc = fstatfs(fd, &st);
	} while (rc < 0 && errno == EINTR);
	if (rc < 0)
		return -errno;
	for (size_t i = 0; i < sizeof(fs_kinds) / sizeof(fs_kinds[0]); i++) {
		if (fs_kinds[i].magic == (uint32_t)st.f_type)
			kind = fs_kinds[i].kind;
	}
	*out = kind;
	return 0;
}
