/*
 * The overlay of a writable mount: where it lies, who may have it, what it says of
 * itself. It belongs to repository, ref and name, wherever it is mounted.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "cli/channel.h"
#include "cli/lockfile.h"
#include "cli/overlays.h"
#include "cli/run_internal.h"
#include "cli/say.h"

/* What is acknowledged has to survive: so not in memory, nor on somebody else's disk. */
static int check_disk(const struct run *run, struct err *err)
{
	AUTO_CLOSE int fd = io_open(AT_FDCWD, run->overlay_dir, O_RDONLY | O_DIRECTORY, 0);
	enum io_fs kind = IO_FS_LOCAL;
	int ret = fd < 0 ? fd : io_fs_kind(fd, &kind);

	if (ret < 0)
		return err_sys(err, -ret, "cannot look at %s", run->overlay_dir);
	if (kind == IO_FS_LOCAL || run->spec->state_dir_unsafe)
		return 0;
	return err_set(err, ERR_UNSUPPORTED,
		       "%s is on %s, where local changes would not be safe; name a folder on a "
		       "local disk by --state-dir, or take the risk with --state-dir-unsafe",
		       run->overlay_dir, kind == IO_FS_MEMORY ? "a filesystem in memory" :
								"a network filesystem");
}

static int take_lock(struct run *run, struct err *err)
{
	struct lock_holder holder;
	char path[PATH_MAX];
	int ret = paths_join(path, run->overlay_dir, "lock");

	if (ret == 0)
		ret = lockfile_take(path, run->spec->dir, &run->overlay_lock_fd, &holder);
	if (ret == -EBUSY)
		return err_set(err, ret,
			       "the changes to this branch are open for writing at %s (process%s); "
			       "unmount that, or give this mount an overlay of its own: --overlay "
			       "NAME",
			       holder.place[0] != '\0' ? holder.place : "another mount",
			       holder.pid[0] != '\0' ? holder.pid : " unknown");
	return ret < 0 ? err_sys(err, -ret, "cannot lock %s", path) : 0;
}

/* For `list`, and for people. */
static int write_info(const struct run *run, const char *ref, struct err *err)
{
	AUTO_BUF struct buf info = BUF_INIT_MAX(3 * (size_t)PATH_MAX);
	char path[PATH_MAX];
	char clean[PATH_MAX];
	int ret;

	say_clean(clean, sizeof(clean), run->spec->dir);
	ret = buf_printf(&info, "repository=%s\nref=%s\noverlay=%s\nmount_point=%s\nhash=%s\n",
			 run->spec->url.canonical, ref, run->spec->overlay, clean,
			 hash_name((enum hash_algo)run->tip.ref.commit.algo));
	if (ret == 0)
		ret = paths_join(path, run->overlay_dir, "info");
	if (ret == 0)
		ret = io_replace_file(AT_FDCWD, path, info.data, info.len);
	return ret < 0 ? err_sys(err, -ret, "cannot write to %s", run->overlay_dir) : 0;
}

/* The ref that overlays belong to: its full name, or the commit that was asked for. */
static const char *ref_of(const struct run *run, char hex[OID_HEX_MAX + 1])
{
	return run->tip.ref.name[0] != '\0' ? run->tip.ref.name :
					      oid_to_hex(&run->tip.ref.commit, hex);
}

static bool is_another(const struct run *run, const struct overlay *overlay, const char *ref)
{
	return strcmp(overlay->repository, run->spec->url.canonical) == 0 &&
	       strcmp(overlay->ref, ref) == 0 && strcmp(overlay->folder, run->overlay_dir) != 0 &&
	       !overlay_in_use(overlay);
}

/* Changes that this mount does not show are not to be forgotten. */
void overlay_tell_others(const struct run *run)
{
	struct overlay_set set = OVERLAY_SET_INIT;
	char hex[OID_HEX_MAX + 1];

	if (overlays_read(&set, run->spec->paths.state, NULL) < 0)
		return;
	for (size_t i = 0; i < set.count; i++) {
		const struct overlay *overlay = &set.items[i];
		struct overlay_contents contents;
		char words[ERR_MSG_MAX];

		if (!is_another(run, overlay, ref_of(run, hex)) ||
		    overlay_look(overlay, &contents, NULL) < 0 || contents.changes == 0)
			continue;
		snprintf(words, sizeof(words),
			 "there are unpublished changes to this branch in the overlay %s: "
			 "mount --writable --overlay %s shows them",
			 overlay->name, overlay->name);
		/* A watcher that is gone is missed at the next step. */
		(void)!channel_send(run->channel, CHANNEL_NOTE, 0, words);
	}
	overlays_release(&set);
}

int overlay_take(struct run *run, struct err *err)
{
	const struct mount_spec *spec = run->spec;
	char hex[OID_HEX_MAX + 1];
	const char *ref = ref_of(run, hex);
	int ret = paths_overlay(&spec->paths, spec->url.canonical, ref, spec->overlay,
				run->overlay_dir);

	if (ret < 0)
		return err_sys(err, -ret, "the folder for the overlay");
	ret = paths_make(run->overlay_dir, false, err);
	if (ret == 0)
		ret = check_disk(run, err);
	if (ret == 0)
		ret = take_lock(run, err);
	if (ret == 0)
		ret = write_info(run, ref, err);
	return ret == -ENOSPC || ret == -EDQUOT ? 0 : ret; /* it is there from before, or missed */
}
