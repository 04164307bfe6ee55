/*
 * The store after power loss, found by a process of another boot: it opens, every
 * object that it serves is right, what it had when it was closed is there, and it
 * takes objects again.
 *
 * LMDB writes past base/io: the calls that its library makes for its data file are
 * caught here, by functions of the same names.
 */
#include <sys/syscall.h>
#include <sys/uio.h>

#include "powerloss.h"
#include "store_fixture.h"

#define OBJECTS 24U

/* Whether it is the index's data file; its lock file is memory shared by processes,
 * which nobody expects to find again. */
static bool is_index(int fd)
{
	static const char name[] = "/data.mdb";
	char link[64], path[512];
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, sizeof(path));
	return len >= (ssize_t)sizeof(name) - 1 &&
	       memcmp(path + len - (sizeof(name) - 1), name, sizeof(name) - 1) == 0;
}

static unsigned caught; /* calls */

/* The library was built for the names without 64, which the headers hide here. */
ssize_t caught_pwrite(int fd, const void *data, size_t len, off_t offset) __asm__("pwrite");
int caught_ftruncate(int fd, off_t size) __asm__("ftruncate");

ssize_t caught_pwrite(int fd, const void *data, size_t len, off_t offset)
{
	ssize_t n = syscall(SYS_pwrite64, fd, data, len, offset);

	if (n > 0 && is_index(fd)) {
		caught++;
		powerloss_saw_write(fd, (uint64_t)offset, data, (size_t)n);
	}
	return n;
}

ssize_t write(int fd, const void *data, size_t len)
{
	ssize_t n = syscall(SYS_write, fd, data, len);

	if (n > 0 && is_index(fd)) {
		caught++;
		powerloss_saw_write(fd, (uint64_t)lseek(fd, 0, SEEK_CUR) - (uint64_t)n, data,
				    (size_t)n);
	}
	return n;
}

ssize_t writev(int fd, const struct iovec *iov, int count)
{
	ssize_t n = syscall(SYS_writev, fd, iov, count);
	size_t left = n > 0 && is_index(fd) ? (size_t)n : 0;
	uint64_t at = left > 0 ? (uint64_t)lseek(fd, 0, SEEK_CUR) - left : 0;

	caught += left > 0;
	for (int i = 0; left > 0; i++) {
		size_t part = iov[i].iov_len < left ? iov[i].iov_len : left;

		powerloss_saw_write(fd, at, iov[i].iov_base, part);
		at += part;
		left -= part;
	}
	return n;
}

int caught_ftruncate(int fd, off_t size)
{
	int rc = (int)syscall(SYS_ftruncate, fd, size);

	if (rc == 0 && is_index(fd))
		powerloss_saw_truncate(fd, (uint64_t)size);
	return rc;
}

int fdatasync(int fd)
{
	bool index = is_index(fd);
	int rc;

	if (index)
		powerloss_saw_sync_begin(fd);
	rc = (int)syscall(SYS_fdatasync, fd);
	if (rc == 0 && index)
		powerloss_saw_sync(fd);
	return rc;
}

/* Counts samples; false: one is there with wrong bytes. */
static bool count_good(struct store *store, struct hasher *hasher, uint64_t count, uint64_t *good)
{
	*good = 0;
	for (uint64_t number = 0; number < count; number++) {
		AUTO_SAMPLE struct sample sample;
		int found;

		sample_make(&sample, hasher, number, 100 + (size_t)(number * 977 % 3000));
		found = sample_check(store, &sample);
		if (found < 0)
			return false;
		*good += found == 1;
	}
	return true;
}

static bool fill(struct store *store, struct hasher *hasher, uint64_t first, uint64_t count)
{
	struct store_writer *writer;
	bool good = store_writer_new(&writer, store, NULL, NULL) == 0;

	for (uint64_t number = first; good && number < first + count; number++) {
		AUTO_SAMPLE struct sample sample;
		struct object_sink *sink = store_writer_sink(writer);

		sample_make(&sample, hasher, number, 100 + (size_t)(number * 977 % 3000));
		good = number % 5 == 0 ? sample_stream(sink, &sample, 700, NULL) == 0
				       : sample_give(sink, &sample, number % 3 == 0, NULL) == 0;
		if (good && number % 4 == 0)
			good = store_writer_flush(writer, NULL) == 0;
	}
	good = good && store_writer_flush(writer, NULL) == 0;
	store_writer_free(writer);
	return good;
}

