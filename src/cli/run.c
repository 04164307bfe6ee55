/*
 * Bringing a mount up, in steps; each needs those before it, and all are
 * taken down by one function that knows what is there:
 *
 *   remote -> commit -> state folder, lock, log -> overlay -> store -> worktree
 *   -> first objects -> mount -> control socket, threads -> the watcher has the
 *   mount answer -> ready
 *
 * The daemon leaves the terminal when it is ready and not before: credential
 * helpers and ssh may ask the user while it comes up, and never afterwards.
 */
#include "cli/run.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "cli/answer.h"
#include "cli/channel.h"
#include "cli/lockfile.h"
#include "cli/mounts.h"
#include "cli/say.h"
#include "remote/git_remote.h"
#include "worktree/change.h"

#define LOG_BYTES_MAX (1 << 20) /* a larger log is put aside when a daemon starts */
#define COMMIT_DIGITS 12        /* of a commit id, for people */

static int make_remote(struct run *run, struct err *err)
{
	struct remote_config config = {
		.timeout_ms = run->spec->timeout_ms,
		.connections = run->spec->connections,
		.user_agent = "git-fs/" GIT_FS_VERSION,
	};
	int ret = git_remote_new(&run->remote, &run->spec->url, &config, err);

	url_wipe(&run->spec->url);
	return ret;
}

/* The commit to show: the remote's word, or where it cannot be had, what it
 * said last. */
static int find_commit(struct run *run, struct err *err)
{
	const struct mount_spec *spec = run->spec;
	char path[PATH_MAX];
	struct err why = ERR_INIT;
	int ret = remote_resolve(run->remote, spec->ref, &run->tip.ref, &run->signals.cancel,
				 &why);

	if (ret == 0) {
		run->tip.asked = (int64_t)(wall_ns() / NS_PER_S);
		return 0;
	}
	if ((ret == ERR_UNREACHABLE || ret == ERR_TIMEOUT) &&
	    paths_tip(&spec->paths, spec->url.canonical, spec->ref, path) == 0 &&
	    tip_load(path, &run->tip) == 0) {
		run->offline = true;
		snprintf(run->offline_why, sizeof(run->offline_why), "%.*s",
			 (int)sizeof(run->offline_why) - 1, why.msg);
		return 0;
	}
	return err_set(err, ret, "%s", why.msg[0] != '\0' ? why.msg : err_name(ret));
}

static int open_log(struct run *run, const char *path, struct err *err)
{
	char old[PATH_MAX];
	struct stat st;

	if (stat(path, &st) == 0 && st.st_size > LOG_BYTES_MAX &&
	    snprintf(old, sizeof(old), "%s.1", path) < (int)sizeof(old)) {
		int ret = io_rename(AT_FDCWD, path, old);

		if (ret < 0)
			return err_sys(err, -ret, "cannot put %s aside", path);
	}
	run->log_fd = io_open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (run->log_fd < 0)
		return err_sys(err, -run->log_fd, "cannot open %s", path);
	if (!run->spec->foreground)
		log_set_fd(run->log_fd);
	return 0;
}

static int open_state(struct run *run, struct err *err)
{
	const struct mount_spec *spec = run->spec;
	struct lock_holder holder;
	char path[PATH_MAX];
	int ret = paths_mount_state(&spec->paths, spec->url.canonical, spec->ref, spec->dir,
				    run->state_dir);

	if (ret < 0)
		return err_sys(err, -ret, "the folder for the state");
	ret = paths_make(run->state_dir, false, err);
	if (ret < 0)
		return ret;
	ret = paths_join(path, run->state_dir, "lock");
	if (ret < 0)
		return err_sys(err, -ret, "the file of the lock");
	ret = lockfile_take(path, spec->dir, &run->lock_fd, &holder);
	if (ret == -EBUSY)
		return err_set(err, ret,
			       "another git-fs process%s serves this repository at %s, or is about "
			       "to",
			       holder.pid, spec->dir);
	if (ret < 0)
		return err_sys(err, -ret, "cannot lock %s", path);
	ret = paths_join(path, run->state_dir, "log");
	if (ret < 0)
		return err_sys(err, -ret, "the file of the log");
	return open_log(run, path, err);
}

