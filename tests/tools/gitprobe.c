/*
 * Drives a git remote from the command line, for tests of the protocol:
 *
 *   gitprobe [--out DIR] [--timeout MS] [--connections N] URL COMMAND [';' COMMAND]...
 *
 * All commands of one process share one remote, and so its connections. Each
 * prints lines:
 *
 *   resolve SPEC               ref NAME OID COMMIT; NAME is "-" for a commit's id
 *   fetch OID...               OID TYPE SIZE for each object that came, missing COUNT
 *   spread THREADS OID...      the same by several threads, the ids dealt out
 *   list ROOT DEPTH [COMMIT]   OID TYPE SIZE; DEPTH 0 is all. With COMMIT, ROOT is a
 *                              tree in it, else a commit.
 *   sizes OID...               OID SIZE, "?" for a size that was not told
 *   watch REF OID SECONDS      ref NAME OID COMMIT, or unchanged; asks every 100 ms
 *   features                   features [lists] [sizes] [publishes]
 *   algo                       algo NAME
 *   clock                      clock MS, since the first command
 *   traffic                    requests N received BYTES sent BYTES connections N
 *   pause                      paused; then waits for a line on stdin
 *   cancel MS                  nothing; after that time all calls are to stop
 *
 * OID "tip" is the commit that `resolve` gave last; "@FILE" stands for the ids in
 * a file, one a line. Objects are stored as DIR/TYPE/OID. A failed command prints
 * `error ENAME words`, and the next one is tried. At the end come the traffic and
 * `memory BYTES`, the largest that the process was. Exit status: 0, 1 after an
 * error, 2 for a wrong command line.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/threads.h"
#include "git/object.h"
#include "remote/git_remote.h"
#include "remote/remote.h"
#include "remote/url.h"

#include "keeper.h"

#define OPERANDS_MAX 1000000
#define THREADS_MAX 16
#define WATCH_INTERVAL_MS 100
#define USAGE_ERROR (-EUSERS) /* no call fails so */

struct probe {
	struct remote *remote;
	const char *out; /* folder of objects, or NULL */
	struct oid tip;
	uint64_t start_ns;
};

struct oids {
	struct oid *at; /* owned */
	size_t count;
};

static struct cancel cancel; /* never released: a thread may still set it */

static int usage(const char *words)
{
	fprintf(stderr, "gitprobe: %s\n", words);
	return USAGE_ERROR;
}

static int failed(const struct err *err, int rc)
{
	const char *name = strerrorname_np(-rc);

	printf("error %s %s\n", name != NULL ? name : "?", err->msg);
	return rc;
}

static int parse_number(const char *text, unsigned max, unsigned *out)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (end == text || *end != '\0' || value > max)
		return usage("not such a number");
	*out = (unsigned)value;
	return 0;
}

static int parse_oid(const struct probe *probe, const char *text, struct oid *out)
{
	if (strcmp(text, "tip") == 0)
		*out = probe->tip;
	else if (oid_from_hex(out, text, strlen(text)) < 0)
		return usage("not an object id");
	return 0;
}

static void oids_release(struct oids *oids)
{
	free(oids->at);
}

#define AUTO_OIDS __attribute__((cleanup(oids_release)))

static int add_oid(const struct probe *probe, struct oids *oids, const char *text)
{
	struct oid oid;
	int rc = parse_oid(probe, text, &oid);

	if (rc < 0)
		return rc;
	if (oids->count % 1024 == 0) {
		void *more = realloc(oids->at, (oids->count + 1024) * sizeof(oid));

		if (more == NULL)
			return usage("out of memory");
		oids->at = more;
	}
	oids->at[oids->count++] = oid;
	return 0;
}

/* The ids in a file. */
static int add_oids(const struct probe *probe, struct oids *oids, const char *path)
{
	FILE *file = fopen(path, "re");
	char line[OID_HEX_MAX + 2];
	int rc = file != NULL ? 0 : usage("cannot read the file of ids");

	while (rc == 0 && fgets(line, sizeof(line), file) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		rc = add_oid(probe, oids, line);
	}
	if (file != NULL)
		fclose(file);
	return rc;
}

