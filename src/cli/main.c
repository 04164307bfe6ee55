/*
 * git-fs: which command is meant, and what holds for all of them.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/print.h"
#include "cli/say.h"

static const struct command {
	const char *name;
	int (*run)(const struct options *options);
	int operands_min, operands_max;
	const char *wanted; /* words for a wrong number of operands */
} commands[COMMAND_COUNT] = {
	[COMMAND_MOUNT] = { "mount", command_mount, 2, 2, "REPOSITORY and DIR" },
	[COMMAND_UNMOUNT] = { "unmount", command_unmount, 1, 1 << 20, "DIR" },
	[COMMAND_LIST] = { "list", command_list, 0, 0, "no operands" },
	[COMMAND_STATUS] = { "status", command_status, 0, 1, "at most one DIR" },
	[COMMAND_DIFF] = { "diff", command_diff, 0, 1 << 20, "paths" },
	[COMMAND_DISCARD] = { "discard", command_discard, 0, 1 << 20, "PATH" },
	[COMMAND_DOCTOR] = { "doctor", command_doctor, 0, 1, "at most one DIR or REPOSITORY" },
};

static bool find_command(const char *name, enum command_id *out)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		if (strcmp(commands[i].name, name) == 0) {
			*out = (enum command_id)i;
			return true;
		}
	}
	return false;
}

/* The first line of the usage, and what is wrong. */
static int usage_error(enum command_id command, const char *words)
{
	const char *usage = usage_of(command);

	fprintf(stderr, "%.*s\n", (int)strcspn(usage, "\n"), usage);
	say("%s", words);
	return EXIT_USAGE;
}

static int show_help(const char *topic)
{
	enum command_id command;

	if (topic == NULL) {
		fputs(usage_overview, stdout);
		return print_flush();
	}
	if (!find_command(topic, &command)) {
		say("no help on '%s': there is no such command", topic);
		return EXIT_USAGE;
	}
	fputs(usage_of(command), stdout);
	return print_flush();
}

/* argv[0] is skipped. */
static int run_command(enum command_id id, int argc, char **argv)
{
	const struct command *command = &commands[id];
	struct err err = ERR_INIT;
	struct options options;

	if (options_parse(id, argc, argv, &options, &err) < 0)
		return usage_error(id, err.msg);
	if (options.help)
		return show_help(command->name);
	if (options.operand_count >= command->operands_min &&
	    options.operand_count <= command->operands_max)
		return command->run(&options);
	err_set(&err, -EINVAL, "%s needs %s", command->name, command->wanted);
	return usage_error(id, err.msg);
}

/* git sets these for programs that it starts; they name another repository than
 * the one to mount. */
static void clear_git_environment(void)
{
	static const char *const names[] = {
		"GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE",
		"GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE",
		"GIT_PREFIX", "GIT_SHALLOW_FILE", "GIT_GRAFT_FILE", "GIT_PROTOCOL", "GIT_CONFIG",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unsetenv(names[i]);
}

int main(int argc, char **argv)
{
	struct err err = ERR_INIT;
	enum command_id command;

	umask(077);
	signal(SIGPIPE, SIG_IGN);
	clear_git_environment();
	log_set_trace(getenv("GIT_FS_TRACE"));
	if (failpoint_init(&err) < 0) {
		say("%s", err.msg);
		return EXIT_USAGE;
	}
	if (argc < 2) {
		fputs(usage_overview, stderr);
		say("a command or a repository is missing");
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("git-fs %s\n", GIT_FS_VERSION);
		return print_flush();
	}
	if (strcmp(argv[1], "help") == 0)
		return show_help(argc > 2 ? argv[2] : NULL);
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return show_help(NULL);
	if (find_command(argv[1], &command))
		return run_command(command, argc - 1, argv + 1);
	if (argc == 2 && argv[1][0] != '-') {
		fputs(usage_overview, stderr);
		say("'%s' is no command, and to mount it a DIR is missing", argv[1]);
		return EXIT_USAGE;
	}
	return run_command(COMMAND_MOUNT, argc, argv);
}
