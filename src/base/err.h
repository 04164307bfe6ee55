/*
 * Errors: a negative errno as the return value, words for people beside it.
 *
 * Every fallible function returns an int: >= 0 is success, a negative errno
 * is failure, and outputs are untouched on failure. Where a person will want
 * to know more than the number, the function takes a `struct err *` that the
 * caller owns (NULL is allowed: the words are then dropped).
 *
 * One table of meanings, used by every layer. fuse/ alone translates them
 * into what an application sees.
 */
#ifndef GIT_FS_BASE_ERR_H
#define GIT_FS_BASE_ERR_H

#include <errno.h>

#define ERR_CORRUPT (-EBADMSG)       /* bytes that fail their checksum, hash or format */
#define ERR_PROTOCOL (-EPROTO)       /* the peer broke its protocol, or refused in words */
#define ERR_UNREACHABLE (-EHOSTUNREACH) /* no route, refused, reset, no such host */
#define ERR_TIMEOUT (-ETIMEDOUT)     /* a deadline passed, or a transfer stalled */
#define ERR_AUTH (-EACCES)           /* credentials missing, wrong or not enough */
#define ERR_STALE (-ESTALE)          /* compare-and-set lost: not a fast-forward */
#define ERR_LIMIT (-E2BIG)           /* larger than a named limit */
#define ERR_NOT_FOUND (-ENOENT)      /* no such ref, object, repository, entry */
#define ERR_UNSUPPORTED (-EOPNOTSUPP) /* the peer or the kernel does not offer it */
#define ERR_CANCELLED (-ECANCELED)   /* somebody asked for the work to stop */
#define ERR_AGAIN (-EAGAIN)          /* not here yet: fetch what is wanted and ask again */

#define ERR_MSG_MAX 1024 /* bytes, with the final NUL; longer words are cut */

struct err {
	int code; /* the negative errno that was returned with it; 0: nothing set */
	char msg[ERR_MSG_MAX];
};

#define ERR_INIT { .code = 0, .msg = "" }

/* Sets code and words; returns `code`, so that `return err_set(...)` reads well. */
int err_set(struct err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The same for a failed system call: appends ": " and strerror(errnum) and
 * returns -errnum. `errnum` is positive. */
int err_sys(struct err *err, int errnum, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "words: " before what stands there, for a caller that knows more. */
void err_prefix(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Words for a negative errno where no others were left; a static string. */
const char *err_name(int code);

#endif
