/* Lines for people; see say.h. */
#include "cli/say.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"

#define LINE_MAX_BYTES 4096

void say_clean(char *out, size_t size, const char *text)
{
	log_escape(out, size, text);
	log_redact(out);
}

void say(const char *fmt, ...)
{
	char raw[LINE_MAX_BYTES];
	char clean[LINE_MAX_BYTES];
	char line[LINE_MAX_BYTES + 16];
	va_list args;
	int len;

	va_start(args, fmt);
	vsnprintf(raw, sizeof(raw), fmt, args);
	va_end(args);
	say_clean(clean, sizeof(clean), raw);
	len = snprintf(line, sizeof(line), "git-fs: %s\n", clean);
	/* One write(2), so that lines of two processes do not mix. Where stderr
	 * is closed there is nobody to tell. */
	if (len > 0 && io_write(STDERR_FILENO, line, (size_t)len) < 0)
		return;
}