static int parse_oids(const struct probe *probe, int argc, char **argv, struct oids *oids)
{
	int rc = 0;

	for (int i = 0; rc == 0 && i < argc; i++)
		rc = argv[i][0] == '@' ? add_oids(probe, oids, argv[i] + 1) :
					 add_oid(probe, oids, argv[i]);
	return rc;
}

static void print_ref(const struct remote_ref *ref)
{
	char oid[OID_HEX_MAX + 1], commit[OID_HEX_MAX + 1];

	printf("ref %s %s %s\n", ref->name[0] != '\0' ? ref->name : "-",
	       oid_to_hex(&ref->oid, oid), oid_to_hex(&ref->commit, commit));
}

static int run_resolve(struct probe *probe, int argc, char **argv)
{
	struct remote_ref ref;
	struct err err = ERR_INIT;
	int rc = remote_resolve(probe->remote, argv[0], &ref, &cancel, &err);

	(void)argc;
	if (rc < 0)
		return failed(&err, rc);
	probe->tip = ref.commit;
	print_ref(&ref);
	return 0;
}

/* Fetches in as many calls as it takes. */
static int fetch_all(const struct probe *probe, const struct oids *oids)
{
	struct keeper keeper;
	struct err err = ERR_INIT;
	size_t missing = 0, at = 0;

	keeper_init(&keeper, probe->out);
	do {
		size_t left = oids->count - at, part = 0;
		size_t count = left < REMOTE_BATCH_MAX ? left : REMOTE_BATCH_MAX;
		int rc = remote_fetch(probe->remote, oids->at + at, count, &keeper.sink, &part,
				      &cancel, &err);

		if (rc < 0)
			return failed(&err, rc);
		missing += part;
		at += count;
	} while (at < oids->count);
	printf("missing %zu\n", missing);
	return 0;
}

static int run_fetch(struct probe *probe, int argc, char **argv)
{
	AUTO_OIDS struct oids oids = { NULL, 0 };
	int rc = parse_oids(probe, argc, argv, &oids);

	return rc < 0 ? rc : fetch_all(probe, &oids);
}

struct share {
	const struct probe *probe;
	struct oids oids;
	int rc;
};

static void *fetch_share(void *arg)
{
	struct share *share = arg;

	share->rc = fetch_all(share->probe, &share->oids);
	return NULL;
}

static int run_spread(struct probe *probe, int argc, char **argv)
{
	struct share shares[THREADS_MAX];
	pthread_t threads[THREADS_MAX];
	unsigned count = 0, started;
	AUTO_OIDS struct oids oids = { NULL, 0 };
	int rc = parse_number(argv[0], THREADS_MAX, &count);

	if (rc == 0)
		rc = parse_oids(probe, argc - 1, argv + 1, &oids);
	for (started = 0; rc == 0 && started < count; started++) {
		size_t from = oids.count * started / count;
		size_t to = oids.count * (started + 1) / count;

		shares[started] = (struct share){ probe, { oids.at + from, to - from }, 0 };
		rc = thread_start(&threads[started], "spread", fetch_share, &shares[started]);
		if (rc < 0)
			break;
	}
	for (unsigned i = 0; i < started; i++) {
		pthread_join(threads[i], NULL);
		if (rc == 0)
			rc = shares[i].rc;
	}
	return rc;
}

static int run_list(struct probe *probe, int argc, char **argv)
{
	struct keeper keeper;
	struct err err = ERR_INIT;
	struct remote_list what = { .path = "" };
	int rc = parse_oid(probe, argv[0], &what.root);

	if (rc == 0)
		rc = parse_number(argv[1], 1000, &what.depth);
	if (rc == 0 && argc > 2)
		rc = parse_oid(probe, argv[2], &what.commit);
	if (rc < 0)
		return rc;
	keeper_init(&keeper, probe->out);
	rc = remote_list(probe->remote, &what, &keeper.sink, &cancel, &err);
	return rc < 0 ? failed(&err, rc) : 0;
}

