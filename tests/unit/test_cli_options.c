/* The command line: what each command takes, and what it says of the rest. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/options.h"
#include "fuse/kernel.h"

#define WORDS_MAX 16

/* argv of writable words, as main() gets it. */
struct line {
	char text[512];
	char *argv[WORDS_MAX + 1];
	int argc;
};

/* Words are separated by blanks. */
static struct line *line_of(struct line *line, const char *text)
{
	char *rest, *word;

	snprintf(line->text, sizeof(line->text), "git-fs %s", text);
	line->argc = 0;
	for (word = strtok_r(line->text, " ", &rest); word != NULL;
	     word = strtok_r(NULL, " ", &rest)) {
		assert_true(line->argc < WORDS_MAX);
		line->argv[line->argc++] = word;
	}
	line->argv[line->argc] = NULL;
	return line;
}

static int parse(enum command_id command, const char *text, struct line *line,
		 struct options *out, struct err *err)
{
	line_of(line, text);
	return options_parse(command, line->argc, line->argv, out, err);
}

static void options_stand_anywhere(void **state)
{
	static const char *const lines[] = {
		"--ref main --timeout 5 -f repo dir",
		"repo --ref main dir --timeout 5 -f",
		"repo dir --ref=main --timeout=5 --foreground",
		"--ref main -f --timeout 5 -- repo dir",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct options options;
		struct line line;

		assert_int_equal(parse(COMMAND_MOUNT, lines[i], &line, &options, NULL), 0);
		assert_int_equal(options.operand_count, 2);
		assert_string_equal(options.operands[0], "repo");
		assert_string_equal(options.operands[1], "dir");
		assert_string_equal(options.ref, "main");
		assert_int_equal(options.timeout_s, 5);
		assert_true(options.foreground);
		assert_false(options.writable);
	}
}

static void nothing_given_is_nothing_set(void **state)
{
	struct options options;
	struct line line;

	(void)state;
	assert_int_equal(parse(COMMAND_MOUNT, "", &line, &options, NULL), 0);
	assert_int_equal(options.operand_count, 0);
	assert_string_equal(options.ref, "");
	assert_null(options.cache_dir);
	assert_null(options.state_dir);
	assert_int_equal(options.timeout_s, 0);
	assert_int_equal(options.mechanisms_off, 0);
	assert_false(options.poll_given || options.help || options.json || options.allow_other);
}

static void mount_words_are_taken(void **state)
{
	struct options options;
	struct line line;
	enum mechanism first;
	char text[256];

	(void)state;
	assert_int_equal(mechanism_find(mechanism_table[0].name, strlen(mechanism_table[0].name),
					&first),
			 0);
	snprintf(text, sizeof(text), "a b -w -o allow_other,workers=3 -opoll_us=0,no_%s",
		 mechanism_table[0].name);
	assert_int_equal(parse(COMMAND_MOUNT, text, &line, &options, NULL), 0);
	assert_true(options.allow_other);
	assert_true(options.writable);
	assert_int_equal(options.workers, 3);
	assert_true(options.poll_given);
	assert_int_equal(options.poll_us, 0);
	assert_int_equal(options.mechanisms_off, 1U << first);
}

static void every_mechanism_has_a_switch(void **state)
{
	(void)state;
	for (unsigned i = 0; i < MECH_COUNT; i++) {
		struct options options;
		struct line line;
		char text[128];

		snprintf(text, sizeof(text), "-o no_%s a b", mechanism_table[i].name);
		assert_int_equal(parse(COMMAND_MOUNT, text, &line, &options, NULL), 0);
		assert_int_equal(options.mechanisms_off, 1U << i);
	}
}

