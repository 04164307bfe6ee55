/* The control socket: both parsers in pieces, a real server with many callers. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/threads.h"
#include "control/control.h"
#include "control/control_wire.h"
#include "failing_alloc.h"

#define CALL_MS 5000
#define CALLERS 40

static char folder[64];
static char socket_path[256];

static int setup(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/git-fs-control-XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(socket_path, sizeof(socket_path), "%s/1.sock", folder);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return rmdir(folder); /* fails where a server left something behind */
}

/* --- parsers --- */

static void make_request(struct buf *out)
{
	const char *const words[] = { "status", "", "two words", NULL };

	assert_int_equal(control_request_write(out, words), 0);
}

static void requests_are_read_in_pieces(void **state)
{
	AUTO_BUF struct buf bytes = BUF_INIT;

	(void)state;
	make_request(&bytes);
	for (size_t piece = 1; piece <= bytes.len; piece++) {
		struct control_request request = CONTROL_REQUEST_INIT;
		const char *words[CONTROL_WORDS_MAX];
		int ret = 0;

		for (size_t at = 0; at < bytes.len; at += piece) {
			size_t len = bytes.len - at < piece ? bytes.len - at : piece;

			assert_int_equal(ret, 0);
			ret = control_request_feed(&request, bytes.data + at, len);
		}
		assert_int_equal(ret, 1);
		control_request_words(&request, words);
		assert_int_equal(request.count, 3);
		assert_string_equal(words[0], "status");
		assert_string_equal(words[1], "");
		assert_string_equal(words[2], "two words");
		control_request_release(&request);
	}
}

static int feed_request(const char *bytes, size_t len)
{
	struct control_request request = CONTROL_REQUEST_INIT;
	int ret = control_request_feed(&request, bytes, len);

	control_request_release(&request);
	return ret;
}

static void bad_requests_are_refused(void **state)
{
	AUTO_BUF struct buf many = BUF_INIT;

	(void)state;
	assert_int_equal(feed_request("0000", 4), ERR_PROTOCOL);          /* no word */
	assert_int_equal(feed_request("0005a0001", 9), ERR_PROTOCOL);     /* a delimiter */
	assert_int_equal(feed_request("0005a0000x", 10), ERR_PROTOCOL);   /* more behind */
	assert_int_equal(feed_request("0007a\0b0000", 11), ERR_PROTOCOL); /* a NUL */
	assert_int_equal(feed_request("zzzz", 4), ERR_PROTOCOL);
	assert_int_equal(feed_request("0005a", 5), 0);

	for (int i = 0; i < CONTROL_WORDS_MAX; i++)
		assert_int_equal(buf_append_str(&many, "0005a"), 0);
	assert_int_equal(feed_request((const char *)many.data, many.len), 0);
	assert_int_equal(buf_append_str(&many, "0005a"), 0);
	assert_int_equal(feed_request((const char *)many.data, many.len), ERR_LIMIT);
}

static void a_request_has_a_size_limit(void **state)
{
	struct control_request request = CONTROL_REQUEST_INIT;
	AUTO_BUF struct buf line = BUF_INIT;
	char word[40000];

	(void)state;
	memset(word, 'x', sizeof(word));
	assert_int_equal(pktline_write(&line, word, sizeof(word)), 0);
	assert_int_equal(control_request_feed(&request, line.data, line.len), 0);
	assert_int_equal(control_request_feed(&request, line.data, line.len), ERR_LIMIT);
	control_request_release(&request);
}

struct heard {
	struct buf text; /* "key=value;" for each line */
	int result;      /* what the callback returns */
};

static int hear(void *arg, const char *key, const char *value)
{
	struct heard *heard = arg;

	if (heard->result < 0)
		return heard->result;
	return buf_printf(&heard->text, "%s=%s;", key, value);
}

static int feed_reply(const char *bytes, struct heard *heard, int *code_out, struct err *err)
{
	struct control_response response = CONTROL_RESPONSE_INIT(err);
	size_t len = strlen(bytes);
	int ret = 0;

	for (size_t i = 0; i < len && ret == 0; i++)
		ret = control_response_feed(&response, bytes + i, 1, hear, heard);
	*code_out = response.exit_code;
	control_response_release(&response);
	return ret;
}

static void replies_are_read(void **state)
{
	struct heard heard = { .text = BUF_INIT };
	struct err err = ERR_INIT;
	int code = -1;

	(void)state;
	assert_int_equal(feed_reply("0009ab cd0007ef 0011error no luck000aexit 30000", &heard,
				    &code, &err),
			 1);
	assert_int_equal(code, 3);
	assert_string_equal(buf_str(&heard.text), "ab=cd;ef=;");
	assert_string_equal(err.msg, "no luck");
	buf_release(&heard.text);
}

