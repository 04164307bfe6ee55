#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/threads.h"

/* A socket that keeps writes apart: one packet is one write(2). */
static int reader = -1;
static int writer = -1;

static int open_log(void **state)
{
	int ends[2];

	(void)state;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends) < 0)
		return -1;
	reader = ends[0];
	writer = ends[1];
	log_set_fd(writer);
	log_set_trace(NULL);
	return 0;
}

static int close_log(void **state)
{
	(void)state;
	log_set_fd(2);
	log_set_trace(NULL);
	close(reader);
	close(writer);
	return 0;
}

/* The next line written; "" for none. */
static const char *next_line(void)
{
	static char line[8192];
	ssize_t n = read(reader, line, sizeof(line) - 1);

	line[n > 0 ? n : 0] = '\0';
	return line;
}

/* What follows the time. */
static const char *next_words(void)
{
	const char *space = strchr(next_line(), ' ');

	return space != NULL ? space + 1 : "";
}

static void lines_have_time_level_module(void **state)
{
	regex_t form;

	(void)state;
	assert_int_equal(regcomp(&form,
				 "^20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]"
				 "\\.[0-9]{3}Z error fuse event=mounted dir=/m n=3\n$",
				 REG_EXTENDED | REG_NOSUB),
			 0);
	errno = EDOM;
	log_line(LOG_ERROR, "fuse", "event=mounted dir=%s n=%d", "/m", 3);
	assert_int_equal(errno, EDOM);
	assert_int_equal(regexec(&form, next_line(), 0, NULL, 0), 0);
	regfree(&form);
	log_line(LOG_WARN, "a", "x=1");
	assert_string_equal(next_words(), "warn a x=1\n");
	log_line(LOG_INFO, "a", "x=1");
	assert_string_equal(next_words(), "info a x=1\n");
	assert_string_equal(next_line(), "");
}

static void trace_goes_by_module(void **state)
{
	(void)state;
	log_line(LOG_TRACE, "remote", "x=1");
	assert_string_equal(next_line(), "");
	log_set_trace("remote,fuse");
	assert_true(log_traced("remote"));
	assert_true(log_traced("fuse"));
	assert_false(log_traced("remot"));
	assert_false(log_traced("remotes"));
	assert_false(log_traced("store"));
	assert_false(log_traced("all"));
	log_line(LOG_TRACE, "remote", "x=1");
	assert_string_equal(next_words(), "trace remote x=1\n");
	log_line(LOG_TRACE, "store", "x=1");
	assert_string_equal(next_line(), "");
	log_set_trace("store,,all");
	assert_true(log_traced("anything"));
	log_set_trace("");
	assert_false(log_traced("store"));
	log_set_trace("a");
	log_set_trace(NULL);
	assert_false(log_traced("a"));
}

static void assert_redacted(const char *text, const char *expected)
{
	char copy[512];

	snprintf(copy, sizeof(copy), "%s", text);
	log_redact(copy);
	assert_string_equal(copy, expected);
}

static void urls_lose_their_credentials(void **state)
{
	(void)state;
	assert_redacted("u=https://user:pw@host/p end", "u=https://***@host/p end");
	assert_redacted("https://user:p@w@host/p", "https://***@host/p");
	assert_redacted("https://ghp_token@host/p", "https://***@host/p");
	assert_redacted("https://token:@host", "https://***@host");
	assert_redacted("//a@h //b:c@h", "//*@h //***@h");
	assert_redacted("'http://u:p@[::1]:80/'", "'http://***@[::1]:80/'");
	assert_redacted("ssh://git:pw@host/p", "ssh://***@host/p");
	/* A password in which the reserved characters were not encoded. */
	assert_redacted("https://user:p/w@host/p", "https://***@host/p");
	assert_redacted("https://user:p#w?x@host/p", "https://***@host/p");
}

