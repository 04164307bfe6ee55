/*
 * One transport: one child, `git upload-pack PATH`, in a loop of its own: it
 * greets with its capabilities, then answers request after request. After a
 * refusal, or an answer that was not read to its end, it is of no use any more:
 * `broken`.
 *
 * The child runs with the user's own rights, so it is also told to allow filters,
 * any object and sizes, which a repository allows to nobody by default. (Filters
 * that its configuration forbids one by one stay forbidden.) One loop drives all
 * three pipes, so that neither side can block the other, and a `cancel` is seen at
 * once.
 *
 * What git complains of stands on its stderr. Two complaints have codes of
 * their own: that there is no repository, and that the folder belongs to
 * somebody else, in which case git's own hint, the line to type, is passed on.
 */
#include "remote/local.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/proc.h"
#include "remote/response.h"

#define CHUNK_SIZE 65536
#define COMPLAINT_MAX 4096 /* bytes of the child's stderr that are kept */
#define GRACE_MS 200       /* for the child to end once its pipes are closed */
#define LAST_WORDS_MS 2000 /* to wait for its stderr to end once its stdout did */

struct local_endpoint {
	struct endpoint base;
	struct traffic *traffic;
	unsigned timeout_ms;
	char path[URL_MAX];
};

struct local {
	struct transport base;
	struct local_endpoint *endpoint;
	struct proc proc;
	struct buf complaint; /* what came on stderr */
	bool silent;          /* stderr has ended */
	uint8_t chunk[CHUNK_SIZE];
};

/* An exchange, while it lasts. */
struct exchange {
	struct cursor unsent;
	struct answer *answer;
	uint64_t deadline; /* mono_ns(), of the next byte in either direction */
};

/* Where a complaint has `mark`, the rest of that line; NULL where it has not. */
static const char *complaint_line(const struct buf *complaint, const char *mark, size_t *len_out)
{
	const char *at = strstr(buf_str(complaint), mark);
	if (at == NULL)
		return NULL;
	*len_out = strcspn(at, "\n");
	return at;
}

/* The child has ended, or closed its stdout: its stderr says why. */
static int child_ended(struct local *local, struct err *err)
{
	uint64_t end = mono_ns() + LAST_WORDS_MS * NS_PER_MS;
	while (!local->silent && mono_ns() < end) {
		struct pollfd fd = { .fd = local->proc.err_fd, .events = POLLIN };
		if (poll(&fd, 1, LAST_WORDS_MS) <= 0)
			continue;
		proc_read_stderr(&local->proc, &local->complaint);
		local->silent = (fd.revents & POLLHUP) != 0;
	}
	char words[REFUSAL_MAX];
	size_t len;
	const char *hint = complaint_line(&local->complaint,
					  "git config --global --add safe.directory ", &len);
	if (hint != NULL) {
		response_words(words, sizeof(words), (const uint8_t *)hint, len);
		return err_set(err, ERR_AUTH,
			       "it belongs to somebody else; if you trust it, type: %s", words);
	}
	const char *none = complaint_line(&local->complaint, "not appear to be a git repository",
					  &len);
	if (none != NULL)
		return err_set(err, ERR_NOT_FOUND, "not a git repository");
	const char *fatal = complaint_line(&local->complaint, "fatal: ", &len);
	if (fatal == NULL) {
		fatal = buf_str(&local->complaint);
		len = strcspn(fatal, "\n");
	}
	if (len == 0)
		return err_set(err, ERR_UNREACHABLE, "git upload-pack ended without a word");
	response_words(words, sizeof(words), (const uint8_t *)fatal, len);
	return err_set(err, ERR_PROTOCOL, "git upload-pack ended: %s", words);
}

/* Writes what fits into the pipe. */
static int send_some(struct local *local, struct exchange *exchange, struct err *err)
{
	ssize_t n = write(local->proc.in_fd, exchange->unsent.ptr, exchange->unsent.left);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0 && errno == EPIPE)
		return child_ended(local, err);
	if (n < 0)
		return err_sys(err, errno, "cannot write to git upload-pack");
	atomic_fetch_add(&local->endpoint->traffic->sent, (size_t)n);
	return cursor_skip(&exchange->unsent, (size_t)n) ? 0 : -EIO;
}

