/*
 * The git remote with servers that hang, die, flood, distrust, or speak
 * something else: a script called `git` stands on PATH before the real one.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "base/proc.h"
#include "collect_sink.h"
#include "remote/git_remote.h"

static char folder[] = "/tmp/git-fs-test-XXXXXX";
static char *real_path; /* PATH without the script */

static void run(const char *text)
{
	AUTO_BUF struct buf printed = BUF_INIT;
	char line[4096];

	snprintf(line, sizeof(line), "set -e; PATH='%s'; cd %s; %s", real_path, folder, text);
	const char *const argv[] = { "/bin/sh", "-c", line, NULL };
	assert_int_equal(proc_run(argv, NULL, NULL, &printed, NULL, 60000, NULL), 0);
}

/* What `git` is from now on; NULL: the real one. The script finds that in $GIT. */
static void set_git(const char *body)
{
	char path[8192], text[4096];

	if (body == NULL) {
		setenv("PATH", real_path, 1);
		return;
	}
	snprintf(text, sizeof(text),
		 "#!/bin/sh\nPATH='%s'\nGIT=$(command -v git)\ncd %s\n%s\n", real_path, folder,
		 body);
	snprintf(path, sizeof(path), "%s/bin", folder);
	AUTO_CLOSE int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(dir >= 0);
	assert_int_equal(io_replace_file(dir, "git", text, strlen(text)), 0);
	assert_int_equal(fchmodat(dir, "git", 0700, 0), 0);
	snprintf(path, sizeof(path), "%s/bin:%s", folder, real_path);
	setenv("PATH", path, 1);
}

static int set_up(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	setenv("GIT_CONFIG_GLOBAL", "/dev/null", 1);
	setenv("GIT_CONFIG_NOSYSTEM", "1", 1);
	real_path = strdup(getenv("PATH"));
	if (real_path == NULL || mkdtemp(folder) == NULL)
		return -1;
	run("mkdir bin; git init -q -b main one; cd one; echo x >x; git add .;"
	    "git -c user.name=t -c user.email=t@example.org commit -qm x");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	set_git(NULL);
	run("rm -rf *");
	free(real_path);
	return rmdir(folder);
}

static struct remote *remote_with(unsigned connections, unsigned timeout_ms)
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
	snprintf(url->path, sizeof(url->path), "%s/one", folder);
	snprintf(url->canonical, sizeof(url->canonical), "%s/one", folder);
	assert_int_equal(git_remote_new(&remote, url, &config, NULL), 0);
	free(url);
	return remote;
}

static void free_remote(struct remote **remote)
{
	remote_free(*remote);
}

#define AUTO_REMOTE __attribute__((cleanup(free_remote)))

static void silence_is_a_timeout(void **state)
{
	AUTO_REMOTE struct remote *remote = remote_with(1, 200);
	struct remote_ref ref;
	struct err err = ERR_INIT;
	uint64_t start = mono_ns();

	(void)state;
	set_git("exec sleep 60");
	assert_int_equal(remote_resolve(remote, "", &ref, NULL, &err), ERR_TIMEOUT);
	assert_non_null(strstr(err.msg, "200 ms"));
	assert_true(mono_ns() - start >= 200 * NS_PER_MS);
	assert_true(mono_ns() - start < 10 * NS_PER_S);
	/* Silence in the middle of an answer too. */
	set_git("printf '000eversion 2\\n'; exec sleep 60");
	assert_int_equal(remote_resolve(remote, "", &ref, NULL, &err), ERR_TIMEOUT);
}

struct call {
	struct remote *remote;
	struct cancel cancel;
	int rc;
};

static void *resolve_head(void *arg)
{
	struct call *call = arg;
	struct remote_ref ref;

	call->rc = remote_resolve(call->remote, "", &ref, &call->cancel, NULL);
	return NULL;
}

