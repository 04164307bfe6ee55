/*
 * The control socket: requests and replies, whole and byte by byte; both ways
 * come to the same end.
 */
#include <assert.h>
#include <string.h>

#include "control/control_wire.h"
#include "fuzz.h"

static int read_request(const uint8_t *data, size_t size, size_t piece, struct buf *record)
{
	struct control_request request = CONTROL_REQUEST_INIT;
	const char *words[CONTROL_WORDS_MAX];
	int ret = 0;

	for (size_t at = 0; at < size && ret == 0; at += piece)
		ret = control_request_feed(&request, data + at,
					   size - at < piece ? size - at : piece);
	if (ret == 1) {
		assert(request.count >= 1 && request.count <= CONTROL_WORDS_MAX);
		control_request_words(&request, words);
		for (size_t i = 0; i < request.count; i++)
			assert(buf_append(record, words[i], strlen(words[i]) + 1) == 0);
	}
	control_request_release(&request);
	return ret;
}

static int record_line(void *arg, const char *key, const char *value)
{
	assert(key[0] != '\0' && strlen(key) <= CONTROL_KEY_MAX);
	return buf_printf(arg, "%s=%s\n", key, value);
}

static int read_reply(const uint8_t *data, size_t size, size_t piece, struct buf *record)
{
	struct err err = ERR_INIT;
	struct control_response response = CONTROL_RESPONSE_INIT(&err);
	int ret = 0;

	for (size_t at = 0; at < size && ret == 0; at += piece)
		ret = control_response_feed(&response, data + at,
					    size - at < piece ? size - at : piece, record_line,
					    record);
	if (ret == 1) {
		assert(response.exit_code >= 0 && response.exit_code <= 255);
		assert(buf_printf(record, "%d %s", response.exit_code, err.msg) == 0);
	}
	control_response_release(&response);
	return ret;
}

/* Bytes after the end are seen as wrong only when they come along with it. */
static void compare(int (*read)(const uint8_t *, size_t, size_t, struct buf *),
		    const uint8_t *data, size_t size)
{
	AUTO_BUF struct buf whole = BUF_INIT;
	AUTO_BUF struct buf pieces = BUF_INIT;
	int ret = read(data, size, size, &whole);
	int ret_pieces = read(data, size, 1, &pieces);

	assert(ret == ret_pieces || (ret == ERR_PROTOCOL && ret_pieces == 1));
	if (ret == 1) {
		assert(whole.len == pieces.len);
		assert(whole.len == 0 || memcmp(whole.data, pieces.data, whole.len) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	compare(read_request, data, size);
	compare(read_reply, data, size);
	return 0;
}
