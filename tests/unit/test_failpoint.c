#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/io.h"

static void set(const char *rules)
{
	assert_int_equal(failpoint_set(rules), 0);
}

static int leave(void **state)
{
	(void)state;
	return failpoint_set(NULL);
}

static int append(void)
{
	return FAILPOINT_ERR("test.append");
}

static void nothing_set_is_nothing_done(void **state)
{
	(void)state;
	assert_false(atomic_load(&failpoints_on));
	FAILPOINT("test.step");
	assert_int_equal(append(), 0);
	set("test.append=EIO");
	assert_true(atomic_load(&failpoints_on));
	set("");
	assert_false(atomic_load(&failpoints_on));
	assert_int_equal(append(), 0);
}

static void an_errno_comes_once_at_its_pass(void **state)
{
	(void)state;
	set("test.append=ENOSPC");
	assert_int_equal(append(), -ENOSPC);
	assert_int_equal(append(), 0);
	set("test.append:3=EDQUOT");
	assert_int_equal(append(), 0);
	assert_int_equal(append(), 0);
	assert_int_equal(append(), -EDQUOT);
	assert_int_equal(append(), 0);
}

static void an_errno_comes_from_a_pass_on(void **state)
{
	(void)state;
	set("test.append:2+=EIO");
	assert_int_equal(append(), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(append(), -EIO);
}

static void rules_are_for_their_name_alone(void **state)
{
	(void)state;
	set("test.appen:1+=EIO,test.appends:1+=EIO,test.append=ENOMEM,test.append:2=EINTR");
	assert_int_equal(append(), -ENOMEM);
	assert_int_equal(append(), -EINTR);
	assert_int_equal(append(), 0);
	/* An errno has nobody to take it at a step. */
	set("test.step:1+=EIO");
	FAILPOINT("test.step");
}

static void what_says_nothing_is_refused(void **state)
{
	static const char *const wrong[] = {
		"test.append", "=kill", "test.append=", "test.append=kill,",
		",test.append=kill", "test.append=Kill", "test.append=ENOTHING",
		"test.append:=kill", "test.append:0=kill", "test.append:+=kill",
		"test.append:1x=kill",
		"test.append:-1=kill", "test.append:99999999999999999999=kill",
		"test.append=kill=EIO", "test.append=kill,,b=kill",
		"a-name-of-sixty-four-bytes-which-is-one-more-than-there-is-room.=EIO",
	};
	char many[64 * (FAILPOINT_RULES_MAX + 1)] = "";

	(void)state;
	set("test.append:1+=EIO");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(failpoint_set(wrong[i]), -EINVAL);
	for (int i = 0; i <= FAILPOINT_RULES_MAX; i++)
		snprintf(many + strlen(many), 64, "%sname%d=kill", i > 0 ? "," : "", i);
	assert_int_equal(failpoint_set(many), ERR_LIMIT);
	*strrchr(many, ',') = '\0';
	/* None of them has taken the place of what was set. */
	assert_int_equal(append(), -EIO);
	set(many);
	assert_int_equal(append(), 0);
}

/* In a child: each pass is told to `fd`. */
static void pass_five_times(const char *rules, int fd)
{
	if (failpoint_set(rules) < 0)
		_exit(99);
	for (int i = 0; i < 5; i++) {
		FAILPOINT("test.step");
		if (io_write(fd, "x", 1) < 0)
			_exit(98);
	}
	_exit(append() == 0 ? 0 : 1);
}

/* How a child ends that passes the step up to 5 times: the status of waitpid(2),
 * and the passes that it came through. */
static int run_child(const char *rules, uint8_t *passes)
{
	int pipe_fds[2];
	int status;
	pid_t pid;
	ssize_t n;

	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		pass_five_times(rules, pipe_fds[1]);
	io_close(&pipe_fds[1]);
	*passes = 0;
	do {
		char byte;

		n = io_read(pipe_fds[0], &byte, 1);
		*passes = (uint8_t)(*passes + (n > 0 ? 1 : 0));
	} while (n > 0);
	io_close(&pipe_fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void a_step_kills(void **state)
{
	uint8_t passes;
	int status;

	(void)state;
	status = run_child("test.step=kill", &passes);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(passes, 0);
	status = run_child("other=kill,test.step:4=kill", &passes);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(passes, 3);
	status = run_child("test.append=kill", &passes);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(passes, 5);
	status = run_child("test.step:6=kill", &passes);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_int_equal(passes, 5);
}

/* In a child, as the log stays open for good. */
static int log_in_child(const char *path)
{
	struct err err = ERR_INIT;
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		setenv("GIT_FS_FAILPOINT_LOG", path, 1);
		setenv("GIT_FS_FAILPOINT", "test.append:2=EIO,test.step:3=kill", 1);
		if (failpoint_init(&err) < 0)
			_exit(99);
		int first = append();
		int second = append();

		if (first != 0 || second != -EIO)
			_exit(98);
		for (int i = 0; i < 3; i++)
			FAILPOINT("test.step");
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void the_log_has_each_name_once_for_a_process(void **state)
{
	AUTO_BUF struct buf text = BUF_INIT;
	char path[] = "/tmp/git-fs-test-failpoint-XXXXXX";
	AUTO_CLOSE int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	for (int i = 0; i < 2; i++) {
		int status = log_in_child(path);

		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
	assert_int_equal(io_read_file(AT_FDCWD, path, &text), 0);
	assert_int_equal(io_unlink(AT_FDCWD, path), 0);
	assert_string_equal(buf_str(&text), "test.append\ntest.step\ntest.append\ntest.step\n");
}

static void a_wrong_environment_is_said(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	setenv("GIT_FS_FAILPOINT", "test.append=EIO", 1);
	assert_int_equal(failpoint_init(&err), 0);
	assert_int_equal(append(), -EIO);
	setenv("GIT_FS_FAILPOINT", "test.append=die", 1);
	assert_int_equal(failpoint_init(&err), -EINVAL);
	assert_non_null(strstr(err.msg, "test.append=die"));
	unsetenv("GIT_FS_FAILPOINT");
	setenv("GIT_FS_FAILPOINT_LOG", "/nonexistent/folder/log", 1);
	assert_int_equal(failpoint_init(&err), -ENOENT);
	unsetenv("GIT_FS_FAILPOINT_LOG");
	assert_int_equal(failpoint_init(&err), 0);
	assert_false(atomic_load(&failpoints_on));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(nothing_set_is_nothing_done, leave),
		cmocka_unit_test_teardown(an_errno_comes_once_at_its_pass, leave),
		cmocka_unit_test_teardown(an_errno_comes_from_a_pass_on, leave),
		cmocka_unit_test_teardown(rules_are_for_their_name_alone, leave),
		cmocka_unit_test_teardown(what_says_nothing_is_refused, leave),
		cmocka_unit_test_teardown(a_step_kills, leave),
		cmocka_unit_test_teardown(the_log_has_each_name_once_for_a_process, leave),
		cmocka_unit_test_teardown(a_wrong_environment_is_said, leave),
	};

	return cmocka_run_group_tests_name("failpoint", tests, NULL, NULL);
}
