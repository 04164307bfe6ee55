/*
 * Objects: fetch, list, sizes.
 *
 * A fetch wants ids and names a filter, so that nothing else comes. What git's
 * own server sends (measured against 2.39):
 *
 *	want                    filter                     comes
 *	commit                  tree:1                     it and its top tree
 *	commit                  combine:blob:none+tree:N   it and N levels of trees
 *	tree                    tree:0                     that tree alone
 *	tree                    combine:blob:none+tree:N   N + 1 levels of trees
 *	commit or tree          blob:none                  all trees below
 *	anything, mixed         tree:0                     just these
 *
 * (The depth is counted from what a wanted thing points to, and what is wanted
 * by name is never filtered, with an exception: what git meets on its way from
 * another wanted thing, it takes for a part of that and leaves out: the top tree
 * of a wanted commit, a file of a wanted tree. So a fetch goes in rounds: what was
 * wanted and has not come is asked for again, without that which has. What is not
 * below any other wanted thing always comes, so each round gets further; most
 * fetches are of files alone and have one.) Hosts allow filters one by one; the ladders below
 * go from the finest to none at all. A rung that was refused is remembered as
 * soon as a coarser one has worked, which shows that it was the filter.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "remote/fetch_response.h"
#include "remote/git_internal.h"
#include "remote/object_info.h"
#include "remote/wanted.h"

/* Sizes asked for in one request. Below 512 KiB, even where it is not packed. */
#define SIZES_BATCH_MAX ((size_t)5000)

struct fetch_question {
	struct question question;
	struct fetch_response response;
	const struct oid *oids;
	size_t count;
	enum filter filter;
	unsigned tree_depth;
};

static int fetch_build(struct question *question, const struct v2_context *context,
		       struct buf *body, struct err *err)
{
	struct fetch_question *fetch = (struct fetch_question *)(void *)question;
	enum hash_algo algo = (enum hash_algo)fetch->oids[0].algo;
	if (context->algo != 0 && context->algo != algo)
		return err_set(err, ERR_NOT_FOUND, "its object ids are of %s, not of %s",
			       hash_name(context->algo), hash_name(algo));
	struct v2_context own = *context;
	own.algo = algo;
	int rc = v2_fetch(body, &own, fetch->oids, fetch->count, fetch->filter, fetch->tree_depth);
	return rc < 0 ? err_set(err, rc, "cannot ask for objects") : 0;
}

static void fetch_question_init(struct fetch_question *fetch, const struct oid *oids,
				size_t count, struct object_sink *sink)
{
	*fetch = (struct fetch_question){ .oids = oids, .count = count };
	fetch_response_init(&fetch->response, (enum hash_algo)oids[0].algo, sink);
	fetch->question.build = fetch_build;
	fetch->question.response = &fetch->response.response;
}

static void fetch_question_release(struct fetch_question *fetch)
{
	fetch_response_release(&fetch->response);
}

#define AUTO_FETCH __attribute__((cleanup(fetch_question_release)))

/* Whether a failed fetch may have failed for its filter. */
static bool filter_at_fault(struct git_remote *git, const struct fetch_question *fetch, int rc)
{
	struct oid oid;
	struct offer offer = git_offer(git);
	return rc == ERR_PROTOCOL && fetch->filter != FILTER_NONE &&
	       !fetch->response.response.begun &&
	       !git_refused_oid(&fetch->response.response, &oid) && (!offer.known || offer.filter);
}

/* Asks with the finest filter of the ladder (which FILTER_NONE ends) that was
 * not refused before, then with coarser ones. */
static int fetch_by_ladder(struct git_remote *git, struct fetch_question *fetch,
			   const enum filter *ladder, const struct cancel *cancel,
			   struct err *err)
{
	unsigned refused;
	{
		WITH_LOCK(&git->lock);
		refused = git->refused;
	}
	while ((refused & 1U << *ladder) != 0)
		ladder++;
	for (;;) {
		fetch->filter = *ladder;
		int rc = git_ask(git, &fetch->question, cancel, err);
		if (rc < 0 && filter_at_fault(git, fetch, rc)) {
			refused |= 1U << *ladder;
			ladder++;
			fetch->question.response->restart(fetch->question.response);
			continue;
		}
		if (rc < 0)
			return rc;
		WITH_LOCK(&git->lock);
		git->refused |= refused;
		return 0;
	}
}

/* One round: asks for what is still wanted. 1: less is wanted now; 0: nothing
 * that was wanted came. *missing_out grows by the ids that the server does not
 * know. */
static int fetch_round(struct git_remote *git, struct wanted *wanted, const enum filter *ladder,
		       size_t *missing_out, const struct cancel *cancel, struct err *err)
{
	AUTO_FETCH struct fetch_question fetch;
	struct oid unknown;
	fetch_question_init(&fetch, wanted->oids, wanted->count, &wanted->base);
	int rc = fetch_by_ladder(git, &fetch, ladder, cancel, err);
	if (rc >= 0) {
		git_learn_algo(git, (enum hash_algo)wanted->oids[0].algo);
		return wanted_drop_came(wanted) > 0;
	}
	size_t dropped = 0;
	if (git_refused_oid(&fetch.response.response, &unknown))
		dropped = wanted_drop(wanted, &unknown);
	if (dropped == 0)
		return rc;
	*missing_out += dropped;
	if (err != NULL)
		*err = (struct err)ERR_INIT;
	return 1;
}

