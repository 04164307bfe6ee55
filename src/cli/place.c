/* Finding what a command is about; see place.h. */
#include "cli/place.h"

#include <string.h>

#include "cli/paths.h"
#include "cli/probe.h"

#define ASK_TIMEOUT_MS 3600000U

void place_release(struct place *place)
{
	daemons_release(&place->daemons);
	mount_table_release(&place->table);
}

/* Of an absolute path in the mount, what is behind the mount point. */
static void path_within(const struct mount_entry *entry, const char *path, char out[PATH_MAX])
{
	size_t len = strlen(entry->mount_point);

	path += len;
	path += *path == '/';
	memmove(out, path, strlen(path) + 1);
}

static int find_entry(struct place *place, const char *text, const char *command, struct err *err)
{
	char path[PATH_MAX];
	int ret = mounts_resolve(&place->table, text != NULL ? text : ".", path, err);

	if (ret < 0)
		return ret;
	place->entry = mount_table_containing(&place->table, path);
	if (mount_entry_is_ours(place->entry)) {
		path_within(place->entry, path, place->path);
		return 0;
	}
	if (text != NULL)
		return err_set(err, -EINVAL, "%s is in no git-fs mount", path);
	return err_set(err, -EINVAL,
		       "the current folder is in no git-fs mount; name one: git-fs %s DIR "
		       "(git-fs list shows them)",
		       command);
}

int place_find(struct place *out, const char *text, const char *command, struct err *err)
{
	struct place place = PLACE_INIT;
	int ret = mount_table_read(&place.table, err);

	if (ret == 0)
		ret = find_entry(&place, text, command, err);
	if (ret == 0)
		ret = daemons_ask(&place.daemons, err);
	if (ret < 0) {
		place_release(&place);
		return ret;
	}
	place.daemon = daemons_find(&place.daemons, place.entry);
	*out = place;
	return 0;
}

bool place_is_writable(const struct place *place, struct err *err)
{
	const char *writable;

	if (place->daemon == NULL) {
		err_set(err, ERR_UNREACHABLE,
			"the daemon of %s does not answer; git-fs status tells more",
			place->entry->mount_point);
		return false;
	}
	writable = facts_get(&place->daemon->facts, "writable");
	if (writable != NULL && strcmp(writable, "yes") == 0)
		return true;
	err_set(err, -EROFS, "%s is mounted read-only: nothing in it has changed",
		place->entry->mount_point);
	return false;
}

int place_find_writable(struct place *out, const char *text, const char *command,
			struct err *err)
{
	struct place place = PLACE_INIT;
	int ret = place_find(&place, text, command, err);

	if (ret < 0)
		return ret;
	if (!place_is_writable(&place, err)) {
		place_release(&place);
		return -EROFS;
	}
	ret = probe_flush(place.entry->mount_point, PROBE_FLUSH_MS);
	if (ret < 0) {
		err_sys(err, -ret, "what programs have written to %s does not come to its daemon",
			place.entry->mount_point);
		place_release(&place);
		return ret;
	}
	*out = place;
	return 0;
}

int place_path(const struct place *place, const char *from, const char *text,
	       char out[PATH_MAX], struct err *err)
{
	char joined[PATH_MAX];
	char path[PATH_MAX];
	int ret = 0;

	if (from != NULL && text[0] != '/') {
		ret = paths_join(joined, from, text);
		text = joined;
	}
	if (ret < 0)
		return err_sys(err, -ret, "%s", text);
	ret = mounts_resolve(&place->table, text, path, err);
	if (ret < 0)
		return ret;
	if (mount_table_containing(&place->table, path) != place->entry)
		return err_set(err, -EINVAL, "%s is not in the mount at %s", path,
			       place->entry->mount_point);
	path_within(place->entry, path, out);
	return 0;
}

int place_ask(const struct daemon *daemon, const char *const *words, control_line_fn *line,
	      void *arg, struct err *err)
{
	char runtime[PATH_MAX];
	char path[PATH_MAX];
	int ret = paths_find_runtime(runtime, err);

	if (ret < 0)
		return ret;
	ret = paths_socket(runtime, daemon->pid, path);
	if (ret < 0)
		return err_sys(err, -ret, "the control socket");
	return control_call(path, words, line, arg, ASK_TIMEOUT_MS, err);
}
