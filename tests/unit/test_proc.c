#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/proc.h"
#include "failing_alloc.h"

#define LONG_MS 20000

/* Runs a line of shell; stdout in `out`, stderr in `errors`. */
static int run_sh(const char *script, const struct buf *input, struct buf *out,
		  struct buf *errors)
{
	const char *argv[] = { "sh", "-c", script, NULL };

	return proc_run(argv, NULL, input, out, errors, LONG_MS, NULL);
}

static void output_and_exit_code_come_back(void **state)
{
	AUTO_BUF struct buf out = BUF_INIT;
	AUTO_BUF struct buf errors = BUF_INIT;

	(void)state;
	assert_int_equal(buf_append_str(&out, "before "), 0);
	assert_int_equal(run_sh("echo out; echo words >&2; exit 7", NULL, &out, &errors), 7);
	assert_string_equal(buf_str(&out), "before out\n");
	assert_string_equal(buf_str(&errors), "words\n");
	assert_int_equal(run_sh("echo words >&2", NULL, &out, NULL), 0);
	assert_int_equal(run_sh("kill -KILL $$", NULL, &out, NULL), 128 + SIGKILL);
	assert_string_equal(buf_str(&out), "before out\n");
}

static void no_input_is_end_of_file(void **state)
{
	AUTO_BUF struct buf out = BUF_INIT;
	struct buf empty = BUF_INIT;

	(void)state;
	assert_int_equal(run_sh("cat; echo end", NULL, &out, NULL), 0);
	assert_int_equal(run_sh("cat; echo end", &empty, &out, NULL), 0);
	assert_string_equal(buf_str(&out), "end\nend\n");
}

static void big_input_and_output_do_not_block_each_other(void **state)
{
	enum { SIZE = 3 * 1024 * 1024 };
	AUTO_BUF struct buf input = BUF_INIT;
	AUTO_BUF struct buf out = BUF_INIT;
	AUTO_BUF struct buf errors = BUF_INIT;

	(void)state;
	assert_int_equal(buf_reserve(&input, SIZE), 0);
	for (size_t i = 0; i < SIZE; i++)
		input.data[i] = (uint8_t)(i * 7 + i / 1000);
	input.len = SIZE;
	/* As much on stderr, all of it before the child has read its input. */
	assert_int_equal(run_sh("head -c 3145728 /dev/zero >&2; cat", &input, &out, &errors), 0);
	assert_int_equal(out.len, SIZE);
	assert_memory_equal(out.data, input.data, SIZE);
	assert_int_equal(errors.len, SIZE);
}

static void input_that_is_not_wanted_is_no_failure(void **state)
{
	AUTO_BUF struct buf input = BUF_INIT;
	AUTO_BUF struct buf out = BUF_INIT;

	(void)state;
	assert_int_equal(buf_printf(&input, "%01000000d", 0), 0);
	assert_int_equal(run_sh("exec <&-; echo done; exit 3", &input, &out, NULL), 3);
	assert_string_equal(buf_str(&out), "done\n");
}

static void too_much_output_is_a_limit(void **state)
{
	AUTO_BUF struct buf out = BUF_INIT_MAX(20);
	AUTO_BUF struct buf errors = BUF_INIT_MAX(5);
	struct err err = ERR_INIT;
	const char *argv[] = { "yes", NULL };

	(void)state;
	assert_int_equal(buf_append_str(&out, "kept"), 0);
	assert_int_equal(proc_run(argv, NULL, NULL, &out, NULL, LONG_MS, &err), ERR_LIMIT);
	assert_string_equal(buf_str(&out), "kept");
	assert_string_equal(err.msg, "'yes' wrote more than is allowed");
	/* Exactly the limit is allowed, and words beyond theirs are dropped. */
	assert_int_equal(run_sh("printf 1234567890123456; echo 123456789 >&2", NULL, &out, &errors),
			 0);
	assert_int_equal(out.len, 20);
	assert_string_equal(buf_str(&errors), "12345");
}

