/*
 * The daemons of this user, each asked for its status at its control socket.
 */
#ifndef GIT_FS_CLI_DAEMONS_H
#define GIT_FS_CLI_DAEMONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "cli/mounts.h"

struct fact {
	char *key;
	char *value;
};

/* What a daemon told, in its order; a key may come several times. */
struct facts {
	struct fact *items; /* owned, and what they point to */
	size_t count;
	size_t room;
};

#define FACTS_INIT { .items = NULL, .count = 0, .room = 0 }

int facts_add(struct facts *facts, const char *key, const char *value)
	__attribute__((warn_unused_result));
/* The first value of the key; NULL where there is none. */
const char *facts_get(const struct facts *facts, const char *key);
/* The same for people, "-" where there is none; and as a number, 0 where there is none. */
const char *facts_text(const struct facts *facts, const char *key);
uint64_t facts_number(const struct facts *facts, const char *key);
void facts_release(struct facts *facts);

struct daemon {
	pid_t pid;
	int result;         /* 0: it answered; else why not */
	struct facts facts; /* where it answered */
};

struct daemon_list {
	struct daemon *items;
	size_t count;
};

#define DAEMON_LIST_INIT { .items = NULL, .count = 0 }

/* Asks all of them; sockets of dead processes are removed on the way. */
int daemons_ask(struct daemon_list *out, struct err *err) __attribute__((warn_unused_result));
void daemons_release(struct daemon_list *list);
/* Whether it said that this mount is its own. */
bool daemon_serves(const struct daemon *daemon, const struct mount_entry *entry);
/* The daemon whose mount this is; NULL where none said so. */
const struct daemon *daemons_find(const struct daemon_list *list, const struct mount_entry *entry);

/* A word for what state a mount without a daemon that answers is in: "dead",
 * "deaf" (does not answer), "unknown" (it lives, but not for us to ask). Asks the
 * mount, for up to PROBE_TIMEOUT_MS. */
const char *daemons_state_without(const struct mount_entry *entry);

#endif
