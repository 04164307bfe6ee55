/*
 * Lists of rules.
 *
 *     file:  [UTF-8 BOM] line NL line NL ... [line]
 *     line:  "" | "#" anything | ["!"] ["/"] pattern ["/"] blanks [CR]
 *
 * A rule with '/' in front of its end is held against the whole path, any other against the
 * last name of it. Of a pattern, the bytes before the first special one are compared as they
 * are; the rest is wildmatch's. What git does beyond its manual, and therefore this:
 *
 *   - a double star behind such a literal start counts as if it stood behind a slash:
 *     "foo**" "/bar" matches foobar and foo/x/bar, where the manual has it be one star
 *   - of what stands at the end of a line, one CR is cut off, then blanks; not tabs
 *   - a NUL ends its line
 */
#include "git/ignore.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "git/wildmatch.h"

#define BOM "\xef\xbb\xbf"

struct ignore_rule {
	uint32_t at;      /* of its pattern in the list's text */
	uint16_t len;     /* 1..IGNORE_PATTERN_MAX */
	uint16_t literal; /* so many bytes of it, from the front, are not special */
	bool negated;
	bool folders_only;
	bool by_name; /* held against the last name of a path */
};

struct ignore_list {
	struct buf text; /* the patterns, one behind the other */
	struct ignore_rule *rules;
	size_t count;
	size_t stars_bytes; /* of the rules that have a star */
	bool fold_case;
};

struct ignore_level {
	const struct ignore_list *list; /* borrowed; may be NULL */
	size_t folder_len;
};

_Static_assert(IGNORE_PATTERN_MAX <= UINT16_MAX && IGNORE_FILE_MAX <= UINT32_MAX,
	       "a rule's numbers hold what the limits allow");


void ignore_list_free(struct ignore_list *list)
{
	if (list == NULL)
		return;
	buf_release(&list->text);
	free(list->rules);
	free(list);
}

static void list_cleanup(struct ignore_list **list)
{
	ignore_list_free(*list);
}

size_t ignore_list_count(const struct ignore_list *list)
{
	return list->count;
}

/* How many lines begin in the text. */
static size_t count_lines(struct cursor text)
{
	const uint8_t *line;
	size_t len;
	size_t lines = 1;

	while (cursor_until(&text, '\n', &line, &len))
		lines++;
	return lines;
}

/* Without the blanks at its end; one behind a backslash is none of them. */
static size_t trimmed_len(const uint8_t *line, size_t len)
{
	size_t end = 0; /* behind the last byte that stays */

	for (size_t i = 0; i < len; i++) {
		if (line[i] == '\\' && i + 1 < len)
			i++;
		else if (line[i] == ' ')
			continue;
		end = i + 1;
	}
	return end;
}

static bool is_special(uint8_t byte)
{
	return byte == '*' || byte == '?' || byte == '[' || byte == '\\';
}

static size_t literal_len(const uint8_t *pattern, size_t len)
{
	size_t literal = 0;

	while (literal < len && !is_special(pattern[literal]))
		literal++;
	return literal;
}

static int add_rule(struct ignore_list *list, struct cursor line)
{
	bool negated = cursor_literal(&line, "!");
	bool folders_only = line.left > 0 && line.ptr[line.left - 1] == '/';
	size_t len = line.left - (folders_only ? 1 : 0);
	bool by_name = len == 0 || memchr(line.ptr, '/', len) == NULL;
	struct ignore_rule *rule;
	int result;

	/* Without the slashes in front and behind, which say where it is looked for. */
	if (!by_name && cursor_literal(&line, "/"))
		len--;
	/* Such a one matches nothing: no path is empty. */
	if (len == 0)
		return 0;
	if (memchr(line.ptr, '*', len) != NULL)
		list->stars_bytes += len;
	if (len > IGNORE_PATTERN_MAX || list->count == IGNORE_RULES_MAX ||
	    list->stars_bytes > IGNORE_STARS_MAX)
		return ERR_LIMIT;
	rule = &list->rules[list->count];
	*rule = (struct ignore_rule){
		.at = (uint32_t)list->text.len,
		.len = (uint16_t)len,
		.literal = (uint16_t)literal_len(line.ptr, len),
		.negated = negated,
		.folders_only = folders_only,
		.by_name = by_name,
	};
	result = buf_append(&list->text, line.ptr, len);
	if (result == 0)
		list->count++;
	return result;
}

static int add_line(struct ignore_list *list, const uint8_t *line, size_t len)
{
	if (len == 0 || line[0] == '#')
		return 0;
	if (line[len - 1] == '\r')
		len--;
	len = strnlen((const char *)line, len);
	return add_rule(list, cursor_of(line, trimmed_len(line, len)));
}

int ignore_list_parse(const void *data, size_t len, bool fold_case, struct ignore_list **list_out)
{
	__attribute__((cleanup(list_cleanup))) struct ignore_list *list = NULL;
	struct cursor text = cursor_of(data, len);
	const uint8_t *line;
	size_t line_len;
	size_t lines;
	int result = 0;

	if (len > IGNORE_FILE_MAX)
		return ERR_LIMIT;
	list = calloc(1, sizeof(*list));
	if (list == NULL)
		return -ENOMEM;
	lines = count_lines(text);
	list->rules = calloc(lines < IGNORE_RULES_MAX ? lines : IGNORE_RULES_MAX,
			     sizeof(*list->rules));
	if (list->rules == NULL)
		return -ENOMEM;
	list->fold_case = fold_case;
	cursor_literal(&text, BOM);
	while (result == 0 && cursor_until(&text, '\n', &line, &line_len))
		result = add_line(list, line, line_len);
	/* The last line need not end in a newline. */
	if (result == 0)
		result = add_line(list, text.ptr, text.left);
	if (result < 0)
		return result;
	*list_out = list;
	list = NULL;
	return 0;
}

