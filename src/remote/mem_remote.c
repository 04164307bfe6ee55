/*
 * The in-memory remote: objects in a map, refs in a list, one lock over both.
 *
 * The lock is held for look-ups alone, never while a sink is called or a delay
 * passes: an object in use is kept by a count, so that forgetting it takes it
 * from the map and frees it with the last user. Watchers wait for `changed` and
 * look at their cancel every WATCH_SLICE_MS, because its descriptor cannot
 * signal a condition variable.
 */
#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "git/commit.h"
#include "git/hash.h"
#include "remote/ls_refs.h"
#include "remote/mem_internal.h"

#define HEAD_REF "refs/heads/main"
#define WATCH_SLICE_MS 10U
#define PIECE_BYTES ((size_t)64 << 10) /* of an object that is streamed */
#define TAG_CHAIN_MAX 64               /* tags of tags */

static struct mem_object *find_locked(struct mem_remote *mem, const struct oid *oid)
{
	struct map_node *node = map_find(&mem->objects, oid_hash(oid));

	for (; node != NULL; node = map_find_next(node)) {
		struct mem_object *object = MAP_ENTRY(node, struct mem_object, node);

		if (oid_equal(&object->oid, oid))
			return object;
	}
	return NULL;
}

struct mem_object *mem_object_get(struct mem_remote *mem, const struct oid *oid)
{
	WITH_LOCK(&mem->lock);
	struct mem_object *object = find_locked(mem, oid);

	if (object != NULL)
		object->refs++;
	return object;
}

static void put_locked(struct mem_object *object)
{
	assert(object->refs > 0);
	if (--object->refs == 0)
		free(object);
}

void mem_object_put(struct mem_remote *mem, struct mem_object *object)
{
	WITH_LOCK(&mem->lock);
	if (object != NULL)
		put_locked(object);
}

static int object_id(enum hash_algo algo, enum object_type type, const void *data, size_t len,
		     struct oid *out)
{
	struct hasher *hasher = hasher_new(algo);

	if (hasher == NULL)
		return -ENOMEM;
	int rc = hasher_object(hasher, type, data, len, out);
	hasher_free(hasher);
	return rc;
}

int mem_remote_add(struct mem_remote *mem, enum object_type type, const void *data, size_t len,
		   struct oid *out)
{
	struct mem_object *object;
	struct oid oid;
	size_t bytes;
	int rc = object_id(mem->algo, type, data, len, &oid);

	if (rc < 0)
		return rc;
	if (__builtin_add_overflow(sizeof(*object), len, &bytes))
		return ERR_LIMIT;
	object = malloc(bytes);
	if (object == NULL)
		return -ENOMEM;
	*object = (struct mem_object){ .refs = 1, .type = type, .oid = oid, .size = len };
	if (len > 0)
		memcpy(object->data, data, len);

	WITH_LOCK(&mem->lock);
	if (find_locked(mem, &oid) != NULL)
		free(object);
	else
		rc = map_insert(&mem->objects, &object->node, oid_hash(&oid));
	if (rc < 0) {
		free(object);
		return rc;
	}
	*out = oid;
	return 0;
}

void mem_remote_forget(struct mem_remote *mem, const struct oid *oid)
{
	WITH_LOCK(&mem->lock);
	struct mem_object *object = find_locked(mem, oid);

	if (object == NULL)
		return;
	map_remove(&mem->objects, &object->node);
	put_locked(object);
}

struct mem_ref *mem_ref_find_locked(struct mem_remote *mem, const char *name)
{
	struct mem_ref *ref = mem->refs;

	while (ref != NULL && strcmp(ref->name, name) != 0)
		ref = ref->next;
	return ref;
}

static void remove_ref_locked(struct mem_remote *mem, const char *name)
{
	for (struct mem_ref **link = &mem->refs; *link != NULL; link = &(*link)->next) {
		struct mem_ref *ref = *link;

		if (strcmp(ref->name, name) == 0) {
			*link = ref->next;
			free(ref);
			return;
		}
	}
}

