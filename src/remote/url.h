/*
 * What a user may type for REPOSITORY: owner/name, any git URL, an scp-like
 * address, a path. Source: git-clone(1) "GIT URLS".
 */
#ifndef GIT_FS_REMOTE_URL_H
#define GIT_FS_REMOTE_URL_H

#include <stddef.h>

#include "base/err.h"

#define URL_MAX 4096 /* bytes, with the NUL */

enum url_scheme { URL_HTTP, URL_HTTPS, URL_LOCAL, URL_SSH, URL_GIT };

struct url {
	enum url_scheme scheme;
	/* The address to use, spelled in one way: scheme and host in lower case, no
	 * default port, no trailing slashes, no user or password in http(s); an
	 * absolute path (symlinks resolved) for URL_LOCAL. The same repository gives
	 * the same string, so it names cache and state. */
	char canonical[URL_MAX];
	char host[256];     /* without port and brackets; "" for URL_LOCAL */
	char user[256];     /* http(s), ssh: from the address, decoded; "" if none */
	char password[256]; /* http(s): from the address, decoded; "" if none. Never shown. */
	/* URL_LOCAL: the folder; http(s): what follows the host, percent-encoded as it
	 * came, may be ""; ssh, git: decoded, as the server is to be asked for it
	 * ("/x", "~user/x"; of an scp-like address also "x"). */
	char path[URL_MAX];
	unsigned port;      /* 0: the scheme's own */
};

/* `default_host` for owner/name ("github.com", may have a port). A repository in
 * the folder of that name wins over owner/name, as it does for git clone. `cwd`
 * (absolute) resolves relative paths. -EINVAL with words for what is none of
 * these: unknown scheme, control bytes, a leading '-', an empty host.
 * ERR_NOT_FOUND: a path where nothing is. ERR_LIMIT: too long. May block on the
 * disk, never on the network. */
int url_parse(struct url *out, const char *text, const char *default_host, const char *cwd,
	      struct err *err) __attribute__((warn_unused_result));

/* Overwrites user and password. */
void url_wipe(struct url *url);

#endif
