/* Addresses: every form that a user may type, one spelling for each, and what is refused. */
#include <errno.h>
#include <limits.h>
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
#include "failing_alloc.h"
#include "remote/url.h"

#define NOWHERE "/nonexistent"

struct want {
	const char *text;
	enum url_scheme scheme;
	const char *canonical, *host, *user, *password, *path;
	unsigned port;
};

static void check(const struct want *want)
{
	struct err err = ERR_INIT;
	struct url url, again;
	int rc = url_parse(&url, want->text, "github.com", NOWHERE, &err);

	if (rc != 0)
		fail_msg("%s: %s", want->text, err.msg);
	assert_int_equal(url.scheme, want->scheme);
	assert_string_equal(url.canonical, want->canonical);
	assert_string_equal(url.host, want->host);
	assert_string_equal(url.user, want->user);
	assert_string_equal(url.password, want->password);
	assert_string_equal(url.path, want->path);
	assert_int_equal(url.port, want->port);
	/* The canonical spelling is a fixed point, and means the same place. */
	assert_int_equal(url_parse(&again, url.canonical, "github.com", NOWHERE, &err), 0);
	assert_string_equal(again.canonical, url.canonical);
	assert_string_equal(again.path, url.path);
	assert_string_equal(again.host, url.host);
	assert_int_equal(again.port, url.port);
}

static void http_addresses_have_one_spelling(void **state)
{
	static const struct want wants[] = {
		{ "https://example.com/a/b.git", URL_HTTPS, "https://example.com/a/b.git",
		  "example.com", "", "", "/a/b.git", 0 },
		{ "HTTPS://Example.COM:443/a/B.git///", URL_HTTPS, "https://example.com/a/B.git",
		  "example.com", "", "", "/a/B.git", 0 },
		{ "http://h:80/x", URL_HTTP, "http://h/x", "h", "", "", "/x", 0 },
		{ "http://h:443/x", URL_HTTP, "http://h:443/x", "h", "", "", "/x", 443 },
		{ "http://127.0.0.1:8080", URL_HTTP, "http://127.0.0.1:8080", "127.0.0.1", "", "",
		  "", 8080 },
		{ "http://h:/x/", URL_HTTP, "http://h/x", "h", "", "", "/x", 0 },
		{ "https://[::1]:8443/x", URL_HTTPS, "https://[::1]:8443/x", "::1", "", "", "/x",
		  8443 },
		{ "https://[0:0:0:0:0:0:0:1]/x", URL_HTTPS, "https://[::1]/x", "::1", "", "", "/x",
		  0 },
		{ "https://h/a%20b/%C3%a4", URL_HTTPS, "https://h/a%20b/%C3%a4", "h", "", "",
		  "/a%20b/%C3%a4", 0 },
		{ "https://h/~user/x", URL_HTTPS, "https://h/~user/x", "h", "", "", "/~user/x", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wants) / sizeof(wants[0]); i++)
		check(&wants[i]);
}

static void credentials_are_split_off(void **state)
{
	static const struct want wants[] = {
		{ "https://me@h/x", URL_HTTPS, "https://h/x", "h", "me", "", "/x", 0 },
		{ "https://me:secret@h/x", URL_HTTPS, "https://h/x", "h", "me", "secret", "/x", 0 },
		{ "https://me:se:c@r%40et@h:81/x", URL_HTTPS, "https://h:81/x", "h", "me",
		  "se:c@r@et", "/x", 81 },
		{ "https://m%3Ae:%2F%25@h/x", URL_HTTPS, "https://h/x", "h", "m:e", "/%", "/x", 0 },
		{ "https://:token@h/x", URL_HTTPS, "https://h/x", "h", "", "token", "/x", 0 },
		{ "https://@h/x@y:z", URL_HTTPS, "https://h/x@y:z", "h", "", "", "/x@y:z", 0 },
	};
	struct err err = ERR_INIT;
	struct url url;

	(void)state;
	for (size_t i = 0; i < sizeof(wants) / sizeof(wants[0]); i++)
		check(&wants[i]);
	assert_int_equal(url_parse(&url, "https://me:secret@h/x", "github.com", "/", &err), 0);
	url_wipe(&url);
	assert_string_equal(url.user, "");
	assert_string_equal(url.password, "");
}

