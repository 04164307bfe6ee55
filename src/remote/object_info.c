/*
 *	size                      the columns that follow
 *	<oid> <size in decimal>   in the order of the questions; no digits where
 *	...                       the server has no such object
 *	0000
 *
 * A server may leave objects out, but not change the order or add any: this
 * keeps the match linear in the answer, whatever it holds.
 */
#include "remote/object_info.h"

#include "git/object.h"
#include "remote/remote.h"

static int malformed(struct err *err)
{
	return err_set(err, ERR_PROTOCOL, "the server's list of sizes is malformed");
}

static int size_line(struct object_info *info, struct cursor line, struct err *err)
{
	const uint8_t *hex;
	size_t hex_len;
	struct oid oid;
	if (!cursor_until(&line, ' ', &hex, &hex_len) ||
	    oid_from_hex(&oid, (const char *)hex, hex_len) < 0)
		return malformed(err);
	while (info->next < info->count && !oid_equal(&info->oids[info->next], &oid))
		info->next++;
	if (info->next == info->count)
		return err_set(err, ERR_PROTOCOL, "the server told a size that nobody asked for");
	uint64_t size = SIZE_NOT_TOLD;
	if (line.left > 0 && (!cursor_decimal(&line, OBJECT_SIZE_MAX, &size) || line.left > 0))
		return malformed(err);
	info->sizes[info->next++] = size;
	return ANSWER_MORE;
}

static int object_info_line(struct response *response, const struct pkt *pkt, struct err *err)
{
	struct object_info *info = (struct object_info *)(void *)response;
	if (pkt->type == PKT_FLUSH)
		return ANSWER_DONE;
	if (pkt->type != PKT_DATA)
		return malformed(err);
	struct cursor line = pkt_text(pkt);
	if (info->headed)
		return size_line(info, line, err);
	if (!cursor_literal(&line, "size") || line.left > 0)
		return malformed(err);
	info->headed = true;
	return ANSWER_MORE;
}

static void object_info_restart(struct response *response)
{
	struct object_info *info = (struct object_info *)(void *)response;
	response_clear(response);
	for (size_t i = 0; i < info->count; i++)
		info->sizes[i] = SIZE_NOT_TOLD;
	info->next = 0;
	info->headed = false;
}

void object_info_init(struct object_info *info, const struct oid *oids, size_t count,
		      uint64_t *sizes)
{
	*info = (struct object_info){ .oids = oids, .count = count, .sizes = sizes };
	response_init(&info->response, object_info_line, object_info_restart);
	object_info_restart(&info->response);
}

void object_info_release(struct object_info *info)
{
	response_release(&info->response);
}
