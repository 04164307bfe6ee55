/*
 * The parsers of a git server's answers: canned bytes, whole and in pieces of
 * every size, broken in many ways, and with memory running out.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collect_sink.h"
#include "failing_alloc.h"
#include "git/hash.h"
#include "git/pktline.h"
#include "git/zstream.h"
#include "remote/advert.h"
#include "remote/fetch_response.h"
#include "remote/ls_refs.h"
#include "remote/object_info.h"
#include "remote/protocol_v2.h"
#include "remote/remote.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C "cccccccccccccccccccccccccccccccccccccccc"
#define D256 "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
#define ZERO "0000000000000000000000000000000000000000"

/* Lines, each "text" as one pkt-line; "|" is a delimiter, "." a flush. */
static void wire(struct buf *out, const char *const *lines)
{
	for (; *lines != NULL; lines++) {
		if (strcmp(*lines, ".") == 0)
			assert_int_equal(pktline_flush(out), 0);
		else if (strcmp(*lines, "|") == 0)
			assert_int_equal(pktline_delim(out), 0);
		else
			assert_int_equal(pktline_printf(out, "%s\n", *lines), 0);
	}
}

/* Feeds all of it in pieces; what the last take() said, or the first that was
 * not "more". */
static int feed(struct response *response, const struct buf *bytes, size_t piece, struct err *err)
{
	int rc = ANSWER_MORE;

	for (size_t at = 0; rc == ANSWER_MORE && at < bytes->len; at += piece) {
		size_t len = bytes->len - at < piece ? bytes->len - at : piece;

		rc = response->answer.take(&response->answer, bytes->data + at, len, err);
	}
	return rc;
}

static struct oid oid_of(const char *hex)
{
	struct oid oid;

	assert_int_equal(oid_from_hex(&oid, hex, strlen(hex)), 0);
	return oid;
}

/* --- the advertisement --- */

static int advert_of(const char *const *lines, size_t piece, struct offer *offer, struct err *err)
{
	__attribute__((cleanup(advert_release))) struct advert advert;
	AUTO_BUF struct buf bytes = BUF_INIT;
	int rc;

	advert_init(&advert);
	wire(&bytes, lines);
	rc = feed(&advert.response, &bytes, piece > 0 ? piece : bytes.len, err);
	if (rc < 0)
		return rc;
	if (rc == ANSWER_MORE)
		return ERR_AGAIN;
	return advert_offer(&advert, offer, err);
}

static void an_advertisement_is_understood_in_any_pieces(void **state)
{
	static const char *const plain[] = { "version 2", "agent=x/1", "ls-refs=unborn",
					     "fetch=shallow wait-for-done filter",
					     "object-format=sha256", "object-info", ".", NULL };
	static const char *const service[] = { "# service=git-upload-pack", ".", "version 2",
					       "ls-refs", "fetch", ".", NULL };

	(void)state;
	for (size_t piece = 0; piece < 150; piece++) {
		struct offer offer = { 0 };

		assert_int_equal(advert_of(plain, piece, &offer, NULL), 0);
		assert_true(offer.known && offer.agent && offer.object_format && offer.shallow);
		assert_true(offer.filter && offer.object_info);
		assert_int_equal(offer.algo, HASH_SHA256);
		assert_int_equal(advert_of(service, piece, &offer, NULL), 0);
		assert_true(offer.known && !offer.agent && !offer.object_format && !offer.shallow);
		assert_true(!offer.filter && !offer.object_info);
		assert_int_equal(offer.algo, HASH_SHA1);
	}
}

