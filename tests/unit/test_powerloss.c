/*
 * The recorder and its states against programs whose mistakes are known: each of
 * them must be found, and a right one pass. What is right for io_replace_file().
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "powerloss.h"

static const struct powerloss_plan plan = { .random = 40 };

struct scene {
	char dir[64];
	struct powerloss *loss;
	int dirfd;
};

static int enter(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	const char *tmp = getenv("TMPDIR");

	snprintf(scene->dir, sizeof(scene->dir), "%s/git-fs-test-XXXXXX",
		 tmp != NULL ? tmp : "/tmp");
	if (mkdtemp(scene->dir) == NULL)
		return -1;
	scene->dirfd = io_open(AT_FDCWD, scene->dir, O_RDONLY | O_DIRECTORY, 0);
	*state = scene;
	return scene->dirfd < 0;
}

static int leave(void **state)
{
	struct scene *scene = *state;
	char command[128];

	powerloss_free(scene->loss);
	io_close(&scene->dirfd);
	snprintf(command, sizeof(command), "rm -rf -- '%s'", scene->dir);
	if (system(command) != 0)
		return -1;
	free(scene);
	return 0;
}

/* Version `number` of a file: some pages, all of its digit. */
#define FILE_BYTES 9000U

static void fill(char *data, uint64_t number)
{
	memset(data, (int)('0' + number), FILE_BYTES);
}

/* A file that is replaced is there, in one of its versions from the promised one on. */
static const char *check_version(void *arg, const char *dir,
				 const uint64_t marks[POWERLOSS_MARKS])
{
	AUTO_BUF struct buf data = BUF_INIT;
	AUTO_CLOSE int dirfd = io_open(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY, 0);
	char expected[FILE_BYTES];
	int rc = io_read_file(dirfd, "f", &data);

	(void)arg;
	if (rc == -ENOENT)
		return marks[0] == 0 ? NULL : "the file is gone";
	if (rc < 0 || data.len != FILE_BYTES)
		return "the file is cut";
	if (data.data[0] < '0' || (uint64_t)(data.data[0] - '0') < marks[0])
		return "the file is older than promised";
	fill(expected, (uint64_t)(data.data[0] - '0'));
	return memcmp(data.data, expected, FILE_BYTES) == 0 ? NULL : "the file is torn";
}

enum flaw { NO_FLAW, NO_FILE_SYNC, NO_FOLDER_SYNC, SYNC_TOO_EARLY, NO_RENAME };

