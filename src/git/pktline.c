/*
 * pkt-lines.
 *
 *     four hex digits: the length of the line, themselves included
 *       0000 flush   0001 delimiter   0002 end of response   0003 means nothing
 *       0004..fff0   a line of length - 4 bytes of payload
 *
 * The reader is between lines (`partial` empty), within one (`partial` holds
 * less than its digits announce), or has given one out that had come in pieces
 * (`partial` holds just that, and is emptied by the next call). The three are
 * told apart by `partial` alone. A line that lies whole in the input never
 * goes through `partial`.
 */
#include "git/pktline.h"

#include <stdbool.h>

#include "base/err.h"
#include "git/hex.h"

#define DIGITS ((size_t)4)
#define LINE_MAX_BYTES (PKTLINE_PAYLOAD_MAX + DIGITS)

void pktline_reader_release(struct pktline_reader *reader)
{
	buf_release(&reader->partial);
}

/* What four digits announce: the type, and the bytes of the line in all. */
static int parse_digits(const uint8_t *digits, enum pkt_type *type_out, size_t *line_len_out)
{
	static const enum pkt_type special[] = { PKT_FLUSH, PKT_DELIM, PKT_RESPONSE_END };
	size_t announced = 0;

	for (size_t i = 0; i < DIGITS; i++) {
		int value = hex_value(digits[i]);

		if (value < 0)
			return ERR_PROTOCOL;
		announced = announced * 16 + (size_t)value;
	}
	if (announced < sizeof(special) / sizeof(special[0])) {
		*type_out = special[announced];
		*line_len_out = DIGITS;
		return 0;
	}
	if (announced < DIGITS || announced > LINE_MAX_BYTES)
		return ERR_PROTOCOL;
	*type_out = PKT_DATA;
	*line_len_out = announced;
	return 0;
}

/* Takes the next line off `in`. 1; 0: not all of it is there, nothing was
 * taken, and *missing_out bytes at least are lacking; ERR_PROTOCOL. */
static int take_line(struct cursor *in, struct pkt *out, size_t *missing_out)
{
	struct cursor rest = *in;
	struct pkt pkt = { .data = NULL, .len = 0 };
	const uint8_t *digits;
	size_t line_len;
	int result;

	if (!cursor_bytes(&rest, DIGITS, &digits)) {
		*missing_out = DIGITS - in->left;
		return 0;
	}
	result = parse_digits(digits, &pkt.type, &line_len);
	if (result < 0)
		return result;
	if (pkt.type == PKT_DATA) {
		pkt.len = line_len - DIGITS;
		if (!cursor_bytes(&rest, pkt.len, &pkt.data)) {
			*missing_out = line_len - in->left;
			return 0;
		}
	}
	*in = rest;
	*out = pkt;
	return 1;
}

/* The line in `partial`, if it is whole; as take_line. */
static int take_partial(const struct pktline_reader *reader, struct pkt *out, size_t *missing_out)
{
	struct cursor held = cursor_of(reader->partial.data, reader->partial.len);

	return take_line(&held, out, missing_out);
}

int pktline_read(struct pktline_reader *reader, struct cursor *in, struct pkt *out)
{
	struct pkt pkt;
	size_t missing;
	int result;

	if (reader->partial.len != 0 && take_partial(reader, &pkt, &missing) == 1)
		buf_clear(&reader->partial);
	if (reader->partial.len == 0) {
		result = take_line(in, out, &missing);
		if (result != 0)
			return result;
	}
	/* At most twice: up to the end of the digits, then of the payload. */
	while ((result = take_partial(reader, &pkt, &missing)) == 0) {
		size_t len = missing < in->left ? missing : in->left;

		if (len == 0)
			return 0;
		result = buf_append(&reader->partial, in->ptr, len);
		if (result < 0)
			return result;
		(void)cursor_skip(in, len);
	}
	if (result == 1)
		*out = pkt;
	return result;
}

int pktline_reader_partial(const struct pktline_reader *reader)
{
	struct pkt pkt;
	size_t missing;

	return reader->partial.len != 0 && take_partial(reader, &pkt, &missing) != 1;
}

struct cursor pkt_text(const struct pkt *pkt)
{
	size_t len = pkt->len;

	if (len != 0 && pkt->data[len - 1] == '\n')
		len--;
	return cursor_of(pkt->data, len);
}

int pktline_write(struct buf *out, const void *data, size_t len)
{
	int result;

	if (len > PKTLINE_PAYLOAD_MAX)
		return ERR_LIMIT;
	/* All of it at once: the line is appended whole or not at all. */
	result = buf_reserve(out, DIGITS + len);
	if (result == 0)
		result = buf_printf(out, "%04zx", DIGITS + len);
	if (result == 0)
		result = buf_append(out, data, len);
	return result;
}

int pktline_printf(struct buf *out, const char *fmt, ...)
{
	AUTO_BUF struct buf text = BUF_INIT_MAX(PKTLINE_PAYLOAD_MAX);
	va_list args;
	int result;

	va_start(args, fmt);
	result = buf_vprintf(&text, fmt, args);
	va_end(args);
	if (result < 0)
		return result;
	return pktline_write(out, text.data, text.len);
}

int pktline_flush(struct buf *out)
{
	return buf_append_str(out, "0000");
}

int pktline_delim(struct buf *out)
{
	return buf_append_str(out, "0001");
}
