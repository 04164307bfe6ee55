/*
 * Options by getopt_long(3). One table of all options; each names the commands
 * that take it, so that one given to the wrong command is as unknown as a
 * misspelled one.
 */
#include "cli/options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "cli/paths.h"
#include "fuse/kernel.h"
#include "remote/remote.h"

#define FOR(command) (1U << COMMAND_##command)
#define FOR_ALL ((1U << COMMAND_COUNT) - 1)

/* Values beyond any byte, for options without a short form. */
enum { OPT_REF = 256, OPT_CACHE_DIR, OPT_STATE_DIR, OPT_ALLOW_OTHER, OPT_TIMEOUT, OPT_JSON,
       OPT_OVERLAY, OPT_STATE_DIR_UNSAFE, OPT_ALL, OPT_REPAIR };

static const struct {
	struct option option;
	unsigned commands;
} option_table[] = {
	{ { "help", no_argument, NULL, 'h' }, FOR_ALL },
	{ { "writable", no_argument, NULL, 'w' }, FOR(MOUNT) },
	{ { "foreground", no_argument, NULL, 'f' }, FOR(MOUNT) },
	{ { "options", required_argument, NULL, 'o' }, FOR(MOUNT) },
	{ { "ref", required_argument, NULL, OPT_REF }, FOR(MOUNT) },
	{ { "cache-dir", required_argument, NULL, OPT_CACHE_DIR }, FOR(MOUNT) },
	{ { "state-dir", required_argument, NULL, OPT_STATE_DIR },
	  FOR(MOUNT) | FOR(LIST) | FOR(DOCTOR) },
	{ { "allow-other", no_argument, NULL, OPT_ALLOW_OTHER }, FOR(MOUNT) },
	{ { "overlay", required_argument, NULL, OPT_OVERLAY }, FOR(MOUNT) | FOR(DOCTOR) },
	{ { "state-dir-unsafe", no_argument, NULL, OPT_STATE_DIR_UNSAFE }, FOR(MOUNT) },
	{ { "timeout", required_argument, NULL, OPT_TIMEOUT }, FOR(MOUNT) | FOR(UNMOUNT) },
	{ { "json", no_argument, NULL, OPT_JSON }, FOR(LIST) | FOR(STATUS) },
	{ { "all", no_argument, NULL, OPT_ALL }, FOR(STATUS) | FOR(DISCARD) },
	{ { "repair", no_argument, NULL, OPT_REPAIR }, FOR(DOCTOR) },
};
#define OPTION_COUNT (sizeof(option_table) / sizeof(option_table[0]))

int options_number(const char *text, unsigned min, unsigned max, unsigned *out)
{
	struct cursor digits = cursor_of(text, strlen(text));
	uint64_t value;

	if (!cursor_decimal(&digits, max, &value) || digits.left != 0 || value < min)
		return -EINVAL;
	*out = (unsigned)value;
	return 0;
}

static int number_of(const char *what, const char *text, unsigned min, unsigned max,
		     unsigned *out, struct err *err)
{
	if (options_number(text, min, max, out) == 0)
		return 0;
	return err_set(err, -EINVAL, "%s: '%s' is not a number from %u to %u", what, text, min,
		       max);
}

/* One word of -o's list. */
static int mount_word(struct options *opts, const char *word, struct err *err)
{
	enum mechanism mechanism;

	if (strcmp(word, "allow_other") == 0) {
		opts->allow_other = true;
		return 0;
	}
	if (strcmp(word, "writeback") == 0) {
		opts->writeback = true;
		return 0;
	}
	if (strcmp(word, "xattr") == 0) {
		opts->xattr = true;
		return 0;
	}
	if (strncmp(word, "workers=", 8) == 0)
		return number_of("-o workers", word + 8, 1, OPTION_WORKERS_MAX, &opts->workers,
				 err);
	if (strncmp(word, "poll_us=", 8) == 0) {
		opts->poll_given = true;
		return number_of("-o poll_us", word + 8, 0, OPTION_POLL_MAX_US, &opts->poll_us,
				 err);
	}
	if (strncmp(word, "no_", 3) == 0 &&
	    mechanism_find(word + 3, strlen(word + 3), &mechanism) == 0) {
		opts->mechanisms_off |= UINT32_C(1) << mechanism;
		return 0;
	}
	return err_set(err, -EINVAL, "unknown mount option '%s' after -o", word);
}

static int mount_words(struct options *opts, const char *list, struct err *err)
{
	char word[64];

	for (;;) {
		size_t len = strcspn(list, ",");
		int ret;

		if (len >= sizeof(word))
			return err_set(err, -EINVAL, "unknown mount option '%s' after -o", list);
		memcpy(word, list, len);
		word[len] = '\0';
		ret = mount_word(opts, word, err);
		if (ret < 0)
			return ret;
		if (list[len] == '\0')
			return 0;
		list += len + 1;
	}
}