static void bad_replies_are_refused(void **state)
{
	static const char *const replies[] = {
		"0000",                   /* no exit code */
		"0005a",                  /* no key */
		"0006 a",                 /* an empty key */
		"000aexit x",             /* no number */
		"000cexit 256",           /* too large */
		"000aexit 10009a b c",    /* a line after it */
		"000aexit 10001",         /* a delimiter */
		"000aexit 10000x",        /* more behind the end */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
		struct control_response response = CONTROL_RESPONSE_INIT(NULL);

		assert_int_equal(control_response_feed(&response, replies[i], strlen(replies[i]),
						       NULL, NULL),
				 ERR_PROTOCOL);
		control_response_release(&response);
	}
}

static void the_listener_can_end_a_reply(void **state)
{
	struct heard heard = { .text = BUF_INIT, .result = -ENOSPC };
	int code;

	(void)state;
	assert_int_equal(feed_reply("0007a b000aexit 00000", &heard, &code, NULL), -ENOSPC);
}

static void parsers_survive_the_loss_of_memory(void **state)
{
	AUTO_BUF struct buf bytes = BUF_INIT;
	bool failed = true;

	(void)state;
	make_request(&bytes);
	for (long nth = 1; failed; nth++) {
		struct control_request request = CONTROL_REQUEST_INIT;
		int ret = 0;

		failing_alloc_arm(nth);
		for (size_t i = 0; i < bytes.len && ret == 0; i++)
			ret = control_request_feed(&request, bytes.data + i, 1);
		failed = failing_alloc_disarm();
		assert_int_equal(ret, failed ? -ENOMEM : 1);
		control_request_release(&request);
	}
	failed = true;
	for (long nth = 1; failed; nth++) {
		struct heard heard = { .text = BUF_INIT };
		int code;
		int ret;

		failing_alloc_arm(nth);
		ret = feed_reply("0007a b000aexit 00000", &heard, &code, NULL);
		failed = failing_alloc_disarm();
		assert_int_equal(ret, failed ? -ENOMEM : 1);
		buf_release(&heard.text);
	}
}

/* --- the server --- */

/* echo: each word as a line; fail: words; code N; big: much; slow: waits. */
static int handle(void *arg, const char *const *words, size_t count, struct control_reply *reply)
{
	int ret = 0;

	(void)arg;
	if (strcmp(words[0], "fail") == 0)
		return control_reply_error(reply, "it did %s", "not work");
	if (strcmp(words[0], "oom") == 0)
		return -ENOMEM;
	if (strcmp(words[0], "code") == 0)
		return 7;
	if (strcmp(words[0], "slow") == 0)
		usleep(50000);
	if (strcmp(words[0], "big") == 0) {
		for (int i = 0; i < 3000 && ret == 0; i++)
			ret = control_reply_add(reply, "line", "%0900d", i);
		return ret;
	}
	for (size_t i = 1; i < count && ret == 0; i++)
		ret = control_reply_add(reply, "word", "%s", words[i]);
	return ret;
}

static struct control_server *start(void)
{
	struct control_server *server = NULL;
	struct err err = ERR_INIT;

	assert_int_equal(control_server_start(&server, socket_path, handle, NULL, &err), 0);
	return server;
}

static int call(const char *a, const char *b, struct heard *heard, struct err *err)
{
	const char *const words[] = { a, b, NULL };

	return control_call(socket_path, words, hear, heard, CALL_MS, err);
}