static int open_overlay(struct run *run, struct err *err)
{
	return run->spec->writable ? overlay_take(run, err) : 0;
}

static int open_store(struct run *run, struct err *err)
{
	const struct mount_spec *spec = run->spec;
	struct store_config config = {
		.dir = run->store_dir,
		.algo = (enum hash_algo)run->tip.ref.commit.algo,
	};
	int ret = paths_make(spec->paths.cache, false, err);

	if (ret < 0)
		return ret;
	ret = paths_store(&spec->paths, spec->url.canonical, run->store_dir);
	if (ret < 0)
		return err_sys(err, -ret, "the folder for the cache");
	return store_open(&run->store, &config, err);
}

static int fetch_first(struct run *run, struct err *err)
{
	int ret = fetcher_new(&run->fetcher, run->remote, run->store);

	if (ret < 0)
		return err_sys(err, -ret, "cannot prepare fetching");
	ret = fetcher_start(run->fetcher);
	if (ret < 0)
		return err_sys(err, -ret, "cannot start the threads that fetch");
	if (run->offline)
		return 0; /* the worktree finds out whether the cache has it */
	return fetcher_first(run->fetcher, &run->commit, &run->signals.cancel, err);
}

/* Names of nodes and, where it can be written to, the local changes. What is shown
 * is decided here: changes are shown over the commit that they were made to. */
static int open_worktree(struct run *run, struct err *err)
{
	bool writable = run->overlay_dir[0] != '\0';
	char table[PATH_MAX];
	struct worktree_config config = {
		.store = run->store,
		.table_path = table,
		.algo = (enum hash_algo)run->tip.ref.commit.algo,
		.uid = getuid(),
		.gid = getgid(),
		.overlay_dir = writable ? run->overlay_dir : NULL,
	};
	struct oid base;
	int ret = paths_join(table, writable ? run->overlay_dir : run->state_dir, "nodes");

	if (ret < 0)
		return err_sys(err, -ret, "the file of the node table");
	ret = worktree_open(&run->worktree, &config, err);
	if (ret < 0)
		return ret;
	run->commit = run->tip.ref.commit;
	if (writable && worktree_is_dirty(run->worktree) &&
	    worktree_overlay_base(run->worktree, &base))
		run->commit = base;
	return 0;
}

static void log_recovery(const struct run *run)
{
	struct worktree_stats stats;

	worktree_stats(run->worktree, &stats);
	if (stats.table_renewed) /* costs the numbers of nodes and nothing else */
		log_line(LOG_WARN, "cli", "event=node_table_renewed");
	if (stats.recovery.damaged_frames > 0 || stats.condemned > 0)
		log_line(LOG_ERROR, "cli",
			 "event=overlay_damaged frames=%" PRIu64 " given_up=%" PRIu64
			 " kept_in=\"%s/journal\"",
			 stats.recovery.damaged_frames, stats.condemned, run->overlay_dir);
	if (stats.reverted > 0)
		log_line(LOG_WARN, "cli",
			 "event=files_reverted count=%" PRIu64
			 " reason=\"the machine went down before they were synced\"",
			 stats.reverted);
}

static int start_worktree(struct run *run, struct err *err)
{
	int ret = worktree_start(run->worktree, &run->commit, err);

	if (ret == ERR_NOT_FOUND && run->offline)
		return err_set(err, ERR_UNREACHABLE, "%s; and the cache does not have the commit",
			       run->offline_why);
	if (ret == 0)
		log_recovery(run);
	return ret;
}

static int mount_it(struct run *run, struct err *err)
{
	const struct mount_spec *spec = run->spec;
	struct mount_table table = MOUNT_TABLE_INIT;
	struct session_config config = {
		.mount_point = spec->dir,
		.source = spec->url.canonical,
		.allow_other = spec->allow_other,
		.writable = spec->writable,
		.writeback = spec->writeback,
		.xattr = spec->xattr,
		.workers = spec->workers,
		.poll_us = spec->poll_us,
		.mechanisms_off = spec->mechanisms_off,
		.worktree = run->worktree,
		.fetcher = run->fetcher,
	};
	bool taken;
	int ret = mount_table_read(&table, err);

	if (ret < 0)
		return ret;
	/* Somebody may have mounted here since the command looked. */
	taken = mount_entry_is_ours(mount_table_at(&table, spec->dir));
	mount_table_release(&table);
	if (taken)
		return err_set(err, -EBUSY, "%s has become a git-fs mount meanwhile", spec->dir);
	ret = session_mount(&run->session, &config, err);
	if (ret < 0)
		return ret;
	signals_set_session(&run->signals, run->session);
	return 0;
}

