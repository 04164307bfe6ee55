/* What daemons tell of changes, read back: lists, exports, overlays; the rules of a mount. */
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

#include "base/err.h"
#include "cli/change_list.h"
#include "cli/export_list.h"
#include "cli/overlays.h"
#include "cli/rules.h"
#include "cli/tempdir.h"
#include "failing_alloc.h"

#define ID_A "1111111111111111111111111111111111111111"
#define ID_B "2222222222222222222222222222222222222222"

/* --- changes --- */

static void changes_are_read(void **state)
{
	struct change_list list = CHANGE_LIST_INIT;

	(void)state;
	assert_int_equal(change_list_take(&list, "note", "too many rules"), 0);
	assert_int_equal(change_list_take(&list, "change", "added 0 100755 12 1 a b\nc"), 0);
	assert_int_equal(change_list_take(&list, "change", "renamed 100644 100644 7 0 new"), 0);
	assert_int_equal(change_list_take(&list, "from", "old \xff"), 0);
	assert_int_equal(change_list_take(&list, "change", "modified 100644 120000 3 1 x"), 0);
	assert_int_equal(change_list_take(&list, "change", "held 0 100644 1000 1 y"), 0);
	assert_int_equal(change_list_take(&list, "change", "ignored 0 100644 5 1 z"), 0);
	assert_int_equal(list.count, 5);
	assert_string_equal(list.note, "too many rules");
	assert_int_equal(list.items[0].kind, DIFFERENCE_ADDED);
	assert_string_equal(list.items[0].path, "a b\nc");
	assert_null(list.items[0].old_path);
	assert_int_equal(list.items[0].mode, 0100755);
	assert_true(list.items[0].contents);
	assert_string_equal(list.items[1].old_path, "old \xff");
	assert_false(list.items[1].contents);
	assert_int_equal(list.items[2].old_mode, 0100644);
	assert_int_equal(change_list_count(&list, DIFFERENCE_RENAMED), 1);
	assert_int_equal(change_list_count(&list, DIFFERENCE_DELETED), 0);
	/* What was only moved carries no bytes, what is held or ignored none to a commit. */
	assert_int_equal(change_list_bytes(&list), 12 + 3);
	change_list_release(&list);
}

static void every_kind_has_a_word(void **state)
{
	(void)state;
	for (size_t i = 0; i < DIFFERENCE_KINDS; i++) {
		struct change_list list = CHANGE_LIST_INIT;
		char line[64];

		snprintf(line, sizeof(line), "%s 0 0 0 0 p", difference_words[i]);
		assert_int_equal(change_list_take(&list, "change", line), 0);
		assert_int_equal(list.items[0].kind, i);
		change_list_release(&list);
	}
}

static void bad_changes_are_refused(void **state)
{
	static const char *const lines[] = {
		"", "added", "added ", "added 0 100644 1 1", "added 0 100644 1 1 ",
		"new 0 100644 1 1 p", "added 8 100644 1 1 p", "added 0 12345678 1 1 p",
		"added 0 100644 x 1 p", "added 0 100644 1 2 p", "added 0 100644 -1 1 p",
	};
	struct change_list list = CHANGE_LIST_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_int_equal(change_list_take(&list, "change", lines[i]), ERR_PROTOCOL);
	assert_int_equal(change_list_take(&list, "from", "before any change"), ERR_PROTOCOL);
	assert_int_equal(change_list_take(&list, "finding", "another reply's"), ERR_PROTOCOL);
	assert_int_equal(list.count, 0);
	assert_int_equal(change_list_take(&list, "change", "added 0 100644 1 1 p"), 0);
	assert_int_equal(change_list_take(&list, "from", ""), ERR_PROTOCOL);
	assert_int_equal(change_list_take(&list, "from", "a"), 0);
	assert_int_equal(change_list_take(&list, "from", "twice"), ERR_PROTOCOL);
	change_list_release(&list);
}

static void long_lists_are_kept(void **state)
{
	struct change_list list = CHANGE_LIST_INIT;
	char line[64];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		snprintf(line, sizeof(line), "added 0 100644 1 1 path-%d", i);
		assert_int_equal(change_list_take(&list, "change", line), 0);
	}
	assert_int_equal(list.count, 1000);
	assert_string_equal(list.items[999].path, "path-999");
	assert_int_equal(change_list_bytes(&list), 1000);
	change_list_release(&list);
}

/* --- exports --- */

