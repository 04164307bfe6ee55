/*
 * A line: `<oid> <name>[ symref-target:<name>][ peeled:<oid>]`, or `unborn`
 * for the oid. A server may send more refs than were asked for; matching is done
 * here.
 */
#include "remote/ls_refs.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"

/* What no ref may hold (git-check-ref-format(1)), and what would break a line. */
static bool spec_possible(const char *spec)
{
	size_t len = strlen(spec);
	if (len >= REF_SPEC_MAX || strstr(spec, "..") != NULL || strstr(spec, "@{") != NULL)
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)spec[i];
		if (c <= ' ' || c == 0x7f || strchr("~^:?*[\\", c) != NULL)
			return false;
	}
	return spec[0] != '/' && spec[len - 1] != '/';
}

int ref_candidates_of(struct ref_candidates *out, const char *spec, struct err *err)
{
	static const char *const rules[REF_CANDIDATES_MAX][2] = {
		{ "", "" },
		{ "refs/", "" },
		{ "refs/tags/", "" },
		{ "refs/heads/", "" },
		{ "refs/remotes/", "" },
		{ "refs/remotes/", "/HEAD" },
	};
	if (spec[0] == '\0')
		spec = "HEAD";
	if (!spec_possible(spec)) {
		char words[128];
		log_escape(words, sizeof(words), spec);
		return err_set(err, ERR_NOT_FOUND, "'%s' cannot be the name of a ref", words);
	}
	bool head = strcmp(spec, "HEAD") == 0;
	bool full = head || strncmp(spec, "refs/", 5) == 0;
	out->count = 0;
	for (size_t i = full ? 0 : 1; i < (head ? 1 : REF_CANDIDATES_MAX); i++)
		snprintf(out->names[out->count++], REF_NAME_MAX, "%s%s%s", rules[i][0], spec,
			 rules[i][1]);
	return 0;
}

/* The next word of a line. False at its end. */
static bool next_word(struct cursor *line, struct cursor *word)
{
	const uint8_t *at;
	size_t len;
	if (line->left == 0)
		return false;
	if (!cursor_until(line, ' ', &at, &len)) {
		len = line->left;
		if (!cursor_bytes(line, len, &at))
			return false;
	}
	*word = cursor_of(at, len);
	return true;
}

/* An id of the algorithm that all others have. */
static int take_oid(struct ls_refs *refs, struct cursor hex, struct oid *out, struct err *err)
{
	struct oid oid;
	if (oid_from_hex(&oid, (const char *)hex.ptr, hex.left) < 0 || oid_is_zero(&oid) ||
	    (refs->algo != 0 && oid.algo != refs->algo))
		return err_set(err, ERR_PROTOCOL, "the server's list of refs has a bad object id");
	refs->algo = (enum hash_algo)oid.algo;
	*out = oid;
	return 0;
}

/* Which candidate a name is; SIZE_MAX: none. */
static size_t candidate_of(const struct ls_refs *refs, struct cursor name)
{
	for (size_t i = 0; i < refs->candidates->count; i++) {
		const char *known = refs->candidates->names[i];
		if (strlen(known) == name.left && memcmp(known, name.ptr, name.left) == 0)
			return i;
	}
	return SIZE_MAX;
}

static int take_target(struct cursor value, char *out, struct err *err)
{
	bool bad = value.left == 0 || value.left >= REF_NAME_MAX;
	for (size_t i = 0; !bad && i < value.left; i++)
		bad = value.ptr[i] <= ' ' || value.ptr[i] == 0x7f;
	if (bad)
		return err_set(err, ERR_PROTOCOL, "a symbolic ref points to a malformed name");
	memcpy(out, value.ptr, value.left);
	out[value.left] = '\0';
	return 0;
}

/* A line that is a better match than what is known. */
static int take_match(struct ls_refs *refs, size_t index, const struct oid *oid,
		      struct cursor attributes, struct err *err)
{
	struct oid commit = *oid;
	char target[REF_NAME_MAX] = "";
	struct cursor word;
	while (next_word(&attributes, &word)) {
		int rc = 0;
		if (cursor_literal(&word, "peeled:"))
			rc = take_oid(refs, word, &commit, err);
		else if (cursor_literal(&word, "symref-target:"))
			rc = take_target(word, target, err);
		if (rc < 0)
			return rc;
	}
	refs->best = index;
	refs->ref.oid = *oid;
	refs->ref.commit = commit;
	memcpy(refs->ref.name, refs->candidates->names[index], REF_NAME_MAX);
	memcpy(refs->target, target, sizeof(target));
	return 0;
}

static int ls_refs_line(struct response *response, const struct pkt *pkt, struct err *err)
{
	struct ls_refs *refs = (struct ls_refs *)(void *)response;
	if (pkt->type == PKT_FLUSH)
		return ANSWER_DONE;
	if (pkt->type != PKT_DATA)
		return err_set(err, ERR_PROTOCOL, "the server's list of refs is malformed");
	if (++refs->lines > LS_REFS_LINES_MAX)
		return err_set(err, ERR_LIMIT, "the repository has more than %u refs",
			       LS_REFS_LINES_MAX);
	struct cursor line = pkt_text(pkt);
	struct cursor hex, name;
	if (!next_word(&line, &hex) || !next_word(&line, &name))
		return err_set(err, ERR_PROTOCOL, "the server's list of refs is malformed");
	struct cursor unborn = hex;
	if (cursor_literal(&unborn, "unborn") && unborn.left == 0)
		return ANSWER_MORE;
	struct oid oid;
	int rc = take_oid(refs, hex, &oid, err);
	if (rc < 0)
		return rc;
	if (refs->candidates == NULL) {
		refs->best = 0;
		return ANSWER_ENOUGH;
	}
	size_t index = candidate_of(refs, name);
	if (index >= refs->best) /* SIZE_MAX, no match, is never less */
		return ANSWER_MORE;
	rc = take_match(refs, index, &oid, line, err);
	return rc < 0 ? rc : ANSWER_MORE;
}

static void ls_refs_restart(struct response *response)
{
	struct ls_refs *refs = (struct ls_refs *)(void *)response;
	response_clear(response);
	refs->best = SIZE_MAX;
	refs->algo = (enum hash_algo)0;
	refs->lines = 0;
	refs->target[0] = '\0';
}

void ls_refs_init(struct ls_refs *refs, const struct ref_candidates *candidates)
{
	*refs = (struct ls_refs){ .candidates = candidates, .best = SIZE_MAX };
	response_init(&refs->response, ls_refs_line, ls_refs_restart);
}

void ls_refs_release(struct ls_refs *refs)
{
	response_release(&refs->response);
}
