/*
 * A writable worktree over a small commit, and a description of all that it shows.
 *
 *	a  "hello a"        absent  50,000 bytes, in no store   link -> a
 *	b  "bbbb"           big     100,000 bytes               module (a submodule)
 *	lazy/ (unfetched)   sub/deep/leaf   sub/inner           tool (executable)
 */
#ifndef GIT_FS_TESTS_OVERLAY_FIXTURE_H
#define GIT_FS_TESTS_OVERLAY_FIXTURE_H

#include "repo_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/failpoint.h"
#include "base/io.h"
#include "git/zstream.h"
#include "worktree/change.h"

#define BIG_SIZE 100000
#define ABSENT_SIZE 50000
#define BOOT_1 "11111111-2222-3333-4444-555555555555\n"
#define BOOT_2 "22222222-2222-3333-4444-555555555555\n"

struct scene {
	struct repo_fixture fix;
	char overlay[96];
	char table[96];
	char boot[96];
	struct oid commit;
	struct oid absent; /* a blob */
	struct buf lazy;   /* the tree that is not in the store */
	struct worktree *tree;
	struct want want;
	struct worktree_request by;
	uint64_t segment_bytes;
};

/* Bytes that differ from place to place, and from seed to seed. */
static inline void fill(uint8_t *data, size_t len, unsigned seed)
{
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)((i * 31 + (i >> 8) * 7 + seed * 101 + 1) & 0xff);
}

static inline void scene_boot(struct scene *scene, const char *id)
{
	assert_int_equal(io_replace_file(AT_FDCWD, scene->boot, id, strlen(id)), 0);
}

static inline void scene_commit(struct scene *scene)
{
	struct repo_fixture *fix = &scene->fix;
	AUTO_BUF struct buf root = BUF_INIT;
	AUTO_BUF struct buf sub = BUF_INIT;
	AUTO_BUF struct buf deep = BUF_INIT;
	uint8_t *big = malloc(BIG_SIZE);

	assert_non_null(big);
	fill(big, BIG_SIZE, 99);
	scene->absent = fixture_blob_oid(fix, "not in the store");
	assert_int_equal(store_put_sizes(fix->store, &scene->absent, &(uint64_t){ ABSENT_SIZE }, 1),
			 0);
	fixture_entry(&deep, TREE_MODE_FILE, "leaf", fixture_put_blob(fix, "leaf"));
	fixture_entry(&sub, TREE_MODE_DIR, "deep", fixture_put_tree(fix, &deep));
	fixture_entry(&sub, TREE_MODE_FILE, "inner", fixture_put_blob(fix, "inside"));
	fixture_entry(&scene->lazy, TREE_MODE_FILE, "x", fixture_put_blob(fix, "lazy x"));
	fixture_entry(&root, TREE_MODE_FILE, "a", fixture_put_blob(fix, "hello a"));
	fixture_entry(&root, TREE_MODE_FILE, "absent", scene->absent);
	fixture_entry(&root, TREE_MODE_FILE, "b", fixture_put_blob(fix, "bbbb"));
	fixture_entry(&root, TREE_MODE_FILE, "big", fixture_put(fix, OBJECT_BLOB, big, BIG_SIZE));
	fixture_entry(&root, TREE_MODE_DIR, "lazy",
		      fixture_hash(fix, OBJECT_TREE, scene->lazy.data, scene->lazy.len));
	fixture_entry(&root, TREE_MODE_LINK, "link", fixture_put_blob(fix, "a"));
	fixture_entry(&root, TREE_MODE_GITLINK, "module", fixture_blob_oid(fix, "elsewhere"));
	fixture_entry(&root, TREE_MODE_DIR, "sub", fixture_put_tree(fix, &sub));
	fixture_entry(&root, TREE_MODE_EXEC, "tool", fixture_put_blob(fix, "#!"));
	scene->commit = fixture_put_commit(fix, fixture_put_tree(fix, &root));
	free(big);
}

static inline int scene_try_open(struct scene *scene, struct err *err)
{
	struct worktree_config config = {
		.store = scene->fix.store, .table_path = scene->table, .algo = HASH_SHA1,
		.uid = 1000, .gid = 1000, .overlay_dir = scene->overlay,
		.boot_id_path = scene->boot, .segment_bytes = scene->segment_bytes,
	};
	int rc = worktree_open(&scene->tree, &config, err);

	if (rc == 0)
		rc = worktree_start(scene->tree, &scene->commit, err);
	if (rc < 0) {
		worktree_close(scene->tree);
		scene->tree = NULL;
	}
	return rc;
}

