/*
 * The command line of each command, parsed. Options may stand before or after
 * the operands; "--" ends them.
 */
#ifndef GIT_FS_CLI_OPTIONS_H
#define GIT_FS_CLI_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum command_id {
	COMMAND_MOUNT,
	COMMAND_UNMOUNT,
	COMMAND_LIST,
	COMMAND_STATUS,
	COMMAND_DIFF,
	COMMAND_DISCARD,
	COMMAND_DOCTOR,
	COMMAND_COUNT,
};

#define OPTION_TIMEOUT_MAX_S 86400U
#define OPTION_POLL_MAX_US 1000000U
#define OPTION_WORKERS_MAX 64U

struct options {
	bool help;
	bool json;
	bool writable;
	bool all;
	bool repair;
	bool foreground;
	bool allow_other;
	bool poll_given;
	bool writeback;
	bool xattr;
	bool state_dir_unsafe;
	const char *ref;         /* as typed; "": the default branch */
	const char *cache_dir;   /* as typed; NULL: not given */
	const char *state_dir;
	const char *overlay;     /* NULL: not given */
	unsigned timeout_s;      /* 0: not given */
	unsigned workers;        /* 0: not given */
	unsigned poll_us;        /* where poll_given */
	uint32_t mechanisms_off; /* bits of enum mechanism */
	char **operands;         /* within argv */
	int operand_count;
	int operands_before;     /* of them, before "--"; all where there is none */
	bool dashes;             /* there was a "--" */
};

/* argv[0] is skipped. All strings stay argv's; argv is put into another order.
 * -EINVAL with words for what `command` does not take. */
int options_parse(enum command_id command, int argc, char **argv, struct options *out,
		  struct err *err) __attribute__((warn_unused_result));

/* A whole decimal number from min to max; -EINVAL. */
int options_number(const char *text, unsigned min, unsigned max, unsigned *out)
	__attribute__((warn_unused_result));

#endif