static void ssh_git_and_scp_addresses(void **state)
{
	static const struct want wants[] = {
		{ "ssh://Git@Host/a.git/", URL_SSH, "ssh://Git@host/a.git", "host", "Git", "",
		  "/a.git", 0 },
		{ "ssh://h:22/a", URL_SSH, "ssh://h/a", "h", "", "", "/a", 0 },
		{ "ssh://h:2222/a%20b", URL_SSH, "ssh://h:2222/a%20b", "h", "", "", "/a b", 2222 },
		{ "ssh://h/~/a", URL_SSH, "ssh://h/~/a", "h", "", "", "~/a", 0 },
		{ "ssh://h/~u/a", URL_SSH, "ssh://h/~u/a", "h", "", "", "~u/a", 0 },
		{ "ssh://u%40d@h/a", URL_SSH, "ssh://u%40d@h/a", "h", "u@d", "", "/a", 0 },
		{ "git://H:9418/a", URL_GIT, "git://h/a", "h", "", "", "/a", 0 },
		{ "git://h/~u/a", URL_GIT, "git://h/~u/a", "h", "", "", "~u/a", 0 },
		{ "git@GitHub.com:team/app.git", URL_SSH, "git@github.com:team/app.git",
		  "github.com", "git", "", "team/app.git", 0 },
		{ "h:a/b/", URL_SSH, "h:a/b", "h", "", "", "a/b", 0 },
		{ "u@h:/a", URL_SSH, "ssh://u@h/a", "h", "u", "", "/a", 0 },
		{ "h:~u/a", URL_SSH, "ssh://h/~u/a", "h", "", "", "~u/a", 0 },
		{ "h:/~u/a", URL_SSH, "ssh://h/~u/a", "h", "", "", "~u/a", 0 },
		{ "h:/50%", URL_SSH, "ssh://h/50%25", "h", "", "", "/50%", 0 },
		{ "h:50%20", URL_SSH, "h:50%20", "h", "", "", "50%20", 0 },
		{ "u@[::1]:a", URL_SSH, "u@[::1]:a", "::1", "u", "", "a", 0 },
		{ "[::1]:/a:b", URL_SSH, "ssh://[::1]/a:b", "::1", "", "", "/a:b", 0 },
		{ "u@mesa:a", URL_SSH, "u@mesa:a", "mesa", "u", "", "a", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wants) / sizeof(wants[0]); i++)
		check(&wants[i]);
}

static void owner_and_name_mean_the_default_host(void **state)
{
	static const char *const not_hosted[] = {
		"torvalds/-linux", "a/b/c", "a/",    "a/..", "./a",
		"../a",		   ".",	    "a/b c", "a/b~", "a//b",
	};
	static const struct want want = { "Torvalds/linux-2.6_x", URL_HTTPS,
					  "https://github.com/Torvalds/linux-2.6_x", "github.com",
					  "", "", "/Torvalds/linux-2.6_x", 0 };
	struct err err = ERR_INIT;
	struct url url;

	(void)state;
	check(&want);
	assert_int_equal(url_parse(&url, "a/b", "git.example.com:8443", NOWHERE, &err), 0);
	assert_string_equal(url.canonical, "https://git.example.com:8443/a/b");
	for (size_t i = 0; i < sizeof(not_hosted) / sizeof(not_hosted[0]); i++) {
		assert_int_equal(url_parse(&url, not_hosted[i], "github.com", NOWHERE, &err),
				 ERR_NOT_FOUND);
		assert_non_null(strstr(err.msg, not_hosted[i]));
	}
}

