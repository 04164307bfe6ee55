/*
 * Ignore rules against git itself: random rules and paths, made so that many of them meet
 * (ignore_random.h), and what `git check-ignore` says of each.
 *
 * Each run has another seed, which it prints; GIT_FS_SEED=N repeats one.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/proc.h"
#include "git/ignore.h"
#include "ignore_random.h"

#define GIT_TIMEOUT_MS 60000
#define FOLDERS_MAX 256
#define PATHS_MAX 4096

static const char *const git_env[] = {
	"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "HOME=/nonexistent", "GIT_DIR",
	"GIT_WORK_TREE", NULL,
};

struct folder {
	char path[PATH_BYTES]; /* "": the top */
	struct buf rules;
	struct ignore_list *list;
};

struct path {
	char path[PATH_BYTES];
	bool is_dir;
};

struct world {
	uint64_t seed;
	char dir[128]; /* has "git", "excludes" and a folder per round */
	char work[160];
	bool fold_case;
	struct folder everywhere[2]; /* core.excludesFile, info/exclude */
	struct folder folders[FOLDERS_MAX];
	size_t folders_count;
	struct path paths[PATHS_MAX];
	size_t paths_count;
	size_t rounds;
	size_t verdicts[3]; /* over all rounds */
};

static void put_rules(struct folder *folder, const char *path, size_t count)
{
	size_t above = strlen(folder->path);
	const char *below = path;

	if (above > 0 && strncmp(path, folder->path, above) == 0 && path[above] == '/')
		below = path + above + 1;
	for (size_t i = 0; i < count; i++)
		put_rule(&folder->rules, below);
}

static struct folder *find_folder(struct world *world, const char *path, size_t len)
{
	for (size_t i = 0; i < world->folders_count; i++) {
		struct folder *folder = &world->folders[i];

		if (strlen(folder->path) == len && memcmp(folder->path, path, len) == 0)
			return folder;
	}
	return NULL;
}

static struct folder *add_folder(struct world *world, const char *path)
{
	struct folder *folder = &world->folders[world->folders_count++];

	assert_true(world->folders_count <= FOLDERS_MAX);
	snprintf(folder->path, sizeof(folder->path), "%s", path);
	return folder;
}

static void add_path(struct world *world, const char *path)
{
	struct path *added = &world->paths[world->paths_count++];

	assert_true(world->paths_count <= PATHS_MAX);
	snprintf(added->path, sizeof(added->path), "%s", path);
	added->is_dir = find_folder(world, path, strlen(path)) != NULL;
}

static void git(const struct world *world, const struct buf *input, struct buf *out)
{
	AUTO_BUF struct buf errors = BUF_INIT;
	struct err err = ERR_INIT;
	char git_dir[160], work_tree[192], excludes[192], fold[32];
	const char *argv[] = { "git", "-C", world->work, git_dir, work_tree,
			       "-c", "core.bare=false", "-c", excludes, "-c", fold,
			       "check-ignore", "--no-index", "-v", "-n", "-z", "--stdin", NULL };
	int rc;

	snprintf(git_dir, sizeof(git_dir), "--git-dir=%s/git", world->dir);
	snprintf(work_tree, sizeof(work_tree), "--work-tree=%s", world->work);
	snprintf(excludes, sizeof(excludes), "core.excludesFile=%s/excludes", world->dir);
	snprintf(fold, sizeof(fold), "core.ignoreCase=%s", world->fold_case ? "true" : "false");
	rc = proc_run(argv, git_env, input, out, &errors, GIT_TIMEOUT_MS, &err);
	/* 1: none of the paths is ignored. */
	if (rc != 0 && rc != 1)
		fail_msg("git: %d %s %s", rc, err.msg, buf_str(&errors));
}

static void write_file(const char *path, const struct buf *data)
{
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(buf_str(data), 1, data->len, file), data->len);
	assert_int_equal(fclose(file), 0);
}

static void parse(struct world *world, struct folder *folder)
{
	assert_int_equal(ignore_list_parse(folder->rules.data, folder->rules.len,
					   world->fold_case, &folder->list), 0);
}

