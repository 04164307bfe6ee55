/* Output; see print.h. */
#include "cli/print.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "cli/commands.h"
#include "cli/say.h"

char *print_bytes(char out[32], uint64_t bytes)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB" };
	double value = (double)bytes / 1024;
	size_t unit = 0;

	if (bytes < 1024) {
		snprintf(out, 32, "%u bytes", (unsigned)bytes);
		return out;
	}
	while (value >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		value /= 1024;
		unit++;
	}
	snprintf(out, 32, "%.1f %s", value, units[unit]);
	return out;
}

char *print_time(char out[32], uint64_t seconds)
{
	time_t when = (time_t)seconds;
	struct tm tm;

	if (localtime_r(&when, &tm) == NULL || strftime(out, 32, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		snprintf(out, 32, "?");
	return out;
}

void print_line(const char *label, const char *text)
{
	char clean[4096];

	say_clean(clean, sizeof(clean), text);
	printf("%-12s %s\n", label, clean);
}

int print_flush(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return EXIT_DONE;
	say("cannot write the output: %s", strerror(errno));
	return EXIT_FAILED;
}

int print_json(struct json *json)
{
	if (json->ret < 0) {
		say("cannot make the output: %s", err_name(json->ret));
		return EXIT_FAILED;
	}
	printf("%s\n", buf_str(&json->text));
	return print_flush();
}
