/*
 * Requests and replies as pkt-lines.
 *
 *   request   PKT(command) PKT(word)* FLUSH
 *   reply     PKT("key value")* [PKT("error words")] PKT("exit N") FLUSH
 *
 * Both parsers take bytes in any pieces and hold at most one line plus, for a
 * request, its words. Nothing may follow the flush.
 */
#include "control/control_wire.h"

#include <string.h>

void control_request_release(struct control_request *request)
{
	pktline_reader_release(&request->reader);
	buf_release(&request->text);
	request->count = 0;
}

static int request_add(struct control_request *request, const struct pkt *pkt)
{
	size_t start = request->text.len;
	int ret;

	if (request->count == CONTROL_WORDS_MAX)
		return ERR_LIMIT;
	if (pkt->len > 0 && memchr(pkt->data, '\0', pkt->len) != NULL)
		return ERR_PROTOCOL;
	ret = buf_reserve(&request->text, pkt->len + 1);
	if (ret < 0)
		return ret;
	ret = buf_append(&request->text, pkt->data, pkt->len);
	if (ret < 0)
		return ret;
	ret = buf_append_u8(&request->text, '\0');
	if (ret < 0)
		return ret;
	request->starts[request->count++] = start;
	return 0;
}

int control_request_feed(struct control_request *request, const void *data, size_t len)
{
	struct cursor in = cursor_of(data, len);
	struct pkt pkt;
	int ret;

	for (;;) {
		ret = pktline_read(&request->reader, &in, &pkt);
		if (ret <= 0)
			return ret;
		if (pkt.type == PKT_FLUSH)
			return in.left == 0 && request->count > 0 ? 1 : ERR_PROTOCOL;
		if (pkt.type != PKT_DATA)
			return ERR_PROTOCOL;
		ret = request_add(request, &pkt);
		if (ret < 0)
			return ret;
	}
}

void control_request_words(const struct control_request *request,
			   const char *words[CONTROL_WORDS_MAX])
{
	for (size_t i = 0; i < request->count; i++)
		words[i] = (const char *)request->text.data + request->starts[i];
}

int control_request_write(struct buf *out, const char *const *words)
{
	for (; *words != NULL; words++) {
		int ret = pktline_write(out, *words, strlen(*words));

		if (ret < 0)
			return ret;
	}
	return pktline_flush(out);
}

void control_response_release(struct control_response *response)
{
	pktline_reader_release(&response->reader);
	buf_release(&response->line);
}

/* "exit N" and nothing else. */
static int take_exit(struct control_response *response, const char *value)
{
	struct cursor digits = cursor_of(value, strlen(value));
	uint64_t code;

	if (!cursor_decimal(&digits, 255, &code) || digits.left != 0)
		return ERR_PROTOCOL;
	response->exit_seen = true;
	response->exit_code = (int)code;
	return 0;
}

static int take_line(struct control_response *response, const struct pkt *pkt,
		     control_line_fn *line, void *arg)
{
	struct cursor text = cursor_of(pkt->data, pkt->len);
	const uint8_t *key;
	size_t key_len;
	char name[CONTROL_KEY_MAX + 1];
	int ret;

	if (response->exit_seen || !cursor_until(&text, ' ', &key, &key_len) || key_len == 0 ||
	    key_len > CONTROL_KEY_MAX || memchr(pkt->data, '\0', pkt->len) != NULL)
		return ERR_PROTOCOL;
	memcpy(name, key, key_len);
	name[key_len] = '\0';
	buf_clear(&response->line);
	ret = buf_append(&response->line, text.ptr, text.left);
	if (ret < 0)
		return ret;

	if (strcmp(name, CONTROL_KEY_EXIT) == 0)
		return take_exit(response, buf_str(&response->line));
	if (strcmp(name, CONTROL_KEY_ERROR) == 0) {
		err_set(response->err, -EIO, "%s", buf_str(&response->line));
		return 0;
	}
	return line != NULL ? line(arg, name, buf_str(&response->line)) : 0;
}

int control_response_feed(struct control_response *response, const void *data, size_t len,
			  control_line_fn *line, void *arg)
{
	struct cursor in = cursor_of(data, len);
	struct pkt pkt;
	int ret;

	if (len > CONTROL_REPLY_BYTES_MAX - response->bytes)
		return ERR_LIMIT;
	response->bytes += len;
	for (;;) {
		ret = pktline_read(&response->reader, &in, &pkt);
		if (ret <= 0)
			return ret;
		if (pkt.type == PKT_FLUSH)
			return in.left == 0 && response->exit_seen ? 1 : ERR_PROTOCOL;
		if (pkt.type != PKT_DATA)
			return ERR_PROTOCOL;
		ret = take_line(response, &pkt, line, arg);
		if (ret < 0)
			return ret;
	}
}