int mem_ref_set_locked(struct mem_remote *mem, const char *name, const struct oid *oid)
{
	struct mem_ref *ref = mem_ref_find_locked(mem, name);

	if (ref == NULL) {
		ref = calloc(1, sizeof(*ref));
		if (ref == NULL)
			return -ENOMEM;
		memcpy(ref->name, name, strlen(name));
		ref->next = mem->refs;
		mem->refs = ref;
	}
	ref->oid = *oid;
	pthread_cond_broadcast(&mem->changed);
	return 0;
}

int mem_remote_set_ref(struct mem_remote *mem, const char *ref, const struct oid *oid)
{
	if (strncmp(ref, "refs/", 5) != 0 || strlen(ref) >= REF_NAME_MAX)
		return -EINVAL;
	WITH_LOCK(&mem->lock);
	if (oid == NULL) {
		remove_ref_locked(mem, ref);
		pthread_cond_broadcast(&mem->changed);
		return 0;
	}
	if (find_locked(mem, oid) == NULL)
		return ERR_NOT_FOUND;
	return mem_ref_set_locked(mem, ref, oid);
}

void mem_remote_set_faults(struct mem_remote *mem, unsigned delay_ms, unsigned fail_count,
			   int fail_code)
{
	assert(fail_count == 0 || fail_code < 0);
	WITH_LOCK(&mem->lock);
	mem->delay_ms = delay_ms;
	mem->fail_count = fail_count;
	mem->fail_code = fail_code;
}

void mem_remote_counts(struct mem_remote *mem, struct mem_remote_counts *out)
{
	WITH_LOCK(&mem->lock);
	*out = mem->counts;
}

static int cancelled(struct err *err)
{
	return err_set(err, ERR_CANCELLED, "given up");
}

/* ERR_CANCELLED, or 0 after that time. */
static int pause_ms(unsigned ms, const struct cancel *cancel, struct err *err)
{
	struct pollfd fd = { .fd = cancel != NULL ? cancel->fd : -1, .events = POLLIN };
	uint64_t end = mono_ns() + ms * NS_PER_MS;

	for (;;) {
		uint64_t now = mono_ns();

		if (cancel_is_set(cancel))
			return cancelled(err);
		if (now >= end)
			return 0;
		struct timespec left = { .tv_sec = (time_t)((end - now) / NS_PER_S),
					 .tv_nsec = (long)((end - now) % NS_PER_S) };
		if (ppoll(&fd, 1, &left, NULL) < 0 && errno != EINTR)
			return err_sys(err, errno, "cannot wait");
	}
}

int mem_enter(struct mem_remote *mem, const struct cancel *cancel, struct err *err)
{
	unsigned delay_ms;

	{
		WITH_LOCK(&mem->lock);
		mem->traffic.requests++;
		delay_ms = mem->delay_ms;
	}
	int rc = pause_ms(delay_ms, cancel, err);
	if (rc < 0)
		return rc;
	WITH_LOCK(&mem->lock);
	if (mem->fail_count == 0)
		return 0;
	mem->fail_count--;
	return err_set(err, mem->fail_code, "the remote was told to fail: %s",
		       err_name(mem->fail_code));
}

/* Follows tags to the commit. ERR_NOT_FOUND where it ends at something else. */
static int peel_locked(struct mem_remote *mem, const struct oid *oid, struct oid *out)
{
	struct oid at = *oid;

	for (unsigned i = 0; i < TAG_CHAIN_MAX; i++) {
		const struct mem_object *object = find_locked(mem, &at);
		struct tag tag;

		if (object != NULL && object->type == OBJECT_COMMIT) {
			*out = at;
			return 0;
		}
		if (object == NULL || object->type != OBJECT_TAG)
			return ERR_NOT_FOUND;
		int rc = tag_parse(&tag, object->data, object->size, mem->algo);
		if (rc < 0)
			return rc;
		at = tag.object;
	}
	return ERR_LIMIT;
}

/* Fills *out for something called `name` ("" for an id alone). */
static int tell_locked(struct mem_remote *mem, const char *name, const struct oid *oid,
		       struct remote_ref *out, struct err *err)
{
	struct oid commit;
	int rc = peel_locked(mem, oid, &commit);

