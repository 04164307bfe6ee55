/*
 * The remote that speaks git's wire protocol, version 2, over any transport.
 * Source: gitprotocol-v2(5), gitprotocol-http(5).
 */
#ifndef GIT_FS_REMOTE_GIT_REMOTE_H
#define GIT_FS_REMOTE_GIT_REMOTE_H

#include "remote/remote.h"
#include "remote/url.h"

/* Opens nothing yet: the first call connects. `url` and `config` are copied
 * (config->user_agent is borrowed). ERR_UNSUPPORTED for a scheme without a
 * transport. Free with remote_free(). */
int git_remote_new(struct remote **out, const struct url *url, const struct remote_config *config,
		   struct err *err) __attribute__((warn_unused_result));

#endif