static int take_ref(struct options *opts, const char *ref, struct err *err)
{
	if (ref[0] == '\0')
		return err_set(err, -EINVAL, "--ref needs the name of a branch, tag or commit");
	if (strlen(ref) >= REF_NAME_MAX)
		return err_set(err, -EINVAL, "--ref: the name is longer than %d bytes",
			       REF_NAME_MAX - 1);
	opts->ref = ref;
	return 0;
}

static int take_overlay(struct options *opts, const char *name, struct err *err)
{
	size_t len = strlen(name);

	if (len == 0 || len > OVERLAY_NAME_MAX || name[0] == '.' || name[0] == '-' ||
	    strspn(name, OVERLAY_NAME_BYTES) != len)
		return err_set(err, -EINVAL,
			       "--overlay: '%s' is no name of up to %d letters, digits, '.', '_' "
			       "or '-'",
			       name, OVERLAY_NAME_MAX);
	opts->overlay = name;
	return 0;
}

static int take(struct options *opts, int which, const char *value, struct err *err)
{
	switch (which) {
	case 'h':
		opts->help = true;
		return 0;
	case 'w':
		opts->writable = true;
		return 0;
	case 'f':
		opts->foreground = true;
		return 0;
	case 'o':
		return mount_words(opts, value, err);
	case OPT_REF:
		return take_ref(opts, value, err);
	case OPT_OVERLAY:
		return take_overlay(opts, value, err);
	case OPT_STATE_DIR_UNSAFE:
		opts->state_dir_unsafe = true;
		return 0;
	case OPT_ALL:
		opts->all = true;
		return 0;
	case OPT_REPAIR:
		opts->repair = true;
		return 0;
	case OPT_CACHE_DIR:
		opts->cache_dir = value;
		break;
	case OPT_STATE_DIR:
		opts->state_dir = value;
		break;
	case OPT_ALLOW_OTHER:
		opts->allow_other = true;
		return 0;
	case OPT_TIMEOUT:
		return number_of("--timeout", value, 1, OPTION_TIMEOUT_MAX_S, &opts->timeout_s,
				 err);
	default:
		opts->json = true;
		return 0;
	}
	return value[0] != '\0' ? 0 : err_set(err, -EINVAL, "the name of a folder is empty");
}

/* Fills what getopt_long wants for one command. */
static void select_options(enum command_id command, struct option *longs, char *shorts)
{
	/* ':' first: a missing value is told apart from an unknown option. */
	*shorts++ = ':';
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		const struct option *option = &option_table[i].option;

		if (!(option_table[i].commands & (1U << command)))
			continue;
		*longs++ = *option;
		if (option->val > 255)
			continue;
		*shorts++ = (char)option->val;
		if (option->has_arg == required_argument)
			*shorts++ = ':';
	}
	*longs = (struct option){ .name = NULL };
	*shorts = '\0';
}

static int refuse(int what, char *const *argv, struct err *err)
{
	const char *word = argv[optind - 1];

	if (what == ':')
		return err_set(err, -EINVAL, "option '%s' needs a value", word);
	/* A short option may stand amid others: it alone is named. */
	if (optopt > 0 && optopt < 256 && strncmp(word, "--", 2) != 0)
		return err_set(err, -EINVAL, "unknown option '-%c'", optopt);
	return err_set(err, -EINVAL, "unknown option '%s'", word);
}

/* How many words stand behind the first "--", which is looked for before getopt_long(3)
 * puts all operands behind it; -1 where there is none. */
static int words_behind_dashes(int argc, char *const *argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--") == 0)
			return argc - i - 1;
	}
	return -1;
}

int options_parse(enum command_id command, int argc, char **argv, struct options *out,
		  struct err *err)
{
	struct option longs[OPTION_COUNT + 1];
	char shorts[2 * OPTION_COUNT + 2];
	struct options opts = { .ref = "" };
	int behind = words_behind_dashes(argc, argv);
	int which;

	select_options(command, longs, shorts);
	optind = 0; /* glibc: start anew */
	opterr = 0;
	while ((which = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		int ret;

		if (which == '?' || which == ':')
			return refuse(which, argv, err);
		ret = take(&opts, which, optarg, err);
		if (ret < 0)
			return ret;
	}
	opts.operands = argv + optind;
	opts.operand_count = argc - optind;
	opts.dashes = behind >= 0;
	opts.operands_before = opts.operand_count - (behind >= 0 ? behind : 0);
	*out = opts;
	return 0;
}
