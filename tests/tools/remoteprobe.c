/*
 * Calls of the remote interface, from a shell:
 *
 *	remoteprobe [--timeout MS] [--cancel MS] URL CALL...
 *
 *	resolve=REF         ref NAME OID COMMIT
 *	list=DEPTH          of the commit resolved last (0: all levels)
 *	tree=OID,DEPTH      of a tree
 *	fetch=OID,OID,...   object TYPE OID SIZE, a line each, sorted; missing COUNT
 *	sizes=OID,OID,...   size OID SIZE (or "?")
 *	watch=REF,MS        of the commit resolved last: moved OID, or unmoved
 *	algo, features      one line
 *	sleep=MS
 *
 * All in one process, on one remote, in this order. After each call but sleep a
 * line `requests N connections N`: so many requests since the last such line. A
 * call that failed says `error NAME: WORDS`, NAME that of the errno; the exit code
 * is then 1. With --cancel everything is cancelled after that time.
 */
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "remote/git_remote.h"

#define OIDS_MAX REMOTE_BATCH_MAX

struct probe {
	struct object_sink base;
	struct remote *remote;
	struct cancel cancel;
	unsigned cancel_ms;
	struct oid commit;
	uint64_t requests;
	char **lines; /* of objects, to be sorted */
	size_t count;
	enum object_type type; /* of the stream that is open */
	uint64_t size;
};

static int note(struct probe *probe, enum object_type type, const struct oid *oid, uint64_t size)
{
	char hex[OID_HEX_MAX + 1];
	char **longer = realloc(probe->lines, (probe->count + 1) * sizeof(*longer));

	if (longer == NULL)
		return -ENOMEM;
	probe->lines = longer;
	if (asprintf(&longer[probe->count], "object %s %s %llu", object_type_name(type),
		     oid_to_hex(oid, hex), (unsigned long long)size) < 0)
		return -ENOMEM;
	probe->count++;
	return 0;
}

static int on_object(struct object_sink *sink, const struct object *object, struct err *err)
{
	(void)err;
	return note((struct probe *)(void *)sink, object->type, &object->oid, object->size);
}

static int on_begin(struct object_sink *sink, enum object_type type, uint64_t size,
		    void **stream_out, struct err *err)
{
	struct probe *probe = (struct probe *)(void *)sink;

	(void)err;
	probe->type = type;
	probe->size = size;
	*stream_out = probe;
	return 0;
}

static int on_write(struct object_sink *sink, void *stream, const uint8_t *data, size_t len,
		    struct err *err)
{
	(void)sink;
	(void)stream;
	(void)data;
	(void)len;
	(void)err;
	return 0;
}

static int on_end(struct object_sink *sink, void *stream, const struct oid *oid, struct err *err)
{
	struct probe *probe = stream;

	(void)sink;
	(void)err;
	return oid != NULL ? note(probe, probe->type, oid, probe->size) : 0;
}

