/*
 * The interface's own part: calls through the table, so that callers need not
 * know what an implementer may leave out.
 */
#include "remote/remote.h"

int remote_resolve(struct remote *remote, const char *spec, struct remote_ref *out,
		   const struct cancel *cancel, struct err *err)
{
	return remote->ops->resolve(remote, spec, out, cancel, err);
}

int remote_fetch(struct remote *remote, const struct oid *oids, size_t count,
		 struct object_sink *sink, size_t *missing_out, const struct cancel *cancel,
		 struct err *err)
{
	return remote->ops->fetch(remote, oids, count, sink, missing_out, cancel, err);
}

int remote_list(struct remote *remote, const struct remote_list *what, struct object_sink *sink,
		const struct cancel *cancel, struct err *err)
{
	return remote->ops->list(remote, what, sink, cancel, err);
}

int remote_sizes(struct remote *remote, const struct oid *oids, size_t count, uint64_t *sizes_out,
		 const struct cancel *cancel, struct err *err)
{
	return remote->ops->sizes(remote, oids, count, sizes_out, cancel, err);
}

int remote_publish(struct remote *remote, const struct change_set *changes,
		   struct oid *commit_out, const struct cancel *cancel, struct err *err)
{
	if (remote->ops->publish == NULL)
		return err_set(err, ERR_UNSUPPORTED, "this remote takes no changes");
	return remote->ops->publish(remote, changes, commit_out, cancel, err);
}

int remote_watch(struct remote *remote, const char *ref, const struct oid *known,
		 unsigned interval_ms, unsigned timeout_ms, struct remote_ref *out,
		 const struct cancel *cancel, struct err *err)
{
	return remote->ops->watch(remote, ref, known, interval_ms, timeout_ms, out, cancel, err);
}

unsigned remote_features(struct remote *remote)
{
	return remote->ops->features(remote);
}

int remote_algo(struct remote *remote, enum hash_algo *out, const struct cancel *cancel,
		struct err *err)
{
	return remote->ops->algo(remote, out, cancel, err);
}

void remote_traffic(struct remote *remote, struct remote_traffic *out)
{
	remote->ops->traffic(remote, out);
}

void remote_free(struct remote *remote)
{
	if (remote != NULL)
		remote->ops->free(remote);
}