static void a_child_that_hangs_is_ended(void **state)
{
	AUTO_BUF struct buf out = BUF_INIT;
	struct err err = ERR_INIT;
	const char *argv[] = { "sh", "-c", "echo $$; trap '' TERM; exec sleep 100", NULL };
	const char *silent[] = { "sh", "-c", "exec >&- 2>&-; exec sleep 100", NULL };
	uint64_t begin_ns = mono_ns();

	(void)state;
	assert_int_equal(proc_run(argv, NULL, NULL, &out, NULL, 100, &err), ERR_TIMEOUT);
	assert_string_equal(err.msg, "'sh' was not done after 100 ms");
	assert_int_equal(err.code, ERR_TIMEOUT);
	assert_int_equal(out.len, 0);
	assert_int_equal(proc_run(silent, NULL, NULL, &out, NULL, 100, &err), ERR_TIMEOUT);
	assert_true(mono_ns() - begin_ns < 10 * NS_PER_S);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void a_grandchild_does_not_hold_us_up(void **state)
{
	AUTO_BUF struct buf out = BUF_INIT;
	AUTO_BUF struct buf errors = BUF_INIT;
	uint64_t begin_ns = mono_ns();
	pid_t grandchild;

	(void)state;
	assert_int_equal(run_sh("sleep 30 & echo $!; exit 4", NULL, &out, &errors), 4);
	assert_true(mono_ns() - begin_ns < 10 * NS_PER_S);
	grandchild = (pid_t)strtol(buf_str(&out), NULL, 10);
	assert_true(grandchild > 0);
	assert_int_equal(kill(grandchild, SIGKILL), 0);
}

static void a_missing_program_is_named(void **state)
{
	AUTO_BUF struct buf out = BUF_INIT;
	struct err err = ERR_INIT;
	struct proc proc = PROC_INIT;
	const char *argv[] = { "git-fs-no-such-program", NULL };
	const char *path[] = { "/no/such/program", NULL };
	const char *not_executable[] = { "/etc/passwd", NULL };

	(void)state;
	assert_int_equal(proc_run(argv, NULL, NULL, &out, NULL, LONG_MS, &err), -ENOENT);
	assert_int_equal(err.code, -ENOENT);
	assert_string_equal(err.msg,
			    "cannot run 'git-fs-no-such-program': no such program on PATH");
	assert_int_equal(proc_start(&proc, path, NULL, &err), -ENOENT);
	assert_string_equal(err.msg, "cannot run '/no/such/program': No such file or directory");
	assert_int_equal(proc_start(&proc, not_executable, NULL, &err), -ENOEXEC);
	assert_int_equal(err.code, -ENOEXEC);
	assert_string_equal(err.msg, "cannot run '/etc/passwd': Permission denied");
	assert_int_equal(proc_start(&proc, not_executable, NULL, NULL), -ENOEXEC);
	assert_int_equal(proc.pid, -1);
	assert_int_equal(proc.in_fd, -1);
	assert_int_equal(proc_end(&proc, LONG_MS), -ECHILD);
}

static void the_environment_is_changed(void **state)
{
	AUTO_BUF struct buf out = BUF_INIT;
	const char *argv[] = { "sh", "-c", "echo ${A-none} ${B-none} ${C-none} ${AB-none}", NULL };
	const char *env[] = { "A=new", "B", "C=1", "C=2", "MISSING", NULL };

	(void)state;
	setenv("A", "old", 1);
	setenv("AB", "other", 1);
	setenv("B", "old", 1);
	assert_int_equal(proc_run(argv, env, NULL, &out, NULL, LONG_MS, NULL), 0);
	assert_string_equal(buf_str(&out), "new none 2 other\n");
	buf_clear(&out);
	assert_int_equal(proc_run(argv, NULL, NULL, &out, NULL, LONG_MS, NULL), 0);
	assert_string_equal(buf_str(&out), "old old none other\n");
	unsetenv("A");
	unsetenv("AB");
	unsetenv("B");
}

/* The line of /proc/PID/status that begins with `name`. */
static uint64_t status_mask(const struct buf *status, const char *name)
{
	const char *line = strstr(buf_str(status), name);

	assert_non_null(line);
	return strtoull(line + strlen(name), NULL, 16);
}

static void a_child_starts_clean(void **state)
{
	AUTO_BUF struct buf out = BUF_INIT;
	AUTO_BUF struct buf status = BUF_INIT;
	const char *pwd[] = { "pwd", NULL };
	const char *cat[] = { "cat", "/proc/self/status", NULL };
	const char *ls[] = { "ls", "/proc/self/fd", NULL };
	sigset_t set;
	sigset_t before;
	int open_fd = open("/dev/null", O_RDONLY); /* inherited, were it not closed */

	(void)state;
	assert_true(open_fd >= 0);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, &before);
	assert_int_equal(proc_run(cat, NULL, NULL, &status, NULL, LONG_MS, NULL), 0);
	sigprocmask(SIG_SETMASK, &before, NULL);
	assert_true(status_mask(&status, "\nSigBlk:") == 0);
	/* SIGPIPE is ignored here (main); there it is at its default. Signals 32 and
	 * 33 belong to the C library, whose posix_spawn leaves them ignored. */
	assert_true((status_mask(&status, "\nSigIgn:") & ~(UINT64_C(3) << 31)) == 0);

	/* 3 is the folder that ls itself has open. */
	assert_int_equal(proc_run(ls, NULL, NULL, &out, NULL, LONG_MS, NULL), 0);
	assert_string_equal(buf_str(&out), "0\n1\n2\n3\n");
	buf_clear(&out);
	assert_int_equal(proc_run(pwd, NULL, NULL, &out, NULL, LONG_MS, NULL), 0);
	assert_string_equal(buf_str(&out), "/\n");
	close(open_fd);
}

