/* Settings: what git prints, parsed; and git itself asked about a URL. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "cli/config.h"
#include "failing_alloc.h"

#define PARSE(config, text, err) config_parse(config, text, sizeof(text) - 1, err)

static void all_keys_are_read(void **state)
{
	struct config config;

	(void)state;
	setenv("HOME", "/home/somebody", 1);
	config_init(&config);
	assert_int_equal(PARSE(&config,
			       "fs.defaulthost\nexample.org\0"
			       "fs.timeout\n7\0"
			       "fs.connections\n2\0"
			       "fs.allowother\0"
			       "fs.cachedir\n~/cache\0"
			       "fs.statedir\n/var/state\0"
			       "fs.localonly\n*.swp\0", NULL),
			 0);
	assert_string_equal(config.default_host, "example.org");
	assert_int_equal(config.timeout_s, 7);
	assert_int_equal(config.connections, 2);
	assert_true(config.allow_other);
	assert_string_equal(config.cache_dir, "/home/somebody/cache");
	assert_string_equal(config.state_dir, "/var/state");
}

static void nothing_set_gives_the_defaults(void **state)
{
	struct config config;

	(void)state;
	config_init(&config);
	assert_int_equal(config_parse(&config, "", 0, NULL), 0);
	assert_string_equal(config.default_host, "github.com");
	assert_int_equal(config.timeout_s, CONFIG_TIMEOUT_S);
	assert_int_equal(config.connections, 4);
	assert_false(config.allow_other);
	assert_string_equal(config.cache_dir, "");
	assert_string_equal(config.state_dir, "");
}

static void truth_has_many_names(void **state)
{
	static const struct {
		const char *text;
		bool truth;
	} cases[] = {
		{ "fs.allowother\nTrue", true }, { "fs.allowother\nyes", true },
		{ "fs.allowother\non", true },   { "fs.allowother\n1", true },
		{ "fs.allowother\nfalse", false }, { "fs.allowother\nNO", false },
		{ "fs.allowother\noff", false }, { "fs.allowother\n0", false },
		{ "fs.allowother\n", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct config config;

		config_init(&config);
		config.allow_other = !cases[i].truth;
		assert_int_equal(config_parse(&config, cases[i].text, strlen(cases[i].text) + 1,
					      NULL),
				 0);
		assert_int_equal(config.allow_other, cases[i].truth);
	}
}

static void bad_values_are_named(void **state)
{
	static const struct {
		const char *text, *key, *value;
	} cases[] = {
		{ "fs.timeout\nabc", "fs.timeout", "'abc'" },
		{ "fs.timeout\n0", "fs.timeout", "'0'" },
		{ "fs.timeout", "fs.timeout", "'true'" },
		{ "fs.connections\n5", "fs.connections", "'5'" },
		{ "fs.allowother\nmaybe", "fs.allowOther", "'maybe'" },
		{ "fs.cachedir\nrelative/path", "fs.cacheDir", "'relative/path'" },
		{ "fs.statedir\n", "fs.stateDir", "''" },
		{ "fs.defaulthost\n-oops", "fs.defaultHost", "'-oops'" },
		{ "fs.defaulthost\na/b", "fs.defaultHost", "'a/b'" },
		{ "fs.defaulthost\n", "fs.defaultHost", "''" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = ERR_INIT;
		struct config config;

		config_init(&config);
		assert_int_equal(config_parse(&config, cases[i].text, strlen(cases[i].text) + 1,
					      &err),
				 -EINVAL);
		assert_non_null(strstr(err.msg, cases[i].key));
		assert_non_null(strstr(err.msg, cases[i].value));
	}
}

static void long_paths_are_refused(void **state)
{
	AUTO_BUF struct buf text = BUF_INIT;
	struct err err = ERR_INIT;
	struct config config;

	(void)state;
	config_init(&config);
	assert_int_equal(buf_printf(&text, "fs.cachedir\n/%05000d", 0), 0);
	assert_int_equal(config_parse(&config, text.data, text.len + 1, &err), -EINVAL);
	assert_string_equal(config.cache_dir, "");
}

static void cut_output_is_an_error(void **state)
{
	struct config config;

	(void)state;
	config_init(&config);
	assert_int_equal(PARSE(&config, "fs.timeout\n5", NULL), ERR_PROTOCOL);
}

static void parsing_survives_the_loss_of_memory(void **state)
{
	static const char text[] = "fs.timeout\n7\0fs.connections\n2";
	bool failed = true;

	(void)state;
	for (long nth = 1; failed; nth++) {
		struct config config;
		int ret;

		config_init(&config);
		failing_alloc_arm(nth);
		ret = config_parse(&config, text, sizeof(text), NULL);
		failed = failing_alloc_disarm();
		assert_int_equal(ret, failed ? -ENOMEM : 0);
	}
}

/* --- with git --- */