/* io_replace_file() again, with a flaw. */
static void replace(const struct scene *scene, uint64_t number, enum flaw flaw)
{
	const char *name = flaw == NO_RENAME ? "f" : "temp";
	AUTO_CLOSE int fd = io_open(scene->dirfd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	char data[FILE_BYTES];

	fill(data, number);
	if (flaw == SYNC_TOO_EARLY)
		assert_int_equal(io_sync_data(fd), 0);
	assert_int_equal(io_write(fd, data, FILE_BYTES), 0);
	if (flaw != NO_FILE_SYNC && flaw != SYNC_TOO_EARLY)
		assert_int_equal(io_sync_data(fd), 0);
	if (flaw != NO_RENAME)
		assert_int_equal(io_rename(scene->dirfd, "temp", "f"), 0);
	if (flaw != NO_FOLDER_SYNC)
		assert_int_equal(io_sync(scene->dirfd), 0);
}

static void record_replacements(struct scene *scene, enum flaw flaw)
{
	powerloss_free(scene->loss);
	scene->loss = powerloss_start(scene->dir);
	for (uint64_t number = 1; number <= 3; number++) {
		replace(scene, number, flaw);
		powerloss_mark(scene->loss, 0, number);
	}
	powerloss_stop(scene->loss);
}

static void flaws_of_a_replacement_are_found(void **state)
{
	struct scene *scene = *state;
	char words[POWERLOSS_WORDS];

	record_replacements(scene, NO_FLAW);
	assert_true(powerloss_each(scene->loss, &plan, check_version, NULL) > 10);
	for (enum flaw flaw = NO_FILE_SYNC; flaw <= NO_RENAME; flaw++) {
		assert_int_equal(unlinkat(scene->dirfd, "f", 0), 0);
		record_replacements(scene, flaw);
		assert_true(powerloss_finds(scene->loss, &plan, check_version, NULL, words));
		assert_non_null(strstr(words, "GIT_FS_SEED="));
	}
}

static void a_replaced_file_is_the_old_or_the_new_one(void **state)
{
	struct scene *scene = *state;
	char data[FILE_BYTES];

	fill(data, 0);
	assert_int_equal(io_replace_file(scene->dirfd, "f", data, FILE_BYTES), 0);
	scene->loss = powerloss_start(scene->dir);
	for (uint64_t number = 1; number <= 3; number++) {
		fill(data, number);
		assert_int_equal(io_replace_file(scene->dirfd, "f", data, FILE_BYTES), 0);
		powerloss_mark(scene->loss, 0, number);
	}
	powerloss_stop(scene->loss);
	powerloss_each(scene->loss, &plan, check_version, NULL);
}

/* What is looked for among the states: each of these must come up, and no other. */
struct shapes {
	const char *wanted[13]; /* ends with NULL */
	bool found[13];
};

static const char *check_shape(void *arg, const char *dir, const uint64_t marks[POWERLOSS_MARKS])
{
	AUTO_BUF struct buf data = BUF_INIT;
	AUTO_CLOSE int dirfd = io_open(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY, 0);
	struct shapes *shapes = arg;
	char shape[64] = "";
	int rc = io_read_file(dirfd, "f", &data);

	if (marks[0] == 0)
		return NULL;
	if (rc == -ENOENT)
		strcpy(shape, "gone");
	/* A letter for each sector; '0' for zeros. */
	for (size_t at = 0; at < data.len; at += 512)
		shape[at / 512] = data.data[at] != 0 ? (char)data.data[at] : '0';
	for (size_t i = 0; shapes->wanted[i] != NULL; i++) {
		if (strcmp(shapes->wanted[i], shape) == 0) {
			shapes->found[i] = true;
			return NULL;
		}
	}
	print_message("not expected: '%s'\n", shape);
	return "a state that cannot be";
}

static void write_sectors(int fd, char letter, uint64_t first, uint64_t count)
{
	char sector[512];

	memset(sector, letter, sizeof(sector));
	for (uint64_t i = first; i < first + count; i++)
		assert_int_equal(io_pwrite(fd, sector, sizeof(sector), i * sizeof(sector)), 0);
}

static void expect_shapes(struct scene *scene, struct shapes *shapes)
{
	static const struct powerloss_plan many = { .random = 2000 };

	powerloss_mark(scene->loss, 0, 1);
	powerloss_stop(scene->loss);
	powerloss_each(scene->loss, &many, check_shape, shapes);
	for (size_t i = 0; shapes->wanted[i] != NULL; i++) {
		if (!shapes->found[i])
			fail_msg("no state '%s'", shapes->wanted[i]);
	}
}

static void sectors_are_kept_lost_and_out_of_order(void **state)
{
	struct scene *scene = *state;
	struct shapes shapes = { .wanted = { "aa", "ab", "ba", "bb", "aac", "abc", "bac", "bbc",
					     "aa0", "ab0", "ba0", "bb0" } };
	AUTO_CLOSE int fd = io_open(scene->dirfd, "f", O_RDWR | O_CREAT, 0600);

	write_sectors(fd, 'a', 0, 2); /* before the recording: kept */
	scene->loss = powerloss_start(scene->dir);
	write_sectors(fd, 'b', 0, 2);
	write_sectors(fd, 'c', 2, 1);
	expect_shapes(scene, &shapes);
}

static void what_is_synced_is_kept_and_names_are_not_contents(void **state)
{
	struct scene *scene = *state;
	struct shapes shapes = { .wanted = { "gone", "bc", "b", "b0" } };
	AUTO_CLOSE int fd = -1;

	scene->loss = powerloss_start(scene->dir);
	fd = io_open(scene->dirfd, "f", O_RDWR | O_CREAT, 0600);
	write_sectors(fd, 'a', 0, 2);
	write_sectors(fd, 'b', 0, 1);
	assert_int_equal(io_truncate(fd, 512), 0);
	assert_int_equal(io_sync_data(fd), 0);
	write_sectors(fd, 'c', 1, 1);
	expect_shapes(scene, &shapes);
}

static void names_change_whole_and_on_their_own(void **state)
{
	struct scene *scene = *state;
	/* The new file has come to its name, or not; the old one is gone, or not. */
	struct shapes shapes = { .wanted = { "a", "b" } };
	AUTO_CLOSE int old = io_open(scene->dirfd, "f", O_RDWR | O_CREAT, 0600);
	AUTO_CLOSE int new = io_open(scene->dirfd, "g", O_RDWR | O_CREAT, 0600);

	write_sectors(old, 'a', 0, 1);
	write_sectors(new, 'b', 0, 1);
	scene->loss = powerloss_start(scene->dir);
	assert_int_equal(io_rename(scene->dirfd, "g", "f"), 0);
	expect_shapes(scene, &shapes);
	powerloss_free(scene->loss);

	shapes = (struct shapes){ .wanted = { "gone", "b" } };
	scene->loss = powerloss_start(scene->dir);
	assert_int_equal(io_unlink(scene->dirfd, "f"), 0);
	expect_shapes(scene, &shapes);
	powerloss_free(scene->loss);

	shapes = (struct shapes){ .wanted = { "gone" } };
	scene->loss = powerloss_start(scene->dir);
	assert_int_equal(io_mkdir(scene->dirfd, "d", 0700), 0);
	assert_int_equal(io_sync(scene->dirfd), 0);
	expect_shapes(scene, &shapes);
}

static void holes_and_sizes_are_changes_too(void **state)
{
	struct scene *scene = *state;
	struct shapes shapes = { .wanted = { "aa", "a0", "aa0", "a00" } };
	AUTO_CLOSE int fd = io_open(scene->dirfd, "f", O_RDWR | O_CREAT, 0600);

	write_sectors(fd, 'a', 0, 2);
	scene->loss = powerloss_start(scene->dir);
	assert_int_equal(io_fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 512, 512), 0);
	assert_int_equal(io_fallocate(fd, 0, 0, 1536), 0);
	expect_shapes(scene, &shapes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(flaws_of_a_replacement_are_found, enter, leave),
		cmocka_unit_test_setup_teardown(a_replaced_file_is_the_old_or_the_new_one, enter,
						leave),
		cmocka_unit_test_setup_teardown(sectors_are_kept_lost_and_out_of_order, enter,
						leave),
		cmocka_unit_test_setup_teardown(what_is_synced_is_kept_and_names_are_not_contents,
						enter, leave),
		cmocka_unit_test_setup_teardown(names_change_whole_and_on_their_own, enter, leave),
		cmocka_unit_test_setup_teardown(holes_and_sizes_are_changes_too, enter, leave),
	};

	return cmocka_run_group_tests_name("powerloss", tests, NULL, NULL);
}
