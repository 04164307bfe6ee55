/*
 * git-fs discard: paths become what they are in the base again. What was added is gone
 * afterwards, for good; so nothing is taken that was not named, and the whole mount only
 * with --all.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/place.h"
#include "cli/print.h"
#include "cli/say.h"

struct taken {
	uint64_t differences; /* that `status` would have shown */
	uint64_t touched;     /* names and files */
};

static int take_count(void *arg, const char *key, const char *value)
{
	struct taken *taken = arg;

	if (strcmp(key, "taken_back") == 0)
		taken->differences = strtoull(value, NULL, 10);
	else if (strcmp(key, "touched") == 0)
		taken->touched = strtoull(value, NULL, 10);
	return 0;
}

static int discard_at(const struct place *place, const char *shown, struct err *err)
{
	const char *const words[] = { "discard", place->path, NULL };
	struct taken taken = { .differences = 0 };
	char clean[4096];
	int ret = place_ask(place->daemon, words, take_count, &taken, err);

	if (ret != 0)
		return ret < 0 ? ret : -EIO;
	if (taken.touched == 0)
		return err_set(err, -ENOENT, "%s does not differ from the base", shown);
	say_clean(clean, sizeof(clean), shown);
	if (taken.differences > 0)
		printf("took back %llu change%s: %s\n", (unsigned long long)taken.differences,
		       taken.differences == 1 ? "" : "s", clean);
	else
		printf("took back times and permissions: %s\n", clean);
	return 0;
}

static int discard_one(const char *text, bool all, struct err *err)
{
	struct place place = PLACE_INIT;
	int ret = place_find_writable(&place, text, "discard", err);

	if (ret < 0)
		return ret;
	if (text == NULL)
		place.path[0] = '\0';
	if (place.path[0] == '\0' && !all)
		ret = err_set(err, -EINVAL,
			      "%s is the whole mount; to take back everything in it: git-fs "
			      "discard --all %s",
			      place.entry->mount_point, place.entry->mount_point);
	else if (place.path[0] != '\0' && all)
		ret = err_set(err, -EINVAL,
			      "--all means a whole mount, and %s lies in the one at %s", text,
			      place.entry->mount_point);
	else
		ret = discard_at(&place, text != NULL ? text : place.entry->mount_point, err);
	place_release(&place);
	return ret;
}

int command_discard(const struct options *options)
{
	int code = EXIT_DONE;

	if (options->operand_count == 0 && !options->all) {
		say("discard needs PATH, or --all");
		return EXIT_USAGE;
	}
	for (int i = 0; i < options->operand_count || i == 0; i++) {
		const char *text = options->operand_count > 0 ? options->operands[i] : NULL;
		struct err err = ERR_INIT;
		int ret = discard_one(text, options->all, &err);

		if (ret < 0) {
			say("%s", err.msg[0] != '\0' ? err.msg : err_name(ret));
			code = EXIT_FAILED;
		}
	}
	return print_flush() == EXIT_DONE ? code : EXIT_FAILED;
}