/* Of ASCII alone: tolower(3) would ask a locale. */
static uint8_t lower_of(uint8_t byte)
{
	return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte | 0x20) : byte;
}

static bool same_bytes(const void *a, const void *b, size_t len, bool fold_case)
{
	const uint8_t *left = a;
	const uint8_t *right = b;

	if (!fold_case)
		return memcmp(a, b, len) == 0;
	for (size_t i = 0; i < len; i++) {
		if (left[i] != right[i] && lower_of(left[i]) != lower_of(right[i]))
			return false;
	}
	return true;
}

static bool rule_matches(const struct ignore_list *list, const struct ignore_rule *rule,
			 struct cursor text)
{
	const uint8_t *pattern = list->text.data + rule->at;
	const uint8_t *start;
	unsigned flags;

	if (!cursor_bytes(&text, rule->literal, &start) ||
	    !same_bytes(start, pattern, rule->literal, list->fold_case))
		return false;
	if (rule->literal == rule->len)
		return text.left == 0;
	flags = (rule->by_name ? 0 : WILDMATCH_PATHNAME) | (list->fold_case ? WILDMATCH_FOLD : 0);
	return wildmatch(pattern + rule->literal, (size_t)rule->len - rule->literal, text.ptr,
			 text.left, flags);
}

/* The last name of a path. */
static struct cursor name_of(const char *path, size_t len)
{
	const char *slash = memrchr(path, '/', len);
	size_t folder_len = slash != NULL ? (size_t)(slash - path) + 1 : 0;

	return cursor_of(path + folder_len, len - folder_len);
}

enum ignore_verdict ignore_match(const struct ignore_list *list, const char *path,
				 size_t path_len, bool is_dir)
{
	struct cursor name = name_of(path, path_len);
	struct cursor whole = cursor_of(path, path_len);

	for (size_t i = list->count; i > 0; i--) {
		const struct ignore_rule *rule = &list->rules[i - 1];

		if (rule->folders_only && !is_dir)
			continue;
		if (rule_matches(list, rule, rule->by_name ? name : whole))
			return rule->negated ? IGNORE_INCLUDED : IGNORE_EXCLUDED;
	}
	return IGNORE_UNDECIDED;
}

void ignore_stack_release(struct ignore_stack *stack)
{
	free(stack->levels);
	buf_release(&stack->folder);
	*stack = (struct ignore_stack)IGNORE_STACK_INIT;
}

/* Whether the path lies below the folder, or, where `itself` says so, is it. */
static bool is_below(const char *path, size_t path_len, const void *folder, size_t folder_len,
		     bool itself)
{
	if (folder_len == 0)
		return true;
	if (path_len < folder_len || memcmp(path, folder, folder_len) != 0)
		return false;
	return path_len == folder_len ? itself : path[folder_len] == '/';
}

/* Room for one more. */
static int reserve_level(struct ignore_stack *stack)
{
	size_t cap = stack->cap != 0 ? stack->cap * 2 : 16;
	struct ignore_level *levels;
	size_t bytes;

	if (stack->count < stack->cap)
		return 0;
	if (__builtin_mul_overflow(cap, sizeof(*levels), &bytes))
		return -ENOMEM;
	levels = realloc(stack->levels, bytes);
	if (levels == NULL)
		return -ENOMEM;
	stack->levels = levels;
	stack->cap = cap;
	return 0;
}

int ignore_stack_push(struct ignore_stack *stack, const char *folder, size_t folder_len,
		      const struct ignore_list *list)
{
	size_t above = stack->folder.len;
	int result;

	if (!is_below(folder, folder_len, stack->folder.data, above, true))
		return -EINVAL;
	result = reserve_level(stack);
	if (result == 0)
		result = buf_append(&stack->folder, folder + above, folder_len - above);
	if (result < 0)
		return result;
	stack->levels[stack->count++] = (struct ignore_level){
		.list = list,
		.folder_len = folder_len,
	};
	return 0;
}

void ignore_stack_pop(struct ignore_stack *stack)
{
	assert(stack->count > 0);
	stack->count--;
	stack->folder.len = stack->count > 0 ? stack->levels[stack->count - 1].folder_len : 0;
}

/* What a level says of a path from the top. */
static enum ignore_verdict check_level(const struct ignore_stack *stack,
				       const struct ignore_level *level, const char *path,
				       size_t path_len, bool is_dir)
{
	size_t start = level->folder_len > 0 ? level->folder_len + 1 : 0;

	if (level->list == NULL ||
	    !is_below(path, path_len, stack->folder.data, level->folder_len, false))
		return IGNORE_UNDECIDED;
	return ignore_match(level->list, path + start, path_len - start, is_dir);
}

enum ignore_verdict ignore_stack_check(const struct ignore_stack *stack, const char *path,
				       size_t path_len, bool is_dir)
{
	enum ignore_verdict verdict = IGNORE_UNDECIDED;

	for (size_t i = stack->count; i > 0 && verdict == IGNORE_UNDECIDED; i--)
		verdict = check_level(stack, &stack->levels[i - 1], path, path_len, is_dir);
	return verdict;
}

enum ignore_verdict ignore_stack_check_path(const struct ignore_stack *stack, const char *path,
					    size_t path_len, bool is_dir)
{
	for (size_t i = 1; i < path_len; i++) {
		if (path[i] == '/' && ignore_stack_check(stack, path, i, true) == IGNORE_EXCLUDED)
			return IGNORE_EXCLUDED;
	}
	return ignore_stack_check(stack, path, path_len, is_dir);
}
