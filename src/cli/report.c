/*
 * What a daemon tells about itself: the reply to "status", from memory alone.
 * docs/control.md has the keys.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "cli/answer.h"

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

/* What holds today: CONTRACT's words, for what this version and these options do. */
static const char *promise_of(const struct mount_spec *spec)
{
	if (!spec->writable)
		return "read-only: nothing can be lost; should the daemon die, the mount answers "
		       "ENOTCONN until it is mounted again";
	if (spec->state_dir_unsafe)
		return "should the daemon die, the mount answers ENOTCONN until it is mounted "
		       "again, with nothing acknowledged lost; what the disk of the state folder "
		       "loses is lost (--state-dir-unsafe)";
	if (spec->writeback)
		return "should the daemon die, the mount answers ENOTCONN until it is mounted "
		       "again, and what the kernel had not sent yet is lost (-o writeback), "
		       "nothing else; loss of power: what was fsynced is there, and all that was "
		       "sent 5 s before";
	return "should the daemon die, the mount answers ENOTCONN until it is mounted again, with "
	       "nothing acknowledged lost; loss of power: what was fsynced is there, and all else "
	       "that is older than 5 s";
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
	add_text(report, "promise", promise_of(run->spec));
}

/* What is wrong, words into `out`; false: nothing is. The gravest first: `list` and people
 * see one. */
static bool find_problem(struct run *run, const struct fetcher_stats *fetched,
			 const struct worktree_stats *tree, char *out, size_t size)
{
	uint64_t now = wall_ns();

	if (tree->failed != 0 || tree->journal.failed != 0)
		snprintf(out, size,
			 "nothing can be changed any more, as the disk that holds the changes "
			 "failed (%s); what was acknowledged before is kept: unmount, see to the "
			 "disk, mount again",
			 err_name(tree->failed != 0 ? tree->failed : tree->journal.failed));
	else if (tree->recovery.damaged_frames > 0 || tree->condemned > 0)
		snprintf(out, size,
			 "the overlay was damaged when it was opened: %" PRIu64
			 " records lost, %" PRIu64
			 " files or names given up; the damaged parts are kept in %.400s/journal",
			 tree->recovery.damaged_frames, tree->condemned, run->overlay_dir);
	else if (fetched->last_error_at > fetched->last_good_at &&
		 now - fetched->last_error_at < RECENT_S * NS_PER_S)
		snprintf(out, size, "%s", fetched->last_error);
	else
		return false;
	return true;
}

static void add_problem(struct report *report, struct run *run, const struct fetcher_stats *stats)
{
	struct worktree_stats tree;
	char words[1024];
	bool wrong;

	worktree_stats(run->worktree, &tree);
	wrong = find_problem(run, stats, &tree, words, sizeof(words));
	if (!atomic_load(&run->ready))
		add_text(report, "state", "starting");
	else if (cancel_is_set(&run->signals.cancel))
		add_text(report, "state", "ending");
	else
		add_text(report, "state", wrong ? "failing" : "ok");
	if (wrong)
		add_text(report, "problem", words);
	if (run->offline)
		add_text(report, "offline_why", run->offline_why);
	if (stats->last_error[0] != '\0') {
		add_text(report, "fetch.last_error", stats->last_error);
		add_number(report, "fetch.last_error_at", stats->last_error_at / NS_PER_S);
	}
}

static void add_overlay(struct report *report, struct run *run)
{
	struct worktree_stats tree;
	char hex[OID_HEX_MAX + 1];

	worktree_stats(run->worktree, &tree);
	add_text(report, "overlay.name", run->spec->overlay);
	add_text(report, "overlay.folder", run->overlay_dir);
	add_text(report, "overlay.remote_commit", oid_to_hex(&run->tip.ref.commit, hex));
	add_number(report, "journal.bytes", tree.journal.bytes);
	add_number(report, "journal.disk_bytes", tree.journal.disk_bytes);
	add_number(report, "journal.segments", tree.journal.segments);
	add_number(report, "journal.unsynced_records",
		   tree.journal.last_lsn - tree.journal.synced_lsn);
	add_number(report, "journal.unsynced_files", tree.unsynced);
	add_number(report, "journal.file_bytes", tree.data_bytes);
	add_number(report, "journal.compactions", tree.compactions);
	add_number(report, "journal.damaged_records", tree.recovery.damaged_frames);
	add_number(report, "journal.damaged_bytes", tree.recovery.damaged_bytes);
	add_number(report, "journal.given_up", tree.condemned);
	add_number(report, "journal.reverted_files", tree.reverted);
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

int report_status(struct run *run, struct control_reply *reply)
{
	struct report report = { .reply = reply, .ret = 0 };

	add_mount(&report, run);
	add_fetcher(&report, run);
	add_store(&report, run);
	add_session(&report, run);
	if (run->overlay_dir[0] != '\0')
		add_overlay(&report, run);
	return report.ret;
}
