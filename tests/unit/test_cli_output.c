/* What commands write: JSON, and the small file of a tip; what daemons tell. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/daemons.h"
#include "cli/json.h"
#include "cli/print.h"
#include "cli/tip.h"
#include "failing_alloc.h"

static void write_sample(struct json *json)
{
	json_object_begin(json, NULL);
	json_string(json, "a", "x");
	json_number(json, "b", UINT64_MAX);
	json_array_begin(json, "c");
	json_bool(json, NULL, true);
	json_null(json, NULL);
	json_object_begin(json, NULL);
	json_object_end(json);
	json_array_end(json);
	json_bool(json, "d", false);
	json_object_end(json);
}

static void documents_nest(void **state)
{
	struct json json = JSON_INIT;

	(void)state;
	write_sample(&json);
	assert_int_equal(json.ret, 0);
	assert_string_equal(buf_str(&json.text),
			    "{\n  \"a\": \"x\",\n  \"b\": 18446744073709551615,\n  \"c\": [\n"
			    "    true,\n    null,\n    {}\n  ],\n  \"d\": false\n}");
	json_release(&json);
}

static void strings_are_escaped(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "", "" },
		{ "a\"b\\c/d", "a\\\"b\\\\c/d" },
		{ "\x01\n\t\x1f\x7f", "\\u0001\\u000a\\u0009\\u001f\\u007f" },
		{ "\xc3\xa9 \xe2\x82\xac", "\xc3\xa9 \xe2\x82\xac" },
		{ "\xf0\x9f\x90\x99", "\xf0\x9f\x90\x99" },
		{ "a\xff" "b", "a\\ufffdb" },                     /* no lead byte */
		{ "\x80", "\\ufffd" },                            /* a lone follower */
		{ "\xc3", "\\ufffd" },                            /* cut */
		{ "\xe2\x82", "\\ufffd\\ufffd" },                 /* cut later */
		{ "\xc0\xaf", "\\ufffd\\ufffd" },                 /* overlong */
		{ "\xe0\x80\x80", "\\ufffd\\ufffd\\ufffd" },      /* overlong */
		{ "\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd" },      /* a surrogate */
		{ "\xf4\x90\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd" }, /* beyond Unicode */
		{ "\xc3\"", "\\ufffd\\\"" },                      /* a quote is not eaten */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct json json = JSON_INIT;
		char want[128];

		json_string(&json, NULL, cases[i].text);
		snprintf(want, sizeof(want), "\"%s\"", cases[i].want);
		assert_string_equal(buf_str(&json.text), want);
		json_release(&json);
	}
}

static void writing_survives_the_loss_of_memory(void **state)
{
	bool failed = true;

	(void)state;
	for (long nth = 1; failed; nth++) {
		struct json json = JSON_INIT;

		failing_alloc_arm(nth);
		write_sample(&json);
		failed = failing_alloc_disarm();
		assert_int_equal(json.ret, failed ? -ENOMEM : 0);
		json_release(&json);
	}
}

static void sizes_read_well(void **state)
{
	char out[32];

	(void)state;
	assert_string_equal(print_bytes(out, 0), "0 bytes");
	assert_string_equal(print_bytes(out, 1023), "1023 bytes");
	assert_string_equal(print_bytes(out, 1024), "1.0 KiB");
	assert_string_equal(print_bytes(out, 1536 * 1024), "1.5 MiB");
	assert_string_equal(print_bytes(out, UINT64_C(3) << 50), "3072.0 TiB");
}

/* --- tips --- */

#define SHA1 "0123456789abcdef0123456789abcdef01234567"
#define SHA256 SHA1 "89abcdef0123456789abcdef"

static int parse_tip(const char *text, struct tip *out)
{
	return tip_parse(text, strlen(text), out);
}

