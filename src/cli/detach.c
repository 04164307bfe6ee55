/* Taking a mount away; see detach.h. */
#include "cli/detach.h"

#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/proc.h"

#define FUSERMOUNT_TIMEOUT_MS 30000

static int by_fusermount(const char *mount_point, bool lazy, struct err *err)
{
	AUTO_BUF struct buf out = BUF_INIT_MAX(1024);
	AUTO_BUF struct buf errors = BUF_INIT_MAX(1024);
	/* In the C locale, so that "busy" can be told from its words. */
	const char *const env[] = { "LC_ALL=C", NULL };
	const char *const argv[] = { "fusermount3", "-u", lazy ? "-z" : "--", mount_point, NULL };
	const char *words;
	int ret = proc_run(argv, env, NULL, &out, &errors, FUSERMOUNT_TIMEOUT_MS, err);

	if (ret <= 0)
		return ret;
	words = buf_str(&errors);
	if (strstr(words, strerror(EBUSY)) != NULL || strstr(words, "resource busy") != NULL)
		return err_set(err, -EBUSY, "%s is busy", mount_point);
	return err_set(err, -EPERM, "cannot unmount %s: %.*s", mount_point,
		       (int)strcspn(words, "\n"), words);
}

int detach_mount(const char *mount_point, bool lazy, struct err *err)
{
	int flags = UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0);

	if (geteuid() == 0) {
		if (umount2(mount_point, flags) == 0)
			return 0;
		if (errno == EBUSY)
			return err_set(err, -EBUSY, "%s is busy", mount_point);
		if (errno != EPERM)
			return err_sys(err, errno, "cannot unmount %s", mount_point);
	}
	return by_fusermount(mount_point, lazy, err);
}