/* What is refused, and a word of the reason. */
static const char *const refused[][2] = {
	{ "", "empty" },
	{ "-u", "start with '-'" },
	{ "--upload-pack=x", "start with '-'" },
	{ "https://h/a\nb", "control" },
	{ "a\tb", "control" },
	{ "https://h/a b", "space" },
	{ "h:a b", "space" },
	{ "https://h/a%0ab", "control" },
	{ "https://h/a%00", "control" },
	{ "https://u%0ahost=evil@h/a", "control" },
	{ "https://u:%7f@h/a", "control" },
	{ "https://h/a%2", "two digits" },
	{ "https://h/a%zz", "two digits" },
	{ "https:///a", "no host" },
	{ "https://", "no host" },
	{ "https://:80/a", "no host" },
	{ "https://-h/a", "'-'" },
	{ "ssh://-oProxyCommand=x/a", "'-'" },
	{ "-oProxyCommand=x:a", "'-'" },
	{ "u@-h:a", "'-'" },
	{ "ssh://%2doX@h/a", "'-'" },
	{ "h:-a", "'-'" },
	{ "@mesa:a", "no user" },
	{ "ssh://@h/a", "no user" },
	{ "my_host::a", "start with ':'" },
	{ "https://h;id/a", "no host's name" },
	{ "https://h%2fa/b", "no host's name" },
	{ "https://[::1/a", "without" },
	{ "https://[::1]x/a", "port" },
	{ "https://[hello]/a", "IPv6" },
	{ "[::1/a", "without" },
	{ "u@[::1:a", "without" },
	{ "https://h:0/a", "port" },
	{ "https://h:65536/a", "port" },
	{ "https://h:8a/a", "port" },
	{ "https://h:-1/a", "port" },
	{ "https://h/a?b", "'?'" },
	{ "https://h/a#b", "'#'" },
	{ "https://h/a/../b", "'..'" },
	{ "https://h/%2e%2E/b", "'..'" },
	{ "ssh://h", "no path" },
	{ "ssh://h/", "no path" },
	{ "git://h", "no path" },
	{ "h:", "no path" },
	{ "h:/", "no path" },
	{ ":a", "no host" },
	{ "ssh://u:p@h/a", "password" },
	{ "git://u@h/a", "user" },
	{ "ftp://h/a", "supported are http, https, ssh, git and file" },
	{ "foo+bar://h/a", "'foo+bar://'" },
	{ "ext::sh -c id", "space" },
	{ "ext::id", "'ext::'" },
	{ "mesa:org/repo", "Mesa" },
	{ "MESA:org/repo", "unsupported so far; supported are http" },
	{ "https:h/a", "lacks" },
	{ "file:a", "lacks" },
	{ "file://a/b", "absolute" },
	{ "file://", "absolute" },
	{ "file:///a%00", "control" },
};

static void what_is_no_address_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct err err = ERR_INIT;
		struct url url = { .canonical = "untouched" };
		int rc = url_parse(&url, refused[i][0], "github.com", NOWHERE, &err);

		if (rc != -EINVAL && rc != ERR_NOT_FOUND)
			fail_msg("'%s' gives %d", refused[i][0], rc);
		if (strstr(err.msg, refused[i][1]) == NULL)
			fail_msg("'%s' gives '%s'", refused[i][0], err.msg);
		assert_int_equal(err.code, rc);
		assert_string_equal(url.canonical, "untouched");
	}
}

static void no_error_shows_a_password(void **state)
{
	static const char *const texts[] = {
		"https://me:hunter2@/x",     "https://me:hunter2@h:x/x", "https://me:hunter2@h/?x",
		"https://me:hunter2 @h/x",   "https://me:hunter2%@h/x",  "ssh://me:hunter2@h/x",
		"ftp://me:hunter2@h/x",	     "https:me:hunter2@h/x",	 "git://me:hunter2@h/x",
		"https://me:hunter2@h\n/x",  "https://me:hunter2@-h/x",	 "https://me:hunter2@h h/x",
		"https://me:hunter2@h/../x", "https://hunter2;/x@h/x",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct err err = ERR_INIT;
		struct url url;

		assert_int_equal(url_parse(&url, texts[i], "github.com", NOWHERE, &err), -EINVAL);
		assert_null(strstr(err.msg, "hunter2"));
	}
}

