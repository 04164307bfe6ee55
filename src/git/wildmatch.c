/*
 * Matching without recursion: one place in pattern and text that moves forward, and two
 * to which it may come back.
 *
 *     shallow   behind the last '*' within the present name; the text that the star takes
 *               grows byte by byte up to the next slash
 *     deep      behind the last double star; what that takes grows by whole names where a
 *               slash follows it (which then belongs to it), else by bytes
 *
 * Why one place of each kind is enough: what lies between two stars has a fixed length,
 * and what lies between two double stars has a fixed number of slashes. So places are
 * tried in the order in which the next star is reached, from the front; and whatever a
 * star can take from a later place on, it can take from an earlier one. Once a star is
 * reached, those before it have nothing more to give. A slash ends the shallow place: what
 * stands between a star and the next slash fits in one way only.
 *
 * Why the time is bounded: from one deep place on, names of the pattern meet names of the
 * text in pairs, each at a cost of the product of their lengths; the next deep place pairs
 * them otherwise, so that each pair is met once.
 */
#include "git/wildmatch.h"

#include <stdint.h>
#include <string.h>

#include "base/buf.h"

struct place {
	struct cursor pattern;
	struct cursor text;
	bool name_starts; /* the last byte taken off the pattern was a slash, or there was none */
};

struct match {
	struct place now;
	struct place shallow;
	struct place deep;
	bool has_shallow;
	bool has_deep;
	bool deep_by_names;
	unsigned flags;
};

/* A set, "[...]", while it is held against one byte. */
struct set {
	struct cursor *rest;
	uint8_t byte;
	bool fold;
	bool found;
	uint8_t low;       /* the member before this one, which a range may start from; 0: none */
	size_t plain_left; /* a "[:" with more left than this names no class; SIZE_MAX: unknown */
};

/* cursor_u8, but inline: a hostile pattern has it called some 10^8 times. */
static inline bool take(struct cursor *from, uint8_t *out)
{
	if (from->left == 0)
		return false;
	*out = *from->ptr++;
	from->left--;
	return true;
}

static inline bool next_is(struct cursor from, uint8_t expected)
{
	uint8_t byte;

	return take(&from, &byte) && byte == expected;
}

static bool in(uint8_t byte, uint8_t first, uint8_t last)
{
	return byte >= first && byte <= last;
}

static bool is_upper(uint8_t byte)
{
	return in(byte, 'A', 'Z');
}

static bool is_lower(uint8_t byte)
{
	return in(byte, 'a', 'z');
}

static bool is_alpha(uint8_t byte)
{
	return is_upper(byte) || is_lower(byte);
}

static bool is_digit(uint8_t byte)
{
	return in(byte, '0', '9');
}

static bool is_alnum(uint8_t byte)
{
	return is_alpha(byte) || is_digit(byte);
}

static bool is_xdigit(uint8_t byte)
{
	return is_digit(byte) || in(byte, 'a', 'f') || in(byte, 'A', 'F');
}

static bool is_blank(uint8_t byte)
{
	return byte == ' ' || byte == '\t';
}

static bool is_space(uint8_t byte)
{
	return is_blank(byte) || byte == '\n' || byte == '\r';
}

static bool is_cntrl(uint8_t byte)
{
	return byte < 0x20 || byte == 0x7f;
}

static bool is_graph(uint8_t byte)
{
	return in(byte, '!', '~');
}

static bool is_print(uint8_t byte)
{
	return in(byte, ' ', '~');
}

static bool is_punct(uint8_t byte)
{
	return is_graph(byte) && !is_alnum(byte);
}

static const struct {
	const char *name;
	bool (*has)(uint8_t byte);
} classes[] = {
	{ "alnum", is_alnum },
	{ "alpha", is_alpha },
	{ "blank", is_blank },
	{ "cntrl", is_cntrl },
	{ "digit", is_digit },
	{ "graph", is_graph },
	{ "lower", is_lower },
	{ "print", is_print },
	{ "punct", is_punct },
	{ "space", is_space },
	{ "upper", is_upper },
	{ "xdigit", is_xdigit },
};

static uint8_t lower_of(uint8_t byte)
{
	return is_upper(byte) ? (uint8_t)(byte - 'A' + 'a') : byte;
}

static uint8_t upper_of(uint8_t byte)
{
	return is_lower(byte) ? (uint8_t)(byte - 'a' + 'A') : byte;
}

/* False where there is no class of this name. */
static bool add_class(struct set *set, const uint8_t *name, size_t len)
{
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		if (strlen(classes[i].name) != len || memcmp(classes[i].name, name, len) != 0)
			continue;
		set->found |= classes[i].has(set->byte);
		/* A letter that was folded is a lower-case one by now. */
		if (classes[i].has == is_upper && set->fold)
			set->found |= is_lower(set->byte);
		return true;
	}
	return false;
}

static void add_range(struct set *set, uint8_t last)
{
	set->found |= in(set->byte, set->low, last);
	if (set->fold)
		set->found |= in(upper_of(set->byte), set->low, last);
	set->low = 0;
}

static void add_member(struct set *set, uint8_t member)
{
	set->found |= set->byte == member;
	set->low = member;
}

/*
 * Behind a '[' in a set, which starts a class where it is "[:name:]" up to the next ']',
 * and is a member otherwise. Many a "[:" has the same next ']', which is looked for once.
 */
