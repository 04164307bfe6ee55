/* Capabilities, one per line of the input: each that was taken is found. */
#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "fuzz.h"
#include "git/caps.h"

/* Looks a line that was taken up by its name. */
static void check_found(const struct caps *caps, const uint8_t *line, size_t len)
{
	AUTO_BUF struct buf text = BUF_INIT;
	const char *value;
	const char *equals;
	size_t name_len = len;

	assert(buf_append(&text, line, len) == 0);
	equals = strchr(buf_str(&text), '=');
	if (equals != NULL)
		name_len = (size_t)(equals - buf_str(&text));
	text.data[name_len] = '\0';
	value = caps_value(caps, buf_str(&text));
	assert(value != NULL && strlen(value) < CAPS_TEXT_MAX);
	/* A value of one word has that word; none has the empty one. */
	if (*value != '\0' && strchr(value, ' ') == NULL)
		assert(caps_has_word(caps, buf_str(&text), value));
	assert(!caps_has_word(caps, buf_str(&text), ""));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct caps caps = CAPS_INIT;
	struct cursor rest = cursor_of(data, size);
	const uint8_t *line;
	size_t len;

	while (cursor_until(&rest, '\n', &line, &len)) {
		size_t before = caps.count;
		int result = caps_add(&caps, line, len);

		assert(result == 0 || result == ERR_PROTOCOL || result == ERR_LIMIT);
		assert(caps.count == before + (result == 0 ? 1 : 0));
		if (result == 0)
			check_found(&caps, line, len);
	}
	assert(caps.count <= CAPS_MAX && caps.text.len <= CAPS_TEXT_MAX);
	caps_release(&caps);
	return 0;
}