static void other_greetings_are_refused(void **state)
{
	static const struct {
		int code;
		const char *lines[6];
	} cases[] = {
		{ ERR_UNSUPPORTED, { "version 1", ".", NULL } },
		{ ERR_UNSUPPORTED, { A " HEAD", ".", NULL } },
		{ ERR_UNSUPPORTED,
		  { "# service=git-upload-pack", ".", ZERO " capabilities^{}", NULL } },
		{ ERR_UNSUPPORTED, { "version 2", "fetch", ".", NULL } },
		{ ERR_UNSUPPORTED, { "version 2", "ls-refs", ".", NULL } },
		{ ERR_UNSUPPORTED,
		  { "version 2", "ls-refs", "fetch", "object-format=md5", ".", NULL } },
		{ ERR_PROTOCOL, { "hello", NULL } },
		{ ERR_PROTOCOL, { "version 22", NULL } },
		{ ERR_PROTOCOL, { ".", NULL } },
		{ ERR_PROTOCOL, { "version 2", "|", NULL } },
		{ ERR_PROTOCOL, { "# service=git-receive-pack", NULL } },
		{ ERR_PROTOCOL, { "version 2", "fetch", "ls-refs", "\033[2J", NULL } },
		{ ERR_AGAIN, { "version 2", "fetch", "ls-refs", NULL } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = ERR_INIT;
		struct offer offer;

		assert_int_equal(advert_of(cases[i].lines, 0, &offer, &err), cases[i].code);
		if (cases[i].code != ERR_AGAIN)
			assert_int_equal(err.code, cases[i].code);
		assert_null(strchr(err.msg, '\033'));
	}
}

/* --- ls-refs --- */

static int refs_of(struct ls_refs *refs, const char *const *lines, size_t piece)
{
	AUTO_BUF struct buf bytes = BUF_INIT;

	wire(&bytes, lines);
	return feed(&refs->response, &bytes, piece > 0 ? piece : bytes.len, NULL);
}

static void the_best_ref_wins_wherever_it_stands(void **state)
{
	static const char *const lines[] = {
		A " refs/heads/v1",
		B " refs/tags/v1 peeled:" C,
		A " refs/tags/v1x",
		A " refs/remotes/v1/HEAD symref-target:refs/remotes/v1/main",
		".", NULL,
	};
	struct ref_candidates candidates;

	(void)state;
	assert_int_equal(ref_candidates_of(&candidates, "v1", NULL), 0);
	for (size_t piece = 0; piece < 260; piece++) {
		__attribute__((cleanup(ls_refs_release))) struct ls_refs refs;
		struct oid b = oid_of(B), c = oid_of(C);

		ls_refs_init(&refs, &candidates);
		assert_int_equal(refs_of(&refs, lines, piece), ANSWER_DONE);
		assert_true(ls_refs_found(&refs));
		assert_string_equal(refs.ref.name, "refs/tags/v1");
		assert_true(oid_equal(&refs.ref.oid, &b));
		assert_true(oid_equal(&refs.ref.commit, &c));
		assert_int_equal(refs.algo, HASH_SHA1);
		assert_string_equal(refs.target, "");
	}
}

static void a_symbolic_head_names_its_branch(void **state)
{
	static const char *const lines[] = { D256 " HEAD symref-target:refs/heads/main", ".",
					     NULL };
	static const char *const unborn[] = { "unborn HEAD symref-target:refs/heads/main", ".",
					      NULL };
	__attribute__((cleanup(ls_refs_release))) struct ls_refs refs;
	struct ref_candidates candidates;

	(void)state;
	assert_int_equal(ref_candidates_of(&candidates, "", NULL), 0);
	assert_int_equal(candidates.count, 1);
	ls_refs_init(&refs, &candidates);
	assert_int_equal(refs_of(&refs, lines, 0), ANSWER_DONE);
	assert_string_equal(refs.ref.name, "HEAD");
	assert_string_equal(refs.target, "refs/heads/main");
	assert_int_equal(refs.algo, HASH_SHA256);
	refs.response.restart(&refs.response);
	assert_false(ls_refs_found(&refs));
	assert_int_equal(refs_of(&refs, unborn, 0), ANSWER_DONE);
	assert_false(ls_refs_found(&refs));
}

static void bad_lists_of_refs_are_refused(void **state)
{
	static const char *const cases[][4] = {
		{ A, ".", NULL },
		{ "", ".", NULL },
		{ "xyz HEAD", ".", NULL },
		{ ZERO " HEAD", ".", NULL },
		{ A " HEAD peeled:123", ".", NULL },
		{ A " HEAD peeled:" D256, ".", NULL },
		{ A " HEAD symref-target:", ".", NULL },
		{ A " HEAD symref-target:refs/\033[1m", ".", NULL },
		{ A " refs/heads/a", D256 " HEAD", ".", NULL },
		{ A " HEAD", "|", NULL },
	};
	struct ref_candidates candidates;

	(void)state;
	assert_int_equal(ref_candidates_of(&candidates, "HEAD", NULL), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		__attribute__((cleanup(ls_refs_release))) struct ls_refs refs;

		ls_refs_init(&refs, &candidates);
		assert_int_equal(refs_of(&refs, cases[i], 0), ERR_PROTOCOL);
	}
}

static void a_probe_for_any_ref_stops_at_the_first(void **state)
{
	static const char *const some[] = { A " refs/heads/a", A " refs/heads/b", ".", NULL };
	static const char *const none[] = { ".", NULL };
	__attribute__((cleanup(ls_refs_release))) struct ls_refs refs;

	(void)state;
	ls_refs_init(&refs, NULL);
	assert_int_equal(refs_of(&refs, some, 0), ANSWER_ENOUGH);
	assert_true(ls_refs_found(&refs));
	refs.response.restart(&refs.response);
	assert_int_equal(refs_of(&refs, none, 0), ANSWER_DONE);
	assert_false(ls_refs_found(&refs));
}

static void names_become_candidates(void **state)
{
	static const char *const bad[] = { "a b", "a..b", "-\n", "a~1", "a^", "a:b", "a?", "a*",
					   "a[b", "a\\b", "/a", "a/", "x@{1}", "\033[0m" };
	struct ref_candidates found;
	char *endless = calloc(1, REF_NAME_MAX + 1);
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(ref_candidates_of(&found, "refs/heads/a", NULL), 0);
	assert_int_equal(found.count, 6);
	assert_string_equal(found.names[0], "refs/heads/a");
	assert_int_equal(ref_candidates_of(&found, "a", NULL), 0);
	assert_int_equal(found.count, 5);
	assert_string_equal(found.names[0], "refs/a");
	assert_string_equal(found.names[1], "refs/tags/a");
	assert_string_equal(found.names[2], "refs/heads/a");
	assert_string_equal(found.names[3], "refs/remotes/a");
	assert_string_equal(found.names[4], "refs/remotes/a/HEAD");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(ref_candidates_of(&found, bad[i], &err), ERR_NOT_FOUND);
	assert_null(strchr(err.msg, '\033'));
	assert_non_null(endless);
	memset(endless, 'a', REF_SPEC_MAX - 1);
	assert_int_equal(ref_candidates_of(&found, endless, NULL), 0);
	memset(endless, 'a', REF_SPEC_MAX);
	assert_int_equal(ref_candidates_of(&found, endless, NULL), ERR_NOT_FOUND);
	free(endless);
}

/* --- object-info --- */

static void sizes_are_matched_to_what_was_asked(void **state)
{
	static const char *const lines[] = { "size", A " 17", B " ", C " 1099511627776", ".",
					     NULL };
	static const char *const fewer[] = { "size", C " 3", ".", NULL };
	struct oid oids[] = { oid_of(A), oid_of(B), oid_of(C) };

	(void)state;
	for (size_t piece = 0; piece < 170; piece++) {
		__attribute__((cleanup(object_info_release))) struct object_info info;
		AUTO_BUF struct buf bytes = BUF_INIT;
		uint64_t sizes[3] = { 0 };

		object_info_init(&info, oids, 3, sizes);
		wire(&bytes, lines);
		assert_int_equal(feed(&info.response, &bytes, piece > 0 ? piece : bytes.len, NULL),
				 ANSWER_DONE);
		assert_true(sizes[0] == 17 && sizes[1] == SIZE_NOT_TOLD && sizes[2] == 1ULL << 40);
		info.response.restart(&info.response);
		buf_clear(&bytes);
		wire(&bytes, fewer);
		assert_int_equal(feed(&info.response, &bytes, bytes.len, NULL), ANSWER_DONE);
		assert_true(sizes[0] == SIZE_NOT_TOLD && sizes[1] == SIZE_NOT_TOLD);
		assert_true(sizes[2] == 3);
	}
}

static void bad_sizes_are_refused(void **state)
{
	static const char *const cases[][5] = {
		{ A " 1", ".", NULL },
		{ "size", A " x", ".", NULL },
		{ "size", A " 1x", ".", NULL },
		{ "size", A " -1", ".", NULL },
		{ "size", A " 1099511627777", ".", NULL },
		{ "size", A, ".", NULL },
		{ "size", B " 1", A " 1", NULL },
		{ "size", C " 1", NULL },
		{ "size", A " 1", A " 1", NULL },
		{ "size", "|", NULL },
		{ "size type", NULL },
	};
	struct oid oids[] = { oid_of(A), oid_of(B) };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		__attribute__((cleanup(object_info_release))) struct object_info info;
		AUTO_BUF struct buf bytes = BUF_INIT;
		uint64_t sizes[2];

		object_info_init(&info, oids, 2, sizes);
		wire(&bytes, cases[i]);
		assert_int_equal(feed(&info.response, &bytes, bytes.len, NULL), ERR_PROTOCOL);
	}
}

