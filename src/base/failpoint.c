/*
 * Rules in a small table under one lock. The lock is taken only where something
 * is set, which is in tests: there the order in which threads pass is what N
 * counts, so that it may as well be one.
 *
 * Death is SIGKILL, as nothing may run after it: no handler, no exit function,
 * no flush of stdio.
 */
#include "base/failpoint.h"

#include <ctype.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/threads.h"

#define ERRNO_MAX 4095 /* the kernel's own bound */
#define DIE 1          /* an action; the others are negative errnos */

struct rule {
	char name[FAILPOINT_NAME_MAX + 1];
	uint64_t at;     /* the pass, from 1, at which it acts */
	bool onwards;    /* and at all later ones */
	int action;      /* DIE or a negative errno */
	uint64_t passes; /* until now; guarded by lock */
};

atomic_bool failpoints_on;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* nothing is locked inside */
static struct rule rules[FAILPOINT_RULES_MAX];           /* guarded by lock */
static size_t rule_count;                                /* guarded by lock */
static int log_fd = -1;                                  /* set before threads start */
static const char *logged[FAILPOINTS_MAX];               /* guarded by lock */
static size_t logged_count;                              /* guarded by lock */

static int parse_action(const char *words, size_t len)
{
	if (len == 4 && memcmp(words, "kill", len) == 0)
		return DIE;
	for (int number = 1; number <= ERRNO_MAX; number++) {
		const char *name = strerrorname_np(number);

		if (name != NULL && strlen(name) == len && memcmp(name, words, len) == 0)
			return -number;
	}
	return 0;
}

/* The N or N+ of a rule, up to `end`. */
static bool parse_pass(const char *words, const char *end, struct rule *out)
{
	char *rest;

	if (!isdigit((unsigned char)*words))
		return false;
	errno = 0;
	out->at = strtoull(words, &rest, 10);
	if (errno != 0 || out->at == 0)
		return false;
	out->onwards = *rest == '+';
	return rest + (out->onwards ? 1 : 0) == end;
}

/* One rule of `len` bytes. */
static bool parse_rule(const char *words, size_t len, struct rule *out)
{
	const char *equals = memchr(words, '=', len);
	const char *name_end = equals;
	const char *colon;
	size_t name_len;

	if (equals == NULL)
		return false;
	*out = (struct rule){ .at = 1 };
	colon = memchr(words, ':', (size_t)(equals - words));
	if (colon != NULL && !parse_pass(colon + 1, equals, out))
		return false;
	if (colon != NULL)
		name_end = colon;
	name_len = (size_t)(name_end - words);
	if (name_len == 0 || name_len > FAILPOINT_NAME_MAX)
		return false;
	memcpy(out->name, words, name_len);
	out->action = parse_action(equals + 1, len - (size_t)(equals + 1 - words));
	return out->action != 0;
}

static int parse_rules(const char *words, struct rule out[FAILPOINT_RULES_MAX], size_t *count)
{
	size_t n = 0;

	while (*words != '\0') {
		size_t len = strcspn(words, ",");

		if (n == FAILPOINT_RULES_MAX)
			return ERR_LIMIT;
		if (!parse_rule(words, len, &out[n++]))
			return -EINVAL;
		words += len;
		if (*words == ',' && *++words == '\0')
			return -EINVAL;
	}
	*count = n;
	return 0;
}

int failpoint_set(const char *words)
{
	struct rule parsed[FAILPOINT_RULES_MAX];
	size_t count = 0;
	int rc = parse_rules(words != NULL ? words : "", parsed, &count);

	if (rc < 0)
		return rc;
	WITH_LOCK(&lock);
	memcpy(rules, parsed, count * sizeof(rules[0]));
	rule_count = count;
	atomic_store_explicit(&failpoints_on, count > 0 || log_fd >= 0, memory_order_relaxed);
	return 0;
}

int failpoint_init(struct err *err)
{
	const char *log = getenv("GIT_FS_FAILPOINT_LOG");
	const char *words = getenv("GIT_FS_FAILPOINT");

	if (log != NULL && log[0] != '\0') {
		int fd = io_open(AT_FDCWD, log, O_WRONLY | O_APPEND | O_CREAT, 0600);

		if (fd < 0)
			return err_sys(err, -fd, "GIT_FS_FAILPOINT_LOG: %s", log);
		io_close(&log_fd);
		log_fd = fd;
	}
	if (failpoint_set(words) < 0)
		return err_set(err, -EINVAL, "GIT_FS_FAILPOINT: what is '%s'?", words);
	return 0;
}

static void log_locked(const char *name)
{
	char line[FAILPOINT_NAME_MAX + 2];
	int len;

	if (log_fd < 0)
		return;
	for (size_t i = 0; i < logged_count; i++) {
		if (strcmp(logged[i], name) == 0)
			return;
	}
	if (logged_count < FAILPOINTS_MAX)
		logged[logged_count++] = name;
	/* In one piece: other processes append to the same file. A line that is
	 * missing shows as a failpoint that was never passed. */
	len = snprintf(line, sizeof(line), "%s\n", name);
	if (len > 0 && (size_t)len < sizeof(line))
		(void)!io_write(log_fd, line, (size_t)len);
}

int failpoint_pass(const char *name)
{
	int injected = 0;

	WITH_LOCK(&lock);
	log_locked(name);
	for (size_t i = 0; i < rule_count; i++) {
		struct rule *rule = &rules[i];

		if (strcmp(rule->name, name) != 0)
			continue;
		rule->passes++;
		if (rule->passes < rule->at || (rule->passes > rule->at && !rule->onwards))
			continue;
		if (rule->action == DIE)
			kill(getpid(), SIGKILL);
		else if (injected == 0)
			injected = rule->action;
	}
	return injected;
}
