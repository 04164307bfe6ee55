/*
 * The git remote's state, and how anything is asked of a server.
 *
 * What is known of a server grows:
 *
 *	nothing    requests are sent as nearly every server understands them
 *	algo       learnt from ids in an answer, or from a fetch that was served
 *	offer      the server was asked (over pipes, always: its advertisement
 *	           comes by itself); requests say what it offers and nothing else
 *	refused    filters that it turned down by their kind
 *
 * One asking: take a connection; have the greeting if it sends one; build the
 * request and send it. A connection that was good before and now ends without a
 * byte was closed while idle: once more on a fresh one. An answer that makes no
 * sense from a server of which nothing is known: learn its offer, build the
 * request anew, once more.
 */
#include "remote/git_remote.h"

#include <stdlib.h>
#include <string.h>

#include "remote/git_internal.h"
#include "remote/http.h"
#include "remote/local.h"

struct offer git_offer(struct git_remote *git)
{
	WITH_LOCK(&git->lock);
	return git->offer;
}

void git_learn_algo(struct git_remote *git, enum hash_algo algo)
{
	WITH_LOCK(&git->lock);
	if (git->algo == 0)
		git->algo = algo;
}

bool git_refused_oid(const struct response *response, struct oid *out)
{
	static const char words[] = "not our ref ";
	const char *at = response->refused ? strstr(response->refusal, words) : NULL;
	if (at == NULL)
		return false;
	at += sizeof(words) - 1;
	return oid_from_hex(out, at, strspn(at, "0123456789abcdef")) == 0;
}

/* Learns what the server offers, on this connection. */
static int discover(struct git_remote *git, struct transport *transport,
		    const struct cancel *cancel, struct err *err)
{
	__attribute__((cleanup(advert_release))) struct advert advert;
	struct offer offer;
	advert_init(&advert);
	int rc = transport->ops->discover(transport, &advert.response.answer, cancel, err);
	if (rc == 0 && advert.response.refused)
		rc = err_set(err, ERR_PROTOCOL, "%s", advert.response.refusal);
	if (rc == 0)
		rc = advert_offer(&advert, &offer, err);
	if (rc < 0)
		return rc;
	transport->greeted = true;
	WITH_LOCK(&git->lock);
	git->offer = offer;
	git->algo = offer.algo;
	return 0;
}

/* Sends what the question is by what is known now. */
static int ask_once(struct git_remote *git, struct transport *transport,
		    struct question *question, const struct cancel *cancel, struct err *err)
{
	AUTO_BUF struct buf body = BUF_INIT;
	struct v2_context context = { .agent = git->agent };
	{
		WITH_LOCK(&git->lock);
		context.offer = git->offer;
		context.algo = git->algo;
	}
	int rc = question->build(question, &context, &body, err);
	if (rc < 0)
		return rc;
	rc = transport->ops->request(transport, &body, &question->response->answer, cancel, err);
	if (rc < 0)
		return rc;
	if (!question->response->refused) {
		transport->proven = true;
		return 0;
	}
	/* Over a pipe, git ends itself after a refusal. */
	transport->broken = transport->broken || git->pool.endpoint->greets;
	return err_set(err, ERR_PROTOCOL, "the server refuses: %s", question->response->refusal);
}

/* Makes a connection ready for the question. */
static int prepare(struct git_remote *git, struct transport *transport,
		   const struct question *question, const struct cancel *cancel, struct err *err)
{
	bool greet = git->pool.endpoint->greets && !transport->greeted;
	if (!greet && (!question->needs_offer || git_offer(git).known))
		return 0;
	return discover(git, transport, cancel, err);
}

/* Whether the connection was closed behind our back, before the question. */
static bool died_idle(const struct transport *transport, int rc)
{
	return (rc == ERR_UNREACHABLE || rc == ERR_PROTOCOL) && transport->proven &&
	       !transport->answered;
}

/* Whether a failure may be due to what we did not know of the server. */
static bool worth_discovering(struct git_remote *git, const struct response *response, int rc)
{
	struct oid oid;
	return (rc == ERR_PROTOCOL || rc == ERR_NOT_FOUND || rc == ERR_UNSUPPORTED) &&
	       !response->begun && !git_refused_oid(response, &oid) && !git_offer(git).known;
}

static int ask_on(struct git_remote *git, struct transport **transport, struct question *question,
		  const struct cancel *cancel, struct err *err)
{
	int rc = 0;
	if (question->needs_fresh && git->pool.endpoint->greets && (*transport)->proven)
		rc = pool_replace(&git->pool, transport, err);
	if (rc == 0)
		rc = prepare(git, *transport, question, cancel, err);
	if (rc < 0)
		return rc;
	rc = ask_once(git, *transport, question, cancel, err);
	if (rc < 0 && died_idle(*transport, rc)) {
		rc = pool_replace(&git->pool, transport, err);
		if (rc == 0)
			rc = prepare(git, *transport, question, cancel, err);
		if (rc < 0)
			return rc;
		question->response->restart(question->response);
		rc = ask_once(git, *transport, question, cancel, err);
	}
	if (rc < 0 && worth_discovering(git, question->response, rc)) {
		rc = discover(git, *transport, cancel, err);
		if (rc < 0)
			return rc;
		question->response->restart(question->response);
		rc = ask_once(git, *transport, question, cancel, err);
	}
	return rc;
}

