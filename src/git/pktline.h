/*
 * pkt-lines. Source: gitprotocol-common(5), gitprotocol-v2(5).
 */
#ifndef GIT_FS_GIT_PKTLINE_H
#define GIT_FS_GIT_PKTLINE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define PKTLINE_PAYLOAD_MAX 65516 /* bytes after the four digits */

enum pkt_type { PKT_DATA, PKT_FLUSH, PKT_DELIM, PKT_RESPONSE_END };

struct pkt {
	enum pkt_type type;
	const uint8_t *data; /* PKT_DATA: borrowed until the next call */
	size_t len;
};

/* Reads pkt-lines out of bytes that arrive in pieces. */
struct pktline_reader {
	struct buf partial; /* a line of which not all has come */
};

#define PKTLINE_READER_INIT { .partial = BUF_INIT_MAX(PKTLINE_PAYLOAD_MAX + 4) }

void pktline_reader_release(struct pktline_reader *reader);
/* Takes one line off *in (moving it on). 1: *out holds it; 0: all of *in was
 * taken and more is needed; ERR_PROTOCOL: no pkt-line (length not hex, 3, or
 * over the maximum); -ENOMEM. A payload that lies whole in *in is not copied. */
int pktline_read(struct pktline_reader *reader, struct cursor *in, struct pkt *out)
	__attribute__((warn_unused_result));
/* Whether bytes of an unfinished line are held (an end of input now is a cut). */
int pktline_reader_partial(const struct pktline_reader *reader);

/* Text payload without its final newline, if it has one. */
struct cursor pkt_text(const struct pkt *pkt);

/* Writers, appending a whole line or nothing. A payload over the maximum is ERR_LIMIT. */
int pktline_write(struct buf *out, const void *data, size_t len)
	__attribute__((warn_unused_result));
int pktline_printf(struct buf *out, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), warn_unused_result));
int pktline_flush(struct buf *out) __attribute__((warn_unused_result));
int pktline_delim(struct buf *out) __attribute__((warn_unused_result));

#endif
