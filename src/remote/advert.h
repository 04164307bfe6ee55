/*
 * The capability advertisement: what a server says first, or in answer to
 * GET info/refs. Source: gitprotocol-v2(5) "Capability Advertisement",
 * gitprotocol-http(5) "Smart Server Response".
 */
#ifndef GIT_FS_REMOTE_ADVERT_H
#define GIT_FS_REMOTE_ADVERT_H

#include <stdbool.h>

#include "git/caps.h"
#include "git/oid.h"
#include "remote/response.h"

/* What of it matters to us. A plain value. */
struct offer {
	bool known;           /* the server was asked; else nothing below counts */
	enum hash_algo algo;
	bool object_format;   /* requests may name the algorithm */
	bool agent;           /* requests may name the program */
	bool shallow;         /* fetch: deepen */
	bool filter;          /* fetch: filter */
	bool object_info;     /* the command */
};

struct advert {
	struct response response;
	enum { ADVERT_START, ADVERT_SERVICE, ADVERT_CAPS } state;
	struct caps caps;
};

void advert_init(struct advert *advert);
void advert_release(struct advert *advert);

/* After it was taken whole. ERR_UNSUPPORTED for an unknown object format, or
 * where fetch or ls-refs is not offered. */
int advert_offer(const struct advert *advert, struct offer *out, struct err *err)
	__attribute__((warn_unused_result));

#endif