/* Reads what is there and hands it on; ANSWER_*. */
static int receive_some(struct local *local, struct exchange *exchange, struct err *err)
{
	ssize_t n = read(local->proc.out_fd, local->chunk, sizeof(local->chunk));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return ANSWER_MORE;
	if (n < 0)
		return err_sys(err, errno, "cannot read from git upload-pack");
	if (n == 0)
		return child_ended(local, err);
	local->base.answered = true;
	atomic_fetch_add(&local->endpoint->traffic->received, (size_t)n);
	int rc = exchange->answer->take(exchange->answer, local->chunk, (size_t)n, err);
	if (rc == ANSWER_DONE && exchange->unsent.left > 0)
		return err_set(err, ERR_PROTOCOL, "git upload-pack answered before it was asked");
	return rc;
}

/* Waits until something can be done, and does it; ANSWER_*. */
static int step(struct local *local, struct exchange *exchange, const struct cancel *cancel,
		struct err *err)
{
	enum { OUT, ERR, IN, CANCEL, FDS };
	struct pollfd fds[FDS] = {
		[OUT] = { .fd = local->proc.out_fd, .events = POLLIN },
		[ERR] = { .fd = local->silent ? -1 : local->proc.err_fd, .events = POLLIN },
		[IN] = { .fd = exchange->unsent.left > 0 ? local->proc.in_fd : -1,
			 .events = POLLOUT },
		[CANCEL] = { .fd = cancel != NULL ? cancel->fd : -1, .events = POLLIN },
	};
	uint64_t now = mono_ns();
	if (cancel_is_set(cancel))
		return err_set(err, ERR_CANCELLED, "given up");
	if (now >= exchange->deadline)
		return err_set(err, ERR_TIMEOUT, "no byte for %u ms", local->endpoint->timeout_ms);
	uint64_t left_ms = (exchange->deadline - now) / NS_PER_MS + 1;
	int n = poll(fds, FDS, left_ms < 60000 ? (int)left_ms : 60000);
	if (n < 0 && errno != EINTR)
		return err_sys(err, errno, "cannot wait for git upload-pack");
	if (n <= 0)
		return ANSWER_MORE;
	if (fds[ERR].revents != 0) {
		proc_read_stderr(&local->proc, &local->complaint);
		local->silent = (fds[ERR].revents & POLLHUP) != 0;
	}
	if (fds[OUT].revents != 0 || fds[IN].revents != 0)
		exchange->deadline = mono_ns() + local->endpoint->timeout_ms * NS_PER_MS;
	int rc = ANSWER_MORE;
	if (fds[OUT].revents != 0)
		rc = receive_some(local, exchange, err);
	if (rc == ANSWER_MORE && fds[IN].revents != 0)
		rc = send_some(local, exchange, err);
	return rc;
}

static int exchange_all(struct local *local, struct cursor body, struct answer *answer,
			const struct cancel *cancel, struct err *err)
{
	struct exchange exchange = {
		.unsent = body,
		.answer = answer,
		.deadline = mono_ns() + local->endpoint->timeout_ms * NS_PER_MS,
	};
	int rc = ANSWER_MORE;
	local->base.answered = false;
	atomic_fetch_add(&local->endpoint->traffic->requests, 1);
	while (rc == ANSWER_MORE)
		rc = step(local, &exchange, cancel, err);
	if (rc != ANSWER_DONE)
		local->base.broken = true;
	return rc < 0 ? rc : 0;
}

static int local_discover(struct transport *transport, struct answer *answer,
			  const struct cancel *cancel, struct err *err)
{
	struct local *local = (struct local *)(void *)transport;
	return exchange_all(local, cursor_of("", 0), answer, cancel, err);
}