/* --- fetch --- */

/* A pack of one blob, "hello". */
static void make_pack(struct buf *out)
{
	struct hasher *hasher = hasher_new(HASH_SHA1);
	struct oid trailer;

	assert_non_null(hasher);
	assert_int_equal(buf_append(out, "PACK\0\0\0\2\0\0\0\1\x35", 13), 0);
	assert_int_equal(zstream_deflate("hello", 5, 6, out), 0);
	assert_int_equal(hasher_reset(hasher), 0);
	assert_int_equal(hasher_update(hasher, out->data, out->len), 0);
	assert_int_equal(hasher_final(hasher, &trailer), 0);
	assert_int_equal(buf_append(out, trailer.hash, 20), 0);
	hasher_free(hasher);
}

static void band(struct buf *out, uint8_t number, const void *data, size_t len)
{
	AUTO_BUF struct buf line = BUF_INIT;

	assert_int_equal(buf_append_u8(&line, number), 0);
	assert_int_equal(buf_append(&line, data, len), 0);
	assert_int_equal(pktline_write(out, line.data, line.len), 0);
}

/* A good answer; the pack in two lines, with progress and a keep-alive between. */
static void good_answer(struct buf *out)
{
	static const char *const before[] = { "shallow-info", "shallow " A, "|", "packfile", NULL };
	AUTO_BUF struct buf pack = BUF_INIT;

	make_pack(&pack);
	wire(out, before);
	band(out, 1, pack.data, 20);
	band(out, 2, "Counting\r", 9);
	band(out, 1, "", 0);
	band(out, 1, pack.data + 20, pack.len - 20);
	band(out, 2, "done\n", 5);
	assert_int_equal(pktline_flush(out), 0);
}

