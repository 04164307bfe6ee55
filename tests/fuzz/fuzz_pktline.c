/*
 * pkt-lines: the pieces in which bytes arrive make no difference. The lines
 * read in one go and in pieces of several sizes are written down and compared.
 */
#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "fuzz.h"
#include "git/pktline.h"

/* Appends a line to the record in a form that tells all lines apart. */
static void record_line(struct buf *record, const struct pkt *pkt)
{
	struct cursor text = pkt_text(pkt);
	uint8_t head[] = { (uint8_t)pkt->type, (uint8_t)(pkt->len >> 8), (uint8_t)pkt->len };

	assert(pkt->len <= PKTLINE_PAYLOAD_MAX && text.left <= pkt->len);
	assert(pkt->type == PKT_DATA || pkt->len == 0);
	assert(buf_append(record, head, sizeof(head)) == 0);
	assert(buf_append(record, pkt->data, pkt->len) == 0);
}

/* Records what is read out of pieces of piece_len bytes, and how it ends. */
static void read_in_pieces(const uint8_t *data, size_t size, size_t piece_len, struct buf *record)
{
	struct pktline_reader reader = PKTLINE_READER_INIT;
	struct cursor rest = cursor_of(data, size);
	int result = 0;

	while (result == 0 && rest.left != 0) {
		size_t len = piece_len < rest.left ? piece_len : rest.left;
		struct cursor piece = cursor_of(rest.ptr, len);
		struct pkt pkt;

		while ((result = pktline_read(&reader, &piece, &pkt)) == 1)
			record_line(record, &pkt);
		assert(result == 0 || result == ERR_PROTOCOL);
		assert(result < 0 || piece.left == 0);
		assert(cursor_skip(&rest, len));
	}
	assert(buf_printf(record, "%d", result) == 0);
	if (result == 0)
		assert(buf_append_u8(record, (uint8_t)pktline_reader_partial(&reader)) == 0);
	pktline_reader_release(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t piece_lens[] = { 1, 3, 4, 11 };
	AUTO_BUF struct buf whole = BUF_INIT;

	read_in_pieces(data, size, size, &whole);
	for (size_t i = 0; i < sizeof(piece_lens) / sizeof(piece_lens[0]); i++) {
		AUTO_BUF struct buf pieces = BUF_INIT;

		read_in_pieces(data, size, piece_lens[i], &pieces);
		assert(pieces.len == whole.len);
		assert(memcmp(pieces.data, whole.data, whole.len) == 0);
	}
	return 0;
}
