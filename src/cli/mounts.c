/*
 * One line of mountinfo, proc(5):
 *
 *   36 35 98:0 /root /mount/point rw,noatime master:1 - type source options
 *   id parent major:minor ...        optional fields   ^ a lone dash
 *
 * Space, tab, newline, backslash and '#' stand as \ooo. The text is kept and
 * unescaped in place; entries point into it. A later line lies on top of an
 * earlier one with the same mount point.
 */
#include "cli/mounts.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/paths.h"

#define OUR_TYPE "fuse.git-fs"
#define TABLE_BYTES_MAX ((size_t)64 << 20)
#define LINKS_MAX 40 /* as path_resolution(7) */

void mount_table_release(struct mount_table *table)
{
	free(table->entries);
	buf_release(&table->text);
	table->entries = NULL;
	table->count = 0;
}

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

static void unescape(char *text)
{
	char *out = text;

	while (*text != '\0') {
		if (text[0] == '\\' && text[1] >= '0' && text[1] <= '3' && is_octal(text[2]) &&
		    is_octal(text[3])) {
			*out++ = (char)(unsigned char)((text[1] - '0') * 64 +
						       (text[2] - '0') * 8 + (text[3] - '0'));
			text += 4;
		} else {
			*out++ = *text++;
		}
	}
	*out = '\0';
}

/* The next word of the line, ended by a NUL; NULL at its end. */
static char *next_word(char **line)
{
	char *word = *line;
	size_t len = strcspn(word, " ");

	if (len == 0)
		return NULL;
	*line = word + len;
	if (**line == ' ')
		*(*line)++ = '\0';
	return word;
}

static int parse_device(const char *word, struct mount_entry *out)
{
	struct cursor cur = cursor_of(word, strlen(word));
	uint64_t major, minor;

	if (!cursor_decimal(&cur, UINT32_MAX, &major) || !cursor_literal(&cur, ":") ||
	    !cursor_decimal(&cur, UINT32_MAX, &minor) || cur.left != 0)
		return ERR_PROTOCOL;
	out->major = (unsigned)major;
	out->minor = (unsigned)minor;
	return 0;
}

static int parse_line(char *line, struct mount_entry *out)
{
	struct mount_entry entry;
	char *words[6];
	char *word, *type, *source;
	int ret;

	for (size_t i = 0; i < 6; i++) {
		words[i] = next_word(&line);
		if (words[i] == NULL)
			return ERR_PROTOCOL;
	}
	ret = parse_device(words[2], &entry);
	if (ret < 0)
		return ret;
	do {
		word = next_word(&line);
		if (word == NULL)
			return ERR_PROTOCOL;
	} while (strcmp(word, "-") != 0);
	type = next_word(&line);
	if (type == NULL)
		return ERR_PROTOCOL;
	/* The source may be empty; two spaces then follow each other. */
	source = line;
	line += strcspn(line, " ");
	*line = '\0';
	unescape(words[4]);
	unescape(source);
	entry.mount_point = words[4];
	entry.type = type;
	entry.source = source;
	*out = entry;
	return 0;
}

static size_t count_lines(const struct buf *text)
{
	size_t lines = 1;

	for (size_t i = 0; i < text->len; i++)
		lines += text->data[i] == '\n';
	return lines;
}

int mount_table_parse(struct mount_table *table, struct buf *text)
{
	struct mount_table parsed = MOUNT_TABLE_INIT;
	char *line;
	int ret = 0;

	parsed.entries = calloc(count_lines(text), sizeof(*parsed.entries));
	if (parsed.entries == NULL)
		return -ENOMEM;
	parsed.text = *text;
	*text = (struct buf)BUF_INIT;
	line = (char *)parsed.text.data;
	while (ret == 0 && line != NULL && *line != '\0') {
		char *end = strchr(line, '\n');

		if (end != NULL)
			*end++ = '\0';
		ret = parse_line(line, &parsed.entries[parsed.count]);
		if (ret == 0)
			parsed.count++;
		line = end;
	}
	if (ret < 0) {
		mount_table_release(&parsed);
		return ret;
	}
	*table = parsed;
	return 0;
}