static void a_pack_arrives_in_any_pieces(void **state)
{
	AUTO_BUF struct buf bytes = BUF_INIT;
	struct oid hello = oid_of("b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0");

	(void)state;
	good_answer(&bytes);
	for (size_t piece = 1; piece <= bytes.len; piece++) {
		__attribute__((cleanup(collect_release))) struct collect_sink sink;
		__attribute__((cleanup(fetch_response_release))) struct fetch_response fetch;

		collect_init(&sink);
		fetch_response_init(&fetch, HASH_SHA1, &sink.base);
		assert_int_equal(feed(&fetch.response, &bytes, piece, NULL), ANSWER_DONE);
		assert_int_equal(sink.count, 1);
		assert_true(oid_equal(&sink.objects[0].oid, &hello));
	}
}

static void a_cut_answer_is_never_complete(void **state)
{
	AUTO_BUF struct buf bytes = BUF_INIT;

	(void)state;
	good_answer(&bytes);
	for (size_t len = 1; len < bytes.len; len++) {
		__attribute__((cleanup(collect_release))) struct collect_sink sink;
		__attribute__((cleanup(fetch_response_release))) struct fetch_response fetch;
		struct buf cut = { .data = bytes.data, .len = len };

		collect_init(&sink);
		fetch_response_init(&fetch, HASH_SHA1, &sink.base);
		assert_int_equal(feed(&fetch.response, &cut, 7, NULL), ANSWER_MORE);
	}
}

/* What comes of an answer that starts with these lines and then has a band. */
static int fetch_of(const char *const *lines, int number, const char *text, struct err *err)
{
	__attribute__((cleanup(collect_release))) struct collect_sink sink;
	__attribute__((cleanup(fetch_response_release))) struct fetch_response fetch;
	AUTO_BUF struct buf bytes = BUF_INIT;

	collect_init(&sink);
	fetch_response_init(&fetch, HASH_SHA1, &sink.base);
	wire(&bytes, lines);
	if (number >= 0)
		band(&bytes, (uint8_t)number, text, strlen(text));
	return feed(&fetch.response, &bytes, bytes.len, err);
}