static void long_addresses_are_refused_and_long_ones_that_fit_are_not(void **state)
{
	static const char head[] = "https://h/";
	char text[2 * URL_MAX];
	struct url url;

	(void)state;
	for (size_t len = URL_MAX - 3; len < URL_MAX + 3; len++) {
		memset(text, 'x', len);
		text[len] = '\0';
		memcpy(text, head, strlen(head));
		assert_int_equal(url_parse(&url, text, "github.com", NOWHERE, NULL),
				 len < URL_MAX ? 0 : ERR_LIMIT);
		/* Each byte of it takes three in the canonical spelling. */
		memset(text, '%', len);
		memcpy(text, "h:/", 3);
		assert_int_equal(url_parse(&url, text, "github.com", NOWHERE, NULL), ERR_LIMIT);
	}
	memset(text, 'h', 300);
	snprintf(text + 300, sizeof(text) - 300, ":x");
	assert_int_equal(url_parse(&url, text, "github.com", NOWHERE, NULL), ERR_LIMIT);
}

/* A folder with a bare repository, a clone, a plain folder and a link. */
struct place {
	char top[256];
};

static void make(const struct place *place, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", place->top, name);
	assert_int_equal(mkdir(path, 0700), 0);
}

static int set_up(void **state)
{
	static const char *const folders[] = {
		"bare.git",    "bare.git/HEAD", "clone",	    "clone/.git", "clone/.git/HEAD",
		"owner",       "owner/name",	"owner/name/.git", "owner/name/.git/HEAD",
		"owner/plain", "my repo",	"colon:clone",
	};
	struct place *place = calloc(1, sizeof(*place));
	char name[] = "/tmp/git-fs-url.XXXXXX", path[PATH_MAX];

	if (place == NULL || mkdtemp(name) == NULL || realpath(name, path) == NULL ||
	    strlen(path) >= sizeof(place->top))
		return -1;
	memcpy(place->top, path, strlen(path));
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		make(place, folders[i]);
	snprintf(path, sizeof(path), "%s/link", place->top);
	if (symlink("bare.git", path) < 0)
		return -1;
	*state = place;
	return 0;
}

static int tear_down(void **state)
{
	static const char *const entries[] = {
		"link",	"colon:clone", "my repo", "owner/plain", "owner/name/.git/HEAD",
		"owner/name/.git", "owner/name", "owner", "clone/.git/HEAD", "clone/.git",
		"clone", "bare.git/HEAD", "bare.git", "",
	};
	struct place *place = *state;

	for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
		char path[512];

		snprintf(path, sizeof(path), "%s/%s", place->top, entries[i]);
		if (remove(path) < 0)
			return -1;
	}
	free(place);
	return 0;
}

static void paths_become_absolute_and_real(void **state)
{
	static const char *const same[][2] = {
		{ "bare.git", "bare.git" },	  { "./bare.git///", "bare.git" },
		{ "bare", "bare.git" },		  { "link", "bare.git" },
		{ "clone/../link/", "bare.git" }, { "clone", "clone/.git" },
		{ "clone/.git", "clone/.git" },	  { "my repo", "my repo" },
		{ "owner/name", "owner/name/.git" }, { "./owner/plain", "owner/plain" },
		{ "./colon:clone", "colon:clone" },
	};
	const struct place *place = *state;

	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		struct err err = ERR_INIT;
		char want[512], text[512];
		struct url url;

		snprintf(want, sizeof(want), "%s/%s", place->top, same[i][1]);
		if (url_parse(&url, same[i][0], "github.com", place->top, &err) != 0)
			fail_msg("%s: %s", same[i][0], err.msg);
		assert_int_equal(url.scheme, URL_LOCAL);
		assert_string_equal(url.canonical, want);
		assert_string_equal(url.path, want);
		assert_string_equal(url.host, "");

		snprintf(text, sizeof(text), "%s/%s", place->top, same[i][0]);
		assert_int_equal(url_parse(&url, text, "github.com", NOWHERE, &err), 0);
		assert_string_equal(url.canonical, want);
	}
}

