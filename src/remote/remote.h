/*
 * A remote: a git repository elsewhere, behind one interface with several
 * implementers (git's wire protocol; the in-memory twin of the tests; REST
 * hosts). What lies above knows no other way to it.
 *
 * All calls block on the network and may be made from several threads at
 * once; an implementer opens up to `connections` connections and makes further
 * callers wait. A set `cancel` ends a call soon with ERR_CANCELLED.
 * Common errors: ERR_UNREACHABLE, ERR_TIMEOUT (no byte for timeout_ms),
 * ERR_AUTH, ERR_PROTOCOL, ERR_NOT_FOUND, -ENOMEM, and what a sink returns.
 */
#ifndef GIT_FS_REMOTE_REMOTE_H
#define GIT_FS_REMOTE_REMOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/threads.h"
#include "git/object.h"
#include "git/oid.h"
#include "remote/change.h"

#define REF_NAME_MAX 1024       /* bytes, with the NUL */
#define REMOTE_BATCH_MAX 500    /* oids in one fetch */
#define REMOTE_DEPTH_ALL 0U     /* every level */

/* What a remote turned out to offer; known after the first call that needed
 * to know, and told by remote_features(). */
enum remote_feature {
	REMOTE_LISTS_CHEAPLY = 1 << 0, /* list() brings names without contents */
	REMOTE_TELLS_SIZES = 1 << 1,   /* sizes() works */
	REMOTE_PUBLISHES = 1 << 2,     /* publish() works */
};

/* A ref as the remote has it. */
struct remote_ref {
	char name[REF_NAME_MAX]; /* full: refs/heads/main; "" for a commit id */
	struct oid oid;          /* what the ref holds: a commit or an annotated tag */
	struct oid commit;       /* the commit it stands for, tags peeled */
};

/* Names of a folder and of those below it. */
struct remote_list {
	struct oid root;      /* a commit (it comes along) or a tree */
	const char *path;     /* where root lies in the commit, "" = top; for hosts without oids */
	struct oid commit;    /* the commit that `path` is in; equals root, or unset, where
	                       * root is a commit */
	unsigned depth;       /* levels of trees: 1 = root alone; REMOTE_DEPTH_ALL */
};

struct remote_traffic {
	uint64_t requests;       /* sent */
	uint64_t bytes_received; /* of bodies, as they came over the wire */
	uint64_t bytes_sent;
	unsigned connections;    /* open now */
};

struct remote;

struct remote_ops {
	/* Resolves what a user typed: "" or "HEAD", a branch, a tag, a ref name in
	 * full or cut as git allows ("heads/x", "tags/v1"), a full commit id.
	 * ERR_NOT_FOUND in words that name it; an empty repository says so. */
	int (*resolve)(struct remote *remote, const char *spec, struct remote_ref *out,
		       const struct cancel *cancel, struct err *err);
	/* Brings the objects `oids` (count <= REMOTE_BATCH_MAX) and as little else as
	 * the host can be made to. Ids that the host does not have are left out: the
	 * call succeeds, *missing_out (may be NULL) counts them. */
	int (*fetch)(struct remote *remote, const struct oid *oids, size_t count,
		     struct object_sink *sink, size_t *missing_out, const struct cancel *cancel,
		     struct err *err);
	/* Brings the trees (and the commit, if root is one). Without
	 * REMOTE_LISTS_CHEAPLY everything below root comes, contents too, whatever
	 * the depth. */
	int (*list)(struct remote *remote, const struct remote_list *what,
		    struct object_sink *sink, const struct cancel *cancel, struct err *err);
	/* sizes_out[i] = size in bytes of blob oids[i], SIZE_NOT_TOLD where the host
	 * would not say. ERR_UNSUPPORTED where it offers no such thing. */
	int (*sizes)(struct remote *remote, const struct oid *oids, size_t count,
		     uint64_t *sizes_out, const struct cancel *cancel, struct err *err);
	/* Makes one commit of `changes` on top of changes->base and moves the ref to
	 * it, if the ref still holds that (else ERR_STALE, nothing changed). The id is
	 * the host's. NULL where REMOTE_PUBLISHES is not offered. */
	int (*publish)(struct remote *remote, const struct change_set *changes,
		       struct oid *commit_out, const struct cancel *cancel, struct err *err);
	/* Waits until `ref` (a full name) holds something else than `known`, asking
	 * every interval_ms where the host cannot tell by itself. 1: *out is new; 0:
	 * timeout_ms passed; ERR_NOT_FOUND: the ref is gone. */
	int (*watch)(struct remote *remote, const char *ref, const struct oid *known,
		     unsigned interval_ms, unsigned timeout_ms, struct remote_ref *out,
		     const struct cancel *cancel, struct err *err);
	unsigned (*features)(struct remote *remote);
	/* The object format; asks the host where it is not known yet. */
	int (*algo)(struct remote *remote, enum hash_algo *out, const struct cancel *cancel,
		    struct err *err);
	void (*traffic)(struct remote *remote, struct remote_traffic *out);
	void (*free)(struct remote *remote);
};

#define SIZE_NOT_TOLD UINT64_MAX

/* Embedded first by every implementer. */
struct remote {
	const struct remote_ops *ops;
};

/* What an implementer needs to know of the user's wishes. */
struct remote_config {
	unsigned timeout_ms;   /* no byte for so long: give up */
	unsigned connections;  /* at most, 1..REMOTE_CONNECTIONS_MAX */
	const char *user_agent; /* "git-fs/1.0"; borrowed for the remote's life */
};
#define REMOTE_CONNECTIONS_MAX 4

/* Thin calls through the table. */
int remote_resolve(struct remote *remote, const char *spec, struct remote_ref *out,
		   const struct cancel *cancel, struct err *err)
	__attribute__((warn_unused_result));
int remote_fetch(struct remote *remote, const struct oid *oids, size_t count,
		 struct object_sink *sink, size_t *missing_out, const struct cancel *cancel,
		 struct err *err) __attribute__((warn_unused_result));
int remote_list(struct remote *remote, const struct remote_list *what, struct object_sink *sink,
		const struct cancel *cancel, struct err *err) __attribute__((warn_unused_result));
int remote_sizes(struct remote *remote, const struct oid *oids, size_t count, uint64_t *sizes_out,
		 const struct cancel *cancel, struct err *err) __attribute__((warn_unused_result));
/* ERR_UNSUPPORTED where the remote does not publish. */
int remote_publish(struct remote *remote, const struct change_set *changes,
		   struct oid *commit_out, const struct cancel *cancel, struct err *err)
	__attribute__((warn_unused_result));
int remote_watch(struct remote *remote, const char *ref, const struct oid *known,
		 unsigned interval_ms, unsigned timeout_ms, struct remote_ref *out,
		 const struct cancel *cancel, struct err *err) __attribute__((warn_unused_result));
unsigned remote_features(struct remote *remote);
int remote_algo(struct remote *remote, enum hash_algo *out, const struct cancel *cancel,
		struct err *err) __attribute__((warn_unused_result));
void remote_traffic(struct remote *remote, struct remote_traffic *out);
void remote_free(struct remote *remote); /* NULL is allowed */

#endif
