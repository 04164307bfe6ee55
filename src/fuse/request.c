#include "fuse/request.h"

#include <linux/fuse.h>
#include <string.h>

#ifndef FUSE_TMPFILE_OPCODE /* FUSE_TMPFILE is an enumerator, of newer headers alone */
#define FUSE_TMPFILE_OPCODE 51
#endif
#ifndef FUSE_HANDLE_KILLPRIV_V2
#define FUSE_HANDLE_KILLPRIV_V2 (1U << 28)
#endif
#define WRITE_KILL_SUIDGID (1U << 2) /* FUSE_WRITE_KILL_SUIDGID */
#define SETATTR_KILL_SUIDGID (1U << 11) /* FATTR_KILL_SUIDGID */

/* The fixed part of the request behind its head, copied as it may lie anyhow. */
static bool body_of(const void *data, size_t len, void *body, size_t body_len)
{
	if (len < sizeof(struct fuse_in_header) + body_len)
		return false;
	memcpy(body, (const uint8_t *)data + sizeof(struct fuse_in_header), body_len);
	return true;
}

void request_peek(void *data, size_t len, struct request_marks *out)
{
	struct fuse_in_header head;

	memset(out, 0, sizeof(*out));
	if (len < sizeof(head))
		return;
	memcpy(&head, data, sizeof(head));
	out->unique = head.unique;
	if (head.opcode == FUSE_INIT) {
		uint32_t init[4]; /* major, minor, read-ahead, flags */

		out->is_init = body_of(data, len, init, sizeof(init));
		out->init_flags = out->is_init ? init[3] : 0;
	} else if (head.opcode == FUSE_WRITE) {
		struct fuse_write_in write;

		out->kill_setid = body_of(data, len, &write, sizeof(write)) &&
				  (write.write_flags & WRITE_KILL_SUIDGID) != 0;
	} else if (head.opcode == FUSE_SETATTR) {
		struct fuse_setattr_in setattr;

		out->kill_setid = body_of(data, len, &setattr, sizeof(setattr)) &&
				  (setattr.valid & SETATTR_KILL_SUIDGID) != 0;
	} else if (head.opcode == FUSE_TMPFILE_OPCODE) {
		out->is_tmpfile = true;
		head.opcode = FUSE_CREATE;
		memcpy(data, &head, sizeof(head));
	}
}

uint32_t request_killpriv_flag(const struct request_marks *marks)
{
	return marks->init_flags & FUSE_HANDLE_KILLPRIV_V2;
}

void request_amend_init(void *body, size_t len, uint32_t flags)
{
	struct fuse_init_out out;
	size_t known = len < sizeof(out) ? len : sizeof(out);

	if (known < offsetof(struct fuse_init_out, max_background))
		return; /* the kernel is from before flags, or this is an error */
	memcpy(&out, body, known);
	out.flags |= flags;
	memcpy(body, &out, known);
}
