/*
 * The log: one line per event, `time level module key=value ...`.
 *
 * Lower layers return errors and do not log; workers, sessions and commands
 * log, once. Credentials in URLs (`//user:secret@`) and in `Authorization`
 * values are blotted out by the formatter, whatever the caller passes.
 * Control bytes are escaped, so that a server cannot write to a terminal.
 */
#ifndef GIT_FS_BASE_LOG_H
#define GIT_FS_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_TRACE };

/* Lines go to `fd` from now on (default 2). Not closed by this module. */
void log_set_fd(int fd);

/* Modules whose LOG_TRACE lines are written: a list with commas, as in
 * GIT_FS_TRACE; "all" for every one; NULL for none. Copied. */
void log_set_trace(const char *modules);
bool log_traced(const char *module);

/* `fmt` gives the rest of the line: "event=mounted dir=%s". At most 4 KiB a
 * line; one write(2), so that lines of several threads do not mix. */
void log_line(enum log_level level, const char *module, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Blots out credentials in `text` in place; used by the formatter and by
 * whatever shows foreign words to a person. Does not make it longer. */
void log_redact(char *text);
/* Copies `text` to `out` (size bytes, NUL-terminated, cut where too long) with
 * control bytes and invalid UTF-8 as \xNN. */
void log_escape(char *out, size_t size, const char *text);

#endif
