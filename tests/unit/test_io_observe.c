/* What an observer hears is what the disk then has, no more and no less. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/io_observe.h"

/* Each test runs in a new folder, which is the current one, with an observer that
 * writes down a line for each call. */
struct scene {
	char path[64];
	char before[PATH_MAX];
	struct io_observer observer;
	char heard[4096];
};

__attribute__((format(printf, 2, 3))) static void note(void *arg, const char *fmt, ...)
{
	struct scene *scene = arg;
	size_t len = strlen(scene->heard);
	va_list args;

	va_start(args, fmt);
	vsnprintf(scene->heard + len, sizeof(scene->heard) - len, fmt, args);
	va_end(args);
}

static void on_opened(void *arg, int fd, int dirfd, const char *path, int flags)
{
	(void)fd;
	(void)dirfd;
	note(arg, "open %s%s%s\n", strstr(path, ".tmp") != NULL ? "TEMP" : path,
	     (flags & O_CREAT) != 0 ? " create" : "", (flags & O_TRUNC) != 0 ? " truncate" : "");
}

static void on_wrote(void *arg, int fd, uint64_t offset, const void *data, size_t len)
{
	(void)fd;
	note(arg, "write %d at %d: %.*s\n", (int)len, (int)offset, (int)(len < 20 ? len : 20),
	     (const char *)data);
}

static void on_truncated(void *arg, int fd, uint64_t size)
{
	(void)fd;
	note(arg, "truncate %d\n", (int)size);
}

static void on_allocated(void *arg, int fd, int mode, uint64_t offset, uint64_t len)
{
	(void)fd;
	note(arg, "allocate %d %d %d\n", mode, (int)offset, (int)len);
}

static void on_sync_begins(void *arg, int fd)
{
	(void)fd;
	note(arg, "begin ");
}

static void on_synced(void *arg, int fd, bool data_only)
{
	(void)fd;
	note(arg, "%s\n", data_only ? "fdatasync" : "fsync");
}

static void on_renamed(void *arg, int dirfd, const char *from, const char *to)
{
	(void)dirfd;
	note(arg, "rename %s %s\n", strstr(from, ".tmp") != NULL ? "TEMP" : from, to);
}

static void on_linked(void *arg, int dirfd, const char *from, const char *to)
{
	(void)dirfd;
	note(arg, "link %s %s\n", from, to);
}

static void on_unlinked(void *arg, int dirfd, const char *path)
{
	(void)dirfd;
	note(arg, "unlink %s\n", path);
}

static void on_made_folder(void *arg, int dirfd, const char *path)
{
	(void)dirfd;
	note(arg, "mkdir %s\n", path);
}

static int enter(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));

	if (scene == NULL || getcwd(scene->before, sizeof(scene->before)) == NULL)
		return -1;
	strcpy(scene->path, "/tmp/git-fs-test-observe-XXXXXX");
	if (mkdtemp(scene->path) == NULL || chdir(scene->path) < 0)
		return -1;
	scene->observer = (struct io_observer){ .arg = scene,
						.opened = on_opened,
						.wrote = on_wrote,
						.truncated = on_truncated,
						.allocated = on_allocated,
						.sync_begins = on_sync_begins,
						.synced = on_synced,
						.renamed = on_renamed,
						.linked = on_linked,
						.unlinked = on_unlinked,
						.made_folder = on_made_folder };
	io_observe(&scene->observer);
	*state = scene;
	return 0;
}

static int leave(void **state)
{
	struct scene *scene = *state;
	char command[128];

	io_observe(NULL);
	snprintf(command, sizeof(command), "rm -rf -- '%s'", scene->path);
	if (chdir(scene->before) < 0 || system(command) != 0)
		return -1;
	free(scene);
	return 0;
}

static void expect(struct scene *scene, const char *lines)
{
	assert_string_equal(scene->heard, lines);
	scene->heard[0] = '\0';
}

