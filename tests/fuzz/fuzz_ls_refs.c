/*
 * Lists of refs, and advertisements: the pieces in which they arrive make no
 * difference, and what is found is what was asked for.
 */
#include <assert.h>
#include <string.h>

#include "answers.h"
#include "fuzz.h"
#include "remote/advert.h"
#include "remote/ls_refs.h"

static void check_match(const struct ls_refs *refs, const struct ref_candidates *candidates)
{
	assert(refs->best < candidates->count);
	assert(strcmp(refs->ref.name, candidates->names[refs->best]) == 0);
	assert(refs->ref.oid.algo == refs->algo && refs->ref.commit.algo == refs->algo);
	assert(strlen(refs->target) < sizeof(refs->target));
	for (const char *at = refs->target; *at != '\0'; at++)
		assert((unsigned char)*at > ' ' && *at != 0x7f);
}

static void look_for(const char *spec, const uint8_t *data, size_t size)
{
	static const size_t piece_lens[] = { 1, 5, 64 };
	struct ref_candidates candidates;
	struct ls_refs whole;

	assert(ref_candidates_of(&candidates, spec, NULL) == 0);
	ls_refs_init(&whole, &candidates);
	int rc = feed_answer(&whole.response, data, size, size);
	if (ls_refs_found(&whole))
		check_match(&whole, &candidates);
	for (size_t i = 0; i < sizeof(piece_lens) / sizeof(piece_lens[0]); i++) {
		struct ls_refs pieces;

		ls_refs_init(&pieces, &candidates);
		assert(feed_answer(&pieces.response, data, size, piece_lens[i]) == rc);
		assert(pieces.best == whole.best && pieces.algo == whole.algo);
		assert(!ls_refs_found(&whole) ||
		       memcmp(&pieces.ref, &whole.ref, sizeof(whole.ref)) == 0);
		ls_refs_release(&pieces);
	}
	ls_refs_release(&whole);
}

static void read_advertisement(const uint8_t *data, size_t size)
{
	struct advert whole, pieces;
	struct offer offer, same;

	advert_init(&whole);
	advert_init(&pieces);
	int rc = feed_answer(&whole.response, data, size, size);
	assert(feed_answer(&pieces.response, data, size, 3) == rc);
	if (rc == ANSWER_DONE && !whole.response.refused) {
		int known = advert_offer(&whole, &offer, NULL);

		assert(advert_offer(&pieces, &same, NULL) == known);
		assert(known < 0 || (offer.known && same.algo == offer.algo));
	}
	advert_release(&whole);
	advert_release(&pieces);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	look_for("HEAD", data, size);
	look_for("main", data, size);
	read_advertisement(data, size);
	return 0;
}
