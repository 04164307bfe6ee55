/*
 * The way of a line: format (cut at LINE_MAX_BYTES) -> redact -> escape ->
 * one write(2). A pipe takes up to PIPE_BUF = 4096 bytes in one piece, which
 * is where the limit of a line comes from.
 *
 * Redaction stands before escaping, so that it sees what the caller passed;
 * and what was cut is dropped back to the last blank first, as half of an URL
 * no longer shows that it carries a password. Where in doubt it takes away too
 * much: a host that cannot be read costs less than a token that can.
 */
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/io.h"
#include "base/threads.h"

#define LINE_MAX_BYTES 4096
#define PREFIX_MAX_BYTES 128
#define TRACE_MAX_BYTES 256
#define BLOT "***"

static atomic_int log_fd = 2;
/* False: nobody asks for any trace, and the lock need not be taken. */
static atomic_bool trace_any;
/* Innermost: no other lock is taken under it. */
static pthread_mutex_t trace_lock = PTHREAD_MUTEX_INITIALIZER;
static char trace_list[TRACE_MAX_BYTES]; /* guarded by trace_lock */

void log_set_fd(int fd)
{
	atomic_store(&log_fd, fd);
}

void log_set_trace(const char *modules)
{
	WITH_LOCK(&trace_lock);
	snprintf(trace_list, sizeof(trace_list), "%s", modules != NULL ? modules : "");
	atomic_store(&trace_any, trace_list[0] != '\0');
}

bool log_traced(const char *module)
{
	size_t module_len = strlen(module);
	const char *item = trace_list;

	if (!atomic_load(&trace_any))
		return false;

	WITH_LOCK(&trace_lock);
	while (*item != '\0') {
		size_t len = strcspn(item, ",");

		if (len == 3 && strncmp(item, "all", len) == 0)
			return true;
		if (len == module_len && strncmp(item, module, len) == 0)
			return true;
		item += len + strspn(item + len, ",");
	}
	return false;
}

/* Puts BLOT, or as much of it as there is room for, in place of text[0..len)
 * and moves the rest of the string down. */
static char *blot(char *text, size_t len)
{
	size_t shown = len < sizeof(BLOT) - 1 ? len : sizeof(BLOT) - 1;

	memcpy(text, BLOT, shown);
	memmove(text + shown, text + len, strlen(text + len) + 1);
	return text + shown;
}

static const char *last_at(const char *text, size_t len)
{
	return memrchr(text, '@', len);
}

/* Whether an authority without "@" can be a host and its port; if not, it is
 * the head of a password in which "/", "?" or "#" were not encoded. */
static bool plain_host(const char *authority, size_t len)
{
	const char *colon;
	size_t port;

	if (len > 0 && authority[0] == '[')
		return true;
	colon = memchr(authority, ':', len);
	if (colon == NULL)
		return true;
	port = (size_t)(authority + len - colon) - 1;
	return strspn(colon + 1, "0123456789") >= port;
}

/* The length of the user and password that stand at `text`, behind "//"; 0
 * for none. `is_ssh`: a user name by itself is no secret there, whereas in
 * http it usually is an access token. */
static size_t userinfo_len(const char *text, bool is_ssh)
{
	size_t word = strcspn(text, " \t\r\n");
	size_t authority = strcspn(text, "/?# \t\r\n");
	const char *at = last_at(text, authority);

	if (at == NULL && !plain_host(text, authority))
		at = last_at(text, word);
	if (at == NULL)
		return 0;
	if (is_ssh && memchr(text, ':', (size_t)(at - text)) == NULL)
		return 0;
	return (size_t)(at - text);
}

static void redact_urls(char *text)
{
	char *slashes = text;

	while ((slashes = strstr(slashes, "//")) != NULL) {
		bool is_ssh = slashes - text >= 4 && strncasecmp(slashes - 4, "ssh:", 4) == 0;

		slashes += 2;
		slashes = blot(slashes, userinfo_len(slashes, is_ssh));
	}
}

/* The value goes to the end of the line: schemes differ in how many words and
 * parameters they have. */
static void redact_authorization(char *text)
{
	static const char name[] = "authorization";
	char *at = text;

	while ((at = strcasestr(at, name)) != NULL) {
		at += sizeof(name) - 1;
		at += strspn(at, " \t\"'");
		if (*at != ':' && *at != '=')
			continue;
		at++;
		at += strspn(at, " \t");
		at = blot(at, strcspn(at, "\r\n"));
	}
}

void log_redact(char *text)
{
	redact_urls(text);
	redact_authorization(text);
}

