/*
 * What a daemon tells about itself: the reply to "status". docs/control.md
 * has the keys. Handlers run beside each other and beside the main thread;
 * what they read does not change (run_internal.h) or has locks of its own.
 */
#include <inttypes.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "cli/run_internal.h"

/* A failure is told as a problem for so long, or until something is received. */
#define RECENT_S 300

/* The first failure stays; what comes after it does nothing. */
struct report {
	struct control_reply *reply;
	int ret;
};

#define ADD(report, key, ...)                                                         \
	do {                                                                          \
		if ((report)->ret >= 0)                                               \
			(report)->ret = control_reply_add((report)->reply, key, __VA_ARGS__); \
	} while (0)

static void add_text(struct report *report, const char *key, const char *value)
{
	ADD(report, key, "%s", value);
}

static void add_number(struct report *report, const char *key, uint64_t value)
{
	ADD(report, key, "%" PRIu64, value);
}

static void add_bool(struct report *report, const char *key, bool value)
{
	ADD(report, key, "%s", value ? "yes" : "no");
}

static void add_mount(struct report *report, struct run *run)
{
	uint64_t dev = atomic_load(&run->dev);
	char hex[OID_HEX_MAX + 1];
	struct oid commit;
	int64_t commit_time;

	worktree_base(run->worktree, &commit, &commit_time);
	add_text(report, "repository", run->spec->url.canonical);
	add_text(report, "ref", run->tip.ref.name);
	add_text(report, "ref_asked", run->spec->ref);
	add_text(report, "commit", oid_to_hex(&commit, hex));
	ADD(report, "commit_time", "%" PRId64, commit_time);
	add_text(report, "mount_point", run->spec->dir);
	ADD(report, "device", "%u:%u", major((dev_t)dev), minor((dev_t)dev));
	add_bool(report, "writable", run->spec->writable);
	add_number(report, "pid", (uint64_t)getpid());
	add_text(report, "version", GIT_FS_VERSION);
	add_number(report, "since", run->since / NS_PER_S);
	add_bool(report, "offline", run->offline);
	ADD(report, "asked", "%" PRId64, run->tip.asked);
	add_text(report, "promise",
		 "read-only: nothing can be lost; should the daemon die, the mount answers "
		 "ENOTCONN until it is mounted again");
}

static void add_problem(struct report *report, struct run *run, const struct fetcher_stats *stats)
{
	uint64_t now = wall_ns();
	bool recent = stats->last_error_at > stats->last_good_at &&
		      now - stats->last_error_at < RECENT_S * NS_PER_S;

	if (!atomic_load(&run->ready))
		add_text(report, "state", "starting");
	else if (cancel_is_set(&run->signals.cancel))
		add_text(report, "state", "ending");
	else
		add_text(report, "state", recent ? "failing" : "ok");
	if (recent)
		add_text(report, "problem", stats->last_error);
	if (run->offline)
		add_text(report, "offline_why", run->offline_why);
	if (stats->last_error[0] != '\0') {
		add_text(report, "fetch.last_error", stats->last_error);
		add_number(report, "fetch.last_error_at", stats->last_error_at / NS_PER_S);
	}
}

static void add_fetcher(struct report *report, struct run *run)
{
	struct remote_traffic traffic;
	struct fetcher_stats stats;

	fetcher_stats(run->fetcher, &stats);
	remote_traffic(run->remote, &traffic);
	add_number(report, "fetch.batches", stats.batches);
	add_number(report, "fetch.objects", stats.objects);
	add_number(report, "fetch.failed", stats.failed);
	add_number(report, "fetch.waiting", stats.waiting);
	add_number(report, "fetch.under_way", stats.under_way);
	add_bool(report, "fetch.trees_complete", stats.trees_complete);
	add_problem(report, run, &stats);
	add_number(report, "traffic.requests", traffic.requests);
	add_number(report, "traffic.bytes_received", traffic.bytes_received);
	add_number(report, "traffic.bytes_sent", traffic.bytes_sent);
	add_number(report, "traffic.connections", traffic.connections);
}

static void add_store(struct report *report, struct run *run)
{
	struct store_stats stats;
	int ret = store_stats(run->store, &stats);

	add_text(report, "store.folder", run->store_dir);
	if (ret < 0)
		return; /* the keys are missing: told as not known */
	add_number(report, "store.objects", stats.objects);
	add_number(report, "store.sizes", stats.sizes);
	add_number(report, "store.segments", stats.segments);
	add_number(report, "store.bytes", stats.bytes);
	add_number(report, "store.bad_records", stats.bad_records);
	add_bool(report, "store.rebuilt", stats.rebuilt);
}

static const char *mechanism_use(const struct mechanism_state *state, unsigned which)
{
	uint32_t bit = UINT32_C(1) << which;

	if (state->used & bit)
		return "used";
	if (state->off & bit)
		return "off";
	return state->offered & bit ? "unused" : "missing";
}

static void add_session(struct report *report, struct run *run)
{
	struct worktree_stats nodes;
	struct session_stats stats;
	struct mechanism_state kernel;

	worktree_stats(run->worktree, &nodes);
	add_number(report, "nodes.known", nodes.nodes);
	add_number(report, "nodes.folders_read", nodes.folders_read);
	add_number(report, "nodes.table_bytes", nodes.table_bytes);
	add_number(report, "nodes.hidden", nodes.hidden);
	session_stats(run->session, &stats);
	add_number(report, "requests.total", stats.requests);
	add_number(report, "requests.parked", stats.parked);
	add_number(report, "requests.interrupted", stats.interrupted);
	add_number(report, "requests.failed", stats.failed);
	add_number(report, "requests.waiting", stats.waiting);
	add_number(report, "requests.workers", stats.workers);
	session_mechanisms(run->session, &kernel);
	ADD(report, "kernel.protocol", "%u.%u", kernel.proto_major, kernel.proto_minor);
	add_number(report, "kernel.max_read_bytes", kernel.max_read_bytes);
	add_number(report, "kernel.max_readahead_bytes", kernel.max_readahead_bytes);
	for (unsigned i = 0; i < MECH_COUNT; i++)
		ADD(report, "mechanism", "%s %s %s", mechanism_table[i].name,
		    mechanism_use(&kernel, i), mechanism_table[i].purpose);
}

int report_handle(void *arg, const char *const *words, size_t count, struct control_reply *reply)
{
	struct report report = { .reply = reply, .ret = 0 };
	struct run *run = arg;

	if (count != 1 || strcmp(words[0], "status") != 0) {
		int ret = control_reply_error(reply, "this daemon knows no request '%s'",
					      words[0]);

		return ret < 0 ? ret : 2;
	}
	add_mount(&report, run);
	add_fetcher(&report, run);
	add_store(&report, run);
	add_session(&report, run);
	return report.ret;
}
