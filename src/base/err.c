/*
 * The words are formatted into a local buffer first: a caller may pass its own
 * err->msg as an argument ("%s: ..."), and source and target must not overlap.
 */
#include "base/err.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static void store_words(struct err *err, int code, const char words[ERR_MSG_MAX])
{
	err->code = code;
	memcpy(err->msg, words, strlen(words) + 1);
}

int err_set(struct err *err, int code, const char *fmt, ...)
{
	char words[ERR_MSG_MAX];
	va_list args;

	if (err == NULL)
		return code;
	va_start(args, fmt);
	vsnprintf(words, sizeof(words), fmt, args);
	va_end(args);
	store_words(err, code, words);
	return code;
}

static const char *errno_words(int errnum)
{
	/* Unlike strerror(3), safe with threads; not translated, as no word of ours is. */
	const char *words = strerrordesc_np(errnum);

	return words != NULL ? words : "unknown error";
}

static void append(char words[ERR_MSG_MAX], const char *more)
{
	size_t used = strlen(words);
	size_t len = strnlen(more, ERR_MSG_MAX - 1 - used);

	memcpy(words + used, more, len);
	words[used + len] = '\0';
}

/* Appends ": " and `tail`, as far as there is room and anything to append. */
static void append_tail(char words[ERR_MSG_MAX], const char *tail)
{
	if (tail[0] == '\0')
		return;
	append(words, ": ");
	append(words, tail);
}

int err_sys(struct err *err, int errnum, const char *fmt, ...)
{
	char words[ERR_MSG_MAX];
	va_list args;

	if (err == NULL)
		return -errnum;
	va_start(args, fmt);
	vsnprintf(words, sizeof(words), fmt, args);
	va_end(args);
	append_tail(words, errno_words(errnum));
	store_words(err, -errnum, words);
	return -errnum;
}

void err_prefix(struct err *err, const char *fmt, ...)
{
	char words[ERR_MSG_MAX];
	va_list args;

	if (err == NULL)
		return;
	va_start(args, fmt);
	vsnprintf(words, sizeof(words), fmt, args);
	va_end(args);
	append_tail(words, err->msg);
	store_words(err, err->code, words);
}

const char *err_name(int code)
{
	switch (code) {
	case ERR_CORRUPT:
		return "the data is corrupt";
	case ERR_PROTOCOL:
		return "the peer broke the protocol";
	case ERR_UNREACHABLE:
		return "the remote cannot be reached";
	case ERR_TIMEOUT:
		return "timed out";
	case ERR_AUTH:
		return "access denied";
	case ERR_STALE:
		return "changed by somebody else in the meantime";
	case ERR_LIMIT:
		return "larger than allowed";
	case ERR_NOT_FOUND:
		return "not found";
	case ERR_UNSUPPORTED:
		return "not supported";
	case ERR_CANCELLED:
		return "cancelled";
	case ERR_AGAIN:
		return "not available yet";
	default:
		return code <= 0 ? errno_words(-code) : "unknown error";
	}
}