static void a_cancel_ends_every_wait(void **state)
{
	AUTO_REMOTE struct remote *remote = remote_with(1, 60000);
	/* The first waits for the server, the second for the first. */
	struct call calls[2] = { { .remote = remote }, { .remote = remote } };
	pthread_t threads[2];
	uint64_t start = mono_ns();

	(void)state;
	set_git("exec sleep 60");
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(cancel_init(&calls[i].cancel), 0);
		assert_int_equal(thread_start(&threads[i], "caller", resolve_head, &calls[i]), 0);
		usleep(100000);
	}
	for (size_t i = 2; i-- > 0;) {
		cancel_set(&calls[i].cancel);
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(calls[i].rc, ERR_CANCELLED);
	}
	assert_true(mono_ns() - start < 10 * NS_PER_S);
	/* One that is set already. */
	resolve_head(&calls[0]);
	assert_int_equal(calls[0].rc, ERR_CANCELLED);
	/* And while a watch sleeps. */
	set_git(NULL);
	struct remote_ref ref;
	struct call fresh = { .remote = remote };
	assert_int_equal(cancel_init(&fresh.cancel), 0);
	resolve_head(&fresh);
	assert_int_equal(fresh.rc, 0);
	assert_int_equal(remote_resolve(remote, "", &ref, NULL, NULL), 0);
	cancel_set(&fresh.cancel);
	assert_int_equal(remote_watch(remote, ref.name, &ref.oid, 30000, 60000, &ref, &fresh.cancel,
				      NULL),
			 ERR_CANCELLED);
	cancel_release(&fresh.cancel);
	cancel_release(&calls[0].cancel);
	cancel_release(&calls[1].cancel);
}

