/*
 * git-fs mount: everything that can be known without the network is checked
 * before the daemon is started, so that each obstacle has a line of its own.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "cli/channel.h"
#include "cli/commands.h"
#include "cli/config.h"
#include "cli/mountpoint.h"
#include "cli/run.h"
#include "cli/say.h"
#include "cli/signals.h"
#include "cli/watch.h"

/* Only owner/name needs the default host; git is not asked for the others. */
static bool may_be_owner_name(const char *text)
{
	return strchr(text, ':') == NULL && text[0] != '/' && text[0] != '.';
}

/* The daemon keeps argv, and ps shows it. */
static void hide_credentials(char *text)
{
	size_t len = strlen(text);

	log_redact(text);
	/* What was cut off stands behind the new end. */
	explicit_bzero(text + strlen(text), len - strlen(text));
}

static int read_repository(const struct options *options, struct mount_spec *spec,
			   struct config *config, struct err *err)
{
	char *text = options->operands[0];
	char cwd[PATH_MAX];
	int ret;

	config_init(config);
	if (may_be_owner_name(text)) {
		ret = config_read_general(config, err);
		if (ret < 0)
			return ret;
	}
	if (getcwd(cwd, sizeof(cwd)) == NULL)
		return err_sys(err, errno, "cannot tell the current folder");
	ret = url_parse(&spec->url, text, config->default_host, cwd, err);
	hide_credentials(text);
	if (ret == 0)
		ret = config_read(config, &spec->url, err);
	return ret < 0 || !options->writable ? ret : config_read_core(config, err);
}

/* A folder from the command line, relative to where the user is. */
static int absolute_option(const char *text, char out[PATH_MAX], struct err *err)
{
	char cwd[PATH_MAX];
	int ret;

	if (getcwd(cwd, sizeof(cwd)) == NULL)
		return err_sys(err, errno, "cannot tell the current folder");
	ret = paths_absolute(out, cwd, text);
	return ret < 0 ? err_sys(err, -ret, "%s", text) : 0;
}

static int settle_paths(const struct options *options, struct config *config,
			struct mount_spec *spec, struct err *err)
{
	int ret = 0;

	if (options->cache_dir != NULL)
		ret = absolute_option(options->cache_dir, config->cache_dir, err);
	if (ret == 0 && options->state_dir != NULL)
		ret = absolute_option(options->state_dir, config->state_dir, err);
	if (ret < 0)
		return ret;
	return paths_find(&spec->paths, config->cache_dir[0] != '\0' ? config->cache_dir : NULL,
			  config->state_dir[0] != '\0' ? config->state_dir : NULL, err);
}

static int settle(const struct options *options, struct mount_spec *spec, struct err *err)
{
	struct config config;
	unsigned timeout_s;
	int ret;

	ret = read_repository(options, spec, &config, err);
	if (ret < 0)
		return ret;
	timeout_s = options->timeout_s != 0 ? options->timeout_s : config.timeout_s;
	snprintf(spec->ref, sizeof(spec->ref), "%s", options->ref);
	spec->timeout_ms = timeout_s * 1000;
	spec->connections = config.connections;
	spec->workers = options->workers;
	spec->poll_us = options->poll_given ? options->poll_us : SESSION_POLL_US_DEFAULT;
	spec->mechanisms_off = options->mechanisms_off;
	spec->allow_other = options->allow_other || config.allow_other;
	spec->foreground = options->foreground;
	spec->writable = options->writable;
	spec->writeback = options->writeback;
	spec->xattr = options->xattr;
	spec->state_dir_unsafe = options->state_dir_unsafe;
	spec->rules = config.rules;
	snprintf(spec->overlay, sizeof(spec->overlay), "%s",
		 options->overlay != NULL ? options->overlay : OVERLAY_NAME_DEFAULT);
	ret = settle_paths(options, &config, spec, err);
	if (ret < 0)
		return ret;
	ret = mountpoint_prepare(options->operands[1], spec->dir, err);
	return ret < 0 ? ret : mountpoint_check_fuse(spec->allow_other, err);
}

/* One descriptor for each connection, segment, clone of the device. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		say("cannot raise the limit of open files; going on with less");
}

/* In front, the daemon is this process and its watcher the child; else the
 * other way round. */
static int launch(struct mount_spec *spec, struct err *err)
{
	struct stat before;
	sigset_t set;
	int fds[2];
	pid_t pid;
	int code;
	int ret;

	signals_fill(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	/* Now, as the daemon may be quicker than its watcher. */
	if (stat(spec->dir, &before) < 0)
		return err_sys(err, errno, "cannot look at %s", spec->dir);
	ret = channel_open(fds);
	if (ret < 0)
		return err_sys(err, -ret, "cannot make a pair of sockets");
	fflush(NULL);
	pid = fork();
	if (pid < 0) {
		ret = err_sys(err, errno, "cannot start a process");
		io_close(&fds[0]);
		io_close(&fds[1]);
		return ret;
	}
	if ((pid == 0) != spec->foreground) {
		io_close(&fds[1]);
		code = run_daemon(spec, fds[0]);
		if (pid > 0)
			waitpid(pid, NULL, 0);
		return code;
	}
	io_close(&fds[0]);
	code = watch_daemon(fds[1], spec->dir, before.st_dev, pid > 0 ? pid : -1);
	io_close(&fds[1]);
	if (pid == 0)
		_exit(code);
	url_wipe(&spec->url);
	return code;
}

int command_mount(const struct options *options)
{
	struct err err = ERR_INIT;
	struct mount_spec spec;
	int ret;

	memset(&spec, 0, sizeof(spec));
	ret = settle(options, &spec, &err);
	if (ret >= 0) {
		raise_descriptor_limit();
		ret = launch(&spec, &err);
	}
	if (ret < 0) {
		say("%s", err.msg[0] != '\0' ? err.msg : err_name(ret));
		return EXIT_FAILED;
	}
	return ret;
}
