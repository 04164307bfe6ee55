/*
 * git-fs doctor: whether an overlay is whole. One that is mounted is looked over by its
 * daemon; any other by this process, which holds its lock meanwhile. --repair opens it as a
 * mount would: recovery takes up what is whole and moves aside what is not.
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/threads.h"
#include "cli/commands.h"
#include "cli/config.h"
#include "cli/lockfile.h"
#include "cli/overlays.h"
#include "cli/paths.h"
#include "cli/place.h"
#include "cli/print.h"
#include "cli/say.h"
#include "worktree/changes.h"

struct doctor {
	const struct options *options;
	struct daemon_list daemons;
	struct overlay_set set;
	unsigned looked_at;
	unsigned findings;
	bool failed; /* one of them could not be looked at, and it was said why */
};

/* "repository ref (overlay NAME): words" */
static void tell(const struct overlay *overlay, const char *words)
{
	char line[4 * PATH_MAX];
	char clean[4 * PATH_MAX];

	snprintf(line, sizeof(line), "%s %s (overlay %s): %s", overlay->repository, overlay->ref,
		 overlay->name, words);
	say_clean(clean, sizeof(clean), line);
	printf("%s\n", clean);
}

struct found {
	const struct overlay *overlay;
	unsigned count;
};

static int take_finding(void *arg, const char *words)
{
	struct found *found = arg;

	tell(found->overlay, words);
	found->count++;
	return 0;
}

/* --- one that is mounted --- */

static int take_line(void *arg, const char *key, const char *value)
{
	return strcmp(key, "finding") == 0 ? take_finding(arg, value) : 0;
}

static const struct daemon *daemon_of(const struct daemon_list *list,
				      const struct overlay *overlay)
{
	for (size_t i = 0; i < list->count; i++) {
		const char *folder = facts_get(&list->items[i].facts, "overlay.folder");

		if (folder != NULL && strcmp(folder, overlay->folder) == 0)
			return &list->items[i];
	}
	return NULL;
}

static int look_by_daemon(const struct daemon *daemon, struct found *found, struct err *err)
{
	static const char *const words[] = { "verify", NULL };
	int ret = place_ask(daemon, words, take_line, found, err);

	return ret > 0 ? -EIO : ret;
}

/* --- one that is not --- */

static int open_tree(const struct overlay *overlay, bool inspect, struct worktree **out,
		     struct err *err)
{
	char table[PATH_MAX];
	struct worktree_config config = {
		.table_path = table,
		.algo = overlay->algo,
		.uid = getuid(),
		.gid = getgid(),
		.overlay_dir = overlay->folder,
		.inspect = inspect,
	};
	int ret = paths_join(table, overlay->folder, "nodes");

	return ret < 0 ? err_sys(err, -ret, "%s", overlay->folder) :
			 worktree_open(out, &config, err);
}

static int look(const struct overlay *overlay, struct found *found, struct err *err)
{
	struct worktree *tree;
	int ret = open_tree(overlay, true, &tree, err);

	if (ret < 0 && ret != -ENOMEM) {
		ret = take_finding(found, err->msg);
		*err = (struct err)ERR_INIT;
		return ret;
	}
	if (ret < 0)
		return ret;
	ret = worktree_verify(tree, take_finding, found);
	worktree_close(tree);
	return ret;
}

/* Calls `each` for what recovery has moved aside, in journal/ and data/. */
static void aside(const struct overlay *overlay, uint64_t since,
		  void (*each)(const struct overlay *overlay, const char *path))
{
	static const char *const folders[] = { "journal", "data" };

	for (size_t i = 0; i < 2; i++) {
		char folder[PATH_MAX];
		char path[PATH_MAX];
		DIR *dir = paths_join(folder, overlay->folder, folders[i]) == 0 ?
				   opendir(folder) : NULL;
		struct dirent *entry;

		while (dir != NULL && (entry = readdir(dir)) != NULL) {
			struct stat st;

			if (strncmp(entry->d_name, "damaged-", 8) == 0 &&
			    paths_join(path, folder, entry->d_name) == 0 &&
			    stat(path, &st) == 0 && (uint64_t)st.st_ctime >= since)
				each(overlay, path);
		}
		if (dir != NULL)
			closedir(dir);
	}
}

static void tell_aside(const struct overlay *overlay, const char *path)
{
	char words[PATH_MAX + 64];

	snprintf(words, sizeof(words), "moved aside: %s", path);
	tell(overlay, words);
}

static int repair(const struct overlay *overlay, struct found *found, struct err *err)
{
	uint64_t since = wall_ns() / NS_PER_S;
	struct worktree_stats stats;
	struct worktree *tree;
	char words[256];
	int ret = open_tree(overlay, false, &tree, err);

	if (ret < 0)
		return ret;
	worktree_stats(tree, &stats);
	worktree_close(tree);
	if (stats.recovery.damaged_frames > 0 || stats.condemned > 0) {
		snprintf(words, sizeof(words),
			 "repaired: %" PRIu64 " records lost, %" PRIu64 " files or names given up",
			 stats.recovery.damaged_frames, stats.condemned);
		tell(overlay, words);
	}
	aside(overlay, since, tell_aside);
	/* What is still wrong counts, not what was. */
	found->count = 0;
	return look(overlay, found, err);
}