static void strange_servers_are_told_apart(void **state)
{
	static const struct {
		const char *git;
		int code;
		const char *words;
	} cases[] = {
		{ "printf '0032%040d HEAD\\n0000' 7", ERR_UNSUPPORTED, "version 2" },
		{ "printf '000eversion 1\\n'", ERR_UNSUPPORTED, "version 2" },
		{ "printf '000eversion 2\\n0000'", ERR_UNSUPPORTED, "offers no fetch" },
		{ "echo Welcome to this machine", ERR_PROTOCOL, "not git's protocol" },
		{ "printf '0012\\033[31mhello...\\n'", ERR_PROTOCOL, "hello" },
		{ "printf '0012ERR go \\033[31may'", ERR_PROTOCOL, "go " },
		{ "printf '000eversion 2\\n'; exit 1", ERR_UNREACHABLE, "without a word" },
		{ "exit 1", ERR_UNREACHABLE, "without a word" },
		{ "echo 'fatal: \033[31mbad day' >&2; exit 128", ERR_PROTOCOL, "bad day" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO_REMOTE struct remote *remote = remote_with(1, 20000);
		struct remote_ref ref;
		struct err err = ERR_INIT;

		set_git(cases[i].git);
		assert_int_equal(remote_resolve(remote, "", &ref, NULL, &err), cases[i].code);
		assert_int_equal(err.code, cases[i].code);
		if (strstr(err.msg, cases[i].words) == NULL)
			print_error("%s\n", err.msg);
		assert_non_null(strstr(err.msg, cases[i].words));
		assert_non_null(strstr(err.msg, folder));
		assert_null(strchr(err.msg, '\033'));
	}
	setenv("PATH", "/nowhere", 1);
	AUTO_REMOTE struct remote *remote = remote_with(1, 20000);
	struct remote_ref ref;
	assert_int_equal(remote_resolve(remote, "", &ref, NULL, NULL), ERR_UNSUPPORTED);
}

static void a_flood_of_complaints_blocks_nobody(void **state)
{
	AUTO_REMOTE struct remote *remote = remote_with(1, 20000);
	struct remote_ref ref;

	(void)state;
	set_git("head -c 1000000 /dev/zero | tr '\\0' 'x' >&2; exec \"$GIT\" \"$@\"");
	assert_int_equal(remote_resolve(remote, "", &ref, NULL, NULL), 0);
	assert_string_equal(ref.name, "refs/heads/main");
}

static void a_child_that_died_idle_is_replaced(void **state)
{
	AUTO_REMOTE struct remote *remote = remote_with(1, 20000);
	__attribute__((cleanup(collect_release))) struct collect_sink sink;
	struct remote_traffic traffic;
	struct remote_ref ref;

	(void)state;
	collect_init(&sink);
	set_git("echo $$ >pid; exec \"$GIT\" \"$@\"");
	assert_int_equal(remote_resolve(remote, "", &ref, NULL, NULL), 0);
	run("kill -9 $(cat pid)");
	assert_int_equal(remote_fetch(remote, &ref.commit, 1, &sink.base, NULL, NULL, NULL), 0);
	assert_int_equal(sink.count, 1);
	remote_traffic(remote, &traffic);
	assert_int_equal(traffic.connections, 1);
	assert_true(remote_features(remote) & REMOTE_LISTS_CHEAPLY);
	/* One that dies every time is not tried for ever. */
	set_git("exit 0");
	run("kill -9 $(cat pid)");
	assert_int_equal(remote_fetch(remote, &ref.commit, 1, &sink.base, NULL, NULL, NULL),
			 ERR_UNREACHABLE);
	/* And the next call has a place again. */
	set_git(NULL);
	assert_int_equal(remote_resolve(remote, "", &ref, NULL, NULL), 0);
}

static void what_the_environment_says_of_repositories_is_ignored(void **state)
{
	AUTO_REMOTE struct remote *remote = remote_with(1, 20000);
	struct remote_ref ref;

	(void)state;
	set_git(NULL);
	setenv("GIT_DIR", "/nowhere", 1);
	setenv("GIT_OBJECT_DIRECTORY", "/nowhere", 1);
	setenv("GIT_NAMESPACE", "elsewhere", 1);
	setenv("GIT_PROTOCOL", "version=0", 1);
	assert_int_equal(remote_resolve(remote, "", &ref, NULL, NULL), 0);
	unsetenv("GIT_DIR");
	unsetenv("GIT_OBJECT_DIRECTORY");
	unsetenv("GIT_NAMESPACE");
	unsetenv("GIT_PROTOCOL");
}

static void a_folder_of_somebody_else_comes_with_the_line_to_type(void **state)
{
	AUTO_REMOTE struct remote *remote = remote_with(1, 20000);
	struct remote_ref ref;
	struct err err = ERR_INIT;

	(void)state;
	if (geteuid() != 0) {
		print_message("skipped: only root can give a folder away\n");
		skip();
	}
	set_git(NULL);
	run("chown -R 12345 one");
	unsetenv("SUDO_UID");
	assert_int_equal(remote_resolve(remote, "", &ref, NULL, &err), ERR_AUTH);
	assert_non_null(strstr(err.msg, "git config --global --add safe.directory "));
	run("chown -R 0 one");
}

static void *fetch_often(void *arg)
{
	struct call *call = arg;
	struct remote_ref ref;

	call->rc = remote_resolve(call->remote, "", &ref, NULL, NULL);
	for (int i = 0; i < 20 && call->rc == 0; i++) {
		__attribute__((cleanup(collect_release))) struct collect_sink sink;

		collect_init(&sink);
		call->rc = remote_fetch(call->remote, &ref.commit, 1, &sink.base, NULL, NULL, NULL);
		if (call->rc == 0 && sink.count != 1)
			call->rc = -1;
	}
	return NULL;
}

static void callers_share_the_connections(void **state)
{
	AUTO_REMOTE struct remote *remote = remote_with(2, 20000);
	struct call calls[6];
	struct remote_traffic traffic;
	pthread_t threads[6];

	(void)state;
	set_git(NULL);
	for (size_t i = 0; i < 6; i++) {
		calls[i] = (struct call){ .remote = remote, .rc = -1 };
		assert_int_equal(thread_start(&threads[i], "caller", fetch_often, &calls[i]), 0);
	}
	for (size_t i = 0; i < 6; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(calls[i].rc, 0);
	}
	remote_traffic(remote, &traffic);
	assert_true(traffic.connections >= 1 && traffic.connections <= 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(silence_is_a_timeout),
		cmocka_unit_test(a_cancel_ends_every_wait),
		cmocka_unit_test(strange_servers_are_told_apart),
		cmocka_unit_test(a_flood_of_complaints_blocks_nobody),
		cmocka_unit_test(a_child_that_died_idle_is_replaced),
		cmocka_unit_test(what_the_environment_says_of_repositories_is_ignored),
		cmocka_unit_test(a_folder_of_somebody_else_comes_with_the_line_to_type),
		cmocka_unit_test(callers_share_the_connections),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
