/*
 * Settings from git's own configuration, section "fs" (also fs.<url>.*) and what of
 * "core" says which files git leaves alone, as git-config(1) finds them outside of any
 * repository.
 */
#ifndef GIT_FS_CLI_CONFIG_H
#define GIT_FS_CLI_CONFIG_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "remote/url.h"

struct config {
	char default_host[256];   /* fs.defaultHost */
	unsigned timeout_s;       /* fs.timeout */
	unsigned connections;     /* fs.connections */
	bool allow_other;         /* fs.allowOther */
	char cache_dir[PATH_MAX]; /* fs.cacheDir, absolute; "": not set */
	char state_dir[PATH_MAX]; /* fs.stateDir */
	struct config_rules {
		char excludes_file[PATH_MAX]; /* core.excludesFile, absolute; "": none */
		bool ignore_case;             /* core.ignoreCase */
		char local_only[1024];        /* fs.localOnly: patterns, blanks between them */
		uint64_t file_max;            /* fs.maxFileSize, bytes; 0: no limit */
	} rules;
};

#define CONFIG_TIMEOUT_S 30U
#define CONFIG_LOCAL_ONLY "*.swp *.swo *~ .#* 4913 .nfs*"
#define CONFIG_FILE_MAX (UINT64_C(100) << 20)

void config_init(struct config *config);

/* What can be known without a URL: fs.defaultHost and fs.stateDir. */
int config_read_general(struct config *config, struct err *err)
	__attribute__((warn_unused_result));
/* core.excludesFile (by default what git takes) and core.ignoreCase. */
int config_read_core(struct config *config, struct err *err) __attribute__((warn_unused_result));
/* All of fs.* that holds for the URL. */
int config_read(struct config *config, const struct url *url, struct err *err)
	__attribute__((warn_unused_result));

/* What `git config -z` printed: "key\nvalue" or "key", each with a NUL. -EINVAL
 * with words that name key and value; *config is then half changed. */
int config_parse(struct config *config, const void *data, size_t len, struct err *err)
	__attribute__((warn_unused_result));

#endif
