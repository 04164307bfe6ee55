/*
 * How bytes reach a git server: an endpoint (where it is and how one gets
 * there) opens transports (single connections), and a transport carries one
 * request at a time. What the bytes mean is not known here: an answer is
 * handed, as it arrives, to a `struct answer`, which alone can tell its end.
 *
 * A transport is used by one thread at a time; an endpoint by any number.
 * Whoever uses the transports that write to pipes ignores SIGPIPE.
 */
#ifndef GIT_FS_REMOTE_TRANSPORT_H
#define GIT_FS_REMOTE_TRANSPORT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/threads.h"

/* What take() says, beside a negative errno. */
enum {
	ANSWER_MORE = 0,   /* go on */
	ANSWER_DONE = 1,   /* that was the last byte of it */
	ANSWER_ENOUGH = 2, /* the rest does not matter: drop it, and the connection where need be */
};

/* Where an answer goes; embedded first by its parser. */
struct answer {
	/* The next bytes, in pieces of any size, never none. */
	int (*take)(struct answer *answer, const uint8_t *data, size_t len, struct err *err);
};

/* Counted by all transports of a remote together. */
struct traffic {
	atomic_uint_fast64_t requests;
	atomic_uint_fast64_t received; /* bytes of bodies */
	atomic_uint_fast64_t sent;
	atomic_uint connections; /* open now */
};

struct transport;

struct transport_ops {
	/* Brings the capability advertisement. Over a pipe it comes by itself: this
	 * is then the first call, and made once; over HTTP it can be left out. */
	int (*discover)(struct transport *transport, struct answer *answer,
			const struct cancel *cancel, struct err *err);
	/* Sends `body` to git-upload-pack. 0: the answer is complete. ERR_PROTOCOL
	 * where it ended before it was. Both calls block until then, until `cancel`
	 * is set or no byte came for the timeout. */
	int (*request)(struct transport *transport, const struct buf *body, struct answer *answer,
		       const struct cancel *cancel, struct err *err);
	void (*close)(struct transport *transport); /* frees it */
};

struct transport {
	const struct transport_ops *ops;
	bool broken;   /* no further request can be made; set by either side */
	bool answered; /* a byte came in answer to the last request; set by the transport */
	bool greeted;  /* the advertisement was taken; set by the user */
	bool proven;   /* an earlier request was answered whole; set by the user */
};

struct endpoint;

struct endpoint_ops {
	int (*open)(struct endpoint *endpoint, struct transport **out, struct err *err);
	void (*free)(struct endpoint *endpoint); /* its transports are closed before */
};

struct endpoint {
	const struct endpoint_ops *ops;
	bool greets; /* the advertisement comes first on every connection */
};

#endif