/* Folders stand behind those that they lie in. */
static void write_round(struct world *world)
{
	char path[PATH_BYTES + 192];

	snprintf(world->work, sizeof(world->work), "%s/%zu", world->dir, world->rounds++);
	assert_int_equal(mkdir(world->work, 0700), 0);
	for (size_t i = 0; i < world->folders_count; i++) {
		struct folder *folder = &world->folders[i];

		snprintf(path, sizeof(path), "%s/%s", world->work, folder->path);
		if (mkdir(path, 0700) < 0)
			assert_int_equal(errno, EEXIST);
		snprintf(path, sizeof(path), "%s/%s/.gitignore", world->work, folder->path);
		if (folder->rules.len > 0)
			write_file(path, &folder->rules);
		parse(world, folder);
	}
	snprintf(path, sizeof(path), "%s/lnk", world->work);
	assert_int_equal(symlink(".", path), 0);
	snprintf(path, sizeof(path), "%s/excludes", world->dir);
	write_file(path, &world->everywhere[0].rules);
	parse(world, &world->everywhere[0]);
	snprintf(path, sizeof(path), "%s/git/info/exclude", world->dir);
	write_file(path, &world->everywhere[1].rules);
	parse(world, &world->everywhere[1]);
}

static void clear_folder(struct folder *folder)
{
	ignore_list_free(folder->list);
	buf_release(&folder->rules);
	memset(folder, 0, sizeof(*folder));
}

static void clear_round(struct world *world)
{
	for (size_t i = 0; i < world->folders_count; i++)
		clear_folder(&world->folders[i]);
	clear_folder(&world->everywhere[0]);
	clear_folder(&world->everywhere[1]);
	world->folders_count = 0;
	world->paths_count = 0;
}

static enum ignore_verdict our_verdict(struct world *world, const struct path *path)
{
	struct ignore_stack stack = IGNORE_STACK_INIT;
	size_t len = strlen(path->path);
	enum ignore_verdict verdict;

	assert_int_equal(ignore_stack_push(&stack, "", 0, world->everywhere[0].list), 0);
	assert_int_equal(ignore_stack_push(&stack, "", 0, world->everywhere[1].list), 0);
	for (size_t i = 0; i < len; i++) {
		const struct folder *folder = NULL;

		if (i == 0 || path->path[i] == '/')
			folder = find_folder(world, path->path, i);
		if (folder != NULL)
			assert_int_equal(ignore_stack_push(&stack, folder->path, i, folder->list),
					 0);
	}
	verdict = ignore_stack_check_path(&stack, path->path, len, path->is_dir);
	ignore_stack_release(&stack);
	return verdict;
}

static void print_bytes(const char *what, const void *data, size_t len)
{
	const uint8_t *bytes = data;

	fprintf(stderr, "%s: ", what);
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] >= ' ' && bytes[i] <= '~')
			fputc(bytes[i], stderr);
		else
			fprintf(stderr, "\\x%02x", bytes[i]);
	}
	fputc('\n', stderr);
}

static const char *take_field(struct cursor *in)
{
	const uint8_t *field;
	size_t len;

	assert_true(cursor_until(in, '\0', &field, &len));
	return (const char *)field;
}

/* The next answer of git: source, line, rule and path. */
static void compare(struct world *world, const struct path *path, struct cursor *answers)
{
	static const char *const words[] = { "undecided", "excluded", "included" };
	enum ignore_verdict ours = our_verdict(world, path);
	const char *source = take_field(answers);
	const char *line = take_field(answers);
	const char *rule = take_field(answers);
	const char *asked = take_field(answers);
	enum ignore_verdict theirs = IGNORE_UNDECIDED;

	assert_string_equal(asked + 2, path->path);
	if (source[0] != '\0')
		theirs = rule[0] == '!' ? IGNORE_INCLUDED : IGNORE_EXCLUDED;
	world->verdicts[theirs]++;
	if (ours == theirs)
		return;
	print_bytes("path", path->path, strlen(path->path));
	print_bytes("git's rule", rule, strlen(rule));
	for (size_t i = 0; i < world->folders_count; i++) {
		const struct folder *folder = &world->folders[i];

		if (strncmp(folder->path, path->path, strlen(folder->path)) != 0)
			continue;
		print_bytes("folder", folder->path, strlen(folder->path));
		print_bytes("rules", folder->rules.data, folder->rules.len);
	}
	fail_msg("GIT_FS_SEED=%llu: git says %s (%s:%s), we say %s%s",
		 (unsigned long long)world->seed, words[theirs], source, line, words[ours],
		 path->is_dir ? " of the folder" : "");
}

