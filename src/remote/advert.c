/*
 * Lines of an advertisement:
 *
 *	[# service=git-upload-pack 0000]   HTTP, some servers
 *	version 2
 *	name[=value] ...                   capabilities
 *	0000
 *
 * A server of the versions 0 or 1 lists its refs instead, the first as
 * `<oid> <name>\0<capabilities>`; that is told in words of its own, so that the
 * user learns why.
 */
#include "remote/advert.h"

#include <string.h>

static int advert_start(struct advert *advert, struct cursor text, struct err *err)
{
	struct cursor rest = text;
	if (advert->state == ADVERT_START && cursor_literal(&rest, "# service=git-upload-pack") &&
	    rest.left == 0) {
		advert->state = ADVERT_SERVICE;
		return ANSWER_MORE;
	}
	rest = text;
	if (cursor_literal(&rest, "version 2") && rest.left == 0) {
		advert->state = ADVERT_CAPS;
		return ANSWER_MORE;
	}
	const uint8_t *hex;
	size_t hex_len;
	struct oid oid;
	rest = text;
	bool old = cursor_literal(&rest, "version 1");
	rest = text;
	old = old || (cursor_until(&rest, ' ', &hex, &hex_len) &&
		      oid_from_hex(&oid, (const char *)hex, hex_len) == 0);
	if (old)
		return err_set(err, ERR_UNSUPPORTED,
			       "the server does not speak version 2 of git's protocol");
	char words[128];
	response_words(words, sizeof(words), text.ptr, text.left);
	return err_set(err, ERR_PROTOCOL, "the server greeted with '%s'", words);
}

static int advert_line(struct response *response, const struct pkt *pkt, struct err *err)
{
	struct advert *advert = (struct advert *)(void *)response;
	if (pkt->type == PKT_FLUSH && advert->state == ADVERT_SERVICE)
		return ANSWER_MORE;
	if (pkt->type == PKT_FLUSH && advert->state == ADVERT_CAPS)
		return ANSWER_DONE;
	if (pkt->type != PKT_DATA)
		return err_set(err, ERR_PROTOCOL, "the server's greeting is cut off");
	struct cursor text = pkt_text(pkt);
	if (advert->state != ADVERT_CAPS)
		return advert_start(advert, text, err);
	int rc = caps_add(&advert->caps, text.ptr, text.left);
	if (rc == ERR_PROTOCOL || rc == ERR_LIMIT)
		return err_set(err, rc, "the server's capabilities are malformed or too long");
	return rc < 0 ? rc : ANSWER_MORE;
}

static void advert_restart(struct response *response)
{
	struct advert *advert = (struct advert *)(void *)response;
	response_clear(response);
	caps_release(&advert->caps);
	advert->caps = (struct caps)CAPS_INIT;
	advert->state = ADVERT_START;
}

void advert_init(struct advert *advert)
{
	response_init(&advert->response, advert_line, advert_restart);
	advert->state = ADVERT_START;
	advert->caps = (struct caps)CAPS_INIT;
}

void advert_release(struct advert *advert)
{
	response_release(&advert->response);
	caps_release(&advert->caps);
}

int advert_offer(const struct advert *advert, struct offer *out, struct err *err)
{
	const struct caps *caps = &advert->caps;
	if (caps_value(caps, "fetch") == NULL || caps_value(caps, "ls-refs") == NULL)
		return err_set(err, ERR_UNSUPPORTED, "the server offers no fetch");
	enum hash_algo algo = HASH_SHA1;
	const char *format = caps_value(caps, "object-format");
	if (format != NULL && hash_parse_name(format, strlen(format), &algo) < 0) {
		char words[64];
		response_words(words, sizeof(words), (const uint8_t *)format, strlen(format));
		return err_set(err, ERR_UNSUPPORTED, "unknown object format '%s'", words);
	}
	*out = (struct offer){
		.known = true,
		.algo = algo,
		.object_format = format != NULL,
		.agent = caps_value(caps, "agent") != NULL,
		.shallow = caps_has_word(caps, "fetch", "shallow"),
		.filter = caps_has_word(caps, "fetch", "filter"),
		.object_info = caps_value(caps, "object-info") != NULL,
	};
	return 0;
}
