/*
 * Answers about changes: listing them, taking them back, looking the overlay over. What
 * these take may have to be fetched: they wait for it, for as long as a reader would.
 */
#include "cli/answer.h"

#include <inttypes.h>
#include <string.h>

#include "cli/paths.h"
#include "cli/rules.h"

int answer_fetching(struct run *run, fetch_now_fn *ask, void *arg)
{
	struct fetch_now now = {
		.fetcher = run->fetcher,
		.cancel = &run->signals.cancel,
		.timeout_ms = run->spec->timeout_ms,
	};

	return fetch_now(&now, ask, arg);
}

/* --- what differs --- */

struct differences_ask {
	struct run *run;
	struct rules *rules;
	struct differences *out;
};

static int ask_differences(void *arg, struct want *want)
{
	struct differences_ask *ask = arg;

	return worktree_differences(ask->run->worktree, &ask->rules->differences, ask->out, want);
}

int answer_differences(struct run *run, struct differences *out, char *note)
{
	struct rules rules;
	struct differences_ask ask = { .run = run, .rules = &rules, .out = out };
	int ret = rules_load(&rules, &run->spec->rules, run->overlay_dir, run->spec->dir);

	if (ret < 0)
		return ret;
	if (note != NULL)
		memcpy(note, rules.note, sizeof(rules.note));
	ret = answer_fetching(run, ask_differences, &ask);
	rules_release(&rules);
	return ret;
}

static int reply_difference(struct control_reply *reply, const struct difference *item)
{
	int ret = control_reply_add(reply, "change", "%s %o %o %" PRIu64 " %d %s",
				    difference_words[item->kind], item->old_mode, item->mode,
				    item->size, item->contents, item->path);

	if (ret == 0 && item->old_path != NULL)
		ret = control_reply_add(reply, "from", "%s", item->old_path);
	return ret;
}

static int answer_changes(struct run *run, struct control_reply *reply)
{
	struct differences list = DIFFERENCES_INIT;
	char note[256];
	int ret = answer_differences(run, &list, note);

	if (ret < 0)
		return ret;
	if (note[0] != '\0')
		ret = control_reply_add(reply, "note", "%s", note);
	for (size_t i = 0; ret == 0 && i < list.count; i++)
		ret = reply_difference(reply, &list.items[i]);
	differences_release(&list);
	return ret;
}

/* --- taking back --- */

struct discard_ask {
	struct run *run;
	const char *path;
	struct outdated outdated;
	uint64_t count;
	struct err err;
};

static int ask_discard(void *arg, struct want *want)
{
	struct discard_ask *ask = arg;

	return worktree_discard(ask->run->worktree, ask->path, &ask->outdated, &ask->count, want,
				&ask->err);
}

static int count_differences(struct run *run, uint64_t *out)
{
	struct differences list = DIFFERENCES_INIT;
	int ret = answer_differences(run, &list, NULL);

	*out = list.count;
	differences_release(&list);
	return ret;
}

/* The worktree counts names and files; people count what `status` shows. */
static int answer_discard(struct run *run, const char *path, struct control_reply *reply)
{
	struct discard_ask ask = { .run = run, .path = path, .outdated = OUTDATED_INIT,
				   .err = ERR_INIT };
	uint64_t before, after;
	int ret = count_differences(run, &before);

	if (ret < 0)
		return ret;
	ret = answer_fetching(run, ask_discard, &ask);
	session_outdated(run->session, &ask.outdated);
	outdated_release(&ask.outdated);
	if (ret < 0 && ask.err.msg[0] != '\0')
		return control_reply_error(reply, "%s", ask.err.msg);
	if (ret == 0)
		ret = count_differences(run, &after);
	if (ret == 0)
		ret = control_reply_add(reply, "taken_back", "%" PRIu64,
					before > after ? before - after : 0);
	if (ret == 0)
		ret = control_reply_add(reply, "touched", "%" PRIu64, ask.count);
	return ret;
}

/* --- looking over --- */

static int reply_finding(void *arg, const char *words)
{
	return control_reply_add(arg, "finding", "%s", words);
}

static int unknown(struct control_reply *reply, const char *word)
{
	int ret = control_reply_error(reply, "this daemon knows no request '%s'", word);

	return ret < 0 ? ret : 2;
}

int answer_handle(void *arg, const char *const *words, size_t count, struct control_reply *reply)
{
	struct run *run = arg;

	if (count == 1 && strcmp(words[0], "status") == 0)
		return report_status(run, reply);
	if (run->overlay_dir[0] == '\0')
		return unknown(reply, words[0]);
	if (count == 1 && strcmp(words[0], "changes") == 0)
		return answer_changes(run, reply);
	if (count == 1 && strcmp(words[0], "verify") == 0)
		return worktree_verify(run->worktree, reply_finding, reply);
	if (count == 2 && strcmp(words[0], "discard") == 0)
		return answer_discard(run, words[1], reply);
	if (count >= 2 && strcmp(words[0], "export") == 0)
		return export_changes(run, words + 1, count - 1, reply);
	return unknown(reply, words[0]);
}