/* Rounds until all came or are known to be missing. What a filtered round that
 * brought nothing has left is asked for once without filters; what is left then
 * is missing too. */
static int fetch_rounds(struct git_remote *git, struct wanted *wanted, size_t *missing_out,
			const struct cancel *cancel, struct err *err)
{
	static const enum filter ladder[] = { FILTER_TREE, FILTER_BLOB_NONE, FILTER_NONE };
	static const enum filter last[] = { FILTER_NONE };
	const enum filter *now = ladder;
	while (wanted->count > 0) {
		int rc = fetch_round(git, wanted, now, missing_out, cancel, err);
		if (rc < 0)
			return rc;
		if (rc == 0 && now == last)
			break;
		if (rc == 0)
			now = last;
	}
	*missing_out += wanted->count;
	return 0;
}

int git_fetch(struct remote *remote, const struct oid *oids, size_t count,
	      struct object_sink *sink, size_t *missing_out, const struct cancel *cancel,
	      struct err *err)
{
	struct git_remote *git = (struct git_remote *)(void *)remote;
	struct wanted wanted;
	size_t missing = 0;
	assert(count <= REMOTE_BATCH_MAX);
	int rc = wanted_init(&wanted, oids, count, sink);
	if (rc < 0)
		return err_set(err, rc, "out of memory");
	rc = fetch_rounds(git, &wanted, &missing, cancel, err);
	wanted_release(&wanted);
	if (rc >= 0 && missing_out != NULL)
		*missing_out = missing;
	return rc;
}

int git_list(struct remote *remote, const struct remote_list *what, struct object_sink *sink,
	     const struct cancel *cancel, struct err *err)
{
	static const enum filter one[] = { FILTER_TREE, FILTER_BLOB_NONE, FILTER_NONE };
	static const enum filter some[] = { FILTER_COMBINE, FILTER_BLOB_NONE, FILTER_NONE };
	static const enum filter all[] = { FILTER_BLOB_NONE, FILTER_NONE };
	struct git_remote *git = (struct git_remote *)(void *)remote;
	const enum filter *ladder = what->depth == REMOTE_DEPTH_ALL ? all :
				    what->depth == 1		    ? one :
								      some;
	bool is_commit = !oid_is_set(&what->commit) || oid_equal(&what->root, &what->commit);
	AUTO_FETCH struct fetch_question fetch;
	fetch_question_init(&fetch, &what->root, 1, sink);
	fetch.tree_depth = is_commit ? what->depth : what->depth - 1;
	int rc = fetch_by_ladder(git, &fetch, ladder, cancel, err);
	struct oid missing;
	if (rc < 0 && git_refused_oid(&fetch.response.response, &missing)) {
		char hex[OID_HEX_MAX + 1];
		return err_set(err, ERR_NOT_FOUND, "%s has no object %s", git->address,
			       oid_to_hex(&what->root, hex));
	}
	if (rc < 0)
		return rc;
	git_learn_algo(git, (enum hash_algo)what->root.algo);
	return 0;
}

struct sizes_question {
	struct question question;
	struct object_info response;
};

static int sizes_build(struct question *question, const struct v2_context *context,
		       struct buf *body, struct err *err)
{
	struct sizes_question *sizes = (struct sizes_question *)(void *)question;
	if (!context->offer.object_info)
		return err_set(err, ERR_UNSUPPORTED, "the server does not tell sizes");
	int rc = v2_object_info(body, context, sizes->response.oids, sizes->response.count);
	return rc < 0 ? err_set(err, rc, "cannot ask for sizes") : 0;
}

static int sizes_batch(struct git_remote *git, const struct oid *oids, size_t count,
		       uint64_t *sizes_out, const struct cancel *cancel, struct err *err)
{
	struct sizes_question sizes;
	object_info_init(&sizes.response, oids, count, sizes_out);
	sizes.question = (struct question){
		.build = sizes_build,
		.response = &sizes.response.response,
		.needs_offer = true,
	};
	int rc = git_ask(git, &sizes.question, cancel, err);
	object_info_release(&sizes.response);
	return rc;
}

int git_sizes(struct remote *remote, const struct oid *oids, size_t count, uint64_t *sizes_out,
	      const struct cancel *cancel, struct err *err)
{
	struct git_remote *git = (struct git_remote *)(void *)remote;
	uint64_t *sizes = calloc(count > 0 ? count : 1, sizeof(*sizes));
	if (sizes == NULL)
		return err_set(err, -ENOMEM, "out of memory");
	int rc = 0;
	for (size_t at = 0; rc >= 0 && at < count; at += SIZES_BATCH_MAX) {
		size_t left = count - at;
		rc = sizes_batch(git, oids + at, left < SIZES_BATCH_MAX ? left : SIZES_BATCH_MAX,
				 sizes + at, cancel, err);
	}
	if (rc >= 0 && count > 0)
		memcpy(sizes_out, sizes, count * sizeof(*sizes));
	free(sizes);
	return rc < 0 ? rc : 0;
}
