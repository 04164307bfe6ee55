/*
 * What the kernel remembers and we have changed. A name that it does not remember may still
 * stand in a listing that it keeps, or be missing there, and then telling it of the name
 * does nothing: so each folder is named as well, which drops its listing.
 *
 * -ENOENT (it does not know the node) and -ENOTCONN (the mount is gone) are as good as
 * success.
 */
#define FUSE_USE_VERSION 314

#include <fuse_lowlevel.h>
#include <string.h>

#include "fuse/session_internal.h"

void session_outdated(struct session *session, const struct outdated *outdated)
{
	uint64_t told = 0;

	for (size_t i = 0; i < outdated->names_count; i++) {
		const struct outdated_name *name = &outdated->names[i];

		fuse_lowlevel_notify_inval_entry(session->se, name->parent, name->name,
						 strlen(name->name));
		if (name->parent != told)
			fuse_lowlevel_notify_inval_inode(session->se, name->parent, 0, 0);
		told = name->parent;
	}
	for (size_t i = 0; i < outdated->ids_count; i++)
		fuse_lowlevel_notify_inval_inode(session->se, outdated->ids[i], 0, 0);
}