int mount_table_read(struct mount_table *table, struct err *err)
{
	AUTO_BUF struct buf text = BUF_INIT_MAX(TABLE_BYTES_MAX);
	int ret = io_read_file(AT_FDCWD, "/proc/self/mountinfo", &text);

	if (ret >= 0)
		ret = mount_table_parse(table, &text);
	return ret < 0 ? err_sys(err, -ret, "cannot read /proc/self/mountinfo") : 0;
}

bool mount_entry_is_ours(const struct mount_entry *entry)
{
	return entry != NULL && strcmp(entry->type, OUR_TYPE) == 0;
}

const struct mount_entry *mount_table_at(const struct mount_table *table, const char *path)
{
	for (size_t i = table->count; i > 0; i--) {
		if (strcmp(table->entries[i - 1].mount_point, path) == 0)
			return &table->entries[i - 1];
	}
	return NULL;
}

const struct mount_entry *mount_table_containing(const struct mount_table *table,
						 const char *path)
{
	const struct mount_entry *best = NULL;
	size_t best_len = 0;

	for (size_t i = 0; i < table->count; i++) {
		const struct mount_entry *entry = &table->entries[i];
		size_t len = strlen(entry->mount_point);

		if (len >= best_len && paths_within(path, entry->mount_point)) {
			best = entry;
			best_len = len;
		}
	}
	return best;
}

bool mount_table_has_device(const struct mount_table *table, unsigned major, unsigned minor)
{
	for (size_t i = 0; i < table->count; i++) {
		if (table->entries[i].major == major && table->entries[i].minor == minor)
			return true;
	}
	return false;
}

static bool in_ours(const struct mount_table *table, const char *path)
{
	return mount_entry_is_ours(mount_table_containing(table, path));
}

/* Follows the links of the folder in which `path` lies, where there is one. */
static void resolve_parent(char path[PATH_MAX])
{
	char *slash = strrchr(path, '/');
	char real[PATH_MAX];
	char joined[PATH_MAX];
	bool found;

	if (slash == path)
		return; /* in the root */
	*slash = '\0';
	found = realpath(path, real) != NULL &&
		paths_absolute(joined, real, slash + 1) == 0;
	*slash = '/';
	if (found)
		memcpy(path, joined, strlen(joined) + 1);
}

/* Replaces `path` by what it points to. 1: it was a link; 0: it is none. */
static int follow_link(char path[PATH_MAX])
{
	char target[PATH_MAX];
	char parent[PATH_MAX];
	ssize_t len = readlink(path, target, sizeof(target) - 1);
	int ret;

	if (len < 0)
		return 0;
	target[len] = '\0';
	ret = paths_absolute(parent, path, "..");
	if (ret == 0)
		ret = paths_absolute(path, parent, target);
	return ret < 0 ? ret : 1;
}

int mounts_resolve(const struct mount_table *table, const char *text, char out[PATH_MAX],
		   struct err *err)
{
	char cwd[PATH_MAX] = "/";
	char path[PATH_MAX];
	int links = 0;
	int ret;

	if (text[0] == '\0')
		return err_set(err, -ENOENT, "the name of the folder is empty");
	/* getcwd(2) asks the kernel alone, also in a dead mount. */
	if (text[0] != '/' && getcwd(cwd, sizeof(cwd)) == NULL)
		return err_sys(err, errno, "cannot tell the current folder");
	if (cwd[0] != '/')
		return err_set(err, -ENOENT, "the current folder cannot be reached by a path");
	ret = paths_absolute(path, cwd, text);
	while (ret >= 0 && !in_ours(table, path)) {
		resolve_parent(path);
		if (in_ours(table, path))
			break;
		ret = follow_link(path);
		if (ret == 0)
			break;
		if (++links > LINKS_MAX)
			ret = -ELOOP;
	}
	if (ret < 0)
		return err_sys(err, -ret, "%s", text);
	memcpy(out, path, strlen(path) + 1);
	return 0;
}
