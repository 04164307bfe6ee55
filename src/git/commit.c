/*
 * Commits and annotated tags.
 *
 *     commit:  "tree " <hex> LF
 *              ("parent " <hex> LF)*
 *              other headers: author, committer, encoding, gpgsig, mergetag ...
 *              LF
 *              message
 *     tag:     "object " <hex> LF "type " <name> LF ...
 *     person:  <name> " <" <email> "> " <seconds> " " <timezone>
 *
 * A header line that begins with a space continues the one before it; no
 * header's name does, so such lines match none. What a filesystem needs (tree,
 * parents) is read strictly; times only date its files, so that a commit whose
 * author is missing or garbled is still one, of time 0.
 */
#include "git/commit.h"

#include "base/buf.h"

/* The next line without its LF; the last may lack one. False at the end. */
static bool next_line(struct cursor *cur, struct cursor *line_out)
{
	const uint8_t *line;
	size_t len;

	if (cur->left == 0)
		return false;
	if (!cursor_until(cur, '\n', &line, &len)) {
		len = cur->left;
		if (!cursor_bytes(cur, len, &line))
			return false;
	}
	*line_out = cursor_of(line, len);
	return true;
}

/* Takes "<key><hex>\n" off. 1; 0: another line stands here; ERR_CORRUPT: this
 * key, but no hash of `algo` after it. `key` ends in a space. */
static int take_oid_line(struct cursor *cur, const char *key, enum hash_algo algo, struct oid *out)
{
	struct cursor rest = *cur;
	const uint8_t *hex;
	size_t len;

	if (!cursor_literal(&rest, key))
		return 0;
	if (!cursor_until(&rest, '\n', &hex, &len) || len != 2 * hash_raw_len(algo) ||
	    oid_from_hex(out, (const char *)hex, len) < 0)
		return ERR_CORRUPT;
	*cur = rest;
	return 1;
}

/* The seconds of a person line, which stand after its last '>': names and
 * addresses were not always kept clean of that. 0 where there are none. */
static int64_t person_time(struct cursor line)
{
	const uint8_t *before;
	size_t len;
	uint64_t seconds;
	bool closed = false;

	while (cursor_until(&line, '>', &before, &len))
		closed = true;
	if (!closed)
		return 0;
	while (cursor_literal(&line, " "))
		continue;
	if (!cursor_decimal(&line, INT64_MAX, &seconds))
		return 0;
	if (line.left != 0 && !cursor_literal(&line, " "))
		return 0;
	return (int64_t)seconds;
}

/* Reads the headers after the parents, up to and with the blank line. The
 * first author and committer count, as for git. */
static void parse_people(struct cursor *cur, struct commit *out)
{
	struct cursor line;
	bool author = false;
	bool committer = false;

	while (next_line(cur, &line) && line.left != 0) {
		if (!author && cursor_literal(&line, "author ")) {
			author = true;
			out->author_time = person_time(line);
		} else if (!committer && cursor_literal(&line, "committer ")) {
			committer = true;
			out->commit_time = person_time(line);
		}
	}
}

int commit_parse(struct commit *out, const uint8_t *data, size_t len, enum hash_algo algo)
{
	struct cursor cur = cursor_of(data, len);
	struct commit commit = { .parents_count = 0 };
	struct oid parent;
	int taken;

	if (take_oid_line(&cur, "tree ", algo, &commit.tree) != 1)
		return ERR_CORRUPT;
	while ((taken = take_oid_line(&cur, "parent ", algo, &parent)) == 1) {
		if (commit.parents_count < COMMIT_PARENTS_MAX)
			commit.parents[commit.parents_count] = parent;
		commit.parents_count++;
	}
	if (taken < 0)
		return taken;
	parse_people(&cur, &commit);
	commit.message = cur.ptr;
	commit.message_len = cur.left;
	*out = commit;
	return 0;
}

static bool parse_type(struct cursor name, enum object_type *out)
{
	for (enum object_type type = OBJECT_COMMIT; type <= OBJECT_TAG; type++) {
		struct cursor rest = name;

		if (cursor_literal(&rest, object_type_name(type)) && rest.left == 0) {
			*out = type;
			return true;
		}
	}
	return false;
}

int tag_parse(struct tag *out, const uint8_t *data, size_t len, enum hash_algo algo)
{
	struct cursor cur = cursor_of(data, len);
	struct cursor line;
	struct tag tag;

	if (take_oid_line(&cur, "object ", algo, &tag.object) != 1 ||
	    !next_line(&cur, &line) || !cursor_literal(&line, "type ") ||
	    !parse_type(line, &tag.type))
		return ERR_CORRUPT;
	*out = tag;
	return 0;
}