static void works_where_0_1_2_are_closed(void **state)
{
	AUTO_BUF struct buf input = BUF_INIT;
	AUTO_BUF struct buf out = BUF_INIT;
	AUTO_BUF struct buf errors = BUF_INIT;
	int saved[3];
	int rc;

	(void)state;
	assert_int_equal(buf_append_str(&input, "in"), 0);
	for (int i = 0; i < 3; i++) {
		saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 10);
		close(i);
	}
	rc = run_sh("cat; echo words >&2", &input, &out, &errors);
	for (int i = 0; i < 3; i++) {
		dup2(saved[i], i);
		close(saved[i]);
	}
	assert_int_equal(rc, 0);
	assert_string_equal(buf_str(&out), "in");
	assert_string_equal(buf_str(&errors), "words\n");
}

static void a_started_child_talks(void **state)
{
	const char *argv[] = { "sh", "-c", "read line; echo got $line; echo why >&2; cat", NULL };
	AUTO_BUF struct buf errors = BUF_INIT_MAX(2);
	struct proc proc = PROC_INIT;
	struct pollfd ready;
	char text[8];

	(void)state;
	assert_int_equal(proc_start(&proc, argv, NULL, NULL), 0);
	proc_read_stderr(&proc, &errors); /* nothing there yet: returns at once */
	assert_int_equal(errors.len, 0);
	assert_int_equal(io_write(proc.in_fd, "hi\n", 3), 0);
	assert_int_equal(io_read(proc.out_fd, text, 7), 7);
	assert_memory_equal(text, "got hi\n", 7);
	ready = (struct pollfd){ .fd = proc.err_fd, .events = POLLIN };
	assert_int_equal(poll(&ready, 1, LONG_MS), 1);
	proc_read_stderr(&proc, &errors);
	assert_string_equal(buf_str(&errors), "wh");
	/* The end of its input is the end of cat. */
	assert_int_equal(proc_end(&proc, LONG_MS), 0);
	assert_int_equal(proc.pid, -1);
	assert_int_equal(proc.in_fd, -1);
	assert_int_equal(proc.out_fd, -1);
	assert_int_equal(proc.err_fd, -1);
	proc_read_stderr(&proc, &errors);
	assert_int_equal(proc_end(&proc, LONG_MS), -ECHILD);
}

