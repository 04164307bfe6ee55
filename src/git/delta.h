/*
 * Deltas: copy and insert instructions against a base. Source: gitformat-pack(5)
 * "Deltified representation".
 */
#ifndef GIT_FS_GIT_DELTA_H
#define GIT_FS_GIT_DELTA_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* The two sizes at the head of a delta. ERR_CORRUPT. */
int delta_sizes(const uint8_t *delta, size_t len, uint64_t *base_size_out,
		uint64_t *result_size_out) __attribute__((warn_unused_result));

/* Appends the result to `out` (whose max bounds it: ERR_LIMIT). ERR_CORRUPT
 * where the base has another size than the delta says, an instruction points
 * outside it, or the result is not as long as announced; `out` is then
 * unchanged. */
int delta_apply(const uint8_t *base, size_t base_len, const uint8_t *delta, size_t delta_len,
		struct buf *out) __attribute__((warn_unused_result));

#endif