static void exports_become_trees(void **state)
{
	static const char wanted_old[] = "100644 " ID_B "\ta b\0" "160000 " ID_A "\tmodule";
	static const char wanted_new[] = "100755 " ID_A "\tnew\nline";
	struct export_list list = EXPORT_LIST_INIT;
	AUTO_BUF struct buf ids = BUF_INIT;
	AUTO_BUF struct buf out = BUF_INIT;

	(void)state;
	assert_int_equal(buf_append_str(&ids, ID_A "\n" ID_B "\n"), 0);
	assert_int_equal(export_list_take(&list, "old", "100644 2 a b"), 0);
	assert_int_equal(export_list_take(&list, "new", "100755 1 new\nline"), 0);
	assert_int_equal(export_list_take(&list, "old", "160000 =" ID_A " module"), 0);
	assert_int_equal(list.files, 2);
	assert_int_equal(export_list_index(&list, EXPORT_OLD, &ids, &out), 0);
	assert_int_equal(out.len, sizeof(wanted_old));
	assert_memory_equal(out.data, wanted_old, sizeof(wanted_old));
	buf_clear(&out);
	assert_int_equal(export_list_index(&list, EXPORT_NEW, &ids, &out), 0);
	assert_int_equal(out.len, sizeof(wanted_new));
	assert_memory_equal(out.data, wanted_new, sizeof(wanted_new));
	export_list_release(&list);
}

static void bad_exports_are_refused(void **state)
{
	static const char *const lines[] = {
		"", "100644", "100644 1", "100644 1 ", "100644 0 p", "100648 1 p", "10064 1 p",
		"100644 =1 p", "100644 = p", "100644 x p", "100644 -1 p",
	};
	struct export_list list = EXPORT_LIST_INIT;
	AUTO_BUF struct buf ids = BUF_INIT;
	AUTO_BUF struct buf out = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_int_equal(export_list_take(&list, "old", lines[i]), ERR_PROTOCOL);
	assert_int_equal(export_list_take(&list, "older", "100644 1 p"), ERR_PROTOCOL);
	assert_int_equal(list.count, 0);
	/* git gave fewer ids than there are files, or none. */
	assert_int_equal(export_list_take(&list, "old", "100644 2 p"), 0);
	assert_int_equal(export_list_index(&list, EXPORT_OLD, &ids, &out), ERR_PROTOCOL);
	assert_int_equal(buf_append_str(&ids, ID_A "\n"), 0);
	assert_int_equal(export_list_index(&list, EXPORT_OLD, &ids, &out), ERR_PROTOCOL);
	assert_int_equal(buf_append_str(&ids, "fatal: what git says instead of an id     \n"), 0);
	assert_int_equal(export_list_index(&list, EXPORT_OLD, &ids, &out), ERR_PROTOCOL);
	export_list_release(&list);
}

/* --- overlays --- */

static const char info[] = "repository=https://example.org/a/b.git\nref=refs/heads/main\n"
			   "overlay=default\nmount_point=/srv/a/b c\nhash=sha256\nnext=1\n";

static void overlays_say_whose_they_are(void **state)
{
	struct overlay overlay;

	(void)state;
	assert_int_equal(overlay_parse(info, strlen(info), &overlay), 0);
	assert_string_equal(overlay.repository, "https://example.org/a/b.git");
	assert_string_equal(overlay.ref, "refs/heads/main");
	assert_string_equal(overlay.name, "default");
	assert_string_equal(overlay.mount_point, "/srv/a/b c");
	assert_int_equal(overlay.algo, HASH_SHA256);
	overlay_release(&overlay);
	/* Cut off anywhere, something is missing, but for what is not known. */
	for (size_t len = 0; len < strlen(info) - strlen("next=1\n"); len++)
		assert_int_equal(overlay_parse(info, len, &overlay), ERR_CORRUPT);
}

static void bad_overlays_are_refused(void **state)
{
	static const char with_nul[] =
		"repository=a\0\nref=b\noverlay=c\nmount_point=d\nhash=sha1\n";
	static const char *const texts[] = {
		"repository=a\nref=b\noverlay=c\nmount_point=d\nhash=md5\n",
		"repository=a\nref=b\noverlay=c\nmount_point=d\n",
		"ref=b\noverlay=c\nmount_point=d\nhash=sha1\n",
	};
	struct overlay overlay;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(overlay_parse(texts[i], strlen(texts[i]), &overlay), ERR_CORRUPT);
	assert_int_equal(overlay_parse(with_nul, sizeof(with_nul) - 1, &overlay), ERR_CORRUPT);
}

/* --- rules --- */

static char top[64];

static int setup(void **state)
{
	(void)state;
	snprintf(top, sizeof(top), "/tmp/git-fs-rules-XXXXXX");
	return mkdtemp(top) == NULL;
}

static void write_file(const char *name, const char *text)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", top, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int teardown(void **state)
{
	static const char *const names[] = { "exclude", "everywhere" };
	char path[128];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", top, names[i]);
		unlink(path);
	}
	return rmdir(top);
}

static bool excluded(const struct rules *rules, size_t which, const char *path)
{
	const struct ignore_list *list = rules->differences.everywhere[which];

	return list != NULL && ignore_match(list, path, strlen(path), false) == IGNORE_EXCLUDED;
}

