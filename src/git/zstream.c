/*
 * zlib streams.
 *
 * libdeflate inflates twice as fast as zlib but wants a whole stream at once;
 * zlib takes it as it comes. Both check the Adler-32 at its end. libdeflate's
 * contexts are tens of kilobytes that are costly to prepare, so each thread
 * keeps one of each kind (the compressor of the level it used last) and drops
 * them when it ends.
 */
#include "git/zstream.h"

#include <assert.h>
#include <libdeflate.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/err.h"

/* What a thread keeps. */
struct contexts {
	struct libdeflate_decompressor *decompressor;
	struct libdeflate_compressor *compressor;
	int level; /* of `compressor` */
};

static pthread_once_t contexts_once = PTHREAD_ONCE_INIT;
static pthread_key_t contexts_key; /* set once, by contexts_once */
static int contexts_rc;            /* set once, by contexts_once */

static void contexts_free(void *arg)
{
	struct contexts *ctx = arg;

	libdeflate_free_decompressor(ctx->decompressor);
	libdeflate_free_compressor(ctx->compressor);
	free(ctx);
}

static void contexts_setup(void)
{
	contexts_rc = -pthread_key_create(&contexts_key, contexts_free);
}

static struct contexts *contexts_get(void)
{
	struct contexts *ctx;

	pthread_once(&contexts_once, contexts_setup);
	if (contexts_rc < 0)
		return NULL;
	ctx = pthread_getspecific(contexts_key);
	if (ctx != NULL)
		return ctx;
	ctx = calloc(1, sizeof(*ctx));
	if (ctx == NULL)
		return NULL;
	if (pthread_setspecific(contexts_key, ctx) != 0) {
		free(ctx);
		return NULL;
	}
	return ctx;
}

static struct libdeflate_decompressor *decompressor_get(void)
{
	struct contexts *ctx = contexts_get();

	if (ctx == NULL)
		return NULL;
	if (ctx->decompressor == NULL)
		ctx->decompressor = libdeflate_alloc_decompressor();
	return ctx->decompressor;
}

static struct libdeflate_compressor *compressor_get(int level)
{
	struct contexts *ctx = contexts_get();

	assert(level >= 1 && level <= 12);
	if (ctx == NULL)
		return NULL;
	if (ctx->compressor != NULL && ctx->level != level) {
		libdeflate_free_compressor(ctx->compressor);
		ctx->compressor = NULL;
	}
	if (ctx->compressor == NULL)
		ctx->compressor = libdeflate_alloc_compressor(level);
	ctx->level = level;
	return ctx->compressor;
}

int zstream_inflate(const uint8_t *in, size_t in_len, uint8_t *out, size_t out_len,
		    size_t *used_out)
{
	struct libdeflate_decompressor *decompressor = decompressor_get();
	enum libdeflate_result result;
	size_t used;

	if (decompressor == NULL)
		return -ENOMEM;
	/* No place for the actual size: fewer bytes than out_len are an error too. */
	result = libdeflate_zlib_decompress_ex(decompressor, in, in_len, out, out_len, &used, NULL);
	if (result != LIBDEFLATE_SUCCESS)
		return ERR_CORRUPT;
	*used_out = used;
	return 0;
}

size_t zstream_bound(size_t raw_len)
{
	/* The worst that deflaters do is nine bits a byte (fixed codes), or five bytes
	 * more per stored block; git's zlib bounds itself in the same way. */
	size_t extra = raw_len / 8 + raw_len / 64 + 64;
	size_t bound;

	return __builtin_add_overflow(raw_len, extra, &bound) ? SIZE_MAX : bound;
}

/* The two containers differ in nothing else. */
struct container {
	size_t (*bound)(struct libdeflate_compressor *compressor, size_t in_len);
	size_t (*compress)(struct libdeflate_compressor *compressor, const void *in, size_t in_len,
			   void *out, size_t room);
};

static const struct container container_zlib = {
	.bound = libdeflate_zlib_compress_bound,
	.compress = libdeflate_zlib_compress,
};
static const struct container container_gzip = {
	.bound = libdeflate_gzip_compress_bound,
	.compress = libdeflate_gzip_compress,
};

static int compress_into(const struct container *container, const void *in, size_t in_len,
			 int level, struct buf *out)
{
	struct libdeflate_compressor *compressor = compressor_get(level);
	size_t bound, made;
	int rc;

	if (compressor == NULL)
		return -ENOMEM;
	bound = container->bound(compressor, in_len);
	rc = buf_reserve(out, bound);
	if (rc < 0)
		return rc;
	made = container->compress(compressor, in, in_len, out->data + out->len, bound);
	assert(made > 0); /* the bound holds for every input */
	out->len += made;
	out->data[out->len] = 0;
	return 0;
}

int zstream_deflate(const void *in, size_t in_len, int level, struct buf *out)
{
	return compress_into(&container_zlib, in, in_len, level, out);
}

int zstream_gzip(const void *in, size_t in_len, int level, struct buf *out)
{
	return compress_into(&container_gzip, in, in_len, level, out);
}

struct zstream {
	z_stream z;
};

static void *zstream_malloc(void *opaque, unsigned items, unsigned size)
{
	size_t bytes;

	(void)opaque;
	return __builtin_mul_overflow(items, size, &bytes) ? NULL : malloc(bytes);
}

static void zstream_mfree(void *opaque, void *memory)
{
	(void)opaque;
	free(memory);
}

struct zstream *zstream_new(void)
{
	struct zstream *stream = calloc(1, sizeof(*stream));

	if (stream == NULL)
		return NULL;
	stream->z.zalloc = zstream_malloc;
	stream->z.zfree = zstream_mfree;
	if (inflateInit(&stream->z) != Z_OK) {
		free(stream);
		return NULL;
	}
	return stream;
}

void zstream_free(struct zstream *stream)
{
	if (stream == NULL)
		return;
	inflateEnd(&stream->z);
	free(stream);
}

int zstream_reset(struct zstream *stream)
{
	return inflateReset(&stream->z) == Z_OK ? 0 : -EINVAL;
}

int zstream_feed(struct zstream *stream, struct cursor *in, uint8_t *out, size_t out_len,
		 size_t *made_out)
{
	/* zlib counts in unsigned int; the caller comes again for the rest. */
	const unsigned give = in->left < UINT_MAX ? (unsigned)in->left : UINT_MAX;
	const unsigned room = out_len < UINT_MAX ? (unsigned)out_len : UINT_MAX;
	int result;

	/* zlib's declaration lacks a const that its documentation has. */
	stream->z.next_in = (z_const Bytef *)(uintptr_t)in->ptr;
	stream->z.avail_in = give;
	stream->z.next_out = out;
	stream->z.avail_out = room;
	result = inflate(&stream->z, Z_NO_FLUSH);
	/* Z_BUF_ERROR: no progress was possible, which is not an error. */
	if (result == Z_MEM_ERROR)
		return -ENOMEM;
	if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
		return ERR_CORRUPT;
	if (!cursor_skip(in, give - stream->z.avail_in))
		return ERR_CORRUPT;
	*made_out = room - stream->z.avail_out;
	return result == Z_STREAM_END ? 1 : 0;
}

uint32_t crc32_of(uint32_t crc, const void *data, size_t len)
{
	return libdeflate_crc32(crc, data, len);
}
