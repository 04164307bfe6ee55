/*
 * Child processes: git's own small programs, ssh, upload-pack. Never through
 * a shell. A child starts in /, in our process group (ssh may have to ask on
 * the terminal), with every descriptor but 0, 1, 2 closed and signals at their
 * defaults. Writing to a child that has gone raises SIGPIPE in the caller,
 * proc_run included, unless he ignores or blocks it.
 */
#ifndef GIT_FS_BASE_PROC_H
#define GIT_FS_BASE_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/threads.h"

struct proc {
	pid_t pid;  /* -1 once reaped */
	int in_fd;  /* we write: the child's stdin; -1 once closed */
	int out_fd; /* we read: the child's stdout */
	int err_fd; /* we read: the child's stderr, non-blocking */
};

#define PROC_INIT { .pid = -1, .in_fd = -1, .out_fd = -1, .err_fd = -1 }

/* Starts argv[0] (looked up on PATH). `env` holds "NAME=value" strings that
 * are added to, or replace those of, the environment, and plain "NAME" ones
 * that are taken out; NULL ends both lists; `env` may be NULL. -ENOENT: no such
 * program; -ENOEXEC: it may not or cannot be executed. */
int proc_start(struct proc *proc, const char *const *argv, const char *const *env, struct err *err)
	__attribute__((warn_unused_result));

/* Appends to `text` what stands on the child's stderr now, without waiting;
 * what is more than text->max is read and dropped. */
void proc_read_stderr(struct proc *proc, struct buf *text);

/* Closes the pipes; waits up to grace_ms for the child to end, then SIGTERM,
 * and SIGKILL after as long again. The wait status as of waitpid(2), or a
 * negative errno. Safe to call on a proc that was never started: -ECHILD. */
int proc_end(struct proc *proc, unsigned grace_ms);

/* Runs argv to its end with `input` on stdin (may be NULL), stdout appended to
 * `out` (up to out->max, ERR_LIMIT beyond), stderr to `errors` (may be NULL; cut
 * at its max, and left standing on failure). Returns the exit code (0..255;
 * 128 + signal where one ended it) or a negative errno; a child that is not
 * done by timeout_ms is ended: ERR_TIMEOUT. */
int proc_run(const char *const *argv, const char *const *env, const struct buf *input,
	     struct buf *out, struct buf *errors, unsigned timeout_ms, struct err *err)
	__attribute__((warn_unused_result));

#endif