static int local_request(struct transport *transport, const struct buf *body,
			 struct answer *answer, const struct cancel *cancel, struct err *err)
{
	struct local *local = (struct local *)(void *)transport;
	return exchange_all(local, cursor_of(body->data, body->len), answer, cancel, err);
}

static void local_close(struct transport *transport)
{
	struct local *local = (struct local *)(void *)transport;
	proc_end(&local->proc, GRACE_MS);
	buf_release(&local->complaint);
	free(local);
}

/* Variables that would lead git to another repository are those that
 * `git rev-parse --local-env-vars` lists. */
static const char *const environment[] = {
	"GIT_DIR",
	"GIT_WORK_TREE",
	"GIT_COMMON_DIR",
	"GIT_INDEX_FILE",
	"GIT_OBJECT_DIRECTORY",
	"GIT_ALTERNATE_OBJECT_DIRECTORIES",
	"GIT_NAMESPACE",
	"GIT_PREFIX",
	"GIT_SHALLOW_FILE",
	"GIT_GRAFT_FILE",
	"GIT_REPLACE_REF_BASE",
	"GIT_NO_REPLACE_OBJECTS",
	"GIT_IMPLICIT_WORK_TREE",
	"GIT_INTERNAL_SUPER_PREFIX",
	"GIT_CONFIG",
	"GIT_CONFIG_PARAMETERS",
	"GIT_PROTOCOL=version=2",
	"LC_ALL=C", /* its complaints are looked at */
	"LANGUAGE=C",
	"GIT_CONFIG_COUNT=3",
	"GIT_CONFIG_KEY_0=uploadpack.allowFilter",
	"GIT_CONFIG_VALUE_0=true",
	"GIT_CONFIG_KEY_1=uploadpack.allowAnySHA1InWant",
	"GIT_CONFIG_VALUE_1=true",
	"GIT_CONFIG_KEY_2=transfer.advertiseObjectInfo",
	"GIT_CONFIG_VALUE_2=true",
	NULL,
};

static int local_open(struct endpoint *base, struct transport **out, struct err *err)
{
	static const struct transport_ops ops = {
		.discover = local_discover,
		.request = local_request,
		.close = local_close,
	};
	struct local_endpoint *endpoint = (struct local_endpoint *)(void *)base;
	const char *const argv[] = { "git", "upload-pack", "--", endpoint->path, NULL };
	struct local *local = calloc(1, sizeof(*local));
	if (local == NULL)
		return err_set(err, -ENOMEM, "out of memory");
	local->base.ops = &ops;
	local->endpoint = endpoint;
	local->proc = (struct proc)PROC_INIT;
	local->complaint = (struct buf)BUF_INIT_MAX(COMPLAINT_MAX);
	int rc = proc_start(&local->proc, argv, environment, err);
	if (rc == -ENOENT) /* not to be taken for a repository that is not there */
		rc = err_set(err, ERR_UNSUPPORTED, "git is not installed");
	if (rc == 0 && (fcntl(local->proc.in_fd, F_SETFL, O_NONBLOCK) < 0 ||
			fcntl(local->proc.out_fd, F_SETFL, O_NONBLOCK) < 0))
		rc = err_sys(err, errno, "cannot make pipes non-blocking");
	if (rc < 0) {
		local_close(&local->base);
		return rc;
	}
	*out = &local->base;
	return 0;
}

static void local_free(struct endpoint *base)
{
	free(base);
}

int local_endpoint_new(struct endpoint **out, const struct url *url,
		       const struct remote_config *config, struct traffic *traffic,
		       struct err *err)
{
	static const struct endpoint_ops ops = { .open = local_open, .free = local_free };
	struct local_endpoint *endpoint = calloc(1, sizeof(*endpoint));
	if (endpoint == NULL)
		return err_set(err, -ENOMEM, "out of memory");
	endpoint->base.ops = &ops;
	endpoint->base.greets = true;
	endpoint->traffic = traffic;
	endpoint->timeout_ms = config->timeout_ms;
	memcpy(endpoint->path, url->path, sizeof(endpoint->path));
	*out = &endpoint->base;
	return 0;
}