/* marks[0]: so many objects had been closed in; marks[1]: so many had been begun. */
static const char *look(const struct store_fixture *fix, const struct store_config *config,
			uint64_t closed, uint64_t begun)
{
	struct err err = ERR_INIT;
	static char words[ERR_MSG_MAX];
	struct store *store;
	uint64_t good = 0;
	const char *wrong = NULL;

	if (store_open(&store, config, &err) < 0) {
		snprintf(words, sizeof(words), "does not open: %s", err.msg);
		return words;
	}
	if (!count_good(store, fix->hasher, OBJECTS, &good)) {
		wrong = "an object has wrong bytes";
	} else if (good > begun) {
		wrong = "an object that was never there";
	} else if (!count_good(store, fix->hasher, closed, &good) || good != closed) {
		snprintf(words, sizeof(words), "%d of %d objects are there", (int)good,
			 (int)closed);
		wrong = words;
	} else if (!fill(store, fix->hasher, 0, OBJECTS) ||
		   !count_good(store, fix->hasher, OBJECTS, &good) || good != OBJECTS) {
		wrong = "does not take objects again";
	}
	store_close(store);
	return wrong;
}

/* Files with the ids of boots, which are no part of what loses power. */
enum { BOOT_FIRST, BOOT_SECOND, BOOT_AFTER, BOOT_AFTER_THAT, BOOTS };

struct scene {
	struct store_fixture fix;
	char boots[BOOTS][96];
};

static const char *check_store(void *arg, const char *dir, const uint64_t marks[POWERLOSS_MARKS])
{
	struct scene *scene = arg;
	char path[256];
	struct store_config config = scene->fix.config;
	const char *wrong;

	snprintf(path, sizeof(path), "%s/a/store", dir);
	config.dir = path;
	config.boot_id_path = scene->boots[BOOT_AFTER];
	wrong = look(&scene->fix, &config, marks[0], marks[1]);
	if (wrong != NULL)
		return wrong;
	/* It was left whole: nothing to find out anew, nothing lost. */
	config.boot_id_path = scene->boots[BOOT_AFTER_THAT];
	return look(&scene->fix, &config, OBJECTS, OBJECTS);
}

static int setup(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));

	assert_non_null(scene);
	fixture_init(&scene->fix);
	for (int i = 0; i < BOOTS; i++) {
		char id[32];
		int len = snprintf(id, sizeof(id), "boot-%d\n", i);

		snprintf(scene->boots[i], sizeof(scene->boots[i]), "%s/boot-%d", scene->fix.dir, i);
		assert_int_equal(io_replace_file(AT_FDCWD, scene->boots[i], id, (size_t)len), 0);
	}
	*state = scene;
	return 0;
}

static int teardown(void **state)
{
	struct scene *scene = *state;

	fixture_release(&scene->fix);
	free(scene);
	return 0;
}

static void session(struct scene *scene, struct powerloss *loss, int boot, uint64_t first,
		    uint64_t count)
{
	struct store_fixture *fix = &scene->fix;

	fix->config.boot_id_path = scene->boots[boot];
	fixture_open(fix);
	powerloss_mark(loss, 1, first + count);
	assert_true(fill(fix->store, fix->hasher, first, count));
	fixture_close(fix);
	powerloss_mark(loss, 0, first + count);
}

static void test_sessions(void **state)
{
	static const struct powerloss_plan plan = { .points_max = 120, .random = 6 };
	struct scene *scene = *state;
	struct powerloss *loss = powerloss_start(scene->fix.dir);

	session(scene, loss, BOOT_FIRST, 0, OBJECTS / 2);
	session(scene, loss, BOOT_FIRST, OBJECTS / 2, OBJECTS / 4);
	session(scene, loss, BOOT_SECOND, OBJECTS / 4 * 3, OBJECTS / 4);
	powerloss_stop(loss);
	assert_true(caught > 10);
	powerloss_each(loss, &plan, check_store, scene);
	powerloss_free(loss);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_sessions, setup, teardown),
	};

	return cmocka_run_group_tests_name("powerloss_store", tests, NULL, NULL);
}
