/*
 * What the files of the in-memory remote share.
 */
#ifndef GIT_FS_REMOTE_MEM_INTERNAL_H
#define GIT_FS_REMOTE_MEM_INTERNAL_H

#include <pthread.h>

#include "base/map.h"
#include "remote/mem_remote.h"

/* An object. Its bytes never change; it lives until it was forgotten and every
 * call that uses it has put it back. */
struct mem_object {
	struct map_node node; /* guarded by mem->lock */
	unsigned refs;        /* guarded by mem->lock; one of them is the map's */
	enum object_type type;
	struct oid oid;
	size_t size;
	uint8_t data[];
};

struct mem_ref {
	struct mem_ref *next;
	struct oid oid;
	char name[REF_NAME_MAX];
};

struct mem_remote {
	struct remote base;
	enum hash_algo algo; /* fixed */
	unsigned features;   /* fixed */
	pthread_mutex_t lock;   /* the innermost: nothing else is taken under it */
	pthread_cond_t changed; /* a ref was */
	struct map objects;     /* of mem_object; guarded by lock */
	struct mem_ref *refs;   /* owned; guarded by lock */
	unsigned delay_ms, fail_count; /* guarded by lock */
	int fail_code;                 /* guarded by lock */
	struct mem_remote_counts counts; /* guarded by lock */
	struct remote_traffic traffic;   /* guarded by lock */
};

/* The object, to be put back; NULL: there is none. */
struct mem_object *mem_object_get(struct mem_remote *mem, const struct oid *oid);
void mem_object_put(struct mem_remote *mem, struct mem_object *object); /* NULL is allowed */

/* Counts a call, waits as long as it is to take, fails where it is to fail. */
int mem_enter(struct mem_remote *mem, const struct cancel *cancel, struct err *err)
	__attribute__((warn_unused_result));

/* NULL: there is none. The caller holds the lock, for as long as it uses it. */
struct mem_ref *mem_ref_find_locked(struct mem_remote *mem, const char *name);
/* Makes the ref, or changes what it holds. */
int mem_ref_set_locked(struct mem_remote *mem, const char *name, const struct oid *oid)
	__attribute__((warn_unused_result));

/* The tree that `changes` make of the tree `base` (NULL: of an empty one): first
 * all deletions, then all contents, so that their order does not count; folders
 * that became empty are gone. Adds what is new to the objects. -EINVAL: a path
 * or mode that cannot be, or a file where a folder is; ERR_NOT_FOUND: a deletion
 * of what is not there. */
int mem_tree_build(struct mem_remote *mem, const struct oid *base,
		   const struct change_set *changes, struct oid *tree_out, struct err *err)
	__attribute__((warn_unused_result));

/* The call of the interface; see remote.h. */
int mem_publish(struct remote *remote, const struct change_set *changes, struct oid *commit_out,
		const struct cancel *cancel, struct err *err);
/* Likewise. */
int mem_list(struct remote *remote, const struct remote_list *what, struct object_sink *sink,
	     const struct cancel *cancel, struct err *err);
/* Gives one object to a sink, in pieces where it is large. */
int mem_give(struct mem_remote *mem, const struct mem_object *object, struct object_sink *sink,
	     struct err *err) __attribute__((warn_unused_result));

static inline struct mem_remote *mem_of(struct remote *remote)
{
	return (struct mem_remote *)(void *)remote;
}

#endif