static void writes_are_heard_with_their_places(void **state)
{
	struct scene *scene = *state;
	struct iovec iov[] = { { strdup("ab"), 2 }, { NULL, 0 }, { strdup("cde"), 3 } };
	void *owned[] = { iov[0].iov_base, iov[2].iov_base };
	AUTO_CLOSE int fd = io_open(AT_FDCWD, "f", O_RDWR | O_CREAT, 0600);
	AUTO_CLOSE int end = io_open(AT_FDCWD, "f", O_WRONLY | O_APPEND, 0);

	expect(scene, "open f create\n");
	assert_int_equal(io_pwrite(fd, "hello", 5, 3), 0);
	expect(scene, "write 5 at 3: hello\n");
	assert_int_equal(io_write(fd, "xy", 2), 0);
	assert_int_equal(io_write(fd, "z", 1), 0);
	expect(scene, "write 2 at 0: xy\nwrite 1 at 2: z\n");
	assert_int_equal(io_write(end, "more", 4), 0);
	expect(scene, "write 4 at 8: more\n");
	assert_int_equal(io_pwritev(fd, iov, 3, 100), 0);
	expect(scene, "write 2 at 100: ab\nwrite 3 at 102: cde\n");
	free(owned[0]);
	free(owned[1]);
}

static void what_fails_or_is_no_file_is_not_heard(void **state)
{
	struct scene *scene = *state;
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(io_write(fds[1], "x", 1), 0);
	assert_int_equal(io_pwrite(fds[1], "x", 1, 0), -ESPIPE);
	assert_int_equal(io_truncate(fds[1], 0), -EINVAL);
	assert_int_equal(io_fallocate(fds[1], 0, 0, 1), -ESPIPE);
	io_close(&fds[0]);
	io_close(&fds[1]);
	assert_int_equal(io_unlink(AT_FDCWD, "none"), -ENOENT);
	assert_int_equal(io_rename(AT_FDCWD, "none", "other"), -ENOENT);
	assert_int_equal(io_link(AT_FDCWD, "none", "other"), -ENOENT);
	assert_int_equal(io_mkdir(AT_FDCWD, "none/other", 0700), -ENOENT);
	assert_int_equal(io_open(AT_FDCWD, "none/other", O_WRONLY | O_CREAT, 0600), -ENOENT);
	expect(scene, "");
	assert_int_equal(io_sync(-1), -EBADF);
	assert_int_equal(io_sync_data(-1), -EBADF);
	expect(scene, "begin begin "); /* and no end */
}

