/*
 * A repository on this machine: `git upload-pack` as a child process, spoken
 * to over pipes and kept open between requests.
 */
#ifndef GIT_FS_REMOTE_LOCAL_H
#define GIT_FS_REMOTE_LOCAL_H

#include "remote/remote.h"
#include "remote/transport.h"
#include "remote/url.h"

/* `url` is copied, `traffic` is borrowed. Opening a transport starts the child;
 * what it has to complain of (no repository: ERR_NOT_FOUND; a folder of somebody
 * else that git does not trust: ERR_AUTH) shows at discover(). -ENOMEM. */
int local_endpoint_new(struct endpoint **out, const struct url *url,
		       const struct remote_config *config, struct traffic *traffic,
		       struct err *err) __attribute__((warn_unused_result));

#endif
