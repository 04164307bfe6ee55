#include "worktree/want.h"

#include <errno.h>
#include <stdlib.h>

void want_release(struct want *want)
{
	free(want->oids);
	*want = (struct want)WANT_INIT;
}

int want_one(struct want *want, enum want_kind kind, const struct oid *oid)
{
	struct oid *oids = malloc(sizeof(*oids));

	if (oids == NULL)
		return -ENOMEM;
	*oids = *oid;
	want_release(want);
	*want = (struct want){ .kind = kind, .oids = oids, .count = 1, .likely = false };
	return 0;
}
