/*
 * For the fuzz targets of a server's answers: bytes into a parser, in pieces.
 */
#ifndef GIT_FS_TESTS_ANSWERS_H
#define GIT_FS_TESTS_ANSWERS_H

#include <assert.h>

#include "base/err.h"
#include "remote/response.h"

/* Feeds all of it in pieces of piece_len bytes; how it ended. Bytes after the end
 * count as what they are in one piece: a fault. */
static inline int feed_answer(struct response *response, const uint8_t *data, size_t size,
			      size_t piece_len)
{
	struct err err = ERR_INIT;
	struct cursor rest = cursor_of(data, size);
	int rc = ANSWER_MORE;

	while (rc == ANSWER_MORE && rest.left > 0) {
		size_t len = piece_len < rest.left ? piece_len : rest.left;

		rc = response->answer.take(&response->answer, rest.ptr, len, &err);
		assert(rc <= ANSWER_ENOUGH);
		assert(rc >= 0 || err.code == rc || err.code == 0);
		assert(cursor_skip(&rest, len));
	}
	return rc == ANSWER_DONE && rest.left > 0 ? ERR_PROTOCOL : rc;
}

#endif
