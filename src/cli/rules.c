/* Rules; see rules.h. */
#include "cli/rules.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "cli/paths.h"

void rules_release(struct rules *rules)
{
	for (size_t i = 0; i < 3; i++)
		ignore_list_free(rules->lists[i]);
	*rules = (struct rules){ .note = "" };
}

static void note(struct rules *rules, const char *what, int why)
{
	snprintf(rules->note, sizeof(rules->note), "the rules in %.*s are not used: %s",
		 (int)sizeof(rules->note) / 2, what,
		 why == ERR_LIMIT ? "there are too many" : err_name(why));
}

/* -ENOMEM alone is a failure. */
static int load_file(struct rules *rules, const char *path, struct ignore_list **out)
{
	AUTO_BUF struct buf text = BUF_INIT_MAX(IGNORE_FILE_MAX);
	int ret = io_read_file(AT_FDCWD, path, &text);

	if (ret == -ENOENT || ret == -ENOTDIR)
		return 0;
	if (ret >= 0)
		ret = ignore_list_parse(text.data, text.len, rules->differences.fold_case, out);
	if (ret < 0 && ret != -ENOMEM) {
		note(rules, path, ret);
		return 0;
	}
	return ret < 0 ? ret : 0;
}

/* Words of a setting, a line each. One that begins with '#' or '!' means itself. */
static int load_words(struct rules *rules, const char *words, struct ignore_list **out)
{
	AUTO_BUF struct buf text = BUF_INIT_MAX(IGNORE_FILE_MAX);
	int ret = 0;

	for (words += strspn(words, " \t"); ret == 0 && *words != '\0';
	     words += strspn(words, " \t")) {
		size_t len = strcspn(words, " \t");

		ret = buf_printf(&text, "%s%.*s\n", strchr("#!", *words) != NULL ? "\\" : "",
				 (int)len, words);
		words += len;
	}
	if (ret == 0)
		ret = ignore_list_parse(text.data, text.len, rules->differences.fold_case, out);
	if (ret < 0 && ret != -ENOMEM) {
		note(rules, "fs.localOnly", ret);
		return 0;
	}
	return ret;
}

int rules_load(struct rules *out, const struct config_rules *config, const char *overlay_dir,
	       const char *mount_point)
{
	struct rules rules = { .differences = { .size_max = config->file_max,
						.fold_case = config->ignore_case } };
	char own[PATH_MAX];
	int ret = paths_join(own, overlay_dir, RULES_FILE);

	if (ret == 0 && config->excludes_file[0] != '\0' &&
	    !paths_within(config->excludes_file, mount_point))
		ret = load_file(&rules, config->excludes_file, &rules.lists[0]);
	if (ret == 0)
		ret = load_file(&rules, own, &rules.lists[1]);
	if (ret == 0)
		ret = load_words(&rules, config->local_only, &rules.lists[2]);
	if (ret < 0) {
		rules_release(&rules);
		return ret;
	}
	for (size_t i = 0; i < 3; i++)
		rules.differences.everywhere[i] = rules.lists[i];
	*out = rules;
	return 0;
}