static void bad_answers_to_fetch_are_refused(void **state)
{
	static const char *const packfile[] = { "packfile", NULL };
	static const char *const uris[] = { "packfile-uris", NULL };
	static const char *const early[] = { "packfile", ".", NULL };
	static const char *const delim[] = { "packfile", "|", NULL };
	static const char *const first[] = { "|", NULL };
	static const char *const acks[] = { "acknowledgments", "NAK", ".", NULL };
	static const char *const empty[] = { ".", NULL };
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(fetch_of(uris, -1, NULL, &err), ERR_PROTOCOL);
	assert_int_equal(fetch_of(early, -1, NULL, &err), ERR_PROTOCOL);
	assert_int_equal(fetch_of(delim, -1, NULL, &err), ERR_PROTOCOL);
	assert_int_equal(fetch_of(first, -1, NULL, &err), ERR_PROTOCOL);
	assert_int_equal(fetch_of(acks, -1, NULL, &err), ERR_PROTOCOL);
	assert_int_equal(fetch_of(empty, -1, NULL, &err), ERR_PROTOCOL);
	assert_int_equal(fetch_of(packfile, 0, "x", &err), ERR_PROTOCOL);
	assert_int_equal(fetch_of(packfile, 4, "x", &err), ERR_PROTOCOL);
	assert_int_equal(fetch_of(packfile, 1, "this is no pack", &err), ERR_CORRUPT);
	assert_int_equal(fetch_of(packfile, 3, "no \033[31mmemory\n", &err), ERR_PROTOCOL);
	assert_non_null(strstr(err.msg, "memory"));
	assert_null(strchr(err.msg, '\033'));
	assert_null(strchr(err.msg, '\n'));
}

static void bytes_after_the_end_are_refused(void **state)
{
	__attribute__((cleanup(collect_release))) struct collect_sink sink;
	__attribute__((cleanup(fetch_response_release))) struct fetch_response fetch;
	AUTO_BUF struct buf bytes = BUF_INIT;

	(void)state;
	collect_init(&sink);
	fetch_response_init(&fetch, HASH_SHA1, &sink.base);
	good_answer(&bytes);
	assert_int_equal(buf_append_str(&bytes, "0000"), 0);
	assert_int_equal(feed(&fetch.response, &bytes, bytes.len, NULL), ERR_PROTOCOL);
}

static void a_refusal_ends_the_answer_and_keeps_the_words(void **state)
{
	static const char *const lines[] = { "ERR upload-pack: \033[5mnot our ref " A, NULL };
	AUTO_BUF struct buf bytes = BUF_INIT;

	(void)state;
	wire(&bytes, lines);
	for (size_t piece = 1; piece <= bytes.len; piece++) {
		__attribute__((cleanup(fetch_response_release))) struct fetch_response fetch;

		fetch_response_init(&fetch, HASH_SHA1, NULL);
		assert_int_equal(feed(&fetch.response, &bytes, piece, NULL), ANSWER_DONE);
		assert_true(fetch.response.refused && !fetch.response.begun);
		assert_non_null(strstr(fetch.response.refusal, "not our ref " A));
		assert_null(strchr(fetch.response.refusal, '\033'));
		fetch.response.restart(&fetch.response);
		assert_false(fetch.response.refused);
		assert_string_equal(fetch.response.refusal, "");
	}
}

static void what_the_sink_returns_is_passed_on(void **state)
{
	__attribute__((cleanup(collect_release))) struct collect_sink sink;
	__attribute__((cleanup(fetch_response_release))) struct fetch_response fetch;
	AUTO_BUF struct buf bytes = BUF_INIT;

	(void)state;
	collect_init(&sink);
	sink.fail_with = -ENOSPC;
	fetch_response_init(&fetch, HASH_SHA1, &sink.base);
	good_answer(&bytes);
	assert_int_equal(feed(&fetch.response, &bytes, 5, NULL), -ENOSPC);
}

