#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/io.h"
#include "base/threads.h"
#include "failing_alloc.h"

/* Every test runs in a new folder of its own, which is the current one. */
struct folder {
	char path[64];
	char before[PATH_MAX];
};

static int enter(void **state)
{
	struct folder *folder = calloc(1, sizeof(*folder));

	if (folder == NULL || getcwd(folder->before, sizeof(folder->before)) == NULL)
		return -1;
	strcpy(folder->path, "/tmp/git-fs-test-io-XXXXXX");
	if (mkdtemp(folder->path) == NULL || chdir(folder->path) < 0)
		return -1;
	*state = folder;
	return 0;
}

static int leave(void **state)
{
	struct folder *folder = *state;
	char command[128];

	snprintf(command, sizeof(command), "rm -rf -- '%s'", folder->path);
	if (chdir(folder->before) < 0 || system(command) != 0)
		return -1;
	free(folder);
	return 0;
}

static int new_file(const char *name)
{
	int fd = io_open(AT_FDCWD, name, O_RDWR | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	return fd;
}

static void close_takes_any_descriptor(void **state)
{
	int fd = new_file("f");
	int copy = fd;

	(void)state;
	io_close(&fd);
	assert_int_equal(fd, -1);
	assert_int_equal(fcntl(copy, F_GETFD), -1);
	io_close(&fd);
	assert_int_equal(fd, -1);
}

static void open_closes_on_exec_and_says_why_not(void **state)
{
	AUTO_CLOSE int fd = new_file("f");

	(void)state;
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(io_open(AT_FDCWD, "missing", O_RDONLY, 0), -ENOENT);
	assert_int_equal(io_open(AT_FDCWD, "f", O_RDONLY | O_DIRECTORY, 0), -ENOTDIR);
}

static void reads_and_writes_are_whole(void **state)
{
	AUTO_CLOSE int fd = new_file("f");
	char text[32] = "";

	(void)state;
	assert_int_equal(io_write(fd, "hello world", 11), 0);
	assert_int_equal(io_pwrite(fd, "W", 1, 6), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(io_read(fd, text, 5), 5);
	assert_string_equal(text, "hello");
	assert_int_equal(io_read(fd, text, sizeof(text)), 6);
	assert_memory_equal(text, " World", 6);
	assert_int_equal(io_read(fd, text, sizeof(text)), 0);
	assert_int_equal(io_pread(fd, text, sizeof(text), 4), 7);
	assert_memory_equal(text, "o World", 7);
	assert_int_equal(io_pread(fd, text, 1, 4000), 0);
	assert_int_equal(io_truncate(fd, 3), 0);
	assert_int_equal(io_pread(fd, text, sizeof(text), 0), 3);
	assert_int_equal(io_sync_data(fd), 0);
	assert_int_equal(io_sync(fd), 0);
}

static void failures_are_errnos(void **state)
{
	AUTO_CLOSE int fd = io_open(AT_FDCWD, ".", O_RDONLY, 0);
	char byte;

	(void)state;
	assert_int_equal(io_read(fd, &byte, 1), -EISDIR);
	assert_int_equal(io_pread(fd, &byte, 1, 0), -EISDIR);
	assert_int_equal(io_write(fd, "x", 1), -EBADF);
	assert_int_equal(io_pwrite(fd, "x", 1, 0), -EBADF);
	assert_int_equal(io_sync(-1), -EBADF);
	assert_int_equal(io_sync_data(-1), -EBADF);
	assert_int_equal(io_truncate(fd, 0), -EINVAL);
	assert_int_equal(io_sync(fd), 0); /* a folder can be synced */
}

static void offsets_beyond_off_t_are_refused(void **state)
{
	AUTO_CLOSE int fd = new_file("f");
	char byte = 'x';
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };

	(void)state;
	assert_int_equal(io_pread(fd, &byte, 1, INT64_MAX), -EFBIG);
	assert_int_equal(io_pwrite(fd, &byte, 1, UINT64_MAX), -EFBIG);
	assert_int_equal(io_pwritev(fd, &iov, 1, INT64_MAX), -EFBIG);
	assert_int_equal(io_truncate(fd, (uint64_t)INT64_MAX + 1), -EFBIG);
}

static void vectors_more_than_one_call_takes(void **state)
{
	enum { COUNT = 2 * IOV_MAX + 5 };
	static struct iovec iov[COUNT];
	static uint8_t from[COUNT];
	static uint8_t back[COUNT + 1];
	AUTO_CLOSE int fd = new_file("f");
	size_t expected = 0;

	(void)state;
	for (size_t i = 0; i < COUNT; i++) {
		from[i] = (uint8_t)(i % 251);
		/* Every third is empty. */
		iov[i] = (struct iovec){ .iov_base = &from[i], .iov_len = i % 3 != 0 };
	}
	assert_int_equal(io_pwritev(fd, iov, COUNT, 7), 0);
	assert_int_equal(io_pread(fd, back, sizeof(back), 7), COUNT - (COUNT + 2) / 3);
	for (size_t i = 0; i < COUNT; i++) {
		if (i % 3 != 0)
			assert_int_equal(back[expected++], from[i]);
	}
	iov[0] = (struct iovec){ .iov_base = NULL, .iov_len = 0 };
	assert_int_equal(io_pwritev(fd, iov, 1, 0), 0);
	assert_int_equal(io_pwritev(fd, iov, 0, 0), 0);
}

struct pump {
	int fd;
	size_t len;
	size_t got;
};

static void *slow_reader(void *arg)
{
	struct pump *pump = arg;
	char chunk[1000];

	while (pump->got < pump->len) {
		ssize_t n = read(pump->fd, chunk, sizeof(chunk));

		if (n <= 0)
			break;
		pump->got += (size_t)n;
	}
	return NULL;
}

static void *slow_writer(void *arg)
{
	struct pump *pump = arg;

	for (size_t i = 0; i < pump->len; i++) {
		if (write(pump->fd, "x", 1) != 1)
			break;
	}
	io_close(&pump->fd);
	return NULL;
}

static void pipes_in_pieces(void **state)
{
	enum { LEN = 300000 };
	char *data = calloc(1, LEN);
	struct pump pump = { .len = LEN };
	pthread_t thread;
	int ends[2];

	(void)state;
	assert_non_null(data);
	assert_int_equal(pipe(ends), 0);
	pump.fd = ends[0];
	assert_int_equal(thread_start(&thread, "reader", slow_reader, &pump), 0);
	assert_int_equal(io_write(ends[1], data, LEN), 0);
	pthread_join(thread, NULL);
	assert_int_equal(pump.got, LEN);

	pump = (struct pump){ .fd = ends[1], .len = 5000 };
	assert_int_equal(thread_start(&thread, "writer", slow_writer, &pump), 0);
	assert_int_equal(io_read(ends[0], data, LEN), 5000);
	pthread_join(thread, NULL);
	io_close(&ends[0]);
	free(data);
}

static void a_closed_pipe_is_epipe(void **state)
{
	int ends[2];

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe(ends), 0);
	io_close(&ends[0]);
	assert_int_equal(io_write(ends[1], "x", 1), -EPIPE);
	io_close(&ends[1]);
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_mode : 0;
}

