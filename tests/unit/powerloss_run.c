/*
 * Going through the states of a log: which, and in which order.
 *
 * States that are the same for the same promises are looked at once. They are
 * written to a folder of their own, on a tmpfs where there is one, because the
 * checks sync.
 */
#include <assert.h>
#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "powerloss_internal.h"

static const char *const names_words[] = { "kept", "lost", "some", "the first ones" };
static const char *const contents_words[] = {
	"kept", "lost", "sizes alone", "cut", "the ends alone", "as in between",
	"pages on their own", "sectors on their own", "mixed",
};

/* The extreme ones; random ones are NAMES_SOME or NAMES_FIRST_SOME with CONTENTS_MIXED. */
static const struct kind extremes[] = {
	{ NAMES_LOST, CONTENTS_LOST },      { NAMES_KEPT, CONTENTS_KEPT },
	{ NAMES_KEPT, CONTENTS_LOST },      { NAMES_LOST, CONTENTS_KEPT },
	{ NAMES_KEPT, CONTENTS_SIZE_ONLY }, { NAMES_KEPT, CONTENTS_CUT },
	{ NAMES_KEPT, CONTENTS_BEHIND },
};
#define EXTREMES (sizeof(extremes) / sizeof(extremes[0]))

struct run {
	struct powerloss *loss;
	const struct powerloss_plan *plan;
	powerloss_check_fn *check;
	void *arg;
	uint64_t seed;
	char dir[128];
	uint64_t *seen; /* hashes of states and promises */
	size_t seen_count;
	char wrong[POWERLOSS_WORDS]; /* "": nothing */
};

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static void remove_all(const char *dir)
{
	if (nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
		print_message("cannot remove %s: %s\n", dir, strerror(errno));
}

static bool seen_before(struct run *run, uint64_t hash)
{
	for (size_t i = 0; i < run->seen_count; i++) {
		if (run->seen[i] == hash)
			return true;
	}
	run->seen = grow_list(run->seen, run->seen_count, sizeof(*run->seen));
	run->seen[run->seen_count++] = hash;
	return false;
}

static void event_words(const struct event *event, char *out, size_t size)
{
	static const char *const kinds[] = { "name", "unlink", "rename", "write", "zero",
					     "truncate", "grow", "sync", "mark" };

	if (event->kind == EVENT_MARK)
		snprintf(out, size, "mark %u = %" PRIu64, event->mark, event->value);
	else if (is_about_names(event))
		snprintf(out, size, "%s %s%s%s", kinds[event->kind], event->name[0],
			 event->name[1] != NULL ? " to " : "",
			 event->name[1] != NULL ? event->name[1] : "");
	else
		snprintf(out, size, "%s of node %u, %" PRIu64 " bytes at %" PRIu64,
			 kinds[event->kind], event->node, event->len, event->offset);
}

static void say_wrong(struct run *run, const struct state *state, const char *words)
{
	const struct powerloss *loss = run->loss;
	char last[256] = "nothing";

	if (state->point > loss->base_count)
		event_words(&loss->events[state->point - 1], last, sizeof(last));
	snprintf(run->wrong, sizeof(run->wrong),
		 "%s\n  where the power fails after %zu of %zu events, the last: %s\n"
		 "  names: %s, contents: %s (GIT_FS_SEED=%" PRIu64 ")",
		 words, state->point - loss->base_count, powerloss_events(loss), last,
		 names_words[state->kind.names], contents_words[state->kind.contents], run->seed);
}

static void try_state(struct run *run, struct state *state, const uint64_t *marks)
{
	uint64_t hash = hash_bytes(state_make(state), marks, POWERLOSS_MARKS * sizeof(*marks));
	const char *words;

	if (!seen_before(run, hash)) {
		char dir[160];

		snprintf(dir, sizeof(dir), "%s/state", run->dir);
		state_write(state, dir);
		words = run->check(run->arg, dir, marks);
		if (words != NULL)
			say_wrong(run, state, words);
		remove_all(dir);
	}
	state_clear(state);
}

static void try_point(struct run *run, struct state *state, size_t point)
{
	uint64_t marks[POWERLOSS_MARKS] = { 0 };

	for (size_t i = 0; i < point; i++) {
		const struct event *event = &run->loss->events[i];

		if (event->kind == EVENT_MARK)
			marks[event->mark] = event->value;
	}
	state->point = point;
	find_covered(state);
	for (size_t i = 0; i < EXTREMES + run->plan->random && run->wrong[0] == '\0'; i++) {
		state->random = run->seed + point * 1000003 + i;
		if (i < EXTREMES)
			state->kind = extremes[i];
		else
			state->kind = (struct kind){ i % 2 != 0 ? NAMES_SOME : NAMES_FIRST_SOME,
						     CONTENTS_MIXED };
		try_state(run, state, marks);
	}
}

static void try_points(struct run *run)
{
	size_t points = powerloss_events(run->loss) + 1;
	size_t most = run->plan->points_max != 0 ? run->plan->points_max : points;
	size_t nodes = run->loss->node_count;
	uint64_t random = run->seed;
	struct state state = { .loss = run->loss,
			       .covered = calloc(nodes, sizeof(*state.covered)),
			       .paths = calloc(nodes, sizeof(*state.paths)),
			       .contents = calloc(nodes, sizeof(*state.contents)),
			       .sizes = calloc(nodes, sizeof(*state.sizes)) };

	assert(state.covered != NULL && state.paths != NULL && state.contents != NULL &&
	       state.sizes != NULL);
	for (size_t i = 0; i < nodes; i++)
		state.contents[i] = (struct buf)BUF_INIT;
	for (size_t left = points; left > 0 && run->wrong[0] == '\0'; left--) {
		/* Each of those that are left as likely as any other; the last one always. */
		if (left > 1 && draw(&random) % left >= most)
			continue;
		most -= most > 1;
		try_point(run, &state, run->loss->base_count + points - left);
	}
	free(state.links);
	free(state.covered);
	free(state.paths);
	free(state.contents);
	free(state.sizes);
}

static void run_states(struct run *run)
{
	const char *seed = getenv("GIT_FS_SEED");
	const char *tmp = getenv("TMPDIR");
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	run->seed = run->plan->seed;
	if (run->seed == 0)
		run->seed = seed != NULL ? strtoull(seed, NULL, 10)
					 : (uint64_t)now.tv_nsec * 1000 + (uint64_t)getpid() % 1000;
	snprintf(run->dir, sizeof(run->dir), "%s/git-fs-test-power-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(run->dir));
	try_points(run);
	remove_all(run->dir);
	free(run->seen);
}

size_t powerloss_each(struct powerloss *loss, const struct powerloss_plan *plan,
		      powerloss_check_fn *check, void *arg)
{
	struct run run = { .loss = loss, .plan = plan, .check = check, .arg = arg };

	run_states(&run);
	if (run.wrong[0] != '\0')
		fail_msg("%s", run.wrong);
	print_message("%zu events, %zu states (GIT_FS_SEED=%" PRIu64 ")\n",
		      powerloss_events(loss), run.seen_count, run.seed);
	return run.seen_count;
}

bool powerloss_finds(struct powerloss *loss, const struct powerloss_plan *plan,
		     powerloss_check_fn *check, void *arg, char words[POWERLOSS_WORDS])
{
	struct run run = { .loss = loss, .plan = plan, .check = check, .arg = arg };

	run_states(&run);
	memcpy(words, run.wrong, POWERLOSS_WORDS);
	return run.wrong[0] != '\0';
}
