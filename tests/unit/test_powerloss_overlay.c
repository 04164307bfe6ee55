/*
 * A writable worktree after power loss: what was fsynced is there, a file that was renamed
 * over another is one of the two and whole, and what was made durable stays so while the
 * journal is compacted and data files go.
 */
#include "overlay_fixture.h"

#include "powerloss.h"

/* marks[SYNCED]: files f1 to this one were fsynced; [REMOVED]: so many of the first may be
 * gone; [VERSION]: that of "target" which was fsynced last; [WRITTEN]: bits below. */
enum { SYNCED, REMOVED, VERSION, WRITTEN };
#define BASE_SYNCED 1U  /* "big" of the base, with what was written to it */
#define SMALL_SYNCED 2U /* "spilled", before it grew into a data file that nobody syncs */
#define FILES 12U
#define VERSIONS 8U
#define SEGMENT_BYTES 65536

/* Contents in the journal and in data files take turns. */
static size_t size_of(unsigned number)
{
	static const size_t sizes[] = { 40000, 100, 60001, 20000 };

	return sizes[number % 4] + number;
}

static bool holds(struct scene *scene, const char *path, unsigned seed, size_t size)
{
	AUTO_BUF struct buf found = BUF_INIT;
	uint8_t *wanted = malloc(size);
	uint64_t id = find(scene, path);
	bool same = wanted != NULL && id != 0 && attr_of(scene, id).size == size &&
		    contents(scene, id, &found) == 0;

	if (same) {
		fill(wanted, size, seed);
		same = memcmp(found.data, wanted, size) == 0;
	}
	free(wanted);
	return same;
}

static const char *check_target(struct scene *scene, uint64_t from)
{
	for (unsigned version = (unsigned)from; version <= VERSIONS; version++)
		if (holds(scene, "target", 100 + version, size_of(version)))
			return NULL;
	return find(scene, "target") == 0 && from == 0 ? NULL :
							 "target is none of what was renamed to it";
}

/* What was there of the base's file before, or with the bytes that were written. */
static const char *check_base(struct scene *scene, bool synced)
{
	uint8_t data[BIG_SIZE];
	AUTO_BUF struct buf found = BUF_INIT;

	if (contents(scene, at(scene, "big"), &found) < 0 || found.len != BIG_SIZE)
		return "the base's file is not whole";
	fill(data, sizeof(data), 99);
	if (!synced && memcmp(found.data, data, sizeof(data)) == 0)
		return NULL;
	memcpy(data + 50000, "changed", 7);
	return memcmp(found.data, data, sizeof(data)) == 0 ? NULL :
							     "the base's file has other bytes";
}

/* Whatever became of what it grew by, the beginning had been durable. */
static const char *check_spilled(struct scene *scene)
{
	AUTO_BUF struct buf found = BUF_INIT;
	uint64_t id = find(scene, "spilled");
	uint8_t data[1000];

	fill(data, sizeof(data), 77);
	if (id == 0 || contents(scene, id, &found) < 0 || found.len < sizeof(data) ||
	    memcmp(found.data, data, sizeof(data)) != 0)
		return "what was fsynced before the file grew is not there";
	return NULL;
}

static const char *check_all(struct scene *scene, const uint64_t marks[POWERLOSS_MARKS])
{
	for (unsigned number = 1; number <= marks[SYNCED]; number++) {
		char name[16];

		snprintf(name, sizeof(name), "f%u", number);
		if (number <= marks[REMOVED] && find(scene, name) == 0)
			continue;
		if (!holds(scene, name, number, size_of(number)))
			return "a file that was fsynced is not as it was";
	}
	const char *wrong = check_target(scene, marks[VERSION]);

	if (wrong == NULL)
		wrong = check_base(scene, (marks[WRITTEN] & BASE_SYNCED) != 0);
	if (wrong == NULL && (marks[WRITTEN] & SMALL_SYNCED) != 0)
		wrong = check_spilled(scene);
	if (wrong == NULL && stats_of(scene).recovery.damaged_frames > 0)
		wrong = "the loss of power is taken for damage";
	return wrong;
}