static void what_is_wrong_is_named(void **state)
{
	static const struct {
		enum command_id command;
		const char *line, *named;
	} cases[] = {
		{ COMMAND_MOUNT, "--bogus a b", "'--bogus'" },
		{ COMMAND_MOUNT, "-x a b", "'-x'" },
		{ COMMAND_MOUNT, "-wx a b", "'-x'" },
		{ COMMAND_MOUNT, "a b --json", "'--json'" },
		{ COMMAND_MOUNT, "a b --ref", "'--ref' needs a value" },
		{ COMMAND_MOUNT, "--ref= a b", "--ref" },
		{ COMMAND_MOUNT, "--cache-dir= a b", "folder" },
		{ COMMAND_MOUNT, "--timeout 0 a b", "'0'" },
		{ COMMAND_MOUNT, "--timeout 86401 a b", "'86401'" },
		{ COMMAND_MOUNT, "--timeout 5s a b", "'5s'" },
		{ COMMAND_MOUNT, "--timeout -1 a b", "'-1'" },
		{ COMMAND_MOUNT, "--timeout 99999999999999999999 a b", "--timeout" },
		{ COMMAND_MOUNT, "-o nosuch a b", "'nosuch'" },
		{ COMMAND_MOUNT, "-o no_nosuch a b", "'no_nosuch'" },
		{ COMMAND_MOUNT, "-o allow_other,,workers=1 a b", "''" },
		{ COMMAND_MOUNT, "-o workers=65 a b", "'65'" },
		{ COMMAND_MOUNT, "-o workers= a b", "''" },
		{ COMMAND_MOUNT, "-o poll_us=1000001 a b", "'1000001'" },
		{ COMMAND_MOUNT,
		  "-o aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa a b",
		  "aaaa" },
		{ COMMAND_UNMOUNT, "--ref a b", "'--ref'" },
		{ COMMAND_LIST, "-w", "'-w'" },
		{ COMMAND_STATUS, "--timeout 3", "'--timeout'" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct options options;
		struct err err = ERR_INIT;
		struct line line;

		assert_int_equal(parse(cases[i].command, cases[i].line, &line, &options, &err),
				 -EINVAL);
		if (strstr(err.msg, cases[i].named) == NULL)
			fail_msg("%s: '%s' does not name %s", cases[i].line, err.msg,
				 cases[i].named);
	}
}

static void a_ref_has_a_limit(void **state)
{
	char name[1100];
	char option[] = "--ref";
	char program[] = "git-fs";
	char *argv[] = { program, option, name, NULL };
	struct options options;
	struct err err = ERR_INIT;

	(void)state;
	memset(name, 'a', sizeof(name) - 1);
	name[1024] = '\0';
	assert_int_equal(options_parse(COMMAND_MOUNT, 3, argv, &options, &err), -EINVAL);
	name[1023] = '\0';
	argv[1] = option;
	argv[2] = name;
	assert_int_equal(options_parse(COMMAND_MOUNT, 3, argv, &options, &err), 0);
}

static void other_commands_have_theirs(void **state)
{
	struct options options;
	struct line line;

	(void)state;
	assert_int_equal(parse(COMMAND_UNMOUNT, "a --timeout 3 b c", &line, &options, NULL), 0);
	assert_int_equal(options.operand_count, 3);
	assert_int_equal(options.timeout_s, 3);
	assert_int_equal(parse(COMMAND_LIST, "--json", &line, &options, NULL), 0);
	assert_true(options.json);
	assert_int_equal(parse(COMMAND_STATUS, "dir --json -h", &line, &options, NULL), 0);
	assert_true(options.json && options.help);
	assert_string_equal(options.operands[0], "dir");
}

static void two_dashes_part_the_operands(void **state)
{
	static const struct {
		const char *text;
		int count, before;
		bool dashes;
	} cases[] = {
		{ "", 0, 0, false },           { "a b", 2, 2, false },    { "-- a b", 2, 0, true },
		{ "a -- b c", 3, 1, true },
		{ "a --", 1, 1, true },
		{ "a -- -- b", 3, 1, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct options options;
		struct line line;

		assert_int_equal(parse(COMMAND_DIFF, cases[i].text, &line, &options, NULL), 0);
		assert_int_equal(options.operand_count, cases[i].count);
		assert_int_equal(options.operands_before, cases[i].before);
		assert_int_equal(options.dashes, cases[i].dashes);
	}
}

static void commands_about_changes_have_theirs(void **state)
{
	struct options options;
	struct line line;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(parse(COMMAND_STATUS, "--all", &line, &options, NULL), 0);
	assert_true(options.all);
	assert_int_equal(parse(COMMAND_DISCARD, "--all dir", &line, &options, NULL), 0);
	assert_true(options.all);
	assert_int_equal(parse(COMMAND_DOCTOR, "--repair --overlay x --state-dir d r", &line,
			       &options, NULL), 0);
	assert_true(options.repair);
	assert_string_equal(options.overlay, "x");
	assert_string_equal(options.state_dir, "d");
	assert_int_equal(parse(COMMAND_LIST, "--state-dir d", &line, &options, NULL), 0);
	assert_int_equal(parse(COMMAND_DIFF, "--all", &line, &options, &err), -EINVAL);
	assert_int_equal(parse(COMMAND_LIST, "--all", &line, &options, &err), -EINVAL);
	assert_int_equal(parse(COMMAND_STATUS, "--repair", &line, &options, &err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_stand_anywhere),
		cmocka_unit_test(nothing_given_is_nothing_set),
		cmocka_unit_test(mount_words_are_taken),
		cmocka_unit_test(every_mechanism_has_a_switch),
		cmocka_unit_test(what_is_wrong_is_named),
		cmocka_unit_test(a_ref_has_a_limit),
		cmocka_unit_test(other_commands_have_theirs),
		cmocka_unit_test(two_dashes_part_the_operands),
		cmocka_unit_test(commands_about_changes_have_theirs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
