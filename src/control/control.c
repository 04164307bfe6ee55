/*
 * The server: one thread accepts, one more per connection answers it.
 *
 * A slot goes FREE -> BUSY (the acceptor started its thread) -> DONE (the
 * thread is about to return) -> FREE (the acceptor has joined it). Only the
 * acceptor touches FREE and DONE slots, only its thread a BUSY one, so that no
 * lock is needed. With no slot free the acceptor does not accept: callers wait
 * in the socket's queue.
 *
 * A reply goes out piece by piece, as the handler adds to it: one that lists every path
 * of a large change takes no more memory here than one that says "done".
 *
 * The socket is bound and reached through /proc/self/fd of its folder: the
 * path may then be longer than the 107 bytes of a socket address.
 */
#include "control/control.h"

#include <assert.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "base/threads.h"
#include "control/control_wire.h"

#define PEER_TIMEOUT_MS 5000 /* to send a request, and to take the reply */
#define RETRY_MS 20          /* between attempts where the kernel is short of something */
#define PIECE_BYTES ((size_t)64 << 10) /* of a reply, gathered before they are sent */

struct control_reply {
	struct connection *conn;
	struct buf lines; /* not sent yet */
	bool error_set;
};

enum slot_state { SLOT_FREE, SLOT_BUSY, SLOT_DONE };

struct connection {
	struct control_server *server;
	pthread_t thread;
	int fd;
	atomic_int state; /* enum slot_state */
};

struct control_server {
	char *path; /* owned; removed at the end */
	int listen_fd;
	int freed_fd; /* an eventfd: a slot became DONE */
	control_handler_fn *handler;
	void *arg;
	struct cancel stop;
	pthread_t acceptor;
	struct connection slots[CONTROL_CONNECTIONS_MAX];
};

/* Milliseconds left for poll(2), 0 when the deadline has passed. */
static int poll_left(uint64_t deadline_ns)
{
	uint64_t now = mono_ns();

	if (now >= deadline_ns)
		return 0;
	return (int)((deadline_ns - now + NS_PER_MS - 1) / NS_PER_MS);
}

/* Waits for `events` on fd. 0, ERR_TIMEOUT, ERR_CANCELLED. */
static int wait_for(int fd, short events, uint64_t deadline_ns, const struct cancel *stop)
{
	struct pollfd fds[2] = {
		{ .fd = fd, .events = events },
		{ .fd = stop != NULL ? stop->fd : -1, .events = POLLIN },
	};

	for (;;) {
		int left = poll_left(deadline_ns);
		int ret;

		if (cancel_is_set(stop))
			return ERR_CANCELLED;
		if (left == 0)
			return ERR_TIMEOUT;
		ret = poll(fds, 2, left);
		if (ret < 0 && errno != EINTR)
			return -errno;
		if (ret > 0 && fds[0].revents != 0)
			return 0;
	}
}