static const char *check(void *arg, const char *dir, const uint64_t marks[POWERLOSS_MARKS])
{
	struct scene scene = *(struct scene *)arg;
	struct err err = ERR_INIT;
	const char *wrong = NULL;

	scene.want = (struct want)WANT_INIT;
	scene.by.want = &scene.want;
	snprintf(scene.overlay, sizeof(scene.overlay), "%s", dir);
	snprintf(scene.table, sizeof(scene.table), "%.80s/nodes", dir);
	for (unsigned times = 0; wrong == NULL && times < 2; times++) {
		scene.tree = NULL;
		if (scene_try_open(&scene, &err) < 0)
			return "does not open";
		wrong = check_all(&scene, marks);
		scene_close(&scene);
	}
	want_release(&scene.want);
	return wrong;
}

static void make_synced(struct scene *scene, struct powerloss *loss, unsigned number)
{
	char name[16];

	snprintf(name, sizeof(name), "f%u", number);
	uint64_t id = make(scene, WORKTREE_ROOT, name, S_IFREG | 0644);

	write_fill(scene, id, 0, size_of(number), number);
	assert_int_equal(worktree_sync_node(scene->tree, id), 0);
	powerloss_mark(loss, SYNCED, number);
}

static void rename_over(struct scene *scene, struct powerloss *loss, unsigned version)
{
	uint64_t id = make(scene, WORKTREE_ROOT, "temporary", S_IFREG | 0644);

	write_fill(scene, id, 0, size_of(version), 100 + version);
	assert_int_equal(move(scene, WORKTREE_ROOT, "temporary", WORKTREE_ROOT, "target", 0), 0);
	if (version % 3 == 1) {
		assert_int_equal(worktree_sync_node(scene->tree, id), 0);
		powerloss_mark(loss, VERSION, version);
	}
}

static void scenario(struct scene *scene, struct powerloss *loss)
{
	uint64_t big = at(scene, "big");

	for (unsigned number = 1; number <= FILES; number++) {
		make_synced(scene, loss, number);
		if (number <= VERSIONS)
			rename_over(scene, loss, number);
		if (number == 3)
			write_at(scene, big, 50000, "changed");
		if (number == 4) {
			assert_int_equal(worktree_sync_node(scene->tree, big), 0);
			powerloss_mark(loss, WRITTEN, BASE_SYNCED);
		}
		if (number == 8) {
			uint64_t id = make(scene, WORKTREE_ROOT, "spilled", S_IFREG | 0644);

			write_fill(scene, id, 0, 1000, 77);
			assert_int_equal(worktree_sync_node(scene->tree, id), 0);
			powerloss_mark(loss, WRITTEN, BASE_SYNCED | SMALL_SYNCED);
			write_fill(scene, id, 1000, 50000, 78);
		}
		if (number % 4 == 2) {
			char name[16];

			snprintf(name, sizeof(name), "f%u", number / 4 + 1);
			powerloss_mark(loss, REMOVED, number / 4 + 1);
			assert_int_equal(worktree_unlink(scene->tree, &scene->by, WORKTREE_ROOT,
							 name), 0);
		}
		if (number % 5 == 0)
			assert_int_equal(worktree_compact(scene->tree), 0);
		if (number % 6 == 0)
			(void)worktree_reclaim(scene->tree);
	}
}

static void test_overlay(void **state)
{
	static const struct powerloss_plan plan = { .random = 12 };
	struct scene scene;

	(void)state;
	scene_init(&scene);
	scene_close(&scene);
	scene.segment_bytes = SEGMENT_BYTES;
	scene_open(&scene);
	assert_int_equal(worktree_sync(scene.tree), 0);

	struct powerloss *loss = powerloss_start(scene.overlay);

	scenario(&scene, loss);
	powerloss_stop(loss);
	scene_close(&scene);
	scene_boot(&scene, BOOT_2);
	size_t states = powerloss_each(loss, &plan, check, &scene);

	print_message("%zu states\n", states);
	assert_true(states > 1000);
	powerloss_free(loss);
	scene_release(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_overlay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