static void check_round(struct world *world)
{
	AUTO_BUF struct buf asked = BUF_INIT;
	AUTO_BUF struct buf answered = BUF_INIT;
	struct cursor answers;

	write_round(world);
	for (size_t i = 0; i < world->paths_count; i++) {
		/* Or a colon in front would be magic. */
		put(&asked, "./");
		put(&asked, world->paths[i].path);
		put_byte(&asked, '\0');
	}
	git(world, &asked, &answered);
	answers = cursor_of(answered.data, answered.len);
	for (size_t i = 0; i < world->paths_count; i++)
		compare(world, &world->paths[i], &answers);
	assert_int_equal(answers.left, 0);
	clear_round(world);
}

/* They occur often enough that something was compared. */
static void check_verdicts(const struct world *world, size_t paths_min, size_t included_min)
{
	size_t all = world->verdicts[0] + world->verdicts[1] + world->verdicts[2];

	print_message("%zu paths: %zu undecided, %zu excluded, %zu included\n", all,
		      world->verdicts[0], world->verdicts[1], world->verdicts[2]);
	assert_true(all >= paths_min);
	assert_true(world->verdicts[IGNORE_UNDECIDED] > all / 50);
	assert_true(world->verdicts[IGNORE_EXCLUDED] > all / 50);
	assert_true(world->verdicts[IGNORE_INCLUDED] >= included_min);
}

static int setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	const char *argv[] = { "git", "init", "-q", "--bare", NULL, NULL };
	const char *seed = getenv("GIT_FS_SEED");
	const char *tmp = getenv("TMPDIR");
	AUTO_BUF struct buf out = BUF_INIT;
	size_t len;

	assert_non_null(world);
	if (seed != NULL)
		world->seed = strtoull(seed, NULL, 10);
	else
		assert_int_equal(getrandom(&world->seed, sizeof(world->seed), 0),
				 sizeof(world->seed));
	random_state = world->seed;
	print_message("GIT_FS_SEED=%llu\n", (unsigned long long)world->seed);
	snprintf(world->dir, sizeof(world->dir), "%s/git-fs-test-ignore-XXXXXX",
		 tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(world->dir));
	len = strlen(world->dir);
	snprintf(world->dir + len, sizeof(world->dir) - len, "/git");
	argv[4] = world->dir;
	assert_int_equal(proc_run(argv, git_env, NULL, &out, NULL, GIT_TIMEOUT_MS, NULL), 0);
	world->dir[len] = '\0';
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;
	const char *const argv[] = { "rm", "-rf", "--", world->dir, NULL };
	AUTO_BUF struct buf out = BUF_INIT;
	int rc = proc_run(argv, NULL, NULL, &out, NULL, GIT_TIMEOUT_MS, NULL);

	clear_round(world);
	free(world);
	return rc;
}