static char home[64];

static int setup(void **state)
{
	static const char text[] = "[fs]\n\ttimeout = 11\n\tconnections = 4\n"
				   "\tdefaultHost = git.example.org\n"
				   "[fs \"https://fast.example.org/\"]\n\ttimeout = 3\n"
				   "[fs \"ssh://ssh.example.org/team\"]\n\ttimeout = 4\n"
				   "[fs \"file:///srv/with%20blank\"]\n\tconnections = 1\n";
	char path[128];
	FILE *file;

	(void)state;
	snprintf(home, sizeof(home), "/tmp/git-fs-config-XXXXXX");
	if (mkdtemp(home) == NULL)
		return -1;
	setenv("HOME", home, 1);
	unsetenv("XDG_CONFIG_HOME");
	setenv("GIT_CONFIG_NOSYSTEM", "1", 1);
	snprintf(path, sizeof(path), "%s/.gitconfig", home);
	file = fopen(path, "w");
	if (file == NULL)
		return -1;
	fputs(text, file);
	return fclose(file);
}

static int teardown(void **state)
{
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/.gitconfig", home);
	unlink(path);
	return rmdir(home);
}

static unsigned timeout_for(enum url_scheme scheme, const char *canonical, const char *host,
			    const char *path, unsigned *connections_out)
{
	struct url url = { .scheme = scheme };
	struct err err = ERR_INIT;
	struct config config;

	snprintf(url.canonical, sizeof(url.canonical), "%s", canonical);
	snprintf(url.host, sizeof(url.host), "%s", host);
	snprintf(url.path, sizeof(url.path), "%s", path);
	config_init(&config);
	if (config_read(&config, &url, &err) < 0)
		fail_msg("%s", err.msg);
	*connections_out = config.connections;
	return config.timeout_s;
}

static void the_url_decides(void **state)
{
	unsigned connections;

	(void)state;
	assert_int_equal(timeout_for(URL_HTTPS, "https://fast.example.org/a/b", "fast.example.org",
				     "a/b", &connections), 3);
	assert_int_equal(timeout_for(URL_HTTPS, "https://slow.example.org/a/b", "slow.example.org",
				     "a/b", &connections), 11);
	assert_int_equal(timeout_for(URL_SSH, "ssh.example.org:team/x", "ssh.example.org", "team/x",
				     &connections), 4);
	assert_int_equal(timeout_for(URL_LOCAL, "/srv/with blank/x", "", "/srv/with blank/x",
				     &connections), 11);
	assert_int_equal(connections, 1);
}

static void the_default_host_is_asked_alone(void **state)
{
	struct err err = ERR_INIT;
	struct config config;

	(void)state;
	config_init(&config);
	assert_int_equal(config_read_general(&config, &err), 0);
	assert_string_equal(config.default_host, "git.example.org");
	assert_int_equal(config.timeout_s, CONFIG_TIMEOUT_S);
}