static inline void scene_open(struct scene *scene)
{
	struct err err = ERR_INIT;

	if (scene_try_open(scene, &err) < 0)
		fail_msg("worktree: %s", err.msg);
}

static inline void scene_close(struct scene *scene)
{
	worktree_close(scene->tree);
	scene->tree = NULL;
}

static inline void scene_reopen(struct scene *scene)
{
	scene_close(scene);
	scene_open(scene);
}

static inline void scene_init(struct scene *scene)
{
	memset(scene, 0, sizeof(*scene));
	scene->lazy = (struct buf)BUF_INIT;
	scene->want = (struct want)WANT_INIT;
	scene->by = (struct worktree_request){ .uid = 1000, .gid = 1000, .pid = 100,
					       .want = &scene->want };
	fixture_init(&scene->fix);
	snprintf(scene->overlay, sizeof(scene->overlay), "%s/overlay", scene->fix.dir);
	snprintf(scene->table, sizeof(scene->table), "%s/nodes", scene->fix.dir);
	snprintf(scene->boot, sizeof(scene->boot), "%s/boot", scene->fix.dir);
	scene_boot(scene, BOOT_1);
	scene_commit(scene);
	scene_open(scene);
}

static inline void scene_release(struct scene *scene)
{
	scene_close(scene);
	want_release(&scene->want);
	buf_release(&scene->lazy);
	fixture_release(&scene->fix);
}

static inline void run(const char *const *argv)
{
	AUTO_BUF struct buf out = BUF_INIT;

	assert_int_equal(proc_run(argv, NULL, NULL, &out, NULL, 30000, NULL), 0);
}

/* Goes on with a copy of what is on the disk now: what is left after kill -9. The one
 * that was open is closed behind its back. */
static inline void scene_crash(struct scene *scene)
{
	static unsigned copies;
	char overlay[sizeof(scene->overlay)];
	char table[sizeof(scene->table)];
	unsigned number = ++copies;

	snprintf(overlay, sizeof(overlay), "%.60s/overlay%u", scene->fix.dir, number);
	snprintf(table, sizeof(table), "%.60s/nodes%u", scene->fix.dir, number);
	const char *copy_overlay[] = { "cp", "-r", scene->overlay, overlay, NULL };
	const char *copy_table[] = { "cp", scene->table, table, NULL };

	run(copy_overlay);
	run(copy_table);
	scene_close(scene);
	memcpy(scene->overlay, overlay, sizeof(overlay));
	memcpy(scene->table, table, sizeof(table));
	scene_open(scene);
}

/* --- calls that have to succeed --- */

static inline struct worktree_attr look_in(struct scene *scene, uint64_t parent, const char *name)
{
	struct worktree_attr attr = { 0 };
	int rc = worktree_lookup(scene->tree, parent, name, &attr, &scene->want);

	if (rc < 0)
		fail_msg("lookup %s: %d", name, rc);
	worktree_forget(scene->tree, attr.id, 1);
	return attr;
}

/* By its path; 0: there is none. */
static inline uint64_t find(struct scene *scene, const char *path)
{
	uint64_t id = 0;
	int rc = worktree_find(scene->tree, path, &id, &scene->want);

	if (rc < 0 && rc != -ENOENT)
		fail_msg("find %s: %d", path, rc);
	return id;
}

static inline uint64_t at(struct scene *scene, const char *path)
{
	uint64_t id = find(scene, path);

	if (id == 0)
		fail_msg("%s is not there", path);
	return id;
}

static inline struct worktree_attr attr_of(struct scene *scene, uint64_t id)
{
	struct worktree_attr attr = { 0 };
	int rc = worktree_getattr(scene->tree, id, 1, &attr, &scene->want);

	if (rc < 0)
		fail_msg("getattr of %llu: %d", (unsigned long long)id, rc);
	return attr;
}

/* Made, and forgotten by the kernel at once. */
static inline uint64_t make(struct scene *scene, uint64_t parent, const char *name, uint32_t mode)
{
	struct worktree_new what = { .mode = mode };
	struct worktree_attr attr = { 0 };
	int rc;

	if (S_ISLNK(mode))
		what.target = "some/target";
	if (S_ISCHR(mode))
		what.rdev = 0x103;
	rc = worktree_create(scene->tree, &scene->by, parent, name, &what, &attr);
	if (rc < 0)
		fail_msg("create %s: %d", name != NULL ? name : "without a name", rc);
	assert_true(attr.mode == mode && attr.size_known);
	if (name != NULL)
		worktree_forget(scene->tree, attr.id, 1);
	return attr.id;
}

