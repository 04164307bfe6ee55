/*
 * A zlib stream in pieces. The first two bytes say how large the pieces of
 * input and of output are; the rest is the stream. What zlib takes, libdeflate
 * takes too; and what is deflated inflates to itself.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "fuzz.h"
#include "git/zstream.h"

#define OUT_MAX ((size_t)1 << 20) /* bytes inflated; more is not looked at */

/* 1: the stream ended; *in is what is left. */
static int inflate_pieces(struct cursor *in, size_t in_step, size_t out_step, struct buf *out)
{
	struct zstream *z = zstream_new();
	int rc = 0;

	assert(z != NULL);
	while (rc == 0 && in->left > 0 && out->len < OUT_MAX) {
		struct cursor piece = cursor_of(in->ptr, in->left < in_step ? in->left : in_step);
		size_t left = piece.left, made = 0;
		int reserved = buf_reserve(out, out_step);

		assert(reserved == 0);
		rc = zstream_feed(z, &piece, out->data + out->len, out_step, &made);
		assert(rc == 0 || rc == 1 || rc == ERR_CORRUPT);
		if (rc < 0)
			break;
		assert(made <= out_step && (made > 0 || piece.left < left));
		out->len += made;
		cursor_skip(in, left - piece.left);
	}
	zstream_free(z);
	return rc;
}

static void check_whole(const uint8_t *data, size_t size, size_t used, const struct buf *expected)
{
	uint8_t *out = malloc(expected->len + 1);
	size_t used_whole;
	int rc;

	assert(out != NULL);
	rc = zstream_inflate(data, size, out, expected->len, &used_whole);
	assert(rc == 0 && used_whole == used);
	assert(expected->len == 0 || memcmp(out, expected->data, expected->len) == 0);
	free(out);
}

static void check_roundtrip(const uint8_t *data, size_t size)
{
	AUTO_BUF struct buf packed = BUF_INIT;
	const struct buf expected = { .data = (uint8_t *)(uintptr_t)data, .len = size };
	int rc = zstream_deflate(data, size, 1 + (int)(size % 12), &packed);

	assert(rc == 0 && packed.len <= zstream_bound(size));
	check_whole(packed.data, packed.len, packed.len, &expected);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_BUF struct buf out = BUF_INIT;
	struct cursor in = cursor_of(data, size);
	struct cursor stream;
	uint8_t in_step, out_step;

	if (!cursor_u8(&in, &in_step) || !cursor_u8(&in, &out_step))
		return 0;
	stream = in;
	if (inflate_pieces(&in, (size_t)in_step + 1, (size_t)out_step + 1, &out) == 1)
		check_whole(stream.ptr, stream.left, stream.left - in.left, &out);
	check_roundtrip(stream.ptr, stream.left);
	return 0;
}
