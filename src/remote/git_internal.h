/*
 * Inside the git remote: what git_remote.c (state, asking), git_refs.c
 * (resolve, watch) and git_fetch.c (fetch, list, sizes) share.
 */
#ifndef GIT_FS_REMOTE_GIT_INTERNAL_H
#define GIT_FS_REMOTE_GIT_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>

#include "remote/advert.h"
#include "remote/pool.h"
#include "remote/protocol_v2.h"
#include "remote/remote.h"
#include "remote/transport.h"

struct git_remote {
	struct remote base;
	struct traffic traffic;
	struct pool pool;
	char *address;     /* for words: without credentials */
	const char *agent; /* borrowed */
	pthread_mutex_t lock; /* innermost: nothing is called under it */
	enum hash_algo algo;  /* guarded by lock; 0: not known yet */
	struct offer offer;   /* guarded by lock */
	unsigned refused;     /* guarded by lock; bits 1 << enum filter */
};

/* One request and where its answer goes. Embedded first by its kinds. */
struct question {
	/* Appends the request; asked again once the server's offer is known. */
	int (*build)(struct question *question, const struct v2_context *context,
		     struct buf *body, struct err *err);
	struct response *response;
	bool needs_offer; /* do not guess what the server can do: have it asked first */
	/* Over pipes, on a new process alone: git reads folders of refs once and
	 * does not see what changes in them afterwards. */
	bool needs_fresh;
};

/* Asks, on one connection, and takes the answer whole. With a server of which
 * nothing is known, tries at once; where that fails, learns what the server
 * offers and asks again. A refusal is ERR_PROTOCOL with the server's words in
 * `err` and in response->refusal. */
int git_ask(struct git_remote *git, struct question *question, const struct cancel *cancel,
	    struct err *err) __attribute__((warn_unused_result));

/* Whether the server refused because it has not (*out) what was wanted. */
bool git_refused_oid(const struct response *response, struct oid *out);

/* The state, copied. */
struct offer git_offer(struct git_remote *git);
/* The server answered in, or took, ids of this algorithm. */
void git_learn_algo(struct git_remote *git, enum hash_algo algo);

int git_resolve(struct remote *remote, const char *spec, struct remote_ref *out,
		const struct cancel *cancel, struct err *err);
int git_watch(struct remote *remote, const char *ref, const struct oid *known,
	      unsigned interval_ms, unsigned timeout_ms, struct remote_ref *out,
	      const struct cancel *cancel, struct err *err);
int git_fetch(struct remote *remote, const struct oid *oids, size_t count,
	      struct object_sink *sink, size_t *missing_out, const struct cancel *cancel,
	      struct err *err);
int git_list(struct remote *remote, const struct remote_list *what, struct object_sink *sink,
	     const struct cancel *cancel, struct err *err);
int git_sizes(struct remote *remote, const struct oid *oids, size_t count, uint64_t *sizes_out,
	      const struct cancel *cancel, struct err *err);

#endif
