/*
 * Capabilities, kept as they came, one NUL-terminated text after the other:
 *
 *     agent=git/2.39.5\0ls-refs=unborn\0fetch=shallow filter\0server-option\0
 *
 * A server offers a dozen and each is asked for a few times per connection, so
 * a walk over the text is all the index there is. Of two with one name the
 * first counts.
 */
#include "git/caps.h"

#include <string.h>

#include "base/err.h"

#define DEL 0x7f

void caps_release(struct caps *caps)
{
	buf_release(&caps->text);
	caps->count = 0;
}

static bool is_control(uint8_t byte)
{
	return byte < ' ' || byte == DEL;
}

int caps_add(struct caps *caps, const uint8_t *line, size_t len)
{
	int result;

	if (len == 0 || line[0] == '=')
		return ERR_PROTOCOL;
	if (len > CAPS_TEXT_MAX || caps->count == CAPS_MAX)
		return ERR_LIMIT;
	for (size_t i = 0; i < len; i++) {
		if (is_control(line[i]))
			return ERR_PROTOCOL;
	}
	/* Room for the NUL too, so that a line is kept whole or not at all. */
	result = buf_reserve(&caps->text, len + 1);
	if (result == 0)
		result = buf_append(&caps->text, line, len);
	if (result == 0)
		result = buf_append_u8(&caps->text, '\0');
	if (result == 0)
		caps->count++;
	return result;
}

const char *caps_value(const struct caps *caps, const char *name)
{
	struct cursor rest = cursor_of(caps->text.data, caps->text.len);
	size_t name_len = strlen(name);
	const uint8_t *entry;
	size_t len;

	while (cursor_until(&rest, '\0', &entry, &len)) {
		if (len < name_len || memcmp(entry, name, name_len) != 0)
			continue;
		if (len == name_len)
			return "";
		if (entry[name_len] == '=')
			return (const char *)entry + name_len + 1;
	}
	return NULL;
}

bool caps_has_word(const struct caps *caps, const char *name, const char *word)
{
	const char *value = caps_value(caps, name);
	size_t word_len = strlen(word);

	while (value != NULL && *value != '\0') {
		size_t len = strcspn(value, " ");

		if (len != 0 && len == word_len && memcmp(value, word, len) == 0)
			return true;
		value += len;
		value += strspn(value, " ");
	}
	return false;
}