static int look_alone(const struct doctor *doctor, struct found *found, struct err *err)
{
	const struct overlay *overlay = found->overlay;
	struct lock_holder holder;
	AUTO_CLOSE int fd = -1;
	char path[PATH_MAX];
	int ret = paths_join(path, overlay->folder, "lock");

	if (ret == 0)
		ret = lockfile_take(path, "git-fs doctor", &fd, &holder);
	if (ret == -EBUSY)
		return err_set(err, ret,
			       "process%s has the overlay %s open (%s) and does not answer",
			       holder.pid, overlay->name, holder.place);
	if (ret < 0)
		return err_sys(err, -ret, "cannot lock %s", path);
	ret = look(overlay, found, err);
	return ret == 0 && doctor->options->repair ? repair(overlay, found, err) : ret;
}

static int look_by_whom(struct doctor *doctor, struct found *found, struct err *err)
{
	const struct overlay *overlay = found->overlay;
	const struct daemon *daemon = daemon_of(&doctor->daemons, overlay);

	if (daemon == NULL)
		return look_alone(doctor, found, err);
	if (!doctor->options->repair)
		return look_by_daemon(daemon, found, err);
	return err_set(err, -EBUSY, "the overlay %s is mounted at %s; unmount that first",
		       overlay->name, facts_text(&daemon->facts, "mount_point"));
}

static void look_at(struct doctor *doctor, const struct overlay *overlay)
{
	struct found found = { .overlay = overlay };
	struct err err = ERR_INIT;
	int ret = look_by_whom(doctor, &found, &err);

	doctor->looked_at++;
	doctor->findings += found.count;
	if (ret < 0) {
		say("%s", err.msg[0] != '\0' ? err.msg : err_name(ret));
		doctor->failed = true;
	} else if (found.count == 0) {
		tell(overlay, "healthy");
	}
}

/* --- which ones --- */

/* What the operand may stand for. */
struct meant {
	char point[PATH_MAX]; /* a mount's, or a folder that may have been one */
	char clean[PATH_MAX]; /* the same as overlays keep it */
	char url[URL_MAX];    /* a repository's canonical address; "": it is none */
};

static int find_meant(const char *text, struct meant *out, struct err *err)
{
	struct mount_table table = MOUNT_TABLE_INIT;
	const struct mount_entry *entry;
	struct config config;
	struct url url;
	char cwd[PATH_MAX];
	int ret = mount_table_read(&table, err);

	if (ret < 0)
		return ret;
	ret = mounts_resolve(&table, text, out->point, err);
	entry = ret == 0 ? mount_table_containing(&table, out->point) : NULL;
	if (entry != NULL && mount_entry_is_ours(entry))
		snprintf(out->point, sizeof(out->point), "%s", entry->mount_point);
	mount_table_release(&table);
	if (ret < 0)
		return ret;
	say_clean(out->clean, sizeof(out->clean), out->point);
	config_init(&config);
	ret = config_read_general(&config, err);
	if (ret < 0)
		return ret;
	if (getcwd(cwd, sizeof(cwd)) == NULL)
		return err_sys(err, errno, "cannot tell the current folder");
	if (url_parse(&url, text, config.default_host, cwd, NULL) == 0) {
		snprintf(out->url, sizeof(out->url), "%s", url.canonical);
		url_wipe(&url);
	}
	return 0;
}

static bool is_meant(const struct doctor *doctor, const struct meant *meant,
		     const struct overlay *overlay)
{
	const char *name = doctor->options->overlay;
	const struct daemon *daemon = daemon_of(&doctor->daemons, overlay);

	if (name != NULL && strcmp(name, overlay->name) != 0)
		return false;
	if (doctor->options->operand_count == 0 || strcmp(meant->url, overlay->repository) == 0)
		return true;
	/* The info of one that is mounted may be older than its daemon. */
	if (daemon != NULL)
		return strcmp(facts_text(&daemon->facts, "mount_point"), meant->point) == 0;
	return strcmp(overlay->mount_point, meant->clean) == 0;
}

static int look_at_all(struct doctor *doctor, struct err *err)
{
	struct meant meant = { .url = "" };
	char state[PATH_MAX];
	int ret = overlays_state_dir(doctor->options->state_dir, state, err);

	if (ret == 0)
		ret = overlays_read(&doctor->set, state, err);
	if (ret == 0)
		ret = daemons_ask(&doctor->daemons, err);
	if (ret == 0 && doctor->options->operand_count > 0)
		ret = find_meant(doctor->options->operands[0], &meant, err);
	for (size_t i = 0; ret == 0 && i < doctor->set.count; i++) {
		if (is_meant(doctor, &meant, &doctor->set.items[i]))
			look_at(doctor, &doctor->set.items[i]);
	}
	if (ret == 0 && doctor->looked_at == 0 &&
	    (doctor->options->operand_count > 0 || doctor->options->overlay != NULL))
		return err_set(err, -ENOENT, "there is no such overlay in %s", state);
	return ret;
}

int command_doctor(const struct options *options)
{
	struct doctor doctor = { .options = options, .daemons = DAEMON_LIST_INIT,
				 .set = OVERLAY_SET_INIT };
	struct err err = ERR_INIT;
	int ret = look_at_all(&doctor, &err);
	int code = print_flush();

	if (ret < 0)
		say("%s", err.msg[0] != '\0' ? err.msg : err_name(ret));
	else if (doctor.findings > 0)
		say("%u finding%s%s", doctor.findings, doctor.findings == 1 ? "" : "s",
		    options->repair ? "" : "; git-fs doctor --repair keeps what is whole");
	daemons_release(&doctor.daemons);
	overlays_release(&doctor.set);
	return ret < 0 || doctor.failed || doctor.findings > 0 ? EXIT_FAILED : code;
}