static void mkdirs_makes_what_is_missing(void **state)
{
	const struct folder *folder = *state;
	char path[PATH_MAX + 10];

	umask(0);
	assert_int_equal(io_mkdirs("a/b//c/"), 0);
	assert_int_equal(mode_of("a"), S_IFDIR | 0700);
	assert_int_equal(mode_of("a/b/c"), S_IFDIR | 0700);
	assert_int_equal(io_mkdirs("a/b/c"), 0);
	snprintf(path, sizeof(path), "%s/x/y", folder->path);
	assert_int_equal(io_mkdirs(path), 0);
	assert_int_equal(mode_of("x/y"), S_IFDIR | 0700);
	assert_int_equal(io_mkdirs("/"), 0);
	assert_int_equal(io_mkdirs("."), 0);
	assert_int_equal(io_mkdirs(""), -ENOENT);
	memset(path, 'p', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(io_mkdirs(path), -ENAMETOOLONG);
}

static void mkdirs_meets_files(void **state)
{
	int fd = new_file("file");

	(void)state;
	io_close(&fd);
	assert_int_equal(io_mkdirs("file"), -ENOTDIR);
	assert_int_equal(io_mkdirs("file/below"), -ENOTDIR);
	assert_int_equal(symlink("nowhere", "dangling"), 0);
	assert_int_equal(io_mkdirs("dangling"), -EEXIST);
	assert_int_equal(mkdir("real", 0700), 0);
	assert_int_equal(symlink("real", "link"), 0);
	assert_int_equal(io_mkdirs("link/sub"), 0);
	assert_int_equal(mode_of("real/sub"), S_IFDIR | 0700);
}

static void *mkdirs_many(void *arg)
{
	char path[64];
	int *failed = arg;

	for (int i = 0; i < 200; i++) {
		snprintf(path, sizeof(path), "race%d/a/b/c", i);
		if (io_mkdirs(path) < 0)
			*failed = 1;
	}
	return NULL;
}

static void mkdirs_by_several_at_once(void **state)
{
	pthread_t threads[4];
	int failed[4] = { 0 };

	(void)state;
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(thread_start(&threads[i], "mkdirs", mkdirs_many, &failed[i]), 0);
	for (size_t i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(failed[i], 0);
	}
	assert_int_equal(mode_of("race199/a/b/c") & S_IFMT, S_IFDIR);
}

static void read_file_appends_it_all(void **state)
{
	AUTO_BUF struct buf out = BUF_INIT;
	AUTO_CLOSE int fd = new_file("f");

	(void)state;
	assert_int_equal(io_truncate(fd, 200000), 0);
	assert_int_equal(io_pwrite(fd, "end", 3, 200000), 0);
	assert_int_equal(buf_append_str(&out, "before"), 0);
	assert_int_equal(io_read_file(AT_FDCWD, "f", &out), 0);
	assert_int_equal(out.len, 6 + 200003);
	assert_memory_equal(out.data, "before\0", 7);
	assert_memory_equal(out.data + 200006, "end", 4);
}

static void read_file_failing_leaves_the_buffer(void **state)
{
	AUTO_BUF struct buf out = BUF_INIT_MAX(100);
	AUTO_CLOSE int fd = new_file("f");
	long nth = 1;
	int rc;

	(void)state;
	assert_int_equal(buf_append_str(&out, "before"), 0);
	assert_int_equal(io_truncate(fd, 94), 0);
	assert_int_equal(io_read_file(AT_FDCWD, "f", &out), 0);
	assert_int_equal(out.len, 100);
	out.len = 6;
	assert_int_equal(io_truncate(fd, 95), 0);
	assert_int_equal(io_read_file(AT_FDCWD, "f", &out), ERR_LIMIT);
	assert_string_equal(buf_str(&out), "before");
	assert_int_equal(out.len, 6);
	assert_int_equal(io_read_file(AT_FDCWD, "missing", &out), -ENOENT);
	assert_int_equal(io_read_file(AT_FDCWD, ".", &out), -EISDIR);
	assert_int_equal(out.len, 6);

	out.max = 0;
	assert_int_equal(io_truncate(fd, 300000), 0);
	for (;; nth++) {
		failing_alloc_arm(nth);
		rc = io_read_file(AT_FDCWD, "f", &out);
		if (!failing_alloc_disarm())
			break;
		assert_int_equal(rc, -ENOMEM);
		assert_int_equal(out.len, 6);
		assert_string_equal(buf_str(&out), "before");
		buf_release(&out);
		assert_int_equal(buf_append_str(&out, "before"), 0);
	}
	assert_true(nth > 1);
	assert_int_equal(rc, 0);
	assert_int_equal(out.len, 300006);
}

static size_t entries(const char *path)
{
	DIR *dir = opendir(path);
	size_t count = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count - 2; /* "." and ".." */
}

static void replace_file_puts_new_for_old(void **state)
{
	AUTO_BUF struct buf out = BUF_INIT;
	AUTO_CLOSE int fd = -1;

	(void)state;
	assert_int_equal(mkdir("d", 0700), 0);
	fd = io_open(AT_FDCWD, "d", O_RDONLY | O_DIRECTORY, 0);
	assert_int_equal(io_replace_file(fd, "f", "one", 3), 0);
	assert_int_equal(io_replace_file(fd, "f", "second", 6), 0);
	assert_int_equal(io_read_file(AT_FDCWD, "d/f", &out), 0);
	assert_string_equal(buf_str(&out), "second");
	assert_int_equal(mode_of("d/f"), S_IFREG | 0600);
	assert_int_equal(io_replace_file(AT_FDCWD, "d/g", "", 0), 0);
	assert_int_equal(mode_of("d/g"), S_IFREG | 0600);
	assert_int_equal(entries("d"), 2);
}

static void replace_file_failing_leaves_nothing_behind(void **state)
{
	char name[NAME_MAX + 1];

	(void)state;
	assert_int_equal(io_mkdirs("d/folder/full"), 0);
	assert_int_equal(io_replace_file(AT_FDCWD, "d/folder", "x", 1), -EISDIR);
	assert_int_equal(entries("d"), 1);
	assert_int_equal(io_replace_file(AT_FDCWD, "missing/f", "x", 1), -ENOENT);
	assert_int_equal(io_replace_file(AT_FDCWD, "d/", "x", 1), -EISDIR);
	assert_int_equal(io_replace_file(AT_FDCWD, "", "x", 1), -ENOENT);
	memset(name, 'n', NAME_MAX);
	name[NAME_MAX] = '\0';
	assert_int_equal(io_replace_file(AT_FDCWD, name, "x", 1), -ENAMETOOLONG);
	assert_int_equal(entries("."), 1);
}

static void replace_file_passes_leftovers(void **state)
{
	AUTO_CLOSE int dir = -1;
	char name[64];

	(void)state;
	assert_int_equal(mkdir("d", 0700), 0);
	/* What a process with our pid may have left when it crashed. */
	for (int i = 0; i < 50; i++) {
		int fd;

		snprintf(name, sizeof(name), "d/f.%ld-%d.tmp", (long)getpid(), i);
		fd = new_file(name);
		io_close(&fd);
	}
	dir = io_open(AT_FDCWD, "d", O_RDONLY | O_DIRECTORY, 0);
	assert_int_equal(io_replace_file(dir, "f", "x", 1), 0);
	assert_int_equal(entries("d"), 51);
}

static void rename_and_unlink(void **state)
{
	AUTO_CLOSE int dir = io_open(AT_FDCWD, ".", O_RDONLY | O_DIRECTORY, 0);
	int fd = new_file("a");

	(void)state;
	io_close(&fd);
	assert_int_equal(io_rename(dir, "a", "b"), 0);
	assert_int_equal(io_rename(dir, "a", "b"), -ENOENT);
	assert_int_equal(io_unlink(dir, "b"), 0);
	assert_int_equal(io_unlink(dir, "b"), -ENOENT);
	assert_int_equal(entries("."), 0);
}

static void filesystems_are_told_apart(void **state)
{
	AUTO_CLOSE int memory = memfd_create("git-fs-test", MFD_CLOEXEC);
	AUTO_CLOSE int proc = io_open(AT_FDCWD, "/proc", O_RDONLY, 0);
	enum io_fs kind = IO_FS_NETWORK;

	(void)state;
	assert_int_equal(io_fs_kind(proc, &kind), 0);
	assert_int_equal(kind, IO_FS_LOCAL);
	assert_int_equal(io_fs_kind(memory, &kind), 0); /* on the kernel's own tmpfs */
	assert_int_equal(kind, IO_FS_MEMORY);
	assert_int_equal(io_fs_kind(-1, &kind), -EBADF);
	assert_int_equal(kind, IO_FS_MEMORY);
}

#define IO_TEST(name) cmocka_unit_test_setup_teardown(name, enter, leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IO_TEST(close_takes_any_descriptor),
		IO_TEST(open_closes_on_exec_and_says_why_not),
		IO_TEST(reads_and_writes_are_whole),
		IO_TEST(failures_are_errnos),
		IO_TEST(offsets_beyond_off_t_are_refused),
		IO_TEST(vectors_more_than_one_call_takes),
		IO_TEST(pipes_in_pieces),
		IO_TEST(a_closed_pipe_is_epipe),
		IO_TEST(mkdirs_makes_what_is_missing),
		IO_TEST(mkdirs_meets_files),
		IO_TEST(mkdirs_by_several_at_once),
		IO_TEST(read_file_appends_it_all),
		IO_TEST(read_file_failing_leaves_the_buffer),
		IO_TEST(replace_file_puts_new_for_old),
		IO_TEST(replace_file_failing_leaves_nothing_behind),
		IO_TEST(replace_file_passes_leftovers),
		IO_TEST(rename_and_unlink),
		IO_TEST(filesystems_are_told_apart),
	};

	return cmocka_run_group_tests_name("io", tests, NULL, NULL);
}