static void tips_come_back(void **state)
{
	char folder[] = "/tmp/git-fs-tip-XXXXXX";
	char dir[64], path[96];
	struct tip tip, read;
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(dir, sizeof(dir), "%s/tips", folder);
	snprintf(path, sizeof(path), "%s/x", dir);
	assert_int_equal(tip_load(path, &read), ERR_NOT_FOUND);
	memset(&tip, 0, sizeof(tip));
	snprintf(tip.ref.name, sizeof(tip.ref.name), "refs/heads/main");
	tip.asked = 1700000000;
	for (int i = 0; i < 2; i++) {
		const char *hex = i == 0 ? SHA1 : SHA256;

		assert_int_equal(oid_from_hex(&tip.ref.commit, hex, strlen(hex)), 0);
		assert_int_equal(tip_save(path, &tip), 0);
		assert_int_equal(tip_load(path, &read), 0);
		assert_string_equal(read.ref.name, "refs/heads/main");
		assert_true(oid_equal(&read.ref.commit, &tip.ref.commit));
		assert_true(oid_equal(&read.ref.oid, &tip.ref.commit));
		assert_int_equal(read.asked, 1700000000);
	}
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(rmdir(folder), 0);
}

static void damaged_tips_are_refused(void **state)
{
	static const char *const texts[] = {
		"", "git-fs tip 2\nref a\ncommit " SHA1 "\nasked 1\n",
		"git-fs tip 1\nref a", "git-fs tip 1\nref a\ncommit 0123\nasked 1\n",
		"git-fs tip 1\nref a\ncommit " SHA1 "\nasked x\n",
		"git-fs tip 1\nref a\ncommit " SHA1 "\nasked 1",
		"git-fs tip 1\nref a\ncommit " SHA1 "\nasked 1\nmore\n",
		"git-fs tip 1\nref a\ncommit " SHA1 "\nasked 99999999999999999999\n",
	};
	struct tip tip;

	(void)state;
	assert_int_equal(parse_tip("git-fs tip 1\nref \ncommit " SHA1 "\nasked 1\n", &tip), 0);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(parse_tip(texts[i], &tip), ERR_CORRUPT);
}

static void a_long_ref_is_refused(void **state)
{
	AUTO_BUF struct buf text = BUF_INIT;
	struct tip tip;

	(void)state;
	assert_int_equal(buf_printf(&text, "git-fs tip 1\nref %0*d\ncommit %s\nasked 1\n",
				    REF_NAME_MAX, 0, SHA1),
			 0);
	assert_int_equal(tip_parse(text.data, text.len, &tip), ERR_CORRUPT);
}

/* --- facts --- */

static void facts_keep_their_order(void **state)
{
	struct facts facts = FACTS_INIT;

	(void)state;
	for (int i = 0; i < 100; i++) {
		char value[16];

		snprintf(value, sizeof(value), "%d", i);
		assert_int_equal(facts_add(&facts, i % 2 == 0 ? "even" : "odd", value), 0);
	}
	assert_int_equal(facts.count, 100);
	assert_string_equal(facts_get(&facts, "odd"), "1");
	assert_string_equal(facts.items[99].value, "99");
	assert_null(facts_get(&facts, "none"));
	facts_release(&facts);
}

static void facts_survive_the_loss_of_memory(void **state)
{
	bool failed = true;

	(void)state;
	for (long nth = 1; failed; nth++) {
		struct facts facts = FACTS_INIT;
		int ret;

		failing_alloc_arm(nth);
		ret = facts_add(&facts, "key", "value");
		failed = failing_alloc_disarm();
		assert_int_equal(ret, failed ? -ENOMEM : 0);
		facts_release(&facts);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(documents_nest),
		cmocka_unit_test(strings_are_escaped),
		cmocka_unit_test(writing_survives_the_loss_of_memory),
		cmocka_unit_test(sizes_read_well),
		cmocka_unit_test(tips_come_back),
		cmocka_unit_test(damaged_tips_are_refused),
		cmocka_unit_test(a_long_ref_is_refused),
		cmocka_unit_test(facts_keep_their_order),
		cmocka_unit_test(facts_survive_the_loss_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