/* What random rules come upon too seldom. */
static void rare_rules_match_as_with_git(void **state)
{
	static const struct {
		const char *rule, *path;
	} rare[] = {
		{ "[[:space:]]", "\v" }, { "[[:space:]]", "\f" }, { "[[:space:]]", "\r" },
		{ "[[:space:]]", "\n" }, { "[[:cntrl:]]", "\x7f" }, { "[[:print:]]", "\x7f" },
		{ "[[:graph:]]", "~" }, { "[[:punct:]]", "\x80" }, { "[[:alpha:]]", "\xe9" },
		{ "a/**\\/c", "a/c" }, { "a/**\\/c", "a/x/c" }, { "a/**\\/c", "a/x/y/c" },
		{ "foo**/bar", "foobar" }, { "foo**/bar", "foo/x/bar" },
		{ "fo?**/bar", "foo/x/bar" },
		{ "[[:x[:y]", "y" }, { "[[:x\\][:alpha:]]", "q" }, { "[[:x\\][:alpha:]]", "1" },
		{ "[[:a\\]b]", "b" }, { "[a-[:alpha:]", "l" }, { "[a-[:alpha:]", "b" },
		{ "[[::]]", ":" }, { "[[:]", ":" }, { "[[:ALPHA:]]", "a" }, { "[]-a]", "^" },
		{ "[a", "[a" }, { "a\\", "a\\" }, { "[A]", "A" }, { "\\A", "A" },
		{ "[!A]", "A" },
		{ "[[:upper:]]", "a" }, { "[Z-_]", "z" }, { "\xef\xbb\xbf" "a", "a" },
		{ "\n\xef\xbb\xbf" "a", "a" }, { "a\r", "a" }, { "a\r ", "a\r" },
		{ "a \r", "a" },
		{ "a\\\\ ", "a\\" }, { "a\\", "a" }, { "**/", "a/b" }, { "//a", "a" },
		{ "a//", "a" },
	};
	struct world *world = *state;
	char path[PATH_BYTES];
	char name[32];

	for (int fold = 0; fold < 2; fold++) {
		world->fold_case = fold == 1;
		add_folder(world, "");
		for (size_t i = 0; i < COUNT(rare); i++) {
			snprintf(name, sizeof(name), "=%zu", i);
			put(&add_folder(world, name)->rules, rare[i].rule);
			snprintf(path, sizeof(path), "=%zu/%s", i, rare[i].path);
			add_path(world, path);
		}
		check_round(world);
	}
	check_verdicts(world, 2 * COUNT(rare), 0);
}

/* Many folders of one rule each, and paths like the one that it was made from. */
static void single_rules(struct world *world)
{
	char base[PATH_BYTES];
	char name[32];
	char path[PATH_BYTES + 32];
	char varied[PATH_BYTES];

	add_folder(world, "");
	for (size_t i = 0; i < 200; i++) {
		struct folder *folder;

		snprintf(name, sizeof(name), "=%zu", i);
		folder = add_folder(world, name);
		random_path(base, "", 3);
		put_rule(&folder->rules, base);
		for (size_t tries = 0; tries < 16; tries++) {
			vary(varied, base);
			snprintf(path, sizeof(path), "=%zu/%s", i, varied);
			if (is_path(varied) && strlen(path) < PATH_BYTES)
				add_path(world, path);
		}
	}
}

static void single_rules_match_as_with_git(void **state)
{
	struct world *world = *state;

	for (size_t round = 0; round < 6; round++) {
		world->fold_case = round % 4 == 3;
		single_rules(world);
		check_round(world);
	}
	check_verdicts(world, 8000, 200);
}

/* A few folders within each other, with a few rules each. */
static void nested_rules(struct world *world)
{
	char path[PATH_BYTES];
	char varied[PATH_BYTES];

	add_folder(world, "");
	for (size_t tries = 0; tries < 16; tries++) {
		const char *above = world->folders[random_below(world->folders_count)].path;

		random_path(path, above, 1);
		if (strncmp(path, "lnk", 3) != 0 && strlen(path) < PATH_BYTES / 2 &&
		    find_folder(world, path, strlen(path)) == NULL)
			add_folder(world, path);
	}
	for (size_t tries = 0; tries < 40; tries++) {
		struct folder *folder = &world->folders[random_below(world->folders_count)];
		struct folder *with_rules = &world->folders[random_below(world->folders_count)];

		random_path(path, folder->path, 2);
		if (one_in(3) && folder->path[0] != '\0')
			snprintf(path, sizeof(path), "%s", folder->path);
		if (one_in(4))
			with_rules = &world->everywhere[random_below(2)];
		put_rules(with_rules, path, 1);
		vary(varied, path);
		if (is_path(path))
			add_path(world, path);
		if (is_path(varied))
			add_path(world, varied);
	}
	add_path(world, "lnk");
}

static void nested_rules_combine_as_with_git(void **state)
{
	struct world *world = *state;

	for (size_t round = 0; round < 60; round++) {
		world->fold_case = round % 4 == 3;
		nested_rules(world);
		check_round(world);
	}
	check_verdicts(world, 3000, 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(rare_rules_match_as_with_git, setup, teardown),
		cmocka_unit_test_setup_teardown(single_rules_match_as_with_git, setup, teardown),
		cmocka_unit_test_setup_teardown(nested_rules_combine_as_with_git, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
