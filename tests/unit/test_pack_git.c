/*
 * Packs that git writes, against what git says is in them: both hashes, deltas
 * of both kinds, thin packs, a streamed blob and a delta that stands on one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/proc.h"
#include "git/pack.h"
#include "mem_sink.h"
#include "pack_build.h"

#define GIT_TIMEOUT_MS 60000
#define LARGE ((size_t)3 << 20)
#define FILES 300

static const char *const git_env[] = {
	"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "HOME=/nonexistent", "GIT_DIR",
	NULL,
};

/* A repository in a folder of its own, and all that is in it as git tells it. */
struct repo {
	enum hash_algo algo;
	char dir[64];
	struct mem_sink all;
};

static void git(const char *const *argv, const struct buf *input, struct buf *out)
{
	AUTO_BUF struct buf errors = BUF_INIT;
	struct err err = ERR_INIT;
	int rc = proc_run(argv, git_env, input, out, &errors, GIT_TIMEOUT_MS, &err);

	if (rc != 0)
		fail_msg("git: %d %s %s", rc, err.msg, buf_str(&errors));
}

static void print(struct buf *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void print(struct buf *out, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	assert_int_equal(buf_vprintf(out, fmt, args), 0);
	va_end(args);
}

static void import_file(struct buf *out, const char *path, const struct buf *data)
{
	print(out, "M 100644 inline %s\ndata %zu\n", path, data->len);
	build_bytes(out, data->data, data->len);
	print(out, "\n");
}

static void import_texts(struct buf *out, int version)
{
	for (int file = 0; file < FILES; file++) {
		AUTO_BUF struct buf text = BUF_INIT;
		char path[64];

		for (int line = 0; line < 5 + file % 60; line++)
			print(&text, "line %d of file %d%s\n", line, file,
			      (line + version + file) % 17 == 0 ? ", changed" : "");
		snprintf(path, sizeof(path), "dir%d/sub%d/file%d.txt", file % 7, file % 3, file);
		import_file(out, path, &text);
	}
}

/* Two commits on main, a branch `old` at the first, an annotated tag. */
static void import(struct buf *out)
{
	AUTO_BUF struct buf large = BUF_INIT;
	struct buf empty = BUF_INIT;
	uint32_t seed = 1;

	for (size_t i = 0; i < LARGE; i++) {
		seed = seed * 1664525 + 1013904223;
		build_byte(&large, seed >> 24);
	}
	print(out, "commit refs/heads/old\ncommitter A <a@example.org> 1 +0000\ndata 5\nfirst\n");
	import_file(out, "empty", &empty);
	import_file(out, "large", &large);
	import_texts(out, 0);
	memset(large.data + 1000, 'x', 100);
	build_bytes(&large, "tail", 4);
	print(out, "\ncommit refs/heads/main\ncommitter A <a@example.org> 2 +0000\n"
	      "data 6\nsecond\nfrom refs/heads/old\n");
	import_file(out, "large", &large);
	import_texts(out, 1);
	print(out, "\ntag v1\nfrom refs/heads/main\ntagger A <a@example.org> 3 +0000\n"
	      "data 8\nthe tag\n\n");
}

static enum object_type type_named(const uint8_t *name, size_t len)
{
	for (enum object_type type = OBJECT_COMMIT; type <= OBJECT_TAG; type++) {
		const char *known = object_type_name(type);

		if (strlen(known) == len && memcmp(known, name, len) == 0)
			return type;
	}
	fail_msg("an unknown type");
	return OBJECT_BLOB;
}

/* Takes "<oid> <type> <size>\n<contents>\n" over and over. */
static void read_all(struct mem_sink *all, struct cursor in)
{
	while (in.left > 0) {
		struct object object = { .deflated = NULL };
		const uint8_t *word;
		uint64_t size;
		size_t len;

		assert_true(cursor_until(&in, ' ', &word, &len));
		assert_int_equal(oid_from_hex(&object.oid, (const char *)word, len), 0);
		assert_true(cursor_until(&in, ' ', &word, &len));
		object.type = type_named(word, len);
		assert_true(cursor_decimal(&in, OBJECT_SIZE_MAX, &size));
		assert_true(cursor_literal(&in, "\n"));
		object.size = (size_t)size;
		assert_true(cursor_bytes(&in, object.size, &object.data));
		assert_true(cursor_literal(&in, "\n"));
		assert_int_equal(all->sink.object(&all->sink, &object, NULL), 0);
	}
}

static int repo_new(void **state, enum hash_algo algo)
{
	struct repo *repo = calloc(1, sizeof(*repo));
	AUTO_BUF struct buf stream = BUF_INIT;
	AUTO_BUF struct buf out = BUF_INIT;
	char format[32];

	assert_non_null(repo);
	repo->algo = algo;
	snprintf(repo->dir, sizeof(repo->dir), "/tmp/git-fs-test-pack-XXXXXX");
	assert_non_null(mkdtemp(repo->dir));
	snprintf(format, sizeof(format), "--object-format=%s", hash_name(algo));
	git((const char *const[]){ "git", "init", "-q", "--bare", format, repo->dir, NULL }, NULL,
	    &out);
	import(&stream);
	git((const char *const[]){ "git", "-C", repo->dir, "fast-import", "--quiet", NULL },
	    &stream, &out);
	out.len = 0;
	git((const char *const[]){ "git", "-C", repo->dir, "cat-file", "--batch",
				   "--batch-all-objects", NULL }, NULL, &out);
	assert_true(mem_sink_init(&repo->all, algo));
	read_all(&repo->all, cursor_of(out.data, out.len));
	assert_true(repo->all.objects.count > FILES);
	*state = repo;
	return 0;
}

static int setup_sha1(void **state)
{
	return repo_new(state, HASH_SHA1);
}

static int setup_sha256(void **state)
{
	return repo_new(state, HASH_SHA256);
}

static int teardown(void **state)
{
	AUTO_BUF struct buf out = BUF_INIT;
	struct repo *repo = *state;

	git((const char *const[]){ "rm", "-rf", repo->dir, NULL }, NULL, &out);
	mem_sink_release(&repo->all);
	free(repo);
	return 0;
}

static void pack_write(const struct repo *repo, const char *const *options, const char *revs,
		       struct buf *pack)
{
	const char *argv[16] = { "git", "-C", repo->dir, "pack-objects", "--stdout", "-q",
				 "--revs", "--no-reuse-delta", "--window=20", "--depth=50" };
	AUTO_BUF struct buf input = BUF_INIT;
	size_t count = 10;

	for (; *options != NULL; options++)
		argv[count++] = *options;
	assert_int_equal(buf_append_str(&input, revs), 0);
	git(argv, &input, pack);
}

static void compare(const struct mem_sink *all, const struct mem_sink *mem)
{
	struct map_node *node = map_first(&mem->objects);

	for (; node != NULL; node = map_next(&mem->objects, node)) {
		const struct mem_object *object = MAP_ENTRY(node, struct mem_object, node);
		const struct mem_object *known = mem_sink_find(all, &object->oid);

		assert_non_null(known);
		assert_int_equal(object->type, known->type);
		assert_int_equal(object->data.len, known->data.len);
		assert_memory_equal(object->data.data, known->data.data, known->data.len);
	}
}

static void feed(struct mem_sink *mem, enum hash_algo algo, const struct buf *pack, size_t piece)
{
	struct cursor in = cursor_of(pack->data, pack->len);
	struct pack_parser *parser = pack_parser_new(algo, &mem->sink);
	struct err err = ERR_INIT;
	const uint8_t *data;
	int rc = 0;

	assert_non_null(parser);
	while (rc == 0 && in.left > 0) {
		size_t step = in.left < piece ? in.left : piece;

		assert_true(cursor_bytes(&in, step, &data));
		rc = pack_parser_feed(parser, data, step, &err);
	}
	assert_string_equal(err.msg, "");
	assert_int_equal(rc, 1);
	assert_int_equal(in.left, 0);
	assert_int_equal(pack_parser_count(parser), pack_parser_total(parser));
	pack_parser_free(parser);
}

static const size_t pieces[] = { 1, 7, 4096, SIZE_MAX };

static void check_whole(const struct repo *repo, const struct buf *pack)
{
	struct mem_sink mem;

	for (size_t i = 0; i < 4; i++) {
		assert_true(mem_sink_init(&mem, repo->algo));
		feed(&mem, repo->algo, pack, pieces[i]);
		assert_int_equal(mem.objects.count, repo->all.objects.count);
		assert_int_equal(mem.calls, repo->all.objects.count);
		/* Some were deltas, some were not, and of the large blobs one was. */
		assert_in_range(mem.deflated_count, 10, FILES + 100);
		assert_int_equal(mem.streamed_count, 1);
		compare(&repo->all, &mem);
		mem_sink_release(&mem);
	}
}

static void all_objects_come_by_offset_deltas(void **state)
{
	static const char *const options[] = { "--delta-base-offset", NULL };
	AUTO_BUF struct buf pack = BUF_INIT;

	pack_write(*state, options, "main\nold\nv1\n", &pack);
	check_whole(*state, &pack);
}

static void all_objects_come_by_ref_deltas(void **state)
{
	static const char *const by_ref[] = { "--no-delta-base-offset", NULL };
	static const char *const by_offset[] = { "--delta-base-offset", NULL };
	AUTO_BUF struct buf other = BUF_INIT;
	AUTO_BUF struct buf pack = BUF_INIT;

	pack_write(*state, by_ref, "main\nold\nv1\n", &pack);
	pack_write(*state, by_offset, "main\nold\nv1\n", &other);
	/* An oid is at least seventeen bytes longer than an offset, and most files deltas. */
	assert_true(pack.len > other.len + (size_t)10 * FILES);
	check_whole(*state, &pack);
}

/* The first commit's objects, then the second's as deltas that stand on them. */
static void thin_packs_stand_on_what_is_there(void **state)
{
	static const char *const options[] = { "--thin", "--delta-base-offset", NULL };
	const struct repo *repo = *state;
	AUTO_BUF struct buf first = BUF_INIT;
	AUTO_BUF struct buf second = BUF_INIT;
	struct mem_sink mem;
	size_t reads;

	pack_write(repo, options, "old\n", &first);
	pack_write(repo, options, "main\nv1\n^old\n", &second);
	for (size_t i = 0; i < 4; i++) {
		assert_true(mem_sink_init(&mem, repo->algo));
		feed(&mem, repo->algo, &first, pieces[i]);
		reads = mem.reads;
		assert_int_equal(mem.streamed_count, 1);
		feed(&mem, repo->algo, &second, pieces[i]);
		assert_true(mem.reads > reads);
		assert_int_equal(mem.streamed_count, 1);
		assert_int_equal(mem.objects.count, repo->all.objects.count);
		compare(&repo->all, &mem);
		mem_sink_release(&mem);
	}
}

#define WITH(test, setup) \
	{ #test " (" #setup ")", test, setup, teardown, NULL }

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(all_objects_come_by_offset_deltas, setup_sha1),
		WITH(all_objects_come_by_offset_deltas, setup_sha256),
		WITH(all_objects_come_by_ref_deltas, setup_sha1),
		WITH(all_objects_come_by_ref_deltas, setup_sha256),
		WITH(thin_packs_stand_on_what_is_there, setup_sha1),
		WITH(thin_packs_stand_on_what_is_there, setup_sha256),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