static inline int try_write(struct scene *scene, uint64_t id, uint64_t offset, const void *data,
			    size_t len)
{
	struct worktree_write write = { .offset = offset, .data = data, .len = len };

	want_release(&scene->want);
	return worktree_write(scene->tree, &scene->by, id, &write);
}

static inline void write_at(struct scene *scene, uint64_t id, uint64_t offset, const char *text)
{
	assert_int_equal(try_write(scene, id, offset, text, strlen(text)), 0);
}

/* `len` bytes of fill() at `offset`. */
static inline void write_fill(struct scene *scene, uint64_t id, uint64_t offset, size_t len,
			      unsigned seed)
{
	uint8_t *data = malloc(len);

	assert_non_null(data);
	fill(data, len, seed);
	assert_int_equal(try_write(scene, id, offset, data, len), 0);
	free(data);
}

static inline int try_change(struct scene *scene, uint64_t id, const struct worktree_change *change)
{
	struct worktree_attr attr;

	want_release(&scene->want);
	return worktree_setattr(scene->tree, &scene->by, id, change, &attr);
}

static inline int resize(struct scene *scene, uint64_t id, uint64_t size)
{
	return try_change(scene, id,
			  &(struct worktree_change){ .what = CHANGE_SIZE, .size = size });
}

static inline int move(struct scene *scene, uint64_t parent, const char *name, uint64_t new_parent,
		       const char *new_name, unsigned flags)
{
	struct worktree_move names = { parent, name, new_parent, new_name, flags };

	want_release(&scene->want);
	return worktree_rename(scene->tree, &scene->by, &names);
}

/* All bytes of a file, appended. */
static inline int contents(struct scene *scene, uint64_t id, struct buf *out)
{
	uint64_t size = attr_of(scene, id).size;

	assert_int_equal(buf_reserve(out, size + 1), 0);
	struct worktree_read reading = { .data = out->data + out->len, .len = size + 1,
					 .pid = 100 };
	ssize_t got = worktree_read(scene->tree, id, &reading, &scene->want);

	if (got < 0)
		return (int)got;
	assert_int_equal(got, size);
	out->len += (size_t)got;
	return 0;
}

static inline void expect_contents(struct scene *scene, uint64_t id, const void *data, size_t len)
{
	AUTO_BUF struct buf found = BUF_INIT;

	assert_int_equal(contents(scene, id, &found), 0);
	assert_int_equal(found.len, len);
	if (len > 0)
		assert_memory_equal(found.data, data, len);
}

static inline void expect_text(struct scene *scene, uint64_t id, const char *text)
{
	expect_contents(scene, id, text, strlen(text));
}

static inline struct worktree_stats stats_of(struct scene *scene)
{
	struct worktree_stats stats;

	worktree_stats(scene->tree, &stats);
	return stats;
}

/* Files in the overlay's data folder; the path of the last one. */
static inline size_t data_files(struct scene *scene, char path_out[512])
{
	char dir[128];
	size_t count = 0;

	snprintf(dir, sizeof(dir), "%s/data", scene->overlay);
	DIR *open = opendir(dir);

	assert_non_null(open);
	for (struct dirent *found; (found = readdir(open)) != NULL;) {
		if (found->d_name[0] == '.')
			continue;
		count++;
		if (path_out != NULL)
			snprintf(path_out, 512, "%s/%s", dir, found->d_name);
	}
	closedir(open);
	return count;
}

/* --- everything that is shown --- */

struct listing {
	struct buf *out;  /* where each entry is described */
	struct scene *scene;
	uint64_t ids[64]; /* folders that are still to be listed */
	char paths[64][128];
	size_t count;
	const char *path;
	struct entry_seen {
		char name[64];
		struct worktree_attr attr;
	} seen[128];
	size_t seen_count;
};

static inline enum list_result keep_entry(void *arg, const char *name,
					  const struct worktree_attr *attr, uint64_t next)
{
	struct listing *list = arg;
	struct entry_seen *seen = &list->seen[list->seen_count++];

	(void)next;
	assert_true(list->seen_count < 128);
	snprintf(seen->name, sizeof(seen->name), "%s", name);
	seen->attr = *attr;
	return LIST_TAKEN;
}

static inline int by_name(const void *a, const void *b)
{
	return strcmp(((const struct entry_seen *)a)->name, ((const struct entry_seen *)b)->name);
}