static void memory_may_run_out_anywhere(void **state)
{
	static const char *const advert_lines[] = { "version 2", "fetch=filter", "ls-refs", ".",
						    NULL };
	AUTO_BUF struct buf pack = BUF_INIT;
	AUTO_BUF struct buf greeting = BUF_INIT;

	(void)state;
	good_answer(&pack);
	wire(&greeting, advert_lines);
	for (long nth = 1;; nth++) {
		__attribute__((cleanup(collect_release))) struct collect_sink sink;
		__attribute__((cleanup(fetch_response_release))) struct fetch_response fetch;
		__attribute__((cleanup(advert_release))) struct advert advert;
		int rc;

		collect_init(&sink);
		fetch_response_init(&fetch, HASH_SHA1, &sink.base);
		advert_init(&advert);
		failing_alloc_arm(nth);
		rc = feed(&advert.response, &greeting, 3, NULL);
		if (rc == ANSWER_DONE)
			rc = feed(&fetch.response, &pack, 3, NULL);
		if (!failing_alloc_disarm()) {
			assert_int_equal(rc, ANSWER_DONE);
			assert_true(nth > 4);
			break;
		}
		assert_true(rc == -ENOMEM || rc == ANSWER_DONE);
	}
}

/* --- requests --- */

static void requests_say_what_the_server_knows(void **state)
{
	struct v2_context context = { .agent = "git-fs/0" };
	struct oid oid = oid_of(A), big = oid_of(D256);
	AUTO_BUF struct buf out = BUF_INIT;

	(void)state;
	assert_int_equal(v2_fetch(&out, &context, &oid, 1, FILTER_COMBINE, 2), 0);
	assert_string_equal(buf_str(&out), "0012command=fetch\n0013agent=git-fs/0\n"
					   "0001000eofs-delta\n0010no-progress\n0032want " A "\n"
					   "000ddeepen 1\n0024filter combine:blob:none+tree:2\n"
					   "0009done\n0000");
	buf_clear(&out);
	context.offer = (struct offer){ .known = true, .algo = HASH_SHA1, .object_format = true };
	assert_int_equal(v2_fetch(&out, &context, &oid, 1, FILTER_BLOB_NONE, 0), 0);
	assert_string_equal(buf_str(&out), "0012command=fetch\n0017object-format=sha1\n"
					   "0001000eofs-delta\n0010no-progress\n0032want " A "\n"
					   "0009done\n0000");
	buf_clear(&out);
	context.offer = (struct offer){ .known = false };
	context.algo = HASH_SHA256;
	assert_int_equal(v2_object_info(&out, &context, &big, 1), 0);
	assert_string_equal(buf_str(&out), "0018command=object-info\n0013agent=git-fs/0\n"
					   "0019object-format=sha256\n00010009size\n"
					   "0049oid " D256 "\n0000");
	buf_clear(&out);
	context.algo = (enum hash_algo)0;
	assert_int_equal(v2_ls_refs(&out, &context, NULL), 0);
	assert_string_equal(buf_str(&out), "0014command=ls-refs\n0013agent=git-fs/0\n"
					   "00010009peel\n000csymrefs\n0000");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_advertisement_is_understood_in_any_pieces),
		cmocka_unit_test(other_greetings_are_refused),
		cmocka_unit_test(the_best_ref_wins_wherever_it_stands),
		cmocka_unit_test(a_symbolic_head_names_its_branch),
		cmocka_unit_test(bad_lists_of_refs_are_refused),
		cmocka_unit_test(a_probe_for_any_ref_stops_at_the_first),
		cmocka_unit_test(names_become_candidates),
		cmocka_unit_test(sizes_are_matched_to_what_was_asked),
		cmocka_unit_test(bad_sizes_are_refused),
		cmocka_unit_test(a_pack_arrives_in_any_pieces),
		cmocka_unit_test(a_cut_answer_is_never_complete),
		cmocka_unit_test(bad_answers_to_fetch_are_refused),
		cmocka_unit_test(bytes_after_the_end_are_refused),
		cmocka_unit_test(a_refusal_ends_the_answer_and_keeps_the_words),
		cmocka_unit_test(what_the_sink_returns_is_passed_on),
		cmocka_unit_test(memory_may_run_out_anywhere),
		cmocka_unit_test(requests_say_what_the_server_knows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