static void a_call_brings_the_reply(void **state)
{
	struct control_server *server = start();
	struct heard heard = { .text = BUF_INIT };
	struct err err = ERR_INIT;
	struct stat st;

	(void)state;
	assert_int_equal(stat(socket_path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(call("echo", "with spaces\nand lines", &heard, &err), 0);
	assert_string_equal(buf_str(&heard.text), "word=with spaces\nand lines;");
	assert_int_equal(call("code", NULL, &heard, &err), 7);
	assert_int_equal(call("fail", NULL, &heard, &err), 1);
	assert_string_equal(err.msg, "it did not work");
	assert_int_equal(call("oom", NULL, &heard, &err), 1);
	assert_string_equal(err.msg, err_name(-ENOMEM));
	buf_clear(&heard.text);
	assert_int_equal(call("big", NULL, &heard, &err), 0);
	assert_int_equal(heard.text.len, 3000 * 906);
	buf_release(&heard.text);
	control_server_stop(server);
	assert_int_equal(access(socket_path, F_OK), -1);
}

static void nobody_listens(void **state)
{
	struct err err = ERR_INIT;
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct heard heard = { .text = BUF_INIT };

	(void)state;
	assert_int_equal(call("echo", NULL, &heard, &err), -ENOENT);
	/* What a killed daemon leaves: a socket without a server. It is replaced. */
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%.100s", socket_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
	assert_int_equal(call("echo", NULL, &heard, &err), -ECONNREFUSED);
	struct control_server *server = start();
	assert_int_equal(call("echo", "a", &heard, &err), 0);
	buf_release(&heard.text);
	control_server_stop(server);
}

static void *one_caller(void *arg)
{
	struct heard heard = { .text = BUF_INIT };
	struct err err = ERR_INIT;
	int *bad = arg;

	*bad = call("slow", "x", &heard, &err) != 0 ||
	       strcmp(buf_str(&heard.text), "word=x;") != 0;
	buf_release(&heard.text);
	return NULL;
}

/* More callers than connections: the others wait and are served. */
static void many_callers_are_served(void **state)
{
	struct control_server *server = start();
	pthread_t threads[CALLERS];
	int bad[CALLERS];

	(void)state;
	for (int i = 0; i < CALLERS; i++)
		assert_int_equal(thread_start(&threads[i], "caller", one_caller, &bad[i]), 0);
	for (int i = 0; i < CALLERS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(bad[i], 0);
	}
	control_server_stop(server);
}

/* Peers that say nothing do not keep others, nor the end, from coming. */
static void silent_peers_stop_nobody(void **state)
{
	struct control_server *server = start();
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct heard heard = { .text = BUF_INIT };
	struct err err = ERR_INIT;
	int fds[CONTROL_CONNECTIONS_MAX - 1];
	uint64_t begin;

	(void)state;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%.100s", socket_path);
	for (int i = 0; i < CONTROL_CONNECTIONS_MAX - 1; i++) {
		fds[i] = socket(AF_UNIX, SOCK_STREAM, 0);
		assert_int_equal(connect(fds[i], (struct sockaddr *)&addr, sizeof(addr)), 0);
	}
	assert_int_equal(call("echo", "a", &heard, &err), 0);
	begin = mono_ns();
	control_server_stop(server);
	assert_true(mono_ns() - begin < 2 * NS_PER_S);
	for (int i = 0; i < CONTROL_CONNECTIONS_MAX - 1; i++)
		close(fds[i]);
	buf_release(&heard.text);
}

static void a_deaf_server_times_out(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const char *const words[] = { "echo", NULL };
	struct err err = ERR_INIT;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%.100s", socket_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(control_call(socket_path, words, NULL, NULL, 100, &err), ERR_TIMEOUT);
	close(fd);
	unlink(socket_path);
}

/* Longer than a socket address has room for. */
static void long_paths_work(void **state)
{
	struct control_server *server = NULL;
	struct heard heard = { .text = BUF_INIT };
	char dir[200];

	(void)state;
	snprintf(dir, sizeof(dir), "%s/%0120d", folder, 0);
	assert_int_equal(mkdir(dir, 0700), 0);
	snprintf(socket_path, sizeof(socket_path), "%s/1.sock", dir);
	server = start();
	assert_int_equal(call("echo", "a", &heard, NULL), 0);
	control_server_stop(server);
	assert_int_equal(rmdir(dir), 0);
	buf_release(&heard.text);
}

static void starting_survives_the_loss_of_memory(void **state)
{
	bool failed = true;

	(void)state;
	for (long nth = 1; failed; nth++) {
		struct control_server *server = NULL;
		struct err err = ERR_INIT;
		int ret;

		failing_alloc_arm(nth);
		ret = control_server_start(&server, socket_path, handle, NULL, &err);
		failed = failing_alloc_disarm();
		assert_int_equal(ret, failed ? -ENOMEM : 0);
		control_server_stop(server);
	}
	assert_int_equal(access(socket_path, F_OK), -1);
}

static void a_missing_folder_is_an_error(void **state)
{
	struct control_server *server = NULL;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(control_server_start(&server, "/nonexistent/x.sock", handle, NULL, &err),
			 -ENOENT);
	assert_null(server);
	assert_non_null(strstr(err.msg, "/nonexistent/x.sock"));
}

#define SERVED(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_read_in_pieces),
		cmocka_unit_test(bad_requests_are_refused),
		cmocka_unit_test(a_request_has_a_size_limit),
		cmocka_unit_test(replies_are_read),
		cmocka_unit_test(bad_replies_are_refused),
		cmocka_unit_test(the_listener_can_end_a_reply),
		cmocka_unit_test(parsers_survive_the_loss_of_memory),
		SERVED(a_call_brings_the_reply),
		SERVED(nobody_listens),
		SERVED(many_callers_are_served),
		SERVED(silent_peers_stop_nobody),
		SERVED(a_deaf_server_times_out),
		SERVED(long_paths_work),
		SERVED(starting_survives_the_loss_of_memory),
		cmocka_unit_test(a_missing_folder_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
