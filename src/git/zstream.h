/*
 * zlib streams. libdeflate where the whole stream is in memory, zlib where it
 * arrives in pieces; nothing else in the program includes either. Also CRC-32
 * and gzip, which come from the same libraries. Source: RFC 1950, 1951, 1952.
 */
#ifndef GIT_FS_GIT_ZSTREAM_H
#define GIT_FS_GIT_ZSTREAM_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* Inflates one whole zlib stream that starts at `in` and must yield exactly
 * out_len bytes; *used_out is where the stream ended. ERR_CORRUPT where it is
 * bad *or cut off* (libdeflate cannot tell); -ENOMEM. Thread-safe: each thread
 * keeps a decompressor, and a compressor, of its own, freed when it ends. */
int zstream_inflate(const uint8_t *in, size_t in_len, uint8_t *out, size_t out_len,
		    size_t *used_out) __attribute__((warn_unused_result));

/* At most this many bytes are needed to hold any stream that a sane deflater
 * makes of raw_len bytes. */
size_t zstream_bound(size_t raw_len);

/* Appends `in` as a zlib stream (level 1..12). */
int zstream_deflate(const void *in, size_t in_len, int level, struct buf *out)
	__attribute__((warn_unused_result));
/* Appends `in` as a gzip member. */
int zstream_gzip(const void *in, size_t in_len, int level, struct buf *out)
	__attribute__((warn_unused_result));

/* A stream that arrives in pieces. */
struct zstream;
struct zstream *zstream_new(void); /* NULL: no memory */
void zstream_free(struct zstream *z);
/* Ready for the next stream. */
int zstream_reset(struct zstream *z) __attribute__((warn_unused_result));
/* Takes from *in (moving it on) and fills `out`; *made_out says how many bytes
 * were made. 1: the stream has ended (rest of *in is not its); 0: more input
 * or more room is needed; ERR_CORRUPT; -ENOMEM. */
int zstream_feed(struct zstream *z, struct cursor *in, uint8_t *out, size_t out_len,
		 size_t *made_out) __attribute__((warn_unused_result));

/* CRC-32 (ISO 3309, as gzip has it) of more bytes; start with crc = 0. */
uint32_t crc32_of(uint32_t crc, const void *data, size_t len);

#endif
