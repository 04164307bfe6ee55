/*
 * The git remote against repositories that git itself makes, over a child
 * process: names, what exactly a fetch and a list bring, sizes, refusals, and
 * hosts that allow fewer filters.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collect_sink.h"
#include "failing_alloc.h"
#include "local_repos.h"

#define AUTO_REMOTE __attribute__((cleanup(free_remote)))
#define AUTO_SINK __attribute__((cleanup(collect_release)))

static uint64_t requests_of(struct remote *remote)
{
	struct remote_traffic traffic;

	remote_traffic(remote, &traffic);
	return traffic.requests;
}

/* The sink holds these revisions of a repository and nothing else. */
static void assert_holds(const struct collect_sink *sink, const char *repository,
			 const char *const *revisions)
{
	size_t count = 0;

	for (; revisions[count] != NULL; count++) {
		struct oid oid = oid_at(repository, revisions[count]);

		if (collect_find(sink, &oid) == NULL)
			print_error("%s did not come\n", revisions[count]);
		assert_non_null(collect_find(sink, &oid));
	}
	assert_int_equal(sink->count, count);
}

/* --- names --- */

static void names_are_resolved_as_git_does(void **state)
{
	static const struct {
		const char *spec, *name, *oid, *commit;
	} cases[] = {
		{ "", "refs/heads/main", "main", "main" },
		{ "HEAD", "refs/heads/main", "main", "main" },
		{ "main", "refs/heads/main", "main", "main" },
		{ "heads/main", "refs/heads/main", "main", "main" },
		{ "refs/heads/main", "refs/heads/main", "main", "main" },
		{ "topic/x", "refs/heads/topic/x", "topic/x", "topic/x" },
		{ "light", "refs/tags/light", "light", "light" },
		{ "v1", "refs/tags/v1", "v1", "v1^{commit}" },
		{ "nested", "refs/tags/nested", "nested", "main~1" },
		{ "tags/both", "refs/tags/both", "main~2", "main~2" },
		{ "both", "refs/tags/both", "main~2", "main~2" },
		{ "heads/both", "refs/heads/both", "main~1", "main~1" },
		{ "o/far", "refs/remotes/o/far", "main~1", "main~1" },
		{ "o", "refs/remotes/o/HEAD", "main~1", "main~1" },
	};
	static const char *const repositories[] = { "one", "two" };

	(void)state;
	for (size_t r = 0; r < 2; r++) {
		AUTO_REMOTE struct remote *remote = remote_of(repositories[r]);
		enum hash_algo algo;

		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			struct oid oid = oid_at(repositories[r], cases[i].oid);
			struct oid commit = oid_at(repositories[r], cases[i].commit);
			struct remote_ref ref;
			struct err err = ERR_INIT;

			assert_int_equal(remote_resolve(remote, cases[i].spec, &ref, NULL, &err),
					 0);
			assert_string_equal(ref.name, cases[i].name);
			assert_true(oid_equal(&ref.oid, &oid));
			assert_true(oid_equal(&ref.commit, &commit));
		}
		assert_int_equal(remote_algo(remote, &algo, NULL, NULL), 0);
		assert_int_equal(algo, r == 0 ? HASH_SHA1 : HASH_SHA256);
	}
}

static void a_commit_id_needs_no_server(void **state)
{
	AUTO_REMOTE struct remote *remote = remote_of("no such thing");
	struct oid oid = oid_at("two", "main");
	char hex[OID_HEX_MAX + 1];
	struct remote_ref ref;

	(void)state;
	assert_int_equal(remote_resolve(remote, oid_to_hex(&oid, hex), &ref, NULL, NULL), 0);
	assert_string_equal(ref.name, "");
	assert_true(oid_equal(&ref.oid, &oid) && oid_equal(&ref.commit, &oid));
	assert_int_equal(requests_of(remote), 0);
}

static void a_detached_head_keeps_its_name(void **state)
{
	AUTO_REMOTE struct remote *remote = remote_of("detached");
	struct oid oid = oid_at("detached", "HEAD");
	struct remote_ref ref;

	(void)state;
	assert_int_equal(remote_resolve(remote, "", &ref, NULL, NULL), 0);
	assert_string_equal(ref.name, "HEAD");
	assert_true(oid_equal(&ref.commit, &oid));
}

