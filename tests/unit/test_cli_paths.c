/* Folders by the environment, names in them, and paths by their words. */
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

#include "cli/paths.h"
#include "failing_alloc.h"

static char top[64];

static int setup(void **state)
{
	(void)state;
	snprintf(top, sizeof(top), "/tmp/git-fs-paths-XXXXXX");
	return mkdtemp(top) == NULL;
}

static int teardown(void **state)
{
	(void)state;
	return rmdir(top);
}

static void clear_environment(void)
{
	static const char *const names[] = { "HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME",
					     "XDG_RUNTIME_DIR", "TMPDIR" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unsetenv(names[i]);
}

static void the_environment_decides(void **state)
{
	struct err err = ERR_INIT;
	struct paths paths;
	char want[128];

	(void)state;
	clear_environment();
	setenv("HOME", "/home/me", 1);
	assert_int_equal(paths_find(&paths, NULL, NULL, &err), 0);
	assert_string_equal(paths.cache, "/home/me/.cache/git-fs");
	assert_string_equal(paths.state, "/home/me/.local/state/git-fs");

	setenv("XDG_CACHE_HOME", "/x/cache", 1);
	setenv("XDG_STATE_HOME", "not/absolute", 1);
	setenv("XDG_RUNTIME_DIR", top, 1);
	assert_int_equal(paths_find(&paths, NULL, NULL, &err), 0);
	assert_string_equal(paths.cache, "/x/cache/git-fs");
	assert_string_equal(paths.state, "/home/me/.local/state/git-fs");
	snprintf(want, sizeof(want), "%s/git-fs", top);
	assert_string_equal(paths.runtime, want);

	unsetenv("HOME");
	assert_int_equal(paths_find(&paths, "/my//cache/", "/my/state", &err), 0);
	assert_string_equal(paths.cache, "/my/cache");
	assert_string_equal(paths.state, "/my/state");
}

static void no_home_is_told(void **state)
{
	struct err err = ERR_INIT;
	struct paths paths;

	(void)state;
	clear_environment();
	assert_int_equal(paths_find(&paths, NULL, "/s", &err), -ENOENT);
	assert_non_null(strstr(err.msg, "--cache-dir"));
	assert_int_equal(paths_find(&paths, "/c", NULL, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "--state-dir"));
}

/* A runtime folder that is not there is not made by us. */
static void a_missing_runtime_folder_is_passed_over(void **state)
{
	char runtime[PATH_MAX];

	(void)state;
	clear_environment();
	setenv("XDG_RUNTIME_DIR", "/nonexistent/run", 1);
	assert_int_equal(paths_find_runtime(runtime, NULL), 0);
	assert_null(strstr(runtime, "nonexistent"));
}

static void folders_are_private(void **state)
{
	struct err err = ERR_INIT;
	char dir[128], inner[160];
	struct stat st;

	(void)state;
	snprintf(dir, sizeof(dir), "%s/a", top);
	snprintf(inner, sizeof(inner), "%s/b", dir);
	assert_int_equal(paths_make(inner, true, &err), 0);
	assert_int_equal(stat(inner, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(paths_make(inner, true, &err), 0);

	assert_int_equal(chmod(inner, 0750), 0);
	assert_int_equal(paths_make(inner, false, &err), 0);
	assert_int_equal(paths_make(inner, true, &err), -EPERM);
	assert_non_null(strstr(err.msg, inner));
	assert_int_equal(rmdir(inner), 0);

	assert_int_equal(symlink("/tmp", inner), 0);
	assert_int_equal(paths_make(inner, true, &err), -ENOTDIR);
	assert_int_equal(unlink(inner), 0);
	assert_int_equal(rmdir(dir), 0);
	if (geteuid() == 0) {
		assert_int_equal(mkdir(dir, 0700), 0);
		assert_int_equal(chown(dir, 65534, 65534), 0);
		assert_int_equal(paths_make(dir, false, &err), -EPERM);
		assert_non_null(strstr(err.msg, "another user"));
		assert_int_equal(rmdir(dir), 0);
	}
}

static void names_tell_things_apart(void **state)
{
	struct paths paths = { .cache = "/c", .state = "/s", .runtime = "/r" };
	char a[PATH_MAX], b[PATH_MAX];

	(void)state;
	assert_int_equal(paths_store(&paths, "https://github.com/torvalds/linux", a), 0);
	assert_int_equal(strlen(a), strlen("/c/") + 16 + strlen("-github.com-torvalds-linux"));
	assert_non_null(strstr(a, "-github.com-torvalds-linux"));
	assert_int_equal(paths_store(&paths, "https://github.com/torvalds-linux", b), 0);
	assert_string_not_equal(a, b);
	assert_int_equal(paths_store(&paths, "https://github.com/torvalds/linux", b), 0);
	assert_string_equal(a, b);

	assert_int_equal(paths_tip(&paths, "u", "ref", a), 0);
	assert_int_equal(paths_tip(&paths, "ur", "ef", b), 0);
	assert_string_not_equal(a, b);
	assert_int_equal(strncmp(a, "/c/tips/", 8), 0);

	assert_int_equal(paths_mount_state(&paths, "u", "", "/m", a), 0);
	assert_int_equal(paths_mount_state(&paths, "u", "/m", "", b), 0);
	assert_string_not_equal(a, b);
	assert_int_equal(strncmp(a, "/s/mounts/", 10), 0);
	assert_int_equal(paths_socket("/r", 77, a), 0);
	assert_string_equal(a, "/r/77.sock");
}

static void long_urls_keep_their_end(void **state)
{
	struct paths paths = { .cache = "/c" };
	char url[3000];
	char path[PATH_MAX];

	(void)state;
	memset(url, 'x', sizeof(url));
	snprintf(url + sizeof(url) - 10, 10, "/\xff" "end.git");
	memcpy(url, "https://", 8);
	assert_int_equal(paths_store(&paths, url, path), 0);
	assert_true(strlen(path) < 100);
	assert_string_equal(path + strlen(path) - 10, "x--end.git");

	memset(paths.cache, 'y', sizeof(paths.cache) - 20);
	assert_int_equal(paths_store(&paths, url, path), -ENAMETOOLONG);
}

static void paths_become_absolute(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "/", "/" }, { "//", "/" }, { "/a/b/", "/a/b" }, { "/a/./b//c", "/a/b/c" },
		{ "/a/../b", "/b" }, { "/..", "/" }, { "/../../a", "/a" }, { "x", "/cwd/in/x" },
		{ ".", "/cwd/in" }, { "..", "/cwd" }, { "../../../..", "/" }, { "", "/cwd/in" },
		{ "/a/..b/.c/...", "/a/..b/.c/..." },
	};
	char out[PATH_MAX];
	char text[PATH_MAX + 2];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(paths_absolute(out, "/cwd/in", cases[i].text), 0);
		assert_string_equal(out, cases[i].want);
	}
	snprintf(out, sizeof(out), "/same/buffer");
	assert_int_equal(paths_absolute(out, out, ".."), 0);
	assert_string_equal(out, "/same");
	memset(text, 'a', sizeof(text));
	text[0] = '/';
	text[PATH_MAX] = '\0';
	assert_int_equal(paths_absolute(out, "/", text), -ENAMETOOLONG);
	assert_string_equal(out, "/same");
	text[PATH_MAX - 1] = '\0';
	assert_int_equal(paths_absolute(out, "/", text), 0);
	assert_string_equal(out, text);
}

