/*
 * Names to commits: resolve and watch. One `ls-refs` that asks for the few
 * full names that the typed one may stand for; the answer is of some hundred
 * bytes, however many refs there are.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "remote/git_internal.h"
#include "remote/ls_refs.h"

struct refs_question {
	struct question question;
	struct ls_refs refs;
};

static int refs_build(struct question *question, const struct v2_context *context,
		      struct buf *body, struct err *err)
{
	struct refs_question *refs = (struct refs_question *)(void *)question;
	int rc = v2_ls_refs(body, context, refs->refs.candidates);
	return rc < 0 ? err_set(err, rc, "cannot ask for refs") : 0;
}

static void refs_question_init(struct refs_question *refs, const struct ref_candidates *candidates)
{
	ls_refs_init(&refs->refs, candidates);
	refs->question = (struct question){
		.build = refs_build,
		.response = &refs->refs.response,
		.needs_fresh = true,
	};
}

static void refs_question_release(struct refs_question *refs)
{
	ls_refs_release(&refs->refs);
}

#define AUTO_REFS __attribute__((cleanup(refs_question_release)))

/* Whether the repository has any ref. The answer is cut off after the first. */
static int has_refs(struct git_remote *git, bool *out, const struct cancel *cancel,
		    struct err *err)
{
	AUTO_REFS struct refs_question refs;
	refs_question_init(&refs, NULL);
	int rc = git_ask(git, &refs.question, cancel, err);
	if (rc < 0)
		return rc;
	*out = ls_refs_found(&refs.refs);
	return 0;
}

/* Words for a name that is not there. */
static int no_such_ref(struct git_remote *git, const char *spec, const struct cancel *cancel,
		       struct err *err)
{
	bool any;
	int rc = has_refs(git, &any, cancel, err);
	if (rc < 0)
		return rc;
	if (!any)
		return err_set(err, ERR_NOT_FOUND, "%s: the repository is empty", git->address);
	if (spec[0] == '\0' || strcmp(spec, "HEAD") == 0)
		return err_set(err, ERR_NOT_FOUND,
			       "%s: HEAD names a branch that is not there; name another one",
			       git->address);
	char words[REF_NAME_MAX];
	log_escape(words, sizeof(words), spec);
	return err_set(err, ERR_NOT_FOUND, "%s has no branch, tag or ref '%s'", git->address,
		       words);
}

int git_resolve(struct remote *remote, const char *spec, struct remote_ref *out,
		const struct cancel *cancel, struct err *err)
{
	struct git_remote *git = (struct git_remote *)(void *)remote;
	struct oid oid;
	if (oid_from_hex(&oid, spec, strlen(spec)) == 0) {
		out->name[0] = '\0';
		out->oid = oid;
		out->commit = oid;
		return 0;
	}
	struct ref_candidates candidates;
	int rc = ref_candidates_of(&candidates, spec, err);
	if (rc < 0)
		return rc;
	AUTO_REFS struct refs_question refs;
	refs_question_init(&refs, &candidates);
	rc = git_ask(git, &refs.question, cancel, err);
	if (rc < 0)
		return rc;
	if (!ls_refs_found(&refs.refs))
		return no_such_ref(git, spec, cancel, err);
	git_learn_algo(git, refs.refs.algo);
	*out = refs.refs.ref;
	if (strcmp(out->name, "HEAD") == 0 && refs.refs.target[0] != '\0')
		memcpy(out->name, refs.refs.target, sizeof(out->name));
	return 0;
}

/* One look at a ref. 1: it holds something new. */
static int look(struct git_remote *git, const struct ref_candidates *name,
		const struct oid *known, struct remote_ref *out, const struct cancel *cancel,
		struct err *err)
{
	AUTO_REFS struct refs_question refs;
	refs_question_init(&refs, name);
	int rc = git_ask(git, &refs.question, cancel, err);
	if (rc < 0)
		return rc;
	if (!ls_refs_found(&refs.refs))
		return err_set(err, ERR_NOT_FOUND, "%s: %s is gone", git->address, name->names[0]);
	if (oid_equal(&refs.refs.ref.oid, known) || oid_equal(&refs.refs.ref.commit, known))
		return 0;
	*out = refs.refs.ref;
	return 1;
}

/* ERR_CANCELLED, or 0 after that time. */
static int sleep_ms(uint64_t ms, const struct cancel *cancel, struct err *err)
{
	uint64_t end = mono_ns() + ms * NS_PER_MS;
	for (;;) {
		uint64_t now = mono_ns();
		if (cancel_is_set(cancel))
			return err_set(err, ERR_CANCELLED, "given up");
		if (now >= end)
			return 0;
		uint64_t left = (end - now + NS_PER_MS - 1) / NS_PER_MS;
		struct pollfd fd = { .fd = cancel != NULL ? cancel->fd : -1, .events = POLLIN };
		if (poll(&fd, 1, left < 60000 ? (int)left : 60000) < 0 && errno != EINTR)
			return err_sys(err, errno, "cannot wait");
	}
}

int git_watch(struct remote *remote, const char *ref, const struct oid *known,
	      unsigned interval_ms, unsigned timeout_ms, struct remote_ref *out,
	      const struct cancel *cancel, struct err *err)
{
	struct git_remote *git = (struct git_remote *)(void *)remote;
	struct ref_candidates name;
	int rc = ref_candidates_of(&name, ref, err);
	if (rc < 0)
		return rc;
	name.count = 1; /* a full name stands first */
	uint64_t end = mono_ns() + timeout_ms * NS_PER_MS;
	for (;;) {
		rc = look(git, &name, known, out, cancel, err);
		uint64_t now = mono_ns();
		if (rc != 0 || now >= end)
			return rc;
		uint64_t left = (end - now + NS_PER_MS - 1) / NS_PER_MS;
		rc = sleep_ms(left < interval_ms ? left : interval_ms, cancel, err);
		if (rc < 0)
			return rc;
	}
}