static int run_sizes(struct probe *probe, int argc, char **argv)
{
	struct err err = ERR_INIT;
	AUTO_OIDS struct oids oids = { NULL, 0 };
	int rc = parse_oids(probe, argc, argv, &oids);

	if (rc < 0)
		return rc;
	uint64_t *sizes = calloc(oids.count + 1, sizeof(*sizes));
	if (sizes == NULL)
		return usage("out of memory");
	rc = remote_sizes(probe->remote, oids.at, oids.count, sizes, &cancel, &err);
	for (size_t i = 0; rc >= 0 && i < oids.count; i++) {
		char hex[OID_HEX_MAX + 1];

		printf("%s ", oid_to_hex(&oids.at[i], hex));
		if (sizes[i] == SIZE_NOT_TOLD)
			printf("?\n");
		else
			printf("%" PRIu64 "\n", sizes[i]);
	}
	free(sizes);
	return rc < 0 ? failed(&err, rc) : 0;
}

static int run_watch(struct probe *probe, int argc, char **argv)
{
	struct remote_ref ref;
	struct err err = ERR_INIT;
	struct oid known;
	unsigned seconds = 0;
	int rc = parse_oid(probe, argv[1], &known);

	(void)argc;
	if (rc == 0)
		rc = parse_number(argv[2], 1000, &seconds);
	if (rc < 0)
		return rc;
	rc = remote_watch(probe->remote, argv[0], &known, WATCH_INTERVAL_MS, seconds * 1000, &ref,
			  &cancel, &err);
	if (rc < 0)
		return failed(&err, rc);
	if (rc > 0)
		print_ref(&ref);
	else
		printf("unchanged\n");
	return 0;
}

static int run_features(struct probe *probe, int argc, char **argv)
{
	unsigned features = remote_features(probe->remote);

	(void)argc;
	(void)argv;
	printf("features%s%s%s\n", (features & REMOTE_LISTS_CHEAPLY) != 0 ? " lists" : "",
	       (features & REMOTE_TELLS_SIZES) != 0 ? " sizes" : "",
	       (features & REMOTE_PUBLISHES) != 0 ? " publishes" : "");
	return 0;
}

static int run_algo(struct probe *probe, int argc, char **argv)
{
	struct err err = ERR_INIT;
	enum hash_algo algo;
	int rc = remote_algo(probe->remote, &algo, &cancel, &err);

	(void)argc;
	(void)argv;
	if (rc < 0)
		return failed(&err, rc);
	printf("algo %s\n", hash_name(algo));
	return 0;
}

static int run_traffic(struct probe *probe, int argc, char **argv)
{
	struct remote_traffic traffic;

	(void)argc;
	(void)argv;
	remote_traffic(probe->remote, &traffic);
	printf("requests %" PRIu64 " received %" PRIu64 " sent %" PRIu64 " connections %u\n",
	       traffic.requests, traffic.bytes_received, traffic.bytes_sent, traffic.connections);
	return 0;
}

static int run_clock(struct probe *probe, int argc, char **argv)
{
	uint64_t ms = (mono_ns() - probe->start_ns) / NS_PER_MS;

	(void)argc;
	(void)argv;
	printf("clock %" PRIu64 "\n", ms);
	return 0;
}

static int run_pause(struct probe *probe, int argc, char **argv)
{
	char line[16];

	(void)probe;
	(void)argc;
	(void)argv;
	printf("paused\n");
	fflush(stdout);
	return fgets(line, sizeof(line), stdin) != NULL ? 0 : usage("stdin has ended");
}

static void *cancel_later(void *arg)
{
	usleep((useconds_t)(uintptr_t)arg * 1000);
	cancel_set(&cancel);
	return NULL;
}

static int run_cancel(struct probe *probe, int argc, char **argv)
{
	unsigned delay_ms;
	pthread_t thread;
	int rc = parse_number(argv[0], 60000, &delay_ms);

	(void)probe;
	(void)argc;
	if (rc == 0)
		rc = thread_start(&thread, "cancel", cancel_later, (void *)(uintptr_t)delay_ms);
	if (rc == 0)
		pthread_detach(thread);
	return rc;
}