static int send_all(int fd, const struct buf *bytes, uint64_t deadline_ns,
		    const struct cancel *stop)
{
	size_t done = 0;

	while (done < bytes->len) {
		ssize_t n = send(fd, bytes->data + done, bytes->len - done,
				 MSG_NOSIGNAL | MSG_DONTWAIT);
		int ret;

		if (n >= 0) {
			done += (size_t)n;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return -errno;
		ret = wait_for(fd, POLLOUT, deadline_ns, stop);
		if (ret < 0)
			return ret;
	}
	return 0;
}

/* What was gathered goes to the peer, which has PEER_TIMEOUT_MS to take it. */
static int reply_send(struct control_reply *reply)
{
	int ret = send_all(reply->conn->fd, &reply->lines, mono_ns() + PEER_TIMEOUT_MS * NS_PER_MS,
			   &reply->conn->server->stop);

	buf_clear(&reply->lines);
	return ret;
}

int control_reply_add(struct control_reply *reply, const char *key, const char *fmt, ...)
{
	AUTO_BUF struct buf line = BUF_INIT_MAX(PKTLINE_PAYLOAD_MAX);
	va_list args;
	int ret;

	assert(strlen(key) <= CONTROL_KEY_MAX && strchr(key, ' ') == NULL);
	assert(strcmp(key, CONTROL_KEY_EXIT) != 0 && strcmp(key, CONTROL_KEY_ERROR) != 0);
	ret = buf_printf(&line, "%s ", key);
	if (ret < 0)
		return ret;
	va_start(args, fmt);
	ret = buf_vprintf(&line, fmt, args);
	va_end(args);
	if (ret < 0)
		return ret;
	ret = pktline_write(&reply->lines, line.data, line.len);
	return ret == 0 && reply->lines.len >= PIECE_BYTES ? reply_send(reply) : ret;
}

int control_reply_error(struct control_reply *reply, const char *fmt, ...)
{
	char words[ERR_MSG_MAX];
	va_list args;
	int ret;

	assert(!reply->error_set);
	va_start(args, fmt);
	vsnprintf(words, sizeof(words), fmt, args);
	va_end(args);
	ret = pktline_printf(&reply->lines, CONTROL_KEY_ERROR " %s", words);
	if (ret == 0)
		reply->error_set = true;
	return ret;
}

/* Some bytes; 0 at the end. */
static ssize_t recv_some(int fd, void *data, size_t len, uint64_t deadline_ns,
			 const struct cancel *stop)
{
	for (;;) {
		ssize_t n;
		int ret = wait_for(fd, POLLIN, deadline_ns, stop);

		if (ret < 0)
			return ret;
		n = recv(fd, data, len, MSG_DONTWAIT);
		if (n >= 0)
			return n;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
	}
}

static int read_request(struct connection *conn, struct control_request *request)
{
	uint64_t deadline = mono_ns() + PEER_TIMEOUT_MS * NS_PER_MS;
	uint8_t bytes[4096];
	int ret = 0;

	while (ret == 0) {
		ssize_t n = recv_some(conn->fd, bytes, sizeof(bytes), deadline,
				      &conn->server->stop);

		if (n < 0)
			return (int)n;
		if (n == 0)
			return ERR_PROTOCOL;
		ret = control_request_feed(request, bytes, (size_t)n);
	}
	return ret < 0 ? ret : 0;
}

/* Has the handler answer, and ends the reply with its exit code. */
static int answer(struct connection *conn, const struct control_request *request,
		  struct control_reply *reply)
{
	const char *words[CONTROL_WORDS_MAX];
	int code;
	int ret;

	control_request_words(request, words);
	code = conn->server->handler(conn->server->arg, words, request->count, reply);
	if (code < 0 && !reply->error_set) {
		ret = control_reply_error(reply, "%s", err_name(code));
		if (ret < 0)
			return ret;
	}
	if (code < 0 || (code == 0 && reply->error_set))
		code = 1;
	ret = pktline_printf(&reply->lines, CONTROL_KEY_EXIT " %d", code);
	if (ret < 0)
		return ret;
	return pktline_flush(&reply->lines);
}

static void serve(struct connection *conn)
{
	struct control_request request = CONTROL_REQUEST_INIT;
	struct control_reply reply = {
		.conn = conn,
		.lines = BUF_INIT_MAX(PIECE_BYTES + 2 * PKTLINE_PAYLOAD_MAX),
	};
	int ret;

	ret = read_request(conn, &request);
	if (ret == 0)
		ret = answer(conn, &request, &reply);
	if (ret == 0)
		ret = reply_send(&reply);
	/* A peer that has gone did not want to know. */
	if (ret < 0 && ret != ERR_CANCELLED && ret != -EPIPE && ret != -ECONNRESET)
		log_line(LOG_WARN, "control", "event=request_failed reason=\"%s\"", err_name(ret));
	buf_release(&reply.lines);
	control_request_release(&request);
}

static void *connection_run(void *arg)
{
	struct connection *conn = arg;
	uint64_t one = 1;

	serve(conn);
	io_close(&conn->fd);
	atomic_store(&conn->state, SLOT_DONE);
	/* Cannot fail: the counter is read long before it is full. */
	if (write(conn->server->freed_fd, &one, sizeof(one)) < 0)
		log_line(LOG_ERROR, "control", "event=eventfd_failed errno=%d", errno);
	return NULL;
}

/* A slot to use, or NULL; joins the threads that are done. */
static struct connection *reap_slots(struct control_server *server)
{
	struct connection *found = NULL;

	for (size_t i = 0; i < CONTROL_CONNECTIONS_MAX; i++) {
		struct connection *conn = &server->slots[i];

		if (atomic_load(&conn->state) == SLOT_DONE) {
			pthread_join(conn->thread, NULL);
			atomic_store(&conn->state, SLOT_FREE);
		}
		if (found == NULL && atomic_load(&conn->state) == SLOT_FREE)
			found = conn;
	}
	return found;
}

static bool peer_is_ours(int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return false;
	return cred.uid == geteuid() || cred.uid == 0;
}

/* false: the kernel is short of something, try again later. */
static bool accept_one(struct control_server *server, struct connection *conn)
{
	int fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return errno == EAGAIN || errno == EINTR || errno == ECONNABORTED;
	if (!peer_is_ours(fd)) {
		log_line(LOG_WARN, "control", "event=peer_refused");
		io_close(&fd);
		return true;
	}
	conn->fd = fd;
	atomic_store(&conn->state, SLOT_BUSY);
	if (thread_start(&conn->thread, "control-conn", connection_run, conn) < 0) {
		atomic_store(&conn->state, SLOT_FREE);
		io_close(&conn->fd);
		return false;
	}
	return true;
}

static void *acceptor_run(void *arg)
{
	struct control_server *server = arg;
	struct pollfd fds[3] = {
		{ .fd = server->stop.fd, .events = POLLIN },
		{ .fd = server->freed_fd, .events = POLLIN },
		{ .fd = -1, .events = POLLIN },
	};
	uint64_t count;

	while (!cancel_is_set(&server->stop)) {
		struct connection *conn = reap_slots(server);

		fds[2].fd = conn != NULL ? server->listen_fd : -1;
		if (poll(fds, 3, -1) < 0)
			continue;
		if (fds[1].revents != 0 && read(server->freed_fd, &count, sizeof(count)) < 0)
			log_line(LOG_ERROR, "control", "event=eventfd_failed errno=%d", errno);
		if (conn != NULL && fds[2].revents != 0 && !accept_one(server, conn))
			poll(fds, 1, RETRY_MS);
	}
	for (size_t i = 0; i < CONTROL_CONNECTIONS_MAX; i++) {
		if (atomic_load(&server->slots[i].state) != SLOT_FREE)
			pthread_join(server->slots[i].thread, NULL);
	}
	return NULL;
}

/* The address of `path` by way of its folder, which *dirfd keeps open. */
static int socket_address(const char *path, struct sockaddr_un *addr, int *dirfd)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash != NULL ? slash + 1 : path;
	char *dir = slash != NULL ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	int len;

	if (dir == NULL)
		return -ENOMEM;
	*dirfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	free(dir);
	if (*dirfd < 0)
		return -errno;
	memset(addr, 0, sizeof(*addr));
	addr->sun_family = AF_UNIX;
	len = snprintf(addr->sun_path, sizeof(addr->sun_path), "/proc/self/fd/%d/%s", *dirfd,
		       name);
	return len > 0 && (size_t)len < sizeof(addr->sun_path) ? 0 : -ENAMETOOLONG;
}