static int on_read(struct object_sink *sink, const struct oid *oid, enum object_type *type_out,
		   struct buf *out)
{
	(void)sink;
	(void)oid;
	(void)type_out;
	(void)out;
	return ERR_NOT_FOUND; /* no thin packs are asked for */
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void print_objects(struct probe *probe)
{
	if (probe->count > 0)
		qsort(probe->lines, probe->count, sizeof(*probe->lines), by_text);
	for (size_t i = 0; i < probe->count; i++) {
		puts(probe->lines[i]);
		free(probe->lines[i]);
	}
	free(probe->lines);
	probe->lines = NULL;
	probe->count = 0;
}

/* OIDs with commas between; their number. */
static size_t parse_oids(const char *text, struct oid *out)
{
	size_t count = 0;

	while (*text != '\0' && count < OIDS_MAX) {
		size_t len = strcspn(text, ",");

		if (oid_from_hex(&out[count++], text, len) < 0) {
			fprintf(stderr, "remoteprobe: %s is no object id\n", text);
			exit(2);
		}
		text += len + (text[len] == ',');
	}
	return count;
}

static int do_resolve(struct probe *probe, const char *spec, struct err *err)
{
	struct remote_ref ref;
	char oid[OID_HEX_MAX + 1], commit[OID_HEX_MAX + 1];
	int rc = remote_resolve(probe->remote, spec, &ref, &probe->cancel, err);

	if (rc < 0)
		return rc;
	probe->commit = ref.commit;
	printf("ref %s %s %s\n", ref.name[0] != '\0' ? ref.name : "-", oid_to_hex(&ref.oid, oid),
	       oid_to_hex(&ref.commit, commit));
	return 0;
}

static int do_list(struct probe *probe, const char *depth, struct err *err)
{
	struct remote_list what = {
		.root = probe->commit,
		.path = "",
		.commit = probe->commit,
		.depth = (unsigned)strtoul(depth, NULL, 10),
	};

	return remote_list(probe->remote, &what, &probe->base, &probe->cancel, err);
}

static int do_tree(struct probe *probe, const char *text, struct err *err)
{
	struct oid oids[OIDS_MAX];
	char hex[OID_HEX_MAX + 1] = "";
	size_t len = strcspn(text, ",");
	struct remote_list what = { .path = "", .commit = probe->commit };

	if (len <= OID_HEX_MAX)
		memcpy(hex, text, len);
	if (parse_oids(hex, oids) != 1)
		exit(2);
	what.root = oids[0];
	what.depth = text[len] == ',' ? (unsigned)strtoul(text + len + 1, NULL, 10) : 1;
	return remote_list(probe->remote, &what, &probe->base, &probe->cancel, err);
}

static int do_fetch(struct probe *probe, const char *text, struct err *err)
{
	struct oid oids[OIDS_MAX];
	size_t missing = 0, count = parse_oids(text, oids);
	int rc = remote_fetch(probe->remote, oids, count, &probe->base, &missing, &probe->cancel,
			      err);

	if (rc == 0)
		printf("missing %zu\n", missing);
	return rc;
}

static int do_sizes(struct probe *probe, const char *text, struct err *err)
{
	struct oid oids[OIDS_MAX];
	uint64_t sizes[OIDS_MAX];
	size_t count = parse_oids(text, oids);
	int rc = remote_sizes(probe->remote, oids, count, sizes, &probe->cancel, err);

	for (size_t i = 0; rc == 0 && i < count; i++) {
		char hex[OID_HEX_MAX + 1];

		printf("size %s ", oid_to_hex(&oids[i], hex));
		if (sizes[i] == SIZE_NOT_TOLD)
			puts("?");
		else
			printf("%llu\n", (unsigned long long)sizes[i]);
	}
	return rc;
}

static int do_watch(struct probe *probe, const char *text, struct err *err)
{
	char ref[REF_NAME_MAX], hex[OID_HEX_MAX + 1];
	struct remote_ref moved;
	size_t len = strcspn(text, ",");
	unsigned ms = text[len] == ',' ? (unsigned)strtoul(text + len + 1, NULL, 10) : 0;

	snprintf(ref, sizeof(ref), "%.*s", (int)len, text);
	int rc = remote_watch(probe->remote, ref, &probe->commit, 50, ms, &moved, &probe->cancel,
			      err);
	if (rc == 1)
		printf("moved %s\n", oid_to_hex(&moved.oid, hex));
	else if (rc == 0)
		puts("unmoved");
	return rc;
}

static int do_algo(struct probe *probe, const char *text, struct err *err)
{
	enum hash_algo algo;
	int rc = remote_algo(probe->remote, &algo, &probe->cancel, err);

	(void)text;
	if (rc == 0)
		printf("algo %s\n", hash_name(algo));
	return rc;
}

static int do_features(struct probe *probe, const char *text, struct err *err)
{
	unsigned features = remote_features(probe->remote);

	(void)text;
	(void)err;
	printf("features%s%s%s\n", features & REMOTE_LISTS_CHEAPLY ? " lists-cheaply" : "",
	       features & REMOTE_TELLS_SIZES ? " tells-sizes" : "",
	       features & REMOTE_PUBLISHES ? " publishes" : "");
	return 0;
}

static const struct {
	const char *name;
	int (*run)(struct probe *probe, const char *text, struct err *err);
} calls[] = {
	{ "resolve=", do_resolve }, { "list=", do_list },   { "tree=", do_tree },
	{ "fetch=", do_fetch },	    { "sizes=", do_sizes }, { "watch=", do_watch },
	{ "algo", do_algo },	    { "features", do_features },
};

static int run_call(struct probe *probe, const char *call)
{
	struct err err = ERR_INIT;
	struct remote_traffic traffic;
	size_t i = 0, count = sizeof(calls) / sizeof(calls[0]);

	if (strncmp(call, "sleep=", 6) == 0) {
		fflush(stdout);
		usleep((useconds_t)strtoul(call + 6, NULL, 10) * 1000);
		return 0;
	}
	while (i < count && strncmp(call, calls[i].name, strlen(calls[i].name)) != 0)
		i++;
	if (i == count) {
		fprintf(stderr, "remoteprobe: no call %s\n", call);
		exit(2);
	}
	int rc = calls[i].run(probe, call + strlen(calls[i].name), &err);
	print_objects(probe);
	if (rc < 0)
		printf("error %s: %s\n", strerrorname_np(-rc), err.msg);
	remote_traffic(probe->remote, &traffic);
	printf("requests %llu connections %u\n",
	       (unsigned long long)(traffic.requests - probe->requests), traffic.connections);
	probe->requests = traffic.requests;
	return rc;
}

static void *cancel_later(void *arg)
{
	struct probe *probe = arg;

	usleep((useconds_t)probe->cancel_ms * 1000);
	cancel_set(&probe->cancel);
	return NULL;
}

/* The options before URL; the index of that. */
static int parse_options(int argc, char **argv, struct probe *probe, struct remote_config *config)
{
	int at = 1;

	for (; at + 1 < argc && strncmp(argv[at], "--", 2) == 0; at += 2) {
		unsigned ms = (unsigned)strtoul(argv[at + 1], NULL, 10);

		if (strcmp(argv[at], "--timeout") == 0)
			config->timeout_ms = ms;
		else if (strcmp(argv[at], "--cancel") == 0)
			probe->cancel_ms = ms;
		else
			exit(2);
	}
	return at;
}

int main(int argc, char **argv)
{
	struct remote_config config = {
		.timeout_ms = 20000,
		.connections = 2,
		.user_agent = "git-fs/probe",
	};
	struct probe probe = {
		.base = { on_object, on_begin, on_write, on_end, on_read },
	};
	static struct url url;
	struct err err = ERR_INIT;
	char cwd[PATH_MAX];
	pthread_t timer;
	int at = parse_options(argc, argv, &probe, &config), status = 0;

	signal(SIGPIPE, SIG_IGN);
	if (at >= argc || getcwd(cwd, sizeof(cwd)) == NULL || cancel_init(&probe.cancel) < 0)
		return 2;
	if (url_parse(&url, argv[at], "github.com", cwd, &err) < 0 ||
	    git_remote_new(&probe.remote, &url, &config, &err) < 0) {
		printf("error %s: %s\n", strerrorname_np(-err.code), err.msg);
		return 1;
	}
	url_wipe(&url);
	if (probe.cancel_ms > 0 && thread_start(&timer, "timer", cancel_later, &probe) < 0)
		return 2;
	for (at++; at < argc; at++)
		if (run_call(&probe, argv[at]) < 0)
			status = 1;
	if (probe.cancel_ms > 0)
		pthread_join(timer, NULL);
	remote_free(probe.remote);
	cancel_release(&probe.cancel);
	return status;
}
