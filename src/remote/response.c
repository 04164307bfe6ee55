/*
 * Bytes to lines. A line `ERR words` may take the place of any other and ends
 * the answer; it is not an error here, because the caller often knows what to
 * do about it and the connection is still good.
 */
#include "remote/response.h"

#include <string.h>

#include "base/log.h"

void response_words(char *out, size_t size, const uint8_t *data, size_t len)
{
	char text[REFUSAL_MAX];
	while (len > 0 && (data[len - 1] == '\n' || data[len - 1] == '\r'))
		len--;
	if (len > sizeof(text) - 1)
		len = sizeof(text) - 1;
	if (len > 0)
		memcpy(text, data, len);
	text[len] = '\0';
	log_redact(text);
	log_escape(out, size, text);
}

/* Whether the line is a refusal; keeps its words. */
static bool take_refusal(struct response *response, const struct pkt *pkt)
{
	if (pkt->type != PKT_DATA)
		return false;
	struct cursor cur = cursor_of(pkt->data, pkt->len);
	if (!cursor_literal(&cur, "ERR "))
		return false;
	response->refused = true;
	response_words(response->refusal, sizeof(response->refusal), cur.ptr, cur.left);
	return true;
}

static int response_take(struct answer *answer, const uint8_t *data, size_t len, struct err *err)
{
	struct response *response = (struct response *)(void *)answer;
	struct cursor in = cursor_of(data, len);
	int rc = ANSWER_MORE;
	while (rc == ANSWER_MORE) {
		struct pkt pkt;
		int got = pktline_read(&response->reader, &in, &pkt);
		if (got == ERR_PROTOCOL)
			return err_set(err, got, "the server's answer is not git's protocol");
		if (got <= 0)
			return got;
		if (take_refusal(response, &pkt)) {
			rc = ANSWER_DONE;
		} else {
			response->begun = true;
			rc = response->line(response, &pkt, err);
		}
	}
	if (rc == ANSWER_DONE && in.left > 0)
		return err_set(err, ERR_PROTOCOL,
			       "the server sent bytes after the end of its answer");
	return rc;
}

void response_init(struct response *response,
		   int (*line)(struct response *, const struct pkt *, struct err *),
		   void (*restart)(struct response *))
{
	*response = (struct response){
		.answer = { .take = response_take },
		.reader = PKTLINE_READER_INIT,
		.line = line,
		.restart = restart,
	};
}

void response_clear(struct response *response)
{
	pktline_reader_release(&response->reader);
	response->reader = (struct pktline_reader)PKTLINE_READER_INIT;
	response->begun = false;
	response->refused = false;
	response->refusal[0] = '\0';
}

void response_release(struct response *response)
{
	pktline_reader_release(&response->reader);
}