static void file_urls_are_decoded(void **state)
{
	static const char *const heads[] = { "file://", "FILE://localhost" };
	const struct place *place = *state;

	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		struct err err = ERR_INIT;
		char want[512], text[512];
		struct url url;

		snprintf(text, sizeof(text), "%s%s/my%%20repo/", heads[i], place->top);
		snprintf(want, sizeof(want), "%s/my repo", place->top);
		assert_int_equal(url_parse(&url, text, "github.com", NOWHERE, &err), 0);
		assert_int_equal(url.scheme, URL_LOCAL);
		assert_string_equal(url.canonical, want);
	}
}

static void what_is_not_there_is_not_found(void **state)
{
	const struct place *place = *state;
	struct err err = ERR_INIT;
	struct url url;
	char text[512];

	assert_int_equal(url_parse(&url, "other", "github.com", place->top, &err), ERR_NOT_FOUND);
	assert_int_equal(url_parse(&url, "~/x", "github.com", place->top, &err), ERR_NOT_FOUND);
	snprintf(text, sizeof(text), "file://%s/other", place->top);
	assert_int_equal(url_parse(&url, text, "github.com", "/", &err), ERR_NOT_FOUND);
	assert_non_null(strstr(err.msg, "other"));
	/* A folder that is no repository does not hide the host's. */
	assert_int_equal(url_parse(&url, "owner/plain", "github.com", place->top, &err), 0);
	assert_string_equal(url.canonical, "https://github.com/owner/plain");
	/* With a ':' before the first '/' it is a host, as git-clone(1) says. */
	assert_int_equal(url_parse(&url, "colon:clone", "github.com", place->top, &err), 0);
	assert_int_equal(url.scheme, URL_SSH);
}

static void control_bytes_behind_a_link_are_refused(void **state)
{
	const struct place *place = *state;
	struct err err = ERR_INIT;
	char folder[512], link[512];
	struct url url;

	snprintf(folder, sizeof(folder), "%s/new\nline", place->top);
	snprintf(link, sizeof(link), "%s/to-it", place->top);
	assert_int_equal(mkdir(folder, 0700), 0);
	assert_int_equal(symlink(folder, link), 0);
	int rc = url_parse(&url, link, "github.com", "/", &err);
	assert_int_equal(remove(link), 0);
	assert_int_equal(remove(folder), 0);
	assert_int_equal(rc, -EINVAL);
}

/* It asks for no memory by itself; realpath(3) writes to a buffer of ours. */
static void parsing_needs_no_memory(void **state)
{
	const struct place *place = *state;
	struct url url;

	failing_alloc_arm(1);
	int local = url_parse(&url, "link", "github.com", place->top, NULL);
	int remote = url_parse(&url, "https://u:p@h/x", "github.com", place->top, NULL);
	assert_false(failing_alloc_disarm());
	assert_int_equal(local, 0);
	assert_int_equal(remote, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(http_addresses_have_one_spelling),
		cmocka_unit_test(credentials_are_split_off),
		cmocka_unit_test(ssh_git_and_scp_addresses),
		cmocka_unit_test(owner_and_name_mean_the_default_host),
		cmocka_unit_test(what_is_no_address_is_refused),
		cmocka_unit_test(no_error_shows_a_password),
		cmocka_unit_test(long_addresses_are_refused_and_long_ones_that_fit_are_not),
		cmocka_unit_test(paths_become_absolute_and_real),
		cmocka_unit_test(file_urls_are_decoded),
		cmocka_unit_test(what_is_not_there_is_not_found),
		cmocka_unit_test(control_bytes_behind_a_link_are_refused),
		cmocka_unit_test(parsing_needs_no_memory),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