static int start_threads(struct run *run, struct err *err)
{
	const char *runtime = run->spec->paths.runtime;
	char path[PATH_MAX];
	int ret = paths_make(runtime, true, err);

	if (ret < 0)
		return ret;
	ret = paths_socket(runtime, getpid(), path);
	if (ret < 0)
		return err_sys(err, -ret, "the control socket");
	ret = control_server_start(&run->control, path, answer_handle, run, err);
	if (ret < 0)
		return ret;
	ret = worktree_upkeep_start(run->worktree);
	if (ret < 0)
		return err_sys(err, -ret, "cannot start the thread that keeps the overlay");
	return session_start(run->session, err);
}

static int await_answer(struct run *run, struct err *err)
{
	struct channel_message message;
	int ret = channel_send(run->channel, CHANNEL_STARTED, 0, "");

	if (ret >= 0)
		ret = channel_recv(run->channel, &message, &run->signals.cancel, -1);
	if (ret < 0)
		return err_sys(err, -ret, "the watching process is gone");
	if (message.kind != CHANNEL_ANSWERS)
		return err_set(err, -EIO, "%s", message.words);
	atomic_store(&run->dev, message.dev);
	return 0;
}

static int fetch_the_rest(struct run *run, struct err *err)
{
	int ret;

	if (run->offline)
		return 0;
	ret = fetcher_prefetch(run->fetcher, &run->commit);
	return ret < 0 ? err_sys(err, -ret, "cannot ask for the folders") : 0;
}

static int bring_up(struct run *run, struct err *err)
{
	static int (*const steps[])(struct run *run, struct err *err) = {
		make_remote,   find_commit,  open_state,     open_overlay,
		open_store,    open_worktree, fetch_first,   start_worktree,
		mount_it,      start_threads, await_answer,  fetch_the_rest,
	};

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		int ret;

		if (cancel_is_set(&run->signals.cancel))
			return err_set(err, ERR_CANCELLED, "called off; nothing is mounted");
		ret = steps[i](run, err);
		if (ret < 0)
			return ret;
	}
	return 0;
}

/* What the user reads: what is where, and how old it is where it may be. */
static void ready_words(const struct run *run, char *out, size_t size)
{
	const struct mount_spec *spec = run->spec;
	const char *ref = run->tip.ref.name[0] != '\0' ? run->tip.ref.name : "commit";
	char hex[OID_HEX_MAX + 1];
	char raw[ERR_MSG_MAX];
	char when[64] = "";
	time_t asked = (time_t)run->tip.asked;
	struct tm tm;

	oid_to_hex(&run->commit, hex);
	if (run->offline && localtime_r(&asked, &tm) != NULL)
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M", &tm);
	snprintf(raw, sizeof(raw), "mounted %.400s (%.100s at %.*s) on %.300s%s%s%s",
		 spec->url.canonical, ref, COMMIT_DIGITS, hex, spec->dir,
		 spec->writable ? ", writable; changes stay on this machine" : "",
		 run->offline ? "; offline: as the remote was at " : "", when);
	say_clean(out, size, raw);
}

static int leave_terminal(const struct run *run, struct err *err)
{
	AUTO_CLOSE int null_fd = -1;

	if (run->spec->foreground)
		return 0;
	null_fd = io_open(AT_FDCWD, "/dev/null", O_RDWR, 0);
	if (null_fd < 0)
		return err_sys(err, -null_fd, "cannot open /dev/null");
	if (setsid() < 0 || dup2(null_fd, STDIN_FILENO) < 0 ||
	    dup2(run->log_fd, STDOUT_FILENO) < 0 || dup2(run->log_fd, STDERR_FILENO) < 0)
		return err_sys(err, errno, "cannot leave the terminal");
	return 0;
}