static void ends_in_three_steps(void **state)
{
	const char *exits[] = { "sh", "-c", "exit 5", NULL };
	const char *sleeps[] = { "sleep", "100", NULL };
	const char *deaf[] = { "sh", "-c", "trap '' TERM; echo x; exec sleep 100", NULL };
	struct proc proc = PROC_INIT;
	char byte;
	int status;

	(void)state;
	assert_int_equal(proc_start(&proc, exits, NULL, NULL), 0);
	status = proc_end(&proc, LONG_MS);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 5);

	assert_int_equal(proc_start(&proc, sleeps, NULL, NULL), 0);
	status = proc_end(&proc, 50);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGTERM);

	assert_int_equal(proc_start(&proc, deaf, NULL, NULL), 0);
	assert_int_equal(io_read(proc.out_fd, &byte, 1), 1);
	status = proc_end(&proc, 50);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void without_memory_nothing_is_left(void **state)
{
	AUTO_BUF struct buf out = BUF_INIT;
	const char *argv[] = { "sh", "-c", "echo out; echo words >&2", NULL };
	const char *env[] = { "A=1", NULL };
	struct err err = ERR_INIT;
	int lowest = dup(0);
	long nth = 1;
	int after;
	int rc;

	(void)state;
	close(lowest);
	for (;; nth++) {
		failing_alloc_arm(nth);
		rc = proc_run(argv, env, NULL, &out, NULL, LONG_MS, &err);
		if (!failing_alloc_disarm())
			break;
		assert_int_equal(rc, -ENOMEM);
		assert_int_equal(err.code, -ENOMEM);
		assert_int_equal(out.len, 0);
		after = dup(0);
		close(after);
		assert_int_equal(after, lowest); /* no descriptor is left */
	}
	assert_true(nth > 3);
	assert_int_equal(rc, 0);
	assert_string_equal(buf_str(&out), "out\n");
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* and no child */
}

static void without_descriptors_nothing_is_left(void **state)
{
	AUTO_BUF struct buf out = BUF_INIT;
	struct err err = ERR_INIT;
	const char *argv[] = { "true", NULL };
	struct rlimit before;
	struct rlimit low;
	int taken[64];
	int count = 0;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	low = before;
	low.rlim_cur = 64;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	while (count < 64 && (taken[count] = fcntl(0, F_DUPFD_CLOEXEC, 0)) >= 0)
		count++;
	for (int given = 0; given < 6; given++) {
		assert_int_equal(proc_run(argv, NULL, NULL, &out, NULL, LONG_MS, &err), -EMFILE);
		assert_string_equal(err.msg,
				    "cannot make the pipes for 'true': Too many open files");
		close(taken[--count]);
	}
	/* Two for each pipe are enough; none of the six was lost on the way. */
	assert_int_equal(proc_run(argv, NULL, NULL, &out, NULL, LONG_MS, &err), 0);
	while (count > 0)
		close(taken[--count]);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(output_and_exit_code_come_back),
		cmocka_unit_test(no_input_is_end_of_file),
		cmocka_unit_test(big_input_and_output_do_not_block_each_other),
		cmocka_unit_test(input_that_is_not_wanted_is_no_failure),
		cmocka_unit_test(too_much_output_is_a_limit),
		cmocka_unit_test(a_child_that_hangs_is_ended),
		cmocka_unit_test(a_grandchild_does_not_hold_us_up),
		cmocka_unit_test(a_missing_program_is_named),
		cmocka_unit_test(the_environment_is_changed),
		cmocka_unit_test(a_child_starts_clean),
		cmocka_unit_test(works_where_0_1_2_are_closed),
		cmocka_unit_test(a_started_child_talks),
		cmocka_unit_test(ends_in_three_steps),
		cmocka_unit_test(without_memory_nothing_is_left),
		cmocka_unit_test(without_descriptors_nothing_is_left),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("proc", tests, NULL, NULL);
}