static void other_text_stays(void **state)
{
	static const char *const texts[] = {
		"",
		"/",
		"//",
		"//@",
		"https://host:8080/a@b",
		"https://host/a@b:c",
		"ssh://git@host/p",
		"git@host:team/app",
		"a // b@c",
		"https://[::1]:80/a@b",
		"authorization failed",
		"//host:/x@y",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_redacted(texts[i], texts[i]);
}

static void authorization_loses_its_value(void **state)
{
	(void)state;
	assert_redacted("> Authorization: Basic dXNlcjpwdw==", "> Authorization: ***");
	assert_redacted("AUTHORIZATION:bearer x y\r\nHost: h", "AUTHORIZATION:***\r\nHost: h");
	assert_redacted("\"authorization\" : \"Bearer t\"", "\"authorization\" : ***");
	assert_redacted("Proxy-Authorization=ab", "Proxy-Authorization=**");
	assert_redacted("Authorization: a\nAuthorization: Basic b",
			"Authorization: *\nAuthorization: ***");
	assert_redacted("Authorization:", "Authorization:");
}

static void redaction_makes_nothing_longer(void **state)
{
	/* No room behind the NUL: ASan sees a byte too many. */
	char one[] = "//a@h";
	char two[] = "Authorization: x";

	(void)state;
	log_redact(one);
	assert_string_equal(one, "//*@h");
	log_redact(two);
	assert_string_equal(two, "Authorization: *");
}

static void lines_are_redacted(void **state)
{
	(void)state;
	log_line(LOG_WARN, "remote", "url=%s header='%s'", "https://u:secret@h/p",
		 "Authorization: Basic secret");
	assert_string_equal(next_words(),
			    "warn remote url=https://***@h/p header='Authorization: ***\n");
}

static void assert_escaped(const char *text, const char *expected)
{
	char out[256];

	log_escape(out, sizeof(out), text);
	assert_string_equal(out, expected);
}

static void control_bytes_are_escaped(void **state)
{
	(void)state;
	assert_escaped("plain ~", "plain ~");
	assert_escaped("a\nb\t\x1b[31m\x7f", "a\\x0ab\\x09\\x1b[31m\\x7f");
	assert_escaped("\xc2\x9b[m", "\\xc2\\x9b[m");
	assert_escaped("\xc2\xa0", "\xc2\xa0");
	assert_escaped("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80",
		       "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80");
}

static void invalid_utf8_is_escaped(void **state)
{
	(void)state;
	assert_escaped("\xff\xfe", "\\xff\\xfe");
	assert_escaped("\x80", "\\x80");
	assert_escaped("\xc0\xaf", "\\xc0\\xaf");
	assert_escaped("\xe0\x9f\xbf", "\\xe0\\x9f\\xbf");
	assert_escaped("\xf0\x8f\xbf\xbf", "\\xf0\\x8f\\xbf\\xbf");
	assert_escaped("\xed\xa0\x80", "\\xed\\xa0\\x80");
	assert_escaped("\xed\x9f\xbf", "\xed\x9f\xbf");
	assert_escaped("\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf");
	assert_escaped("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80");
	assert_escaped("\xe2\x82", "\\xe2\\x82");
	assert_escaped("\xe2", "\\xe2");
	assert_escaped("\xf0\x9f\x98", "\\xf0\\x9f\\x98");
	assert_escaped("\xc3x", "\\xc3x");
}

static void escapes_are_cut_whole(void **state)
{
	char out[6] = "old";

	(void)state;
	log_escape(out, 0, "x");
	assert_string_equal(out, "old");
	log_escape(out, 1, "x");
	assert_string_equal(out, "");
	log_escape(out, 6, "abcdefgh");
	assert_string_equal(out, "abcde");
	log_escape(out, 6, "a\x01\x02");
	assert_string_equal(out, "a\\x01");
	log_escape(out, 5, "a\x01\x02");
	assert_string_equal(out, "a");
	log_escape(out, 6, "abc\xe2\x82\xac");
	assert_string_equal(out, "abc");
}

static void a_line_stays_one_line(void **state)
{
	(void)state;
	log_line(LOG_INFO, "m", "words=%s", "a\n2024-01-01T00:00:00.000Z error fake x=1\r");
	assert_string_equal(next_words(),
			    "info m words=a\\x0a2024-01-01T00:00:00.000Z error fake x=1\\x0d\n");
	assert_string_equal(next_line(), "");
}

static void long_lines_are_cut_without_leaks(void **state)
{
	static char filler[5000];
	const char *line;

	(void)state;
	/* The cut goes through the URL, in front of its "@". */
	memset(filler, 'f', 4080);
	log_line(LOG_INFO, "m", "x=%s url=https://user:secret@host/", filler);
	line = next_line();
	assert_null(strstr(line, "user"));
	assert_null(strstr(line, "secret"));
	assert_in_range(strlen(line), 4000, 4096);
	assert_int_equal(line[strlen(line) - 1], '\n');

	/* One word that is too long. */
	memset(filler, 'f', sizeof(filler) - 1);
	log_line(LOG_INFO, "m", "x=1 y=%s", filler);
	assert_string_equal(next_words(), "info m x=1 ...\n");

	/* Escapes make a line longer than its text. */
	memset(filler, '\x01', 3000);
	filler[3000] = '\0';
	log_line(LOG_INFO, "m", "%s", filler);
	line = next_line();
	assert_in_range(strlen(line), 4090, 4096);
	assert_string_equal(line + strlen(line) - 5, "\\x01\n");
}

static void *write_lines(void *arg)
{
	for (int i = 0; i < 50; i++)
		log_line(LOG_INFO, arg, "n=%d", i);
	return NULL;
}

static void lines_of_threads_do_not_mix(void **state)
{
	pthread_t threads[2];
	char name_a[] = "aaaa";
	char name_b[] = "bbbb";
	char expected[2][64];
	int next[2] = { 0, 0 };
	int flags = fcntl(writer, F_GETFL);

	(void)state;
	assert_int_equal(fcntl(writer, F_SETFL, flags & ~O_NONBLOCK), 0);
	flags = fcntl(reader, F_GETFL);
	assert_int_equal(fcntl(reader, F_SETFL, flags & ~O_NONBLOCK), 0);
	assert_int_equal(thread_start(&threads[0], "a", write_lines, name_a), 0);
	assert_int_equal(thread_start(&threads[1], "b", write_lines, name_b), 0);
	for (int i = 0; i < 100; i++) {
		const char *words = next_words();
		int who = strstr(words, name_b) != NULL;

		snprintf(expected[who], sizeof(expected[who]), "info %s n=%d\n",
			 who == 1 ? name_b : name_a, next[who]++);
		assert_string_equal(words, expected[who]);
	}
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	assert_int_equal(next[0], 50);
	assert_int_equal(next[1], 50);
}

#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, open_log, close_log)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOG_TEST(lines_have_time_level_module),
		LOG_TEST(trace_goes_by_module),
		LOG_TEST(urls_lose_their_credentials),
		LOG_TEST(other_text_stays),
		LOG_TEST(authorization_loses_its_value),
		LOG_TEST(redaction_makes_nothing_longer),
		LOG_TEST(lines_are_redacted),
		LOG_TEST(control_bytes_are_escaped),
		LOG_TEST(invalid_utf8_is_escaped),
		LOG_TEST(escapes_are_cut_whole),
		LOG_TEST(a_line_stays_one_line),
		LOG_TEST(long_lines_are_cut_without_leaks),
		LOG_TEST(lines_of_threads_do_not_mix),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
