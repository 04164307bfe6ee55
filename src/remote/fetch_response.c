/*
 *	HEADER     a section's name is next
 *	SKIP       in a section that says nothing to us, until a delimiter
 *	PACK       in "packfile": `<band><bytes>` lines; band 1 the pack, 2 progress,
 *	           3 the server's last words
 *	PACK_DONE  the pack is whole; progress may still come, then a flush
 *
 * shallow-info comes because of `deepen`; acknowledgments and wanted-refs are
 * never asked for but harmless. Empty lines of band 1 keep the line warm.
 */
#include "remote/fetch_response.h"

#include <string.h>

static int section_start(struct fetch_response *fetch, struct cursor name, struct err *err)
{
	static const char *const skipped[] = { "shallow-info", "acknowledgments", "wanted-refs" };
	struct cursor rest = name;
	if (cursor_literal(&rest, "packfile") && rest.left == 0) {
		fetch->parser = pack_parser_new(fetch->algo, fetch->sink);
		if (fetch->parser == NULL)
			return -ENOMEM;
		fetch->state = FETCH_PACK;
		return ANSWER_MORE;
	}
	for (size_t i = 0; i < sizeof(skipped) / sizeof(skipped[0]); i++) {
		rest = name;
		if (!cursor_literal(&rest, skipped[i]) || rest.left != 0)
			continue;
		fetch->state = FETCH_SKIP;
		return ANSWER_MORE;
	}
	char words[128];
	response_words(words, sizeof(words), name.ptr, name.left);
	return err_set(err, ERR_PROTOCOL, "the server's answer has an unknown part '%s'", words);
}

static int pack_line(struct fetch_response *fetch, const struct pkt *pkt, struct err *err)
{
	struct cursor data = cursor_of(pkt->data, pkt->len);
	uint8_t band;
	if (!cursor_u8(&data, &band))
		return err_set(err, ERR_PROTOCOL, "an empty line where a pack should be");
	if (band == 2 || (band == 1 && data.left == 0))
		return ANSWER_MORE;
	if (band == 3) {
		char words[REFUSAL_MAX];
		response_words(words, sizeof(words), data.ptr, data.left);
		return err_set(err, ERR_PROTOCOL, "the server gave up: %s", words);
	}
	if (band != 1)
		return err_set(err, ERR_PROTOCOL, "no such side band: %u", band);
	if (fetch->state == FETCH_PACK_DONE)
		return err_set(err, ERR_PROTOCOL, "the server sent bytes after the end of a pack");
	int rc = pack_parser_feed(fetch->parser, data.ptr, data.left, err);
	if (rc < 0)
		return rc;
	if (rc > 0)
		fetch->state = FETCH_PACK_DONE;
	return ANSWER_MORE;
}

static int fetch_line(struct response *response, const struct pkt *pkt, struct err *err)
{
	struct fetch_response *fetch = (struct fetch_response *)(void *)response;
	if (pkt->type == PKT_FLUSH && fetch->state == FETCH_PACK_DONE)
		return ANSWER_DONE;
	if (pkt->type == PKT_DATA && fetch->state >= FETCH_PACK)
		return pack_line(fetch, pkt, err);
	if (++fetch->lines > FETCH_SECTION_LINES_MAX)
		return err_set(err, ERR_LIMIT, "the server talks too long before it sends a pack");
	if (pkt->type == PKT_DATA && fetch->state == FETCH_HEADER)
		return section_start(fetch, pkt_text(pkt), err);
	if (pkt->type == PKT_DATA) /* FETCH_SKIP */
		return ANSWER_MORE;
	if (pkt->type == PKT_DELIM && fetch->state == FETCH_SKIP) {
		fetch->state = FETCH_HEADER;
		return ANSWER_MORE;
	}
	return err_set(err, ERR_PROTOCOL, "the server's answer ended before its pack did");
}

static void fetch_restart(struct response *response)
{
	struct fetch_response *fetch = (struct fetch_response *)(void *)response;
	response_clear(response);
	pack_parser_free(fetch->parser);
	fetch->parser = NULL;
	fetch->state = FETCH_HEADER;
	fetch->lines = 0;
}

void fetch_response_init(struct fetch_response *fetch, enum hash_algo algo,
			 struct object_sink *sink)
{
	*fetch = (struct fetch_response){ .algo = algo, .sink = sink, .state = FETCH_HEADER };
	response_init(&fetch->response, fetch_line, fetch_restart);
}

void fetch_response_release(struct fetch_response *fetch)
{
	response_release(&fetch->response);
	pack_parser_free(fetch->parser);
}