static bool is_continuation(uint8_t byte)
{
	return (byte & 0xc0) == 0x80;
}

/* The length of the well-formed UTF-8 sequence that begins at `at` (Unicode,
 * table 3-7) and is no control; 0 where there is none. `at` ends with a NUL,
 * which is no continuation byte, so nothing is read beyond it. */
static size_t printable_len(const uint8_t *at)
{
	uint8_t low = 0x80;
	uint8_t high = 0xbf;
	size_t len;

	if (at[0] < 0x80)
		return at[0] >= 0x20 && at[0] != 0x7f;
	if (at[0] < 0xc2 || at[0] > 0xf4)
		return 0;
	len = 2U + (at[0] >= 0xe0) + (at[0] >= 0xf0);
	if (at[0] == 0xc2) /* U+0080..U+009F: controls, to a terminal as good as ESC */
		low = 0xa0;
	else if (at[0] == 0xe0 || at[0] == 0xf0) /* overlong */
		low = at[0] == 0xe0 ? 0xa0 : 0x90;
	else if (at[0] == 0xed) /* surrogates */
		high = 0x9f;
	else if (at[0] == 0xf4) /* above U+10FFFF */
		high = 0x8f;
	if (at[1] < low || at[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++) {
		if (!is_continuation(at[i]))
			return 0;
	}
	return len;
}

void log_escape(char *out, size_t size, const char *text)
{
	static const char hex[] = "0123456789abcdef";
	const uint8_t *at = (const uint8_t *)text;
	size_t used = 0;

	if (size == 0)
		return;
	while (*at != '\0') {
		size_t len = printable_len(at);
		char escaped[4] = { '\\', 'x', hex[*at >> 4], hex[*at & 0xf] };
		size_t need = len > 0 ? len : sizeof(escaped);

		if (need > size - 1 - used)
			break;
		if (len > 0)
			memcpy(out + used, at, len);
		else
			memcpy(out + used, escaped, sizeof(escaped));
		used += need;
		at += len > 0 ? len : 1;
	}
	out[used] = '\0';
}

/* "2024-05-06T07:08:09.123Z level module " */
static size_t write_prefix(char out[PREFIX_MAX_BYTES], enum log_level level, const char *module)
{
	static const char *const names[] = {
		[LOG_ERROR] = "error",
		[LOG_WARN] = "warn",
		[LOG_INFO] = "info",
		[LOG_TRACE] = "trace",
	};
	uint64_t now_ns = wall_ns();
	time_t seconds = (time_t)(now_ns / NS_PER_S);
	unsigned ms = (unsigned)(now_ns % NS_PER_S / NS_PER_MS);
	struct tm utc;
	char date[40] = "";
	int n;

	if (gmtime_r(&seconds, &utc) != NULL)
		strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &utc);
	n = snprintf(out, PREFIX_MAX_BYTES, "%s.%03uZ %s %.40s ", date, ms, names[level], module);
	return n > 0 ? (size_t)n : 0;
}

/* What did not fit is cut; the cut goes back to the last blank (head comment). */
static void format_text(char text[LINE_MAX_BYTES], const char *fmt, va_list args)
	__attribute__((format(printf, 2, 0)));

static void format_text(char text[LINE_MAX_BYTES], const char *fmt, va_list args)
{
	static const char mark[] = "...";
	int n = vsnprintf(text, LINE_MAX_BYTES, fmt, args);
	size_t end = LINE_MAX_BYTES - sizeof(mark);

	if (n < 0)
		snprintf(text, LINE_MAX_BYTES, "event=unformattable");
	if (n < LINE_MAX_BYTES)
		return;
	while (end > 0 && text[end - 1] != ' ')
		end--;
	memcpy(text + end, mark, sizeof(mark));
}

void log_line(enum log_level level, const char *module, const char *fmt, ...)
{
	char text[LINE_MAX_BYTES];
	char line[LINE_MAX_BYTES];
	int saved = errno;
	size_t len;
	va_list args;

	if (level == LOG_TRACE && !log_traced(module))
		return;
	va_start(args, fmt);
	format_text(text, fmt, args);
	va_end(args);
	log_redact(text);
	len = write_prefix(line, level, module);
	/* One byte is kept for the newline, which takes the place of the NUL. */
	log_escape(line + len, sizeof(line) - len, text);
	len += strlen(line + len);
	line[len++] = '\n';
	/* A log that cannot be written has nowhere to say so. */
	(void)!io_write(atomic_load(&log_fd), line, len);
	errno = saved;
}
