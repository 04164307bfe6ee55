/* The first two bytes say how many of the others are the base; the rest is the
 * delta. What fails changes nothing; what does not is as long as announced. */
#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "fuzz.h"
#include "git/delta.h"

#define RESULT_MAX ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_BUF struct buf out = BUF_INIT_MAX(RESULT_MAX);
	struct cursor in = cursor_of(data, size);
	uint64_t base_size = 1, result_size = 2;
	const uint8_t *base;
	uint16_t base_len;
	int rc, sizes_rc;

	if (!cursor_be16(&in, &base_len) || !cursor_bytes(&in, base_len, &base))
		return 0;
	rc = buf_append_str(&out, "kept");
	assert(rc == 0);
	sizes_rc = delta_sizes(in.ptr, in.left, &base_size, &result_size);
	assert(sizes_rc == 0 || (base_size == 1 && result_size == 2));
	rc = delta_apply(base, base_len, in.ptr, in.left, &out);
	assert(rc == 0 || rc == ERR_CORRUPT || rc == ERR_LIMIT);
	if (rc < 0)
		assert(out.len == 4);
	else
		assert(sizes_rc == 0 && base_size == base_len && out.len == 4 + result_size);
	assert(memcmp(out.data, "kept", 4) == 0);
	return 0;
}
