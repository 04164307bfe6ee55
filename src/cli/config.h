/*
 * Settings from git's own configuration, section "fs" (also fs.<url>.*), as
 * git-config(1) finds them outside of any repository.
 */
#ifndef GIT_FS_CLI_CONFIG_H
#define GIT_FS_CLI_CONFIG_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "remote/url.h"

struct config {
	char default_host[256];   /* fs.defaultHost */
	unsigned timeout_s;       /* fs.timeout */
	unsigned connections;     /* fs.connections */
	bool allow_other;         /* fs.allowOther */
	char cache_dir[PATH_MAX]; /* fs.cacheDir, absolute; "": not set */
	char state_dir[PATH_MAX]; /* fs.stateDir */
};

#define CONFIG_TIMEOUT_S 30U

void config_init(struct config *config);

/* fs.defaultHost alone, which has to be known before there is a URL. */
int config_read_default_host(struct config *config, struct err *err)
	__attribute__((warn_unused_result));
/* All of fs.* that holds for the URL. */
int config_read(struct config *config, const struct url *url, struct err *err)
	__attribute__((warn_unused_result));

/* What `git config -z` printed: "key\nvalue" or "key", each with a NUL. -EINVAL
 * with words that name key and value; *config is then half changed. */
int config_parse(struct config *config, const void *data, size_t len, struct err *err)
	__attribute__((warn_unused_result));

#endif