static bool add_bracket(struct set *set)
{
	struct cursor rest = *set->rest;
	const uint8_t *name;
	size_t len;

	if (!cursor_literal(&rest, ":") || rest.left > set->plain_left) {
		add_member(set, '[');
		return true;
	}
	if (!cursor_until(&rest, ']', &name, &len))
		return false;
	if (len == 0 || name[len - 1] != ':') {
		set->plain_left = rest.left;
		add_member(set, '[');
		return true;
	}
	*set->rest = rest;
	set->low = 0;
	return add_class(set, name, len - 1);
}

/* Takes one byte, or the one that a backslash escapes. */
static bool take_escaped(struct cursor *pattern, uint8_t *out)
{
	return take(pattern, out) && (*out != '\\' || take(pattern, out));
}

/* One member, class or range, whose first byte has been taken. False: malformed. */
static bool add_next(struct set *set, uint8_t first)
{
	uint8_t byte;

	if (first == '\\') {
		if (!take(set->rest, &byte))
			return false;
		add_member(set, byte);
		return true;
	}
	if (first == '-' && set->low != 0 && set->rest->left > 0 && !next_is(*set->rest, ']')) {
		if (!take_escaped(set->rest, &byte))
			return false;
		add_range(set, byte);
		return true;
	}
	if (first == '[')
		return add_bracket(set);
	add_member(set, first);
	return true;
}

/* Behind the '[' that starts a set. Takes the rest of it off; one that is malformed
 * matches no byte, negated or not. */
static bool match_set(struct cursor *pattern, uint8_t byte, unsigned flags)
{
	struct set set = { .rest = pattern, .byte = byte, .plain_left = SIZE_MAX,
			   .fold = (flags & WILDMATCH_FOLD) != 0 };
	bool negated = cursor_literal(pattern, "!") || cursor_literal(pattern, "^");
	uint8_t first;

	/* A ']' that comes first is a member. */
	do {
		if (!take(pattern, &first) || !add_next(&set, first))
			return false;
	} while (!next_is(*pattern, ']'));
	if (!cursor_skip(pattern, 1))
		return false;
	return set.found != negated && (byte != '/' || (flags & WILDMATCH_PATHNAME) == 0);
}

/* Takes one element that is no star off the pattern, and holds it against `byte`. */
static bool match_byte(struct cursor *pattern, uint8_t byte, unsigned flags)
{
	uint8_t element;

	if ((flags & WILDMATCH_FOLD) != 0)
		byte = lower_of(byte);
	if (!take(pattern, &element))
		return false;
	switch (element) {
	case '?':
		return byte != '/' || (flags & WILDMATCH_PATHNAME) == 0;
	case '[':
		return match_set(pattern, byte, flags);
	case '\\':
		return take(pattern, &element) && element == byte;
	default:
		if ((flags & WILDMATCH_FOLD) != 0)
			element = lower_of(element);
		return element == byte;
	}
}

/* Whether a name ends here in the pattern: at its end, or before a slash. */
static bool name_ends(struct cursor pattern)
{
	return pattern.left == 0 || cursor_literal(&pattern, "/") ||
	       cursor_literal(&pattern, "\\/");
}

/* Takes a run of stars off. They take nothing of the text at first. */
static void take_stars(struct match *match)
{
	bool pathname = (match->flags & WILDMATCH_PATHNAME) != 0;
	struct place *now = &match->now;
	uint8_t star;
	size_t run = 0;

	while (next_is(now->pattern, '*') && take(&now->pattern, &star))
		run++;
	if (pathname && (run == 1 || !now->name_starts || !name_ends(now->pattern))) {
		now->name_starts = false;
		match->shallow = *now;
		match->has_shallow = true;
		return;
	}
	/* An escaped slash is not taken: then there is at least one name for the stars. */
	match->deep_by_names = pathname && cursor_literal(&now->pattern, "/");
	now->name_starts = match->deep_by_names;
	match->deep = *now;
	match->has_deep = true;
	match->has_shallow = false;
}

/* One byte further in the text. */
static bool step(struct match *match)
{
	struct place *now = &match->now;
	uint8_t byte;

	if (!take(&now->text, &byte) || !match_byte(&now->pattern, byte, match->flags))
		return false;
	now->name_starts = byte == '/';
	if (now->name_starts)
		match->has_shallow = false;
	return true;
}

/* Lets the last star take more, and goes on from there. False: there is no more. */
static bool go_back(struct match *match)
{
	const uint8_t *skipped;
	size_t len;
	uint8_t byte;
	bool more;

	if (match->has_shallow && take(&match->shallow.text, &byte) && byte != '/') {
		match->now = match->shallow;
		return true;
	}
	match->has_shallow = false;
	if (!match->has_deep)
		return false;
	if (match->deep_by_names)
		more = cursor_until(&match->deep.text, '/', &skipped, &len);
	else
		more = cursor_skip(&match->deep.text, 1);
	match->now = match->deep;
	return more;
}

bool wildmatch(const void *pattern, size_t pattern_len, const void *text, size_t text_len,
	       unsigned flags)
{
	struct match match = {
		.now = { .pattern = cursor_of(pattern, pattern_len),
			 .text = cursor_of(text, text_len),
			 .name_starts = true },
		.flags = flags,
	};

	for (;;) {
		if (next_is(match.now.pattern, '*'))
			take_stars(&match);
		else if (match.now.pattern.left == 0 && match.now.text.left == 0)
			return true;
		else if (!step(&match) && !go_back(&match))
			return false;
	}
}
