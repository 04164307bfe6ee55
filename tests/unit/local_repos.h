/*
 * Repositories that git itself makes, in a folder of their own, and remotes on
 * them. For one test program; after cmocka.h.
 */
#ifndef GIT_FS_TESTS_LOCAL_REPOS_H
#define GIT_FS_TESTS_LOCAL_REPOS_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/proc.h"
#include "remote/git_remote.h"

static char folder[] = "/tmp/git-fs-test-XXXXXX";

/* --- the repositories --- */

/* Runs a shell script in `folder`; what it prints, without the last newline. */
static inline void script(char *out, size_t size, const char *text)
{
	AUTO_BUF struct buf printed = BUF_INIT;
	AUTO_BUF struct buf errors = BUF_INIT;
	char line[8192];

	snprintf(line, sizeof(line), "set -e; cd %s; %s", folder, text);
	const char *const argv[] = { "sh", "-c", line, NULL };
	int rc = proc_run(argv, NULL, NULL, &printed, &errors, 60000, NULL);
	if (rc != 0)
		print_error("%s\n%s", text, buf_str(&errors));
	assert_int_equal(rc, 0);
	snprintf(out, size, "%s", buf_str(&printed));
	out[strcspn(out, "\n")] = '\0';
}

static inline void run(const char *text)
{
	char ignored[8];

	script(ignored, sizeof(ignored), text);
}

static inline struct oid oid_at(const char *repository, const char *revision)
{
	char line[512], hex[128];
	struct oid oid;

	snprintf(line, sizeof(line), "git -C %s rev-parse --verify '%s'", repository, revision);
	script(hex, sizeof(hex), line);
	assert_int_equal(oid_from_hex(&oid, hex, strlen(hex)), 0);
	return oid;
}

static inline void make_repository(const char *name, const char *format)
{
	char line[4096];

	snprintf(line, sizeof(line),
		 "git init -q -b main --object-format=%s %s; cd %s; mkdir -p d1/d2/d3 e1;"
		 "echo top >top; echo 1 >d1/f1; echo 2 >d1/d2/f2; echo 3 >d1/d2/d3/f3;"
		 "echo g >e1/g;"
		 ": >empty; git add .; git commit -qm one; git tag light; git branch topic/x;"
		 "git tag both; git commit -q --allow-empty -m two; git branch both;"
		 "git tag -a -m words v1; git tag -a -m more nested v1;"
		 "echo new >top; git commit -qam three; git update-ref refs/remotes/o/far HEAD~1;"
		 "git symbolic-ref refs/remotes/o/HEAD refs/remotes/o/far",
		 format, name, name);
	run(line);
}

static inline int set_up(void **state)
{
	static const char *const names[] = { "AUTHOR", "COMMITTER" };

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	setenv("GIT_CONFIG_GLOBAL", "/dev/null", 1);
	setenv("GIT_CONFIG_NOSYSTEM", "1", 1);
	for (size_t i = 0; i < 2; i++) {
		char name[64];

		snprintf(name, sizeof(name), "GIT_%s_NAME", names[i]);
		setenv(name, "Test", 1);
		snprintf(name, sizeof(name), "GIT_%s_EMAIL", names[i]);
		setenv(name, "test@example.org", 1);
	}
	if (mkdtemp(folder) == NULL)
		return -1;
	make_repository("one", "sha1");
	make_repository("two", "sha256");
	run("git init -q -b main empty");
	run("git init -q -b main unborn; cd unborn; git commit -q --allow-empty -m x;"
	    "git symbolic-ref HEAD refs/heads/none");
	run("git clone -q one detached; git -C detached checkout -q --detach HEAD~1");
	run("git clone -q --bare one many.git; cd many.git; c=$(git rev-parse HEAD);"
	    "seq 5000 | sed \"s,.*,create refs/heads/b/& $c,\" | git update-ref --stdin;"
	    "git pack-refs --all");
	run("git init -q -b main large; cd large; seq 400000 >blob; git add .; git commit -qm x");
	run("mkdir plain");
	return 0;
}

static inline int tear_down(void **state)
{
	(void)state;
	run("rm -rf *");
	return rmdir(folder);
}

/* --- remotes --- */

static inline struct remote *remote_with(const char *name, unsigned connections,
					 unsigned timeout_ms)
{
	struct remote_config config = {
		.timeout_ms = timeout_ms,
		.connections = connections,
		.user_agent = "git-fs/test",
	};
	struct url *url = calloc(1, sizeof(*url));
	struct remote *remote = NULL;

	assert_non_null(url);
	url->scheme = URL_LOCAL;
	snprintf(url->path, sizeof(url->path), "%s/%s", folder, name);
	snprintf(url->canonical, sizeof(url->canonical), "%s/%s", folder, name);
	assert_int_equal(git_remote_new(&remote, url, &config, NULL), 0);
	free(url);
	return remote;
}

static inline struct remote *remote_of(const char *name)
{
	return remote_with(name, 2, 20000);
}

static inline void free_remote(struct remote **remote)
{
	remote_free(*remote);
}

#endif
