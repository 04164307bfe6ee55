/* The in-memory remote: waiting for a ref to change. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/threads.h"
#include "remote/mem_remote.h"

static struct oid add(struct mem_remote *mem, enum object_type type, const char *text)
{
	struct oid oid;

	assert_int_equal(mem_remote_add(mem, type, text, strlen(text), &oid), 0);
	return oid;
}

static struct oid add_commit(struct mem_remote *mem, const char *message)
{
	struct oid tree = add(mem, OBJECT_TREE, "");
	char text[256], hex[OID_HEX_MAX + 1];

	snprintf(text, sizeof(text), "tree %s\n\n%s\n", oid_to_hex(&tree, hex), message);
	return add(mem, OBJECT_COMMIT, text);
}

static struct oid add_tag(struct mem_remote *mem, const struct oid *commit)
{
	char text[256], hex[OID_HEX_MAX + 1];

	snprintf(text, sizeof(text), "object %s\ntype commit\ntag v1\n\nwords\n",
		 oid_to_hex(commit, hex));
	return add(mem, OBJECT_TAG, text);
}

/* A thread that does something to a remote that another one watches. */
struct helper {
	struct mem_remote *mem;
	struct cancel *cancel;
	const struct oid *oid; /* NULL: the ref goes */
	pthread_t thread;
};

static void *change_later(void *arg)
{
	struct helper *helper = arg;

	usleep(30000);
	if (helper->cancel != NULL)
		cancel_set(helper->cancel);
	else
		assert_int_equal(mem_remote_set_ref(helper->mem, "refs/heads/main",
						    helper->oid), 0);
	return NULL;
}

static int watch_while(struct helper *helper, const struct oid *known, struct remote_ref *out)
{
	struct err err = ERR_INIT;

	assert_int_equal(thread_start(&helper->thread, "helper", change_later, helper), 0);
	int rc = remote_watch(mem_remote_base(helper->mem), "refs/heads/main", known, 60000, 60000,
			      out, helper->cancel, &err);
	pthread_join(helper->thread, NULL);
	return rc;
}

static void watching_ends_with_what_happens(void **state)
{
	struct mem_remote *mem = mem_remote_new(HASH_SHA1, 0);
	struct remote *remote = mem_remote_base(mem);
	struct oid commit = add_commit(mem, "first"), next = add_commit(mem, "second");
	struct oid tag = add_tag(mem, &commit);
	struct cancel cancel;
	struct remote_ref ref;

	(void)state;
	assert_int_equal(mem_remote_set_ref(mem, "refs/heads/main", &commit), 0);
	assert_int_equal(mem_remote_set_ref(mem, "refs/tags/v1", &tag), 0);
	struct helper mover = { .mem = mem, .oid = &next };
	uint64_t start = mono_ns();
	assert_int_equal(watch_while(&mover, &commit, &ref), 1);
	assert_true(mono_ns() - start < 10 * NS_PER_S);
	assert_true(oid_equal(&ref.oid, &next));
	assert_string_equal(ref.name, "refs/heads/main");

	/* It holds something else already; and nothing happens in time. */
	assert_int_equal(remote_watch(remote, "refs/heads/main", &commit, 1, 60000, &ref,
				      NULL, NULL), 1);
	start = mono_ns();
	assert_int_equal(remote_watch(remote, "refs/heads/main", &next, 1, 50, &ref, NULL,
				      NULL), 0);
	assert_true(mono_ns() - start >= 50 * NS_PER_MS);
	/* A tag is the same by its own id and by its commit's. */
	assert_int_equal(remote_watch(remote, "refs/tags/v1", &commit, 1, 0, &ref, NULL,
				      NULL), 0);
	assert_int_equal(remote_watch(remote, "refs/tags/v1", &tag, 1, 0, &ref, NULL,
				      NULL), 0);

	assert_int_equal(cancel_init(&cancel), 0);
	struct helper canceller = { .mem = mem, .cancel = &cancel };
	assert_int_equal(watch_while(&canceller, &next, &ref), ERR_CANCELLED);
	cancel_release(&cancel);
	struct helper remover = { .mem = mem };
	assert_int_equal(watch_while(&remover, &next, &ref), ERR_NOT_FOUND);
	remote_free(remote);
}

static void a_watch_can_be_told_to_fail(void **state)
{
	struct mem_remote *mem = mem_remote_new(HASH_SHA1, 0);
	struct oid commit = add_commit(mem, "first");
	struct remote_ref ref = { .name = "untouched" };

	(void)state;
	assert_int_equal(mem_remote_set_ref(mem, "refs/heads/main", &commit), 0);
	mem_remote_set_faults(mem, 0, 1, ERR_UNREACHABLE);
	assert_int_equal(remote_watch(mem_remote_base(mem), "refs/heads/main", &commit, 1, 60000,
				      &ref, NULL, NULL), ERR_UNREACHABLE);
	assert_string_equal(ref.name, "untouched");
	remote_free(mem_remote_base(mem));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(watching_ends_with_what_happens),
		cmocka_unit_test(a_watch_can_be_told_to_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
