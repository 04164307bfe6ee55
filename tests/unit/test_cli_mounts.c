/* mountinfo: lines, escapes, what lies on top, paths that touch no mount. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/mounts.h"
#include "failing_alloc.h"

static const char sample[] =
	"21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
	"36 21 0:30 / /mnt rw shared:2 master:3 - tmpfs  rw\n"
	"40 36 0:45 / /mnt/a\\040b\\134c\\012d\\043 ro - fuse.git-fs https://h/o/n ro,user_id=0\n"
	"41 40 0:46 / /mnt/in rw - fuse.git-fs /a\\011b rw\n"
	"42 41 0:47 / /mnt/in rw - tmpfs tmpfs rw\n"
	"43 21 0:45 /sub /other ro - fuse.git-fs https://h/o/n ro\n";

static void parse(struct mount_table *table, const char *text)
{
	struct buf copy = BUF_INIT;

	assert_int_equal(buf_append_str(&copy, text), 0);
	assert_int_equal(mount_table_parse(table, &copy), 0);
	assert_null(copy.data);
}

static void lines_are_read(void **state)
{
	struct mount_table table = MOUNT_TABLE_INIT;

	(void)state;
	parse(&table, sample);
	assert_int_equal(table.count, 6);
	assert_string_equal(table.entries[0].mount_point, "/");
	assert_string_equal(table.entries[0].type, "ext4");
	assert_int_equal(table.entries[0].major, 8);
	assert_int_equal(table.entries[0].minor, 1);
	assert_string_equal(table.entries[1].source, "");
	assert_string_equal(table.entries[2].mount_point, "/mnt/a b\\c\nd#");
	assert_string_equal(table.entries[2].source, "https://h/o/n");
	assert_string_equal(table.entries[3].source, "/a\tb");
	assert_true(mount_entry_is_ours(&table.entries[2]));
	assert_false(mount_entry_is_ours(&table.entries[1]));
	assert_false(mount_entry_is_ours(NULL));
	mount_table_release(&table);
}

static void what_is_on_top_is_found(void **state)
{
	struct mount_table table = MOUNT_TABLE_INIT;
	const struct mount_entry *all;

	(void)state;
	parse(&table, sample);
	all = table.entries;
	assert_ptr_equal(mount_table_at(&table, "/mnt/in"), &all[4]);
	assert_null(mount_table_at(&table, "/mnt/in/x"));
	assert_ptr_equal(mount_table_containing(&table, "/mnt/in/x"), &all[4]);
	assert_ptr_equal(mount_table_containing(&table, "/mnt/inner"), &all[1]);
	assert_ptr_equal(mount_table_containing(&table, "/mnt/a b\\c\nd#/e"), &all[2]);
	assert_ptr_equal(mount_table_containing(&table, "/etc"), &all[0]);
	assert_true(mount_table_has_device(&table, 0, 47));
	assert_false(mount_table_has_device(&table, 0, 48));
	mount_table_release(&table);
}

static void bad_lines_are_refused(void **state)
{
	static const char *const lines[] = {
		"x", "21 1 8:1 / /", "21 1 8 / / rw - ext4 s rw", "21 1 8:x / / rw - ext4 s rw",
		"21 1 8:1 / / rw shared:1", "21 1 8:1 / / rw -", "\n",
		"21 1 8:99999999999 / / rw - ext4 s rw",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct mount_table table = MOUNT_TABLE_INIT;
		struct buf copy = BUF_INIT;

		assert_int_equal(buf_append_str(&copy, lines[i]), 0);
		assert_int_equal(mount_table_parse(&table, &copy), ERR_PROTOCOL);
		assert_null(table.entries);
	}
}

static void this_machine_is_read(void **state)
{
	struct mount_table table = MOUNT_TABLE_INIT;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(mount_table_read(&table, &err), 0);
	assert_non_null(mount_table_containing(&table, "/"));
	assert_non_null(mount_table_at(&table, "/proc"));
	mount_table_release(&table);
}

static void parsing_survives_the_loss_of_memory(void **state)
{
	bool failed = true;

	(void)state;
	for (long nth = 1; failed; nth++) {
		struct mount_table table = MOUNT_TABLE_INIT;
		struct buf copy = BUF_INIT;
		int ret;

		assert_int_equal(buf_append_str(&copy, sample), 0);
		failing_alloc_arm(nth);
		ret = mount_table_parse(&table, &copy);
		failed = failing_alloc_disarm();
		assert_int_equal(ret, failed ? -ENOMEM : 0);
		mount_table_release(&table);
		buf_release(&copy);
	}
}

/* --- paths, in a folder with links --- */

static char top[PATH_MAX];

static int setup(void **state)
{
	char made[] = "/tmp/git-fs-mounts-XXXXXX";

	(void)state;
	if (mkdtemp(made) == NULL || realpath(made, top) == NULL || chdir(top) < 0)
		return -1;
	return mkdir("real", 0700) < 0 || mkdir("real/in", 0700) < 0 ||
	       symlink("real", "link") < 0 || symlink("link/in", "second") < 0 ||
	       symlink("loop", "loop") < 0 || symlink("../mount/x", "real/to-mount") < 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink("real/to-mount");
	unlink("loop");
	unlink("second");
	unlink("link");
	return rmdir("real/in") < 0 || rmdir("real") < 0 || chdir("/") < 0 || rmdir(top) < 0;
}

static void expect(const struct mount_table *table, const char *text, const char *below_top)
{
	char want[PATH_MAX + 64];
	char got[PATH_MAX];
	struct err err = ERR_INIT;

	snprintf(want, sizeof(want), "%s%s%s", top, below_top[0] != '\0' ? "/" : "", below_top);
	assert_int_equal(mounts_resolve(table, text, got, &err), 0);
	assert_string_equal(got, want);
}

static void paths_are_resolved(void **state)
{
	struct mount_table table = MOUNT_TABLE_INIT;
	char text[PATH_MAX + 256];
	char got[PATH_MAX];
	struct err err = ERR_INIT;

	(void)state;
	/* "mount" does not exist: looking at it would not find what is told here. */
	snprintf(text, sizeof(text),
		 "1 0 8:1 / / rw - ext4 s rw\n2 1 0:9 / %s/mount ro - fuse.git-fs s ro\n", top);
	parse(&table, text);
	expect(&table, ".", "");
	expect(&table, "real/../real/./in//", "real/in");
	expect(&table, "link", "real");
	expect(&table, "link/in", "real/in");
	expect(&table, "second", "real/in");
	expect(&table, "missing", "missing");
	expect(&table, "mount", "mount");
	expect(&table, "mount/some/file", "mount/some/file");
	expect(&table, "link/to-mount", "mount/x");
	assert_int_equal(mounts_resolve(&table, "loop", got, &err), -ELOOP);
	assert_int_equal(mounts_resolve(&table, "", got, &err), -ENOENT);
	mount_table_release(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_read),
		cmocka_unit_test(what_is_on_top_is_found),
		cmocka_unit_test(bad_lines_are_refused),
		cmocka_unit_test(this_machine_is_read),
		cmocka_unit_test(parsing_survives_the_loss_of_memory),
		cmocka_unit_test_setup_teardown(paths_are_resolved, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