/* The server's faults name the server; a sink's failures and a cancel do not. */
static int finish(struct git_remote *git, int rc, struct err *err)
{
	if (rc >= 0 && err != NULL)
		*err = (struct err)ERR_INIT; /* of a first try */
	if (rc < 0 && err != NULL && err->code != rc)
		err_set(err, rc, "%s", err_name(rc));
	if (rc == ERR_PROTOCOL || rc == ERR_UNREACHABLE || rc == ERR_TIMEOUT || rc == ERR_AUTH ||
	    rc == ERR_NOT_FOUND || rc == ERR_UNSUPPORTED)
		err_prefix(err, "%s", git->address);
	return rc;
}

int git_ask(struct git_remote *git, struct question *question, const struct cancel *cancel,
	    struct err *err)
{
	struct transport *transport;
	int rc = pool_take(&git->pool, &transport, cancel, err);
	if (rc < 0)
		return rc;
	rc = ask_on(git, &transport, question, cancel, err);
	pool_give(&git->pool, transport);
	return finish(git, rc, err);
}

static int git_algo(struct remote *remote, enum hash_algo *out, const struct cancel *cancel,
		    struct err *err)
{
	struct git_remote *git = (struct git_remote *)(void *)remote;
	enum hash_algo algo;
	{
		WITH_LOCK(&git->lock);
		algo = git->algo;
	}
	if (algo != 0) {
		*out = algo;
		return 0;
	}
	struct transport *transport;
	int rc = pool_take(&git->pool, &transport, cancel, err);
	if (rc < 0)
		return rc;
	/* What greets by itself may have been greeted: then algo is known by now. */
	if (!transport->greeted || !git->pool.endpoint->greets)
		rc = discover(git, transport, cancel, err);
	pool_give(&git->pool, transport);
	if (finish(git, rc, err) < 0)
		return rc;
	*out = git_offer(git).algo;
	return 0;
}

static unsigned git_features(struct remote *remote)
{
	struct git_remote *git = (struct git_remote *)(void *)remote;
	unsigned features = REMOTE_LISTS_CHEAPLY | REMOTE_TELLS_SIZES;
	WITH_LOCK(&git->lock);
	bool filters = !git->offer.known || git->offer.filter;
	if (!filters || (git->refused & 1U << FILTER_BLOB_NONE) != 0)
		features &= ~(unsigned)REMOTE_LISTS_CHEAPLY;
	if (git->offer.known && !git->offer.object_info)
		features &= ~(unsigned)REMOTE_TELLS_SIZES;
	return features;
}

static void git_traffic(struct remote *remote, struct remote_traffic *out)
{
	struct git_remote *git = (struct git_remote *)(void *)remote;
	*out = (struct remote_traffic){
		.requests = atomic_load(&git->traffic.requests),
		.bytes_received = atomic_load(&git->traffic.received),
		.bytes_sent = atomic_load(&git->traffic.sent),
		.connections = atomic_load(&git->traffic.connections),
	};
}

static void git_free(struct remote *remote)
{
	struct git_remote *git = (struct git_remote *)(void *)remote;
	pool_release(&git->pool);
	pthread_mutex_destroy(&git->lock);
	free(git->address);
	free(git);
}

static int open_endpoint(struct git_remote *git, const struct url *url,
			 const struct remote_config *config, struct endpoint **out,
			 struct err *err)
{
	switch (url->scheme) {
	case URL_HTTP:
	case URL_HTTPS:
		return http_endpoint_new(out, url, config, &git->traffic, err);
	case URL_LOCAL:
		return local_endpoint_new(out, url, config, &git->traffic, err);
	case URL_SSH:
	case URL_GIT:
		break;
	}
	return err_set(err, ERR_UNSUPPORTED,
		       "%s: this version speaks http and https and reads paths; no ssh, no git://",
		       url->canonical);
}

int git_remote_new(struct remote **out, const struct url *url, const struct remote_config *config,
		   struct err *err)
{
	static const struct remote_ops ops = {
		.resolve = git_resolve,
		.fetch = git_fetch,
		.list = git_list,
		.sizes = git_sizes,
		.watch = git_watch,
		.features = git_features,
		.algo = git_algo,
		.traffic = git_traffic,
		.free = git_free,
	};
	struct endpoint *endpoint;
	struct git_remote *git = calloc(1, sizeof(*git));
	if (git == NULL)
		return err_set(err, -ENOMEM, "out of memory");
	git->base.ops = &ops;
	git->agent = config->user_agent;
	git->address = strdup(url->canonical);
	int rc = git->address != NULL ? pthread_mutex_init(&git->lock, NULL) : ENOMEM;
	if (rc != 0) {
		rc = err_sys(err, rc, "cannot make a remote");
		goto out_git;
	}
	rc = open_endpoint(git, url, config, &endpoint, err);
	if (rc < 0)
		goto out_lock;
	rc = pool_init(&git->pool, endpoint, &git->traffic, config->connections, err);
	if (rc < 0)
		goto out_endpoint;
	*out = &git->base;
	return 0;
out_endpoint:
	endpoint->ops->free(endpoint);
out_lock:
	pthread_mutex_destroy(&git->lock);
out_git:
	free(git->address);
	free(git);
	return rc;
}