	if (rc < 0) {
		char hex[OID_HEX_MAX + 1];

		return err_set(err, rc, "%s is no commit of this repository",
			       name[0] != '\0' ? name : oid_to_hex(oid, hex));
	}
	memset(out->name, 0, sizeof(out->name));
	memcpy(out->name, name, strlen(name));
	out->oid = *oid;
	out->commit = commit;
	return 0;
}

static int mem_resolve(struct remote *remote, const char *spec, struct remote_ref *out,
		       const struct cancel *cancel, struct err *err)
{
	struct mem_remote *mem = mem_of(remote);
	struct ref_candidates candidates;
	struct oid oid;
	int rc = mem_enter(mem, cancel, err);

	if (rc < 0)
		return rc;
	bool is_id = oid_from_hex(&oid, spec, strlen(spec)) == 0;
	if (!is_id) {
		rc = ref_candidates_of(&candidates, spec, err);
		if (rc < 0)
			return rc;
	}

	WITH_LOCK(&mem->lock);
	if (is_id)
		return tell_locked(mem, "", &oid, out, err);
	for (size_t i = 0; i < candidates.count; i++) {
		const char *name = candidates.names[i];
		const struct mem_ref *ref =
			mem_ref_find_locked(mem, strcmp(name, "HEAD") == 0 ? HEAD_REF : name);

		if (ref != NULL)
			return tell_locked(mem, ref->name, &ref->oid, out, err);
	}
	if (mem->refs == NULL)
		return err_set(err, ERR_NOT_FOUND, "the repository is empty");
	return err_set(err, ERR_NOT_FOUND, "no branch, tag or ref '%s'",
		       spec[0] != '\0' ? spec : "HEAD");
}

static int mem_watch(struct remote *remote, const char *name, const struct oid *known,
		     unsigned interval_ms, unsigned timeout_ms, struct remote_ref *out,
		     const struct cancel *cancel, struct err *err)
{
	struct mem_remote *mem = mem_of(remote);
	uint64_t end = mono_ns() + timeout_ms * NS_PER_MS;
	int rc = mem_enter(mem, cancel, err);

	(void)interval_ms; /* changes are told at once */
	if (rc < 0)
		return rc;
	WITH_LOCK(&mem->lock);
	for (;;) {
		const struct mem_ref *ref = mem_ref_find_locked(mem, name);
		struct remote_ref now;

		if (ref == NULL)
			return err_set(err, ERR_NOT_FOUND, "%s is gone", name);
		rc = tell_locked(mem, name, &ref->oid, &now, err);
		if (rc < 0)
			return rc;
		if (!oid_equal(&now.oid, known) && !oid_equal(&now.commit, known)) {
			*out = now;
			return 1;
		}
		if (cancel_is_set(cancel))
			return cancelled(err);
		uint64_t at = mono_ns(), slice = at + WATCH_SLICE_MS * NS_PER_MS;
		if (at >= end)
			return 0;
		cond_wait_until(&mem->changed, &mem->lock, slice < end ? slice : end);
	}
}

/* Streams an object, as a pack parser does with one too large to hold. */
static int give_pieces(const struct mem_object *object, struct object_sink *sink, struct err *err)
{
	void *stream = NULL;
	int rc = sink->begin(sink, object->type, object->size, &stream, err);

	if (rc < 0)
		return rc;
	for (size_t at = 0; at < object->size && rc >= 0; at += PIECE_BYTES) {
		size_t left = object->size - at;

		rc = sink->write(sink, stream, object->data + at,
				 left < PIECE_BYTES ? left : PIECE_BYTES, err);
	}
	if (rc >= 0)
		return sink->end(sink, stream, &object->oid, err);
	(void)sink->end(sink, stream, NULL, NULL);
	return rc;
}

int mem_give(struct mem_remote *mem, const struct mem_object *object, struct object_sink *sink,
	     struct err *err)
{
	const struct object whole = { .type = object->type,
				      .oid = object->oid,
				      .data = object->data,
				      .size = object->size };
	int rc = object->size <= OBJECT_WHOLE_MAX ? sink->object(sink, &whole, err)
						  : give_pieces(object, sink, err);