static const struct command {
	const char *name;
	int (*run)(struct probe *probe, int argc, char **argv);
	int argc_min, argc_max;
	bool stores; /* needs --out */
} commands[] = {
	{ "resolve", run_resolve, 1, 1, false },
	{ "fetch", run_fetch, 0, OPERANDS_MAX, true },
	{ "spread", run_spread, 2, OPERANDS_MAX, true },
	{ "list", run_list, 2, 3, true },
	{ "sizes", run_sizes, 0, OPERANDS_MAX, false },
	{ "watch", run_watch, 3, 3, false },
	{ "features", run_features, 0, 0, false },
	{ "algo", run_algo, 0, 0, false },
	{ "traffic", run_traffic, 0, 0, false },
	{ "clock", run_clock, 0, 0, false },
	{ "pause", run_pause, 0, 0, false },
	{ "cancel", run_cancel, 1, 1, false },
};

static int run_command(struct probe *probe, int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		const struct command *command = &commands[i];

		if (argc == 0 || strcmp(argv[0], command->name) != 0)
			continue;
		if (argc - 1 < command->argc_min || argc - 1 > command->argc_max)
			return usage("wrong number of operands");
		if (command->stores && probe->out == NULL)
			return usage("needs --out");
		return command->run(probe, argc - 1, argv + 1);
	}
	return usage("no such command");
}

/* Runs the commands between semicolons; the exit status. */
static int run_commands(struct probe *probe, int argc, char **argv)
{
	int status = 0;

	probe->start_ns = mono_ns();
	for (int from = 0, to = 0; to <= argc; to++) {
		if (to < argc && strcmp(argv[to], ";") != 0)
			continue;
		int rc = run_command(probe, to - from, argv + from);

		fflush(stdout);
		if (rc == USAGE_ERROR)
			return 2;
		if (rc < 0)
			status = 1;
		from = to + 1;
	}
	return status;
}

static int open_remote(struct probe *probe, const char *text, const struct remote_config *config)
{
	struct url url;
	struct err err = ERR_INIT;
	char cwd[URL_MAX];

	if (getcwd(cwd, sizeof(cwd)) == NULL)
		return usage("no current folder");
	int rc = url_parse(&url, text, "github.com", cwd, &err);
	if (rc == 0)
		rc = git_remote_new(&probe->remote, &url, config, &err);
	url_wipe(&url);
	return rc < 0 ? failed(&err, rc) : 0;
}

static int parse_options(int argc, char **argv, struct probe *probe, struct remote_config *config)
{
	static const struct option options[] = {
		{ "out", required_argument, NULL, 'o' },
		{ "timeout", required_argument, NULL, 't' },
		{ "connections", required_argument, NULL, 'c' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		int rc = 0;

		if (option == 'o')
			probe->out = optarg;
		else if (option == 't')
			rc = parse_number(optarg, 3600000, &config->timeout_ms);
		else if (option == 'c')
			rc = parse_number(optarg, REMOTE_CONNECTIONS_MAX, &config->connections);
		else
			rc = USAGE_ERROR;
		if (rc < 0)
			return rc;
	}
	return argc - optind < 2 ? usage("needs URL COMMAND...") : 0;
}

int main(int argc, char **argv)
{
	struct probe probe = { .out = NULL };
	struct remote_config config = {
		.timeout_ms = 30000,
		.connections = REMOTE_CONNECTIONS_MAX,
		.user_agent = "git-fs/" GIT_FS_VERSION,
	};
	struct rusage rusage;

	signal(SIGPIPE, SIG_IGN);
	if (parse_options(argc, argv, &probe, &config) < 0)
		return 2;
	if (cancel_init(&cancel) < 0 || open_remote(&probe, argv[optind], &config) < 0)
		return 1;
	int status = run_commands(&probe, argc - optind - 1, argv + optind + 1);
	run_traffic(&probe, 0, NULL);
	remote_free(probe.remote);
	getrusage(RUSAGE_SELF, &rusage);
	printf("memory %ld\n", rusage.ru_maxrss * 1024);
	return status;
}
