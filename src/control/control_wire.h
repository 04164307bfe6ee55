/*
 * The bytes of the control socket, apart from sockets and threads, so that
 * both parsers can be fed by tests. control.h says what is spoken.
 */
#ifndef GIT_FS_CONTROL_CONTROL_WIRE_H
#define GIT_FS_CONTROL_CONTROL_WIRE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "control/control.h"
#include "git/pktline.h"

#define CONTROL_REQUEST_BYTES_MAX ((size_t)64 << 10) /* all words of a request */
#define CONTROL_REPLY_BYTES_MAX ((size_t)1 << 30)    /* a whole reply */
#define CONTROL_KEY_MAX 64                           /* bytes of a key */

/* Keys that are the protocol's own. */
#define CONTROL_KEY_ERROR "error"
#define CONTROL_KEY_EXIT "exit"

struct control_request {
	struct pktline_reader reader;
	struct buf text;                  /* the words, a NUL after each */
	size_t starts[CONTROL_WORDS_MAX]; /* where each begins in text */
	size_t count;
};

#define CONTROL_REQUEST_INIT                                       \
	{                                                          \
		.reader = PKTLINE_READER_INIT,                     \
		.text = BUF_INIT_MAX(CONTROL_REQUEST_BYTES_MAX),   \
		.count = 0                                         \
	}

void control_request_release(struct control_request *request);
/* Takes bytes as they come. 1: the request is whole; 0: more is needed;
 * ERR_PROTOCOL, ERR_LIMIT, -ENOMEM. */
int control_request_feed(struct control_request *request, const void *data, size_t len)
	__attribute__((warn_unused_result));
/* Points words[0..count) at the words; valid until the release. */
void control_request_words(const struct control_request *request,
			   const char *words[CONTROL_WORDS_MAX]);
/* Writes a request: the words (a NULL ends them) and a flush. */
int control_request_write(struct buf *out, const char *const *words)
	__attribute__((warn_unused_result));

struct control_response {
	struct pktline_reader reader;
	struct buf line;   /* the line at hand, NUL-terminated */
	size_t bytes;      /* received so far */
	bool exit_seen;
	int exit_code;     /* 0..255 once exit_seen */
	struct err *err;   /* borrowed: takes the "error" line; may be NULL */
};

#define CONTROL_RESPONSE_INIT(words)                                \
	{                                                           \
		.reader = PKTLINE_READER_INIT,                      \
		.line = BUF_INIT_MAX(PKTLINE_PAYLOAD_MAX),          \
		.err = (words)                                      \
	}

void control_response_release(struct control_response *response);
/* Takes bytes as they come and calls `line` for each "key value". 1: the reply
 * is whole and exit_code holds; 0: more is needed; a negative errno, that of
 * `line` among them. */
int control_response_feed(struct control_response *response, const void *data, size_t len,
			  control_line_fn *line, void *arg) __attribute__((warn_unused_result));

#endif