static inline void describe_attr(struct buf *out, const struct worktree_attr *attr)
{
	assert_int_equal(buf_printf(out,
				    "id=%llu mode=%o nlink=%u owner=%u:%u rdev=%llu size=%llu "
				    "times=%lld.%09ld,%lld.%09ld,%lld.%09ld",
				    (unsigned long long)attr->id, attr->mode, attr->nlink,
				    attr->uid, attr->gid, (unsigned long long)attr->rdev,
				    (unsigned long long)attr->size, (long long)attr->atime.tv_sec,
				    attr->atime.tv_nsec, (long long)attr->mtime.tv_sec,
				    attr->mtime.tv_nsec, (long long)attr->ctime.tv_sec,
				    attr->ctime.tv_nsec),
			 0);
}

static inline void describe_contents(struct scene *scene, struct buf *out, uint64_t id,
				     uint32_t mode)
{
	AUTO_BUF struct buf data = BUF_INIT;
	AUTO_BUF struct buf names = BUF_INIT;
	int rc = 0;

	if (S_ISREG(mode))
		rc = contents(scene, id, &data);
	else if (S_ISLNK(mode))
		rc = worktree_readlink(scene->tree, id, &data, &scene->want);
	assert_int_equal(buf_printf(out, " rc=%d crc=%x", rc, crc32_of(0, data.data, data.len)), 0);
	assert_int_equal(worktree_listxattr(scene->tree, id, &names, &scene->want), 0);
	uint32_t sum = 0; /* in whatever order they come */

	for (size_t i = 0; i < names.len; i += strlen((char *)names.data + i) + 1) {
		const char *name = (char *)names.data + i;
		AUTO_BUF struct buf value = BUF_INIT;

		assert_int_equal(worktree_getxattr(scene->tree, id, name, &value, &scene->want), 0);
		sum += crc32_of(crc32_of(0, name, strlen(name)), value.data, value.len);
	}
	assert_int_equal(buf_printf(out, " xattrs=%x\n", sum), 0);
}

static inline void describe_folder(struct listing *list, uint64_t id, const char *path)
{
	struct worktree_list how = { .pid = 1, .visit = keep_entry, .arg = list };

	list->seen_count = 0;
	int rc = worktree_list(list->scene->tree, id, &how, &list->scene->want);

	assert_int_equal(buf_printf(list->out, "%s/: %d\n", path, rc), 0);
	qsort(list->seen, list->seen_count, sizeof(list->seen[0]), by_name);
	for (size_t i = 0; i < list->seen_count; i++) {
		struct entry_seen *seen = &list->seen[i];
		struct worktree_attr *attr = &seen->attr;
		bool dot = strcmp(seen->name, ".") == 0 || strcmp(seen->name, "..") == 0;

		assert_int_equal(buf_printf(list->out, "%s/%s ", path, seen->name), 0);
		describe_attr(list->out, attr);
		describe_contents(list->scene, list->out, attr->id, attr->mode);
		if (dot || !S_ISDIR(attr->mode))
			continue;
		/* What a lookup says is what the list says. */
		assert_true(look_in(list->scene, id, seen->name).id == attr->id);
		assert_true(list->count < 64);
		list->ids[list->count] = attr->id;
		snprintf(list->paths[list->count++], 128, "%.60s/%.60s", path, seen->name);
	}
}

/* The whole tree, by names, attributes and contents; the caller releases it. */
static inline void describe(struct scene *scene, struct buf *out)
{
	struct listing *list = calloc(1, sizeof(*list));

	assert_non_null(list);
	list->out = out;
	list->scene = scene;
	list->ids[0] = WORKTREE_ROOT;
	list->count = 1;
	for (size_t i = 0; i < list->count; i++)
		describe_folder(list, list->ids[i], list->paths[i]);
	/* What was not read before counts its links otherwise. */
	buf_clear(out);
	list->count = 1;
	for (size_t i = 0; i < list->count; i++)
		describe_folder(list, list->ids[i], list->paths[i]);
	free(list);
}

static inline void expect_same(struct scene *scene, const struct buf *before)
{
	AUTO_BUF struct buf now = BUF_INIT;

	describe(scene, &now);
	if (before->len != now.len || memcmp(before->data, now.data, now.len) != 0)
		fail_msg("was\n%.*s\nis\n%.*s", (int)before->len, (char *)before->data,
			 (int)now.len, (char *)now.data);
}

#endif