static void rules_come_from_three_places(void **state)
{
	struct config_rules config = { .local_only = "  *.swp\t#odd#  !not ", .file_max = 77 };
	struct rules rules;

	(void)state;
	snprintf(config.excludes_file, sizeof(config.excludes_file), "%s/everywhere", top);
	write_file("everywhere", "*.log\n");
	write_file("exclude", "/own\n");
	assert_int_equal(rules_load(&rules, &config, top, "/elsewhere"), 0);
	assert_string_equal(rules.note, "");
	assert_int_equal(rules.differences.size_max, 77);
	assert_true(excluded(&rules, 0, "a.log"));
	assert_true(excluded(&rules, 1, "own"));
	assert_true(excluded(&rules, 2, "a.swp"));
	assert_true(excluded(&rules, 2, "#odd#"));
	assert_true(excluded(&rules, 2, "!not"));
	assert_false(excluded(&rules, 2, "not"));
	rules_release(&rules);
	/* A file in the mount itself is not read: who answers would ask himself. */
	assert_int_equal(rules_load(&rules, &config, top, top), 0);
	assert_null(rules.differences.everywhere[0]);
	rules_release(&rules);
}

static void missing_rules_are_none(void **state)
{
	struct config_rules config = { .local_only = "" };
	struct rules rules;

	(void)state;
	assert_int_equal(rules_load(&rules, &config, top, "/elsewhere"), 0);
	assert_string_equal(rules.note, "");
	assert_null(rules.differences.everywhere[0]);
	assert_false(excluded(&rules, 2, "a.swp"));
	rules_release(&rules);
}

static void too_many_rules_are_told(void **state)
{
	struct config_rules config = { .local_only = "" };
	struct rules rules;
	char path[128];
	FILE *file;

	(void)state;
	snprintf(path, sizeof(path), "%s/exclude", top);
	file = fopen(path, "w");
	assert_non_null(file);
	for (int i = 0; i <= IGNORE_RULES_MAX; i++)
		fprintf(file, "%d\n", i);
	fclose(file);
	assert_int_equal(rules_load(&rules, &config, top, "/elsewhere"), 0);
	assert_non_null(strstr(rules.note, "/exclude are not used: there are too many"));
	assert_null(rules.differences.everywhere[1]);
	rules_release(&rules);
}

static void rules_survive_the_loss_of_memory(void **state)
{
	struct config_rules config = { .local_only = CONFIG_LOCAL_ONLY };
	bool failed = true;

	(void)state;
	write_file("exclude", "a\nb/\n!c\n");
	for (long nth = 1; failed; nth++) {
		struct rules rules;
		int ret;

		failing_alloc_arm(nth);
		ret = rules_load(&rules, &config, top, "/elsewhere");
		failed = failing_alloc_disarm();
		assert_true(ret == -ENOMEM || ret == 0);
		assert_true(failed || ret == 0);
		if (ret == 0)
			rules_release(&rules);
	}
}

/* --- temporary folders --- */

static void a_folder_goes_with_all_that_is_in_it(void **state)
{
	struct mount_table table = MOUNT_TABLE_INIT;
	struct err err = ERR_INIT;
	char path[PATH_MAX];
	char inner[PATH_MAX + 32];
	struct stat st;

	(void)state;
	setenv("TMPDIR", top, 1);
	assert_int_equal(tempdir_make(&table, path, &err), 0);
	unsetenv("TMPDIR");
	assert_int_equal(strncmp(path, top, strlen(top)), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	snprintf(inner, sizeof(inner), "%s/a", path);
	assert_int_equal(mkdir(inner, 0700), 0);
	snprintf(inner, sizeof(inner), "%s/a/b", path);
	assert_int_equal(mkdir(inner, 0700), 0);
	snprintf(inner, sizeof(inner), "%s/a/b/link", path);
	assert_int_equal(symlink("/", inner), 0);
	assert_int_equal(tempdir_remove(path), 0);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(tempdir_remove(path), -ENOENT);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(changes_are_read),
		cmocka_unit_test(every_kind_has_a_word),
		cmocka_unit_test(bad_changes_are_refused),
		cmocka_unit_test(long_lists_are_kept),
		cmocka_unit_test(exports_become_trees),
		cmocka_unit_test(bad_exports_are_refused),
		cmocka_unit_test(overlays_say_whose_they_are),
		cmocka_unit_test(bad_overlays_are_refused),
		IN_FOLDER(rules_come_from_three_places),
		IN_FOLDER(missing_rules_are_none),
		IN_FOLDER(too_many_rules_are_told),
		IN_FOLDER(rules_survive_the_loss_of_memory),
		IN_FOLDER(a_folder_goes_with_all_that_is_in_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
