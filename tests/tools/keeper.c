/*
 * DIR/TYPE/OID; while a large one comes, DIR/large-ADDRESS. See the header.
 */
#include "keeper.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/io.h"

/* The file of an object, into `path` (PATH_MAX bytes). */
static void object_path(const struct keeper *keeper, enum object_type type, const struct oid *oid,
			char *path)
{
	char hex[OID_HEX_MAX + 1];

	snprintf(path, PATH_MAX, "%s/%s/%s", keeper->dir, object_type_name(type),
		 oid_to_hex(oid, hex));
}

/* The same, and its folder is there. */
static int make_path(const struct keeper *keeper, enum object_type type, const struct oid *oid,
		     char *path)
{
	snprintf(path, PATH_MAX, "%s/%s", keeper->dir, object_type_name(type));
	int rc = io_mkdirs(path);
	object_path(keeper, type, oid, path);
	return rc;
}

static void print_object(const struct oid *oid, enum object_type type, uint64_t size)
{
	char hex[OID_HEX_MAX + 1];

	printf("%s %s %" PRIu64 "\n", oid_to_hex(oid, hex), object_type_name(type), size);
}

static int keep_object(struct object_sink *sink, const struct object *object, struct err *err)
{
	const struct keeper *keeper = (const struct keeper *)(const void *)sink;
	char path[PATH_MAX];
	int rc = make_path(keeper, object->type, &object->oid, path);

	if (rc < 0)
		return err_sys(err, -rc, "%s", path);
	AUTO_CLOSE int fd = io_open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0)
		return err_sys(err, -fd, "%s", path);
	rc = io_write(fd, object->data, object->size);
	if (rc < 0)
		return err_sys(err, -rc, "%s", path);
	print_object(&object->oid, object->type, object->size);
	return 0;
}

static int keep_begin(struct object_sink *sink, enum object_type type, uint64_t size,
		      void **stream_out, struct err *err)
{
	struct keeper *keeper = (struct keeper *)(void *)sink;
	struct large *large = &keeper->large;

	if (large->fd >= 0)
		return err_set(err, -EBUSY, "two streams at a time");
	snprintf(large->path, sizeof(large->path), "%s/large-%p", keeper->dir, (void *)keeper);
	int rc = io_mkdirs(keeper->dir);
	if (rc < 0)
		return err_sys(err, -rc, "%s", keeper->dir);
	rc = io_open(AT_FDCWD, large->path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (rc < 0)
		return err_sys(err, -rc, "%s", large->path);
	large->fd = rc;
	large->type = type;
	large->size = size;
	*stream_out = large;
	return 0;
}

static int keep_write(struct object_sink *sink, void *stream, const uint8_t *data, size_t len,
		      struct err *err)
{
	const struct large *large = stream;
	int rc = io_write(large->fd, data, len);

	(void)sink;
	return rc < 0 ? err_sys(err, -rc, "%s", large->path) : 0;
}

static int keep_end(struct object_sink *sink, void *stream, const struct oid *oid,
		    struct err *err)
{
	const struct keeper *keeper = (const struct keeper *)(const void *)sink;
	struct large *large = stream;
	char path[PATH_MAX];

	io_close(&large->fd);
	if (oid == NULL)
		return io_unlink(AT_FDCWD, large->path);
	int rc = make_path(keeper, large->type, oid, path);
	if (rc == 0)
		rc = io_rename(AT_FDCWD, large->path, path);
	if (rc < 0)
		return err_sys(err, -rc, "%s", path);
	print_object(oid, large->type, large->size);
	return 0;
}

static int keep_read(struct object_sink *sink, const struct oid *oid, enum object_type *type_out,
		     struct buf *out)
{
	const struct keeper *keeper = (const struct keeper *)(const void *)sink;
	int rc = ERR_NOT_FOUND;

	for (int type = OBJECT_COMMIT; rc == ERR_NOT_FOUND && type <= OBJECT_TAG; type++) {
		char path[PATH_MAX];

		object_path(keeper, (enum object_type)type, oid, path);
		rc = io_read_file(AT_FDCWD, path, out);
		if (rc == 0)
			*type_out = (enum object_type)type;
	}
	return rc;
}

void keeper_init(struct keeper *keeper, const char *dir)
{
	*keeper = (struct keeper){
		.sink = { keep_object, keep_begin, keep_write, keep_end, keep_read },
		.dir = dir,
		.large = { .fd = -1 },
	};
}