static int tell_ready(struct run *run, struct err *err)
{
	char words[ERR_MSG_MAX];
	int ret;

	overlay_tell_others(run);
	ready_words(run, words, sizeof(words));
	ret = leave_terminal(run, err);
	if (ret < 0)
		return ret;
	atomic_store(&run->ready, true);
	signals_set_ready(&run->signals);
	ret = channel_send(run->channel, CHANNEL_READY, 0, words);
	return ret < 0 ? err_sys(err, -ret, "the watching process is gone") : 0;
}

/* For the next mount and for people; the mount does not need them. */
static void remember(const struct run *run)
{
	AUTO_BUF struct buf info = BUF_INIT_MAX(3 * (size_t)PATH_MAX);
	const struct mount_spec *spec = run->spec;
	char path[PATH_MAX];
	char clean[PATH_MAX];
	int ret = 0;

	if (!run->offline) {
		ret = paths_tip(&spec->paths, spec->url.canonical, spec->ref, path);
		if (ret == 0)
			ret = tip_save(path, &run->tip);
	}
	say_clean(clean, sizeof(clean), spec->dir);
	if (ret == 0)
		ret = buf_printf(&info, "repository=%s\nref=%s\nmount_point=%s\n",
				 spec->url.canonical, spec->ref, clean);
	if (ret == 0)
		ret = paths_join(path, run->state_dir, "info");
	if (ret == 0)
		ret = io_replace_file(AT_FDCWD, path, info.data, info.len);
	if (ret < 0)
		log_line(LOG_WARN, "cli", "event=not_remembered reason=\"%s\"", err_name(ret));
}

/* Takes down what is there. The fetcher's waiters are in the session, the
 * control socket looks at everything. */
static void take_down(struct run *run)
{
	signals_unmount(&run->signals);
	if (run->session != NULL)
		session_wait(run->session);
	/* An answer that waits for the remote waits no longer. */
	cancel_set(&run->signals.cancel);
	control_server_stop(run->control);
	if (run->fetcher != NULL)
		fetcher_stop(run->fetcher);
	signals_stop(&run->signals);
	session_free(run->session);
	worktree_close(run->worktree);
	fetcher_free(run->fetcher);
	store_close(run->store);
	remote_free(run->remote);
	io_close(&run->overlay_lock_fd);
	io_close(&run->lock_fd);
	log_set_fd(STDERR_FILENO);
	io_close(&run->log_fd);
}

static void serve(struct run *run)
{
	char hex[OID_HEX_MAX + 1];

	log_line(LOG_INFO, "cli", "event=mounted repository=\"%s\" commit=%s dir=\"%s\" offline=%d",
		 run->spec->url.canonical, oid_to_hex(&run->commit, hex), run->spec->dir,
		 run->offline);
	remember(run);
	session_wait(run->session);
	/* Whatever is mounted there from now on is not ours to unmount. */
	signals_set_session(&run->signals, NULL);
	log_line(LOG_INFO, "cli", "event=unmounted dir=\"%s\"", run->spec->dir);
}

int run_daemon(struct mount_spec *spec, int channel)
{
	struct run run = { .spec = spec, .channel = channel, .lock_fd = -1, .log_fd = -1,
			   .overlay_lock_fd = -1 };
	struct err err = ERR_INIT;
	int ret;

	run.since = wall_ns();
	if (chdir("/") < 0)
		ret = err_sys(&err, errno, "cannot change to /");
	else
		ret = signals_start(&run.signals, channel);
	if (ret == 0) {
		ret = bring_up(&run, &err);
		if (ret >= 0)
			ret = tell_ready(&run, &err);
		if (ret >= 0)
			serve(&run);
		else if (run.log_fd >= 0 && !spec->foreground)
			log_line(LOG_ERROR, "cli", "event=mount_failed reason=\"%s\"", err.msg);
		take_down(&run);
	}
	/* Told last: whoever reads it may count on nothing being mounted. A watcher
	 * that is gone has told the user why. */
	if (ret < 0)
		(void)!channel_send(channel, CHANNEL_FAILED, 0,
				    err.msg[0] != '\0' ? err.msg : err_name(ret));
	io_close(&channel);
	return ret < 0 ? 1 : 0;
}