static void within_goes_by_whole_names(void **state)
{
	(void)state;
	assert_true(paths_within("/a/b", "/a"));
	assert_true(paths_within("/a", "/a"));
	assert_true(paths_within("/a", "/"));
	assert_false(paths_within("/ab", "/a"));
	assert_false(paths_within("/", "/a"));
}

static void naming_survives_the_loss_of_memory(void **state)
{
	struct paths paths = { .cache = "/c" };
	bool failed = true;

	(void)state;
	for (long nth = 1; failed; nth++) {
		char path[PATH_MAX];
		int ret;

		failing_alloc_arm(nth);
		ret = paths_store(&paths, "https://h/o/n", path);
		failed = failing_alloc_disarm();
		assert_int_equal(ret, failed ? -ENOMEM : 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_environment_decides, setup, teardown),
		cmocka_unit_test(no_home_is_told),
		cmocka_unit_test(a_missing_runtime_folder_is_passed_over),
		cmocka_unit_test_setup_teardown(folders_are_private, setup, teardown),
		cmocka_unit_test(names_tell_things_apart),
		cmocka_unit_test(long_urls_keep_their_end),
		cmocka_unit_test(paths_become_absolute),
		cmocka_unit_test(within_goes_by_whole_names),
		cmocka_unit_test(naming_survives_the_loss_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
