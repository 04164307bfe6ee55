/*
 * git's smart HTTP. Source: gitprotocol-http(5), RFC 9110. The only module
 * that knows libcurl.
 */
#ifndef GIT_FS_REMOTE_HTTP_H
#define GIT_FS_REMOTE_HTTP_H

#include "remote/remote.h"
#include "remote/transport.h"
#include "remote/url.h"

/* `url` is copied, `traffic` and config->user_agent are borrowed. Connects
 * only with the first request of a transport. -ENOMEM. */
int http_endpoint_new(struct endpoint **out, const struct url *url,
		      const struct remote_config *config, struct traffic *traffic,
		      struct err *err) __attribute__((warn_unused_result));

#endif
