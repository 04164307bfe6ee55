/*
 * The control socket of a mount: how commands talk to the daemon. A Unix
 * stream socket, mode 0600 in a folder of mode 0700, framed as pkt-lines.
 * docs/control.md has the commands.
 *
 * A request is one pkt-line per word, the command first, then a flush. The
 * reply is pkt-lines "key value" (the key without spaces, the value any bytes
 * but NUL), or one "error words", then "exit N" and a flush. A connection
 * carries one request.
 */
#ifndef GIT_FS_CONTROL_CONTROL_H
#define GIT_FS_CONTROL_CONTROL_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

#define CONTROL_WORDS_MAX 64       /* in one request */
#define CONTROL_CONNECTIONS_MAX 16 /* at once; more wait */

/* --- the daemon's side --- */

struct control_reply; /* gathers the reply; owned by the server */
/* One "key value" line. Blocks for up to a few seconds where the peer does not read;
 * fails where it is gone, and the handler may then stop. */
int control_reply_add(struct control_reply *reply, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), warn_unused_result));
/* The "error" line; the exit code is then 1 unless the handler returns another. */
int control_reply_error(struct control_reply *reply, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), warn_unused_result));

/* Answers one request: words[0] is the command. Returns the exit code (0..255) or a
 * negative errno (told as "error"). Runs on a thread of the server, several at once. */
typedef int control_handler_fn(void *arg, const char *const *words, size_t count,
			       struct control_reply *reply);

struct control_server;
/* Binds `path` (an old socket there is replaced) and starts its thread. Peers of
 * another user than ours (or root) are turned away by SO_PEERCRED. */
int control_server_start(struct control_server **out, const char *path,
			 control_handler_fn *handler, void *arg, struct err *err)
	__attribute__((warn_unused_result));
/* Ends the threads, removes the socket. NULL is allowed. */
void control_server_stop(struct control_server *server);

/* --- the command's side --- */

/* Called for every "key value" line. A negative result ends the call with it. */
typedef int control_line_fn(void *arg, const char *key, const char *value);

/* Sends the words (NULL-terminated list) and reads the reply. The exit code of
 * the reply (its words of error in `err`), or a negative errno: -ECONNREFUSED or
 * -ENOENT: nobody listens; ERR_TIMEOUT. Blocks up to timeout_ms. */
int control_call(const char *path, const char *const *words, control_line_fn *line, void *arg,
		 unsigned timeout_ms, struct err *err) __attribute__((warn_unused_result));

#endif
