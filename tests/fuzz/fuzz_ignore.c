/*
 * Ignore rules: the first line is a path, the rest the file. A file says what its last line
 * says that says anything; a rule for everything behind it has the last word; a name written
 * with backslashes matches itself.
 */
#include <assert.h>

#include "base/buf.h"
#include "fuzz.h"
#include "git/ignore.h"
#include "git/wildmatch.h"

/* A run is to be short: time grows with the product of path and file. */
#define INPUT_MAX 4096

struct question {
	const uint8_t *path;
	size_t path_len;
	bool is_dir;
	bool fold_case;
};

static enum ignore_verdict ask(const struct question *question, const void *rules, size_t len)
{
	struct ignore_stack stack = IGNORE_STACK_INIT;
	const char *path = (const char *)question->path;
	enum ignore_verdict verdict;
	struct ignore_list *list;
	int result = ignore_list_parse(rules, len, question->fold_case, &list);

	/* No limit is reached by so few bytes. */
	assert(result == 0);
	verdict = ignore_match(list, path, question->path_len, question->is_dir);
	assert(ignore_list_count(list) > 0 || verdict == IGNORE_UNDECIDED);
	result = ignore_stack_push(&stack, "", 0, list);
	assert(result == 0);
	assert(ignore_stack_check(&stack, path, question->path_len, question->is_dir) == verdict);
	if (verdict == IGNORE_EXCLUDED)
		assert(ignore_stack_check_path(&stack, path, question->path_len,
					       question->is_dir) == verdict);
	ignore_stack_release(&stack);
	ignore_list_free(list);
	return verdict;
}

/* One line, behind another: at the start of a file three bytes may mean something else. */
static enum ignore_verdict ask_line(const struct question *question, const uint8_t *line,
				    size_t len)
{
	AUTO_BUF struct buf file = BUF_INIT;
	int result = buf_append_u8(&file, '\n');

	result += buf_append(&file, line, len);
	assert(result == 0);
	return ask(question, file.data, file.len);
}

static enum ignore_verdict ask_by_line(const struct question *question, struct cursor rules)
{
	enum ignore_verdict verdict = IGNORE_UNDECIDED;
	enum ignore_verdict said;
	const uint8_t *line;
	size_t len;

	cursor_literal(&rules, "\xef\xbb\xbf");
	while (cursor_until(&rules, '\n', &line, &len)) {
		said = ask_line(question, line, len);
		verdict = said != IGNORE_UNDECIDED ? said : verdict;
	}
	said = ask_line(question, rules.ptr, rules.left);
	return said != IGNORE_UNDECIDED ? said : verdict;
}

static void check(const struct question *question, struct cursor rules)
{
	AUTO_BUF struct buf more = BUF_INIT;
	int result = buf_append(&more, rules.ptr, rules.left);

	assert(ask(question, rules.ptr, rules.left) == ask_by_line(question, rules));
	result += buf_append_str(&more, "\n*");
	assert(result == 0 && ask(question, more.data, more.len) == IGNORE_EXCLUDED);
	result = buf_append_str(&more, "\n!*\n");
	assert(result == 0 && ask(question, more.data, more.len) == IGNORE_INCLUDED);
}

static void check_wildmatch(const struct question *question, struct cursor pattern)
{
	unsigned fold = question->fold_case ? WILDMATCH_FOLD : 0;
	const uint8_t *path = question->path;
	AUTO_BUF struct buf other = BUF_INIT;
	int result = 0;

	for (size_t i = 0; i < question->path_len; i++) {
		result += buf_append_u8(&other, '\\');
		result += buf_append_u8(&other, path[i]);
	}
	assert(result == 0);
	assert(wildmatch(other.data, other.len, path, question->path_len, 0));
	assert(wildmatch(other.data, other.len, path, question->path_len, WILDMATCH_PATHNAME));
	buf_clear(&other);
	result += buf_append_u8(&other, '*');
	result += buf_append(&other, pattern.ptr, pattern.left);
	assert(result == 0);
	/* A star in front takes nothing away. */
	if (wildmatch(pattern.ptr, pattern.left, path, question->path_len, fold))
		assert(wildmatch(other.data, other.len, path, question->path_len, fold));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct question question = { .path = NULL };
	struct cursor rules = cursor_of(data, size);

	if (size > INPUT_MAX ||
	    !cursor_until(&rules, '\n', &question.path, &question.path_len) ||
	    question.path_len == 0)
		return 0;
	for (unsigned way = 0; way < 4; way++) {
		question.is_dir = (way & 1) != 0;
		question.fold_case = (way & 2) != 0;
		check(&question, rules);
		check_wildmatch(&question, rules);
	}
	return 0;
}
