/*
 * The file of a tip, text, in this order:
 *
 *   git-fs tip 1
 *   ref <full name; nothing for a commit id>
 *   commit <hex>
 *   asked <seconds since the epoch>
 */
#include "cli/tip.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/io.h"
#include "cli/paths.h"

#define TIP_FILE_MAX 4096

int tip_save(const char *path, const struct tip *tip)
{
	AUTO_BUF struct buf text = BUF_INIT_MAX(TIP_FILE_MAX);
	char hex[OID_HEX_MAX + 1];
	char folder[PATH_MAX];
	int ret = paths_absolute(folder, path, "..");

	if (ret < 0)
		return ret;
	ret = buf_printf(&text, "git-fs tip 1\nref %s\ncommit %s\nasked %lld\n", tip->ref.name,
			 oid_to_hex(&tip->ref.commit, hex), (long long)tip->asked);
	if (ret < 0)
		return ret;
	ret = io_mkdirs(folder);
	if (ret < 0)
		return ret;
	return io_replace_file(AT_FDCWD, path, text.data, text.len);
}

int tip_parse(const void *data, size_t len, struct tip *out)
{
	struct cursor cur = cursor_of(data, len);
	const uint8_t *name, *hex;
	size_t name_len, hex_len;
	uint64_t asked;
	struct tip tip;

	memset(&tip, 0, sizeof(tip));
	if (!cursor_literal(&cur, "git-fs tip 1\nref ") ||
	    !cursor_until(&cur, '\n', &name, &name_len) || name_len >= sizeof(tip.ref.name) ||
	    (name_len > 0 && memchr(name, '\0', name_len) != NULL) ||
	    !cursor_literal(&cur, "commit ") || !cursor_until(&cur, '\n', &hex, &hex_len) ||
	    oid_from_hex(&tip.ref.commit, (const char *)hex, hex_len) < 0 ||
	    !cursor_literal(&cur, "asked ") || !cursor_decimal(&cur, INT64_MAX, &asked) ||
	    !cursor_literal(&cur, "\n") || cur.left != 0)
		return ERR_CORRUPT;
	memcpy(tip.ref.name, name, name_len);
	tip.ref.oid = tip.ref.commit;
	tip.asked = (int64_t)asked;
	*out = tip;
	return 0;
}

int tip_load(const char *path, struct tip *out)
{
	AUTO_BUF struct buf text = BUF_INIT_MAX(TIP_FILE_MAX);
	int ret = io_read_file(AT_FDCWD, path, &text);

	return ret < 0 ? ret : tip_parse(text.data, text.len, out);
}