	if (rc < 0)
		return rc;
	WITH_LOCK(&mem->lock);
	mem->counts.objects++;
	mem->traffic.bytes_received += object->size;
	return 0;
}

static int mem_fetch(struct remote *remote, const struct oid *oids, size_t count,
		     struct object_sink *sink, size_t *missing_out, const struct cancel *cancel,
		     struct err *err)
{
	struct mem_remote *mem = mem_of(remote);
	size_t missing = 0;

	assert(count <= REMOTE_BATCH_MAX);
	int rc = mem_enter(mem, cancel, err);
	if (rc < 0)
		return rc;
	{
		WITH_LOCK(&mem->lock);
		mem->counts.fetches++;
	}
	for (size_t i = 0; i < count; i++) {
		struct mem_object *object = mem_object_get(mem, &oids[i]);

		if (object == NULL) {
			missing++;
			continue;
		}
		rc = cancel_is_set(cancel) ? cancelled(err) : mem_give(mem, object, sink, err);
		mem_object_put(mem, object);
		if (rc < 0)
			return rc;
	}
	if (missing_out != NULL)
		*missing_out = missing;
	return 0;
}

static int mem_sizes(struct remote *remote, const struct oid *oids, size_t count,
		     uint64_t *sizes_out, const struct cancel *cancel, struct err *err)
{
	struct mem_remote *mem = mem_of(remote);
	int rc = mem_enter(mem, cancel, err);

	if (rc < 0)
		return rc;
	if ((mem->features & REMOTE_TELLS_SIZES) == 0)
		return err_set(err, ERR_UNSUPPORTED, "the remote tells no sizes");
	WITH_LOCK(&mem->lock);
	mem->counts.sizes++;
	for (size_t i = 0; i < count; i++) {
		const struct mem_object *object = find_locked(mem, &oids[i]);

		sizes_out[i] = object != NULL && object->type == OBJECT_BLOB ? object->size
									     : SIZE_NOT_TOLD;
	}
	return 0;
}

static unsigned mem_features(struct remote *remote)
{
	return mem_of(remote)->features;
}

static int mem_algo(struct remote *remote, enum hash_algo *out, const struct cancel *cancel,
		    struct err *err)
{
	int rc = mem_enter(mem_of(remote), cancel, err);

	if (rc == 0)
		*out = mem_of(remote)->algo;
	return rc;
}

static void mem_traffic(struct remote *remote, struct remote_traffic *out)
{
	struct mem_remote *mem = mem_of(remote);

	WITH_LOCK(&mem->lock);
	*out = mem->traffic;
}

static void mem_free(struct remote *remote)
{
	struct mem_remote *mem = mem_of(remote);
	struct map_node *node = map_first(&mem->objects);

	while (node != NULL) {
		struct mem_object *object = MAP_ENTRY(node, struct mem_object, node);

		node = map_next(&mem->objects, node);
		free(object);
	}
	map_release(&mem->objects);
	while (mem->refs != NULL) {
		struct mem_ref *ref = mem->refs;

		mem->refs = ref->next;
		free(ref);
	}
	pthread_cond_destroy(&mem->changed);
	pthread_mutex_destroy(&mem->lock);
	free(mem);
}

struct mem_remote *mem_remote_new(enum hash_algo algo, unsigned features)
{
	static const struct remote_ops ops = {
		.resolve = mem_resolve,
		.fetch = mem_fetch,
		.list = mem_list,
		.sizes = mem_sizes,
		.publish = mem_publish,
		.watch = mem_watch,
		.features = mem_features,
		.algo = mem_algo,
		.traffic = mem_traffic,
		.free = mem_free,
	};
	struct mem_remote *mem = calloc(1, sizeof(*mem));

	if (mem == NULL)
		return NULL;
	mem->base.ops = &ops;
	mem->algo = algo;
	mem->features = features;
	if (cond_init(&mem->changed) < 0) {
		free(mem);
		return NULL;
	}
	pthread_mutex_init(&mem->lock, NULL);
	return mem;
}

struct remote *mem_remote_base(struct mem_remote *mem)
{
	return &mem->base;
}
