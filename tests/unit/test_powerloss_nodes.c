/*
 * The node table after power loss: what is there of it are the first records that
 * were added, in order, and it takes more. It is never synced, as the numbers of a
 * read-only mount are worth nothing to the next boot: any of them may be lost.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <unistd.h>

#include "base/io.h"
#include "git/tree.h"
#include "powerloss.h"
#include "worktree/node_table.h"

#define GROUPS 12U

static void record_make(struct node_record *out, char name[256], uint64_t id)
{
	size_t len = (size_t)(id * 37 % 200) + 1;

	memset(out, 0, sizeof(*out));
	memset(name, (int)('a' + id % 26), len);
	name[len] = '\0';
	out->id = id;
	out->parent = id / 2;
	out->mode = id % 3 == 0 ? TREE_MODE_DIR : TREE_MODE_FILE;
	if (id % 3 != 0) {
		uint8_t hash[OID_RAW_MAX];

		memset(hash, (int)(id % 255 + 1), sizeof(hash));
		oid_from_raw(&out->oid, HASH_SHA1, hash);
	}
	out->name = name;
	out->name_len = len;
}

struct visit {
	uint64_t next; /* the id that must come */
	const char *wrong;
};

static int on_record(void *arg, const struct node_record *found)
{
	struct visit *visit = arg;
	struct node_record record;
	char name[256];

	record_make(&record, name, visit->next++);
	if (found->id != record.id || found->parent != record.parent ||
	    found->mode != record.mode || found->name_len != record.name_len ||
	    memcmp(found->name, record.name, record.name_len) != 0 ||
	    memcmp(&found->oid, &record.oid, sizeof(record.oid)) != 0)
		visit->wrong = "a record that is not the next one";
	return 0;
}

static bool add(struct node_table *table, uint64_t first, uint64_t count)
{
	for (uint64_t id = first; id < first + count; id++) {
		struct node_record record;
		char name[256];

		record_make(&record, name, id);
		if (node_table_add(table, &record) < 0)
			return false;
	}
	return node_table_commit(table) == 0;
}

/* marks[0]: so many records had been told to it; marks[1]: the header was there before. */
static const char *check_table(void *arg, const char *dir, const uint64_t marks[POWERLOSS_MARKS])
{
	struct visit visit = { .next = 1 };
	struct err err = ERR_INIT;
	struct node_table *table;
	char path[256];
	uint64_t found;
	int rc;

	(void)arg;
	snprintf(path, sizeof(path), "%s/nodes", dir);
	rc = node_table_open(&table, path, HASH_SHA1, on_record, &visit, &err);
	/* No header is damage, which the worktree puts aside (test_worktree). */
	if (rc == ERR_CORRUPT && marks[1] == 0)
		return NULL;
	if (rc < 0)
		return "does not open";
	found = visit.next - 1;
	if (visit.wrong == NULL && found > marks[0])
		visit.wrong = "records that were never added";
	if (visit.wrong == NULL && !add(table, found + 1, 3))
		visit.wrong = "takes no records";
	node_table_close(table);
	visit.next = 1;
	if (visit.wrong == NULL &&
	    node_table_open(&table, path, HASH_SHA1, on_record, &visit, &err) == 0)
		node_table_close(table);
	if (visit.wrong == NULL && visit.next != found + 4)
		visit.wrong = "what was added afterwards is not there";
	return visit.wrong;
}

static void run(const char *dir, bool header)
{
	static const struct powerloss_plan plan = { .random = 60 };
	struct visit visit = { .next = 1 };
	struct node_table *table = NULL;
	struct powerloss *loss;
	char path[256];
	uint64_t next = 1;

	snprintf(path, sizeof(path), "%s/nodes", dir);
	if (header) {
		assert_int_equal(node_table_open(&table, path, HASH_SHA1, on_record, &visit, NULL),
				 0);
		node_table_close(table);
		table = NULL;
	}
	loss = powerloss_start(dir);
	powerloss_mark(loss, 1, header);
	for (uint64_t group = 1; group <= GROUPS; group++) {
		if (group % 5 == 1) {
			visit.next = 1;
			node_table_close(table);
			assert_int_equal(node_table_open(&table, path, HASH_SHA1, on_record,
							 &visit, NULL), 0);
			assert_null(visit.wrong);
		}
		powerloss_mark(loss, 0, next - 1 + group * 2);
		assert_true(add(table, next, group * 2));
		next += group * 2;
	}
	node_table_close(table);
	powerloss_stop(loss);
	powerloss_each(loss, &plan, check_table, NULL);
	powerloss_free(loss);
}

static void test_table(void **state)
{
	const char *tmp = getenv("TMPDIR");
	char dir[128], command[160];

	(void)state;
	for (int header = 0; header < 2; header++) {
		snprintf(dir, sizeof(dir), "%s/git-fs-test-XXXXXX", tmp != NULL ? tmp : "/tmp");
		assert_non_null(mkdtemp(dir));
		run(dir, header == 1);
		snprintf(command, sizeof(command), "rm -rf -- '%s'", dir);
		assert_int_equal(system(command), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
	};

	return cmocka_run_group_tests_name("powerloss_nodes", tests, NULL, NULL);
}