static void what_is_not_there_is_told_apart(void **state)
{
	static const struct {
		const char *repository, *spec, *words;
	} cases[] = {
		{ "one", "nothing", "no branch, tag or ref 'nothing'" },
		{ "one", "mai", "no branch" },
		{ "one", "a b", "cannot be the name" },
		{ "empty", "", "is empty" },
		{ "empty", "main", "is empty" },
		{ "unborn", "", "HEAD names a branch that is not there" },
		{ "plain", "", "not a git repository" },
		{ "gone", "", "not a git repository" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO_REMOTE struct remote *remote = remote_of(cases[i].repository);
		struct remote_ref ref;
		struct err err = ERR_INIT;

		assert_int_equal(remote_resolve(remote, cases[i].spec, &ref, NULL, &err),
				 ERR_NOT_FOUND);
		if (strstr(err.msg, cases[i].words) == NULL)
			print_error("%s\n", err.msg);
		assert_non_null(strstr(err.msg, cases[i].words));
		assert_int_equal(err.code, ERR_NOT_FOUND);
	}
}

static void one_name_of_many_is_a_small_answer(void **state)
{
	AUTO_REMOTE struct remote *remote = remote_of("many.git");
	struct remote_ref ref;
	struct remote_traffic traffic;

	(void)state;
	assert_int_equal(remote_resolve(remote, "b/4711", &ref, NULL, NULL), 0);
	assert_string_equal(ref.name, "refs/heads/b/4711");
	remote_traffic(remote, &traffic);
	assert_true(traffic.bytes_received < 1024);
	assert_int_equal(traffic.connections, 1);
	/* That there are others is found out without reading all of them. */
	assert_int_equal(remote_resolve(remote, "b/5001", &ref, NULL, NULL), ERR_NOT_FOUND);
	remote_traffic(remote, &traffic);
	assert_true(traffic.bytes_received < 2 * 65536);
	assert_int_equal(remote_resolve(remote, "b/5000", &ref, NULL, NULL), 0);
}

/* --- objects --- */

static void a_fetch_brings_what_is_wanted_and_nothing_else(void **state)
{
	static const char *const wanted[] = {
		"main", "main:d1", "main:top", "main~2:top", "v1^{tag}", NULL,
	};
	static const char *const came[] = {
		"main", "main:d1", "main:top", "main~2:top", "v1^{tag}", "main~1", NULL,
	};
	static const char *const repositories[] = { "one", "two" };

	(void)state;
	for (size_t r = 0; r < 2; r++) {
		AUTO_REMOTE struct remote *remote = remote_of(repositories[r]);
		AUTO_SINK struct collect_sink sink;
		struct oid oids[5];
		size_t missing = 9;

		collect_init(&sink);
		for (size_t i = 0; i < 5; i++)
			oids[i] = oid_at(repositories[r], wanted[i]);
		assert_int_equal(remote_fetch(remote, oids, 5, &sink.base, &missing, NULL, NULL),
				 0);
		assert_int_equal(missing, 0);
		assert_holds(&sink, repositories[r], came); /* a tag brings its commit */
		assert_string_equal(buf_str(&collect_find(&sink, &oids[2])->data), "new\n");
	}
}

/* git filters what lies below another wanted thing, though it was wanted by name. */
static void parts_of_wanted_things_come_too(void **state)
{
	static const char *const wanted[] = {
		"main:d1/f1", "main", "main:", "main:d1", "main:top", "main:d1/d2/f2",
		"main:d1/d2", "main:", NULL,
	};
	static const char *const came[] = {
		"main", "main:", "main:d1", "main:top", "main:d1/d2", "main:d1/f1",
		"main:d1/d2/f2", NULL,
	};
	AUTO_REMOTE struct remote *remote = remote_of("one");
	AUTO_SINK struct collect_sink sink;
	struct oid oids[8];
	size_t missing = 9;

	(void)state;
	collect_init(&sink);
	for (size_t i = 0; i < 8; i++)
		oids[i] = oid_at("one", wanted[i]);
	assert_int_equal(remote_fetch(remote, oids, 8, &sink.base, &missing, NULL, NULL), 0);
	assert_int_equal(missing, 0);
	assert_holds(&sink, "one", came); /* and each once */
}

static void unknown_ids_are_left_out(void **state)
{
	static const char *const came[] = { "main:top", "main:e1/g", NULL };
	AUTO_REMOTE struct remote *remote = remote_of("one");
	AUTO_SINK struct collect_sink sink;
	struct oid oids[5] = { oid_at("one", "main:top"), [2] = oid_at("one", "main:e1/g") };
	struct err err = ERR_INIT;
	size_t missing = 0;

	(void)state;
	collect_init(&sink);
	for (size_t i = 1; i < 5; i += i == 1 ? 2 : 1) {
		oids[i] = oids[0];
		oids[i].hash[3] = (uint8_t)(oids[i].hash[3] + i);
	}
	assert_int_equal(remote_fetch(remote, oids, 5, &sink.base, &missing, NULL, &err), 0);
	assert_int_equal(missing, 3);
	assert_int_equal(err.code, 0);
	assert_holds(&sink, "one", came);
	collect_clear(&sink);
	assert_int_equal(remote_fetch(remote, oids + 3, 2, &sink.base, &missing, NULL, &err), 0);
	assert_int_equal(missing, 2);
	assert_int_equal(err.code, 0);
	assert_int_equal(sink.count, 0);
	assert_int_equal(remote_fetch(remote, oids, 0, &sink.base, NULL, NULL, &err), 0);
}

static void large_and_empty_blobs_come_whole(void **state)
{
	AUTO_REMOTE struct remote *large = remote_of("large");
	AUTO_REMOTE struct remote *one = remote_of("one");
	AUTO_SINK struct collect_sink sink;
	struct oid blob = oid_at("large", "main:blob"), empty = oid_at("one", "main:empty");
	char size[32];

	(void)state;
	collect_init(&sink);
	script(size, sizeof(size), "stat -c %s large/blob");
	assert_int_equal(remote_fetch(large, &blob, 1, &sink.base, NULL, NULL, NULL), 0);
	assert_int_equal(sink.count, 1);
	assert_int_equal(sink.streamed, 1);
	assert_int_equal(sink.objects[0].data.len, strtoul(size, NULL, 10));
	assert_true(oid_equal(&sink.objects[0].oid, &blob));
	collect_clear(&sink);
	assert_int_equal(remote_fetch(one, &empty, 1, &sink.base, NULL, NULL, NULL), 0);
	assert_int_equal(sink.count, 1);
	assert_int_equal(sink.objects[0].data.len, 0);
}

static void ids_of_another_algorithm_are_refused(void **state)
{
	AUTO_REMOTE struct remote *remote = remote_of("two");
	AUTO_SINK struct collect_sink sink;
	struct oid oid = oid_at("one", "main");
	struct remote_list what = { .root = oid, .path = "", .commit = oid, .depth = 1 };
	struct err err = ERR_INIT;

	(void)state;
	collect_init(&sink);
	assert_int_equal(remote_list(remote, &what, &sink.base, NULL, &err), ERR_NOT_FOUND);
	assert_non_null(strstr(err.msg, "sha256"));
}

/* --- lists --- */

static const char *const depth_one[] = { "main", "main:", NULL };
static const char *const depth_two[] = { "main", "main:", "main:d1", "main:e1", NULL };
static const char *const depth_three[] = {
	"main", "main:", "main:d1", "main:e1", "main:d1/d2", NULL,
};
static const char *const all_trees[] = {
	"main", "main:", "main:d1", "main:e1", "main:d1/d2", "main:d1/d2/d3", NULL,
};
static const char *const everything[] = {
	"main",
	"main:",
	"main:d1",
	"main:e1",
	"main:d1/d2",
	"main:d1/d2/d3",
	"main:top",
	"main:d1/f1",
	"main:d1/d2/f2",
	"main:d1/d2/d3/f3",
	"main:e1/g",
	"main:empty",
	NULL,
};

/* Lists `root` (a revision) and compares; the requests that it took. */
static uint64_t list_and_compare(struct remote *remote, const char *repository, const char *root,
				 unsigned depth, const char *const *expected)
{
	AUTO_SINK struct collect_sink sink;
	struct remote_list what = {
		.root = oid_at(repository, root),
		.path = "",
		.commit = oid_at(repository, "main"),
		.depth = depth,
	};
	struct err err = ERR_INIT;
	uint64_t before = requests_of(remote);
	int rc;

	collect_init(&sink);
	rc = remote_list(remote, &what, &sink.base, NULL, &err);
	if (rc != 0)
		print_error("%s\n", err.msg);
	assert_int_equal(rc, 0);
	assert_int_equal(err.code, 0);
	assert_holds(&sink, repository, expected);
	return requests_of(remote) - before;
}

static void a_list_brings_the_levels_asked_for(void **state)
{
	static const char *const d1_one[] = { "main:d1", NULL };
	static const char *const d1_two[] = { "main:d1", "main:d1/d2", NULL };
	static const char *const d1_all[] = { "main:d1", "main:d1/d2", "main:d1/d2/d3", NULL };
	static const char *const repositories[] = { "one", "two" };

	(void)state;
	for (size_t r = 0; r < 2; r++) {
		const char *name = repositories[r];
		AUTO_REMOTE struct remote *remote = remote_of(name);

		/* The first request of a child is its greeting. */
		assert_int_equal(list_and_compare(remote, name, "main", 1, depth_one), 2);
		assert_int_equal(list_and_compare(remote, name, "main", 2, depth_two), 1);
		assert_int_equal(list_and_compare(remote, name, "main", 3, depth_three), 1);
		assert_int_equal(
			list_and_compare(remote, name, "main", REMOTE_DEPTH_ALL, all_trees), 1);
		assert_int_equal(list_and_compare(remote, name, "main:d1", 1, d1_one), 1);
		assert_int_equal(list_and_compare(remote, name, "main:d1", 2, d1_two), 1);
		assert_int_equal(
			list_and_compare(remote, name, "main:d1", REMOTE_DEPTH_ALL, d1_all), 1);
		assert_true(remote_features(remote) & REMOTE_LISTS_CHEAPLY);
	}
}

static void a_list_of_nothing_says_so(void **state)
{
	AUTO_REMOTE struct remote *remote = remote_of("one");
	AUTO_SINK struct collect_sink sink;
	struct oid oid = oid_at("one", "main");
	struct err err = ERR_INIT;

	(void)state;
	collect_init(&sink);
	oid.hash[0] ^= 1;
	struct remote_list what = { .root = oid, .path = "", .commit = oid, .depth = 1 };
	assert_int_equal(remote_list(remote, &what, &sink.base, NULL, &err), ERR_NOT_FOUND);
	assert_non_null(strstr(err.msg, "has no object"));
}

static void refused_filters_are_remembered_one_by_one(void **state)
{
	run("git clone -q --bare one coarse.git; cd coarse.git;"
	    "git config uploadpackfilter.combine.allow false");
	AUTO_REMOTE struct remote *coarse = remote_of("coarse.git");

	(void)state;
	/* Greeting, refusal, greeting of the next child, answer. */
	assert_int_equal(list_and_compare(coarse, "coarse.git", "main", 2, all_trees), 4);
	assert_int_equal(list_and_compare(coarse, "coarse.git", "main", 2, all_trees), 1);
	assert_int_equal(list_and_compare(coarse, "coarse.git", "main", 1, depth_one), 1);
	assert_true(remote_features(coarse) & REMOTE_LISTS_CHEAPLY);

	run("git clone -q --bare one none.git; cd none.git;"
	    "git config uploadpackfilter.allow false");
	AUTO_REMOTE struct remote *none = remote_of("none.git");
	assert_true(remote_features(none) & REMOTE_LISTS_CHEAPLY);
	assert_true(list_and_compare(none, "none.git", "main", 2, everything) > 1);
	assert_false(remote_features(none) & REMOTE_LISTS_CHEAPLY);
	assert_int_equal(list_and_compare(none, "none.git", "main", REMOTE_DEPTH_ALL, everything),
			 1);
	/* What was missing for another reason is not held against the filter. */
	AUTO_REMOTE struct remote *one = remote_of("one");
	AUTO_SINK struct collect_sink sink;
	struct oid oid = oid_at("one", "main");
	collect_init(&sink);
	oid.hash[0] ^= 1;
	struct remote_list what = { .root = oid, .path = "", .commit = oid, .depth = 2 };
	assert_int_equal(remote_list(one, &what, &sink.base, NULL, NULL), ERR_NOT_FOUND);
	list_and_compare(one, "one", "main", 2, depth_two);
}

/* --- sizes --- */

static void sizes_come_without_contents(void **state)
{
	static const char *const repositories[] = { "one", "two" };

	(void)state;
	for (size_t r = 0; r < 2; r++) {
		AUTO_REMOTE struct remote *remote = remote_of(repositories[r]);
		struct oid oids[] = {
			oid_at(repositories[r], "main:top"),
			oid_at(repositories[r], "main:top"),
			oid_at(repositories[r], "main:empty"),
			oid_at(repositories[r], "main:d1/f1"),
		};
		uint64_t sizes[4] = { 9, 9, 9, 9 };

		oids[1].hash[1] ^= 1;
		assert_int_equal(remote_sizes(remote, oids, 4, sizes, NULL, NULL), 0);
		assert_true(sizes[0] == 4 && sizes[1] == SIZE_NOT_TOLD && sizes[2] == 0 &&
			    sizes[3] == 2);
		assert_int_equal(requests_of(remote), 2);
		assert_true(remote_features(remote) & REMOTE_TELLS_SIZES);
		assert_int_equal(remote_sizes(remote, oids, 0, sizes, NULL, NULL), 0);
	}
}

static void many_sizes_are_asked_for_in_parts(void **state)
{
	AUTO_REMOTE struct remote *remote = remote_of("one");
	enum { COUNT = 10001 };
	struct oid *oids = calloc(COUNT, sizeof(*oids));
	uint64_t *sizes = calloc(COUNT, sizeof(*sizes));

	(void)state;
	assert_true(oids != NULL && sizes != NULL);
	oids[0] = oid_at("one", "main:top");
	for (size_t i = 1; i < COUNT; i++)
		oids[i] = oids[0];
	assert_int_equal(remote_sizes(remote, oids, COUNT, sizes, NULL, NULL), 0);
	for (size_t i = 0; i < COUNT; i++)
		assert_true(sizes[i] == 4);
	assert_int_equal(requests_of(remote), 4);
	free(oids);
	free(sizes);
}

/* --- watching --- */

static void a_moved_ref_is_seen(void **state)
{
	run("git clone -q --bare one moving.git");
	AUTO_REMOTE struct remote *remote = remote_of("moving.git");
	struct oid old = oid_at("moving.git", "main"), new = oid_at("moving.git", "main~1");
	struct remote_ref ref;
	uint64_t start = mono_ns();

	(void)state;
	assert_int_equal(remote_watch(remote, "refs/heads/main", &old, 10, 100, &ref, NULL, NULL),
			 0);
	assert_true(mono_ns() - start >= 100 * NS_PER_MS);
	assert_true(requests_of(remote) > 3);
	run("git -C moving.git update-ref refs/heads/main main~1");
	assert_int_equal(remote_watch(remote, "refs/heads/main", &old, 10, 5000, &ref, NULL, NULL),
			 1);
	assert_true(oid_equal(&ref.oid, &new) && oid_equal(&ref.commit, &new));
	assert_string_equal(ref.name, "refs/heads/main");
	run("git -C moving.git update-ref -d refs/heads/main");
	assert_int_equal(remote_watch(remote, "refs/heads/main", &new, 10, 5000, &ref, NULL, NULL),
			 ERR_NOT_FOUND);
}

static void a_kept_child_finds_what_came_later(void **state)
{
	run("git clone -q --bare one growing.git");
	AUTO_REMOTE struct remote *remote = remote_with("growing.git", 1, 20000);
	AUTO_SINK struct collect_sink sink;
	struct remote_ref ref;

	(void)state;
	collect_init(&sink);
	assert_int_equal(remote_resolve(remote, "", &ref, NULL, NULL), 0);
	assert_int_equal(remote_fetch(remote, &ref.commit, 1, &sink.base, NULL, NULL, NULL), 0);
	run("cd growing.git; git update-ref refs/heads/main"
	    " $(git commit-tree -p main -m later 'main^{tree}'); git repack -q -a -d");
	struct oid later = oid_at("growing.git", "main");
	uint64_t before = requests_of(remote);
	collect_clear(&sink);
	assert_int_equal(remote_fetch(remote, &later, 1, &sink.base, NULL, NULL, NULL), 0);
	assert_int_equal(sink.count, 1);
	assert_int_equal(requests_of(remote) - before, 1);
	assert_int_equal(remote_resolve(remote, "", &ref, NULL, NULL), 0);
	assert_true(oid_equal(&ref.commit, &later));
}

static void publishing_is_not_offered(void **state)
{
	AUTO_REMOTE struct remote *remote = remote_of("one");
	struct change_set changes = { .ref = "refs/heads/main" };
	struct oid commit;

	(void)state;
	assert_false(remote_features(remote) & REMOTE_PUBLISHES);
	assert_int_equal(remote_publish(remote, &changes, &commit, NULL, NULL), ERR_UNSUPPORTED);
}

static void memory_may_run_out_anywhere(void **state)
{
	struct oid commit = oid_at("one", "main");
	long nth = 1;

	(void)state;
	for (bool failed = true; failed; nth++) {
		AUTO_SINK struct collect_sink sink;
		struct remote_list what = {
			.root = commit,
			.path = "",
			.commit = commit,
			.depth = 2,
		};
		struct remote_ref ref;
		AUTO_REMOTE struct remote *remote = remote_of("one");
		uint64_t size;
		int rc;

		collect_init(&sink);
		failing_alloc_arm(nth);
		rc = remote_resolve(remote, "v1", &ref, NULL, NULL);
		if (rc == 0)
			rc = remote_list(remote, &what, &sink.base, NULL, NULL);
		if (rc == 0)
			rc = remote_fetch(remote, &commit, 1, &sink.base, NULL, NULL, NULL);
		if (rc == 0)
			rc = remote_sizes(remote, &commit, 1, &size, NULL, NULL);
		failed = failing_alloc_disarm();
		assert_true(rc == 0 || (failed && rc == -ENOMEM));
	}
	assert_true(nth > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_resolved_as_git_does),
		cmocka_unit_test(a_commit_id_needs_no_server),
		cmocka_unit_test(a_detached_head_keeps_its_name),
		cmocka_unit_test(what_is_not_there_is_told_apart),
		cmocka_unit_test(one_name_of_many_is_a_small_answer),
		cmocka_unit_test(a_fetch_brings_what_is_wanted_and_nothing_else),
		cmocka_unit_test(parts_of_wanted_things_come_too),
		cmocka_unit_test(unknown_ids_are_left_out),
		cmocka_unit_test(large_and_empty_blobs_come_whole),
		cmocka_unit_test(ids_of_another_algorithm_are_refused),
		cmocka_unit_test(a_list_brings_the_levels_asked_for),
		cmocka_unit_test(a_list_of_nothing_says_so),
		cmocka_unit_test(refused_filters_are_remembered_one_by_one),
		cmocka_unit_test(sizes_come_without_contents),
		cmocka_unit_test(many_sizes_are_asked_for_in_parts),
		cmocka_unit_test(a_moved_ref_is_seen),
		cmocka_unit_test(a_kept_child_finds_what_came_later),
		cmocka_unit_test(publishing_is_not_offered),
		cmocka_unit_test(memory_may_run_out_anywhere),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