static void rules_have_defaults(void **state)
{
	struct err err = ERR_INIT;
	struct config config;
	char wanted[256];

	(void)state;
	config_init(&config);
	assert_string_equal(config.rules.local_only, CONFIG_LOCAL_ONLY);
	assert_true(config.rules.file_max == CONFIG_FILE_MAX);
	unsetenv("XDG_CONFIG_HOME");
	assert_int_equal(config_read_core(&config, &err), 0);
	snprintf(wanted, sizeof(wanted), "%s/.config/git/ignore", home);
	assert_string_equal(config.rules.excludes_file, wanted);
	assert_false(config.rules.ignore_case);
	setenv("XDG_CONFIG_HOME", "/xdg", 1);
	assert_int_equal(config_read_core(&config, &err), 0);
	assert_string_equal(config.rules.excludes_file, "/xdg/git/ignore");
	unsetenv("XDG_CONFIG_HOME");
}

static void rules_are_gits_own(void **state)
{
	struct err err = ERR_INIT;
	struct config config;
	char path[128];
	char wanted[256];
	FILE *file;

	(void)state;
	snprintf(path, sizeof(path), "%s/.gitconfig", home);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs("[core]\n\texcludesFile = ~/mine\n\tignoreCase\n", file);
	fclose(file);
	config_init(&config);
	if (config_read_core(&config, &err) < 0)
		fail_msg("%s", err.msg);
	snprintf(wanted, sizeof(wanted), "%s/mine", home);
	assert_string_equal(config.rules.excludes_file, wanted);
	assert_true(config.rules.ignore_case);
}

static void sizes_have_units(void **state)
{
	static const struct {
		const char *value;
		uint64_t bytes;
	} cases[] = {
		{ "0", 0 }, { "5", 5 }, { "3k", 3072 }, { "2M", UINT64_C(2) << 20 },
		{ "7g", UINT64_C(7) << 30 },
	};
	static const char *const bad[] = { "", "x", "-1", "1kk", "1t", "1 k", "1.5m",
					   "99999999999999g" };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct config config;
		char text[64];
		int len = snprintf(text, sizeof(text), "fs.maxfilesize\n%s", cases[i].value);

		config_init(&config);
		assert_int_equal(config_parse(&config, text, (size_t)len + 1, NULL), 0);
		assert_true(config.rules.file_max == cases[i].bytes);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err err = ERR_INIT;
		struct config config;
		char text[64];
		int len = snprintf(text, sizeof(text), "fs.maxfilesize\n%s", bad[i]);

		config_init(&config);
		assert_int_equal(config_parse(&config, text, (size_t)len + 1, &err), -EINVAL);
		assert_non_null(strstr(err.msg, "fs.maxFileSize"));
	}
}

static void broken_files_are_told(void **state)
{
	struct err err = ERR_INIT;
	struct config config;
	char path[128];
	FILE *file;

	(void)state;
	snprintf(path, sizeof(path), "%s/.gitconfig", home);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs("[fs\n", file);
	fclose(file);
	config_init(&config);
	assert_int_equal(config_read_general(&config, &err), -EIO);
	assert_non_null(strstr(err.msg, "git config"));
}

#define WITH_GIT(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_keys_are_read),
		cmocka_unit_test(nothing_set_gives_the_defaults),
		cmocka_unit_test(truth_has_many_names),
		cmocka_unit_test(bad_values_are_named),
		cmocka_unit_test(long_paths_are_refused),
		cmocka_unit_test(cut_output_is_an_error),
		cmocka_unit_test(parsing_survives_the_loss_of_memory),
		WITH_GIT(the_url_decides),
		WITH_GIT(the_default_host_is_asked_alone),
		cmocka_unit_test(sizes_have_units),
		WITH_GIT(rules_have_defaults),
		WITH_GIT(rules_are_gits_own),
		WITH_GIT(broken_files_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