static void names_and_sizes_are_heard(void **state)
{
	struct scene *scene = *state;
	AUTO_CLOSE int fd = -1;
	struct stat st;

	assert_int_equal(io_mkdirs("a/b"), 0);
	assert_int_equal(io_mkdirs("a/b"), 0);
	expect(scene, "mkdir a\nmkdir a/b\n");
	assert_int_equal(io_mkdir(AT_FDCWD, "m", 0750), 0);
	assert_int_equal(stat("m", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0750);
	assert_int_equal(io_mkdir(AT_FDCWD, "m", 0750), -EEXIST);
	expect(scene, "mkdir m\n");
	fd = io_open(AT_FDCWD, "a/f", O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(io_fallocate(fd, 0, 0, 8192), 0);
	assert_int_equal(io_fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 8192);
	assert_int_equal(io_fallocate(fd, 0, 1, UINT64_MAX), -EFBIG);
	assert_int_equal(io_fallocate(fd, 0, INT64_MAX, 1), -EFBIG);
	assert_int_equal(io_truncate(fd, 10), 0);
	assert_int_equal(io_sync_data(fd), 0);
	expect(scene, "open a/f create truncate\nallocate 0 0 8192\nallocate 3 0 4096\n"
		      "truncate 10\nbegin fdatasync\n");
	assert_int_equal(io_link(AT_FDCWD, "a/f", "a/g"), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(io_rename(AT_FDCWD, "a/g", "h"), 0);
	assert_int_equal(io_unlink(AT_FDCWD, "a/f"), 0);
	expect(scene, "link a/f a/g\nrename a/g h\nunlink a/f\n");
}

static void a_folder_is_synced_with_those_above(void **state)
{
	struct scene *scene = *state;
	AUTO_CLOSE int fd = -1;

	assert_int_equal(io_mkdirs("a/b"), 0);
	fd = io_open(AT_FDCWD, "a/b", O_RDONLY | O_DIRECTORY, 0);
	scene->heard[0] = '\0';
	assert_int_equal(io_sync_above(fd), 0);
	/* b, a, the test's folder and at least what that lies in. */
	assert_ptr_equal(strstr(scene->heard, "begin fsync\nbegin fsync\nbegin fsync\nbegin "),
			 scene->heard);
	assert_int_equal(io_sync_above(-1), -EBADF);
}

static void a_replaced_file_is_synced_before_its_name_and_its_folder_after(void **state)
{
	struct scene *scene = *state;

	assert_int_equal(io_replace_file(AT_FDCWD, "f", "new", 3), 0);
	expect(scene, "open TEMP create\nwrite 3 at 0: new\nbegin fsync\nrename TEMP f\n"
		      "begin fsync\n");
}

static uint8_t byte_at(uint64_t at)
{
	return (uint8_t)(at * 7 + at / 251);
}

/* Copies by either way and compares; the source is shorter than what is asked for. */
static void copy(struct scene *scene, bool observed)
{
	const uint64_t size = 300 * 1024 + 5, from = 1000, to = 77;
	AUTO_BUF struct buf data = BUF_INIT;
	AUTO_BUF struct buf found = BUF_INIT;
	AUTO_CLOSE int in = io_open(AT_FDCWD, "in", O_RDWR | O_CREAT | O_TRUNC, 0600);
	AUTO_CLOSE int out = io_open(AT_FDCWD, "out", O_RDWR | O_CREAT | O_TRUNC, 0600);

	io_observe(NULL);
	assert_int_equal(buf_reserve(&data, size), 0);
	for (uint64_t i = 0; i < size; i++)
		data.data[i] = byte_at(i);
	assert_int_equal(io_pwrite(in, data.data, size, 0), 0);
	scene->heard[0] = '\0';
	io_observe(observed ? &scene->observer : NULL);
	assert_int_equal(io_copy(in, from, out, to, 5000), 5000);
	assert_int_equal(io_copy(in, from + 5000, out, to + 5000, size), size - from - 5000);
	assert_int_equal(io_copy(in, size, out, 0, 10), 0);
	assert_int_equal(io_copy(in, 0, out, 0, 0), 0);
	assert_int_equal(io_copy(in, INT64_MAX, out, 0, 10), -EFBIG);
	assert_int_equal(io_copy(in, 0, -1, 0, 10), -EBADF);
	assert_int_equal(io_copy(-1, 0, out, 0, 10), -EBADF);
	assert_int_equal(strncmp(scene->heard, "write 5000 at 77: ", 18) == 0, observed);
	assert_int_equal(io_read_file(AT_FDCWD, "out", &found), 0);
	assert_int_equal(found.len, size - from + to);
	assert_memory_equal(found.data + to, data.data + from, size - from);
}

static void a_copy_is_the_same_by_either_way(void **state)
{
	copy(*state, false);
	copy(*state, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(writes_are_heard_with_their_places, enter, leave),
		cmocka_unit_test_setup_teardown(what_fails_or_is_no_file_is_not_heard, enter,
						leave),
		cmocka_unit_test_setup_teardown(names_and_sizes_are_heard, enter, leave),
		cmocka_unit_test_setup_teardown(a_folder_is_synced_with_those_above, enter, leave),
		cmocka_unit_test_setup_teardown(
			a_replaced_file_is_synced_before_its_name_and_its_folder_after, enter,
			leave),
		cmocka_unit_test_setup_teardown(a_copy_is_the_same_by_either_way, enter, leave),
	};

	return cmocka_run_group_tests_name("io_observe", tests, NULL, NULL);
}
