/*
 * What stands in a request of the kernel and libfuse 3.14 does not pass on, or does
 * not know: read off, and where needed put right, before libfuse decodes it.
 * Source: linux/fuse.h.
 */
#ifndef GIT_FS_FUSE_REQUEST_H
#define GIT_FS_FUSE_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct request_marks {
	uint64_t unique;     /* the request's number */
	uint32_t init_flags; /* INIT: what the kernel offers */
	bool is_init;
	bool is_tmpfile;     /* a TMPFILE, made to look like a CREATE */
	bool kill_setid;     /* WRITE, SETATTR: the caller may not keep set-id bits */
};

/* `data` is a request as it was read from the device; it may be changed. */
void request_peek(void *data, size_t len, struct request_marks *out);
/* The flag by which a reply to this INIT takes over the clearing of set-id bits; 0
 * where the kernel does not offer that. */
uint32_t request_killpriv_flag(const struct request_marks *marks);
/* Sets flags in the body of a reply to INIT. */
void request_amend_init(void *body, size_t len, uint32_t flags);

#endif
