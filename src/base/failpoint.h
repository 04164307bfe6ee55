/*
 * Failpoints: named steps at which a test can make this process die, as if by
 * power loss to it alone, or make an operation fail with an errno.
 *
 * FAILPOINT stands between two steps that a crash must be able to come between,
 * FAILPOINT_ERR before a system call whose failure must be lived with. A name is
 * a string literal, MODULE.STEP, and stands in the source once: tests/crash finds
 * them all there, and fails where one was never passed.
 *
 * Which of them do something is said by GIT_FS_FAILPOINT, a list of rules with
 * commas between: `NAME=kill`, `NAME=ENOSPC` (any errno's name); NAME:3 is the
 * third pass alone, NAME:3+ from the third on, NAME the first. Passes count from
 * the setting, in this process and what it forked. GIT_FS_FAILPOINT_LOG names a
 * file to which every name is appended, a line each, when it is first passed.
 *
 * Any thread may pass one. Where nothing is set, it is one relaxed load.
 */
#ifndef GIT_FS_BASE_FAILPOINT_H
#define GIT_FS_BASE_FAILPOINT_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/err.h"

#define FAILPOINT_NAME_MAX 63  /* bytes */
#define FAILPOINT_RULES_MAX 32 /* in one list */
#define FAILPOINTS_MAX 256     /* names that the log tells apart */

/* Dies here if a rule says so; one that says an errno has no effect here. */
#define FAILPOINT(name)                                                               \
	do {                                                                          \
		if (atomic_load_explicit(&failpoints_on, memory_order_relaxed))       \
			(void)failpoint_pass(name);                                   \
	} while (0)
/* 0, or the negative errno to fail with; may die as well. */
#define FAILPOINT_ERR(name)                                                           \
	(atomic_load_explicit(&failpoints_on, memory_order_relaxed) ? failpoint_pass(name) : 0)

/* Reads the environment; before threads are started. -EINVAL for a rule that says
 * nothing, and what opening the log failed with: a test that thinks it has armed
 * something must hear that it has not. */
int failpoint_init(struct err *err) __attribute__((warn_unused_result));
/* Takes these rules in place of all others; NULL or "" for none. -EINVAL, -E2BIG. */
int failpoint_set(const char *rules) __attribute__((warn_unused_result));

/* For the macros alone. */
extern atomic_bool failpoints_on;
int failpoint_pass(const char *name);

#endif