/* Binds beside `path` and puts the socket in its place when it listens: one
 * that refuses connections has no server, whenever somebody looks. */
static int listen_beside(int fd, const char *path, const char *beside)
{
	AUTO_CLOSE int dirfd = -1;
	struct sockaddr_un addr;
	int ret = socket_address(beside, &addr, &dirfd);

	if (ret < 0)
		return ret;
	ret = io_unlink(AT_FDCWD, beside);
	if (ret < 0 && ret != -ENOENT)
		return ret;
	if (bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -errno;
	if (chmod(beside, 0600) == 0 && listen(fd, CONTROL_CONNECTIONS_MAX) == 0)
		ret = io_rename(AT_FDCWD, beside, path);
	else
		ret = -errno;
	if (ret < 0)
		(void)!io_unlink(AT_FDCWD, beside); /* the first failure is the one to report */
	return ret;
}

/* A socket that listens at `path`, in *out. */
static int listen_at(const char *path, int *out)
{
	AUTO_BUF struct buf beside = BUF_INIT_MAX(PATH_MAX);
	AUTO_CLOSE int fd = -1;
	int ret = buf_printf(&beside, "%s.new", path);

	if (ret < 0)
		return ret;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	ret = listen_beside(fd, path, buf_str(&beside));
	if (ret < 0)
		return ret;
	*out = fd;
	fd = -1;
	return 0;
}

static void server_free(struct control_server *server)
{
	cancel_release(&server->stop);
	io_close(&server->freed_fd);
	if (server->listen_fd >= 0)
		(void)!io_unlink(AT_FDCWD, server->path); /* nobody can be told */
	io_close(&server->listen_fd);
	free(server->path);
	free(server);
}

/* Everything but the thread. NULL: see *ret_out. */
static struct control_server *server_new(const char *path, int *ret_out)
{
	struct control_server *server = calloc(1, sizeof(*server));
	int ret;

	*ret_out = -ENOMEM;
	if (server == NULL)
		return NULL;
	ret = cancel_init(&server->stop);
	if (ret < 0) {
		free(server);
		*ret_out = ret;
		return NULL;
	}
	server->listen_fd = -1;
	server->freed_fd = -1;
	for (size_t i = 0; i < CONTROL_CONNECTIONS_MAX; i++) {
		server->slots[i].server = server;
		server->slots[i].fd = -1;
	}
	ret = -ENOMEM;
	server->path = strdup(path);
	if (server->path == NULL)
		goto fail;
	server->freed_fd = eventfd(0, EFD_CLOEXEC);
	if (server->freed_fd < 0) {
		ret = -errno;
		goto fail;
	}
	ret = listen_at(path, &server->listen_fd);
	if (ret < 0)
		goto fail;
	return server;
fail:
	server_free(server);
	*ret_out = ret;
	return NULL;
}

int control_server_start(struct control_server **out, const char *path,
			 control_handler_fn *handler, void *arg, struct err *err)
{
	int ret;
	struct control_server *server = server_new(path, &ret);

	if (server == NULL)
		return err_sys(err, -ret, "cannot make the control socket %s", path);
	server->handler = handler;
	server->arg = arg;
	ret = thread_start(&server->acceptor, "control", acceptor_run, server);
	if (ret < 0) {
		server_free(server);
		return err_sys(err, -ret, "cannot start the thread of the control socket");
	}
	*out = server;
	return 0;
}

void control_server_stop(struct control_server *server)
{
	if (server == NULL)
		return;
	cancel_set(&server->stop);
	pthread_join(server->acceptor, NULL);
	server_free(server);
}

/* A connected socket in *out. A full queue shows as EAGAIN: tried again. */
static int connect_to(const char *path, uint64_t deadline_ns, int *out)
{
	AUTO_CLOSE int dirfd = -1;
	AUTO_CLOSE int fd = -1;
	struct sockaddr_un addr;
	int ret = socket_address(path, &addr, &dirfd);

	if (ret < 0)
		return ret;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	while (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0) {
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		if (poll_left(deadline_ns) == 0)
			return ERR_TIMEOUT;
		poll(NULL, 0, RETRY_MS);
	}
	*out = fd;
	fd = -1;
	return 0;
}

static int read_reply(int fd, struct control_response *response, control_line_fn *line, void *arg,
		      uint64_t deadline_ns)
{
	uint8_t bytes[4096];
	int ret = 0;

	while (ret == 0) {
		ssize_t n = recv_some(fd, bytes, sizeof(bytes), deadline_ns, NULL);

		if (n < 0)
			return (int)n;
		if (n == 0)
			return -ECONNRESET;
		ret = control_response_feed(response, bytes, (size_t)n, line, arg);
	}
	return ret < 0 ? ret : 0;
}

int control_call(const char *path, const char *const *words, control_line_fn *line, void *arg,
		 unsigned timeout_ms, struct err *err)
{
	uint64_t deadline = mono_ns() + timeout_ms * NS_PER_MS;
	AUTO_BUF struct buf request = BUF_INIT_MAX(CONTROL_REQUEST_BYTES_MAX);
	AUTO_CLOSE int fd = -1;
	struct control_response response = CONTROL_RESPONSE_INIT(err);
	int ret;

	ret = control_request_write(&request, words);
	if (ret < 0)
		return err_sys(err, -ret, "the request is too long");
	ret = connect_to(path, deadline, &fd);
	if (ret < 0)
		return err_sys(err, -ret, "nobody answers at %s", path);
	ret = send_all(fd, &request, deadline, NULL);
	if (ret == 0)
		ret = read_reply(fd, &response, line, arg, deadline);
	control_response_release(&response);
	if (ret < 0)
		return err_sys(err, -ret, "no reply from %s", path);
	return response.exit_code;
}
