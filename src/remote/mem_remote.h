/*
 * The in-memory twin: a remote for tests that, like a REST host, makes commit
 * ids itself. It keeps whole objects, answers every call of the interface,
 * and can be told to be slow, to fail, or to forget an object.
 */
#ifndef GIT_FS_REMOTE_MEM_REMOTE_H
#define GIT_FS_REMOTE_MEM_REMOTE_H

#include "remote/remote.h"

struct mem_remote;

/* Empty, with HEAD -> refs/heads/main. NULL: no memory. */
struct mem_remote *mem_remote_new(enum hash_algo algo, unsigned features);
struct remote *mem_remote_base(struct mem_remote *mem); /* for remote_*(); freed by remote_free */

/* Adds an object; its id. */
int mem_remote_add(struct mem_remote *mem, enum object_type type, const void *data, size_t len,
		   struct oid *out) __attribute__((warn_unused_result));
/* Makes or moves a ref (a full name; -EINVAL) to an object that was added (else
 * ERR_NOT_FOUND); oid NULL removes it. */
int mem_remote_set_ref(struct mem_remote *mem, const char *ref, const struct oid *oid)
	__attribute__((warn_unused_result));
/* Drops an object, as a host does after a forced push and gc. */
void mem_remote_forget(struct mem_remote *mem, const struct oid *oid);

/* Every call from now on: waits delay_ms first; the next `fail_count` ones then
 * fail with `fail_code`. */
void mem_remote_set_faults(struct mem_remote *mem, unsigned delay_ms, unsigned fail_count,
			   int fail_code);
/* Calls of fetch, list, sizes since the start, and objects given. */
struct mem_remote_counts {
	unsigned fetches, lists, sizes, objects;
};
void mem_remote_counts(struct mem_remote *mem, struct mem_remote_counts *out);

#endif
